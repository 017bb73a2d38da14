//! The portfolio: strategies in turn until one meets the bound, the best of them taken.

use alloc::vec::Vec;

use crate::bound::{LowerBound, aligned_max_live, max_live};
use crate::plan::{Plan, Status};
use crate::problem::Problem;
use crate::search::improve;
use crate::sections::Sections;
use crate::strategy::{Context, STRATEGIES, Strategy};

/// The name of plans that the exact search found.
const SEARCH: &str = "canonical search";

/// How much work [`solve`] may do. Work is counted, never timed, so a plan is the same everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Effort {
    /// Milliseconds on the graphs of today's models: strategies whose cost grows with the square of the
    /// number of live buffers are left out where they would take longer. Where a gap to the bound is left, the exact
    /// search tries to close it with 5 million steps.
    #[default]
    Normal,
    /// Seconds: every strategy on problems with hundreds of millions of pairs of live buffers, then the exact
    /// search with 2 billion steps.
    High,
    /// As `High`, with this many steps of the exact search; a step takes 3 to 10 ns.
    Steps(u64),
}

impl Effort {
    /// Pairs of buffers live together that a strategy which looks at each pair may meet.
    const fn pair_budget(self) -> u64 {
        match self {
            Self::Normal => 2_000_000,
            Self::High | Self::Steps(_) => 400_000_000,
        }
    }

    /// Steps of the exact search.
    const fn search_work(self) -> u64 {
        match self {
            // Tens of milliseconds, and only where the strategies leave a gap.
            Self::Normal => 5_000_000,
            Self::High => 2_000_000_000,
            Self::Steps(steps) => steps,
        }
    }
}

/// Plans a problem: each strategy of the table in turn, stopping at the first plan that meets the bound;
/// otherwise the plan with the smallest peak, the earlier strategy on a tie. The result is always a valid
/// plan; callers who hand it on still pass it through [`validate`](crate::validate).
pub fn solve(problem: &Problem, effort: Effort) -> Plan {
    let sections = Sections::of(problem);
    let portfolio = Portfolio::new(problem, &sections);
    let mut best = portfolio.run(&STRATEGIES[0]);
    for strategy in &STRATEGIES[1..] {
        if best.status == Status::Optimal {
            break;
        }
        if strategy.pairwise && sections.pairs > effort.pair_budget() {
            continue;
        }
        let plan = portfolio.run(strategy);
        if plan.peak < best.peak {
            best = plan;
        }
    }
    if best.status != Status::Optimal {
        portfolio.search(&mut best, effort.search_work());
    }
    best
}

/// Plans with one strategy of [`strategies`](crate::strategies), whatever its cost. `None` for a name that
/// is not in the table.
pub fn solve_with(problem: &Problem, strategy: &str) -> Option<Plan> {
    let strategy = STRATEGIES.iter().find(|row| row.name == strategy)?;
    Some(Portfolio::new(problem, &Sections::of(problem)).run(strategy))
}

/// A problem with what is computed once for all strategies.
struct Portfolio<'a> {
    problem: &'a Problem,
    context: Context<'a>,
    lower_bound: LowerBound,
    aligned_bound: LowerBound,
}

impl<'a> Portfolio<'a> {
    fn new(problem: &'a Problem, sections: &'a Sections) -> Self {
        let (lower_bound, aligned_bound) = (max_live(sections), aligned_max_live(sections));
        Self { problem, context: Context::new(sections), lower_bound, aligned_bound }
    }

    fn run(&self, strategy: &Strategy) -> Plan {
        let placed = (strategy.place)(&self.context);
        self.plan(&placed, strategy.name)
    }

    /// Replaces the plan by a smaller one if a search finds it, and notes a proof that there is none.
    fn search(&self, best: &mut Plan, work: u64) {
        let mut work = work;
        let improved = improve(self.context.sections, self.aligned_bound.bytes, best.peak, &mut work);
        if let Some(placed) = improved.offsets {
            *best = self.plan(&placed, SEARCH);
        }
        best.proved_bound = best.proved_bound.max(improved.bound);
        if best.peak <= best.proved_bound && best.status != Status::Optimal {
            best.status = Status::OptimalBySearch;
        }
    }

    /// The plan of offsets in the order of the sections' jobs.
    fn plan(&self, placed: &[u64], maker: &'static str) -> Plan {
        let mut offsets = Vec::from_iter(self.problem.buffers().iter().map(|b| b.fixed.unwrap_or(0)));
        for (job, &offset) in self.context.sections.jobs.iter().zip(placed) {
            offsets[job.buffer as usize] = offset;
        }
        Plan::assemble(self.problem, offsets, self.lower_bound, self.aligned_bound, maker)
    }
}
