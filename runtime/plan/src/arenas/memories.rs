//! Several arenas: which buffer goes to which.

use alloc::vec;
use alloc::vec::Vec;

use super::blocks::{BlockPlan, in_blocks};
use super::budget::Budget;
use super::keep::keep;
use super::{Arena, NoFit, Proof};
use crate::bound::{aligned_lower_bound, lower_bound};
use crate::problem::{Buffer, Problem};
use crate::solve::Effort;

/// Most sets of arenas that are looked at for a proof that buffers do not fit: with eight arenas all of them.
const MOST_SETS: usize = 256;

/// Where a buffer may lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The arenas it may lie in, the most wanted first.
    pub arenas: Vec<usize>,
    /// What each step down that list costs: its bytes, say, or the bytes moved because of it.
    pub cost: u64,
}

/// Where a buffer lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which arena.
    pub arena: usize,
    /// Offset in bytes in that arena.
    pub offset: u64,
}

/// Why a buffer does not lie in the arena that it wants most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is larger than a block or a buffer there may be.
    TooLarge,
    /// The arena was full; this buffer, among others, was the cheapest to move.
    Full,
}

/// A buffer that does not lie in the arena that it wants most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spill {
    /// Which buffer.
    pub buffer: u32,
    /// The arena it lies in.
    pub arena: usize,
    /// What that costs: its wish's cost for each step down its list.
    pub cost: u64,
    /// Why it left the arena that it wants most.
    pub reason: Reason,
}

/// What lies in one arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArenaPlan {
    /// The buffers in it, ascending.
    pub buffers: Vec<u32>,
    /// Their plan, in that order, and the ends of its blocks.
    pub plan: BlockPlan,
}

/// A place for every buffer of one [`Problem`] in several arenas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArenasPlan {
    /// Where each buffer lies, in the problem's order.
    pub places: Vec<Place>,
    /// Each arena, in the order given.
    pub arenas: Vec<ArenaPlan>,
    /// The buffers that lie elsewhere than wanted most, ascending.
    pub spilled: Vec<Spill>,
    /// Sum of the spills' costs.
    pub cost: u64,
}

/// Plans a problem in several arenas. Every buffer lies in the arena that it wants most unless it is too large for it or
/// the arena is full; then what leaves is chosen so that it costs least. Whether an arena is full is decided by planning
/// what wants to be in it with all the effort: nothing leaves as long as some plan found fits.
///
/// ```text
///   wishes      [0, 1]  [0, 1]  [0]  [1]                 an arena that is over its capacity sends
///                  \      |     /     |                  the cheapest set away that brings every
///   arena 0        [######|####]      |  <- capacity     program point below it (branch and bound),
///                         v           |                  and plans what is left; what was sent away
///   arena 1            [######]  [####]                  goes on to the next arena on its list
/// ```
///
/// `wishes` are in the problem's order. An empty list lets every buffer lie in every arena, in their order, at the cost
/// of its bytes.
///
/// # Errors
/// [`NoFit`]: what is asked is not well formed, a buffer is larger than any block it may lie in, or the arenas are too
/// small: with a proof where there is one ([`NoFit::NeedsMore`]), otherwise [`NoFit::NotFound`].
pub fn plan_arenas(
    problem: &Problem,
    arenas: &[Arena],
    wishes: &[Wish],
    effort: Effort,
) -> Result<ArenasPlan, NoFit> {
    for (at, arena) in arenas.iter().enumerate() {
        arena.check(at)?;
    }
    let budget = Budget::of(effort);
    let open = open_arenas(problem, arenas, wishes)?;
    let mut choice = vec![0usize; problem.len()];
    let mut plans: Vec<Option<BlockPlan>> = vec![None; arenas.len()];
    // Each round settles an arena or sends a buffer down its list, which is finite.
    while let Some(at) = plans.iter().position(Option::is_none) {
        let members = members(&open, &choice, at);
        let next_cost = |&buffer: &u32| {
            let (list, chosen) = (&open[buffer as usize], choice[buffer as usize]);
            let steps = |next: &(usize, u64)| next.1 - list[chosen].1;
            list.get(chosen + 1).map(|next| cost(problem, wishes, buffer).saturating_mul(steps(next)))
        };
        let costs: Vec<Option<u64>> = members.iter().map(next_cost).collect();
        let part = part(problem, &members)?;
        let Some((kept, plan)) = keep(&part, &costs, &arenas[at], budget)? else {
            return Err(too_small(problem, arenas, &open, at, budget));
        };
        for (&buffer, _) in members.iter().zip(&kept).filter(|(_, kept)| !**kept) {
            choice[buffer as usize] += 1;
            let (next, _) = open[buffer as usize][choice[buffer as usize]];
            plans[next] = None;
        }
        plans[at] = Some(plan);
    }
    let plans = plans.into_iter().flatten().collect();
    Ok(assemble(problem, wishes, &open, &choice, plans))
}

/// The arenas that can hold each buffer, in the order of its wish, with their place in it.
fn open_arenas(
    problem: &Problem,
    arenas: &[Arena],
    wishes: &[Wish],
) -> Result<Vec<Vec<(usize, u64)>>, NoFit> {
    let all: Vec<usize> = (0..arenas.len()).collect();
    if !wishes.is_empty() && wishes.len() != problem.len() {
        return Err(NoFit::BadWish { buffer: wishes.len().min(problem.len()) });
    }
    let open = |(buffer, item): (usize, &Buffer)| {
        let list = wishes.get(buffer).map_or(&all, |wish| &wish.arenas);
        let twice = (1..list.len()).any(|at| list[..at].contains(&list[at]));
        if list.is_empty() || twice || list.iter().any(|&arena| arena >= arenas.len()) {
            return Err(NoFit::BadWish { buffer });
        }
        if item.fixed.is_some() && list.len() > 1 {
            return Err(NoFit::FixedInSeveral { buffer });
        }
        let places = list.iter().zip(0..).filter(|&(&arena, _)| arenas[arena].holds(item));
        let places: Vec<(usize, u64)> = places.map(|(&arena, rank)| (arena, rank)).collect();
        if places.is_empty() { Err(NoFit::TooLarge { buffer, size: item.size }) } else { Ok(places) }
    };
    problem.buffers().iter().enumerate().map(open).collect()
}

