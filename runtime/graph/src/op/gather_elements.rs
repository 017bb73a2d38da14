//! Selection along one axis, by an index of its own for every element.

use super::gather::position;
use crate::dims;
use crate::layout::{strides, walk};
use crate::rule::{
    self, Context, EvalError, HostType, Inferred, Kind, Output, Rule, Set, ShapeError, Signature,
};
use crate::tensor::Tensor;

pub(super) struct GatherElements {
    pub(super) axis: i64,
}

impl Rule for GatherElements {
    fn name(&self) -> &'static str {
        "GatherElements"
    }

    fn signature(&self) -> Signature {
        Signature::new(&[Kind::Same(Set::Any), Kind::Index], Output::Same)
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(2, 2, "an operand and indices")?;
        ctx.index(1)?;
        let axis = rule::axis(self.axis, ctx.rank(0))?;
        within(ctx, 0, 1, axis)?;
        Ok(vec![Inferred::new(ctx.dtype(0), ctx.shape(1).to_vec())])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let x = inputs[0];
        let axis = rule::axis(self.axis, x.shape().len())?;
        let places = places(x.shape(), inputs[1], axis);
        let size = x.dtype().size();
        let mut out = Vec::with_capacity(places.len() * size);
        for (number, at) in places.into_iter().enumerate() {
            let at = at.ok_or_else(|| {
                let (index, dim) = (inputs[1].to_ints().unwrap_or_default()[number], x.shape()[axis]);
                EvalError::Value(format!("index {index} lies outside axis {axis}, which has {dim} elements"))
            })?;
            out.extend_from_slice(&x.bytes()[at * size..][..size]);
        }
        Ok(vec![Tensor::new(x.dtype(), outputs[0].shape.clone(), out)?])
    }
}

/// Checks that indices have the operand's rank, and beside `axis` no dimension larger than the operand's.
pub(super) fn within(
    ctx: &Context<'_>,
    operand: usize,
    indices: usize,
    axis: usize,
) -> Result<(), ShapeError> {
    let (x, own) = (ctx.shape(operand), ctx.shape(indices));
    if x.len() != own.len() {
        let expected = format!("{}, that of the operand", x.len());
        return Err(ShapeError::Rank { operand: indices, actual: own.len(), expected });
    }
    for (at, (have, want)) in x.iter().zip(own).enumerate() {
        if at != axis && dims::lt(ctx.scope(), have, want) {
            return Err(ShapeError::Invalid(format!(
                "dimension {at} of the indices is {want}, but the operand's is {have}"
            )));
        }
    }
    Ok(())
}

/// For each index, the element of a tensor of that shape which has the index's own coordinates, and the index along `axis`;
/// none where that lies outside.
pub(super) fn places(shape: &[usize], indices: &Tensor, axis: usize) -> Vec<Option<usize>> {
    let by = strides(shape);
    let (dim, step) = (shape[axis], by[axis]);
    let mut beside = by;
    beside[axis] = 0;
    let list = indices.to_ints().unwrap_or_default();
    let mut made = Vec::with_capacity(list.len());
    walk(indices.shape(), [&beside], |[base]| {
        let index = i64::try_from(list[made.len()]).ok();
        let at = index.and_then(|index| position(index, dim));
        made.push(at.map(|at| (base + at as isize * step) as usize));
    });
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    #[test]
    fn gathers() {
        let x = Tensor::from_f32(vec![2, 3], &[1., 2., 3., 4., 5., 6.]).unwrap();
        let check = |axis, indices: (&[usize], &[i64]), expected: &[f64]| {
            let i = Tensor::from_i64(indices.0.to_vec(), indices.1).unwrap();
            let y = eval_node(&Op::GatherElements { axis }, &[&x, &i], 1).unwrap().remove(0);
            assert_eq!((y.shape(), y.to_f64()), (indices.0, expected.to_vec()));
        };
        check(0, (&[1, 3], &[1, 0, -1]), &[4., 2., 6.]);
        check(-1, (&[2, 4], &[2, 1, 0, 0, -1, -2, -3, 0]), &[3., 2., 1., 1., 6., 5., 4., 4.]);
        // Fewer lines than the operand has: the first ones.
        check(1, (&[1, 2], &[2, 2]), &[3., 3.]);
        check(0, (&[3, 2], &[0, 1, 1, 0, 0, 0]), &[1., 5., 4., 2., 1., 2.]);
        check(0, (&[0, 3], &[]), &[]);
    }

    #[test]
    fn refusals() {
        let x = Tensor::from_f32(vec![2, 3], &[0.; 6]).unwrap();
        let refused = |axis, shape: &[usize], list: &[i64], text: &str| {
            let i = Tensor::from_i64(shape.to_vec(), list).unwrap();
            let e = eval_node(&Op::GatherElements { axis }, &[&x, &i], 1).unwrap_err().to_string();
            assert!(e.contains(text), "{e}");
        };
        refused(1, &[1, 1], &[3], "index 3 lies outside axis 1");
        refused(1, &[1, 1], &[-4], "index -4 lies outside axis 1");
        refused(1, &[3, 1], &[0; 3], "dimension 0 of the indices is 3");
        refused(1, &[1], &[0], "that of the operand");
        refused(2, &[1, 1], &[0], "axis 2");
    }
}
