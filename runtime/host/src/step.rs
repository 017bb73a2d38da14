//! The operations of chains over whole columns, with the semantics of the operators in `bayplan-graph`.
//!
//! Each step rounds to its type, as a device does. What a device approximates (exponentials and the like) is computed in
//! 64 bits here and rounded once.

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, UnaryOp};
use bayplan_shaders::{Repr, StepOp};

use crate::column::{Column, each};

/// Applies a step to its arguments, each with its element type.
pub(crate) fn step(op: StepOp, args: &[(&Column, DType)], dtype: DType) -> Result<Column, String> {
    let made = match (op, args) {
        (StepOp::Unary(op), [(x, _)]) => unary(op, x, dtype),
        (StepOp::Binary(op), [(a, own), (b, other)]) if own == other => binary(op, a, b, *own),
        (StepOp::Select, [(c, DType::Bool), (a, _), (b, _)]) => select(c, a, b),
        (StepOp::Cast, [(x, from)]) => cast(x, *from, dtype),
        _ => None,
    };
    let made = made.filter(|column| Repr::of(dtype).is_some_and(|repr| fits(column, repr)));
    let types = || args.iter().map(|(_, dtype)| dtype.name()).collect::<Vec<_>>().join(", ");
    Ok(made.ok_or_else(|| format!("{op:?} of {} does not give {dtype}", types()))?.narrowed(dtype))
}

/// Whether a column has the representation.
pub(crate) fn fits(column: &Column, repr: Repr) -> bool {
    matches!(
        (column, repr),
        (Column::F32(_), Repr::F32)
            | (Column::I32(_), Repr::I32)
            | (Column::U32(_), Repr::U32)
            | (Column::I64(_), Repr::I64)
            | (Column::U64(_), Repr::U64)
    )
}

fn map<T: Copy, U>(x: &[T], f: impl Fn(T) -> U) -> Vec<U> {
    x.iter().map(|&v| f(v)).collect()
}

fn zip<T: Copy, U>(a: &[T], b: &[T], f: impl Fn(T, T) -> U) -> Vec<U> {
    a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect()
}

fn unary(op: UnaryOp, x: &Column, dtype: DType) -> Option<Column> {
    Some(match x {
        Column::F32(x) => return float(op, x),
        Column::U32(x) if dtype == DType::Bool => match op {
            UnaryOp::Not => Column::U32(map(x, |v| u32::from(v == 0))),
            _ => return None,
        },
        Column::I32(x) => Column::I32(match op {
            UnaryOp::Neg => map(x, i32::wrapping_neg),
            UnaryOp::Abs => map(x, i32::wrapping_abs),
            UnaryOp::Sign => map(x, i32::signum),
            UnaryOp::Relu => map(x, |v| v.max(0)),
            _ => return None,
        }),
        Column::I64(x) => Column::I64(match op {
            UnaryOp::Neg => map(x, i64::wrapping_neg),
            UnaryOp::Abs => map(x, i64::wrapping_abs),
            UnaryOp::Sign => map(x, i64::signum),
            UnaryOp::Relu => map(x, |v| v.max(0)),
            _ => return None,
        }),
        Column::U32(x) => Column::U32(match op {
            UnaryOp::Neg => map(x, u32::wrapping_neg),
            UnaryOp::Abs | UnaryOp::Relu => x.clone(),
            UnaryOp::Sign => map(x, |v| v.min(1)),
            _ => return None,
        }),
        Column::U64(x) => Column::U64(match op {
            UnaryOp::Neg => map(x, u64::wrapping_neg),
            UnaryOp::Abs | UnaryOp::Relu => x.clone(),
            UnaryOp::Sign => map(x, |v| v.min(1)),
            _ => return None,
        }),
    })
}

fn float(op: UnaryOp, x: &[f32]) -> Option<Column> {
    // In 64 bits, rounded once.
    let wide = |f: fn(f64) -> f64| Column::F32(map(x, |v| f(f64::from(v)) as f32));
    Some(match op {
        UnaryOp::Neg => Column::F32(map(x, |v| -v)),
        UnaryOp::Abs => Column::F32(map(x, f32::abs)),
        UnaryOp::Relu => Column::F32(map(x, |v| if v < 0.0 { 0.0 } else { v })),
        UnaryOp::Sqrt => Column::F32(map(x, f32::sqrt)),
        UnaryOp::Reciprocal => Column::F32(map(x, f32::recip)),
        UnaryOp::Floor => Column::F32(map(x, f32::floor)),
        UnaryOp::Ceil => Column::F32(map(x, f32::ceil)),
        UnaryOp::Round => Column::F32(map(x, f32::round_ties_even)),
        UnaryOp::Sign => Column::F32(map(x, sign)),
        UnaryOp::IsNaN => Column::U32(map(x, |v| u32::from(v.is_nan()))),
        UnaryOp::IsInf => Column::U32(map(x, |v| u32::from(v.is_infinite()))),
        UnaryOp::Exp => wide(f64::exp),
        UnaryOp::Log => wide(f64::ln),
        UnaryOp::Sigmoid => wide(sigmoid),
        UnaryOp::Tanh => wide(f64::tanh),
        UnaryOp::Erf => wide(libm::erf),
        UnaryOp::Sin => wide(f64::sin),
        UnaryOp::Cos => wide(f64::cos),
        UnaryOp::Softplus => wide(softplus),
        _ => return None,
    })
}

