//! How far attention may be off.
//!
//! A result is y = Σ wₖ·vₖ / Σ wₖ with weights wₖ = exp(sₖ − m), of scores sₖ = scale·Σ q·k. Its kernels find m as they go, and
//! multiply what they have by exp(m − m′) whenever it grows to m′. Relative errors of a weight:
//!
//! * of the score, d products and additions and a scaling: γ(d + 2)·aₖ with aₖ = |scale|·Σ |q·k|, which the exponential makes
//!   one of the weight (by a factor of at most 1.06 while it is below 0.1: beyond that nothing is said);
//! * of exponentials, (3 + 2·|x|) ULP each and a rounding of x: one of the weight itself and one for every step over keys. The
//!   exponents add up to dₖ = max s − sₖ, so that they cost (2 ULP + u)·dₖ and, for each, 3 ULP, a rounding and a product.
//!
//! A sum of weights and one of weighted values then have as many roundings as there are keys and steps; one quotient
//! (a reciprocal and a product) follows. Each error counts once for Σ wₖ·vₖ and once, times y, for Σ wₖ.

use super::{DIVISION, ErrorBound, LEAST_NORMAL, UNIT, gamma, rounding, ulps};
use crate::kernels::paged_attention;
use crate::{PagedAttentionSpec, Target};

/// Products of small relative errors.
const SECOND_ORDER: f64 = 1.25;

/// The bound, a multiple of [`attention_magnitudes`].
pub(super) fn bound(spec: &PagedAttentionSpec, target: &Target) -> ErrorBound {
    let r = rounding(target);
    let keys = spec.entries.saturating_mul(spec.block.into());
    let steps = keys.div_ceil(paged_attention::keys_of_a_step(target).into());
    let score = gamma(u64::from(spec.head) + 2, r);
    let exponents = ulps(2.0) + r + (steps as f64 + 1.0) * (ulps(3.0) + 2.0 * r);
    let sums = gamma(keys.saturating_add(steps).saturating_add(1), r);
    let relative = SECOND_ORDER * (score + exponents + sums + ulps(DIVISION) + r);
    ErrorBound { relative, absolute: 2.0 * (keys as f64 + 1.0) * LEAST_NORMAL, square: false }
}

/// The magnitudes of a token's result for one head: `scores` with the sizes of their terms (aₖ above), a row of `values` for each.
///
/// Σ pₖ·|vₖ|·(1 + dₖ + aₖ) + |y|·Σ pₖ·(1 + dₖ + aₖ), with pₖ = wₖ / Σ w; and for weights that vanish below the least normal
/// number, Σ |vₖ| times that. Infinite where scores are too large for their errors to stay small.
pub fn attention_magnitudes(scores: &[(f64, f64)], values: &[&[f64]], y: &[f64]) -> Vec<f64> {
    let top = scores.iter().map(|(score, _)| *score).fold(f64::from(f32::MIN), f64::max);
    let weights: Vec<f64> = scores.iter().map(|(score, _)| (score - top).exp()).collect();
    let sum: f64 = weights.iter().sum();
    // Of scores that count: the others' weights are 0 with their errors too.
    let counted = scores.iter().filter(|(score, _)| top - score < 80.0);
    let head = |(_, size): &(f64, f64)| *size * 512.0 * 2.0 * UNIT > 0.1 || !size.is_finite();
    if counted.clone().any(head) {
        return vec![f64::INFINITY; y.len()];
    }
    let each = |at: usize| {
        let (score, size) = scores[at];
        let distance = if score == f64::NEG_INFINITY { 0.0 } else { top - score };
        let size = if size.is_finite() { size } else { 0.0 };
        weights[at] / sum * (1.0 + distance + size)
    };
    let shares: Vec<f64> = (0..scores.len()).map(each).collect();
    let all: f64 = shares.iter().sum();
    let own = |(c, y): (usize, &f64)| {
        let of = |(share, row): (&f64, &&[f64])| row[c].abs() * (share + 2.0 * LEAST_NORMAL / UNIT);
        shares.iter().zip(values).map(of).sum::<f64>() + y.abs() * all
    };
    y.iter().enumerate().map(own).collect()
}
