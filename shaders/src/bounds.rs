//! How far a device's result may lie from the exact one.
//!
//! Notation: u = 2^-24 is the unit roundoff of `f32`; γ(n) = n·u / (1 − n·u) bounds the relative error of n roundings
//! (Higham, *Accuracy and Stability of Numerical Algorithms*, lemma 3.1). What an instruction may be off by is said by the
//! Vulkan specification, appendix "Precision and Operation of SPIR-V Instructions"; 1 ULP is at most 2u of the value. That
//! appendix leaves open which way a correctly rounded result goes, so that one rounding costs 2u; CPU drivers compute
//! with the host's arithmetic, which rounds to nearest, and u it is for [`Class::Cpu`].
//!
//! [`error_bound`] bounds the error of what a kernel computes before its chain or epilogue, over operands that are exact, as a
//! multiple of each result's *magnitude*. What that is depends on the family:
//!
//! | family | magnitude of a result y |
//! |---|---|
//! | matmul, also of blocks, conv | Σ \|a·b\| over its terms |
//! | pool (mean) | Σ \|x\| over its taps, divided as the result is |
//! | reduce: sum | Σ \|x\| |
//! | reduce: mean | Σ \|x\| / len |
//! | reduce: product | [`product_magnitude`] |
//! | softmax | y·(1 + d + Σ yₖ·dₖ), with dₖ = max x − xₖ and d that of y |
//! | its logarithm | 1 + Σ pₖ·dₖ + \|max x\| + \|ln Σ exp(−dₖ)\| + \|x\|, with p the softmax |
//! | normalize | \|y\|, and with the mean subtracted also (Σ \|x\| / len) / √(variance + epsilon) |
//! | running sum, scatter that adds | Σ \|x\| over what is joined |
//! | running product, scatter that multiplies | [`product_magnitude`] of what is joined |
//! | range (floats) | \|start\| + \|i·delta\| |
//! | all others | none: they are exact |
//!
//! Integers, selections, extrema and movements are exact. [`step_error`] then carries a value's error through the steps of a
//! chain.
//!
//! Devices may take subnormal numbers for 0. Bounds allow for results and intermediate values that vanish so; an *operand* that
//! is subnormal counts as off by itself ([`Approx::stored`]).

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, PoolKind, ReduceOp};

use crate::kernels::rows::Team;
use crate::{Class, Spec, Target};

mod double;
mod step;

pub use step::{rounded_error, step_error};

/// The unit roundoff of `f32`.
pub const UNIT: f64 = 1.0 / (1 << 24) as f64;
/// The least normal `f32`, below which a device may see 0.
pub const LEAST_NORMAL: f64 = f32::MIN_POSITIVE as f64;
/// ULPs by the specification's table.
const DIVISION: f64 = 2.5;
const INVERSE_SQRT: f64 = 2.0;
/// `sqrt` is `1.0 / inversesqrt`.
const SQRT: f64 = DIVISION + INVERSE_SQRT;
/// Relative error of a value that is off by so many ULPs; the factor covers products of errors.
const fn ulps(n: f64) -> f64 {
    2.0 * n * UNIT * 1.0001
}

/// A value with the furthest that the device's may lie from it. Infinite where nothing is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Approx {
    /// The exact value, computed in double precision (booleans: 0 or 1).
    pub value: f64,
    /// The greatest distance of the device's value.
    pub error: f64,
}

impl Approx {
    /// A value that both have, as read from memory: off by itself if it is a subnormal float.
    pub fn stored(value: f64) -> Self {
        let subnormal = value != 0.0 && value.abs() < LEAST_NORMAL;
        Self { value, error: if subnormal { value.abs() } else { 0.0 } }
    }

    /// Whether a device's value is within the bound. NaNs and infinities must be the same unless nothing is known.
    pub fn accepts(self, device: f64) -> bool {
        let same = device == self.value || (device.is_nan() && self.value.is_nan());
        same || self.error == f64::INFINITY || (device - self.value).abs() <= self.error
    }
}

/// The bound of a kernel's results, before its chain or epilogue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorBound {
    /// Multiple of the magnitude.
    pub relative: f64,
    /// Added to that: what may vanish below the least normal number.
    pub absolute: f64,
    /// Whether the square of the first bound counts too, times the result (a normalisation's variance moves by the square of its
    /// mean's error).
    pub square: bool,
}

