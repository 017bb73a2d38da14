//! A model file to a graph.

use std::collections::{BTreeMap, BTreeSet};

use bayplan_expr::{Bounds, Expr};
use bayplan_graph::{ByteSource, Extent, Graph, Op, Tensor, TensorType, ValueSource, op::ViewOp};
use prost::Message;

use crate::body::{initializers, is_own, nodes, unsupported};
use crate::builder::{Builder, Call};
use crate::error::ImportError;
use crate::generated::onnx::{
    GraphProto, ModelProto, NodeProto, ValueInfoProto, tensor_shape_proto::dimension, type_proto,
};
use crate::limits::{MAX_ELEMENTS, MAX_INTERFACE, MAX_NAME};
use crate::tensor::{Tensors, dtype};
use crate::{metadata, values, wire};

/// Oldest and newest version of ONNX's operator set that is understood.
pub const OPSETS: core::ops::RangeInclusive<i64> = 1..=28;

/// Oldest and newest version of the file format (IR) that is understood.
pub const IR_VERSIONS: core::ops::RangeInclusive<i64> = 3..=14;

/// How to import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Bounds of symbolic dimensions, by name; what has none is at least 0.
    pub bounds: BTreeMap<String, Bounds>,
    /// Elements of inputs that decide shapes ([`crate::value_inputs`]), by name: the graph holds for these alone
    /// ([`Graph::specialised`]). Integers and booleans, at most [`MAX_INLINE`](crate::limits::MAX_INLINE) bytes each.
    pub values: BTreeMap<String, Tensor>,
}

/// Reads a model: its structure is parsed, its weights stay where they are, as ranges of files
/// ([`Graph::files`]; file 0 is the model itself).
///
/// Types are inferred as far as they can be; call [`Graph::infer`] to infer them all, or [`Graph::bind`] to give the
/// symbols values.
///
/// # Errors
/// [`ImportError`]: what is wrong, where, and what to do. Unsupported operators are listed all at once.
pub fn import(source: &dyn ByteSource, options: &ImportOptions) -> Result<Graph, ImportError> {
    let skeleton = wire::skeleton(source)?;
    let model =
        ModelProto::decode(skeleton.bytes.as_slice()).map_err(|e| ImportError::Decode(e.to_string()))?;
    let opset = check_versions(&model)?;
    let graph = model
        .graph
        .as_ref()
        .ok_or_else(|| ImportError::Model("the file holds no graph; it is no ONNX model".to_owned()))?;
    let name = graph.name.as_deref().unwrap_or("model");
    let mut builder = Builder::new(name, opset, Tensors::new(&skeleton.payloads, source));
    builder.unsupported = unsupported(&model, opset);
    builder.reserve(names(graph));
    builder.reads(graph.output.iter().filter_map(|v| v.name.as_deref()));
    initializers(&mut builder, graph)?;
    inputs(&mut builder, graph, options)?;
    metadata::bounds(&mut builder.graph, &model.metadata_props)?;
    nodes(&mut builder, graph)?;
    outputs(&mut builder, graph)?;
    Ok(builder.finish())
}

pub(crate) fn check_versions(model: &ModelProto) -> Result<i64, ImportError> {
    let fail = |reason| Err(ImportError::Model(reason));
    let ir = model.ir_version.unwrap_or(0);
    if model.graph.is_none() && model.opset_import.is_empty() {
        return fail("the file holds no graph; it is no ONNX model".to_owned());
    }
    if !IR_VERSIONS.contains(&ir) {
        return fail(format!(
            "the model's IR version is {ir}; {} to {} are supported, export the model again",
            IR_VERSIONS.start(),
            IR_VERSIONS.end()
        ));
    }
    let own = model.opset_import.iter().find(|o| is_own(o.domain.as_deref().unwrap_or_default()));
    match own.map(|o| o.version.unwrap_or(0)) {
        Some(version) if OPSETS.contains(&version) => Ok(version),
        Some(version) => fail(format!(
            "the model uses opset {version}; {} to {} are supported, convert it with onnx.version_converter or export it again",
            OPSETS.start(),
            OPSETS.end()
        )),
        None => fail(
            "the model names no version of ONNX's operator set (opset_import); export it again".to_owned(),
        ),
    }
}

fn names(graph: &GraphProto) -> impl Iterator<Item = &str> {
    let outputs = graph.node.iter().flat_map(|n| &n.output).map(String::as_str);
    let inputs = graph.input.iter().filter_map(|v| v.name.as_deref());
    outputs.chain(inputs).chain(graph.initializer.iter().filter_map(|t| t.name.as_deref()))
}

fn inputs(builder: &mut Builder<'_>, graph: &GraphProto, options: &ImportOptions) -> Result<(), ImportError> {
    interface("the number of inputs", graph.input.len())?;
    let initial: BTreeSet<&str> = graph.initializer.iter().filter_map(|t| t.name.as_deref()).collect();
    let mut seen = BTreeSet::new();
    let mut types = Vec::with_capacity(graph.input.len());
    for info in &graph.input {
        let name = info.name.as_deref().unwrap_or_default();
        if name.is_empty() {
            return Err(ImportError::tensor("", "an input has no name; export the model again"));
        }
        // Before IR version 4 every initializer had to be listed as an input too; later it is a default. Both are
        // constants here.
        if initial.contains(name) && seen.insert(name) {
            continue;
        }
        types.push((name, input_type(name, info)?));
    }
    let known = values::symbols(&types, &options.values)?;
    for (name, ty) in types {
        let ty = values::replaced(ty, &known);
        for symbol in ty.shape.iter().flat_map(Expr::symbols) {
            let bounds = options.bounds.get(symbol).copied().unwrap_or_default();
            let declared = builder.graph.symbols.declare(symbol, bounds);
            declared.map_err(|e| ImportError::tensor(name, e.to_string()))?;
        }
        let id = match options.values.get(name) {
            None => builder.given(name, ValueSource::Input, ty)?,
            Some(tensor) => builder.specialised(name, ty, tensor)?,
        };
        builder.graph.inputs.push(id);
    }
    Ok(())
}

