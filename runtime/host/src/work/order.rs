//! What goes along lines element after element: running results, and places in order.

use bayplan_graph::op::BinaryOp;
use bayplan_shaders::{CumulateSpec, RankSpec, Repr, StepOp};

use crate::chain::repr;
use crate::column::Column;
use crate::step::step;

/// All lines at once, one element of each after the other.
pub(super) fn cumulate(spec: &CumulateSpec, operands: &[&[u32]], out: &mut [u32]) -> Result<(), String> {
    let repr = repr(spec.dtype)?;
    let words = repr.words() as usize;
    let [outer, len, inner] = [spec.outer, spec.len, spec.inner].map(|size| size as usize);
    let one = match repr {
        Repr::F32 => 1.0_f32.to_bits().into(),
        Repr::F64 => 1.0_f64.to_bits(),
        _ => 1,
    };
    let initial = if spec.op == BinaryOp::Mul { one } else { 0 };
    let mut all = Column::splat(repr, initial, outer * inner);
    // Narrow floats are joined as wider ones and rounded where they are stored.
    let dtype = spec.dtype.accumulator();
    let mut row = vec![0; outer * inner * words];
    for j in 0..len {
        let at = if spec.reverse { len - 1 - j } else { j };
        let rows = |visit: &mut dyn FnMut(isize, usize)| {
            (0..outer).for_each(|o| visit(((o * len + at) * inner) as isize, inner));
        };
        let x = Column::load(spec.dtype, repr, operands[0], rows, 1);
        let next = step(StepOp::Binary(spec.op), &[(&all, dtype), (&x, dtype)], dtype)?;
        if spec.exclusive { all } else { next.clone() }.narrowed(spec.dtype).store(&mut row);
        for (o, row) in row.chunks_exact(inner * words).enumerate() {
            out[(o * len + at) * inner * words..][..row.len()].copy_from_slice(row);
        }
        all = next;
    }
    Ok(())
}

/// Numbers in the order of the elements: a NaN is beyond all others, zeros of both signs are one.
fn keys(column: &Column) -> Vec<i128> {
    match column {
        Column::F32(v) => v.iter().map(|&v| key(v.into())).collect(),
        Column::F64(v) => v.iter().map(|&v| key(v)).collect(),
        Column::I32(v) => v.iter().map(|&v| v.into()).collect(),
        Column::U32(v) => v.iter().map(|&v| v.into()).collect(),
        Column::I64(v) => v.iter().map(|&v| v.into()).collect(),
        Column::U64(v) => v.iter().map(|&v| v.into()).collect(),
    }
}

fn key(v: f64) -> i128 {
    let size = i128::from(v.abs().to_bits());
    match v {
        _ if v.is_nan() => i128::MAX,
        _ if v < 0.0 => -size,
        _ => size,
    }
}

pub(super) fn rank(spec: &RankSpec, operands: &[&[u32]], out: &mut [u32]) -> Result<(), String> {
    let [outer, len, inner] = [spec.outer, spec.len, spec.inner].map(|size| size as usize);
    let whole = |visit: &mut dyn FnMut(isize, usize)| visit(0, outer * len * inner);
    let keys = keys(&Column::load(spec.dtype, repr(spec.dtype)?, operands[0], whole, 1));
    for line in 0..outer * inner {
        let first = line / inner * len * inner + line % inner;
        let mut places: Vec<usize> = (0..len).map(|j| first + j * inner).collect();
        places.sort_by_key(|&at| if spec.largest { keys[at].saturating_neg() } else { keys[at] });
        for (rank, at) in (0..).zip(places) {
            out[at] = rank;
        }
    }
    Ok(())
}
