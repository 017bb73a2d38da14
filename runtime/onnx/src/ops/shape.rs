//! Shapes and views.

use bayplan_graph::op::{BinaryOp, Keep, ReduceOp, ViewOp};
use bayplan_graph::{Op, ValueId};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("DepthToSpace", 7, depth_to_space),
    Row::new("Expand", 8, expand).says(&[1]),
    Row::new("Flatten", 7, flatten),
    Row::new("Identity", 7, |c| Ok(vec![c.input(0)?])),
    Row::new("Reshape", 7, reshape).says(&[1]),
    Row::new("Shape", 7, shape),
    Row::new("Size", 7, size),
    Row::new("Squeeze", 7, |c| axes_view(c, ViewOp::Squeeze)).says(&[1]),
    Row::new("SpaceToDepth", 7, space_to_depth),
    Row::new("Tile", 7, |c| {
        let (x, repeats) = (c.input(0)?, c.input(1)?);
        repeated(c, x, repeats)
    })
    .says(&[1]),
    Row::new("Transpose", 7, transpose),
    Row::new("Unsqueeze", 7, |c| axes_view(c, ViewOp::Unsqueeze)).says(&[1]),
];

impl Call<'_, '_> {
    /// `x` in the shape of `like`.
    pub(super) fn like(&mut self, x: ValueId, like: ValueId) -> Result<ValueId, String> {
        let shape = self.dims(like)?;
        self.emit(Op::View(ViewOp::Reshape { allow_zero: true }), &[x, shape])
    }

    /// Element `i` of a list, as a list.
    pub(super) fn element(&mut self, list: ValueId, i: usize) -> Result<ValueId, String> {
        let operands = [i as i64, i as i64 + 1, 0, 1].map(|v| self.ints(&[v]));
        let [start, end, axis, step] = operands;
        self.emit(Op::Slice, &[list, start?, end?, axis?, step?])
    }

    /// Lists joined.
    pub(super) fn join(&mut self, lists: &[ValueId]) -> Result<ValueId, String> {
        self.emit(Op::Concat { axis: 0 }, lists)
    }
}

fn expand(c: &mut Call<'_, '_>) -> Built {
    let (x, shape) = (c.input(0)?, c.input(1)?);
    Ok(vec![c.expand(x, shape)?])
}

fn flatten(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let axis = c.attributes().int_or("axis", 1)?;
    Ok(vec![c.emit(Op::View(ViewOp::Flatten(axis)), &[x])?])
}

fn reshape(c: &mut Call<'_, '_>) -> Built {
    let (x, shape) = (c.input(0)?, c.input(1)?);
    let allow_zero = c.opset() >= 14 && c.attributes().flag("allowzero", false)?;
    Ok(vec![c.emit(Op::View(ViewOp::Reshape { allow_zero }), &[x, shape])?])
}

fn shape(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let (start, end) = match c.opset() {
        15.. => (c.attributes().int_or("start", 0)?, c.attributes().int("end")?),
        _ => (0, None),
    };
    Ok(vec![c.emit(Op::Shape { start, end }, &[x])?])
}

/// The product of the dimensions, as a scalar.
fn size(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let shape = c.dims(x)?;
    if c.rank(x)? == 0 {
        return Ok(vec![c.scalar(bayplan_graph::DType::I64, 1.0)?]);
    }
    Ok(vec![c.reduce(ReduceOp::Prod, shape, &[0], Keep::None)?])
}

/// Axes are an attribute before opset 13, then an input (optional for Squeeze).
fn axes_view(c: &mut Call<'_, '_>, op: ViewOp) -> Built {
    let x = c.input(0)?;
    let axes = match (c.opset() >= 13, c.attributes().ints("axes")?) {
        (true, _) => c.optional(1)?,
        (false, Some(list)) => Some(c.ints(list)?),
        (false, None) => None,
    };
    match (op, axes) {
        (_, Some(axes)) => Ok(vec![c.emit(Op::View(op), &[x, axes])?]),
        (ViewOp::Squeeze, None) => Ok(vec![c.emit(Op::View(op), &[x])?]),
        (_, None) => Err("its axes are missing".to_owned()),
    }
}

