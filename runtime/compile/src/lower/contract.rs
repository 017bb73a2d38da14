//! Contractions: matrix products, convolutions and pooling.

use bayplan_graph::op::{Pads, PoolKind, Window};
use bayplan_graph::{DType, Node, Op, ValueId};
use bayplan_shaders::{Class, ConvSpec, CopySpec, MatMulSpec, Packing, PoolSpec, Repr, Spec};

use super::elementwise::identity;
use super::{Lowerer, Lowering, taps};
use crate::size::{Here, Size};
use crate::view::{MAX_PIECES, View, common, elements, groups, same};

pub(crate) fn lower(lowerer: &mut Lowerer<'_>, node: &Node) -> Lowering {
    match &node.op {
        Op::MatMul => Some(matmul(lowerer, node)),
        Op::Conv(window, groups) => Some(conv(lowerer, node, window, *groups)),
        Op::Pool(kind, window) => Some(pool(lowerer, node, *kind, window)),
        _ => None,
    }
}

/// The element type, one of those that are represented as `f32`: only they have kernels here.
pub(crate) fn need_f32(lowerer: &Lowerer<'_>, node: &Node) -> Result<DType, String> {
    match lowerer.dtype(node.inputs[0]) {
        dtype if Repr::of(dtype) == Some(Repr::F32) => Ok(dtype),
        other => Err(format!(
            "there is a kernel for floats of at most 32 bits only, not for {other}; convert the operands to f32"
        )),
    }
}

fn matmul(lowerer: &mut Lowerer<'_>, node: &Node) -> Result<Vec<View>, String> {
    let dtype = lowerer.dtype(node.inputs[0]);
    let (mut a_own, mut b_own) = (lowerer.shape(node.inputs[0])?, lowerer.shape(node.inputs[1])?);
    let out_shape = lowerer.shape(node.outputs[0])?;
    // numpy's rule: a vector on the left is a row, on the right a column; that dimension leaves the result.
    if a_own.len() == 1 {
        a_own.insert(0, Size::ONE);
    }
    if b_own.len() == 1 {
        b_own.push(Size::ONE);
    }
    let (m, k) = (a_own[a_own.len() - 2], a_own[a_own.len() - 1]);
    let n = b_own[b_own.len() - 1];
    let batch = broadcast(&a_own[..a_own.len() - 2], &b_own[..b_own.len() - 2])?;
    if k == 0 {
        return Ok(vec![lowerer.filled(dtype, 0, &out_shape)?]);
    }
    let [a_shape, b_shape] = [[m, k], [k, n]].map(|matrix| [&batch[..], &matrix].concat());
    let mut a = matrices(lowerer, node.inputs[0], &a_own, &a_shape)?;
    let mut b = match b_own.len() {
        2 => {
            let matrix = lowerer.view(node.inputs[1])?;
            let matrix = lowerer.reshaped(&matrix, &b_own);
            let matrix = along_k(lowerer, matrix)?;
            lowerer.strided(&matrix.expand(&b_shape))
        }
        _ => matrices(lowerer, node.inputs[1], &b_own, &b_shape)?,
    };
    let pieces = |view: &View| view.shape[..view.shape.len() - 2].to_vec();
    let cut =
        |view: &View, batch: &[Size]| view.reshape(&[batch, &view.shape[view.shape.len() - 2..]].concat());
    let batch = if same(&pieces(&a), &batch) && same(&pieces(&b), &batch) {
        batch
    } else if let Some(common) = common(&pieces(&a), &pieces(&b)).filter(|cut| cut.len() <= MAX_PIECES)
        && let (Some(cut_a), Some(cut_b)) = (cut(&a, &common), cut(&b, &common))
    {
        (a, b) = (cut_a, cut_b);
        common
    } else {
        let [whole_a, whole_b] = [(0, &a_own, &a_shape), (1, &b_own, &b_shape)].map(|(at, own, shape)| {
            let view = lowerer.view(node.inputs[at])?;
            let view = lowerer.reshaped(&view, own).expand(shape);
            Ok::<_, String>(lowerer.strided(&view))
        });
        (a, b) = (whole_a?, whole_b?);
        batch
    };
    let spec = merged(dtype, &a, &b, &batch, [m, n, k]);
    Ok(vec![lowerer.emit(Spec::MatMul(spec), vec![a, b], dtype, out_shape)?])
}

