//! Static memory planning: lifespans in, offsets and a proved lower bound out.
//!
//! A [`Problem`] is a list of [`Buffer`]s, each with a size, an alignment and a half-open
//! [`Lifespan`] in program points. [`solve`] gives every buffer an offset in one arena so that no
//! two buffers that live at the same point share a byte; [`validate`] checks such a [`Plan`] without
//! sharing a line of code with its maker.
//!
//! ```text
//! offset
//!   ^  +--------+                 peak of the plan
//!   |  |   c    |+------+
//!   |  +---+----+|  d   |         max-live (the lower bound) = the largest sum of
//!   |  | a |     +------+         sizes over one program point
//!   |  |   +---------+
//!   |  |   |    b    |
//!   +--+---+---------+--------->  program points
//! ```
//!
//! ```
//! use bayplan_plan::{Buffer, Effort, Problem, solve, validate};
//!
//! let problem = Problem::new(vec![
//!     Buffer::new(4096, 0, 2),
//!     Buffer::new(1024, 1, 3).aligned(256),
//!     Buffer::new(4096, 2, 4),
//! ])?;
//! let plan = solve(&problem, Effort::Normal);
//! validate(&problem, &plan)?;
//! assert_eq!((plan.peak, plan.lower_bound.bytes, plan.lower_bound.witness), (5120, 5120, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The room knows sizes and lifespans only: no tensor, no file, no clock, no device. The same problem
//! always gets the same plan.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod arenas;
mod bound;
pub mod csv;
pub mod explain;
mod heights;
mod neighbourhood;
pub mod order;
mod parts;
mod plan;
mod problem;
mod search;
mod sections;
mod solve;
mod strategy;
pub mod symbolic;
mod validate;

pub use bound::{LowerBound, aligned_lower_bound, lower_bound};
pub use plan::{Plan, Status};
pub use problem::{Buffer, Lifespan, MAX_BUFFERS, MAX_TOTAL_BYTES, Problem, ProblemError};
pub use solve::{Effort, solve, solve_with};
pub use strategy::strategies;
pub use validate::{Violation, validate};
