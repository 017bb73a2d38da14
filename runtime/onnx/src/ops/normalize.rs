//! Normalisation.

use bayplan_graph::op::{BinaryOp, F32Bits, Keep, Pads, PoolKind, ReduceOp, UnaryOp, ViewOp, Window};
use bayplan_graph::{Op, ValueId};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("BatchNormalization", 7, batch),
    Row::new("GroupNormalization", 18, group),
    Row::new("InstanceNormalization", 7, instance),
    Row::new("LayerNormalization", 17, |c| layer(c, true)),
    Row::new("LRN", 7, local_response),
    Row::new("MeanVarianceNormalization", 9, mean_variance),
    Row::new("RMSNormalization", 23, |c| layer(c, false)),
];

/// x · s + b with s = scale / √(variance + ε) and b = bias − mean · s, both on [c]: where the four are weights, what
/// is computed from them is the same at every run.
///
/// In training mean and variance are those of the batch, and the node gives the running ones too:
/// momentum · before + (1 − momentum) · of the batch.
pub(super) fn batch(c: &mut Call<'_, '_>) -> Built {
    if c.opset() < 9 && !c.attributes().flag("spatial", true)? {
        return Err("only normalisation per channel is supported; export the model with spatial=1".to_owned());
    }
    let (x, scale, bias, mean, variance) = (c.input(0)?, c.input(1)?, c.input(2)?, c.input(3)?, c.input(4)?);
    if !c.attributes().flag("training_mode", false)? {
        return Ok(vec![by_channel(c, x, scale, bias, (mean, variance))?]);
    }
    let axes: Vec<i64> = (0..c.rank(x)? as i64).filter(|&axis| axis != 1).collect();
    let own = moments(c, x, &axes)?;
    let channels = [own.0, own.1].map(|moment| {
        let moment = c.squeeze(moment, &axes)?;
        let dtype = c.dtype(mean)?;
        c.cast(moment, dtype)
    });
    let [own_mean, own_variance] = channels;
    let own = (own_mean?, own_variance?);
    let momentum = f64::from(c.attributes().float_or("momentum", 0.9)?);
    let mut running = |before: ValueId, now: ValueId| {
        let (before, now) =
            (c.with(BinaryOp::Mul, before, momentum)?, c.with(BinaryOp::Mul, now, 1.0 - momentum)?);
        c.binary(BinaryOp::Add, before, now)
    };
    let (running_mean, running_variance) = (running(mean, own.0)?, running(variance, own.1)?);
    Ok(vec![by_channel(c, x, scale, bias, own)?, running_mean, running_variance])
}

fn by_channel(
    c: &mut Call<'_, '_>,
    x: ValueId,
    scale: ValueId,
    bias: ValueId,
    (mean, variance): (ValueId, ValueId),
) -> Result<ValueId, String> {
    let epsilon = c.attributes().float_or("epsilon", 1e-5)?;
    let spread = c.with(BinaryOp::Add, variance, epsilon.into())?;
    let deviation = c.unary(UnaryOp::Sqrt, spread)?;
    let s = c.binary(BinaryOp::Div, scale, deviation)?;
    let moved = c.binary(BinaryOp::Mul, mean, s)?;
    let b = c.binary(BinaryOp::Sub, bias, moved)?;
    let spatial = c.rank(x)?.saturating_sub(2);
    Ok(affine(c, x, s, b, spatial)?[0])
}

/// Mean and population variance over axes, which both keep as dimensions of size 1.
pub(super) fn moments(c: &mut Call<'_, '_>, x: ValueId, axes: &[i64]) -> Result<(ValueId, ValueId), String> {
    let mean = c.reduce(ReduceOp::Mean, x, axes, Keep::Dims)?;
    let centred = c.binary(BinaryOp::Sub, x, mean)?;
    let square = c.binary(BinaryOp::Mul, centred, centred)?;
    Ok((mean, c.reduce(ReduceOp::Mean, square, axes, Keep::Dims)?))
}

/// (x − mean) / (deviation + 10⁻⁹), by default per channel of an image.
fn mean_variance(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let axes = c.attributes().ints("axes")?.unwrap_or(&[0, 2, 3]).to_vec();
    let (mean, variance) = moments(c, x, &axes)?;
    let deviation = c.unary(UnaryOp::Sqrt, variance)?;
    let divisor = c.with(BinaryOp::Add, deviation, 1e-9)?;
    let centred = c.binary(BinaryOp::Sub, x, mean)?;
    Ok(vec![c.binary(BinaryOp::Div, centred, divisor)?])
}

/// x · scale + shift, per channel.
fn affine(c: &mut Call<'_, '_>, x: ValueId, scale: ValueId, shift: ValueId, spatial: usize) -> Built {
    let (scale, shift) = (c.per_channel(scale, spatial)?, c.per_channel(shift, spatial)?);
    let y = c.binary(BinaryOp::Mul, x, scale)?;
    Ok(vec![c.binary(BinaryOp::Add, y, shift)?])
}

