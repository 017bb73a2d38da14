//! Integer expressions over bounded symbols: tensor dims and buffer sizes whose values are known only at run
//! time.
//!
//! An [`Expr`] is kept in a canonical form, a sum of monomials over atoms (symbols, floor divisions,
//! remainders, minima, maxima), so that equal polynomials are equal values. What is known of the symbols
//! stands apart, in a [`Scope`].
//!
//! Values are mathematical integers: a symbol may be negative unless a scope says otherwise, division rounds
//! towards −∞ and a remainder has the sign of its divisor, as in Python, whence most of the texts come.
//!
//! Every expression is bounded in size ([`MAX_SIZE`], [`MAX_TERMS`], [`MAX_DEPTH`]), so that no text and no
//! chain of operations can exhaust the stack or the memory. Operators do not fail; what leaves the bounds
//! becomes an *undefined* expression, which stays undefined through every operator and is reported by name
//! when it is evaluated.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod bindings;
mod bounds;
mod display;
mod division;
mod eval;
mod expr;
mod extremum;
mod maximum;
pub mod memory;
mod ops;
mod parse;
mod poly;
mod range;
mod scope;
mod simplify;
mod slope;

pub use bindings::Bindings;
pub use bounds::{Interval, bounds, prove_eq, prove_le, upper_envelope};
pub use display::Quoted;
pub use eval::EvalError;
pub use expr::{Expr, MAX_DEPTH, MAX_SIZE, MAX_TERMS, Undefined};
pub use maximum::{MAX_NODES, Maximum, MaximumError, maximum};
pub use parse::{MAX_TEXT, ParseError, ParseProblem};
pub use scope::{Bounds, Scope, ScopeError};
