//! The portfolio: strategies in turn until one meets the bound, the best of them taken.

use crate::bound::{aligned_max_live, max_live};
use crate::plan::{Plan, Status};
use crate::problem::Problem;
use crate::sections::Sections;
use crate::strategy::{STRATEGIES, Strategy};

/// How much work [`solve`] may do. Work is counted, never timed, so a plan is the same everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Effort {
    /// Milliseconds on the graphs of today's models: strategies whose cost grows with the square of the
    /// number of live buffers are left out where they would take longer.
    #[default]
    Normal,
    /// Seconds: a wider range of strategies on large problems.
    High,
}

impl Effort {
    /// Pairs of buffers live together that a strategy which looks at each pair may meet.
    const fn pair_budget(self) -> u64 {
        match self {
            Self::Normal => 2_000_000,
            Self::High => 400_000_000,
        }
    }
}

/// Plans a problem: each strategy of the table in turn, stopping at the first plan that meets the bound;
/// otherwise the plan with the smallest peak, the earlier strategy on a tie. The result is always a valid
/// plan; callers who hand it on still pass it through [`validate`](crate::validate).
pub fn solve(problem: &Problem, effort: Effort) -> Plan {
    let sections = Sections::of(problem);
    let mut best: Option<Plan> = None;
    for strategy in STRATEGIES {
        if strategy.pairwise && sections.pairs > effort.pair_budget() {
            continue;
        }
        let plan = run(problem, &sections, strategy);
        if best.as_ref().is_none_or(|best| plan.peak < best.peak) {
            best = Some(plan);
        }
        if best.as_ref().is_some_and(|best| best.status == Status::Optimal) {
            break;
        }
    }
    best.unwrap_or_else(|| {
        let offsets = alloc::vec![0; problem.len()];
        Plan::assemble(problem, offsets, max_live(&sections), aligned_max_live(&sections), "none")
    })
}

/// Plans with one strategy of [`strategies`](crate::strategies), whatever its cost. `None` for a name that
/// is not in the table.
pub fn solve_with(problem: &Problem, strategy: &str) -> Option<Plan> {
    let strategy = STRATEGIES.iter().find(|row| row.name == strategy)?;
    Some(run(problem, &Sections::of(problem), strategy))
}

fn run(problem: &Problem, sections: &Sections, strategy: &Strategy) -> Plan {
    let placed = (strategy.place)(sections);
    let mut offsets = alloc::vec![0; problem.len()];
    for (job, offset) in sections.jobs.iter().zip(placed) {
        offsets[job.buffer as usize] = offset;
    }
    Plan::assemble(problem, offsets, max_live(sections), aligned_max_live(sections), strategy.name)
}
