//! Errors of 64-bit floats.
//!
//! What evaluates exactly does so in the same 64 bits, so that its own roundings are part of every bound.

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, UnaryOp};

use super::step::{quotient_spread, remainder, spread, spread2, truncation};
use super::{Approx, rounding};
use crate::{StepOp, Target};

/// The unit roundoff of `f64`.
pub(super) const UNIT: f64 = f64::EPSILON / 2.0;
/// Whole numbers up to here are exact.
pub(super) const WHOLE: f64 = (1_u64 << 53) as f64;
/// Roundings that a single operation may be off by: a quotient or root by 2.5 ULP on the device, all of them by one here.
const SINGLE: f64 = 8.0;
/// The same of what is made of many: an exponential, a logarithm.
const MANY: f64 = 64.0;

/// The greatest distance of a step's result on 64-bit floats, before it is rounded to its type.
pub(super) fn error(target: &Target, op: StepOp, to: DType, args: &[Approx], value: f64) -> f64 {
    match (op, args) {
        (StepOp::Cast, [x]) => cast(target, to, x),
        (StepOp::BitCast, [x]) if x.error == 0.0 => 0.0,
        (StepOp::Unary(op), [x]) => unary(op, x, value),
        (StepOp::Binary(op), [a, b]) => binary(op, a, b, value),
        _ => f64::INFINITY,
    }
}

fn cast(target: &Target, to: DType, x: &Approx) -> f64 {
    let most = x.value.abs() + x.error;
    match to {
        DType::F64 => x.error,
        DType::Bool => f64::from(u8::from(x.error > 0.0 && x.value.abs() <= x.error)),
        DType::F32 => x.error + rounding(target) * most + super::LEAST_NORMAL,
        // Rounded once, afterwards; below the least normal `f32` the way there may be off.
        _ if to.is_float() => x.error + if most < super::LEAST_NORMAL { most } else { 0.0 },
        _ => truncation(to, x),
    }
}

fn unary(op: UnaryOp, x: &Approx, value: f64) -> f64 {
    use UnaryOp::{Abs, Ceil, Exp, Floor, IsInf, IsNaN, Neg, Reciprocal, Relu, Round, Sign, Sqrt};
    let Some(f) = op.float() else { return f64::INFINITY };
    if x.error == f64::INFINITY {
        return if op.tests() { 1.0 } else { x.error };
    }
    let moved = spread(x, value, f);
    let size = value.abs() + moved;
    let relative = match op {
        Neg | Abs | Relu | Sign | Floor | Ceil | Round => return moved,
        IsNaN | IsInf => return 0.0,
        Sqrt | Reciprocal => SINGLE,
        Exp => MANY + 2.0 * (x.value.abs() + x.error),
        _ => MANY,
    };
    moved + relative * UNIT * size + f64::MIN_POSITIVE
}

fn binary(op: BinaryOp, a: &Approx, b: &Approx, value: f64) -> f64 {
    let errors = a.error + b.error;
    let Some(f) = op.float() else { return f64::INFINITY };
    if op.tests() {
        return f64::from(u8::from(errors > 0.0 && (a.value - b.value).abs() <= errors));
    }
    let (moved, relative) = match op {
        BinaryOp::Add | BinaryOp::Sub => (errors, SINGLE),
        BinaryOp::Min | BinaryOp::Max => return spread2(a, b, value, f),
        BinaryOp::Mod => return remainder(a, b, value),
        BinaryOp::Div => (quotient_spread(a, b, value), SINGLE),
        BinaryOp::Pow if a.error > 0.0 && a.value <= a.error => return f64::INFINITY,
        BinaryOp::Pow => {
            let z = (b.value.abs() + b.error) * a.value.abs().ln().abs();
            (spread2(a, b, value, f), MANY * (1.0 + if z.is_finite() { z } else { 0.0 }))
        }
        _ => (spread2(a, b, value, f), SINGLE),
    };
    let size = value.abs() + moved;
    moved + relative * UNIT * size + f64::MIN_POSITIVE
}
