//! Sizes that follow from floats: the nodes that compute them, cut out of the graph to be evaluated before each run.

use std::collections::BTreeMap;
use std::sync::Arc;

use bayplan_expr::{Bounds, Expr};
use bayplan_graph::{ConstData, Graph, Node, NodeId, Op, Prologue, TensorType, Value, ValueId, ValueSource};

use crate::builder::Call;

/// Nodes that sizes may follow from, and elements of an input among them: more would cost each run.
const MAX_HOST: usize = 64;

impl Call<'_, '_> {
    /// Whether the elements of a value follow from constants and shapes, as far as inference sees.
    pub(crate) fn is_followed(&self, id: ValueId) -> bool {
        self.builder.is_followed(id)
    }

    /// A list of integers, or a single one, as sizes. Where its elements are not known, as they follow from floats that runs
    /// give (the scales of a Resize), they become symbols that the host computes before each run ([`Graph::prologue`]):
    /// the floats themselves decide nothing.
    ///
    /// # Errors
    /// The type is not known, or the elements follow from large inputs or many nodes.
    pub(crate) fn sized(&mut self, list: ValueId) -> Result<ValueId, String> {
        if self.builder.graph.value(list).contents.is_some() {
            return Ok(list);
        }
        let (count, dtype, shape) = (self.len(list)?, self.dtype(list)?, self.shape(list)?);
        if !dtype.is_int() {
            return Err(format!("sizes are {dtype}, but must be integers"));
        }
        let graph = cut(&self.builder.graph, list)?;
        let base = self.node.output.iter().find(|name| !name.is_empty()).cloned().unwrap_or_default();
        let before = self.builder.graph.prologue.iter().map(|own| own.symbols.len()).sum::<usize>();
        let symbols: Vec<Arc<str>> =
            (before..before + count).map(|index| format!("{base}.size{index}").into()).collect();
        for symbol in &symbols {
            let declared = self.builder.graph.symbols.declare(symbol, Bounds { lower: 0, upper: None });
            declared.map_err(|e| e.to_string())?;
        }
        let elements = symbols.iter().map(|symbol| Expr::symbol(symbol)).collect();
        self.builder.graph.prologue.push(Prologue { symbols, graph: Arc::new(graph) });
        self.builder.symbolic(&format!("{base}.sizes"), elements, TensorType { dtype, shape })
    }
}

/// The graph that computes a value: what is known without elements of inputs is taken as it is.
fn cut(graph: &Graph, output: ValueId) -> Result<Graph, String> {
    let (mut made, mut place) = (Graph { name: graph.name.clone(), ..Graph::default() }, BTreeMap::new());
    let nodes = needed(graph, output, &mut made, &mut place)?;
    for index in nodes {
        let Node { op, inputs, outputs, name, source_op } = graph.node(index);
        let id = NodeId(made.nodes.len() as u32);
        let inputs: Option<Vec<ValueId>> = inputs.iter().map(|input| place.get(input).copied()).collect();
        let inputs = inputs.ok_or_else(|| format!("`{name}` is not in order"))?;
        let mut results = Vec::with_capacity(outputs.len());
        for (number, old) in (0..).zip(outputs) {
            let own = ValueId(made.values.len() as u32);
            let source = ValueSource::Node { node: id, output: number };
            let name = graph.value(*old).name.clone();
            made.values.push(Value { name, source, ty: None, contents: None });
            place.insert(*old, own);
            results.push(own);
        }
        let (op, name, source_op) = (op.clone(), name.clone(), source_op.clone());
        made.nodes.push(Node { op, inputs, outputs: results, name, source_op });
    }
    made.outputs = place.get(&output).copied().into_iter().collect();
    made.infer().map_err(|e| e.to_string())?;
    Ok(made)
}

/// The nodes that a value follows from, in order; the values that none of them makes are added.
fn needed(
    graph: &Graph,
    output: ValueId,
    made: &mut Graph,
    place: &mut BTreeMap<ValueId, ValueId>,
) -> Result<std::collections::BTreeSet<NodeId>, String> {
    let (mut nodes, mut open) = (std::collections::BTreeSet::new(), vec![output]);
    while let Some(id) = open.pop() {
        if place.contains_key(&id) {
            continue;
        }
        let value = graph.value(id);
        let source = match (&value.source, &value.contents) {
            (ValueSource::Input, _) if !is_small(value) => {
                return Err(format!(
                    "its sizes follow from `{}`, whose elements are not known to be at most {MAX_HOST}",
                    value.name
                ));
            }
            (_, Some(contents)) => ValueSource::Symbolic(contents.clone()),
            (ValueSource::Node { node, .. }, None) => {
                if nodes.insert(*node) {
                    open.extend(&graph.node(*node).inputs);
                }
                if nodes.len() > MAX_HOST || matches!(graph.node(*node).op, Op::If { .. }) {
                    return Err(format!(
                        "its sizes follow from too much, such as node `{}`",
                        graph.node(*node).name
                    ));
                }
                continue;
            }
            (ValueSource::Constant(ConstData::Range(_)), None) => {
                return Err(format!("its sizes follow from `{}`, a large constant", value.name));
            }
            (source, None) => source.clone(),
        };
        let own = ValueId(made.values.len() as u32);
        if source == ValueSource::Input {
            made.inputs.push(own);
        }
        for symbol in value.ty.iter().flat_map(|ty| &ty.shape).flat_map(Expr::symbols) {
            made.symbols.declare(symbol, graph.symbols.get(symbol)).map_err(|e| e.to_string())?;
        }
        made.values.push(Value { source, contents: None, ..value.clone() });
        place.insert(id, own);
    }
    Ok(nodes)
}

fn is_small(value: &Value) -> bool {
    let dims = value.ty.iter().flat_map(|ty| &ty.shape);
    let count = dims.map(Expr::as_const).try_fold(1_i64, |product, dim| product.checked_mul(dim?));
    value.ty.is_some() && count.is_some_and(|count| count <= MAX_HOST as i64)
}
