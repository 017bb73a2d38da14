//! Pooling.

use bayplan_graph::op::{BinaryOp, Keep, Pads, PoolKind, ReduceOp, UnaryOp, Window};
use bayplan_graph::{DType, Op, ValueId};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("AveragePool", 7, average),
    Row::new("LpPool", 7, norm),
    Row::new("MaxPool", 7, maximum),
    Row::new("GlobalAveragePool", 7, |c| global(c, ReduceOp::Mean)),
    Row::new("GlobalLpPool", 7, global_norm),
    Row::new("GlobalMaxPool", 7, |c| global(c, ReduceOp::Max)),
];

type Step = Result<ValueId, String>;

/// The window that the node's attributes say.
fn window(c: &Call<'_, '_>) -> Result<Window, String> {
    let kernel = c.attributes().sizes("kernel_shape", 1)?.ok_or("attribute `kernel_shape` is missing")?;
    let mut window = c.window(kernel)?;
    window.ceil = c.attributes().flag("ceil_mode", false)?;
    Ok(window)
}

fn average(c: &mut Call<'_, '_>) -> Built {
    let count_pad = c.attributes().flag("count_include_pad", false)?;
    let (x, window) = (c.input(0)?, window(c)?);
    Ok(vec![c.pooled(PoolKind::Average { count_pad }, &window, x)?])
}

/// (Σ |x|ᵖ)^(1/p)
fn norm(c: &mut Call<'_, '_>) -> Built {
    let (x, window, p) = (c.input(0)?, window(c)?, exponent(c)?);
    let powers = power(c, x, p)?;
    let sum = c.pooled(PoolKind::Sum, &window, powers)?;
    Ok(vec![root(c, sum, p)?])
}

fn global_norm(c: &mut Call<'_, '_>) -> Built {
    let (x, p) = (c.input(0)?, exponent(c)?);
    let powers = power(c, x, p)?;
    let axes: Vec<i64> = (2..c.rank(x)? as i64).collect();
    let sum = c.reduce(ReduceOp::Sum, powers, &axes, Keep::Dims)?;
    Ok(vec![root(c, sum, p)?])
}

fn exponent(c: &Call<'_, '_>) -> Result<i64, String> {
    match c.attributes().int_or("p", 2)? {
        p if p > 0 => Ok(p),
        p => Err(format!("attribute `p` is {p}, but must be at least 1")),
    }
}

/// |x|ᵖ
fn power(c: &mut Call<'_, '_>, x: ValueId, p: i64) -> Step {
    if p == 2 {
        return c.binary(BinaryOp::Mul, x, x);
    }
    let size = c.unary(UnaryOp::Abs, x)?;
    if p == 1 { Ok(size) } else { c.with(BinaryOp::Pow, size, p as f64) }
}

fn root(c: &mut Call<'_, '_>, x: ValueId, p: i64) -> Step {
    match p {
        1 => Ok(x),
        2 => c.unary(UnaryOp::Sqrt, x),
        _ => c.with(BinaryOp::Pow, x, 1.0 / p as f64),
    }
}

/// Narrow integers are compared as floats, which hold them all.
fn maximum(c: &mut Call<'_, '_>) -> Built {
    let (x, window) = (c.input(0)?, window(c)?);
    let columns_first = c.attributes().flag("storage_order", false)?;
    let dtype = c.dtype(x)?;
    let x = if dtype.is_int() && dtype.size() < 4 { c.cast(x, DType::F32)? } else { x };
    let y = c.pooled(PoolKind::Max, &window, x)?;
    let y = c.cast(y, dtype)?;
    if !c.wants(1) {
        return Ok(vec![y]);
    }
    let at = places(c, &window, x)?;
    Ok(vec![y, numbered(c, x, at, columns_first)?])
}

/// Over all spatial axes: a reduction.
fn global(c: &mut Call<'_, '_>, op: ReduceOp) -> Built {
    let x = c.input(0)?;
    let axes: Vec<i64> = (2..c.rank(x)? as i64).collect();
    Ok(vec![c.reduce(op, x, &axes, Keep::Dims)?])
}

impl Call<'_, '_> {
    /// Pooling over any number of spatial axes: the last two together, each before them by itself. Maxima, sums and
    /// means follow from those over fewer axes, because each window holds the same places along every axis.
    pub(super) fn pooled(&mut self, kind: PoolKind, window: &Window, x: ValueId) -> Step {
        let rank = window.rank();
        if rank <= 2 {
            return self.emit(Op::Pool(kind, window.clone()), &[x]);
        }
        self.check_spatial(x, rank)?;
        let mut y = along(self, kind, window, x, rank - 2..rank)?;
        for axis in (0..rank - 2).rev() {
            y = along(self, kind, window, y, axis..axis + 1)?;
        }
        Ok(y)
    }

    /// Refuses operands whose rank does not fit a window.
    pub(super) fn check_spatial(&self, x: ValueId, axes: usize) -> Result<(), String> {
        let rank = self.rank(x)?;
        if rank == axes + 2 {
            return Ok(());
        }
        Err(format!("its operand has rank {rank}, but a window of {axes} axes needs rank {}", axes + 2))
    }
}

/// The part of a window over some of its axes, and over one axis more that it does not touch where that is one alone.
fn part(window: &Window, axes: core::ops::Range<usize>) -> Window {
    let alone = axes.len() == 1;
    let list = |all: &[usize]| {
        let mut list = all[axes.clone()].to_vec();
        list.extend(alone.then_some(1));
        list
    };
    let pads = match &window.pads {
        Pads::Same { upper } => Pads::Same { upper: *upper },
        Pads::Explicit(pads) => {
            let (begins, ends) = pads.split_at(window.rank());
            let side = |side: &[i64]| {
                let mut list = side[axes.clone()].to_vec();
                list.extend(alone.then_some(0));
                list
            };
            Pads::Explicit([side(begins), side(ends)].concat())
        }
    };
    Window {
        kernel: list(&window.kernel),
        strides: list(&window.strides),
        dilations: list(&window.dilations),
        pads,
        ceil: window.ceil,
    }
}

