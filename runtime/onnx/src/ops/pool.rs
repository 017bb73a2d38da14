//! Pooling.

use bayplan_graph::Op;
use bayplan_graph::op::{Keep, PoolKind, ReduceOp};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("AveragePool", 7, average),
    Row::new("MaxPool", 7, |c| pool(c, PoolKind::Max)),
    Row::new("GlobalAveragePool", 7, |c| global(c, ReduceOp::Mean)),
    Row::new("GlobalMaxPool", 7, |c| global(c, ReduceOp::Max)),
];

fn pool(c: &mut Call<'_, '_>, kind: PoolKind) -> Built {
    let x = c.input(0)?;
    let kernel = c.attributes().sizes("kernel_shape", 1)?.ok_or("attribute `kernel_shape` is missing")?;
    let mut window = c.window(kernel)?;
    window.ceil = c.attributes().flag("ceil_mode", false)?;
    Ok(vec![c.emit(Op::Pool(kind, window), &[x])?])
}

fn average(c: &mut Call<'_, '_>) -> Built {
    let count_pad = c.attributes().flag("count_include_pad", false)?;
    pool(c, PoolKind::Average { count_pad })
}

/// Over all spatial axes: a reduction.
fn global(c: &mut Call<'_, '_>, op: ReduceOp) -> Built {
    let x = c.input(0)?;
    let axes: Vec<i64> = (2..c.rank(x)? as i64).collect();
    let axes = c.ints(&axes)?;
    Ok(vec![c.emit(Op::Reduce(op, Keep::Dims), &[x, axes])?])
}
