//! Lists of nodes: of the model, and of the bodies within its nodes.

use std::collections::BTreeMap;

use bayplan_graph::ValueId;

use crate::builder::{Builder, build};
use crate::error::{ImportError, UnsupportedOp};
use crate::generated::onnx::{GraphProto, ModelProto, NodeProto};
use crate::ops::{self, Row};

/// The body of a node, with its constants in the graph: it may be built again and again.
pub(crate) struct Body<'g> {
    graph: &'g GraphProto,
    constants: Vec<(&'g str, ValueId)>,
}

impl<'g> Body<'g> {
    /// Adds the constants of a body to the graph.
    ///
    /// # Errors
    /// As [`initializers`].
    pub(crate) fn new(builder: &mut Builder<'_>, graph: &'g GraphProto) -> Result<Self, ImportError> {
        builder.open_body();
        let added = initializers(builder, graph);
        let names = graph.initializer.iter().filter_map(|t| t.name.as_deref());
        let constants = names.filter_map(|name| Some((name, builder.find(name)?))).collect();
        builder.close_body();
        added.map(|()| Self { graph, constants })
    }

    /// Its inputs that are no constants.
    pub(crate) fn inputs(&self) -> Vec<&'g str> {
        let constant = |name: &&str| self.constants.iter().any(|(own, _)| own == name);
        self.graph.input.iter().filter_map(|v| v.name.as_deref()).filter(|name| !constant(name)).collect()
    }

    /// Number of its results.
    pub(crate) fn outputs(&self) -> usize {
        self.graph.output.len()
    }

    /// Builds its nodes into the graph, with values for its inputs; gives its results. Bodies nest no deeper than the walk over
    /// the file allows ([`crate::limits::MAX_DEPTH`]).
    ///
    /// # Errors
    /// It has another number of inputs, reads or gives what nothing makes, or has nodes that cannot be built.
    pub(crate) fn build(
        &self,
        builder: &mut Builder<'_>,
        given: &[ValueId],
    ) -> Result<Vec<ValueId>, ImportError> {
        let name = self.graph.name.as_deref().unwrap_or("a body");
        let inputs = self.inputs();
        if let (Some(input), []) = (inputs.first(), given) {
            let reason = format!(
                "it is an input of `{name}`, but the bodies of an If take none; let it read `{input}`"
            );
            return Err(ImportError::tensor(input, reason));
        }
        if inputs.len() != given.len() {
            let (have, want) = (inputs.len(), given.len());
            let reason = format!("the body has {have} inputs, but its node gives {want}");
            return Err(ImportError::tensor(name, reason));
        }
        let outputs = || self.graph.output.iter().map(|v| v.name.as_deref().unwrap_or_default());
        builder.reads(outputs());
        builder.open_body();
        let values = self.constants.iter().copied().chain(inputs.into_iter().zip(given.iter().copied()));
        let bound = values.into_iter().try_for_each(|(name, id)| builder.bind(name, id));
        let built = bound.and_then(|()| nodes(builder, self.graph));
        let result = |output: &str| {
            let made = builder.find(output).filter(|&id| builder.extent(id).is_none());
            made.ok_or_else(|| {
                let reason = format!(
                    "`{name}` names it as an output, but nothing makes it, or its size depends on data"
                );
                ImportError::tensor(output, reason)
            })
        };
        let results = built.and_then(|()| outputs().map(result).collect());
        builder.close_body();
        results
    }
}

/// Builds all nodes of a list.
///
/// # Errors
/// Operators without a row (all of the model), or the first node that cannot be built.
pub(crate) fn nodes(builder: &mut Builder<'_>, graph: &GraphProto) -> Result<(), ImportError> {
    builder.reads(graph.node.iter().flat_map(|n| &n.input).map(String::as_str));
    let rows: Option<Vec<&Row>> = graph.node.iter().map(|node| row(node, builder.opset)).collect();
    let Some(rows) = rows else { return Err(ImportError::Unsupported(builder.unsupported.clone())) };
    for (index, (node, row)) in graph.node.iter().zip(rows).enumerate() {
        build(builder, node, &node_name(node, index), row.build)?;
    }
    Ok(())
}

/// Adds the initializers of a list of nodes.
///
/// # Errors
/// One has no name, a name that is taken, or no usable bytes.
pub(crate) fn initializers(builder: &mut Builder<'_>, graph: &GraphProto) -> Result<(), ImportError> {
    for tensor in &graph.initializer {
        let name = tensor.name.as_deref().unwrap_or_default();
        if name.is_empty() {
            return Err(ImportError::tensor("", "an initializer has no name; export the model again"));
        }
        let (ty, data) = builder.tensors.constant(name, tensor)?;
        builder.initializer(name, data, ty)?;
    }
    Ok(())
}

/// Name of a node; those without one are named by what they are and where they stand.
fn node_name(node: &NodeProto, index: usize) -> String {
    match node.name.as_deref() {
        None | Some("") => format!("{}_{index}", node.op_type.as_deref().unwrap_or("node")),
        Some(name) => name.to_owned(),
    }
}

/// Whether a domain is ONNX's own.
pub(crate) fn is_own(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// The table row of a node.
pub(crate) fn row(node: &NodeProto, opset: i64) -> Option<&'static Row> {
    let op = node.op_type.as_deref().unwrap_or_default();
    match node.domain.as_deref().unwrap_or_default() {
        domain if is_own(domain) => ops::find(op, opset),
        ops::contrib::DOMAIN => ops::contrib::find(op),
        _ => None,
    }
}

/// All operators of a model that have no row, those in bodies included.
pub(crate) fn unsupported(model: &ModelProto, opset: i64) -> Vec<UnsupportedOp> {
    let mut missing: BTreeMap<(String, String), UnsupportedOp> = BTreeMap::new();
    let mut graphs: Vec<&GraphProto> = model.graph.iter().collect();
    while let Some(graph) = graphs.pop() {
        for (index, node) in graph.node.iter().enumerate() {
            graphs.extend(node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)));
            if row(node, opset).is_some() {
                continue;
            }
            let own = is_own(node.domain.as_deref().unwrap_or_default());
            let domain = if own { "" } else { node.domain.as_deref().unwrap_or_default() }.to_owned();
            let op = node.op_type.clone().unwrap_or_default();
            let import = model.opset_import.iter().find(|o| o.domain.as_deref() == Some(&domain));
            let version = if own { opset } else { import.and_then(|o| o.version).unwrap_or(0) };
            let entry = missing.entry((domain.clone(), op.clone())).or_insert_with(|| UnsupportedOp {
                domain,
                op,
                opset: version,
                count: 0,
                example: node_name(node, index),
            });
            entry.count += 1;
        }
    }
    missing.into_values().collect()
}
