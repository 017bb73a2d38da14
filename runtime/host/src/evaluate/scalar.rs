//! Single elements in the widest type of their kind, and the operations of chains on them without rounding.

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, UnaryOp};
use bayplan_shaders::{Repr, StepOp};

use crate::column::Column;

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
            Column::F64(v) => v.iter().map(|&v| Self::Float(v)).collect(),
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
        _ => match dtype.limits() {
            Some((least, most)) => least + (v - least).rem_euclid(most - least + 1),
            None => v,
        },
    }
}

/// A float as its type has it.
pub(super) fn rounded(v: f64, dtype: DType) -> f64 {
    dtype.narrow_float().map_or(v, |format| format.round(v))
}

/// A step's result on single elements, floats not yet rounded to their type; `None` where the types do not fit the operation.
pub(super) fn step(op: StepOp, args: &[Scalar], from: DType, to: DType) -> Option<Scalar> {
    let made = match (op, args) {
        (StepOp::Unary(op), [x]) if op.takes(from) => unary(op, *x, from)?,
        (StepOp::Binary(op), [a, b]) if op.takes(from) => binary(op, *a, *b, from)?,
        (StepOp::Select, [Scalar::Int(c), a, b]) => {
            if *c != 0 {
                *a
            } else {
                *b
            }
        }
        (StepOp::Cast, [x]) => cast(*x, to),
        (StepOp::BitCast, [x]) => bit_cast(*x, from, to)?,
        _ => return None,
    };
    Some(match made {
        Scalar::Int(v) => Scalar::Int(wrapped(v, to)),
        float => float,
    })
}

fn unary(op: UnaryOp, x: Scalar, from: DType) -> Option<Scalar> {
    Some(match x {
        Scalar::Float(x) if op.tests() => Scalar::truth(op.float()?(x) != 0.0),
        Scalar::Float(x) => Scalar::Float(op.float()?(x)),
        Scalar::Int(x) => Scalar::Int(op.int()?(x, from)),
    })
}

fn binary(op: BinaryOp, a: Scalar, b: Scalar, from: DType) -> Option<Scalar> {
    Some(match (a, b) {
        (Scalar::Float(a), Scalar::Float(b)) if op.tests() => Scalar::truth(op.float()?(a, b) != 0.0),
        (Scalar::Float(a), Scalar::Float(b)) => Scalar::Float(op.float()?(a, b)),
        (Scalar::Int(a), Scalar::Int(b)) => Scalar::Int(op.int()?(a, b, from).unwrap_or(0)),
        _ => return None,
    })
}

fn bit_cast(x: Scalar, from: DType, to: DType) -> Option<Scalar> {
    let bits = match (x, from) {
        (Scalar::Float(v), DType::F32) => (v as f32).to_bits().into(),
        (Scalar::Float(v), DType::F64) => v.to_bits().into(),
        (Scalar::Float(v), _) if from.size() == 2 => from.narrow_float()?.to_bits(v as f32).into(),
        (Scalar::Int(v), _) => v,
        _ => return None,
    };
    Some(match to {
        DType::F32 => Scalar::Float(f32::from_bits(bits as u32).into()),
        DType::F64 => Scalar::Float(f64::from_bits(bits as u64)),
        _ if to.is_float() && to.size() == 2 => Scalar::Float(to.narrow_float()?.of_bits(bits as u16).into()),
        _ if to.is_float() => return None,
        _ => Scalar::Int(bits),
    })
}

fn cast(x: Scalar, to: DType) -> Scalar {
    match (x, Repr::of(to)) {
        (x, Some(Repr::F32 | Repr::F64)) => Scalar::Float(x.as_f64()),
        (Scalar::Float(v), _) if to == DType::Bool => Scalar::truth(v != 0.0),
        (Scalar::Float(v), Some(Repr::U32)) if to == DType::U32 => Scalar::Int((v as u32).into()),
        (Scalar::Float(v), Some(Repr::I64)) => Scalar::Int((v as i64).into()),
        (Scalar::Float(v), Some(Repr::U64)) => Scalar::Int((v as u64).into()),
        (Scalar::Float(v), _) => Scalar::Int((v as i32).into()),
        (int, _) => int,
    }
}
