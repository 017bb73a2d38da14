//! Positions of extrema along an axis.

use bayplan_graph::op::{BinaryOp, Keep, ReduceOp, UnaryOp, ViewOp};
use bayplan_graph::{DType, Op, ValueId};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("ArgMax", 7, |c| argument(c, ReduceOp::Max)),
    Row::new("ArgMin", 7, |c| argument(c, ReduceOp::Min)),
    Row::new("Hardmax", 7, hardmax),
];

type Step = Result<ValueId, String>;

fn argument(c: &mut Call<'_, '_>, op: ReduceOp) -> Built {
    let x = c.input(0)?;
    let axis = c.attributes().int_or("axis", 0)?;
    let keep = if c.attributes().flag("keepdims", true)? { Keep::Dims } else { Keep::None };
    let last = c.attributes().flag("select_last_index", false)?;
    let at = position(c, x, axis, op, last, keep)?;
    Ok(vec![c.cast(at, DType::I64)?])
}

/// 1 at the first maximum, else 0. Before opset 13 over all axes from `axis` on, as if they were one.
fn hardmax(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let (flat, axis) = if c.opset() >= 13 {
        (x, c.attributes().int_or("axis", -1)?)
    } else {
        let axis = c.attributes().int_or("axis", 1)?;
        (c.emit(Op::View(ViewOp::Flatten(axis)), &[x])?, -1)
    };
    let at = position(c, flat, axis, ReduceOp::Max, false, Keep::Dims)?;
    let axis = c.axis(flat, axis)?;
    let all = positions(c, flat, axis)?;
    let hit = c.binary(BinaryOp::Equal, all, at)?;
    let dtype = c.dtype(x)?;
    let y = c.cast(hit, dtype)?;
    Ok(vec![if flat == x { y } else { c.like(y, x)? }])
}

/// Positions along an axis in a word each: an axis has fewer than 2^31 elements.
fn positions(c: &mut Call<'_, '_>, x: ValueId, axis: usize) -> Step {
    let all = c.positions_along(x, axis)?;
    c.cast(all, DType::I32)
}

/// The position of the first or last extremum along an axis, as i32. A NaN is one, as numpy and ONNX runtimes have it:
/// where there is any, the extremum is none that is equal to anything.
fn position(c: &mut Call<'_, '_>, x: ValueId, axis: i64, op: ReduceOp, last: bool, keep: Keep) -> Step {
    let axis = c.axis(x, axis)?;
    if c.size(x, axis)? == Some(0) {
        return Err(format!("axis {axis} has no elements, and so no extremum"));
    }
    let extremum = c.reduce(op, x, &[axis as i64], Keep::Dims)?;
    let mut hit = c.binary(BinaryOp::Equal, x, extremum)?;
    if c.dtype(x)?.is_float() {
        let nan = c.unary(UnaryOp::IsNaN, x)?;
        hit = c.binary(BinaryOp::Or, hit, nan)?;
    }
    let all = positions(c, x, axis)?;
    let (outside, op) = if last { (-1.0, ReduceOp::Max) } else { (f64::from(i32::MAX), ReduceOp::Min) };
    let outside = c.scalar(DType::I32, outside)?;
    let chosen = c.select(hit, all, outside)?;
    c.reduce(op, chosen, &[axis as i64], keep)
}
