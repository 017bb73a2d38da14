//! Why a plan is as large as it is, as plain data: what a viewer draws and a program prints.
//!
//! [`why_not_smaller`] answers, of a valid plan,
//!
//! - what the lower bound rests on ([`BoundProof`]: the buffers live at the witness, or a fixed one), and how far it
//!   sinks if one of them is dropped or halved ([`Relief`]);
//! - what is known of the bytes between bound and peak ([`Verdict`]);
//! - how the arena is used at the witness ([`Loss`]: live, padding, holes and tail, which sum to the peak);
//! - what rests on what ([`Rests`]), and which chains of buffers carry the peak ([`Critical`]);
//! - how much the arena would shrink without each buffer ([`Regrets`]), with both what is proved possible and what is
//!   proved impossible.
//!
//! ```text
//!  peak ---------------------------- +---+ -
//!                          +---+     | c |  ^ gap: some plan might use less of it, unless the
//!  bound - - - - - - - - - | x |- - -|   |- v verdict says that none can
//!                      +---+   |     +---+
//!                      | y     |     | b |    chain: c rests on b, b on a, a on the floor
//!                      +---+---+   +-+---+
//!                      | z | w |   |  a  |
//!  0 ------------------+---+---+---+-----+---> program points
//!                        witness: its buffers sum to the bound
//! ```

use alloc::vec::Vec;

mod bounds;
mod chain;
mod layout;
mod loss;
mod regret;
mod rests;
mod settle;

pub use bounds::{BoundProof, Clique, Relief};
pub use chain::{Critical, Link};
pub use loss::{Loss, loss_at};
pub use regret::{Regret, Regrets};
pub use rests::{Contact, Ground, Rest, Rests};

use crate::plan::{Plan, Status};
use crate::problem::Problem;
use crate::sections::Sections;
use bounds::Bounds;
use layout::Layout;

/// Steps that [`why_not_smaller`] spends on regrets where nobody says otherwise: a fraction of a second.
pub const REGRET_WORK: u64 = 30_000_000;

/// What is known of the bytes between a plan's bound and its peak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is nothing to place.
    Empty,
    /// The bound is met: no plan is smaller. Only fewer, smaller or differently ordered buffers lower it.
    BoundMet,
    /// An exhaustive search found that no plan is smaller, though the peak is so many bytes above the bound.
    Excluded {
        /// Bytes between the bound and the peak.
        gap: u64,
    },
    /// A smaller plan may exist.
    Open {
        /// Bytes between what is proved and the peak: no plan is smaller by more.
        at_most: u64,
        /// Whether a search looked for one until its work was used up; otherwise none was made.
        searched: bool,
    },
}

impl Verdict {
    fn of(plan: &Plan) -> Self {
        let gap = plan.peak.saturating_sub(plan.aligned_bound.bytes);
        match plan.status {
            _ if plan.peak == 0 => Self::Empty,
            Status::Optimal => Self::BoundMet,
            Status::OptimalBySearch => Self::Excluded { gap },
            Status::BestFound | Status::BoundNotReached => Self::Open {
                at_most: plan.peak.saturating_sub(plan.proved_bound),
                searched: plan.status == Status::BestFound,
            },
        }
    }

    /// A word for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::BoundMet => "bound met",
            Self::Excluded { .. } => "excluded by search",
            Self::Open { .. } => "open",
        }
    }
}

/// Why a plan is not smaller. Buffers are named by their position in the problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhyNotSmaller {
    /// Bytes of the arena.
    pub peak: u64,
    /// No plan is smaller than this many bytes.
    pub proved_bound: u64,
    /// What is known of what lies between.
    pub verdict: Verdict,
    /// What the lower bound rests on.
    pub proof: BoundProof,
    /// What dropping or halving one of the buffers that the bound rests on does to it, most relief first.
    pub reliefs: Vec<Relief>,
    /// How the arena is used at the point where most bytes are live.
    pub loss: Loss,
    /// Where each buffer rests.
    pub rests: Rests,
    /// The chains that carry the peak.
    pub critical: Critical,
    /// How much the arena would shrink without each buffer.
    pub regrets: Regrets,
}

/// Explains a plan that [`validate`](crate::validate) accepts; of any other it says nothing meaningful. All but the
/// regrets takes O(n log n); these take `work` steps at most (see [`REGRET_WORK`]; a step takes some nanoseconds), and
/// [`Regrets::untried`] says what was left out.
pub fn why_not_smaller(problem: &Problem, plan: &Plan, work: u64) -> WhyNotSmaller {
    let sections = Sections::of(problem);
    let layout = Layout::of(problem, &sections, plan);
    let rests = Rests::of(&layout);
    let critical = Critical::of(&layout, &rests);
    let bounds = Bounds::new(&layout);
    WhyNotSmaller {
        peak: plan.peak,
        proved_bound: plan.proved_bound,
        verdict: Verdict::of(plan),
        proof: bounds::proof(problem, plan),
        reliefs: bounds.reliefs(),
        loss: loss_at(problem, plan, plan.lower_bound.witness),
        regrets: Regrets::new(&layout, plan, &bounds, work),
        rests,
        critical,
    }
}

/// Where each buffer of a valid plan rests: [`why_not_smaller`] without the rest.
pub fn rests(problem: &Problem, plan: &Plan) -> Rests {
    Rests::of(&Layout::of(problem, &Sections::of(problem), plan))
}
