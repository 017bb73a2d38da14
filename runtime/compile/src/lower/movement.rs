//! Movement: views cost nothing, the rest copies.

use bayplan_graph::op::PadMode;
use bayplan_graph::{Node, Op, ValueId};
use bayplan_shaders::{
    Arg, Chain, ElementwiseSpec, GatherNdSpec, GatherSpec, Operand, Others, RangeSpec, Repr, Spec, Step,
    StepOp,
};

use super::elementwise::{constant, identity};
use super::reduce::axis_of;
use super::{Lowerer, Lowering};
use crate::size::Size;
use crate::view::{MAX_PIECES, View, contiguous, elements, same};

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
        Op::Transpose(perm) => Some(transpose(lowerer, node, perm)),
        Op::Expand => Some(expand(lowerer, node)),
        Op::Slice => Some(slice(lowerer, node)),
        Op::Split { axis } => Some(split(lowerer, node, *axis)),
        Op::Concat { axis } => Some(concat(lowerer, node, *axis)),
        Op::Fill => Some(fill(lowerer, node)),
        Op::Pad(PadMode::Constant) => Some(pad(lowerer, node)),
        Op::Pad(mode) => Some(repeat_edges(lowerer, node, *mode)),
        Op::Gather { axis } => Some(gather(lowerer, node, *axis)),
        Op::GatherNd { batch_dims } => Some(gather_nd(lowerer, node, *batch_dims)),
        Op::Range => Some(range(lowerer, node)),
        _ => None,
    }
}

fn reshape(lowerer: &mut Lowerer<'_>, node: &Node) -> Result<Vec<View>, String> {
    let x = lowerer.pieces(node.inputs[0])?;
    let shape = lowerer.shape(node.outputs[0])?;
    Ok(vec![settled(&x, &shape).unwrap_or_else(|| lowerer.reshaped(&x, &shape))])
}

/// A view in a shape without movement: in that shape, else in pieces of it.
fn settled(view: &View, shape: &[Size]) -> Option<View> {
    view.reshape(shape).or_else(|| view.pieces(shape).filter(|pieces| pieces.shape.len() <= MAX_PIECES))
}

fn transpose(lowerer: &mut Lowerer<'_>, node: &Node, perm: &[usize]) -> Result<Vec<View>, String> {
    let (x, own) = (lowerer.pieces(node.inputs[0])?, lowerer.shape(node.inputs[0])?);
    if !same(&x.shape, &own)
        && let Some(permuted) = x.permute_pieces(&own, perm)
    {
        let shape: Vec<Size> = perm.iter().map(|&axis| own[axis]).collect();
        return Ok(vec![permuted.reshape(&shape).unwrap_or(permuted)]);
    }
    Ok(vec![lowerer.view(node.inputs[0])?.permute(perm)])
}

fn expand(lowerer: &mut Lowerer<'_>, node: &Node) -> Result<Vec<View>, String> {
    let (x, own) = (lowerer.pieces(node.inputs[0])?, lowerer.shape(node.inputs[0])?);
    let shape = lowerer.shape(node.outputs[0])?;
    Ok(vec![match x.expand_pieces(&own, &shape) {
        Some(view) => view,
        None => lowerer.view(node.inputs[0])?.expand(&shape),
    }])
}

/// One element repeated: consumers read it with strides of 0.
fn fill(lowerer: &mut Lowerer<'_>, node: &Node) -> Result<Vec<View>, String> {
    let value = lowerer.view(node.inputs[1])?;
    let shape = lowerer.shape(node.outputs[0])?;
    Ok(vec![lowerer.reshaped(&value, &[]).expand(&shape)])
}

fn slice(lowerer: &mut Lowerer<'_>, node: &Node) -> Result<Vec<View>, String> {
    let mut x = lowerer.view(node.inputs[0])?;
    let out = lowerer.shape(node.outputs[0])?;
    let (starts, axes) = (lowerer.ints(node.inputs[1])?, lowerer.known_ints(node.inputs[3])?);
    let steps = lowerer.known_ints(node.inputs[4])?;
    for ((&start, &axis), &step) in starts.iter().zip(&axes).zip(&steps) {
        let axis = axis_of(axis, x.shape.len())?;
        let size = x.shape[axis];
        // ONNX clamps a start to the axis: to its end going forwards, to its last element going backwards.
        let start = if start < 0 { start + size } else { start };
        let start = start.clamp(0, if step > 0 { size } else { (size - 1).max(0) });
        x = x.slice(axis, start, step, out[axis]);
    }
    Ok(vec![x])
}

