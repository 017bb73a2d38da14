//! A memory function along one symbol, all others having values.

use super::{Condition, MemoryError, MemoryFunction, Relation};
use crate::bindings::Bindings;
use crate::bounds::bounds;
use crate::eval::Fault;
use crate::expr::Expr;
use crate::scope::{Bounds, Scope};
use crate::slope::{Slope, slope};
use alloc::vec::Vec;

/// The function with one symbol left.
pub(super) struct Line<'a> {
    free: &'a str,
    fixed: i128,
    kv: Expr,
    /// The first part of each function.
    names: Vec<usize>,
    /// The parts that there are for the values of the other symbols.
    functions: Vec<Part>,
}

struct Part {
    /// The first part of the same function.
    of: usize,
    when: Vec<Condition>,
    terms: Vec<Expr>,
}

/// Values of the free symbol, both ends included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) low: i64,
    pub(super) high: i64,
}

impl<'a> Line<'a> {
    pub(super) fn new(
        memory: &MemoryFunction,
        free: &'a str,
        others: &Bindings,
    ) -> Result<Self, MemoryError> {
        let fix = |e: &Expr| {
            let others = |name: &str| if name == free { None } else { others.get(name).map(Expr::from) };
            let left = e.replace(&others);
            left.substitute(&Bindings::new()).map_err(MemoryError::Eval)
        };
        let first = |name: &str| memory.functions.iter().position(|function| function.name == name);
        let (mut names, mut functions) = (Vec::new(), Vec::new());
        for function in &memory.functions {
            let condition = |c: &Condition| {
                Ok(Condition { left: fix(&c.left)?, relation: c.relation, right: fix(&c.right)? })
            };
            let when = function.when.iter().map(condition).collect::<Result<Vec<_>, MemoryError>>()?;
            let of = first(&function.name).unwrap_or_default();
            if !names.contains(&of) {
                names.push(of);
            }
            // Of many parts most are for other values of the other symbols.
            let never = |c: &Condition| {
                let sides = c.left.as_const().zip(c.right.as_const());
                sides.is_some_and(|(left, right)| !decided(c.relation, left.into(), right.into()))
            };
            if !when.iter().any(never) {
                let terms = function.terms.iter().map(|term| fix(&term.bytes)).collect::<Result<_, _>>()?;
                functions.push(Part { of, when, terms });
            }
        }
        Ok(Self {
            free,
            fixed: i128::from(memory.weights) + i128::from(memory.constant),
            kv: memory.kv.as_ref().map_or(Ok(Expr::default()), |kv| fix(&kv.bytes()))?,
            names,
            functions,
        })
    }

    /// The bytes at a value; `None` where there is no number that could be compared.
    pub(super) fn at(&self, value: i64) -> Option<i128> {
        let eval =
            |e: &Expr| e.eval_with(&|name| (name == self.free).then_some(value)).map_err(|_: Fault| ()).ok();
        let (mut arena, mut ran) = (0, Vec::new());
        for part in &self.functions {
            let mut holds = true;
            for condition in &part.when {
                holds &= decided(condition.relation, eval(&condition.left)?, eval(&condition.right)?);
            }
            if holds {
                ran.push(part.of);
                for term in &part.terms {
                    arena = arena.max(eval(term)?);
                }
            }
        }
        let bytes = self.fixed.checked_add(eval(&self.kv)?)?.checked_add(arena)?;
        self.all(&ran).then_some(bytes)
    }

    /// Whether a part of every function is among these.
    fn all(&self, parts: &[usize]) -> bool {
        self.names.iter().all(|of| parts.contains(of))
    }

    fn scope(&self, span: Span) -> Scope {
        let mut scope = Scope::new();
        // A span is never empty, so it is always taken.
        let _ = scope.declare(self.free, Bounds::between(span.low, span.high));
        scope
    }

    /// Whether it is proved that the bytes never fall within the span.
    pub(super) fn rises(&self, span: Span) -> bool {
        let scope = self.scope(span);
        let rises = |e: &Expr| matches!(slope(e, self.free, &scope.region(e)), Slope::Up | Slope::Flat);
        let constant =
            |part: &Part| part.when.iter().all(|c| c.left.as_const().and(c.right.as_const()).is_some());
        let somewhere = |of: &usize| self.functions.iter().any(|part| part.of == *of);
        rises(&self.kv)
            && self.names.iter().all(somewhere)
            && self.functions.iter().all(|part| constant(part) && part.terms.iter().all(rises))
    }

    /// No value within the span has fewer bytes than the first, or more than the second; `None` where nothing is known. Where
    /// no value has a number of bytes, the first is above every budget.
    pub(super) fn range(&self, span: Span) -> (Option<i128>, Option<i128>) {
        let scope = self.scope(span);
        let kv = bounds(&self.kv, &scope);
        let (mut low, mut high) = (Some(0), Some(0));
        let (mut possible, mut certain) = (Vec::new(), Vec::new());
        for part in &self.functions {
            let truths: Vec<Option<bool>> =
                part.when.iter().map(|condition| truth(condition, &scope)).collect();
            if truths.contains(&Some(false)) {
                continue;
            }
            possible.push(part.of);
            let sure = truths.iter().all(|truth| *truth == Some(true));
            if sure {
                certain.push(part.of);
            }
            for term in &part.terms {
                let own = bounds(term, &scope);
                if sure {
                    low = low.max(own.lower.map(i128::from));
                }
                high = high.zip(own.upper.map(i128::from)).map(|(a, b)| a.max(b));
            }
        }
        if !self.all(&possible) {
            return (Some(i128::MAX), None);
        }
        let with =
            |arena: Option<i128>, kv: Option<i64>| arena.zip(kv).map(|(a, b)| self.fixed + i128::from(b) + a);
        // Where it is not sure that a function runs, there may be values without a number of bytes.
        (with(low, kv.lower), with(high.filter(|_| self.all(&certain)), kv.upper))
    }
}

fn decided(relation: Relation, left: i128, right: i128) -> bool {
    match relation {
        Relation::Equal => left == right,
        Relation::NotEqual => left != right,
        Relation::AtMost => left <= right,
        Relation::Below => left < right,
    }
}

/// Whether a condition holds everywhere, nowhere, or neither is known.
fn truth(condition: &Condition, scope: &Scope) -> Option<bool> {
    let difference = bounds(&(&condition.left - &condition.right), scope);
    let (low, high) = (difference.lower, difference.upper);
    let (below, above) = (high.is_some_and(|v| v < 0), low.is_some_and(|v| v > 0));
    let (at_most, at_least) = (high.is_some_and(|v| v <= 0), low.is_some_and(|v| v >= 0));
    let either = |yes: bool, no: bool| if yes { Some(true) } else { no.then_some(false) };
    match condition.relation {
        Relation::Equal => either(at_most && at_least, below || above),
        Relation::NotEqual => either(below || above, at_most && at_least),
        Relation::AtMost => either(at_most, above),
        Relation::Below => either(below, at_least),
    }
}
