//! Anytime exact search: smaller and smaller capacities, until one is proved impossible or the work
//! allowed is used up.

use alloc::vec;
use alloc::vec::Vec;

use self::canonical::{Outcome, Search};
use self::instance::Instance;
use crate::sections::Sections;
use crate::strategy::{Key, preorder, totals};

mod canonical;
mod instance;
#[cfg(test)]
mod tests;

/// What the search made of a plan.
pub(crate) struct Improved {
    /// Offsets of the sections' jobs, when a smaller plan was found.
    pub(crate) offsets: Option<Vec<u64>>,
    /// No plan is smaller than this many bytes; 0 where nothing was proved.
    pub(crate) bound: u64,
}

/// Whether there is a plan within a capacity.
#[allow(dead_code, reason = "the neighbourhood search is about to read it")]
pub(crate) enum Fit {
    /// Offsets of the sections' jobs.
    Found(Vec<u64>),
    /// There is none.
    Impossible,
    /// The steps allowed were used up before an answer.
    OutOfWork,
}

/// Orders of preference, taken in turn: which one leads to a plan soon differs between problems.
const ORDERS: [[Key; 3]; 4] = [
    [Key::Width, Key::Area, Key::Total],
    [Key::Total, Key::Area, Key::Width],
    [Key::Total, Key::Width, Key::Area],
    [Key::Area, Key::Width, Key::Total],
];

/// Work of each order in the first round; each round doubles it.
const FIRST_SLICE: u64 = 200_000;

/// Halvings of the distance between bound and peak; closer to the bound only the bound itself is tried.
const DEEPEST: u32 = 2;

/// Pairs of jobs that live together, and sections that jobs cover, beyond which the tables of a search
/// would be too large (32 MiB) and its steps too slow to get anywhere.
const MAX_ENTRIES: u64 = 4_000_000;

/// Looks for plans smaller than `peak` and ends at the first that needs at most `goal` bytes. `work` is
/// counted down by the steps made. Jobs with a fixed offset stay where they are.
///
/// Whether a search ends soon is no monotone function of the capacity: close to the bound it is often
/// quick, in between it may take forever. So each round tries the bound itself, then capacities just below the
/// best plan for as long as that finds smaller ones, then at a half and a quarter of the distance to the
/// bound; the next round does so with twice the work.
pub(crate) fn improve(sections: &Sections, goal: u64, peak: u64, work: &mut u64) -> Improved {
    let mut improved = Improved { offsets: None, bound: 0 };
    if *work == 0 || peak <= goal || too_large(sections) {
        return improved;
    }
    let instance = Instance::new(sections);
    let mut descent = Descent {
        ranks: ORDERS.map(|keys| ranks(sections, &keys)),
        low: instance.loads.iter().copied().max().unwrap_or(0).max(goal / instance.unit * instance.unit),
        peak,
        instance: &instance,
        sections,
        work: *work,
    };
    let mut slice = FIRST_SLICE;
    while descent.capacity(0).is_some() {
        let mut shift = u32::MAX;
        while let Some(capacity) = descent.capacity(shift) {
            match descent.attempt(capacity, slice) {
                Some(Some(offsets)) => {
                    improved.offsets = Some(offsets);
                    shift = 0;
                    continue;
                }
                Some(None) => {
                    // Of the topmost job's padding all but one byte may still be saved.
                    improved.bound = capacity + 1;
                    descent.low = capacity + instance.unit;
                }
                None => {}
            }
            shift = shift.wrapping_add(1);
        }
        slice = slice.saturating_mul(2);
    }
    if sections.grain == 1 && improved.bound > 0 {
        improved.bound = descent.low.min(descent.peak);
    }
    *work = descent.work;
    improved
}

/// Looks for a plan of at most `capacity` bytes. `work` is counted down by the steps made. Jobs with a fixed
/// offset stay where they are.
#[allow(dead_code, reason = "the neighbourhood search is about to call it")]
pub(crate) fn fit(sections: &Sections, capacity: u64, work: &mut u64) -> Fit {
    if *work == 0 || too_large(sections) {
        return Fit::OutOfWork;
    }
    let instance = Instance::new(sections);
    let mut descent = Descent {
        ranks: ORDERS.map(|keys| ranks(sections, &keys)),
        low: capacity,
        peak: capacity.saturating_add(1),
        instance: &instance,
        sections,
        work: *work,
    };
    let mut slice = FIRST_SLICE;
    let mut fit = Fit::OutOfWork;
    while descent.work > 0 && matches!(fit, Fit::OutOfWork) {
        match descent.attempt(capacity / instance.unit * instance.unit, slice) {
            Some(Some(offsets)) => fit = Fit::Found(offsets),
            Some(None) => fit = Fit::Impossible,
            None => slice = slice.saturating_mul(2),
        }
    }
    *work = descent.work;
    fit
}

/// Whether a search of so many jobs would not get anywhere, or there are none.
fn too_large(sections: &Sections) -> bool {
    let covered: u64 = sections.jobs.iter().map(|job| u64::from(job.last - job.first)).sum();
    sections.pairs.max(covered) > MAX_ENTRIES || sections.jobs.is_empty()
}

/// The rank of each job in an order.
fn ranks(sections: &Sections, keys: &[Key]) -> Vec<u32> {
    let mut ranks = vec![0; sections.jobs.len()];
    for (rank, job) in preorder(sections, &totals(sections), keys).into_iter().enumerate() {
        ranks[job as usize] = rank as u32;
    }
    ranks
}

/// The incumbent, what is known to be impossible, and the work that is left.
struct Descent<'a> {
    instance: &'a Instance,
    sections: &'a Sections,
    ranks: [Vec<u32>; ORDERS.len()],
    /// No plan fits a capacity below this one.
    low: u64,
    /// Peak of the best plan so far, with its true sizes.
    peak: u64,
    work: u64,
}

impl Descent<'_> {
    /// The capacity at `1 / 2^shift` of the way from the lowest possible one to just below the peak; the
    /// lowest itself for `u32::MAX`, none when it is no different from the one before.
    fn capacity(&self, shift: u32) -> Option<u64> {
        let unit = self.instance.unit;
        let high = (self.peak - 1) / unit * unit;
        if self.work == 0 || high < self.low {
            return None;
        }
        let steps = (high - self.low) / unit;
        match shift {
            u32::MAX => Some(self.low),
            0 => Some(high),
            1..=DEEPEST => Some(steps.checked_shr(shift).unwrap_or(0))
                .filter(|&steps| steps > 0)
                .map(|steps| self.low + steps * unit),
            _ => None,
        }
    }

    /// Searches one capacity with each order. `Some(Some(offsets))` is a plan below the peak,
    /// `Some(None)` a proof that there is none within the capacity.
    fn attempt(&mut self, capacity: u64, slice: u64) -> Option<Option<Vec<u64>>> {
        for rank in &self.ranks {
            let allowed = slice.min(self.work);
            let mut search = Search::new(self.instance, rank, capacity, allowed);
            let outcome = search.run();
            self.work -= allowed - search.work;
            match outcome {
                Outcome::Impossible => return Some(None),
                Outcome::OutOfWork => {}
                Outcome::Found => {
                    let offsets = search.offsets();
                    let ends = self.sections.jobs.iter().zip(&offsets).map(|(job, offset)| offset + job.size);
                    let peak = ends.max().unwrap_or(0);
                    if peak < self.peak {
                        self.peak = peak;
                        return Some(Some(offsets));
                    }
                }
            }
        }
        None
    }
}
