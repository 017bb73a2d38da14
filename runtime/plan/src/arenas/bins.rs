//! Jobs in blocks: every job in one block, beside what lives with it there.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use crate::sections::Job;
use crate::strategy::PlacedIndex;

/// Steps that placing a job takes, in units of about 10 ns: of itself, and for each job that it lives with.
const STEPS_PER_JOB: u64 = 40;
const STEPS_PER_PAIR: u64 = 5;

/// Where a job lies: the number of its block and the offset in it.
pub(super) type Spot = (u32, u64);

/// Blocks of at most `most` bytes that grow as jobs are put into them.
///
/// ```text
///   most --------  --------  --------    a job goes where the blocks together grow least: into a
///        +-----+                         gap, else on top of what lives with it, else into a
///        |     |   +---+                 block of its own
///        | +---+   |   |
///        +-+---+   +---+--+  +--+
///        block 0   block 1   block 2
/// ```
pub(super) struct Bins<'a> {
    jobs: &'a [Job],
    /// Most bytes of a block, a multiple of `unit`.
    most: u64,
    /// Blocks begin at multiples of this.
    unit: u64,
    placed: PlacedIndex,
    spots: Vec<Option<Spot>>,
    /// End and number of each job in each block.
    ends: Vec<BTreeSet<(u64, u32)>>,
    /// Bytes that each block has whatever lies in it.
    floors: Vec<u64>,
    /// Bytes of all blocks, each rounded up to where the next can begin.
    total: u64,
    /// Jobs that live with the one to be placed: block, from, to.
    near: Vec<(u32, u64, u64)>,
    /// Steps taken so far: jobs looked at, some nanoseconds each.
    pub(super) steps: u64,
}

/// A place for a job; the least one is taken: growth of the block, bytes of the gap, the spot.
type Choice = (u64, u64, Spot);

impl<'a> Bins<'a> {
    /// No block yet.
    pub(super) fn new(jobs: &'a [Job], most: u64, unit: u64) -> Self {
        let (placed, spots) = (PlacedIndex::new(jobs), vec![None; jobs.len()]);
        Self {
            jobs,
            most,
            unit,
            placed,
            spots,
            ends: vec![],
            floors: vec![],
            total: 0,
            near: vec![],
            steps: 0,
        }
    }

    /// Adds a block that has `floor` bytes even when it is empty.
    pub(super) fn add_block(&mut self, floor: u64) -> u32 {
        self.ends.push(BTreeSet::new());
        self.floors.push(floor);
        self.total += floor.next_multiple_of(self.unit);
        (self.ends.len() - 1) as u32
    }

    /// Number of blocks, empty ones included.
    pub(super) fn len(&self) -> u32 {
        self.ends.len() as u32
    }

    /// Bytes of all blocks, each rounded up to where the next can begin.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The largest end of a job in a block.
    pub(super) fn top(&self, block: u32) -> u64 {
        self.ends[block as usize].last().map_or(0, |&(end, _)| end)
    }

    /// Bytes of a block: its top, or its floor.
    pub(super) fn bytes(&self, block: u32) -> u64 {
        self.top(block).max(self.floors[block as usize])
    }

    /// The jobs with the largest end in a block.
    pub(super) fn highest(&self, block: u32) -> impl Iterator<Item = u32> {
        self.ends[block as usize].range((self.top(block), 0)..).map(|&(_, job)| job)
    }

    /// The jobs, placed or not.
    pub(super) fn jobs(&self) -> &'a [Job] {
        self.jobs
    }

    /// Where each job lies.
    pub(super) fn spots(&self) -> &[Option<Spot>] {
        &self.spots
    }

    /// Puts a job into a block, which exists.
    pub(super) fn put(&mut self, index: u32, spot: Spot) {
        let job = &self.jobs[index as usize];
        let before = self.bytes(spot.0).next_multiple_of(self.unit);
        self.ends[spot.0 as usize].insert((spot.1 + job.size, index));
        self.total += self.bytes(spot.0).next_multiple_of(self.unit) - before;
        self.spots[index as usize] = Some(spot);
        self.placed.insert(index, job);
    }

    /// Takes a job out of its block.
    pub(super) fn take(&mut self, index: u32) {
        let Some((block, offset)) = self.spots[index as usize].take() else { return };
        let before = self.bytes(block).next_multiple_of(self.unit);
        self.ends[block as usize].remove(&(offset + self.jobs[index as usize].size, index));
        self.total -= before - self.bytes(block).next_multiple_of(self.unit);
        self.placed.remove(index);
    }

    /// Calls `found` with each job in a block that lives with this one.
    pub(super) fn for_each_overlap(&self, index: u32, found: impl FnMut(u32)) {
        self.placed.for_each_overlap(&self.jobs[index as usize], found);
    }

    /// Puts a job where the blocks grow least; of equal places into the smallest gap, the lowest block.
    pub(super) fn insert(&mut self, index: u32) {
        let job = &self.jobs[index as usize];
        let mut near = core::mem::take(&mut self.near);
        near.clear();
        self.placed.for_each_overlap(job, |other| {
            if let Some((block, offset)) = self.spots[other as usize] {
                near.push((block, offset, offset + self.jobs[other as usize].size));
            }
        });
        near.sort_unstable();
        self.steps += STEPS_PER_JOB + STEPS_PER_PAIR * near.len() as u64;
        let mut best: Choice = (job.size.next_multiple_of(self.unit), u64::MAX, (self.len(), 0));
        let mut rest = near.as_slice();
        for block in 0..self.len() {
            let (own, others) = rest.split_at(rest.partition_point(|other| other.0 == block));
            rest = others;
            best = best.min(self.place_in(block, job, own));
        }
        self.near = near;
        if best.2.0 == self.len() {
            self.add_block(0);
        }
        self.put(index, best.2);
    }

    /// The best place in one block, among what lives there with the job in ascending order.
    fn place_in(&self, block: u32, job: &Job, near: &[(u32, u64, u64)]) -> Choice {
        let bytes = self.bytes(block);
        let mut best: Choice = (u64::MAX, u64::MAX, (block, 0));
        let mut top = 0u64;
        for &(_, from, to) in near {
            let offset = top.next_multiple_of(job.align);
            if offset + job.size <= from {
                best = best.min((0, from - top, (block, offset)));
            }
            top = top.max(to);
        }
        let offset = top.next_multiple_of(job.align);
        let end = offset + job.size;
        if end <= bytes {
            best = best.min((0, bytes - top, (block, offset)));
        } else if end <= self.most {
            let growth = end.next_multiple_of(self.unit) - bytes.next_multiple_of(self.unit);
            best = best.min((growth, u64::MAX, (block, offset)));
        }
        best
    }
}
