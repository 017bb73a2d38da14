//! Arithmetic of sums of terms: addition, multiplication, powers, exact division of polynomials.

use crate::expr::{Atom, Expr, Factor, MAX_TERMS, Term, Undefined};
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// The most pairs of terms that one multiplication writes out.
const MAX_PRODUCTS: usize = 1024;

/// The most powers of a sum that are written out; beyond it the sum is kept whole.
const MAX_EXPANDED_POWER: u32 = 8;

/// The first undefined operand, which is then the result.
pub(crate) fn undefined_of<'a>(operands: impl IntoIterator<Item = &'a Expr>) -> Option<Expr> {
    operands.into_iter().find(|e| e.as_undefined().is_some()).cloned()
}

pub(crate) fn add(a: &Expr, b: &Expr) -> Expr {
    if let Some(undefined) = undefined_of([a, b]) {
        return undefined;
    }
    let (mut left, mut right) = (a.terms().iter().peekable(), b.terms().iter().peekable());
    let mut terms = Vec::with_capacity(a.terms().len() + b.terms().len());
    while let (Some(x), Some(y)) = (left.peek(), right.peek()) {
        match x.cmp_factors(y) {
            Ordering::Less => terms.extend(left.next().cloned()),
            Ordering::Greater => terms.extend(right.next().cloned()),
            Ordering::Equal => {
                let Some(coefficient) = x.coefficient.checked_add(y.coefficient) else {
                    return Expr::undefined(Undefined::Overflow);
                };
                if coefficient != 0 {
                    terms.push(Term { factors: x.factors.clone(), coefficient });
                }
                left.next();
                right.next();
            }
        }
    }
    terms.extend(left.cloned());
    terms.extend(right.cloned());
    if terms.len() > MAX_TERMS {
        return add(&grouped(a), &grouped(b));
    }
    Expr::from_terms(terms)
}

/// The sum of many expressions, pairwise, so that each term is copied only a logarithmic number of times.
pub(crate) fn sum(mut parts: Vec<Expr>) -> Expr {
    while parts.len() > 1 {
        parts =
            parts.chunks(2).map(|pair| if let [a, b] = pair { add(a, b) } else { pair[0].clone() }).collect();
    }
    parts.pop().unwrap_or_default()
}

pub(crate) fn mul(a: &Expr, b: &Expr) -> Expr {
    if let Some(undefined) = undefined_of([a, b]) {
        return undefined;
    }
    let (m, n) = (a.terms().len(), b.terms().len());
    // Over a sum that was kept whole nothing is multiplied out: each term would carry a copy of it.
    let copies_group = (n > 1 && has_group(a)) || (m > 1 && has_group(b));
    if copies_group || (m.saturating_mul(n) > MAX_PRODUCTS && m.min(n) > 1) {
        return mul_single(&grouped(a), &grouped(b));
    }
    mul_out(a, b)
}

fn has_group(e: &Expr) -> bool {
    e.terms().iter().flat_map(|t| &t.factors).any(|f| matches!(f.atom, Atom::Group(_)))
}

/// The product of two expressions of at most one term each, just made by [`grouped`], which may have left the limits.
fn mul_single(a: &Expr, b: &Expr) -> Expr {
    debug_assert!(a.terms().len() <= 1 && b.terms().len() <= 1);
    undefined_of([a, b]).unwrap_or_else(|| mul_out(a, b))
}

fn mul_out(a: &Expr, b: &Expr) -> Expr {
    let mut products = Vec::with_capacity(a.terms().len() * b.terms().len());
    for x in a.terms() {
        for y in b.terms() {
            match mul_terms(x, y) {
                Some(term) => products.push(term),
                None => return Expr::undefined(Undefined::Overflow),
            }
        }
    }
    match merge(products) {
        Some(terms) if terms.len() > MAX_TERMS => mul_single(&grouped(a), &grouped(b)),
        Some(terms) => Expr::from_terms(terms),
        None => Expr::undefined(Undefined::Overflow),
    }
}

/// Sorts terms and adds up those with the same factors; `None` when a coefficient overflows.
pub(crate) fn merge(mut terms: Vec<Term>) -> Option<Vec<Term>> {
    terms.sort_by(Term::cmp_factors);
    let mut merged: Vec<Term> = Vec::with_capacity(terms.len());
    for term in terms {
        match merged.last_mut() {
            Some(last) if last.factors == term.factors => {
                last.coefficient = last.coefficient.checked_add(term.coefficient)?;
            }
            _ => merged.push(term),
        }
    }
    merged.retain(|t| t.coefficient != 0);
    Some(merged)
}

/// A sum of several terms as a single atom.
fn grouped(e: &Expr) -> Expr {
    if e.terms().len() <= 1 {
        return e.clone();
    }
    group_atom(e)
}

/// `e` as a factor that is not multiplied out. Of an atom or a constant it is the expression itself.
pub(crate) fn group_atom(e: &Expr) -> Expr {
    if e.as_atom().is_some() || e.as_constant().is_some() {
        return e.clone();
    }
    // Built by hand: a lone group is its content in every other place.
    let factors = vec![Factor { atom: Atom::Group(e.clone()), power: 1 }];
    let terms = vec![Term { factors, coefficient: 1 }];
    Expr::from_group(terms)
}

