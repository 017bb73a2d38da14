//! Plans for every shape: the order of placement is stored, offsets are replayed for any sizes, and the peak is an
//! expression.
//!
//! A [`SymbolicProblem`] is a list of buffers whose sizes are expressions over bounded symbols (a box); lifespans and
//! alignments are plain numbers. A [`SymbolicPlan`] for it is an order of the buffers, nothing else:
//!
//! ```text
//!   order b a c        short input              long input
//!                     ^ +---+                  ^    +---+
//!   each goes to the  | | c |                  |    | c |      the same order, other offsets:
//!   highest top of    | +---+--+               | +--+---+--+   what rests on what may change,
//!   those before it   | |  a   |               | |    a    |   no two that live together ever overlap
//!   that live with it +-+------+--> b is tiny  | +-+-+-----+
//!                                              | | b |
//!                                              +-+---+------->
//! ```
//!
//! - [`SymbolicPlan::solve`] chooses the order by min-max regret: the reference point is the one whose plan does best
//!   where it does worst. Where that wastes anything, good orders are changed by whole groups of buffers: those of equal
//!   layers move together.
//! - [`SymbolicPlan::replay`] gives the offsets at a point. They are valid for any sizes: nothing has to grow with
//!   anything. Time is linear in the number of buffers.
//! - [`SymbolicPlan::peak_form`] gives the peak as a maximum of a few sums, which chains of buffers are (an expression
//!   in max-plus algebra: Cuninghame-Green, "Minimax Algebra", 1979), and says whether it is proved for the box.
//! - [`SymbolicPlan::memory`] names those sums by the buffers in them, for a [`MemoryFunction`](crate::memory::MemoryFunction).
//! - [`SymbolicPlan::reservation`] gives the arena that is enough for the whole box, and the point that needs it.
//!
//! To keep a plan, keep the buffers (their sizes print as text that [`Expr::parse`](bayplan_expr::Expr::parse) reads),
//! the order, and the form's text; [`SymbolicPlan::from_order`] and [`PeakForm::parse`] bring it back.
//!
//! ```
//! use bayplan_expr::{Bindings, Bounds, Expr, Scope};
//! use bayplan_plan::{Effort, symbolic::{SymbolicBuffer, SymbolicPlan, SymbolicProblem}};
//!
//! let mut scope = Scope::new();
//! scope.declare("seq", Bounds::between(1, 4096))?;
//! let seq = Expr::symbol("seq");
//! let plan = SymbolicPlan::solve(SymbolicProblem::new(vec![
//!     SymbolicBuffer::new(&seq * 4096, 0, 2),
//!     SymbolicBuffer::new(&seq * &seq * 32, 1, 3).aligned(256),
//!     SymbolicBuffer::new(1 << 20, 2, 4),
//! ], scope)?, Effort::Normal);
//!
//! assert_eq!(plan.peak_form(Effort::Normal).to_string(), "Max(32*seq**2 + 1048576, 32*seq**2 + 4096*seq)");
//! let replayed = plan.replay(&Bindings::new().with("seq", 100))?;
//! assert_eq!(replayed.peak, 32 * 100 * 100 + (1 << 20));
//! assert_eq!(plan.reservation(Effort::Normal).at.to_string(), "seq=4096");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The closed form of a problem with one alignment and sizes that are multiples of it has no rounding in it; other
//! sizes stand in it as quotients, `256*((3*n + 255)//256)`. A symbol that may be as large as it likes is given a large
//! bound, say 2^40: the form holds up to there. Buffers with offsets of the caller's choice are not for symbolic plans.

mod alike;
mod chains;
mod domain;
mod eliminate;
mod form;
mod plan;
mod problem;
mod regret;
mod replay;
mod reserve;
mod view;

pub use form::{Chain, PeakForm, Proof};
pub use plan::{Regret, Replayed, SymbolicPlan};
pub use problem::{HORIZONS, SymbolicBuffer, SymbolicError, SymbolicProblem};
pub use reserve::Reservation;
