//! What differs between two plans, or between the plans of two sessions.
//!
//! Tensors, ops and arenas are found again by their names; of several with one name the first is compared with the first,
//! and so on. An op is never taken for one of another operator, and in another model neither for one of another kernel,
//! nor a tensor for one of another shape: names that a program made up (`r1`, `r2`) are the same everywhere. Where less than half of the tensors have a name of the other plan, as in the exports of one network by two
//! programs, the others are found again by what they are: those of one shape, arena and kind in the order of the plans.
//! Lifespans are compared by ops that are in both plans, so that an op more moves nobody's life.
//!
//! ```text
//!  live bytes
//!    ▲      peak of B
//!    │        ▲  ┐ Σ causes      the tensors that make the difference between both plans at one op, the peak of the
//!    │   A's  │  │               larger: what B has there, less what A has there
//!    │   peak │  │
//!    │    ▲   │  ┘               growth = peak of B − peak of A = Σ causes − what A has to spare at that op
//!    └────┴───┴───► op
//! ```

mod alike;
mod arenas;
mod live;
mod names;
mod ops;
mod tensors;
#[cfg(test)]
mod tests;
mod words;

use alloc::vec::Vec;

pub use alike::models_change;
pub use arenas::{ArenaDiff, ArenaSide, Cause, Moment};
pub use live::{LiveDiff, live_diff};
pub use ops::{Averaged, OpDiff};
pub use tensors::{TensorCounts, TensorDiff};
pub use words::roofs_change;

use crate::diff::names::{Pairing, pair_by};
use crate::metrics::timings::warm_runs;
use crate::schema::plan_record::{BufferKind, PlanRecord};
use crate::timeline::Timeline;
use crate::timeline::plan_state::PlanState;

/// What differs between the plans of two sessions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diff {
    /// Plans for the same dimensions, compared; where no dimensions are in both sessions, their current plans.
    pub plans: Vec<PlanDiff>,
    /// Plans of the first session alone.
    pub only_a: Vec<u32>,
    /// Plans of the second session alone.
    pub only_b: Vec<u32>,
}

/// What differs between two plans.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlanDiff {
    /// The numbers of both plans in their sessions.
    pub numbers: (u32, u32),
    /// All arenas, in the order of the second plan, then those of the first alone.
    pub arenas: Vec<ArenaDiff>,
    /// Tensors that are not the same in both, those whose size differs most first.
    pub tensors: Vec<TensorDiff>,
    /// How many differ, and in what.
    pub counts: TensorCounts,
    /// For each tensor of the second plan, which of the first it is; `None` for those that were added.
    pub like: Vec<Option<u32>>,
    /// Ops that are in one plan alone, have another kernel, or were timed in both, the largest difference in time first.
    pub ops: Vec<OpDiff>,
    /// Mean device time of all timed ops of a run, in nanoseconds; `None` where none was timed.
    pub op_time: (Option<u64>, Option<u64>),
    /// Of which runs the mean times of ops are; `None` where none was timed.
    pub averaged: (Option<Averaged>, Option<Averaged>),
    /// By how much runs of one session differ, the larger of both: a share of their median; 0 where too few are known.
    pub spread: f64,
}

impl Diff {
    /// Whether no tensor, arena, op or plan differs; times aside.
    pub fn is_empty(&self) -> bool {
        self.only_a.is_empty() && self.only_b.is_empty() && self.plans.iter().all(PlanDiff::is_empty)
    }
}

impl PlanDiff {
    /// Whether no tensor, arena or op differs; times aside.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
            && self.arenas.iter().all(ArenaDiff::is_empty)
            && !self.ops.iter().any(|op| op.is_added() || op.is_removed() || op.other_kernel)
    }
}

