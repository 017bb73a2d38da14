//! Online best fit: what an allocator does that meets the buffers one by one as the program runs.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;

use super::Context;

/// Walks through the sections, freeing before allocating. A job takes the smallest free block that
/// fits, the lowest of equal ones, and otherwise the end of the arena, which grows. The rule of ggml's
/// graph allocator; cheap, and the yardstick of what an allocator without foresight reaches.
pub(super) fn best_fit(context: &Context<'_>) -> Vec<u64> {
    let jobs = &context.sections.jobs;
    let mut starts: Vec<u32> = (0..jobs.len() as u32).collect();
    let mut ends = starts.clone();
    starts.sort_unstable_by_key(|&i| (jobs[i as usize].start, i));
    ends.sort_unstable_by_key(|&i| (jobs[i as usize].last, i));

    let mut offsets = vec![0; jobs.len()];
    let mut free = FreeList::default();
    let mut done = 0;
    for &index in &starts {
        let job = &jobs[index as usize];
        while let Some(&ended) = ends.get(done).filter(|&&i| jobs[i as usize].last <= job.first) {
            let offset = offsets[ended as usize];
            free.give_back(offset, offset + jobs[ended as usize].size);
            done += 1;
        }
        offsets[index as usize] = free.take(job.size, job.align);
    }
    offsets
}

/// Free ranges below `top`; no two of them touch, and none touches `top`.
#[derive(Default)]
struct FreeList {
    by_start: BTreeMap<u64, u64>,
    by_length: BTreeSet<(u64, u64)>,
    top: u64,
}

impl FreeList {
    /// The offset of `size` bytes aligned to `align`.
    fn take(&mut self, size: u64, align: u64) -> u64 {
        let fits = |&&(length, start): &&(u64, u64)| start.next_multiple_of(align) + size <= start + length;
        if let Some(&(length, start)) = self.by_length.range((size, 0)..).find(fits) {
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
            self.by_length.insert((end - start, start));
        }
    }

    fn remove(&mut self, start: u64, end: u64) {
        self.by_start.remove(&start);
        self.by_length.remove(&(end - start, start));
    }
}
