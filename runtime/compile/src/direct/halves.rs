//! Two halves of an axis that nothing was fused with: copies in place of the choice between them, as these can go.

use bayplan_graph::ConstData;
use bayplan_shaders::{Arg, CopySpec, ElementwiseSpec, Spec, StepOp};

use crate::lowered::{Lowered, Operation, Origin};
use crate::size::Size;
use crate::view::{View, contiguous};

/// Replaces such choices where at least one half is made for them alone.
pub(super) fn part(lowered: &mut Lowered) {
    let readers = lowered.readers();
    let mut all = Vec::with_capacity(lowered.operations.len());
    for (index, operation) in lowered.operations.iter().enumerate() {
        match copies(lowered, &readers, index, operation) {
            Some(copies) => all.extend(copies),
            None => all.push(operation.clone()),
        }
    }
    lowered.operations = all;
}

fn copies(
    lowered: &Lowered,
    readers: &[Vec<usize>],
    index: usize,
    operation: &Operation,
) -> Option<[Operation; 2]> {
    let Spec::Elementwise(spec) = &operation.spec else { return None };
    let axis = axis(lowered, operation, spec)?;
    let own = |view: &View| {
        matches!(lowered.tensor(view.tensor).origin, Origin::Computed)
            && !lowered.outputs.contains(&view.tensor)
            && readers[view.tensor.index()] == [index]
    };
    if operation.partial || !operation.operands[1..].iter().any(own) {
        return None;
    }
    let without = |list: &[Size]| {
        let mut list = list.to_vec();
        list.remove(axis);
        list
    };
    let strides = contiguous(&spec.shape);
    let half = |number: usize, out_base: Size| {
        let view = &operation.operands[number];
        let copy = CopySpec {
            shape: without(&spec.shape),
            dtype: view.dtype,
            x_base: view.base,
            x_strides: without(&spec.chain.operands[number].strides),
            out_base,
            out_strides: without(&strides),
        };
        let whole = View::whole(view.tensor, view.dtype, lowered.tensor(view.tensor).shape.clone());
        Operation { spec: Spec::Copy(copy), operands: vec![whole], partial: true, ..operation.clone() }
    };
    Some([half(1, Size::ZERO), half(2, strides[axis])])
}

/// The dimension of 2 that a chain chooses along, if that is all it does.
fn axis(lowered: &Lowered, operation: &Operation, spec: &ElementwiseSpec<Size>) -> Option<usize> {
    let ([step], [which, a, b]) = (&spec.chain.steps[..], &spec.chain.operands[..]) else { return None };
    let chosen =
        step.op == StepOp::Select && step.args == [Arg::Operand(0), Arg::Operand(1), Arg::Operand(2)];
    let Origin::Constant(ConstData::Inline(halves)) = &lowered.tensor(operation.operands[0].tensor).origin
    else {
        return None;
    };
    if !chosen || **halves != [1, 0] || a.dtype != b.dtype {
        return None;
    }
    let at = which.strides.iter().position(|stride| stride.surely_eq(1))?;
    let alone = (0..spec.shape.len()).all(|other| other == at || which.strides[other].surely_eq(0));
    let repeated = a.strides[at].surely_eq(0) && b.strides[at].surely_eq(0);
    (alone && repeated && spec.shape[at].surely_eq(2)).then_some(at)
}
