//! Errors through the steps of a chain.
//!
//! Every rule has two parts: how far the exact operation moves when its arguments move within their errors, and what the
//! device's own operation adds. The first is taken at the ends of the arguments' intervals for operations that are monotone in
//! each argument, so that no derivative is needed and steps (a rounding, a comparison) come out right.

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, UnaryOp};

use super::{Approx, DIVISION, LEAST_NORMAL, SQRT, UNIT, double, rounding, ulps};
use crate::{Repr, StepOp, Target};

/// `exp` and `exp2` of x: 3 + 2·|x| ULP.
fn exponential(x: f64) -> f64 {
    ulps(3.0 + 2.0 * x.abs())
}

/// `log` and `log2` are off by 3 ULP outside [0.5, 2] and by less than 2^-21 inside.
fn logarithm(x: &Approx, result: f64) -> f64 {
    let near = x.value + x.error >= 0.5 && x.value - x.error <= 2.0;
    (if near { 8.0 * UNIT } else { 0.0 }).max(ulps(3.0) * result.abs())
}

/// The greatest distance of a device's value, once it is rounded to its type, from `value` so rounded, where it lies within
/// `error` of `value` before. That of a type that is not narrower than `f32` stays.
pub fn rounded_error(dtype: DType, value: f64, error: f64) -> f64 {
    let Some(format) = dtype.narrow_float() else { return error };
    let own = format.round(value);
    let moved = |v: f64| {
        let end = format.round(v);
        if end == own || end.is_nan() && own.is_nan() { 0.0 } else { (end - own).abs() }
    };
    if error.is_finite() { worse(moved(value - error), moved(value + error)) } else { error }
}

/// The greatest distance of a step's result on a device from `value`, its exact result on the exact arguments; a narrow float is
/// rounded to its type afterwards, and the distance is that of the rounded.
///
/// `from` is the element type of the arguments (of a and b for a select), `to` that of the result. Integer results of exact
/// arguments are exact, other than those of operations without a defined result (a float beyond the integer's range).
pub fn step_error(target: &Target, op: StepOp, from: DType, to: DType, args: &[Approx], value: f64) -> f64 {
    if Repr::of(from) == Some(Repr::F64) && op != StepOp::Select {
        return finished(to, value, double::error(target, op, to, args, value));
    }
    let is_float = |d| matches!(Repr::of(d), Some(Repr::F32));
    let args: Vec<Approx> = args.iter().map(|a| flushed(*a, is_float(from))).collect();
    let error = match (op, &args[..]) {
        (StepOp::Select, [c, a, b]) => select(c, a, b),
        (StepOp::Cast, [x]) => cast(target, from, to, x),
        // A bit more or less of a float is any number of its bits, and the other way round.
        (StepOp::BitCast, [x]) if x.error == 0.0 => 0.0,
        (StepOp::Unary(op), [x]) => unary(target, op, is_float(from), x, value),
        (StepOp::Binary(op), [a, b]) => binary(target, op, is_float(from), a, b, value),
        _ => f64::INFINITY,
    };
    finished(to, value, error)
}

/// An argument below the normal numbers may be taken for 0.
fn flushed(x: Approx, float: bool) -> Approx {
    if float && x.value != 0.0 && x.value.abs() < LEAST_NORMAL {
        return Approx { error: x.error.max(x.value.abs()), ..x };
    }
    x
}

/// What leaves the range of the type is not known; what is no number must be none on the device.
fn finished(to: DType, value: f64, error: f64) -> f64 {
    if error.is_nan() {
        return f64::INFINITY;
    }
    if !value.is_finite() {
        return if error == f64::INFINITY { error } else { 0.0 };
    }
    let limit = match to {
        DType::Bool => return error.min(1.0),
        _ if to.narrow_float().is_some() => return rounded_error(to, value, error),
        _ if Repr::of(to) == Some(Repr::F32) => f64::from(f32::MAX),
        DType::F64 => f64::MAX,
        // Uncertain integers wrap.
        _ if error == 0.0 => return 0.0,
        DType::I2 => 1.0,
        DType::U2 => 3.0,
        DType::I4 => 7.0,
        DType::U4 => 15.0,
        DType::I8 => 127.0,
        DType::U8 => 255.0,
        DType::I16 => 32_767.0,
        DType::U16 => 65_535.0,
        DType::I32 => 2_147_483_647.0,
        DType::U32 => 4_294_967_295.0,
        _ => 9e18,
    };
    if value.abs() + error > limit { f64::INFINITY } else { error }
}

