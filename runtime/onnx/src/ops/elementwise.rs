//! Elementwise operators: arithmetic, comparison, logic.

use bayplan_graph::op::{BinaryOp, UnaryOp};
use bayplan_graph::{DType, Op, ValueId};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("Abs", 7, |c| unary(c, UnaryOp::Abs)),
    Row::new("Atan", 7, |c| unary(c, UnaryOp::Atan)),
    Row::new("Ceil", 7, |c| unary(c, UnaryOp::Ceil)),
    Row::new("Cos", 7, |c| unary(c, UnaryOp::Cos)),
    Row::new("Cosh", 9, |c| unary(c, UnaryOp::Cosh)),
    Row::new("Erf", 9, |c| unary(c, UnaryOp::Erf)),
    Row::new("Exp", 7, |c| unary(c, UnaryOp::Exp)),
    Row::new("Floor", 7, |c| unary(c, UnaryOp::Floor)),
    Row::new("IsInf", 10, is_inf),
    Row::new("IsNaN", 9, |c| unary(c, UnaryOp::IsNaN)),
    Row::new("Log", 7, |c| unary(c, UnaryOp::Log)),
    Row::new("Neg", 7, |c| unary(c, UnaryOp::Neg)),
    Row::new("Not", 7, |c| booleans(c, |c| unary(c, UnaryOp::Not))),
    Row::new("BitwiseNot", 18, |c| integers(c, |c| unary(c, UnaryOp::Not))),
    Row::new("Reciprocal", 7, |c| unary(c, UnaryOp::Reciprocal)),
    Row::new("Round", 11, |c| unary(c, UnaryOp::Round)),
    Row::new("Sign", 9, |c| unary(c, UnaryOp::Sign)),
    Row::new("Sin", 7, |c| unary(c, UnaryOp::Sin)),
    Row::new("Sqrt", 7, |c| unary(c, UnaryOp::Sqrt)),
    Row::new("Add", 7, |c| binary(c, BinaryOp::Add)),
    Row::new("Sub", 7, |c| binary(c, BinaryOp::Sub)),
    Row::new("Mul", 7, |c| binary(c, BinaryOp::Mul)),
    Row::new("Div", 7, |c| binary(c, BinaryOp::Div)),
    Row::new("Mod", 10, modulo),
    Row::new("Pow", 7, pow),
    Row::new("And", 7, |c| booleans(c, |c| binary(c, BinaryOp::And))),
    Row::new("Or", 7, |c| booleans(c, |c| binary(c, BinaryOp::Or))),
    Row::new("Xor", 7, |c| booleans(c, |c| binary(c, BinaryOp::Xor))),
    Row::new("BitwiseAnd", 18, |c| integers(c, |c| binary(c, BinaryOp::And))),
    Row::new("BitwiseOr", 18, |c| integers(c, |c| binary(c, BinaryOp::Or))),
    Row::new("BitwiseXor", 18, |c| integers(c, |c| binary(c, BinaryOp::Xor))),
    Row::new("BitShift", 11, shift),
    Row::new("Equal", 7, |c| binary(c, BinaryOp::Equal)),
    Row::new("Greater", 7, |c| binary(c, BinaryOp::Greater)),
    Row::new("GreaterOrEqual", 12, |c| binary(c, BinaryOp::GreaterOrEqual)),
    Row::new("Less", 7, |c| binary(c, BinaryOp::Less)),
    Row::new("LessOrEqual", 12, |c| binary(c, BinaryOp::LessOrEqual)),
    Row::new("Max", 7, |c| fold(c, BinaryOp::Max)),
    Row::new("Min", 7, |c| fold(c, BinaryOp::Min)),
    Row::new("Sum", 7, |c| fold(c, BinaryOp::Add)),
    Row::new("Mean", 7, mean),
    Row::new("Clip", 7, clip),
    Row::new("Where", 9, select),
];

fn unary(c: &mut Call<'_, '_>, op: UnaryOp) -> Built {
    let x = c.input(0)?;
    Ok(vec![c.emit(Op::Unary(op), &[x])?])
}

fn binary(c: &mut Call<'_, '_>, op: BinaryOp) -> Built {
    let (a, b) = (c.input(0)?, c.input(1)?);
    Ok(vec![c.emit(Op::Binary(op), &[a, b])?])
}

/// Of booleans alone: ONNX's logic takes no integers, which the operators of bits do.
fn booleans(c: &mut Call<'_, '_>, build: impl Fn(&mut Call<'_, '_>) -> Built) -> Built {
    let dtype = c.dtype(c.input(0)?)?;
    if dtype == DType::Bool { build(c) } else { Err(format!("it takes bool, not {dtype}")) }
}

/// Of integers alone.
fn integers(c: &mut Call<'_, '_>, build: impl Fn(&mut Call<'_, '_>) -> Built) -> Built {
    let dtype = c.dtype(c.input(0)?)?;
    if dtype.is_int() { build(c) } else { Err(format!("it takes an integer type, not {dtype}")) }
}

