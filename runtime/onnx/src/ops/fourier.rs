//! Fourier transforms as products with a matrix that is made of positions.
//!
//! Element `j` of a transform of length n is `Σ x[i] · exp(∓2πij / n)`. With real and imaginary parts side by side that is one
//! product of `[.., rows · parts]` with `[rows · parts, columns · parts]`, whose elements are cosines: a sine is a cosine a
//! quarter of a turn away. Turns are counted in integers, `4ij + n · quarters` of `4n`, so that long transforms lose nothing.

use bayplan_graph::op::{BinaryOp, UnaryOp};
use bayplan_graph::{DType, Op, ValueId};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] =
    &[Row::new("DFT", 17, dft).says(&[1, 2]), Row::new("STFT", 17, stft).says(&[1, 3])];

type Step = Result<ValueId, String>;

/// Which transform.
#[derive(Clone, Copy)]
struct Transform {
    inverse: bool,
    /// The result (going back: the operand) lacks the half that symmetry gives.
    onesided: bool,
}

/// x `[.., n, .., 1 or 2]`
fn dft(c: &mut Call<'_, '_>) -> Built {
    let (x, length) = (c.input(0)?, c.optional(1)?);
    let a = c.attributes();
    let transform = Transform { inverse: a.flag("inverse", false)?, onesided: a.flag("onesided", false)? };
    let axis = match (c.opset() >= 20, c.optional(2)?) {
        (false, _) => a.int_or("axis", 1)?,
        (true, None) => -2,
        (true, Some(axis)) => match c.known(axis).as_deref() {
            Some(&[axis]) => axis,
            _ => return Err("its axis depends on data, but must be known".to_owned()),
        },
    };
    let rank = c.rank(x)?;
    let axis = bayplan_graph::axis(axis, rank).map_err(|e| e.to_string())?;
    if axis + 1 == rank {
        return Err(format!("axis {axis} holds real and imaginary parts; it is no axis of the signal"));
    }
    let length = match length {
        Some(length) => c.reshape_to(length, &[1])?,
        None => {
            let own = c.dim(x, axis)?;
            if transform.inverse && transform.onesided {
                let less = c.with(BinaryOp::Sub, own, 1.0)?;
                c.with(BinaryOp::Mul, less, 2.0)?
            } else {
                own
            }
        }
    };
    c.at_least(length, 1, "the length of the transform")?;
    Ok(vec![transformed(c, x, axis, length, transform)?])
}

/// Transforms of frames of a signal `[n, length, 1 or 2]`, to `[n, frames, columns, 2]`.
fn stft(c: &mut Call<'_, '_>) -> Built {
    let (x, step, window) = (c.input(0)?, c.input(1)?, c.optional(2)?);
    let rank = c.rank(x)?;
    if rank != 3 {
        return Err(format!("a signal of rank {rank} has no frames; rank 3 is needed"));
    }
    let (step, signal) = (c.reshape_to(step, &[1])?, c.dim(x, 1)?);
    let length = match (c.optional(3)?, window) {
        (Some(length), _) => c.reshape_to(length, &[1])?,
        (None, Some(window)) => c.dim(window, 0)?,
        (None, None) => signal,
    };
    c.at_least(step, 1, "the step from frame to frame")?;
    c.at_least(length, 1, "the length of a frame")?;
    // 1 + ⌊(signal − length) / step⌋, in a form that is surely not negative.
    let rest = c.binary(BinaryOp::Sub, signal, length)?;
    let reach = c.binary(BinaryOp::Add, rest, step)?;
    let reach = c.with(BinaryOp::Max, reach, 0.0)?;
    let frames = c.binary(BinaryOp::Div, reach, step)?;
    let span = match window {
        Some(window) => c.dim(window, 0)?,
        None => length,
    };
    let (starts, each) = (c.positions(frames)?, c.positions(span)?);
    let starts = c.binary(BinaryOp::Mul, starts, step)?;
    let starts = c.unsqueeze(starts, &[1])?;
    let index = c.binary(BinaryOp::Add, starts, each)?;
    let mut framed = c.emit(Op::Gather { axis: 1 }, &[x, index])?;
    if let Some(window) = window {
        let window = c.unsqueeze(window, &[1])?;
        framed = c.binary(BinaryOp::Mul, framed, window)?;
    }
    let transform = Transform { inverse: false, onesided: c.attributes().flag("onesided", true)? };
    Ok(vec![transformed(c, framed, 2, length, transform)?])
}

