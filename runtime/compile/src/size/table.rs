//! The expressions of one compile, what is proved of them, and the guards.

use core::marker::PhantomData;
use std::cell::RefCell;
use std::collections::HashMap;

use bayplan_expr::{Bindings, Bounds, EvalError, Expr, Scope, prove_eq, prove_le};

use super::Size;
use super::formulas::{Formula, Formulas, Guard, Relation};

/// What makes a size of two others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Add,
    Sub,
    Mul,
    /// Rounded towards −∞; 0 by 0.
    Div,
    /// Of that division.
    Rem,
    Min,
    Max,
}

impl Op {
    pub(super) fn apply(self, a: i64, b: i64) -> i64 {
        match self {
            Self::Add => a.saturating_add(b),
            Self::Sub => a.saturating_sub(b),
            Self::Mul => a.saturating_mul(b),
            Self::Div => {
                let quotient = a.checked_div(b).unwrap_or(0);
                let inexact = a.checked_rem(b).is_some_and(|rest| rest != 0 && (rest < 0) != (b < 0));
                quotient - i64::from(inexact)
            }
            Self::Rem => match a.checked_rem(b) {
                Some(rest) if rest != 0 && (rest < 0) != (b < 0) => rest + b,
                Some(rest) => rest,
                None => 0,
            },
            Self::Min => a.min(b),
            Self::Max => a.max(b),
        }
    }

    /// The operand that the other one leaves as it is.
    pub(super) fn neutral(self, a: Size, b: Size) -> Option<Size> {
        match (self, a.known(), b.known()) {
            (Self::Add | Self::Sub, _, Some(0)) | (Self::Mul | Self::Div, _, Some(1)) => Some(a),
            (Self::Add, Some(0), _) | (Self::Mul, Some(1), _) => Some(b),
            (Self::Mul, Some(0), _) | (Self::Mul, _, Some(0)) | (Self::Rem, _, Some(1)) => Some(Size::ZERO),
            (Self::Min | Self::Max, ..) if a.key() == b.key() => Some(a),
            _ => None,
        }
    }
}

/// What can be said of two sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Claim {
    Equal,
    AtMost,
}

thread_local! {
    static TABLE: RefCell<Option<Table>> = const { RefCell::new(None) };
}

/// Asks the table of the compile at hand, if there is one.
pub(super) fn with<T>(ask: impl FnOnce(&mut Table) -> T) -> Option<T> {
    TABLE.with_borrow_mut(|table| table.as_mut().map(ask))
}

/// While it lives, sizes on this thread may depend on symbols.
pub(crate) struct Symbols {
    outer: Option<Table>,
    /// The table is the thread's.
    here: PhantomData<*const ()>,
}

impl Symbols {
    /// Begins a compile: the bounds of the symbols and the point at which decisions are taken.
    pub(crate) fn enter(bounds: &Scope, point: &Bindings) -> Self {
        let table = Table {
            bounds: bounds.clone(),
            point: point.clone(),
            entries: Vec::new(),
            places: HashMap::new(),
            made: HashMap::new(),
            proofs: HashMap::new(),
            guards: Vec::new(),
        };
        Self { outer: TABLE.replace(Some(table)), here: PhantomData }
    }

    /// Ends it: what its sizes are at any point, and where what was made of them holds.
    pub(crate) fn leave(self) -> Formulas {
        with(|table| {
            let guards = table.necessary();
            let formulas = table.entries.iter().map(|entry| entry.formula.clone()).collect();
            Formulas::new(formulas, guards)
        })
        .unwrap_or_default()
    }
}

impl Drop for Symbols {
    fn drop(&mut self) {
        TABLE.set(self.outer.take());
    }
}

struct Entry {
    expr: Expr,
    formula: Formula,
}

type Key = (i64, u32);

