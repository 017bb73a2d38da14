//! The same model over keys and values in blocks: all tokens of a step, of however many sequences, are one row.
//!
//! ```text
//!   new keys ── rows [seq, kv heads · d] ─ ScatterND at slots ─► pool'     positions, sequences, tables
//!   q ───────── rows [seq, heads · d] ────────────────────────── PagedAttention ─► result, laid out as before
//! ```

use std::sync::Arc;

use bayplan_expr::Expr;

use super::part::Part;
use super::{Attention, Decoder, Refusal, State, one_sequence};
use crate::op::{F32Bits, PagedAttention, ViewOp};
use crate::{DType, Graph, Node, NodeId, Op, TensorType, Value, ValueId, ValueSource};

/// A decoder model whose inputs are, in this order: the tokens [1, tokens], then i64 `positions` [tokens] (each token's place
/// in its sequence), `slots` [tokens, 1] (the row of the pools that its key and value are written to: block · tokens of a
/// block + place in the block), `sequences` [tokens] (its row of the tables), `tables` [sequences, entries] (blocks), then
/// for each layer a pool of keys and one of values, [rows, kv heads · d]. Outputs: those of the model that are no keys or
/// values, then the pools after the step, in the order of the inputs.
#[derive(Clone, Debug)]
pub struct Paged {
    /// The graph, inferred.
    pub graph: Graph,
    /// How many of its outputs are the model's own.
    pub own_outputs: usize,
}

/// What all layers read.
#[derive(Clone, Copy)]
struct Step {
    positions: ValueId,
    slots: ValueId,
    sequences: ValueId,
    tables: ValueId,
}

/// The graph with its nodes written anew.
struct Rewriting<'a> {
    decoder: &'a Decoder,
    block: usize,
    graph: Graph,
    nodes: Vec<Node>,
    /// How many nodes and lists have been made: for their names.
    made: usize,
}

/// Writes a decoder model over blocks of so many tokens; `decoder` is what [`super::recognise`] found in the graph.
///
/// # Errors
/// [`Refusal`] where operators do not fit together, as for heads whose size blocks do not support.
pub fn paged(graph: &Graph, decoder: &Decoder, block: usize) -> Result<Paged, Refusal> {
    let mut graph = one_sequence(graph)?;
    let nodes = std::mem::take(&mut graph.nodes);
    let mut rewriting = Rewriting { decoder, block, graph, nodes: Vec::with_capacity(nodes.len()), made: 0 };
    let (inputs, step) = rewriting.inputs();
    for &value in &decoder.positions {
        rewriting.places(value, step.positions);
    }
    let mut pools = Vec::new();
    for node in nodes {
        let layer = decoder.layers.iter().position(|layer| node.outputs.contains(&layer.result));
        match layer {
            Some(index) => {
                let at = [inputs[5 + 2 * index], inputs[6 + 2 * index]];
                pools.push((index, rewriting.layer(index, at, step)));
            }
            None if node.outputs.iter().any(|value| decoder.positions.contains(value)) => {}
            None => rewriting.push(node),
        }
    }
    pools.sort_unstable_by_key(|(index, _)| *index);
    let Rewriting { mut graph, nodes, .. } = rewriting;
    graph.nodes = nodes;
    let own: Vec<ValueId> = decoder.outputs.iter().map(|&at| graph.outputs[at]).collect();
    let names = decoder.outputs.iter().map(|&at| graph.output_name(at).clone());
    let pool_names =
        pools.iter().flat_map(|(index, _)| ["keys", "values"].map(|kind| pool_name(*index, kind).into()));
    let names: Vec<Arc<str>> = names.chain(pool_names).collect();
    let results: Vec<ValueId> =
        own.iter().copied().chain(pools.iter().flat_map(|(_, pools)| *pools)).collect();
    let mut made = Part::cut(&graph, &[], &results).into_graph(&graph, &inputs);
    made.output_names = names;
    made.infer().map_err(|e| Refusal::new(format!("it does not run over blocks: {e}")))?;
    Ok(Paged { graph: made, own_outputs: own.len() })
}

fn pool_name(layer: usize, kind: &str) -> String {
    format!("pool.{layer}.{kind}")
}

