//! Splitting: operations that bind more bytes at once than the device allows become several.
//!
//! ```text
//!  y = x · w          w: 411 MB               w: | 128 MiB | 128 MiB | 128 MiB |  8 MB |
//!                                     ──►         y₀ = x·w₀  y₁ = x·w₁   …               each writes its part of y
//! ```
//!
//! A cut runs along a direction of the work, so that each part reads and writes less. Where a part's results do not lie
//! side by side, it makes a tensor of its own, which is copied into place. Where the direction is one that is summed over,
//! each part adds its terms to those of the parts before. A table is gathered from window by window, each window
//! giving the rows that it has.

mod bands;
mod copy;
mod space;

use std::collections::VecDeque;
use std::ops::Range;

use bayplan_graph::op::BinaryOp;
use bayplan_shaders::{CopySpec, Spec, Target, family};

pub(crate) use self::space::block_row;
use self::space::{Axis, Joining, Space, accumulate, bare, joining, part, scale, space};
use crate::error::Refused;
use crate::lowered::{Lowered, Operation, Origin, Tensor, TensorId};
use crate::size::{Here, Size};
use crate::view::{View, contiguous, elements};

/// Most operations that one may become.
const MOST_PARTS: usize = 1 << 14;

/// Replaces every operation that binds too much by several that do not. `fixed` says of each tensor whether it follows
/// from constants alone.
///
/// # Errors
/// Every operation that cannot be split, with the limit.
pub(crate) fn split(
    lowered: &mut Lowered,
    fixed: &mut Vec<bool>,
    target: &Target,
) -> Result<(), Vec<Refused>> {
    let operations = std::mem::take(&mut lowered.operations);
    let before = operations.len();
    let packings = packings(&operations);
    let mut splitter = Splitter { lowered, fixed, target, packings, out: Vec::with_capacity(before) };
    let mut refused = Vec::new();
    for operation in operations {
        if let Err(why) = splitter.operation(operation) {
            refused.push(why);
        }
    }
    let out = splitter.out;
    let changed = out.len() != before;
    lowered.operations = out;
    if changed {
        // Weights that were rearranged as a whole may be needed no more.
        lowered.remove_dead();
    }
    if refused.is_empty() { Ok(()) } else { Err(refused) }
}

/// For each tensor of rearranged weights, what it was made of.
fn packings(operations: &[Operation]) -> Vec<(TensorId, View)> {
    let packed = operations.iter().filter_map(|operation| match &operation.spec {
        Spec::Conv(spec) if spec.packed => Some(operation.operands[1].tensor),
        _ => None,
    });
    let made = |tensor: TensorId| {
        let copy = operations.iter().find(|by| by.output == tensor && matches!(by.spec, Spec::Copy(_)))?;
        Some((tensor, copy.operands.first()?.clone()))
    };
    packed.filter_map(made).collect()
}

struct Splitter<'a> {
    lowered: &'a mut Lowered,
    fixed: &'a mut Vec<bool>,
    target: &'a Target,
    packings: Vec<(TensorId, View)>,
    out: Vec<Operation>,
}

/// A window that an operation binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Operand(usize),
    Output,
}

