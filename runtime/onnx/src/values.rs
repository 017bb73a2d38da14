//! Inputs whose elements decide shapes: found on the nodes of the file, before anything is built.
//!
//! ```text
//!   x ────────────────────────────┐
//!   shape (i64[2]) ─ Concat ─ Reshape            Reshape says its second operand: shape is a value input
//!   y ─ Shape ─────────┘                         y is none, its shape is known anyway
//! ```

use std::collections::{BTreeMap, BTreeSet};

use bayplan_expr::Expr;
use bayplan_graph::{ByteSource, DType, Tensor, TensorType};
use prost::Message;

use crate::body::row;
use crate::error::ImportError;
use crate::generated::onnx::{GraphProto, ModelProto, NodeProto, ValueInfoProto, type_proto};
use crate::import::check_versions;
use crate::limits::MAX_INLINE;
use crate::tensor::dtype;
use crate::wire;

/// Nodes between an operand that decides a shape and the inputs that it follows from; more are no shape arithmetic.
const MAX_NODES: usize = 64;

/// Values that a node reads, and all values between: as above.
const MAX_VALUES: usize = 1024;

/// An input whose elements decide shapes: the model is planned for each value of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueInput {
    /// Its name.
    pub name: String,
    /// Its place among what a run is given: inputs of the model that are no constants, from 0.
    pub index: usize,
    /// Its element type, an integer or bool.
    pub dtype: DType,
    /// Operators that ask for it, by their types in the model, sorted.
    pub by: Vec<String>,
}

/// The inputs of integers or booleans that shapes follow from, in the model's order: by what its operators ask for, not by
/// whether a graph can be built without. What follows from shapes alone is not followed.
///
/// # Errors
/// As [`import`](crate::import()), for a file that is no model.
pub fn value_inputs(source: &dyn ByteSource) -> Result<Vec<ValueInput>, ImportError> {
    let skeleton = wire::skeleton(source)?;
    let model =
        ModelProto::decode(skeleton.bytes.as_slice()).map_err(|e| ImportError::Decode(e.to_string()))?;
    let opset = check_versions(&model)?;
    Ok(model.graph.as_ref().map_or_else(Vec::new, |graph| asked(graph, opset)))
}

fn asked(graph: &GraphProto, opset: i64) -> Vec<ValueInput> {
    let source = Source::new(graph);
    let mut by: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for node in &source.nodes {
        let Some(row) = row(node, opset) else { continue };
        let operands = row.says.iter().filter_map(|&index| node.input.get(index));
        for input in operands.flat_map(|operand| source.inputs_behind(operand)) {
            by.entry(input).or_default().insert(row.op);
        }
    }
    let value = |(index, name): (usize, &str)| {
        let (dtype, by) = (*source.inputs.get(name)?, by.get(name)?);
        let by = by.iter().map(ToString::to_string).collect();
        Some(ValueInput { name: name.to_owned(), index, dtype, by })
    };
    given(graph).map(|(name, _)| name).enumerate().filter_map(value).collect()
}

/// A model's nodes, those in bodies included, by what they make. Bodies may give one name to different values: what follows
/// from any of them counts.
struct Source<'a> {
    nodes: Vec<&'a NodeProto>,
    makers: BTreeMap<&'a str, Vec<&'a NodeProto>>,
    inputs: BTreeMap<&'a str, DType>,
}

impl<'a> Source<'a> {
    fn new(graph: &'a GraphProto) -> Self {
        let mut source = Self { nodes: Vec::new(), makers: BTreeMap::new(), inputs: BTreeMap::new() };
        source.inputs = given(graph).filter_map(|(name, info)| Some((name, integer(info)?))).collect();
        let mut graphs = vec![graph];
        while let Some(graph) = graphs.pop() {
            for node in &graph.node {
                source.nodes.push(node);
                graphs.extend(bodies(node));
                for output in &node.output {
                    source.makers.entry(output).or_default().push(node);
                }
            }
        }
        source
    }