fn split(lowerer: &mut Lowerer<'_>, node: &Node, axis: i64) -> Result<Vec<View>, String> {
    let x = lowerer.view(node.inputs[0])?;
    let axis = axis_of(axis, x.shape.len())?;
    let mut start = Size::ZERO;
    let mut pieces = Vec::with_capacity(node.outputs.len());
    for &output in &node.outputs {
        let len = lowerer.shape(output)?[axis];
        pieces.push(x.slice(axis, start, 1, len));
        start += len;
    }
    Ok(pieces)
}

fn concat(lowerer: &mut Lowerer<'_>, node: &Node, axis: i64) -> Result<Vec<View>, String> {
    let axis = axis_of(axis, lowerer.shape(node.outputs[0])?.len())?;
    let parts = node.inputs.iter().map(|&input| lowerer.view(input)).collect::<Result<Vec<_>, _>>()?;
    Ok(vec![joined(lowerer, &parts, axis)?])
}

/// The part of an operand that padding leaves (negative padding crops), along one axis: start and length.
fn kept(size: Size, before: Size, after: Size) -> (Size, Size) {
    let (front, back) = (-before.min(0), -after.min(0));
    (front, (size - front - back).max(0))
}

fn pad(lowerer: &mut Lowerer<'_>, node: &Node) -> Result<Vec<View>, String> {
    let mut x = lowerer.view(node.inputs[0])?;
    let pads = lowerer.ints(node.inputs[1])?;
    let shape = lowerer.shape(node.outputs[0])?;
    let (rank, dtype, strides) = (shape.len(), x.dtype, contiguous(&shape));
    let mut base = Size::ZERO;
    for axis in 0..rank {
        let (before, after) = (pads[axis], pads[axis + rank]);
        let (start, len) = kept(x.shape[axis], before, after);
        x = x.slice(axis, start, 1, len);
        base += before.max(0) * strides[axis];
    }
    if same(&x.shape, &shape) {
        return Ok(vec![x]);
    }
    let fill = match lowerer.scalar_bits(node.inputs[2]) {
        Some(bits) => Fill::Constant(bits),
        None => Fill::Element(one_element(lowerer, node.inputs[2], &shape)?),
    };
    if x.elements().surely_eq(0) {
        return Ok(vec![match fill {
            Fill::Constant(bits) => lowerer.filled(dtype, bits, &shape)?,
            Fill::Element(view) => view,
        }]);
    }
    let (chain, operands) = match fill {
        Fill::Constant(bits) => (constant(dtype, bits), Vec::new()),
        Fill::Element(view) => {
            let operand = Operand { dtype, base: Size::ZERO, strides: vec![Size::ZERO; rank] };
            (Chain { operands: vec![operand], ..identity(dtype, &shape) }, vec![view])
        }
    };
    let out = lowerer.fresh(dtype, shape.clone())?;
    let fill = ElementwiseSpec { shape, chain, in_place: None };
    lowerer.push(Spec::Elementwise(fill), operands, &out, true);
    lowerer.copy_into(&x, &out, base, true);
    Ok(vec![out])
}

/// What padding is filled with.
enum Fill {
    /// The bits of a constant, as the device holds them.
    Constant(u64),
    /// A value's only element over the whole shape.
    Element(View),
}

fn one_element(lowerer: &mut Lowerer<'_>, value: ValueId, shape: &[Size]) -> Result<View, String> {
    let view = lowerer.view(value)?;
    if !view.elements().surely_eq(1) {
        return Err(format!("the padding value must be one element, not {:?}", view.shape));
    }
    Ok(lowerer.reshaped(&view, &[]).expand(shape))
}

