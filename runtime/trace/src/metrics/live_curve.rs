//! Bytes that live in an arena at each op, by the plan.

use alloc::vec;
use alloc::vec::Vec;

use crate::schema::plan_record::PlanRecord;
use crate::schema::storage::counted;

/// For each arena of the plan, the bytes that live at each op.
///
/// Views add nothing to the buffer they look at. A buffer computed in place counts from the moment its predecessor's
/// bytes are no longer counted.
pub fn live_curves(plan: &PlanRecord) -> Vec<Vec<u64>> {
    let ops = plan.ops.len();
    // Differences first, then their running sums; wrapping, since a sum of u64 differences comes out right.
    let mut curves = vec![vec![0u64; ops + 1]; plan.arenas.len()];
    for buffer in &plan.buffers {
        let Some(curve) = curves.get_mut(buffer.arena as usize) else { continue };
        let life = counted(plan, buffer);
        let (first, last) = (life.start as usize, life.end as usize);
        if first < last {
            curve[first] = curve[first].wrapping_add(buffer.size);
            curve[last] = curve[last].wrapping_sub(buffer.size);
        }
    }
    for curve in &mut curves {
        let mut live = 0u64;
        for value in curve.iter_mut() {
            live = live.wrapping_add(*value);
            *value = live;
        }
        curve.pop();
    }
    curves
}

/// The largest values of at most `points` stretches of equal length, each with the index of its first entry.
pub fn thin(curve: &[u64], points: usize) -> impl Iterator<Item = (usize, u64)> {
    let step = curve.len().div_ceil(points.max(1)).max(1);
    curve.chunks(step).enumerate().map(move |(at, part)| (at * step, part.iter().copied().max().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::plan_record::{ArenaRecord, BufferRecord, OpRecord};

    fn buffer(size: u64, first: u32, last: u32, in_place_of: Option<u32>) -> BufferRecord {
        BufferRecord { size, first, last, in_place_of, ..BufferRecord::default() }
    }

    #[test]
    fn curve_counts_shared_bytes_once() {
        let plan = PlanRecord {
            arenas: vec![ArenaRecord { size: 100, ..ArenaRecord::default() }],
            ops: vec![OpRecord::default(); 4],
            buffers: vec![
                buffer(10, 0, 2, None),
                // Takes over the bytes of the first at op 1.
                buffer(10, 1, 4, Some(0)),
                buffer(5, 1, 2, None),
                BufferRecord { alias_of: Some(1), ..buffer(10, 1, 4, None) },
            ],
            ..PlanRecord::default()
        };
        assert_eq!(live_curves(&plan), vec![vec![10, 15, 10, 10]]);
    }

    #[test]
    fn thinning_keeps_peaks() {
        let curve = [1, 9, 2, 3, 4];
        assert_eq!(thin(&curve, 2).collect::<Vec<_>>(), [(0, 9), (3, 4)]);
        assert_eq!(thin(&curve, 99).count(), 5);
        assert_eq!(thin(&[], 3).count(), 0);
    }
}
