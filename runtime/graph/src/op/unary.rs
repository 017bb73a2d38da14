//! Elementwise operators of one operand.

use super::UnaryOp;
use crate::rule::{Context, EvalError, HostType, Inferred, Kind, Output, Rule, Set, ShapeError, Signature};
use crate::tensor::{Elements, Tensor};
use crate::{DType, dims};

impl UnaryOp {
    const fn operands(self) -> Set {
        match self {
            Self::Not => Set::Bool,
            Self::Neg | Self::Abs | Self::Relu | Self::Sign => Set::Number,
            _ => Set::Float,
        }
    }

    const fn tests(self) -> bool {
        matches!(self, Self::IsNaN | Self::IsInf)
    }

    fn float(self, v: f64) -> f64 {
        match self {
            Self::Neg => -v,
            Self::Abs => v.abs(),
            Self::Exp => v.exp(),
            Self::Log => v.ln(),
            Self::Sqrt => v.sqrt(),
            Self::Reciprocal => v.recip(),
            // `max` would turn NaN into 0; ONNX runtimes keep it.
            Self::Relu => {
                if v < 0.0 {
                    0.0
                } else {
                    v
                }
            }
            Self::Sigmoid => 1.0 / (1.0 + (-v).exp()),
            Self::Tanh => v.tanh(),
            Self::Erf => erf(v),
            Self::Floor => v.floor(),
            Self::Ceil => v.ceil(),
            Self::Round => v.round_ties_even(),
            Self::Sign => {
                if v > 0.0 {
                    1.0
                } else if v < 0.0 {
                    -1.0
                } else {
                    v
                }
            }
            Self::Sin => v.sin(),
            Self::Cos => v.cos(),
            Self::Softplus => {
                if v > 0.0 {
                    v + (-v).exp().ln_1p()
                } else {
                    v.exp().ln_1p()
                }
            }
            Self::Not => f64::from(u8::from(v == 0.0)),
            Self::IsNaN => f64::from(u8::from(v.is_nan())),
            Self::IsInf => f64::from(u8::from(v.is_infinite())),
        }
    }

    /// On integers; the rest are refused by [`Rule::infer`].
    const fn int(self, v: i128) -> i128 {
        match self {
            Self::Neg => -v,
            Self::Abs => v.abs(),
            Self::Relu => {
                if v < 0 {
                    0
                } else {
                    v
                }
            }
            Self::Sign => v.signum(),
            Self::Not => (v == 0) as i128,
            _ => v,
        }
    }
}

impl Rule for UnaryOp {
    fn name(&self) -> &'static str {
        match self {
            Self::Neg => "Neg",
            Self::Abs => "Abs",
            Self::Exp => "Exp",
            Self::Log => "Log",
            Self::Sqrt => "Sqrt",
            Self::Reciprocal => "Reciprocal",
            Self::Relu => "Relu",
            Self::Sigmoid => "Sigmoid",
            Self::Tanh => "Tanh",
            Self::Erf => "Erf",
            Self::Floor => "Floor",
            Self::Ceil => "Ceil",
            Self::Round => "Round",
            Self::Sign => "Sign",
            Self::Sin => "Sin",
            Self::Cos => "Cos",
            Self::Not => "Not",
            Self::IsNaN => "IsNaN",
            Self::IsInf => "IsInf",
            Self::Softplus => "Softplus",
        }
    }

    fn signature(&self) -> Signature {
        match self {
            Self::Not => Signature::new(&[Kind::Same(Set::Bool)], Output::Same),
            Self::IsNaN | Self::IsInf => Signature::new(&[Kind::Same(Set::Float)], Output::Only(DType::Bool)),
            Self::Neg | Self::Abs | Self::Relu | Self::Sign => {
                Signature::new(&[Kind::Same(Set::Number)], Output::Same)
            }
            _ => Signature::new(&[Kind::Same(Set::Float)], Output::Same),
        }
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(1, 1, "one operand")?;
        let dtype = ctx.same(0, 0, self.operands())?;
        let zero = dims::int(0);
        let contents = ctx.contents(0).and_then(|list| {
            list.iter()
                .map(|v| match self {
                    Self::Neg => Some(dims::sub(&zero, v)),
                    // Contents are whole numbers, which these leave as they are.
                    Self::Floor | Self::Ceil | Self::Round => Some(v.clone()),
                    Self::Relu => Some(dims::max(ctx.scope(), v, &zero)),
                    Self::Abs if dims::le(ctx.scope(), &zero, v) => Some(v.clone()),
                    Self::Abs | Self::Sign | Self::Not => dims::as_int(v)
                        .map(|v| dims::int(i64::try_from(self.int(v.into())).unwrap_or(i64::MAX))),
                    _ => None,
                })
                .collect()
        });
        let out = if self.tests() { DType::Bool } else { dtype };
        Ok(vec![Inferred::new(out, ctx.shape(0).to_vec()).with(contents)])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let computed = match inputs[0].elements() {
            Elements::Float(v) => Elements::Float(v.into_iter().map(|v| self.float(v)).collect()),
            Elements::Int(v) => Elements::Int(v.into_iter().map(|v| self.int(v)).collect()),
        };
        Ok(vec![Tensor::from_elements(outputs[0].dtype, outputs[0].shape.clone(), &computed)?])
    }
}

