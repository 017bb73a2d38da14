//! Copies, which can be cut anywhere: their strides say where every part belongs.

use std::ops::Range;

use bayplan_shaders::{CopySpec, Spec};

use super::{Side, Splitter};
use crate::lowered::{Operation, TensorId};
use crate::size::Size;
use crate::view::{View, same};

/// A copy with windows on what it touches and no more, or, if it has these already, as two of half the extent; `None` if
/// it is as small as it can be.
pub(super) fn halves(splitter: &Splitter<'_>, operation: &Operation) -> Option<Vec<Operation>> {
    let Spec::Copy(spec) = &operation.spec else { return None };
    let trimmed = trimmed(splitter, operation, spec)?;
    let Spec::Copy(own) = &trimmed.spec else { return None };
    let written = [trimmed.written.start, trimmed.written.end];
    let kept = own.x_base.surely_eq(spec.x_base)
        && own.out_base.surely_eq(spec.out_base)
        && same(&written, &[operation.written.start, operation.written.end])
        && trimmed.operands.iter().zip(&operation.operands).all(|(own, view)| own.same(view));
    if !kept {
        return Some(vec![trimmed]);
    }
    let too_large = |side: Side| splitter.bytes(operation, side) > splitter.target.max_storage_range;
    let written = too_large(Side::Output);
    let reach = |axis: usize| {
        let stride = if written { spec.out_strides[axis] } else { spec.x_strides[axis].abs() };
        ((spec.shape[axis] - 1) * stride).here()
    };
    let dims = (0..spec.shape.len()).filter(|&axis| spec.shape[axis].here() > 1);
    let axis = dims.max_by_key(|&axis| reach(axis))?;
    // Half of an extent that depends on the shape is a size of its own.
    let half = spec.shape[axis] / 2;
    [Size::ZERO..half, half..spec.shape[axis]]
        .map(|range| cut(operation, spec, axis, &range))
        .into_iter()
        .collect()
}

/// The part of a copy that steps `range` of a dimension make.
fn cut(operation: &Operation, spec: &CopySpec<Size>, axis: usize, range: &Range<Size>) -> Option<Operation> {
    let mut part = spec.clone();
    part.shape[axis] = range.end - range.start;
    part.x_base = spec.x_base + range.start * spec.x_strides[axis];
    part.out_base = spec.out_base + range.start * spec.out_strides[axis];
    Some(Operation { spec: Spec::Copy(part), partial: true, ..operation.clone() })
}

/// The copy with its too large windows cut to what it touches, from the last place before it where a window can begin.
fn trimmed(splitter: &Splitter<'_>, operation: &Operation, spec: &CopySpec<Size>) -> Option<Operation> {
    let align = splitter.target.window_alignment();
    let unit = |tensor: TensorId| align / splitter.lowered.tensor(tensor).repr.bytes();
    let too_large = |side: Side| splitter.bytes(operation, side) > splitter.target.max_storage_range;
    let (mut trimmed, mut part) = (operation.clone(), spec.clone());
    if too_large(Side::Operand(0)) {
        let far = |backwards: bool| -> Size {
            let strides = spec.shape.iter().zip(&spec.x_strides);
            strides
                .filter(|(_, stride)| (**stride < 0) == backwards)
                .map(|(&size, stride)| (size - 1) * stride.abs())
                .sum()
        };
        let view = &operation.operands[0];
        let first = view.base + spec.x_base;
        let (low, high) = (first - far(true), first + far(false));
        let base = low - low % unit(view.tensor);
        part.x_base = first - base;
        let (shape, strides) = (vec![high + 1 - base], vec![Size::ONE]);
        trimmed.operands[0] = View { base, shape, strides, ..view.clone() };
    }
    if too_large(Side::Output) {
        let far: Size =
            spec.shape.iter().zip(&spec.out_strides).map(|(&size, &stride)| (size - 1) * stride).sum();
        let low = operation.written.start + spec.out_base;
        let base = low - low % unit(operation.output);
        part.out_base = low - base;
        trimmed.written = base..low + far + 1;
    }
    trimmed.spec = Spec::Copy(part);
    Some(trimmed)
}
