//! Along lines: running results, the largest elements.

use bayplan_graph::op::BinaryOp;
use bayplan_graph::{DType, Op};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("CumProd", 26, |c| running(c, BinaryOp::Mul)).says(&[1]),
    Row::new("CumSum", 11, |c| running(c, BinaryOp::Add)).says(&[1]),
    Row::new("TopK", 7, top).says(&[1]),
];

fn running(c: &mut Call<'_, '_>, op: BinaryOp) -> Built {
    let (x, axis) = (c.input(0)?, c.input(1)?);
    let (exclusive, reverse) =
        (c.attributes().flag("exclusive", false)?, c.attributes().flag("reverse", false)?);
    let axis = match c.known(axis).as_deref() {
        Some(&[axis]) => axis,
        Some(list) => return Err(format!("its axis has {} elements", list.len())),
        None => return Err("its axis depends on data, but must be constant".to_owned()),
    };
    Ok(vec![c.emit(Op::Cumulate { op, axis, exclusive, reverse }, &[x])?])
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
    if let (Some(&[k]), Some(n)) = (c.known(k).as_deref(), c.size(x, at)?)
        && !usize::try_from(k).is_ok_and(|k| k <= n)
    {
        return Err(format!("k is {k}, but axis {axis} has {n} elements"));
    }
    let (dims, places) = (c.dims(x)?, c.emit(Op::Rank { axis, largest }, &[x])?);
    let positions = c.positions_along(x, at)?;
    let positions = c.expand(positions, dims)?;
    let zero = c.scalar(DType::I64, 0.0)?;
    let zeros = c.emit(Op::Fill, &[dims, zero])?;
    let order = c.emit(Op::ScatterElements { axis, join: None }, &[zeros, places, positions])?;
    let [from, along, step] = [0, axis, 1].map(|v| c.ints(&[v]));
    let first = c.emit(Op::Slice, &[order, from?, k, along?, step?])?;
    let values = c.emit(Op::GatherElements { axis }, &[x, first])?;
    Ok(vec![values, first])
}
