//! Which buffers are the same memory, and what of it planners have to place: views share the storage of what they look at.

use alloc::vec::Vec;
use core::ops::Range;

use crate::schema::plan_record::{BufferRecord, PlanRecord};

/// For each buffer, the buffer whose storage it uses: itself, or the end of its chain of views.
pub fn roots(plan: &PlanRecord) -> Vec<u32> {
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

/// A buffer with bytes of its own, as planners know it: size, alignment and life, and where the plan has put it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Storage {
    /// Number of the buffer in the plan.
    pub buffer: u32,
    /// Bytes.
    pub size: u64,
    /// Its offset is a multiple of this power of two. 1 where the recorded offset is no multiple of the recorded
    /// alignment, as other allocators have it: the offset was seen, the alignment only claimed.
    pub alignment: u64,
    /// Byte offset in the arena.
    pub offset: u64,
    /// First op at which its bytes count.
    pub first: u32,
    /// One past the last such op; later than `first`.
    pub last: u32,
}

/// The buffers of an arena that have bytes of their own at some op, by number. Views have none. Of two that share bytes in
/// place the later one begins where the earlier one ends, so that no byte counts twice at one op.
pub fn storages(plan: &PlanRecord, arena: u32) -> impl Iterator<Item = Storage> + '_ {
    let members = (0..).zip(&plan.buffers).filter(move |(_, buffer)| buffer.arena == arena);
    members.filter_map(|(number, buffer)| {
        let Range { start: first, end: last } = counted(plan, buffer);
        let aligned = buffer.alignment.is_power_of_two() && buffer.offset.is_multiple_of(buffer.alignment);
        let alignment = if aligned { buffer.alignment } else { 1 };
        let &BufferRecord { size, offset, .. } = buffer;
        (first < last).then_some(Storage { buffer: number, size, alignment, offset, first, last })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn what_has_bytes_of_its_own_is_placed() {
        let buffer = |arena, offset, first, last| BufferRecord {
            arena,
            size: 10,
            alignment: 8,
            offset,
            first,
            last,
            ..BufferRecord::default()
        };
        let plan = PlanRecord {
            ops: vec![crate::OpRecord::default(); 8],
            buffers: vec![
                buffer(0, 16, 0, 3),
                buffer(1, 0, 0, 3),
                BufferRecord { alias_of: Some(0), ..buffer(0, 16, 0, 3) },
                BufferRecord { in_place_of: Some(0), ..buffer(0, 16, 2, 5) },
                buffer(0, 3, 4, 5),
                buffer(0, 32, 6, 6),
                BufferRecord { alignment: 0, ..buffer(0, 0, 5, 6) },
            ],
            ..PlanRecord::default()
        };
        let storage = |buffer, alignment, offset, first, last| Storage {
            buffer,
            size: 10,
            alignment,
            offset,
            first,
            last,
        };
        let expect = [
            storage(0, 8, 16, 0, 3),
            storage(3, 8, 16, 3, 5),
            // Not where its alignment would have it; an alignment that is none.
            storage(4, 1, 3, 4, 5),
            storage(6, 1, 0, 5, 6),
        ];
        assert_eq!(storages(&plan, 0).collect::<Vec<_>>(), expect);
        assert_eq!(storages(&plan, 1).count(), 1);
        assert_eq!(storages(&plan, 2).count(), 0);
    }

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
