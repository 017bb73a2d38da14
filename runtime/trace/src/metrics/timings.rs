//! Times that reports and viewers show of the runs and ops that are still known. Figures over the whole session are
//! [quantities](crate::quantities).

use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::metrics::roofline::{OpRoof, op_roof, per_second};
use crate::schema::event::Nanos;
use crate::schema::roofs::Roofs;
use crate::timeline::plan_state::PlanState;
use crate::timeline::{FinishedRun, Timeline};

/// How long the latest runs took, from submission to end: of those that succeeded and are still known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecentRuns {
    /// The last of them.
    pub latest: Nanos,
    /// The middle of them ([`median`]).
    pub median: Nanos,
    /// What 99 % of them do not exceed, by the nearest rank.
    pub p99: Nanos,
    /// How many they are.
    pub count: usize,
}

/// The device time of an op, over the runs in which it was timed. The mean is [`OpTime::mean`](crate::OpTime::mean).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OpShare {
    /// Its number in the plan.
    pub op: usize,
    /// The mean, rounded down: without the first run, where others followed.
    pub mean: Nanos,
    /// How long it took in the first run, where that is known.
    pub first: Option<Nanos>,
    /// In the latest run.
    pub latest: Nanos,
    /// How many times it was timed.
    pub count: u64,
    /// Of how many of them the mean is.
    pub averaged: u64,
    /// Its part of the sum of all means, from 0 to 1.
    pub share: f64,
    /// Bytes it moves per second, by the plan's bytes and the mean; `None` where that is 0.
    pub bytes_per_second: Option<f64>,
    /// Its floating-point operations per second, likewise.
    pub flops_per_second: Option<f64>,
    /// How far it is from the device's roof, where the recording has one and it holds for this op ([`op_roof`]).
    pub roof: Option<OpRoof>,
}

/// The times of the latest runs; `None` where none that succeeded is known.
pub fn recent_runs(timeline: &Timeline) -> Option<RecentRuns> {
    let time = |run: &FinishedRun| run.end.saturating_sub(run.start);
    let ok = timeline.runs.iter().filter(|run| run.ok);
    let latest = time(ok.clone().next_back()?);
    let mut times: Vec<Nanos> = ok.map(time).collect();
    times.sort_unstable();
    let count = times.len();
    let rank = |percent: usize| times[(count * percent).div_ceil(100).max(1) - 1];
    Some(RecentRuns { latest, median: median(&times)?, p99: rank(99), count })
}

/// The middle of sorted figures; of an even number the mean of the two in the middle, rounded down. `None` of none.
pub fn median(sorted: &[u64]) -> Option<u64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some(lower.midpoint(upper))
}

/// How long runs took without the first of the session, which is a cold one: of those that succeeded and are still known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WarmRuns {
    /// The middle of them ([`median`]).
    pub median: Nanos,
    /// What lies between the tenth and the ninetieth percent of them, as a share of the median; `None` of fewer than five.
    pub spread: Option<f64>,
    /// How many they are.
    pub count: usize,
}

/// The times of the runs behind the first; `None` where none of them is known.
pub fn warm_runs(timeline: &Timeline) -> Option<WarmRuns> {
    const FEWEST: usize = 5;
    let warm = timeline.runs.iter().filter(|run| run.ok && run.run > 0);
    let mut times: Vec<Nanos> = warm.map(|run| run.end.saturating_sub(run.start)).collect();
    times.sort_unstable();
    let count = times.len();
    let rank = |percent: usize| Some(*times.get((count * percent).div_ceil(100).checked_sub(1)?)?);
    let median = median(&times)?;
    let spread = (rank(90)? - rank(10)?) as f64 / median.max(1) as f64;
    Some(WarmRuns { median, spread: (count >= FEWEST).then_some(spread), count })
}

