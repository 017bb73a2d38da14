//! Normalisation of a sum: a residual connection and the layer behind it in one.

use bayplan_graph::Op;
use bayplan_graph::ValueId;
use bayplan_graph::op::{BinaryOp, F32Bits, Keep, ReduceOp, UnaryOp};

use super::super::Row;
use super::super::normalize::moments;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("SkipLayerNormalization", 1, |c| skip(c, true)),
    Row::new("SkipSimplifiedLayerNormalization", 1, |c| skip(c, false)),
];

/// normalized(input + skip + bias) · gamma + beta over the last axis; the simplified form subtracts no mean and has no
/// beta. The sum is an output too.
fn skip(c: &mut Call<'_, '_>, center: bool) -> Built {
    let (x, skip, gamma) = (c.input(0)?, c.input(1)?, c.input(2)?);
    let (beta, bias) = if center { (c.optional(3)?, c.optional(4)?) } else { (None, c.optional(3)?) };
    let mut sum = c.binary(BinaryOp::Add, x, skip)?;
    if let Some(bias) = bias {
        sum = c.binary(BinaryOp::Add, sum, bias)?;
    }
    let epsilon = c.attributes().float_or("epsilon", 1e-12)?;
    let normal = Op::Normalize { axis: -1, epsilon: F32Bits::new(epsilon), center };
    let y = c.emit(normal, &[sum])?;
    let mut y = c.binary(BinaryOp::Mul, y, gamma)?;
    if let Some(beta) = beta {
        y = c.binary(BinaryOp::Add, y, beta)?;
    }
    let (mean, inverse) =
        if c.wants(1) || c.wants(2) { statistics(c, sum, epsilon, center)? } else { (y, y) };
    Ok(vec![y, mean, inverse, sum])
}

/// The mean of each row and the inverse of its deviation (of its root mean square, where the mean is not subtracted).
fn statistics(
    c: &mut Call<'_, '_>,
    x: ValueId,
    epsilon: f32,
    center: bool,
) -> Result<(ValueId, ValueId), String> {
    let (mean, spread) = if center {
        moments(c, x, &[-1])?
    } else {
        let square = c.binary(BinaryOp::Mul, x, x)?;
        let [mean, spread] = [x, square].map(|x| c.reduce(ReduceOp::Mean, x, &[-1], Keep::Dims));
        (mean?, spread?)
    };
    let spread = c.with(BinaryOp::Add, spread, epsilon.into())?;
    let deviation = c.unary(UnaryOp::Sqrt, spread)?;
    Ok((mean, c.unary(UnaryOp::Reciprocal, deviation)?))
}
