//! Reductions.

use bayplan_graph::op::{BinaryOp, Keep, ReduceOp, UnaryOp, ViewOp};
use bayplan_graph::{DType, Op, ValueId};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("LpNormalization", 7, lp_normalization),
    Row::new("ReduceL1", 7, |c| with_before(c, |c, x| c.unary(UnaryOp::Abs, x))).says(&[1]),
    Row::new("ReduceL2", 7, l2).says(&[1]),
    Row::new("ReduceLogSum", 7, log_sum).says(&[1]),
    Row::new("ReduceLogSumExp", 7, log_sum_exp).says(&[1]),
    Row::new("ReduceMax", 7, |c| plain(c, ReduceOp::Max)).says(&[1]),
    Row::new("ReduceMean", 7, |c| plain(c, ReduceOp::Mean)).says(&[1]),
    Row::new("ReduceMin", 7, |c| plain(c, ReduceOp::Min)).says(&[1]),
    Row::new("ReduceProd", 7, |c| plain(c, ReduceOp::Prod)).says(&[1]),
    Row::new("ReduceSum", 7, |c| plain(c, ReduceOp::Sum)).says(&[1]),
    Row::new("ReduceSumSquare", 7, |c| with_before(c, |c, x| c.binary(BinaryOp::Mul, x, x))).says(&[1]),
];

/// The axes: an attribute before opset 18 (13 for ReduceSum), then an optional input. `None`: nothing is reduced.
fn axes(c: &mut Call<'_, '_>, x: ValueId) -> Result<Option<ValueId>, String> {
    let first = if c.node.op_type.as_deref() == Some("ReduceSum") { 13 } else { 18 };
    let given = match (c.opset() >= first, c.attributes().ints("axes")?) {
        (true, _) => c.optional(1)?,
        (false, Some(list)) => Some(c.ints(list)?),
        (false, None) => None,
    };
    let empty = given.is_some_and(|id| c.len(id) == Ok(0));
    match given {
        Some(given) if !empty => Ok(Some(given)),
        _ if c.attributes().flag("noop_with_empty_axes", false)? => Ok(None),
        _ => {
            let all: Vec<i64> = (0..c.rank(x)? as i64).collect();
            Ok(Some(c.ints(&all)?))
        }
    }
}

fn keep(c: &Call<'_, '_>) -> Result<Keep, String> {
    Ok(if c.attributes().flag("keepdims", true)? { Keep::Dims } else { Keep::None })
}

fn reduce(c: &mut Call<'_, '_>, op: ReduceOp, x: ValueId) -> Result<ValueId, String> {
    let keep = keep(c)?;
    match axes(c, x)? {
        Some(axes) => c.emit(Op::Reduce(op, keep), &[x, axes]),
        None => Ok(x),
    }
}

fn plain(c: &mut Call<'_, '_>, op: ReduceOp) -> Built {
    let x = c.input(0)?;
    if c.dtype(x)? == DType::Bool {
        // As numbers: the largest of nothing is false, the smallest true.
        let numbers = c.cast(x, DType::U8)?;
        let y = reduce(c, op, numbers)?;
        return Ok(vec![c.cast(y, DType::Bool)?]);
    }
    Ok(vec![reduce(c, op, x)?])
}

fn with_before(
    c: &mut Call<'_, '_>,
    before: fn(&mut Call<'_, '_>, ValueId) -> Result<ValueId, String>,
) -> Built {
    let x = c.input(0)?;
    let x = before(c, x)?;
    Ok(vec![reduce(c, ReduceOp::Sum, x)?])
}

fn l2(c: &mut Call<'_, '_>) -> Built {
    let sum = with_before(c, |c, x| c.binary(BinaryOp::Mul, x, x))?[0];
    Ok(vec![c.unary(UnaryOp::Sqrt, sum)?])
}

fn log_sum(c: &mut Call<'_, '_>) -> Built {
    let sum = plain(c, ReduceOp::Sum)?[0];
    Ok(vec![c.unary(UnaryOp::Log, sum)?])
}

/// log Σ exp(x − max) + max: without the maximum large elements would overflow. An infinite maximum is left out, since
/// inf − inf is no number: the sum is then inf or 0, and its logarithm what it must be.
fn log_sum_exp(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let Some(axes) = axes(c, x)? else { return Ok(vec![x]) };
    let max = c.emit(Op::Reduce(ReduceOp::Max, Keep::Dims), &[x, axes])?;
    let (infinite, zero) = (c.unary(UnaryOp::IsInf, max)?, c.scalar_like(x, 0.0)?);
    let max = c.emit(Op::Select, &[infinite, zero, max])?;
    let moved = c.binary(BinaryOp::Sub, x, max)?;
    let exp = c.unary(UnaryOp::Exp, moved)?;
    let sum = c.emit(Op::Reduce(ReduceOp::Sum, Keep::Dims), &[exp, axes])?;
    let log = c.unary(UnaryOp::Log, sum)?;
    let y = c.binary(BinaryOp::Add, log, max)?;
    Ok(vec![match keep(c)? {
        Keep::Dims => y,
        Keep::None => c.emit(Op::View(ViewOp::Squeeze), &[y, axes])?,
    }])
}

/// x / (Σ|x|ᵖ)^(1/p) along an axis; zeros stay zeros.
fn lp_normalization(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let axis = c.attributes().int_or("axis", -1)?;
    let norm = match c.attributes().int_or("p", 2)? {
        1 => {
            let size = c.unary(UnaryOp::Abs, x)?;
            c.reduce(ReduceOp::Sum, size, &[axis], Keep::Dims)?
        }
        2 => {
            let square = c.binary(BinaryOp::Mul, x, x)?;
            let sum = c.reduce(ReduceOp::Sum, square, &[axis], Keep::Dims)?;
            c.unary(UnaryOp::Sqrt, sum)?
        }
        p => return Err(format!("attribute `p` is {p}, but must be 1 or 2")),
    };
    let (none, zero) = (c.with(BinaryOp::Equal, norm, 0.0)?, c.scalar_like(x, 0.0)?);
    let y = c.binary(BinaryOp::Div, x, norm)?;
    Ok(vec![c.select(none, zero, y)?])
}
