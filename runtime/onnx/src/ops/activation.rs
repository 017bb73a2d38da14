//! Activation functions, most of them made of arithmetic.

use bayplan_graph::op::{BinaryOp, UnaryOp};

use bayplan_graph::{DType, Op, ValueId};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("Relu", 7, |c| apply(c, UnaryOp::Relu)),
    Row::new("Sigmoid", 7, |c| apply(c, UnaryOp::Sigmoid)),
    Row::new("Softplus", 7, |c| apply(c, UnaryOp::Softplus)),
    Row::new("Tanh", 7, |c| apply(c, UnaryOp::Tanh)),
    Row::new("Celu", 12, celu),
    Row::new("Elu", 7, elu),
    Row::new("Gelu", 20, either_gelu),
    Row::new("HardSigmoid", 7, hard_sigmoid),
    Row::new("HardSwish", 14, hard_swish),
    Row::new("LeakyRelu", 7, leaky_relu),
    Row::new("LogSoftmax", 7, |c| softmax(c, true)),
    Row::new("Mish", 18, mish),
    Row::new("PRelu", 7, prelu),
    Row::new("Selu", 7, selu),
    Row::new("Shrink", 9, shrink),
    Row::new("Softmax", 7, |c| softmax(c, false)),
    Row::new("Softsign", 7, |c| {
        let x = c.input(0)?;
        Ok(vec![softsign(c, x)?])
    }),
    Row::new("SwiGLU", 28, swi_glu),
    Row::new("Swish", 24, |c| {
        let (x, alpha) = (c.input(0)?, c.attributes().float_or("alpha", 1.0)?);
        Ok(vec![swish(c, x, alpha.into())?])
    }),
    Row::new("ThresholdedRelu", 10, thresholded_relu),
];

type Step = Result<ValueId, String>;

/// Arithmetic in the notation of the formulas below; numbers become constants of the type of `x`.
impl Call<'_, '_> {
    pub(super) fn unary(&mut self, op: UnaryOp, x: ValueId) -> Step {
        self.emit(Op::Unary(op), &[x])
    }

    pub(super) fn binary(&mut self, op: BinaryOp, a: ValueId, b: ValueId) -> Step {
        self.emit(Op::Binary(op), &[a, b])
    }

    pub(super) fn with(&mut self, op: BinaryOp, x: ValueId, number: f64) -> Step {
        let number = self.scalar_like(x, number)?;
        self.binary(op, x, number)
    }
}

fn apply(c: &mut Call<'_, '_>, op: UnaryOp) -> Built {
    let x = c.input(0)?;
    Ok(vec![c.unary(op, x)?])
}

/// slope · x where x < 0, else x: a sum of both sides would make NaNs of infinite slopes.
pub(super) fn sloped(c: &mut Call<'_, '_>, x: ValueId, slope: ValueId) -> Step {
    let below = c.with(BinaryOp::Less, x, 0.0)?;
    let scaled = c.binary(BinaryOp::Mul, x, slope)?;
    c.select(below, scaled, x)
}

fn leaky_relu(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let slope = c.attributes().float_or("alpha", 0.01)?;
    let slope = c.scalar_like(x, slope.into())?;
    Ok(vec![sloped(c, x, slope)?])
}

fn prelu(c: &mut Call<'_, '_>) -> Built {
    let (x, slope) = (c.input(0)?, c.input(1)?);
    Ok(vec![sloped(c, x, slope)?])
}

/// scale · (max(x, 0) + alpha · (exp(min(x, 0) / width) − 1))
fn exponential(c: &mut Call<'_, '_>, alpha: f64, width: f64, scale: f64) -> Built {
    let x = c.input(0)?;
    let positive = c.unary(UnaryOp::Relu, x)?;
    let mut negative = c.with(BinaryOp::Min, x, 0.0)?;
    if width != 1.0 {
        negative = c.with(BinaryOp::Div, negative, width)?;
    }
    let exp = c.unary(UnaryOp::Exp, negative)?;
    let less = c.with(BinaryOp::Sub, exp, 1.0)?;
    let tail = c.with(BinaryOp::Mul, less, alpha)?;
    let sum = c.binary(BinaryOp::Add, positive, tail)?;
    Ok(vec![if scale == 1.0 { sum } else { c.with(BinaryOp::Mul, sum, scale)? }])
}

fn elu(c: &mut Call<'_, '_>) -> Built {
    let alpha = c.attributes().float_or("alpha", 1.0)?;
    exponential(c, alpha.into(), 1.0, 1.0)
}

fn celu(c: &mut Call<'_, '_>) -> Built {
    let alpha = c.attributes().float_or("alpha", 1.0)?;
    exponential(c, alpha.into(), alpha.into(), 1.0)
}

fn selu(c: &mut Call<'_, '_>) -> Built {
    selu_or(c, 1.673_263_2, 1.050_701)
}

/// With the numbers that stand for attributes that are not given.
pub(super) fn selu_or(c: &mut Call<'_, '_>, alpha: f32, gamma: f32) -> Built {
    let alpha = c.attributes().float_or("alpha", alpha)?;
    let gamma = c.attributes().float_or("gamma", gamma)?;
    exponential(c, alpha.into(), 1.0, gamma.into())
}