/// NaN and zeros stay as they are.
fn sign(v: f32) -> f32 {
    if v > 0.0 {
        1.0
    } else if v < 0.0 {
        -1.0
    } else {
        v
    }
}

/// `1 / (1 + e⁻ᵛ)`.
pub(crate) fn sigmoid(v: f64) -> f64 {
    1.0 / (1.0 + (-v).exp())
}

/// `ln(1 + eᵛ)`, without overflow.
pub(crate) fn softplus(v: f64) -> f64 {
    v.max(0.0) + (-v.abs()).exp().ln_1p()
}

fn binary(op: BinaryOp, a: &Column, b: &Column, dtype: DType) -> Option<Column> {
    if let Some(test) = compare(op, a, b) {
        return Some(test);
    }
    Some(match (a, b) {
        (Column::F32(a), Column::F32(b)) => Column::F32(match op {
            BinaryOp::Add => zip(a, b, |a, b| a + b),
            BinaryOp::Sub => zip(a, b, |a, b| a - b),
            BinaryOp::Mul => zip(a, b, |a, b| a * b),
            BinaryOp::Div => zip(a, b, |a, b| a / b),
            BinaryOp::Pow => zip(a, b, |a, b| f64::from(a).powf(f64::from(b)) as f32),
            BinaryOp::Min => zip(a, b, |a, b| if a.is_nan() || a < b { a } else { b }),
            BinaryOp::Max => zip(a, b, |a, b| if a.is_nan() || a > b { a } else { b }),
            BinaryOp::Mod => zip(a, b, |a, b| a % b),
            _ => return None,
        }),
        (Column::U32(a), Column::U32(b)) if dtype == DType::Bool => Column::U32(match op {
            BinaryOp::And => zip(a, b, |a, b| a & b),
            BinaryOp::Or => zip(a, b, |a, b| a | b),
            BinaryOp::Xor => zip(a, b, |a, b| a ^ b),
            _ => return None,
        }),
        (Column::I32(a), Column::I32(b)) => Column::I32(integer(op, a, b)?),
        (Column::U32(a), Column::U32(b)) => Column::U32(integer(op, a, b)?),
        (Column::I64(a), Column::I64(b)) => Column::I64(integer(op, a, b)?),
        (Column::U64(a), Column::U64(b)) => Column::U64(integer(op, a, b)?),
        _ => return None,
    })
}

fn compare(op: BinaryOp, a: &Column, b: &Column) -> Option<Column> {
    fn typed<T: Copy + PartialOrd>(op: BinaryOp, a: &[T], b: &[T]) -> Option<Column> {
        Some(Column::U32(match op {
            BinaryOp::Equal => zip(a, b, |a, b| u32::from(a == b)),
            BinaryOp::Less => zip(a, b, |a, b| u32::from(a < b)),
            BinaryOp::LessOrEqual => zip(a, b, |a, b| u32::from(a <= b)),
            BinaryOp::Greater => zip(a, b, |a, b| u32::from(a > b)),
            BinaryOp::GreaterOrEqual => zip(a, b, |a, b| u32::from(a >= b)),
            _ => return None,
        }))
    }
    match (a, b) {
        (Column::F32(a), Column::F32(b)) => typed(op, a, b),
        (Column::I32(a), Column::I32(b)) => typed(op, a, b),
        (Column::U32(a), Column::U32(b)) => typed(op, a, b),
        (Column::I64(a), Column::I64(b)) => typed(op, a, b),
        (Column::U64(a), Column::U64(b)) => typed(op, a, b),
        _ => None,
    }
}