    /// The integer inputs whose elements a value follows from; none where it follows from too much.
    fn inputs_behind(&self, name: &'a str) -> BTreeSet<&'a str> {
        let (mut found, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let (mut open, mut nodes) = (vec![name], 0);
        while let Some(name) = open.pop() {
            if name.is_empty() || !seen.insert(name) {
                continue;
            }
            if self.inputs.contains_key(name) {
                found.insert(name);
            }
            for maker in self.makers.get(name).into_iter().flatten() {
                nodes += 1;
                if nodes > MAX_NODES || maker.input.len() > MAX_VALUES || seen.len() > MAX_VALUES {
                    return BTreeSet::new();
                }
                // What these give follows from a shape.
                if matches!(maker.op_type.as_deref(), Some("Shape" | "Size")) {
                    continue;
                }
                open.extend(maker.input.iter().map(String::as_str));
                let results = bodies(maker).flat_map(|body| &body.output);
                open.extend(results.filter_map(|output| output.name.as_deref()));
            }
        }
        found
    }
}

fn bodies(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

/// What a run is given: the inputs that are no constants.
fn given(graph: &GraphProto) -> impl Iterator<Item = (&str, &ValueInfoProto)> {
    let constants: BTreeSet<&str> = graph.initializer.iter().filter_map(|t| t.name.as_deref()).collect();
    let named = graph.input.iter().filter_map(|info| Some((info.name.as_deref()?, info)));
    named.filter(move |(name, _)| !constants.contains(name))
}

/// The type of a tensor's elements, if they are no floats.
fn integer(info: &ValueInfoProto) -> Option<DType> {
    match info.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => {
            dtype(tensor.elem_type?).ok().filter(|dtype| !dtype.is_float())
        }
        _ => None,
    }
}

/// The symbols in the declared shapes of inputs whose elements are given, by the shapes of those.
///
/// # Errors
/// Elements for what is no input, that are floats, too many, or of another type or shape than the model declares.
pub(crate) fn symbols(
    inputs: &[(&str, TensorType)],
    values: &BTreeMap<String, Tensor>,
) -> Result<BTreeMap<String, i64>, ImportError> {
    let mut known = BTreeMap::new();
    for (name, tensor) in values {
        let fail = |reason: String| Err(ImportError::tensor(name, reason));
        let Some((_, ty)) = inputs.iter().find(|(input, _)| input == name) else {
            return fail("elements were given for it, but it is no input of the model".to_owned());
        };
        if tensor.dtype().is_float() {
            return fail(format!("it is {}; only integers and booleans decide shapes", tensor.dtype()));
        }
        if tensor.bytes().len() as u64 > MAX_INLINE {
            return fail(format!(
                "it has {} bytes, and shapes follow from inputs of at most {MAX_INLINE}",
                tensor.bytes().len()
            ));
        }
        let fits = |(dim, &given): (&Expr, &usize)| dim.as_const().is_none_or(|dim| dim == given as i64);
        let same_rank = tensor.shape().len() == ty.shape.len();
        if tensor.dtype() != ty.dtype || !same_rank || !ty.shape.iter().zip(tensor.shape()).all(fits) {
            return fail(format!("it must be {ty}, but is {}{:?}", tensor.dtype(), tensor.shape()));
        }
        for (dim, &given) in ty.shape.iter().zip(tensor.shape()) {
            let Some(symbol) = dim.as_symbol() else { continue };
            if known.insert(symbol.to_owned(), given as i64).is_some_and(|other| other != given as i64) {
                return fail(format!("its dimension {symbol} is {given}, but another input says otherwise"));
            }
        }
    }
    Ok(known)
}

/// A type with those symbols replaced.
pub(crate) fn replaced(ty: TensorType, known: &BTreeMap<String, i64>) -> TensorType {
    if known.is_empty() {
        return ty;
    }
    let shape = ty.shape.iter().map(|dim| dim.replace(&|name| known.get(name).map(|&v| Expr::from(v))));
    TensorType { dtype: ty.dtype, shape: shape.collect() }
}
