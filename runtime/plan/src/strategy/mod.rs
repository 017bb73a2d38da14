//! The table of strategies: one file and one row each.

use alloc::vec::Vec;

use crate::sections::Sections;

mod gap;
mod greedy;
mod online;

/// A way to place all jobs.
pub(crate) struct Strategy {
    /// What people call it.
    pub(crate) name: &'static str,
    /// Offsets of `sections.jobs`, in their order.
    pub(crate) place: fn(&Sections) -> Vec<u64>,
    /// Whether its cost grows with the pairs of jobs that are live together.
    pub(crate) pairwise: bool,
}

/// Tried from top to bottom.
pub(crate) const STRATEGIES: &[Strategy] = &[
    Strategy { name: "greedy by size", place: greedy::by_size, pairwise: true },
    Strategy { name: "greedy by lifetime", place: greedy::by_lifetime, pairwise: true },
    Strategy { name: "online best fit", place: online::best_fit, pairwise: false },
];

/// The names of all strategies, in the order in which [`solve`](crate::solve) tries them.
pub fn strategies() -> impl ExactSizeIterator<Item = &'static str> {
    STRATEGIES.iter().map(|strategy| strategy.name)
}
