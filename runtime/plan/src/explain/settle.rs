//! Replay: buffers in order of their offsets, each as low as those before it permit.

use alloc::vec;
use alloc::vec::Vec;

use super::layout::{Layout, aligned};
use crate::heights::Heights;
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
        4 * self.order.len() as u64 * self.heights.depth()
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
