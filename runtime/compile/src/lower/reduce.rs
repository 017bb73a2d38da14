//! Reductions along axes: reduce, softmax, normalisation.

use bayplan_graph::{Node, Op};
use bayplan_shaders::{NormalizeSpec, ReduceSpec, SoftmaxSpec, Spec};

use super::contract::need_f32;
use super::elementwise::identity;
use super::{Lowerer, Lowering};
use crate::view::View;

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

fn product(shape: &[u64]) -> u64 {
    shape.iter().product()
}

fn reduce(
    lowerer: &mut Lowerer<'_>,
    node: &Node,
    op: bayplan_graph::op::ReduceOp,
) -> Result<Vec<View>, String> {
    let x = lowerer.view(node.inputs[0])?;
    let rank = x.shape.len();
    let mut axes =
        lowerer.ints(node.inputs[1])?.into_iter().map(|a| axis_of(a, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    let out = lowerer.shape(node.outputs[0])?;
    let dtype = lowerer.dtype(node.outputs[0]);
    let joined = axes.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    // Axes that do not lie side by side are brought to the end first.
    let (x, first, count) = if joined {
        let first = axes.first().copied().unwrap_or(rank);
        (lowerer.packed(&x), first, axes.len())
    } else {
        let kept = (0..rank).filter(|axis| !axes.contains(axis));
        let order: Vec<usize> = kept.chain(axes.iter().copied()).collect();
        (lowerer.packed(&x.permute(&order)), rank - axes.len(), axes.len())
    };
    let (outer, len, inner) = (
        product(&x.shape[..first]),
        product(&x.shape[first..first + count]),
        product(&x.shape[first + count..]),
    );
    let spec = ReduceSpec { op, dtype, outer, len, inner, epilogue: identity(dtype, &[outer, inner]) };
    Ok(vec![lowerer.emit(Spec::Reduce(spec), vec![x], dtype, out)?])
}

fn softmax(lowerer: &mut Lowerer<'_>, node: &Node, axis: i64, log: bool) -> Result<Vec<View>, String> {
    need_f32(lowerer, node)?;
    let x = lowerer.view(node.inputs[0])?;
    let x = lowerer.packed(&x);
    let axis = axis_of(axis, x.shape.len())?;
    let spec = SoftmaxSpec {
        outer: product(&x.shape[..axis]),
        len: x.shape[axis],
        inner: product(&x.shape[axis + 1..]),
        log,
        in_place: false,
    };
    let (dtype, shape) = (x.dtype, x.shape.clone());
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
    let (rows, len) = (product(&x.shape[..axis]), product(&x.shape[axis..]));
    let epilogue = identity(x.dtype, &[rows, len]);
    let spec = NormalizeSpec { rows, len, epsilon, center, epilogue, in_place: false };
    let (dtype, shape) = (x.dtype, x.shape.clone());
    Ok(vec![lowerer.emit(Spec::Normalize(spec), vec![x], dtype, shape)?])
}
