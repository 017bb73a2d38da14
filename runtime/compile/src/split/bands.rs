//! Convolutions over an image larger than a window: bands of its rows, one after the other.
//!
//! ```text
//!  x, all channels           band of x              band of y             y
//!  ┌──────────────┐   copy   ┌──────────────┐ conv  ┌────────────┐ copy   ┌────────────┐
//!  │              │ ───────► │ rows it reads│ ────► │ its rows   │ ─────► │ ░░░░░░░░░░ │
//!  │              │          └──────────────┘       └────────────┘        │            │
//!  └──────────────┘                                                       └────────────┘
//! ```

use std::ops::Range;

use bayplan_shaders::{ConvSpec, CopySpec, Spec};

use super::space::{anchor, space};
use super::{MOST_PARTS, Side, Splitter, shrink};
use crate::lowered::Operation;
use crate::size::Size;
use crate::view::{View, contiguous, elements};

/// A convolution of one image that is too large as convolutions of bands of it; `None` if it is no such, or if not even
/// one row of results has an input that is small enough.
pub(super) fn bands(splitter: &mut Splitter<'_>, operation: &Operation) -> Option<Vec<Operation>> {
    let Spec::Conv(spec) = &operation.spec else { return None };
    let most = splitter.target.max_storage_range;
    if !spec.batch.surely_eq(1)
        || !spec.groups.surely_eq(1)
        || splitter.bytes(operation, Side::Operand(0)) <= most
    {
        return None;
    }
    // How many there are depends on the image.
    let all = spec.output[0].pin();
    let rows = most / 4 / (spec.channels * spec.input[1]).pin().max(1);
    let reach = ((spec.kernel[0] - 1) * spec.dilations[0] + 1).pin();
    let step = rows.checked_sub(reach)? / spec.strides[0].pin() + 1;
    let starts = (0..all).step_by(usize::try_from(step).ok()?);
    if all.div_ceil(step) > MOST_PARTS as u64 {
        return None;
    }
    let bands = starts.map(|start| band(splitter, operation, spec, start..(start + step).min(all)));
    let bands: Option<Vec<[Operation; 3]>> = bands.collect();
    Some(bands?.into_iter().flatten().collect())
}

/// The rows `out` of the result: a copy of what they are made of, the convolution, and a copy into place.
fn band(
    splitter: &mut Splitter<'_>,
    operation: &Operation,
    spec: &ConvSpec<Size>,
    out: Range<u64>,
) -> Option<[Operation; 3]> {
    let (input, rows) = (spec.input, Size::from(out.end - out.start));
    // Rows of the image, padding above it included.
    let first = spec.strides[0] * out.start;
    let end = spec.strides[0] * (out.end - 1) + (spec.kernel[0] - 1) * spec.dilations[0] + 1;
    let start = (first - spec.pads[0]).max(0);
    let end = (end - spec.pads[0]).clamp(1, input[0]);
    if start >= end {
        return None;
    }
    let x = operation.operands[0].clone();
    let held = [spec.channels, end - start, input[1]];
    let own = splitter.temporary(x.tensor, ".band", held.to_vec());
    let read = CopySpec {
        shape: held.to_vec(),
        dtype: x.dtype,
        x_base: x.base + start * input[1],
        x_strides: contiguous(&[spec.channels, input[0], input[1]]),
        out_base: Size::ZERO,
        out_strides: contiguous(&held),
    };
    let image = x.base + elements(&[spec.channels, input[0], input[1]]);
    let flat = View { base: Size::ZERO, shape: vec![image], strides: vec![Size::ONE], ..x };
    let shown = [spec.filters, rows, spec.output[1]];
    let made = splitter.temporary(operation.output, ".part", shown.to_vec());
    let part = convolution(operation, spec, [start, end], &out, &own, &made);
    let place = CopySpec {
        shape: shown.to_vec(),
        dtype: made.dtype,
        x_base: Size::ZERO,
        x_strides: contiguous(&shown),
        out_base: spec.output[1] * out.start,
        out_strides: contiguous(&[spec.filters, spec.output[0], spec.output[1]]),
    };
    let read = Operation {
        spec: Spec::Copy(read),
        operands: vec![flat],
        output: own.tensor,
        written: Size::ZERO..own.elements(),
        partial: false,
        ..operation.clone()
    };
    let place =
        Operation { spec: Spec::Copy(place), operands: vec![made], partial: true, ..operation.clone() };
    Some([read, part, place])
}

/// The convolution of rows `from[0]..from[1]` of the image, as `own` holds them, to rows `out` of the result in `made`.
fn convolution(
    operation: &Operation,
    spec: &ConvSpec<Size>,
    from: [Size; 2],
    out: &Range<u64>,
    own: &View,
    made: &View,
) -> Operation {
    let mut spec = spec.clone();
    // What of the padding above is left for the first of these rows.
    let above = (spec.pads[0] + from[0]) - spec.strides[0] * out.start;
    spec.input[0] = from[1] - from[0];
    spec.output[0] = (out.end - out.start).into();
    spec.pads[0] = above;
    anchor(&mut spec.epilogue, &[Size::ONE, spec.filters, spec.output[0], spec.output[1]]);
    let mut part = operation.clone();
    part.operands[0] = own.clone();
    for (view, operand) in part.operands[2..].iter_mut().zip(spec.epilogue.operands.iter().skip(1)) {
        view.base += operand.strides[2] * out.start;
    }
    part.spec = Spec::Conv(spec);
    part.output = made.tensor;
    part.written = Size::ZERO..made.elements();
    part.partial = false;
    let own = space(&part.spec);
    shrink(&mut part, &own);
    part
}
