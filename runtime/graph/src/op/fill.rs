//! A tensor of one value.

use crate::dims;
use crate::rule::{
    Context, EvalError, HostType, Inferred, Kind, MAX_CONTENTS, MAX_RANK, Output, Rule, Set, ShapeError,
    Signature,
};
use crate::tensor::Tensor;

pub(super) struct Fill;

impl Rule for Fill {
    fn name(&self) -> &'static str {
        "Fill"
    }

    fn signature(&self) -> Signature {
        Signature::new(&[Kind::Index, Kind::Same(Set::Any)], Output::Same)
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(2, 2, "a shape and a value")?;
        ctx.index(0)?;
        let shape = ctx.known(0, "the shape")?.to_vec();
        super::check_dims(ctx.scope(), &shape)?;
        if shape.len() > MAX_RANK {
            return Err(ShapeError::Invalid(format!(
                "rank {} is above the limit of {MAX_RANK}",
                shape.len()
            )));
        }
        if ctx.shape(1).iter().any(|dim| dims::as_int(dim) != Some(1)) {
            return Err(ShapeError::Invalid("the value must be one element".to_owned()));
        }
        let contents = ctx.contents(1).and_then(|value| {
            let len = match shape.as_slice() {
                [] => 1,
                [n] => usize::try_from(dims::as_int(n)?).ok().filter(|&n| n <= MAX_CONTENTS)?,
                _ => return None,
            };
            Some(vec![value.first()?.clone(); len])
        });
        Ok(vec![Inferred::new(ctx.dtype(1), shape).with(contents)])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let HostType { dtype, shape } = &outputs[0];
        let n = Tensor::zeros(*dtype, shape.clone())?.count();
        Ok(vec![Tensor::new(*dtype, shape.clone(), inputs[1].bytes().repeat(n))?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    #[test]
    fn fills() {
        let value = Tensor::from_f32(vec![1], &[2.5]).unwrap();
        let shape = |v: &[i64]| Tensor::from_i64(vec![v.len()], v).unwrap();
        let fill = |v: &[i64]| eval_node(&Op::Fill, &[&shape(v), &value], 1).map(|mut y| y.remove(0));
        assert_eq!(fill(&[2, 2]).unwrap(), Tensor::from_f32(vec![2, 2], &[2.5; 4]).unwrap());
        assert_eq!(fill(&[]).unwrap(), Tensor::from_f32(vec![], &[2.5]).unwrap());
        assert_eq!(fill(&[0, 2]).unwrap().count(), 0);
        assert!(fill(&[-1]).is_err());
        assert!(fill(&[1 << 40]).is_err(), "too large");
    }
}
