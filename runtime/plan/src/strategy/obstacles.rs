//! Jobs with fixed offsets as obstacles in the way of a rising skyline.

use alloc::vec::Vec;

use crate::sections::{Job, Sections};

/// Jobs that a skyline may look at in vain, for each job to be placed: near an obstacle most may be too large.
const PATIENCE: usize = 64;

/// The fixed jobs that lie above the skyline.
///
/// ```text
///        +-----------+                What is placed ends below the obstacles over its sections. When
///        | obstacle  |   +---         nothing more fits into the lowest plateau, the part of it that lies
///   --+  +-----------+   |            beneath the lowest obstacle is raised to that one's upper end,
///     |   ^ room         |            unless a neighbour is lower.
///     +------------------+
/// ```
pub(super) struct Obstacles<'a> {
    /// By offset.
    ahead: Vec<(u64, &'a Job)>,
    /// Those before this one have been passed everywhere.
    passed: usize,
    /// Bytes of the largest job that is not fixed.
    largest: u64,
    grain: u64,
    /// Jobs that may still be looked at in vain.
    pub(super) patience: usize,
}

impl<'a> Obstacles<'a> {
    pub(super) fn of(sections: &'a Sections) -> Self {
        let jobs = &sections.jobs;
        let mut ahead: Vec<(u64, &Job)> = jobs.iter().filter_map(|job| Some((job.fixed?, job))).collect();
        ahead.sort_unstable_by_key(|&(from, job)| (from, job.buffer));
        let movable = jobs.iter().filter(|job| job.fixed.is_none());
        Self {
            ahead,
            passed: 0,
            largest: movable.map(|job| job.size + job.align - 1).max().unwrap_or(0),
            grain: sections.grain,
            patience: PATIENCE.saturating_mul(jobs.len()),
        }
    }

    /// Tells that the whole skyline is at `height` or above.
    pub(super) fn rise_to(&mut self, height: u64) {
        while self.ahead.get(self.passed).is_some_and(|&(from, _)| from < height) {
            self.passed += 1;
        }
    }

    /// Whether one may be in the way of a job placed on a plateau at `height`.
    pub(super) fn near(&self, first: u32, last: u32, height: u64) -> bool {
        self.lowest(first, last, height + self.largest).is_some()
    }

    /// Whether a job fits beneath those over its sections.
    pub(super) fn leave_room(&self, job: &Job, height: u64) -> bool {
        let end = height.next_multiple_of(job.align) + job.size;
        self.lowest(job.first, job.last, end).is_none()
    }

    /// The part `(first, last)` of a plateau that lies beneath the lowest obstacle over it, and the height above
    /// that, if the obstacle begins below `neighbour`.
    pub(super) fn next(&self, first: u32, last: u32, neighbour: u64) -> Option<(u32, u32, u64)> {
        let &(from, job) = self.lowest(first, last, neighbour)?;
        let above = (from + job.size).next_multiple_of(self.grain);
        Some((first.max(job.first), last.min(job.last), above))
    }

    /// The lowest over sections `[first, last)` that begins below `end`.
    fn lowest(&self, first: u32, last: u32, end: u64) -> Option<&(u64, &'a Job)> {
        let ahead = self.ahead[self.passed..].iter().take_while(|&&(from, _)| from < end);
        ahead.into_iter().find(|&&(_, job)| job.first < last && first < job.last)
    }
}
