//! Elementwise operators: one step of a chain each; fusion joins the chains afterwards.

use bayplan_graph::{DType, Node, Op};
use bayplan_shaders::{Arg, Chain, ElementwiseSpec, Operand, Spec, Step, StepOp};

use super::{Lowerer, Lowering};
use crate::view::View;

pub(crate) fn lower(lowerer: &mut Lowerer<'_>, node: &Node) -> Lowering {
    let op = match &node.op {
        Op::Unary(op) => StepOp::Unary(*op),
        Op::Binary(op) => StepOp::Binary(*op),
        Op::Select => StepOp::Select,
        Op::Cast(to) if lowerer.dtype(node.inputs[0]) == *to => {
            return Some(lowerer.view(node.inputs[0]).map(|view| vec![view]));
        }
        Op::Cast(_) => StepOp::Cast,
        _ => return None,
    };
    Some(step(lowerer, node, op))
}

fn step(lowerer: &mut Lowerer<'_>, node: &Node, op: StepOp) -> Result<Vec<View>, String> {
    let output = node.outputs[0];
    let (shape, dtype) = (lowerer.shape(output)?, lowerer.dtype(output));
    let (mut operands, mut views, mut args) = (Vec::new(), Vec::new(), Vec::new());
    for &input in &node.inputs {
        if let Some(bits) = lowerer.scalar_bits(input) {
            args.push(Arg::Const(lowerer.dtype(input), bits));
            continue;
        }
        let view = lowerer.view(input)?;
        // A single element broadcasts whatever its rank.
        let view = if view.elements() == 1 { lowerer.reshaped(&view, &[]) } else { view };
        let view = lowerer.strided(&view).expand(&shape);
        args.push(Arg::Operand(operands.len() as u32));
        operands.push(Operand { dtype: view.dtype, strides: view.forward_strides().unwrap_or_default() });
        views.push(view);
    }
    let chain = Chain { operands, steps: vec![Step { op, args, dtype }], result: dtype };
    let spec = Spec::Elementwise(ElementwiseSpec { shape: shape.clone(), chain, in_place: None });
    Ok(vec![lowerer.emit(spec, views, dtype, shape)?])
}

/// An epilogue that changes nothing: operand 0 over a shape of that rank.
pub(crate) fn identity(dtype: DType, shape: &[u64]) -> Chain {
    let strides = crate::view::contiguous(shape).into_iter().map(i64::unsigned_abs).collect();
    Chain { operands: vec![Operand { dtype, strides }], steps: Vec::new(), result: dtype }
}

/// A chain of one step that makes every element the same constant.
pub(crate) fn constant(dtype: DType, bits: u64) -> Chain {
    let step = Step { op: StepOp::Cast, args: vec![Arg::Const(dtype, bits)], dtype };
    Chain { operands: Vec::new(), steps: vec![step], result: dtype }
}
