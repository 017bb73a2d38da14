//! Shapes at which dims that a model takes as equal broadcast against each other.
//!
//! ```text
//!   x [b, n] + y [b, m]     the function has n = m, and one symbol less
//!                           its spreads have m = 1, or n = 1: the same graph, inferred with that, compiled apart
//! ```
//!
//! Two symbols that stand alone are foreseen: their spreads are compiled with the function, and what a session reserves is
//! enough for them. Those of expressions (past + seq = 1) are made when a run asks for them.

use std::sync::{Arc, PoisonError};

use bayplan_expr::{Bindings, Expr, Scope};
use bayplan_graph::Graph;

use super::member::Member;
use super::{Dims, Function};
use crate::error::CompileError;
use crate::family_dims;
use crate::inputs::{Given, shapes};

/// Spreads of one function that are foreseen: each costs a compile.
const MAX_FORESEEN: usize = 4;

/// Spreads of one function: those of more shapes are refused.
const MAX_SPREADS: usize = 32;

impl Member {
    /// The function as it is at a shape where dims broadcast against each other; `None` where none do, or where it cannot run.
    pub(super) fn spread(&self, dims: &Bindings) -> Option<Arc<Self>> {
        let (graph, _) = self.graph.as_ref()?;
        if self.is_own(dims) {
            return None;
        }
        let known = self.spreads();
        if let Some(known) = known.iter().find(|spread| spread.is_own(dims)) {
            return Some(known.clone());
        }
        let made = Arc::new(self.spread_with(&ones(graph, &self.pinned, dims)?).ok()?);
        if known.len() >= MAX_SPREADS || !made.is_own(dims) {
            return None;
        }
        self.spreads.lock().unwrap_or_else(PoisonError::into_inner).push(made.clone());
        Some(made)
    }

    /// The dims of these inputs, where some broadcast against each other.
    pub(super) fn spread_dims(&self, inputs: &[Given<'_>]) -> Option<Bindings> {
        let (graph, _) = self.graph.as_ref()?;
        let mut dims = family_dims::given(graph, &self.pinned, &self.declared, &shapes(inputs)).ok()?;
        family_dims::computed(&graph.prologue, &mut dims, &self.declared, inputs).ok()?;
        self.spread(&dims).map(|_| dims)
    }

    /// Finds the spreads that are compiled with the function.
    pub(super) fn foresee(&self) {
        let Some((graph, _)) = &self.graph else { return };
        let constraints = graph.constraints_at(&self.pinned);
        let is_plain = |e: &Expr| e.as_symbol().or(e.as_const().map(|_| "")).is_some();
        let pairs = constraints.iter().filter(|own| own.broadcast && is_plain(&own.a) && is_plain(&own.b));
        let mut found: Vec<Arc<Self>> = Vec::new();
        for symbol in pairs.flat_map(|pair| [&pair.a, &pair.b]).filter_map(Expr::as_symbol) {
            let ones = self.pinned.clone().with(symbol, 1);
            let new = found.iter().all(|spread| spread.pinned != ones);
            if new && self.pinned.get(symbol).is_none() && self.declared.get(symbol).contains(1) {
                // One that cannot be, as what follows needs another size, is none.
                found.extend(self.spread_with(&ones).map(Arc::new));
            }
        }
        if found.len() <= MAX_FORESEEN {
            *self.spreads.lock().unwrap_or_else(PoisonError::into_inner) = found;
        }
    }

    /// The spreads found so far.
    pub(super) fn spreads(&self) -> Vec<Arc<Self>> {
        self.spreads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same with smaller bounds, those that have shapes left.
    pub(super) fn take_spreads(&self, of: &Self, bounds: &Scope) {
        let within = |spread: &Arc<Self>| {
            let has_one = |(symbol, value): (&str, i64)| bounds.get(symbol).contains(value);
            if !spread.pinned.iter().all(has_one) {
                return None;
            }
            spread.within(bounds).ok().map(Arc::new)
        };
        let kept = of.spreads().iter().filter_map(within).collect();
        *self.spreads.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }

    /// The function with more symbols that have values.
    fn spread_with(&self, ones: &Bindings) -> Result<Self, CompileError> {
        let unpinned = || CompileError::Bind(format!("`{}` was compiled for one shape", self.name));
        let (graph, _) = self.graph.as_ref().ok_or_else(unpinned)?;
        let mut bounds = Scope::new();
        for (symbol, own) in self.declared.iter().filter(|(symbol, _)| ones.get(symbol).is_none()) {
            bounds.declare(symbol, own).map_err(|e| CompileError::Bind(e.to_string()))?;
        }
        let dims = Dims { pinned: ones.clone(), bounds };
        let name = format!("{} at {ones}", self.name);
        Self::new(&Function { name: &name, graph, dims: &dims }, self.role)
    }
}

/// The values of the symbols that are 1 where others, which they are taken as equal to, are not; with those that have
/// values anyway. `None` where that is not what keeps the dims from being equal.
fn ones(graph: &Graph, pinned: &Bindings, dims: &Bindings) -> Option<Bindings> {
    let mut ones = pinned.clone();
    // Each time more symbols have values, so that this ends.
    loop {
        let constraints = graph.constraints_at(&ones);
        let differ = constraints.iter().find(|own| own.a.eval(dims) != own.b.eval(dims));
        let Some(differ) = differ else { return (ones != *pinned).then_some(ones) };
        let mut sides = [&differ.a, &differ.b].into_iter().filter(|_| differ.broadcast);
        let one = sides.find(|side| side.eval(dims) == Ok(1))?;
        let known = ones.len();
        for symbol in one.symbols() {
            ones.set(symbol, dims.get(symbol)?);
        }
        if ones.len() == known {
            return None;
        }
    }
}
