//! The orchestration: one strategy on the whole; then, part by part, the portfolio and the searches.

use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::bound::{LowerBound, aligned_max_live, max_live};
use crate::neighbourhood;
use crate::parts::{Part, above};
use crate::plan::{Plan, Status};
use crate::problem::Problem;
use crate::search;
use crate::sections::Sections;
use crate::strategy::{Context, STRATEGIES, Scope, Strategy};

/// The name of plans that the exact search found.
const SEARCH: &str = "canonical search";

/// The name of plans that the neighbourhood search found.
const NEIGHBOURHOOD: &str = "neighbourhood search";

/// How much work [`solve`] may do. Work is counted, never timed, so a plan is the same everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Effort {
    /// Milliseconds on the graphs of today's models, whose plans the strategies make at the bound: those whose cost
    /// grows with the square of the number of live buffers are left out from 2 million pairs on. Where a gap to
    /// the bound is left, the searches try to close it with 100 million steps, a quarter of a second; on problems with
    /// less than 10,000 pairs, with 10,000 for each.
    #[default]
    Normal,
    /// Seconds: every strategy on problems with hundreds of millions of pairs of live buffers, then the
    /// searches with 5 billion steps; on problems with less than 10,000 pairs, with 500,000 for each.
    High,
    /// As `High`, with this many steps of the searches; a step takes 2 to 5 ns.
    Steps(u64),
}

/// An effort in figures.
#[derive(Clone, Copy)]
pub(crate) struct Budget {
    /// Pairs of buffers live together that a strategy which looks at each pair may meet.
    pub(crate) pairs: u64,
    /// Steps of the searches.
    pub(crate) steps: u64,
    /// Of them, for each pair of a part: what a small part does not find soon is hardly ever there.
    pub(crate) steps_per_pair: u64,
}

impl Budget {
    pub(crate) const fn of(effort: Effort) -> Self {
        match effort {
            Effort::Normal => Self { pairs: 2_000_000, ..Self::shared(100_000_000) },
            Effort::High => Self::shared(5_000_000_000),
            Effort::Steps(steps) => Self { steps_per_pair: u64::MAX, ..Self::shared(steps) },
        }
    }

    /// So many steps, all of them for a part of 10,000 pairs.
    const fn shared(steps: u64) -> Self {
        Self { pairs: 400_000_000, steps, steps_per_pair: steps / 10_000 }
    }

    /// Steps of the searches for a part; what is worth it always counts as 100 pairs.
    fn steps_for(self, part: &Sections) -> u64 {
        part.pairs.saturating_add(100).saturating_mul(self.steps_per_pair)
    }
}

/// Plans a problem.
///
/// ```text
///   first skyline on the whole --- at the bound? --> done
///        | no
///   parts that reach above the bound, equal ones once (a cut is where no buffer crosses)
///        |
///   each: strategies in turn until one reaches the goal     goal = what the arena needs anyway:
///        |                                                  the bound of the whole, and the peak
///   the highest part: searches, until the goal or           of every part that is done
///   its share of the work; then the next highest
/// ```
///
/// The result is always a valid plan; callers who hand it on still pass it through
/// [`validate`](crate::validate). It is never larger than what one of [`strategies`](crate::strategies) alone makes,
/// but for those of them that the effort leaves out.
pub fn solve(problem: &Problem, effort: Effort) -> Plan {
    plan(problem, Budget::of(effort))
}

/// Plans with the strategies alone, at normal effort: what an outer search can afford for each of its candidates.
pub(crate) fn portfolio(problem: &Problem) -> Plan {
    plan(problem, Budget { steps: 0, ..Budget::of(Effort::Normal) })
}

/// Plans with one strategy of [`strategies`](crate::strategies), whatever its cost. `None` for a name that
/// is not in the table.
pub fn solve_with(problem: &Problem, strategy: &str) -> Option<Plan> {
    let strategy = STRATEGIES.iter().find(|row| row.name == strategy)?;
    let sections = Sections::of(problem);
    let placed = (strategy.place)(&Context::new(&sections, Scope::of(problem)));
    let bounds = (max_live(&sections), aligned_max_live(&sections));
    Some(assemble(problem, &sections, &placed, bounds, strategy.name))
}

/// Plans within a budget.
pub(crate) fn plan(problem: &Problem, budget: Budget) -> Plan {
    let sections = Sections::of(problem);
    let bounds = (max_live(&sections), aligned_max_live(&sections));
    let goal = bounds.1.bytes;
    let first = &STRATEGIES[0];
    let scope = Scope::of(problem);
    let mut offsets = (first.place)(&Context::new(&sections, scope));
    if sections.peak(&offsets) <= goal {
        return assemble(problem, &sections, &offsets, bounds, first.name);
    }
    let parts = above(&sections, &offsets, goal);
    let mut drafts: Vec<Draft<'_>> =
        parts.iter().map(|part| Draft::new(part, &offsets, first.name)).collect();
    portfolios(&mut drafts, scope, goal, budget.pairs);
    let searched = searches(&mut drafts, goal, budget);
    for draft in &drafts {
        draft.write_to(&mut offsets);
    }
    let highest = drafts.iter().max_by_key(|draft| draft.peak);
    let maker = highest.map_or(first.name, |draft| draft.maker);
    let mut plan = assemble(problem, &sections, &offsets, bounds, maker);
    plan.proved_bound = drafts.iter().map(|draft| draft.bound).fold(plan.proved_bound, u64::max);
    if plan.status != Status::Optimal {
        plan.status = match (plan.peak <= plan.proved_bound, searched) {
            (true, _) => Status::OptimalBySearch,
            (false, true) => Status::BestFound,
            (false, false) => Status::BoundNotReached,
        };
    }
    plan
}