pub(super) struct Table {
    bounds: Scope,
    point: Bindings,
    entries: Vec<Entry>,
    places: HashMap<Expr, Size>,
    made: HashMap<(Op, Key, Key), Size>,
    proofs: HashMap<(Claim, Key, Key), bool>,
    guards: Vec<(Relation, Size, Size)>,
}

impl Table {
    pub(super) fn expr(&self, size: Size) -> Option<Expr> {
        let place = (size.expr as usize).checked_sub(1)?;
        Some(self.entries.get(place)?.expr.clone())
    }

    fn text(&self, size: Size) -> Expr {
        self.expr(size).unwrap_or_else(|| Expr::from(size.value))
    }

    /// A size that the graph says.
    pub(super) fn leaf(&mut self, expr: &Expr) -> Result<Size, EvalError> {
        let value = expr.eval(&self.point)?;
        Ok(self.place(expr.clone(), value, Formula::Leaf(expr.clone())))
    }

    /// The size of an expression: one that is there already, or a new one.
    fn place(&mut self, expr: Expr, value: i64, formula: Formula) -> Size {
        if let Some(value) = expr.as_const() {
            return Size::constant(value);
        }
        if let Some(&size) = self.places.get(&expr) {
            return size;
        }
        let size = Size { value, expr: self.entries.len() as u32 + 1 };
        // What is too large to be written is equal to itself alone.
        if expr.as_undefined().is_none() {
            self.places.insert(expr.clone(), size);
        }
        self.entries.push(Entry { expr, formula });
        size
    }

    pub(super) fn apply(&mut self, op: Op, a: Size, b: Size) -> Size {
        let key = (op, a.key(), b.key());
        if let Some(&size) = self.made.get(&key) {
            return size;
        }
        let (x, y) = (self.text(a), self.text(b));
        let size = match op {
            Op::Min | Op::Max if self.proves(Claim::AtMost, a, b) => {
                if op == Op::Min {
                    a
                } else {
                    b
                }
            }
            Op::Min | Op::Max if self.proves(Claim::AtMost, b, a) => {
                if op == Op::Min {
                    b
                } else {
                    a
                }
            }
            _ => {
                let expr = match op {
                    Op::Add => x + y,
                    Op::Sub => x - y,
                    Op::Mul => x * y,
                    Op::Div => x.floor_div(y).simplify(&self.bounds),
                    Op::Rem => x.modulo(y).simplify(&self.bounds),
                    Op::Min => x.min(y),
                    Op::Max => x.max(y),
                };
                self.place(expr, op.apply(a.value, b.value), Formula::Of(op, a, b))
            }
        };
        self.made.insert(key, size);
        size
    }

    /// Whether a claim holds for all shapes.
    pub(super) fn proves(&mut self, claim: Claim, a: Size, b: Size) -> bool {
        let key = (claim, a.key(), b.key());
        if let Some(&proved) = self.proofs.get(&key) {
            return proved;
        }
        let (x, y) = (self.text(a), self.text(b));
        let proved = match claim {
            Claim::Equal => a.value == b.value && prove_eq(&x, &y, &self.bounds),
            Claim::AtMost => a.value <= b.value && prove_le(&x, &y, &self.bounds),
        };
        self.proofs.insert(key, proved);
        proved
    }

    pub(super) fn decide(&mut self, claim: Claim, a: Size, b: Size) -> bool {
        match claim {
            Claim::AtMost if a.value <= b.value => {
                self.ensure(Relation::AtMost, a, b);
                true
            }
            Claim::AtMost => {
                let above = self.apply(Op::Add, b, Size::ONE);
                self.ensure(Relation::AtMost, above, a);
                false
            }
            Claim::Equal if a.value == b.value => {
                self.ensure(Relation::Equal, a, b);
                true
            }
            Claim::Equal => {
                let (low, high) = if a.value < b.value { (a, b) } else { (b, a) };
                let above = self.apply(Op::Add, low, Size::ONE);
                if !self.proves(Claim::AtMost, above, high) {
                    self.ensure(Relation::Differ, low, high);
                }
                false
            }
        }
    }

