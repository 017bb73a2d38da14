//! Conversion between element types.

use bayplan_graph::op::{BinaryOp, Op};
use bayplan_graph::{DType, ValueId};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] =
    &[Row::new("BitCast", 26, bit_cast), Row::new("Cast", 7, cast), Row::new("CastLike", 15, cast_like)];

type Step = Result<ValueId, String>;

/// The exponent of an `f32` in its bits, and the greatest that a finite number has.
const EXPONENT: f64 = 0x7f80_0000_u32 as f64;
const GREATEST: f64 = 0x7f00_0000_u32 as f64;

/// The type that a conversion goes to.
fn target(c: &Call<'_, '_>) -> Result<DType, String> {
    let to = c.attributes().int("to")?.ok_or("attribute `to` is missing")?;
    crate::tensor::dtype(i32::try_from(to).unwrap_or(-1))
}

fn cast(c: &mut Call<'_, '_>) -> Built {
    let to = target(c)?;
    let x = c.input(0)?;
    converted(c, x, to)
}

fn cast_like(c: &mut Call<'_, '_>) -> Built {
    let (x, like) = (c.input(0)?, c.input(1)?);
    let to = c.dtype(like)?;
    converted(c, x, to)
}

fn bit_cast(c: &mut Call<'_, '_>) -> Built {
    let to = target(c)?;
    let x = c.input(0)?;
    Ok(vec![c.emit(Op::BitCast(to), &[x])?])
}

/// `x` in another type, as the attributes `saturate` and `round_mode` say, which concern the smallest floats alone.
fn converted(c: &mut Call<'_, '_>, x: ValueId, to: DType) -> Built {
    let saturate = c.attributes().int_or("saturate", 1)? != 0;
    if !to.is_small_float() || c.dtype(x)? == to {
        return Ok(vec![c.cast(x, to)?]);
    }
    if to == DType::F8E8M0 {
        return Ok(vec![scale(c, x, saturate)?]);
    }
    Ok(vec![if saturate { c.small_float(x, to)? } else { c.cast(x, to)? }])
}

/// A power of two: numbers between are rounded up, down or to the nearest, halves up, in the bits of an `f32`. What is no
/// finite number becomes NaN.
fn scale(c: &mut Call<'_, '_>, x: ValueId, saturate: bool) -> Step {
    let x = c.cast(x, DType::F32)?;
    let bits = c.emit(Op::BitCast(DType::U32), &[x])?;
    let bits = c.with(BinaryOp::And, bits, f64::from(i32::MAX))?;
    let moved = match c.attributes().text("round_mode")?.unwrap_or("up") {
        "up" => c.with(BinaryOp::Add, bits, f64::from(0x7f_ffff))?,
        "down" => bits,
        "nearest" => {
            // Below the exponents there are, half of a number is not rounded up to it.
            let normal = c.with(BinaryOp::GreaterOrEqual, bits, f64::from(0x80_0000))?;
            let (half, below) = (c.scalar(DType::U32, f64::from(0x40_0000))?, f64::from(0x3f_ffff));
            let below = c.scalar(DType::U32, below)?;
            let half = c.select(normal, half, below)?;
            c.binary(BinaryOp::Add, bits, half)?
        }
        other => {
            return Err(format!("attribute `round_mode` is {other}, but must be up, down or nearest"));
        }
    };
    let power = c.with(BinaryOp::And, moved, EXPONENT)?;
    let power = if saturate { c.with(BinaryOp::Min, power, GREATEST)? } else { power };
    let special = c.with(BinaryOp::GreaterOrEqual, bits, EXPONENT)?;
    let bits = c.select(special, bits, power)?;
    let power = c.emit(Op::BitCast(DType::F32), &[bits])?;
    c.cast(power, DType::F8E8M0)
}

impl Call<'_, '_> {
    /// `x` in a type of at most 8 bits, what lies beyond its range as its greatest number.
    pub(super) fn small_float(&mut self, x: ValueId, to: DType) -> Step {
        let Some(format) = to.narrow_float() else { return self.cast(x, to) };
        // Not every type has the ends of the range.
        let from = self.dtype(x)?;
        let x = if from.is_float() && !from.is_small_float() { x } else { self.cast(x, DType::F32)? };
        let greatest = f64::from(format.greatest);
        let (low, high) = (self.scalar_like(x, -greatest)?, self.scalar_like(x, greatest)?);
        let within = self.clamped(x, low, high)?;
        self.cast(within, to)
    }
}
