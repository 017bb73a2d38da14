//! Windows and filter banks of signal processing.

use core::f64::consts::{LN_10, PI};

use bayplan_graph::op::{BinaryOp, UnaryOp};
use bayplan_graph::{DType, ValueId};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("BlackmanWindow", 17, |c| cosines(c, &[0.42, -0.5, 0.08])).says(&[0]),
    Row::new("HammingWindow", 17, |c| cosines(c, &[25.0 / 46.0, -21.0 / 46.0])).says(&[0]),
    // sin²(πn / N) = ½ − ½ · cos(2πn / N)
    Row::new("HannWindow", 17, |c| cosines(c, &[0.5, -0.5])).says(&[0]),
    Row::new("MelWeightMatrix", 17, mel_weights).says(&[0, 1]),
];

type Step = Result<ValueId, String>;

/// The type that the node wants, and the one to compute it in.
fn types(c: &Call<'_, '_>) -> Result<(DType, DType), String> {
    let number = c.attributes().int_or("output_datatype", 1)?;
    let wanted = crate::tensor::dtype(i32::try_from(number).unwrap_or(-1))?;
    Ok((wanted, if wanted == DType::F64 { DType::F64 } else { DType::F32 }))
}

/// Σ weight[i] · cos(2π · i · n / N) for n below a size; N is the size, or one less for a symmetric window.
fn cosines(c: &mut Call<'_, '_>, weights: &[f64]) -> Built {
    let size = c.input(0)?;
    let (wanted, float) = types(c)?;
    let size = c.cast(size, DType::I64)?;
    let size = c.reshape_to(size, &[1])?;
    let places = c.positions(size)?;
    let places = c.cast(places, float)?;
    let period =
        if c.attributes().flag("periodic", true)? { size } else { c.with(BinaryOp::Sub, size, 1.0)? };
    let period = c.cast(period, float)?;
    let mut sum = c.scalar(float, weights[0])?;
    for (i, &weight) in weights.iter().enumerate().skip(1) {
        let angle = c.with(BinaryOp::Mul, places, 2.0 * PI * i as f64)?;
        let angle = c.binary(BinaryOp::Div, angle, period)?;
        let wave = c.unary(UnaryOp::Cos, angle)?;
        let wave = c.with(BinaryOp::Mul, wave, weight)?;
        sum = c.binary(BinaryOp::Add, sum, wave)?;
    }
    Ok(vec![c.cast(sum, wanted)?])
}

/// Triangles over the bins of a spectrum, one for each mel band, whose corners are evenly spaced in mel:
///
/// ```text
///  corners b₀ … bₙ₊₁ (bins)      band i:   rises from bᵢ to 1 at bᵢ₊₁, falls to 0 at bᵢ₊₂
/// ```
///
/// The numbers of bands and bins decide the shape; the rates and edges are data.
fn mel_weights(c: &mut Call<'_, '_>) -> Built {
    let (wanted, float) = types(c)?;
    let (bands, length) = (scalar(c, 0, DType::I64)?, scalar(c, 1, DType::I64)?);
    let (rate, low, high) = (scalar(c, 2, float)?, scalar(c, 3, float)?, scalar(c, 4, float)?);
    let (low, high) = (mel(c, low)?, mel(c, high)?);
    let corners = c.with(BinaryOp::Add, bands, 2.0)?;
    let range = c.binary(BinaryOp::Sub, high, low)?;
    let count = c.cast(corners, float)?;
    let step = c.binary(BinaryOp::Div, range, count)?;
    let places = c.positions(corners)?;
    let places = c.cast(places, float)?;
    let mels = c.binary(BinaryOp::Mul, places, step)?;
    let mels = c.binary(BinaryOp::Add, mels, low)?;
    let bins = bins(c, mels, length, rate)?;
    let bins_of_spectrum = c.with(BinaryOp::Div, length, 2.0)?;
    let bins_of_spectrum = c.with(BinaryOp::Add, bins_of_spectrum, 1.0)?;
    let rows = c.positions(bins_of_spectrum)?;
    let rows = c.cast(rows, float)?;
    let rows = c.unsqueeze(rows, &[1])?;
    let (left, centre, right) =
        (c.cut(bins, 0, 0, -2)?, c.cut(bins, 0, 1, -1)?, c.cut(bins, 0, 2, i64::MAX)?);
    let rising = slope(c, (rows, left), (centre, left))?;
    let falling = slope(c, (right, rows), (right, centre))?;
    let (zero, one) = (c.scalar(float, 0.0)?, c.scalar(float, 1.0)?);
    let (before, after) =
        (c.binary(BinaryOp::Less, rows, centre)?, c.binary(BinaryOp::Greater, rows, centre)?);
    let (inside_left, inside_right) =
        (c.binary(BinaryOp::GreaterOrEqual, rows, left)?, c.binary(BinaryOp::Less, rows, right)?);
    let rising = c.select(inside_left, rising, zero)?;
    let falling = c.select(inside_right, falling, zero)?;
    let top = c.select(after, falling, one)?;
    let y = c.select(before, rising, top)?;
    Ok(vec![c.cast(y, wanted)?])
}

/// An operand of one element, as a list.
fn scalar(c: &mut Call<'_, '_>, input: usize, dtype: DType) -> Step {
    let x = c.input(input)?;
    let x = c.cast(x, dtype)?;
    c.reshape_to(x, &[1])
}

/// 2595 · log₁₀(1 + f / 700)
fn mel(c: &mut Call<'_, '_>, hertz: ValueId) -> Step {
    let part = c.with(BinaryOp::Div, hertz, 700.0)?;
    let more = c.with(BinaryOp::Add, part, 1.0)?;
    let log = c.unary(UnaryOp::Log, more)?;
    c.with(BinaryOp::Mul, log, 2595.0 / LN_10)
}

/// The bins of a spectrum of a length that frequencies in mel lie in: ⌊(length + 1) · f / rate⌋.
fn bins(c: &mut Call<'_, '_>, mels: ValueId, length: ValueId, rate: ValueId) -> Step {
    let exponent = c.with(BinaryOp::Mul, mels, LN_10 / 2595.0)?;
    let power = c.unary(UnaryOp::Exp, exponent)?;
    let less = c.with(BinaryOp::Sub, power, 1.0)?;
    let hertz = c.with(BinaryOp::Mul, less, 700.0)?;
    let (dtype, more) = (c.dtype(mels)?, c.with(BinaryOp::Add, length, 1.0)?);
    let more = c.cast(more, dtype)?;
    let scaled = c.binary(BinaryOp::Mul, hertz, more)?;
    let ratio = c.binary(BinaryOp::Div, scaled, rate)?;
    c.unary(UnaryOp::Floor, ratio)
}

/// (a − b) / (c − d)
fn slope(c: &mut Call<'_, '_>, above: (ValueId, ValueId), below: (ValueId, ValueId)) -> Step {
    let above = c.binary(BinaryOp::Sub, above.0, above.1)?;
    let below = c.binary(BinaryOp::Sub, below.0, below.1)?;
    c.binary(BinaryOp::Div, above, below)
}
