//! Depth-first search for a plan within a capacity, over canonical plans only.
//!
//! A plan is *pressed* when no buffer can move down alone. If a capacity can be met at all, a pressed plan
//! meets it, and placing its buffers by ascending (offset, rank) puts each at its *base*: the lowest
//! aligned offset above every placed buffer that lives with it. So a node of the search places one job at its
//! base, never below or before the last one placed.
//!
//! ```text
//!   capacity ----------------------------------------
//!              remaining[s]: sizes to be placed          a section fails when its lowest
//!        ^     +---+                                     possible base + remaining > capacity
//!        |  +--+   +----+      +--+
//!        |  |  |   |    +------+  |  placed
//!        +--+--+---+----+------+--+---->  sections
//! ```
//!
//! What keeps the tree small (Moffitt, "MiniMalloc", ASPLOS 2023):
//! * section inference: all that is still to be placed in a section lies above the lowest base of those jobs,
//!   and not below the last offset;
//! * dominance: a job whose base is not below `base + size` of another open job would leave room in which that
//!   one could be put, so the plan would not be pressed;
//! * a job that shares no section with an open one has no alternative to its base;
//! * a job passed over at its base must be lifted by an open neighbour before it can be placed;
//! * a job with a fixed offset has that as its base: it can only be placed there, whoever lifts it fails, and
//!   the bases of its neighbours leave room for it;
//! * where no open job crosses a boundary between sections, both sides are searched alone.

use alloc::vec;
use alloc::vec::Vec;

use super::instance::Instance;
use crate::sections::Job;

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Every job has an offset within the capacity.
    Found,
    /// No plan fits the capacity.
    Impossible,
    /// The work allowed was used up before an answer.
    OutOfWork,
}

/// Where the latest placement stands in the canonical order.
type Position = (u64, u32);

/// What to restore when a placement is taken back, latest first.
enum Undo {
    Placed(u32),
    Floor(u32, u64),
    Base(u32, u64),
}

/// A node: one range of sections to fill, and the choices left for its next job.
struct Frame {
    first: u32,
    last: u32,
    /// Its open jobs: `open[open_from..open_to]`.
    open_from: usize,
    open_to: usize,
    /// Its choices still to be tried: `choices[choice..choice_to]`.
    choices_from: usize,
    choice: usize,
    choice_to: usize,
    /// Ranges left over by the current choice: `ranges[range..]`, searched one by one.
    ranges_from: usize,
    range: usize,
    /// Length of the trail before the current choice.
    trail: usize,
    /// The current choice's place in the order.
    position: Position,
    /// The current choice shares no section with an open job: if it fails, so does the node.
    last_choice: bool,
    /// Whether a choice has been made and its ranges are being searched.
    chosen: bool,
}

/// The state of one search.
pub(super) struct Search<'a> {
    instance: &'a Instance,
    capacity: u64,
    rank: &'a [u32],
    /// Base of open jobs, offset of placed ones.
    base: Vec<u64>,
    placed: Vec<bool>,
    /// Open jobs that share a section, per job.
    open_neighbours: Vec<u32>,
    /// Top of the placed jobs per section.
    floor: Vec<u64>,
    /// Sum of the open sizes per section.
    remaining: Vec<u64>,
    /// Open jobs live in both section s - 1 and s.
    crossing: Vec<u32>,
    /// Per section an open job whose base was low enough when last looked at.
    watch: Vec<u32>,
    trail: Vec<Undo>,
    frames: Vec<Frame>,
    open: Vec<u32>,
    choices: Vec<(u64, u32, u32)>,
    ranges: Vec<(u32, u32)>,
    /// Steps left of the work allowed.
    pub(super) work: u64,
}

impl<'a> Search<'a> {
    /// A search for a plan of at most `capacity` bytes that prefers low `rank`s.
    pub(super) fn new(instance: &'a Instance, rank: &'a [u32], capacity: u64, work: u64) -> Self {
        let (jobs, sections) = (instance.jobs.len(), instance.loads.len());
        let mut crossing = vec![0; sections + 1];
        for job in &instance.jobs {
            for boundary in job.first + 1..job.last {
                crossing[boundary as usize] += 1;
            }
        }
        Self {
            instance,
            capacity,
            rank,
            base: (0..jobs as u32).map(|job| instance.free_from(job, 0).unwrap_or(0)).collect(),
            placed: vec![false; jobs],
            open_neighbours: (0..jobs).map(|job| instance.neighbours(job as u32).len() as u32).collect(),
            floor: vec![0; sections],
            remaining: instance.loads.clone(),
            crossing,
            watch: (0..sections).map(|s| instance.live_in(s as u32)[0]).collect(),
            trail: vec![],
            frames: vec![],
            open: vec![],
            choices: vec![],
            ranges: vec![],
            work,
        }
    }

