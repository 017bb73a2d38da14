//! Large-neighbourhood search: from a plan to smaller ones, where the exact search is too slow.
//!
//! ```text
//!   round      repack: skylines with changed orders      eject: from the best plan so far, within
//!              (several lines, some steps each)          the goal or half way to it
//!     1        ####  ####  ####  ####                    ##########
//!     2        ########  ########  ########  ########    ####################
//!     3        ...                                       twice the work of the round before
//! ```
//!
//! Both look at the same thing. Large problems are seldom full everywhere: a few sections need all or nearly all
//! of the arena, and there a plan must not leave holes, while most others have room. So the moves are made at the
//! fullest sections of the jobs that lie too high, and the rest follows.

use alloc::vec::Vec;

use self::ejection::{Ejection, weights};
use self::repack::{Line, cost};
use crate::random::SplitMix;
use crate::sections::Sections;
use crate::strategy::{Context, Key, Scope, preorder};

mod ejection;
mod repack;
mod shelf;

/// Orders that lines start from, besides that of the plan given.
const STARTS: [[Key; 3]; 3] = [
    [Key::Total, Key::Width, Key::Area],
    [Key::Total, Key::Area, Key::Width],
    [Key::Area, Key::Width, Key::Total],
];

/// Steps of the plain squeaky wheel that each line begins with.
const SQUEAKS: u32 = 6;

/// Steps of each line in the first round.
const FIRST_STEPS: u32 = 6;

/// Capacities of successive rounds, as eighths of the way from the goal to the peak.
const EIGHTHS: [u64; 4] = [0, 0, 4, 6];

/// Looks for plans smaller than that of `offsets` and ends at the first that needs at most `goal` bytes.
/// `work` is counted down by the steps made, of 5 to 10 ns. Jobs with a fixed offset stay where they are. The result
/// are the offsets of the part's jobs; none where no smaller plan was found, which proves nothing.
pub(crate) fn improve(part: &Sections, offsets: &[u64], goal: u64, work: &mut u64) -> Option<Vec<u64>> {
    let peak = part.peak(offsets);
    let mut best = Best { part, offsets: offsets.to_vec(), peak, goal };
    if peak > goal && *work >= cost(part) {
        best.search(work);
    }
    (best.peak < peak).then_some(best.offsets)
}

/// The best plan so far.
struct Best<'a> {
    part: &'a Sections,
    offsets: Vec<u64>,
    peak: u64,
    goal: u64,
}

impl Best<'_> {
    fn done(&self, work: u64) -> bool {
        self.peak <= self.goal || work < cost(self.part)
    }

    fn take(&mut self, offsets: &[u64]) {
        let peak = self.part.peak(offsets);
        if peak < self.peak {
            self.peak = peak;
            self.offsets.copy_from_slice(offsets);
        }
    }

    fn search(&mut self, work: &mut u64) {
        let context = Context::new(self.part, Scope::of_jobs(&self.part.jobs));
        let weights = weights(self.part, context.totals());
        let mut random = SplitMix::new(1);
        let mut lines: Vec<Line> = Vec::new();
        for round in 0u32.. {
            let steps = FIRST_STEPS.saturating_mul(1u32.checked_shl(round).unwrap_or(u32::MAX));
            for start in 0..=STARTS.len() {
                if lines.len() == start {
                    let order = self.start(&context, start);
                    let mut line = Line::new(&context, order, self.goal, work);
                    line.squeak(&context, self.goal, SQUEAKS, work);
                    self.take(line.offsets());
                    lines.push(line);
                }
                self.repack(&mut lines[start], steps, &context, &mut random, work);
            }
            if self.done(*work) {
                return;
            }
            let eighths = EIGHTHS[round as usize % EIGHTHS.len()];
            let capacity = self.goal + ((self.peak - 1 - self.goal) / 8) * eighths;
            let granted = u64::from(steps).saturating_mul(10 * cost(self.part)).min(*work);
            let mut left = granted;
            let mut ejection = Ejection::new(self.part, &weights, &self.offsets, capacity, random.next());
            let found = ejection.run(self.peak, &mut left);
            *work -= granted - left;
            if let Some(offsets) = found {
                self.take(&offsets);
            }
            if self.done(*work) {
                return;
            }
        }
    }

    fn start(&self, context: &Context<'_>, start: usize) -> Vec<u32> {
        match STARTS.get(start.wrapping_sub(1)) {
            Some(keys) => preorder(self.part, context.totals(), keys),
            None => {
                let mut order: Vec<u32> = (0..self.offsets.len() as u32).collect();
                order.sort_unstable_by_key(|&job| (self.offsets[job as usize], job));
                order
            }
        }
    }

    fn repack(
        &mut self,
        line: &mut Line,
        steps: u32,
        context: &Context<'_>,
        random: &mut SplitMix,
        work: &mut u64,
    ) {
        for _ in 0..steps {
            if self.done(*work) {
                return;
            }
            line.step(context, self.goal, random, work);
            if line.peak() < self.peak {
                self.take(line.offsets());
            }
        }
    }
}