fn transpose(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let perm = match c.attributes().sizes("perm", 0)? {
        Some(perm) => perm,
        None => (0..c.rank(x)?).rev().collect(),
    };
    Ok(vec![c.emit(Op::Transpose(perm), &[x])?])
}

/// [d₀, d₁, …] viewed as [1, d₀, 1, d₁, …], broadcast to [r₀, d₀, r₁, d₁, …], viewed as [r₀·d₀, r₁·d₁, …].
pub(super) fn repeated(c: &mut Call<'_, '_>, x: ValueId, repeats: ValueId) -> Built {
    let rank = c.rank(x)?;
    if rank == 0 {
        return Ok(vec![x]);
    }
    let dims = c.dims(x)?;
    let mut interleaved = Vec::with_capacity(2 * rank);
    for i in 0..rank {
        interleaved.push(c.element(repeats, i)?);
        interleaved.push(c.element(dims, i)?);
    }
    let interleaved = c.join(&interleaved)?;
    let axes: Vec<i64> = (0..rank as i64).map(|i| 2 * i).collect();
    let spread = c.unsqueeze(x, &axes)?;
    let broadcast = c.expand(spread, interleaved)?;
    let target = c.binary(BinaryOp::Mul, repeats, dims)?;
    Ok(vec![c.emit(Op::View(ViewOp::Reshape { allow_zero: true }), &[broadcast, target])?])
}

/// The size of the blocks that channels and images exchange, and whether the place in a block is the slower part of a
/// channel's number (DCR) or the faster (CRD).
fn blocks(c: &Call<'_, '_>, x: ValueId) -> Result<(i64, bool), String> {
    let rank = c.rank(x)?;
    if rank != 4 {
        return Err(format!(
            "its operand has rank {rank}, but images [n, channels, height, width] are needed"
        ));
    }
    let size = c.attributes().int("blocksize")?.filter(|size| (1..=1 << 15).contains(size));
    let size = size.ok_or("attribute `blocksize` must be a number from 1 to 32768")?;
    match c.attributes().text("mode")? {
        None | Some("DCR") => Ok((size, true)),
        Some("CRD") => Ok((size, false)),
        Some(other) => Err(format!("mode `{other}` is not known; use DCR or CRD")),
    }
}

/// The four dimensions of images as lists, the last two multiplied or divided, the second the other way round.
fn exchanged(c: &mut Call<'_, '_>, x: ValueId, size: i64, op: BinaryOp) -> Result<[ValueId; 4], String> {
    let back = if op == BinaryOp::Mul { BinaryOp::Div } else { BinaryOp::Mul };
    let [n, channels, height, width] = [0, 1, 2, 3].map(|axis| c.dim(x, axis));
    let (channels, height, width) = (channels?, height?, width?);
    Ok([
        n?,
        c.with(back, channels, (size * size) as f64)?,
        c.with(op, height, size as f64)?,
        c.with(op, width, size as f64)?,
    ])
}

/// Channels become blocks of elements.
fn depth_to_space(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let (size, depth_first) = blocks(c, x)?;
    let target = exchanged(c, x, size, BinaryOp::Mul)?;
    let (height, width, size) = (c.dim(x, 2)?, c.dim(x, 3)?, c.ints(&[size])?);
    let [n, channels, ..] = target;
    let (shape, order) = if depth_first {
        ([n, size, size, channels, height, width], [0, 3, 4, 1, 5, 2])
    } else {
        ([n, channels, size, size, height, width], [0, 1, 4, 2, 5, 3])
    };
    let apart = c.reshape(x, &shape)?;
    let moved = c.permute(apart, &order)?;
    Ok(vec![c.reshape(moved, &target)?])
}

/// Blocks of elements become channels.
fn space_to_depth(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let (size, depth_first) = blocks(c, x)?;
    let target = exchanged(c, x, size, BinaryOp::Div)?;
    let (channels, size) = (c.dim(x, 1)?, c.ints(&[size])?);
    let [n, _, height, width] = target;
    let apart = c.reshape(x, &[n, channels, height, size, width, size])?;
    let order = if depth_first { [0, 3, 5, 1, 2, 4] } else { [0, 1, 3, 5, 2, 4] };
    let moved = c.permute(apart, &order)?;
    Ok(vec![c.reshape(moved, &target)?])
}
