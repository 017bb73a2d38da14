//! The judge of plans in blocks and in several arenas. It shares no code with their makers.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use super::memories::{ArenasPlan, Reason, Wish};
use super::{Arena, BlockPlan};
use crate::problem::Problem;
use crate::validate::{Violation, validate};

/// The first thing found wrong. Buffers, arenas and blocks are named by their positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The plan of one arena is wrong in itself.
    Plan {
        /// Which arena.
        arena: usize,
        /// What is wrong; buffers are named by their positions in the arena's list.
        violation: Violation,
    },
    /// Blocks do not ascend, begin where no block may, are larger than a block may be, or do not end at the peak.
    Block {
        /// Which arena.
        arena: usize,
        /// Which block.
        block: usize,
    },
    /// A buffer lies in two blocks.
    Crossing {
        /// Which arena.
        arena: usize,
        /// Which buffer of the problem.
        buffer: u32,
    },
    /// A buffer is larger than one may be in its arena.
    TooLarge {
        /// Which buffer of the problem.
        buffer: u32,
    },
    /// The blocks take more than the arena has.
    OverCapacity {
        /// Which arena.
        arena: usize,
        /// Bytes taken.
        bytes: u64,
    },
    /// There are not as many places or arenas as asked for.
    WrongLength,
    /// A buffer lies where its wish does not allow, or its place is not what its arena's plan says.
    Misplaced {
        /// Which buffer of the problem.
        buffer: u32,
    },
    /// What is said to be spilled, its cost or its reason is not what the places give.
    WrongSpill {
        /// Which buffer of the problem.
        buffer: u32,
    },
    /// The costs do not add up.
    WrongCost {
        /// What is said.
        stated: u64,
        /// What it is.
        actual: u64,
    },
}

/// Checks a plan in blocks against its problem and the limits of its arena.
///
/// # Errors
/// The first [`Flaw`]; its arena is 0.
pub fn validate_blocks(problem: &Problem, arena: &Arena, plan: &BlockPlan) -> Result<(), Flaw> {
    let ids: Vec<u32> = (0..problem.len() as u32).collect();
    check_arena(problem, arena, plan, 0, &ids)
}

fn check_arena(
    problem: &Problem,
    arena: &Arena,
    plan: &BlockPlan,
    at: usize,
    ids: &[u32],
) -> Result<(), Flaw> {
    validate(problem, &plan.plan).map_err(|violation| Flaw::Plan { arena: at, violation })?;
    let mut start = 0u64;
    for (block, &end) in plan.blocks.iter().enumerate() {
        if end <= start || !start.is_multiple_of(arena.block_align) || end - start > arena.largest_block {
            return Err(Flaw::Block { arena: at, block });
        }
        start = end;
    }
    if start != plan.plan.peak {
        return Err(Flaw::Block { arena: at, block: plan.blocks.len() });
    }
    if start > arena.capacity {
        return Err(Flaw::OverCapacity { arena: at, bytes: start });
    }
    for ((buffer, &offset), &id) in problem.buffers().iter().zip(&plan.plan.offsets).zip(ids) {
        if buffer.size > arena.largest_buffer {
            return Err(Flaw::TooLarge { buffer: id });
        }
        let end = offset + buffer.size;
        let inside = |edge: &u64| offset < *edge && *edge < end;
        if buffer.size > 0 && plan.blocks.iter().any(inside) {
            return Err(Flaw::Crossing { arena: at, buffer: id });
        }
        // A block is an allocation of its own: alignment counts from where it begins.
        let begin = plan.blocks.iter().rfind(|edge| **edge <= offset).copied().unwrap_or(0);
        if buffer.size > 0 && !(offset - begin).is_multiple_of(buffer.align) {
            return Err(Flaw::Block {
                arena: at,
                block: plan.blocks.partition_point(|&edge| edge <= offset),
            });
        }
    }
    Ok(())
}

