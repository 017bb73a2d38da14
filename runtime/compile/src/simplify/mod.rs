//! Simplification: what exporters write in many ways gets one form before it is lowered.
//!
//! ```text
//!  Mul(x, Reciprocal(Sqrt(Add(ReduceMean(Pow(x, 2)), ε))))  ─►  Normalize(x)         one dispatch instead of three
//!  Conv(Pad(x))                                             ─►  Conv(x) with pads    no copy of x
//!  the same node twice, equal constants                     ─►  once
//!  Expand to the shape it has, Add 0, Mul 1, …              ─►  nothing
//! ```
//!
//! Nodes are taken in their order: each reads what its operands have become, a rule may give another value for its
//! result, and what no rule changes is looked up among the nodes before it. Every rule keeps type and shape of the
//! value; rounding may differ where the rule says so.

mod arithmetic;
mod constants;
mod identity;
mod normalize;
mod padding;

use std::collections::HashMap;
use std::sync::Arc;

use bayplan_expr::Expr;
use bayplan_graph::op::{BinaryOp, ViewOp};
use bayplan_graph::{
    ConstData, DType, Graph, Node, NodeId, Op, Tensor, TensorType, Value, ValueId, ValueSource,
};

/// Values known before the model runs, by value.
pub(crate) type Known = Vec<Option<Arc<Tensor>>>;

/// Gives another value for the only result of a node whose operands are simplified already, if it knows a better one.
type Rule = fn(&mut Rewriter<'_>, &Node) -> Option<ValueId>;

/// In this order; the first that answers wins.
const RULES: [Rule; 4] = [identity::rewrite, normalize::rewrite, arithmetic::rewrite, padding::rewrite];

/// The graph in its simple form, with what is known of its values. Dimensions may hold symbols: shapes are the same where
/// their expressions are. Values keep their places;
/// those that nothing needs any more stay, without a reader.
pub(crate) fn simplify(mut graph: Graph, known: Known) -> (Graph, Known) {
    if graph.output_names.is_empty() {
        // Outputs may become one value, or a value that has another name.
        graph.output_names = graph.outputs.iter().map(|&id| graph.value(id).name.clone()).collect();
    }
    let nodes = std::mem::take(&mut graph.nodes);
    let replaced = (0..graph.values.len() as u32).map(ValueId).collect();
    let mut rewriter = Rewriter { graph, known, replaced, seen: HashMap::new(), node: None };
    constants::merge(&mut rewriter);
    for node in &nodes {
        rewriter.take(node);
    }
    let Rewriter { mut graph, known, replaced, .. } = rewriter;
    for output in &mut graph.outputs {
        *output = replaced[output.0 as usize];
    }
    (graph, known)
}

/// What makes two nodes the same: operator, operands, and the results' shapes.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    op: Op,
    inputs: Vec<ValueId>,
    shapes: Vec<Vec<Expr>>,
}

/// A graph while its nodes are rewritten one by one.
pub(crate) struct Rewriter<'a> {
    /// All values; the nodes taken so far.
    graph: Graph,
    known: Known,
    /// For each value, the one that stands for it now.
    replaced: Vec<ValueId>,
    seen: HashMap<Key, Vec<ValueId>>,
    /// The model's node at hand.
    node: Option<&'a Node>,
}

impl<'a> Rewriter<'a> {
    /// Takes the next node.
    fn take(&mut self, original: &'a Node) {
        self.node = Some(original);
        if original.outputs.iter().all(|output| self.known[output.0 as usize].is_some()) {
            // What is known already is never computed.
            return;
        }
        let mut node = original.clone();
        for input in &mut node.inputs {
            *input = self.replaced[input.0 as usize];
        }
        if let [output] = node.outputs[..]
            && let Some(value) = RULES.iter().find_map(|rule| rule(self, &node))
        {
            self.replaced[output.0 as usize] = value;
            return;
        }
        let shapes = node.outputs.iter().map(|&id| self.shape(id)).collect::<Option<Vec<_>>>();
        let Some(key) = shapes.map(|shapes| key(&node.op, &node.inputs, shapes)) else {
            return self.append(node);
        };
        if let Some(same) = self.seen.get(&key) {
            for (output, &value) in node.outputs.iter().zip(same) {
                self.replaced[output.0 as usize] = value;
            }
            return;
        }
        self.seen.insert(key, node.outputs.clone());
        self.append(node);
    }