/// What a step down its list costs for a buffer.
fn cost(problem: &Problem, wishes: &[Wish], buffer: u32) -> u64 {
    let buffer = buffer as usize;
    wishes.get(buffer).map_or(problem.buffers()[buffer].size, |wish| wish.cost)
}

/// The buffers that are in an arena now.
fn members(open: &[Vec<(usize, u64)>], choice: &[usize], arena: usize) -> Vec<u32> {
    let now = |buffer: &u32| open[*buffer as usize][choice[*buffer as usize]].0;
    (0..open.len() as u32).filter(|buffer| now(buffer) == arena).collect()
}

/// Some buffers of a problem as a problem of their own.
fn part(problem: &Problem, members: &[u32]) -> Result<Problem, NoFit> {
    let buffers = members.iter().map(|&buffer| problem.buffers()[buffer as usize]);
    // Part of a problem that was accepted is accepted.
    Problem::new(buffers.collect()).map_err(|error| NoFit::BadWish { buffer: error.buffer().unwrap_or(0) })
}

/// Why the arenas are too small: a set of arenas with less capacity than what may lie in them only needs at some point,
/// or a search that found no plan for what must lie in one.
fn too_small(
    problem: &Problem,
    arenas: &[Arena],
    open: &[Vec<(usize, u64)>],
    full: usize,
    budget: Budget,
) -> NoFit {
    let own: Vec<Vec<bool>> = open
        .iter()
        .map(|list| (0..arenas.len()).map(|arena| list.iter().any(|place| place.0 == arena)).collect())
        .collect();
    for set in sets(&own) {
        let names: Vec<usize> = (0..arenas.len()).filter(|&arena| set[arena]).collect();
        let within = |&buffer: &u32| own[buffer as usize].iter().zip(&set).all(|(own, set)| *set || !own);
        let held: Vec<u32> = (0..open.len() as u32).filter(within).collect();
        let Ok(part) = part(problem, &held) else { continue };
        let capacity = names.iter().fold(0u64, |sum, &arena| sum.saturating_add(arenas[arena].capacity));
        let bound = if names.len() == 1 { aligned_lower_bound(&part) } else { lower_bound(&part) };
        let (bytes, proof) = (bound.bytes, Proof::Bound { point: bound.witness });
        if bytes > capacity {
            return NoFit::NeedsMore { arenas: names, bytes, capacity, proof };
        }
    }
    let capacity = arenas[full].capacity;
    let stuck: Vec<u32> = (0..open.len() as u32)
        .filter(|&buffer| open[buffer as usize].iter().all(|place| place.0 == full))
        .collect();
    let plan = part(problem, &stuck).and_then(|part| in_blocks(&part, &arenas[full], budget));
    match plan {
        Err(why) => why,
        Ok(BlockPlan { plan, .. }) if plan.proved_bound > capacity => {
            NoFit::NeedsMore { arenas: vec![full], bytes: plan.proved_bound, capacity, proof: Proof::Search }
        }
        Ok(BlockPlan { plan, .. }) => NoFit::NotFound { arena: full, bytes: plan.peak, capacity },
    }
}

/// Unions of the sets of arenas that buffers may lie in, each once, at most [`MOST_SETS`].
fn sets(own: &[Vec<bool>]) -> Vec<Vec<bool>> {
    let mut distinct = own.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let mut sets: Vec<Vec<bool>> = Vec::new();
    for set in distinct {
        let unions = sets.iter().map(|other| other.iter().zip(&set).map(|(a, b)| *a || *b).collect());
        let mut more: Vec<Vec<bool>> = unions.collect();
        more.push(set);
        sets.extend(more);
        sets.sort_unstable();
        sets.dedup();
        sets.truncate(MOST_SETS);
    }
    sets.sort_by_key(|set| set.iter().filter(|arena| **arena).count());
    sets
}

/// Puts the plans of all arenas together.
fn assemble(
    problem: &Problem,
    wishes: &[Wish],
    open: &[Vec<(usize, u64)>],
    choice: &[usize],
    plans: Vec<BlockPlan>,
) -> ArenasPlan {
    let mut places = vec![Place { arena: 0, offset: 0 }; problem.len()];
    let mut arenas = Vec::with_capacity(plans.len());
    for (arena, plan) in plans.into_iter().enumerate() {
        let buffers = members(open, choice, arena);
        for (&buffer, &offset) in buffers.iter().zip(&plan.plan.offsets) {
            places[buffer as usize] = Place { arena, offset };
        }
        arenas.push(ArenaPlan { buffers, plan });
    }
    let spill = |buffer: u32| {
        let (list, chosen) = (&open[buffer as usize], choice[buffer as usize]);
        let (arena, rank) = list[chosen];
        let reason = if chosen == 0 { Reason::TooLarge } else { Reason::Full };
        let cost = cost(problem, wishes, buffer).saturating_mul(rank);
        (rank > 0).then_some(Spill { buffer, arena, cost, reason })
    };
    let spilled: Vec<Spill> = (0..problem.len() as u32).filter_map(spill).collect();
    let cost = spilled.iter().fold(0u64, |sum, spill| sum.saturating_add(spill.cost));
    ArenasPlan { places, arenas, spilled, cost }
}