/// Checks a plan in several arenas against what was asked of [`plan_arenas`](super::plan_arenas).
///
/// # Errors
/// The first [`Flaw`].
pub fn validate_arenas(
    problem: &Problem,
    arenas: &[Arena],
    wishes: &[Wish],
    plan: &ArenasPlan,
) -> Result<(), Flaw> {
    if plan.places.len() != problem.len() || plan.arenas.len() != arenas.len() {
        return Err(Flaw::WrongLength);
    }
    let mut seen = vec![false; problem.len()];
    for (at, (arena, own)) in arenas.iter().zip(&plan.arenas).enumerate() {
        let mut buffers = Vec::with_capacity(own.buffers.len());
        for (&id, &offset) in own.buffers.iter().zip(&own.plan.plan.offsets) {
            let misplaced = Flaw::Misplaced { buffer: id };
            let place = plan.places.get(id as usize).ok_or(misplaced.clone())?;
            if place.arena != at || place.offset != offset || seen[id as usize] {
                return Err(misplaced);
            }
            seen[id as usize] = true;
            buffers.push(problem.buffers()[id as usize]);
        }
        let unlisted = Flaw::Plan {
            arena: at,
            violation: Violation::WrongLength { buffers: own.buffers.len(), offsets: buffers.len() },
        };
        let part = Problem::new(buffers).map_err(|_| unlisted.clone())?;
        if part.len() != own.buffers.len() {
            return Err(unlisted);
        }
        check_arena(&part, arena, &own.plan, at, &own.buffers)?;
    }
    if let Some(buffer) = seen.iter().position(|seen| !seen) {
        return Err(Flaw::Misplaced { buffer: buffer as u32 });
    }
    check_spills(problem, arenas, wishes, plan)
}

/// Follows each buffer's wish to where it lies, and compares with what is said to be spilled.
fn check_spills(problem: &Problem, arenas: &[Arena], wishes: &[Wish], plan: &ArenasPlan) -> Result<(), Flaw> {
    let mut spills = plan.spilled.iter();
    let mut actual = 0u64;
    for (id, (buffer, place)) in (0u32..).zip(problem.buffers().iter().zip(&plan.places)) {
        let wish = wishes.get(id as usize);
        let steps = match wish {
            Some(wish) => wish.arenas.iter().position(|&arena| arena == place.arena),
            None => Some(place.arena),
        };
        let steps = steps.ok_or(Flaw::Misplaced { buffer: id })? as u64;
        if steps == 0 {
            continue;
        }
        let cost = wish.map_or(buffer.size, |wish| wish.cost).saturating_mul(steps);
        actual = actual.saturating_add(cost);
        let spill = spills
            .next()
            .filter(|spill| spill.buffer == id && spill.arena == place.arena && spill.cost == cost);
        let spill = spill.ok_or(Flaw::WrongSpill { buffer: id })?;
        let first = arenas.get(wish.map_or(0, |wish| wish.arenas[0]));
        let refused = first
            .is_some_and(|arena| buffer.size > arena.largest_block || buffer.size > arena.largest_buffer);
        if spill.reason == Reason::TooLarge && !refused {
            return Err(Flaw::WrongSpill { buffer: id });
        }
    }
    if let Some(extra) = spills.next() {
        return Err(Flaw::WrongSpill { buffer: extra.buffer });
    }
    if plan.cost != actual {
        return Err(Flaw::WrongCost { stated: plan.cost, actual });
    }
    Ok(())
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan { arena, violation } => write!(f, "arena {arena}: {violation}"),
            Self::Block { arena, block } => {
                write!(f, "arena {arena}: block {block} begins, ends or is as large as none may")
            }
            Self::Crossing { arena, buffer } => {
                write!(f, "buffer {buffer} lies in two blocks of arena {arena}")
            }
            Self::TooLarge { buffer } => write!(f, "buffer {buffer} is larger than its arena allows"),
            Self::OverCapacity { arena, bytes } => {
                write!(f, "arena {arena}: {bytes} bytes are more than it has")
            }
            Self::WrongLength => write!(f, "not one place per buffer and one plan per arena"),
            Self::Misplaced { buffer } => {
                write!(f, "buffer {buffer} lies where it may not, or not where it is said to")
            }
            Self::WrongSpill { buffer } => {
                write!(f, "buffer {buffer}: what is said of its spill is not what was done")
            }
            Self::WrongCost { stated, actual } => {
                write!(f, "stated cost is {stated}, the spills give {actual}")
            }
        }
    }
}

impl core::error::Error for Flaw {}
