//! The table of strategies: one function and one row each.

use alloc::vec::Vec;
use core::cell::OnceCell;

pub(crate) use self::gap::PlacedIndex;
pub(crate) use self::preorder::{Key, preorder, totals};
use self::ranges::RangeTree;
pub(crate) use self::skyline::skyline;
use crate::problem::Problem;
use crate::sections::{Job, Sections};

mod gap;
mod greedy;
mod obstacles;
mod online;
mod preorder;
mod ranges;
mod skyline;

/// What all strategies see, and what some of them share once it has been made.
pub(crate) struct Context<'a> {
    pub(crate) sections: &'a Sections,
    scope: Scope,
    ranges: OnceCell<RangeTree>,
    totals: OnceCell<Vec<u64>>,
}

impl<'a> Context<'a> {
    /// The jobs to be placed, all of a problem or an independent part.
    pub(crate) fn new(sections: &'a Sections, scope: Scope) -> Self {
        Self { sections, scope, ranges: OnceCell::new(), totals: OnceCell::new() }
    }

    fn ranges(&self) -> &RangeTree {
        self.ranges.get_or_init(|| RangeTree::new(&self.sections.jobs))
    }

    /// The largest load of any section each job is live in.
    pub(crate) fn totals(&self) -> &[u64] {
        self.totals.get_or_init(|| preorder::totals(self.sections))
    }
}

/// What of the whole problem some planners' rules look at, wherever only a part is placed.
#[derive(Clone, Copy)]
pub(crate) struct Scope {
    /// The largest alignment of any buffer.
    align: u64,
    /// The program point at which the first buffer begins to live.
    first: u32,
    /// The first program point at which none lives any more.
    last: u32,
}

impl Scope {
    pub(crate) fn of(problem: &Problem) -> Self {
        let mut scope = Self { align: 1, first: u32::MAX, last: 0 };
        for buffer in problem.buffers() {
            scope.align = scope.align.max(buffer.align);
            scope.first = scope.first.min(buffer.lifespan.first);
            scope.last = scope.last.max(buffer.lifespan.last);
        }
        scope
    }

    /// The scope of jobs that are a problem of their own.
    pub(crate) fn of_jobs(jobs: &[Job]) -> Self {
        let mut scope = Self { align: 1, first: u32::MAX, last: 0 };
        for job in jobs {
            scope.align = scope.align.max(job.align);
            scope.first = scope.first.min(job.start);
            scope.last = scope.last.max(job.start.saturating_add(job.width));
        }
        scope
    }
}

/// A way to place all jobs.
pub(crate) struct Strategy {
    /// What people call it.
    pub(crate) name: &'static str,
    /// Offsets of `sections.jobs`, in their order.
    pub(crate) place: fn(&Context<'_>) -> Vec<u64>,
    /// Whether its cost grows with the pairs of jobs that are live together.
    pub(crate) pairwise: bool,
}

/// Tried from top to bottom: the skylines, which scale and most often meet the bound, come first.
pub(crate) const STRATEGIES: &[Strategy] = &[
    Strategy { name: "skyline TWA", place: skyline::total_width_area, pairwise: false },
    Strategy { name: "skyline TAW", place: skyline::total_area_width, pairwise: false },
    Strategy { name: "skyline A", place: skyline::area, pairwise: false },
    Strategy { name: "skyline Z", place: skyline::size, pairwise: false },
    Strategy { name: "skyline TZ", place: skyline::total_size, pairwise: false },
    Strategy { name: "skyline WAT", place: skyline::width_area_total, pairwise: false },
    Strategy { name: "online best fit", place: online::best_fit, pairwise: false },
    Strategy {
        name: "online best fit, own alignment",
        place: online::best_fit_own_alignment,
        pairwise: false,
    },
    Strategy { name: "first fit from both ends", place: online::two_ended, pairwise: false },
    Strategy { name: "greedy by size", place: greedy::by_size, pairwise: true },
    Strategy { name: "greedy by size, lifetime", place: greedy::by_size_lifetime, pairwise: true },
    Strategy { name: "greedy by lifetime", place: greedy::by_lifetime_size, pairwise: true },
];

/// The names of all strategies, in the order in which [`solve`](crate::solve) tries them.
pub fn strategies() -> impl ExactSizeIterator<Item = &'static str> {
    STRATEGIES.iter().map(|strategy| strategy.name)
}
