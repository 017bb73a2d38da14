//! The bytes that a program needs, as a function of its symbols.
//!
//! ```text
//!  M(symbols) = weights + constant + kv(symbols) + max over functions and their terms
//!
//!   bytes ^             .-'  attention: 128*b*p*s + ...      one term binds at each point; which one
//!         |         .-'                                      it is changes where two are equal
//!         |-----x-'--------  mlp: 73728*b*s
//!         |  .-'
//!         +-----+--------->  past
//! ```
//!
//! A term is an exact expression, with ⌈·⌉ where something is aligned. Nothing has to grow with anything: [`solve`]
//! proves where it can that the function only rises, and searches interval by interval where it cannot.
//!
//! [`solve`]: MemoryFunction::solve

mod crossing;
mod line;
mod parse;
mod solve;
mod table;
mod text;

pub use crossing::{Crossing, crossing};
pub use parse::MemoryParseError;
pub use solve::{Solution, SolveError};
pub use table::{Row, combinations, maximal, steps};

use crate::bindings::Bindings;
use crate::eval::EvalError;
use crate::expr::Expr;
use crate::scope::{Scope, ScopeError};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bayplan_text::ellipsis;
use core::cmp::Reverse;
use core::fmt;

/// The bytes that a program needs at any point of a box.
///
/// ```
/// use bayplan_expr::memory::{Function, KvCache, MemoryFunction, Term};
/// use bayplan_expr::{Bindings, Expr};
///
/// let terms = ["73728*b*s", "16384*b*s + 128*b*s*(p + s)"];
/// let terms = ["mlp", "attention"].iter().zip(terms).map(|(name, bytes)| Term {
///     name: (*name).into(),
///     bytes: Expr::parse(bytes).unwrap(),
/// });
/// let memory = MemoryFunction {
///     weights: 16_060_522_496,
///     kv: Some(KvCache::tokens(Expr::symbol("b"), Expr::parse("p + s").unwrap(), 131_072)),
///     functions: vec![Function::new("main", terms.collect())],
///     ..MemoryFunction::default()
/// };
/// let found = memory.solve(24 << 30, "p", &Bindings::new().with("b", 1).with("s", 512)).unwrap();
/// assert_eq!(found.value, 48_829);
/// assert_eq!(memory.functions[0].terms[found.binding.unwrap().term].name, "attention");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryFunction {
    /// Bytes of the weights.
    pub weights: u64,
    /// Bytes that no symbol changes.
    pub constant: u64,
    /// The cache of keys and values that sequences keep between runs, where it stands apart from the activations.
    pub kv: Option<KvCache>,
    /// They share one arena, which is as large as the largest of them. Those of one name are one function within parts of
    /// its bounds: at a point where none of them runs, there is no number of bytes.
    pub functions: Vec<Function>,
    /// The bounds of the symbols.
    pub scope: Scope,
}

/// Keys and values that sequences keep between runs, in blocks of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvCache {
    /// How many sequences.
    pub sequences: Expr,
    /// Tokens of each.
    pub tokens: Expr,
    /// Tokens of a block, at least 1: each sequence has whole blocks.
    pub block_tokens: u64,
    /// Bytes of a block.
    pub block_bytes: u64,
}

impl KvCache {
    /// Of `bytes` for each token.
    pub fn tokens(sequences: Expr, tokens: Expr, bytes: u64) -> Self {
        Self { sequences, tokens, block_tokens: 1, block_bytes: bytes }
    }

    /// Its blocks: ⌈tokens / block⌉ for each sequence.
    pub fn blocks(&self) -> Expr {
        &self.sequences * self.tokens.ceil_div(self.block_tokens.max(1))
    }

    /// Its bytes.
    pub fn bytes(&self) -> Expr {
        self.blocks() * self.block_bytes
    }
}

