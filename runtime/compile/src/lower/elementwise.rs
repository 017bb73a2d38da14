//! Elementwise operators: one step of a chain each; fusion joins the chains afterwards.

use bayplan_graph::{DType, Node, Op, ValueId};
use bayplan_shaders::{Arg, Chain, ElementwiseSpec, Operand, Spec, Step, StepOp};

use super::{Lowerer, Lowering};
use crate::size::Size;
use crate::view::{MAX_PIECES, View, common, contiguous, same};

pub(crate) fn lower(lowerer: &mut Lowerer<'_>, node: &Node) -> Lowering {
    let op = match &node.op {
        Op::Unary(op) => StepOp::Unary(*op),
        Op::Binary(op) => StepOp::Binary(*op),
        Op::Select => StepOp::Select,
        Op::Cast(to) | Op::BitCast(to) if lowerer.dtype(node.inputs[0]) == *to => {
            return Some(lowerer.view(node.inputs[0]).map(|view| vec![view]));
        }
        Op::Cast(to) => match lowerer.unpacked_as(node, *to) {
            Some(view) => return Some(view.map(|view| vec![view])),
            None => StepOp::Cast,
        },
        Op::BitCast(_) => StepOp::BitCast,
        _ => return None,
    };
    Some(step(lowerer, node, op))
}

fn step(lowerer: &mut Lowerer<'_>, node: &Node, op: StepOp) -> Result<Vec<View>, String> {
    let output = node.outputs[0];
    let (shape, dtype) = (lowerer.shape(output)?, lowerer.dtype(output));
    let (mut views, mut args) = (Vec::new(), Vec::new());
    for &input in &node.inputs {
        if let Some(bits) = lowerer.scalar_bits(input) {
            args.push(Arg::Const(lowerer.dtype(input), bits));
            continue;
        }
        args.push(Arg::Operand(views.len() as u32));
        views.push(broadcast(lowerer, input, &shape)?);
    }
    let chain_shape = match pieces(&views, &shape) {
        Some(pieces) => pieces,
        None => {
            let inputs = node.inputs.iter().filter(|&&input| lowerer.scalar_bits(input).is_none());
            for (view, &input) in views.iter_mut().zip(&inputs.collect::<Vec<_>>()) {
                let own = lowerer.view(*input)?;
                *view = lowerer.forward(&own).expand(&shape);
            }
            shape.clone()
        }
    };
    // Pieces only cut dimensions apart, which every view can follow.
    let cut =
        |view: View| if same(&view.shape, &chain_shape) { Some(view) } else { view.reshape(&chain_shape) };
    let views: Vec<View> = views.into_iter().filter_map(cut).collect();
    let operand = |view: &View| Operand {
        dtype: view.dtype,
        base: Size::ZERO,
        strides: view.forward_strides().unwrap_or_default(),
    };
    let operands = views.iter().map(operand).collect();
    let chain = Chain { operands, steps: vec![Step { op, args, dtype }], result: dtype, layout: None };
    let spec = Spec::Elementwise(ElementwiseSpec { shape: chain_shape, chain, in_place: None });
    Ok(vec![lowerer.emit(spec, views, dtype, shape)?])
}

/// An operand over the shape of the result, its dimensions possibly pieces of that.
fn broadcast(lowerer: &mut Lowerer<'_>, input: ValueId, shape: &[Size]) -> Result<View, String> {
    let (view, own) = (lowerer.pieces(input)?, lowerer.shape(input)?);
    // A single element broadcasts whatever its rank.
    let (view, own) =
        if view.elements().surely_eq(1) { (lowerer.reshaped(&view, &[]), Vec::new()) } else { (view, own) };
    if let Some(view) = lowerer.forward(&view).expand_pieces(&own, shape) {
        return Ok(view);
    }
    let view = lowerer.view(input)?;
    Ok(lowerer.forward(&view).expand(shape))
}

/// The shape that all views over a shape can be read in: that shape, or pieces of it if some view needs them.
fn pieces(views: &[View], shape: &[Size]) -> Option<Vec<Size>> {
    if views.iter().all(|view| same(&view.shape, shape)) {
        return Some(shape.to_vec());
    }
    let cut = views.iter().try_fold(shape.to_vec(), |cut, view| common(&cut, &view.shape))?;
    (cut.len() <= MAX_PIECES).then_some(cut)
}

/// An epilogue that changes nothing: operand 0 over a shape of that rank.
pub(crate) fn identity(dtype: DType, shape: &[Size]) -> Chain<Size> {
    let strides = contiguous(shape);
    Chain {
        operands: vec![Operand { dtype, base: Size::ZERO, strides }],
        steps: Vec::new(),
        result: dtype,
        layout: None,
    }
}

/// A chain of one step that makes every element the same constant.
pub(crate) fn constant(dtype: DType, bits: u64) -> Chain<Size> {
    let step = Step { op: StepOp::Cast, args: vec![Arg::Const(dtype, bits)], dtype };
    Chain { operands: Vec::new(), steps: vec![step], result: dtype, layout: None }
}
