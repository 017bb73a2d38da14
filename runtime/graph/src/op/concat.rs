//! Joining along an axis.

use crate::dims;
use crate::layout::around;
use crate::rule::{
    self, Context, EvalError, HostType, Inferred, Kind, MAX_CONTENTS, Output, Rule, Set, ShapeError,
    Signature,
};
use crate::tensor::Tensor;

pub(super) struct Concat {
    pub(super) axis: i64,
}

impl Rule for Concat {
    fn name(&self) -> &'static str {
        "Concat"
    }

    fn signature(&self) -> Signature {
        Signature { variadic: true, ..Signature::new(&[Kind::Same(Set::Any)], Output::Same) }
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(1, usize::MAX, "at least one operand")?;
        let dtype = ctx.same(0, ctx.len() - 1, Set::Any)?;
        let mut shape = ctx.shape(0).to_vec();
        let axis = rule::axis(self.axis, shape.len())?;
        for operand in 1..ctx.len() {
            let other = ctx.shape(operand);
            if other.len() != shape.len() {
                let expected = format!("{} (that of operand 0)", shape.len());
                return Err(ShapeError::Rank { operand, actual: other.len(), expected });
            }
            for (i, dim) in shape.iter_mut().enumerate() {
                *dim = if i == axis {
                    dims::add(dim, &other[i])
                } else {
                    ctx.unify("the dimensions that are not joined", dim, &other[i])?
                };
            }
        }
        let known = shape.len() == 1 && dims::as_int(&shape[0]).is_some_and(|n| n <= MAX_CONTENTS as i64);
        let lists: Option<Vec<_>> =
            (0..ctx.len()).map(|operand| ctx.contents(operand).filter(|_| known)).collect();
        Ok(vec![Inferred::new(dtype, shape).with(lists.map(|lists| lists.concat()))])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let HostType { dtype, shape } = &outputs[0];
        let axis = rule::axis(self.axis, shape.len())?;
        let outer = around(shape, axis).0;
        let mut out = Vec::new();
        for row in 0..outer {
            for x in inputs {
                let (_, len, inner) = around(x.shape(), axis);
                let size = len * inner * dtype.size();
                out.extend_from_slice(&x.bytes()[row * size..][..size]);
            }
        }
        Ok(vec![Tensor::new(*dtype, shape.clone(), out)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    #[test]
    fn joins() {
        let t = |shape: &[usize], v: &[f32]| Tensor::from_f32(shape.to_vec(), v).unwrap();
        let (a, b) = (t(&[2, 1], &[1., 2.]), t(&[2, 2], &[3., 4., 5., 6.]));
        let y = eval_node(&Op::Concat { axis: -1 }, &[&a, &b, &t(&[2, 0], &[])], 1).unwrap().remove(0);
        assert_eq!((y.shape(), y.to_f32().unwrap()), (&[2, 3][..], vec![1., 3., 4., 2., 5., 6.]));
        assert!(eval_node(&Op::Concat { axis: 0 }, &[&a, &b], 1).is_err());
        assert!(eval_node(&Op::Concat { axis: 0 }, &[&a, &t(&[1], &[0.])], 1).is_err());
        assert!(eval_node(&Op::Concat { axis: 0 }, &[&t(&[], &[0.])], 1).is_err(), "a scalar has no axis");
    }
}
