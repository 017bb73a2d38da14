//! The one-pass skyline: jobs placed in non-decreasing order of offset.

use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::Context;
use super::obstacles::Obstacles;
use super::preorder::{Key, preorder};
use super::ranges::{NONE, Unplaced};

/// Places every job on top of the skyline of those already placed, always where the skyline is lowest.
///
/// ```text
///         +-----+                    A plateau is a maximal run of sections of equal height. In the
///         |     |     +--+           lowest plateau the best-ranked job that lies within it is placed
///    +----+     |     |  |           on it. When none does, nothing can ever fill the space above the
///    |    |     +-----+  +---        plateau, and it is raised to its lower neighbour.
///    |    |     ^lowest
/// ```
///
/// Offsets come in non-decreasing order, which is the canonical form of a plan (Moffitt, "MiniMalloc",
/// ASPLOS 2023): some order of preference leads to an optimal plan. Each query removes a plateau or
/// places a job, which makes at most two more, so there are at most 3n queries.
///
/// With a common alignment, heights are kept at multiples of it, so every offset is one too; a job with a
/// larger alignment leaves a hole beneath. Jobs with fixed offsets are [`Obstacles`].
pub(crate) fn skyline(context: &Context<'_>, order: &[u32]) -> Vec<u64> {
    let sections = context.sections;
    let jobs = &sections.jobs;
    let mut offsets: Vec<u64> = jobs.iter().map(|job| job.fixed.unwrap_or(0)).collect();
    let mut unplaced = Unplaced::all(context.ranges(), jobs, order);
    let mut terrain = Terrain::flat(sections.len());
    let mut obstacles = Obstacles::of(sections);
    let mut left = jobs.len();
    for (index, _) in (0..).zip(jobs).filter(|(_, job)| job.fixed.is_some()) {
        unplaced.remove(index);
        left -= 1;
    }
    while left > 0 {
        let Some(plateau) = terrain.lowest() else { break };
        let (first, last, height) = terrain.get(plateau);
        obstacles.rise_to(height);
        let rank = if obstacles.near(first, last, height) {
            let mut patience = obstacles.patience;
            let rank =
                unplaced.best_that(first, last, &mut patience, |job| obstacles.leave_room(job, height));
            obstacles.patience = patience;
            rank
        } else {
            unplaced.best_within(first, last)
        };
        if rank == NONE {
            match obstacles.next(first, last, terrain.lower_neighbour(plateau)) {
                Some((first, last, above)) => terrain.build(plateau, first, last, above),
                None => terrain.raise_to_neighbour(plateau),
            }
            continue;
        }
        let index = order[rank as usize];
        let job = &jobs[index as usize];
        let offset = height.next_multiple_of(job.align);
        offsets[index as usize] = offset;
        unplaced.remove(index);
        left -= 1;
        terrain.build(plateau, job.first, job.last, (offset + job.size).next_multiple_of(sections.grain));
    }
    offsets
}

/// Total load, then width, then area.
pub(super) fn total_width_area(context: &Context<'_>) -> Vec<u64> {
    skyline(context, &preorder(context.sections, context.totals(), &[Key::Total, Key::Width, Key::Area]))
}

/// Total load, then area, then width.
pub(super) fn total_area_width(context: &Context<'_>) -> Vec<u64> {
    skyline(context, &preorder(context.sections, context.totals(), &[Key::Total, Key::Area, Key::Width]))
}

/// Width, then area, then total load.
pub(super) fn width_area_total(context: &Context<'_>) -> Vec<u64> {
    skyline(context, &preorder(context.sections, context.totals(), &[Key::Width, Key::Area, Key::Total]))
}

/// Total load, then size.
pub(super) fn total_size(context: &Context<'_>) -> Vec<u64> {
    skyline(context, &preorder(context.sections, context.totals(), &[Key::Total, Key::Size]))
}

/// Size.
pub(super) fn size(context: &Context<'_>) -> Vec<u64> {
    skyline(context, &preorder(context.sections, &[], &[Key::Size]))
}

/// Area.
pub(super) fn area(context: &Context<'_>) -> Vec<u64> {
    skyline(context, &preorder(context.sections, &[], &[Key::Area]))
}

