//! Changes of the best order where it does worst.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{Sample, Search};
use crate::random::SplitMix;
use crate::symbolic::alike::{Groups, Side};
use crate::symbolic::replay::Replay;

/// An order that is worked on.
struct Draft {
    order: Vec<u32>,
    replay: Replay,
    /// The waste of all samples together, in shares of their bounds.
    waste: f64,
}

/// The orders with the least waste of those that were offered, the best first.
pub(super) struct Starts {
    most: usize,
    orders: Vec<Start>,
}

struct Start {
    waste: f64,
    order: Vec<u32>,
    reference: usize,
}

impl Starts {
    pub(super) fn at_most(most: usize) -> Self {
        Self { most, orders: Vec::new() }
    }

    /// Only what wastes less than this is kept.
    pub(super) fn most(&self) -> f64 {
        let last = self.orders.last().filter(|_| self.orders.len() >= self.most);
        last.map_or(f64::INFINITY, |start| start.waste)
    }

    /// Keeps an order. Of those that waste the same, which differ in nothing that matters as a rule, it keeps the first.
    pub(super) fn keep(&mut self, waste: f64, order: &[u32], reference: usize) {
        if let Err(at) = self.orders.binary_search_by(|start| start.waste.total_cmp(&waste)) {
            self.orders.insert(at, Start { waste, order: order.to_vec(), reference });
            self.orders.truncate(self.most);
        }
    }
}

impl Search<'_> {
    /// Moves buffers that are alike all at once: in a chain that makes a peak, one group below or above another. What
    /// lessens the waste of all samples together is kept, until nothing does. One good order after another is worked on,
    /// until the worst ratio is `enough` or `left` orders have been looked at.
    pub(super) fn regroup(&mut self, left: &mut usize, enough: f64) {
        let is_enough = |search: &Self| search.best.as_ref().is_some_and(|best| best.score.worst <= enough);
        if is_enough(self) {
            return;
        }
        let groups = Groups::of(self.problem);
        let best = self.best.as_ref().map(|best| (best.order.clone(), best.reference));
        let starts = self.starts.orders.iter().map(|start| (start.order.clone(), start.reference));
        let starts: Vec<(Vec<u32>, usize)> = best.into_iter().chain(starts).collect();
        for (order, reference) in starts {
            let replay = Replay::new(self.problem, &order);
            let Some(waste) = self.waste(&replay, f64::INFINITY) else { return };
            let mut draft = Draft { order, replay, waste };
            while let Some(better) = self.regrouped(&draft, &groups, left) {
                draft = better;
            }
            self.offer(draft.order, reference);
            if is_enough(self) || *left == 0 {
                return;
            }
        }
    }

    /// The first order found that wastes less: the chains of all samples are looked at, the worst first.
    fn regrouped(&mut self, draft: &Draft, groups: &[Groups; 2], left: &mut usize) -> Option<Draft> {
        let mut seen = BTreeSet::new();
        for at in self.wasteful(&draft.replay) {
            draft.replay.tops(&self.samples[at].sizes, &mut self.tops);
            let chain = draft.replay.critical(&self.tops);
            for (which, division) in groups.iter().enumerate() {
                let chain = division.along(chain.iter().map(|&at| draft.order[at as usize]));
                for (below, above) in pairs(&chain) {
                    for side in [Side::Below, Side::Above] {
                        if !seen.insert((which, below, above, side)) {
                            continue;
                        }
                        *left = left.checked_sub(1)?;
                        let moved = division.moved(self.problem, &draft.order, [below, above], side);
                        let Some(order) = moved else { continue };
                        let replay = Replay::new(self.problem, &order);
                        if let Some(waste) = self.waste(&replay, draft.waste) {
                            return Some(Draft { order, replay, waste });
                        }
                    }
                }
            }
        }
        None
    }

    /// The samples at which an order is above the bound, the worst first.
    fn wasteful(&mut self, replay: &Replay) -> Vec<usize> {
        let tops = &mut self.tops;
        let ratio = |sample: &Sample| sample.ratio(replay.tops(&sample.sizes, tops));
        let ratios: Vec<f64> = self.samples.iter().map(ratio).collect();
        let mut worst: Vec<usize> = (0..ratios.len()).filter(|&at| ratios[at] > 1.0).collect();
        worst.sort_by(|&a, &b| ratios[b].total_cmp(&ratios[a]));
        worst
    }

    /// The waste of all samples together; `None` once it is no less than `most`.
    pub(super) fn waste(&mut self, replay: &Replay, most: f64) -> Option<f64> {
        let mut sum = 0.0;
        for sample in &self.samples {
            sum += sample.ratio(replay.tops(&sample.sizes, &mut self.tops)) - 1.0;
            if sum >= most {
                return None;
            }
        }
        Some(sum)
    }

    /// Moves one buffer of a chain that makes the worst peak to another place of the chain, and keeps what helps.
    pub(super) fn change(&mut self, changes: usize, dice: &mut SplitMix) {
        for _ in 0..changes {
            let Some(best) = self.best.as_ref().filter(|best| best.score.worst > 1.0) else { return };
            let sample = &self.samples[best.score.at];
            best.replay.tops(&sample.sizes, &mut self.tops);
            let chain = best.replay.critical(&self.tops);
            if chain.len() < 2 {
                return;
            }
            let from = dice.below(chain.len() as u64) as usize;
            let to = dice.below(chain.len() as u64 - 1) as usize;
            let to = if to >= from { to + 1 } else { to };
            let (mut order, reference) = (best.order.clone(), best.reference);
            let (from, to) = (chain[from] as usize, chain[to] as usize);
            if from < to {
                order[from..=to].rotate_left(1);
            } else {
                order[to..=from].rotate_right(1);
            }
            self.offer(order, reference);
        }
    }
}

/// How far apart in a chain two groups are that are moved past each other.
const MAX_DISTANCE: usize = 32;

/// The groups of a chain in pairs, of which the first lies below the second: neighbours first.
fn pairs(chain: &[u32]) -> impl Iterator<Item = (u32, u32)> {
    let at = |distance: usize| chain.iter().zip(chain.iter().skip(distance)).map(|(&a, &b)| (a, b));
    (1..chain.len().min(MAX_DISTANCE + 1)).flat_map(at).filter(|(a, b)| a != b)
}
