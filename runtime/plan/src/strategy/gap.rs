//! Placing jobs one after another, each in the smallest gap that fits it.

use alloc::vec;
use alloc::vec::Vec;

use crate::sections::{Job, Sections};

/// Places jobs in the order given. Of the gaps between the placed jobs that are live with it, a job takes
/// the smallest that fits, the lowest of equal ones, and otherwise the space above all of them. What is
/// smallest where alignment takes a share of a gap is told by the rule.
///
/// Jobs with a fixed offset count as placed before all others:
///
/// ```text
///   +-------------------+
///   |   fixed           |     the gap below a fixed job is one like any other, so what fits
///   +-------------------+     goes beneath it and only the rest on top
///        gap   +--------+
///   +------+   | placed |
/// ```
pub(super) fn place_in_order(sections: &Sections, order: &[u32], rule: Rule) -> Vec<u64> {
    let mut offsets = vec![0; sections.jobs.len()];
    let mut placed = Placed::new(sections);
    for (index, job) in (0..).zip(&sections.jobs) {
        if let Some(fixed) = job.fixed {
            offsets[index as usize] = fixed;
            placed.insert(index, job, fixed);
        }
    }
    let mut neighbours: Vec<(u64, u64)> = vec![];
    for &index in order {
        let job = &sections.jobs[index as usize];
        if job.fixed.is_some() {
            continue;
        }
        placed.live_with(job, &sections.jobs, &offsets, &mut neighbours);
        let offset = smallest_gap(job, &neighbours, rule);
        offsets[index as usize] = offset;
        placed.insert(index, job, offset);
    }
    offsets
}

/// The placed jobs. Looking at all of them in the order of their offsets costs about a nanosecond for each, finding
/// those that live with a job and sorting them some twenty for each found.
enum Placed {
    All(Vec<Range>),
    Index(PlacedIndex),
}

/// Where and when a job lies.
struct Range {
    from: u64,
    to: u64,
    first: u32,
    last: u32,
}

impl Placed {
    fn new(sections: &Sections) -> Self {
        let jobs = sections.jobs.len() as u64;
        if jobs * jobs < sections.pairs.saturating_mul(16) {
            Self::All(Vec::with_capacity(sections.jobs.len()))
        } else {
            Self::Index(PlacedIndex::new(&sections.jobs))
        }
    }

    fn insert(&mut self, index: u32, job: &Job, offset: u64) {
        match self {
            Self::All(ranges) => {
                let at = ranges.partition_point(|range| range.from < offset);
                let (first, last) = (job.first, job.last);
                ranges.insert(at, Range { from: offset, to: offset + job.size, first, last });
            }
            Self::Index(placed) => placed.insert(index, job),
        }
    }

    /// The ranges of those that share a section with `job`, by their begin.
    fn live_with(&self, job: &Job, jobs: &[Job], offsets: &[u64], found: &mut Vec<(u64, u64)>) {
        found.clear();
        match self {
            Self::All(ranges) => {
                let live = ranges.iter().filter(|range| range.first < job.last && job.first < range.last);
                found.extend(live.map(|range| (range.from, range.to)));
            }
            Self::Index(placed) => {
                placed.for_each_overlap(job, |other| {
                    let offset = offsets[other as usize];
                    found.push((offset, offset + jobs[other as usize].size));
                });
                found.sort_unstable();
            }
        }
    }
}

/// How gaps are compared. The same without alignment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// As in XLA's best-fit heap: by what they have above the first aligned offset.
    Aligned,
    /// As in TFLite's arena: what a gap has above the first aligned offset against the whole of the one chosen
    /// before.
    AlignedToWhole,
}

/// The offset for `job` among occupied `(from, to)` ranges sorted by `from`; ranges may overlap.
fn smallest_gap(job: &Job, occupied: &[(u64, u64)], rule: Rule) -> u64 {
    let mut best: Option<(u64, u64)> = None;
    let mut top = 0u64;
    for &(from, to) in occupied {
        let offset = top.next_multiple_of(job.align);
        if offset + job.size <= from {
            let gap = from - offset;
            if best.is_none_or(|(smallest, _)| gap < smallest) {
                let kept = if rule == Rule::Aligned { gap } else { from - top };
                best = Some((kept, offset));
            }
        }
        top = top.max(to);
    }
    best.map_or_else(|| top.next_multiple_of(job.align), |(_, offset)| offset)
}

/// Finds the placed jobs that share a section with a given one.
///
/// The jobs lie in a row sorted by first section; a binary tree over the row holds the largest `last` of
/// the placed jobs below each node. Jobs with `first < last'` are a prefix of the row, and subtrees
/// whose largest `last` is not after `first'` are skipped: O(log n) per job found.
pub(crate) struct PlacedIndex {
    /// Job number per place in the row.
    row: Vec<u32>,
    /// First section per place in the row.
    firsts: Vec<u32>,
    /// Place in the row per job.
    place: Vec<u32>,
    /// Largest `last` of placed jobs; node k has children 2k and 2k+1, leaf i is `leaves + i`.
    latest: Vec<u32>,
    leaves: usize,
}

impl PlacedIndex {
    pub(crate) fn new(jobs: &[Job]) -> Self {
        let mut row: Vec<u32> = (0..jobs.len() as u32).collect();
        row.sort_unstable_by_key(|&i| (jobs[i as usize].first, i));
        let mut place = vec![0; jobs.len()];
        for (at, &i) in row.iter().enumerate() {
            place[i as usize] = at as u32;
        }
        let firsts = row.iter().map(|&i| jobs[i as usize].first).collect();
        let leaves = jobs.len().next_power_of_two();
        Self { row, firsts, place, latest: vec![0; 2 * leaves], leaves }
    }

    pub(crate) fn insert(&mut self, index: u32, job: &Job) {
        let mut node = self.leaves + self.place[index as usize] as usize;
        while node > 0 && self.latest[node] < job.last {
            self.latest[node] = job.last;
            node /= 2;
        }
    }

    pub(crate) fn remove(&mut self, index: u32) {
        let mut node = self.leaves + self.place[index as usize] as usize;
        self.latest[node] = 0;
        while node > 1 {
            node /= 2;
            self.latest[node] = self.latest[2 * node].max(self.latest[2 * node + 1]);
        }
    }

    pub(crate) fn for_each_overlap(&self, job: &Job, mut found: impl FnMut(u32)) {
        let prefix = self.firsts.partition_point(|&first| first < job.last);
        // (node, first leaf below it, number of leaves below it); the tree is at most 27 levels deep and
        // each step replaces one entry by at most two.
        let mut stack = [(0usize, 0usize, 0usize); 64];
        stack[0] = (1, 0, self.leaves);
        let mut depth = 1;
        while depth > 0 {
            depth -= 1;
            let (node, from, count) = stack[depth];
            if from >= prefix || self.latest[node] <= job.first {
                continue;
            }
            if count == 1 {
                found(self.row[from]);
                continue;
            }
            let half = count / 2;
            stack[depth] = (2 * node + 1, from + half, half);
            stack[depth + 1] = (2 * node, from, half);
            depth += 2;
        }
    }
}
