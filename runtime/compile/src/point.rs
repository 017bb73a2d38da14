//! Lowered work at one point: its numbers, and the bytes that it binds.

use std::ops::Range;

use bayplan_shaders::{Convert, Number, Spec};

use crate::direct;
use crate::lowered::{Lowered, Operation, Tensor};
use crate::size::Size;
use crate::view::View;

/// Values of sizes: at the reference point of a compile, or at any other.
pub(crate) trait Point: Convert<Size, To = u64> + Sized {
    /// The value of one size; 0 where it is negative.
    fn of(&self, size: Size) -> u64 {
        self.size(&size)
    }

    /// A shape.
    fn shape(&self, shape: &[Size]) -> Vec<u64> {
        shape.iter().map(|&size| self.of(size)).collect()
    }

    /// Elements from a view's base to the last one that it touches, both included; 0 of an empty one.
    fn extent(&self, view: &View) -> u64 {
        let mut extent: u64 = 1;
        for (size, stride) in view.shape.iter().zip(&view.strides) {
            let Some(steps) = self.of(*size).checked_sub(1) else { return 0 };
            extent = extent.saturating_add(steps.saturating_mul(self.stride(stride).unsigned_abs()));
        }
        extent
    }

    /// Bytes of a tensor's elements.
    fn bytes(&self, tensor: &Tensor) -> u64 {
        let elements = tensor.shape.iter().map(|&size| self.of(size)).fold(1, u64::saturating_mul);
        elements.saturating_mul(tensor.repr.bytes())
    }

    /// The bytes of a window on so many elements of a tensor: whole granules of the target, as far as its storage goes.
    fn window(&self, tensor: &Tensor, first: u64, count: u64, granule: u64) -> Range<u64> {
        let (width, all) = (tensor.repr.bytes(), self.bytes(tensor).next_multiple_of(granule));
        let start = first.saturating_mul(width).min(all);
        start..start.saturating_add((count * width).next_multiple_of(granule)).min(all)
    }

    /// The bytes of its tensor that an operation's operand touches.
    fn operand(&self, lowered: &Lowered, operation: &Operation, slot: usize, granule: u64) -> Range<u64> {
        let view = &operation.operands[slot];
        // Where no window can begin at the operand, it begins before, and the chain reads from a base on.
        let beyond = self.of(direct::base(&operation.spec, slot));
        let first = self.of(view.base).saturating_sub(beyond);
        self.window(lowered.tensor(view.tensor), first, self.extent(view).saturating_add(beyond), granule)
    }

    /// The bytes of its output that an operation is given to write.
    fn result(&self, lowered: &Lowered, operation: &Operation, granule: u64) -> Range<u64> {
        let (start, end) = (self.of(operation.written.start), self.of(operation.written.end));
        self.window(lowered.tensor(operation.output), start, end.saturating_sub(start), granule)
    }

    /// An operation's work, and whether there is any: where symbols leave it nothing to write it is no dispatch.
    fn work(&self, operation: &Operation) -> (Spec, bool) {
        let spec = operation.spec.map(self);
        let any = results(&spec) > 0;
        (spec, any)
    }
}

impl<P: Convert<Size, To = u64>> Point for P {}

/// Elements that a piece of work writes.
fn results(spec: &Spec) -> u64 {
    factors(spec).into_iter().fold(1, u64::saturating_mul)
}

/// Whether an operation writes something at every shape at which a tensor has bytes: each number of which what it writes is
/// a product is never 0, or makes the tensor empty too where it is, as a factor of the tensor's bytes.
pub(crate) fn writes_beside(operation: &Operation, tensor: &Tensor) -> bool {
    let never_zero = |size: Size| Size::ONE.surely_le(size);
    let empties = |size: Size| tensor.bytes().exact_div(size).is_some();
    factors(&operation.spec).into_iter().all(|size| never_zero(size) || empties(size))
}

/// The numbers whose product is that of the elements that a piece of work writes.
fn factors<N: Number + Copy>(spec: &Spec<N>) -> Vec<N> {
    match spec {
        Spec::Elementwise(s) => s.shape.clone(),
        Spec::MatMul(s) => s.batch.iter().copied().chain([s.m, s.n]).collect(),
        Spec::Conv(s) => vec![s.batch, s.filters, s.output[0], s.output[1]],
        Spec::Pool(s) => vec![s.planes, s.output[0], s.output[1]],
        Spec::Reduce(s) => vec![s.outer, s.inner],
        Spec::Softmax(s) => vec![s.outer, s.len, s.inner],
        Spec::Normalize(s) => vec![s.rows, s.len],
        Spec::Copy(s) => s.shape.clone(),
        Spec::Gather(s) => vec![s.outer, s.count, s.inner],
        Spec::GatherNd(s) => vec![s.batch, s.count, s.inner],
        Spec::Scatter(s) if s.join.is_none() => vec![s.batch, s.count, s.inner],
        Spec::Scatter(s) => [&[s.batch, s.inner][..], &s.dims].concat(),
        Spec::Cumulate(s) => vec![s.outer, s.len, s.inner],
        Spec::Rank(s) => vec![s.outer, s.len, s.inner],
        Spec::Range(s) => vec![s.count],
        Spec::Unpack(s) => vec![s.count],
        Spec::BlockMatMul(s) => vec![s.m, s.n],
        Spec::BlockGather(s) => vec![s.count, s.inner],
        Spec::Host(s) => s.made().map_or_else(Vec::new, |(_, shape)| shape.clone()),
    }
}
