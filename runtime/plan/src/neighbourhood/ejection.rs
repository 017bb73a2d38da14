//! Ejection search: jobs that do not fit the capacity push others out until all have a place.

use alloc::vec;
use alloc::vec::Vec;

use super::shelf::{Entry, Shelf};
use crate::heights::Heights;
use crate::random::SplitMix;
use crate::sections::{Job, Sections};

/// Placements between two presses.
const PRESS_EVERY: u64 = 30;

/// A completed plan is worth looking at only while few jobs wait.
const FEW_WAITING: usize = 64;

/// Ejections of one job beyond which it gets no dearer.
const DEAREST: u64 = 1 << 16;

/// Weight of what must not be moved.
const NEVER: u128 = 1 << 96;

/// The state of a search for a plan within a capacity.
///
/// ```text
///  capacity ------------------------------   waiting: c, d, ...
///      +-----+  +-------+                    One of them, drawn, takes the smallest gap that fits it. Where
///      |     |  |   b   |  +---+             none does it goes where it pushes out the least weight, and what
///      +--+--+--+-----+-+  |   |             it pushes out waits in turn. A job that has had to push others
///      |  | a  |      |    |   |             out weighs more from then on, so no two push each other out
///      +--+----+------+----+---+             for ever.
/// ```
///
/// Now and then all are pressed down, which gathers the free bytes at the top, but for those in [holes] beneath jobs
/// held up by jobs that live elsewhere. One such hole of the fullest section that a waiting job needs is closed by
/// pushing out what holds it open.
///
/// After the ejection pool of Nagata and Bräysy ("A powerful route minimization heuristic for the vehicle routing
/// problem with time windows", Operations Research Letters 37, 2009), which chooses ejections by how often
/// each has been hard to place.
///
/// [holes]: super::shelf::Hole
pub(super) struct Ejection<'a> {
    part: &'a Sections,
    capacity: u64,
    shelf: Shelf,
    waiting: Vec<u32>,
    /// Times each job pushed others out, plus one.
    failures: Vec<u64>,
    /// How hard each job is to place, from its size and from how full its sections are.
    weights: &'a [u64],
    heights: Heights,
    random: SplitMix,
    /// Scratch: the placed jobs that live with the one to be placed, by offset.
    near: Vec<Entry>,
    /// Scratch: their tops and weights, by top.
    tops: Vec<(u64, u128)>,
}

/// How hard each job is to place: the fourth root of its size, times the square root of how full the fullest of its
/// sections is.
pub(super) fn weights(part: &Sections, totals: &[u64]) -> Vec<u64> {
    let fullest = totals.iter().copied().max().unwrap_or(0).max(1);
    let weight = |(job, &total): (&Job, &u64)| {
        let scarcity = (u128::from(fullest) << 8) / u128::from(fullest / 50 + (fullest - total) + 1);
        (job.size.isqrt() << 8).isqrt() * (scarcity as u64).isqrt() + 1
    };
    part.jobs.iter().zip(totals).map(weight).collect()
}

impl<'a> Ejection<'a> {
    /// Starts from a plan, of which all that ends above the capacity has to wait.
    pub(super) fn new(
        part: &'a Sections,
        weights: &'a [u64],
        offsets: &[u64],
        capacity: u64,
        seed: u64,
    ) -> Self {
        let jobs = &part.jobs;
        let fits = |job: u32| {
            let own = &jobs[job as usize];
            own.fixed.is_some() || offsets[job as usize] + own.size <= capacity
        };
        Self {
            part,
            capacity,
            shelf: Shelf::of(jobs, offsets, fits),
            waiting: (0..jobs.len() as u32).filter(|&job| !fits(job)).collect(),
            failures: vec![1; jobs.len()],
            weights,
            heights: Heights::new(part.loads.len()),
            random: SplitMix::new(seed),
            near: vec![],
            tops: vec![],
        }
    }

