//! A planner on many random problems, against the references or against everything there is.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bayplan_plan::{Buffer, Plan, Problem, Status, validate};

use super::instances::{KINDS, draw, draw_tiny};
use super::tally::Tally;
use super::{MOST, REFERENCES, fault_in_offsets, fault_in_plan, least_peak, peak};

/// Most buffers of a problem that the references are matched on.
const BUFFERS: usize = 60;

/// Seeds that a thread takes at once.
const CHUNK: u64 = 64;

/// Failures that are told.
const TOLD: usize = 20;

/// A planner to be judged.
pub struct Contest<'p> {
    planner: &'p (dyn Fn(&Problem) -> Plan + Sync),
}

/// What became of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// By kind.
    pub tally: Tally,
    /// Problems on which the planner failed.
    pub failed: u64,
    /// The first of them in order of their seeds: what went wrong, and on which problem.
    pub failures: Vec<(u64, String)>,
    /// Problems whose least peak is above their bound, where everything was tried.
    pub above_bound: u64,
}

impl Outcome {
    fn join(&mut self, other: &Self) {
        self.tally.join(&other.tally);
        self.failed += other.failed;
        self.above_bound += other.above_bound;
        self.failures.extend_from_slice(&other.failures);
        self.failures.sort();
        self.failures.truncate(TOLD);
    }

    fn fail(&mut self, seed: u64, why: String) {
        self.failed += 1;
        self.failures.push((seed, why));
    }
}

impl<'p> Contest<'p> {
    /// A contest for this planner.
    pub fn new(planner: &'p (dyn Fn(&Problem) -> Plan + Sync)) -> Self {
        Self { planner }
    }

    /// Problems of up to 60 buffers of all kinds: every plan must be one, and none may be larger than that of a reference.
    pub fn against_references(&self, seeds: Range<u64>) -> Outcome {
        spread(seeds, |seed, outcome| {
            let instance = draw(seed, BUFFERS);
            let buffers = instance.problem.buffers();
            let kind = KINDS[instance.kind].0;
            let mut peaks = [None; REFERENCES.len()];
            for (reached, reference) in peaks.iter_mut().zip(&REFERENCES) {
                let Some(offsets) = (reference.place)(buffers) else { continue };
                if let Some(fault) = fault_in_offsets(buffers, &offsets) {
                    outcome.fail(seed, format!("{kind}, {}: {fault}", reference.name));
                }
                *reached = Some(peak(buffers, &offsets));
            }
            let plan = match self.plan(&instance.problem) {
                Ok(plan) => plan,
                Err(why) => return outcome.fail(seed, format!("{kind}, {} buffers: {why}", buffers.len())),
            };
            let better =
                peaks.iter().zip(&REFERENCES).filter(|(peak, _)| peak.is_some_and(|p| p < plan.peak));
            let better: Vec<String> =
                better.map(|(peak, r)| format!("{} {}", r.name, peak.unwrap_or(0))).collect();
            if !better.is_empty() {
                let (count, better) = (buffers.len(), better.join(", "));
                outcome.fail(
                    seed,
                    format!("{kind}, {count} buffers: {} by {}, {better}", plan.peak, plan.strategy),
                );
            }
            outcome.tally.rows[instance.kind].add(seed, &plan, &peaks);
        })
    }

    /// Problems of up to 8 buffers, the kinds in turn with ones that are full of ties: every plan must be as small as any,
    /// and known to be.
    pub fn against_everything(&self, seeds: Range<u64>) -> Outcome {
        spread(seeds, |seed, outcome| {
            let problem = match seed % 2 {
                0 => draw(seed / 2, MOST).problem,
                _ => draw_tiny(seed, MOST),
            };
            let least = least_peak(problem.buffers());
            match self.plan(&problem).and_then(|plan| unequal(&plan, least)) {
                Ok(above) => outcome.above_bound += u64::from(above),
                Err(why) => outcome.fail(seed, format!("{why}: {}", rows(problem.buffers()))),
            }
        })
    }

    /// The planner's plan, if both judges accept it.
    fn plan(&self, problem: &Problem) -> Result<Plan, String> {
        let plan = catch_unwind(AssertUnwindSafe(|| (self.planner)(problem)));
        let plan = plan.map_err(|_| "the planner panicked".to_string())?;
        validate(problem, &plan).map_err(|violation| format!("validate: {violation}"))?;
        fault_in_plan(problem.buffers(), &plan).map_or(Ok(plan), Err)
    }
}

/// Whether the least peak is above the bound; an error where the plan differs from it, or does not know.
fn unequal(plan: &Plan, least: u64) -> Result<bool, String> {
    let claims = matches!(plan.status, Status::Optimal | Status::OptimalBySearch);
    if plan.peak != least || plan.proved_bound > least || !claims {
        let (peak, proved, status) = (plan.peak, plan.proved_bound, plan.status.name());
        return Err(format!("{peak} ({status}, {proved} proved) where {least} is the least"));
    }
    Ok(least > plan.aligned_bound.bytes)
}

/// Buffers in short: `120 in 0..10 at 32`, with the alignment behind a slash where it is not 1.
fn rows(buffers: &[Buffer]) -> String {
    let row = |b: &Buffer| {
        let align = if b.align == 1 { String::new() } else { format!("/{}", b.align) };
        let fixed = b.fixed.map_or(String::new(), |offset| format!(" at {offset}"));
        format!("{}{align} in {}..{}{fixed}", b.size, b.lifespan.first, b.lifespan.last)
    };
    buffers.iter().map(row).collect::<Vec<_>>().join(", ")
}

/// Judges all seeds on all processors; the outcome is the same on any number.
fn spread(seeds: Range<u64>, judge: impl Fn(u64, &mut Outcome) + Sync) -> Outcome {
    let (next, joined) = (AtomicU64::new(seeds.start), Mutex::new(Outcome::default()));
    let work = || {
        let mut mine = Outcome::default();
        loop {
            let from = next.fetch_add(CHUNK, Ordering::Relaxed);
            if from >= seeds.end {
                break;
            }
            (from..(from + CHUNK).min(seeds.end)).for_each(|seed| judge(seed, &mut mine));
        }
        joined.lock().expect("no judge panics").join(&mine);
    };
    thread::scope(|scope| {
        for _ in 1..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
        work();
    });
    joined.into_inner().expect("no judge panics")
}
