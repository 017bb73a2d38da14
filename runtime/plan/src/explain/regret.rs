//! Regrets: how much the arena would shrink without a tensor.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::bounds::Bounds;
use super::chain::Critical;
use super::layout::Layout;
use super::rests::Rests;
use super::settle::Replay;
use crate::plan::Plan;

/// How many bytes smaller the arena would be without one buffer, as far as that is proved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Regret {
    /// At least so many: a valid plan of the other buffers has that smaller a peak.
    pub at_least: u64,
    /// At most so many: no plan of the other buffers is smaller still.
    pub at_most: u64,
}

impl Regret {
    /// The number, where both sides agree.
    pub fn exact(self) -> Option<u64> {
        (self.at_least == self.at_most).then_some(self.at_least)
    }
}

/// The regrets of all buffers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Regrets {
    /// By number of the buffer.
    pub of: Vec<Regret>,
    /// The peak of the plan once every buffer lies as low as those beneath it permit. Less than the plan's own peak
    /// where the plan was not pressed down: so much is to be had without dropping anything, and every `at_least`
    /// counts it.
    pub settled: u64,
    /// Buffers whose removal was tried.
    pub replayed: u32,
    /// Buffers whose removal was not tried because the work was used up, those that can matter least; their `at_least`
    /// may be too small.
    pub untried: u32,
}

impl Regrets {
    /// The buffers that something is to be gained from, the largest proved gain first, then the largest possible one;
    /// at most so many.
    pub fn largest(&self, most: usize) -> Vec<(u32, Regret)> {
        let gains = (0..).zip(&self.of).filter(|(_, regret)| regret.at_most > 0);
        let mut found: Vec<(u32, Regret)> = gains.map(|(buffer, &regret)| (buffer, regret)).collect();
        found.sort_by_key(|&(buffer, regret)| (Reverse((regret.at_least, regret.at_most)), buffer));
        found.truncate(most);
        found
    }

    /// Both sides for every buffer. `at_most` is the peak less the best bound of what is left. `at_least` comes from
    /// replaying the order of the plan without the buffer, which can only lower the peak where every chain that carries
    /// it goes through the buffer; those are tried while there is work, the ones that may matter most first.
    pub(super) fn new(layout: &Layout<'_>, plan: &Plan, bounds: &Bounds<'_>, work: u64) -> Self {
        let mut replay = Replay::new(layout);
        let settled = Layout { offsets: replay.offsets(), ..*layout };
        let mut regrets = Self { of: vec![Regret::default(); layout.problem.len()], ..Self::default() };
        regrets.settled = (0..settled.offsets.len()).map(|job| settled.end(job)).max().unwrap_or(0);
        let free = plan.peak.saturating_sub(regrets.settled);
        let mut candidates: Vec<(u64, Reverse<u32>)> = Vec::new();
        let critical = Critical::of(&settled, &Rests::of(&settled));
        for (job, own) in (0..).zip(layout.jobs()) {
            let at_most = at_most(layout, plan, bounds, job);
            regrets.of[own.buffer as usize] = Regret { at_least: free, at_most };
            if at_most > free && critical.on_every_chain.binary_search(&own.buffer).is_ok() {
                candidates.push((at_most, Reverse(job)));
            }
        }
        candidates.sort_unstable_by_key(|&candidate| Reverse(candidate));
        let affordable =
            usize::try_from(work / replay.cost().max(1)).unwrap_or(usize::MAX).min(candidates.len());
        for &(_, Reverse(job)) in &candidates[..affordable] {
            let gain = plan.peak.saturating_sub(replay.peak_without(Some(job)));
            let regret = &mut regrets.of[layout.jobs()[job as usize].buffer as usize];
            regret.at_least = regret.at_least.max(gain);
        }
        regrets.replayed = affordable as u32;
        regrets.untried = (candidates.len() - affordable) as u32;
        regrets
    }
}

/// The peak less the best bound of the other buffers: their own, and what the proved bound leaves. A plan of the others
/// with the buffer laid on top is a plan of all, so `next_multiple(others, align) + size >= proved`; a fixed buffer
/// cannot be laid on top.
fn at_most(layout: &Layout<'_>, plan: &Plan, bounds: &Bounds<'_>, job: u32) -> u64 {
    let own = &layout.jobs()[job as usize];
    let mut least = bounds.with(job as usize, None).bytes;
    if own.fixed.is_none() {
        let top = plan.proved_bound.saturating_sub(own.size).next_multiple_of(own.align);
        least = least.max((top + 1).saturating_sub(own.align));
    }
    plan.peak.saturating_sub(least)
}