/// A matrix of weights on the right with its columns in a row each, rearranged once while loading: CPU drivers then read
/// memory in order, several times as fast where there are few rows on the left.
fn along_k(lowerer: &mut Lowerer<'_>, b: View) -> Result<View, String> {
    let (&[k, n], target) = (&b.shape[..], lowerer.target) else { return Ok(b) };
    let (count, words) = (b.elements(), Repr::of(b.dtype).map_or(1, Repr::bytes));
    // Kernels load four of k at once.
    let floats = Repr::of(b.dtype) == Some(Repr::F32);
    let gains = floats && k.surely_multiple_of(4) && !n.surely_le(1) && b.strides[1].surely_eq(1);
    let fits = (count * words).surely_le(target.max_storage_range);
    if !gains || !fits || target.class != Class::Cpu || !lowerer.may_rearrange(b.tensor) {
        return Ok(b);
    }
    let (Some(k), Some(n)) = (k.known(), n.known()) else { return Ok(b) };
    let w = lowerer.packed(&b);
    let Some(step) = w.strides[0].known() else { return Ok(b) };
    let turned = CopySpec {
        shape: vec![n as u64, k as u64],
        dtype: b.dtype,
        x_base: 0,
        x_strides: vec![1, step],
        out_base: 0,
        out_strides: vec![k as u64, 1],
    };
    let packing = Packing { copies: vec![turned], elements: count.here(), zero_fill: false };
    let packed = lowerer.rearranged(&w, packing)?;
    Ok(View { shape: vec![k.into(), n.into()], strides: vec![Size::ONE, k.into()], ..packed })
}

/// An operand over the shape `[batch.., rows, columns]`; its batch dimensions may be pieces of those.
fn matrices(lowerer: &mut Lowerer<'_>, id: ValueId, own: &[Size], shape: &[Size]) -> Result<View, String> {
    let view = lowerer.pieces(id)?;
    if !same(&view.shape, &lowerer.shape(id)?)
        && let Some(expanded) = lowerer.strided(&view).expand_pieces(own, shape)
        && let Some([.., rows, columns]) = groups(&expanded.shape, shape).as_deref()
        && rows.len() <= 1
        && columns.len() <= 1
    {
        let batch = rows.start;
        let mut matrices = View { shape: expanded.shape[..batch].to_vec(), ..expanded.clone() };
        matrices.strides.truncate(batch);
        for (group, size) in [rows, columns].into_iter().zip(&shape[shape.len() - 2..]) {
            matrices.shape.push(*size);
            matrices.strides.push(group.clone().next().map_or(Size::ZERO, |axis| expanded.strides[axis]));
        }
        return Ok(matrices);
    }
    let view = lowerer.view(id)?;
    let view = lowerer.reshaped(&view, own).expand(shape);
    Ok(lowerer.strided(&view))
}

/// The product, its batch dimensions without those of 1. With one matrix on the right for the whole batch, the batch
/// becomes rows; so do its last dimensions where each product has one row and they share the matrix, as the
/// heads of grouped queries do.
pub(super) fn merged(
    dtype: DType,
    a: &View,
    b: &View,
    batch: &[Size],
    [m, n, k]: [Size; 3],
) -> MatMulSpec<Size> {
    let rank = batch.len();
    let strides = |view: &View| view.forward_strides().unwrap_or_default();
    let (a_strides, b_strides) = (strides(a), strides(b));
    let (mut a_inner, b_inner) = (a_strides[rank..].to_vec(), &b_strides[rank..]);
    let shared = rank > 0 && (0..rank).all(|axis| batch[axis].surely_eq(1) || b_strides[axis].surely_eq(0));
    let rows = elements(batch) * m;
    if let Some(rows_of_a) = a.reshape(&[rows, k]).filter(|_| shared) {
        return product(dtype, &[], [rows, n, k], strides(&rows_of_a), b_inner.to_vec());
    }
    let (mut rows, mut rest) = (m, rank);
    while m.surely_eq(1)
        && let Some(axis) = rest.checked_sub(1)
        && let alone = batch[axis].surely_eq(1)
        && (alone || b_strides[axis].surely_eq(0))
        && (rows.surely_eq(1) || alone || a_strides[axis].surely_eq(rows * a_inner[0]))
    {
        if rows.surely_eq(1) && !alone {
            a_inner[0] = a_strides[axis];
        }
        rows *= batch[axis];
        rest = axis;
    }
    // Neighbours that step evenly are for the kernel to merge: an epilogue may tell them apart.
    let kept: Vec<usize> = (0..rest).filter(|&axis| !batch[axis].surely_eq(1)).collect();
    let of = |list: &[Size]| kept.iter().map(|&axis| list[axis]).collect::<Vec<_>>();
    let (dims, a_batch, b_batch) = (of(batch), of(&a_strides), of(&b_strides));
    product(dtype, &dims, [rows, n, k], [a_batch, a_inner].concat(), [&b_batch, b_inner].concat())
}

