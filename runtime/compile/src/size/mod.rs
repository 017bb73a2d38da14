//! Sizes: numbers that may depend on the model's symbols.
//!
//! A [`Size`] is the value of an expression at one *reference point* together with the expression, which lies in a table
//! that exists for one compile; a constant is its value and nothing more. Code computes with sizes as with numbers, and
//! what it builds holds for every shape for which its decisions would have been the same:
//!
//! ```text
//!  a == b, a < b, …          decided at the reference point; where the outcome is not proved for all shapes, the compile
//!                            notes a guard, and what it makes serves the shapes where all its guards hold
//!  a.surely_eq(b), …         true where it is proved for all shapes, else false, and no guard: for whatever is optional
//!                            and right without
//! ```
//!
//! Proofs are those of [`bayplan_expr`] over the declared bounds and the guards noted so far.

mod formulas;
mod numbers;
mod table;
#[cfg(test)]
mod tests;

use core::cmp::Ordering;
use core::fmt;
use core::iter::{Product, Sum};
use core::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Rem, Sub};

use bayplan_expr::{EvalError, Expr};
use bayplan_shaders::{Convert, Number};

pub(crate) use formulas::{Formulas, Guard, Values};
pub(crate) use numbers::numbers;
pub(crate) use table::Symbols;

use table::{Claim, Op, with};

/// A count, position or stride in elements or bytes. Arithmetic saturates.
#[derive(Clone, Copy, Default)]
pub(crate) struct Size {
    /// At the reference point.
    value: i64,
    /// 0 of a constant, else one more than the place of its expression in the table.
    expr: u32,
}

impl Number for Size {
    type Signed = Self;
}

impl Size {
    pub(crate) const ZERO: Self = Self::constant(0);
    pub(crate) const ONE: Self = Self::constant(1);

    pub(crate) const fn constant(value: i64) -> Self {
        Self { value, expr: 0 }
    }

    /// The size that an expression says.
    ///
    /// # Errors
    /// It has no value at the reference point, a symbol of it is unknown there, or symbols have no meaning because no
    /// [`Symbols`] are entered.
    pub(crate) fn of(expr: &Expr) -> Result<Self, EvalError> {
        match expr.as_const() {
            Some(value) => Ok(Self::constant(value)),
            None => with(|table| table.leaf(expr)).unwrap_or_else(|| {
                let symbol = expr.symbols().first().map_or_else(String::new, |&name| name.to_owned());
                Err(EvalError::Unbound(symbol))
            }),
        }
    }

    /// Its value, if that is the same for all shapes.
    pub(crate) const fn known(self) -> Option<i64> {
        if self.expr == 0 { Some(self.value) } else { None }
    }

    /// Its value at the reference point; 0 where it is negative.
    pub(crate) fn here(self) -> u64 {
        u64::try_from(self.value).unwrap_or(0)
    }

    /// Its value at the reference point, which it must have at every other one too.
    pub(crate) fn pin(self) -> u64 {
        let here = Self::constant(self.value);
        // Decided by comparing: what is not known becomes a guard.
        if self == here { self.here() } else { here.here() }
    }

    /// As an expression over the symbols.
    pub(crate) fn expr(self) -> Expr {
        let symbolic = if self.expr > 0 { with(|table| table.expr(self)).flatten() } else { None };
        symbolic.unwrap_or_else(|| Expr::from(self.value))
    }

    /// What tells it from sizes with another expression.
    pub(crate) const fn key(self) -> (i64, u32) {
        (self.value, self.expr)
    }

    /// Whether two sizes are equal for all shapes.
    pub(crate) fn surely_eq(self, other: impl Into<Self>) -> bool {
        self.surely(Claim::Equal, other.into())
    }

    /// Whether a size is at most another one for all shapes.
    pub(crate) fn surely_le(self, other: impl Into<Self>) -> bool {
        self.surely(Claim::AtMost, other.into())
    }

    /// Whether a size is a multiple of a number for all shapes.
    pub(crate) fn surely_multiple_of(self, of: u64) -> bool {
        of != 0 && (self % Self::from(of)).known() == Some(0)
    }

    fn surely(self, claim: Claim, other: Self) -> bool {
        if self.key() == other.key() {
            return true;
        }
        let here = match claim {
            Claim::Equal => self.value == other.value,
            Claim::AtMost => self.value <= other.value,
        };
        if self.expr == 0 && other.expr == 0 {
            return here;
        }
        here && with(|table| table.proves(claim, self, other)).unwrap_or(false)
    }

    /// Decides a claim at the reference point and notes what is not sure of it.
    fn decide(self, claim: Claim, other: Self) -> bool {
        if self.expr == 0 && other.expr == 0 || self.key() == other.key() {
            return match claim {
                Claim::Equal => self.value == other.value,
                Claim::AtMost => self.value <= other.value,
            };
        }
        with(|table| table.decide(claim, self, other)).unwrap_or(match claim {
            Claim::Equal => self.value == other.value,
            Claim::AtMost => self.value <= other.value,
        })
    }

