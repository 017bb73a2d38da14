//! Along lines: running results, the largest elements.
//!
//! A kernel goes through a line step by step, or compares each of its elements with all others. Long lines are cut into blocks
//! first, which are worked on side by side:
//!
//! ```text
//!  running sums    3 1 | 4 1 | 5 9     ─►  3 4 | 4 5 | 5 14     each block's own, and with what is before it: + 0, + 4, + 9
//!  the largest 1   3 1 | 4 1 | 5 9     ─►  3   | 4   | 9        each block's own, then those of these
//! ```

use bayplan_graph::op::{BinaryOp, Keep, PadMode, ReduceOp};
use bayplan_graph::{DType, Op, ValueId};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("CumProd", 26, |c| running(c, BinaryOp::Mul)).says(&[1]),
    Row::new("CumSum", 11, |c| running(c, BinaryOp::Add)).says(&[1]),
    Row::new("TopK", 7, top).says(&[1]),
];

/// Elements of a line up to which its running results are made in one go.
const LONG_SUM: usize = 4096;
/// Elements of a line up to which each is compared with all others.
const LONG_ORDER: usize = 2048;

fn running(c: &mut Call<'_, '_>, op: BinaryOp) -> Built {
    let (x, axis) = (c.input(0)?, c.input(1)?);
    let (exclusive, reverse) =
        (c.attributes().flag("exclusive", false)?, c.attributes().flag("reverse", false)?);
    let axis = match c.known(axis).as_deref() {
        Some(&[axis]) => axis,
        Some(list) => return Err(format!("its axis has {} elements", list.len())),
        None => return Err("its axis depends on data, but must be constant".to_owned()),
    };
    let at = bayplan_graph::axis(axis, c.rank(x)?).map_err(|e| e.to_string())?;
    Ok(vec![c.accumulated(op, x, at, [exclusive, reverse])?])
}

impl Call<'_, '_> {
    /// Running sums or products along an axis; whether they leave the element itself out, and run from the end.
    pub(super) fn accumulated(
        &mut self,
        op: BinaryOp,
        x: ValueId,
        at: usize,
        [exclusive, reverse]: [bool; 2],
    ) -> Result<ValueId, String> {
        let whole = |axis: usize, exclusive| Op::Cumulate { op, axis: axis as i64, exclusive, reverse };
        let Some(n) = self.size(x, at)?.filter(|&n| n > LONG_SUM) else {
            return self.emit(whole(at, exclusive), &[x]);
        };
        // As many blocks as each has elements, about.
        let block = 1_usize << (n.ilog2() / 2);
        let blocks = n.div_ceil(block);
        // What is missing in the last block changes nothing.
        let (none, reduce) = match op {
            BinaryOp::Mul => (1.0, ReduceOp::Prod),
            _ => (0.0, ReduceOp::Sum),
        };
        let rank = self.rank(x)?;
        let mut pads = vec![0; 2 * rank];
        pads[rank + at] = (blocks * block - n) as i64;
        let (pads, none) = (self.ints(&pads)?, self.scalar_like(x, none)?);
        let padded = self.emit(Op::Pad(PadMode::Constant), &[x, pads, none])?;
        let cut = cut(self, padded, at, blocks, block)?;
        let own = self.emit(whole(at + 1, exclusive), &[cut])?;
        let all = self.reduce(reduce, cut, &[at as i64 + 1], Keep::Dims)?;
        let before = self.emit(whole(at, true), &[all])?;
        let made = self.binary(op, before, own)?;
        let dims = self.dims(padded)?;
        let flat = self.reshape(made, &[dims])?;
        self.cut(flat, at as i64, 0, n as i64)
    }
}

/// An axis as two: so many blocks of so many elements.
fn cut(c: &mut Call<'_, '_>, x: ValueId, at: usize, blocks: usize, block: usize) -> Result<ValueId, String> {
    let rank = c.rank(x)?;
    let mut dims = Vec::with_capacity(rank + 1);
    for axis in 0..rank {
        dims.push(if axis == at { c.ints(&[blocks as i64, block as i64])? } else { c.dim(x, axis)? });
    }
    c.reshape(x, &dims)
}

