//! Cutting a region into parts that can be ordered one by one.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::csr::Csr;
use super::region::{Held, Region, Walk};

/// The parts of an order at its cuts. A cut is a node before or after which every other node must run, so all orders
/// have the same nodes on both sides of it, and the best orders of the parts make the best order of the whole. Each
/// part ends with a cut.
///
/// ```text
///        ┌► b ─► c ─┐        ┌► f ─┐
///   a ──►┤          ├──► e ─►┤     ├─► h        cuts: a, e, h
///        └► d ──────┘        └► g ─┘            parts: {a}  {b, c, d, e}  {f, g, h}
/// ```
pub(crate) fn cuts(region: &Region, order: &[u32]) -> Vec<Range<usize>> {
    let count = order.len();
    let mut at = vec![0; count];
    for (position, &node) in order.iter().enumerate() {
        at[node as usize] = position;
    }
    // The least position that some node after p has its last predecessor at; none counts as before everything.
    let mut reached = vec![usize::MAX; count + 1];
    for (position, &node) in order.iter().enumerate().rev() {
        let last = region.predecessors.of(node).iter().map(|&from| at[from as usize] + 1).max().unwrap_or(0);
        reached[position] = reached[position + 1].min(last);
    }
    let (mut parts, mut start, mut open) = (vec![], 0, 0);
    for (position, &node) in order.iter().enumerate() {
        // Every node before has a successor up to here, every node after a predecessor from here on.
        if open <= position && reached[position + 1] > position {
            parts.push(start..position + 1);
            start = position + 1;
        }
        let first = region.successors.of(node).iter().map(|&to| at[to as usize]).min();
        open = open.max(first.unwrap_or(usize::MAX));
    }
    if start < count {
        parts.push(start..count);
    }
    parts
}

/// A part of a region, with the bytes that are held all along beside it.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) region: Region,
    /// Bytes of values that live through it without being touched.
    pub(crate) base: u64,
}

/// Makes parts of one region.
pub(crate) struct Cutter<'a> {
    whole: &'a Region,
    /// For each node and each value of the whole, its number in the part being made.
    nodes: Vec<Option<u32>>,
    values: Vec<Option<u32>>,
}

impl<'a> Cutter<'a> {
    pub(crate) fn new(whole: &'a Region) -> Self {
        Self { whole, nodes: vec![None; whole.len()], values: vec![None; whole.values.len()] }
    }

    /// The part that these nodes are, in an order in which they can run, when others have run as far as `walk` says.
    pub(crate) fn part(&mut self, nodes: &[u32], walk: &Walk) -> Part {
        let whole = self.whole;
        for (local, &node) in nodes.iter().enumerate() {
            self.nodes[node as usize] = Some(local as u32);
        }
        let (mut values, mut counts): (Vec<u32>, Vec<u32>) = (vec![], vec![]);
        let (mut touches, mut overwrites, mut edges) = (vec![], vec![], vec![]);
        for (local, &node) in nodes.iter().enumerate() {
            let local = local as u32;
            for &value in whole.touches.of(node) {
                let own = *self.values[value as usize].get_or_insert(values.len() as u32);
                if own as usize == values.len() {
                    values.push(value);
                    counts.push(0);
                }
                counts[own as usize] += 1;
                touches.push((local, own));
            }
            let operands = whole.overwrites.of(node).iter();
            overwrites.extend(operands.filter_map(|&value| Some((local, self.values[value as usize]?))));
            let next = whole.successors.of(node).iter();
            edges.extend(next.filter_map(|&next| Some((local, self.nodes[next as usize]?))));
        }
        let held = |(&value, &count): (&u32, &u32)| Held {
            size: whole.values[value as usize].size,
            started: walk.started[value as usize],
            survives: whole.values[value as usize].survives || walk.left[value as usize] > count,
        };
        let held: Vec<Held> = values.iter().zip(&counts).map(held).collect();
        let own: u64 = held.iter().filter(|held| held.started).map(|held| held.size).sum();
        let successors = Csr::of_pairs(nodes.len(), edges);
        let saved = nodes.iter().map(|&node| whole.saved[node as usize]).collect();
        let region = Region {
            predecessors: successors.reversed(nodes.len()),
            successors,
            touches: Csr::of_pairs(nodes.len(), touches),
            overwrites: Csr::of_pairs(nodes.len(), overwrites),
            saved,
            scratch: nodes.iter().map(|&node| whole.scratch[node as usize]).collect(),
            values: held,
            idle: walk.idle,
            backward: whole.backward,
        };
        nodes.iter().for_each(|&node| self.nodes[node as usize] = None);
        values.iter().for_each(|&value| self.values[value as usize] = None);
        Part { region, base: walk.live.saturating_sub(own + walk.idle) }
    }
}