/// How far a function, monotone in its argument, moves from `value` over the argument's interval.
pub(super) fn spread(x: &Approx, value: f64, f: impl Fn(f64) -> f64) -> f64 {
    if x.error == 0.0 {
        return 0.0;
    }
    [x.value - x.error, x.value + x.error].iter().map(|&v| (f(v) - value).abs()).fold(0.0, worse)
}

/// The same of two arguments.
pub(super) fn spread2(a: &Approx, b: &Approx, value: f64, f: impl Fn(f64, f64) -> f64) -> f64 {
    if a.error == 0.0 && b.error == 0.0 {
        return 0.0;
    }
    let ends = |x: &Approx| [x.value - x.error, x.value + x.error];
    let all = ends(a).into_iter().flat_map(|x| ends(b).map(|y| (f(x, y) - value).abs()));
    all.fold(0.0, worse)
}

/// The greater; not a number is the worst.
fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::INFINITY } else { a.max(b) }
}

fn select(c: &Approx, a: &Approx, b: &Approx) -> f64 {
    if c.error == 0.0 {
        return if c.value == 0.0 { b.error } else { a.error };
    }
    let apart = if a.value == b.value { 0.0 } else { (a.value - b.value).abs() };
    worse(apart, 0.0) + a.error.max(b.error)
}

fn cast(target: &Target, from: DType, to: DType, x: &Approx) -> f64 {
    let (source, result) = (Repr::of(from), Repr::of(to));
    if from == to {
        return x.error;
    }
    match (source, result) {
        _ if to == DType::Bool => {
            let maybe_zero = x.error > 0.0 && x.value.abs() <= x.error;
            if maybe_zero { 1.0 } else { 0.0 }
        }
        (Some(Repr::F32), Some(Repr::F32)) => x.error,
        (_, Some(Repr::F64)) => {
            let most = x.value.abs() + x.error;
            x.error + if most > double::WHOLE { double::UNIT * most } else { 0.0 }
        }
        // Correctly rounded; up to 2^24 nothing is lost.
        (_, Some(Repr::F32)) => {
            let most = x.value.abs() + x.error;
            x.error + if most > f64::from(1 << 24) { rounding(target) * most } else { 0.0 }
        }
        (Some(Repr::F32), _) => truncation(to, x),
        _ => x.error,
    }
}

/// The error of a float's whole part as an integer.
pub(super) fn truncation(to: DType, x: &Approx) -> f64 {
    // Beyond the type's range, its nearest end; narrow types wrap from a word.
    let (least, most) = match to {
        DType::U32 => (0.0, 4_294_967_295.0),
        DType::I64 => (-9_223_372_036_854_775_808.0, 9_223_372_036_854_775_808.0),
        DType::U64 => (0.0, 18_446_744_073_709_551_616.0),
        _ => (-2_147_483_648.0, 2_147_483_647.0),
    };
    let narrow = to.limits().filter(|_| to.bits() < 32);
    if narrow.is_some_and(|(_, most)| x.error > 0.0 && x.value.abs() + x.error >= most as f64) {
        return f64::INFINITY;
    }
    let whole = |v: f64| v.trunc().clamp(least, most);
    spread(x, whole(x.value), whole)
}

