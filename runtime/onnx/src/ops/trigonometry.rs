//! Circular and hyperbolic functions that follow from others.

use core::f64::consts::LN_2;

use bayplan_graph::op::{BinaryOp, UnaryOp};
use bayplan_graph::{DType, ValueId};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("Acos", 7, |c| of_one(c, acos)),
    Row::new("Acosh", 9, |c| of_one(c, acosh)),
    Row::new("Asin", 7, |c| of_one(c, asin)),
    Row::new("Asinh", 9, |c| of_one(c, asinh)),
    Row::new("Atanh", 9, |c| of_one(c, atanh)),
    Row::new("Sinh", 9, |c| of_one(c, sinh)),
    Row::new("Tan", 7, |c| of_one(c, tan)),
];

type Step = Result<ValueId, String>;

/// Beyond this, a number's square root plus one is the number's own, to the last bit of every type.
const HUGE: f64 = 1e18;

fn of_one(c: &mut Call<'_, '_>, f: fn(&mut Call<'_, '_>, ValueId) -> Step) -> Built {
    let x = c.input(0)?;
    let dtype = c.dtype(x)?;
    // The squares of numbers that 16 bits hold are beyond them.
    let wide = if dtype.size() == 2 { DType::F32 } else { dtype };
    let x = c.cast(x, wide)?;
    let y = f(c, x)?;
    Ok(vec![c.cast(y, dtype)?])
}

fn tan(c: &mut Call<'_, '_>, x: ValueId) -> Step {
    let (sin, cos) = (c.unary(UnaryOp::Sin, x)?, c.unary(UnaryOp::Cos, x)?);
    c.binary(BinaryOp::Div, sin, cos)
}

/// 1 − x and 1 + x.
fn around_one(c: &mut Call<'_, '_>, x: ValueId) -> Result<(ValueId, ValueId), String> {
    let negative = c.unary(UnaryOp::Neg, x)?;
    Ok((c.with(BinaryOp::Add, negative, 1.0)?, c.with(BinaryOp::Add, x, 1.0)?))
}

/// atan(x / √((1 − x)(1 + x))), whose argument is infinite at the ends.
fn asin(c: &mut Call<'_, '_>, x: ValueId) -> Step {
    let (below, above) = around_one(c, x)?;
    let product = c.binary(BinaryOp::Mul, below, above)?;
    let cos = c.unary(UnaryOp::Sqrt, product)?;
    let tan = c.binary(BinaryOp::Div, x, cos)?;
    c.unary(UnaryOp::Atan, tan)
}

/// 2 · atan √((1 − x) / (1 + x)): exact near 1, where a difference from π/2 would cancel.
fn acos(c: &mut Call<'_, '_>, x: ValueId) -> Step {
    let (below, above) = around_one(c, x)?;
    let ratio = c.binary(BinaryOp::Div, below, above)?;
    let half = c.unary(UnaryOp::Sqrt, ratio)?;
    let half = c.unary(UnaryOp::Atan, half)?;
    c.with(BinaryOp::Mul, half, 2.0)
}

/// (eˣ − e⁻ˣ) / 2 by the roots of the exponentials, which overflow after the result does; near 0, where the difference
/// cancels, the series.
fn sinh(c: &mut Call<'_, '_>, x: ValueId) -> Step {
    let half = c.with(BinaryOp::Mul, x, 0.5)?;
    let back = c.unary(UnaryOp::Neg, half)?;
    let mut sides = Vec::new();
    for exponent in [half, back] {
        let root = c.unary(UnaryOp::Exp, exponent)?;
        let part = c.with(BinaryOp::Mul, root, 0.5)?;
        sides.push(c.binary(BinaryOp::Mul, part, root)?);
    }
    let far = c.binary(BinaryOp::Sub, sides[0], sides[1])?;
    let square = c.binary(BinaryOp::Mul, x, x)?;
    let series = polynomial(c, square, &[1.0, 1.0 / 6.0, 1.0 / 120.0, 1.0 / 5040.0, 1.0 / 362_880.0])?;
    let near = c.binary(BinaryOp::Mul, x, series)?;
    let small = c.with(BinaryOp::Less, square, 0.5)?;
    c.select(small, near, far)
}

