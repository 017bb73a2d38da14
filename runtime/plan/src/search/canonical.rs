//! Depth-first search for a plan within a capacity, over canonical plans only.
//!
//! A plan is *pressed* when no buffer alone can be moved to a lower place. If a capacity can be met at all, a pressed
//! plan meets it (of all that do, the one with the smallest sum of offsets), and its buffers can be placed by
//! ascending offset, each on those placed before. So a node takes a lowest open job and decides whether it lies
//! where it rests:
//!
//! ```text
//!                 d lies at its rest?
//!               yes /          \ no: refuted, so what follows holds without a decision
//!                  v            v
//!    +----+                d must lie on an open neighbour: its base goes up
//!    | d  |                to the lowest end of one
//!    +----+--+   +--+           +--+   +--+
//!    |    a  |   |b |      |    a  |   |b |
//!    +-------+---+--+      +-------+---+--+
//! ```
//!
//! * **Learning where it is hard**: see [`Rule::Failing`]; the counts outlive a search.
//! * **Deductions** after each decision: see [`State`].
//! * **Decomposition**: where no open job crosses a boundary between sections, both sides are searched alone; a side
//!   that is filled stays filled while the other is searched.
//! * **Backjumping** (Prosser 1993): a failure names the decisions that it rests on. Those that did not take part are
//!   taken back without trying their other side. Placing by offset jumps to and fro in time, so most failures have
//!   nothing to do with the decision before.
//!
//! Canonical order, section inference, the dominance that lies in "pressed" and decomposition are those of Moffitt
//! ("MiniMalloc: A Lightweight Memory Allocator for Hardware-Accelerated Machine Learning", ASPLOS 2023). Deciding
//! place by place instead of choosing among all jobs, reasons and backjumping are not.

use alloc::vec;
use alloc::vec::Vec;

use super::Fit;
use super::instance::Instance;
use super::state::{Mark, State};

/// Which of the lowest open jobs is decided first; the earlier in the order of preference on a tie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// The first in the order.
    Preferred,
    /// One that is live in the section with the most bytes still to be placed.
    Fullest,
    /// One that is live in the section that has failed most often (after Boussemart et al., ECAI 2004).
    Failing,
}

/// A node: one range of sections to fill.
struct Frame {
    /// Its open jobs in order of preference: `open[open_from..open_to]`.
    open_from: usize,
    open_to: usize,
    first: u32,
    last: u32,
    /// When the node was opened.
    opened: Mark,
    /// Before the present decision.
    decided: Mark,
    /// The job of the present decision.
    job: u32,
    /// Parts left over by the decision: `parts[parts_from..]`, searched one by one from `part`.
    parts_from: usize,
    part: usize,
    /// Whether a job has been placed and the parts are being searched.
    placed: bool,
}

/// A search of one capacity with one order of preference.
pub(super) struct Search<'a> {
    state: State<'a>,
    rule: Rule,
    frames: Vec<Frame>,
    open: Vec<u32>,
    parts: Vec<(u32, u32)>,
    nodes: u64,
}

impl<'a> Search<'a> {
    /// A search for a plan of at most `capacity` bytes; `order` holds every job once.
    pub(super) fn new(instance: &'a Instance, order: &[u32], rule: Rule, capacity: u64) -> Self {
        let state = State::new(instance, capacity);
        Self { state, rule, frames: vec![], open: order.to_vec(), parts: vec![], nodes: 0 }
    }

    /// Searches until an answer, or until `nodes` decisions are made or `work` steps, which are counted down.
    /// Failures per section are added to those of earlier searches.
    pub(super) fn run(mut self, nodes: u64, work: &mut u64, failures: &mut Vec<u32>) -> Fit {
        core::mem::swap(&mut self.state.failures, failures);
        let outcome = self.search(nodes, *work);
        core::mem::swap(&mut self.state.failures, failures);
        *work = work.saturating_sub(self.state.steps);
        match outcome {
            Some(true) => Fit::Found(self.state.offsets()),
            Some(false) => Fit::Impossible,
            None => Fit::OutOfWork,
        }
    }

    fn search(&mut self, nodes: u64, work: u64) -> Option<bool> {
        if !self.state.start() {
            return Some(false);
        }
        self.open_root();
        while self.nodes < nodes && self.state.steps < work {
            let frame = self.frames.last_mut()?;
            if frame.placed {
                if let Some(&(first, last)) = self.parts.get(frame.part) {
                    frame.part += 1;
                    self.open_node(first, last);
                } else if self.frames.len() == 1 {
                    return Some(true);
                } else {
                    // All parts are filled: so is the range of this node.
                    self.close_node();
                }
            } else if !self.decide() && !self.jump_back() {
                return Some(false);
            }
        }
        None
    }