fn unary(target: &Target, op: UnaryOp, float: bool, x: &Approx, value: f64) -> f64 {
    let moved = |f: fn(f64) -> f64| spread(x, value, f);
    // The magnitude on which the device's own error is taken.
    let own = |moved: f64, relative: f64| {
        let size = value.abs() + moved;
        moved + if size == 0.0 { 0.0 } else { relative * size + LEAST_NORMAL }
    };
    let a = x.value.abs() + x.error;
    match op {
        UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Not => x.error,
        UnaryOp::Relu => moved(|v| v.max(0.0)),
        UnaryOp::Sign => moved(|v| if v == 0.0 { 0.0 } else { v.signum() }),
        _ if !float => f64::INFINITY,
        UnaryOp::Floor => moved(f64::floor),
        UnaryOp::Ceil => moved(f64::ceil),
        UnaryOp::Round => moved(f64::round_ties_even),
        UnaryOp::Exp => own(moved(f64::exp), exponential(a)),
        UnaryOp::Log => {
            if x.error > 0.0 && x.value - x.error <= 0.0 {
                return f64::INFINITY;
            }
            let moved = moved(f64::ln);
            moved + logarithm(x, value.abs() + moved)
        }
        UnaryOp::Sqrt => {
            if x.error > 0.0 && x.value < 0.0 {
                return f64::INFINITY;
            }
            own(moved(|v| v.max(0.0).sqrt()), ulps(SQRT))
        }
        UnaryOp::Reciprocal => quotient(&Approx { value: 1.0, error: 0.0 }, x, value),
        UnaryOp::Sigmoid => {
            // exp(−|x|), a sum and a quotient; of a positive argument the exponential is the lesser part of the sum.
            let exp = if x.value > x.error { (-x.value.abs() + x.error).exp() } else { 1.0 };
            let moved = moved(|v| 1.0 / (1.0 + (-v).exp()));
            own(moved, exp * exponential(a) + ulps(DIVISION) + 4.0 * UNIT)
        }
        UnaryOp::Tanh => {
            // The series near 0 is cut off at 0.022·x^8; away from it, (1 − e) / (1 + e) with e = exp(−2|x|).
            let e = (-2.0 * (x.value.abs() - x.error).max(0.2)).exp();
            let far = exponential(2.0 * a) * (e / (1.0 - e) + e) + ulps(DIVISION) + 4.0 * UNIT;
            own(moved(f64::tanh), far.max(8.0 * UNIT))
        }
        // 1.5e-7 by the formula; the polynomial's roundings, its argument's and the exponential's come to 50u.
        UnaryOp::Erf => x.error.min(2.0) * 1.13 + 1.5e-7 + 56.0 * UNIT,
        UnaryOp::Softplus => {
            // The logarithm is of 1 to 2; its argument is off by a rounding and the exponential's error.
            let e = (-(x.value.abs() - x.error).max(0.0)).exp();
            let own = 8.0 * UNIT + e * exponential(a) + 2.0 * UNIT;
            x.error + own + rounding(target) * (value.abs() + x.error + own)
        }
        UnaryOp::Sin => x.error.min(2.0) + trigonometric(target, x, value.abs()),
        UnaryOp::Cos => x.error.min(2.0) + trigonometric(target, x, 1.0),
        UnaryOp::Cosh => own(moved(f64::cosh), 2.0 * (exponential(a / 2.0) + ulps(DIVISION)) + 4.0 * UNIT),
        // The quotient moves the result by less than half of its own error; seven roundings, the polynomial 2u.
        UnaryOp::Atan => own(moved(f64::atan), ulps(DIVISION) + 9.0 * UNIT),
        UnaryOp::IsNaN | UnaryOp::IsInf => {
            if x.error == f64::INFINITY {
                1.0
            } else {
                0.0
            }
        }
        _ => f64::INFINITY,
    }
}

/// The kernels' own reduction is off by 2^-28, then rounded three times; the series, by their roundings: three of the first
/// terms'. Where nothing is to be reduced, the error is relative to `size`.
fn trigonometric(target: &Target, x: &Approx, size: f64) -> f64 {
    let reduced = x.value.abs() + x.error > core::f64::consts::FRAC_PI_4;
    6.0 * rounding(target) * if reduced { 1.0 } else { size + x.error } + LEAST_NORMAL
}

fn binary(target: &Target, op: BinaryOp, float: bool, a: &Approx, b: &Approx, value: f64) -> f64 {
    let r = if float { rounding(target) } else { 0.0 };
    let rounded = |moved: f64| {
        let size = value.abs() + moved;
        moved + if float && size != 0.0 { r * size + LEAST_NORMAL } else { 0.0 }
    };
    let unsure = |yes: bool| if yes { 1.0 } else { 0.0 };
    let errors = a.error + b.error;
    match op {
        BinaryOp::Add | BinaryOp::Sub => rounded(errors),
        BinaryOp::Mul => rounded(spread2(a, b, value, |x, y| x * y)),
        BinaryOp::Min => spread2(a, b, value, f64::min),
        BinaryOp::Max => spread2(a, b, value, f64::max),
        // Not by the intervals' ends: either may be infinite.
        BinaryOp::Equal
        | BinaryOp::Less
        | BinaryOp::LessOrEqual
        | BinaryOp::Greater
        | BinaryOp::GreaterOrEqual => unsure(errors > 0.0 && (a.value - b.value).abs() <= errors),
        _ if !float && errors == 0.0 => 0.0,
        _ if !float => f64::INFINITY,
        BinaryOp::Div => quotient(a, b, value),
        BinaryOp::Mod => remainder(a, b, value),
        BinaryOp::Pow => power(a, b, value),
        _ => f64::INFINITY,
    }
}

