//! That everything but attention treats each token for itself, so that tokens of several sequences can stand in one row.

use bayplan_expr::Expr;

use super::masks::NEAR;
use super::part::Part;
use super::sizes::{Inputs, Sizes};
use super::states::mentions;
use super::{Attention, Refusal, named};
use crate::{Constants, Graph, Node, Op, ValueId, ValueSource, rule};

struct Check<'a> {
    graph: &'a Graph,
    sizes: &'a Sizes,
    inputs: &'a Inputs,
    constants: &'a dyn Constants,
    /// What is read, and not looked behind: results of attention, positions.
    known: Vec<bool>,
    positions: Vec<ValueId>,
}

/// Checks what makes the outputs and what attention reads, up to results of attention, and gives the values that hold
/// positions without being inputs.
pub(super) fn check(
    graph: &Graph,
    sizes: &Sizes,
    inputs: &Inputs,
    layers: &[Attention],
    outputs: &[usize],
    constants: &dyn Constants,
) -> Result<Vec<ValueId>, Refusal> {
    if outputs.is_empty() {
        return Err(Refusal::new("it has no output beside keys and values; logits are expected"));
    }
    let known = vec![false; graph.values.len()];
    let mut check = Check { graph, sizes, inputs, constants, known, positions: Vec::new() };
    for layer in layers {
        check.known[layer.result.0 as usize] = true;
    }
    let read = layers.iter().flat_map(|layer| [layer.q, layer.keys.new, layer.values.new]);
    let roots: Vec<ValueId> = outputs.iter().map(|&at| graph.outputs[at]).chain(read).collect();
    let mut open = roots.clone();
    let mut seen = vec![false; graph.nodes.len()];
    while let Some(value) = open.pop() {
        if let Some(node) = check.behind(value)?.filter(|&node| !seen[node]) {
            seen[node] = true;
            open.extend(&graph.nodes[node].inputs);
        }
    }
    // In their order, so that the first that is wrong is told and not what comes of it.
    for (node, _) in graph.nodes.iter().zip(seen).filter(|(_, seen)| *seen) {
        check.node(node)?;
    }
    for root in roots {
        if check.axis(root)?.is_none() {
            return Err(Refusal::new(format!(
                "{} has nothing of each token: [.., seq, ..] is expected",
                named(graph, root)
            )));
        }
    }
    let mut positions = check.positions;
    positions.sort_unstable();
    Ok(positions)
}