/// Padding with elements of the operand: one axis after the other, each from three views of the last result.
fn repeat_edges(lowerer: &mut Lowerer<'_>, node: &Node, mode: PadMode) -> Result<Vec<View>, String> {
    let mut x = lowerer.view(node.inputs[0])?;
    let pads = lowerer.ints(node.inputs[1])?;
    let rank = x.shape.len();
    for axis in 0..rank {
        let (before, after, size) = (pads[axis], pads[axis + rank], x.shape[axis]);
        let (start, len) = kept(size, before, after);
        let (more, rest) = (before.max(0), after.max(0));
        // Inference has checked that the operand has as many elements as are repeated.
        let parts = match mode {
            PadMode::Reflect => [x.slice(axis, more, -1, more), x.slice(axis, size - 2, -1, rest)],
            PadMode::Wrap => [x.slice(axis, size - more, 1, more), x.slice(axis, Size::ZERO, 1, rest)],
            _ => [(Size::ZERO, more), (size - 1, rest)].map(|(at, count)| {
                let mut shape = x.shape.clone();
                shape[axis] = count;
                x.slice(axis, at, 1, count.min(1)).expand(&shape)
            }),
        };
        let [front, back] = parts;
        let mut shape = x.shape.clone();
        shape[axis] = more + len + rest;
        let padded = joined(lowerer, &[front, x.slice(axis, start, 1, len), back], axis)?;
        // What is joined may lie in pieces; the next axis is counted in the value's own dimensions.
        x = if same(&padded.shape, &shape) { padded } else { lowerer.reshaped(&padded, &shape) };
    }
    Ok(vec![x])
}

/// Views side by side along an axis: the only one that is not empty, one repeated, a choice between two halves, or
/// copies.
fn joined(lowerer: &mut Lowerer<'_>, parts: &[View], axis: usize) -> Result<View, String> {
    let (dtype, mut shape) = (parts[0].dtype, parts[0].shape.clone());
    shape[axis] = parts.iter().map(|part| part.shape[axis]).sum();
    let parts: Vec<&View> = parts.iter().filter(|part| !part.elements().surely_eq(0)).collect();
    if let [only] = parts[..] {
        return Ok(only.clone());
    }
    if let Some(first) = parts.first()
        && parts.iter().all(|part| part.same(first))
    {
        let repeated = repeated(first, axis, parts.len() as u64);
        if let Some(view) = settled(&repeated, &shape) {
            return Ok(view);
        }
    }
    // Along the outermost axis parts may be written where they belong, without a copy.
    if let [a, b] = parts[..]
        && same(&a.shape, &b.shape)
        && !elements(&shape[..axis]).surely_le(1)
        && let Some(chosen) = halves(lowerer, a, b, axis, &shape)
    {
        return chosen;
    }
    let out = lowerer.fresh(dtype, shape)?;
    let mut base = Size::ZERO;
    for part in parts {
        lowerer.copy_into(part, &out, base, true);
        base += part.shape[axis] * out.strides[axis];
    }
    Ok(out)
}

/// A view with a dimension before `axis` that repeats it.
fn repeated(view: &View, axis: usize, count: u64) -> View {
    let mut repeated = view.clone();
    repeated.shape.insert(axis, count.into());
    repeated.strides.insert(axis, Size::ZERO);
    repeated
}

/// Two halves of an axis as one elementwise operation, which others can join: over `[.., 2, half, ..]` each element is
/// chosen from the first or the second, and both are read in place.
fn halves(
    lowerer: &mut Lowerer<'_>,
    a: &View,
    b: &View,
    axis: usize,
    shape: &[Size],
) -> Option<Result<View, String>> {
    let direct = |view: &View| {
        view.forward_strides().is_some() && Repr::of(view.dtype).is_some_and(|repr| repr.words() == 1)
    };
    if a.shape.len() >= MAX_PIECES || !direct(a) || !direct(b) {
        return None;
    }
    let first = match lowerer.halves() {
        Ok(first) => first,
        Err(reason) => return Some(Err(reason)),
    };
    let (a, b) = (repeated(a, axis, 2), repeated(b, axis, 2));
    let mut which = first.reshape(&[Size::from(2)])?;
    which.strides = (0..a.shape.len()).map(|own| Size::from(i64::from(own == axis))).collect();
    which.shape.clone_from(&a.shape);
    let operand =
        |view: &View| Some(Operand { dtype: view.dtype, base: Size::ZERO, strides: view.forward_strides()? });
    let operands = [&which, &a, &b].into_iter().map(operand).collect::<Option<Vec<_>>>()?;
    let args = (0..3).map(Arg::Operand).collect();
    let step = Step { op: StepOp::Select, args, dtype: a.dtype };
    let chain = Chain { operands, steps: vec![step], result: a.dtype, layout: None };
    let spec = Spec::Elementwise(ElementwiseSpec { shape: a.shape.clone(), chain, in_place: None });
    let dtype = a.dtype;
    Some(lowerer.emit(spec, vec![which, a, b], dtype, shape.to_vec()))
}

