//! Interpolation: how much the neighbours of a coordinate count.

use bayplan_graph::op::{BinaryOp, Keep, ReduceOp, UnaryOp};
use bayplan_graph::{DType, ValueId};

use crate::builder::Call;

type Step = Result<ValueId, String>;

/// How much an element counts by its distance from a coordinate, in elements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Curve {
    /// 1 − d up to a distance of 1.
    Linear,
    /// Keys' cubic convolution up to a distance of 2, with its parameter `a`.
    Cubic(f32),
}

impl Curve {
    /// Elements on each side of a coordinate that count.
    pub(super) const fn reach(self) -> i64 {
        match self {
            Self::Linear => 1,
            Self::Cubic(_) => 2,
        }
    }
}

impl Call<'_, '_> {
    /// The type in which tensors of a type are interpolated.
    pub(super) fn interpolated(&self, x: ValueId) -> Result<DType, String> {
        match self.dtype(x)? {
            DType::F64 => Ok(DType::F64),
            DType::F32 | DType::F16 | DType::BF16 => Ok(DType::F32),
            DType::I8 | DType::U8 | DType::I16 | DType::U16 => Ok(DType::F32),
            other => Err(format!("{other} cannot be interpolated without loss; convert it with Cast")),
        }
    }

    /// What interpolation made, as a type: integers are rounded and clamped to their range.
    pub(super) fn interpolated_as(&mut self, y: ValueId, to: DType) -> Step {
        if to.is_float() {
            return self.cast(y, to);
        }
        let whole = self.unary(UnaryOp::Round, y)?;
        self.saturated(whole, to)
    }

    /// The weight of elements at these distances (not negative).
    pub(super) fn weights(&mut self, curve: Curve, distance: ValueId) -> Step {
        let Curve::Cubic(a) = curve else {
            let one = self.scalar_like(distance, 1.0)?;
            let below = self.binary(BinaryOp::Sub, one, distance)?;
            return self.with(BinaryOp::Max, below, 0.0);
        };
        let a = f64::from(a);
        // ((a + 2) · d − (a + 3)) · d² + 1 up to 1
        let square = self.binary(BinaryOp::Mul, distance, distance)?;
        let near = self.with(BinaryOp::Mul, distance, a + 2.0)?;
        let near = self.with(BinaryOp::Sub, near, a + 3.0)?;
        let near = self.binary(BinaryOp::Mul, near, square)?;
        let near = self.with(BinaryOp::Add, near, 1.0)?;
        // ((d − 5) · d + 8) · d · a − 4a up to 2
        let far = self.with(BinaryOp::Sub, distance, 5.0)?;
        let far = self.binary(BinaryOp::Mul, far, distance)?;
        let far = self.with(BinaryOp::Add, far, 8.0)?;
        let far = self.binary(BinaryOp::Mul, far, distance)?;
        let far = self.with(BinaryOp::Mul, far, a)?;
        let far = self.with(BinaryOp::Sub, far, 4.0 * a)?;
        let zero = self.scalar_like(distance, 0.0)?;
        let within = self.with(BinaryOp::Less, distance, 2.0)?;
        let far = self.select(within, far, zero)?;
        let within = self.with(BinaryOp::LessOrEqual, distance, 1.0)?;
        self.select(within, near, far)
    }

    /// Weights with a sum of 1 along the last axis; where all are 0 they stay so.
    pub(super) fn normalized(&mut self, weights: ValueId) -> Step {
        let sum = self.reduce(ReduceOp::Sum, weights, &[-1], Keep::Dims)?;
        let (none, one) = (self.with(BinaryOp::Equal, sum, 0.0)?, self.scalar_like(weights, 1.0)?);
        let sum = self.select(none, one, sum)?;
        self.binary(BinaryOp::Div, weights, sum)
    }

    /// `x` within `low` and `high`, as ONNX's Clip.
    pub(super) fn clamped(&mut self, x: ValueId, low: ValueId, high: ValueId) -> Step {
        let above = self.binary(BinaryOp::Max, x, low)?;
        self.binary(BinaryOp::Min, above, high)
    }

    /// Whole numbers in a float type as integers of a narrower range: those beyond it become its ends.
    pub(super) fn saturated(&mut self, x: ValueId, to: DType) -> Step {
        let (low, high) = range(to)?;
        let (low, high) = (self.scalar_like(x, low)?, self.scalar_like(x, high)?);
        let within = self.clamped(x, low, high)?;
        self.cast(within, to)
    }
}

/// Smallest and largest number of an integer type, all of whose numbers an f32 holds exactly.
fn range(dtype: DType) -> Result<(f64, f64), String> {
    match dtype.limits() {
        Some((low, high)) if dtype.bits() <= 16 => Ok((low as f64, high as f64)),
        _ => Err(format!("{dtype} is no type that is quantised to")),
    }
}
