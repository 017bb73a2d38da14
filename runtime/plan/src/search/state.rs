//! A partial plan, and what follows from it for the jobs that are still open.
//!
//! ```text
//!   capacity -------------------------------------------
//!     ^                           +------+
//!     |  remaining[s]: sizes of   |  b   |  base[b]: b lies there or above
//!     |  the open jobs of s    .  +------+
//!     |        +---+           .
//!     |     +--+   +----+      .  +--+       rest[b]: where b would lie on
//!     |     |  |   |    +------.--+  |  <--  what has been placed
//!     +-----+--+---+----+------s--+--+----> sections
//! ```
//!
//! Deductions, repeated until nothing changes:
//! * some open job of a section lies at `capacity - remaining` or below, its *latest* start: with no such
//!   candidate there is no plan; with one alone, that one is the lowest of the section, and all others lie above
//!   it (both are the first steps of edge finding on one machine, Carlier and Pinson 1989);
//! * a job that is open and does not lie at its rest is kept from it by an open neighbour, else the plan would not
//!   be pressed: it lies above the lowest end of one.
//!
//! Each base knows the decisions that it rests on, and so does each failure.

use alloc::vec;
use alloc::vec::Vec;

use super::decisions::{Decisions, Reasons};
use super::instance::Instance;

/// No job.
const NONE: u32 = u32::MAX;

/// What to restore when a deduction is taken back, latest first.
enum Undo {
    Placed(u32),
    Rest(u32, u64),
    Base(u32, u64, u32),
}

/// A point in the search to return to.
#[derive(Clone, Copy, Default)]
pub(super) struct Mark {
    trail: usize,
    reasons: usize,
}

pub(super) struct State<'a> {
    pub(super) instance: &'a Instance,
    capacity: u64,
    /// No plan with the decisions made has an open job below this. Offset of placed jobs.
    base: Vec<u64>,
    /// Lowest offset above the placed neighbours that leaves room for fixed ones; not above `base`.
    rest: Vec<u64>,
    /// What `base` rests on.
    why: Vec<u32>,
    placed: Vec<bool>,
    /// Sum of the open sizes per section.
    remaining: Vec<u64>,
    /// Open jobs live in both section s - 1 and s.
    crossing: Vec<u32>,
    /// Two candidates for the lowest open job per section, when last looked at.
    watch: Vec<[u32; 2]>,
    /// How often each section has had no candidate.
    pub(super) failures: Vec<u32>,
    /// Sections with jobs whose base has changed.
    touched: (u32, u32),
    reasons: Reasons,
    trail: Vec<Undo>,
    /// After a failure: the decisions that exclude each other.
    pub(super) conflict: Decisions,
    /// Steps made: jobs and sections looked at.
    pub(super) steps: u64,
}

impl<'a> State<'a> {
    /// Nothing placed.
    pub(super) fn new(instance: &'a Instance, capacity: u64) -> Self {
        let (jobs, sections) = (instance.jobs.len(), instance.loads.len());
        let mut crossing = vec![0; sections + 1];
        for job in &instance.jobs {
            for boundary in job.first + 1..job.last {
                crossing[boundary as usize] += 1;
            }
        }
        let lowest = |job| instance.free_from(job, 0).unwrap_or(0);
        let base = Vec::from_iter((0..jobs as u32).map(lowest));
        Self {
            instance,
            capacity,
            rest: base.clone(),
            base,
            why: vec![Reasons::NONE; jobs],
            placed: vec![false; jobs],
            remaining: instance.loads.clone(),
            crossing,
            watch: vec![[NONE; 2]; sections],
            failures: vec![0; sections],
            touched: (0, sections as u32),
            reasons: Reasons::new(),
            trail: vec![],
            conflict: Decisions::default(),
            steps: 0,
        }
    }

    /// The offsets of all jobs, when all are placed.
    pub(super) fn offsets(self) -> Vec<u64> {
        self.base
    }

    pub(super) fn base(&self, job: u32) -> u64 {
        self.base[job as usize]
    }

    pub(super) fn is_open(&self, job: u32) -> bool {
        !self.placed[job as usize]
    }

    /// Whether a job lies at its base if it lies on what has been placed.
    pub(super) fn rests_at_base(&self, job: u32) -> bool {
        self.base[job as usize] == self.rest[job as usize]
    }

    /// The most bytes still to be placed in one section of a job.
    pub(super) fn most_remaining(&self, job: u32) -> u64 {
        self.most(&self.remaining, job)
    }

    /// The most failures in one section of a job.
    pub(super) fn most_failures(&self, job: u32) -> u64 {
        self.most(&self.failures, job).into()
    }

