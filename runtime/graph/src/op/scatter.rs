//! Updates put, or joined, to where indices say.

use super::BinaryOp;
use super::gather::position;
use super::gather_elements::{places, within};
use crate::dims;
use crate::layout::{product, strides};
use crate::rule::{
    self, Context, EvalError, HostType, Inferred, Kind, Output, Rule, Set, ShapeError, Signature,
};
use crate::tensor::{Elements, Tensor};

pub(super) struct ScatterElements {
    pub(super) axis: i64,
    pub(super) join: Option<BinaryOp>,
}

pub(super) struct ScatterNd {
    pub(super) join: Option<BinaryOp>,
}

const SIGNATURE: Signature =
    Signature::new(&[Kind::Same(Set::Any), Kind::Index, Kind::Same(Set::Any)], Output::Same);

impl Rule for ScatterElements {
    fn name(&self) -> &'static str {
        "ScatterElements"
    }

    fn signature(&self) -> Signature {
        SIGNATURE
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        operands(ctx, self.join)?;
        let axis = rule::axis(self.axis, ctx.rank(0))?;
        within(ctx, 0, 1, axis)?;
        let (indices, updates) = (ctx.shape(1), ctx.shape(2));
        if indices.len() != updates.len() {
            let expected = format!("{}, that of the indices", indices.len());
            return Err(ShapeError::Rank { operand: 2, actual: updates.len(), expected });
        }
        for (a, b) in indices.iter().zip(updates) {
            ctx.unify("the dimensions of indices and updates", a, b)?;
        }
        Ok(vec![Inferred::new(ctx.dtype(0), ctx.shape(0).to_vec())])
    }

    fn eval(&self, inputs: &[&Tensor], _: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let axis = rule::axis(self.axis, inputs[0].shape().len())?;
        let places = places(inputs[0].shape(), inputs[1], axis);
        Ok(vec![put(inputs[0], inputs[2], &places, 1, self.join)?])
    }
}

impl Rule for ScatterNd {
    fn name(&self) -> &'static str {
        "ScatterND"
    }

    fn signature(&self) -> Signature {
        SIGNATURE
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        operands(ctx, self.join)?;
        let (x, indices, updates) = (ctx.shape(0), ctx.shape(1), ctx.shape(2));
        let Some((tuple, outer)) = indices.split_last() else {
            return Err(ShapeError::Rank { operand: 1, actual: 0, expected: "at least 1".to_owned() });
        };
        let tuple = dims::as_int(tuple).and_then(|k| usize::try_from(k).ok()).ok_or_else(|| {
            ShapeError::Invalid(format!(
                "the length of the index tuples is {tuple}, but must be a known number"
            ))
        })?;
        if tuple > x.len() {
            return Err(ShapeError::Invalid(format!(
                "tuples of {tuple} indices do not fit an operand of rank {}",
                x.len()
            )));
        }
        let want = [outer, &x[tuple..]].concat();
        if want.len() != updates.len() {
            let expected = format!("{}, as operand and indices say", want.len());
            return Err(ShapeError::Rank { operand: 2, actual: updates.len(), expected });
        }
        for (a, b) in want.iter().zip(updates) {
            ctx.unify("the dimensions of the updates and those that operand and indices say", a, b)?;
        }
        Ok(vec![Inferred::new(ctx.dtype(0), x.to_vec())])
    }

    fn eval(&self, inputs: &[&Tensor], _: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let (x, indices) = (inputs[0], inputs[1]);
        let tuple = indices.shape().last().copied().unwrap_or(0);
        let count = product(&indices.shape()[..indices.shape().len() - 1]);
        let (by, list) = (strides(x.shape()), indices.to_ints().unwrap_or_default());
        let mut places = Vec::with_capacity(count);
        for row in 0..count {
            let mut own = list[row * tuple..][..tuple].iter().zip(x.shape().iter().zip(&by));
            places.push(own.try_fold(0, |at, (&index, (&dim, &step))| {
                let found = position(i64::try_from(index).ok()?, dim)?;
                Some(at + found * step as usize)
            }));
        }
        Ok(vec![put(x, inputs[2], &places, product(&x.shape()[tuple..]), self.join)?])
    }
}