/// What the arena needs for one function of a model, or for one within part of its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Where it is what runs: all of these hold. Everywhere if there are none.
    pub when: Vec<Condition>,
    /// The arena is as large as the largest of these.
    pub terms: Vec<Term>,
    /// Whether that is proved for all of its bounds; else it was compared with the plan at points, and may be too low
    /// at others.
    pub proved: bool,
}

impl Function {
    /// One whose terms are proved everywhere.
    pub fn new(name: &str, terms: Vec<Term>) -> Self {
        Self { name: name.into(), when: Vec::new(), terms, proved: true }
    }
}

/// The bytes of one set of tensors that live together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The tensors.
    pub name: String,
    /// Their bytes.
    pub bytes: Expr,
}

/// Tensors that name a term.
const NAMED: usize = 3;

impl Term {
    /// A term's name from its tensors with their bytes: the largest ones, `scores, mask, mlp and 2 more`. Empty ones are
    /// left out.
    pub fn name_of<'n>(tensors: impl IntoIterator<Item = (u64, &'n str)>) -> String {
        let mut sized: Vec<(u64, &str)> = tensors.into_iter().filter(|(bytes, _)| *bytes > 0).collect();
        sized.sort_by_key(|(bytes, _)| Reverse(*bytes));
        let names: Vec<&str> = sized.iter().take(NAMED).map(|(_, name)| *name).collect();
        match sized.len() - names.len() {
            0 if names.is_empty() => "nothing".into(),
            0 => names.join(", "),
            more => alloc::format!("{} and {more} more", names.join(", ")),
        }
    }
}

/// A relation of two expressions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// One side.
    pub left: Expr,
    /// How it must be to the other.
    pub relation: Relation,
    /// The other side.
    pub right: Expr,
}

/// How two values are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// =
    Equal,
    /// ≠
    NotEqual,
    /// ≤
    AtMost,
    /// <
    Below,
}

impl Condition {
    /// Whether it holds at a point.
    ///
    /// # Errors
    /// A side has no value there.
    pub fn holds(&self, point: &Bindings) -> Result<bool, EvalError> {
        let (left, right) = (self.left.eval(point)?, self.right.eval(point)?);
        Ok(match self.relation {
            Relation::Equal => left == right,
            Relation::NotEqual => left != right,
            Relation::AtMost => left <= right,
            Relation::Below => left < right,
        })
    }
}

/// The term that is largest at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its function's position in [`MemoryFunction::functions`].
    pub function: usize,
    /// Its position in [`Function::terms`]; the first, if several are equal.
    pub term: usize,
    /// Its bytes.
    pub bytes: u64,
}

/// Why there is no number of bytes at a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemoryError {
    /// The point lies outside the bounds.
    Scope(ScopeError),
    /// An expression has no value there.
    Eval(EvalError),
    /// Of some function, no part's conditions hold there.
    NoFunction(Bindings),
    /// The bytes do not fit in 64 bits, or those of the K/V cache are negative.
    Range(Bindings),
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |point: &Bindings| ellipsis(&point.to_string(), 200).to_string();
        match self {
            Self::Scope(error) => error.fmt(f),
            Self::Eval(error) => error.fmt(f),
            Self::NoFunction(point) => write!(f, "no function runs at {}", at(point)),
            Self::Range(point) => write!(f, "the bytes at {} do not fit in 64 bits", at(point)),
        }
    }
}

impl core::error::Error for MemoryError {}

