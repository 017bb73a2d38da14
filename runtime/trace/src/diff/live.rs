//! What lives at two moments: of one session, or of two.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bayplan_text::Count;

use super::arenas::{causes, size};
use super::names::Pairing;
use super::{Cause, PlanDiff};
use crate::metrics::live_now::lives_at;
use crate::schema::plan_record::PlanRecord;
use crate::timeline::Timeline;
use crate::timeline::playhead::Playhead;

/// What lives at two moments in two plans that were compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveDiff {
    /// Where both plans have come to: [`Timeline::progress`].
    pub at: (Option<Playhead>, Option<Playhead>),
    /// Live bytes of each arena in both, by the plan, in the order of [`PlanDiff::arenas`]; `None` where the arena is not, or
    /// where what lives is not known.
    pub arenas: Vec<(Option<u64>, Option<u64>)>,
    /// Tensors of which not the same bytes live at both, the largest difference first. Nothing where what lives at one is not
    /// known.
    pub tensors: Vec<Cause>,
    /// Tensors that live at both with the same bytes.
    pub same: usize,
    /// Bytes that blocks of device memory hold at both.
    pub device_bytes: (u64, u64),
    /// Bytes that live in all dynamic pools at both.
    pub pool_bytes: (u64, u64),
}

impl LiveDiff {
    /// Bytes that live in all arenas at both, by the plans; `None` where that is not known.
    pub fn bytes(&self) -> (Option<u64>, Option<u64>) {
        let known = |at: Option<Playhead>, bytes: Option<u64>| at.and(bytes.or(Some(0)));
        let (a, b): (Vec<_>, Vec<_>) = self.arenas.iter().copied().unzip();
        let sum = |bytes: Vec<Option<u64>>| bytes.into_iter().flatten().reduce(u64::saturating_add);
        (known(self.at.0, sum(a)), known(self.at.1, sum(b)))
    }

    /// How many tensors live at the first moment alone, and how many at the second alone.
    pub fn alone(&self) -> (usize, usize) {
        let count = |which: fn(&Cause) -> bool| self.tensors.iter().filter(|tensor| which(tensor)).count();
        (count(|tensor| tensor.bytes.1 == 0), count(|tensor| tensor.bytes.0 == 0))
    }
}

/// What lives where two sessions have come to, in two of their plans that were compared. Time grows with buffers.
pub fn live_diff(plan: &PlanDiff, a: &Timeline, b: &Timeline) -> LiveDiff {
    let record = |timeline: &Timeline, number: u32| {
        timeline.plans.get(number as usize).map(|plan| plan.record.clone()).unwrap_or_default()
    };
    let (record_a, record_b) = (record(a, plan.numbers.0), record(b, plan.numbers.1));
    let at = (a.progress(plan.numbers.0), b.progress(plan.numbers.1));
    let tensors = Pairing::of(&plan.like, record_a.buffers.len());
    let mut found = LiveDiff {
        at,
        device_bytes: (a.device_bytes(), b.device_bytes()),
        pool_bytes: (pool_bytes(a), pool_bytes(b)),
        ..LiveDiff::default()
    };
    let (mut all_a, mut all_b) = (Vec::new(), Vec::new());
    for arena in &plan.arenas {
        let lives = |record: &PlanRecord, arena: Option<u32>, at: Option<Playhead>| {
            Some(lives_at(record, arena?, at?))
        };
        let live_a = lives(&record_a, arena.a.as_ref().map(|side| side.arena), at.0);
        let live_b = lives(&record_b, arena.b.as_ref().map(|side| side.arena), at.1);
        let bytes = |record: &PlanRecord, live: &Option<Vec<u32>>| {
            let live = live.as_ref()?;
            Some(live.iter().map(|&at| size(record, at)).fold(0, u64::saturating_add))
        };
        found.arenas.push((bytes(&record_a, &live_a), bytes(&record_b, &live_b)));
        all_a.extend(live_a.into_iter().flatten());
        all_b.extend(live_b.into_iter().flatten());
    }
    if at.0.is_some() && at.1.is_some() {
        found.tensors = causes(&record_a, &record_b, &tensors, &all_a, &all_b);
        let at_first = found.tensors.iter().filter(|tensor| tensor.bytes.0 > 0).count();
        let sized = all_a.iter().filter(|&&at| size(&record_a, at) > 0).count();
        found.same = sized.saturating_sub(at_first);
    }
    found
}

fn pool_bytes(timeline: &Timeline) -> u64 {
    timeline.pools.values().fold(0, |sum, pool| sum.saturating_add(pool.live_bytes))
}

