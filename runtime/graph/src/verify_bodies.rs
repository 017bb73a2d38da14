//! Whether the bodies of Ifs nest, and who may read what is made in them.

use std::cmp::Reverse;
use std::ops::Range;

use crate::verify::{Problem, VerifyError};
use crate::{Graph, Op, ValueId, ValueSource};

/// The innermost body of each node.
pub(crate) struct Blocks(Vec<Option<Range<usize>>>);

/// A run of nodes that must lie whole within others or hold them whole.
struct Run {
    nodes: Range<usize>,
    /// Whether it is a body: an If with its bodies is a run too.
    body: bool,
}

/// Finds the bodies.
///
/// # Errors
/// An If counts more nodes than there are before it, or bodies that overlap do not lie one within the other.
pub(crate) fn blocks(graph: &Graph) -> Result<Blocks, VerifyError> {
    let mut runs = runs(graph)?;
    runs.sort_by_key(|run| (run.nodes.start, Reverse(run.nodes.end)));
    let mut innermost = vec![None; graph.nodes.len()];
    let (mut open, mut next) = (Vec::<Run>::new(), runs.into_iter().peekable());
    for (index, slot) in innermost.iter_mut().enumerate() {
        open.retain(|run| run.nodes.end > index);
        while let Some(run) = next.next_if(|run| run.nodes.start == index) {
            if open.last().is_some_and(|outer| outer.nodes.end < run.nodes.end) {
                let place = graph.nodes[index].name.to_string();
                let problem = Problem::Source("it lies in bodies of Ifs of which none lies within the other");
                return Err(VerifyError { place, problem });
            }
            open.push(run);
        }
        *slot = open.iter().rev().find(|run| run.body).map(|run| run.nodes.clone());
    }
    Ok(Blocks(innermost))
}

fn runs(graph: &Graph) -> Result<Vec<Run>, VerifyError> {
    let mut runs = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let Op::If { then_nodes, else_nodes } = node.op else { continue };
        let middle = index.checked_sub(else_nodes as usize);
        let first = middle.and_then(|middle| middle.checked_sub(then_nodes as usize));
        let (Some(first), Some(middle)) = (first, middle) else {
            let problem = Problem::Source("its bodies have more nodes than there are before it");
            return Err(VerifyError { place: node.name.to_string(), problem });
        };
        runs.push(Run { nodes: first..index + 1, body: false });
        let bodies = [first..middle, middle..index].into_iter().filter(|nodes| !nodes.is_empty());
        runs.extend(bodies.map(|nodes| Run { nodes, body: true }));
    }
    Ok(runs)
}

impl Blocks {
    /// The body that a value is made in.
    pub(crate) fn of_value(&self, graph: &Graph, id: ValueId) -> Option<&Range<usize>> {
        let ValueSource::Node { node, .. } = graph.value(id).source else { return None };
        self.0.get(node.0 as usize)?.as_ref()
    }

    /// An operand of a node that is made in a body which the node does not lie in. An If reads the results of its bodies
    /// as if it stood at their ends.
    pub(crate) fn unreadable(&self, graph: &Graph, index: usize) -> Option<ValueId> {
        let node = &graph.nodes[index];
        let count = node.outputs.len();
        let position = |operand: usize| match node.op {
            Op::If { then_nodes, else_nodes } if operand > 0 => {
                let (before, nodes) = match operand <= count {
                    true => (else_nodes as usize, then_nodes),
                    false => (0, else_nodes),
                };
                if nodes > 0 { index - before - 1 } else { index }
            }
            _ => index,
        };
        let mut operands = node.inputs.iter().enumerate();
        let hidden = |(operand, id): &(usize, &ValueId)| {
            self.of_value(graph, **id).is_some_and(|body| !body.contains(&position(*operand)))
        };
        operands.find(hidden).map(|(_, id)| *id)
    }
}
