//! How far a run has come, as maps show it.

use crate::timeline::Timeline;

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Playhead {
    /// No op was seen complete yet.
    #[default]
    Before,
    /// The last op seen complete.
    At(u32),
    /// The last run came to its end.
    Done,
}

impl Playhead {
    /// The first op that is not reached; none if all are.
    pub fn reached(self) -> Option<u32> {
        match self {
            Self::Before => Some(0),
            Self::At(op) => Some(op.saturating_add(1)),
            Self::Done => None,
        }
    }
}

impl Timeline {
    /// How far a plan has come, as a map shows it: between the start of a run and its first op the run before still counts, so
    /// that a map does not go blank between runs. What other plans ran does not count.
    pub fn playhead(&self, plan: u32) -> Playhead {
        let ran = self.plans.get(plan as usize).is_some_and(|plan| plan.runs > 0);
        let op = self.current.filter(|run| run.plan == plan).and_then(|run| run.playhead);
        match op {
            Some(op) => Playhead::At(op),
            None if ran => Playhead::Done,
            None => Playhead::Before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, PlanRecord, Record};

    #[test]
    fn the_run_before_counts_until_an_op_is_seen_and_other_plans_do_not() {
        let mut timeline = Timeline::new();
        for plan in 0..2 {
            timeline.apply(Record::Plan { plan, record: PlanRecord::default() });
        }
        let start = |run, t| Event::RunStart { run, plan: 0, t };
        for (event, playhead) in [
            (start(0, 1), Playhead::Before),
            (Event::Completed { run: 0, plan: 0, op: 2, t: 2 }, Playhead::At(2)),
            (Event::RunEnd { run: 0, t: 3, ok: true }, Playhead::Done),
            (start(1, 4), Playhead::Done),
            (Event::Completed { run: 1, plan: 0, op: 0, t: 5 }, Playhead::At(0)),
        ] {
            timeline.apply(Record::Event(event));
            assert_eq!((timeline.playhead(0), timeline.reached(0)), (playhead, playhead.reached()));
            assert_eq!((timeline.playhead(1), timeline.reached(1)), (Playhead::Before, Some(0)));
        }
    }
}
