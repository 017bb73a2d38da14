//! Replay: buffers in order of their offsets, each as low as those before it permit.

use alloc::vec;
use alloc::vec::Vec;

use super::layout::{Layout, aligned};
use crate::sections::Job;

/// The order of a layout's offsets, ready to be replayed, with or without one of its buffers.
///
/// ```text
///  a plan                 settled                 without b
///  +--+  +----+           +--+
///  |c |  | d  |           |c |                    +--+ +----+
///  +--++ +----+           +--++ +----+            |c | | d  |
///  | b |                  | b | | d  |            +--+ +----+
///  +---+-+                +---+-+----+            +-----+
///  |  a  |                |  a  |                 |  a  |
///  +-----+---->           +-----+---->            +-----+---->
/// ```
///
/// By induction over the order no buffer comes to lie higher than in the plan, so the result is a valid plan with no
/// larger peak; fixed buffers stay where they are, and whatever lay beneath them still does. (The canonical order is
/// that of Moffitt's minimalloc, ASPLOS 2023.)
pub(super) struct Replay<'a> {
    layout: &'a Layout<'a>,
    order: Vec<u32>,
    heights: Heights,
}

impl<'a> Replay<'a> {
    pub(super) fn new(layout: &'a Layout<'a>) -> Self {
        let mut order: Vec<u32> = (0..layout.offsets.len() as u32).collect();
        order.sort_unstable_by_key(|&job| (layout.offsets[job as usize], job));
        Self { layout, order, heights: Heights::new(layout.sections.len() as usize) }
    }

    /// Steps that one replay takes, about: nodes of the tree of heights that are looked at.
    pub(super) fn cost(&self) -> u64 {
        4 * self.order.len() as u64 * u64::from(self.heights.leaves.ilog2() + 1)
    }

    /// The peak of all jobs but one, settled.
    pub(super) fn peak_without(&mut self, job: Option<u32>) -> u64 {
        let mut peak = 0;
        self.run(job, |_, end| peak = peak.max(end));
        peak
    }

    /// The offsets of all jobs, settled.
    pub(super) fn offsets(&mut self) -> Vec<u64> {
        let jobs = self.layout.jobs();
        let mut offsets = vec![0; jobs.len()];
        self.run(None, |job, end| offsets[job as usize] = end.saturating_sub(jobs[job as usize].size));
        offsets
    }

    fn run(&mut self, without: Option<u32>, mut placed: impl FnMut(u32, u64)) {
        self.heights.clear();
        for &job in self.order.iter().filter(|&&job| Some(job) != without) {
            let own: &Job = &self.layout.jobs()[job as usize];
            let range = (own.first as usize, own.last as usize);
            let lowest = || aligned(self.heights.highest(range), own.align);
            let end = own.fixed.unwrap_or_else(lowest).saturating_add(own.size);
            self.heights.raise(range, end);
            placed(job, end);
        }
    }
}

/// How high each section is filled: a binary tree, leaf i is `leaves + i`, node k has children 2k and 2k + 1. Ranges are
/// only ever raised, so a height put on an inner node need not be handed down: whoever asks looks at the nodes above.
struct Heights {
    leaves: usize,
    /// The highest leaf below each node.
    most: Vec<u64>,
    /// What all leaves below each node have at least.
    least: Vec<u64>,
}

impl Heights {
    fn new(sections: usize) -> Self {
        let leaves = sections.next_power_of_two();
        Self { leaves, most: vec![0; 2 * leaves], least: vec![0; 2 * leaves] }
    }

    fn clear(&mut self) {
        self.most.fill(0);
        self.least.fill(0);
    }

    fn highest(&self, (first, last): (usize, usize)) -> u64 {
        let mut highest = 0;
        each_node(self.leaves, first, last, |node| highest = highest.max(self.most[node]));
        for leaf in [first, last - 1] {
            let mut node = (self.leaves + leaf) / 2;
            while node > 0 {
                highest = highest.max(self.least[node]);
                node /= 2;
            }
        }
        highest
    }

    fn raise(&mut self, (first, last): (usize, usize), height: u64) {
        each_node(self.leaves, first, last, |node| {
            self.most[node] = self.most[node].max(height);
            self.least[node] = self.least[node].max(height);
        });
        for leaf in [first, last - 1] {
            let mut node = (self.leaves + leaf) / 2;
            while node > 0 {
                self.most[node] = self.most[node].max(height);
                node /= 2;
            }
        }
    }
}

/// The fewest nodes whose leaves are those from `first` to before `last`.
fn each_node(leaves: usize, first: usize, last: usize, mut visit: impl FnMut(usize)) {
    let (mut low, mut high) = (first + leaves, last + leaves);
    while low < high {
        if low % 2 == 1 {
            visit(low);
            low += 1;
        }
        if high % 2 == 1 {
            high -= 1;
            visit(high);
        }
        (low, high) = (low / 2, high / 2);
    }
}
