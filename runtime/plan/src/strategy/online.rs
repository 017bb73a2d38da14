//! Online best fit: what an allocator does that meets the buffers one by one as the program runs.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::Context;
use crate::sections::Sections;

/// Sizes rounded up to the strictest alignment of all: the rule of ggml's graph allocator.
pub(super) fn best_fit(context: &Context<'_>) -> Vec<u64> {
    allocate(context.sections, context.scope.align)
}

/// Sizes rounded up only to the alignment that all jobs have.
pub(super) fn best_fit_own_alignment(context: &Context<'_>) -> Vec<u64> {
    allocate(context.sections, context.sections.grain)
}

/// Walks through the sections, freeing before allocating. A job takes the smallest free block that
/// fits, the highest of equal ones, and otherwise the end of the arena, which grows. Sizes are rounded up to
/// `grain`. Cheap, and the yardstick of what an allocator without foresight reaches.
///
/// What a job with a fixed offset will ever take is never given to another.
fn allocate(sections: &Sections, grain: u64) -> Vec<u64> {
    let jobs = &sections.jobs;
    let mut starts: Vec<u32> = (0..jobs.len() as u32).filter(|&i| jobs[i as usize].fixed.is_none()).collect();
    let mut ends = starts.clone();
    starts.sort_unstable_by_key(|&i| (jobs[i as usize].start, i));
    ends.sort_unstable_by_key(|&i| (jobs[i as usize].last, i));

    let mut offsets: Vec<u64> = jobs.iter().map(|job| job.fixed.unwrap_or(0)).collect();
    let mut free = FreeList::around_fixed(sections);
    let mut done = 0;
    for &index in &starts {
        let job = &jobs[index as usize];
        while let Some(&ended) = ends.get(done).filter(|&&i| jobs[i as usize].last <= job.first) {
            let offset = offsets[ended as usize];
            free.give_back(offset, offset + jobs[ended as usize].size.next_multiple_of(grain));
            done += 1;
        }
        offsets[index as usize] = free.take(job.size.next_multiple_of(grain), job.align);
    }
    offsets
}

/// Free ranges below `top`; no two of them touch, and none touches `top`.
#[derive(Default)]
struct FreeList {
    by_start: BTreeMap<u64, u64>,
    by_length: BTreeSet<(u64, Reverse<u64>)>,
    top: u64,
}

impl FreeList {
    /// What lies between the fixed jobs of all times is free, and so is all above them.
    fn around_fixed(sections: &Sections) -> Self {
        let fixed = sections.jobs.iter().filter_map(|job| Some((job.fixed?, job.fixed? + job.size)));
        let mut taken: Vec<(u64, u64)> = fixed.collect();
        taken.sort_unstable();
        let mut free = Self::default();
        for (from, to) in taken {
            free.insert(free.top, from);
            free.top = free.top.max(to.next_multiple_of(sections.grain));
        }
        free
    }

    /// The offset of `size` bytes aligned to `align`.
    fn take(&mut self, size: u64, align: u64) -> u64 {
        let fits = |&&(length, Reverse(start)): &&(u64, Reverse<u64>)| {
            start.next_multiple_of(align) + size <= start + length
        };
        if let Some(&(length, Reverse(start))) = self.by_length.range((size, Reverse(u64::MAX))..).find(fits)
        {
            let (offset, end) = (start.next_multiple_of(align), start + length);
            self.remove(start, end);
            self.insert(start, offset);
            self.insert(offset + size, end);
            return offset;
        }
        let offset = self.top.next_multiple_of(align);
        self.insert(self.top, offset);
        self.top = offset + size;
        offset
    }

    /// Frees `start..end`, joining it with free neighbours.
    fn give_back(&mut self, mut start: u64, mut end: u64) {
        if let Some((&from, &to)) = self.by_start.range(..start).next_back()
            && to == start
        {
            self.remove(from, to);
            start = from;
        }
        if let Some(&to) = self.by_start.get(&end) {
            self.remove(end, to);
            end = to;
        }
        if end == self.top {
            self.top = start;
        } else {
            self.insert(start, end);
        }
    }

    fn insert(&mut self, start: u64, end: u64) {
        if start < end {
            self.by_start.insert(start, end);
            self.by_length.insert((end - start, Reverse(start)));
        }
    }

    fn remove(&mut self, start: u64, end: u64) {
        self.by_start.remove(&start);
        self.by_length.remove(&(end - start, Reverse(start)));
    }
}
