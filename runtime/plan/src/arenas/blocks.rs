//! One address space in blocks: what a device that limits its allocations needs.

use alloc::vec::Vec;

use super::bins::Bins;
use super::budget::Budget;
use super::layouts::{around_fixed, best_layout};
use super::{Arena, NoFit, Proof};
use crate::plan::{Plan, Status};
use crate::problem::{Buffer, Problem};
use crate::sections::Sections;
use crate::solve::Effort;

/// The maker of plans that were cut into blocks.
const BLOCKS: &str = "blocks";

/// A plan whose address space is cut into blocks that no buffer crosses; offsets count on through all of them.
///
/// ```text
///  offset --> 0             end of block 0      end of block 1
///             |  a  |   b   |   c    |    d     |   e   |
///             '-- one allocation ----'--another-'-third-'
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockPlan {
    /// The plan of the whole address space. Its bounds are those without limits: a peak above them may be what the
    /// blocks cost.
    pub plan: Plan,
    /// Ends of the blocks, ascending; the last one is the plan's peak. Empty when no buffer has bytes.
    pub blocks: Vec<u64>,
}

/// Plans a problem in one arena: in one block where that is small enough, otherwise in several.
///
/// Let `P` be the peak of the plan in one block and `L` the largest buffer. Blocks of at most `M` bytes take at most
/// `P + (ceil(P / M) - 1) * L` bytes, padding between them apart: the plan is cut at multiples of `M`, and what crosses
/// one cut never lives together, so all of it fits one more range of `L` bytes. A need just over the limit costs at most
/// one largest buffer. (No rule can do better for all problems: four buffers of `M`, then seven of just over `M / 2`
/// need seven blocks, four of them whole.) That is the worst case; cuts are placed where they cost least, and the search
/// then most often finds a plan that loses nothing.
///
/// Where buffers are fixed, blocks begin at multiples of `M` and only the last one is smaller.
///
/// # Errors
/// [`NoFit`]: a buffer that no block can hold, a fixed one across two blocks, or more bytes than the arena has.
pub fn plan_blocks(problem: &Problem, arena: &Arena, effort: Effort) -> Result<BlockPlan, NoFit> {
    arena.check(0)?;
    if let Some(buffer) = problem.buffers().iter().position(|buffer| !arena.holds(buffer)) {
        return Err(NoFit::TooLarge { buffer, size: problem.buffers()[buffer].size });
    }
    let made = in_blocks(problem, arena, Budget::of(effort))?;
    match made.plan.peak <= arena.capacity {
        true => Ok(made),
        false => Err(too_little(&made.plan, arena.capacity)),
    }
}

/// Why a plan that needs more than the capacity is no plan for the arena.
fn too_little(plan: &Plan, capacity: u64) -> NoFit {
    let (bound, bytes) = (plan.aligned_bound, plan.proved_bound);
    let arenas = alloc::vec![0];
    if bound.bytes > capacity {
        let proof = Proof::Bound { point: bound.witness };
        return NoFit::NeedsMore { arenas, bytes: bound.bytes, capacity, proof };
    }
    if bytes > capacity {
        return NoFit::NeedsMore { arenas, bytes, capacity, proof: Proof::Search };
    }
    NoFit::NotFound { arena: 0, bytes: plan.peak, capacity }
}

