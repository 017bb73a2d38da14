//! Exact dynamic programme over down-sets.

use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::region::{Region, Walk};
use crate::random::SplitMix;

/// Most words of bits that the states of one search may take: 32 MiB.
const MOST_WORDS: usize = 1 << 22;

/// Most states of one search.
const MOST_STATES: usize = 1 << 18;

/// What a search of a region has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// An order whose peak is below the limit, if one was found.
    pub(crate) order: Option<Vec<u32>>,
    /// Its peak, else the limit.
    pub(crate) peak: u64,
    /// No order of the region has a smaller peak.
    pub(crate) bound: u64,
}

/// A set of nodes that have run, all before which they must not run included.
#[derive(Clone, Copy, Debug)]
struct State {
    /// The one it came from, and the node that ran then. The first state is its own.
    from: u32,
    node: u32,
    /// The least peak on a way to it that is known.
    peak: u64,
    hash: u64,
    expanded: bool,
}

/// Looks for an order with a peak below `limit`; one of at most `goal` is good enough. `work` counts steps down.
///
/// The state is the set of nodes that have run (Bellman 1962, Held and Karp 1962; for memory: Ahn et al., SERENITY,
/// `MLSys` 2020): what is live depends on the set alone. The next state is always one with the least peak so far, and of those the one
/// that has come furthest, so the first way to the full set is a best one, and when the work is used up no order can be
/// better than the least peak of the states that are open.
///
/// ```text
///            {}
///         ┌───┴───┐               a node that frees at least what it makes, and does not raise the peak,
///        {a}     {b}              runs at once: some best order has it there, so such states do not branch
///       ┌─┴─┐   ┌─┴─┐
///    {a,c} {a,b} {b,d}            {a, b} is met twice and kept once
/// ```
pub(crate) fn exact(region: &Region, goal: u64, limit: u64, work: &mut u64) -> Found {
    let mut table = Table::new(region);
    let (mut walk, first) = (Walk::new(region), Walk::new(region));
    let floor = goal.max(first.live);
    let mut open = BinaryHeap::from([(Reverse(floor), 0u32, Reverse(first.live), Reverse(0u32))]);
    let nothing = |bound| Found { order: None, peak: limit, bound };
    if floor >= limit {
        return nothing(0);
    }
    table.states[0].peak = floor;
    while let Some((Reverse(peak), _, _, Reverse(number))) = open.pop() {
        let state = table.states[number as usize];
        if state.expanded || state.peak < peak {
            continue;
        }
        if *work < region.cost() || table.full() {
            return nothing(if peak > floor { peak } else { 0 });
        }
        *work -= region.cost();
        table.states[number as usize].expanded = true;
        let (mut set, mut hash) = (table.set(number).to_vec(), state.hash);
        table.replay(region, &set, &first, &mut walk);
        let mut ready = ready(region, &set, &walk);
        let mut count = set.iter().map(|word| word.count_ones()).sum::<u32>();
        let looked = forced(region, &mut walk, &mut ready, peak, |node| {
            set[node as usize / 64] |= 1 << (node % 64);
            hash ^= key(node);
            count += 1;
        });
        *work = work.saturating_sub(looked + ready.len() as u64);
        if count as usize == region.len() {
            let order = table.order(region, number, &first);
            // At the goal no more than the floor is known of the orders.
            let bound = if peak > floor { peak } else { 0 };
            return Found { order: Some(order), peak, bound };
        }
        for &node in &ready {
            let step = walk.step(region, node);
            let next = step.during.max(peak);
            if next < limit {
                let hash = hash ^ key(node);
                set[node as usize / 64] |= 1 << (node % 64);
                let state = State { from: number, node, peak: next, hash, expanded: false };
                if let Some(number) = table.insert(&set, state) {
                    open.push((Reverse(next), count + 1, Reverse(step.after), Reverse(number)));
                }
                set[node as usize / 64] &= !(1 << (node % 64));
            }
        }
    }
    nothing(limit)
}

/// The nodes that can run next, ascending.
fn ready(region: &Region, set: &[u64], walk: &Walk) -> Vec<u32> {
    let run = |node: u32| set[node as usize / 64] >> (node % 64) & 1 == 1;
    (0..region.len() as u32).filter(|&node| walk.missing[node as usize] == 0 && !run(node)).collect()
}

