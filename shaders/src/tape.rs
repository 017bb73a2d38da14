//! Numbers that remember how they were computed.
//!
//! A kernel's text, parameters and grid follow from the numbers of a spec. Written with [`Taped`] numbers, what chooses
//! and writes a kernel leaves a tape: its arithmetic, and every comparison with its outcome. The same tape with other
//! numbers gives the parameters and the grid that writing the kernel again would give, as long as every comparison has
//! the outcome it had; where one has another, the kernel may be another one, too.
//!
//! ```text
//!  spec ── build ──► text, parameters, grid          once
//!            └─────► tape: d0 = n / 4 │ d0 % 4 = 0 ✓ │ p1 = d0 · m …
//!  other numbers ── tape ──► parameters, grid        no text: some additions and comparisons
//! ```
//!
//! A taped number has no way out but through a comparison, into the parameters or the grid: text that shows one has to
//! [`Taped::pin`] it, which is a comparison as well. What is decided by constants alone leaves nothing on a tape.

use core::cmp::Ordering;
use core::fmt;
use core::ops::{Add, Div, DivAssign, Mul, Rem, Sub};
use std::cell::RefCell;
use std::collections::HashMap;

use crate::{Convert, Number};

/// A number on a tape, or a constant. Arithmetic saturates at 64 bits with a sign.
#[derive(Clone, Copy, Default)]
pub struct Taped {
    value: i64,
    /// 0 of a constant, else one more than its place among the values of the tape.
    slot: u32,
}

/// How a value follows from two others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Op {
    Add,
    Sub,
    Mul,
    /// 0 by 0.
    Div,
    DivCeil,
    Rem,
    Min,
    Max,
    /// The bits of the first as `f32`.
    FloatBits,
}

impl Op {
    fn apply(self, a: i64, b: i64) -> i64 {
        match self {
            Self::Add => a.saturating_add(b),
            Self::Sub => a.saturating_sub(b),
            Self::Mul => a.saturating_mul(b),
            Self::Div => a.checked_div(b).unwrap_or(0),
            // Of what is not negative.
            Self::DivCeil => a.saturating_add(b.saturating_sub(1)).checked_div(b).unwrap_or(0),
            Self::Rem => a.checked_rem(b).unwrap_or(0),
            Self::Min => a.min(b),
            Self::Max => a.max(b),
            Self::FloatBits => i64::from((a as f32).to_bits()),
        }
    }
}

/// What was asked of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Question {
    Equal,
    Less,
    /// Whether the first fits 32 bits, without a sign or (if the second is not 0) with or without one.
    Word,
}

impl Question {
    fn ask(self, a: i64, b: i64) -> bool {
        match self {
            Self::Equal => a == b,
            Self::Less => a < b,
            Self::Word => a <= i64::from(u32::MAX) && a >= if b == 0 { 0 } else { i64::from(i32::MIN) },
        }
    }
}

/// One line of a tape.
#[derive(Clone, Copy, Debug)]
enum Line {
    /// The next value is the caller's number of that key, or what it was.
    Given(u32, i64),
    /// The next value follows from others.
    Of(Op, Taped, Taped),
    /// Whether an answer is what it was.
    Asked(Question, Taped, Taped, bool),
}

/// What is recorded, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tape {
    lines: Vec<Line>,
    values: u32,
}

impl Tape {
    /// The values at other numbers, into `values`; whether every answer is what it was when the tape was made.
    pub(crate) fn replay(&self, given: impl Fn(u32) -> Option<i64>, values: &mut Vec<i64>) -> bool {
        values.clear();
        values.reserve(self.values as usize);
        for line in &self.lines {
            match *line {
                Line::Given(key, was) => values.push(given(key).unwrap_or(was)),
                Line::Of(op, a, b) => values.push(op.apply(a.among(values), b.among(values))),
                Line::Asked(question, a, b, answer) => {
                    if question.ask(a.among(values), b.among(values)) != answer {
                        return false;
                    }
                }
            }
        }
        true
    }
}

/// A tape being made, with what is on it already: equal values are one, and nothing is asked twice.
#[derive(Default)]
struct Recording {
    tape: Tape,
    given: HashMap<u32, u32>,
    known: HashMap<(Op, Key, Key), u32>,
    asked: HashMap<(Question, Key, Key), ()>,
}

/// What tells a number from others: constants by their value, the others by their slot.
type Key = (i64, u32);

impl Recording {
    fn value(&mut self, line: Line) -> u32 {
        self.tape.lines.push(line);
        self.tape.values += 1;
        self.tape.values
    }
}