/// A run of sections with one height.
#[derive(Clone, Copy)]
struct Plateau {
    first: u32,
    last: u32,
    height: u64,
    /// The plateau to the left, NONE at the edge.
    before: u32,
    /// The plateau to the right, NONE at the edge.
    after: u32,
    alive: bool,
}

/// The skyline as a row of plateaus; neighbours differ in height.
struct Terrain {
    plateaus: Vec<Plateau>,
    /// Every living plateau that is not in `lowest`, by height, and stale entries.
    waiting: BinaryHeap<Reverse<(u64, u32)>>,
    /// Living plateaus known to have the lowest height.
    lowest: Vec<u32>,
}

impl Terrain {
    fn flat(sections: u32) -> Self {
        let ground =
            Plateau { first: 0, last: sections, height: 0, before: NONE, after: NONE, alive: sections > 0 };
        Self { plateaus: vec![ground], waiting: BinaryHeap::from([Reverse((0, 0))]), lowest: vec![] }
    }

    fn get(&self, id: u32) -> (u32, u32, u64) {
        let Plateau { first, last, height, .. } = self.plateaus[id as usize];
        (first, last, height)
    }

    /// Takes a plateau of the lowest height.
    fn lowest(&mut self) -> Option<u32> {
        if let Some(id) = self.lowest.pop() {
            return Some(id);
        }
        while let Some(Reverse((_, id))) = self.waiting.pop() {
            if self.plateaus[id as usize].alive {
                return Some(id);
            }
        }
        None
    }

    /// The height of the lower of a plateau's neighbours.
    fn lower_neighbour(&self, id: u32) -> u64 {
        let Plateau { before, after, .. } = self.plateaus[id as usize];
        self.height(before).min(self.height(after))
    }

    /// Joins a taken plateau in which nothing fits with its lower neighbour, or with both when they are
    /// equally high.
    fn raise_to_neighbour(&mut self, id: u32) {
        let Plateau { first, last, before, after, .. } = self.plateaus[id as usize];
        let (left, right) = (self.height(before), self.height(after));
        self.plateaus[id as usize].alive = false;
        if left <= right && before != NONE {
            self.plateaus[before as usize].last = last;
            self.link(before, after);
            if left == right {
                self.absorb(before, after);
            }
        } else if after != NONE {
            self.plateaus[after as usize].first = first;
            self.link(before, after);
        }
    }

    /// Raises sections `[first, last)` of a taken plateau to `height`, above the plateau's own.
    fn build(&mut self, id: u32, first: u32, last: u32, height: u64) {
        let ground = self.plateaus[id as usize];
        let (mut before, mut after) = (ground.before, ground.after);
        if last < ground.last {
            after = self.add(Plateau { first: last, ..ground });
            self.link(after, ground.after);
            self.lowest.push(after);
        }
        if first > ground.first {
            before = self.add(Plateau { last: first, ..ground });
            self.link(ground.before, before);
            self.lowest.push(before);
        }
        self.plateaus[id as usize] = Plateau { first, last, height, before, after, alive: true };
        self.link(before, id);
        self.link(id, after);
        // The heap holds the neighbours' entries, so they absorb the new plateau and not the reverse.
        let (left, right) = (self.height(before), self.height(after));
        if before != NONE && left == height {
            self.absorb(before, id);
            if after != NONE && right == height {
                self.absorb(before, after);
            }
        } else if after != NONE && right == height {
            self.plateaus[id as usize].alive = false;
            self.plateaus[after as usize].first = first;
            self.link(before, after);
        } else {
            self.waiting.push(Reverse((height, id)));
        }
    }

    /// Joins `id` with the equally high plateau to its right.
    fn absorb(&mut self, id: u32, right: u32) {
        let Plateau { last, after, .. } = self.plateaus[right as usize];
        self.plateaus[right as usize].alive = false;
        self.plateaus[id as usize].last = last;
        self.link(id, after);
    }

    fn add(&mut self, plateau: Plateau) -> u32 {
        self.plateaus.push(plateau);
        (self.plateaus.len() - 1) as u32
    }

    fn link(&mut self, left: u32, right: u32) {
        if left != NONE {
            self.plateaus[left as usize].after = right;
        }
        if right != NONE {
            self.plateaus[right as usize].before = left;
        }
    }

    fn height(&self, id: u32) -> u64 {
        if id == NONE { u64::MAX } else { self.plateaus[id as usize].height }
    }
}
