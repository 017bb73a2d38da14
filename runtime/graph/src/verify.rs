//! The verifier: what every graph must keep, checked without a word of the code that infers.

use core::fmt;
use std::collections::BTreeMap;

use crate::rule::{Kind, Output, Set};
use crate::{ConstData, DType, Graph, Node, ValueSource, verify_bodies};

/// What is wrong with a graph. `place` names the node or value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyError {
    /// The node or value.
    pub place: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// Kinds of defects of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// An index beyond the list it points into.
    Index(&'static str, u32),
    /// Two values of one name.
    Name,
    /// A value that a node reads before it is made.
    Order(String),
    /// Source of a value and the lists of the graph disagree.
    Source(&'static str),
    /// A value that a node reads though it is made in the body of an If that the node does not lie in.
    Body(String),
    /// Number of operands or outputs.
    Arity(usize),
    /// Element type of an operand or output.
    Type(DType, String),
    /// A value that should have a type has none.
    Untyped,
    /// Number of bytes of a constant (actual, expected).
    Bytes(u64, u64),
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the graph is broken at `{}`: ", bayplan_text::escape(&self.place))?;
        match &self.problem {
            Problem::Index(list, i) => write!(f, "index {i} lies outside the list of {list}"),
            Problem::Name => f.write_str("another value has the same name"),
            Problem::Order(value) => {
                write!(f, "it reads `{}` before it is made", bayplan_text::escape(value))
            }
            Problem::Source(what) => f.write_str(what),
            Problem::Body(value) => {
                write!(f, "it reads `{}`, which is made in the body of an If", bayplan_text::escape(value))
            }
            Problem::Arity(n) => write!(f, "the operator does not take {n} operands or outputs"),
            Problem::Type(actual, wanted) => {
                write!(f, "the element type is {actual} where {wanted} is needed")
            }
            Problem::Untyped => f.write_str("it has no type"),
            Problem::Bytes(actual, expected) => {
                write!(f, "it has {actual} bytes where its type needs {expected}")
            }
        }
    }
}

impl std::error::Error for VerifyError {}

/// Checks indices, order, sources, arity, element types, sizes of constants, names, and how the bodies of Ifs nest.
///
/// Types of nodes' outputs are checked where they are known; call it after inference to have all checked.
///
/// # Errors
/// The first defect.
pub fn verify(graph: &Graph) -> Result<(), VerifyError> {
    values(graph)?;
    lists(graph)?;
    let blocks = verify_bodies::blocks(graph)?;
    let mut made: Vec<bool> =
        graph.values.iter().map(|v| !matches!(v.source, ValueSource::Node { .. })).collect();
    for (index, node) in graph.nodes.iter().enumerate() {
        let fail = |problem| VerifyError { place: node.name.to_string(), problem };
        for id in node.inputs.iter().chain(&node.outputs) {
            if id.0 as usize >= graph.values.len() {
                return Err(fail(Problem::Index("values", id.0)));
            }
        }
        if let Some(id) = node.inputs.iter().find(|id| !made[id.0 as usize]) {
            return Err(fail(Problem::Order(graph.value(*id).name.to_string())));
        }
        if let Some(id) = blocks.unreadable(graph, index) {
            return Err(fail(Problem::Body(graph.value(id).name.to_string())));
        }
        for (output, id) in node.outputs.iter().enumerate() {
            let ValueSource::Node { node: maker, output: number } = graph.value(*id).source else {
                return Err(fail(Problem::Source("it makes a value that is an input or a constant")));
            };
            if maker.0 as usize != index || number as usize != output || made[id.0 as usize] {
                return Err(fail(Problem::Source("one of its outputs says that another node makes it")));
            }
            made[id.0 as usize] = true;
        }
        types(graph, node).map_err(fail)?;
    }
    for id in &graph.outputs {
        let fail = |problem| Err(VerifyError { place: graph.value(*id).name.to_string(), problem });
        if !made[id.0 as usize] {
            return fail(Problem::Source("no node makes this output"));
        }
        if blocks.of_value(graph, *id).is_some() {
            return fail(Problem::Source("it is an output, but made in the body of an If"));
        }
    }
    Ok(())
}

