//! Sums over the runs of each plan: kept by the writer for its keyframes, so that who reads from there knows as much of a
//! plan's runs and ops as who has read all before.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::format::wire::{Cursor, WireError, put_varint};
use crate::schema::event::Nanos;
use crate::timeline::plan_state::OpTime;

/// What the runs of a plan came to so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanSums {
    /// Runs of the plan that ended.
    pub runs: u64,
    /// Device times of the ops that were seen, by op.
    pub op_times: Vec<(u32, OpTime)>,
}

impl PlanSums {
    /// Number of the plan, its runs, then for each op that was seen: how many ops after the one before, count, sum, latest.
    pub(crate) fn to_bytes(&self, plan: u32) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, u64::from(plan));
        put_varint(&mut out, self.runs);
        let mut next = 0;
        for (at, op) in &self.op_times {
            let skipped = at.wrapping_sub(next);
            let numbers = [u64::from(skipped), op.count, op.total, op.latest];
            numbers.into_iter().for_each(|number| put_varint(&mut out, number));
            next = at.wrapping_add(1);
        }
        out
    }

    /// Reads what [`PlanSums::to_bytes`] wrote: the plan's number and its sums.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<(u32, Self), WireError> {
        let mut cursor = Cursor::new(bytes);
        let plan = cursor.index()?;
        let mut sums = Self { runs: cursor.varint()?, op_times: Vec::new() };
        let mut next = 0u32;
        while !cursor.is_empty() {
            let at = next.wrapping_add(cursor.index()?);
            let (count, total, latest) = (cursor.varint()?, cursor.varint()?, cursor.varint()?);
            sums.op_times.push((at, OpTime { latest, total, count, first: None }));
            next = at.wrapping_add(1);
        }
        Ok((plan, sums))
    }

    /// Number of the plan, then for each op of [`PlanSums::to_bytes`] how long it took in the first run: one more than that,
    /// or 0 where it is not known.
    pub(crate) fn first_to_bytes(&self, plan: u32) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, u64::from(plan));
        for (_, op) in &self.op_times {
            put_varint(&mut out, op.first.map_or(0, |first| first.saturating_add(1)));
        }
        out
    }

    /// Adds what [`PlanSums::first_to_bytes`] wrote to the sums of its plan, which stand before it.
    pub(crate) fn add_first(plans: &mut [(u32, Self)], bytes: &[u8]) -> Result<(), WireError> {
        let mut cursor = Cursor::new(bytes);
        let plan = cursor.index()?;
        let Some((_, sums)) = plans.iter_mut().find(|(number, _)| *number == plan) else { return Ok(()) };
        for (_, op) in &mut sums.op_times {
            if cursor.is_empty() {
                break;
            }
            op.first = cursor.varint()?.checked_sub(1);
        }
        Ok(())
    }
}

/// The sums of all plans that runs may still be of.
#[derive(Clone, Debug, Default)]
pub(crate) struct SumsOfPlans {
    plans: BTreeMap<u32, Kept>,
    /// The run that began last, until it ends: its number and its plan.
    current: Option<(u64, u32)>,
}

/// The sums of a plan while they are kept.
#[derive(Clone, Debug, Default)]
struct Kept {
    runs: u64,
    op_times: Vec<OpTime>,
}

impl SumsOfPlans {
    pub(crate) fn begin(&mut self, plan: u32, ops: usize) {
        self.plans.insert(plan, Kept { runs: 0, op_times: alloc::vec![OpTime::default(); ops] });
    }

    pub(crate) fn retire(&mut self, plan: u32) {
        self.plans.remove(&plan);
    }

    #[inline]
    pub(crate) fn run_started(&mut self, run: u64, plan: u32) {
        self.current = Some((run, plan));
    }

    #[inline]
    pub(crate) fn run_ended(&mut self, run: u64) {
        let Some((_, plan)) = self.current.take_if(|(current, _)| *current == run) else { return };
        if let Some(sums) = self.plans.get_mut(&plan) {
            sums.runs = sums.runs.saturating_add(1);
        }
    }

