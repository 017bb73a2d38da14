//! Movement: views cost nothing, the rest copies.

use bayplan_graph::op::PadMode;
use bayplan_graph::{Node, Op};
use bayplan_shaders::{ElementwiseSpec, GatherNdSpec, GatherSpec, RangeSpec, Spec};

use super::elementwise::constant;
use super::reduce::axis_of;
use super::{Lowerer, Lowering};
use crate::view::{View, contiguous};

/// Whether an operand only says a shape or a position and is not read when the model runs.
pub(crate) fn says_shape(op: &Op, operand: usize) -> bool {
    match op {
        Op::View(_) | Op::Expand | Op::Slice | Op::Split { .. } | Op::Reduce(..) => operand > 0,
        Op::Pad(_) => operand == 1,
        Op::Fill => operand == 0,
        Op::Range => operand == 1,
        Op::Shape { .. } => true,
        _ => false,
    }
}

pub(crate) fn lower(lowerer: &mut Lowerer<'_>, node: &Node) -> Lowering {
    match &node.op {
        Op::View(_) => Some(reshape(lowerer, node)),
        Op::Transpose(perm) => Some(lowerer.view(node.inputs[0]).map(|x| vec![x.permute(perm)])),
        Op::Expand => Some(expand(lowerer, node)),
        Op::Slice => Some(slice(lowerer, node)),
        Op::Split { axis } => Some(split(lowerer, node, *axis)),
        Op::Concat { axis } => Some(concat(lowerer, node, *axis)),
        Op::Pad(mode) => Some(pad(lowerer, node, *mode)),
        Op::Gather { axis } => Some(gather(lowerer, node, *axis)),
        Op::GatherNd { batch_dims } => Some(gather_nd(lowerer, node, *batch_dims)),
        Op::Range => Some(range(lowerer, node)),
        _ => None,
    }
}

fn reshape(lowerer: &mut Lowerer<'_>, node: &Node) -> Result<Vec<View>, String> {
    let x = lowerer.view(node.inputs[0])?;
    let shape = lowerer.shape(node.outputs[0])?;
    Ok(vec![lowerer.reshaped(&x, &shape)])
}

fn expand(lowerer: &mut Lowerer<'_>, node: &Node) -> Result<Vec<View>, String> {
    let x = lowerer.view(node.inputs[0])?;
    Ok(vec![x.expand(&lowerer.shape(node.outputs[0])?)])
}

fn slice(lowerer: &mut Lowerer<'_>, node: &Node) -> Result<Vec<View>, String> {
    let mut x = lowerer.view(node.inputs[0])?;
    let out = lowerer.shape(node.outputs[0])?;
    let [starts, _, axes, steps] = [1, 2, 3, 4].map(|operand| lowerer.ints(node.inputs[operand]));
    let (starts, axes, steps) = (starts?, axes?, steps?);
    for ((&start, &axis), &step) in starts.iter().zip(&axes).zip(&steps) {
        let axis = axis_of(axis, x.shape.len())?;
        let size = x.shape[axis] as i64;
        // ONNX clamps a start to the axis: to its end going forwards, to its last element going backwards.
        let start = if start < 0 { start.saturating_add(size) } else { start };
        let start = start.clamp(0, if step > 0 { size } else { (size - 1).max(0) });
        x = x.slice(axis, start as u64, step, out[axis]);
    }
    Ok(vec![x])
}

fn split(lowerer: &mut Lowerer<'_>, node: &Node, axis: i64) -> Result<Vec<View>, String> {
    let x = lowerer.view(node.inputs[0])?;
    let axis = axis_of(axis, x.shape.len())?;
    let mut start = 0;
    let mut pieces = Vec::with_capacity(node.outputs.len());
    for &output in &node.outputs {
        let len = lowerer.shape(output)?[axis];
        pieces.push(x.slice(axis, start, 1, len));
        start += len;
    }
    Ok(pieces)
}

fn concat(lowerer: &mut Lowerer<'_>, node: &Node, axis: i64) -> Result<Vec<View>, String> {
    let shape = lowerer.shape(node.outputs[0])?;
    let axis = axis_of(axis, shape.len())?;
    let parts = node.inputs.iter().map(|&input| lowerer.view(input)).collect::<Result<Vec<_>, _>>()?;
    let parts: Vec<View> = parts.into_iter().filter(|part| part.elements() > 0).collect();
    if let [only] = &parts[..] {
        return Ok(vec![only.clone()]);
    }
    let out = lowerer.fresh(lowerer.dtype(node.outputs[0]), shape)?;
    let mut base = 0;
    for part in parts {
        lowerer.copy_into(&part, &out, base, out.strides.clone(), true);
        base += part.shape[axis] * out.strides[axis].unsigned_abs();
    }
    Ok(vec![out])
}

