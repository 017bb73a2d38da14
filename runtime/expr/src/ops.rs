//! Operators and conversions.

use crate::division;
use crate::expr::{Expr, Undefined};
use crate::extremum;
use crate::poly;
use core::iter;
use core::ops::{Add, AddAssign, Mul, MulAssign, Neg, Sub, SubAssign};

impl Expr {
    /// The quotient rounded towards −∞. Division by an expression that is zero at some point has no value
    /// there.
    pub fn floor_div(&self, divisor: impl Into<Self>) -> Self {
        division::floor_div(self, &divisor.into())
    }

    /// The quotient rounded towards +∞.
    pub fn ceil_div(&self, divisor: impl Into<Self>) -> Self {
        let divisor = divisor.into();
        match divisor.as_constant() {
            Some(c) if c > 0 => division::floor_div(&(self + Self::constant(c - 1)), &divisor),
            _ => -division::floor_div(&-self, &divisor),
        }
    }

    /// The remainder of [`Expr::floor_div`]; it has the sign of the divisor.
    pub fn modulo(&self, divisor: impl Into<Self>) -> Self {
        division::modulo(self, &divisor.into())
    }

    /// The smaller of two.
    #[must_use]
    pub fn min(&self, other: impl Into<Self>) -> Self {
        Self::min_of([self.clone(), other.into()])
    }

    /// The larger of two.
    #[must_use]
    pub fn max(&self, other: impl Into<Self>) -> Self {
        Self::max_of([self.clone(), other.into()])
    }

    /// The smallest of several; zero of none.
    pub fn min_of(args: impl IntoIterator<Item = Self>) -> Self {
        extremum::extremum(extremum::Kind::Min, args)
    }

    /// The largest of several; zero of none.
    pub fn max_of(args: impl IntoIterator<Item = Self>) -> Self {
        extremum::extremum(extremum::Kind::Max, args)
    }

    /// The next multiple of `alignment` at or above the value.
    pub fn align_up(&self, alignment: impl Into<Self>) -> Self {
        let alignment = alignment.into();
        self.ceil_div(&alignment) * alignment
    }

    /// The product of `exponent` copies.
    #[must_use]
    pub fn pow(&self, exponent: u32) -> Self {
        poly::pow(self, exponent)
    }
}

impl From<&Expr> for Expr {
    fn from(e: &Expr) -> Self {
        e.clone()
    }
}

macro_rules! from_integer {
    ($($t:ty)*) => {$(
        impl From<$t> for Expr {
            fn from(value: $t) -> Self {
                Self::constant(i128::from(value))
            }
        }
    )*};
}
from_integer!(i32 i64 u32 u64);

impl From<usize> for Expr {
    fn from(value: usize) -> Self {
        i128::try_from(value).map_or_else(|_| Self::undefined(Undefined::Overflow), Self::constant)
    }
}

fn sub(a: &Expr, b: &Expr) -> Expr {
    poly::add(a, &-b)
}

impl Neg for &Expr {
    type Output = Expr;
    fn neg(self) -> Expr {
        poly::mul(&Expr::constant(-1), self)
    }
}

impl Neg for Expr {
    type Output = Self;
    fn neg(self) -> Self {
        -&self
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $assign:ident, $assign_method:ident, $function:path) => {
        impl<T: Into<Expr>> $trait<T> for Expr {
            type Output = Expr;
            fn $method(self, other: T) -> Expr {
                $function(&self, &other.into())
            }
        }
        impl<T: Into<Expr>> $trait<T> for &Expr {
            type Output = Expr;
            fn $method(self, other: T) -> Expr {
                $function(self, &other.into())
            }
        }
        impl $trait<Expr> for i64 {
            type Output = Expr;
            fn $method(self, other: Expr) -> Expr {
                $function(&Expr::from(self), &other)
            }
        }
        impl $trait<&Expr> for i64 {
            type Output = Expr;
            fn $method(self, other: &Expr) -> Expr {
                $function(&Expr::from(self), other)
            }
        }
        impl<T: Into<Expr>> $assign<T> for Expr {
            fn $assign_method(&mut self, other: T) {
                *self = $function(self, &other.into());
            }
        }
    };
}
operator!(Add, add, AddAssign, add_assign, poly::add);
operator!(Sub, sub, SubAssign, sub_assign, sub);
operator!(Mul, mul, MulAssign, mul_assign, poly::mul);

impl iter::Sum for Expr {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        poly::sum(parts.collect())
    }
}

impl<'a> iter::Sum<&'a Expr> for Expr {
    fn sum<I: Iterator<Item = &'a Expr>>(parts: I) -> Self {
        poly::sum(parts.cloned().collect())
    }
}

impl iter::Product for Expr {
    fn product<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::constant(1), |product, e| poly::mul(&product, &e))
    }
}

impl<'a> iter::Product<&'a Expr> for Expr {
    fn product<I: Iterator<Item = &'a Expr>>(parts: I) -> Self {
        parts.fold(Self::constant(1), |product, e| poly::mul(&product, e))
    }
}
