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
        (StepOp::Unary(op), [(x, from)]) => unary(op, x, *from),
        (StepOp::Binary(op), [(a, own), (b, other)]) if own == other => binary(op, a, b, *own),
        (StepOp::Select, [(c, DType::Bool), (a, _), (b, _)]) => select(c, a, b),
        (StepOp::Cast, [(x, from)]) => cast(x, *from, dtype),
        (StepOp::BitCast, [(x, from)]) => bit_cast(x, *from, dtype),
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
            | (Column::F64(_), Repr::F64)
    )
}

fn map<T: Copy, U>(x: &[T], f: impl Fn(T) -> U) -> Vec<U> {
    x.iter().map(|&v| f(v)).collect()
}

fn zip<T: Copy, U>(a: &[T], b: &[T], f: impl Fn(T, T) -> U) -> Vec<U> {
    a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect()
}

/// Integers that have words.
trait Integer: Copy + Into<i128> {
    /// The low bits.
    fn low(v: i128) -> Self;
}

macro_rules! integers {
    ($($ty:ident),*) => {
        $(impl Integer for $ty {
            fn low(v: i128) -> Self {
                v as Self
            }
        })*
    };
}

integers!(i32, u32, i64, u64);

/// Booleans are integers of 0 and 1.
fn unary(op: UnaryOp, x: &Column, from: DType) -> Option<Column> {
    fn ints<T: Integer, U: Integer>(op: UnaryOp, x: &[T], from: DType) -> Option<Vec<U>> {
        let f = op.int()?;
        Some(map(x, |v| U::low(f(v.into(), from))))
    }
    Some(match x {
        _ if !op.takes(from) => return None,
        Column::F32(x) if op.tests() => {
            let f = op.float()?;
            Column::U32(map(x, |v| u32::from(f(v.into()) != 0.0)))
        }
        // In 64 bits, rounded once.
        Column::F32(x) => {
            let f = op.float()?;
            Column::F32(map(x, |v| f(v.into()) as f32))
        }
        Column::F64(x) if op.tests() => {
            let f = op.float()?;
            Column::U32(map(x, |v| u32::from(f(v) != 0.0)))
        }
        Column::F64(x) => Column::F64(map(x, op.float()?)),
        Column::I32(x) => Column::I32(ints(op, x, from)?),
        Column::U32(x) => Column::U32(ints(op, x, from)?),
        Column::I64(x) => Column::I64(ints(op, x, from)?),
        Column::U64(x) => Column::U64(ints(op, x, from)?),
    })
}

fn binary(op: BinaryOp, a: &Column, b: &Column, from: DType) -> Option<Column> {
    fn ints<T: Integer, U: Integer>(op: BinaryOp, a: &[T], b: &[T], from: DType) -> Option<Vec<U>> {
        let f = op.int()?;
        Some(zip(a, b, |a, b| U::low(f(a.into(), b.into(), from).unwrap_or(0))))
    }
    let test = op.tests();
    Some(match (a, b) {
        _ if !op.takes(from) => return None,
        (Column::F32(a), Column::F32(b)) if test => {
            let f = op.float()?;
            Column::U32(zip(a, b, |a, b| u32::from(f(a.into(), b.into()) != 0.0)))
        }
        // Sums, products, quotients and remainders come out as in 32 bits: twice 24 bits and two are less than 53.
        (Column::F32(a), Column::F32(b)) => {
            let f = op.float()?;
            Column::F32(zip(a, b, |a, b| f(a.into(), b.into()) as f32))
        }
        (Column::F64(a), Column::F64(b)) if test => {
            let f = op.float()?;
            Column::U32(zip(a, b, |a, b| u32::from(f(a, b) != 0.0)))
        }
        (Column::F64(a), Column::F64(b)) => Column::F64(zip(a, b, op.float()?)),
        (Column::I32(a), Column::I32(b)) if test => Column::U32(ints(op, a, b, from)?),
        (Column::U32(a), Column::U32(b)) if test => Column::U32(ints(op, a, b, from)?),
        (Column::I64(a), Column::I64(b)) if test => Column::U32(ints(op, a, b, from)?),
        (Column::U64(a), Column::U64(b)) if test => Column::U32(ints(op, a, b, from)?),
        (Column::I32(a), Column::I32(b)) => Column::I32(ints(op, a, b, from)?),
        (Column::U32(a), Column::U32(b)) => Column::U32(ints(op, a, b, from)?),
        (Column::I64(a), Column::I64(b)) => Column::I64(ints(op, a, b, from)?),
        (Column::U64(a), Column::U64(b)) => Column::U64(ints(op, a, b, from)?),
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
        (Column::F64(a), Column::F64(b)) => Column::F64(typed(c, a, b)),
        _ => return None,
    })
}

/// By the words, as they lie in memory.
fn bit_cast(x: &Column, from: DType, to: DType) -> Option<Column> {
    let (source, repr) = (Repr::of(from)?, Repr::of(to)?);
    let small = from != to && (from.is_small_float() || to.is_small_float());
    if from.bits() != to.bits() || source.words() != repr.words() || small {
        return None;
    }
    // Floats of 16 bits lie in their words as wider ones.
    let of_16 = |dtype: DType| dtype.narrow_float().filter(|_| dtype.size() == 2);
    if let (Column::F32(x), Some(format)) = (x, of_16(from)) {
        let bits = Column::U32(map(x, |v| format.to_bits(v).into()));
        return bit_cast(&bits, DType::U16, to);
    }
    if let Some(format) = of_16(to) {
        return Some(Column::F32(match x {
            Column::I32(x) => map(x, |v| format.of_bits(v as u16)),
            Column::U32(x) => map(x, |v| format.of_bits(v as u16)),
            _ => return None,
        }));
    }
    let count = each!(x, x => x.len());
    let mut words = vec![0; count * repr.words() as usize];
    x.store(&mut words);
    Some(Column::load(to, repr, &words, |run| run(0, count), 1))
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
            Column::F64(x) => map(x, |v| u32::from(v != 0.0)),
        }));
    }
    if let (Column::F64(x), DType::U2 | DType::U4 | DType::U8 | DType::U16) = (x, to) {
        return Some(Column::U32(map(x, |v| v as i32 as u32)));
    }
    if let (Column::F64(x), Some(format)) = (x, to.narrow_float()) {
        // By way of 32 bits it would round twice.
        return Some(Column::F32(map(x, |v| format.round(v) as f32)));
    }
    if let (Column::F32(x), DType::U2 | DType::U4 | DType::U8 | DType::U16) = (x, to) {
        return Some(Column::U32(map(x, |v| v as i32 as u32)));
    }
    Some(match Repr::of(to)? {
        Repr::F32 => Column::F32(each!(x, x => map(x, |v| v as f32))),
        Repr::I32 => Column::I32(each!(x, x => map(x, |v| v as i32))),
        Repr::U32 => Column::U32(each!(x, x => map(x, |v| v as u32))),
        Repr::I64 => Column::I64(each!(x, x => map(x, |v| v as i64))),
        Repr::U64 => Column::U64(each!(x, x => map(x, |v| v as u64))),
        Repr::F64 => Column::F64(each!(x, x => map(x, |v| v as f64))),
    })
}