impl Splitter<'_> {
    /// Adds an operation, or what it becomes.
    fn operation(&mut self, operation: Operation) -> Result<(), Refused> {
        let most = self.out.len() + MOST_PARTS;
        let mut todo = VecDeque::from([operation]);
        while let Some(next) = todo.pop_front() {
            let Some(large) = self.large(&next) else {
                self.out.push(next);
                continue;
            };
            let parts = match &next.spec {
                Spec::Copy(_) => copy::halves(self, &next),
                _ => self.parts(&next),
            };
            let parts = parts.filter(|parts| self.out.len() + todo.len() + parts.len() <= most);
            let Some(parts) = parts else { return Err(self.refusal(&next, large)) };
            let parts: Vec<Operation> = parts.into_iter().flat_map(|part| self.bindable(part)).collect();
            parts.into_iter().rev().for_each(|part| todo.push_front(part));
        }
        Ok(())
    }

    /// The first window of an operation that is too large, if any is.
    fn large(&self, operation: &Operation) -> Option<Side> {
        let sides = (0..operation.operands.len()).map(Side::Operand).chain([Side::Output]);
        sides.into_iter().find(|&side| self.bytes(operation, side) > self.target.max_storage_range)
    }

    /// Bytes of a window.
    fn bytes(&self, operation: &Operation, side: Side) -> Size {
        let (tensor, count) = match side {
            Side::Operand(index) => (operation.operands[index].tensor, operation.operands[index].extent()),
            Side::Output => (operation.output, operation.written.end - operation.written.start),
        };
        self.padded(count, tensor)
    }

    /// Bytes of a window on so many elements of a tensor.
    fn padded(&self, count: Size, tensor: TensorId) -> Size {
        (count * self.lowered.tensor(tensor).repr.bytes()).next_multiple_of(self.target.storage_granule)
    }

    fn refusal(&self, operation: &Operation, large: Side) -> Refused {
        let tensor = match large {
            Side::Operand(index) => operation.operands[index].tensor,
            Side::Output => operation.output,
        };
        let reason = format!(
            "a {} binds {} bytes of {} at once, which cannot be split; {} binds at most {} bytes (maxStorageBufferRange)",
            family(&operation.spec.map(&Here)),
            self.bytes(operation, large).here(),
            bayplan_text::escape(&self.lowered.tensor(tensor).name),
            bayplan_text::escape(&self.target.name),
            self.target.max_storage_range
        );
        Refused::new(&operation.source_node, &operation.source_op, reason)
    }

    /// What an operation becomes by one cut; `None` if there is none that helps.
    fn parts(&mut self, operation: &Operation) -> Option<Vec<Operation>> {
        if let Some(unpacked) = self.unpacked(operation) {
            return Some(vec![unpacked]);
        }
        if let Some(bands) = bands::bands(self, operation) {
            return Some(bands);
        }
        let space = space(&operation.spec);
        let (at, step) = self.best(operation, &space)?;
        let axis = &space.axes[at];
        let ranges = ranges(axis.size, step)?;
        match joining(&operation.spec, axis.along) {
            Joining::Terms(join) => self.terms(operation, axis, &ranges, join),
            Joining::Chosen => Some(
                ranges
                    .iter()
                    .map(|range| Operation { partial: true, ..narrowed(operation, &space, at, range) })
                    .collect(),
            ),
            Joining::Apart => Some(self.apart(operation, &space, at, &ranges)),
        }
    }

    /// The axis to cut along and the steps of each part: the outermost that is enough for every window, if possible
    /// without moving what does not begin where a window can; else one that is enough for some windows; else one that
    /// at least makes some smaller.
    fn best(&self, operation: &Operation, space: &Space) -> Option<(usize, u64)> {
        let sides = (0..operation.operands.len()).map(Side::Operand).chain([Side::Output]);
        let large: Vec<Side> =
            sides.filter(|&side| self.bytes(operation, side) > self.target.max_storage_range).collect();
        let mut choices = Vec::new();
        for (at, axis) in space.axes.iter().enumerate() {
            let inner = space.axes[..at].iter().any(|outer| outer.out > 0 && !outer.size.surely_le(1));
            let cut = |side: &Side| match *side {
                Side::Operand(index) => axis.strides[index] > 0,
                Side::Output => axis.out > 0,
            };
            let unit = self.unit(operation, axis, !inner);
            for unit in [unit, 1] {
                if unit >= axis.size.here() {
                    continue;
                }
                let moved = unit == 1 && self.unit(operation, axis, !inner) > 1;
                let steps =
                    |&side: &Side| self.steps(operation, space, at, side).map(|steps| steps - steps % unit);
                let enough: Vec<u64> = large.iter().filter_map(steps).filter(|&steps| steps > 0).collect();
                let unserved = large.len() - enough.len();
                let key = |unserved| (unserved, moved, axis.out.surely_eq(0), inner, at);
                match enough.into_iter().min() {
                    Some(steps) => choices.push((key(unserved), steps)),
                    None if large.iter().any(cut) => choices.push((key(large.len() + 1), unit)),
                    None => {}
                }
            }
        }
        choices.into_iter().min().map(|((.., at), steps)| (at, steps))
    }

    /// The least number of steps after which a part may begin: everywhere at an offset that can be bound, in the output
    /// too if parts write there.
    fn unit(&self, operation: &Operation, axis: &Axis, in_place: bool) -> u64 {
        let align = self.target.window_alignment();
        let of = |tensor: TensorId, stride: Size| {
            let bytes = stride * self.lowered.tensor(tensor).repr.bytes();
            // The least multiple of the bytes that is one of the alignment, a power of two.
            let shared = (0..align.trailing_zeros()).rev().map(|power| 2 << power);
            align / shared.into_iter().find(|&power| bytes.surely_multiple_of(power)).unwrap_or(1)
        };
        let operands =
            operation.operands.iter().zip(&axis.strides).filter(|(_, stride)| !stride.surely_eq(0));
        let read = operands.map(|(view, &stride)| of(view.tensor, stride)).max().unwrap_or(1);
        if axis.out.surely_eq(0) || !in_place { read } else { read.max(of(operation.output, axis.out)) }
    }

    /// The most steps of an axis with which a window is small enough at the reference point; `None` if no number is. That
    /// it is small enough elsewhere is asked of each part again.
    fn steps(&self, operation: &Operation, space: &Space, at: usize, side: Side) -> Option<u64> {
        let (axis, tensor) = (
            &space.axes[at],
            match side {
                Side::Operand(index) => operation.operands[index].tensor,
                Side::Output => operation.output,
            },
        );
        let width = self.lowered.tensor(tensor).repr.bytes();
        let most = (self.target.max_storage_range
            - self.target.max_storage_range % self.target.storage_granule)
            / width;
        let (stride, rest) = match side {
            Side::Operand(index) => {
                let others = space.axes.iter().enumerate().filter(|(other, _)| *other != at);
                let far = others.map(|(_, other)| (other.size - 1) * other.strides[index]).sum::<Size>();
                (axis.strides[index], far + space.inner[index])
            }
            Side::Output => (axis.out, axis.out),
        };
        // A part whose results are apart in the output gets a tensor of its own, as large as its results.
        let outer = space.axes[..at].iter().filter(|outer| outer.out > 0).map(|outer| outer.size);
        let (stride, rest) = match side {
            Side::Output => (stride * outer.clone().product::<Size>(), rest * outer.product::<Size>()),
            Side::Operand(_) => (stride, rest),
        };
        let (stride, rest) = (stride.here(), rest.here());
        (stride > 0 && rest <= most).then(|| (most - rest) / stride + 1)
    }

    /// Parts that make elements of their own: each in its window of the output, or, where its results do not lie side by
    /// side there, in a tensor of its own that is copied into place.
    fn apart(
        &mut self,
        operation: &Operation,
        space: &Space,
        at: usize,
        ranges: &[Range<Size>],
    ) -> Vec<Operation> {
        let axis = &space.axes[at];
        let together = space.axes[..at].iter().all(|outer| outer.out.surely_eq(0) || outer.size.surely_eq(1));
        let mut all = Vec::with_capacity(ranges.len());
        for range in ranges {
            let mut part = narrowed(operation, space, at, range);
            let start = operation.written.start + axis.out * range.start;
            if together && self.begins(operation.output, start) {
                part.written = start..start + axis.out * (range.end - range.start);
                part.partial = true;
                all.push(part);
                continue;
            }
            let outputs = space.axes.iter().filter(|axis| !axis.out.surely_eq(0));
            let sizes: Vec<Size> = outputs
                .clone()
                .map(|own| if own.along == axis.along { range.end - range.start } else { own.size })
                .chain([space.out_inner])
                .collect();
            let own = self.temporary(operation.output, ".part", sizes.clone());
            part.output = own.tensor;
            part.written = Size::ZERO..own.elements();
            part.partial = false;
            all.push(part);
            let copy = CopySpec {
                x_base: Size::ZERO,
                x_strides: contiguous(&sizes),
                out_base: axis.out * range.start,
                out_strides: outputs.map(|axis| axis.out).chain([Size::ONE]).collect(),
                dtype: own.dtype,
                shape: sizes,
            };
            let spec = Spec::Copy(copy);
            all.push(Operation { spec, operands: vec![own], partial: true, ..operation.clone() });
        }
        all
    }

    /// Whether a window can begin at an element of a tensor.
    fn begins(&self, tensor: TensorId, element: Size) -> bool {
        let bytes = element * self.lowered.tensor(tensor).repr.bytes();
        bytes.surely_multiple_of(self.target.window_alignment())
    }

    /// An operation after copies of those operands that do not begin where a window can.
    fn bindable(&mut self, mut operation: Operation) -> Vec<Operation> {
        if matches!(operation.spec, Spec::Copy(_)) {
            return vec![operation];
        }
        let mut all = Vec::with_capacity(1);
        for index in 0..operation.operands.len() {
            let view = operation.operands[index].clone();
            if self.begins(view.tensor, view.base) {
                continue;
            }
            // Everything from the first element to the last, so that the strides stay what they are.
            let shape = vec![view.extent()];
            let own = self.temporary(view.tensor, ".window", shape.clone());
            let flat = View {
                base: Size::ZERO,
                shape: vec![view.base + shape[0]],
                strides: vec![Size::ONE],
                ..view.clone()
            };
            let (x_base, dtype) = (view.base, view.dtype);
            let step = vec![Size::ONE];
            let copy = CopySpec {
                shape,
                dtype,
                x_base,
                x_strides: step.clone(),
                out_base: Size::ZERO,
                out_strides: step,
            };
            all.push(Operation {
                spec: Spec::Copy(copy),
                operands: vec![flat],
                output: own.tensor,
                written: Size::ZERO..own.elements(),
                partial: false,
                ..operation.clone()
            });
            operation.operands[index] = View { tensor: own.tensor, base: Size::ZERO, ..view };
        }
        all.push(operation);
        all
    }

    /// Parts that each join a term to what the parts before have made; the last one makes the result.
    fn terms(
        &mut self,
        operation: &Operation,
        axis: &Axis,
        ranges: &[Range<Size>],
        join: BinaryOp,
    ) -> Option<Vec<Operation>> {
        let count = operation.written.end - operation.written.start;
        let mut so_far: Option<View> = None;
        let mut all = Vec::with_capacity(ranges.len());
        for (index, range) in ranges.iter().enumerate() {
            let mut part = operation.clone();
            part.spec = space::part(&operation.spec, axis.along, range);
            for (view, &stride) in
                part.operands.iter_mut().zip(&axis.strides).filter(|(_, stride)| !stride.surely_eq(0))
            {
                view.base += stride * range.start;
            }
            let last = index + 1 == ranges.len();
            if !last {
                let own = bare(&mut part.spec)?.operands.len() - 1;
                part.operands.truncate(part.operands.len() - own);
            }
            let own = space(&part.spec);
            shrink(&mut part, &own);
            if let Some(before) = so_far.take() {
                accumulate(&mut part.spec, join, scale(&operation.spec).filter(|_| last))?;
                part.operands.push(before);
            }
            if !last {
                let sum = self.temporary(operation.output, ".sum", vec![count]);
                part.output = sum.tensor;
                part.written = Size::ZERO..count;
                part.partial = false;
                so_far = Some(sum);
            }
            all.push(part);
        }
        Some(all)
    }

    /// A new tensor for part of what makes another one.
    fn temporary(&mut self, of: TensorId, suffix: &str, shape: Vec<Size>) -> View {
        let id = TensorId(self.lowered.tensors.len() as u32);
        let of_tensor = self.lowered.tensor(of);
        let tensor = Tensor {
            name: format!("{}{suffix}", of_tensor.name).into(),
            dtype: of_tensor.dtype,
            repr: of_tensor.repr,
            shape: shape.clone(),
            elements_expr: elements(&shape).expr(),
            origin: Origin::Computed,
        };
        let dtype = tensor.dtype;
        let known = shape.iter().all(|size| size.known().is_some());
        self.fixed.push(self.fixed[of.index()] && known);
        self.lowered.tensors.push(tensor);
        View::whole(id, dtype, shape)
    }

    /// A convolution by rearranged weights as one by the weights as they were, where its weights are too large or there
    /// is but one image: these can be cut.
    fn unpacked(&self, operation: &Operation) -> Option<Operation> {
        let Spec::Conv(spec) = &operation.spec else { return None };
        let large = self.bytes(operation, Side::Operand(1)) > self.target.max_storage_range;
        if !spec.packed || !spec.batch.surely_le(1) && !large {
            return None;
        }
        let (_, weights) =
            self.packings.iter().find(|(tensor, _)| *tensor == operation.operands[1].tensor)?;
        let mut unpacked = operation.clone();
        unpacked.operands[1] = weights.clone();
        unpacked.spec = Spec::Conv(bayplan_shaders::ConvSpec { packed: false, ..spec.clone() });
        Some(unpacked)
    }
}