/// 2.5 ULP where the divisor is within 2^-126 to 2^126.
fn quotient(a: &Approx, b: &Approx, value: f64) -> f64 {
    let (least, most) = (b.value.abs() - b.error, b.value.abs() + b.error);
    if !value.is_finite() && a.error == 0.0 && b.error == 0.0 {
        return 0.0;
    }
    if !(least >= LEAST_NORMAL && most <= 1.0 / LEAST_NORMAL) {
        return if b.value.is_infinite() && b.error == 0.0 { 0.0 } else { f64::INFINITY };
    }
    let moved = spread2(a, b, value, |x, y| x / y);
    let size = value.abs() + moved;
    moved + if size == 0.0 { 0.0 } else { ulps(DIVISION) * size + LEAST_NORMAL }
}

/// How far a quotient moves; unknown where its divisor may be 0.
pub(super) fn quotient_spread(a: &Approx, b: &Approx, value: f64) -> f64 {
    let across = b.error > 0.0 && b.value.abs() <= b.error;
    if across { f64::INFINITY } else { spread2(a, b, value, |x, y| x / y) }
}

/// `x − y · trunc(x / y)`, which is exact; where the quotient is uncertain by a whole number, any remainder may come out.
pub(super) fn remainder(a: &Approx, b: &Approx, value: f64) -> f64 {
    // A subnormal remainder may vanish.
    let own = if value.abs() < LEAST_NORMAL { value.abs() } else { 0.0 };
    if a.error == 0.0 && b.error == 0.0 {
        return own;
    }
    let q = spread2(a, b, a.value / b.value, |x, y| x / y);
    if !q.is_finite() || a.value == 0.0 && b.value == 0.0 {
        return f64::INFINITY;
    }
    let quotient = a.value / b.value;
    let direct = a.error + quotient.abs() * b.error + own;
    if (quotient - quotient.round()).abs() <= q { direct + b.value.abs() + b.error } else { direct }
}

/// `exp2(y · log2 |x|)`, other than for the exponents that are computed by products, roots and quotients.
fn power(a: &Approx, b: &Approx, value: f64) -> f64 {
    const PLAIN: [f64; 7] = [0.0, 1.0, 2.0, 3.0, -1.0, 0.5, -0.0];
    if a.error > 0.0 && a.value.abs() <= a.error {
        // Across 0: only what whole exponents make of it is known.
        let most = a.value.abs() + a.error;
        let plain = b.error == 0.0 && b.value > 0.0 && b.value.fract() == 0.0;
        return if plain { most.powf(b.value) + value.abs() } else { f64::INFINITY };
    }
    if a.value < 0.0 && b.error > 0.0 {
        return f64::INFINITY;
    }
    let sign = if value < 0.0 { -1.0 } else { 1.0 };
    let size = Approx { value: a.value.abs(), error: a.error };
    let moved = spread2(&size, b, sign * value, |x, y| x.max(0.0).powf(y));
    let most = value.abs() + moved;
    if most == 0.0 || a.value == 0.0 || a.value == 1.0 && a.error == 0.0 {
        return moved;
    }
    let relative = if b.error == 0.0 && PLAIN.contains(&b.value) {
        ulps(SQRT)
    } else {
        let log = size.value.log2();
        let z = (b.value.abs() + b.error) * (log.abs() + size.error / size.value);
        let off = (b.value.abs() + b.error) * logarithm(&size, log) + 2.0 * UNIT * z;
        core::f64::consts::LN_2 * off * 1.01 + exponential(z)
    };
    moved + relative * most + LEAST_NORMAL
}
