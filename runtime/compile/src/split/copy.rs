//! Copies, which can be cut anywhere: their strides say where every part belongs.

use std::ops::Range;

use bayplan_shaders::{CopySpec, Spec};

use super::{Side, Splitter};
use crate::lowered::{Operation, TensorId};
use crate::view::View;

/// A copy with windows on what it touches and no more, or, if it has these already, as two of half the extent; `None` if
/// it is as small as it can be.
pub(super) fn halves(splitter: &Splitter<'_>, operation: &Operation) -> Option<Vec<Operation>> {
    let Spec::Copy(spec) = &operation.spec else { return None };
    let trimmed = trimmed(splitter, operation, spec)?;
    if trimmed.spec != operation.spec
        || trimmed.written != operation.written
        || trimmed.operands != operation.operands
    {
        return Some(vec![trimmed]);
    }
    let too_large = |side: Side| splitter.bytes(operation, side) > splitter.target.max_storage_range;
    let written = too_large(Side::Output);
    let reach = |axis: usize| {
        let stride = if written { spec.out_strides[axis] } else { spec.x_strides[axis].unsigned_abs() };
        (spec.shape[axis] - 1).saturating_mul(stride)
    };
    let axis = (0..spec.shape.len()).filter(|&axis| spec.shape[axis] > 1).max_by_key(|&axis| reach(axis))?;
    let half = spec.shape[axis] / 2;
    [0..half, half..spec.shape[axis]].map(|range| cut(operation, spec, axis, &range)).into_iter().collect()
}

/// The part of a copy that steps `range` of a dimension make.
fn cut(operation: &Operation, spec: &CopySpec, axis: usize, range: &Range<u64>) -> Option<Operation> {
    let mut part = spec.clone();
    part.shape[axis] = range.end - range.start;
    part.x_base = spec.x_base.checked_add_signed(range.start as i64 * spec.x_strides[axis])?;
    part.out_base = spec.out_base + range.start * spec.out_strides[axis];
    Some(Operation { spec: Spec::Copy(part), partial: true, ..operation.clone() })
}

/// The copy with its too large windows cut to what it touches, from the last place before it where a window can begin.
fn trimmed(splitter: &Splitter<'_>, operation: &Operation, spec: &CopySpec) -> Option<Operation> {
    let align = splitter.target.window_alignment();
    let unit = |tensor: TensorId| align / splitter.lowered.tensor(tensor).repr.bytes();
    let too_large = |side: Side| splitter.bytes(operation, side) > splitter.target.max_storage_range;
    let (mut trimmed, mut part) = (operation.clone(), spec.clone());
    if too_large(Side::Operand(0)) {
        let far = |wanted: fn(i64) -> bool| -> u64 {
            let strides = spec.shape.iter().zip(&spec.x_strides);
            strides
                .filter(|(_, stride)| wanted(**stride))
                .map(|(size, stride)| (size - 1) * stride.unsigned_abs())
                .sum()
        };
        let view = &operation.operands[0];
        let first = view.base + spec.x_base;
        let (low, high) = (first.checked_sub(far(|stride| stride < 0))?, first + far(|stride| stride > 0));
        let base = low - low % unit(view.tensor);
        part.x_base = first - base;
        let (shape, strides) = (vec![high + 1 - base], vec![1]);
        trimmed.operands[0] = View { base, shape, strides, ..view.clone() };
    }
    if too_large(Side::Output) {
        let far: u64 =
            spec.shape.iter().zip(&spec.out_strides).map(|(size, stride)| (size - 1) * stride).sum();
        let low = operation.written.start + spec.out_base;
        let base = low - low % unit(operation.output);
        part.out_base = low - base;
        trimmed.written = base..low + far + 1;
    }
    trimmed.spec = Spec::Copy(part);
    Some(trimmed)
}