    /// The offsets of all jobs; meaningful after [`Outcome::Found`].
    pub(super) fn offsets(self) -> Vec<u64> {
        self.base
    }

    /// Searches until an answer or until the work allowed is used up.
    pub(super) fn run(&mut self) -> Outcome {
        let too_large = |&load: &u64| load > self.capacity;
        let too_high = |(job, base): (&Job, &u64)| base + job.size > self.capacity;
        let instance = self.instance;
        if instance.loads.iter().any(too_large) || instance.jobs.iter().zip(&self.base).any(too_high) {
            return Outcome::Impossible;
        }
        // The root has no choice of its own: its ranges are the independent parts of the problem.
        self.frames.push(Frame {
            first: 0,
            last: self.instance.loads.len() as u32,
            open_from: 0,
            open_to: self.instance.jobs.len(),
            choices_from: 0,
            choice: 0,
            choice_to: 0,
            ranges_from: 0,
            range: 0,
            trail: 0,
            position: (0, 0),
            last_choice: true,
            chosen: true,
        });
        self.open.extend(0..self.instance.jobs.len() as u32);
        self.split(0, self.instance.loads.len() as u32);
        loop {
            if self.work == 0 {
                return Outcome::OutOfWork;
            }
            let Some(frame) = self.frames.last_mut() else { return Outcome::Impossible };
            if frame.chosen {
                if frame.range < self.ranges.len() {
                    let (first, last) = self.ranges[frame.range];
                    frame.range += 1;
                    self.enter(first, last);
                } else if self.frames.len() == 1 {
                    return Outcome::Found;
                } else {
                    // All ranges are filled: so is the one this node stands for.
                    self.leave();
                }
            } else if !self.choose() {
                self.leave();
                self.fail_choice();
            }
        }
    }

    /// Opens a node for the open jobs within a range of sections.
    fn enter(&mut self, first: u32, last: u32) {
        let Some(parent) = self.frames.last() else { return };
        let (from, to, position) = (parent.open_from, parent.open_to, parent.position);
        let root = self.frames.len() == 1;
        let (open_from, choices_from) = (self.open.len(), self.choices.len());
        let mut lid = u64::MAX;
        for at in from..to {
            let job = self.open[at];
            let item = &self.instance.jobs[job as usize];
            if !self.placed[job as usize] && first <= item.first && item.last <= last {
                self.open.push(job);
                lid = lid.min(self.base[job as usize] + item.size);
            }
        }
        let fullest = self.remaining[first as usize..last as usize].iter().copied().max().unwrap_or(0);
        // All sections of the range are filled from the next offset on, so it cannot be above this.
        let highest = self.capacity - fullest;
        for at in open_from..self.open.len() {
            let job = self.open[at];
            let choice = (self.base[job as usize], self.rank[job as usize]);
            if choice.0 < lid && choice.0 <= highest && (root || choice > position) {
                self.choices.push((choice.0, choice.1, job));
            }
        }
        self.choices[choices_from..].sort_unstable();
        self.work = self.work.saturating_sub((to - from + (last - first) as usize) as u64 + 1);
        self.frames.push(Frame {
            first,
            last,
            open_from,
            open_to: self.open.len(),
            choices_from,
            choice: choices_from,
            choice_to: self.choices.len(),
            ranges_from: self.ranges.len(),
            range: self.ranges.len(),
            trail: self.trail.len(),
            position,
            last_choice: false,
            chosen: false,
        });
    }

    /// Makes the next choice of the top node that passes the checks; false when there is none.
    fn choose(&mut self) -> bool {
        while let Some(frame) = self.frames.last_mut() {
            if frame.choice == frame.choice_to || frame.last_choice {
                return false;
            }
            let (offset, rank, job) = self.choices[frame.choice];
            frame.choice += 1;
            frame.position = (offset, rank);
            frame.last_choice = self.open_neighbours[job as usize] == 0;
            frame.trail = self.trail.len();
            let (first, last, trail) = (frame.first, frame.last, frame.trail);
            if self.place(job) && self.passed_over_fit() {
                if let Some(frame) = self.frames.last_mut() {
                    frame.chosen = true;
                }
                self.split(first, last);
                return true;
            }
            self.take_back(trail);
        }
        false
    }

