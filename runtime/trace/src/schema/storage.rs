//! Which buffers are the same memory: views share the storage of what they look at.

use alloc::vec::Vec;
use core::ops::Range;

use crate::schema::plan_record::{BufferRecord, PlanRecord};

/// For each buffer, the buffer whose storage it uses: itself, or the end of its chain of views.
pub(crate) fn roots(plan: &PlanRecord) -> Vec<u32> {
    let mut roots: Vec<u32> = (0..plan.buffers.len() as u32).collect();
    if plan.buffers.iter().all(|buffer| buffer.alias_of.is_none()) {
        return roots;
    }
    let parent = |buffer: u32| plan.buffers.get(buffer as usize).and_then(|record| record.alias_of);
    let mut known = alloc::vec![false; roots.len()];
    let mut chain = Vec::new();
    for start in 0..roots.len() as u32 {
        let mut at = start;
        // Marking on the way in ends a circle of views, which only a damaged file has.
        while !known[at as usize] {
            known[at as usize] = true;
            chain.push(at);
            match parent(at) {
                Some(next) if (next as usize) < roots.len() => at = next,
                _ => break,
            }
        }
        let root = roots[at as usize];
        chain.drain(..).for_each(|buffer| roots[buffer as usize] = root);
    }
    roots
}

/// The ops at which a buffer's bytes count as its own: none for a view; for a buffer computed in place, those after
/// its predecessor's end. Empty where the record is not valid.
pub(crate) fn counted(plan: &PlanRecord, buffer: &BufferRecord) -> Range<u32> {
    if buffer.alias_of.is_some() || buffer.first > buffer.last || buffer.last as usize > plan.ops.len() {
        return 0..0;
    }
    let predecessor = buffer.in_place_of.and_then(|at| plan.buffers.get(at as usize));
    let first = predecessor.map_or(buffer.first, |before| before.last.clamp(buffer.first, buffer.last));
    first..buffer.last
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn views_lead_to_their_storage() {
        fn check(alias_of: &[Option<u32>], expect: &[u32]) {
            let view = |&alias_of| BufferRecord { alias_of, ..BufferRecord::default() };
            let plan = PlanRecord { buffers: alias_of.iter().map(view).collect(), ..PlanRecord::default() };
            assert_eq!(roots(&plan), expect, "of {alias_of:?}");
        }
        check(&[], &[]);
        check(&[None, None], &[0, 1]);
        check(&[None, Some(0), Some(1)], &[0, 0, 0]);
        check(&[Some(2), Some(0), None, Some(1)], &[2, 2, 2, 2]);
        check(&[Some(9)], &[0]);
        // A circle ends somewhere, and all of it at the same place.
        check(&[Some(1), Some(0)], &[0, 0]);
        check(&[Some(0)], &[0]);
        let long: Vec<_> = (0..100_000).map(|at: u32| at.checked_sub(1)).collect();
        check(&long, &vec![0; long.len()]);
    }

    #[test]
    fn bytes_are_counted_once() {
        fn check(buffer: &BufferRecord, expect: Range<u32>) {
            let before = BufferRecord { first: 0, last: 3, ..BufferRecord::default() };
            let ops = vec![crate::OpRecord::default(); 8];
            let plan = PlanRecord { ops, buffers: vec![before, buffer.clone()], ..PlanRecord::default() };
            assert_eq!(counted(&plan, buffer), expect);
        }
        let life = |first, last| BufferRecord { first, last, ..BufferRecord::default() };
        check(&life(2, 5), 2..5);
        check(&BufferRecord { in_place_of: Some(0), ..life(2, 5) }, 3..5);
        check(&BufferRecord { in_place_of: Some(0), ..life(4, 5) }, 4..5);
        check(&BufferRecord { in_place_of: Some(0), ..life(1, 2) }, 2..2);
        check(&BufferRecord { alias_of: Some(0), ..life(1, 2) }, 0..0);
        check(&life(2, 9), 0..0);
    }
}