/// x + bias below −λ, x − bias above λ, 0 between. Integers are compared with λ as floats, so that its fraction counts.
fn shrink(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let (bias, lambda) = (c.attributes().float_or("bias", 0.0)?, c.attributes().float_or("lambd", 0.5)?);
    let (own, bias, lambda) = (c.dtype(x)?, f64::from(bias), f64::from(lambda));
    let x = if own.is_float() { x } else { c.cast(x, DType::F32)? };
    let (below, above) = (c.with(BinaryOp::Less, x, -lambda)?, c.with(BinaryOp::Greater, x, lambda)?);
    let (raised, lowered) = (c.with(BinaryOp::Add, x, bias)?, c.with(BinaryOp::Sub, x, bias)?);
    let zero = c.scalar_like(x, 0.0)?;
    let upper = c.select(above, lowered, zero)?;
    let y = c.select(below, raised, upper)?;
    Ok(vec![c.cast(y, own)?])
}

/// x · sigmoid(alpha · x)
pub(super) fn swish(c: &mut Call<'_, '_>, x: ValueId, alpha: f64) -> Step {
    let scaled = if alpha == 1.0 { x } else { c.with(BinaryOp::Mul, x, alpha)? };
    let gate = c.unary(UnaryOp::Sigmoid, scaled)?;
    c.binary(BinaryOp::Mul, x, gate)
}

fn swi_glu(c: &mut Call<'_, '_>) -> Built {
    let (a, b) = (c.input(0)?, c.input(1)?);
    let (rank, other) = (c.rank(a)?, c.rank(b)?);
    if rank != other {
        return Err(format!("its operands have ranks {rank} and {other}, but they must have one shape"));
    }
    let alpha = c.attributes().float_or("alpha", 1.0)?;
    let gate = swish(c, a, alpha.into())?;
    Ok(vec![c.binary(BinaryOp::Mul, gate, b)?])
}

/// min(max(alpha · x + beta, 0), 1)
pub(super) fn hard(c: &mut Call<'_, '_>, x: ValueId, alpha: f64, beta: f64) -> Step {
    let scaled = c.with(BinaryOp::Mul, x, alpha)?;
    let moved = c.with(BinaryOp::Add, scaled, beta)?;
    let low = c.with(BinaryOp::Max, moved, 0.0)?;
    c.with(BinaryOp::Min, low, 1.0)
}

fn hard_sigmoid(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let (alpha, beta) = (c.attributes().float_or("alpha", 0.2)?, c.attributes().float_or("beta", 0.5)?);
    Ok(vec![hard(c, x, alpha.into(), beta.into())?])
}

fn hard_swish(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let gate = hard(c, x, 1.0 / 6.0, 0.5)?;
    Ok(vec![c.binary(BinaryOp::Mul, x, gate)?])
}

fn mish(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let soft = c.unary(UnaryOp::Softplus, x)?;
    let gate = c.unary(UnaryOp::Tanh, soft)?;
    Ok(vec![c.binary(BinaryOp::Mul, x, gate)?])
}

pub(super) fn softsign(c: &mut Call<'_, '_>, x: ValueId) -> Step {
    let size = c.unary(UnaryOp::Abs, x)?;
    let below = c.with(BinaryOp::Add, size, 1.0)?;
    c.binary(BinaryOp::Div, x, below)
}

fn thresholded_relu(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let alpha = c.attributes().float_or("alpha", 1.0)?;
    let above = c.with(BinaryOp::Greater, x, alpha.into())?;
    let zero = c.scalar_like(x, 0.0)?;
    Ok(vec![c.select(above, x, zero)?])
}

/// x/2 · (1 + erf(x/√2))
pub(super) fn gelu(c: &mut Call<'_, '_>, x: ValueId) -> Step {
    let scaled = c.with(BinaryOp::Mul, x, core::f64::consts::FRAC_1_SQRT_2)?;
    let curve = c.unary(UnaryOp::Erf, scaled)?;
    gated(c, x, curve)
}

/// Its approximation x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))
pub(super) fn gelu_by_tanh(c: &mut Call<'_, '_>, x: ValueId) -> Step {
    let square = c.binary(BinaryOp::Mul, x, x)?;
    let cube = c.binary(BinaryOp::Mul, square, x)?;
    let small = c.with(BinaryOp::Mul, cube, 0.044_715)?;
    let sum = c.binary(BinaryOp::Add, x, small)?;
    let scaled = c.with(BinaryOp::Mul, sum, core::f64::consts::FRAC_2_PI.sqrt())?;
    let curve = c.unary(UnaryOp::Tanh, scaled)?;
    gated(c, x, curve)
}

/// x/2 · (1 + curve)
fn gated(c: &mut Call<'_, '_>, x: ValueId, curve: ValueId) -> Step {
    let gate = c.with(BinaryOp::Add, curve, 1.0)?;
    let half = c.with(BinaryOp::Mul, x, 0.5)?;
    c.binary(BinaryOp::Mul, half, gate)
}

fn either_gelu(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    Ok(vec![match c.attributes().text("approximate")? {
        None | Some("none") => gelu(c, x)?,
        Some("tanh") => gelu_by_tanh(c, x)?,
        Some(other) => return Err(format!("approximation `{other}` is not supported; use none or tanh")),
    }])
}

/// Before opset 13 everything from `axis` on was one long axis.
fn softmax(c: &mut Call<'_, '_>, log: bool) -> Built {
    let x = c.input(0)?;
    if c.opset() >= 13 {
        let axis = c.attributes().int_or("axis", -1)?;
        return Ok(vec![c.emit(Op::Softmax { axis, log }, &[x])?]);
    }
    let (axis, rank) = (c.attributes().int_or("axis", 1)?, c.rank(x)?);
    if axis == -1 || axis == rank as i64 - 1 {
        return Ok(vec![c.emit(Op::Softmax { axis: -1, log }, &[x])?]);
    }
    let flat = c.emit(Op::View(bayplan_graph::op::ViewOp::Flatten(axis)), &[x])?;
    let y = c.emit(Op::Softmax { axis: -1, log }, &[flat])?;
    Ok(vec![c.like(y, x)?])
}