/// The number of elements is an attribute before opset 10, then an input. Each element's place in the order says where
/// its position goes.
fn top(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let axis = c.attributes().int_or("axis", -1)?;
    let at = bayplan_graph::axis(axis, c.rank(x)?).map_err(|e| e.to_string())?;
    let largest = c.attributes().flag("largest", true)?;
    let k = if c.opset() < 10 {
        let k = c.attributes().int("k")?.ok_or("attribute `k` is missing")?;
        c.ints(&[k])?
    } else {
        c.input(1)?
    };
    if let Some(&[k]) = c.known(k).as_deref()
        && !usize::try_from(k).is_ok_and(|k| c.size(x, at).ok().flatten().is_none_or(|n| k <= n))
    {
        let n = &c.shape(x)?[at];
        return Err(format!("k is {k}, but axis {axis} has {n} elements"));
    }
    let mut line = Line { x, positions: None };
    if let (Some(&[k]), Some(mut n)) = (c.known(k).as_deref(), c.size(x, at)?) {
        let k = k as usize;
        while let Some(block) = block_of(n, k) {
            line = candidates(c, &line, at, [n, block, k], largest)?;
            n = n / block * k + n % block;
        }
    }
    let [values, first] = first(c, line.x, at, k, largest)?;
    let positions = match line.positions {
        Some(positions) => c.emit(Op::GatherElements { axis }, &[positions, first])?,
        None => first,
    };
    Ok(vec![values, positions])
}

/// Lines along an axis, and where their elements were in the node's operand, if they were not where they are.
struct Line {
    x: ValueId,
    positions: Option<ValueId>,
}

/// Elements of the blocks that a line of `n` is cut into, where it is long and most of each block goes: so that the steps within
/// blocks, n · block, and those among what is left, (n · k / block)², are few.
fn block_of(n: usize, k: usize) -> Option<usize> {
    let best = (2.0 * n as f64 * (k as f64).powi(2)).cbrt().max(64.0) as usize;
    let block = best.next_power_of_two();
    (n > LONG_ORDER && 2 * k <= block && 4 * block <= n).then_some(block)
}

/// The first `k` in the order of each block, and what is left of the line behind its last whole block. Equal ones stay in their
/// order.
fn candidates(
    c: &mut Call<'_, '_>,
    line: &Line,
    at: usize,
    [n, block, k]: [usize; 3],
    largest: bool,
) -> Result<Line, String> {
    let (blocks, axis, rank) = (n / block, at as i64, c.rank(line.x)?);
    let (whole, end) = ((blocks * block) as i64, n as i64);
    let front = c.cut(line.x, axis, 0, whole)?;
    let front = cut(c, front, at, blocks, block)?;
    let count = c.ints(&[k as i64])?;
    let [values, within] = first(c, front, at + 1, count, largest)?;
    // Counted from the beginning of the line.
    let number = c.positions_along(front, at)?;
    let begins = c.with(BinaryOp::Mul, number, block as f64)?;
    let within = c.binary(BinaryOp::Add, within, begins)?;
    let mut flat = Vec::with_capacity(rank);
    for own in 0..rank {
        flat.push(if own == at { c.ints(&[(blocks * k) as i64])? } else { c.dim(line.x, own)? });
    }
    let (values, within) = (c.reshape(values, &flat)?, c.reshape(within, &flat)?);
    let (rest, dims) = (c.cut(line.x, axis, whole, end)?, c.dims(line.x)?);
    let all = match line.positions {
        Some(positions) => positions,
        None => {
            let along = c.positions_along(line.x, at)?;
            c.expand(along, dims)?
        }
    };
    let behind = c.cut(all, axis, whole, end)?;
    let kept = match line.positions {
        Some(positions) => c.emit(Op::GatherElements { axis }, &[positions, within])?,
        None => within,
    };
    let (x, positions) = (c.concat(axis, &[values, rest])?, c.concat(axis, &[kept, behind])?);
    Ok(Line { x, positions: Some(positions) })
}

/// The first `k` (a list of one) in the order of each line, and their positions.
fn first(
    c: &mut Call<'_, '_>,
    x: ValueId,
    at: usize,
    k: ValueId,
    largest: bool,
) -> Result<[ValueId; 2], String> {
    let axis = at as i64;
    let (dims, places) = (c.dims(x)?, c.emit(Op::Rank { axis, largest }, &[x])?);
    let positions = c.positions_along(x, at)?;
    let positions = c.expand(positions, dims)?;
    let zero = c.scalar(DType::I64, 0.0)?;
    let zeros = c.emit(Op::Fill, &[dims, zero])?;
    let order = c.emit(Op::ScatterElements { axis, join: None }, &[zeros, places, positions])?;
    // Cut in two, not sliced: there must be as many.
    let (n, k) = (c.dim(x, at)?, c.reshape_to(k, &[1])?);
    let rest = c.binary(BinaryOp::Sub, n, k)?;
    let sizes = c.join(&[k, rest])?;
    let first = c.emit_many(Op::Split { axis }, &[order, sizes], 2)?[0];
    let values = c.emit(Op::GatherElements { axis }, &[x, first])?;
    Ok([values, first])
}