    fn most<T: Copy + Ord + Default>(&self, per_section: &[T], job: u32) -> T {
        let item = &self.instance.jobs[job as usize];
        per_section[item.first as usize..item.last as usize].iter().copied().max().unwrap_or_default()
    }

    /// The parts of `[first, last)` that have open jobs and that no open job joins.
    pub(super) fn parts(&self, first: u32, last: u32, parts: &mut Vec<(u32, u32)>) {
        let mut from = first;
        for boundary in first + 1..=last {
            if boundary == last || self.crossing[boundary as usize] == 0 {
                if self.remaining[from as usize..boundary as usize].iter().any(|&bytes| bytes > 0) {
                    parts.push((from, boundary));
                }
                from = boundary;
            }
        }
    }

    /// The first deductions; false when there is no plan.
    pub(super) fn start(&mut self) -> bool {
        let fits = |job: u32| self.fits(job);
        (0..self.instance.jobs.len() as u32).all(fits) && self.deduce()
    }

    /// Decides, as the decision of this depth, that a job lies on what has been placed; false when no plan is left.
    pub(super) fn place(&mut self, job: u32, depth: usize) -> bool {
        let instance = self.instance;
        let item = &instance.jobs[job as usize];
        let top = self.base[job as usize] + item.size;
        self.placed[job as usize] = true;
        self.trail.push(Undo::Placed(job));
        if item.fixed.is_none() {
            let mut why = *self.reasons.get(self.why[job as usize]);
            why.insert(depth);
            self.trail.push(Undo::Base(job, self.base[job as usize], self.why[job as usize]));
            self.why[job as usize] = self.reasons.push(why);
        }
        for section in item.first..item.last {
            self.remaining[section as usize] -= item.size;
        }
        for boundary in item.first + 1..item.last {
            self.crossing[boundary as usize] -= 1;
        }
        self.touched = (item.first, item.last);
        self.lift_neighbours(job, top) && self.deduce()
    }

    /// Puts the open neighbours of a placed job above its top.
    fn lift_neighbours(&mut self, job: u32, top: u64) -> bool {
        let instance = self.instance;
        let offset = self.base(job);
        self.steps += instance.neighbours(job).len() as u64;
        for &other in instance.neighbours(job) {
            if self.placed[other as usize] || top <= self.rest[other as usize] {
                continue;
            }
            // What is too large to lie below the job lies above it, everything else because of its base.
            let mut why = self.why[job as usize];
            if instance.jobs[other as usize].size <= offset && top > self.base(other) {
                why = self.union(why, self.why[other as usize]);
            }
            if !self.lift(other, top, why) {
                return false;
            }
            if let Some(rest) = instance.free_from(other, top) {
                self.trail.push(Undo::Rest(other, self.rest[other as usize]));
                self.rest[other as usize] = rest;
            }
        }
        true
    }

    /// The number of the union of two sets of decisions.
    fn union(&mut self, a: u32, b: u32) -> u32 {
        let mut decisions = *self.reasons.get(a);
        decisions.add(self.reasons.get(b));
        self.reasons.push(decisions)
    }

    /// Decides that a job does not lie on what has been placed, because the decisions in `conflict` exclude it;
    /// false when no plan is left.
    pub(super) fn pass(&mut self, job: u32) -> bool {
        let mut why = self.conflict;
        why.add(self.reasons.get(self.why[job as usize]));
        let why = self.reasons.push(why);
        self.lift(job, self.base[job as usize] + 1, why) && self.lift_passed(job)
    }

    /// Lifts a job that cannot lie at its rest above the lowest end of an open neighbour, and deduces what follows;
    /// false when no plan is left.
    pub(super) fn lift_passed(&mut self, job: u32) -> bool {
        let instance = self.instance;
        self.steps += instance.neighbours(job).len() as u64;
        let rest_end = self.rest[job as usize] + instance.jobs[job as usize].size;
        let (mut lowest_end, mut kept_away) = (u64::MAX, false);
        for &other in instance.neighbours(job) {
            if self.is_open(other) {
                kept_away |= self.base(other) < rest_end;
                lowest_end = lowest_end.min(self.base(other) + instance.jobs[other as usize].size);
            }
        }
        if kept_away && lowest_end <= self.base(job) {
            return self.deduce();
        }
        // Neighbours that are larger than the new base need no decision to end above it.
        let needs_reason = |&&other: &&u32| {
            !(kept_away && self.is_open(other) && instance.jobs[other as usize].size >= lowest_end)
        };
        let mut why = *self.reasons.get(self.why[job as usize]);
        for &other in instance.neighbours(job).iter().filter(needs_reason) {
            why.add(self.reasons.get(self.why[other as usize]));
        }
        if !kept_away {
            self.conflict = why;
            return false;
        }
        let why = self.reasons.push(why);
        self.lift(job, lowest_end, why) && self.deduce()
    }

