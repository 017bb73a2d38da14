//! What the sizes of a finished compile are at any point.

use core::fmt;

use bayplan_expr::memory::{self, Condition};
use bayplan_expr::{Bindings, Bounds, EvalError, Expr, Scope};
use bayplan_shaders::Convert;

use super::Size;
use super::table::Op;

/// How a size follows.
#[derive(Clone, Debug)]
pub(super) enum Formula {
    /// From symbols.
    Leaf(Expr),
    /// From sizes before it.
    Of(Op, Size, Size),
}

/// What a guard says of its two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Relation {
    Equal,
    Differ,
    AtMost,
}

/// A condition under which what was compiled is right.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    relation: Relation,
    sides: [Size; 2],
    texts: [Expr; 2],
}

impl Guard {
    pub(super) fn new(relation: Relation, a: (Size, Expr), b: (Size, Expr)) -> Self {
        Self { relation, sides: [a.0, b.0], texts: [a.1, b.1] }
    }

    /// It as a condition on the symbols.
    pub(crate) fn condition(&self) -> Condition {
        let relation = match self.relation {
            Relation::Equal => memory::Relation::Equal,
            Relation::Differ => memory::Relation::NotEqual,
            Relation::AtMost => memory::Relation::AtMost,
        };
        let [left, right] = self.texts.clone();
        Condition { left, relation, right }
    }

    /// Whether it holds for these values.
    fn holds(&self, values: &Values) -> bool {
        let [a, b] = self.sides.map(|side| values.signed(side));
        match self.relation {
            Relation::Equal => a == b,
            Relation::Differ => a != b,
            Relation::AtMost => a <= b,
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.relation {
            Relation::Equal => "=",
            Relation::Differ => "≠",
            Relation::AtMost => "≤",
        };
        write!(f, "{} {sign} {}", self.texts[0], self.texts[1])
    }
}

/// The sizes of a compile as formulas over its symbols, each after those it follows from, and its guards.
#[derive(Clone, Debug, Default)]
pub(crate) struct Formulas {
    formulas: Vec<Formula>,
    /// Whether something needs the value.
    wanted: Vec<bool>,
    guards: Vec<Guard>,
}

impl Formulas {
    pub(super) fn new(formulas: Vec<Formula>, guards: Vec<Guard>) -> Self {
        Self { wanted: vec![true; formulas.len()], formulas, guards }
    }

    /// Serves only points of a part of the box that its guards leave.
    pub(crate) fn require(&mut self, part: &Scope, left: &Scope, reference: &Bindings) {
        for (symbol, bounds) in part.iter() {
            if let Some(here) = reference.get(symbol).filter(|_| bounds != left.get(symbol)) {
                self.bound(symbol, here, bounds);
            }
        }
    }

    /// Serves only points where a symbol is within bounds; `here` is its value at the reference point.
    fn bound(&mut self, symbol: &str, here: i64, bounds: Bounds) {
        let expr = Expr::symbol(symbol);
        self.formulas.push(Formula::Leaf(expr.clone()));
        self.wanted.push(true);
        let size = Size { value: here, expr: self.formulas.len() as u32 };
        let side = |value: i64| (Size::constant(value), Expr::from(value));
        if bounds.upper == Some(bounds.lower) {
            self.guards.insert(0, Guard::new(Relation::Equal, (size, expr), side(bounds.lower)));
            return;
        }
        self.guards.insert(0, Guard::new(Relation::AtMost, side(bounds.lower), (size, expr.clone())));
        if let Some(upper) = bounds.upper {
            self.guards.insert(1, Guard::new(Relation::AtMost, (size, expr), side(upper)));
        }
    }

    /// Conditions under which what was compiled serves a point.
    pub(crate) fn guards(&self) -> &[Guard] {
        &self.guards
    }

    /// Keeps those that give `sizes` and the guards: others have no value afterwards.
    pub(crate) fn keep(&mut self, sizes: impl IntoIterator<Item = Size>) {
        self.wanted.fill(false);
        let wanted = &mut self.wanted;
        let mut want = |size: Size| {
            if let Some(slot) = (size.expr as usize).checked_sub(1).and_then(|place| wanted.get_mut(place)) {
                *slot = true;
            }
        };
        sizes.into_iter().chain(self.guards.iter().flat_map(|guard| guard.sides)).for_each(&mut want);
        for (place, formula) in self.formulas.iter().enumerate().rev() {
            if let (true, Formula::Of(_, a, b)) = (self.wanted[place], formula) {
                for size in [a, b].into_iter().filter(|size| size.expr > 0) {
                    self.wanted[size.expr as usize - 1] = true;
                }
            }
        }
    }

    /// The sizes at a point; `None` where a guard does not hold.
    ///
    /// # Errors
    /// A dimension of the model has no value there.
    pub(crate) fn at(&self, point: &Bindings) -> Result<Option<Values>, EvalError> {
        let mut values = Values(Vec::with_capacity(self.formulas.len()));
        for (formula, wanted) in self.formulas.iter().zip(&self.wanted) {
            let value = match formula {
                _ if !wanted => 0,
                Formula::Leaf(expr) => expr.eval(point)?,
                Formula::Of(op, a, b) => op.apply(values.signed(*a), values.signed(*b)),
            };
            values.0.push(value);
        }
        Ok(self.guards.iter().all(|guard| guard.holds(&values)).then_some(values))
    }

    /// The first guard that does not hold at a point where [`Formulas::at`] answers none.
    #[cfg(test)]
    pub(crate) fn broken(&self, point: &Bindings) -> Option<&Guard> {
        let bare = Self { guards: Vec::new(), ..self.clone() };
        let values = bare.at(point).ok().flatten()?;
        self.guards.iter().find(|guard| !guard.holds(&values))
    }
}

/// The sizes of a compile at one point; of none ([`Values::default`]) at the reference point.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values(Vec<i64>);

impl Values {
    /// The value of a size of that compile.
    pub(crate) fn of(&self, size: Size) -> u64 {
        u64::try_from(self.signed(size)).unwrap_or(0)
    }

    /// What a size that depends on symbols is looked up by, with its sign or (where it counts) without.
    pub(crate) fn key(size: Size, signed: bool) -> Option<u32> {
        Some(2 * size.expr.checked_sub(1)? + u32::from(signed))
    }

    /// The value of a size with that key; none at the reference point.
    pub(crate) fn keyed(&self, key: u32) -> Option<i64> {
        let value = *self.0.get(key as usize / 2)?;
        Some(if key % 2 == 1 { value } else { value.max(0) })
    }

    /// The value of a size that may be negative: a stride, an element of a tensor.
    pub(crate) fn signed(&self, size: Size) -> i64 {
        let place = (size.expr as usize).checked_sub(1);
        place.map_or(size.value, |place| self.0.get(place).copied().unwrap_or(size.value))
    }
}

impl Convert<Size> for Values {
    type To = u64;

    fn size(&self, size: &Size) -> u64 {
        self.of(*size)
    }

    fn stride(&self, stride: &Size) -> i64 {
        self.signed(*stride)
    }
}