fn product(
    dtype: DType,
    batch: &[Size],
    [m, n, k]: [Size; 3],
    a_strides: Vec<Size>,
    b_strides: Vec<Size>,
) -> MatMulSpec<Size> {
    let epilogue = identity(dtype, &[batch, &[m, n]].concat());
    MatMulSpec { batch: batch.to_vec(), m, n, k, a_strides, b_strides, epilogue }
}

fn broadcast(a: &[Size], b: &[Size]) -> Result<Vec<Size>, String> {
    let rank = a.len().max(b.len());
    let at = |shape: &[Size], axis: usize| {
        (axis + shape.len()).checked_sub(rank).map_or(Size::ONE, |own| shape[own])
    };
    (0..rank)
        .map(|axis| match (at(a, axis), at(b, axis)) {
            (x, y) if x.surely_eq(y) || y.surely_eq(1) => Ok(x),
            (x, y) if x.surely_eq(1) => Ok(y),
            (x, y) if x == y || y == 1 => Ok(x),
            (x, y) if x == 1 => Ok(y),
            _ => Err(format!("the batch dimensions {a:?} and {b:?} do not broadcast")),
        })
        .collect()
}

/// A window with two spatial axes (a one-dimensional one gets an axis of height 1) and its padding in numbers.
struct Planar {
    input: [Size; 2],
    output: [Size; 2],
    kernel: [Size; 2],
    strides: [Size; 2],
    dilations: [Size; 2],
    pads: [Size; 2],
    pads_end: [Size; 2],
}

/// The window over two spatial axes, and its operand without what negative padding crops.
fn planar(window: &Window, x: &View, out: &[Size]) -> Result<(View, Planar), String> {
    let spatial = x.shape.len() - 2;
    if !(1..=2).contains(&spatial) {
        return Err(format!("windows over {spatial} axes have no kernel; 1 and 2 do"));
    }
    let mut x = x.clone();
    let first = 2 - spatial;
    let (mut input, mut output, mut kernel) = ([Size::ONE; 2], [Size::ONE; 2], [Size::ONE; 2]);
    let (mut strides, mut dilations) = ([Size::ONE; 2], [Size::ONE; 2]);
    let (mut pads, mut pads_end) = ([Size::ZERO; 2], [Size::ZERO; 2]);
    for axis in 0..spatial {
        let (at, from) = (first + axis, 2 + axis);
        let [before, after] = padding(window, axis, x.shape[from], out[from]);
        let crop = |pad: Size| -pad.min(0);
        let len = (x.shape[from] - crop(before) - crop(after)).max(0);
        x = x.slice(from, crop(before), 1, len);
        (input[at], output[at]) = (len, out[from]);
        (kernel[at], strides[at]) = (window.kernel[axis].into(), window.strides[axis].into());
        dilations[at] = window.dilations[axis].into();
        (pads[at], pads_end[at]) = (before.max(0), after.max(0));
    }
    Ok((x, Planar { input, output, kernel, strides, dilations, pads, pads_end }))
}