/// The transform of that length (a list of one) along an axis other than the last.
fn transformed(c: &mut Call<'_, '_>, x: ValueId, axis: usize, length: ValueId, transform: Transform) -> Step {
    let (rank, dtype) = (c.rank(x)?, c.dtype(x)?);
    let parts = match c.size(x, rank - 1)? {
        Some(parts @ (1 | 2)) => parts as i64,
        _ => return Err("its last dimension must be 1 (real) or 2 (complex)".to_owned()),
    };
    let back = transform.inverse && transform.onesided;
    let half = c.with(BinaryOp::Div, length, 2.0)?;
    let half = c.with(BinaryOp::Add, half, 1.0)?;
    // What is missing of the signal counts as zeros, which need no rows.
    let (start, end) = (c.ints(&[0])?, if back { half } else { length });
    let (along, step) = (c.ints(&[axis as i64])?, c.ints(&[1])?);
    let x = c.emit(Op::Slice, &[x, start, end, along, step])?;
    let rows = c.dim(x, axis)?;
    let columns = if transform.onesided && !transform.inverse { half } else { length };
    let (compute, made) = (c.interpolated(x)?, if back { 1 } else { 2 });
    let matrix = matrix(c, (rows, parts), (columns, made), length, transform, compute)?;
    let order: Vec<usize> =
        (0..rank).filter(|&i| i != axis && i + 1 != rank).chain([axis, rank - 1]).collect();
    let x = c.permute(x, &order)?;
    let mut lists = Vec::with_capacity(rank);
    for i in 0..rank - 2 {
        lists.push(c.dim(x, i)?);
    }
    let inner = c.with(BinaryOp::Mul, rows, parts as f64)?;
    let flat: Vec<ValueId> = lists.iter().copied().chain([inner]).collect();
    let x = c.reshape(x, &flat)?;
    let x = c.cast(x, compute)?;
    let product = c.emit(Op::MatMul, &[x, matrix])?;
    lists.extend([columns, c.ints(&[made])?]);
    let y = c.reshape(product, &lists)?;
    let mut order: Vec<usize> = (0..rank - 2).collect();
    order.insert(axis, rank - 2);
    order.push(rank - 1);
    let y = c.permute(y, &order)?;
    c.cast(y, dtype)
}

/// `[rows · parts, columns · made]`
fn matrix(
    c: &mut Call<'_, '_>,
    (rows, parts): (ValueId, i64),
    (columns, made): (ValueId, i64),
    length: ValueId,
    transform: Transform,
    compute: DType,
) -> Step {
    let (i, j) = (c.positions(rows)?, c.positions(columns)?);
    let (i, j) = (c.unsqueeze(i, &[1, 2, 3])?, c.unsqueeze(j, &[0, 1, 3])?);
    let turns = c.binary(BinaryOp::Mul, i, j)?;
    let turns = c.with(BinaryOp::Mul, turns, 4.0)?;
    // Quarters of a turn from the cosine, by the part that is read and the part that is made.
    let quarter = |read: i64, made: i64| (made - read) * if transform.inverse { -1 } else { 1 };
    let quarters: Vec<i64> =
        (0..parts).flat_map(|read| (0..made).map(move |made| quarter(read, made))).collect();
    let quarters = c.ints(&quarters)?;
    let quarters = c.reshape_to(quarters, &[1, parts, 1, made])?;
    let moved = c.binary(BinaryOp::Mul, quarters, length)?;
    let turns = c.binary(BinaryOp::Add, turns, moved)?;
    let full = c.with(BinaryOp::Mul, length, 4.0)?;
    let turns = c.binary(BinaryOp::Mod, turns, full)?;
    let (turns, whole) = (c.cast(turns, compute)?, c.cast(length, compute)?);
    let part = c.binary(BinaryOp::Div, turns, whole)?;
    let angle = c.with(BinaryOp::Mul, part, core::f64::consts::FRAC_PI_2)?;
    let mut factors = c.unary(UnaryOp::Cos, angle)?;
    if transform.inverse {
        factors = c.binary(BinaryOp::Div, factors, whole)?;
    }
    if transform.inverse && transform.onesided {
        // All but the first row, and that of half the length, stand for their mirror image too.
        let twice = c.with(BinaryOp::Mul, i, 2.0)?;
        let rest = c.binary(BinaryOp::Mod, twice, length)?;
        let (alone, one, two) =
            (c.with(BinaryOp::Equal, rest, 0.0)?, c.scalar(compute, 1.0)?, c.scalar(compute, 2.0)?);
        let count = c.select(alone, one, two)?;
        factors = c.binary(BinaryOp::Mul, factors, count)?;
    }
    let height = c.with(BinaryOp::Mul, rows, parts as f64)?;
    let width = c.with(BinaryOp::Mul, columns, made as f64)?;
    c.reshape(factors, &[height, width])
}