thread_local! {
    static RECORDING: RefCell<Option<Recording>> = const { RefCell::new(None) };
}

/// Ends the recording, whatever happens.
struct Stop;

impl Drop for Stop {
    fn drop(&mut self) {
        RECORDING.take();
    }
}

/// What `make` answers, with the tape of it.
pub(crate) fn record<T>(make: impl FnOnce() -> T) -> (T, Tape) {
    let _stop = Stop;
    RECORDING.set(Some(Recording::default()));
    let made = make();
    (made, RECORDING.take().map(|recording| recording.tape).unwrap_or_default())
}

impl Taped {
    /// A constant.
    pub const fn constant(value: i64) -> Self {
        Self { value, slot: 0 }
    }

    /// A number that another replay may have another value of, known there by its key; a constant where nothing is
    /// recorded.
    pub fn given(key: u32, value: i64) -> Self {
        let slot = RECORDING.with_borrow_mut(|recording| {
            let recording = recording.as_mut()?;
            if let Some(&slot) = recording.given.get(&key) {
                return Some(slot);
            }
            let slot = recording.value(Line::Given(key, value));
            recording.given.insert(key, slot);
            Some(slot)
        });
        Self { value, slot: slot.unwrap_or(0) }
    }

    /// Its value, which it then has at every replay.
    pub(crate) fn pin(self) -> u64 {
        self.asked(Question::Equal, Self::constant(self.value));
        u64::try_from(self.value).unwrap_or(0)
    }

    /// Its value now, which says nothing of replays: for what is finished.
    pub(crate) const fn now(self) -> i64 {
        self.value
    }

    /// Its value among those of a replay.
    pub(crate) fn among(self, values: &[i64]) -> i64 {
        let place = (self.slot as usize).checked_sub(1);
        place.map_or(self.value, |place| values.get(place).copied().unwrap_or(self.value))
    }

    /// Whether it fits 32 bits without a sign.
    pub(crate) fn is_word(self) -> bool {
        self.asked(Question::Word, Self::constant(0))
    }

    /// Whether it fits 32 bits, with or without a sign.
    pub(crate) fn is_signed_word(self) -> bool {
        self.asked(Question::Word, Self::constant(1))
    }

    /// The bits of it as `f32`.
    pub(crate) fn float_bits(self) -> Self {
        self.op(Op::FloatBits, Self::constant(0))
    }

    pub(crate) fn min(self, other: impl Into<Self>) -> Self {
        self.op(Op::Min, other.into())
    }

    pub(crate) fn max(self, other: impl Into<Self>) -> Self {
        self.op(Op::Max, other.into())
    }

    /// How many of another one it takes to reach it; neither is negative.
    pub(crate) fn div_ceil(self, other: impl Into<Self>) -> Self {
        self.op(Op::DivCeil, other.into())
    }

    pub(crate) fn saturating_add(self, other: impl Into<Self>) -> Self {
        self + other
    }

    pub(crate) fn saturating_mul(self, other: impl Into<Self>) -> Self {
        self * other
    }

    /// The difference, 0 where it is negative.
    pub(crate) fn saturating_sub(self, other: impl Into<Self>) -> Self {
        (self - other).max(0)
    }

    pub(crate) fn is_multiple_of(self, other: impl Into<Self>) -> bool {
        let other = other.into();
        if other == Self::constant(0) { self == Self::constant(0) } else { self % other == Self::constant(0) }
    }

    /// Without its sign.
    pub(crate) fn unsigned_abs(self) -> Self {
        if self < Self::constant(0) { Self::constant(0) - self } else { self }
    }

    fn key(self) -> Key {
        if self.slot == 0 { (self.value, 0) } else { (0, self.slot) }
    }

    fn op(self, op: Op, other: Self) -> Self {
        let value = op.apply(self.value, other.value);
        if self.slot == 0 && other.slot == 0 {
            return Self::constant(value);
        }
        let slot = RECORDING.with_borrow_mut(|recording| {
            let recording = recording.as_mut()?;
            let key = (op, self.key(), other.key());
            if let Some(&slot) = recording.known.get(&key) {
                return Some(slot);
            }
            let slot = recording.value(Line::Of(op, self, other));
            recording.known.insert(key, slot);
            Some(slot)
        });
        Self { value, slot: slot.unwrap_or(0) }
    }

    fn asked(self, question: Question, other: Self) -> bool {
        let answer = question.ask(self.value, other.value);
        if self.slot == 0 && other.slot == 0 || self.slot == other.slot && question != Question::Word {
            return answer;
        }
        RECORDING.with_borrow_mut(|recording| {
            let Some(recording) = recording else { return };
            if recording.asked.insert((question, self.key(), other.key()), ()).is_none() {
                recording.tape.lines.push(Line::Asked(question, self, other, answer));
            }
        });
        answer
    }
}