    /// Closes the top node, keeping what it placed.
    fn leave(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.open.truncate(frame.open_from);
            self.choices.truncate(frame.choices_from);
            self.ranges.truncate(frame.ranges_from);
        }
    }

    /// Takes back the choice of the top node, one of whose ranges cannot be filled.
    fn fail_choice(&mut self) {
        let Some(frame) = self.frames.last_mut() else { return };
        frame.chosen = false;
        frame.range = frame.ranges_from;
        let (trail, ranges, root) = (frame.trail, frame.ranges_from, self.frames.len() == 1);
        self.ranges.truncate(ranges);
        self.take_back(trail);
        if root {
            self.frames.clear();
        }
    }

    /// Places a job at its base and updates what depends on it; false when a section or a job no longer
    /// fits. The trail holds what was done either way.
    fn place(&mut self, job: u32) -> bool {
        let instance = self.instance;
        let item = &instance.jobs[job as usize];
        let top = self.base[job as usize] + item.size;
        self.placed[job as usize] = true;
        self.trail.push(Undo::Placed(job));
        for section in item.first..item.last {
            self.trail.push(Undo::Floor(section, self.floor[section as usize]));
            self.floor[section as usize] = top;
            self.remaining[section as usize] -= item.size;
        }
        for boundary in item.first + 1..item.last {
            self.crossing[boundary as usize] -= 1;
        }
        let mut fits = true;
        for &other in instance.neighbours(job) {
            self.open_neighbours[other as usize] -= 1;
            if self.placed[other as usize] {
                continue;
            }
            let lifted = &instance.jobs[other as usize];
            if top <= self.base[other as usize] {
                continue;
            }
            let Some(base) = instance.free_from(other, top) else {
                fits = false;
                continue;
            };
            self.trail.push(Undo::Base(other, self.base[other as usize]));
            self.base[other as usize] = base;
            fits &= base + lifted.size <= self.capacity;
        }
        self.work = self.work.saturating_sub(instance.neighbours(job).len() as u64);
        fits && self.sections_fit()
    }

    /// Whether each section of the top node's range has an open job that can lie low enough for all of its
    /// open jobs to fit above.
    fn sections_fit(&mut self) -> bool {
        let Some(frame) = self.frames.last() else { return false };
        let (sections, position) = (frame.first..frame.last, frame.position);
        for section in sections {
            let remaining = self.remaining[section as usize];
            if remaining == 0 {
                continue;
            }
            if self.floor[section as usize] + remaining > self.capacity {
                return false;
            }
            let highest = self.capacity - remaining;
            if self.lies_low(self.watch[section as usize], position, highest) {
                continue;
            }
            self.work = self.work.saturating_sub(8);
            let live = self.instance.live_in(section);
            match live.iter().find(|&&job| self.lies_low(job, position, highest)) {
                Some(&job) => self.watch[section as usize] = job,
                None => return false,
            }
        }
        true
    }

    /// Whether a job is open and may yet come to lie at `highest` or below.
    fn lies_low(&self, job: u32, position: Position, highest: u64) -> bool {
        if self.placed[job as usize] {
            return false;
        }
        let base = self.base[job as usize];
        if (base, self.rank[job as usize]) > position {
            return base <= highest;
        }
        // Passed over: it will rest on an open neighbour, which lies at the latest offset or above.
        position.0 + self.instance.smallest_neighbour[job as usize] <= highest
    }

    /// Whether every open job of the top node that has been passed over has an open neighbour to lift it, and
    /// room above that.
    fn passed_over_fit(&self) -> bool {
        let Some(frame) = self.frames.last() else { return false };
        let position = frame.position;
        self.open[frame.open_from..frame.open_to].iter().all(|&job| {
            let base = self.base[job as usize];
            if self.placed[job as usize] || (base, self.rank[job as usize]) > position {
                return true;
            }
            let item = &self.instance.jobs[job as usize];
            // What is fixed is not lifted. A pressed plan has the neighbour that lifts it in the way of its base.
            item.fixed.is_none()
                && self.open_neighbours[job as usize] > 0
                && position.0 < base + item.size
                && position.0 + self.instance.smallest_neighbour[job as usize] + item.size <= self.capacity
        })
    }

    /// Undoes placements until the trail has the given length.
    fn take_back(&mut self, length: usize) {
        while self.trail.len() > length {
            match self.trail.pop() {
                Some(Undo::Floor(section, floor)) => self.floor[section as usize] = floor,
                Some(Undo::Base(job, base)) => self.base[job as usize] = base,
                Some(Undo::Placed(job)) => {
                    self.placed[job as usize] = false;
                    let item = &self.instance.jobs[job as usize];
                    for section in item.first..item.last {
                        self.remaining[section as usize] += item.size;
                    }
                    for boundary in item.first + 1..item.last {
                        self.crossing[boundary as usize] += 1;
                    }
                    for &other in self.instance.neighbours(job) {
                        self.open_neighbours[other as usize] += 1;
                    }
                }
                None => {}
            }
        }
    }

    /// Pushes the parts of `[first, last)` that have open jobs and that no open job joins.
    fn split(&mut self, first: u32, last: u32) {
        let mut from = first;
        for boundary in first + 1..=last {
            if boundary == last || self.crossing[boundary as usize] == 0 {
                if self.remaining[from as usize..boundary as usize].iter().any(|&bytes| bytes > 0) {
                    self.ranges.push((from, boundary));
                }
                from = boundary;
            }
        }
    }
}
