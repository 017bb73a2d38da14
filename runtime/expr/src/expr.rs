//! The expression type and its parts.

use crate::poly;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::hash::{Hash, Hasher};

/// The most terms a sum may have when it is multiplied out; beyond it, sums and products keep their operands
/// whole (and are then no longer canonical, but still right).
pub const MAX_TERMS: usize = 256;

/// The most nodes (terms and atoms, counted through every nested expression) of an expression. A size of
/// 16,384 prints as some hundred kilobytes: far beyond any real shape, and evaluated within a millisecond.
pub const MAX_SIZE: u32 = 1 << 14;

/// How deep divisions, remainders, minima and maxima may nest. Everything that walks an expression recurses
/// once per level.
pub const MAX_DEPTH: u32 = 48;

/// An integer expression over symbols, in canonical form; cheap to clone.
///
/// Two expressions that are equal as polynomials (after the reductions by constant divisors that hold for all
/// integers) compare equal. There is no `Ord`: an order of expressions would say nothing about their values,
/// and its `min` and `max` would hide [`Expr::min`] and [`Expr::max`]. For sorting there is
/// [`Expr::total_cmp`].
///
/// ```
/// use bayplan_expr::Expr;
/// let (n, m) = (Expr::symbol("n"), Expr::symbol("m"));
/// assert_eq!((&n + &m) * (&n - &m), &n * &n - &m * &m);
/// ```
#[derive(Clone)]
pub struct Expr(pub(crate) Arc<Poly>);

/// Why an expression is undefined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Undefined {
    /// A coefficient or an exponent left the range of the arithmetic (128 and 32 bits).
    Overflow,
    /// It would exceed [`MAX_SIZE`] or [`MAX_DEPTH`].
    TooLarge,
}

/// A sum of terms: sorted, no two with the same factors, none with coefficient zero.
#[derive(PartialEq, Eq)]
pub(crate) struct Poly {
    pub(crate) terms: Vec<Term>,
    pub(crate) size: u32,
    pub(crate) depth: u32,
}

/// A coefficient times a product of factors; a constant has none.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Term {
    pub(crate) factors: Vec<Factor>,
    pub(crate) coefficient: i128,
}

/// A power, at least 1, of an atom. Factors of a term are sorted and have different atoms.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Factor {
    pub(crate) atom: Atom,
    pub(crate) power: u32,
}

/// What a polynomial cannot look into.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Atom {
    Symbol(Arc<str>),
    FloorDiv(Expr, Expr),
    Modulo(Expr, Expr),
    Min(Arc<[Expr]>),
    Max(Arc<[Expr]>),
    /// A sum that was not multiplied out because the result would have too many terms.
    Group(Expr),
    /// Always the only atom of its expression.
    Undefined(Undefined),
}

impl Expr {
    /// A symbol. Any text may be a name; one that is no identifier prints between backticks.
    pub fn symbol(name: &str) -> Self {
        Self::from_atom(Atom::Symbol(name.into()))
    }

    pub(crate) fn constant(value: i128) -> Self {
        Self::from_terms(if value == 0 { Vec::new() } else { vec![Term::constant(value)] })
    }

    pub(crate) fn undefined(why: Undefined) -> Self {
        let factors = vec![Factor { atom: Atom::Undefined(why), power: 1 }];
        Self(Arc::new(Poly { terms: vec![Term { factors, coefficient: 1 }], size: 1, depth: 0 }))
    }

    /// The atom as an expression; undefined if one of its parts is.
    pub(crate) fn from_atom(atom: Atom) -> Self {
        if let Some(undefined) = poly::undefined_of(atom.inner()) {
            return undefined;
        }
        Self::from_terms(vec![Term { factors: vec![Factor { atom, power: 1 }], coefficient: 1 }])
    }

    /// The terms must be sorted, merged and without zeros.
    pub(crate) fn from_terms(terms: Vec<Term>) -> Self {
        if let [term] = terms.as_slice()
            && let ([Factor { atom: Atom::Group(inner), power: 1 }], 1) =
                (term.factors.as_slice(), term.coefficient)
        {
            return inner.clone();
        }
        Self::from_group(terms)
    }

    /// As [`Expr::from_terms`], but a lone group stays one, to be a factor or a summand.
    pub(crate) fn from_group(mut terms: Vec<Term>) -> Self {
        terms.shrink_to_fit();
        let mut size = 1_u32;
        let mut depth = 0;
        for factor in terms.iter().flat_map(|t| &t.factors) {
            size = size.saturating_add(1).saturating_add(factor.atom.inner().map(|e| e.0.size).sum());
            depth = depth.max(factor.atom.inner().map(|e| e.0.depth + 1).max().unwrap_or(0));
        }
        size = size.saturating_add(u32::try_from(terms.len()).unwrap_or(u32::MAX));
        if size > MAX_SIZE || depth > MAX_DEPTH {
            return Self::undefined(Undefined::TooLarge);
        }
        Self(Arc::new(Poly { terms, size, depth }))
    }

    pub(crate) fn terms(&self) -> &[Term] {
        &self.0.terms
    }

    /// The value, if the expression is a constant of 64 bits.
    pub fn as_const(&self) -> Option<i64> {
        self.as_constant().and_then(|value| i64::try_from(value).ok())
    }

    pub(crate) fn as_constant(&self) -> Option<i128> {
        match self.terms() {
            [] => Some(0),
            [term] if term.factors.is_empty() => Some(term.coefficient),
            _ => None,
        }
    }