impl ErrorBound {
    /// No error at all.
    pub const EXACT: Self = Self { relative: 0.0, absolute: 0.0, square: false };

    /// Whether results are what they should be, bit for bit.
    pub fn is_exact(&self) -> bool {
        *self == Self::EXACT
    }

    /// The greatest error of a result with that value and magnitude. Infinite where the value may have overflowed; 0 where it
    /// is no number or infinite, which it then must be on the device too.
    pub fn of(&self, value: f64, magnitude: f64) -> f64 {
        if self.is_exact() || !value.is_finite() {
            return 0.0;
        }
        let first = self.relative * magnitude;
        let error = first + self.absolute + if self.square { first * first * value.abs() } else { 0.0 };
        // Sums of large terms of both signs may overflow on the way.
        if error.is_nan() || magnitude.max(value.abs()) + error > f64::from(f32::MAX) {
            f64::INFINITY
        } else {
            error
        }
    }
}

/// What one correctly rounded operation costs, relative to its result.
fn rounding(target: &Target) -> f64 {
    match target.class {
        Class::Cpu => UNIT,
        Class::Gpu => 2.0 * UNIT,
    }
}

/// The relative error of `n` roundings of `unit` each; infinite where there are too many to say anything.
fn gamma(n: u64, unit: f64) -> f64 {
    let x = n as f64 * unit;
    if x < 0.5 { x / (1.0 - x) } else { f64::INFINITY }
}

/// The bound of a kernel's results on a device, before its chain or epilogue. See the module for the magnitudes.
///
/// Matrix products and convolutions hold for any order of summation: k products are rounded once and take part in at most
/// k − 1 additions. Rows know their order: see `row_roundings`.
pub fn error_bound(spec: &Spec, target: &Target) -> ErrorBound {
    let bound = single_bound(spec, target);
    // As many roundings of 2^-53, eight times for exponentials and logarithms of our own, and for those of the exact result.
    let scale = 8.0 * double::UNIT / UNIT;
    if computed_in(spec) == Some(DType::F64) {
        return ErrorBound { relative: scale * bound.relative, absolute: 0.0, ..bound };
    }
    bound
}

/// The type of what a kernel computes before its chain or epilogue.
fn computed_in(spec: &Spec) -> Option<DType> {
    match spec {
        Spec::Reduce(s) => Some(s.dtype),
        Spec::Softmax(s) => Some(s.dtype),
        Spec::Cumulate(s) => Some(s.dtype),
        Spec::Scatter(s) => Some(s.dtype),
        Spec::Range(s) => Some(s.dtype),
        _ => spec.chain()?.operands.first().map(|own| own.dtype),
    }
}

/// The bound of what is computed in 32 bits.
fn single_bound(spec: &Spec, target: &Target) -> ErrorBound {
    let r = rounding(target);
    let sum = |n: u64, more: f64| ErrorBound {
        relative: gamma(n, r) + more,
        absolute: 2.0 * (n as f64 + 1.0) * LEAST_NORMAL,
        square: false,
    };
    match spec {
        Spec::MatMul(_) if computed_in(spec).is_some_and(|dtype| !dtype.is_float()) => ErrorBound::EXACT,
        Spec::MatMul(s) => sum(s.k, 0.0),
        Spec::BlockMatMul(s) => sum(s.k, 0.0),
        Spec::Conv(s) => sum(product(&[s.channels / s.groups.max(1), s.kernel[0], s.kernel[1]]), 0.0),
        Spec::Pool(s) => match s.kind {
            PoolKind::Max | PoolKind::Index => ErrorBound::EXACT,
            PoolKind::Sum => sum(product(&s.kernel), 0.0),
            PoolKind::Average { .. } => sum(product(&s.kernel), ulps(DIVISION)),
        },
        Spec::Reduce(s) if s.dtype.is_float() => match s.op {
            ReduceOp::Sum => sum(row_roundings(target, s.len, s.inner, true), 0.0),
            // The count is a float, rounded if it is beyond 2^24.
            ReduceOp::Mean => sum(row_roundings(target, s.len, s.inner, true), ulps(DIVISION) + r),
            ReduceOp::Prod => sum(s.len, 0.0),
            _ => ErrorBound::EXACT,
        },
        Spec::Softmax(s) => {
            // An exponential of −d is off by (3 + 2d) ULP, and by d·u for the rounding of d: (6 + 5d)·u, that of the
            // result and, averaged over the row, that of the sum; then the sum's own roundings, a reciprocal, a
            // product. The logarithm's 2^-21 is 8u.
            let n = row_roundings(target, s.len, s.inner, true);
            let exp = 2.0 * ulps(3.0) + ulps(DIVISION) + 2.0 * r;
            sum(n, exp + if s.log { 16.0 * UNIT } else { 0.0 })
        }
        Spec::Normalize(s) => {
            // The mean's error, times the scale; of the scale, half that of the variance (its sum, a rounded difference,
            // a square, a quotient, the addition of epsilon), a root and a reciprocal; the last difference and product.
            let n = row_roundings(target, s.len, 1, true);
            let scale = 0.5 * (gamma(n + 4, r) + ulps(DIVISION) + r) + ulps(SQRT) + ulps(DIVISION);
            let mean = if s.center { gamma(n, r) + ulps(DIVISION) + r } else { 0.0 };
            ErrorBound { square: s.center, ..sum(4, scale.max(mean)) }
        }
        Spec::Cumulate(s) if s.dtype.is_float() => sum(s.len, 0.0),
        Spec::Scatter(s) if s.dtype.is_float() => match s.join {
            Some(BinaryOp::Add | BinaryOp::Mul) => sum(s.count, 0.0),
            _ => ErrorBound::EXACT,
        },
        Spec::Range(s) if s.dtype.is_float() => sum(3, 0.0),
        _ => ErrorBound::EXACT,
    }
}

