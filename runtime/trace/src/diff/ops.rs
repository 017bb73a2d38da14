//! Ops added, removed, computed by another kernel, and how long they take.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::Pairing;
use crate::schema::plan_record::PlanRecord;
use crate::timeline::plan_state::PlanState;

/// An op that is in one plan alone, or what its kernels and times are in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpDiff {
    /// Its number in the first plan; `None` if it was added.
    pub a: Option<u32>,
    /// Its number in the second plan; `None` if it was removed.
    pub b: Option<u32>,
    /// Whether it is in both, and another kernel computes it.
    pub other_kernel: bool,
    /// Its mean device time in both, in nanoseconds; `None` where it was not timed.
    pub mean: (Option<u64>, Option<u64>),
}

/// What mean times of ops are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Averaged {
    /// How many runs.
    pub runs: u64,
    /// Whether the first run, a cold one, was left out.
    pub warm: bool,
    /// Whether the first run is all there is.
    pub of_first: bool,
}

impl OpDiff {
    /// Whether it is in the second plan alone.
    pub fn is_added(&self) -> bool {
        self.a.is_none()
    }

    /// Whether it is in the first plan alone.
    pub fn is_removed(&self) -> bool {
        self.b.is_none()
    }

    /// Nanoseconds that it takes longer in the second plan; where it is not, it takes none. `None` if it was not timed.
    pub fn growth(&self) -> Option<i128> {
        match (self.a, self.mean.0, self.b, self.mean.1) {
            (_, Some(a), _, Some(b)) => Some(i128::from(b) - i128::from(a)),
            (None, _, _, Some(b)) => Some(i128::from(b)),
            (_, Some(a), None, _) => Some(-i128::from(a)),
            _ => None,
        }
    }
}

/// Ops that were found again by their names, where an operator of one is not that of the other: names that a program made up
/// are the same in any two models. What was fused behind the first operator may differ.
pub(super) fn unpair_others(a: &PlanRecord, b: &PlanRecord, names: &mut Pairing) {
    let first = |plan: &'_ PlanRecord, op: u32| {
        let operators = plan.ops.get(op as usize).map_or("", |op| op.source_op.as_str());
        operators.split('+').next().unwrap_or_default().to_owned()
    };
    names.keep(|own, other| {
        let (own, other) = (first(a, own), first(b, other));
        own == other || own.is_empty() || other.is_empty()
    });
}

/// The ops, and the mean device time of all of them in both plans.
pub(super) fn ops(
    a: &PlanState,
    b: &PlanState,
    names: &Pairing,
) -> (Vec<OpDiff>, (Option<u64>, Option<u64>)) {
    let mut found = Vec::new();
    for (at, &other) in (0..).zip(&names.a_of_b) {
        let kernel =
            |plan: &'_ PlanState, op: u32| plan.record.ops.get(op as usize).map(|op| op.kernel.clone());
        let other_kernel = other.is_some_and(|other| kernel(a, other) != kernel(b, at));
        let means = (other.and_then(|other| mean(a, other)), mean(b, at));
        let op = OpDiff { a: other, b: Some(at), other_kernel, mean: means };
        if op.is_added() || other_kernel || op.growth().is_some() {
            found.push(op);
        }
    }
    for (at, other) in (0..).zip(&names.b_of_a) {
        if other.is_none() {
            found.push(OpDiff { a: Some(at), mean: (mean(a, at), None), ..OpDiff::default() });
        }
    }
    // Stable: equals stay in the order of the plans.
    found.sort_by_key(|op| Reverse(op.growth().map(i128::unsigned_abs)));
    (found, (total(a), total(b)))
}

/// Nanoseconds of an op in the mean over the runs that timed it ([`OpTime::mean`](crate::OpTime::mean)).
fn mean(plan: &PlanState, op: u32) -> Option<u64> {
    plan.op_times.get(op as usize)?.mean()
}

/// Of how many runs the mean times of a plan's ops are, and whether the first was left out; `None` where no op was timed.
pub(super) fn averaged(plan: &PlanState) -> Option<Averaged> {
    let most = plan.op_times.iter().max_by_key(|time| time.count).filter(|time| time.count > 0)?;
    let of_first = most.first.is_some() && !most.is_warm();
    Some(Averaged { runs: most.averaged(), warm: most.is_warm(), of_first })
}

fn total(plan: &PlanState) -> Option<u64> {
    let means = (0..plan.op_times.len() as u32).filter_map(|op| mean(plan, op));
    means.reduce(u64::saturating_add)
}
