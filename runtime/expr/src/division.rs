//! Floor division and remainder, reduced by the rules that hold for all integers. With a divisor c > 0 that
//! is a constant:
//!
//! - ⌊(c·q + r) / c⌋ = q + ⌊r / c⌋, so coefficients are reduced below c and the constant into 0..c;
//! - ⌊(g·a + r) / (g·c)⌋ = ⌊(a + ⌊r / g⌋) / c⌋;
//! - ⌊−a / c⌋ = −⌊(a + c − 1) / c⌋, so the leading coefficient is positive;
//! - ⌊(⌊a / d⌋ + r) / c⌋ = ⌊(a + r·d) / (d·c)⌋ for a constant d > 0.
//!
//! With a divisor that is no constant only its sign and common constant factors are normalised: what needs it
//! to be other than zero is left to [`Expr::simplify`](crate::Expr::simplify).

use crate::expr::{Atom, Expr, Term, Undefined};
use crate::poly::{common_factor, div_by_term, gcd, undefined_of};
use alloc::vec::Vec;

pub(crate) fn floor_div(a: &Expr, b: &Expr) -> Expr {
    if let Some(undefined) = undefined_of([a, b]) {
        return undefined;
    }
    match b.as_constant() {
        Some(0) => Expr::from_atom(Atom::FloorDiv(a.clone(), b.clone())),
        Some(1) => a.clone(),
        Some(c) if c > 0 => floor_div_const(a, c).unwrap_or_else(|| Expr::undefined(Undefined::Overflow)),
        _ if leads_negative(b) => floor_div(&-a, &-b),
        _ => {
            let (a, b, _) = without_common_constant(a, b);
            Expr::from_atom(Atom::FloorDiv(a, b))
        }
    }
}

pub(crate) fn modulo(a: &Expr, b: &Expr) -> Expr {
    if let Some(undefined) = undefined_of([a, b]) {
        return undefined;
    }
    match b.as_constant() {
        Some(0) => Expr::from_atom(Atom::Modulo(a.clone(), b.clone())),
        Some(c) if c > 0 => modulo_const(a, c).unwrap_or_else(|| Expr::undefined(Undefined::Overflow)),
        _ if leads_negative(b) => -modulo(&-a, &-b),
        _ => {
            let (a, b, g) = without_common_constant(a, b);
            Expr::from_atom(Atom::Modulo(a, b)) * Expr::constant(g)
        }
    }
}

/// ⌊g·a / g·b⌋ = ⌊a / b⌋ and g·a mod g·b = g·(a mod b) for a constant g > 0, wherever b is not zero. Gives a,
/// b and g.
fn without_common_constant(a: &Expr, b: &Expr) -> (Expr, Expr, i128) {
    let reduce = || {
        let coefficient = common_factor(a, b)?.coefficient;
        let by = Term::constant(coefficient);
        Some((div_by_term(a, &by)?, div_by_term(b, &by)?, coefficient))
    };
    reduce().unwrap_or_else(|| (a.clone(), b.clone(), 1))
}

fn leads_negative(e: &Expr) -> bool {
    e.terms().first().is_some_and(|t| t.coefficient < 0)
}

/// Splits `a` into `c·quotient + remainder`. Coefficients are rounded towards zero or, for the constant and
/// where `euclid` says so, towards −∞.
fn split(a: &Expr, c: i128, euclid: bool) -> (Expr, Vec<Term>) {
    let (mut quotient, mut remainder) = (Vec::new(), Vec::new());
    for term in a.terms() {
        let k = term.coefficient;
        let (q, r) = if euclid || term.factors.is_empty() {
            (k.div_euclid(c), k.rem_euclid(c))
        } else {
            (k / c, k % c)
        };
        let push = |list: &mut Vec<Term>, coefficient| {
            if coefficient != 0 {
                list.push(Term { factors: term.factors.clone(), coefficient });
            }
        };
        push(&mut quotient, q);
        push(&mut remainder, r);
    }
    (Expr::from_terms(quotient), remainder)
}

/// Takes the constant off a remainder, and divides the rest and `c` by their common divisor g: `(rest, r, c,
/// g)`.
fn reduce(mut terms: Vec<Term>, c: i128) -> Option<(Vec<Term>, i128, i128, i128)> {
    let r = terms.pop_if(|t| t.factors.is_empty()).map_or(0, |t| t.coefficient);
    let mut g = c;
    for term in &terms {
        g = gcd(g, term.coefficient)?;
    }
    for term in &mut terms {
        term.coefficient /= g;
    }
    Some((terms, r, c / g, g))
}

fn floor_div_const(a: &Expr, c: i128) -> Option<Expr> {
    let (quotient, remainder) = split(a, c, false);
    let (terms, r, c, g) = reduce(remainder, c)?;
    let r = r.div_euclid(g);
    let rest = Expr::from_terms(terms);
    if rest.terms().is_empty() {
        return Some(quotient);
    }
    if c == 1 {
        return Some(quotient + rest + Expr::constant(r));
    }
    if let Some(Atom::FloorDiv(inner, by)) = rest.as_atom()
        && let Some(d) = by.as_constant().filter(|d| *d > 0)
    {
        let inner = inner + Expr::constant(r.checked_mul(d)?);
        return Some(quotient + floor_div_const(&inner, d.checked_mul(c)?)?);
    }
    if leads_negative(&rest) {
        let flipped = -rest + Expr::constant(c - 1 - r);
        return Some(quotient - floor_div_const(&flipped, c)?);
    }
    Some(quotient + Expr::from_atom(Atom::FloorDiv(rest + Expr::constant(r), Expr::constant(c))))
}

fn modulo_const(a: &Expr, c: i128) -> Option<Expr> {
    let (_, remainder) = split(a, c, true);
    let (terms, r, c, g) = reduce(remainder, c)?;
    let rest = Expr::from_terms(terms);
    let (q, r) = (r.div_euclid(g), r.rem_euclid(g));
    // (g·rest + g·q + r) mod (g·c) = g·((rest + q) mod c) + r, as 0 ≤ r < g.
    let inner = rest + Expr::constant(q);
    let inner = match inner.as_constant() {
        Some(k) => Expr::constant(k.rem_euclid(c)),
        None if c == 1 => Expr::default(),
        None if g > 1 => modulo_const(&inner, c)?,
        None => Expr::from_atom(Atom::Modulo(inner, Expr::constant(c))),
    };
    Some(inner * Expr::constant(g) + Expr::constant(r))
}
