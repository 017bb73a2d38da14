//! Tensors that follow from positions: triangles, identities, one-hot rows.

use bayplan_graph::op::BinaryOp;
use bayplan_graph::{DType, ValueId};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("EyeLike", 9, eye_like),
    Row::new("OneHot", 9, one_hot).says(&[1]),
    Row::new("Trilu", 14, triangle),
];

/// For each element of the last two axes of `x`: its column less its row.
fn diagonals(c: &mut Call<'_, '_>, x: ValueId) -> Result<ValueId, String> {
    let rank = c.rank(x)?;
    if rank < 2 {
        return Err(format!("its operand has rank {rank}, but matrices are needed"));
    }
    let (rows, columns) = (c.positions_along(x, rank - 2)?, c.positions_along(x, rank - 1)?);
    c.binary(BinaryOp::Sub, columns, rows)
}

/// The elements on one side of a diagonal, which may be data.
fn triangle(c: &mut Call<'_, '_>) -> Built {
    let (x, k) = (c.input(0)?, c.optional(1)?);
    let upper = c.attributes().flag("upper", true)?;
    let k = match k {
        Some(k) => c.reshape_to(k, &[1])?,
        None => c.integer(0)?,
    };
    let diagonals = diagonals(c, x)?;
    let op = if upper { BinaryOp::GreaterOrEqual } else { BinaryOp::LessOrEqual };
    let (kept, zero) = (c.binary(op, diagonals, k)?, c.scalar_like(x, 0.0)?);
    Ok(vec![c.select(kept, x, zero)?])
}

/// Ones on a diagonal, in the shape of a matrix.
fn eye_like(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let dtype = match c.attributes().int("dtype")? {
        Some(number) => crate::tensor::dtype(i32::try_from(number).unwrap_or(-1))?,
        None => c.dtype(x)?,
    };
    let k = c.attributes().int_or("k", 0)?;
    let (diagonals, k) = (diagonals(c, x)?, c.integer(k)?);
    let on = c.binary(BinaryOp::Equal, diagonals, k)?;
    Ok(vec![c.cast(on, dtype)?])
}

/// An axis of `depth` classes: the second of two values where the position is the index, else the first. Negative
/// indices count from the end; those outside the classes have no position.
fn one_hot(c: &mut Call<'_, '_>) -> Built {
    let (indices, depth, values) = (c.input(0)?, c.input(1)?, c.input(2)?);
    let rank = c.rank(indices)?;
    let axis = c.attributes().int_or("axis", -1)?;
    let axis = bayplan_graph::axis(axis, rank + 1).map_err(|e| e.to_string())?;
    let depth = c.cast(depth, DType::I64)?;
    let depth = c.reshape_to(depth, &[1])?;
    let depth = c.sized(depth)?;
    let classes = c.positions(depth)?;
    let behind: Vec<i64> = (1..=(rank - axis) as i64).collect();
    let classes = c.unsqueeze(classes, &behind)?;
    let indices = c.cast(indices, DType::I64)?;
    let zero = c.integer(0)?;
    let negative = c.binary(BinaryOp::Less, indices, zero)?;
    let from_end = c.binary(BinaryOp::Add, indices, depth)?;
    let from_end = if rank == 0 { c.squeeze(from_end, &[0])? } else { from_end };
    let wanted = c.select(negative, from_end, indices)?;
    let wanted = c.unsqueeze(wanted, &[axis as i64])?;
    let hit = c.binary(BinaryOp::Equal, classes, wanted)?;
    let (off, on) = (c.element(values, 0)?, c.element(values, 1)?);
    Ok(vec![c.select(hit, on, off)?])
}