    /// Searches until all jobs lie within the capacity or the work is used up. `peak` is that of the best plan known;
    /// the result is the best plan below it.
    pub(super) fn run(&mut self, mut peak: u64, work: &mut u64) -> Option<Vec<u64>> {
        let (mut best, mut fewest) = (None, u64::MAX);
        let mut placements = 0u64;
        while *work > 0 && !self.waiting.is_empty() {
            placements += 1;
            if placements.is_multiple_of(PRESS_EVERY) {
                self.press(work);
            }
            if !self.place_one(work) {
                break;
            }
            let waiting: u64 = self.waiting.iter().map(|&job| self.part.jobs[job as usize].size).sum();
            if waiting < fewest && self.waiting.len() <= FEW_WAITING {
                fewest = waiting;
                let offsets = self.completed(work);
                let reached = self.part.peak(&offsets);
                if reached < peak {
                    (peak, best) = (reached, Some(offsets));
                }
            }
        }
        best
    }

    /// Places a waiting job, pushing others out if it must; false when fixed jobs leave no place for it.
    fn place_one(&mut self, work: &mut u64) -> bool {
        let drawn = self.random.below(self.waiting.len() as u64) as usize;
        let job = self.waiting.swap_remove(drawn);
        self.gather(job);
        *work = work.saturating_sub(self.shelf.entries().len() as u64 / 4 + 2 * self.near.len() as u64);
        if let Some(offset) = smallest_gap(&self.near, &self.part.jobs[job as usize], self.capacity) {
            self.shelf.insert(Entry::new(&self.part.jobs, job, offset));
            return true;
        }
        *work = work.saturating_sub(12 * self.near.len() as u64);
        let Some(offset) = self.cheapest(job) else {
            self.waiting.push(job);
            return false;
        };
        self.failures[job as usize] = (self.failures[job as usize] + 1).min(DEAREST);
        let entry = Entry::new(&self.part.jobs, job, offset);
        let waiting = &mut self.waiting;
        self.shelf.remove(|other| {
            let goes = other.offset < entry.top && other.top > entry.offset && other.lives_with(&entry);
            if goes {
                waiting.push(other.job);
            }
            goes
        });
        self.shelf.insert(entry);
        true
    }

    /// Collects the placed jobs that live with `job`.
    fn gather(&mut self, job: u32) {
        let own = Entry::new(&self.part.jobs, job, 0);
        self.near.clear();
        self.near.extend(self.shelf.entries().iter().filter(|entry| entry.lives_with(&own)));
    }

    fn weight(&self, job: u32) -> u128 {
        match self.part.jobs[job as usize].fixed {
            Some(_) => NEVER,
            None => u128::from(self.weights[job as usize].saturating_mul(self.failures[job as usize])),
        }
    }

    /// Where a job pushes out the least weight; one of several such places is drawn. None where all are blocked.
    ///
    /// The places are visited upwards, so that the sums of what begins below a place's end and of what ends below its
    /// begin only grow.
    fn cheapest(&mut self, job: u32) -> Option<u64> {
        let own = &self.part.jobs[job as usize];
        let highest = self.capacity.checked_sub(own.size)? / own.align * own.align;
        let mut tops = core::mem::take(&mut self.tops);
        tops.clear();
        tops.extend(self.near.iter().map(|entry| (entry.top, self.weight(entry.job))));
        tops.sort_unstable_by_key(|&(top, _)| top);
        let (mut begun, mut ended, mut at_begin, mut at_end) = (0u128, 0u128, 0, 0);
        let (mut least, mut best, mut ties) = (NEVER, None, 0);
        let mut places = Places { near: &self.near, tops: &tops, job: own, beneath: 0, above: 0 };
        let mut place = Some(0);
        while let Some(offset) = place.filter(|&offset| offset <= highest) {
            let end = offset + own.size;
            while let Some(entry) = self.near.get(at_begin).filter(|entry| entry.offset < end) {
                begun += self.weight(entry.job);
                at_begin += 1;
            }
            while let Some((_, weight)) = tops.get(at_end).filter(|&&(top, _)| top <= offset) {
                ended += weight;
                at_end += 1;
            }
            let cost = begun - ended;
            ties = if cost < least { 1 } else { ties + u64::from(cost == least) };
            if cost < least || (cost == least && self.random.below(ties) == 0) {
                (least, best) = (cost, Some(offset));
            }
            place = places.after(offset);
        }
        self.tops = tops;
        best.filter(|_| least < NEVER)
    }

