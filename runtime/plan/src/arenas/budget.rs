//! What may be spent on one plan among many.

use crate::plan::Plan;
use crate::problem::Problem;
pub(super) use crate::solve::Budget;
use crate::solve::plan;

/// Steps of ruin and recreate that are always worth it: some tens of milliseconds.
const RUIN_STEPS: u64 = 5_000_000;

impl Budget {
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
        plan(problem, self)
    }
}
