//! A lower bound that knows either–or: what the cheapest choice of nodes to have run before a node leaves live.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use super::region::{Region, Walk};

/// The bytes that any order of a region holds at some time, if these are more than `bound`, and the node that shows it.
///
/// Before a node runs, those it must follow have run, those that must follow it have not, and of all others as many as
/// one likes. For each such set of nodes a value is live that a node within touches and one without will touch. The
/// least that any set leaves live is a minimum cut (Picard, "Maximal closure of a graph", 1976, of values as edges over
/// several nodes; the maximum flow by Edmonds and Karp, 1972):
///
/// ```text
///                   value, its bytes wide
///   has run ──► ──► [first ═══════► last] ──► ──► has not run
///     ▲                                               │          before c runs, a and b have: of b's large result
///     └── what must precede the node    what must ◄───┘          either that is live or the two small ones made of
///                                      follow it                 it; what is sure to be live would count neither
/// ```
///
/// An order shows how much that can be at most, `known`'s bytes while the node runs, so nodes are asked from its peak
/// down. A flow that `work` cuts short is a bound too.
pub(crate) fn bound(region: &Region, known: &[u32], bound: u64, work: &mut u64) -> Option<(u64, u32)> {
    let mut walk = Walk::new(region);
    let mut during: Vec<(u64, u32)> = known.iter().map(|&node| (walk.run(region, node), node)).collect();
    during.sort_unstable_by_key(|&(bytes, node)| (core::cmp::Reverse(bytes), node));
    let mut best = None;
    for (most, node) in during {
        let least = best.map_or(bound, |(bytes, _)| bytes);
        if most <= least || *work < region.cost() {
            break;
        }
        *work -= region.cost();
        let bytes = around(region, node) + Network::of(region, node).flow(work);
        let bytes = bytes.saturating_sub(saved(region, node));
        if bytes > least {
            best = Some((bytes, node));
        }
    }
    best
}

/// The bytes of what a node touches, and of its scratch.
fn around(region: &Region, node: u32) -> u64 {
    let touched = region.touches.of(node).iter().map(|&value| region.values[value as usize].size);
    touched.sum::<u64>() + region.scratch[node as usize]
}

/// The bytes that the result of a node may share with an operand.
fn saved(region: &Region, node: u32) -> u64 {
    let mut operands = region.overwrites.of(node).iter();
    let may = operands.any(|&value| !region.values[value as usize].survives);
    if may { region.saved[node as usize] } else { 0 }
}

const SOURCE: u32 = 0;
const SINK: u32 = 1;

/// Wider than any cut.
const ENDLESS: u64 = u64::MAX;

/// A flow network. An edge and its reverse are numbers 2k and 2k + 1.
struct Network {
    /// For each vertex, its edges.
    edges: Vec<Vec<u32>>,
    to: Vec<u32>,
    /// What may still flow through an edge.
    left: Vec<u64>,
}

impl Network {
    /// The sets of nodes that may have run before a node: those on the source's side of a cut.
    fn of(region: &Region, node: u32) -> Self {
        let count = region.len() as u32;
        let vertices = 2 + count as usize + 2 * region.values.len();
        let mut net = Self { edges: vec![Vec::new(); vertices], to: Vec::new(), left: Vec::new() };
        let first = |value: u32| 2 + count + 2 * value;
        // What has run has run after all that must precede it.
        for from in 0..count {
            for &next in region.successors.of(from) {
                net.join(2 + next, 2 + from, ENDLESS);
            }
        }
        for &before in region.predecessors.of(node) {
            net.join(SOURCE, 2 + before, ENDLESS);
        }
        for &after in region.successors.of(node) {
            net.join(2 + after, SINK, ENDLESS);
        }
        // What the node itself touches is live in any case.
        let counts = |value: u32| {
            region.values[value as usize].size > 0 && region.touches.of(node).binary_search(&value).is_err()
        };
        for value in (0..region.values.len() as u32).filter(|&value| counts(value)) {
            let held = region.values[value as usize];
            net.join(first(value), first(value) + 1, held.size);
            if held.started {
                net.join(SOURCE, first(value), ENDLESS);
            }
            if held.survives {
                net.join(first(value) + 1, SINK, ENDLESS);
            }
        }
        for user in (0..count).filter(|&user| user != node) {
            for &value in region.touches.of(user).iter().filter(|&&value| counts(value)) {
                net.join(2 + user, first(value), ENDLESS);
                net.join(first(value) + 1, 2 + user, ENDLESS);
            }
        }
        net
    }

