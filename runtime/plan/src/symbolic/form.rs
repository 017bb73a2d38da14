//! The peak as an expression.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bayplan_expr::{Bindings, EvalError, Expr, ParseError};

use super::eliminate::{self, Budget};
use super::plan::SymbolicPlan;
use crate::memory::{Function, Term};
use crate::solve::Effort;

/// The bytes an order needs, as the largest of a few expressions.
///
/// It prints as what [`Expr::parse`] reads, `Max(…)` over the terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeakForm {
    /// The arena is as large as the largest of these. None where nothing is to be placed.
    pub terms: Vec<Expr>,
    /// What is known of them.
    pub proof: Proof,
}

/// What is known of a closed form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// At every point of the box it equals the replay.
    Proved,
    /// It is nowhere above the replay and equals it at this many points, but somewhere the replay may be higher.
    Checked {
        /// Points at which both were compared.
        points: u64,
    },
}

/// The buffers that make one term of a closed form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// A point at which they are the highest chain.
    pub at: Bindings,
    /// Their numbers in the problem, from the ground up: each rests on the one before it.
    pub buffers: Vec<u32>,
}

impl PeakForm {
    /// The form as one expression.
    pub fn expr(&self) -> Expr {
        Expr::max_of(self.terms.iter().cloned())
    }

    /// Reads what `Display` wrote; what was known of it is the caller's to tell.
    ///
    /// # Errors
    /// A text that is no expression.
    pub fn parse(text: &str, proof: Proof) -> Result<Self, ParseError> {
        let whole = Expr::parse(text)?;
        let terms = arguments(text.trim()).and_then(|parts| {
            let parsed: Option<Vec<Expr>> = parts.into_iter().map(|part| Expr::parse(part).ok()).collect();
            parsed.filter(|terms| Expr::max_of(terms.iter().cloned()) == whole)
        });
        Ok(Self { terms: terms.unwrap_or_else(|| alloc::vec![whole]), proof })
    }

    /// The bytes at a point.
    ///
    /// # Errors
    /// A symbol without a value, or one at which a term has none.
    pub fn eval(&self, point: &Bindings) -> Result<u64, EvalError> {
        let mut most = 0;
        for term in &self.terms {
            most = term.eval(point)?.max(most);
        }
        Ok(most.unsigned_abs())
    }
}

impl fmt::Display for PeakForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr().fmt(f)
    }
}

/// The texts between the commas of `Max(…)`, if the text looks like one.
fn arguments(text: &str) -> Option<Vec<&str>> {
    let inside = text.strip_prefix("Max(")?.strip_suffix(')')?;
    let (mut parts, mut depth, mut from, mut quoted, mut escaped) = (Vec::new(), 0u32, 0, false, false);
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'`' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth = depth.checked_sub(1)?,
            b',' if !quoted && depth == 0 => {
                parts.push(&inside[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[from..]);
    Some(parts)
}

impl SymbolicPlan {
    /// The peak as a closed form: the expressions that are the highest chain somewhere in the box. `effort` limits how
    /// far the proof goes that none is missing.
    pub fn peak_form(&self, effort: Effort) -> PeakForm {
        self.peak_chains(effort).0
    }

    /// As [`SymbolicPlan::peak_form`], with the buffers that make each of its terms.
    pub fn peak_chains(&self, effort: Effort) -> (PeakForm, Vec<Chain>) {
        let budget = match effort {
            Effort::Normal => Budget { parts: 400, proofs: 4_000 },
            Effort::High | Effort::Steps(_) => Budget { parts: 10_000, proofs: 100_000 },
        };
        let mut found = eliminate::find(self, budget);
        eliminate::without_redundant(self, &mut found, budget);
        let proof = if found.complete { Proof::Proved } else { Proof::Checked { points: found.points } };
        let terms = found.terms.iter().map(|term| found.classes.expr(term)).collect();
        (PeakForm { terms, proof }, found.chains)
    }

    /// The closed form as a function of a [`MemoryFunction`](crate::memory::MemoryFunction): each term is named by the
    /// buffers of its chain, the largest first, and `name` names these.
    ///
    /// ```text
    ///   scores, mask and 2 more: 128*b*p*s + 128*b*s**2 + 16384*b*s
    /// ```
    pub fn memory<'n>(
        &self,
        function: &str,
        effort: Effort,
        name: &dyn Fn(u32) -> &'n str,
    ) -> crate::memory::Function {
        let (form, chains) = self.peak_chains(effort);
        let named = |(bytes, chain): (Expr, &Chain)| Term { name: self.chain_name(chain, name), bytes };
        let terms = form.terms.into_iter().zip(&chains).map(named).collect();
        Function { proved: form.proof == Proof::Proved, ..Function::new(function, terms) }
    }

    fn chain_name<'n>(&self, chain: &Chain, name: &dyn Fn(u32) -> &'n str) -> String {
        let sized = |&buffer: &u32| {
            let own = self.problem().buffers().get(buffer as usize);
            let size =
                own.and_then(|own| own.size.eval(&chain.at).ok()).and_then(|size| u64::try_from(size).ok());
            (size.unwrap_or(0), name(buffer))
        };
        Term::name_of(chain.buffers.iter().map(sized))
    }
}
