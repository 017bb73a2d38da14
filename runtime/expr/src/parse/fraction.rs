//! Fractions of expressions: what `/` makes until it is rounded.

use crate::expr::{Expr, Undefined};
use crate::poly;
use alloc::vec::Vec;

/// `over / under`, where `under` is not the constant zero. Only sign and common constant factors are reduced.
#[derive(Clone)]
pub(crate) struct Fraction {
    over: Expr,
    under: Expr,
}

impl From<Expr> for Fraction {
    fn from(e: Expr) -> Self {
        Self { over: e, under: Expr::constant(1) }
    }
}

impl Fraction {
    fn new(over: Expr, under: Expr) -> Self {
        if under.as_constant() == Some(1) {
            return Self { over, under };
        }
        let Some(mut common) = poly::common_factor(&over, &under) else { return Self { over, under } };
        // Symbols must not cancel: they may be zero.
        common.factors.clear();
        if under.terms().first().is_some_and(|t| t.coefficient < 0) {
            common.coefficient = -common.coefficient;
        }
        match (poly::div_by_term(&over, &common), poly::div_by_term(&under, &common)) {
            (Some(over), Some(under)) => Self { over, under },
            _ => Expr::undefined(Undefined::Overflow).into(),
        }
    }

    /// The expression, if there is nothing to divide by.
    pub(crate) fn whole(&self) -> Option<Expr> {
        (self.under.as_constant() == Some(1)).then(|| self.over.clone())
    }

    pub(crate) fn sum(parts: Vec<Self>) -> Self {
        if parts.iter().all(|f| f.whole().is_some()) {
            return poly::sum(parts.into_iter().map(|f| f.over).collect()).into();
        }
        let mut parts = parts.into_iter();
        let first = parts.next().unwrap_or_else(|| Expr::default().into());
        parts.fold(first, |a, b| {
            if a.under == b.under {
                return Self::new(a.over + b.over, a.under);
            }
            Self::new(a.over * &b.under + b.over * &a.under, a.under * b.under)
        })
    }

    pub(crate) fn neg(&self) -> Self {
        Self { over: -&self.over, under: self.under.clone() }
    }

    pub(crate) fn mul(&self, other: &Self) -> Self {
        Self::new(&self.over * &other.over, &self.under * &other.under)
    }

    /// `None` if `other` is zero.
    pub(crate) fn div(&self, other: &Self) -> Option<Self> {
        if other.over.as_constant() == Some(0) {
            return None;
        }
        Some(Self::new(&self.over * &other.under, &self.under * &other.over))
    }

    pub(crate) fn floor(&self) -> Self {
        self.over.floor_div(&self.under).into()
    }

    pub(crate) fn ceil(&self) -> Self {
        self.over.ceil_div(&self.under).into()
    }

    /// `self − other·⌊self / other⌋`; `None` if `other` is zero.
    pub(crate) fn modulo(&self, other: &Self) -> Option<Self> {
        if let (Some(a), Some(b)) = (self.whole(), other.whole()) {
            return (b.as_constant() != Some(0)).then(|| a.modulo(b).into());
        }
        let quotient = self.div(other)?.floor();
        Some(Self::sum([self.clone(), other.mul(&quotient).neg()].into()))
    }

    pub(crate) fn pow(&self, exponent: u32) -> Self {
        Self::new(self.over.pow(exponent), self.under.pow(exponent))
    }
}
