//! How the bytes of an arena are used at one program point.

use alloc::vec::Vec;

use super::layout::aligned;
use crate::plan::Plan;
use crate::problem::Problem;

/// How an arena's bytes are used at one program point. The four parts sum to the arena's size, exactly.
///
/// ```text
///  peak +---------+
///       | tail    |  above the topmost live byte
///       +---------+
///       | live B  |
///       +---------+  <- a multiple of B's alignment
///       | hole    |  B could lie that much lower
///       +- - - - -+  <- the first multiple of B's alignment at or above A's end
///       | padding |  no byte of B can lie here
///       +---------+
///       | live A  |
///     0 +---------+
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Bytes of live buffers.
    pub live: u64,
    /// Bytes between live buffers that the alignment of the upper one leaves unused.
    pub padding: u64,
    /// The other bytes between live buffers, and those below the lowest.
    pub holes: u64,
    /// Bytes above the topmost live buffer.
    pub tail: u64,
    /// Number of stretches that `holes` is made of.
    pub hole_count: u64,
    /// The longest of them.
    pub largest_hole: u64,
}

/// Splits the arena of a valid plan at a program point.
pub fn loss_at(problem: &Problem, plan: &Plan, point: u32) -> Loss {
    let live = problem.buffers().iter().zip(&plan.offsets);
    let live = live.filter(|(buffer, _)| buffer.size > 0 && buffer.lifespan.contains(point));
    let mut rows: Vec<(u64, u64, u64)> =
        live.map(|(buffer, &offset)| (offset, offset.saturating_add(buffer.size), buffer.align)).collect();
    rows.sort_unstable();
    let (mut loss, mut top) = (Loss::default(), 0u64);
    for (offset, end, align) in rows {
        let usable = aligned(top, align).min(offset);
        loss.padding += usable.saturating_sub(top);
        let hole = offset.saturating_sub(usable.max(top));
        loss.holes += hole;
        loss.hole_count += u64::from(hole > 0);
        loss.largest_hole = loss.largest_hole.max(hole);
        loss.live += end - offset.max(top).min(end);
        top = top.max(end);
    }
    loss.tail = plan.peak.saturating_sub(top);
    loss
}