/// The ops of a plan that were timed, the slowest first; `roofs` are those of the recording ([`Timeline::roofs`]).
pub fn op_shares(plan: &PlanState, roofs: Option<&Roofs>) -> Vec<OpShare> {
    let timed = plan.op_times.iter().enumerate().filter_map(|(op, time)| Some((op, time, time.mean()?)));
    let mut shares: Vec<OpShare> = timed
        .map(|(op, time, mean)| {
            let record = plan.record.ops.get(op);
            OpShare {
                op,
                mean,
                first: time.first,
                latest: time.latest,
                count: time.count,
                averaged: time.averaged(),
                share: 0.0,
                bytes_per_second: record.and_then(|record| per_second(record.bytes, mean)),
                flops_per_second: record.and_then(|record| per_second(record.flops, mean)),
                roof: record.zip(roofs).and_then(|(record, roofs)| op_roof(record, mean, roofs)),
            }
        })
        .collect();
    let all: f64 = shares.iter().map(|op| op.mean as f64).sum();
    for op in &mut shares {
        op.share = if all > 0.0 { op.mean as f64 / all } else { 0.0 };
    }
    shares.sort_by_key(|op| (Reverse(op.mean), op.op));
    shares
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::{Event, OpRecord, PlanRecord, Record, RoofBound, SessionInfo};

    /// Runs of so many nanoseconds; those of 0 fail.
    fn timeline(times: &[u64]) -> Timeline {
        let mut timeline = Timeline::new();
        for (run, time) in (0..).zip(times) {
            let t = run * 1_000_000;
            timeline.apply(Record::Event(Event::RunStart { run, plan: 0, t }));
            timeline.apply(Record::Event(Event::RunEnd { run, t: t + time, ok: *time > 0 }));
        }
        timeline
    }

    #[test]
    fn ranks_are_the_nearest_and_failures_no_times() {
        let of = |times: &[u64]| {
            recent_runs(&timeline(times)).map(|runs| [runs.latest, runs.median, runs.p99, runs.count as u64])
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[0, 0]), None);
        assert_eq!(of(&[7]), Some([7, 7, 7, 1]));
        assert_eq!(of(&[9, 5]), Some([5, 7, 9, 2]));
        assert_eq!(of(&[0, 9, 5, 7, 0]), Some([7, 7, 9, 3]));
        let hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(of(&hundred), Some([1, 50, 99, 100]));
    }

    #[test]
    fn the_first_run_is_a_cold_one() {
        let of =
            |times: &[u64]| warm_runs(&timeline(times)).map(|runs| (runs.median, runs.spread, runs.count));
        assert_eq!([of(&[]), of(&[900]), of(&[900, 0])], [None; 3]);
        assert_eq!(of(&[900, 10, 0, 12]), Some((11, None, 2)));
        assert_eq!(of(&[900, 100, 80, 120, 90, 110]), Some((100, Some(0.4), 5)));
    }

    #[test]
    fn shares_add_up_and_the_slowest_comes_first() {
        let mut timeline = Timeline::new();
        let ops = vec![OpRecord::default(); 3];
        let record = PlanRecord { ops, ..PlanRecord::default() };
        timeline.apply(Record::Plan { plan: 0, record });
        for run in 0..3 {
            timeline.apply(Record::Event(Event::RunStart { run, plan: 0, t: 0 }));
            // The first run is a cold one, which makes the last op the slowest by far.
            let cold = if run == 0 { 50_000 } else { 0 };
            let times = vec![(0, 10), (10, 39 + run), (50, 60 + cold)];
            timeline.apply(Record::Event(Event::OpTimes { run, plan: 0, first_op: 0, times }));
        }
        let found: Vec<_> = op_shares(&timeline.plans[0], None)
            .iter()
            .map(|op| (op.op, op.mean, op.latest, op.first, op.averaged, op.share))
            .collect();
        let (first, cold) = (Some(10), Some(50_010));
        assert_eq!(
            found,
            [(1, 30, 31, Some(29), 2, 0.6), (0, 10, 10, first, 2, 0.2), (2, 10, 10, cold, 2, 0.2)]
        );
    }

    #[test]
    fn rates_follow_from_the_plan_and_shares_from_the_recordings_roofs() {
        let mut timeline = Timeline::new();
        let op = |bytes, flops| OpRecord { bytes, flops, ..OpRecord::default() };
        let record = PlanRecord { ops: vec![op(40, 10), op(0, 320), op(8, 8)], ..PlanRecord::default() };
        timeline.apply(Record::Plan { plan: 0, record });
        // The last op took no time that the clock could tell.
        let times = vec![(0, 40), (40, 60), (60, 60)];
        timeline.apply(Record::Event(Event::OpTimes { run: 0, plan: 0, first_op: 0, times }));
        let found = |timeline: &Timeline| -> Vec<_> {
            let shares = op_shares(&timeline.plans[0], timeline.roofs());
            let roof = |op: &OpShare| op.roof.map(|roof| (roof.share, roof.bound));
            shares.iter().map(|op| (op.bytes_per_second, op.flops_per_second, roof(op))).collect()
        };
        let rates = [(Some(1e9), Some(0.25e9)), (Some(0.0), Some(16e9)), (None, None)];
        assert_eq!(found(&timeline), rates.map(|(bytes, flops)| (bytes, flops, None)));
        let roofs =
            Roofs { bytes_per_second: 4_000_000_000, flops_per_second: 32_000_000_000, ..Roofs::default() };
        timeline.apply(Record::Session(SessionInfo { roofs: Some(roofs), ..SessionInfo::default() }));
        let shares = [Some((0.25, RoofBound::Memory)), Some((0.5, RoofBound::Compute)), None];
        let all: Vec<_> =
            rates.iter().zip(shares).map(|((bytes, flops), roof)| (*bytes, *flops, roof)).collect();
        assert_eq!(found(&timeline), all);
    }
}
