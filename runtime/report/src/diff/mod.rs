//! Two recordings, or two plans, beside each other.

mod json;
mod markdown;
mod picture;
#[cfg(test)]
mod tests;
mod text;
mod words;

pub use json::json;
pub use markdown::markdown;
pub use picture::svg;
pub use text::text;
pub(crate) use words::{Sides, cause_line, to_spare};

use bayplan_text::Count;
use bayplan_trace::{
    Diff, LiveDiff, PlanDiff, PlanRecord, PlanState, Playhead, Timeline, diff, live_diff, models_change,
    roofs_change, warm_runs,
};

/// One of the two.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// What it is called by whoever compares: a file, a run.
    pub name: &'a str,
    /// What is known of it.
    pub timeline: &'a Timeline,
}

/// Two sessions or plans and what differs.
#[derive(Clone, Debug)]
pub struct Compared<'a> {
    /// The first: before.
    pub a: Side<'a>,
    /// The second: after.
    pub b: Side<'a>,
    /// What differs.
    pub diff: Diff,
}

impl<'a> Compared<'a> {
    /// Compares the plans of both.
    pub fn new(a: Side<'a>, b: Side<'a>) -> Self {
        Self { a, b, diff: diff(a.timeline, b.timeline) }
    }

    /// Nanoseconds of a run of both, the median of those behind the first; `None` where there was none.
    fn warm_runs(&self) -> (Option<u64>, Option<u64>) {
        let median = |side: &Side<'_>| warm_runs(side.timeline).map(|runs| runs.median);
        (median(&self.a), median(&self.b))
    }

    /// What is said of the times of runs: those behind the first, or all where one of both has no more.
    fn run_words(&self) -> Option<String> {
        let of = |(a, b): (Option<u64>, Option<u64>), words: &str| {
            Some(format!("{}, the median of {words}", words::nanos_change((a?, b?))))
        };
        let count = |side: &Side<'_>| warm_runs(side.timeline).map_or(0, |runs| runs.count as u64);
        let (a, b) = (Count(count(&self.a)), Count(count(&self.b)));
        of(self.warm_runs(), &format!("{a} and {b} runs, the first aside"))
            .or_else(|| of(self.all_runs(), "all runs of each"))
    }

    /// What is said where the device did not do the same at best.
    fn roofs_words(&self) -> Option<String> {
        let change = roofs_change(self.a.timeline.roofs(), self.b.timeline.roofs())?;
        Some(format!("did not do the same at best, {change}"))
    }

    /// What is said where the plans that were compared first seem to be of different models.
    fn models_words(&self) -> Option<String> {
        let (a, b) = self.plan_records(self.diff.plans.first()?.numbers);
        models_change((self.a.timeline, a), (self.b.timeline, b))
    }

    /// What lives where both have come to.
    fn live(&self, plan: &PlanDiff) -> LiveDiff {
        live_diff(plan, self.a.timeline, self.b.timeline)
    }

    /// The same where one of both was left within a run: else the plans say it all.
    fn live_within_runs(&self, plan: &PlanDiff) -> Option<LiveDiff> {
        let within = |timeline: &Timeline, number| matches!(timeline.progress(number), Some(Playhead::At(_)));
        let is_within = within(self.a.timeline, plan.numbers.0) || within(self.b.timeline, plan.numbers.1);
        is_within.then(|| self.live(plan))
    }

    /// The records of the plans with these numbers.
    fn plan_records(&self, numbers: (u32, u32)) -> (&'a PlanRecord, &'a PlanRecord) {
        let (a, b) = self.plans(numbers);
        (&a.record, &b.record)
    }

    /// The same of all runs.
    fn all_runs(&self) -> (Option<u64>, Option<u64>) {
        let median = |side: &Side<'_>| side.timeline.totals.run_times.percentile(0.5);
        (median(&self.a), median(&self.b))
    }

    /// The plans with these numbers.
    fn plans(&self, (a, b): (u32, u32)) -> (&'a PlanState, &'a PlanState) {
        (self.a.plan(a), self.b.plan(b))
    }
}

impl<'a> Side<'a> {
    /// One of its plans, which a difference names.
    fn plan(&self, number: u32) -> &'a PlanState {
        &self.timeline.plans[number as usize]
    }
}

/// The name of a tensor that is in one of two plans at least.
pub(crate) fn tensor_name<'a>(
    plans: (&'a PlanRecord, &'a PlanRecord),
    a: Option<u32>,
    b: Option<u32>,
) -> &'a str {
    let name =
        |plan: &'a PlanRecord, at: u32| plan.buffers.get(at as usize).map(|buffer| buffer.name.as_str());
    let found = b.and_then(|at| name(plans.1, at)).or_else(|| name(plans.0, a?));
    found.unwrap_or_default()
}
