//! A plan in compressed time: what the parts of an explanation are worked out from.

use alloc::vec::Vec;

use crate::plan::Plan;
use crate::problem::Problem;
use crate::sections::{Job, Sections};

/// A problem's sections with an offset per job.
pub(super) struct Layout<'a> {
    pub(super) problem: &'a Problem,
    pub(super) sections: &'a Sections,
    /// Offset of each job.
    pub(super) offsets: Vec<u64>,
}

impl<'a> Layout<'a> {
    pub(super) fn of(problem: &'a Problem, sections: &'a Sections, plan: &Plan) -> Self {
        let offset = |job: &Job| plan.offsets.get(job.buffer as usize).copied().unwrap_or(0);
        let offsets = sections.jobs.iter().map(offset).collect();
        Self { problem, sections, offsets }
    }

    pub(super) fn jobs(&self) -> &[Job] {
        &self.sections.jobs
    }

    /// The first byte after a job.
    pub(super) fn end(&self, job: usize) -> u64 {
        self.offsets[job].saturating_add(self.sections.jobs[job].size)
    }
}

/// The first multiple of `align` from `bytes` on. Offsets of a valid plan are never so large that there is none.
pub(super) fn aligned(bytes: u64, align: u64) -> u64 {
    bytes.checked_next_multiple_of(align).unwrap_or(u64::MAX)
}