impl Number for Taped {
    type Signed = Self;
}

macro_rules! operator {
    ($($trait:ident $method:ident),*) => {$(
        impl<T: Into<Taped>> $trait<T> for Taped {
            type Output = Self;
            fn $method(self, other: T) -> Self {
                self.op(Op::$trait, other.into())
            }
        }
    )*};
}
operator!(Add add, Sub sub, Mul mul, Div div, Rem rem);

impl<T: Into<Self>> DivAssign<T> for Taped {
    fn div_assign(&mut self, other: T) {
        *self = *self / other;
    }
}

impl<T: Copy + Into<Self>> PartialEq<T> for Taped {
    fn eq(&self, other: &T) -> bool {
        self.asked(Question::Equal, (*other).into())
    }
}

impl Eq for Taped {}

impl<T: Copy + Into<Self>> PartialOrd<T> for Taped {
    fn partial_cmp(&self, other: &T) -> Option<Ordering> {
        Some(self.cmp(&(*other).into()))
    }

    fn lt(&self, other: &T) -> bool {
        self.asked(Question::Less, (*other).into())
    }

    fn gt(&self, other: &T) -> bool {
        (*other).into().asked(Question::Less, *self)
    }

    fn le(&self, other: &T) -> bool {
        !self.gt(other)
    }

    fn ge(&self, other: &T) -> bool {
        !self.lt(other)
    }
}

impl Ord for Taped {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.asked(Question::Less, *other) {
            Ordering::Less
        } else if other.asked(Question::Less, *self) {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    }
}

macro_rules! from_integer {
    ($($t:ty)*) => {$(
        impl From<$t> for Taped {
            fn from(value: $t) -> Self {
                Self::constant(i64::try_from(value).unwrap_or(i64::MAX))
            }
        }
    )*};
}
from_integer!(i32 i64 u32 u64 usize);

/// The value: for refusals, of which no tape is kept.
impl fmt::Debug for Taped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// Numbers as constants.
pub(crate) struct Constants;

impl Convert<u64> for Constants {
    type To = Taped;

    fn size(&self, size: &u64) -> Taped {
        Taped::from(*size)
    }

    fn stride(&self, stride: &i64) -> Taped {
        Taped::constant(*stride)
    }
}

/// Specs over taped numbers: what chooses and writes kernels sees no others.
pub(crate) mod specs {
    use super::Taped;
    use crate::spec;

    pub(crate) type Spec = spec::Spec<Taped>;
    pub(crate) type Chain = spec::Chain<Taped>;
    pub(crate) type Layout = spec::Layout<Taped>;
    pub(crate) type Operand = spec::Operand<Taped>;
    pub(crate) type ElementwiseSpec = spec::ElementwiseSpec<Taped>;
    pub(crate) type MatMulSpec = spec::MatMulSpec<Taped>;
    pub(crate) type ConvSpec = spec::ConvSpec<Taped>;
    pub(crate) type PoolSpec = spec::PoolSpec<Taped>;
    pub(crate) type ReduceSpec = spec::ReduceSpec<Taped>;
    pub(crate) type SoftmaxSpec = spec::SoftmaxSpec<Taped>;
    pub(crate) type NormalizeSpec = spec::NormalizeSpec<Taped>;
    pub(crate) type CopySpec = spec::CopySpec<Taped>;
    pub(crate) type GatherSpec = spec::GatherSpec<Taped>;
    pub(crate) type GatherNdSpec = spec::GatherNdSpec<Taped>;
    pub(crate) type ScatterSpec = spec::ScatterSpec<Taped>;
    pub(crate) type CumulateSpec = spec::CumulateSpec<Taped>;
    pub(crate) type RankSpec = spec::RankSpec<Taped>;
    pub(crate) type HostSpec = spec::HostSpec<Taped>;
    pub(crate) type RangeSpec = spec::RangeSpec<Taped>;
    pub(crate) type BlockMatMulSpec = spec::BlockMatMulSpec<Taped>;
    pub(crate) type BlockGatherSpec = spec::BlockGatherSpec<Taped>;
    pub(crate) type UnpackSpec = spec::UnpackSpec<Taped>;
}

/// Constants in a list.
#[cfg(test)]
pub(crate) fn list(numbers: &[i64]) -> Vec<Taped> {
    numbers.iter().map(|&number| Taped::constant(number)).collect()
}
