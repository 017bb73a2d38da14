//! Ruin and recreate: what keeps a block large is taken out with its neighbours and put back in another order.

use alloc::vec::Vec;
use core::cmp::Reverse;

use super::bins::{Bins, Spot};
use crate::random::SplitMix;

/// Makes the blocks smaller together, until they are at most `goal` bytes or the work is used up (Schrimpf et al.,
/// "Record Breaking Optimization Results Using the Ruin and Recreate Principle", 2000).
///
/// ```text
///          ##            #  on top of its block: taken out
///       +------+ ::      :  lives with it: a share of these is taken out too
///       |  ::::| ::
///       +--+---+----     put back by descending size, shaken; kept unless the blocks grow
/// ```
///
/// Equal totals are accepted, so that the search walks across plateaus.
pub(super) fn ruin_and_recreate(bins: &mut Bins<'_>, goal: u64, work: u64) {
    let most = bins.steps.saturating_add(work);
    let mut random = SplitMix::new(0);
    let mut taken: Vec<(u32, Spot)> = Vec::new();
    let mut order: Vec<(u64, u32)> = Vec::new();
    let jobs = bins.jobs();
    while bins.total() > goal && bins.steps < most {
        let before = bins.total();
        choose(bins, &mut random, &mut taken);
        bins.steps += 1 + taken.len() as u64;
        order.clear();
        for &(index, _) in &taken {
            bins.take(index);
            let size = u128::from(jobs[index as usize].size);
            // A size shaken by up to a factor of two; it has less than 63 bits.
            order.push(((size * u128::from(16 + random.below(16)) / 16) as u64, index));
        }
        order.sort_unstable_by_key(|&item| Reverse(item));
        for &(_, index) in &order {
            bins.insert(index);
        }
        if bins.total() > before {
            for &(index, _) in &taken {
                bins.take(index);
            }
            for &(index, spot) in &taken {
                bins.put(index, spot);
            }
        }
    }
}

/// Chooses what is taken out: the jobs on top of a block that has any, and a share of those that live with one of them.
fn choose(bins: &Bins<'_>, random: &mut SplitMix, taken: &mut Vec<(u32, Spot)>) {
    taken.clear();
    let start = random.below(u64::from(bins.len())) as u32;
    let Some(block) = (start..bins.len()).chain(0..start).find(|&block| bins.highest(block).next().is_some())
    else {
        return;
    };
    let spot = |index: u32| bins.spots()[index as usize];
    taken.extend(bins.highest(block).filter_map(|index| Some((index, spot(index)?))));
    let Some(&(top, (_, offset))) = taken.first() else { return };
    let end = |index: u32, offset: u64| offset + bins.jobs()[index as usize].size;
    let highest = end(top, offset);
    let (share, anywhere) = (1 << random.below(4), random.below(2) == 0);
    bins.for_each_overlap(top, |index| {
        let Some(at) = spot(index) else { return };
        let chosen = at.0 != block || end(index, at.1) != highest;
        if chosen && (anywhere || at.0 == block) && random.below(16) < share {
            taken.push((index, at));
        }
    });
}