impl Rewriting<'_> {
    fn value(&mut self, name: &str, source: ValueSource, ty: Option<TensorType>) -> ValueId {
        let mut name = name.to_owned();
        while self.graph.values.iter().any(|value| *value.name == *name) {
            name.push('\'');
        }
        self.graph.values.push(Value { name: name.into(), source, ty, contents: None });
        ValueId(self.graph.values.len() as u32 - 1)
    }

    fn input(&mut self, name: &str, dtype: DType, shape: Vec<Expr>) -> ValueId {
        self.value(name, ValueSource::Input, Some(TensorType { dtype, shape }))
    }

    /// The length of a step.
    fn tokens(&self) -> Expr {
        let ty = self.graph.value(self.decoder.tokens).ty.as_ref();
        ty.map_or_else(|| Expr::from(1), |ty| ty.shape[1].clone())
    }

    /// A symbol that the graph does not have.
    fn symbol(&self, name: &str) -> Expr {
        let (taken, mut name) = (self.graph.free_symbols(), name.to_owned());
        while taken.contains(&name) {
            name.push('_');
        }
        Expr::symbol(&name)
    }

    fn inputs(&mut self) -> (Vec<ValueId>, Step) {
        let tokens = self.tokens();
        let [rows, sequences, entries] = ["rows", "sequences", "entries"].map(|name| self.symbol(name));
        let step = Step {
            positions: self.input("positions", DType::I64, vec![tokens.clone()]),
            slots: self.input("slots", DType::I64, vec![tokens.clone(), 1.into()]),
            sequences: self.input("sequences", DType::I64, vec![tokens]),
            tables: self.input("tables", DType::I64, vec![sequences, entries]),
        };
        let mut inputs = vec![self.decoder.tokens, step.positions, step.slots, step.sequences, step.tables];
        let width = Expr::from((self.decoder.kv_heads * self.decoder.head) as u64);
        for index in 0..self.decoder.layers.len() {
            for kind in ["keys", "values"] {
                let shape = vec![rows.clone(), width.clone()];
                inputs.push(self.input(&pool_name(index, kind), self.decoder.dtype, shape));
            }
        }
        (inputs, step)
    }

    fn push(&mut self, node: Node) {
        let id = NodeId(self.nodes.len() as u32);
        for (output, &value) in (0..).zip(&node.outputs) {
            self.graph.values[value.0 as usize].source = ValueSource::Node { node: id, output };
        }
        self.nodes.push(node);
    }

    /// A node that makes `output`.
    fn makes(&mut self, op: Op, inputs: Vec<ValueId>, output: ValueId) {
        let name = self.graph.value(output).name.clone();
        let source_op = op.name().into();
        self.push(Node { op, inputs, outputs: vec![output], name, source_op });
    }

    fn node(&mut self, op: Op, inputs: Vec<ValueId>) -> ValueId {
        self.made += 1;
        let name = format!("paged.{}", self.made);
        let output = self.value(&name, ValueSource::Input, None);
        self.makes(op, inputs, output);
        output
    }

    fn list(&mut self, shape: Vec<Expr>) -> ValueId {
        self.made += 1;
        let ty = TensorType { dtype: DType::I64, shape: vec![Expr::from(shape.len() as u64)] };
        self.value(&format!("paged.{}", self.made), ValueSource::Symbolic(shape.into()), Some(ty))
    }

    fn reshaped(&mut self, x: ValueId, shape: Vec<Expr>) -> ValueId {
        let shape = self.list(shape);
        self.node(Op::View(ViewOp::Reshape { allow_zero: true }), vec![x, shape])
    }

    /// A value of the model that holds positions is now the input, in its type.
    fn places(&mut self, value: ValueId, positions: ValueId) {
        let Some(ty) = self.graph.value(value).ty.clone() else { return };
        let shape = self.list(ty.shape);
        let same = self.node(Op::Cast(ty.dtype), vec![positions]);
        self.makes(Op::View(ViewOp::Reshape { allow_zero: true }), vec![same, shape], value);
    }

    /// [1, .., seq, d] as rows [seq, heads · d].
    fn rows(&mut self, x: ValueId, heads: usize) -> ValueId {
        let (tokens, head) = (self.tokens(), self.decoder.head);
        let apart = vec![Expr::from(heads as u64), tokens.clone(), Expr::from(head as u64)];
        let x = self.reshaped(x, apart);
        let x = self.node(Op::Transpose(vec![1, 0, 2]), vec![x]);
        self.reshaped(x, vec![tokens, Expr::from((heads * head) as u64)])
    }

    /// A layer over the pools given: those after it.
    fn layer(&mut self, index: usize, pools: [ValueId; 2], step: Step) -> [ValueId; 2] {
        let Attention { keys, values, q, heads, scale, result } = self.decoder.layers[index].clone();
        let kv_heads = self.decoder.kv_heads;
        let [keys, values] = [(keys, pools[0]), (values, pools[1])].map(|(State { new, .. }, pool)| {
            let rows = self.rows(new, kv_heads);
            self.node(Op::ScatterNd { join: None }, vec![pool, step.slots, rows])
        });
        let q = self.rows(q, heads);
        let op = PagedAttention { heads, kv_heads, block: self.block, scale: F32Bits::new(scale as f32) };
        let operands = vec![q, keys, values, step.positions, step.sequences, step.tables];
        let made = self.node(Op::PagedAttention(op), operands);
        let (tokens, head) = (self.tokens(), Expr::from(self.decoder.head as u64));
        let made = self.reshaped(made, vec![tokens, Expr::from(heads as u64), head]);
        let made = self.node(Op::Transpose(vec![1, 0, 2]), vec![made]);
        let shape = self.graph.value(result).ty.as_ref().map_or(Vec::new(), |ty| ty.shape.clone());
        let shape = self.list(shape);
        self.makes(Op::View(ViewOp::Reshape { allow_zero: true }), vec![made, shape], result);
        [keys, values]
    }
}
