//! Simplification by what a scope knows.

use crate::bounds::{prove_le_plainly, refined};
use crate::expr::{Atom, Expr};
use crate::poly;
use crate::scope::Scope;
use alloc::vec::Vec;

/// The most arguments of an extremum that are compared in pairs.
const MAX_COMPARED: usize = 32;

impl Expr {
    /// An expression that has the same value wherever the scope holds and this one has a value, with the
    /// divisions, remainders, minima and maxima gone that the bounds decide: with `batch ≥ 1`,
    /// `(batch*total)//batch` is `total`. A dim may be zero unless the scope says otherwise, so without it
    /// nothing cancels.
    #[must_use]
    pub fn simplify(&self, scope: &Scope) -> Self {
        let simplified = self.rebuild(&mut |atom| simplify_atom(atom, scope));
        if simplified.as_undefined().is_some() { self.clone() } else { simplified }
    }
}

fn simplify_atom(atom: &Atom, scope: &Scope) -> Expr {
    let simple = match atom {
        Atom::Symbol(_) | Atom::Undefined(_) => Expr::from_atom(atom.clone()),
        Atom::FloorDiv(a, b) => quotient(&a.simplify(scope), &b.simplify(scope), scope),
        Atom::Modulo(a, b) => remainder(&a.simplify(scope), &b.simplify(scope), scope),
        Atom::Min(args) => {
            // The least of a list is minus the greatest of the negated.
            let kept = undominated(args.iter().map(|e| -e.simplify(scope)).collect(), scope);
            Expr::min_of(kept.into_iter().map(|e| -e))
        }
        Atom::Max(args) => Expr::max_of(undominated(args.iter().map(|e| e.simplify(scope)).collect(), scope)),
        Atom::Group(inner) => poly::group_atom(&inner.simplify(scope)),
    };
    let region = scope.region(&simple);
    // A symbol with one value is kept: its name says more than the number.
    match refined(&simple, &region).as_single() {
        Some(value) if simple.as_symbol().is_none() => Expr::constant(value),
        _ => simple,
    }
}

/// Whether the expression is never zero within the scope.
fn is_nonzero(e: &Expr, scope: &Scope) -> bool {
    refined(e, &scope.region(e)).excludes_zero()
}

fn quotient(a: &Expr, b: &Expr, scope: &Scope) -> Expr {
    let whole = a.floor_div(b);
    if b.as_constant().is_some() || !is_nonzero(b, scope) {
        return whole;
    }
    // A product that is not zero has no factor that is: what both sides share cancels.
    let reduced = poly::common_factor(a, b)
        .and_then(|common| Some((poly::div_by_term(a, &common)?, poly::div_by_term(b, &common)?)));
    let (a, b) = reduced.unwrap_or_else(|| (a.clone(), b.clone()));
    match poly::div_rem(&a, &b) {
        Some((q, r)) if r.as_constant() == Some(0) => q,
        Some((q, r)) if is_worthwhile(&a, &b, &r) => q + r.floor_div(&b),
        _ => a.floor_div(&b),
    }
}

fn remainder(a: &Expr, b: &Expr, scope: &Scope) -> Expr {
    let whole = a.modulo(b);
    if !is_nonzero(b, scope) {
        return whole;
    }
    let r = match poly::div_rem(a, b) {
        Some((_, r)) if b.as_constant().is_none() && is_worthwhile(a, b, &r) => r,
        _ => a.clone(),
    };
    let zero = Expr::default();
    if prove_le_plainly(&zero, &r, scope) && prove_le_plainly(&(&r + 1), b, scope) { r } else { r.modulo(b) }
}

/// Whether dividing out makes the expression simpler: always by a single term, by a sum only if it comes out
/// even.
fn is_worthwhile(a: &Expr, b: &Expr, r: &Expr) -> bool {
    r.as_constant().is_some() || (b.terms().len() == 1 && r.terms().len() < a.terms().len())
}

/// The arguments of a maximum without those that are proved to be at most another.
fn undominated(args: Vec<Expr>, scope: &Scope) -> Vec<Expr> {
    if args.len() > MAX_COMPARED {
        return args;
    }
    let mut kept: Vec<Expr> = Vec::with_capacity(args.len());
    for arg in args {
        if kept.iter().any(|other| prove_le_plainly(&arg, other, scope)) {
            continue;
        }
        kept.retain(|other| !prove_le_plainly(other, &arg, scope));
        kept.push(arg);
    }
    kept
}
