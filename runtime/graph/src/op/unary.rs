//! Elementwise operators of one operand: their shape rule and evaluation. What each computes is its row in `elementwise.rs`.

use bayplan_expr::Expr;

use super::UnaryOp;
use crate::dims;
use crate::rule::{Context, EvalError, HostType, Inferred, Rule, ShapeError, Signature};
use crate::tensor::{Elements, Tensor};

impl UnaryOp {
    /// The result on shape arithmetic, where it can be expressed.
    fn symbolic(self, ctx: &Context<'_>, v: &Expr) -> Option<Expr> {
        let (zero, dtype) = (dims::int(0), ctx.dtype(0));
        match self {
            Self::Neg => Some(dims::sub(&zero, v)),
            // Contents are whole numbers, which these leave as they are.
            Self::Floor | Self::Ceil | Self::Round => Some(v.clone()),
            Self::Relu => Some(dims::max(ctx.scope(), v, &zero)),
            Self::Abs if dims::le(ctx.scope(), &zero, v) => Some(v.clone()),
            _ => {
                let made = self.int()?(dims::as_int(v)?.into(), dtype);
                Some(dims::int(i64::try_from(made).ok()?))
            }
        }
    }
}

impl Rule for UnaryOp {
    fn name(&self) -> &'static str {
        self.row().name
    }

    fn signature(&self) -> Signature {
        self.row().signature
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(1, 1, "one operand")?;
        let dtype = ctx.same(0, 0, self.row().set)?;
        let contents = ctx.contents(0).and_then(|list| list.iter().map(|v| self.symbolic(ctx, v)).collect());
        let out = self.row().signature.result_of(dtype);
        Ok(vec![Inferred::new(out, ctx.shape(0).to_vec()).with(contents)])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let HostType { dtype, shape } = &outputs[0];
        let from = inputs[0].dtype();
        let computed = match (inputs[0].elements(), self.float(), self.int()) {
            (Elements::Float(v), Some(f), _) => Elements::Float(v.into_iter().map(f).collect()),
            (Elements::Int(v), _, Some(f)) => Elements::Int(v.into_iter().map(|v| f(v, from)).collect()),
            _ => return Err(EvalError::Value(format!("{} is not defined for {from}", self.name()))),
        };
        Ok(vec![Tensor::from_elements(*dtype, shape.clone(), &computed)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::eval_node;
    use crate::{DType, Op};

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
        let i = Tensor::from_ints(DType::U8, vec![2], &[0, 0b1010]).unwrap();
        let y = eval_node(&Op::Unary(UnaryOp::Not), &[&i], 1).unwrap();
        assert_eq!(y[0], Tensor::from_ints(DType::U8, vec![2], &[255, 0b1111_0101]).unwrap());
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