fn pad(lowerer: &mut Lowerer<'_>, node: &Node, mode: PadMode) -> Result<Vec<View>, String> {
    if mode != PadMode::Constant {
        return Err(format!("padding in mode {mode:?} has no kernel; mode constant does"));
    }
    let mut x = lowerer.view(node.inputs[0])?;
    let pads = lowerer.ints(node.inputs[1])?;
    let shape = lowerer.shape(node.outputs[0])?;
    let rank = shape.len();
    let dtype = x.dtype;
    let mut base = 0;
    // Negative padding crops the input.
    for axis in 0..rank {
        let (before, after) = (pads[axis], pads[axis + rank]);
        let (crop, len) = (before.min(0).unsigned_abs(), x.shape[axis] as i64 + before.min(0) + after.min(0));
        x = x.slice(axis, crop, 1, u64::try_from(len).unwrap_or(0));
        base += before.max(0) as u64 * contiguous(&shape)[axis].unsigned_abs();
    }
    if x.shape == shape {
        return Ok(vec![x]);
    }
    let out = lowerer.fresh(dtype, shape.clone())?;
    let bits = lowerer
        .scalar_bits(node.inputs[2])
        .ok_or("the padding value depends on the inputs' data; only a constant has a kernel")?;
    let fill = ElementwiseSpec { shape, chain: constant(dtype, bits), in_place: None };
    lowerer.push(Spec::Elementwise(fill), Vec::new(), &out, true);
    lowerer.copy_into(&x, &out, base, out.strides.clone(), true);
    Ok(vec![out])
}

fn gather(lowerer: &mut Lowerer<'_>, node: &Node, axis: i64) -> Result<Vec<View>, String> {
    let (x, indices) = (lowerer.view(node.inputs[0])?, lowerer.view(node.inputs[1])?);
    let (x, indices) = (lowerer.packed(&x), lowerer.packed(&indices));
    let axis = axis_of(axis, x.shape.len())?;
    let spec = GatherSpec {
        dtype: x.dtype,
        index: indices.dtype,
        outer: x.shape[..axis].iter().product(),
        axis: x.shape[axis],
        count: indices.elements(),
        inner: x.shape[axis + 1..].iter().product(),
    };
    let (dtype, shape) = (x.dtype, lowerer.shape(node.outputs[0])?);
    Ok(vec![lowerer.emit(Spec::Gather(spec), vec![x, indices], dtype, shape)?])
}

fn gather_nd(lowerer: &mut Lowerer<'_>, node: &Node, batch_dims: usize) -> Result<Vec<View>, String> {
    let (x, indices) = (lowerer.view(node.inputs[0])?, lowerer.view(node.inputs[1])?);
    let (x, indices) = (lowerer.packed(&x), lowerer.packed(&indices));
    let tuple = indices.shape.last().copied().unwrap_or(1) as usize;
    let batch = x.shape[..batch_dims].iter().product::<u64>();
    let spec = GatherNdSpec {
        dtype: x.dtype,
        index: indices.dtype,
        batch,
        count: indices.elements() / (batch * tuple as u64).max(1),
        dims: x.shape[batch_dims..batch_dims + tuple].to_vec(),
        inner: x.shape[batch_dims + tuple..].iter().product(),
    };
    let (dtype, shape) = (x.dtype, lowerer.shape(node.outputs[0])?);
    Ok(vec![lowerer.emit(Spec::GatherNd(spec), vec![x, indices], dtype, shape)?])
}

fn range(lowerer: &mut Lowerer<'_>, node: &Node) -> Result<Vec<View>, String> {
    let (start, delta) = (lowerer.view(node.inputs[0])?, lowerer.view(node.inputs[2])?);
    let (start, delta) = (lowerer.packed(&start), lowerer.packed(&delta));
    let (dtype, shape) = (start.dtype, lowerer.shape(node.outputs[0])?);
    let spec = Spec::Range(RangeSpec { dtype, count: shape[0] });
    Ok(vec![lowerer.emit(spec, vec![start, delta], dtype, shape)?])
}