fn mul_terms(x: &Term, y: &Term) -> Option<Term> {
    let coefficient = x.coefficient.checked_mul(y.coefficient)?;
    let mut factors = Vec::with_capacity(x.factors.len() + y.factors.len());
    let (mut left, mut right) = (x.factors.iter().peekable(), y.factors.iter().peekable());
    while let (Some(f), Some(g)) = (left.peek(), right.peek()) {
        match f.atom.cmp(&g.atom) {
            Ordering::Less => factors.extend(left.next().cloned()),
            Ordering::Greater => factors.extend(right.next().cloned()),
            Ordering::Equal => {
                factors.push(Factor { atom: f.atom.clone(), power: f.power.checked_add(g.power)? });
                left.next();
                right.next();
            }
        }
    }
    factors.extend(left.cloned());
    factors.extend(right.cloned());
    Some(Term { factors, coefficient })
}

pub(crate) fn pow(base: &Expr, exponent: u32) -> Expr {
    if base.as_undefined().is_some() || exponent == 1 {
        return base.clone();
    }
    if exponent == 0 {
        return Expr::constant(1);
    }
    match base.terms() {
        [] => base.clone(),
        [term] => pow_term(term, exponent)
            .map_or_else(|| Expr::undefined(Undefined::Overflow), |term| Expr::from_terms(vec![term])),
        _ if exponent > MAX_EXPANDED_POWER => pow(&grouped(base), exponent),
        _ => (1..exponent).fold(base.clone(), |product, _| mul(&product, base)),
    }
}

fn pow_term(term: &Term, exponent: u32) -> Option<Term> {
    let power = |f: &Factor| Some(Factor { atom: f.atom.clone(), power: f.power.checked_mul(exponent)? });
    let factors = term.factors.iter().map(power).collect::<Option<_>>()?;
    Some(Term { factors, coefficient: term.coefficient.checked_pow(exponent)? })
}

/// The greatest term that divides every term of both: coefficient and powers. `None` if both are zero.
pub(crate) fn common_factor(a: &Expr, b: &Expr) -> Option<Term> {
    let mut terms = a.terms().iter().chain(b.terms());
    let mut common = terms.next()?.clone();
    common.coefficient = common.coefficient.checked_abs()?;
    for term in terms {
        common.coefficient = gcd(common.coefficient, term.coefficient)?;
        common.factors.retain_mut(|factor| {
            let Some(other) = term.factors.iter().find(|f| f.atom == factor.atom) else { return false };
            factor.power = factor.power.min(other.power);
            true
        });
    }
    Some(common)
}

/// The term `a / b` if it has whole coefficient and powers.
pub(crate) fn div_terms(a: &Term, b: &Term) -> Option<Term> {
    if a.coefficient.checked_rem(b.coefficient)? != 0 {
        return None;
    }
    let mut factors = a.factors.clone();
    for factor in &b.factors {
        let at = factors.iter().position(|f| f.atom == factor.atom)?;
        factors[at].power = factors[at].power.checked_sub(factor.power)?;
    }
    factors.retain(|f| f.power > 0);
    Some(Term { factors, coefficient: a.coefficient.checked_div(b.coefficient)? })
}

/// `a` divided by a term that divides each of its terms.
pub(crate) fn div_by_term(a: &Expr, by: &Term) -> Option<Expr> {
    let terms: Vec<Term> = a.terms().iter().map(|t| div_terms(t, by)).collect::<Option<_>>()?;
    // Dividing keeps the order of terms but for the sign of the coefficient, which the order does not see.
    Some(Expr::from_terms(merge(terms)?))
}

/// Quotient and remainder of polynomials with whole coefficients: `a = quotient·b + remainder` always holds,
/// and no term of the remainder is divisible by the leading term of `b`. `None` if `b` is zero or it takes
/// too many steps.
pub(crate) fn div_rem(a: &Expr, b: &Expr) -> Option<(Expr, Expr)> {
    const MAX_STEPS: usize = 64;
    let lead = b.terms().first()?;
    let mut quotient = Vec::new();
    let mut remainder = Vec::new();
    let mut rest = a.clone();
    for _ in 0..MAX_STEPS + a.terms().len() {
        let Some(first) = rest.terms().first() else {
            return Some((Expr::from_terms(merge(quotient)?), Expr::from_terms(merge(remainder)?)));
        };
        if let Some(step) = div_terms(first, lead) {
            let step_expr = Expr::from_terms(vec![step.clone()]);
            let next = rest - step_expr * b;
            if next.as_undefined().is_some() {
                return None;
            }
            quotient.push(step);
            rest = next;
        } else {
            remainder.push(first.clone());
            rest = Expr::from_terms(rest.terms()[1..].to_vec());
        }
    }
    None
}

/// The greatest common divisor, at least 1 unless both are zero; `None` for −2^127.
pub(crate) fn gcd(a: i128, b: i128) -> Option<i128> {
    let (mut a, mut b) = (a.checked_abs()?, b.checked_abs()?);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    Some(a)
}
