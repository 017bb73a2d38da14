//! Repacking: skylines with orders of preference changed where the plan wastes bytes.

use alloc::vec::Vec;

use super::shelf::{Hole, Shelf};
use crate::random::SplitMix;
use crate::sections::Sections;
use crate::strategy::{Context, skyline};

/// Distance of two neighbours in an order, with room between them for moved ones.
const STRIDE: u64 = 1 << 20;

/// Steps of one skyline, per job.
const STEPS_PER_JOB: u64 = 128;

/// An order of preference, the plan its skyline makes, and what of that is above the goal.
///
/// ```text
///   goal  - - - +---+ - - -      Squeaky wheels: jobs above the goal move ahead in the order, by a random share.
///         +-----+ b |            Holes: in the fullest section of such a job, the jobs that hold a hole open
///         |  x  +---+            move back, behind the one above the hole or further, or that one moves ahead
///      +--+-----+   |            of them.
///      | y |hole|   |
/// ```
///
/// The skyline of the changed order takes the place of the old one unless it is worse. Moving up what came to lie too
/// high is squeaky wheel optimisation (Joslin, Clements, JAIR 10, 1999).
pub(super) struct Line {
    /// Jobs, most preferred first.
    order: Vec<u32>,
    offsets: Vec<u64>,
    /// Peak, then bytes of the jobs that end above the goal.
    score: (u64, u64),
}

impl Line {
    /// The skyline of an order.
    pub(super) fn new(context: &Context<'_>, order: Vec<u32>, goal: u64, work: &mut u64) -> Self {
        let offsets = skyline(context, &order);
        *work = work.saturating_sub(cost(context.sections));
        let score = score(context.sections, &offsets, goal);
        Self { order, offsets, score }
    }

    pub(super) fn peak(&self) -> u64 {
        self.score.0
    }

    pub(super) fn offsets(&self) -> &[u64] {
        &self.offsets
    }

    /// Changes the order and repacks; keeps the result if it is no worse.
    pub(super) fn step(&mut self, context: &Context<'_>, goal: u64, random: &mut SplitMix, work: &mut u64) {
        let order = self.changed(context.sections, goal, random);
        let next = Self::new(context, order, goal, work);
        if next.score <= self.score {
            *self = next;
        }
    }

    /// Moves all that is above the goal half way to the front of the order, again and again, and keeps the best
    /// result: the plain squeaky wheel, which gets worse before it gets better.
    pub(super) fn squeak(&mut self, context: &Context<'_>, goal: u64, steps: u32, work: &mut u64) {
        let part = context.sections;
        let mut current = (self.order.clone(), self.offsets.clone());
        for _ in 0..steps {
            if self.score.0 <= goal || *work < cost(part) {
                return;
            }
            let (order, offsets) = &current;
            let mut places: Vec<(usize, bool, u32)> = Vec::with_capacity(order.len());
            for (place, &job) in order.iter().enumerate() {
                let high = offsets[job as usize] + part.jobs[job as usize].size > goal;
                places.push((if high { place / 2 } else { place }, !high, job));
            }
            places.sort_unstable();
            let order = places.into_iter().map(|(_, _, job)| job).collect();
            let next = Self::new(context, order, goal, work);
            current = (next.order.clone(), next.offsets.clone());
            if next.score < self.score {
                *self = next;
            }
        }
    }

    fn changed(&self, part: &Sections, goal: u64, random: &mut SplitMix) -> Vec<u32> {
        let mut places = alloc::vec![0u64; self.order.len()];
        for (place, &job) in (1..).zip(&self.order) {
            places[job as usize] = place * STRIDE;
        }
        let above: Vec<u32> = (0..part.jobs.len() as u32)
            .filter(|&job| self.offsets[job as usize] + part.jobs[job as usize].size > goal)
            .collect();
        let kind = random.below(4);
        if kind > 0 {
            self.mend_holes(part, &above, kind, &mut places, random);
        }
        if kind == 0 || random.below(2) == 0 {
            for &job in &above {
                if above.len() == 1 || random.below(2) == 0 {
                    let nearer = random.below(places[job as usize]);
                    places[job as usize] = if random.below(2) == 0 { nearer } else { random.below(nearer) };
                }
            }
        }
        let mut order = self.order.clone();
        order.sort_unstable_by_key(|&job| (places[job as usize], job));
        order
    }

    /// Moves jobs at holes of the fullest section of one that is above the goal: what is below a hole goes back
    /// (kind 1: anywhere, kind 3: just behind the job above the hole), or the job above comes first (kind 2).
    fn mend_holes(
        &self,
        part: &Sections,
        above: &[u32],
        kind: u64,
        places: &mut [u64],
        random: &mut SplitMix,
    ) {
        let Some(&job) = above.get(random.below(above.len() as u64) as usize) else { return };
        let own = &part.jobs[job as usize];
        let sections = own.first..own.last;
        let Some(fullest) = sections.max_by_key(|&section| (part.loads[section as usize], section)) else {
            return;
        };
        let shelf = Shelf::of(&part.jobs, &self.offsets, |_| true);
        let holes = shelf.holes(fullest);
        // All of them, about half, or about one.
        let one_in = [1, 2, holes.len() as u64][random.below(3) as usize];
        let end = (self.order.len() as u64 + 1) * STRIDE;
        for hole in &holes {
            if random.below(one_in) == 0 {
                let place = places[hole.above.job as usize];
                let back =
                    if kind == 3 { place + 1 } else { place + random.below(end.saturating_sub(place)) };
                move_at(hole, &shelf, kind, back, places);
            }
        }
    }
}

fn move_at(hole: &Hole, shelf: &Shelf, kind: u64, back: u64, places: &mut [u64]) {
    let mut foremost = places[hole.above.job as usize];
    for below in shelf.below(hole) {
        let place = &mut places[below.job as usize];
        foremost = foremost.min(place.saturating_sub(1));
        if kind != 2 {
            *place = back;
        }
    }
    if kind == 2 {
        places[hole.above.job as usize] = foremost;
    }
}

/// Steps of one skyline, about.
pub(super) fn cost(part: &Sections) -> u64 {
    STEPS_PER_JOB * part.jobs.len() as u64
}

fn score(part: &Sections, offsets: &[u64], goal: u64) -> (u64, u64) {
    let ends = part.jobs.iter().zip(offsets).map(|(job, &offset)| (offset + job.size, job.size));
    let above = ends.filter(|&(end, _)| end > goal).map(|(_, size)| size).fold(0, u64::saturating_add);
    (part.peak(offsets), above)
}