impl Check<'_> {
    /// The node to look at next, unless what makes the value need not be looked at.
    fn behind(&mut self, value: ValueId) -> Result<Option<usize>, Refusal> {
        let whole = self.graph.value(value);
        if whole.contents.is_some() || self.known[value.0 as usize] {
            return Ok(None);
        }
        match whole.source {
            ValueSource::Input if value == self.inputs.tokens || self.inputs.positions.contains(&value) => {
                Ok(None)
            }
            ValueSource::Input => Err(Refusal::new(format!(
                "input {} is read by more than masks and attention; only tokens and positions may be",
                named(self.graph, value)
            ))),
            ValueSource::Constant(_) | ValueSource::Symbolic(_) => Ok(None),
            ValueSource::Node { .. } if self.is_positions(value) => {
                self.known[value.0 as usize] = true;
                self.positions.push(value);
                Ok(None)
            }
            ValueSource::Node { node, .. } => Ok(Some(node.0 as usize)),
        }
    }

    /// Whether a value that follows from lengths and masks holds past, past + 1, … for the tokens.
    fn is_positions(&self, value: ValueId) -> bool {
        let Some(ty) = &self.graph.value(value).ty else { return false };
        let single = |dim: &&Expr| dim.as_const() != Some(1);
        let mut others = ty.shape.iter().filter(single);
        let one_each =
            others.next().and_then(Expr::as_symbol) == Some(&*self.sizes.seq) && others.next().is_none();
        if !one_each {
            return false;
        }
        let part = Part::cut(self.graph, &[], &[value]);
        if !part.inputs().iter().all(|input| self.inputs.masks.contains(input)) {
            return false;
        }
        NEAR.iter().all(|&at| {
            let made =
                part.at(self.sizes, at, self.constants, &|input| self.inputs.elements(self.graph, input, at));
            let expected: Vec<f64> = (at.past..at.past + at.seq).map(|place| place as f64).collect();
            made.is_ok_and(|made| made.first().is_some_and(|tensor| tensor.to_f64() == expected))
        })
    }

    /// The dimension of a value that counts tokens, if it has one.
    fn axis(&self, value: ValueId) -> Result<Option<usize>, Refusal> {
        let whole = self.graph.value(value);
        let Some(ty) = &whole.ty else { return Ok(None) };
        let is_seq = |dim: &&Expr| dim.as_symbol() == Some(&*self.sizes.seq);
        let fits = ty.shape.iter().all(|dim| dim.as_const().is_some() || is_seq(&dim));
        if fits && ty.shape.iter().filter(is_seq).count() <= 1 {
            return Ok(ty.shape.iter().position(|dim| is_seq(&dim)));
        }
        let why = if mentions(&ty.shape, &self.sizes.lengths()) {
            "grows with the tokens in the past"
        } else {
            "holds tokens in more than one dimension, or together with others"
        };
        Err(Refusal::new(format!("value {} ({ty}) {why} outside attention", named(self.graph, value))))
    }

    fn node(&self, node: &Node) -> Result<(), Refusal> {
        let mut operands = Vec::with_capacity(node.inputs.len());
        for (at, &input) in node.inputs.iter().enumerate() {
            // Lists only say shapes here; what is computed with them is told below.
            let list = self.graph.value(input).contents.as_ref();
            if let Some(list) = list.filter(|list| list.iter().any(|e| !e.symbols().is_empty())) {
                if !takes_list(&node.op, at) {
                    let list: Vec<String> = list.iter().map(ToString::to_string).collect();
                    return Err(Refusal::at(
                        node,
                        format!(
                            "computes with lengths ({}); only masks and positions (past, past + 1, …) may",
                            list.join(", ")
                        ),
                    ));
                }
                operands.push(None);
                continue;
            }
            operands.push(self.axis(input).map_err(|e| Refusal::at(node, e.reason))?);
        }
        let own = operands.iter().any(Option::is_some);
        if own && !self.apart(node, &operands) {
            let why = "joins tokens with each other, or picks some of them; outside attention each is expected to be treated for \
                       itself";
            return Err(Refusal::at(node, why));
        }
        for &output in &node.outputs {
            let made = self.axis(output).map_err(|e| Refusal::at(node, e.reason))?;
            if !own && made.is_some() && !matches!(node.op, Op::Expand | Op::Fill) {
                return Err(Refusal::at(
                    node,
                    "makes something for each token out of lengths; only positions (past, past + 1, …) may be",
                ));
            }
        }
        Ok(())
    }

    /// Whether each token of the result is made of that token alone. Elementwise operators whose tokens lie in different
    /// dimensions have two in their result, which [`Check::axis`] has refused.
    fn apart(&self, node: &Node, operands: &[Option<usize>]) -> bool {
        let shape = |value: ValueId| self.graph.value(value).ty.as_ref().map_or(&[][..], |ty| &ty.shape);
        let first = shape(node.inputs[0]);
        let not = |axis: i64, operand: usize| {
            let rank = shape(node.inputs[operand]).len();
            rule::axis(axis, rank).is_ok_and(|axis| operands[operand] != Some(axis))
        };
        let listed = |at: usize| self.listed(*node.inputs.get(at)?);
        match &node.op {
            Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) | Op::Transpose(_) | Op::Expand => true,
            Op::MatMul => {
                let inner = |operand: usize, from_end: usize| {
                    let rank = shape(node.inputs[operand]).len();
                    rank >= from_end && operands[operand] != Some(rank - from_end)
                };
                inner(0, 1) && inner(1, 2)
            }
            Op::Softmax { axis, .. }
            | Op::Cumulate { axis, .. }
            | Op::Rank { axis, .. }
            | Op::Split { axis } => not(*axis, 0),
            Op::Concat { axis } => (0..operands.len()).all(|operand| not(*axis, operand)),
            Op::Normalize { axis, .. } => {
                rule::axis(*axis, first.len()).is_ok_and(|axis| operands[0].is_none_or(|own| own < axis))
            }
            Op::Reduce(..) => listed(1).is_some_and(|axes| axes.iter().all(|&axis| not(axis, 0))),
            Op::Slice => listed(3).is_some_and(|axes| axes.iter().all(|&axis| not(axis, 0))),
            Op::Pad(_) => listed(1).is_some_and(|pads| {
                let rank = first.len();
                operands[0].is_none_or(|own| pads.get(own) == Some(&0) && pads.get(own + rank) == Some(&0))
            }),
            Op::Gather { axis } => not(*axis, 0),
            Op::GatherElements { axis } => not(*axis, 0) && operands[0] == operands[1],
            Op::View(_) => {
                let inner = |shape: &[Expr], axis: Option<usize>| {
                    axis.and_then(|axis| {
                        shape[axis + 1..].iter().map(Expr::as_const).product::<Option<i64>>()
                    })
                };
                let result = shape(node.outputs[0]);
                let made = self.axis(node.outputs[0]).ok().flatten();
                made.is_some() && inner(first, operands[0]) == inner(result, made)
            }
            _ => false,
        }
    }

    /// The elements of a list of numbers.
    fn listed(&self, value: ValueId) -> Option<Vec<i64>> {
        self.graph.value(value).contents.as_ref()?.iter().map(Expr::as_const).collect()
    }
}

/// Whether an operand is a list that only says a shape.
fn takes_list(op: &Op, operand: usize) -> bool {
    match op {
        Op::View(_) | Op::Expand | Op::Slice | Op::Reduce(..) | Op::Pad(_) | Op::Split { .. } => operand > 0,
        Op::Fill => operand == 0,
        _ => false,
    }
}