/// Terms of a sum over all of these; saturates.
fn product(sizes: &[u64]) -> u64 {
    sizes.iter().fold(1, |product, &size| product.saturating_mul(size))
}

/// Additions that one element of a row goes through: those of its invocation, four at a time where the row allows it, then
/// those across the four and across the team. A subgroup operation adds in any order.
fn row_roundings(target: &Target, len: u64, inner: u64, wide: bool) -> u64 {
    let team = Team::of(target, inner, 1);
    let four = wide && inner == 1 && len.is_multiple_of(4);
    let own = len.div_ceil(if four { 4 } else { 1 }).div_ceil(u64::from(team.members()));
    own + if four { 2 } else { 0 } + team.additions()
}

/// The magnitude of a product: that of the result, if no partial product in any order leaves the normal numbers, otherwise
/// infinite.
pub fn product_magnitude(factors: impl IntoIterator<Item = f64>) -> f64 {
    let (mut most, mut least) = (1.0_f64, 1.0_f64);
    for f in factors {
        if f == 0.0 {
            least = 0.0;
        } else {
            (most, least) = (most * f.abs().max(1.0), least * f.abs().min(1.0));
        }
    }
    // A zero is exact whatever comes before it, unless that overflows.
    let vanishes = least != 0.0 && least < LEAST_NORMAL;
    if vanishes || most > f64::from(f32::MAX) { f64::INFINITY } else { most * least }
}

/// The magnitudes of the softmax `y` of a row `x`.
pub fn softmax_magnitudes(x: &[f64], y: &[f64]) -> Vec<f64> {
    let top = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let distance = |v: f64| if v == f64::NEG_INFINITY { 0.0 } else { top - v };
    let mean: f64 = x.iter().zip(y).map(|(v, p)| p * distance(*v)).sum();
    x.iter().zip(y).map(|(v, p)| p * (1.0 + distance(*v) + mean)).collect()
}

/// The magnitudes of the logarithm of the softmax of a row `x`.
pub fn log_softmax_magnitudes(x: &[f64]) -> Vec<f64> {
    let top = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = x.iter().map(|v| (v - top).exp()).sum();
    let weighed = x.iter().filter(|v| **v != f64::NEG_INFINITY).map(|v| (v - top).exp() * (top - v));
    let mean = weighed.sum::<f64>() / sum;
    x.iter().map(|v| 1.0 + mean + top.abs() + sum.ln().abs() + v.abs()).collect()
}

/// The magnitudes of the normalisation `y` of a row `x`.
pub fn normalize_magnitudes(x: &[f64], y: &[f64], epsilon: f64, center: bool) -> Vec<f64> {
    let n = x.len().max(1) as f64;
    if !center {
        return y.iter().map(|v| v.abs()).collect();
    }
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
    let mean_of_all = x.iter().map(|v| v.abs()).sum::<f64>() / n / (variance + epsilon).sqrt();
    y.iter().map(|v| v.abs() + mean_of_all).collect()
}

#[cfg(test)]
mod tests;
