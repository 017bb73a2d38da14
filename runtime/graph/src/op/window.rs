//! Sliding windows: what convolution and pooling share.

use bayplan_expr::Expr;

use super::{Pads, Window};
use crate::dims;
use crate::layout::product;
use crate::rule::{Context, ShapeError};

/// One spatial axis of a window with everything resolved to numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AxisWindow {
    /// Extent of the input in elements.
    pub input: usize,
    /// Extent of the output in elements.
    pub output: usize,
    /// Taps.
    pub kernel: usize,
    /// Step.
    pub stride: usize,
    /// Distance between taps.
    pub dilation: usize,
    /// Padding before the first element; negative crops.
    pub before: i64,
    /// Padding after the last element.
    pub after: i64,
}

impl AxisWindow {
    /// The input position that a tap of an output reads, if it lies in the input.
    pub fn tap(&self, output: usize, tap: usize) -> Option<usize> {
        let at = (output * self.stride + tap * self.dilation) as i64 - self.before;
        usize::try_from(at).ok().filter(|&at| at < self.input)
    }
}

impl Window {
    /// Number of spatial axes.
    pub fn rank(&self) -> usize {
        self.kernel.len()
    }

    /// Extent of the dilated window.
    fn extent(&self, axis: usize) -> i64 {
        let taps = self.kernel[axis].saturating_sub(1).saturating_mul(self.dilations[axis]);
        i64::try_from(taps).unwrap_or(i64::MAX / 4).min(i64::MAX / 4) + 1
    }

    pub(super) fn check(&self) -> Result<(), ShapeError> {
        let rank = self.rank();
        let pads = match &self.pads {
            Pads::Explicit(pads) => pads.len() == 2 * rank,
            Pads::Same { .. } => true,
        };
        if self.strides.len() != rank || self.dilations.len() != rank || !pads {
            return Err(ShapeError::Invalid(format!(
                "the window has {rank} axes, so strides and dilations need {rank} entries and pads {}",
                2 * rank
            )));
        }
        let positive = |list: &[usize]| list.iter().all(|&v| v > 0);
        if positive(&self.kernel) && positive(&self.strides) && positive(&self.dilations) {
            Ok(())
        } else {
            Err(ShapeError::Invalid("kernel, strides and dilations must be at least 1".to_owned()))
        }
    }

    /// Extents of the output for those of the input.
    pub(super) fn outputs(&self, ctx: &Context<'_>, input: &[Expr]) -> Result<Vec<Expr>, ShapeError> {
        self.check()?;
        input.iter().enumerate().map(|(axis, dim)| self.output(ctx, axis, dim)).collect()
    }

    fn output(&self, ctx: &Context<'_>, axis: usize, dim: &Expr) -> Result<Expr, ShapeError> {
        let stride = dims::int(i64::try_from(self.strides[axis]).unwrap_or(i64::MAX));
        let Pads::Explicit(pads) = &self.pads else {
            return Ok(dims::div_ceil(dim, &stride));
        };
        let (before, after) = (pads[axis], pads[axis + self.rank()]);
        let padded = dims::add(&dims::add(dim, &dims::int(before)), &dims::int(after));
        let room = dims::sub(&padded, &dims::int(self.extent(axis)));
        if dims::lt(ctx.scope(), &room, &dims::int(0)) {
            return Err(ShapeError::Invalid(format!(
                "the window spans {} elements along spatial axis {axis}, but the padded input has only {padded}",
                self.extent(axis)
            )));
        }
        let one = dims::int(1);
        if !self.ceil {
            return Ok(dims::add(&dims::div_floor(&room, &stride), &one));
        }
        // A window may hang over the end, but none may start in the padding behind the input.
        let rounded_up = dims::add(&dims::div_ceil(&room, &stride), &one);
        let starts = dims::div_ceil(&dims::add(dim, &dims::int(before)), &stride);
        Ok(dims::min(ctx.scope(), &rounded_up, &starts))
    }

    /// Every spatial axis with the padding that these extents give. Lists must have been checked against the rank, as
    /// inference does.
    pub fn resolve(&self, input: &[usize], output: &[usize]) -> Vec<AxisWindow> {
        (0..self.rank())
            .map(|axis| {
                let (stride, kernel, dilation) =
                    (self.strides[axis], self.kernel[axis], self.dilations[axis]);
                let (before, after) = match &self.pads {
                    Pads::Explicit(pads) => (pads[axis], pads[axis + self.rank()]),
                    Pads::Same { upper } => {
                        let reach = (output[axis].max(1) - 1) as i64 * stride as i64 + self.extent(axis);
                        let total = (reach - input[axis] as i64).max(0);
                        let small = total / 2;
                        if *upper { (small, total - small) } else { (total - small, small) }
                    }
                };
                AxisWindow {
                    input: input[axis],
                    output: output[axis],
                    kernel,
                    stride,
                    dilation,
                    before,
                    after,
                }
            })
            .collect()
    }
}

/// Calls `visit(input offset, tap offset)` for every tap of one output position that lies in the input; offsets are
/// row-major within the spatial axes.
pub(super) fn taps(axes: &[AxisWindow], output: &[usize], visit: &mut impl FnMut(usize, usize)) {
    fn descend(
        axes: &[AxisWindow],
        output: &[usize],
        input: usize,
        tap: usize,
        visit: &mut impl FnMut(usize, usize),
    ) {
        let Some((axis, rest)) = axes.split_first() else { return visit(input, tap) };
        for k in 0..axis.kernel {
            if let Some(at) = axis.tap(output[0], k) {
                descend(rest, &output[1..], input * axis.input + at, tap * axis.kernel + k, visit);
            }
        }
    }
    descend(axes, output, 0, 0, visit);
}

/// Calls `visit` with every index of a shape in row-major order.
pub(super) fn indices(shape: &[usize], mut visit: impl FnMut(&[usize])) {
    let mut index = vec![0; shape.len()];
    let total: usize = product(shape);
    for _ in 0..total {
        visit(&index);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}
