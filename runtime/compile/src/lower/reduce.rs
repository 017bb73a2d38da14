//! Reductions along axes: reduce, softmax, normalisation.

use bayplan_graph::op::ReduceOp;
use bayplan_graph::{DType, Node, Op};
use bayplan_shaders::{NormalizeSpec, ReduceSpec, Repr, SoftmaxSpec, Spec};

use super::contract::need_f32;
use super::elementwise::identity;
use super::{Lowerer, Lowering};
use crate::view::{View, elements};

pub(crate) fn lower(lowerer: &mut Lowerer<'_>, node: &Node) -> Lowering {
    match &node.op {
        Op::Reduce(op, _) => Some(reduce(lowerer, node, *op)),
        Op::Softmax { axis, log } => Some(softmax(lowerer, node, *axis, *log)),
        Op::Normalize { axis, epsilon, center } => {
            Some(normalize(lowerer, node, *axis, epsilon.get(), *center))
        }
        _ => None,
    }
}

/// An axis counted from the front.
pub(crate) fn axis_of(axis: i64, rank: usize) -> Result<usize, String> {
    let resolved = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(resolved)
        .ok()
        .filter(|&axis| axis < rank)
        .ok_or_else(|| format!("axis {axis} does not exist in a tensor of rank {rank}"))
}

fn reduce(lowerer: &mut Lowerer<'_>, node: &Node, op: ReduceOp) -> Result<Vec<View>, String> {
    let x = lowerer.view(node.inputs[0])?;
    let rank = x.shape.len();
    let mut axes = lowerer
        .known_ints(node.inputs[1])?
        .into_iter()
        .map(|a| axis_of(a, rank))
        .collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    let out = lowerer.shape(node.outputs[0])?;
    let dtype = x.dtype;
    // Each result from one element is that element.
    if axes.iter().all(|&axis| x.shape[axis].surely_eq(1)) {
        return Ok(vec![lowerer.reshaped(&x, &out)]);
    }
    // With results to make only what is reduced can be empty.
    if axes.iter().any(|&axis| x.shape[axis] == 0) {
        return Ok(vec![lowerer.filled(dtype, of_nothing(op, dtype)?, &out)?]);
    }
    let joined = axes.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    // Axes that do not lie side by side are brought to the end first.
    let (x, first) = if joined {
        (lowerer.packed(&x), axes[0])
    } else {
        let kept = (0..rank).filter(|axis| !axes.contains(axis));
        let order: Vec<usize> = kept.chain(axes.iter().copied()).collect();
        (lowerer.packed(&x.permute(&order)), rank - axes.len())
    };
    let last = first + axes.len();
    let (outer, inner) = (elements(&x.shape[..first]), elements(&x.shape[last..]));
    let epilogue = identity(dtype, &[outer, inner]);
    let spec = ReduceSpec { op, dtype, outer, len: elements(&x.shape[first..last]), inner, epilogue };
    Ok(vec![lowerer.emit(Spec::Reduce(spec), vec![x], dtype, out)?])
}

/// The bits of the reduction of no elements: ONNX says them of all but the mean, which is 0 as onnxruntime has it.
fn of_nothing(op: ReduceOp, dtype: DType) -> Result<u64, String> {
    let float = |value: f64| match Repr::of(dtype) {
        Some(Repr::F64) => value.to_bits(),
        _ => u64::from((value as f32).to_bits()),
    };
    match (op, dtype.limits()) {
        (ReduceOp::Sum | ReduceOp::Mean, _) => Ok(0),
        (ReduceOp::Prod, Some(_)) => Ok(1),
        (ReduceOp::Max, Some((least, _))) => Ok(least as u64),
        (ReduceOp::Min, Some((_, most))) => Ok(most as u64),
        (ReduceOp::Prod, None) if dtype.is_float() => Ok(float(1.0)),
        (ReduceOp::Max, None) if dtype.is_float() => Ok(float(f64::NEG_INFINITY)),
        (ReduceOp::Min, None) if dtype.is_float() => Ok(float(f64::INFINITY)),
        _ => Err(format!("{op:?} of no elements does not exist for {dtype}")),
    }
}

fn softmax(lowerer: &mut Lowerer<'_>, node: &Node, axis: i64, log: bool) -> Result<Vec<View>, String> {
    let dtype = lowerer.dtype(node.inputs[0]);
    if !dtype.is_float() {
        return Err(format!("{dtype} has no softmax; convert the operand to f32"));
    }
    let x = lowerer.view(node.inputs[0])?;
    let x = lowerer.packed(&x);
    let axis = axis_of(axis, x.shape.len())?;
    let spec = SoftmaxSpec {
        dtype,
        outer: elements(&x.shape[..axis]),
        len: x.shape[axis],
        inner: elements(&x.shape[axis + 1..]),
        log,
        in_place: false,
    };
    let shape = x.shape.clone();
    Ok(vec![lowerer.emit(Spec::Softmax(spec), vec![x], dtype, shape)?])
}

fn normalize(
    lowerer: &mut Lowerer<'_>,
    node: &Node,
    axis: i64,
    epsilon: f32,
    center: bool,
) -> Result<Vec<View>, String> {
    need_f32(lowerer, node)?;
    let x = lowerer.view(node.inputs[0])?;
    let x = lowerer.packed(&x);
    let axis = axis_of(axis, x.shape.len())?;
    let (rows, len) = (elements(&x.shape[..axis]), elements(&x.shape[axis..]));
    let epilogue = identity(x.dtype, &[rows, len]);
    let spec = NormalizeSpec { rows, len, epsilon, center, epilogue, in_place: false };
    let (dtype, shape) = (x.dtype, x.shape.clone());
    Ok(vec![lowerer.emit(Spec::Normalize(spec), vec![x], dtype, shape)?])
}
