//! Where an expression only rises or only falls with a symbol.

use crate::bounds::enclose;
use crate::bounds::enclose_factor;
use crate::expr::{Atom, Expr, Factor, Term};
use crate::range::Range;
use crate::scope::Region;

/// The largest sum whose difference quotient is written out.
const MAX_DIFFERENCE_TERMS: usize = 32;

/// How a value changes when a symbol grows and all others stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slope {
    Flat,
    /// Never falls.
    Up,
    /// Never rises.
    Down,
    Unknown,
}

use Slope::{Down, Flat, Unknown, Up};

impl Slope {
    fn reverse(self) -> Self {
        match self {
            Up => Down,
            Down => Up,
            other => other,
        }
    }

    /// Of a sum, a minimum or a maximum.
    fn join(self, other: Self) -> Self {
        match (self, other) {
            (Flat, s) | (s, Flat) => s,
            (a, b) if a == b => a,
            _ => Unknown,
        }
    }

    /// Of a multiple by something that keeps its sign.
    fn times(self, factor: Range) -> Self {
        if self == Flat || factor.at_least(0) {
            self
        } else if factor.at_most(0) {
            self.reverse()
        } else {
            Unknown
        }
    }
}

/// How `e` changes with the symbol within the box.
pub(crate) fn slope(e: &Expr, symbol: &str, region: &Region) -> Slope {
    let by_parts = e.terms().iter().map(|t| term_slope(t, symbol, region)).fold(Flat, Slope::join);
    if by_parts != Unknown || e.terms().len() > MAX_DIFFERENCE_TERMS || is_inside_atom(e, symbol) {
        return by_parts;
    }
    // A polynomial: the sign of its difference tells what that of its terms cannot, as for n² − n.
    let next = e.replace(&|name| (name == symbol).then(|| Expr::symbol(symbol) + 1));
    let difference = next - e;
    if difference.as_undefined().is_some() {
        return Unknown;
    }
    let range = enclose(&difference, region);
    if range.at_least(0) {
        Up
    } else if range.at_most(0) {
        Down
    } else {
        Unknown
    }
}

fn is_inside_atom(e: &Expr, symbol: &str) -> bool {
    let mut atoms = e.terms().iter().flat_map(|t| &t.factors).map(|f| &f.atom);
    atoms.any(|atom| atom.inner().any(|inner| inner.symbols().contains(symbol)))
}

fn term_slope(term: &Term, symbol: &str, region: &Region) -> Slope {
    let mut slope = Flat;
    let mut range = Range::exactly(term.coefficient);
    // Factor by factor: (a·b)' has the sign of a'·b + a·b'.
    for factor in &term.factors {
        let factor_range = enclose_factor(factor, region);
        slope = slope.times(factor_range).join(factor_slope(factor, symbol, region).times(range));
        range = range.mul(factor_range);
    }
    slope
}

fn factor_slope(factor: &Factor, symbol: &str, region: &Region) -> Slope {
    let slope = atom_slope(&factor.atom, symbol, region);
    if slope == Flat || !factor.power.is_multiple_of(2) {
        return slope;
    }
    let base = Factor { atom: factor.atom.clone(), power: 1 };
    slope.times(enclose_factor(&base, region))
}

fn atom_slope(atom: &Atom, symbol: &str, region: &Region) -> Slope {
    match atom {
        Atom::Symbol(name) => {
            if **name == *symbol {
                Up
            } else {
                Flat
            }
        }
        Atom::Group(inner) => slope(inner, symbol, region),
        Atom::Min(args) | Atom::Max(args) => {
            args.iter().map(|e| slope(e, symbol, region)).fold(Flat, Slope::join)
        }
        Atom::FloorDiv(a, b) => {
            let divisor = enclose(b, region);
            if !divisor.excludes_zero() {
                return if atom.inner().any(|e| e.symbols().contains(symbol)) { Unknown } else { Flat };
            }
            // a/b rises with a where b > 0, and with b where a < 0; rounding keeps the direction.
            let by_divisor = slope(b, symbol, region).reverse().times(enclose(a, region));
            slope(a, symbol, region).times(divisor).join(by_divisor)
        }
        Atom::Modulo(..) => {
            if atom.inner().any(|e| e.symbols().contains(symbol)) {
                Unknown
            } else {
                Flat
            }
        }
        Atom::Undefined(_) => Unknown,
    }
}
