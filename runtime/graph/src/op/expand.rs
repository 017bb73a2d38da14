//! Broadcasting to a shape.

use crate::dims;
use crate::layout::{broadcast_strides, gather_strided};
use crate::rule::{
    Context, EvalError, HostType, Inferred, Kind, MAX_CONTENTS, MAX_RANK, Output, Rule, Set, ShapeError,
    Signature,
};
use crate::tensor::Tensor;

pub(super) struct Expand;

impl Rule for Expand {
    fn name(&self) -> &'static str {
        "Expand"
    }

    fn signature(&self) -> Signature {
        Signature::new(&[Kind::Same(Set::Any), Kind::Index], Output::Same)
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(2, 2, "an operand and a shape")?;
        ctx.index(1)?;
        let target = ctx.known(1, "the shape")?;
        super::check_dims(ctx.scope(), target)?;
        if target.len() > MAX_RANK {
            return Err(ShapeError::Invalid(format!(
                "rank {} is above the limit of {MAX_RANK}",
                target.len()
            )));
        }
        let shape = ctx.broadcast(ctx.shape(0), target)?;
        let contents = ctx.contents(0).and_then(|list| {
            let len = match shape.as_slice() {
                [] => 1,
                [n] => usize::try_from(dims::as_int(n)?).ok().filter(|&n| n <= MAX_CONTENTS)?,
                _ => return None,
            };
            if list.len() == 1 { Some(vec![list[0].clone(); len]) } else { Some(list.to_vec()) }
        });
        Ok(vec![Inferred::new(ctx.dtype(0), shape).with(contents)])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let shape = &outputs[0].shape;
        Ok(vec![gather_strided(inputs[0], shape, 0, &broadcast_strides(inputs[0].shape(), shape))?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    #[test]
    fn broadcasts_both_ways() {
        let x = Tensor::from_f32(vec![3, 1], &[1., 2., 3.]).unwrap();
        let to = |list: &[i64]| Tensor::from_i64(vec![list.len()], list).unwrap();
        let y = eval_node(&Op::Expand, &[&x, &to(&[2])], 1).unwrap().remove(0);
        assert_eq!((y.shape(), y.to_f32().unwrap()), (&[3, 2][..], vec![1., 1., 2., 2., 3., 3.]));
        let y = eval_node(&Op::Expand, &[&x, &to(&[2, 1, 1])], 1).unwrap().remove(0);
        assert_eq!((y.shape(), y.count()), (&[2, 3, 1][..], 6));
        assert!(eval_node(&Op::Expand, &[&x, &to(&[4, 1])], 1).is_err());
        assert!(eval_node(&Op::Expand, &[&x, &to(&[-1, 1])], 1).is_err());
    }
}