impl Timeline {
    /// Where a plan has come to, in words: `run 2, op 11 seen complete (12 of 57)`. Runs count from 1, ops from 0.
    pub fn progress_words(&self, plan: u32) -> String {
        let runs = Count(self.runs_started);
        let ops = self.plans.get(plan as usize).map_or(0, |plan| plan.record.ops.len() as u64);
        match self.progress(plan) {
            Some(Playhead::At(op)) => {
                let run = Count(self.current.map_or(self.runs_started, |run| run.run.saturating_add(1)));
                let done = Count(u64::from(op) + 1);
                format!("run {run}, op {} seen complete ({done} of {})", Count(op.into()), Count(ops))
            }
            Some(Playhead::Done) if self.current.is_none() => format!("after run {runs}"),
            Some(Playhead::Done) => format!("run {runs} is of another plan"),
            Some(Playhead::Before) => String::from("before the first run"),
            None => format!("run {runs}, none of its ops seen complete"),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;
    use crate::{
        ArenaRecord, BufferKind, BufferRecord, Event, OpRecord, PlanState, Record, diff_plans, lives_at,
    };

    fn plan(sizes: [u64; 4]) -> PlanRecord {
        let buffer = |name: &str, size, first, last, kind| BufferRecord {
            name: name.to_string(),
            size,
            first,
            last,
            kind,
            ..BufferRecord::default()
        };
        PlanRecord {
            arenas: vec![ArenaRecord { name: "a".to_string(), size: 99, ..ArenaRecord::default() }],
            ops: vec![OpRecord::default(); 4],
            buffers: vec![
                buffer("w", sizes[0], 0, 4, BufferKind::Weight),
                buffer("x", sizes[1], 0, 2, BufferKind::Activation),
                buffer("y", sizes[2], 1, 4, BufferKind::Activation),
                buffer("z", sizes[3], 3, 4, BufferKind::Output),
            ],
            ..PlanRecord::default()
        }
    }

    /// A session that was left in that run; behind it where no op is told.
    fn session(record: PlanRecord, op: Option<u32>, blocks: u64) -> Timeline {
        let mut timeline = Timeline::new();
        timeline.apply(Record::Plan { plan: 0, record });
        let purpose = "a".to_string();
        timeline.apply(Record::Event(Event::DeviceAllocated {
            t: 1,
            id: 1,
            bytes: blocks,
            memory_type: 0,
            purpose,
            planned: true,
        }));
        timeline.apply(Record::Event(Event::RunStart { run: 0, plan: 0, t: 2 }));
        timeline.apply(Record::Event(match op {
            Some(op) => Event::Completed { run: 0, plan: 0, op, t: 3 },
            None => Event::RunEnd { run: 0, t: 3, ok: true },
        }));
        timeline
    }

    fn compared(a: &Timeline, b: &Timeline) -> LiveDiff {
        let side = |timeline: &Timeline| -> PlanState { timeline.plans[0].clone() };
        live_diff(&diff_plans((0, &side(a)), (0, &side(b))), a, b)
    }

    #[test]
    fn moments_of_a_run_differ_in_what_lives() {
        let of = |op, blocks| session(plan([50, 20, 30, 7]), op, blocks);
        let (early, late, over) = (of(Some(0), 99), of(Some(2), 99), of(None, 120));
        let found = compared(&early, &late);
        assert_eq!(found.arenas, [(Some(70), Some(80))]);
        assert_eq!((found.bytes(), found.alone(), found.same), ((Some(70), Some(80)), (1, 1), 1));
        let cause = |at: u32, bytes| Cause { a: Some(at), b: Some(at), bytes };
        assert_eq!(found.tensors, [cause(2, (0, 30)), cause(1, (20, 0))]);
        assert_eq!(found.alone(), (1, 1));
        // The other way round it is the other way round.
        assert_eq!(compared(&late, &early).tensors, [cause(2, (30, 0)), cause(1, (0, 20))]);
        let found = compared(&early, &over);
        assert_eq!((found.bytes(), found.device_bytes), ((Some(70), Some(57)), (99, 120)));
        assert_eq!(compared(&early, &early).tensors, []);
        assert_eq!(early.progress_words(0), "run 1, op 0 seen complete (1 of 4)");
        assert_eq!(over.progress_words(0), "after run 1");
    }

    #[test]
    fn live_bytes_are_the_sum_of_what_lives_and_the_difference_that_of_the_tensors() {
        let records = [plan([50, 20, 30, 7]), plan([50, 25, 0, 9])];
        let points = [None, Some(0), Some(1), Some(2), Some(3)];
        for (a, b) in points.iter().flat_map(|a| points.iter().map(move |b| (*a, *b))) {
            let (first, second) = (session(records[0].clone(), a, 1), session(records[1].clone(), b, 1));
            let found = compared(&first, &second);
            let sum = |timeline: &Timeline| -> u64 {
                let record = &timeline.plans[0].record;
                let live = lives_at(record, 0, timeline.progress(0).unwrap());
                live.iter().map(|at| record.buffers[*at as usize].size).sum()
            };
            assert_eq!(found.bytes(), (Some(sum(&first)), Some(sum(&second))), "{a:?} {b:?}");
            let grown: i128 = found.tensors.iter().map(Cause::growth).sum();
            assert_eq!(grown, i128::from(sum(&second)) - i128::from(sum(&first)), "{a:?} {b:?}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_nothing() {
        let record = plan([50, 20, 30, 7]);
        let known = session(record.clone(), Some(1), 1);
        let mut begun = session(record, None, 1);
        begun.apply(Record::Event(Event::RunStart { run: 1, plan: 0, t: 4 }));
        let found = compared(&known, &begun);
        assert_eq!((found.arenas.clone(), found.bytes()), (vec![(Some(100), None)], (Some(100), None)));
        assert_eq!(found.tensors, []);
        assert_eq!(begun.progress_words(0), "run 2, none of its ops seen complete");
        assert_eq!(Timeline::new().progress_words(0), "before the first run");
    }
}
