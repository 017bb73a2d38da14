//! First layouts of a problem in blocks, and the best of them.

use alloc::vec::Vec;
use core::cmp::Reverse;

use super::NoFit;
use super::bins::Bins;
use super::budget::Budget;
use super::cut::cuts;
use super::ruin::ruin_and_recreate;
use crate::plan::Plan;
use crate::problem::Problem;
use crate::sections::{Job, Sections};

/// How often the blocks are planned anew, one by one, and then shaken together.
const ROUNDS: u64 = 3;

/// The plan in one block, cut where that costs least or built anew in several orders, the best of these improved until
/// it is as small as the plan in one block.
pub(super) fn best_layout<'a>(
    problem: &Problem,
    sections: &'a Sections,
    whole: &Plan,
    most: u64,
    unit: u64,
    budget: Budget,
) -> Bins<'a> {
    let pieces = Pieces::new(sections, whole, most, unit);
    let mut best = pieces.with_strips();
    // Building anew looks at every pair of jobs that live together.
    let orders = if sections.pairs <= budget.pairs { 3 } else { 0 };
    for attempt in 0..1 + orders {
        if best.total() <= whole.peak {
            return best;
        }
        let other = match attempt {
            0 => pieces.with_gaps(),
            1 => in_order(sections, most, unit, |job| whole.offsets[job.buffer as usize]),
            2 => in_order(sections, most, unit, |job| u64::MAX - job.size),
            _ => in_order(sections, most, unit, |job| u64::MAX - area(job)),
        };
        if other.total() < best.total() {
            best = other;
        }
    }
    let share = budget.ruin().split(ROUNDS);
    for _ in 0..ROUNDS {
        let blocks = u64::from(best.len());
        repack(problem, &mut best, share.split(blocks));
        ruin_and_recreate(&mut best, whole.peak, share.steps);
    }
    if best.total() > whole.peak {
        let blocks = u64::from(best.len());
        repack(problem, &mut best, budget.split(blocks));
    }
    best
}

/// Plans each block by itself.
fn repack(problem: &Problem, bins: &mut Bins<'_>, budget: Budget) {
    let mut members: Vec<Vec<u32>> = alloc::vec![Vec::new(); bins.len() as usize];
    for (index, spot) in bins.spots().iter().enumerate() {
        members[spot.unwrap_or_default().0 as usize].push(index as u32);
    }
    for (block, members) in (0..).zip(&members) {
        let part =
            members.iter().map(|&index| problem.buffers()[bins.jobs()[index as usize].buffer as usize]);
        // Part of a problem that was accepted is accepted.
        let Ok(part) = Problem::new(part.collect()) else { continue };
        let plan = budget.solve(&part);
        if plan.peak < bins.top(block) {
            members.iter().for_each(|&index| bins.take(index));
            for (&index, &offset) in members.iter().zip(&plan.offsets) {
                bins.put(index, (block, offset));
            }
        }
    }
}

/// Bytes times program points.
fn area(job: &Job) -> u64 {
    job.size.saturating_mul(u64::from(job.width))
}

/// Jobs by ascending key, each where the blocks grow least.
fn in_order(sections: &Sections, most: u64, unit: u64, key: impl Fn(&Job) -> u64) -> Bins<'_> {
    let mut bins = Bins::new(&sections.jobs, most, unit);
    for index in sorted(&sections.jobs, key) {
        bins.insert(index);
    }
    bins
}

fn sorted(jobs: &[Job], key: impl Fn(&Job) -> u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..jobs.len() as u32).collect();
    order.sort_by_cached_key(|&index| (key(&jobs[index as usize]), index));
    order
}

