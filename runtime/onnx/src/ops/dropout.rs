//! Dropout.

use bayplan_graph::op::{BinaryOp, UnaryOp};
use bayplan_graph::{DType, ValueId};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[Row::new("Dropout", 7, dropout)];

type Step = Result<ValueId, String>;

/// Outside training the operand as it is, and a mask that is all true.
///
/// In training an element is kept where a number of its own from [0, 1) is at least the ratio, and is scaled so that the
/// mean stays: y = keep ? x / (1 − ratio) : 0. Both the ratio and whether this is training may be data.
pub(super) fn dropout(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let training = if c.opset() < 12 { None } else { c.optional(2)? };
    let training = training.filter(|&training| c.builder.decided(training) != Some(false));
    let Some(training) = training else {
        if !c.wants(1) {
            return Ok(vec![x]);
        }
        // Before opset 10 the mask had the type of the operand.
        let (shape, dtype) = (c.dims(x)?, if c.opset() < 10 { c.dtype(x)? } else { DType::Bool });
        return Ok(vec![x, c.filled(shape, dtype, 1.0)?]);
    };
    let dtype = c.dtype(x)?;
    let ratio = match c.optional(1)? {
        Some(ratio) => c.cast(ratio, DType::F32)?,
        None => c.scalar(DType::F32, 0.5)?,
    };
    let drawn = uniform(c, x)?;
    let above = c.binary(BinaryOp::GreaterOrEqual, drawn, ratio)?;
    let always = c.unary(UnaryOp::Not, training)?;
    let keep = c.binary(BinaryOp::Or, above, always)?;
    let one = c.scalar(DType::F32, 1.0)?;
    let rest = c.binary(BinaryOp::Sub, one, ratio)?;
    let scale = c.binary(BinaryOp::Div, one, rest)?;
    let scale = c.select(training, scale, one)?;
    let (scale, zero) = (c.cast(scale, dtype)?, c.scalar_like(x, 0.0)?);
    let scaled = c.binary(BinaryOp::Mul, x, scale)?;
    Ok(vec![c.select(keep, scaled, zero)?, keep])
}

/// A number from [0, 1) for each element of `x`: a hash of its position and the node's seed. A node without a seed has
/// one that follows from its name, so that the same model gives the same numbers.
fn uniform(c: &mut Call<'_, '_>, x: ValueId) -> Step {
    let seed = match c.attributes().int("seed")? {
        Some(seed) => seed as u32,
        None => c
            .name
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)),
    };
    let (shape, all) = (c.dims(x)?, c.ints(&[-1])?);
    let flat = c.reshape(x, &[all])?;
    let count = c.dim(flat, 0)?;
    let places = c.positions(count)?;
    let mut hash = c.cast(places, DType::U32)?;
    hash = c.with(BinaryOp::Add, hash, seed.wrapping_mul(0x9e37_79b9).into())?;
    // The integer hash "lowbias32": multiplication spreads low bits upwards, shifts bring high bits down again.
    for (shift, factor) in [(16.0, 0x7feb_352d_u32), (15.0, 0x846c_a68b)] {
        let high = c.with(BinaryOp::Shr, hash, shift)?;
        let mixed = c.binary(BinaryOp::Xor, hash, high)?;
        hash = c.with(BinaryOp::Mul, mixed, factor.into())?;
    }
    let high = c.with(BinaryOp::Shr, hash, 16.0)?;
    hash = c.binary(BinaryOp::Xor, hash, high)?;
    // The 24 upper bits, which f32 holds.
    let bits = c.with(BinaryOp::Shr, hash, 8.0)?;
    let number = c.cast(bits, DType::F32)?;
    let number = c.with(BinaryOp::Mul, number, 1.0 / f64::from(1_u32 << 24))?;
    c.reshape(number, &[shape])
}
