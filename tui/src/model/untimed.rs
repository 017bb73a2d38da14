//! Why the ops of a plan have no times to compare.

use bayplan_trace::{Level, PlanDiff, PlanState, Timeline};

/// What is said in place of times, where the ops of a plan or of both have none: whose, and why.
pub(super) fn words(
    diff: &PlanDiff,
    (shown, other): (&PlanState, &PlanState),
    (own, others): (&Timeline, &Timeline),
) -> Option<String> {
    let (ours, theirs) = (why(own, shown), why(others, other));
    match diff.op_time {
        (Some(_), Some(_)) => None,
        (None, Some(_)) => Some(format!("the shown one has no times of ops to compare: {ours}")),
        (Some(_), None) => Some(format!("the other one has no times of ops to compare: {theirs}")),
        (None, None) if ours == theirs => Some(format!("neither has times of ops to compare: {ours}")),
        (None, None) => {
            Some(format!("neither has times of ops to compare: the shown one: {ours}; the other: {theirs}"))
        }
    }
}

/// Why a plan of a session has none, as far as the session has come.
fn why(timeline: &Timeline, plan: &PlanState) -> &'static str {
    match &timeline.session {
        Some(session) if session.is_imported() => "what it was imported from has none",
        Some(session) if session.level < Level::Op => "record with --trace-level op",
        _ if plan.runs == 0 => "no run of it is done",
        _ => "none of its ops was timed",
    }
}

#[cfg(test)]
mod tests {
    use bayplan_trace::{SessionInfo, diff_plans};

    use super::*;
    use crate::support;

    fn timeline(level: Level, origin: &str) -> Timeline {
        let session = SessionInfo { level, origin: origin.to_owned(), ..support::session() };
        let mut timeline = Timeline::new();
        timeline.session = Some(session);
        timeline
    }

    #[test]
    fn it_is_said_why_ops_have_no_times() {
        let plan = |runs: u64| {
            let mut plan = PlanState::new(support::by_hand());
            plan.runs = runs;
            plan
        };
        let check = |own: &Timeline, runs: u64, others: &Timeline, expect: &str| {
            let (shown, other) = (plan(runs), plan(0));
            let diff = diff_plans((0, &shown), (0, &other));
            let found = words(&diff, (&shown, &other), (own, others));
            assert_eq!(found.as_deref(), Some(expect));
            // Where one has them, it is said of the other alone.
            let timed = PlanDiff { op_time: (Some(1), None), ..diff.clone() };
            let found = words(&timed, (&shown, &other), (own, others)).unwrap();
            assert!(found.starts_with("the other one has no times of ops to compare: "), "{found}");
            let timed = PlanDiff { op_time: (Some(1), Some(1)), ..diff };
            assert_eq!(words(&timed, (&shown, &other), (own, others)), None);
        };
        let (op, run) = (timeline(Level::Op, ""), timeline(Level::Run, ""));
        let begun = "neither has times of ops to compare: ";
        check(&op, 0, &op, &format!("{begun}no run of it is done"));
        check(&run, 3, &run, &format!("{begun}record with --trace-level op"));
        check(
            &op,
            3,
            &run,
            &format!(
                "{begun}the shown one: none of its ops was timed; the other: record with --trace-level op"
            ),
        );
        let imported = timeline(Level::Run, "a snapshot");
        check(&imported, 0, &imported, &format!("{begun}what it was imported from has none"));
    }
}