fn interface(what: &'static str, count: usize) -> Result<(), ImportError> {
    if count <= MAX_INTERFACE {
        return Ok(());
    }
    Err(ImportError::Limit { what, limit: MAX_INTERFACE as u64, place: "the graph".to_owned() })
}

fn input_type(name: &str, info: &ValueInfoProto) -> Result<TensorType, ImportError> {
    let fail = |reason: String| ImportError::tensor(name, reason);
    let tensor = match info.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(type_proto::Value::TensorType(tensor)) => tensor,
        Some(_) => {
            return Err(fail(
                "the input is no tensor (a sequence, map or optional); only tensors are supported".to_owned(),
            ));
        }
        None => return Err(fail("the input has no type; export the model again".to_owned())),
    };
    let dtype = dtype(tensor.elem_type.unwrap_or(0)).map_err(fail)?;
    let shape = tensor
        .shape
        .as_ref()
        .ok_or_else(|| fail("the input has no rank; export the model with a shape".to_owned()))?;
    if shape.dim.len() > bayplan_graph::MAX_RANK {
        return Err(fail(format!(
            "rank {} is above the limit of {}",
            shape.dim.len(),
            bayplan_graph::MAX_RANK
        )));
    }
    let dims = shape.dim.iter().enumerate().map(|(axis, dim)| match &dim.value {
        Some(dimension::Value::DimValue(v)) if *v < 0 || *v as u64 > MAX_ELEMENTS => Err(fail(format!(
            "dimension {axis} is {v}; it must be from 0 to {MAX_ELEMENTS}, or a name if it is not fixed"
        ))),
        Some(dimension::Value::DimValue(v)) => Ok(Expr::from(*v)),
        Some(dimension::Value::DimParam(text)) if text.len() > MAX_NAME => {
            Err(fail(format!("the name of dimension {axis} is longer than {MAX_NAME} bytes")))
        }
        Some(dimension::Value::DimParam(text)) if !text.is_empty() => Ok(Expr::parse_or_opaque(text)),
        // A dimension of which nothing is said is a symbol of its own.
        _ => Ok(Expr::symbol(&format!("{name}_dim_{axis}"))),
    });
    Ok(TensorType { dtype, shape: dims.collect::<Result<_, _>>()? })
}

fn outputs(builder: &mut Builder<'_>, graph: &GraphProto) -> Result<(), ImportError> {
    interface("the number of outputs", graph.output.len())?;
    if graph.output.is_empty() {
        return Err(ImportError::Model("the model has no outputs; there is nothing to compute".to_owned()));
    }
    let mut sized = Vec::new();
    for info in &graph.output {
        let name = info.name.as_deref().unwrap_or_default();
        let Some(mut id) = builder.find(name) else {
            return Err(ImportError::tensor(name, "the model names it as an output, but nothing makes it"));
        };
        sized.extend(builder.extent(id).map(|size| (builder.graph.outputs.len(), name, size)));
        let value = builder.graph.value(id);
        // An output that only passes on another value (Identity) becomes a view with its own name.
        let passes_on = *value.name != *name || !matches!(value.source, ValueSource::Node { .. });
        if passes_on || builder.graph.outputs.contains(&id) {
            id = alias(builder, name, id).map_err(|reason| ImportError::tensor(name, reason))?;
        }
        builder.graph.outputs.push(id);
        builder.graph.output_names.push(name.into());
    }
    // Behind the model's own outputs, those that say how many elements of them count.
    for (output, name, (axis, mut id)) in sized {
        let place = builder.graph.outputs.iter().position(|&other| other == id);
        let count = place.unwrap_or(builder.graph.outputs.len());
        if place.is_none() {
            let own = format!("{name}.count");
            if !matches!(builder.graph.value(id).source, ValueSource::Node { .. }) {
                id = alias(builder, &own, id).map_err(|reason| ImportError::tensor(name, reason))?;
            }
            builder.graph.outputs.push(id);
            builder.graph.output_names.push(own.into());
        }
        builder.graph.extents.push(Extent { output, axis, count });
    }
    Ok(())
}

/// A view that drops no axis: the same tensor by another name.
fn alias(
    builder: &mut Builder<'_>,
    name: &str,
    id: bayplan_graph::ValueId,
) -> Result<bayplan_graph::ValueId, String> {
    let taken = builder.graph.values.iter().any(|v| *v.name == *name);
    let axes = Tensor::from_i64(vec![0], &[]).map_err(|e| e.to_string())?;
    let node = NodeProto { output: vec![name.to_owned()], ..NodeProto::default() };
    let mut call = Call::new(builder, &node, name, "Identity");
    let axes = call.builder.constant(&axes)?;
    let copy = call.emit(Op::View(ViewOp::Squeeze), &[id, axes])?;
    if !taken {
        builder.graph.values[copy.0 as usize].name = name.into();
    }
    Ok(copy)
}
