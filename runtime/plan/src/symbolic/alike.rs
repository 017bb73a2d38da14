//! Buffers that play the same part: those of equal layers.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::problem::SymbolicProblem;
use crate::problem::Lifespan;

/// Pairs of two groups that are looked at for each buffer of a problem.
const MAX_PAIRS: usize = 64;

/// The buffers of a problem, divided into groups that are moved together.
///
/// ```text
///    size      layer 1     layer 2     layer 3       a network of equal layers repeats one pattern in time: what is wrong
///      ^     +---+ +-+   +---+ +-+   +---+ +-+       in one layer is wrong in all, and no move of a single buffer
///      |     | a | |b|   | a | |b|   | a | |b|       mends it. All `a` are alike, and so are all `b`.
///      +-----+---+-+-+---+---+-+-+---+---+-+-+-> time
/// ```
pub(super) struct Groups {
    /// The group of each buffer.
    of: Vec<u32>,
}

impl Groups {
    /// Two divisions, the coarse one first. There the same size and the same time make buffers alike; those that live
    /// from the start, like inputs, or to the end, like outputs, have no time of their own. In the fine one, what begins
    /// and ends together with them is alike as well.
    pub(super) fn of(problem: &SymbolicProblem) -> [Self; 2] {
        let lifespans = || problem.buffers().iter().map(|buffer| buffer.lifespan);
        let start = lifespans().map(|life| life.first).min().unwrap_or(0);
        let end = lifespans().map(|life| life.last).max().unwrap_or(0);
        let time = |life: Lifespan| match life {
            Lifespan { first, last } if first > start && last < end => last - first,
            Lifespan { first, .. } => {
                if first > start {
                    u32::MAX
                } else {
                    0
                }
            }
        };
        let coarse = numbered(lifespans().zip(&problem.size_of).map(|(life, &size)| (size, time(life))));
        // What begins, and what ends, at a point.
        let mut events: BTreeMap<u32, [Vec<u32>; 2]> = BTreeMap::new();
        for (life, &group) in lifespans().zip(&coarse) {
            events.entry(life.first).or_default()[0].push(group);
            events.entry(life.last).or_default()[1].push(group);
        }
        for groups in events.values_mut().flatten() {
            groups.sort_unstable();
        }
        let kinds: BTreeMap<u32, u32> = events.keys().copied().zip(numbered(events.values())).collect();
        let edges = |life: Lifespan| [life.first, life.last].map(|point| kinds.get(&point));
        let fine = numbered(lifespans().zip(&coarse).map(|(life, &group)| (group, edges(life))));
        [Self { of: coarse }, Self { of: fine }]
    }

    /// The groups that some buffers belong to, without repeating one next to itself.
    pub(super) fn along(&self, buffers: impl Iterator<Item = u32>) -> Vec<u32> {
        let mut groups: Vec<u32> = buffers.map(|buffer| self.of[buffer as usize]).collect();
        groups.dedup();
        groups
    }

    /// The order in which none of the second group rests on one of the first: each of the second goes below all of the
    /// first that it lived on top of, or each of the first above all of the second. Takes time with the product of what
    /// the two hold; `None` where that is much more than the order itself.
    pub(super) fn moved(
        &self,
        problem: &SymbolicProblem,
        order: &[u32],
        [lower, upper]: [u32; 2],
        side: Side,
    ) -> Option<Vec<u32>> {
        let life = |at: usize| problem.buffers()[order[at] as usize].lifespan;
        let places = |group: u32| -> Vec<usize> {
            (0..order.len()).filter(|&at| self.of[order[at] as usize] == group).collect()
        };
        let (lowers, uppers) = (places(lower), places(upper));
        if lowers.len() * uppers.len() > MAX_PAIRS * order.len() {
            return None;
        }
        // Twice the place in the order: there is room between two.
        let mut keys: Vec<(usize, u32)> =
            order.iter().enumerate().map(|(at, &buffer)| (2 * at + 1, buffer)).collect();
        match side {
            Side::Below => {
                for &upper in &uppers {
                    let on = |&&lower: &&usize| life(lower).overlaps(life(upper));
                    if let Some(lowest) = lowers.iter().take_while(|&&lower| lower < upper).find(on) {
                        keys[upper].0 = 2 * lowest;
                    }
                }
            }
            Side::Above => {
                for &lower in &lowers {
                    let under = |&&upper: &&usize| life(upper).overlaps(life(lower));
                    if let Some(highest) = uppers.iter().rev().take_while(|&&upper| upper > lower).find(under)
                    {
                        keys[lower].0 = 2 * highest + 2;
                    }
                }
            }
        }
        keys.sort_by_key(|&(key, _)| key);
        Some(keys.into_iter().map(|(_, buffer)| buffer).collect())
    }
}

/// What is moved where.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    /// The upper group below the lower one.
    Below,
    /// The lower group above the upper one.
    Above,
}

/// A number for each key: equal keys have equal ones.
fn numbered<K: Ord>(keys: impl Iterator<Item = K>) -> Vec<u32> {
    let mut numbers = BTreeMap::new();
    keys.map(|key| {
        let next = numbers.len() as u32;
        *numbers.entry(key).or_insert(next)
    })
    .collect()
}
