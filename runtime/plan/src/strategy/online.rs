//! Online placement: what an allocator does that meets the buffers one by one as the program runs.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::Context;
use crate::bound::aligned_max_live;
use crate::sections::{Job, Sections};

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
    let starts = order_by(sections, |job| (job.start, 0, 0));
    walk(sections, &starts, grain, FreeList::around_fixed(sections), |free, job, size| {
        free.take(size, job.align).unwrap_or_else(|| free.grow(size, job.align))
    })
}

/// First fit from both ends of an arena of max-live bytes: what lives to the end of the program, like results, takes the
/// highest place that fits, all else the lowest. What lives from the start is put down smallest first, of equal sizes
/// the last to end, so that what is used up piece by piece leaves one growing room between the two:
///
/// ```text
///   +---------+------+--------+   result 1
///   +---------+------+--+-----+   result 2        a decoder's past goes as its present comes; whatever the
///   | past 1  |         +-----+   result 3        sizes, the room between them is one piece
///   +---------+--+  room      |
///   | past 2     |            |
///   +------------+------------+--> time
/// ```
pub(super) fn two_ended(context: &Context<'_>) -> Vec<u64> {
    let sections = context.sections;
    let (first, end) = (context.scope.first, context.scope.last);
    let lives_on = |job: &Job| job.start > first && job.start + job.width == end;
    let starts = order_by(sections, |job| {
        let size = if job.start == first { job.size } else { 0 };
        (job.start, size, u32::MAX - (job.start + job.width))
    });
    let mut free = FreeList::around_fixed(sections);
    free.reserve(aligned_max_live(sections).bytes.next_multiple_of(context.scope.align));
    walk(sections, &starts, sections.grain, free, |free, job, size| {
        let place = if lives_on(job) {
            free.take_highest(size, job.align)
        } else {
            free.take_lowest(size, job.align)
        };
        place.unwrap_or_else(|| free.grow(size, job.align))
    })
}

/// The jobs without a place of their own by a key, equal ones in the problem's order.
fn order_by<K: Ord>(sections: &Sections, key: impl Fn(&Job) -> K) -> Vec<u32> {
    let jobs = &sections.jobs;
    let mut order: Vec<u32> = (0..jobs.len() as u32).filter(|&i| jobs[i as usize].fixed.is_none()).collect();
    order.sort_by_cached_key(|&i| key(&jobs[i as usize]));
    order
}

/// Takes a place for each job when it begins to live and gives it back when it has ended; `starts` are the jobs by their
/// begin. Sizes are rounded up to `grain`.
fn walk(
    sections: &Sections,
    starts: &[u32],
    grain: u64,
    mut free: FreeList,
    mut take: impl FnMut(&mut FreeList, &Job, u64) -> u64,
) -> Vec<u64> {
    let jobs = &sections.jobs;
    let ends = order_by(sections, |job| job.last);
    let mut offsets: Vec<u64> = jobs.iter().map(|job| job.fixed.unwrap_or(0)).collect();
    let mut done = 0;
    for &index in starts {
        let job = &jobs[index as usize];
        while let Some(&ended) = ends.get(done).filter(|&&i| jobs[i as usize].last <= job.first) {
            let offset = offsets[ended as usize];
            free.give_back(offset, offset + jobs[ended as usize].size.next_multiple_of(grain));
            done += 1;
        }
        offsets[index as usize] = take(&mut free, job, job.size.next_multiple_of(grain));
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

    /// Makes the arena at least `bytes` long, free above what it had.
    fn reserve(&mut self, bytes: u64) {
        self.insert(self.top, bytes);
        self.top = self.top.max(bytes);
    }

    /// `size` bytes aligned to `align` of the smallest block that holds them, the highest of equal ones.
    fn take(&mut self, size: u64, align: u64) -> Option<u64> {
        let fits = |&&(length, Reverse(start)): &&(u64, Reverse<u64>)| {
            start.next_multiple_of(align) + size <= start + length
        };
        let &(length, Reverse(start)) = self.by_length.range((size, Reverse(u64::MAX))..).find(fits)?;
        Some(self.cut(start, start + length, start.next_multiple_of(align), size))
    }

    /// The lowest `size` bytes aligned to `align`.
    fn take_lowest(&mut self, size: u64, align: u64) -> Option<u64> {
        let fits = |&(start, end): &(u64, u64)| start.next_multiple_of(align) + size <= end;
        let (start, end) = self.by_start.iter().map(|(&start, &end)| (start, end)).find(fits)?;
        Some(self.cut(start, end, start.next_multiple_of(align), size))
    }

    /// The highest `size` bytes aligned to `align`.
    fn take_highest(&mut self, size: u64, align: u64) -> Option<u64> {
        let place = |(&start, &end): (&u64, &u64)| {
            let offset = end.checked_sub(size)? & !(align - 1);
            (offset >= start).then_some((start, end, offset))
        };
        let (start, end, offset) = self.by_start.iter().rev().find_map(place)?;
        Some(self.cut(start, end, offset, size))
    }

    /// Takes `size` bytes at `offset` out of the free block `start..end`.
    fn cut(&mut self, start: u64, end: u64, offset: u64, size: u64) -> u64 {
        self.remove(start, end);
        self.insert(start, offset);
        self.insert(offset + size, end);
        offset
    }

    /// `size` bytes aligned to `align` above all others.
    fn grow(&mut self, size: u64, align: u64) -> u64 {
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
