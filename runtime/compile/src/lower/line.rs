//! What goes along lines: running results and places in order.

use bayplan_graph::{DType, Node, Op};
use bayplan_shaders::{CumulateSpec, RankSpec, Spec};

use super::reduce::axis_of;
use super::{Lowerer, Lowering};
use crate::size::Size;
use crate::view::{View, elements};

pub(crate) fn lower(lowerer: &mut Lowerer<'_>, node: &Node) -> Lowering {
    match &node.op {
        Op::Cumulate { op, axis, exclusive, reverse } => {
            let (op, exclusive, reverse) = (*op, *exclusive, *reverse);
            Some(along(lowerer, node, *axis, |x, [outer, len, inner]| {
                let dtype = x.dtype;
                let spec = CumulateSpec { op, dtype, outer, len, inner, exclusive, reverse };
                (Spec::Cumulate(spec), dtype)
            }))
        }
        Op::Rank { axis, largest } => {
            let largest = *largest;
            Some(along(lowerer, node, *axis, |x, [outer, len, inner]| {
                (Spec::Rank(RankSpec { dtype: x.dtype, outer, len, inner, largest }), DType::I32)
            }))
        }
        _ => None,
    }
}

/// Work along an axis of x[outer, len, inner], whose result has x's shape.
fn along(
    lowerer: &mut Lowerer<'_>,
    node: &Node,
    axis: i64,
    spec: impl FnOnce(&View, [Size; 3]) -> (Spec<Size>, DType),
) -> Result<Vec<View>, String> {
    let x = lowerer.view(node.inputs[0])?;
    let axis = axis_of(axis, x.shape.len())?;
    let x = lowerer.packed(&x);
    let shape = x.shape.clone();
    let sizes = [elements(&shape[..axis]), shape[axis], elements(&shape[axis + 1..])];
    let (spec, dtype) = spec(&x, sizes);
    Ok(vec![lowerer.emit(spec, vec![x], dtype, shape)?])
}
