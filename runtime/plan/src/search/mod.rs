//! Anytime exact search: smaller and smaller capacities, until one is proved impossible, the goal is reached or
//! the work allowed is used up.
//!
//! ```text
//!   peak   |----------------|  found: the incumbent
//!          |   1/2  3/4 ...    each round tries these capacities, the lowest first,
//!   bound  |----------------|  with half as many nodes again as the round before
//! ```
//!
//! Whether a search ends soon is no monotone function of the capacity: close to the bound there is hardly a choice,
//! and the search is often quick; in between it may take forever. So there is no bisection: that nothing was found
//! at one capacity says nothing about the next.
//!
//! ```text
//!   Sweep ── capacity, nodes ──> Search (canonical.rs): which job is decided, where to return to
//!     │                            └─> State (state.rs): what follows from a decision, and why
//!     └── Starts (starts.rs): order of preference and rule of each search; sections that have failed
//! ```
//!
//! A search that ends without a plan has proved its capacity impossible; the bound is then the next capacity that a
//! pressed plan can have. Bounds from windows (jobs clipped to some of the sections; what is impossible there is
//! impossible as a whole) are not looked for: of the two public instances whose optimum is unknown, every window of up
//! to 48 of the 91 sections (minimalloc's D) and 32 of the 169 (J) has a plan at max-live, found within some hundred
//! decisions, and no longer one was proved impossible within 10,000.

use alloc::vec;
use alloc::vec::Vec;

use self::canonical::Search;
use self::instance::Instance;
use self::starts::Starts;
use crate::sections::Sections;

mod canonical;
mod decisions;
mod instance;
mod starts;
mod state;
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// Offsets of the sections' jobs.
    Found(Vec<u64>),
    /// There is none.
    Impossible,
    /// The steps allowed were used up before an answer.
    OutOfWork,
}

/// Pairs of jobs that live together, and sections that jobs cover, beyond which the tables of a search
/// would be too large (32 MiB) and its steps too slow to get anywhere.
const MAX_ENTRIES: u64 = 4_000_000;

/// Decisions per job that each start may make in the first round. A plan that is found without one wrong decision
/// takes one per job.
const FIRST_NODES: u64 = 2;

/// At least this many over the cube of the number of jobs: 131,072 for eight, whose plans are then all tried by the
/// first start, where rounds that begin small would begin again and again; no more than above from 76 jobs on.
const FEW_JOBS_NODES: u64 = 1 << 26;

/// The capacities of a round, as eighths of the way from the bound to the largest capacity below the peak.
const EIGHTHS: [u64; 4] = [0, 4, 6, 8];

/// Looks for plans smaller than `peak` and ends at the first that needs at most `goal` bytes. `work` is
/// counted down by the steps made. Jobs with a fixed offset stay where they are.
pub(crate) fn improve(sections: &Sections, goal: u64, peak: u64, work: &mut u64) -> Improved {
    let mut improved = Improved { offsets: None, bound: 0 };
    if *work == 0 || peak <= goal || too_large(sections) {
        return improved;
    }
    let instance = Instance::new(sections);
    let mut sweep = Sweep::new(sections, &instance);
    let bound = instance.bound();
    let (mut low, mut high) = (bound.max(goal / instance.unit * instance.unit), peak.saturating_sub(1));
    improved.bound = bound;
    while *work > 0 && low <= high {
        for eighths in EIGHTHS {
            while *work > 0 && low <= high {
                let steps = (high - low) / instance.unit;
                let capacity = low + steps.saturating_mul(eighths) / 8 * instance.unit;
                match sweep.attempt(capacity, work) {
                    Fit::Found(offsets) => {
                        high = end(sections, &offsets).saturating_sub(1);
                        improved.offsets = Some(offsets);
                    }
                    Fit::Impossible => {
                        low = capacity + instance.unit;
                        improved.bound = low;
                        // Where proofs are cheap, the higher capacities halve what is open.
                        if eighths == 0 {
                            break;
                        }
                    }
                    Fit::OutOfWork => break,
                }
            }
        }
        sweep.next_round();
    }
    improved.bound = improved.bound.min(high.saturating_add(1));
    improved
}

/// Looks for a plan of at most `capacity` bytes. `work` is counted down by the steps made. Jobs with a fixed
/// offset stay where they are.
#[cfg(test)]
fn fit(sections: &Sections, capacity: u64, work: &mut u64) -> Fit {
    if *work == 0 || too_large(sections) {
        return Fit::OutOfWork;
    }
    let instance = Instance::new(sections);
    let mut sweep = Sweep::new(sections, &instance);
    while *work > 0 {
        let outcome = sweep.attempt(capacity, work);
        if outcome != Fit::OutOfWork {
            return outcome;
        }
        sweep.next_round();
    }
    Fit::OutOfWork
}

/// Whether a search of so many jobs would not get anywhere, or there are none.
fn too_large(sections: &Sections) -> bool {
    let covered: u64 = sections.jobs.iter().map(|job| u64::from(job.last - job.first)).sum();
    sections.pairs.max(covered) > MAX_ENTRIES || sections.jobs.is_empty()
}

/// The highest end of the jobs.
fn end(sections: &Sections, offsets: &[u64]) -> u64 {
    let ends = sections.jobs.iter().zip(offsets).map(|(job, offset)| offset + job.size);
    ends.max().unwrap_or(0)
}

/// Rounds of searches, each with more nodes than the one before.
struct Sweep<'a> {
    instance: &'a Instance,
    starts: Starts,
    first_round: bool,
    nodes: u64,
    /// How often each section has failed of late: where it is hard, whatever the start.
    failures: Vec<u32>,
}

impl<'a> Sweep<'a> {
    fn new(sections: &Sections, instance: &'a Instance) -> Self {
        let jobs = sections.jobs.len() as u64;
        let nodes = (FIRST_NODES * jobs).max(FEW_JOBS_NODES / jobs.saturating_pow(3).max(1));
        let failures = vec![0; sections.loads.len()];
        Self { instance, starts: Starts::new(sections), first_round: true, nodes, failures }
    }

    fn next_round(&mut self) {
        self.first_round = false;
        self.nodes = self.nodes.saturating_add(self.nodes / 2);
    }

    /// Searches one capacity from each start.
    fn attempt(&mut self, capacity: u64, work: &mut u64) -> Fit {
        for start in 0..Starts::ROUND {
            let (order, rule) = self.starts.get(start, !self.first_round);
            // At first each start goes its own way; later ones begin where the ones before had trouble.
            let kept = |failures: u32| if self.first_round { 0 } else { failures - failures / 4 };
            self.failures.iter_mut().for_each(|failures| *failures = kept(*failures));
            let search = Search::new(self.instance, &order, rule, capacity);
            let outcome = search.run(self.nodes, work, &mut self.failures);
            if outcome != Fit::OutOfWork || *work == 0 {
                return outcome;
            }
        }
        Fit::OutOfWork
    }
}
