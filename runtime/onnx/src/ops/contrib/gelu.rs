//! Gaussian error linear units and their approximations.

use bayplan_graph::ValueId;
use bayplan_graph::op::BinaryOp;

use super::super::Row;
use super::super::activation::{gelu, gelu_by_tanh, swish};
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("BiasGelu", 1, |c| {
        let x = sum(c)?;
        Ok(vec![gelu(c, x)?])
    }),
    Row::new("FastGelu", 1, |c| {
        let x = sum(c)?;
        Ok(vec![gelu_by_tanh(c, x)?])
    }),
    Row::new("Gelu", 1, |c| {
        let x = c.input(0)?;
        Ok(vec![gelu(c, x)?])
    }),
    Row::new("QuickGelu", 1, quick),
];

/// The operand with its bias, if it has one.
fn sum(c: &mut Call<'_, '_>) -> Result<ValueId, String> {
    let x = c.input(0)?;
    match c.optional(1)? {
        Some(bias) => c.binary(BinaryOp::Add, x, bias),
        None => Ok(x),
    }
}

/// x · sigmoid(alpha · x)
fn quick(c: &mut Call<'_, '_>) -> Built {
    let (x, alpha) = (c.input(0)?, c.attributes().float_or("alpha", 1.702)?);
    Ok(vec![swish(c, x, alpha.into())?])
}