    /// The atom, if the expression is just one.
    pub(crate) fn as_atom(&self) -> Option<&Atom> {
        match self.terms() {
            [Term { factors, coefficient: 1 }] => match factors.as_slice() {
                [Factor { atom, power: 1 }] => Some(atom),
                _ => None,
            },
            _ => None,
        }
    }

    /// The name, if the expression is just a symbol.
    pub fn as_symbol(&self) -> Option<&str> {
        match self.as_atom() {
            Some(Atom::Symbol(name)) => Some(name),
            _ => None,
        }
    }

    /// Why the expression is undefined, if it is.
    pub fn as_undefined(&self) -> Option<Undefined> {
        match self.as_atom() {
            Some(Atom::Undefined(why)) => Some(*why),
            _ => None,
        }
    }

    /// A total and stable order, for sorting. It says nothing about values.
    pub fn total_cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        cmp_lists(self.terms(), other.terms(), Term::cmp)
    }

    /// The names of all symbols, in order.
    pub fn symbols(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        self.visit(&mut |atom| {
            if let Atom::Symbol(name) = atom {
                names.insert(&**name);
            }
        });
        names
    }

    /// Calls `see` for every atom, outer before inner.
    pub(crate) fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a Atom)) {
        for factor in self.terms().iter().flat_map(|t| &t.factors) {
            see(&factor.atom);
            for inner in factor.atom.inner() {
                inner.visit(see);
            }
        }
    }

    /// Rebuilds the expression with every symbol for which `value` gives one replaced.
    pub fn replace(&self, value: &dyn Fn(&str) -> Option<Self>) -> Self {
        self.rebuild(&mut |atom| match atom {
            Atom::Symbol(name) => value(name).unwrap_or_else(|| Self::from_atom(atom.clone())),
            Atom::FloorDiv(a, b) => a.replace(value).floor_div(b.replace(value)),
            Atom::Modulo(a, b) => a.replace(value).modulo(b.replace(value)),
            Atom::Min(args) => Self::min_of(args.iter().map(|e| e.replace(value))),
            Atom::Max(args) => Self::max_of(args.iter().map(|e| e.replace(value))),
            Atom::Group(inner) => inner.replace(value),
            Atom::Undefined(_) => Self::from_atom(atom.clone()),
        })
    }

    /// The same sum of products with each atom mapped to an expression.
    pub(crate) fn rebuild(&self, map: &mut dyn FnMut(&Atom) -> Self) -> Self {
        let mut sum = Vec::new();
        for term in self.terms() {
            let mut product = Self::constant(term.coefficient);
            for factor in &term.factors {
                product *= map(&factor.atom).pow(factor.power);
            }
            sum.push(product);
        }
        poly::sum(sum)
    }
}

impl Term {
    pub(crate) fn constant(value: i128) -> Self {
        Self { factors: Vec::new(), coefficient: value }
    }

    fn degree(&self) -> u64 {
        self.factors.iter().map(|f| u64::from(f.power)).sum()
    }

    pub(crate) fn cmp(&self, other: &Self) -> Ordering {
        self.cmp_factors(other).then_with(|| self.coefficient.cmp(&other.coefficient))
    }

    /// Compares the factors alone, graded lexicographic, higher degree first: an order that multiplication by
    /// a monomial keeps, as division of polynomials needs it.
    pub(crate) fn cmp_factors(&self, other: &Self) -> Ordering {
        other.degree().cmp(&self.degree()).then_with(|| cmp_lists(&self.factors, &other.factors, Factor::cmp))
    }
}

impl Factor {
    fn cmp(&self, other: &Self) -> Ordering {
        self.atom.cmp(&other.atom).then_with(|| other.power.cmp(&self.power))
    }
}

/// Compares lists item by item, the shorter first.
pub(crate) fn cmp_lists<T>(a: &[T], b: &[T], cmp: fn(&T, &T) -> Ordering) -> Ordering {
    let mut pairs = a.iter().zip(b).map(|(x, y)| cmp(x, y));
    pairs.find(|order| order.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
}

impl Atom {
    /// A total order: symbols by name, then the other kinds by their parts.
    pub(crate) fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Symbol(a), Self::Symbol(b)) => a.cmp(b),
            (Self::FloorDiv(a, b), Self::FloorDiv(c, d)) | (Self::Modulo(a, b), Self::Modulo(c, d)) => {
                a.total_cmp(c).then_with(|| b.total_cmp(d))
            }
            (Self::Min(a), Self::Min(b)) | (Self::Max(a), Self::Max(b)) => cmp_lists(a, b, Expr::total_cmp),
            (Self::Group(a), Self::Group(b)) => a.total_cmp(b),
            (Self::Undefined(a), Self::Undefined(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Symbol(_) => 0,
            Self::FloorDiv(..) => 1,
            Self::Modulo(..) => 2,
            Self::Min(_) => 3,
            Self::Max(_) => 4,
            Self::Group(_) => 5,
            Self::Undefined(_) => 6,
        }
    }

    /// The expressions an atom is made of.
    pub(crate) fn inner(&self) -> impl Iterator<Item = &Expr> {
        let (pair, list): ([Option<&Expr>; 2], &[Expr]) = match self {
            Self::Symbol(_) | Self::Undefined(_) => ([None, None], &[]),
            Self::FloorDiv(a, b) | Self::Modulo(a, b) => ([Some(a), Some(b)], &[]),
            Self::Group(a) => ([Some(a), None], &[]),
            Self::Min(args) | Self::Max(args) => ([None, None], args),
        };
        pair.into_iter().flatten().chain(list)
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for Expr {}

impl Hash for Expr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.terms.hash(state);
    }
}

impl Default for Expr {
    /// Zero.
    fn default() -> Self {
        Self::constant(0)
    }
}