/// Pools along one spatial axis or two neighbours, with all axes before them as images of their own and all behind them
/// as one.
fn along(
    c: &mut Call<'_, '_>,
    kind: PoolKind,
    window: &Window,
    x: ValueId,
    axes: core::ops::Range<usize>,
) -> Step {
    let y = planes(c, x, axes.clone())?;
    let y = c.emit(Op::Pool(kind, part(window, axes.clone())), &[y])?;
    let mut shape = Vec::new();
    for axis in 0..2 + window.rank() {
        let pooled = axis.checked_sub(2 + axes.start).filter(|i| *i < axes.len());
        shape.push(match pooled {
            Some(i) => c.dim(y, 2 + i)?,
            None => c.dim(x, axis)?,
        });
    }
    c.reshape(y, &shape)
}

/// [n, c, before.., axes.., behind..] as images: [n · c · before, 1, axes.., behind].
fn planes(c: &mut Call<'_, '_>, x: ValueId, axes: core::ops::Range<usize>) -> Step {
    let (before, behind) = (2 + axes.start, 2 + axes.end);
    let rank = c.rank(x)?;
    let mut shape = vec![product(c, x, 0..before)?, c.ints(&[1])?];
    for axis in before..behind {
        shape.push(c.dim(x, axis)?);
    }
    if axes.len() == 1 {
        shape.push(product(c, x, behind..rank)?);
    }
    c.reshape(x, &shape)
}

/// The product of some dimensions, as a list of one.
fn product(c: &mut Call<'_, '_>, x: ValueId, axes: core::ops::Range<usize>) -> Step {
    let mut all = c.ints(&[1])?;
    for axis in axes {
        let dim = c.dim(x, axis)?;
        all = c.binary(BinaryOp::Mul, all, dim)?;
    }
    Ok(all)
}

/// Where in its image or volume the maximum of every window lies, as i64. Over more than two axes: where in the last
/// two, and among those the place along the axis before them, and so on.
fn places(c: &mut Call<'_, '_>, window: &Window, x: ValueId) -> Step {
    let rank = window.rank();
    c.check_spatial(x, rank)?;
    let last = rank.saturating_sub(2)..rank;
    if rank <= 2 {
        let at = c.emit(Op::Pool(PoolKind::Index, window.clone()), &[x])?;
        return c.cast(at, DType::I64);
    }
    let at = along(c, PoolKind::Index, window, x, last.clone())?;
    let mut at = c.cast(at, DType::I64)?;
    let mut y = along(c, PoolKind::Max, window, x, last)?;
    for axis in (0..rank - 2).rev() {
        // Among [axis, what is behind it, pooled], each chosen place and what was known of it.
        let behind = product(c, y, 3 + axis..2 + rank)?;
        let inner = product(c, x, 3 + axis..2 + rank)?;
        let chosen = along(c, PoolKind::Index, window, y, axis..axis + 1)?;
        let chosen = c.cast(chosen, DType::I64)?;
        let (known, flat) = (volumes(c, at, axis)?, volumes(c, chosen, axis)?);
        let known = c.emit(Op::GatherElements { axis: 1 }, &[known, flat])?;
        let shape = c.dims(chosen)?;
        let known = c.reshape(known, &[shape])?;
        let step = c.binary(BinaryOp::Div, chosen, behind)?;
        let moved = c.binary(BinaryOp::Mul, step, inner)?;
        at = c.binary(BinaryOp::Add, moved, known)?;
        y = along(c, PoolKind::Max, window, y, axis..axis + 1)?;
    }
    Ok(at)
}

/// [n, c, before.., rest..] as [n · c · before, rest].
fn volumes(c: &mut Call<'_, '_>, x: ValueId, before: usize) -> Step {
    let rank = c.rank(x)?;
    let shape = [product(c, x, 0..2 + before)?, product(c, x, 2 + before..rank)?];
    c.reshape(x, &shape)
}

/// Places counted through the whole of `x`; `columns_first` counts the first spatial axis fastest within an image.
fn numbered(c: &mut Call<'_, '_>, x: ValueId, mut at: ValueId, columns_first: bool) -> Step {
    let rank = c.rank(x)?;
    if columns_first {
        let (mut rest, mut sum) = (at, None);
        for axis in (2..rank).rev() {
            let (size, step) = (c.dim(x, axis)?, product(c, x, 2..axis)?);
            let coordinate = c.binary(BinaryOp::Mod, rest, size)?;
            let moved = c.binary(BinaryOp::Mul, coordinate, step)?;
            sum = Some(match sum {
                Some(sum) => c.binary(BinaryOp::Add, sum, moved)?,
                None => moved,
            });
            rest = c.binary(BinaryOp::Div, rest, size)?;
        }
        at = sum.unwrap_or(at);
    }
    let (images, size) = (product(c, x, 0..2)?, product(c, x, 2..rank)?);
    let first = c.positions(images)?;
    let first = c.binary(BinaryOp::Mul, first, size)?;
    let mut shape = vec![c.dim(x, 0)?, c.dim(x, 1)?];
    shape.push(c.ints(&vec![1; rank - 2])?);
    let first = c.reshape(first, &shape)?;
    c.binary(BinaryOp::Add, at, first)
}
