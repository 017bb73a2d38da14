//! One way through a graph as a graph without Ifs.

use std::collections::BTreeMap;
use std::sync::Arc;

use bayplan_expr::Scope;
use bayplan_graph::{Graph, Node, NodeId, Op, Value, ValueId, ValueSource, Walk};

use crate::error::CompileError;

/// For each If that is decided, by its node, whether its then body is taken.
type Taken = BTreeMap<usize, bool>;

/// Whether a graph has Ifs.
pub(super) fn has_ifs(graph: &Graph) -> bool {
    graph.nodes.iter().any(|node| matches!(node.op, Op::If { .. }))
}

/// The first If on the way that is not decided yet. Whatever its condition follows from lies before it, so no If that it
/// depends on is open.
pub(super) fn undecided(graph: &Graph, taken: &Taken) -> Option<usize> {
    let bodies = graph.bodies();
    let mut walk = Walk::new(&bodies);
    loop {
        let mut open = None;
        let index = walk.next(|body| match taken.get(&body.branch) {
            Some(&truth) => truth != body.then,
            None => {
                open = open.or(Some(body.branch));
                false
            }
        });
        if open.is_some() {
            return open;
        }
        let node = graph.nodes.get(index)?;
        if matches!(node.op, Op::If { .. }) && !taken.contains_key(&index) {
            return Some(index);
        }
    }
}

/// Whether the model's outputs need an If.
pub(super) fn is_needed(graph: &Graph, taken: &Taken, branch: usize) -> bool {
    let cutter = Cutter { graph, taken, place: Vec::new() };
    let outputs: Vec<ValueId> = graph.outputs.iter().map(|&id| cutter.behind(id)).collect();
    cutter.needed(&outputs).1.binary_search(&branch).is_ok()
}

/// The graph of an If's condition: its one output, and what that needs.
pub(super) fn condition(
    graph: &Graph,
    symbols: &Scope,
    taken: &Taken,
    branch: usize,
) -> Result<Graph, CompileError> {
    let node = &graph.nodes[branch];
    let none = || CompileError::Paths(format!("If `{}` has no condition", bayplan_text::escape(&node.name)));
    let id = *node.inputs.first().ok_or_else(none)?;
    cut(graph, symbols, taken, &[id], vec![graph.value(id).name.clone()])
}

/// The graph of a way that is decided to its end.
pub(super) fn path(graph: &Graph, symbols: &Scope, taken: &Taken) -> Result<Graph, CompileError> {
    let names = (0..graph.outputs.len()).map(|index| graph.output_name(index).clone()).collect();
    let mut made = cut(graph, symbols, taken, &graph.outputs, names)?;
    made.extents.clone_from(&graph.extents);
    Ok(made)
}

/// A graph whose names say nothing: two conditions that compute the same are equal.
pub(super) fn nameless(graph: &Graph) -> Graph {
    let none: Arc<str> = Arc::from("");
    let mut graph = graph.clone();
    let inputs: Vec<bool> = graph.values.iter().map(|value| value.source == ValueSource::Input).collect();
    for (value, is_input) in graph.values.iter_mut().zip(inputs) {
        if !is_input {
            value.name = none.clone();
        }
    }
    graph.nodes.iter_mut().for_each(|node| node.name = none.clone());
    graph.constraints.clear();
    graph.not_one.clear();
    graph.output_names.clear();
    graph
}

/// What `outputs` need of a graph, with each If's results replaced by those of its body that is taken; inferred
/// with the bounds of `symbols`.
fn cut(
    graph: &Graph,
    symbols: &Scope,
    taken: &Taken,
    outputs: &[ValueId],
    output_names: Vec<Arc<str>>,
) -> Result<Graph, CompileError> {
    let mut cutter = Cutter { graph, taken, place: vec![None; graph.values.len()] };
    let outputs: Vec<ValueId> = outputs.iter().map(|&id| cutter.behind(id)).collect();
    let (needed, nodes) = cutter.needed(&outputs);
    let mut made =
        Graph { name: graph.name.clone(), files: graph.files.clone(), output_names, ..Graph::default() };
    for (index, value) in graph.values.iter().enumerate() {
        let is_kept = match value.source {
            ValueSource::Input => needed[index],
            ValueSource::Constant(_) | ValueSource::Symbolic(_) => true,
            ValueSource::Node { .. } => false,
        };
        if is_kept {
            cutter.add(&mut made, index, value.clone());
        }
    }
    made.inputs = graph.inputs.iter().filter_map(|id| cutter.place[id.0 as usize]).collect();
    made.specialised.clone_from(&graph.specialised);
    made.prologue.clone_from(&graph.prologue);
    for index in nodes {
        let node = &graph.nodes[index];
        let id = NodeId(made.nodes.len() as u32);
        let inputs = node.inputs.iter().map(|&input| cutter.moved(input)).collect();
        let results = node.outputs.iter().enumerate().map(|(output, old)| {
            let source = ValueSource::Node { node: id, output: output as u32 };
            let value = Value { source, ty: None, contents: None, ..graph.value(*old).clone() };
            cutter.add(&mut made, old.0 as usize, value)
        });
        let outputs = results.collect();
        made.nodes.push(Node { inputs, outputs, ..node.clone() });
    }
    made.outputs = outputs.iter().map(|&id| cutter.moved(id)).collect();
    let free = made.free_symbols();
    let declared = symbols.iter().filter(|(name, _)| free.contains(*name));
    made.symbols = Scope::new();
    for (name, bounds) in declared {
        made.symbols.declare(name, bounds).map_err(|e| CompileError::Bind(e.to_string()))?;
    }
    made.infer().map_err(|e| CompileError::Bind(e.to_string()))?;
    Ok(made)
}

struct Cutter<'a> {
    graph: &'a Graph,
    taken: &'a Taken,
    /// For each value its place in the new graph.
    place: Vec<Option<ValueId>>,
}

impl Cutter<'_> {
    /// The value that a value stands for: the result of a body where it is an If's.
    fn behind(&self, mut id: ValueId) -> ValueId {
        // The results of an If are made before it, so that this ends.
        while let ValueSource::Node { node, output } = self.graph.value(id).source {
            let maker = self.graph.node(node);
            let (Op::If { .. }, Some(&truth)) = (&maker.op, self.taken.get(&(node.0 as usize))) else {
                break;
            };
            let first = if truth { 1 } else { 1 + maker.outputs.len() };
            let Some(&result) = maker.inputs.get(first + output as usize) else { break };
            id = result;
        }
        id
    }

    /// Which values are needed for `outputs`, and the nodes that make them, in order.
    fn needed(&self, outputs: &[ValueId]) -> (Vec<bool>, Vec<usize>) {
        let mut needed = vec![false; self.graph.values.len()];
        outputs.iter().for_each(|id| needed[id.0 as usize] = true);
        let mut nodes = Vec::new();
        for (index, node) in self.graph.nodes.iter().enumerate().rev() {
            if node.outputs.iter().any(|output| needed[output.0 as usize]) {
                nodes.push(index);
                node.inputs.iter().for_each(|&input| needed[self.behind(input).0 as usize] = true);
            }
        }
        nodes.reverse();
        (needed, nodes)
    }

    fn add(&mut self, made: &mut Graph, old: usize, value: Value) -> ValueId {
        let id = ValueId(made.values.len() as u32);
        made.values.push(value);
        self.place[old] = Some(id);
        id
    }

    /// The new id of a value that is needed: it was added before what reads it.
    fn moved(&self, id: ValueId) -> ValueId {
        self.place[self.behind(id).0 as usize].unwrap_or(ValueId(u32::MAX))
    }
}
