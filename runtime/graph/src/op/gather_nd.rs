//! Selection by index tuples.

use super::gather::position;
use crate::dims;
use crate::layout::{product, strides};
use crate::rule::{Context, EvalError, HostType, Inferred, Kind, Output, Rule, Set, ShapeError, Signature};
use crate::tensor::Tensor;

pub(super) struct GatherNd {
    pub(super) batch_dims: usize,
}

impl Rule for GatherNd {
    fn name(&self) -> &'static str {
        "GatherND"
    }

    fn signature(&self) -> Signature {
        Signature::new(&[Kind::Same(Set::Any), Kind::Index], Output::Same)
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(2, 2, "an operand and index tuples")?;
        ctx.index(1)?;
        let (x, indices, batch) = (ctx.shape(0), ctx.shape(1), self.batch_dims);
        let Some((tuple, outer)) = indices.split_last() else {
            return Err(ShapeError::Rank { operand: 1, actual: 0, expected: "at least 1".to_owned() });
        };
        let tuple = dims::as_int(tuple).and_then(|k| usize::try_from(k).ok()).ok_or_else(|| {
            ShapeError::Invalid(format!(
                "the length of the index tuples is {tuple}, but must be a known number"
            ))
        })?;
        if outer.len() < batch || tuple.checked_add(batch).is_none_or(|used| used > x.len()) {
            return Err(ShapeError::Invalid(format!(
                "tuples of {tuple} indices after {batch} batch axes do not fit an operand of rank {} and indices of rank {}",
                x.len(),
                indices.len()
            )));
        }
        let mut shape = Vec::new();
        for axis in 0..batch {
            shape.push(ctx.unify("the batch dimensions of operand and indices", &x[axis], &outer[axis])?);
        }
        shape.extend_from_slice(&outer[batch..]);
        shape.extend_from_slice(&x[batch + tuple..]);
        Ok(vec![Inferred::new(ctx.dtype(0), shape)])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let (x, i_shape, batch) = (inputs[0], inputs[1].shape(), self.batch_dims);
        let tuple = i_shape[i_shape.len() - 1];
        let by = strides(x.shape());
        let size = product(&x.shape()[batch + tuple..]) * x.dtype().size();
        let batches: usize = product(&x.shape()[..batch]);
        let per_batch: usize = product(&i_shape[batch..i_shape.len() - 1]);
        let batch_size = product(&x.shape()[batch..]);
        let indices = inputs[1].to_ints().unwrap_or_default();
        let mut out = Vec::new();
        for row in 0..batches * per_batch {
            let mut at = (row / per_batch.max(1)) * batch_size;
            for (k, &index) in indices[row * tuple..][..tuple].iter().enumerate() {
                let (axis, dim) = (batch + k, x.shape()[batch + k]);
                let index = position(index as i64, dim).ok_or_else(|| {
                    EvalError::Value(format!(
                        "index {index} lies outside axis {axis}, which has {dim} elements"
                    ))
                })?;
                at += index * by[axis] as usize;
            }
            out.extend_from_slice(&x.bytes()[at * x.dtype().size()..][..size]);
        }
        Ok(vec![Tensor::new(x.dtype(), outputs[0].shape.clone(), out)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    #[test]
    fn gathers() {
        let x = Tensor::from_f32(vec![2, 2, 2], &[0., 1., 2., 3., 4., 5., 6., 7.]).unwrap();
        let check = |batch_dims, indices: (&[usize], &[i64]), expected: (&[usize], &[f64])| {
            let i = Tensor::from_i64(indices.0.to_vec(), indices.1).unwrap();
            let y = eval_node(&Op::GatherNd { batch_dims }, &[&x, &i], 1).unwrap().remove(0);
            assert_eq!((y.shape(), y.to_f64()), (expected.0, expected.1.to_vec()));
        };
        check(0, (&[2, 2], &[0, 1, 1, 0]), (&[2, 2], &[2., 3., 4., 5.]));
        check(0, (&[1, 3], &[-1, 0, 1]), (&[1], &[5.]));
        check(1, (&[2, 1], &[1, 0]), (&[2, 2], &[2., 3., 4., 5.]));
        check(
            0,
            (&[2, 0], &[]),
            (&[2, 2, 2, 2], &[0., 1., 2., 3., 4., 5., 6., 7., 0., 1., 2., 3., 4., 5., 6., 7.]),
        );
        let t = |shape: &[usize], v: &[i64]| Tensor::from_i64(shape.to_vec(), v).unwrap();
        for (batch_dims, i) in
            [(0, t(&[1, 4], &[0; 4])), (2, t(&[1], &[0])), (0, t(&[1, 1], &[2])), (0, t(&[], &[0]))]
        {
            assert!(eval_node(&Op::GatherNd { batch_dims }, &[&x, &i], 1).is_err());
        }
    }
}
