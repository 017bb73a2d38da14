//! What the reports share: figures of runs and ops that are read off a timeline.

use bayplan_trace::{FinishedRun, PlanState, Timeline};

/// The times of the latest runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunTimes {
    pub(crate) latest: u64,
    pub(crate) median: u64,
    pub(crate) count: usize,
}

/// The times of the runs that succeeded, of those still known.
pub(crate) fn run_times(timeline: &Timeline) -> Option<RunTimes> {
    let time = |run: &FinishedRun| run.end.saturating_sub(run.start);
    let ok = timeline.runs.iter().filter(|run| run.ok);
    let latest = time(ok.clone().next_back()?);
    let mut times: Vec<u64> = ok.map(time).collect();
    times.sort_unstable();
    Some(RunTimes { latest, median: times[times.len() / 2], count: times.len() })
}

/// The device time of an op.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OpShare {
    pub(crate) op: usize,
    pub(crate) mean: u64,
    pub(crate) latest: u64,
    pub(crate) count: u64,
    /// Of the sum over all ops.
    pub(crate) share: f64,
}

/// The ops that were timed, the slowest first.
pub(crate) fn op_shares(plan: &PlanState) -> Vec<OpShare> {
    let timed = plan.op_times.iter().enumerate().filter(|(_, time)| time.count > 0);
    let mut shares: Vec<OpShare> = timed
        .map(|(op, time)| OpShare {
            op,
            mean: time.total / time.count,
            latest: time.latest,
            count: time.count,
            share: 0.0,
        })
        .collect();
    let all: f64 = shares.iter().map(|op| op.mean as f64).sum();
    for op in &mut shares {
        op.share = if all > 0.0 { op.mean as f64 / all } else { 0.0 };
    }
    shares.sort_by_key(|op| (std::cmp::Reverse(op.mean), op.op));
    shares
}
