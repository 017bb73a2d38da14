//! Permutation of axes.

use crate::layout::{gather_strided, strides};
use crate::rule::{Context, EvalError, HostType, Inferred, Kind, Output, Rule, Set, ShapeError, Signature};
use crate::tensor::Tensor;

pub(super) struct Transpose<'a>(pub(super) &'a [usize]);

impl Rule for Transpose<'_> {
    fn name(&self) -> &'static str {
        "Transpose"
    }

    fn signature(&self) -> Signature {
        Signature::new(&[Kind::Same(Set::Any)], Output::Same)
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(1, 1, "one operand")?;
        let x = ctx.shape(0);
        let mut sorted = self.0.to_vec();
        sorted.sort_unstable();
        if sorted.len() != x.len() || sorted.iter().enumerate().any(|(i, &axis)| i != axis) {
            return Err(ShapeError::Invalid(format!(
                "{:?} is no permutation of the {} axes; name each of them once",
                self.0,
                x.len()
            )));
        }
        let shape = self.0.iter().map(|&axis| x[axis].clone()).collect();
        Ok(vec![Inferred::new(ctx.dtype(0), shape).with(ctx.contents(0).map(<[_]>::to_vec))])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let own = strides(inputs[0].shape());
        let by: Vec<isize> = self.0.iter().map(|&axis| own[axis]).collect();
        Ok(vec![gather_strided(inputs[0], &outputs[0].shape, 0, &by)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    #[test]
    fn permutes() {
        let x = Tensor::from_f32(vec![1, 2, 3], &[1., 2., 3., 4., 5., 6.]).unwrap();
        let y = eval_node(&Op::Transpose(vec![2, 0, 1]), &[&x], 1).unwrap().remove(0);
        assert_eq!((y.shape(), y.to_f32().unwrap()), (&[3, 1, 2][..], vec![1., 4., 2., 5., 3., 6.]));
        for perm in [vec![0, 1], vec![0, 0, 1], vec![1, 2, 3]] {
            assert!(eval_node(&Op::Transpose(perm), &[&x], 1).is_err());
        }
    }
}