/// Compares all plans of two sessions. Time grows with buffers + ops, times the logarithm of how many there are.
pub fn diff(a: &Timeline, b: &Timeline) -> Diff {
    let (sides_a, sides_b) = (sides(a), sides(b));
    let pairing = pair_by(&dims(&sides_a), &dims(&sides_b));
    let other = |at: &Option<u32>| at.and_then(|at| sides_a.get(at as usize));
    let mut found = Diff::default();
    for (own, at) in sides_b.iter().zip(&pairing.a_of_b) {
        match other(at) {
            Some(other) => found.plans.push(diff_plans(*other, *own)),
            None => found.only_b.push(own.0),
        }
    }
    let alone = sides_a.iter().zip(&pairing.b_of_a).filter(|(_, other)| other.is_none());
    found.only_a = alone.map(|(own, _)| own.0).collect();
    // Where no dimensions are in both, what runs now is compared.
    if let (true, Some(current_a), Some(current_b)) =
        (found.plans.is_empty(), a.current_plan(), b.current_plan())
    {
        found.plans.push(diff_plans(current_a, current_b));
        found.only_a.retain(|&number| number != current_a.0);
        found.only_b.retain(|&number| number != current_b.0);
    }
    let spread = run_spread(a, b);
    found.plans.iter_mut().for_each(|plan| plan.spread = spread);
    found
}

/// A plan with its number.
type Side<'a> = (u32, &'a PlanState);

fn sides(timeline: &Timeline) -> Vec<Side<'_>> {
    (0..).zip(&timeline.plans).filter(|(_, plan)| !plan.forgotten).collect()
}

/// What each plan is for, by name.
fn dims<'a>(sides: &[Side<'a>]) -> Vec<Vec<(&'a str, i64)>> {
    let of = |(_, plan): &Side<'a>| {
        let mut dims: Vec<_> = plan.record.dims.iter().map(|dim| (dim.name.as_str(), dim.value)).collect();
        dims.sort_unstable();
        dims
    };
    sides.iter().map(of).collect()
}

/// Compares two plans, each with its number in its session, whatever their dimensions are.
pub fn diff_plans((number_a, a): (u32, &PlanState), (number_b, b): (u32, &PlanState)) -> PlanDiff {
    let (record_a, record_b) = (&a.record, &b.record);
    let mut names = Names {
        arenas: Pairing::by_name(&record_a.arenas, &record_b.arenas, |arena| &arena.name),
        buffers: Pairing::by_name(&record_a.buffers, &record_b.buffers, |buffer| &buffer.name),
        ops: Pairing::by_name(&record_a.ops, &record_b.ops, |op| &op.name),
    };
    ops::unpair_others(record_a, record_b, &mut names.ops);
    let one_model = alike::unlike(record_a, record_b).is_none();
    if !one_model {
        let (kinds_a, kinds_b) = (kinds(record_a), kinds(record_b));
        names.buffers.keep(|own, other| kinds_a[own as usize] == kinds_b[other as usize]);
        let computes = |plan: &PlanRecord, op: u32| plan.ops[op as usize].kernel.clone();
        names.ops.keep(|own, other| computes(record_a, own) == computes(record_b, other));
    } else if names.buffers.is_poor() {
        names.buffers.complete(&kinds(record_a), &kinds(record_b), |kind| *kind);
        names.ops.complete(&record_a.ops, &record_b.ops, |op| op.kernel.as_str());
    }
    let (tensors, counts) = tensors::tensors(record_a, record_b, &names);
    let (ops, op_time) = ops::ops(a, b, &names.ops);
    let mut arenas = arenas::arenas(record_a, record_b, &names);
    if !one_model {
        // Tensors of two models are no cause of each other's peaks.
        arenas.iter_mut().for_each(|arena| arena.causes.clear());
    }
    PlanDiff {
        numbers: (number_a, number_b),
        arenas,
        tensors,
        counts,
        like: names.buffers.a_of_b,
        ops,
        op_time,
        averaged: (ops::averaged(a), ops::averaged(b)),
        spread: 0.0,
    }
}

/// How much the runs of two sessions differ among themselves, for [`PlanDiff::spread`].
pub fn run_spread(a: &Timeline, b: &Timeline) -> f64 {
    let spread = |timeline| warm_runs(timeline).and_then(|runs| runs.spread).unwrap_or(0.0);
    spread(a).max(spread(b))
}

/// What tells a tensor without its name: its arena, its kind, its shape and its bytes.
fn kinds(plan: &PlanRecord) -> Vec<(&str, BufferKind, &str, u64)> {
    let arena = |at: u32| plan.arenas.get(at as usize).map_or("", |arena| arena.name.as_str());
    let buffers = plan.buffers.iter();
    buffers.map(|buffer| (arena(buffer.arena), buffer.kind, buffer.shape.as_str(), buffer.size)).collect()
}

/// What is the same in both plans, by name.
struct Names {
    arenas: Pairing,
    buffers: Pairing,
    ops: Pairing,
}
