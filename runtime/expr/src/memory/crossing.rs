//! Where two expressions are equal.

use crate::bounds::bounds;
use crate::expr::{Expr, Term};
use crate::poly;
use crate::scope::Scope;
use alloc::vec::Vec;
use core::fmt;

/// Where two expressions are equal within a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Crossing {
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
    /// Exactly where the two sides are equal. The first expression is the larger one where `left` is (`rising`), or where
    /// `right` is.
    Where {
        /// What the symbols make, without what both sides have in common.
        left: Expr,
        /// The other side; a number, if one of them is.
        right: Expr,
        /// Whether the first expression is the larger one where the left side is.
        rising: bool,
    },
}

impl fmt::Display for Crossing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("everywhere"),
            Self::Never => f.write_str("nowhere"),
            Self::Where { left, right, .. } => write!(f, "{left} = {right}"),
        }
    }
}

/// Where `a` and `b` are equal: their difference, divided by what all of its terms have in common and what is nowhere
/// zero.
///
/// ```
/// use bayplan_expr::{Bounds, Expr, Scope, memory::crossing};
/// let mut scope = Scope::new();
/// for symbol in ["b", "s"] {
///     scope.declare(symbol, Bounds::at_least(1)).unwrap();
/// }
/// let [mlp, attention] = ["73728*b*s", "16384*b*s + 128*b*s*(p + s)"].map(|e| Expr::parse(e).unwrap());
/// assert_eq!(crossing(&mlp, &attention, &scope).to_string(), "p + s = 448");
/// ```
pub fn crossing(a: &Expr, b: &Expr, scope: &Scope) -> Crossing {
    let difference = a - b;
    if difference.as_const() == Some(0) {
        return Crossing::Always;
    }
    let rest = without_common_factor(&difference, scope);
    let range = bounds(&rest, scope);
    if range.lower.is_some_and(|low| low > 0) || range.upper.is_some_and(|high| high < 0) {
        return Crossing::Never;
    }
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for term in rest.terms() {
        let side = if term.coefficient > 0 { &mut left } else { &mut right };
        side.push(term.clone());
    }
    let (left, right) = (Expr::from_terms(left), -Expr::from_terms(right));
    if left.as_const().is_some() {
        return Crossing::Where { left: right, right: left, rising: false };
    }
    Crossing::Where { left, right, rising: true }
}

/// The expression divided by the greatest term that divides all of its terms, as far as that is above zero everywhere.
fn without_common_factor(e: &Expr, scope: &Scope) -> Expr {
    let Some(common) = poly::common_factor(e, &Expr::default()) else { return e.clone() };
    let positive = |factor: &&crate::expr::Factor| {
        let atom = Expr::from_atom(factor.atom.clone());
        bounds(&atom, scope).lower.is_some_and(|low| low > 0)
    };
    let factors = common.factors.iter().filter(positive).cloned().collect();
    poly::div_by_term(e, &Term { factors, coefficient: common.coefficient }).unwrap_or_else(|| e.clone())
}
