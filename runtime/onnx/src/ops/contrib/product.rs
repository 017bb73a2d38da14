//! Matrix products: with transposed operands, and with weights of a few bits.

use bayplan_graph::op::BinaryOp;
use bayplan_graph::{DType, Op, Tensor, ValueId};

use super::super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[Row::new("FusedMatMul", 1, fused), Row::new("MatMulNBits", 1, of_few_bits)];

type Step = Result<ValueId, String>;

/// alpha · A' · B'
fn fused(c: &mut Call<'_, '_>) -> Built {
    let (a, b) = (c.input(0)?, c.input(1)?);
    let a = turned(c, a, "transA", "transBatchA")?;
    let b = turned(c, b, "transB", "transBatchB")?;
    let product = c.emit(Op::MatMul, &[a, b])?;
    let alpha = c.attributes().float_or("alpha", 1.0)?;
    Ok(vec![if alpha == 1.0 { product } else { c.with(BinaryOp::Mul, product, alpha.into())? }])
}

/// An operand whose first axis goes behind the batch, and whose last two change places, where the attributes say so.
fn turned(c: &mut Call<'_, '_>, x: ValueId, last: &str, batch: &str) -> Step {
    let rank = c.rank(x)?;
    let mut order: Vec<usize> = (0..rank).collect();
    if rank < 2 {
        return Ok(x);
    }
    if c.attributes().flag(batch, false)? {
        order[..rank - 1].rotate_left(1);
    }
    if c.attributes().flag(last, false)? {
        order.swap(rank - 2, rank - 1);
    }
    c.permute(x, &order)
}

/// How weights are packed: rows of blocks, each with a scale and a zero point.
struct Packed {
    bits: i64,
    block: i64,
    /// Outputs of the product.
    rows: i64,
    /// Elements of a row.
    columns: i64,
}

impl Packed {
    fn of(c: &Call<'_, '_>) -> Result<Self, String> {
        let a = c.attributes();
        let given = |name: &str| {
            let value = a.int(name)?.filter(|value| (1..=1 << 30).contains(value));
            value.ok_or_else(|| format!("attribute `{name}` must be a number from 1 to 2^30"))
        };
        let (rows, columns, block) = (given("N")?, given("K")?, given("block_size")?);
        let bits = a.int_or("bits", 4)?;
        if !matches!(bits, 2 | 4 | 8) || block * bits % 8 != 0 {
            return Err(format!(
                "blocks of {block} elements of {bits} bits are not supported; use 2, 4 or 8 bits"
            ));
        }
        Ok(Self { bits, block, rows, columns })
    }

    /// Blocks of a row.
    const fn blocks(&self) -> i64 {
        (self.columns + self.block - 1) / self.block
    }

    /// Bytes as elements along a new last axis, the lowest bits first.
    fn elements(&self, c: &mut Call<'_, '_>, bytes: ValueId) -> Step {
        if self.bits == 8 {
            let axis = c.rank(bytes)? as i64;
            return c.unsqueeze(bytes, &[axis]);
        }
        let axis = c.rank(bytes)? as i64;
        let bytes = c.unsqueeze(bytes, &[axis])?;
        let shifts: Vec<f64> = (0..8 / self.bits).map(|i| (i * self.bits) as f64).collect();
        let shifts = Tensor::from_f64(DType::U8, vec![shifts.len()], &shifts).map_err(|e| e.to_string())?;
        let shifts = c.builder.constant(&shifts)?;
        let moved = c.binary(BinaryOp::Shr, bytes, shifts)?;
        c.with(BinaryOp::And, moved, f64::from((1 << self.bits) - 1))
    }

    /// The zero point of each block [rows, blocks, 1]: packed as the weights are, or as floats, or the middle.
    fn zeros(&self, c: &mut Call<'_, '_>, given: Option<ValueId>, dtype: DType) -> Step {
        let Some(given) = given else { return c.scalar(dtype, f64::from(1 << (self.bits - 1))) };
        let zeros = if c.dtype(given)? == DType::U8 {
            let bytes = (self.blocks() * self.bits + 7) / 8;
            let packed = c.reshape_to(given, &[self.rows, bytes])?;
            let all = self.elements(c, packed)?;
            let all = c.reshape_to(all, &[self.rows, bytes * (8 / self.bits)])?;
            let all = c.cut(all, 1, 0, self.blocks())?;
            c.cast(all, dtype)?
        } else {
            given
        };
        c.reshape_to(zeros, &[self.rows, self.blocks(), 1])
    }
}

/// A · Wᵀ + bias with W [n, k] = (element − zero point) · scale, block by block. W follows from weights alone: where
/// those are constants it is made once, when they are loaded.
fn of_few_bits(c: &mut Call<'_, '_>) -> Built {
    let (a, bytes, scales) = (c.input(0)?, c.input(1)?, c.input(2)?);
    let packed = Packed::of(c)?;
    if c.optional(4)?.is_some() || c.attributes().int_or("weight_prepacked", 0)? != 0 {
        return Err("columns in groups (g_idx) and prepacked weights are not supported".to_owned());
    }
    let (zeros, dtype) = (c.optional(3)?, c.dtype(scales)?);
    let (rows, blocks) = (packed.rows, packed.blocks());
    let bytes = c.reshape_to(bytes, &[rows, blocks, packed.block * packed.bits / 8])?;
    let elements = packed.elements(c, bytes)?;
    let elements = c.reshape_to(elements, &[rows, blocks, packed.block])?;
    let elements = c.cast(elements, dtype)?;
    let zeros = packed.zeros(c, zeros, dtype)?;
    let centred = c.binary(BinaryOp::Sub, elements, zeros)?;
    let scales = c.reshape_to(scales, &[rows, blocks, 1])?;
    let weights = c.binary(BinaryOp::Mul, centred, scales)?;
    let weights = c.reshape_to(weights, &[rows, blocks * packed.block])?;
    let weights =
        if blocks * packed.block == packed.columns { weights } else { c.cut(weights, 1, 0, packed.columns)? };
    let weights = c.permute(weights, &[1, 0])?;
    let own = c.dtype(a)?;
    let weights = c.cast(weights, own)?;
    let y = c.emit(Op::MatMul, &[a, weights])?;
    Ok(vec![match c.optional(5)? {
        Some(bias) => c.binary(BinaryOp::Add, y, bias)?,
        None => y,
    }])
}
