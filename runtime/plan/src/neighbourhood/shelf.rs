//! Placed jobs in the order of their offsets, and the holes between them.

use alloc::vec::Vec;

use crate::heights::Heights;
use crate::sections::{Job, Sections};

/// A placed job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) offset: u64,
    /// The first byte above it.
    pub(super) top: u64,
    /// First section it is live in.
    pub(super) first: u32,
    /// First section it is no longer live in.
    pub(super) last: u32,
    pub(super) job: u32,
}

impl Entry {
    pub(super) fn new(jobs: &[Job], job: u32, offset: u64) -> Self {
        let Job { first, last, size, .. } = jobs[job as usize];
        Self { offset, top: offset + size, first, last, job }
    }

    /// Whether it shares a section with the job of `other`.
    pub(super) fn lives_with(&self, other: &Self) -> bool {
        self.first < other.last && other.first < self.last
    }

    fn key(&self) -> (u64, u32) {
        (self.offset, self.job)
    }
}

/// Bytes of one section that nothing uses, below a job that could come down but for jobs that live elsewhere.
///
/// ```text
///        +---------------+
///        |   x           |       x cannot come down because of y, which does not live in section s:
///        +---+--+--------+       the bytes beneath x are lost to s, and where s is full to the last byte
///        | y |hole|              no plan within the bound can have them
///     +--+---+  | +-----+
///     +---------+-+-----+
///               s
/// ```
#[derive(Clone, Copy, Debug)]
pub(super) struct Hole {
    /// The first unused byte.
    pub(super) from: u64,
    /// The job above.
    pub(super) above: Entry,
}

/// Placed jobs by offset, the earlier job first of equal ones.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    entries: Vec<Entry>,
}

impl Shelf {
    /// The jobs that `placed` selects.
    pub(super) fn of(jobs: &[Job], offsets: &[u64], placed: impl Fn(u32) -> bool) -> Self {
        let numbers = (0..jobs.len() as u32).filter(|&job| placed(job));
        let mut entries: Vec<Entry> =
            numbers.map(|job| Entry::new(jobs, job, offsets[job as usize])).collect();
        entries.sort_unstable_by_key(Entry::key);
        Self { entries }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn insert(&mut self, entry: Entry) {
        let at = self.entries.partition_point(|other| other.key() < entry.key());
        self.entries.insert(at, entry);
    }

    /// Takes out what `goes` selects.
    pub(super) fn remove(&mut self, mut goes: impl FnMut(&Entry) -> bool) {
        self.entries.retain(|entry| !goes(entry));
    }

    /// The holes of a section, lowest first.
    pub(super) fn holes(&self, section: u32) -> Vec<Hole> {
        let (mut holes, mut from) = (Vec::new(), 0);
        for &above in self.entries.iter().filter(|entry| entry.first <= section && section < entry.last) {
            if above.offset > from {
                holes.push(Hole { from, above });
            }
            from = from.max(above.top);
        }
        holes
    }

    /// The jobs that lie in a hole's bytes while the job above it lives: they hold it up.
    pub(super) fn below<'a>(&'a self, hole: &'a Hole) -> impl Iterator<Item = &'a Entry> {
        let end = self.entries.partition_point(|entry| entry.offset < hole.above.offset);
        self.entries[..end].iter().filter(|entry| entry.top > hole.from && entry.lives_with(&hole.above))
    }

    /// The section in `[first, last)` whose placed sizes sum to most, the latest of equal ones.
    pub(super) fn fullest(&self, part: &Sections, first: u32, last: u32) -> u32 {
        // Changes of the load from section to section: what starts less what ends.
        let mut changes = alloc::vec![0i128; part.loads.len() + 1];
        for entry in &self.entries {
            let size = i128::from(entry.top - entry.offset);
            changes[entry.first as usize] += size;
            changes[entry.last as usize] -= size;
        }
        let (mut load, mut most, mut fullest) = (0i128, i128::MIN, first);
        for (section, change) in (0..last).zip(changes) {
            load += change;
            if section >= first && load >= most {
                (most, fullest) = (load, section);
            }
        }
        fullest
    }

    /// Presses all jobs down in the order of their offsets, each as low as those before it permit. None comes to lie
    /// higher, so the plan stays valid; fixed jobs stay where they are.
    pub(super) fn press_down(&mut self, part: &Sections, heights: &mut Heights) {
        heights.clear();
        for entry in &mut self.entries {
            let job = &part.jobs[entry.job as usize];
            let range = (entry.first as usize, entry.last as usize);
            if job.fixed.is_none() {
                entry.offset = heights.highest(range).next_multiple_of(job.align);
                entry.top = entry.offset + job.size;
            }
            heights.raise(range, entry.top);
        }
        self.entries.sort_unstable_by_key(Entry::key);
    }
}