    pub(crate) fn add_op_times(&mut self, plan: u32, first_op: u32, times: &[(Nanos, Nanos)]) {
        if let Some(sums) = self.plans.get_mut(&plan) {
            add_op_times(&mut sums.op_times, first_op, times);
        }
    }

    /// Those that say something.
    pub(crate) fn told(&self) -> Vec<(u32, PlanSums)> {
        let plans = self.plans.iter().map(|(plan, kept)| {
            let seen = (0..).zip(&kept.op_times).filter(|(_, op)| op.count > 0);
            let op_times = seen.map(|(at, op)| (at, *op)).collect();
            (*plan, PlanSums { runs: kept.runs, op_times })
        });
        plans.filter(|(_, sums)| *sums != PlanSums::default()).collect()
    }
}

/// Adds the device times of consecutive ops of a run.
pub(crate) fn add_op_times(sums: &mut [OpTime], first_op: u32, times: &[(Nanos, Nanos)]) {
    for (op, (start, end)) in sums.iter_mut().skip(first_op as usize).zip(times) {
        op.add(end.saturating_sub(*start));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn sums_come_back() {
        let op = |latest, total, count, first| OpTime { latest, total, count, first };
        let most = u64::MAX;
        let op_times = vec![
            (0, op(1, 2, 3, Some(0))),
            (2, op(most, most, most, Some(most - 1))),
            (3, op(5, 9, 2, None)),
            (u32::MAX, op(1, 1, 1, Some(1))),
        ];
        let sums = PlanSums { runs: 7, op_times };
        let (plan, read) = PlanSums::from_bytes(&sums.to_bytes(u32::MAX)).unwrap();
        assert!(read.op_times.iter().all(|(_, op)| op.first.is_none()), "they have a field of their own");
        let mut plans = [(3, PlanSums::default()), (plan, read)];
        PlanSums::add_first(&mut plans, &sums.first_to_bytes(u32::MAX)).unwrap();
        assert_eq!(plans, [(3, PlanSums::default()), (u32::MAX, sums)]);
        // Of a plan without sums, and fewer than there are ops.
        PlanSums::add_first(&mut plans, &[9, 1, 1]).unwrap();
        PlanSums::add_first(&mut plans[..1], &[3, 1, 1]).unwrap();
        assert!(PlanSums::add_first(&mut plans, &[]).is_err());
        let none = PlanSums::default();
        assert_eq!(PlanSums::from_bytes(&none.to_bytes(0)), Ok((0, none)));
    }

    #[test]
    fn the_first_run_is_left_out_of_the_mean_where_others_follow() {
        let mut op = OpTime::default();
        assert_eq!((op.mean(), op.averaged()), (None, 0));
        op.add(900);
        assert_eq!((op.mean(), op.averaged(), op.first), (Some(900), 1, Some(900)));
        op.add(10);
        op.add(13);
        assert_eq!((op.mean(), op.averaged(), op.latest, op.total), (Some(11), 2, 13, 923));
        // Where the first is not known, the mean is of all.
        let attached = OpTime { first: None, ..op };
        assert_eq!((attached.mean(), attached.averaged(), attached.is_warm()), (Some(307), 3, false));
    }

    #[test]
    fn impossible_bytes_are_refused() {
        assert!(PlanSums::from_bytes(&[]).is_err());
        assert!(PlanSums::from_bytes(&[0, 0, 0]).is_err());
    }

    #[test]
    fn a_run_counts_once_for_the_plan_that_it_began_with() {
        let mut sums = SumsOfPlans::default();
        sums.begin(0, 1);
        sums.begin(1, 1);
        sums.run_started(5, 1);
        sums.run_ended(4);
        sums.run_ended(5);
        sums.run_ended(5);
        sums.run_started(6, 9);
        sums.run_ended(6);
        assert_eq!(sums.told(), [(1, PlanSums { runs: 1, op_times: vec![] })]);
        // More times than the plan has ops.
        sums.add_op_times(0, 0, &[(5, 9), (9, 10)]);
        let op_times = vec![(0, OpTime { latest: 4, first: Some(4), total: 4, count: 1 })];
        assert_eq!(sums.told()[0], (0, PlanSums { runs: 0, op_times }));
        sums.retire(0);
        sums.retire(1);
        assert_eq!(sums.told(), []);
    }
}
