//! Products of quantised integers: exact sums in i32, which scales turn into another quantised type.

use bayplan_graph::op::{BinaryOp, UnaryOp};
use bayplan_graph::{DType, Op, ValueId};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("ConvInteger", 10, conv_integer),
    Row::new("MatMulInteger", 10, matmul_integer),
    Row::new("QLinearConv", 10, qlinear_conv),
    Row::new("QLinearMatMul", 10, qlinear_matmul),
];

type Step = Result<ValueId, String>;

fn matmul_integer(c: &mut Call<'_, '_>) -> Built {
    let (a, b) = (c.input(0)?, c.input(1)?);
    let (a_zero, b_zero) = (c.optional(2)?, c.optional(3)?);
    let a_zero = a_zero.map(|zero| by_row(c, zero)).transpose()?;
    let (a, b) = (centered(c, a, a_zero)?, centered(c, b, b_zero)?);
    Ok(vec![c.emit(Op::MatMul, &[a, b])?])
}

fn qlinear_matmul(c: &mut Call<'_, '_>) -> Built {
    let (a, b) = (c.input(0)?, c.input(3)?);
    let (a_scale, a_zero) = (c.input(1)?, c.input(2)?);
    let (b_scale, b_zero) = (c.input(4)?, c.input(5)?);
    let (a_scale, a_zero) = (by_row(c, a_scale)?, by_row(c, a_zero)?);
    let (a, b) = (centered(c, a, Some(a_zero))?, centered(c, b, Some(b_zero))?);
    let sums = c.emit(Op::MatMul, &[a, b])?;
    let (y_scale, y_zero) = (c.input(6)?, c.input(7)?);
    let factor = factor(c, [a_scale, b_scale, y_scale])?;
    Ok(vec![requantized(c, sums, factor, y_zero)?])
}

fn conv_integer(c: &mut Call<'_, '_>) -> Built {
    let (x, w) = (c.input(0)?, c.input(1)?);
    let zeros = [c.optional(2)?, c.optional(3)?];
    Ok(vec![convolved(c, [x, w], zeros)?])
}

fn qlinear_conv(c: &mut Call<'_, '_>) -> Built {
    let (x, w) = (c.input(0)?, c.input(3)?);
    let zeros = [Some(c.input(2)?), Some(c.input(5)?)];
    let spatial = c.rank(x)?.saturating_sub(2);
    let mut sums = convolved(c, [x, w], zeros)?;
    if let Some(bias) = c.optional(8)? {
        let bias = c.per_channel(bias, spatial)?;
        sums = c.binary(BinaryOp::Add, sums, bias)?;
    }
    let (x_scale, w_scale) = (c.input(1)?, c.input(4)?);
    let w_scale = if c.rank(w_scale)? == 1 { c.per_channel(w_scale, spatial)? } else { w_scale };
    let (y_scale, y_zero) = (c.input(6)?, c.input(7)?);
    let factor = factor(c, [x_scale, w_scale, y_scale])?;
    Ok(vec![requantized(c, sums, factor, y_zero)?])
}

/// Padding counts as the zero point, so that it is 0 once that is subtracted. A zero point of the weight may be one for each
/// filter.
fn convolved(c: &mut Call<'_, '_>, [x, w]: [ValueId; 2], zeros: [Option<ValueId>; 2]) -> Step {
    let weight = c.shape(w)?;
    let kernel = c.kernel(&weight)?;
    let (window, groups) = (c.window(kernel)?, c.groups()?);
    let filters = match zeros[1] {
        Some(zero) if c.rank(zero)? == 1 => {
            let others: Vec<i64> = (1..weight.len() as i64).collect();
            Some(c.unsqueeze(zero, &others)?)
        }
        other => other,
    };
    let (x, w) = (centered(c, x, zeros[0])?, centered(c, w, filters)?);
    c.convolved(&window, groups, x, w)
}

/// A list of more than one is one for each row of the left operand.
fn by_row(c: &mut Call<'_, '_>, list: ValueId) -> Step {
    if c.rank(list)? == 1 && c.size(list, 0)? != Some(1) { c.unsqueeze(list, &[1]) } else { Ok(list) }
}

/// x − zero point, as i32.
fn centered(c: &mut Call<'_, '_>, x: ValueId, zero: Option<ValueId>) -> Step {
    let x = c.cast(x, DType::I32)?;
    let Some(zero) = zero else { return Ok(x) };
    let zero = c.cast(zero, DType::I32)?;
    c.binary(BinaryOp::Sub, x, zero)
}

/// What sums of products are multiplied by, a · b / y: in the type of the scales.
fn factor(c: &mut Call<'_, '_>, [a, b, y]: [ValueId; 3]) -> Step {
    let product = c.binary(BinaryOp::Mul, a, b)?;
    let factor = c.binary(BinaryOp::Div, product, y)?;
    c.cast(factor, DType::F32)
}

/// round(sums · factor) + zero point, within the range of the zero point's type.
fn requantized(c: &mut Call<'_, '_>, sums: ValueId, factor: ValueId, zero: ValueId) -> Step {
    let (sums, to) = (c.cast(sums, DType::F32)?, c.dtype(zero)?);
    let scaled = c.binary(BinaryOp::Mul, sums, factor)?;
    let whole = c.unary(UnaryOp::Round, scaled)?;
    let zero = c.cast(zero, DType::F32)?;
    let moved = c.binary(BinaryOp::Add, whole, zero)?;
    c.saturated(moved, to)
}