fn core(c: &mut Call<'_, '_>, x: ValueId, axis: i64, center: bool) -> Result<ValueId, String> {
    let epsilon = F32Bits::new(c.attributes().float_or("epsilon", 1e-5)?);
    c.emit(Op::Normalize { axis, epsilon, center }, &[x])
}

fn layer(c: &mut Call<'_, '_>, center: bool) -> Built {
    let (x, scale) = (c.input(0)?, c.input(1)?);
    let axis = c.attributes().int_or("axis", -1)?;
    let y = core(c, x, axis, center)?;
    let y = c.binary(BinaryOp::Mul, y, scale)?;
    let y = match if center { c.optional(2)? } else { None } {
        Some(bias) => c.binary(BinaryOp::Add, y, bias)?,
        None => y,
    };
    if !(c.wants(1) || c.wants(2)) {
        return Ok(vec![y]);
    }
    // What the kernel uses within; these outputs are rare, and computed by themselves.
    let rank = c.rank(x)?;
    let first = bayplan_graph::axis(axis, rank).map_err(|e| e.to_string())? as i64;
    let stash = c.attributes().int_or("stash_type", 1)?;
    let stash = crate::tensor::dtype(i32::try_from(stash).unwrap_or(-1))?;
    let x = c.cast(x, stash)?;
    let axes: Vec<i64> = (first..rank as i64).collect();
    let (mean, variance) = moments(c, x, &axes)?;
    let epsilon = c.attributes().float_or("epsilon", 1e-5)?;
    let spread = c.with(BinaryOp::Add, variance, epsilon.into())?;
    let deviation = c.unary(UnaryOp::Sqrt, spread)?;
    Ok(vec![y, mean, c.unary(UnaryOp::Reciprocal, deviation)?])
}

fn instance(c: &mut Call<'_, '_>) -> Built {
    let (x, scale, bias) = (c.input(0)?, c.input(1)?, c.input(2)?);
    let spatial = c.rank(x)?.saturating_sub(2);
    let y = core(c, x, 2, true)?;
    affine(c, y, scale, bias, spatial)
}

/// Scale and bias are per group before opset 21, then per channel.
fn group(c: &mut Call<'_, '_>) -> Built {
    let (x, scale, bias) = (c.input(0)?, c.input(1)?, c.input(2)?);
    let groups = c.attributes().int("num_groups")?.ok_or("attribute `num_groups` is missing")?;
    let target = c.ints(&[0, groups, -1])?;
    let grouped = c.emit(Op::View(ViewOp::Reshape { allow_zero: false }), &[x, target])?;
    let y = core(c, grouped, 2, true)?;
    if c.opset() < 21 {
        let y = affine(c, y, scale, bias, 1)?[0];
        return Ok(vec![c.like(y, x)?]);
    }
    let y = c.like(y, x)?;
    let spatial = c.rank(x)?.saturating_sub(2);
    affine(c, y, scale, bias, spatial)
}

/// x / (bias + alpha / size · Σ x²)^beta, the sum over `size` neighbouring channels. The mean over a window of channels
/// that counts the padding is that sum divided by `size`.
fn local_response(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let a = c.attributes();
    let size = a.int("size")?.and_then(|v| usize::try_from(v).ok()).filter(|v| (1..=1 << 16).contains(v));
    let size = size.ok_or("attribute `size` must be a number from 1 to 65536")?;
    let (alpha, beta, bias) =
        (a.float_or("alpha", 1e-4)?, a.float_or("beta", 0.75)?, a.float_or("bias", 1.0)?);
    let square = c.binary(BinaryOp::Mul, x, x)?;
    // [n, c, spatial…] as images [n, 1, c, area], so that channels are a spatial axis.
    let one = c.ints(&[1])?;
    let images = c.emit(Op::View(ViewOp::Unsqueeze), &[square, one])?;
    let target = c.ints(&[0, 0, 0, -1])?;
    let images = c.emit(Op::View(ViewOp::Reshape { allow_zero: false }), &[images, target])?;
    let before = ((size - 1) / 2) as i64;
    let pads = Pads::Explicit(vec![before, 0, size as i64 - 1 - before, 0]);
    let window =
        Window { kernel: vec![size, 1], strides: vec![1, 1], dilations: vec![1, 1], pads, ceil: false };
    let mean = c.emit(Op::Pool(PoolKind::Average { count_pad: true }, window), &[images])?;
    let mean = c.like(mean, x)?;
    let scaled = c.with(BinaryOp::Mul, mean, alpha.into())?;
    let sum = c.with(BinaryOp::Add, scaled, bias.into())?;
    let divisor = c.with(BinaryOp::Pow, sum, beta.into())?;
    Ok(vec![c.binary(BinaryOp::Div, x, divisor)?])
}
