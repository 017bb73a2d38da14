//! Conditions: what they follow from, and their values on the host.

use std::sync::Arc;

use bayplan_expr::Bindings;
use bayplan_graph::{ConstData, Graph, NoFiles, Op, Tensor, ValueSource, eval};

use crate::error::CompileError;

/// Nodes and elements of an input up to which a condition is evaluated on the host at each run: microseconds.
const MAX_HOST: usize = 64;

/// Who decides, and how.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    /// The shapes of a run: the graph's output is known once its symbols are bound.
    Shapes(Arc<Graph>),
    /// Inputs of a few elements.
    Inputs(Arc<Graph>),
    /// A function, by its index.
    Device(usize),
}

/// An answer, or the function to ask.
pub(super) enum Decided {
    Host(bool),
    Ask(usize),
}

/// The value of a condition graph's output, where it follows from constants, shapes and bounds.
pub(super) fn known(graph: &Graph) -> Option<bool> {
    let &output = graph.outputs.first()?;
    let contents = graph.value(output).contents.as_ref()?;
    Some(contents.first()?.as_const()? != 0)
}

impl Condition {
    /// How the host decides a condition; none where it must not or cannot.
    pub(super) fn on_host(graph: &Graph) -> Option<Self> {
        if !reads_elements(graph) {
            return Some(Self::Shapes(Arc::new(graph.clone())));
        }
        let small = |shape: &[bayplan_expr::Expr]| {
            let elements = shape.iter().try_fold(1_i64, |n, dim| n.checked_mul(dim.as_const()?));
            elements.is_some_and(|n| n <= MAX_HOST as i64)
        };
        let read = graph.nodes.iter().flat_map(|node| &node.inputs).chain(&graph.outputs);
        let fits = |id: &bayplan_graph::ValueId| {
            let value = graph.value(*id);
            let in_memory = !matches!(value.source, ValueSource::Constant(ConstData::Range(_)));
            in_memory && value.ty.as_ref().is_some_and(|ty| small(&ty.shape))
        };
        let few = graph.nodes.len() <= MAX_HOST && read.into_iter().all(fits);
        few.then(|| Self::Inputs(Arc::new(graph.clone())))
    }

    /// The answer for these dims and inputs.
    pub(super) fn decide(
        &self,
        dims: &Bindings,
        inputs: &[(&str, &Tensor)],
        node: &str,
    ) -> Result<Decided, CompileError> {
        let fail = |reason: String| {
            let node = bayplan_text::escape(node);
            CompileError::Paths(format!("the condition of If `{node}` cannot be evaluated: {reason}"))
        };
        match self {
            Self::Device(function) => Ok(Decided::Ask(*function)),
            Self::Shapes(graph) => {
                let free = graph.free_symbols();
                let mut own = Bindings::new();
                own.extend(
                    dims.iter().filter(|(name, _)| free.contains(*name)).map(|(n, v)| (n.to_owned(), v)),
                );
                let bound = graph.bind(&own).map_err(|e| fail(e.to_string()))?;
                let unknown = || fail("it does not follow from the dimensions alone".to_owned());
                known(&bound).map(Decided::Host).ok_or_else(unknown)
            }
            Self::Inputs(graph) => {
                let given = graph.inputs.iter().map(|&id| {
                    let name = &*graph.value(id).name;
                    let tensor = inputs.iter().find(|(given, _)| *given == name).map(|(_, tensor)| *tensor);
                    tensor.cloned().ok_or_else(|| {
                        let name = bayplan_text::escape(name);
                        fail(format!("it needs input `{name}`, which is not given as a host tensor"))
                    })
                });
                let given: Vec<Tensor> = given.collect::<Result<_, _>>()?;
                let made = eval(graph, &given, &NoFiles).map_err(|e| fail(e.to_string()))?;
                let truth = made.first().and_then(|tensor| tensor.bytes().first()).map(|&byte| byte != 0);
                truth.map(Decided::Host).ok_or_else(|| fail("it has no element".to_owned()))
            }
        }
    }
}

/// Whether a graph's output needs elements of inputs or of constants in files, and not just shapes.
fn reads_elements(graph: &Graph) -> bool {
    let mut needed = vec![false; graph.values.len()];
    for output in &graph.outputs {
        needed[output.0 as usize] = true;
    }
    for node in graph.nodes.iter().rev() {
        let is_needed = node.outputs.iter().any(|output| needed[output.0 as usize]);
        if is_needed && !matches!(node.op, Op::Shape { .. }) {
            node.inputs.iter().for_each(|input| needed[input.0 as usize] = true);
        }
    }
    let given = |source: &ValueSource| {
        matches!(source, ValueSource::Input | ValueSource::Constant(ConstData::Range(_)))
    };
    graph.values.iter().zip(needed).any(|(value, needed)| needed && given(&value.source))
}
