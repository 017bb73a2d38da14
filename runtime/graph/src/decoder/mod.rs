//! Decoder models: which of a graph's nodes are attention over keys and values of earlier tokens.
//!
//! ```text
//!   past [batch, kv heads, past, d] ─┐
//!   new  [batch, kv heads, seq, d] ──┴ Concat ─► present ─ repeat, turn ─┐ keys
//!   q ─ scale ────────────────────────────────────────────────── MatMul ─┴ mask ─ Softmax ─ MatMul ─► result
//!                                                                          values of the same layer ─┘
//! ```
//!
//! Nodes only say where such an attention may be. That it is one is proved by evaluating what was found: masks at many
//! lengths (a query sees the keys up to its own position and no other), then each layer from queries, keys and values to
//! its result. Last, whatever else the model computes must treat each token for itself, so that tokens of several
//! sequences can be one row.

use core::fmt;
use std::collections::BTreeSet;
use std::sync::Arc;

use bayplan_expr::{Bindings, Scope};
use bayplan_text::escape;

use crate::{Constants, DType, Graph, Node, Op, ValueId};

mod masks;
mod part;
mod proof;
mod sizes;
mod states;
mod tokens;
mod walk;

use sizes::Sizes;

/// A decoder model: all of its attention, and what the rest reads. Values are those of the graph that was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoder {
    /// The layers, in the order in which they run.
    pub layers: Vec<Attention>,
    /// Heads of keys and values.
    pub kv_heads: usize,
    /// Elements of a head.
    pub head: usize,
    /// Element type of keys and values.
    pub dtype: DType,
    /// The input that holds the tokens, [batch, seq].
    pub tokens: ValueId,
    /// Values that hold each token's place in its sequence: inputs, and what the graph computes from lengths.
    pub positions: Vec<ValueId>,
    /// Inputs, ones for a whole sequence, that only masks and positions are made of.
    pub masks: Vec<ValueId>,
    /// Outputs that are no keys or values, by their place in [`Graph::outputs`]: logits come first.
    pub outputs: Vec<usize>,
}

/// Attention of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// Its keys.
    pub keys: State,
    /// Its values.
    pub values: State,
    /// The queries before they are scaled: [batch, .., seq, head], whose middle dimensions are the heads.
    pub q: ValueId,
    /// Heads of queries.
    pub heads: usize,
    /// What products of queries and keys are multiplied by.
    pub scale: f64,
    /// The result, laid out as `q` is: [batch, .., seq, head].
    pub result: ValueId,
}

/// Keys or values of one layer: what came before and what comes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The input with those of earlier tokens.
    pub past: ValueId,
    /// Those of the tokens of this run.
    pub new: ValueId,
    /// Both.
    pub present: ValueId,
    /// The output that `present` is, by its place in [`Graph::outputs`].
    pub output: usize,
}

/// Why a graph is no decoder model whose attention is known, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The layer, counted from 0.
    pub layer: Option<usize>,
    /// The node, and its operator in the model.
    pub node: Option<(Arc<str>, Arc<str>)>,
    /// What was found and what was expected. Names in it are escaped.
    pub reason: String,
}

impl fmt::Display for Refusal {
    /// `layer 3: node `attn/softmax` (Softmax): …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(layer) = self.layer {
            write!(f, "layer {layer}: ")?;
        }
        if let Some((name, op)) = &self.node {
            write!(f, "node `{}` ({}): ", escape(name), escape(op))?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    fn new(reason: impl Into<String>) -> Self {
        Self { layer: None, node: None, reason: reason.into() }
    }

    fn at(node: &Node, reason: impl Into<String>) -> Self {
        let node = Some((node.name.clone(), node.source_op.clone()));
        Self { layer: None, node, reason: reason.into() }
    }

    fn of(self, layer: usize) -> Self {
        Self { layer: Some(layer), ..self }
    }
}

/// A value's name for messages.
fn named(graph: &Graph, value: ValueId) -> String {
    format!("`{}`", escape(&graph.value(value).name))
}

/// Looks for the attention of a decoder model. The graph must be inferred; `constants` reads what masks are made of where
/// that lies in files.
///
/// # Errors
/// [`Refusal`]: the first thing that is not as it must be for a cache in blocks.
pub fn recognise(graph: &Graph, constants: &dyn Constants) -> Result<Decoder, Refusal> {
    if let Some(node) = graph.nodes.iter().find(|node| matches!(node.op, Op::If { .. })) {
        return Err(Refusal::at(node, "models with branches are not looked into"));
    }
    let single = one_sequence(graph)?;
    let states = states::find(&single)?;
    let sizes = Sizes::of(&single, &states)?;
    let inputs = sizes.inputs(&single, &states)?;
    let layers = walk::layers(&single, &sizes, &states, constants)?;
    let mut proved = BTreeSet::new();
    for (index, layer) in layers.iter().enumerate() {
        masks::prove(&single, &sizes, &inputs, layer, constants, &mut proved).map_err(|e| e.of(index))?;
        proof::prove(&single, &sizes, &inputs, layer, constants).map_err(|e| e.of(index))?;
    }
    let layers: Vec<Attention> = layers.into_iter().map(|layer| layer.attention).collect();
    let outputs: Vec<usize> =
        (0..single.outputs.len()).filter(|&at| !states.iter().any(|state| state.output == at)).collect();
    let computed = tokens::check(&single, &sizes, &inputs, &layers, &outputs, constants)?;
    let positions = inputs.positions.iter().copied().chain(computed).collect();
    let dims = states::dims(&single, &states[0]);
    Ok(Decoder {
        layers,
        kv_heads: dims.heads,
        head: dims.head,
        dtype: dims.dtype,
        tokens: inputs.tokens,
        positions,
        masks: inputs.masks,
        outputs,
    })
}

/// The graph for one sequence: its values keep their numbers.
fn one_sequence(graph: &Graph) -> Result<Graph, Refusal> {
    let states = states::find(graph)?;
    let first = states.first().and_then(|state| graph.value(state.past).ty.as_ref());
    let batch = first.and_then(|ty| ty.shape.first()).ok_or_else(|| Refusal::new("it has no past"))?;
    match (batch.as_const(), batch.as_symbol()) {
        (Some(1), _) => Ok(graph.clone()),
        (None, Some(symbol)) => {
            let one = Bindings::new().with(symbol, 1);
            let pinned = graph.pin(&one, &Scope::default());
            pinned.map_err(|e| Refusal::new(format!("it does not run with one sequence: {e}")))
        }
        _ => Err(Refusal::new(format!(
            "the first dimension of its past is {batch}; 1 or a symbol is expected, so that it runs with one sequence"
        ))),
    }
}
