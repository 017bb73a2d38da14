//! Keys and values: inputs that something new is joined to, which gives an output.

use bayplan_expr::Expr;

use super::{Refusal, State, named};
use crate::{DType, Graph, Op, ValueId, ValueSource};

/// The axis of the tokens in keys and values, [batch, heads, tokens, size].
pub(super) const LENGTH: usize = 2;

/// Heads, their size and type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dims {
    pub(super) heads: usize,
    pub(super) head: usize,
    pub(super) dtype: DType,
}

/// All states, in the order of the nodes that join them. Not empty; all of one shape and type.
pub(super) fn find(graph: &Graph) -> Result<Vec<State>, Refusal> {
    let states: Vec<State> = graph.nodes.iter().filter_map(|node| joined(graph, node)).collect();
    let Some(first) = states.first() else {
        return Err(Refusal::new(
            "no input of rank 4 is joined with new keys or values, along its third dimension, into an output; export the \
             model with a cache (past and present)",
        ));
    };
    let ty = |state: &State| graph.value(state.past).ty.as_ref();
    for state in &states {
        known(graph, state)?;
        if ty(state) != ty(first) {
            return Err(Refusal::new(format!(
                "past {} has another type or shape than {}",
                named(graph, state.past),
                named(graph, first.past)
            )));
        }
    }
    Ok(states)
}

/// Heads and their size, which [`find`] has seen to be numbers.
pub(super) fn dims(graph: &Graph, state: &State) -> Dims {
    let ty = graph.value(state.past).ty.as_ref();
    let size = |axis: usize| ty.and_then(|ty| usize::try_from(ty.shape[axis].as_const()?).ok()).unwrap_or(0);
    Dims { heads: size(1), head: size(3), dtype: ty.map_or(DType::F32, |ty| ty.dtype) }
}

fn known(graph: &Graph, state: &State) -> Result<(), Refusal> {
    let ty = graph.value(state.past).ty.as_ref();
    let numbers =
        |ty: &crate::TensorType| [1, 3].iter().all(|&axis| ty.shape[axis].as_const().is_some_and(|n| n > 0));
    let length = |ty: &crate::TensorType| ty.shape[LENGTH].as_symbol().is_some();
    match ty {
        Some(ty) if numbers(ty) && length(ty) && ty.dtype.is_float() => Ok(()),
        _ => Err(Refusal::new(format!(
            "past {} is {}; floats of [batch, heads, past, size] are expected, with numbers for heads and size and a symbol \
             for past",
            named(graph, state.past),
            ty.map_or("?".to_owned(), ToString::to_string)
        ))),
    }
}

/// Past and new in a node's output, which is one of the graph's.
fn joined(graph: &Graph, node: &crate::Node) -> Option<State> {
    let (&Op::Concat { axis }, &[past, new], &[present]) = (&node.op, &node.inputs[..], &node.outputs[..])
    else {
        return None;
    };
    let past = origin(graph, past);
    let rank = graph.value(past).ty.as_ref()?.shape.len();
    let along = axis == LENGTH as i64 || axis == LENGTH as i64 - 4;
    let output = graph.outputs.iter().position(|&output| origin(graph, output) == present)?;
    let is_input = matches!(graph.value(past).source, ValueSource::Input);
    (is_input && rank == 4 && along).then_some(State { past, new, present, output })
}

/// The value that a join of one operand, which exporters leave behind, hands on.
pub(super) fn origin(graph: &Graph, mut value: ValueId) -> ValueId {
    while let ValueSource::Node { node, .. } = graph.value(value).source {
        match (&graph.node(node).op, &graph.node(node).inputs[..]) {
            (Op::Concat { .. }, &[only]) => value = only,
            _ => break,
        }
    }
    value
}

/// Whether dimensions hold one of the symbols.
pub(super) fn mentions(shape: &[Expr], symbols: &[&str]) -> bool {
    shape.iter().any(|dim| dim.symbols().iter().any(|own| symbols.contains(own)))
}
