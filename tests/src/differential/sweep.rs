//! Many seeds, one after another, on one device.

use std::ops::Range;
use std::time::Instant;

use super::case::Case;
use super::check::Checker;
use super::failure::Failure;
use super::minimise::minimise;
use super::tally::Tally;

/// Different failures after which a sweep ends: one mistake mostly fails many seeds in few ways.
const MOST_FAILURES: usize = 6;

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seeds.
    pub seeds: Range<u64>,
    /// Operators drawn at least per graph.
    pub steps: usize,
    /// When to begin no other graph.
    pub until: Option<Instant>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was seen.
    pub tally: Tally,
    /// Seeds that were run.
    pub seeds: u64,
    /// Each failure that is like no other, minimised and with the command that repeats it.
    pub failures: Vec<String>,
    /// Seeds that failed.
    pub failed: u64,
}

/// Runs the seeds of a plan. `progress` is told after each.
pub fn sweep(checker: &Checker, plan: &Plan, progress: &mut dyn FnMut(u64, &Outcome)) -> Outcome {
    let mut outcome = Outcome::default();
    let mut known: Vec<Failure> = Vec::new();
    for seed in plan.seeds.clone() {
        if plan.until.is_some_and(|until| Instant::now() >= until) || known.len() >= MOST_FAILURES {
            break;
        }
        outcome.seeds += 1;
        let case = Case::of(seed, plan.steps);
        match checker.check(&case) {
            Ok(tally) => outcome.tally.add(tally),
            Err(failure) => {
                outcome.failed += 1;
                if !known.iter().any(|other| other.is_like(&failure)) {
                    outcome.failures.push(told(checker, plan, seed, &case, failure.clone()));
                    known.push(failure);
                }
            }
        }
        progress(seed, &outcome);
    }
    outcome
}

/// A failure with its smallest case, for people.
fn told(checker: &Checker, plan: &Plan, seed: u64, case: &Case, failure: Failure) -> String {
    let (small, failure) = minimise(case, failure, &mut |case| checker.check(case).err());
    let device = checker.device().info().name.as_str();
    format!(
        "seed {seed}: {failure}\n\nthe smallest graph found that fails so, {small}\nrepeat with: cargo run --release -p \
         bayplan-tests --bin differential -- --seeds {seed}..{} --steps {} --device '{device}'\n",
        seed + 1,
        plan.steps
    )
}
