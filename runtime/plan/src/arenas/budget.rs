//! What may be spent on one plan among many.

use crate::plan::Plan;
use crate::problem::Problem;
use crate::solve::{Effort, plan};

/// Steps of ruin and recreate that are always worth it: some tens of milliseconds.
const RUIN_STEPS: u64 = 5_000_000;

/// An effort in figures, so that parts of it can be spent.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    /// Pairs of buffers live together that an algorithm which looks at each pair may meet.
    pub(super) pairs: u64,
    /// Steps of the searches.
    pub(super) steps: u64,
}

impl Budget {
    pub(super) fn of(effort: Effort) -> Self {
        Self { pairs: effort.pair_budget(), steps: effort.search_work() }
    }

    /// At most this many steps.
    pub(super) fn capped(self, steps: u64) -> Self {
        Self { steps: self.steps.min(steps), ..self }
    }

    /// What each of several plans may take.
    pub(super) fn split(self, plans: u64) -> Self {
        Self { steps: self.steps / plans.max(1), ..self }
    }

    /// What ruin and recreate may take: a twentieth, and no less than what is always worth it.
    pub(super) fn ruin(self) -> Self {
        Self { steps: (self.steps / 20).max(self.steps.min(RUIN_STEPS)), ..self }
    }

    pub(super) fn solve(self, problem: &Problem) -> Plan {
        plan(problem, self.pairs, self.steps)
    }
}