    /// Notes a guard unless it holds for all shapes.
    fn ensure(&mut self, relation: Relation, a: Size, b: Size) {
        let proved = match relation {
            Relation::Equal => self.proves(Claim::Equal, a, b),
            Relation::AtMost => self.proves(Claim::AtMost, a, b),
            Relation::Differ => false,
        };
        let known = |&(had, x, y): &(Relation, Size, Size)| {
            had == relation && x.key() == a.key() && y.key() == b.key()
        };
        if proved || self.guards.iter().any(known) {
            return;
        }
        self.guards.push((relation, a, b));
        self.assume(relation, a, b);
    }

    /// Lets proofs use a guard that bounds one symbol.
    fn assume(&mut self, relation: Relation, a: Size, b: Size) {
        let (x, y) = (self.text(a), self.text(b));
        let tighter = |symbol: &str, low: Option<i64>, high: Option<i64>, bounds: &mut Scope| {
            let had = bounds.get(symbol);
            let lower = had.lower.max(low.unwrap_or(had.lower));
            let upper = match (had.upper, high) {
                (Some(had), Some(new)) => Some(had.min(new)),
                (had, new) => had.or(new),
            };
            // The reference point lies within both, so that the bounds are never empty.
            let _ = bounds.declare(symbol, Bounds { lower, upper });
        };
        match (relation, x.as_symbol(), y.as_symbol(), a.known(), b.known()) {
            (Relation::AtMost, Some(symbol), _, _, Some(most)) => {
                tighter(symbol, None, Some(most), &mut self.bounds);
            }
            (Relation::AtMost, _, Some(symbol), Some(least), _) => {
                tighter(symbol, Some(least), None, &mut self.bounds);
            }
            (Relation::Equal, Some(symbol), _, _, Some(value))
            | (Relation::Equal, _, Some(symbol), Some(value), _) => {
                tighter(symbol, Some(value), Some(value), &mut self.bounds);
            }
            _ => return,
        }
        self.proofs.retain(|_, proved| *proved);
    }

    /// The quotient of two expressions if it has no rest, as a polynomial.
    pub(super) fn exact_div(&mut self, a: Size, by: Size) -> Option<Size> {
        let (x, y) = (self.text(a), self.text(by));
        // Where no symbol is 0 nothing keeps common factors from cancelling; that they did right is checked after.
        let mut positive = Scope::new();
        for symbol in x.symbols().into_iter().chain(y.symbols()) {
            positive.declare(symbol, Bounds::at_least(1)).ok()?;
        }
        let quotient = x.floor_div(&y).simplify(&positive);
        if &quotient * &y != x || quotient.as_undefined().is_some() {
            return None;
        }
        let value = quotient.eval(&self.point).ok()?;
        Some(self.place(quotient.clone(), value, Formula::Leaf(quotient)))
    }

    /// The guards without those that follow from others.
    fn necessary(&mut self) -> Vec<Guard> {
        let all = std::mem::take(&mut self.guards);
        let mut kept: Vec<(Relation, Size, Size)> = Vec::with_capacity(all.len());
        for guard in all {
            if kept.iter().any(|other| self.implies(other, &guard)) {
                continue;
            }
            kept.retain(|other| !self.implies(&guard, other));
            kept.push(guard);
        }
        kept.iter()
            .map(|&(relation, a, b)| Guard::new(relation, (a, self.text(a)), (b, self.text(b))))
            .collect()
    }

    /// Whether one guard holds wherever another one does: its lower side is lower, its upper side higher.
    fn implies(
        &mut self,
        &(relation, a, b): &(Relation, Size, Size),
        &(other, x, y): &(Relation, Size, Size),
    ) -> bool {
        relation == Relation::AtMost
            && other == Relation::AtMost
            && (x.key() == a.key() || self.proves(Claim::AtMost, x, a))
            && (b.key() == y.key() || self.proves(Claim::AtMost, b, y))
    }
}
