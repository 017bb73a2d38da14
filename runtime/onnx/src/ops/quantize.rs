//! Quantisation to integers by a scale and a zero point, and back.

use bayplan_graph::op::{BinaryOp, ReduceOp, UnaryOp};
use bayplan_graph::{DType, Op, ValueId};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("DequantizeLinear", 10, dequantize),
    Row::new("DynamicQuantizeLinear", 11, dynamic),
    Row::new("QuantizeLinear", 10, quantize),
];

type Step = Result<ValueId, String>;

/// round(x / scale) + zero point, within the range of the type.
fn quantize(c: &mut Call<'_, '_>) -> Built {
    let (x, scale, zero) = (c.input(0)?, c.input(1)?, c.optional(2)?);
    let named = named_type(c, "output_dtype")?;
    let to = match (zero, named) {
        (Some(zero), None) => c.dtype(zero)?,
        (Some(zero), Some(named)) if c.dtype(zero)? == named => named,
        (Some(zero), Some(named)) => {
            return Err(format!("the zero point is {}, but output_dtype says {named}", c.dtype(zero)?));
        }
        (None, named) => named.unwrap_or(DType::U8),
    };
    let compute = match named_type(c, "precision")? {
        Some(precision) => precision,
        None if c.dtype(x)?.is_float() && c.dtype(x)? == c.dtype(scale)? => c.dtype(x)?,
        None => DType::F32,
    };
    let layout = Layout::of(c, x)?;
    let scale = layout.spread(c, scale, x)?;
    let (x, scale) = (c.cast(x, compute)?, c.cast(scale, compute)?);
    if to.is_float() {
        return small_floats(c, [x, scale], to);
    }
    let whole = rounded_quotient(c, x, scale)?;
    let whole = c.cast(whole, DType::F32)?;
    let moved = match zero {
        None => whole,
        Some(zero) => {
            let zero = layout.spread(c, zero, x)?;
            let zero = c.cast(zero, DType::F32)?;
            c.binary(BinaryOp::Add, whole, zero)?
        }
    };
    Ok(vec![c.saturated(moved, to)?])
}

/// x / scale in a type that rounds by itself. Its zero point is 0, whatever it is given as.
fn small_floats(c: &mut Call<'_, '_>, [x, scale]: [ValueId; 2], to: DType) -> Built {
    let quotient = c.binary(BinaryOp::Div, x, scale)?;
    let saturate = c.attributes().int_or("saturate", 1)? != 0;
    Ok(vec![if saturate { c.small_float(quotient, to)? } else { c.cast(quotient, to)? }])
}

/// (x − zero point) · scale
fn dequantize(c: &mut Call<'_, '_>) -> Built {
    let (x, scale) = (c.input(0)?, c.input(1)?);
    let to = match named_type(c, "output_dtype")? {
        Some(named) => named,
        None => c.dtype(scale)?,
    };
    let layout = Layout::of(c, x)?;
    let compute = if to == DType::F64 { DType::F64 } else { DType::F32 };
    let mut number = c.cast(x, compute)?;
    if let Some(zero) = c.optional(2)? {
        let zero = layout.spread(c, zero, x)?;
        let zero = c.cast(zero, compute)?;
        number = c.binary(BinaryOp::Sub, number, zero)?;
    }
    let scale = layout.spread(c, scale, x)?;
    let scale = c.cast(scale, compute)?;
    let y = c.binary(BinaryOp::Mul, number, scale)?;
    Ok(vec![c.cast(y, to)?])
}

/// To u8 by the range of the elements, which always holds 0.
fn dynamic(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let (low, high) = (c.reduce_all(ReduceOp::Min, x)?, c.reduce_all(ReduceOp::Max, x)?);
    let (low, high) = (c.with(BinaryOp::Min, low, 0.0)?, c.with(BinaryOp::Max, high, 0.0)?);
    let span = c.binary(BinaryOp::Sub, high, low)?;
    let (none, one) = (c.binary(BinaryOp::Equal, high, low)?, c.scalar_like(x, 1.0)?);
    let span = c.select(none, one, span)?;
    let scale = shared(c, span, 255.0)?;
    let below = c.unary(UnaryOp::Neg, low)?;
    let zero = rounded_quotient(c, below, scale)?;
    let zero = c.with(BinaryOp::Min, zero, 255.0)?;
    let whole = rounded_quotient(c, x, scale)?;
    let moved = c.binary(BinaryOp::Add, whole, zero)?;
    Ok(vec![c.saturated(moved, DType::U8)?, scale, c.cast(zero, DType::U8)?])
}

