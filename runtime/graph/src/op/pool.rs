//! Maximum, mean and sum over windows.

use super::window::{indices, taps};
use super::{PoolKind, Window};
use crate::DType;
use crate::layout::product;
use crate::rule::{Context, EvalError, HostType, Inferred, Kind, Output, Rule, Set, ShapeError, Signature};
use crate::tensor::Tensor;

pub(super) struct Pool<'a> {
    pub(super) kind: PoolKind,
    pub(super) window: &'a Window,
}

impl Rule for Pool<'_> {
    fn name(&self) -> &'static str {
        match self.kind {
            PoolKind::Max => "MaxPool",
            PoolKind::Average { .. } => "AveragePool",
            PoolKind::Sum => "SumPool",
            PoolKind::Index => "MaxPoolIndex",
        }
    }

    fn signature(&self) -> Signature {
        let result = match self.kind {
            PoolKind::Index => Output::Only(self.kind.result(DType::F32)),
            _ => Output::Same,
        };
        Signature::new(&[Kind::Same(Set::Float)], result)
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(1, 1, "one operand")?;
        let dtype = ctx.same(0, 0, Set::Float)?;
        let (x, rank) = (ctx.shape(0), self.window.rank() + 2);
        if x.len() != rank {
            let expected = format!("{rank} (a window of {} axes)", rank - 2);
            return Err(ShapeError::Rank { operand: 0, actual: x.len(), expected });
        }
        let mut shape = x[..2].to_vec();
        shape.extend(self.window.outputs(ctx, &x[2..])?);
        Ok(vec![Inferred::new(self.kind.result(dtype), shape)])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let HostType { dtype, shape } = &outputs[0];
        let axes = self.window.resolve(&inputs[0].shape()[2..], &shape[2..]);
        let x = inputs[0].to_f64();
        let area: usize = product(&inputs[0].shape()[2..]);
        let mut out = Vec::with_capacity(product(shape));
        for plane in 0..shape[0] * shape[1] {
            let x = &x[plane * area..][..area];
            indices(&shape[2..], |index| {
                let (mut sum, mut max, mut seen) = (0.0, f64::NEG_INFINITY, 0_usize);
                let (mut first, mut least) = (-1.0, f64::NEG_INFINITY);
                taps(&axes, index, &mut |at, _| {
                    if x[at] > least || seen == 0 {
                        (first, least) = (at as f64, least.max(x[at]));
                    }
                    sum += x[at];
                    // NaN is larger than all, as in ONNX runtimes.
                    max = if x[at] > max || x[at].is_nan() { x[at] } else { max };
                    seen += 1;
                });
                out.push(match self.kind {
                    PoolKind::Max => max,
                    PoolKind::Sum => sum,
                    PoolKind::Index => first,
                    PoolKind::Average { count_pad: false } => sum / seen as f64,
                    PoolKind::Average { count_pad: true } => {
                        // Where rounding up lets the window reach beyond the padding, what lies there does not count.
                        let counted: usize = axes
                            .iter()
                            .zip(index)
                            .map(|(axis, &o)| {
                                let end = axis.input as i64 + axis.before + axis.after;
                                (0..axis.kernel)
                                    .filter(|k| ((o * axis.stride + k * axis.dilation) as i64) < end)
                                    .count()
                            })
                            .product();
                        sum / counted as f64
                    }
                });
            });
        }
        Ok(vec![Tensor::from_f64(*dtype, shape.clone(), &out)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;
    use crate::op::Pads;

    fn check(kind: PoolKind, ceil: bool, pads: [i64; 2], x: &[f32], expected: &[f64]) {
        let pads = Pads::Explicit(pads.to_vec());
        let window = Window { kernel: vec![3], strides: vec![2], dilations: vec![1], pads, ceil };
        let x = Tensor::from_f32(vec![1, 1, x.len()], x).unwrap();
        let y = eval_node(&Op::Pool(kind, window), &[&x], 1).unwrap().remove(0);
        assert_eq!(y.to_f64(), expected, "{kind:?} ceil {ceil}");
    }

    #[test]
    fn pools() {
        let x = [6., 3., 9., 0., 3., 12.];
        let mean = |count_pad| PoolKind::Average { count_pad };
        check(PoolKind::Max, false, [0, 0], &x, &[9., 9.]);
        check(PoolKind::Max, true, [0, 0], &x, &[9., 9., 12.]);
        check(PoolKind::Max, false, [1, 1], &x, &[6., 9., 12.]);
        check(mean(false), false, [0, 0], &x, &[6., 4.]);
        check(mean(false), false, [1, 0], &x, &[4.5, 4., 5.]);
        check(mean(true), false, [1, 0], &x, &[3., 4., 5.]);
        check(mean(true), true, [0, 0], &x, &[6., 4., 7.5]);
        check(PoolKind::Sum, false, [1, 0], &x, &[9., 12., 15.]);
        check(PoolKind::Index, false, [1, 1], &x, &[0., 2., 5.]);
        check(PoolKind::Index, false, [0, 0], &[2., 2., 1., 7., 7.], &[0., 3.]);
        // Rounded up, a fourth window would start in the padding behind the input: it is dropped.
        check(PoolKind::Max, true, [1, 1], &x[..5], &[6., 9., 3.]);
    }

    #[test]
    fn refuses_other_ranks() {
        let window = Window {
            kernel: vec![1],
            strides: vec![1],
            dilations: vec![1],
            pads: Pads::Same { upper: true },
            ceil: false,
        };
        let x = Tensor::zeros(crate::DType::F32, vec![1, 1]).unwrap();
        assert!(
            eval_node(&Op::Pool(PoolKind::Max, window), &[&x], 1).unwrap_err().to_string().contains("rank 2")
        );
    }
}
