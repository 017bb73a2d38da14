//! Operators that no kernel computes: the host evaluates them, in pauses of the device.

use bayplan_graph::{Node, Op, ValueId};
use bayplan_shaders::{HostSpec, Spec};

use super::{Lowerer, Lowering};
use crate::view::View;

/// What a device without 64-bit floats in shaders does not compute.
const DOUBLES: &str = "the device has no 64-bit floats in shaders (shaderFloat64 and shaderInt64)";

pub(crate) fn lower(lowerer: &mut Lowerer<'_>, node: &Node) -> Lowering {
    let lacks = || (!moves(&node.op) && touches_doubles(lowerer, node)).then_some(DOUBLES);
    let why = node.op.rule().on_host().or_else(lacks)?;
    Some(evaluated(lowerer, node, why))
}

/// Whether a node reads or makes 64-bit floats that the device only moves.
fn touches_doubles(lowerer: &Lowerer<'_>, node: &Node) -> bool {
    let lacking = |&id: &ValueId| !lowerer.target.computes(lowerer.dtype(id));
    node.inputs.iter().chain(&node.outputs).any(lacking)
}

/// Whether an operator puts elements elsewhere and computes none.
fn moves(op: &Op) -> bool {
    matches!(
        op,
        Op::View(_)
            | Op::Transpose(_)
            | Op::Expand
            | Op::Slice
            | Op::Split { .. }
            | Op::Concat { .. }
            | Op::Pad(_)
            | Op::Gather { .. }
            | Op::GatherNd { .. }
            | Op::GatherElements { .. }
            | Op::ScatterElements { join: None, .. }
            | Op::ScatterNd { join: None }
            | Op::Shape { .. }
            | Op::Fill
            | Op::If { .. }
    )
}

/// An operation for each result.
fn evaluated(lowerer: &mut Lowerer<'_>, node: &Node, why: &str) -> Result<Vec<View>, String> {
    let mut operands = Vec::with_capacity(node.inputs.len());
    for &input in &node.inputs {
        let view = lowerer.view(input)?;
        operands.push(lowerer.packed(&view));
    }
    let tensor = |lowerer: &Lowerer<'_>, id: ValueId| Ok((lowerer.dtype(id), lowerer.shape(id)?));
    let given = operands.iter().map(|view| (view.dtype, view.shape.clone())).collect();
    let results: Vec<_> =
        node.outputs.iter().map(|&id| tensor(lowerer, id)).collect::<Result<_, String>>()?;
    let spec = HostSpec { op: node.op.clone(), operands: given, results, result: 0, why: why.into() };
    let mut views = Vec::with_capacity(node.outputs.len());
    for (result, (&id, (dtype, shape))) in node.outputs.iter().zip(&spec.results).enumerate() {
        lowerer.value = Some(id);
        let own = Spec::Host(HostSpec { result, ..spec.clone() });
        let view = lowerer.emit(own, operands.clone(), *dtype, shape.clone())?;
        // Nothing is evaluated while weights are loaded.
        lowerer.at_runs(&view);
        views.push(view);
    }
    Ok(views)
}