    /// Presses all down and closes one hole.
    fn press(&mut self, work: &mut u64) {
        let steps = (self.shelf.entries().len() as u64) * (8 * self.heights.depth() + 8);
        *work = work.saturating_sub(steps);
        self.shelf.press_down(self.part, &mut self.heights);
        let drawn = self.random.below(self.waiting.len() as u64) as usize;
        let Some(&job) = self.waiting.get(drawn) else { return };
        let Job { first, last, .. } = self.part.jobs[job as usize];
        let holes = self.shelf.holes(self.shelf.fullest(self.part, first, last));
        let Some(hole) = holes.get(self.random.below(holes.len() as u64) as usize) else { return };
        let jobs = &self.part.jobs;
        let movable = |entry: &&Entry| jobs[entry.job as usize].fixed.is_none();
        let mut out: Vec<u32> = self.shelf.below(hole).filter(movable).map(|entry| entry.job).collect();
        out.sort_unstable();
        self.shelf.remove(|entry| out.binary_search(&entry.job).is_ok());
        self.shelf.press_down(self.part, &mut self.heights);
        self.waiting.append(&mut out);
    }

    /// A plan of all jobs: those that wait, largest first, in the smallest gap that fits or on top of all.
    fn completed(&mut self, work: &mut u64) -> Vec<u64> {
        let jobs = &self.part.jobs;
        let mut shelf = self.shelf.clone();
        let mut waiting = self.waiting.clone();
        waiting.sort_unstable_by_key(|&job| (core::cmp::Reverse(jobs[job as usize].size), job));
        *work = work.saturating_sub((shelf.entries().len() * (waiting.len() + 1)) as u64);
        for job in waiting {
            let own = Entry::new(jobs, job, 0);
            self.near.clear();
            self.near.extend(shelf.entries().iter().filter(|entry| entry.lives_with(&own)));
            let limit = u64::MAX >> 1;
            let offset = smallest_gap(&self.near, &jobs[job as usize], limit).unwrap_or(limit);
            shelf.insert(Entry::new(jobs, job, offset));
        }
        let mut offsets = vec![0; jobs.len()];
        for entry in shelf.entries() {
            offsets[entry.job as usize] = entry.offset;
        }
        offsets
    }
}

/// The places for a job at which what it would push out can change: on top of a placed job, or just beneath one.
struct Places<'a> {
    /// By offset.
    near: &'a [Entry],
    /// Ascending.
    tops: &'a [(u64, u128)],
    job: &'a Job,
    /// The first of `near` that may have a later place beneath it.
    beneath: usize,
    /// The first of `tops` that may be a later place.
    above: usize,
}

impl Places<'_> {
    /// The next place above `offset`; calls come with ascending offsets.
    fn after(&mut self, offset: u64) -> Option<u64> {
        let &Job { size, align, .. } = self.job;
        let on = |&(top, _): &(u64, u128)| top.next_multiple_of(align);
        let under = |entry: &Entry| entry.offset.saturating_sub(size) / align * align;
        while self.tops.get(self.above).is_some_and(|top| on(top) <= offset) {
            self.above += 1;
        }
        while self.near.get(self.beneath).is_some_and(|entry| under(entry) <= offset) {
            self.beneath += 1;
        }
        let (on, under) = (self.tops.get(self.above).map(on), self.near.get(self.beneath).map(under));
        match (on, under) {
            (Some(on), Some(under)) => Some(on.min(under)),
            (on, under) => on.or(under),
        }
    }
}

/// The smallest gap between placed jobs, given by offset, or below the capacity, that fits a job; the lowest of equal
/// ones.
fn smallest_gap(near: &[Entry], job: &Job, capacity: u64) -> Option<u64> {
    let mut best: Option<(u64, u64)> = None;
    let mut from = 0u64;
    let ends = near.iter().map(|entry| (entry.offset, entry.top)).chain([(capacity, capacity)]);
    for (to, top) in ends {
        let offset = from.next_multiple_of(job.align);
        let fits = offset.saturating_add(job.size) <= to;
        if fits && best.is_none_or(|(smallest, _)| to - from < smallest) {
            best = Some((to - from, offset));
        }
        from = from.max(top);
    }
    best.map(|(_, offset)| offset)
}