fn shift(c: &mut Call<'_, '_>) -> Built {
    match c.attributes().text("direction")? {
        Some("LEFT") => binary(c, BinaryOp::Shl),
        Some("RIGHT") => binary(c, BinaryOp::Shr),
        Some(other) => Err(format!("attribute `direction` is {other:?}, but must be LEFT or RIGHT")),
        None => Err("attribute `direction` is missing: it must be LEFT or RIGHT".to_owned()),
    }
}

fn fold(c: &mut Call<'_, '_>, op: BinaryOp) -> Built {
    let mut all = c.input(0)?;
    for i in 1..c.inputs() {
        let next = c.input(i)?;
        all = c.emit(Op::Binary(op), &[all, next])?;
    }
    Ok(vec![all])
}

fn mean(c: &mut Call<'_, '_>) -> Built {
    let sum = fold(c, BinaryOp::Add)?[0];
    let count = c.scalar_like(sum, c.inputs() as f64)?;
    Ok(vec![c.emit(Op::Binary(BinaryOp::Div), &[sum, count])?])
}

/// Infinities of the signs that are asked for.
fn is_inf(c: &mut Call<'_, '_>) -> Built {
    let a = c.attributes();
    let (negative, positive) = (a.flag("detect_negative", true)?, a.flag("detect_positive", true)?);
    let x = c.input(0)?;
    Ok(vec![match (negative, positive) {
        (true, true) => c.unary(UnaryOp::IsInf, x)?,
        (true, false) => c.with(BinaryOp::Equal, x, f64::NEG_INFINITY)?,
        (false, true) => c.with(BinaryOp::Equal, x, f64::INFINITY)?,
        (false, false) => {
            let shape = c.dims(x)?;
            c.filled(shape, DType::Bool, 0.0)?
        }
    }])
}

/// The primitive has the sign of the dividend on floats and that of the divisor on integers; the other two follow.
fn modulo(c: &mut Call<'_, '_>) -> Built {
    let (a, b) = (c.input(0)?, c.input(1)?);
    Ok(vec![match (c.attributes().flag("fmod", false)?, c.dtype(a)?.is_float()) {
        (true, true) | (false, false) => c.binary(BinaryOp::Mod, a, b)?,
        (true, false) => {
            let quotient = c.binary(BinaryOp::Div, a, b)?;
            let whole = c.binary(BinaryOp::Mul, quotient, b)?;
            c.binary(BinaryOp::Sub, a, whole)?
        }
        (false, true) => {
            let rest = c.binary(BinaryOp::Mod, a, b)?;
            let moved = c.binary(BinaryOp::Add, rest, b)?;
            // Of numbers of different signs, other than 0, the product is negative; it may vanish, the signs do not.
            let signs = [c.unary(UnaryOp::Sign, rest)?, c.unary(UnaryOp::Sign, b)?];
            let product = c.binary(BinaryOp::Mul, signs[0], signs[1])?;
            let differ = c.with(BinaryOp::Less, product, 0.0)?;
            c.select(differ, moved, rest)?
        }
    }])
}

/// The exponent may have another type than the base, whose type the result has (from opset 12). A fraction must not
/// be lost on the way: an integer to the power of a float is computed in floats.
fn pow(c: &mut Call<'_, '_>) -> Built {
    let (base, exponent) = (c.input(0)?, c.input(1)?);
    let (dtype, power) = (c.dtype(base)?, c.dtype(exponent)?);
    if dtype.is_float() || !power.is_float() || counts(c, exponent) {
        let exponent = c.cast(exponent, dtype)?;
        return Ok(vec![c.emit(Op::Binary(BinaryOp::Pow), &[base, exponent])?]);
    }
    // 16-bit floats would not hold the base.
    let float = if power == DType::F64 { DType::F64 } else { DType::F32 };
    let (base, exponent) = (c.cast(base, float)?, c.cast(exponent, float)?);
    let result = c.emit(Op::Binary(BinaryOp::Pow), &[base, exponent])?;
    Ok(vec![c.cast(result, dtype)?])
}

/// Whether a float tensor is known to hold small whole numbers only: as an exponent it is then an integer, and
/// integers stay exact.
fn counts(c: &Call<'_, '_>, id: ValueId) -> bool {
    c.numbers(id).is_some_and(|list| list.iter().all(|v| v.fract() == 0.0 && (0.0..=64.0).contains(v)))
}

/// Bounds are attributes before opset 11, then optional inputs.
fn clip(c: &mut Call<'_, '_>) -> Built {
    let mut x = c.input(0)?;
    let bounds = if c.opset() < 11 {
        let (min, max) = (c.attributes().float("min")?, c.attributes().float("max")?);
        let mut scalar = |v: Option<f32>| v.map(|v| c.scalar_like(x, v.into())).transpose();
        [scalar(min)?, scalar(max)?]
    } else {
        [c.optional(1)?, c.optional(2)?]
    };
    for (bound, op) in bounds.into_iter().zip([BinaryOp::Max, BinaryOp::Min]) {
        if let Some(bound) = bound {
            x = c.emit(Op::Binary(op), &[x, bound])?;
        }
    }
    Ok(vec![x])
}

fn select(c: &mut Call<'_, '_>) -> Built {
    let (condition, a, b) = (c.input(0)?, c.input(1)?, c.input(2)?);
    Ok(vec![c.select(condition, a, b)?])
}