/// Plans a problem whose buffers the arena can hold one by one, whatever its capacity.
pub(super) fn in_blocks(problem: &Problem, arena: &Arena, budget: Budget) -> Result<BlockPlan, NoFit> {
    let whole = budget.solve(problem);
    if whole.peak <= arena.largest_block {
        let blocks = Vec::from_iter((whole.peak > 0).then_some(whole.peak));
        return Ok(BlockPlan { plan: whole, blocks });
    }
    let (unit, most) = (arena.unit(problem.buffers()), arena.most(problem.buffers()));
    if let Some(buffer) = problem.buffers().iter().position(|buffer| buffer.size > most) {
        return Err(NoFit::TooLarge { buffer, size: problem.buffers()[buffer].size });
    }
    let sections = Sections::of(problem);
    let mut offsets = Vec::from_iter(problem.buffers().iter().map(|buffer| buffer.fixed.unwrap_or(0)));
    let blocks = if problem.buffers().iter().any(|buffer| buffer.fixed.is_some()) {
        let bins = around_fixed(&sections, &whole, most, unit)?;
        at_multiples(&bins, most, &mut offsets)
    } else {
        let bins = best_layout(problem, &sections, &whole, most, unit, budget);
        in_a_row(&bins, unit, &mut offsets)
    };
    let (lower, aligned) = (whole.lower_bound, whole.aligned_bound);
    let mut plan = Plan::assemble(problem, offsets, lower, aligned, BLOCKS);
    // What is proved of the plan in one block holds for several.
    plan.proved_bound = whole.proved_bound;
    if plan.status != Status::Optimal {
        plan.status =
            if plan.peak <= plan.proved_bound { Status::OptimalBySearch } else { whole_status(&whole) };
    }
    Ok(BlockPlan { plan, blocks })
}

/// What is left open once the plan in one block has been cut.
fn whole_status(whole: &Plan) -> Status {
    match whole.status {
        Status::Optimal | Status::OptimalBySearch => Status::BestFound,
        open => open,
    }
}

/// Offsets where all blocks but the last are `most` bytes; returns the ends of the blocks.
fn at_multiples(bins: &Bins<'_>, most: u64, offsets: &mut [u64]) -> Vec<u64> {
    for (job, spot) in bins.jobs().iter().zip(bins.spots()) {
        let (block, offset) = spot.unwrap_or_default();
        offsets[job.buffer as usize] = u64::from(block) * most + offset;
    }
    let last = (0..bins.len()).rev().find(|&block| bins.highest(block).next().is_some()).unwrap_or(0);
    let end = |block: u32| u64::from(block) * most + if block == last { bins.top(block) } else { most };
    (0..=last).map(end).collect()
}

/// Offsets where each block begins right after the one before; returns the ends of the blocks.
fn in_a_row(bins: &Bins<'_>, unit: u64, offsets: &mut [u64]) -> Vec<u64> {
    let mut starts = Vec::with_capacity(bins.len() as usize);
    let mut ends: Vec<u64> = Vec::new();
    for block in 0..bins.len() {
        let start = ends.last().map_or(0, |end| end.next_multiple_of(unit));
        starts.push(start);
        if bins.top(block) > 0 {
            // A block reaches to where the next one begins.
            if let Some(end) = ends.last_mut() {
                *end = start;
            }
            ends.push(start + bins.top(block));
        }
    }
    for (job, spot) in bins.jobs().iter().zip(bins.spots()) {
        let (block, offset) = spot.unwrap_or_default();
        offsets[job.buffer as usize] = starts[block as usize] + offset;
    }
    ends
}

/// One buffer after the other, a new block where the next one does not fit: what is live throughout, such as weights.
/// Returns the offsets and the ends of the blocks; every block begins at a multiple of `arena.block_align`, and so does
/// every buffer.
///
/// # Errors
/// [`NoFit::TooLarge`], or [`NoFit::NeedsMore`] than the arena's capacity.
pub fn sequence(sizes: &[u64], arena: &Arena) -> Result<(Vec<u64>, Vec<u64>), NoFit> {
    arena.check(0)?;
    let (mut offsets, mut ends) = (Vec::with_capacity(sizes.len()), Vec::new());
    let most = arena.most(&[]);
    let (mut start, mut next, mut end) = (0u64, 0u64, 0u64);
    for (buffer, &size) in sizes.iter().enumerate() {
        if !arena.holds(&Buffer::new(size, 0, 1)) {
            return Err(NoFit::TooLarge { buffer, size });
        }
        if next + size - start > most {
            ends.push(next);
            start = next;
        }
        offsets.push(next);
        end = next + size;
        if end > arena.capacity {
            let proof = Proof::Bound { point: 0 };
            return Err(NoFit::NeedsMore {
                arenas: alloc::vec![0],
                bytes: end,
                capacity: arena.capacity,
                proof,
            });
        }
        next = end.next_multiple_of(arena.block_align);
    }
    ends.extend((end > start).then_some(end));
    Ok((offsets, ends))
}
