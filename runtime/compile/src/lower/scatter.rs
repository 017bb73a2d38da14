//! Elements selected and put by indices of their own.

use bayplan_graph::op::BinaryOp;
use bayplan_graph::{DType, Node, Op};
use bayplan_shaders::{GatherNdSpec, ScatterSpec, Spec};

use super::reduce::axis_of;
use super::{Lowerer, Lowering};
use crate::size::Size;
use crate::view::{View, elements, same};

pub(crate) fn lower(lowerer: &mut Lowerer<'_>, node: &Node) -> Lowering {
    match &node.op {
        Op::GatherElements { axis } => Some(gather_elements(lowerer, node, *axis)),
        Op::ScatterElements { axis, join } => Some(scatter_elements(lowerer, node, *axis, *join)),
        Op::ScatterNd { join } => Some(scatter_nd(lowerer, node, *join)),
        _ => None,
    }
}

/// The lines along an axis that indices of that shape reach: the first ones, where there are fewer of them.
fn reached(x: &View, indices: &[Size], axis: usize) -> View {
    let fewer = (0..indices.len()).filter(|&at| at != axis && !x.shape[at].surely_eq(indices[at]));
    fewer.fold(x.clone(), |view, at| view.slice(at, Size::ZERO, 1, indices[at]))
}

/// The index of each row along an axis, where all elements of a row have the same one.
fn of_rows(indices: &View, axis: usize) -> Option<View> {
    let inner = axis + 1..indices.shape.len();
    let alike = |at: usize| indices.strides[at].surely_eq(0) || indices.shape[at].surely_eq(1);
    if !inner.clone().all(alike) {
        return None;
    }
    Some(inner.fold(indices.clone(), |view, at| view.slice(at, Size::ZERO, 1, Size::ONE)))
}

fn gather_elements(lowerer: &mut Lowerer<'_>, node: &Node, axis: i64) -> Result<Vec<View>, String> {
    let (x, indices) = (lowerer.view(node.inputs[0])?, lowerer.view(node.inputs[1])?);
    let axis = axis_of(axis, x.shape.len())?;
    let (dtype, shape) = (x.dtype, indices.shape.clone());
    // With results to make only the axis can be empty, and no index lies inside.
    if x.shape[axis] == 0 {
        return Ok(vec![lowerer.filled(dtype, 0, &shape)?]);
    }
    let (rows, inner) = (of_rows(&indices, axis), elements(&shape[axis + 1..]));
    let each = rows.is_none();
    let indices = lowerer.packed(&rows.unwrap_or(indices));
    let x = lowerer.packed(&reached(&x, &shape, axis));
    let spec = GatherNdSpec {
        dtype,
        index: indices.dtype,
        batch: elements(&shape[..axis]),
        count: shape[axis],
        dims: vec![x.shape[axis]],
        inner,
        each,
    };
    Ok(vec![lowerer.emit(Spec::GatherNd(spec), vec![x, indices], dtype, shape)?])
}

fn scatter_elements(
    lowerer: &mut Lowerer<'_>,
    node: &Node,
    axis: i64,
    join: Option<BinaryOp>,
) -> Result<Vec<View>, String> {
    let x = lowerer.view(node.inputs[0])?;
    let (indices, updates) = (lowerer.view(node.inputs[1])?, lowerer.view(node.inputs[2])?);
    let axis = axis_of(axis, x.shape.len())?;
    if updates.elements() == 0 {
        return Ok(vec![x]);
    }
    let lines = reached(&x, &indices.shape, axis);
    let (rows, count) = (of_rows(&indices, axis), indices.shape[axis]);
    let each = rows.is_none();
    let indices = rows.unwrap_or(indices);
    let spec = ScatterSpec {
        dtype: x.dtype,
        index: indices.dtype,
        join,
        batch: elements(&lines.shape[..axis]),
        count,
        dims: vec![lines.shape[axis]],
        inner: elements(&lines.shape[axis + 1..]),
        each,
    };
    let made = scattered(lowerer, spec, &lines, &updates, &indices)?;
    if same(&lines.shape, &x.shape) {
        return Ok(vec![made]);
    }
    let out = lowerer.fresh(x.dtype, x.shape.clone())?;
    lowerer.copy_into(&x, &out, Size::ZERO, true);
    lowerer.copy_into(&made, &out, Size::ZERO, true);
    Ok(vec![out])
}

fn scatter_nd(lowerer: &mut Lowerer<'_>, node: &Node, join: Option<BinaryOp>) -> Result<Vec<View>, String> {
    let x = lowerer.view(node.inputs[0])?;
    let (indices, updates) = (lowerer.view(node.inputs[1])?, lowerer.view(node.inputs[2])?);
    let (tuple, count) = match indices.shape.split_last() {
        Some((&tuple, rest)) => (tuple.pin() as usize, elements(rest)),
        None => return Err("its indices have no dimensions".into()),
    };
    if updates.elements() == 0 {
        return Ok(vec![x]);
    }
    // Tuples of no indices put everything: as rows of an axis of 1.
    let (indices, dims) = if tuple == 0 {
        (lowerer.filled(DType::I64, 0, &[count, Size::ONE])?, vec![Size::ONE])
    } else {
        (indices, x.shape[..tuple].to_vec())
    };
    let spec = ScatterSpec {
        dtype: x.dtype,
        index: indices.dtype,
        join,
        batch: Size::ONE,
        count,
        dims,
        inner: elements(&x.shape[tuple..]),
        each: false,
    };
    Ok(vec![scattered(lowerer, spec, &x, &updates, &indices)?])
}

/// The result over what was there before: on a copy of that, or joined to it.
fn scattered(
    lowerer: &mut Lowerer<'_>,
    spec: ScatterSpec<Size>,
    before: &View,
    updates: &View,
    indices: &View,
) -> Result<View, String> {
    let operands = vec![lowerer.packed(updates), lowerer.packed(indices)];
    let (dtype, shape) = (before.dtype, before.shape.clone());
    if spec.join.is_some() {
        let operands = [operands, vec![lowerer.packed(before)]].concat();
        return lowerer.emit(Spec::Scatter(spec), operands, dtype, shape);
    }
    let out = lowerer.fresh(dtype, shape)?;
    lowerer.copy_into(before, &out, Size::ZERO, true);
    lowerer.push(Spec::Scatter(spec), operands, &out, true);
    Ok(out)
}
