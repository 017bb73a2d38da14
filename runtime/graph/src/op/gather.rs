//! Selection by index along one axis.

use crate::dims;
use crate::layout::around;
use crate::rule::{
    self, Context, EvalError, HostType, Inferred, Kind, Output, Rule, Set, ShapeError, Signature,
};
use crate::tensor::Tensor;

pub(super) struct Gather {
    pub(super) axis: i64,
}

impl Rule for Gather {
    fn name(&self) -> &'static str {
        "Gather"
    }

    fn signature(&self) -> Signature {
        Signature::new(&[Kind::Same(Set::Any), Kind::Index], Output::Same)
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(2, 2, "an operand and indices")?;
        ctx.index(1)?;
        let (x, indices) = (ctx.shape(0), ctx.shape(1));
        let axis = rule::axis(self.axis, x.len())?;
        let mut shape = x[..axis].to_vec();
        shape.extend_from_slice(indices);
        shape.extend_from_slice(&x[axis + 1..]);
        let contents = ctx.contents(0).zip(ctx.contents(1)).and_then(|(list, indices)| {
            indices.iter().map(|i| list.get(position(dims::as_int(i)?, list.len())?).cloned()).collect()
        });
        Ok(vec![Inferred::new(ctx.dtype(0), shape).with(contents)])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let x = inputs[0];
        let axis = rule::axis(self.axis, x.shape().len())?;
        let (outer, dim, inner) = around(x.shape(), axis);
        let size = inner * x.dtype().size();
        let indices: Vec<usize> = resolve(inputs[1], dim, axis)?;
        let mut out = Vec::new();
        for row in 0..outer {
            for &i in &indices {
                out.extend_from_slice(&x.bytes()[(row * dim + i) * size..][..size]);
            }
        }
        Ok(vec![Tensor::new(x.dtype(), outputs[0].shape.clone(), out)?])
    }
}

/// An index counted from the front, if it lies within `len`.
pub(super) fn position(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { index.checked_add(i64::try_from(len).ok()?)? } else { index };
    usize::try_from(index).ok().filter(|&i| i < len)
}

fn resolve(indices: &Tensor, dim: usize, axis: usize) -> Result<Vec<usize>, EvalError> {
    let each = indices.to_ints().unwrap_or_default().into_iter().map(|i| {
        position(i as i64, dim).ok_or_else(|| {
            EvalError::Value(format!("index {i} lies outside axis {axis}, which has {dim} elements"))
        })
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    #[test]
    fn gathers() {
        let x = Tensor::from_f32(vec![2, 3], &[1., 2., 3., 4., 5., 6.]).unwrap();
        let check = |axis, indices: (&[usize], &[i64]), expected: (&[usize], &[f64])| {
            let i = Tensor::from_i64(indices.0.to_vec(), indices.1).unwrap();
            let y = eval_node(&Op::Gather { axis }, &[&x, &i], 1).unwrap().remove(0);
            assert_eq!((y.shape(), y.to_f64()), (expected.0, expected.1.to_vec()));
        };
        check(0, (&[1], &[1]), (&[1, 3], &[4., 5., 6.]));
        check(1, (&[], &[-1]), (&[2], &[3., 6.]));
        check(-1, (&[2, 1], &[0, 2]), (&[2, 2, 1], &[1., 3., 4., 6.]));
        check(0, (&[0], &[]), (&[0, 3], &[]));
        let far = Tensor::from_i64(vec![1], &[3]).unwrap();
        let e = eval_node(&Op::Gather { axis: 1 }, &[&x, &far], 1).unwrap_err().to_string();
        assert!(e.contains("index 3 lies outside axis 1"), "{e}");
    }
}
