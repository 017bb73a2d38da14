//! Determinants.

use bayplan_graph::op::{BinaryOp, Keep, ReduceOp, UnaryOp};
use bayplan_graph::{Op, ValueId};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[Row::new("Det", 11, det)];

/// Largest matrix whose determinant is computed: each row is some twenty nodes.
const MAX_ROWS: usize = 64;

/// Elimination with pivots: of each matrix `[m, m]` the row with the largest first element goes, what it leaves of the others
/// is `[m − 1, m − 1]`.
fn det(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let rank = c.rank(x)?;
    if rank < 2 {
        return Err(format!("a tensor of rank {rank} holds no matrices"));
    }
    let size = match (c.size(x, rank - 1)?, c.size(x, rank - 2)?) {
        (Some(columns), Some(rows)) if columns == rows && rows <= MAX_ROWS => rows,
        (Some(columns), Some(rows)) => {
            return Err(format!(
                "matrices of {rows} x {columns} elements have no determinant here; they must be square, with at most {MAX_ROWS} rows"
            ));
        }
        _ => return Err("the size of the matrices must be known".to_owned()),
    };
    let mut leading = Vec::with_capacity(rank);
    for axis in 0..rank - 2 {
        leading.push(c.dim(x, axis)?);
    }
    let batch = c.product(&leading)?;
    let square = c.ints(&[size as i64; 2])?;
    let mut rest = c.reshape(x, &[batch, square])?;
    let dtype = c.dtype(x)?;
    let mut all = c.filled(batch, dtype, 1.0)?;
    for m in (1..=size as i64).rev() {
        let (pivot, left) = eliminated(c, rest, m)?;
        all = c.binary(BinaryOp::Mul, all, pivot)?;
        rest = left;
    }
    Ok(vec![c.reshape(all, &leading)?])
}

/// The pivot of each `[n, m, m]` with the sign of its row's place, and what is left: `[n, m − 1, m − 1]`.
fn eliminated(c: &mut Call<'_, '_>, x: ValueId, m: i64) -> Result<(ValueId, ValueId), String> {
    if m == 1 {
        return Ok((c.squeeze(x, &[1, 2])?, x));
    }
    let first = c.cut(x, 2, 0, 1)?;
    let first = c.squeeze(first, &[2])?;
    let size = c.unary(UnaryOp::Abs, first)?;
    let largest = c.reduce(ReduceOp::Max, size, &[1], Keep::Dims)?;
    let at = c.binary(BinaryOp::Equal, size, largest)?;
    let places: Vec<i64> = (0..m).collect();
    // Of several the first; where none is, for a NaN, the last row.
    let (places, last) = (c.ints(&places)?, c.ints(&[m - 1])?);
    let place = c.select(at, places, last)?;
    let place = c.reduce(ReduceOp::Min, place, &[1], Keep::Dims)?;
    let row = c.emit(Op::GatherNd { batch_dims: 1 }, &[x, place])?;
    let others: Vec<i64> = (0..m - 1).collect();
    let others = c.ints(&others)?;
    let (after, next) =
        (c.binary(BinaryOp::GreaterOrEqual, others, place)?, c.with(BinaryOp::Add, others, 1.0)?);
    let others = c.select(after, next, others)?;
    let others = c.unsqueeze(others, &[2])?;
    let others = c.emit(Op::GatherNd { batch_dims: 1 }, &[x, others])?;
    let pivot = c.cut(row, 1, 0, 1)?;
    let odd = c.with(BinaryOp::Mod, place, 2.0)?;
    let odd = c.with(BinaryOp::Equal, odd, 1.0)?;
    let minus = c.unary(UnaryOp::Neg, pivot)?;
    let signed = c.select(odd, minus, pivot)?;
    // With a pivot of 0 the determinant is 0 whatever is left.
    let (none, one) = (c.with(BinaryOp::Equal, pivot, 0.0)?, c.scalar_like(pivot, 1.0)?);
    let divisor = c.select(none, one, pivot)?;
    let divisor = c.unsqueeze(divisor, &[1])?;
    let factors = c.cut(others, 2, 0, 1)?;
    let factors = c.binary(BinaryOp::Div, factors, divisor)?;
    let (tail, row) = (c.cut(others, 2, 1, m)?, c.cut(row, 1, 1, m)?);
    let row = c.unsqueeze(row, &[1])?;
    let taken = c.binary(BinaryOp::Mul, factors, row)?;
    Ok((c.squeeze(signed, &[1])?, c.binary(BinaryOp::Sub, tail, taken)?))
}
