//! Reductions over axes.

use super::{Keep, ReduceOp};
use crate::dims;
use crate::layout::{product, walk};
use crate::rule::{
    self, Context, EvalError, HostType, Inferred, Kind, Output, Rule, Set, ShapeError, Signature,
};
use crate::tensor::{Elements, Tensor, count};

pub(super) struct Reduce {
    pub(super) op: ReduceOp,
    pub(super) keep: Keep,
}

impl Rule for Reduce {
    fn name(&self) -> &'static str {
        match self.op {
            ReduceOp::Sum => "ReduceSum",
            ReduceOp::Mean => "ReduceMean",
            ReduceOp::Max => "ReduceMax",
            ReduceOp::Min => "ReduceMin",
            ReduceOp::Prod => "ReduceProd",
        }
    }

    fn signature(&self) -> Signature {
        Signature::new(&[Kind::Same(Set::Number), Kind::Index], Output::Same)
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(2, 2, "an operand and its axes")?;
        let dtype = ctx.same(0, 0, Set::Number)?;
        ctx.index(1)?;
        let x = ctx.shape(0);
        let axes = rule::axes(&ctx.known_ints(1, "the axes")?, x.len())?;
        let shape: Vec<_> = x
            .iter()
            .enumerate()
            .filter_map(|(axis, dim)| match (axes.contains(&axis), self.keep) {
                (false, _) => Some(dim.clone()),
                (true, Keep::Dims) => Some(dims::int(1)),
                (true, Keep::None) => None,
            })
            .collect();
        let contents = ctx.contents(0).filter(|c| !c.is_empty()).and_then(|list| {
            if axes.is_empty() {
                return Some(list.to_vec());
            }
            let (first, rest) = list.split_first()?;
            let scope = ctx.scope();
            let all = match self.op {
                ReduceOp::Sum => rest.iter().fold(first.clone(), |a, b| dims::add(&a, b)),
                ReduceOp::Prod => rest.iter().fold(first.clone(), |a, b| dims::mul(&a, b)),
                ReduceOp::Max => rest.iter().fold(first.clone(), |a, b| dims::max(scope, &a, b)),
                ReduceOp::Min => rest.iter().fold(first.clone(), |a, b| dims::min(scope, &a, b)),
                ReduceOp::Mean => return None,
            };
            Some(vec![all])
        });
        Ok(vec![Inferred::new(dtype, shape).with(contents)])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let HostType { dtype, shape } = &outputs[0];
        let x = inputs[0];
        let list: Vec<i64> = inputs[1].to_ints().unwrap_or_default().iter().map(|&v| v as i64).collect();
        let axes = rule::axes(&list, x.shape().len())?;
        // Strides of the output as seen from the input: reduced axes stay where they are.
        let (mut by, mut step) = (vec![0_isize; x.shape().len()], 1_isize);
        for (axis, &dim) in x.shape().iter().enumerate().rev().filter(|(axis, _)| !axes.contains(axis)) {
            by[axis] = step;
            step *= dim as isize;
        }
        let outs = count(shape).unwrap_or(0);
        let reduced = product(&axes.iter().map(|&a| x.shape()[a]).collect::<Vec<_>>());
        let mut at = 0;
        let computed = match x.elements() {
            Elements::Float(x) => {
                let (start, fold): (f64, fn(f64, f64) -> f64) = match self.op {
                    ReduceOp::Sum | ReduceOp::Mean => (0.0, |a, b| a + b),
                    ReduceOp::Prod => (1.0, |a, b| a * b),
                    ReduceOp::Max => (f64::NEG_INFINITY, |a, b| if a.is_nan() || a > b { a } else { b }),
                    ReduceOp::Min => (f64::INFINITY, |a, b| if a.is_nan() || a < b { a } else { b }),
                };
                let mut out = vec![start; outs];
                walk(inputs[0].shape(), [&by], |[to]| {
                    out[to as usize] = fold(out[to as usize], x[at]);
                    at += 1;
                });
                if self.op == ReduceOp::Mean {
                    out.iter_mut().for_each(|v| *v /= reduced.max(1) as f64);
                }
                Elements::Float(out)
            }
            Elements::Int(x) => {
                // The extremum of no integers is the type's other end, as ONNX has it.
                let (least, most) = dtype.limits().unwrap_or_default();
                let (start, fold): (i128, fn(i128, i128) -> i128) = match self.op {
                    ReduceOp::Sum | ReduceOp::Mean => (0, i128::wrapping_add),
                    ReduceOp::Prod => (1, i128::wrapping_mul),
                    ReduceOp::Max => (least, Ord::max),
                    ReduceOp::Min => (most, Ord::min),
                };
                let mut out = vec![start; outs];
                walk(inputs[0].shape(), [&by], |[to]| {
                    out[to as usize] = fold(out[to as usize], x[at]);
                    at += 1;
                });
                if self.op == ReduceOp::Mean {
                    out.iter_mut().for_each(|v| *v /= (reduced as i128).max(1));
                }
                Elements::Int(out)
            }
        };
        Ok(vec![Tensor::from_elements(*dtype, shape.clone(), &computed)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    fn check(op: ReduceOp, keep: Keep, axes: &[i64], shape: &[usize], expected: &[f64]) {
        let x = Tensor::from_f32(vec![2, 3], &[1., 2., 3., 4., 5., 6.]).unwrap();
        let axes = Tensor::from_i64(vec![axes.len()], axes).unwrap();
        let y = eval_node(&Op::Reduce(op, keep), &[&x, &axes], 1).unwrap().remove(0);
        assert_eq!((y.shape(), y.to_f64()), (shape, expected.to_vec()), "{op:?} {keep:?} {axes:?}");
    }

    #[test]
    fn reductions() {
        check(ReduceOp::Sum, Keep::Dims, &[1], &[2, 1], &[6., 15.]);
        check(ReduceOp::Sum, Keep::None, &[-2], &[3], &[5., 7., 9.]);
        check(ReduceOp::Mean, Keep::None, &[0, 1], &[], &[3.5]);
        check(ReduceOp::Max, Keep::None, &[-1], &[2], &[3., 6.]);
        check(ReduceOp::Min, Keep::Dims, &[0], &[1, 3], &[1., 2., 3.]);
        check(ReduceOp::Prod, Keep::None, &[1, 0], &[], &[720.]);
        check(ReduceOp::Sum, Keep::Dims, &[], &[2, 3], &[1., 2., 3., 4., 5., 6.]);
    }

    #[test]
    fn empty_and_refused() {
        let empty = Tensor::from_f32(vec![2, 0], &[]).unwrap();
        let none = Tensor::from_i64(vec![2, 0], &[]).unwrap();
        let axes = |list: &[i64]| Tensor::from_i64(vec![list.len()], list).unwrap();
        // What onnxruntime gives.
        let (least, most) = (i128::from(i64::MIN), i128::from(i64::MAX));
        for (op, float, int) in [
            (ReduceOp::Sum, 0.0, 0),
            (ReduceOp::Mean, 0.0, 0),
            (ReduceOp::Prod, 1.0, 1),
            (ReduceOp::Max, f64::NEG_INFINITY, least),
            (ReduceOp::Min, f64::INFINITY, most),
        ] {
            let of =
                |x: &Tensor| eval_node(&Op::Reduce(op, Keep::None), &[x, &axes(&[1])], 1).unwrap().remove(0);
            assert_eq!(of(&empty).to_f64(), [float; 2], "{op:?}");
            assert_eq!(of(&none).to_ints().unwrap(), [int; 2], "{op:?}");
        }
        let refuse = |list: &[i64], text: &str| {
            let e = eval_node(&Op::Reduce(ReduceOp::Sum, Keep::None), &[&empty, &axes(list)], 1).unwrap_err();
            assert!(e.to_string().contains(text), "{e}");
        };
        refuse(&[2], "axis 2 does not exist");
        refuse(&[-3], "axis -3");
        refuse(&[0, -2], "named twice");
    }
}
