//! A set of nodes that run one after the other, and what memory they hold meanwhile.

use alloc::vec;
use alloc::vec::Vec;

use super::csr::Csr;
use super::dag::Dag;

/// A value as the nodes of a region see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Held {
    /// Bytes, rounded up to the grain.
    pub(crate) size: u64,
    /// Whether it holds its bytes before the region begins.
    pub(crate) started: bool,
    /// Whether it holds them when the region has ended.
    pub(crate) survives: bool,
}

/// Nodes and values with numbers of their own: all of a graph, or a part of it whose nodes run without others between
/// them. Two parts that need the same memory in the same way are equal.
///
/// Bytes are those that some order of the region could do with: a result that may overwrite one of its operands takes
/// none of its own where such an operand dies. So what is found least here is a lower bound on any plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Region {
    /// For each node, those after which it must come.
    pub(crate) predecessors: Csr,
    /// For each node, those that must come after it.
    pub(crate) successors: Csr,
    /// For each node, the values it touches.
    pub(crate) touches: Csr,
    /// For each node, the values of which one that dies saves the bytes of its result.
    pub(crate) overwrites: Csr,
    /// The bytes that are saved then.
    pub(crate) saved: Vec<u64>,
    /// Bytes of scratch.
    pub(crate) scratch: Vec<u64>,
    pub(crate) values: Vec<Held>,
    /// Bytes that are given, never touched and not kept: they are held while the first node runs.
    pub(crate) idle: u64,
    /// Whether the nodes run from the last to the first.
    pub(crate) backward: bool,
}

/// The unit in which offsets of a graph's plan are counted: the smallest alignment of any value with bytes.
pub(crate) fn grain(dag: &Dag) -> u64 {
    let scratch = dag.nodes().iter().any(|node| node.scratch > 0);
    let aligns = dag.values().iter().filter(|value| value.size > 0).map(|value| value.align);
    aligns.chain(scratch.then_some(1)).min().unwrap_or(1)
}

impl Region {
    /// All of a graph.
    pub(crate) fn whole(dag: &Dag) -> Self {
        let (nodes, grain) = (dag.nodes(), grain(dag));
        let round = |size: u64| size.next_multiple_of(grain);
        let (mut touches, mut overwrites, mut saved) = (vec![], vec![], vec![]);
        let mut writers = vec![0u32; dag.values().len()];
        for write in nodes.iter().flat_map(|node| &node.writes) {
            writers[write.value as usize] += 1;
        }
        for (at, node) in nodes.iter().enumerate() {
            touches.extend(node.reads.iter().chain(&node.writes).map(|access| (at as u32, access.value)));
            let own = node.writes.first().map(|write| write.value);
            let own = own.filter(|&own| writers[own as usize] == 1 && !dag.values()[own as usize].given);
            let size = own.map_or(0, |own| dag.values()[own as usize].size);
            saved.push(round(size));
            let operands = node.overwrites.iter().map(|&read| node.reads[read as usize].value);
            let large = operands.filter(|&operand| {
                let value = dag.values()[operand as usize];
                Some(operand) != own && value.size >= size && !value.kept
            });
            overwrites.extend(large.map(|operand| (at as u32, operand)));
        }
        let held = |value: &super::Value| Held {
            size: round(value.size),
            started: value.given,
            survives: value.kept,
        };
        let touches = Csr::of_pairs(nodes.len(), touches);
        let users = touches.reversed(dag.values().len());
        let unused = dag.values().iter().enumerate().filter(|&(at, _)| users.of(at as u32).is_empty());
        let idle = unused.filter(|(_, value)| value.given && !value.kept).map(|(_, value)| round(value.size));
        Self {
            predecessors: dag.successors.reversed(nodes.len()),
            successors: dag.successors.clone(),
            touches,
            overwrites: Csr::of_pairs(nodes.len(), overwrites),
            saved,
            scratch: nodes.iter().map(|node| round(node.scratch)).collect(),
            values: dag.values().iter().map(held).collect(),
            idle: idle.sum(),
            backward: false,
        }
    }

    /// Number of nodes.
    pub(crate) fn len(&self) -> usize {
        self.scratch.len()
    }

