//! What is answered: an offset per buffer, the peak, and how far it can be from the best.

use alloc::vec::Vec;

use crate::bound::{LowerBound, aligned_lower_bound, lower_bound};
use crate::problem::Problem;
use crate::validate::{Violation, validate};

/// What is known about a plan's peak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// The peak equals a lower bound: no plan for these sizes and lifespans is smaller.
    Optimal,
    /// The peak is above the bound, but an exhaustive search found that no plan is smaller. Unlike
    /// `Optimal` this rests on the search alone: a validator cannot see it from the plan.
    OptimalBySearch,
    /// The peak is above the bound, and the search for a smaller plan ended with its work used up; a smaller
    /// plan may or may not exist.
    BestFound,
    /// No strategy reached the bound, and no search was made: it was not wanted, or the problem is too large
    /// for it.
    BoundNotReached,
}

impl Status {
    /// The status in words, as shown to people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Optimal => "optimal",
            Self::OptimalBySearch => "optimal, by exhaustive search",
            Self::BestFound => "best found",
            Self::BoundNotReached => "bound not reached",
        }
    }
}

/// An offset for every buffer of one [`Problem`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Offset in bytes of each buffer in the arena, in the problem's order.
    pub offsets: Vec<u64>,
    /// Bytes the arena needs: the largest offset + size.
    pub peak: u64,
    /// Max-live, the largest sum of live sizes, and a point at which it occurs.
    pub lower_bound: LowerBound,
    /// The bound that also counts unavoidable alignment padding and the ends of fixed buffers; never below
    /// `lower_bound`.
    pub aligned_bound: LowerBound,
    /// No plan is smaller than this many bytes: the bytes of `aligned_bound`, or more where a search has
    /// excluded every plan below. What is above `aligned_bound` rests on that search alone.
    pub proved_bound: u64,
    /// The strategy that made it, by the name [`strategies`](crate::strategies) lists.
    pub strategy: &'static str,
    /// Whether the peak is proved to be the least possible.
    pub status: Status,
}

impl Plan {
    /// A plan from offsets made elsewhere (read from a file, say), validated before it is returned.
    ///
    /// # Errors
    /// The first [`Violation`] found: a wrong number of offsets, a misaligned one, an overlap.
    pub fn from_offsets(
        problem: &Problem,
        offsets: Vec<u64>,
        maker: &'static str,
    ) -> Result<Self, Violation> {
        let plan =
            Self::assemble(problem, offsets, lower_bound(problem), aligned_lower_bound(problem), maker);
        validate(problem, &plan)?;
        Ok(plan)
    }

    /// Adds peak and status to offsets; saturates on hostile offsets, which `validate` then refuses.
    pub(crate) fn assemble(
        problem: &Problem,
        offsets: Vec<u64>,
        lower_bound: LowerBound,
        aligned_bound: LowerBound,
        strategy: &'static str,
    ) -> Self {
        let occupied = problem.buffers().iter().zip(&offsets).filter(|(b, _)| b.size > 0);
        let peak = occupied.map(|(b, &offset)| offset.saturating_add(b.size)).max().unwrap_or(0);
        let status = if peak <= aligned_bound.bytes { Status::Optimal } else { Status::BoundNotReached };
        let proved_bound = aligned_bound.bytes;
        Self { offsets, peak, lower_bound, aligned_bound, proved_bound, strategy, status }
    }

    /// Bytes of the arena above max-live.
    pub fn gap(&self) -> u64 {
        self.peak.saturating_sub(self.lower_bound.bytes)
    }

    /// The gap as a share of max-live, 0.0 when nothing is ever live.
    pub fn waste(&self) -> f64 {
        if self.lower_bound.bytes == 0 {
            return 0.0;
        }
        self.gap() as f64 / self.lower_bound.bytes as f64
    }
}