/// Runs, as long as there is one, a node that holds no more bytes afterwards and at most `peak` meanwhile. What a node
/// adds only shrinks as others run, so nothing is lost by running such a one first. The number of nodes looked at.
pub(crate) fn forced(
    region: &Region,
    walk: &mut Walk,
    ready: &mut Vec<u32>,
    peak: u64,
    mut ran: impl FnMut(u32),
) -> u64 {
    let (mut at, mut looked) = (0, 0);
    // What is idle goes with the first node, whichever that is.
    while at < ready.len() && walk.idle == 0 {
        let node = ready[at];
        looked += 1;
        let step = walk.step(region, node);
        if step.after > walk.live || step.during > peak {
            at += 1;
            continue;
        }
        walk.run(region, node);
        ran(node);
        ready.remove(at);
        let next = region.successors.of(node).iter();
        ready.extend(next.filter(|&&next| walk.missing[next as usize] == 0));
        ready.sort_unstable();
        at = 0;
    }
    looked
}

/// A number for a node such that the exclusive or of a set's numbers tells sets apart.
pub(crate) fn key(node: u32) -> u64 {
    SplitMix::new(u64::from(node).wrapping_mul(0x9E37_79B9_7F4A_7C15)).next()
}

/// The states met so far, found again by their sets.
struct Table {
    words: usize,
    states: Vec<State>,
    /// The set of each state.
    sets: Vec<u64>,
    /// State numbers by hash, open addressing; `u32::MAX` where there is none.
    slots: Vec<u32>,
}

impl Table {
    fn new(region: &Region) -> Self {
        let words = region.len().div_ceil(64);
        let first = State { from: 0, node: 0, peak: 0, hash: 0, expanded: false };
        let mut slots = vec![u32::MAX; 64];
        slots[0] = 0;
        Self { words, states: vec![first], sets: vec![0; words], slots }
    }

    fn full(&self) -> bool {
        self.states.len() >= MOST_STATES || self.sets.len() + self.words > MOST_WORDS
    }

    fn set(&self, number: u32) -> &[u64] {
        &self.sets[number as usize * self.words..(number as usize + 1) * self.words]
    }

    /// Adds a state, or lowers the peak of one with the same set; its number if it is to be looked at.
    fn insert(&mut self, set: &[u64], state: State) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut slot = state.hash as usize & mask;
        while self.slots[slot] != u32::MAX {
            let number = self.slots[slot];
            let known = self.states[number as usize];
            if known.hash == state.hash && self.set(number) == set {
                let better = state.peak < known.peak && !known.expanded;
                return better.then(|| {
                    self.states[number as usize] = state;
                    number
                });
            }
            slot = (slot + 1) & mask;
        }
        let number = self.states.len() as u32;
        self.slots[slot] = number;
        self.states.push(state);
        self.sets.extend_from_slice(set);
        if self.states.len() * 2 > self.slots.len() {
            self.grow();
        }
        Some(number)
    }

    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        self.slots = vec![u32::MAX; mask + 1];
        for (number, state) in self.states.iter().enumerate() {
            let mut slot = state.hash as usize & mask;
            while self.slots[slot] != u32::MAX {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = number as u32;
        }
    }

    /// Brings a walk to where the nodes of a set have run.
    fn replay(&self, region: &Region, set: &[u64], first: &Walk, walk: &mut Walk) {
        walk.clone_from(first);
        for (at, &word) in set.iter().enumerate() {
            let mut word = word;
            while word != 0 {
                let node = at as u32 * 64 + word.trailing_zeros();
                // The numbers are an order in which nodes can run, but for turned regions; what is held is the same.
                walk.run(region, node);
                word &= word - 1;
            }
        }
    }

    /// The nodes on the way to a state at which nothing is left to run but forced nodes.
    fn order(&self, region: &Region, last: u32, first: &Walk) -> Vec<u32> {
        let mut way = vec![last];
        while let Some(&number) = way.last().filter(|&&number| number != 0) {
            way.push(self.states[number as usize].from);
        }
        let (mut walk, mut order) = (first.clone(), Vec::with_capacity(region.len()));
        let mut ready = ready(region, &vec![0; self.words], &walk);
        for &number in way.iter().rev() {
            let state = self.states[number as usize];
            if number != 0 {
                walk.run(region, state.node);
                order.push(state.node);
                ready.retain(|&node| node != state.node);
                let next = region.successors.of(state.node).iter();
                ready.extend(next.filter(|&&next| walk.missing[next as usize] == 0));
                ready.sort_unstable();
            }
            forced(region, &mut walk, &mut ready, state.peak, |node| order.push(node));
        }
        order
    }
}
