//! What data selects: results as large as they can be, with the number of elements that count.
//!
//! ```text
//!  x            4 0 7 0 1
//!  selected     1 0 1 0 1
//!  place        0 1 1 2 2     running sum without the element itself
//!  order        0 2 4 0 0     the position of each selected element at its place; the others go outside
//!  count        3
//! ```

use bayplan_graph::op::{BinaryOp, Keep, ReduceOp};
use bayplan_graph::{DType, Op, ValueId};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("Compress", 9, compress),
    Row::new("NonMaxSuppression", 10, non_max_suppression).says(&[2]),
    Row::new("NonZero", 9, non_zero),
    Row::new("Unique", 11, unique),
];

/// The positions of the elements of a vector of booleans that are true, first of all, and their number.
fn selected(c: &mut Call<'_, '_>, mask: ValueId) -> Result<[ValueId; 2], String> {
    let n = c.dim(mask, 0)?;
    let ones = c.cast(mask, DType::I64)?;
    let count = c.reduce(ReduceOp::Sum, ones, &[0], Keep::None)?;
    let places = c.accumulated(BinaryOp::Add, ones, 0, [true, false])?;
    let places = c.select(mask, places, n)?;
    let positions = c.positions(n)?;
    let zero = c.scalar(DType::I64, 0.0)?;
    let zeros = c.emit(Op::Fill, &[n, zero])?;
    let order = c.emit(Op::ScatterElements { axis: 0, join: None }, &[zeros, places, positions])?;
    Ok([order, count])
}

/// For each axis a row of coordinates, of as many elements as are not 0.
fn non_zero(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let rank = c.rank(x)?;
    let flat = c.reshape_to(x, &[-1])?;
    let mask = c.cast(flat, DType::Bool)?;
    let [mut rest, count] = selected(c, mask)?;
    if rank == 0 {
        let dims = c.ints(&[0, 1])?;
        let zero = c.scalar(DType::I64, 0.0)?;
        let none = c.emit(Op::Fill, &[dims, zero])?;
        c.extent(none, 1, count);
        return Ok(vec![none]);
    }
    let mut rows = Vec::with_capacity(rank);
    for axis in (0..rank).rev() {
        let row = if axis == 0 {
            rest
        } else {
            let dim = c.dim(x, axis)?;
            let row = c.binary(BinaryOp::Mod, rest, dim)?;
            rest = c.binary(BinaryOp::Div, rest, dim)?;
            row
        };
        rows.push(c.unsqueeze(row, &[0])?);
    }
    rows.reverse();
    let made = c.emit(Op::Concat { axis: 0 }, &rows)?;
    c.extent(made, 1, count);
    Ok(vec![made])
}

/// The slices along an axis, or the elements of all of it, for which a condition is true; it may end before them.
fn compress(c: &mut Call<'_, '_>) -> Built {
    let (mut x, mask) = (c.input(0)?, c.input(1)?);
    let axis = match c.attributes().int("axis")? {
        Some(axis) => bayplan_graph::axis(axis, c.rank(x)?).map_err(|e| e.to_string())?,
        None => {
            x = c.reshape_to(x, &[-1])?;
            0
        }
    };
    let [order, count] = selected(c, mask)?;
    let made = c.emit(Op::Gather { axis: axis as i64 }, &[x, order])?;
    c.extent(made, axis, count);
    Ok(vec![made])
}

/// Batch, class and box of each box that no better one of its class overlaps too much. Without a greatest number of boxes
/// there are none.
fn non_max_suppression(c: &mut Call<'_, '_>) -> Built {
    let (boxes, scores) = (c.input(0)?, c.input(1)?);
    let center = match c.attributes().int_or("center_point_box", 0)? {
        0 => false,
        1 => true,
        other => return Err(format!("attribute `center_point_box` is {other}, but must be 0 or 1")),
    };
    let most = match c.optional(2)? {
        Some(most) => most,
        None => c.ints(&[0])?,
    };
    let mut threshold = |index: usize, default: f64| match c.optional(index)? {
        Some(given) => Ok::<_, String>(given),
        None => c.scalar(DType::F32, default),
    };
    let (overlap, least) = (threshold(3, 0.0)?, threshold(4, f64::NEG_INFINITY)?);
    let operands = [boxes, scores, most, overlap, least];
    let made = c.emit_many(Op::NonMaxSuppression { center }, &operands, 2)?;
    c.extent(made[0], 0, made[1]);
    Ok(vec![made[0]])
}

/// The distinct elements, or slices along an axis: where each first occurs says them.
fn unique(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let sorted = c.attributes().flag("sorted", true)?;
    let axis = match c.attributes().int("axis")? {
        Some(axis) => Some(bayplan_graph::axis(axis, c.rank(x)?).map_err(|e| e.to_string())?),
        None => None,
    };
    let (x, along) = match axis {
        Some(axis) => (x, axis),
        None => (c.reshape_to(x, &[-1])?, 0),
    };
    let op = Op::Unique { axis: axis.map(|axis| axis as i64), sorted };
    let made = c.emit_many(op, &[x], 4)?;
    let [first, inverse, counts, count] = made[..] else { return Err("it has not four results".to_owned()) };
    let y = c.emit(Op::Gather { axis: along as i64 }, &[x, first])?;
    c.extent(y, along, count);
    c.extent(first, 0, count);
    c.extent(counts, 0, count);
    Ok(vec![y, first, inverse, counts])
}