    fn append(&mut self, node: Node) {
        let index = NodeId(self.graph.nodes.len() as u32);
        for (number, output) in node.outputs.iter().enumerate() {
            self.graph.values[output.0 as usize].source =
                ValueSource::Node { node: index, output: number as u32 };
        }
        self.graph.nodes.push(node);
    }

    /// The node that makes a value.
    fn maker(&self, id: ValueId) -> Option<&Node> {
        match self.graph.value(id).source {
            ValueSource::Node { node, .. } => self.graph.nodes.get(node.0 as usize),
            _ => None,
        }
    }

    fn dtype(&self, id: ValueId) -> Option<DType> {
        Some(self.graph.value(id).ty.as_ref()?.dtype)
    }

    fn shape(&self, id: ValueId) -> Option<Vec<Expr>> {
        Some(self.graph.value(id).ty.as_ref()?.shape.clone())
    }

    /// Whether two values have the same element type and shape.
    fn alike(&self, a: ValueId, b: ValueId) -> bool {
        self.dtype(a) == self.dtype(b) && self.shape(a).is_some_and(|shape| self.shape(b) == Some(shape))
    }

    /// The one number that all elements of a known value are.
    fn uniform(&self, id: ValueId) -> Option<f64> {
        let elements = self.known[id.0 as usize].as_ref()?.to_f64();
        let first = *elements.first()?;
        elements.iter().all(|element| element.to_bits() == first.to_bits()).then_some(first)
    }

    /// The elements of a known list.
    fn ints(&self, id: ValueId) -> Option<Vec<i64>> {
        if let Some(tensor) = &self.known[id.0 as usize] {
            return tensor.to_i64().ok();
        }
        self.graph.value(id).contents.as_ref()?.iter().map(Expr::as_const).collect()
    }

    /// A scalar constant.
    fn scalar(&mut self, dtype: DType, value: f64) -> Option<ValueId> {
        let tensor = Tensor::from_f64(dtype, Vec::new(), &[value]).ok()?;
        let source = ValueSource::Constant(ConstData::Inline(tensor.bytes().into()));
        Some(self.value("constant".into(), source, dtype, &[], Some(Arc::new(tensor))))
    }

    /// Adds a node with one result, or finds the same one.
    fn emit(&mut self, op: Op, inputs: &[ValueId], dtype: DType, shape: &[Expr]) -> Option<ValueId> {
        let key = key(&op, inputs, vec![shape.to_vec()]);
        if let Some(same) = self.seen.get(&key) {
            return same.first().copied();
        }
        let origin = self.node?;
        let name = origin.outputs.first().map_or(&origin.name, |&id| &self.graph.value(id).name).clone();
        // Which node makes it is noted when that is appended.
        let source = ValueSource::Node { node: NodeId(u32::MAX), output: 0 };
        let output = self.value(name, source, dtype, shape, None);
        let (name, source_op) = (origin.name.clone(), origin.source_op.clone());
        self.append(Node { op, inputs: inputs.to_vec(), outputs: vec![output], name, source_op });
        self.seen.insert(key, vec![output]);
        Some(output)
    }

    fn value(
        &mut self,
        name: Arc<str>,
        source: ValueSource,
        dtype: DType,
        shape: &[Expr],
        known: Option<Arc<Tensor>>,
    ) -> ValueId {
        let id = ValueId(self.graph.values.len() as u32);
        let ty = Some(TensorType { dtype, shape: shape.to_vec() });
        self.graph.values.push(Value { name, source, ty, contents: None });
        self.known.push(known);
        self.replaced.push(id);
        id
    }
}

fn key(op: &Op, inputs: &[ValueId], shapes: Vec<Vec<Expr>>) -> Key {
    let (mut op, mut inputs) = (op.clone(), inputs.to_vec());
    match op {
        // Operand and result say all; how the shape is written does not matter.
        Op::View(_) => {
            op = Op::View(ViewOp::Reshape { allow_zero: true });
            inputs.truncate(1);
        }
        Op::Expand => inputs.truncate(1),
        Op::Binary(binary) if commutes(binary) => inputs.sort_unstable(),
        _ => {}
    }
    Key { op, inputs, shapes }
}

/// Whether the order of the operands does not matter.
fn commutes(op: BinaryOp) -> bool {
    use BinaryOp::{Add, And, Equal, Mul, Or, Xor};
    matches!(op, Add | Mul | And | Or | Xor | Equal)
}
