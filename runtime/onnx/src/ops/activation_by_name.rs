//! Activations that the attributes of recurrent operators name.

use bayplan_graph::ValueId;
use bayplan_graph::op::{BinaryOp, UnaryOp};

use super::activation::{hard, sloped, softsign};
use crate::builder::Call;

/// An activation with its numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Activation {
    Plain(UnaryOp),
    Softsign,
    /// α · x + β
    Affine(f64, f64),
    /// α · x below 0
    LeakyRelu(f64),
    /// x above α, else 0
    ThresholdedRelu(f64),
    /// α · tanh(β · x)
    ScaledTanh(f64, f64),
    /// min(max(α · x + β, 0), 1)
    HardSigmoid(f64, f64),
    /// α · (eˣ − 1) below 0
    Elu(f64),
}

impl Activation {
    /// The activation of a name; those that have numbers take the next ones of the lists, or ONNX's defaults.
    pub(super) fn new(
        name: &str,
        alphas: &mut impl Iterator<Item = f32>,
        betas: &mut impl Iterator<Item = f32>,
    ) -> Result<Self, String> {
        let mut alpha = |default: f32| f64::from(alphas.next().unwrap_or(default));
        let mut beta = |default: f32| f64::from(betas.next().unwrap_or(default));
        Ok(match name.to_ascii_lowercase().as_str() {
            "relu" => Self::Plain(UnaryOp::Relu),
            "sigmoid" => Self::Plain(UnaryOp::Sigmoid),
            "softplus" => Self::Plain(UnaryOp::Softplus),
            "tanh" => Self::Plain(UnaryOp::Tanh),
            "softsign" => Self::Softsign,
            "affine" => Self::Affine(alpha(1.0), beta(0.0)),
            "leakyrelu" => Self::LeakyRelu(alpha(0.01)),
            "thresholdedrelu" => Self::ThresholdedRelu(alpha(1.0)),
            "scaledtanh" => Self::ScaledTanh(alpha(1.0), beta(1.0)),
            "hardsigmoid" => Self::HardSigmoid(alpha(0.2), beta(0.5)),
            "elu" => Self::Elu(alpha(1.0)),
            _ => return Err(format!("activation `{name}` is not known")),
        })
    }

    pub(super) fn of(self, c: &mut Call<'_, '_>, x: ValueId) -> Result<ValueId, String> {
        match self {
            Self::Plain(op) => c.unary(op, x),
            Self::Softsign => softsign(c, x),
            Self::Affine(alpha, beta) => {
                let scaled = c.with(BinaryOp::Mul, x, alpha)?;
                c.with(BinaryOp::Add, scaled, beta)
            }
            Self::LeakyRelu(alpha) => {
                let slope = c.scalar_like(x, alpha)?;
                sloped(c, x, slope)
            }
            Self::ThresholdedRelu(alpha) => {
                let (above, zero) = (c.with(BinaryOp::Greater, x, alpha)?, c.scalar_like(x, 0.0)?);
                c.select(above, x, zero)
            }
            Self::ScaledTanh(alpha, beta) => {
                let scaled = c.with(BinaryOp::Mul, x, beta)?;
                let bent = c.unary(UnaryOp::Tanh, scaled)?;
                c.with(BinaryOp::Mul, bent, alpha)
            }
            Self::HardSigmoid(alpha, beta) => hard(c, x, alpha, beta),
            Self::Elu(alpha) => {
                let (below, power) = (c.with(BinaryOp::Less, x, 0.0)?, c.unary(UnaryOp::Exp, x)?);
                let less = c.with(BinaryOp::Sub, power, 1.0)?;
                let bent = c.with(BinaryOp::Mul, less, alpha)?;
                c.select(below, bent, x)
            }
        }
    }
}