    /// How often another size fits, if the two are multiples of each other as polynomials: true of all shapes, those of
    /// which the other one is 0 included.
    pub(crate) fn exact_div(self, by: Self) -> Option<Self> {
        if self.expr == 0 && by.expr == 0 {
            return (by.value > 0 && self.value % by.value == 0)
                .then(|| Self::constant(self.value / by.value));
        }
        with(|table| table.exact_div(self, by)).flatten()
    }

    /// The least multiple of a number that is no smaller.
    pub(crate) fn next_multiple_of(self, of: u64) -> Self {
        if self.surely_multiple_of(of) {
            return self;
        }
        let of = Self::from(of);
        (self + of - Self::ONE) / of * of
    }

    /// Without its sign, which must be the same for all shapes.
    pub(crate) fn abs(self) -> Self {
        if self >= Self::ZERO { self } else { -self }
    }

    fn op(self, op: Op, other: Self) -> Self {
        let value = op.apply(self.value, other.value);
        if self.expr == 0 && other.expr == 0 {
            return Self::constant(value);
        }
        op.neutral(self, other)
            .or_else(|| with(|table| table.apply(op, self, other)))
            .unwrap_or(Self::constant(value))
    }
}

/// The smaller and the larger of two as sizes, without a decision which it is.
impl Size {
    pub(crate) fn min(self, other: impl Into<Self>) -> Self {
        self.op(Op::Min, other.into())
    }

    pub(crate) fn max(self, other: impl Into<Self>) -> Self {
        self.op(Op::Max, other.into())
    }

    pub(crate) fn clamp(self, low: impl Into<Self>, high: impl Into<Self>) -> Self {
        self.max(low).min(high)
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident) => {
        impl<T: Into<Size>> $trait<T> for Size {
            type Output = Self;
            fn $method(self, other: T) -> Self {
                self.op(Op::$trait, other.into())
            }
        }
    };
}
operator!(Add, add);
operator!(Sub, sub);
operator!(Mul, mul);
operator!(Div, div);
operator!(Rem, rem);

impl<T: Into<Self>> AddAssign<T> for Size {
    fn add_assign(&mut self, other: T) {
        *self = *self + other;
    }
}

impl<T: Into<Self>> MulAssign<T> for Size {
    fn mul_assign(&mut self, other: T) {
        *self = *self * other;
    }
}

impl Neg for Size {
    type Output = Self;
    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

impl Sum for Size {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::ZERO, |sum, part| sum + part)
    }
}

impl Product for Size {
    fn product<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::ONE, |product, part| product * part)
    }
}

impl<T: Copy + Into<Self>> PartialEq<T> for Size {
    fn eq(&self, other: &T) -> bool {
        self.decide(Claim::Equal, (*other).into())
    }
}

impl Eq for Size {}

impl<T: Copy + Into<Self>> PartialOrd<T> for Size {
    fn partial_cmp(&self, other: &T) -> Option<Ordering> {
        let other: Self = (*other).into();
        Some(match self.value.cmp(&other.value) {
            Ordering::Equal if *self == other => Ordering::Equal,
            Ordering::Less if *self < other => Ordering::Less,
            Ordering::Greater if *self > other => Ordering::Greater,
            order => order,
        })
    }

    fn le(&self, other: &T) -> bool {
        self.decide(Claim::AtMost, (*other).into())
    }

    fn ge(&self, other: &T) -> bool {
        (*other).into().decide(Claim::AtMost, *self)
    }

    fn lt(&self, other: &T) -> bool {
        !self.ge(other)
    }

    fn gt(&self, other: &T) -> bool {
        !self.le(other)
    }
}

macro_rules! from_integer {
    ($($t:ty)*) => {$(
        impl From<$t> for Size {
            fn from(value: $t) -> Self {
                Self::constant(i64::try_from(value).unwrap_or(i64::MAX))
            }
        }
    )*};
}
from_integer!(i32 i64 u32 u64 usize);

impl fmt::Debug for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Some(value) => value.fmt(f),
            None => write!(f, "{}≙{}", self.expr(), self.value),
        }
    }
}

/// Sizes at the reference point.
pub(crate) struct Here;

impl Convert<Size> for Here {
    type To = u64;

    fn size(&self, size: &Size) -> u64 {
        size.here()
    }

    fn stride(&self, stride: &Size) -> i64 {
        stride.value
    }
}

/// Numbers as sizes.
pub(crate) struct Known;

impl Convert<u64> for Known {
    type To = Size;

    fn size(&self, size: &u64) -> Size {
        Size::from(*size)
    }

    fn stride(&self, stride: &i64) -> Size {
        Size::from(*stride)
    }
}