/// sign x · ln(1 + a + a² / (1 + √(a² + 1))) with a = |x|.
fn asinh(c: &mut Call<'_, '_>, x: ValueId) -> Step {
    let a = c.unary(UnaryOp::Abs, x)?;
    let square = c.binary(BinaryOp::Mul, a, a)?;
    let root = c.with(BinaryOp::Add, square, 1.0)?;
    let root = c.unary(UnaryOp::Sqrt, root)?;
    let below = c.with(BinaryOp::Add, root, 1.0)?;
    let rest = c.binary(BinaryOp::Div, square, below)?;
    let more = c.binary(BinaryOp::Add, a, rest)?;
    let y = logarithm_beyond(c, a, more)?;
    signed(c, x, y)
}

/// ln(1 + d + √(d (x + 1))) with d = x − 1.
fn acosh(c: &mut Call<'_, '_>, x: ValueId) -> Step {
    let (less, more) = (c.with(BinaryOp::Sub, x, 1.0)?, c.with(BinaryOp::Add, x, 1.0)?);
    let product = c.binary(BinaryOp::Mul, less, more)?;
    let root = c.unary(UnaryOp::Sqrt, product)?;
    let sum = c.binary(BinaryOp::Add, less, root)?;
    logarithm_beyond(c, x, sum)
}

/// sign x · ln(1 + 2a / (1 − a)) / 2 with a = |x|: infinite at 1, no number beyond.
fn atanh(c: &mut Call<'_, '_>, x: ValueId) -> Step {
    let a = c.unary(UnaryOp::Abs, x)?;
    let (below, _) = around_one(c, a)?;
    let twice = c.with(BinaryOp::Mul, a, 2.0)?;
    let ratio = c.binary(BinaryOp::Div, twice, below)?;
    let y = logarithm_of_one_and(c, ratio)?;
    let y = c.with(BinaryOp::Mul, y, 0.5)?;
    signed(c, x, y)
}

/// `y` with the sign of `x`.
fn signed(c: &mut Call<'_, '_>, x: ValueId, y: ValueId) -> Step {
    let sign = c.unary(UnaryOp::Sign, x)?;
    c.binary(BinaryOp::Mul, sign, y)
}

/// ln(1 + t), or ln 2x where x is so large that its square, which t is made of, may overflow.
fn logarithm_beyond(c: &mut Call<'_, '_>, x: ValueId, t: ValueId) -> Step {
    let near = logarithm_of_one_and(c, t)?;
    let far = c.unary(UnaryOp::Log, x)?;
    let far = c.with(BinaryOp::Add, far, LN_2)?;
    let huge = c.with(BinaryOp::Greater, x, HUGE)?;
    c.select(huge, far, near)
}

/// ln(1 + t), also where t is small and 1 + t has lost it: 2 atanh w with w = t / (2 + t), by its series.
fn logarithm_of_one_and(c: &mut Call<'_, '_>, t: ValueId) -> Step {
    let more = c.with(BinaryOp::Add, t, 1.0)?;
    let far = c.unary(UnaryOp::Log, more)?;
    let below = c.with(BinaryOp::Add, t, 2.0)?;
    let w = c.binary(BinaryOp::Div, t, below)?;
    let square = c.binary(BinaryOp::Mul, w, w)?;
    let series = polynomial(c, square, &[2.0, 2.0 / 3.0, 2.0 / 5.0, 2.0 / 7.0, 2.0 / 9.0])?;
    let near = c.binary(BinaryOp::Mul, w, series)?;
    let size = c.unary(UnaryOp::Abs, t)?;
    let small = c.with(BinaryOp::Less, size, 0.25)?;
    c.select(small, near, far)
}

/// Σ coefficient · xⁱ.
fn polynomial(c: &mut Call<'_, '_>, x: ValueId, coefficients: &[f64]) -> Step {
    let mut sum = c.scalar_like(x, 0.0)?;
    for (i, &coefficient) in coefficients.iter().rev().enumerate() {
        let times = if i == 0 { sum } else { c.binary(BinaryOp::Mul, sum, x)? };
        sum = c.with(BinaryOp::Add, times, coefficient)?;
    }
    Ok(sum)
}
