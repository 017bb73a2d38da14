//! The bodies of Ifs: where they lie among the nodes, and walking past those that are not taken.

use std::cmp::Reverse;
use std::ops::Range;

use crate::{Graph, Op, ValueId};

/// One body of an [`Op::If`]: a run of nodes before it.
///
/// ```text
///   nodes   … │ then body │ else body │ If │ …      bodies of Ifs within a body lie within its run
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Its nodes, by index.
    pub nodes: Range<usize>,
    /// The If, by index.
    pub branch: usize,
    /// Whether it runs if the condition is true.
    pub then: bool,
}

impl Body {
    /// The condition: a value of rank 0 or one element.
    pub fn condition(&self, graph: &Graph) -> Option<ValueId> {
        graph.nodes.get(self.branch)?.inputs.first().copied()
    }
}

impl Graph {
    /// The bodies of all Ifs that have nodes, in the order in which they begin, an outer one before those within it.
    pub fn bodies(&self) -> Vec<Body> {
        let mut bodies = Vec::new();
        for (branch, node) in self.nodes.iter().enumerate() {
            let Op::If { then_nodes, else_nodes } = node.op else { continue };
            let middle = branch.saturating_sub(else_nodes as usize);
            let first = middle.saturating_sub(then_nodes as usize);
            for (nodes, then) in [(first..middle, true), (middle..branch, false)] {
                if !nodes.is_empty() {
                    bodies.push(Body { nodes, branch, then });
                }
            }
        }
        bodies.sort_by_key(|body| (body.nodes.start, Reverse(body.nodes.end)));
        bodies
    }
}

/// A walk over the nodes of a graph that leaves out bodies.
pub struct Walk<'a> {
    bodies: &'a [Body],
    at: usize,
}

impl<'a> Walk<'a> {
    /// From the first node on; `bodies` as [`Graph::bodies`] gives them.
    pub const fn new(bodies: &'a [Body]) -> Self {
        Self { bodies, at: 0 }
    }

    /// The next node and whether it is there, as `skip` decides of each body when the walk comes to it. Nodes left out
    /// are passed over; the result may be the number of nodes, which is the end.
    pub fn next(&mut self, mut skip: impl FnMut(&Body) -> bool) -> usize {
        while let Some(body) = self.bodies.first().filter(|body| body.nodes.start <= self.at) {
            // Those that begin before are within one that was left out.
            if body.nodes.start == self.at && skip(body) {
                self.at = body.nodes.end;
            }
            self.bodies = &self.bodies[1..];
        }
        self.at += 1;
        self.at - 1
    }
}
