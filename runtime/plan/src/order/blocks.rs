//! The parts of a graph between its cuts, each with the best order known.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

use super::bound::bound;
use super::exact::exact;
use super::mincut;
use super::nearest::nearest;
use super::part::{Cutter, Part, cuts};
use super::region::{Region, Walk};
use super::window::{LARGE, approximate};

/// One part, its nodes numbered from 0 in the given order.
#[derive(Debug)]
pub(crate) struct Block {
    /// Its positions in any order of the whole; in the given order these are its nodes too.
    pub(crate) range: Range<usize>,
    part: Part,
    /// The best order known, and its peak with what lives beside the part.
    pub(crate) best: Vec<u32>,
    pub(crate) peak: u64,
    /// The peak of the given order.
    pub(crate) given: u64,
    /// No order of the part needs less, and the node that shows it.
    pub(crate) bound: u64,
    pub(crate) witness: u32,
    settled: bool,
}

/// What was found for a part: it serves every other part that is equal.
#[derive(Clone, Debug)]
struct Known {
    order: Vec<u32>,
    peak: u64,
    bound: u64,
}

/// All parts of a region, in order.
#[derive(Debug)]
pub(crate) struct Blocks {
    pub(crate) list: Vec<Block>,
    known: BTreeMap<Region, Known>,
}

impl Blocks {
    pub(crate) fn new(whole: &Region) -> Self {
        let given = whole.given();
        let (mut cutter, mut walk) = (Cutter::new(whole), Walk::new(whole));
        let mut list = Vec::new();
        for range in cuts(whole, &given) {
            let part = cutter.part(&given[range.clone()], &walk);
            given[range.clone()].iter().for_each(|&node| {
                walk.run(whole, node);
            });
            let best = part.region.given();
            let peak = part.region.peak(&best).0 + part.base;
            let (least, witness) = bound(&part.region);
            let (bound, witness) = (least + part.base, witness + range.start as u32);
            let settled = peak <= bound;
            list.push(Block { range, part, best, peak, given: peak, bound, witness, settled });
        }
        Self { list, known: BTreeMap::new() }
    }

    /// The most bytes held under the best orders known.
    pub(crate) fn peak(&self) -> u64 {
        self.list.iter().map(|block| block.peak).max().unwrap_or(0)
    }

    /// The bytes that any order holds at some time, and a node at which it does.
    pub(crate) fn bound(&self) -> (u64, u32) {
        let most = self.list.iter().map(|block| (block.bound, block.witness));
        most.fold((0, 0), |most, next| if next.0 > most.0 { next } else { most })
    }

    /// Takes from an order of the whole what is better in any part.
    pub(crate) fn learn(&mut self, order: &[u32]) {
        for block in self.list.iter_mut().filter(|block| !block.settled) {
            let first = block.range.start as u32;
            let own: Vec<u32> = order[block.range.clone()].iter().map(|node| node - first).collect();
            block.take(own);
        }
    }

    /// Improves the parts with the highest peak, until none is above what a part cannot go below or `work` is done.
    pub(crate) fn improve(&mut self, work: &mut u64) {
        let mut floor = self.bound().0;
        loop {
            let highest = (0..self.list.len()).max_by_key(|&at| (self.list[at].peak, core::cmp::Reverse(at)));
            let Some(at) = highest.filter(|&at| !self.list[at].settled && self.list[at].peak > floor) else {
                return;
            };
            self.settle(at, floor, work);
            floor = floor.max(self.list[at].bound);
        }
    }

    /// The best order known of the whole.
    pub(crate) fn best(&self) -> Vec<u32> {
        self.list.iter().flat_map(|block| block.numbered(&block.best)).collect()
    }

    /// The order of the whole that needs no more than the best one known, and is near to the given one.
    pub(crate) fn nearest(&self, work: &mut u64) -> Vec<u32> {
        let (level, mut order) = (self.peak(), Vec::new());
        for block in &self.list {
            if block.given <= level {
                order.extend(block.range.clone().map(|node| node as u32));
            } else {
                let near = nearest(&block.part.region, &block.best, level - block.part.base, work);
                order.extend(block.numbered(&near));
            }
        }
        order
    }

    fn settle(&mut self, at: usize, floor: u64, work: &mut u64) {
        let block = &mut self.list[at];
        block.settled = true;
        let base = block.part.base;
        if let Some(known) = self.known.get(&block.part.region).cloned() {
            block.take(known.order);
            block.bound = block.bound.max(known.bound + base);
            if block.peak <= floor.max(known.peak + base) {
                return;
            }
        }
        let goal = floor.saturating_sub(base);
        // Half of what is left, so that a large part leaves something for the rest.
        let mut own = *work / 2;
        *work -= own;
        if block.part.region.len() <= LARGE {
            let mut half = own / 2;
            own -= half;
            let found = exact(&block.part.region, goal, block.peak - base, &mut half);
            own += half;
            block.bound = block.bound.max(found.bound + base);
            if let Some(order) = found.order {
                block.take(order);
            }
        }
        if block.peak > floor.max(block.bound) && block.part.region.len() <= LARGE {
            let mut half = own / 2;
            own -= half;
            let region = &block.part.region;
            if let Some((bytes, node)) = mincut::bound(region, &block.best, block.bound - base, &mut half) {
                (block.bound, block.witness) = (bytes + base, node + block.range.start as u32);
            }
            own += half;
        }
        if block.peak > floor.max(block.bound) {
            block.take(approximate(&block.part.region, &block.best, goal, &mut own));
        }
        *work += own;
        let known = Known { order: block.best.clone(), peak: block.peak - base, bound: block.bound - base };
        self.known.insert(block.part.region.clone(), known);
    }
}

impl Block {
    /// Nodes of the part by their numbers in the whole.
    fn numbered(&self, nodes: &[u32]) -> impl Iterator<Item = u32> {
        let first = self.range.start as u32;
        nodes.iter().map(move |node| node + first)
    }

    /// Takes an order of the part if it is better.
    fn take(&mut self, order: Vec<u32>) {
        let peak = self.part.region.peak(&order).0 + self.part.base;
        if peak < self.peak {
            (self.best, self.peak) = (order, peak);
        }
    }
}