/// An axis in parts of so many steps each, the last one of what is left; `None` if they are too many. How many there are
/// is one number for all shapes, how large the last one is need not be.
fn ranges(size: Size, step: u64) -> Option<Vec<Range<Size>>> {
    let count = size.here().div_ceil(step);
    // Comparing binds the shapes to those with as many parts: no more, and the last one not empty.
    if count > MOST_PARTS as u64 || size > count * step || count > 0 && size <= (count - 1) * step {
        return None;
    }
    let end = |part: u64| if part + 1 < count { Size::from((part + 1) * step) } else { size };
    Some((0..count).map(|part| Size::from(part * step)..end(part)).collect())
}

/// The part of an operation that steps `range` of an axis make; where it goes is not said yet.
fn narrowed(operation: &Operation, space: &Space, at: usize, range: &Range<Size>) -> Operation {
    let axis = &space.axes[at];
    let mut narrowed = operation.clone();
    narrowed.spec = part(&operation.spec, axis.along, range);
    for (view, &stride) in
        narrowed.operands.iter_mut().zip(&axis.strides).filter(|(_, stride)| !stride.surely_eq(0))
    {
        view.base += stride * range.start;
    }
    let mut own = space.clone();
    own.axes[at].size = range.end - range.start;
    shrink(&mut narrowed, &own);
    narrowed
}

/// Lets the views of an operation show what it reads and no more.
fn shrink(operation: &mut Operation, space: &Space) {
    for (index, view) in operation.operands.iter_mut().enumerate().take(space.inner.len()) {
        let shape: Vec<Size> = space.axes.iter().map(|axis| axis.size).chain([space.inner[index]]).collect();
        let strides = space.axes.iter().map(|axis| axis.strides[index]).chain([Size::ONE]).collect();
        let shown = View { shape, strides, ..view.clone() };
        // Rearranged weights are read as a whole, whatever the model's weights would be.
        if !view.extent().surely_le(shown.extent())
            && !matches!(&operation.spec, Spec::Conv(s) if s.packed && index == 1)
        {
            *view = shown;
        }
    }
}
