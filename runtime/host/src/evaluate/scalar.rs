//! Single elements in the widest type of their kind, and the operations of chains on them without rounding.

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, UnaryOp};
use bayplan_shaders::{Repr, StepOp};

use crate::column::Column;
use crate::step::{sigmoid, softplus};

/// An element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar {
    /// Of a floating-point type.
    Float(f64),
    /// Of an integer type, or a boolean as 0 or 1.
    Int(i128),
}

impl Scalar {
    pub(super) fn as_f64(self) -> f64 {
        match self {
            Self::Float(v) => v,
            Self::Int(v) => v as f64,
        }
    }

    fn truth(v: bool) -> Self {
        Self::Int(v.into())
    }

    /// The elements of a column.
    pub(super) fn all(column: &Column) -> Vec<Self> {
        match column {
            Column::F32(v) => v.iter().map(|&v| Self::Float(v.into())).collect(),
            Column::I32(v) => v.iter().map(|&v| Self::Int(v.into())).collect(),
            Column::U32(v) => v.iter().map(|&v| Self::Int(v.into())).collect(),
            Column::I64(v) => v.iter().map(|&v| Self::Int(v.into())).collect(),
            Column::U64(v) => v.iter().map(|&v| Self::Int(v.into())).collect(),
        }
    }
}

/// An integer within its type: the low bits, as that type reads them.
pub(super) fn wrapped(v: i128, dtype: DType) -> i128 {
    match dtype {
        DType::I8 => (v as i8).into(),
        DType::I16 => (v as i16).into(),
        DType::I32 => (v as i32).into(),
        DType::I64 => (v as i64).into(),
        DType::U8 => (v as u8).into(),
        DType::U16 => (v as u16).into(),
        DType::U32 => (v as u32).into(),
        DType::U64 => (v as u64).into(),
        DType::Bool => (v != 0).into(),
        _ => v,
    }
}

/// A step's result on single elements; `None` where the types do not fit the operation.
pub(super) fn step(op: StepOp, args: &[Scalar], from: DType, to: DType) -> Option<Scalar> {
    let made = match (op, args) {
        (StepOp::Unary(op), [Scalar::Float(x)]) => float(op, *x)?,
        (StepOp::Unary(op), [Scalar::Int(x)]) => Scalar::Int(match op {
            UnaryOp::Neg => -x,
            UnaryOp::Abs => x.abs(),
            UnaryOp::Sign => x.signum(),
            UnaryOp::Relu => *x.max(&0),
            UnaryOp::Not => (*x == 0).into(),
            _ => return None,
        }),
        (StepOp::Binary(op), [Scalar::Float(a), Scalar::Float(b)]) => floats(op, *a, *b)?,
        (StepOp::Binary(op), [Scalar::Int(a), Scalar::Int(b)]) => integers(op, *a, *b, from)?,
        (StepOp::Select, [Scalar::Int(c), a, b]) => {
            if *c != 0 {
                *a
            } else {
                *b
            }
        }
        (StepOp::Cast, [x]) => cast(*x, to),
        _ => return None,
    };
    Some(match made {
        Scalar::Int(v) => Scalar::Int(wrapped(v, to)),
        float => float,
    })
}

fn float(op: UnaryOp, x: f64) -> Option<Scalar> {
    Some(Scalar::Float(match op {
        UnaryOp::Neg => -x,
        UnaryOp::Abs => x.abs(),
        UnaryOp::Relu if x < 0.0 => 0.0,
        UnaryOp::Relu => x,
        UnaryOp::Sqrt => x.sqrt(),
        UnaryOp::Reciprocal => x.recip(),
        UnaryOp::Floor => x.floor(),
        UnaryOp::Ceil => x.ceil(),
        UnaryOp::Round => x.round_ties_even(),
        UnaryOp::Sign if x > 0.0 => 1.0,
        UnaryOp::Sign if x < 0.0 => -1.0,
        UnaryOp::Sign => x,
        UnaryOp::IsNaN => return Some(Scalar::truth(x.is_nan())),
        UnaryOp::IsInf => return Some(Scalar::truth(x.is_infinite())),
        UnaryOp::Exp => x.exp(),
        UnaryOp::Log => x.ln(),
        UnaryOp::Sigmoid => sigmoid(x),
        UnaryOp::Tanh => x.tanh(),
        UnaryOp::Erf => libm::erf(x),
        UnaryOp::Sin => x.sin(),
        UnaryOp::Cos => x.cos(),
        UnaryOp::Softplus => softplus(x),
        _ => return None,
    }))
}

fn floats(op: BinaryOp, a: f64, b: f64) -> Option<Scalar> {
    Some(Scalar::Float(match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Min if a.is_nan() || a < b => a,
        BinaryOp::Max if a.is_nan() || a > b => a,
        BinaryOp::Min | BinaryOp::Max => b,
        BinaryOp::Equal => return Some(Scalar::truth(a == b)),
        BinaryOp::Less => return Some(Scalar::truth(a < b)),
        BinaryOp::LessOrEqual => return Some(Scalar::truth(a <= b)),
        BinaryOp::Greater => return Some(Scalar::truth(a > b)),
        BinaryOp::GreaterOrEqual => return Some(Scalar::truth(a >= b)),
        _ => return None,
    }))
}

fn integers(op: BinaryOp, a: i128, b: i128, dtype: DType) -> Option<Scalar> {
    Some(Scalar::Int(match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a.wrapping_mul(b),
        BinaryOp::Div | BinaryOp::Mod if b == 0 => 0,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => ((a % b) + b) % b,
        BinaryOp::Pow => power(a, b, dtype),
        BinaryOp::Min => a.min(b),
        BinaryOp::Max => a.max(b),
        BinaryOp::And => a & b,
        BinaryOp::Or => a | b,
        BinaryOp::Xor => a ^ b,
        BinaryOp::Equal => (a == b).into(),
        BinaryOp::Less => (a < b).into(),
        BinaryOp::LessOrEqual => (a <= b).into(),
        BinaryOp::Greater => (a > b).into(),
        BinaryOp::GreaterOrEqual => (a >= b).into(),
        _ => return None,
    }))
}

/// By squaring, wrapped in between; a negative exponent gives what truncation of the real power gives.
fn power(base: i128, exponent: i128, dtype: DType) -> i128 {
    if exponent < 0 {
        return match base {
            1 => 1,
            -1 if exponent % 2 == 0 => 1,
            -1 => -1,
            _ => 0,
        };
    }
    let (mut base, mut rest, mut result) = (base, exponent, 1);
    while rest > 0 {
        if rest % 2 == 1 {
            result = wrapped(result * base, dtype);
        }
        base = wrapped(base.wrapping_mul(base), dtype);
        rest /= 2;
    }
    result
}

fn cast(x: Scalar, to: DType) -> Scalar {
    match (x, Repr::of(to)) {
        (x, Some(Repr::F32)) => Scalar::Float(x.as_f64()),
        (Scalar::Float(v), _) if to == DType::Bool => Scalar::truth(v != 0.0),
        (Scalar::Float(v), Some(Repr::U32)) if to == DType::U32 => Scalar::Int((v as u32).into()),
        (Scalar::Float(v), Some(Repr::I64)) => Scalar::Int((v as i64).into()),
        (Scalar::Float(v), Some(Repr::U64)) => Scalar::Int((v as u64).into()),
        (Scalar::Float(v), _) => Scalar::Int((v as i32).into()),
        (int, _) => int,
    }
}