    /// The root makes no decision: its parts are those of the problem.
    fn open_root(&mut self) {
        let sections = self.state.instance.loads.len() as u32;
        self.frames.push(Frame {
            open_from: 0,
            open_to: self.open.len(),
            first: 0,
            last: sections,
            opened: Mark::default(),
            decided: Mark::default(),
            job: 0,
            parts_from: 0,
            part: 0,
            placed: true,
        });
        self.state.parts(0, sections, &mut self.parts);
    }

    /// Opens a node for the open jobs within a part of the top node.
    fn open_node(&mut self, first: u32, last: u32) {
        let Some(parent) = self.frames.last() else { return };
        let (from, to) = (parent.open_from, parent.open_to);
        let open_from = self.open.len();
        for at in from..to {
            let job = self.open[at];
            let item = &self.state.instance.jobs[job as usize];
            if self.state.is_open(job) && first <= item.first && item.last <= last {
                self.open.push(job);
            }
        }
        self.state.steps += (to - from) as u64;
        let opened = self.state.mark();
        self.frames.push(Frame {
            open_from,
            open_to: self.open.len(),
            first,
            last,
            opened,
            decided: opened,
            job: 0,
            parts_from: self.parts.len(),
            part: self.parts.len(),
            placed: false,
        });
    }

    fn close_node(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.open.truncate(frame.open_from);
            self.parts.truncate(frame.parts_from);
        }
    }

    /// The depth of the top node's decision.
    fn depth(&self) -> usize {
        self.frames.len() - 1
    }

    /// Decides on jobs of the top node until one can be placed; false, with a conflict, when the node fails.
    fn decide(&mut self) -> bool {
        while let Some(job) = self.next_job() {
            if !self.state.rests_at_base(job) {
                if !self.state.lift_passed(job) {
                    return false;
                }
                continue;
            }
            self.nodes += 1;
            let (depth, decided) = (self.depth(), self.state.mark());
            let placed = self.state.place(job, depth);
            let Some(frame) = self.frames.last_mut() else { return false };
            (frame.decided, frame.job) = (decided, job);
            if placed {
                frame.placed = true;
                self.state.parts(frame.first, frame.last, &mut self.parts);
                return true;
            }
            self.state.take_back(decided);
            if !self.refute(job) {
                return false;
            }
        }
        false
    }

    /// The lowest open job of the top node, chosen by the rule.
    fn next_job(&mut self) -> Option<u32> {
        let frame = self.frames.last()?;
        let (state, open) = (&mut self.state, &self.open[frame.open_from..frame.open_to]);
        state.steps += open.len() as u64;
        let lowest = open.iter().map(|&job| state.base(job)).min()?;
        let mut at_lowest = open.iter().copied().filter(|&job| state.base(job) == lowest);
        match self.rule {
            Rule::Preferred => at_lowest.next(),
            Rule::Fullest => first_max(at_lowest, |job| state.most_remaining(job)),
            Rule::Failing => first_max(at_lowest, |job| state.most_failures(job)),
        }
    }

    /// Goes on with the other side of the top node's decision, which has failed and is taken back; false, with a
    /// conflict, when the other side fails as well or the decision took no part in the failure.
    fn refute(&mut self, job: u32) -> bool {
        let depth = self.depth();
        if !self.state.conflict.contains(depth) {
            return false;
        }
        self.state.conflict.remove(depth);
        self.state.pass(job)
    }

    /// Leaves the top node, which has failed, for the latest one whose decision took part in the failure and whose
    /// other side is possible; false when there is none.
    fn jump_back(&mut self) -> bool {
        loop {
            let Some(failed) = self.frames.last() else { return false };
            self.state.take_back(failed.opened);
            self.close_node();
            if self.frames.len() <= 1 {
                return false;
            }
            let Some(frame) = self.frames.last_mut() else { return false };
            frame.placed = false;
            let (job, decided) = (frame.job, frame.decided);
            self.parts.truncate(frame.parts_from);
            frame.part = frame.parts_from;
            self.state.take_back(decided);
            if self.refute(job) {
                return true;
            }
        }
    }
}

/// The first of the jobs with the largest value.
fn first_max(jobs: impl Iterator<Item = u32>, value: impl Fn(u32) -> u64) -> Option<u32> {
    let mut best: Option<(u64, u32)> = None;
    for job in jobs {
        let value = value(job);
        if best.is_none_or(|(most, _)| value > most) {
            best = Some((value, job));
        }
    }
    best.map(|(_, job)| job)
}