/// The padding before and after an axis, in elements; negative crops.
pub(super) fn padding(window: &Window, axis: usize, input: Size, output: Size) -> [Size; 2] {
    match &window.pads {
        Pads::Explicit(pads) => [pads[axis].into(), pads[axis + window.kernel.len()].into()],
        Pads::Same { upper } => {
            let extent = Size::from(window.kernel[axis] - 1) * window.dilations[axis] + 1;
            let reach = (output.max(1) - 1) * window.strides[axis] + extent;
            let total = (reach - input).max(0);
            let small = total / 2;
            if *upper { [small, total - small] } else { [total - small, small] }
        }
    }
}

fn conv(lowerer: &mut Lowerer<'_>, node: &Node, window: &Window, groups: usize) -> Result<Vec<View>, String> {
    let dtype = lowerer.dtype(node.inputs[0]);
    if Repr::of(dtype) != Some(Repr::F32) {
        return taps::conv(lowerer, node, window, groups);
    }
    let x = lowerer.view(node.inputs[0])?;
    let w = lowerer.view(node.inputs[1])?;
    let out = lowerer.shape(node.outputs[0])?;
    let (x, p) = planar(window, &x, &out)?;
    // With results to make only what is summed over can be empty.
    if elements(&x.shape[1..]) == 0 || elements(&w.shape[1..]) == 0 {
        return Ok(vec![lowerer.filled(dtype, 0, &out)?]);
    }
    let x = lowerer.packed(&x);
    let mut spec = ConvSpec {
        batch: out[0],
        channels: x.shape[1],
        filters: out[1],
        groups: groups.into(),
        input: p.input,
        output: p.output,
        kernel: p.kernel,
        strides: p.strides,
        dilations: p.dilations,
        pads: p.pads,
        packed: false,
        epilogue: identity(dtype, &[out[0], out[1], p.output[0], p.output[1]]),
    };
    let w = packed_weights(lowerer, &mut spec, &w)?;
    Ok(vec![lowerer.emit(Spec::Conv(spec), vec![x, w], dtype, out)?])
}

/// The weights as the kernel wants them; rearranged once while loading if they come from constants alone.
fn packed_weights(lowerer: &mut Lowerer<'_>, spec: &mut ConvSpec<Size>, w: &View) -> Result<View, String> {
    let w = lowerer.packed(w);
    // Whether they are rearranged must not depend on the shape: rows of an image lie at multiples of 4 for all or for none.
    let width = (spec.input[1], spec.output[1]);
    let alike = width.0.known().is_some() && width.1.known().is_some()
        || width.0.surely_multiple_of(4) && width.0.surely_eq(width.1);
    let packing = spec.map(&Here).packing(lowerer.target);
    let Some(packing) = packing.filter(|_| alike && lowerer.may_rearrange(w.tensor)) else { return Ok(w) };
    spec.packed = true;
    lowerer.rearranged(&w, packing)
}

fn pool(
    lowerer: &mut Lowerer<'_>,
    node: &Node,
    kind: PoolKind,
    window: &Window,
) -> Result<Vec<View>, String> {
    let dtype = need_f32(lowerer, node)?;
    let x = lowerer.view(node.inputs[0])?;
    let out = lowerer.shape(node.outputs[0])?;
    let (x, p) = planar(window, &x, &out)?;
    if elements(&x.shape[2..]) == 0 {
        return Ok(vec![lowerer.filled(kind.result(dtype), of_padding(kind), &out)?]);
    }
    let x = lowerer.packed(&x);
    let spec = PoolSpec {
        kind,
        dtype,
        planes: out[0] * out[1],
        input: p.input,
        output: p.output,
        kernel: p.kernel,
        strides: p.strides,
        dilations: p.dilations,
        pads: p.pads,
        pads_end: p.pads_end,
    };
    Ok(vec![lowerer.emit(Spec::Pool(spec), vec![x], kind.result(dtype), out)?])
}

/// The bits of what pooling makes of padding alone.
fn of_padding(kind: PoolKind) -> u64 {
    let value = match kind {
        PoolKind::Index => return u64::from(u32::MAX),
        PoolKind::Max => f32::NEG_INFINITY,
        PoolKind::Average { count_pad: true } | PoolKind::Sum => 0.0,
        PoolKind::Average { count_pad: false } => f32::NAN,
    };
    u64::from(value.to_bits())
}