    /// Raises the base of a job to the first place at `from` or above; false when that is too high.
    fn lift(&mut self, job: u32, from: u64, why: u32) -> bool {
        if from <= self.base[job as usize] {
            return true;
        }
        let base = self.instance.free_from(job, from);
        self.trail.push(Undo::Base(job, self.base[job as usize], self.why[job as usize]));
        self.why[job as usize] = why;
        self.base[job as usize] = base.unwrap_or(u64::MAX >> 1);
        let item = &self.instance.jobs[job as usize];
        self.touched = (self.touched.0.min(item.first), self.touched.1.max(item.last));
        let fits = base.is_some() && self.fits(job);
        if !fits {
            self.conflict = *self.reasons.get(why);
        }
        fits
    }

    fn fits(&self, job: u32) -> bool {
        let item = &self.instance.jobs[job as usize];
        self.base(job) + item.size <= self.capacity + self.instance.padding[job as usize]
    }

    /// Looks at the sections touched until nothing changes; false when no plan is left.
    fn deduce(&mut self) -> bool {
        while self.touched.0 < self.touched.1 {
            let (first, last) = core::mem::replace(&mut self.touched, (NONE, 0));
            self.steps += u64::from(last - first);
            for section in first..last {
                if self.remaining[section as usize] > 0 && !self.deduce_lowest(section) {
                    self.failures[section as usize] = self.failures[section as usize].saturating_add(1);
                    self.touched = (NONE, 0);
                    return false;
                }
            }
        }
        true
    }

    /// What follows from the candidates for the lowest open job of a section.
    fn deduce_lowest(&mut self, section: u32) -> bool {
        let at = section as usize;
        let instance = self.instance;
        // Of the topmost job's padding none need lie within the capacity.
        let highest_end = self.capacity + instance.most_padding[at];
        let remaining = self.remaining[at];
        if remaining > highest_end {
            self.conflict = self.reason_of(section);
            return false;
        }
        let latest = highest_end - remaining;
        let candidate = |job: u32| job != NONE && self.is_open(job) && self.base(job) <= latest;
        if self.watch[at].into_iter().all(candidate) {
            return true;
        }
        let live = instance.live_in(section);
        let mut candidates = live.iter().copied().filter(|&job| candidate(job));
        let (lowest, second) = (candidates.next(), candidates.next());
        self.steps += live.len() as u64;
        let Some(lowest) = lowest else {
            self.conflict = self.reason_of(section);
            return false;
        };
        self.watch[at] = [lowest, second.unwrap_or(NONE)];
        second.is_some() || self.lift_all_but(lowest, section)
    }

    /// Puts all open jobs of a section above the one that must be its lowest.
    fn lift_all_but(&mut self, lowest: u32, section: u32) -> bool {
        let end = self.base(lowest) + self.instance.jobs[lowest as usize].size;
        let mut why = None;
        for &job in self.instance.live_in(section) {
            if job == lowest || !self.is_open(job) || self.base(job) >= end {
                continue;
            }
            let reason = match why {
                Some(reason) => reason,
                None => {
                    let decisions = self.reason_of(section);
                    self.reasons.push(decisions)
                }
            };
            why = Some(reason);
            if !self.lift(job, end, reason) {
                return false;
            }
        }
        true
    }

    /// What the bases of a section's open jobs rest on.
    fn reason_of(&self, section: u32) -> Decisions {
        let mut decisions = Decisions::default();
        let mut last = Reasons::NONE;
        for &job in self.instance.live_in(section) {
            let why = self.why[job as usize];
            // Jobs lifted together share a reason.
            if self.is_open(job) && why != last {
                decisions.add(self.reasons.get(why));
                last = why;
            }
        }
        decisions
    }

    /// Where to return to.
    pub(super) fn mark(&self) -> Mark {
        Mark { trail: self.trail.len(), reasons: self.reasons.len() }
    }

    /// Takes back what was done since a mark; the conflict stays.
    pub(super) fn take_back(&mut self, mark: Mark) {
        while self.trail.len() > mark.trail {
            match self.trail.pop() {
                Some(Undo::Base(job, base, why)) => {
                    (self.base[job as usize], self.why[job as usize]) = (base, why);
                }
                Some(Undo::Rest(job, rest)) => self.rest[job as usize] = rest,
                Some(Undo::Placed(job)) => {
                    self.placed[job as usize] = false;
                    let item = &self.instance.jobs[job as usize];
                    for section in item.first..item.last {
                        self.remaining[section as usize] += item.size;
                    }
                    for boundary in item.first + 1..item.last {
                        self.crossing[boundary as usize] += 1;
                    }
                }
                None => {}
            }
        }
        self.reasons.truncate(mark.reasons);
        self.touched = (NONE, 0);
    }
}
