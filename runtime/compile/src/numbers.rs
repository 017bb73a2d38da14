//! Sizes of one shape: what tensors, views and operations are in numbers.

use std::ops::Range;

use bayplan_shaders::Spec;

use crate::lowered::{Operation, Tensor};
use crate::size::{Size, Values};
use crate::view::View;

impl Values {
    /// Some sizes.
    pub(crate) fn list(&self, sizes: &[Size]) -> Vec<u64> {
        sizes.iter().map(|&size| self.of(size)).collect()
    }

    /// Elements of a shape.
    pub(crate) fn count(&self, shape: &[Size]) -> u64 {
        shape.iter().fold(1, |product: u64, &size| product.saturating_mul(self.of(size)))
    }

    /// Elements from a view's base to the last one that it touches; 0 for an empty view.
    pub(crate) fn extent(&self, view: &View) -> u64 {
        if self.count(&view.shape) == 0 {
            return 0;
        }
        let sides = view.shape.iter().zip(&view.strides);
        let reach = sides.map(|(&size, &stride)| {
            self.of(size).saturating_sub(1).saturating_mul(self.signed(stride).unsigned_abs())
        });
        reach.fold(1, u64::saturating_add)
    }

    /// Whether an operation writes anything.
    pub(crate) fn writes(&self, operation: &Operation) -> bool {
        let made = match &operation.spec {
            Spec::Elementwise(spec) => self.count(&spec.shape),
            Spec::Copy(spec) => self.count(&spec.shape),
            Spec::MatMul(spec) => self.count(&spec.batch).saturating_mul(self.count(&[spec.m, spec.n])),
            _ => 1,
        };
        made > 0 && self.of(operation.written.end) > self.of(operation.written.start)
    }
}

impl Tensor {
    /// Bytes of its elements at one shape.
    pub(crate) fn bytes_at(&self, values: &Values) -> u64 {
        values.count(&self.shape).saturating_mul(self.repr.bytes())
    }

    /// The bytes of a window on so many elements at one shape: whole granules of the target, as far as its storage goes.
    pub(crate) fn window_at(&self, first: u64, count: u64, granule: u64, values: &Values) -> Range<u64> {
        let (width, all) = (self.repr.bytes(), self.bytes_at(values).next_multiple_of(granule));
        let start = first.saturating_mul(width).min(all);
        start..start.saturating_add((count.saturating_mul(width)).next_multiple_of(granule)).min(all)
    }
}