/// Wrapping arithmetic on the integers that have words.
pub(crate) trait Integer: Copy + Ord {
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// Toward zero; 0 by zero.
    fn div(self, other: Self) -> Self;
    /// With the sign of the divisor; 0 by zero.
    fn modulo(self, other: Self) -> Self;
    /// Wrapping; a negative exponent gives 0 but for the bases 1 and -1.
    fn power(self, exponent: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
}

macro_rules! integers {
    ($($ty:ident),*) => {
        $(impl Integer for $ty {
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            fn sub(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            fn mul(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            fn div(self, other: Self) -> Self {
                if other == 0 { 0 } else { self.wrapping_div(other) }
            }
            fn modulo(self, other: Self) -> Self {
                if other == 0 {
                    return 0;
                }
                let rest = self.wrapping_rem(other);
                #[allow(unused_comparisons, reason = "of unsigned integers none is negative")]
                let differ = (rest < 0) != (other < 0);
                if rest != 0 && differ { rest.wrapping_add(other) } else { rest }
            }
            fn power(self, exponent: Self) -> Self {
                #[allow(unused_comparisons, reason = "of unsigned integers none is negative")]
                if exponent < 0 {
                    return match (self, self.wrapping_add(1)) {
                        (1, _) => 1,
                        (_, 0) if exponent % 2 == 0 => 1,
                        (_, 0) => self,
                        _ => 0,
                    };
                }
                let (mut base, mut rest, mut result) = (self, exponent, 1 as $ty);
                while rest != 0 {
                    if rest % 2 != 0 {
                        result = result.wrapping_mul(base);
                    }
                    base = base.wrapping_mul(base);
                    rest /= 2;
                }
                result
            }
            fn and(self, other: Self) -> Self {
                self & other
            }
            fn or(self, other: Self) -> Self {
                self | other
            }
            fn xor(self, other: Self) -> Self {
                self ^ other
            }
        })*
    };
}

integers!(i32, u32, i64, u64);

fn integer<T: Integer>(op: BinaryOp, a: &[T], b: &[T]) -> Option<Vec<T>> {
    Some(match op {
        BinaryOp::Add => zip(a, b, T::add),
        BinaryOp::Sub => zip(a, b, T::sub),
        BinaryOp::Mul => zip(a, b, T::mul),
        BinaryOp::Div => zip(a, b, T::div),
        BinaryOp::Mod => zip(a, b, T::modulo),
        BinaryOp::Pow => zip(a, b, T::power),
        BinaryOp::Min => zip(a, b, T::min),
        BinaryOp::Max => zip(a, b, T::max),
        BinaryOp::And => zip(a, b, T::and),
        BinaryOp::Or => zip(a, b, T::or),
        BinaryOp::Xor => zip(a, b, T::xor),
        _ => return None,
    })
}

fn select(c: &Column, a: &Column, b: &Column) -> Option<Column> {
    fn typed<T: Copy>(c: &[u32], a: &[T], b: &[T]) -> Vec<T> {
        c.iter().zip(a).zip(b).map(|((&c, &a), &b)| if c != 0 { a } else { b }).collect()
    }
    let Column::U32(c) = c else { return None };
    Some(match (a, b) {
        (Column::F32(a), Column::F32(b)) => Column::F32(typed(c, a, b)),
        (Column::I32(a), Column::I32(b)) => Column::I32(typed(c, a, b)),
        (Column::U32(a), Column::U32(b)) => Column::U32(typed(c, a, b)),
        (Column::I64(a), Column::I64(b)) => Column::I64(typed(c, a, b)),
        (Column::U64(a), Column::U64(b)) => Column::U64(typed(c, a, b)),
        _ => return None,
    })
}

/// Floats are truncated and kept within a word (or two) on the way to integers; narrow integers wrap, as numpy's do.
#[allow(clippy::cast_lossless, clippy::unnecessary_cast, reason = "one text for all types")]
fn cast(x: &Column, from: DType, to: DType) -> Option<Column> {
    if from == to {
        return Some(x.clone());
    }
    if to == DType::Bool {
        return Some(Column::U32(match x {
            Column::F32(x) => map(x, |v| u32::from(v != 0.0)),
            Column::I32(x) => map(x, |v| u32::from(v != 0)),
            Column::U32(x) => map(x, |v| u32::from(v != 0)),
            Column::I64(x) => map(x, |v| u32::from(v != 0)),
            Column::U64(x) => map(x, |v| u32::from(v != 0)),
        }));
    }
    if let (Column::F32(x), DType::U8 | DType::U16) = (x, to) {
        return Some(Column::U32(map(x, |v| v as i32 as u32)));
    }
    Some(match Repr::of(to)? {
        Repr::F32 => Column::F32(each!(x, x => map(x, |v| v as f32))),
        Repr::I32 => Column::I32(each!(x, x => map(x, |v| v as i32))),
        Repr::U32 => Column::U32(each!(x, x => map(x, |v| v as u32))),
        Repr::I64 => Column::I64(each!(x, x => map(x, |v| v as i64))),
        Repr::U64 => Column::U64(each!(x, x => map(x, |v| v as u64))),
    })
}