/// Blocks of `most` bytes with the fixed jobs in them, all others where the blocks grow least.
///
/// # Errors
/// [`NoFit::AcrossBlocks`]
pub(super) fn around_fixed<'a>(
    sections: &'a Sections,
    whole: &Plan,
    most: u64,
    unit: u64,
) -> Result<Bins<'a>, NoFit> {
    let jobs = &sections.jobs;
    let place = |job: &Job| whole.offsets[job.buffer as usize];
    let orders = [
        sorted(jobs, place),
        sorted(jobs, |job| u64::MAX - job.size),
        sorted(jobs, |job| u64::MAX - area(job)),
    ];
    let mut best: Option<Bins<'_>> = None;
    for order in orders {
        let mut bins = Bins::new(jobs, most, unit);
        // The need in one block is at least this much, so all blocks but the last are whole.
        for _ in 0..(whole.peak - 1) / most {
            bins.add_block(most);
        }
        bins.add_block(0);
        for (index, job) in jobs.iter().enumerate() {
            let Some(offset) = job.fixed else { continue };
            let (block, inside) = (offset / most, offset % most);
            if inside + job.size > most {
                return Err(NoFit::AcrossBlocks { buffer: job.buffer as usize, edge: (block + 1) * most });
            }
            bins.put(index as u32, (block as u32, inside));
        }
        for index in order.into_iter().filter(|&index| jobs[index as usize].fixed.is_none()) {
            bins.insert(index);
        }
        if best.as_ref().is_none_or(|best| bins.total() < best.total()) {
            best = Some(bins);
        }
    }
    Ok(best.unwrap_or_else(|| Bins::new(jobs, most, unit)))
}

/// The plan in one block after it has been cut.
struct Pieces<'a> {
    sections: &'a Sections,
    most: u64,
    unit: u64,
    /// Number of pieces.
    count: usize,
    /// What no cut crosses: job, piece, offset in it.
    whole: Vec<(u32, u32, u64)>,
    /// Per cut the jobs that cross it, and the bytes of the largest. They never live together.
    crossing: Vec<(u64, Vec<u32>)>,
}

impl<'a> Pieces<'a> {
    fn new(sections: &'a Sections, plan: &Plan, most: u64, unit: u64) -> Self {
        let extent = |job: &Job| {
            let offset = plan.offsets[job.buffer as usize];
            (offset, offset + job.size)
        };
        let extents: Vec<(u64, u64)> = sections.jobs.iter().map(extent).collect();
        let cuts = cuts(&extents, plan.peak, most, unit);
        let mut crossing: Vec<(u64, Vec<u32>)> = cuts.iter().map(|cut| (cut.across, Vec::new())).collect();
        let mut whole = Vec::new();
        for (index, &(from, to)) in extents.iter().enumerate() {
            let piece = cuts.partition_point(|cut| cut.at <= from);
            match cuts.get(piece) {
                Some(cut) if cut.at < to => crossing[piece].1.push(index as u32),
                _ => {
                    let start = if piece == 0 { 0 } else { cuts[piece - 1].at };
                    whole.push((index as u32, piece as u32, from - start));
                }
            }
        }
        Self { sections, most, unit, count: cuts.len() + 1, whole, crossing }
    }

    /// What no cut crosses, in a block for each piece.
    fn blocks(&self) -> Bins<'a> {
        let mut bins = Bins::new(&self.sections.jobs, self.most, self.unit);
        for _ in 0..self.count {
            bins.add_block(0);
        }
        for &(index, piece, offset) in &self.whole {
            bins.put(index, (piece, offset));
        }
        bins
    }

    /// What crosses a cut shares one range of bytes, on top of a block or in one of its own.
    fn with_strips(&self) -> Bins<'a> {
        let mut bins = self.blocks();
        for (across, jobs) in self.crossing.iter().filter(|(_, jobs)| !jobs.is_empty()) {
            let base = |bins: &Bins<'_>, block: u32| bins.bytes(block).next_multiple_of(self.unit);
            let room = (0..bins.len()).find(|&block| base(&bins, block) + across <= self.most);
            let block = room.unwrap_or_else(|| bins.add_block(0));
            let offset = base(&bins, block);
            for &index in jobs {
                bins.put(index, (block, offset));
            }
        }
        bins
    }

    /// What crosses a cut goes where the blocks grow least, the largest first.
    fn with_gaps(&self) -> Bins<'a> {
        let mut bins = self.blocks();
        let mut crossing: Vec<u32> = self.crossing.iter().flat_map(|(_, jobs)| jobs).copied().collect();
        crossing.sort_by_key(|&index| (Reverse(self.sections.jobs[index as usize].size), index));
        for index in crossing {
            bins.insert(index);
        }
        bins
    }
}