/// Checks what both have: an operand, indices, updates of the operand's type, which the joining must be for.
fn operands(ctx: &Context<'_>, join: Option<BinaryOp>) -> Result<(), ShapeError> {
    ctx.arity(3, 3, "an operand, indices and updates")?;
    ctx.index(1)?;
    let set = match join {
        None => Set::Any,
        Some(BinaryOp::Add | BinaryOp::Mul | BinaryOp::Max | BinaryOp::Min) => Set::Number,
        Some(other) => return Err(ShapeError::Invalid(format!("updates cannot be joined by {other:?}"))),
    };
    let dtype = ctx.same(0, 0, set)?;
    if ctx.dtype(2) != dtype {
        return Err(ShapeError::Type { operand: 2, actual: ctx.dtype(2), expected: dtype.to_string() });
    }
    Ok(())
}

/// Puts rows of `row` elements where `places` say, in order: where two go to one place the last one stays, or both are joined.
/// Those without a place go nowhere.
fn put(
    x: &Tensor,
    updates: &Tensor,
    places: &[Option<usize>],
    row: usize,
    join: Option<BinaryOp>,
) -> Result<Tensor, EvalError> {
    let Some(join) = join else {
        let size = x.dtype().size();
        let mut bytes = x.bytes().to_vec();
        for (&at, update) in places.iter().zip(updates.bytes().chunks_exact((row * size).max(1))) {
            if let Some(at) = at {
                bytes[at * size..][..row * size].copy_from_slice(update);
            }
        }
        return Ok(Tensor::new(x.dtype(), x.shape().to_vec(), bytes)?);
    };
    let rows = places.iter().enumerate().filter_map(|(number, at)| Some((number, (*at)?)));
    // Elements of the updates, and those of the result that they go to.
    let pairs = rows.flat_map(|(number, at)| (0..row).map(move |c| (number * row + c, at + c)));
    let all = match (x.elements(), updates.elements(), join.int(), join.float()) {
        (Elements::Int(mut all), Elements::Int(new), Some(join), _) => {
            for (from, at) in pairs {
                all[at] = join(all[at], new[from], x.dtype()).unwrap_or_default();
            }
            Elements::Int(all)
        }
        (Elements::Float(mut all), Elements::Float(new), _, Some(join)) => {
            pairs.for_each(|(from, at)| all[at] = join(all[at], new[from]));
            Elements::Float(all)
        }
        _ => return Err(EvalError::Value(format!("{} cannot be joined by {join:?}", x.dtype()))),
    };
    Ok(Tensor::from_elements(x.dtype(), x.shape().to_vec(), &all)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    fn ints(shape: &[usize], list: &[i64]) -> Tensor {
        Tensor::from_i64(shape.to_vec(), list).unwrap()
    }

    fn floats(shape: &[usize], list: &[f32]) -> Tensor {
        Tensor::from_f32(shape.to_vec(), list).unwrap()
    }

    #[test]
    fn elements_are_put_and_joined() {
        let x = floats(&[2, 3], &[1., 2., 3., 4., 5., 6.]);
        let (i, u) = (ints(&[1, 3], &[1, 0, 1]), floats(&[1, 3], &[10., 20., 30.]));
        let check = |axis, join, i: &Tensor, u: &Tensor, expected: &[f64]| {
            let op = Op::ScatterElements { axis, join };
            let y = eval_node(&op, &[&x, i, u], 1).unwrap().remove(0);
            assert_eq!((y.shape(), y.to_f64()), (&[2, 3][..], expected.to_vec()), "{op:?}");
        };
        check(0, None, &i, &u, &[1., 20., 3., 10., 5., 30.]);
        check(0, Some(BinaryOp::Add), &i, &u, &[1., 22., 3., 14., 5., 36.]);
        // Along the other axis only the first line is there; two updates meet, and an index counts from the end.
        let i = ints(&[1, 3], &[-1, 0, -1]);
        check(1, None, &i, &u, &[20., 2., 30., 4., 5., 6.]);
        check(1, Some(BinaryOp::Add), &i, &u, &[21., 2., 43., 4., 5., 6.]);
        check(1, Some(BinaryOp::Mul), &i, &u, &[20., 2., 900., 4., 5., 6.]);
        check(1, Some(BinaryOp::Max), &i, &u, &[20., 2., 30., 4., 5., 6.]);
        check(1, Some(BinaryOp::Min), &i, &u, &[1., 2., 3., 4., 5., 6.]);
        // Outside, on either side: nothing.
        check(0, Some(BinaryOp::Add), &ints(&[1, 3], &[2, -3, 1]), &u, &[1., 2., 3., 4., 5., 36.]);
        check(1, None, &ints(&[1, 0], &[]), &floats(&[1, 0], &[]), &[1., 2., 3., 4., 5., 6.]);
    }

    #[test]
    fn tuples_say_rows_and_elements() {
        let x = ints(&[2, 2], &[1, 2, 3, 4]);
        let check = |join, i: &Tensor, u: &Tensor, expected: &[i64]| {
            let y = eval_node(&Op::ScatterNd { join }, &[&x, i, u], 1).unwrap().remove(0);
            assert_eq!(y.to_i64().unwrap(), expected);
        };
        let row = ints(&[1, 2], &[7, 8]);
        check(None, &ints(&[1, 1], &[1]), &row, &[1, 2, 7, 8]);
        check(Some(BinaryOp::Add), &ints(&[1, 1], &[-1]), &row, &[1, 2, 10, 12]);
        let one = ints(&[1], &[9]);
        check(None, &ints(&[1, 2], &[0, -1]), &one, &[1, 9, 3, 4]);
        check(Some(BinaryOp::Min), &ints(&[1, 2], &[0, 0]), &one, &[1, 2, 3, 4]);
        check(None, &ints(&[2, 1], &[2, 0]), &ints(&[2, 2], &[7, 8, 9, 9]), &[9, 9, 3, 4]);
        // A tuple of no indices is all of it.
        check(Some(BinaryOp::Mul), &ints(&[0], &[]), &x, &[1, 4, 9, 16]);
        let far = i64::MAX;
        check(Some(BinaryOp::Add), &ints(&[1, 2], &[0, 0]), &ints(&[1], &[far]), &[i64::MIN, 2, 3, 4]);
    }

    #[test]
    fn refusals() {
        let x = floats(&[2, 3], &[0.; 6]);
        let refused = |op: Op, i: &Tensor, u: &Tensor, text: &str| {
            let e = eval_node(&op, &[&x, i, u], 1).unwrap_err().to_string();
            assert!(e.contains(text), "{e}");
        };
        let elements = |join| Op::ScatterElements { axis: 0, join };
        let (i, u) = (ints(&[1, 1], &[2]), floats(&[1, 1], &[0.]));
        refused(elements(Some(BinaryOp::Sub)), &i, &u, "cannot be joined by Sub");
        refused(elements(None), &i, &ints(&[1, 1], &[0]), "operand 2 is i64, but f32 is needed");
        refused(elements(None), &ints(&[1, 4], &[0; 4]), &floats(&[1, 4], &[0.; 4]), "of the indices is 4");
        refused(Op::ScatterNd { join: None }, &i, &u, "but are 3 and 1");
        refused(Op::ScatterNd { join: None }, &ints(&[1, 3], &[0; 3]), &u, "tuples of 3 indices");
    }
}
