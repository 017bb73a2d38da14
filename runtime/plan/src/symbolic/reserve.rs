//! The arena to reserve: the most that any point of the box needs.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Ordering;

use bayplan_expr::{Bindings, bounds};

use super::domain::Domain;
use super::plan::SymbolicPlan;
use crate::solve::Effort;

/// The bytes that are enough for every point of a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// No point needs more.
    pub bytes: u64,
    /// The point with the highest peak found.
    pub at: Bindings,
    /// The peak there: if it equals `bytes`, no smaller arena is enough.
    pub attained: u64,
}

impl SymbolicPlan {
    /// The maximum of the peak over the box, by branch and bound: a part's peaks are at most the replay of each size's
    /// greatest value within it. Sizes that grow with every symbol are greatest together in one corner, and the first
    /// look settles it.
    ///
    /// ```text
    ///   +-------+-------+  <= 90        the part with the highest bound is cut first;
    ///   | <= 70 | <= 90 |               parts not above a peak that was found are dropped
    ///   +-------+---+---+
    ///   | <= 60 |70 |80 |
    ///   +-------+---+---+
    /// ```
    pub fn reservation(&self, effort: Effort) -> Reservation {
        let parts = match effort {
            Effort::Normal => 200,
            Effort::High | Effort::Steps(_) => 20_000,
        };
        let mut search = Search { plan: self, attained: 0, at: Vec::new(), tops: Vec::new() };
        let domain = self.problem().domain.clone();
        search.look(&domain.corner(false));
        let mut heap = BinaryHeap::new();
        heap.extend(search.part(domain, &self.problem().largest));
        let mut bytes = None;
        for _ in 0..parts {
            let Some(part) = heap.pop() else { break };
            if part.bound <= search.attained {
                break;
            }
            match part.domain.halves() {
                Some(halves) => {
                    heap.extend(halves.into_iter().filter_map(|half| search.part(half, &part.largest)));
                }
                // A size had no value at this point, which cannot be used.
                None => bytes = bytes.max(Some(part.bound)),
            }
        }
        let left = heap.peek().map_or(0, |part| part.bound);
        let bytes = bytes.unwrap_or(0).max(left).max(search.attained);
        Reservation { bytes, at: self.problem().domain.bindings(&search.at), attained: search.attained }
    }
}

/// A part of the box, the greatest sizes in it and the peak with these; ordered by that.
struct Part {
    bound: u64,
    domain: Domain,
    largest: Vec<u64>,
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        self.bound == other.bound
    }
}
impl Eq for Part {}
impl PartialOrd for Part {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Part {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bound.cmp(&other.bound)
    }
}

struct Search<'a> {
    plan: &'a SymbolicPlan,
    attained: u64,
    at: Vec<i64>,
    tops: Vec<u64>,
}

impl Search<'_> {
    /// Replays at a point.
    fn look(&mut self, point: &[i64]) {
        let problem = self.plan.problem();
        let Ok(sizes) = problem.sizes_at(&problem.domain.bindings(point)) else { return };
        let peak = self.plan.replay.tops(&sizes, &mut self.tops);
        if self.at.is_empty() || peak > self.attained {
            (self.attained, self.at) = (peak, point.to_vec());
        }
    }

    /// Looks at a part's upper corner and its middle, and bounds it; `None` if it cannot be above what was found.
    fn part(&mut self, domain: Domain, around: &[u64]) -> Option<Part> {
        self.look(&domain.corner(true));
        if let Some([lower, _]) = domain.halves() {
            self.look(&lower.corner(true));
        }
        let scope = domain.scope();
        let within = |(e, &around): (_, &u64)| {
            let upper = bounds(e, &scope).upper.and_then(|upper| u64::try_from(upper.max(0)).ok());
            upper.map_or(around, |upper| upper.min(around))
        };
        let largest: Vec<u64> = self.plan.problem().sizes.iter().zip(around).map(within).collect();
        let bound = self.plan.replay.tops(&largest, &mut self.tops);
        (bound > self.attained).then_some(Part { bound, domain, largest })
    }
}
