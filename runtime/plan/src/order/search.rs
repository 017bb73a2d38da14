//! All candidates, planned; the best of them.

use alloc::vec::Vec;

use super::blocks::Blocks;
use super::dag::Dag;
use super::greedy::{depth_first, list};
use super::region::{Region, grain};
use super::score::{Candidate, score};
use crate::solve::Effort;

/// The orders tried for one graph, and what no order can go below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Searched {
    /// The orders that were planned; the given one is the first. Orders that could not be better than the best one
    /// before them were not planned.
    pub candidates: Vec<Candidate>,
    /// Which of them has the smallest peak: the given one of equal ones, else the one with the fewest barriers.
    pub best: usize,
    /// No plan under any order is smaller, in bytes.
    pub bound: u64,
    /// A node that shows it: while it runs, that much is live; or the first of a part of the graph of which the search
    /// has seen all orders.
    pub witness: u32,
}

impl Searched {
    /// The given order.
    pub fn given(&self) -> &Candidate {
        &self.candidates[0]
    }

    /// The best order.
    pub fn best(&self) -> &Candidate {
        &self.candidates[self.best]
    }
}

/// Most nodes of graphs whose plans are searched for, beyond the portfolio, at normal effort.
const SEARCHED: usize = 4_000;

/// Steps of that search for one plan: milliseconds, as the search for the order takes. Whoever takes the order plans it
/// with what effort they like.
const PLAN_STEPS: u64 = 1_000_000;

/// Steps that the search may take; a step takes two to four nanoseconds.
fn steps(effort: Effort, region: &Region) -> u64 {
    match effort {
        Effort::Normal => 4_000_000 + 300 * region.cost(),
        Effort::High => 1_000_000_000,
        Effort::Steps(steps) => steps,
    }
}

/// Searches for the order whose plan has the smallest peak; the given order if none is better. The same graph always
/// gets the same answer: work is counted, not timed.
pub fn search(dag: &Dag, effort: Effort) -> Searched {
    let whole = Region::whole(dag);
    let mut found = Finder::new(dag);
    found.plan("given", whole.given());
    let mut blocks = Blocks::new(&whole);
    found.lower(blocks.bound());
    if found.done() {
        return found.finish(effort);
    }
    let turned = whole.turned();
    let mut backward = list(&turned);
    backward.reverse();
    let simple = [("list", list(&whole)), ("list, backward", backward), ("dfs", depth_first(&whole))];
    for (_, order) in &simple {
        blocks.learn(order);
    }
    let mut work = steps(effort, &whole);
    blocks.improve(&mut work);
    found.lower(blocks.bound());
    // What is above the peak that is left moves, and no more than must; then everything that can be lower by itself.
    let near = blocks.nearest(&mut steps(Effort::Normal, &whole));
    let mut orders = Vec::from([("search", near), ("search, all parts", blocks.best())]);
    orders.extend(simple);
    let mut weighed: Vec<(u64, usize)> =
        orders.iter().enumerate().map(|(at, (_, order))| (whole.peak(order).0, at)).collect();
    weighed.sort_unstable();
    for (peak, at) in weighed {
        if found.done() || !found.may_improve(peak) {
            break;
        }
        let (name, order) = &mut orders[at];
        found.plan(name, core::mem::take(order));
    }
    found.finish(effort)
}

/// What has been found so far.
struct Finder<'a> {
    dag: &'a Dag,
    candidates: Vec<Candidate>,
    best: usize,
    bound: u64,
    witness: u32,
    /// Bytes that rounding sizes to the grain of offsets may have added to the topmost buffer.
    rounding: u64,
}

impl<'a> Finder<'a> {
    fn new(dag: &'a Dag) -> Self {
        let grain = grain(dag);
        let sizes = dag.values().iter().map(|v| v.size).chain(dag.nodes().iter().map(|n| n.scratch));
        let rounding = sizes.map(|size| size.next_multiple_of(grain) - size).max().unwrap_or(0);
        Self { dag, candidates: Vec::new(), best: 0, bound: 0, witness: 0, rounding }
    }

    /// Plans an order, unless it was planned already.
    fn plan(&mut self, name: &'static str, order: Vec<u32>) {
        if self.candidates.iter().any(|known| known.order == order) {
            return;
        }
        self.candidates.push(score(self.dag, name, order, None));
        let last = self.candidates.len() - 1;
        if self.candidates[last].peak < self.candidates[self.best].peak {
            self.best = last;
        }
    }

    /// Notes the bytes, rounded, that all orders hold at some time.
    fn lower(&mut self, (bytes, witness): (u64, u32)) {
        let bytes = bytes.saturating_sub(self.rounding);
        if bytes > self.bound {
            (self.bound, self.witness) = (bytes, witness);
        }
    }

    /// Whether no order can be better than the best one.
    fn done(&self) -> bool {
        self.candidates.get(self.best).is_none_or(|best| best.peak <= self.bound)
    }

    /// Whether an order that holds so many bytes, rounded, can be better than the best one.
    fn may_improve(&self, peak: u64) -> bool {
        let best = self.candidates.get(self.best);
        best.is_none_or(|best| peak.saturating_sub(self.rounding) < best.peak)
    }

    /// Plans the given order and the best one with more effort, where that may be better than the portfolio.
    fn finish(mut self, effort: Effort) -> Searched {
        let gap = |candidate: &Candidate| candidate.peak > candidate.bound;
        let worth = effort != Effort::Normal || self.dag.nodes().len() <= SEARCHED;
        let effort = if effort == Effort::Normal { Effort::Steps(PLAN_STEPS) } else { effort };
        if worth && (gap(&self.candidates[0]) || gap(&self.candidates[self.best])) {
            for at in [0, self.best] {
                let known = &mut self.candidates[at];
                if gap(known) {
                    *known = score(self.dag, known.name, core::mem::take(&mut known.order), Some(effort));
                }
            }
        }
        // The given order where it is as good as any, else the one with the fewest barriers.
        let keys = self.candidates.iter().enumerate().map(|(at, c)| ((c.peak, at > 0, c.barriers), at));
        self.best = keys.min().map_or(0, |(_, at)| at);
        let Self { candidates, best, bound, witness, .. } = self;
        Searched { candidates, best, bound, witness }
    }
}
