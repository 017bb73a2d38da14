//! A part of a graph, cut out to be evaluated.

use std::collections::{BTreeSet, HashMap};

use bayplan_text::escape;

use super::sizes::{Point, Sizes};
use crate::{Constants, Graph, Node, NodeId, Tensor, Value, ValueId, ValueSource, eval};

/// Most elements of a value that is evaluated: nothing that a file says fills the memory.
const MOST: u64 = 1 << 24;

/// What makes some values, from some others. Elements that follow from sizes alone are lists, so that whatever they were read
/// off is not part of it.
pub(super) struct Part {
    graph: Graph,
    /// What is given, as the whole graph numbers it.
    inputs: Vec<ValueId>,
}

/// Adds values and nodes of the whole graph.
struct Cut<'a> {
    whole: &'a Graph,
    given: &'a [ValueId],
    own: HashMap<ValueId, ValueId>,
    part: Part,
}

impl Part {
    /// What makes `results` from `given`, from inputs and constants.
    pub(super) fn cut(whole: &Graph, given: &[ValueId], results: &[ValueId]) -> Self {
        let graph = Graph { files: whole.files.clone(), symbols: whole.symbols.clone(), ..Graph::default() };
        let mut cut = Cut { whole, given, own: HashMap::new(), part: Self { graph, inputs: Vec::new() } };
        let mut needed = vec![false; whole.nodes.len()];
        let mut open = results.to_vec();
        while let Some(value) = open.pop() {
            if let Some(node) = cut.maker(value).filter(|node| !needed[node.0 as usize]) {
                needed[node.0 as usize] = true;
                open.extend(&whole.node(node).inputs);
            }
        }
        for (node, _) in whole.nodes.iter().zip(needed).filter(|(_, needed)| *needed) {
            cut.node(node);
        }
        cut.part.graph.outputs = results.iter().map(|&value| cut.value(value)).collect();
        cut.part
    }

    /// What must be given: also inputs that it was not asked to start from.
    pub(super) fn inputs(&self) -> &[ValueId] {
        &self.inputs
    }

    /// Symbols that it needs values of.
    pub(super) fn free_symbols(&self) -> BTreeSet<String> {
        self.graph.free_symbols()
    }

    /// The lists and constants that it holds.
    pub(super) fn values(&self) -> &[Value] {
        &self.graph.values
    }

    /// The results at a point; `give` has the elements of what is given.
    pub(super) fn at(
        &self,
        sizes: &Sizes,
        at: Point,
        constants: &dyn Constants,
        give: &dyn Fn(ValueId) -> Option<Tensor>,
    ) -> Result<Vec<Tensor>, String> {
        let bound = self.graph.bind(&sizes.bindings(&self.graph, at)).map_err(|e| e.to_string())?;
        let fits = |value: &Value| {
            let dims = value.ty.as_ref().and_then(crate::TensorType::dims);
            dims.is_none_or(|dims| {
                dims.iter().try_fold(1, |n: u64, &d| n.checked_mul(d)).is_some_and(|n| n <= MOST)
            })
        };
        if let Some(value) = bound.values.iter().find(|value| !fits(value)) {
            return Err(format!("`{}` has more than {MOST} elements", escape(&value.name)));
        }
        let given: Option<Vec<Tensor>> = self.inputs.iter().map(|&input| give(input)).collect();
        let given = given.ok_or("it reads an input whose elements are not known")?;
        eval(&bound, &given, constants).map_err(|e| e.to_string())
    }
}

impl Cut<'_> {
    /// The node that makes a value, unless the part begins there.
    fn maker(&self, value: ValueId) -> Option<NodeId> {
        let whole = self.whole.value(value);
        match whole.source {
            ValueSource::Node { node, .. } if whole.contents.is_none() && !self.given.contains(&value) => {
                Some(node)
            }
            _ => None,
        }
    }

    fn node(&mut self, node: &Node) {
        let inputs = node.inputs.iter().map(|&input| self.value(input)).collect();
        let id = NodeId(self.part.graph.nodes.len() as u32);
        let outputs = (0..).zip(&node.outputs).map(|(output, &value)| {
            let own =
                Value { source: ValueSource::Node { node: id, output }, ..self.whole.value(value).clone() };
            self.push(value, own)
        });
        let outputs = outputs.collect();
        self.part.graph.nodes.push(Node { inputs, outputs, ..node.clone() });
    }

    fn value(&mut self, value: ValueId) -> ValueId {
        if let Some(&own) = self.own.get(&value) {
            return own;
        }
        let mut own = self.whole.value(value).clone();
        if self.given.contains(&value) {
            own.source = ValueSource::Input;
        } else if let (ValueSource::Node { .. }, Some(contents)) = (&own.source, &own.contents) {
            own.source = ValueSource::Symbolic(contents.clone());
        }
        let is_input = !matches!(own.source, ValueSource::Constant(_) | ValueSource::Symbolic(_));
        let id = self.push(value, own);
        if is_input {
            self.part.inputs.push(value);
            self.part.graph.inputs.push(id);
        }
        id
    }

    fn push(&mut self, whole: ValueId, own: Value) -> ValueId {
        let id = ValueId(self.part.graph.values.len() as u32);
        self.part.graph.values.push(own);
        self.own.insert(whole, id);
        id
    }
}