    /// What it takes, in counted steps, to go through all nodes once.
    pub(crate) fn cost(&self) -> u64 {
        (self.len() + self.values.len() + self.touches.total() + self.successors.total()) as u64
    }

    /// The nodes in the given order.
    pub(crate) fn given(&self) -> Vec<u32> {
        (0..self.len() as u32).collect()
    }

    /// The same nodes with time turned round: what must come after comes before, what survives is there from the start.
    pub(crate) fn turned(&self) -> Self {
        let turn = |held: &Held| Held { started: held.survives, survives: held.started, ..*held };
        Self {
            predecessors: self.successors.clone(),
            successors: self.predecessors.clone(),
            values: self.values.iter().map(turn).collect(),
            idle: 0,
            backward: !self.backward,
            ..self.clone()
        }
    }

    /// The most bytes held at once if the nodes run in an order, and the first position where that is.
    pub(crate) fn peak(&self, order: &[u32]) -> (u64, usize) {
        let mut walk = Walk::new(self);
        let mut most = (walk.live, 0);
        for (position, &node) in order.iter().enumerate() {
            let during = walk.run(self, node);
            if during > most.0 {
                most = (during, position);
            }
        }
        most
    }
}

/// Memory around one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Bytes held while it runs.
    pub(crate) during: u64,
    /// Bytes held after it.
    pub(crate) after: u64,
}

/// How far the nodes of a region have run.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    /// For each node, how many of its predecessors have not run.
    pub(crate) missing: Vec<u32>,
    /// For each value, how many of those that touch it have not run.
    pub(crate) left: Vec<u32>,
    /// For each value, whether it holds its bytes or has held them.
    pub(crate) started: Vec<bool>,
    /// Bytes held now, those included that are idle.
    pub(crate) live: u64,
    /// Bytes that are gone once a node has run.
    pub(crate) idle: u64,
}

impl Walk {
    /// Nothing has run.
    pub(crate) fn new(region: &Region) -> Self {
        let mut left = vec![0; region.values.len()];
        for node in 0..region.len() as u32 {
            for &value in region.touches.of(node) {
                left[value as usize] += 1;
            }
        }
        // What nothing touches and does not stay is idle.
        let held = |(held, left): &(&Held, &u32)| held.started && (**left > 0 || held.survives);
        let live: u64 = region.values.iter().zip(&left).filter(held).map(|(held, _)| held.size).sum();
        Self {
            missing: (0..region.len() as u32).map(|node| region.predecessors.of(node).len() as u32).collect(),
            live: live + region.idle,
            idle: region.idle,
            started: region.values.iter().map(|held| held.started).collect(),
            left,
        }
    }

    /// What running a node now would take.
    pub(crate) fn step(&self, region: &Region, node: u32) -> Step {
        let (mut fresh, mut dying) = (0, 0);
        for &value in region.touches.of(node) {
            let (held, at) = (&region.values[value as usize], value as usize);
            if !self.started[at] {
                fresh += held.size;
            }
            if self.left[at] == 1 && !held.survives {
                dying += held.size;
            }
        }
        let saves = |&value: &u32| {
            let (held, at) = (&region.values[value as usize], value as usize);
            // Seen from behind, an operand that dies is one that nothing has touched.
            if region.backward { !self.started[at] } else { self.left[at] == 1 && !held.survives }
        };
        let saved =
            if region.overwrites.of(node).iter().any(saves) { region.saved[node as usize] } else { 0 };
        let during = self.live + fresh + region.scratch[node as usize];
        Step { during: during.saturating_sub(saved), after: self.live + fresh - dying - self.idle }
    }

    /// Runs a node whose predecessors have run; the bytes held meanwhile.
    pub(crate) fn run(&mut self, region: &Region, node: u32) -> u64 {
        let Step { during, after } = self.step(region, node);
        for &value in region.touches.of(node) {
            self.started[value as usize] = true;
            self.left[value as usize] -= 1;
        }
        for &next in region.successors.of(node) {
            self.missing[next as usize] -= 1;
        }
        (self.live, self.idle) = (after, 0);
        during
    }
}