/// The type that an attribute names; 0 is none.
fn named_type(c: &Call<'_, '_>, name: &str) -> Result<Option<DType>, String> {
    match c.attributes().int_or(name, 0)? {
        0 => Ok(None),
        number => crate::tensor::dtype(i32::try_from(number).unwrap_or(-1)).map(Some),
    }
}

/// The quotient rounded to a whole number, halves to even; beyond 2¹⁸ it is that. Devices need not divide exactly, and a
/// half that is missed by a bit ends on the wrong side, but the remainder is exact everywhere: `(x − rest) / by` is whole,
/// and how far the quotient is from the half beyond it, `(rest ∓ by / 2) / by`, is right to its last bits.
fn rounded_quotient(c: &mut Call<'_, '_>, x: ValueId, by: ValueId) -> Step {
    let (high, low) = (c.with(BinaryOp::Mul, by, LIMIT)?, c.with(BinaryOp::Mul, by, -LIMIT)?);
    let x = c.clamped(x, low, high)?;
    let rest = c.binary(BinaryOp::Mod, x, by)?;
    let multiple = c.binary(BinaryOp::Sub, x, rest)?;
    let whole = c.binary(BinaryOp::Div, multiple, by)?;
    let whole = c.unary(UnaryOp::Round, whole)?;
    let sign = c.unary(UnaryOp::Sign, rest)?;
    let middle = c.with(BinaryOp::Mul, sign, 0.5)?;
    let half = c.binary(BinaryOp::Mul, middle, by)?;
    let off = c.binary(BinaryOp::Sub, rest, half)?;
    let off = c.binary(BinaryOp::Div, off, by)?;
    let middle = c.binary(BinaryOp::Add, whole, middle)?;
    let quotient = c.binary(BinaryOp::Add, middle, off)?;
    c.unary(UnaryOp::Round, quotient)
}

/// Quotients beyond it are clamped: with a zero point they lie outside every type that is quantised to.
const LIMIT: f64 = (1 << 18) as f64;

/// `x / count` rounded right, whatever the device's division is worth: it is improved by what it leaves of `x`, which the
/// remainder by the quotient gives exactly.
fn shared(c: &mut Call<'_, '_>, x: ValueId, count: f64) -> Step {
    let near = c.with(BinaryOp::Div, x, count)?;
    let rest = c.binary(BinaryOp::Mod, x, near)?;
    let (half, under) = (c.with(BinaryOp::Mul, near, 0.5)?, c.binary(BinaryOp::Sub, rest, near)?);
    let over = c.binary(BinaryOp::Greater, rest, half)?;
    let left = c.select(over, under, rest)?;
    let more = c.with(BinaryOp::Div, left, count)?;
    c.binary(BinaryOp::Add, near, more)
}

/// Which elements share a scale.
struct Layout {
    axis: i64,
    /// Elements along the axis that share one; 0: all others do.
    block: i64,
}

impl Layout {
    fn of(c: &Call<'_, '_>, x: ValueId) -> Result<Self, String> {
        let block = c.attributes().int_or("block_size", 0)?;
        if block < 0 {
            return Err(format!("attribute `block_size` is {block}, but must be at least 0"));
        }
        let (rank, axis) = (c.rank(x)?, c.attributes().int_or("axis", 1)?);
        // Without an axis of its own a tensor has one scale.
        let axis = if rank < 2 && axis == 1 { 0 } else { axis };
        let axis = bayplan_graph::axis(axis, rank.max(1)).map_err(|e| e.to_string())?;
        Ok(Self { axis: axis as i64, block })
    }

    /// Scales or zero points in a shape that broadcasts over `x`.
    fn spread(&self, c: &mut Call<'_, '_>, list: ValueId, x: ValueId) -> Step {
        let (rank, own) = (c.rank(x)? as i64, c.rank(list)? as i64);
        match own {
            0 => Ok(list),
            1 if c.size(list, 0)? == Some(1) => c.squeeze(list, &[0]),
            _ if self.block > 0 && own == rank => {
                let each = c.repeated(list, self.axis as usize, self.block)?;
                // The last block may be shorter.
                let end = c.dim(x, self.axis as usize)?;
                let (start, axis, step) = (c.ints(&[0])?, c.ints(&[self.axis])?, c.ints(&[1])?);
                c.emit(Op::Slice, &[each, start, end, axis, step])
            }
            1 if self.block == 0 => {
                let others: Vec<i64> = (0..rank).filter(|&axis| axis != self.axis).collect();
                c.unsqueeze(list, &others)
            }
            _ => Err(format!(
                "scales of rank {own} do not fit an input of rank {rank} in blocks of {}",
                self.block
            )),
        }
    }
}