/// The strategies for each of the drafts, highest first; those that look at each pair of jobs for as long as the
/// pairs of all together are within the budget.
fn portfolios(drafts: &mut [Draft<'_>], scope: Scope, goal: u64, pair_budget: u64) {
    drafts.sort_by_key(|draft| Reverse(draft.peak));
    let mut pairs = 0u64;
    for draft in drafts {
        pairs = pairs.saturating_add(draft.part.sections.pairs);
        draft.portfolio(scope, goal, pairs <= pair_budget);
    }
}

/// The searches for each of the drafts, the highest first, with a fair share of the work that is left. What has been
/// searched stays where it is, and those to come need not be lower. Whether any search was made.
fn searches(drafts: &mut [Draft<'_>], mut goal: u64, budget: Budget) -> bool {
    let mut work = budget.steps;
    for at in 0..drafts.len() {
        drafts[at..].sort_by_key(|draft| Reverse(draft.peak));
        let waiting = drafts[at..].iter().filter(|draft| draft.peak > goal).count() as u64;
        if waiting == 0 || work == 0 {
            break;
        }
        let mut share = work.div_ceil(waiting).min(budget.steps_for(&drafts[at].part.sections));
        work -= share;
        drafts[at].search(goal, &mut share);
        work += share;
        goal = goal.max(drafts[at].peak);
    }
    work < budget.steps
}

/// The plan of a part in the making, and of its equals.
struct Draft<'a> {
    part: &'a Part,
    /// Of the part's jobs.
    offsets: Vec<u64>,
    peak: u64,
    /// No plan of the part is smaller.
    bound: u64,
    /// The strategy or search that made it.
    maker: &'static str,
}

impl<'a> Draft<'a> {
    /// The part as it lies in a plan of the whole.
    fn new(part: &'a Part, whole: &[u64], maker: &'static str) -> Self {
        let members = part.copies.first().map_or(&[][..], Vec::as_slice);
        let offsets: Vec<u64> = members.iter().map(|&at| whole[at as usize]).collect();
        let (peak, bound) = (part.sections.peak(&offsets), aligned_max_live(&part.sections).bytes);
        Self { part, offsets, peak, bound, maker }
    }

    /// Tries the strategies after the first in turn, until one reaches the goal; of two equal results the
    /// earlier stays.
    fn portfolio(&mut self, scope: Scope, goal: u64, pairwise: bool) {
        let context = Context::new(&self.part.sections, scope);
        let affordable = |strategy: &&Strategy| pairwise || !strategy.pairwise;
        for strategy in STRATEGIES[1..].iter().filter(affordable) {
            if self.peak <= goal {
                return;
            }
            self.take((strategy.place)(&context), strategy.name);
        }
    }

    /// Searches for smaller plans with the work given.
    fn search(&mut self, goal: u64, work: &mut u64) {
        // The exact search leaves all of it where the part is too large, and what it does not need.
        let mut exact = *work - *work / 4;
        *work -= exact;
        let improved = search::improve(&self.part.sections, goal, self.peak, &mut exact);
        *work += exact;
        self.bound = self.bound.max(improved.bound);
        if let Some(offsets) = improved.offsets {
            self.take(offsets, SEARCH);
        }
        if let Some(offsets) =
            neighbourhood::improve(&self.part.sections, &self.offsets, goal.max(self.bound), work)
        {
            self.take(offsets, NEIGHBOURHOOD);
        }
    }

    /// Keeps the offsets if they are better.
    fn take(&mut self, offsets: Vec<u64>, maker: &'static str) {
        let peak = self.part.sections.peak(&offsets);
        if peak < self.peak {
            (self.offsets, self.peak, self.maker) = (offsets, peak, maker);
        }
    }

    /// Puts the part and its equals into a plan of the whole.
    fn write_to(&self, whole: &mut [u64]) {
        for members in &self.part.copies {
            for (&at, &offset) in members.iter().zip(&self.offsets) {
                whole[at as usize] = offset;
            }
        }
    }
}

/// The plan of offsets in the order of the sections' jobs.
fn assemble(
    problem: &Problem,
    sections: &Sections,
    placed: &[u64],
    (lower_bound, aligned_bound): (LowerBound, LowerBound),
    maker: &'static str,
) -> Plan {
    let mut offsets: Vec<u64> = problem.buffers().iter().map(|b| b.fixed.unwrap_or(0)).collect();
    for (job, &offset) in sections.jobs.iter().zip(placed) {
        offsets[job.buffer as usize] = offset;
    }
    Plan::assemble(problem, offsets, lower_bound, aligned_bound, maker)
}