    fn join(&mut self, from: u32, to: u32, width: u64) {
        let edge = self.to.len() as u32;
        self.edges[from as usize].push(edge);
        self.edges[to as usize].push(edge + 1);
        self.to.extend([to, from]);
        self.left.extend([width, 0]);
    }

    /// The maximum flow, or as much of it as `work` permits.
    fn flow(mut self, work: &mut u64) -> u64 {
        let mut total = 0;
        while let Some(path) = self.path(work) {
            let width = path.iter().map(|&edge| self.left[edge as usize]).min().unwrap_or(0);
            for edge in path {
                self.left[edge as usize] -= width;
                self.left[(edge ^ 1) as usize] += width;
            }
            total += width;
        }
        total
    }

    /// The edges of a shortest way from the source to the sink through which more may flow, from its end.
    fn path(&self, work: &mut u64) -> Option<Vec<u32>> {
        let mut by = vec![u32::MAX; self.edges.len()];
        let mut queue = VecDeque::from([SOURCE]);
        while let Some(vertex) = queue.pop_front() {
            let edges = &self.edges[vertex as usize];
            *work = work.checked_sub(edges.len() as u64)?;
            for &edge in edges {
                let to = self.to[edge as usize];
                if self.left[edge as usize] == 0 || to == SOURCE || by[to as usize] != u32::MAX {
                    continue;
                }
                by[to as usize] = edge;
                if to == SINK {
                    let before = |&edge: &u32| Some(by[self.to[(edge ^ 1) as usize] as usize]);
                    let before = |edge: &u32| before(edge).filter(|&edge| edge != u32::MAX);
                    return Some(core::iter::successors(Some(edge), before).collect());
                }
                queue.push_back(to);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{Access, Dag, Node, Value};

    /// What projects keys and values at once is kept until both are cut out of it, or both are there instead.
    #[test]
    fn either_the_large_value_is_live_or_what_is_made_of_it() {
        let value = |(size, kept)| Value { size, align: 1, given: false, kept };
        let sizes = [30, 5, 100, 100, 10, 10];
        let kept = [false, false, false, true, true, true];
        let whole = |value: u32| Access::new(value, 0, sizes[value as usize]);
        let node = |(result, reads): (u32, &[u32])| Node {
            reads: reads.iter().map(|&value| whole(value)).collect(),
            writes: vec![whole(result)],
            ..Node::default()
        };
        let nodes = [(0, &[][..]), (1, &[0]), (2, &[1]), (3, &[2]), (4, &[0]), (5, &[0])].map(node).to_vec();
        let dag = Dag::new(nodes, sizes.into_iter().zip(kept).map(value).collect()).expect("a graph");
        let region = Region::whole(&dag);
        let given = region.given();
        assert_eq!(region.peak(&given), (230, 3));
        assert_eq!(super::super::bound::bound(&region), (220 - 20, 3));
        let mut work = 1_000_000;
        assert_eq!(bound(&region, &given, 200, &mut work), Some((220, 3)));
        assert_eq!(region.peak(&[0, 4, 5, 1, 2, 3]), (220, 5));
        assert_eq!(bound(&region, &given, 220, &mut work), None);
        assert_eq!(bound(&region, &given, 200, &mut 0), None);
    }
}