fn values(graph: &Graph) -> Result<(), VerifyError> {
    let mut names = BTreeMap::new();
    for (index, value) in graph.values.iter().enumerate() {
        let fail = |problem| Err(VerifyError { place: value.name.to_string(), problem });
        if names.insert(&value.name, index).is_some() {
            return fail(Problem::Name);
        }
        let ty = match (&value.source, &value.ty) {
            (ValueSource::Node { node, .. }, _) if node.0 as usize >= graph.nodes.len() => {
                return fail(Problem::Index("nodes", node.0));
            }
            (ValueSource::Node { node, output }, _) => {
                let outputs = &graph.nodes[node.0 as usize].outputs;
                if outputs.get(*output as usize).is_none_or(|id| id.0 as usize != index) {
                    return fail(Problem::Source("the node that should make it does not"));
                }
                continue;
            }
            (_, None) => return fail(Problem::Untyped),
            (_, Some(ty)) => ty,
        };
        let ValueSource::Constant(data) = &value.source else { continue };
        let mut bytes = Some(ty.dtype.size() as u64);
        for dim in &ty.shape {
            bytes = bytes
                .zip(dim.as_const().and_then(|v| u64::try_from(v).ok()))
                .and_then(|(a, b)| a.checked_mul(b));
        }
        let Some(expected) = bytes else {
            return fail(Problem::Source("the shape of a constant must be numbers whose product is a size"));
        };
        let actual = match data {
            ConstData::Inline(bytes) => bytes.len() as u64,
            ConstData::Range(range) if range.file.0 as usize >= graph.files.len() => {
                return fail(Problem::Index("files", range.file.0));
            }
            ConstData::Range(range) => range.len,
        };
        if actual != expected {
            return fail(Problem::Bytes(actual, expected));
        }
    }
    Ok(())
}

fn lists(graph: &Graph) -> Result<(), VerifyError> {
    for (list, inputs) in [(&graph.inputs, true), (&graph.outputs, false)] {
        for id in list {
            let place = || graph.name.to_string();
            let Some(value) = graph.values.get(id.0 as usize) else {
                return Err(VerifyError { place: place(), problem: Problem::Index("values", id.0) });
            };
            if inputs && value.source != ValueSource::Input {
                let problem = Problem::Source("it is listed as an input, but made by the graph");
                return Err(VerifyError { place: value.name.to_string(), problem });
            }
        }
    }
    if !graph.output_names.is_empty() && graph.output_names.len() != graph.outputs.len() {
        let problem = Problem::Source("it has not as many names of outputs as outputs");
        return Err(VerifyError { place: graph.name.to_string(), problem });
    }
    for extent in &graph.extents {
        let ty = |output: usize| graph.outputs.get(output).and_then(|&id| graph.value(id).ty.as_ref());
        let axis = ty(extent.output).is_none_or(|ty| extent.axis < ty.shape.len());
        let count = ty(extent.count).is_none_or(|ty| ty.dtype == DType::I64);
        let outputs = graph.outputs.len();
        if !axis || !count || extent.output.max(extent.count) >= outputs {
            let problem = Problem::Source("an output has an axis or a count that is not there");
            return Err(VerifyError { place: graph.name.to_string(), problem });
        }
    }
    let listed: std::collections::BTreeSet<u32> = graph.inputs.iter().map(|id| id.0).collect();
    let count = graph.values.iter().filter(|v| v.source == ValueSource::Input).count();
    if listed.len() != graph.inputs.len() || listed.len() != count {
        let problem = Problem::Source("the list of inputs does not hold every input once");
        return Err(VerifyError { place: graph.name.to_string(), problem });
    }
    Ok(())
}

fn types(graph: &Graph, node: &Node) -> Result<(), Problem> {
    let signature = node.op.rule().signature();
    let (given, most) = (node.inputs.len(), signature.operands.len());
    let enough = given + signature.optional >= most;
    if !enough || (given > most && !signature.variadic) {
        return Err(Problem::Arity(given));
    }
    if node.outputs.is_empty() || (node.outputs.len() > 1 && !signature.many_outputs) {
        return Err(Problem::Arity(node.outputs.len()));
    }
    let mut common: Option<DType> = None;
    for (i, id) in node.inputs.iter().enumerate() {
        let Some(ty) = &graph.value(*id).ty else { continue };
        match signature.operands[i.min(most - 1)] {
            Kind::Any => {}
            Kind::Only(dtype) if ty.dtype == dtype => {}
            Kind::Only(dtype) => return Err(Problem::Type(ty.dtype, dtype.to_string())),
            Kind::Index if matches!(ty.dtype, DType::I32 | DType::I64) => {}
            Kind::Index => return Err(Problem::Type(ty.dtype, "i32 or i64".to_owned())),
            Kind::Same(set) if !Set::contains(set, ty.dtype) => {
                return Err(Problem::Type(ty.dtype, set.describe().to_owned()));
            }
            Kind::Same(_) => match common {
                Some(dtype) if dtype != ty.dtype => return Err(Problem::Type(ty.dtype, dtype.to_string())),
                _ => common = Some(ty.dtype),
            },
        }
    }
    let wanted = match signature.result {
        Output::Same => common,
        Output::Only(dtype) => Some(dtype),
    };
    for id in &node.outputs {
        match (&graph.value(*id).ty, wanted) {
            (Some(ty), Some(wanted)) if ty.dtype != wanted => {
                return Err(Problem::Type(ty.dtype, wanted.to_string()));
            }
            _ => {}
        }
    }
    Ok(())
}
