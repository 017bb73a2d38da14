//! Minima and maxima of several expressions.

use crate::expr::{Atom, Expr, Term, cmp_lists};
use crate::poly::undefined_of;
use alloc::vec::Vec;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Min,
    Max,
}

/// Flattens nested extrema of the same kind, keeps one of those that differ by a constant only, sorts.
pub(crate) fn extremum(kind: Kind, args: impl IntoIterator<Item = Expr>) -> Expr {
    let mut flat = Vec::new();
    for arg in args {
        match (kind, arg.as_atom()) {
            (Kind::Min, Some(Atom::Min(inner))) | (Kind::Max, Some(Atom::Max(inner))) => {
                flat.extend(inner.iter().cloned());
            }
            _ => flat.push(arg),
        }
    }
    if let Some(undefined) = undefined_of(&flat) {
        return undefined;
    }
    flat.sort_by(|a, b| cmp_lists(variable_part(a), variable_part(b), Term::cmp));
    let mut kept: Vec<Expr> = Vec::with_capacity(flat.len());
    for arg in flat {
        match kept.last_mut() {
            Some(last) if variable_part(last) == variable_part(&arg) => {
                let replaces = match kind {
                    Kind::Min => offset(&arg) < offset(last),
                    Kind::Max => offset(&arg) > offset(last),
                };
                if replaces {
                    *last = arg;
                }
            }
            _ => kept.push(arg),
        }
    }
    match (kept.pop(), kept.is_empty()) {
        (None, _) => Expr::default(),
        (Some(only), true) => only,
        (Some(last), false) => {
            kept.push(last);
            Expr::from_atom(match kind {
                Kind::Min => Atom::Min(kept.into()),
                Kind::Max => Atom::Max(kept.into()),
            })
        }
    }
}

fn variable_part(e: &Expr) -> &[Term] {
    match e.terms() {
        [rest @ .., last] if last.factors.is_empty() => rest,
        all => all,
    }
}

fn offset(e: &Expr) -> i128 {
    e.terms().last().filter(|t| t.factors.is_empty()).map_or(0, |t| t.coefficient)
}