impl MemoryFunction {
    /// The bytes at a point: of all functions that run there, the largest.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn eval(&self, point: &Bindings) -> Result<u64, MemoryError> {
        self.scope.check(point).map_err(MemoryError::Scope)?;
        let arena = self.binding(point)?.map_or(0, |binding| binding.bytes);
        self.fixed(point)?.checked_add(arena).ok_or_else(|| MemoryError::Range(point.clone()))
    }

    /// The bytes at a point beside the arena: weights, constant and the K/V cache.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn fixed(&self, point: &Bindings) -> Result<u64, MemoryError> {
        let kv = self.kv.as_ref().map_or(Ok(0), |kv| kv.bytes().eval(point)).map_err(MemoryError::Eval)?;
        let sum =
            u64::try_from(kv).ok().and_then(|kv| self.weights.checked_add(self.constant)?.checked_add(kv));
        sum.ok_or_else(|| MemoryError::Range(point.clone()))
    }

    /// The term that decides how large the arena is at a point; none where there are no functions or nothing is placed.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn binding(&self, point: &Bindings) -> Result<Option<Binding>, MemoryError> {
        let (mut best, mut ran) = (None, Vec::new());
        for (at, function) in self.functions.iter().enumerate() {
            if !function.runs_at(point)? {
                continue;
            }
            ran.push(function.name.as_str());
            for (term, own) in function.terms.iter().enumerate() {
                let value = own.bytes.eval(point).map_err(MemoryError::Eval)?;
                let bytes = u64::try_from(value).unwrap_or(0);
                if best.is_none_or(|best: Binding| bytes > best.bytes) {
                    best = Some(Binding { function: at, term, bytes });
                }
            }
        }
        let all = self.functions.iter().all(|function| ran.contains(&function.name.as_str()));
        if all { Ok(best) } else { Err(MemoryError::NoFunction(point.clone())) }
    }

    /// The function as it is at a point, without the conditions for it: what it would need elsewhere if nothing changed. None
    /// where some function has no part there.
    pub fn part(&self, point: &Bindings) -> Option<Self> {
        self.binding(point).ok()?;
        let functions = self.functions.iter().filter(|function| function.runs_at(point) == Ok(true));
        Some(self.of(functions.cloned().collect()))
    }

    /// The first part of each function without its conditions; none where there are no functions.
    pub fn first_parts(&self) -> Option<Self> {
        let mut functions: Vec<Function> = Vec::new();
        for function in &self.functions {
            if functions.iter().all(|known| known.name != function.name) {
                functions.push(function.clone());
            }
        }
        (!functions.is_empty()).then(|| self.of(functions))
    }

    fn of(&self, functions: Vec<Function>) -> Self {
        let everywhere = |function: Function| Function { when: Vec::new(), ..function };
        let functions = functions.into_iter().map(everywhere).collect();
        Self { functions, kv: self.kv.clone(), scope: self.scope.clone(), ..*self }
    }

    /// The term that a binding tells of.
    pub fn term(&self, binding: Binding) -> Option<(&Function, &Term)> {
        let function = self.functions.get(binding.function)?;
        Some((function, function.terms.get(binding.term)?))
    }

    /// How many blocks of keys and values fit beside what a point needs: ⌊(budget − weights − constant − arena) /
    /// block⌋; 0 where that alone is above the budget, and where there is no cache.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn kv_blocks(&self, budget: u64, point: &Bindings) -> Result<u64, MemoryError> {
        let arena = self.binding(point)?.map_or(0, |binding| binding.bytes);
        let Some(kv) = &self.kv else { return Ok(0) };
        let left =
            [self.weights, self.constant, arena].iter().fold(budget, |left, used| left.saturating_sub(*used));
        Ok(left.checked_div(kv.block_bytes).unwrap_or(0))
    }

    /// The names of all symbols, in order.
    pub fn symbols(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.exprs().flat_map(Expr::symbols).collect();
        names.extend(self.scope.iter().map(|(name, _)| name));
        names.sort_unstable();
        names.dedup();
        names
    }

    fn exprs(&self) -> impl Iterator<Item = &Expr> {
        let kv = self.kv.iter().flat_map(|kv| [&kv.sequences, &kv.tokens]);
        let functions = self.functions.iter().flat_map(|function| {
            let conditions = function.when.iter().flat_map(|condition| [&condition.left, &condition.right]);
            conditions.chain(function.terms.iter().map(|term| &term.bytes))
        });
        kv.chain(functions)
    }
}

impl Function {
    fn runs_at(&self, point: &Bindings) -> Result<bool, MemoryError> {
        for condition in &self.when {
            if !condition.holds(point).map_err(MemoryError::Eval)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