/// The error function: Maclaurin series near 0, continued fraction of `erfc` beyond (Abramowitz & Stegun 7.1.6 and
/// 7.1.14), accurate to about 1e-15.
fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a.is_nan() {
        return x;
    }
    let value = if a < 3.0 {
        // 2/√π · e^(−a²) · Σ 2ⁿ a^(2n+1) / (1·3·…·(2n+1)): all terms positive, so nothing cancels.
        let (mut term, mut sum, mut n) = (a, a, 0.0);
        while term > sum * 1e-17 {
            n += 1.0;
            term *= 2.0 * a * a / (2.0 * n + 1.0);
            sum += term;
        }
        core::f64::consts::FRAC_2_SQRT_PI * (-a * a).exp() * sum
    } else if a < 6.0 {
        // √π e^(a²) erfc(a) = 1/(a + (1/2)/(a + 1/(a + (3/2)/(a + …)))), from the inside out.
        let tail = (1..=60).rev().fold(a, |inner, k| a + f64::from(k) * 0.5 / inner);
        1.0 - (-a * a).exp() / (tail * core::f64::consts::PI.sqrt())
    } else {
        1.0
    };
    value.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    fn check(op: UnaryOp, x: &[f32], expected: &[f32]) {
        let x = Tensor::from_f32(vec![x.len()], x).unwrap();
        let y = eval_node(&Op::Unary(op), &[&x], 1).unwrap().remove(0).to_f32().unwrap();
        for (y, e) in y.iter().zip(expected) {
            let close = (y - e).abs() <= 1e-6 * e.abs().max(1.0) || (y.is_nan() && e.is_nan());
            assert!(close, "{op:?}: {y} instead of {e}");
        }
        assert_eq!(y.len(), expected.len());
    }

    #[test]
    fn values() {
        check(UnaryOp::Neg, &[1.5, -2.0], &[-1.5, 2.0]);
        check(UnaryOp::Abs, &[-1.5, 2.0], &[1.5, 2.0]);
        check(UnaryOp::Exp, &[0.0, 1.0], &[1.0, core::f32::consts::E]);
        check(UnaryOp::Log, &[1.0, core::f32::consts::E], &[0.0, 1.0]);
        check(UnaryOp::Sqrt, &[9.0], &[3.0]);
        check(UnaryOp::Reciprocal, &[4.0, -0.5], &[0.25, -2.0]);
        check(UnaryOp::Relu, &[-1.0, 0.0, 3.0], &[0.0, 0.0, 3.0]);
        check(UnaryOp::Sigmoid, &[0.0, 2.0], &[0.5, 0.880_797_1]);
        check(UnaryOp::Tanh, &[0.5], &[0.462_117_17]);
        check(
            UnaryOp::Erf,
            &[0.0, 0.5, -1.0, 2.0, 3.5, 9.0],
            &[0.0, 0.520_499_9, -0.842_700_8, 0.995_322_3, 0.999_999_3, 1.0],
        );
        check(UnaryOp::Floor, &[-1.5, 1.5], &[-2.0, 1.0]);
        check(UnaryOp::Ceil, &[-1.5, 1.5], &[-1.0, 2.0]);
        check(UnaryOp::Round, &[0.5, 1.5, 2.5, -2.5], &[0.0, 2.0, 2.0, -2.0]);
        check(UnaryOp::Sign, &[-3.0, 0.0, 7.0], &[-1.0, 0.0, 1.0]);
        check(UnaryOp::Sign, &[f32::NAN], &[f32::NAN]);
        check(UnaryOp::Sin, &[1.0], &[0.841_471]);
        check(UnaryOp::Cos, &[1.0], &[0.540_302_3]);
        check(UnaryOp::Softplus, &[0.0, 100.0, -100.0], &[core::f32::consts::LN_2, 100.0, 0.0]);
    }

    #[test]
    fn other_types() {
        let b = Tensor::from_bool(vec![2], &[true, false]).unwrap();
        let y = eval_node(&Op::Unary(UnaryOp::Not), &[&b], 1).unwrap();
        assert_eq!(y[0], Tensor::from_bool(vec![2], &[false, true]).unwrap());
        let x = Tensor::from_f32(vec![3], &[f32::NAN, f32::INFINITY, 1.0]).unwrap();
        let nan = eval_node(&Op::Unary(UnaryOp::IsNaN), &[&x], 1).unwrap();
        assert_eq!(nan[0], Tensor::from_bool(vec![3], &[true, false, false]).unwrap());
        let inf = eval_node(&Op::Unary(UnaryOp::IsInf), &[&x], 1).unwrap();
        assert_eq!(inf[0], Tensor::from_bool(vec![3], &[false, true, false]).unwrap());
        let i = Tensor::from_i64(vec![2], &[-3, 3]).unwrap();
        let y = eval_node(&Op::Unary(UnaryOp::Abs), &[&i], 1).unwrap();
        assert_eq!(y[0], Tensor::from_i64(vec![2], &[3, 3]).unwrap());
        assert!(eval_node(&Op::Unary(UnaryOp::Exp), &[&i], 1).is_err());
    }
}