fn gather(lowerer: &mut Lowerer<'_>, node: &Node, axis: i64) -> Result<Vec<View>, String> {
    let x = lowerer.view(node.inputs[0])?;
    let axis = axis_of(axis, x.shape.len())?;
    let (dtype, shape) = (x.dtype, lowerer.shape(node.outputs[0])?);
    if let Some(at) = known_index(lowerer, node.inputs[1], x.shape[axis]) {
        return Ok(vec![lowerer.reshaped(&x.slice(axis, at, 1, Size::ONE), &shape)]);
    }
    // With results to make only the axis can be empty.
    if x.shape[axis] == 0 {
        // Whatever the indices, they lie outside and read as 0.
        return Ok(vec![lowerer.filled(dtype, 0, &shape)?]);
    }
    let indices = lowerer.view(node.inputs[1])?;
    let (x, indices) = (lowerer.packed(&x), lowerer.packed(&indices));
    let spec = GatherSpec {
        dtype,
        index: indices.dtype,
        outer: elements(&x.shape[..axis]),
        axis: x.shape[axis],
        count: indices.elements(),
        inner: elements(&x.shape[axis + 1..]),
        rows: Size::ZERO..x.shape[axis],
        others: Others::Zero,
    };
    Ok(vec![lowerer.emit(Spec::Gather(spec), vec![x, indices], dtype, shape)?])
}

/// The position that a single index known beforehand surely selects on an axis of that size: such a gather is a slice.
fn known_index(lowerer: &Lowerer<'_>, indices: ValueId, size: Size) -> Option<Size> {
    let [index] = lowerer.ints(indices).ok()?[..] else { return None };
    let index = if index.surely_le(-1) { index + size } else { index };
    (Size::ZERO.surely_le(index) && (index + 1).surely_le(size)).then_some(index)
}

fn gather_nd(lowerer: &mut Lowerer<'_>, node: &Node, batch_dims: usize) -> Result<Vec<View>, String> {
    let (x, indices) = (lowerer.view(node.inputs[0])?, lowerer.view(node.inputs[1])?);
    let (dtype, shape) = (x.dtype, lowerer.shape(node.outputs[0])?);
    let (tuple, tuples) = match indices.shape.split_last() {
        Some((&tuple, rest)) => (tuple.pin() as usize, elements(&rest[batch_dims..])),
        None => return Err("its indices have no dimensions".into()),
    };
    if x.elements() == 0 {
        return Ok(vec![lowerer.filled(dtype, 0, &shape)?]);
    }
    if tuple == 0 {
        // Tuples of no indices select everything, once for each tuple.
        let mut repeated = x.shape.clone();
        repeated.splice(
            batch_dims..batch_dims,
            std::iter::repeat_n(Size::ONE, indices.shape.len() - 1 - batch_dims),
        );
        return Ok(vec![lowerer.reshaped(&x, &repeated).expand(&shape)]);
    }
    let (x, indices) = (lowerer.packed(&x), lowerer.packed(&indices));
    let spec = GatherNdSpec {
        dtype,
        index: indices.dtype,
        batch: elements(&x.shape[..batch_dims]),
        count: tuples,
        dims: x.shape[batch_dims..batch_dims + tuple].to_vec(),
        inner: elements(&x.shape[batch_dims + tuple..]),
        each: false,
    };
    Ok(vec![lowerer.emit(Spec::GatherNd(spec), vec![x, indices], dtype, shape)?])
}

fn range(lowerer: &mut Lowerer<'_>, node: &Node) -> Result<Vec<View>, String> {
    let (start, delta) = (lowerer.view(node.inputs[0])?, lowerer.view(node.inputs[2])?);
    let (start, delta) = (lowerer.packed(&start), lowerer.packed(&delta));
    let (dtype, shape) = (start.dtype, lowerer.shape(node.outputs[0])?);
    let spec = Spec::Range(RangeSpec { dtype, count: shape[0] });
    Ok(vec![lowerer.emit(spec, vec![start, delta], dtype, shape)?])
}
