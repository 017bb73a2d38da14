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
//! # How a plan is made
//!
//! ```text
//!  Problem ── sections ──┬── bound ──────────────────────────► the least there can be, and its witness
//!   checked   time in    │                                       │ reached? then done
//!   once      cliques    └── parts ── strategies ── search ── neighbourhood ──► Plan ── validate
//!                            cut where   skylines,   exact,     around the      offsets   the judge,
//!                            nobody      greedy,     anytime    peak, where     + proof   on its own
//!                            lives;      best fit               that is too
//!                            equals once                        large
//! ```
//!
//! | file | what it does | after |
//! |---|---|---|
//! | `sections.rs` | time compression: program points become the maximal sets of buffers that live together. An interval graph has no more of them than buffers, so whatever follows depends on buffers alone, not on points | interval graphs: Fulkerson and Gross 1965 |
//! | `bound.rs` | max-live, the heaviest of these cliques; then the padding that alignment makes unavoidable, and the ends of fixed buffers | the clique bound of dynamic storage allocation |
//! | `parts.rs` | independent ranges of time, planned alone; equal ones (the layers of a network) once | |
//! | `strategy/skyline.rs` | one pass, offsets never falling: at the lowest step of a skyline the best-ranked buffer that fits is put down, else the step is raised; found by a k-d tree (`ranges.rs`) around fixed buffers (`obstacles.rs`) | the canonical order and preorders of minimalloc: Moffitt, ASPLOS 2023 |
//! | `strategy/gap.rs`, `greedy.rs` | the largest, or longest-lived, first, each into the smallest gap that fits it | TFLite's greedy by size, XLA's best-fit heap |
//! | `strategy/online.rs` | what an allocator does that meets the buffers one by one: best fit | ggml's graph allocator |
//! | `search/` | depth-first search for a plan within a capacity, over plans in which every buffer rests on another; deductions, decomposition, backjumping; each capacity proved impossible raises what is proved | Moffitt, ASPLOS 2023; backjumping: Prosser 1993 |
//! | `neighbourhood/` | large problems: skylines with orders changed where the plan wastes bytes, and ejections at the fullest sections | large-neighbourhood search: Shaw 1998; ejection chains: Glover 1996 |
//! | `heights.rs` | how high sections are filled: a tree of maxima that is only ever raised | segment trees: Bentley 1977 |
//! | `validate.rs` | the judge: one walk over time with the live buffers by offset; shares nothing with the above | |
//!
//! Around it: [`explain`] says why a plan is not smaller; [`order`] looks for the order of operators whose plan is
//! smallest; [`symbolic`] plans once for every shape; [`arenas`] for several memories; [`csv`] reads and writes.
//! [`pool`] hands out what nobody can plan: outputs that callers keep.
//! Each module's page draws and names its own algorithms.
//!
//! # The judge
//!
//! [`validate`] accepts a plan exactly if every offset is aligned, fixed buffers lie where they are fixed, no two
//! buffers that live together share a byte, and the peak, both bounds with their witnesses, what is said to be proved,
//! and the status are as stated:
//!
//! ```text
//!  0 <= lower_bound <= aligned_bound <= proved_bound <= peak
//!       max-live       + padding,       + what a search    Optimal:          aligned_bound == peak
//!                      fixed ends       has excluded       OptimalBySearch:  proved_bound  == peak
//! ```
//!
//! What a search has excluded cannot be seen from a plan: that alone rests on the search.
//!
//! # What it does not know
//!
//! The room knows sizes and lifespans only: no tensor, no file, no clock, no device, and no standard library
//! (`tests/no_std` proves that). Work is counted in steps, so the same problem always gets the same plan.

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
pub mod pool;
mod problem;
mod random;
mod search;
mod sections;
mod solve;
mod strategy;
pub mod symbolic;
mod validate;

/// The bytes that a program needs as a function of its symbols: what [`symbolic`] plans add up to.
pub use bayplan_expr::memory;
pub use bound::{LowerBound, aligned_lower_bound, lower_bound};
pub use plan::{Plan, Status};
pub use problem::{Buffer, Lifespan, MAX_BUFFERS, MAX_TOTAL_BYTES, Problem, ProblemError};
pub use solve::{Effort, solve, solve_with};
pub use strategy::strategies;
pub use validate::{Violation, validate};

/// The README's examples, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
