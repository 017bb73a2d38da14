//! Orders at random.

use alloc::vec::Vec;

use super::dag::Dag;
use crate::random::SplitMix;

/// An order that a graph allows, drawn from a seed: at each step any node may come whose predecessors have. Every order
/// that is allowed can be drawn, not all with the same chance.
///
/// No order changes what a graph computes; drawn ones show whether that is so.
pub fn drawn(dag: &Dag, seed: u64) -> Vec<u32> {
    let count = dag.nodes().len() as u32;
    let mut waits = alloc::vec![0u32; count as usize];
    for &next in (0..count).flat_map(|node| dag.after(node)) {
        waits[next as usize] += 1;
    }
    let mut ready: Vec<u32> = (0..count).filter(|&node| waits[node as usize] == 0).collect();
    let mut random = SplitMix::new(seed);
    let mut order = Vec::with_capacity(count as usize);
    while !ready.is_empty() {
        let node = ready.swap_remove(random.below(ready.len() as u64) as usize);
        order.push(node);
        for &next in dag.after(node) {
            waits[next as usize] -= 1;
            if waits[next as usize] == 0 {
                ready.push(next);
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{Access, Node, Value};

    #[test]
    fn every_order_that_is_allowed_and_no_other() {
        // Two chains of two nodes each, which may run in six ways.
        let values = alloc::vec![Value { size: 8, align: 1, given: false, kept: false }; 4];
        let node = |reads: Option<u32>, writes: u32| Node {
            reads: reads.into_iter().map(|value| Access::new(value, 0, 8)).collect(),
            writes: alloc::vec![Access::new(writes, 0, 8)],
            ..Node::default()
        };
        let nodes = alloc::vec![node(None, 0), node(Some(0), 1), node(None, 2), node(Some(2), 3)];
        let dag = Dag::new(nodes, values).expect("a graph");
        let mut seen: Vec<Vec<u32>> = (0..100).map(|seed| drawn(&dag, seed)).collect();
        assert!(seen.iter().all(|order| dag.allows(order)), "{seen:?}");
        assert_eq!(drawn(&dag, 7), drawn(&dag, 7));
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 6, "{seen:?}");
    }
}
