//! What lives at a moment of a session: at an op of a run, or between two runs.
//!
//! ```text
//!  weights     ████████████████████████   the session's: they live whether or not a run goes on
//!  output            ██████████ ░░░██████  kept for the caller until the next run makes it anew
//!  activation     ████             ████
//!              ──┴────run────┴──┴────run────┴──
//!               Before   At(op)  Done
//! ```

use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::metrics::{ArenaMetrics, live_at};
use crate::schema::plan_record::{BufferKind, BufferRecord, PlanRecord};
use crate::schema::storage::roots;
use crate::timeline::Timeline;
use crate::timeline::playhead::Playhead;

impl ArenaMetrics {
    /// Bytes that live where a plan has come to: the sizes of what [`lives_at`] finds.
    pub fn live_at(&self, playhead: Playhead) -> u64 {
        match playhead {
            Playhead::Before => self.between.0,
            Playhead::Done => self.between.1,
            Playhead::At(op) => self.live.get(op as usize).copied().unwrap_or(0),
        }
    }
}

impl Timeline {
    /// Where a plan has come to, as far as what lives goes. `None` in a run of which no op was seen complete so far: what lives
    /// then is not known, while a map goes on showing the run before ([`Timeline::playhead`]).
    pub fn progress(&self, plan: u32) -> Option<Playhead> {
        match self.current.filter(|run| run.plan == plan) {
            Some(run) => run.playhead.map(Playhead::At),
            None => Some(self.playhead(plan)),
        }
    }
}

/// The buffers whose bytes count where a plan has come to, the largest first: [`live_at`](crate::live_at) within a run; before the
/// first one weights and constants; behind one also what the caller keeps of it. Of a view the bytes are those of the buffer
/// that it looks at.
pub fn lives_at(plan: &PlanRecord, arena: u32, playhead: Playhead) -> Vec<u32> {
    let is_done = match playhead {
        Playhead::At(op) => return live_at(plan, arena, op),
        Playhead::Done => true,
        Playhead::Before => false,
    };
    let record = |at: &u32| &plan.buffers[*at as usize];
    let mut found = staying(plan, is_done);
    found.retain(|at| record(at).arena == arena);
    found.sort_unstable_by_key(|at| (Reverse(record(at).size), record(at).offset, *at));
    found
}

/// Bytes of each arena that live before the first run of a plan, and behind one.
pub(crate) fn bytes_between_runs(plan: &PlanRecord) -> Vec<(u64, u64)> {
    let mut sums = alloc::vec![(0u64, 0u64); plan.arenas.len()];
    let buffers = |is_done: bool| {
        staying(plan, is_done).into_iter().filter_map(|at| plan.buffers.get(at as usize)).collect::<Vec<_>>()
    };
    for buffer in buffers(false) {
        if let Some((before, _)) = sums.get_mut(buffer.arena as usize) {
            *before = before.saturating_add(buffer.size);
        }
    }
    for buffer in buffers(true) {
        if let Some((_, behind)) = sums.get_mut(buffer.arena as usize) {
            *behind = behind.saturating_add(buffer.size);
        }
    }
    sums
}

/// The buffers whose bytes stay while no run goes on, by number.
fn staying(plan: &PlanRecord, is_done: bool) -> Vec<u32> {
    let stays = |buffer: &BufferRecord| match buffer.kind {
        BufferKind::Weight | BufferKind::Constant => true,
        // One that dies earlier was copied out.
        BufferKind::Output => is_done && buffer.last as usize >= plan.ops.len(),
        BufferKind::Input | BufferKind::Activation | BufferKind::Scratch => false,
    };
    let own = (0u32..).zip(&plan.buffers).filter(|(_, buffer)| stays(buffer));
    let mut found: Vec<u32> = own.map(|(number, _)| number).collect();
    if found.iter().any(|at| plan.buffers[*at as usize].alias_of.is_some()) {
        let roots = roots(plan);
        found.iter_mut().for_each(|at| *at = roots[*at as usize]);
        found.sort_unstable();
        found.dedup();
    }
    found
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::{ArenaRecord, Event, OpRecord, Record, arena_metrics};

    /// Weights, an input, an activation that the output is a view of, and an output that is copied out.
    fn plan() -> PlanRecord {
        let buffer = |kind, arena, size, life: (u32, u32)| BufferRecord {
            kind,
            arena,
            size,
            first: life.0,
            last: life.1,
            ..BufferRecord::default()
        };
        PlanRecord {
            arenas: vec![ArenaRecord { size: 100, ..ArenaRecord::default() }; 2],
            ops: vec![OpRecord::default(); 4],
            buffers: vec![
                buffer(BufferKind::Weight, 1, 40, (0, 4)),
                buffer(BufferKind::Constant, 1, 50, (0, 4)),
                buffer(BufferKind::Input, 0, 7, (0, 1)),
                buffer(BufferKind::Activation, 0, 20, (1, 4)),
                BufferRecord { alias_of: Some(3), ..buffer(BufferKind::Output, 0, 20, (3, 4)) },
                buffer(BufferKind::Output, 0, 3, (1, 2)),
                buffer(BufferKind::Activation, 0, 11, (2, 4)),
                buffer(BufferKind::Output, 0, 30, (2, 4)),
            ],
            ..PlanRecord::default()
        }
    }

    #[test]
    fn weights_stay_and_behind_a_run_what_the_caller_keeps() {
        let plan = plan();
        let check = |playhead, expect: [&[u32]; 2], bytes: [u64; 2]| {
            for arena in 0..2 {
                let found = lives_at(&plan, arena, playhead);
                assert_eq!(found, expect[arena as usize], "{playhead:?} in {arena}");
                let sum: u64 = found.iter().map(|at| plan.buffers[*at as usize].size).sum();
                let metrics = &arena_metrics(&plan)[arena as usize];
                assert_eq!((sum, metrics.live_at(playhead)), (bytes[arena as usize], sum), "{playhead:?}");
            }
        };
        check(Playhead::Before, [&[], &[1, 0]], [0, 90]);
        check(Playhead::At(0), [&[2], &[1, 0]], [7, 90]);
        check(Playhead::At(1), [&[3, 5], &[1, 0]], [23, 90]);
        check(Playhead::At(3), [&[7, 3, 6], &[1, 0]], [61, 90]);
        check(Playhead::Done, [&[7, 3], &[1, 0]], [50, 90]);
        check(Playhead::At(9), [&[], &[]], [0, 0]);
    }

    #[test]
    fn what_lives_in_a_run_is_not_known_until_an_op_was_seen() {
        let mut timeline = Timeline::new();
        for number in 0..2 {
            timeline.apply(Record::Plan { plan: number, record: plan() });
        }
        let start = |run, t| Event::RunStart { run, plan: 0, t };
        for (event, expect) in [
            (Event::SessionReady { t: 1 }, Some(Playhead::Before)),
            (start(0, 2), None),
            (Event::Completed { run: 0, plan: 0, op: 1, t: 3 }, Some(Playhead::At(1))),
            (Event::RunEnd { run: 0, t: 4, ok: true }, Some(Playhead::Done)),
            (start(1, 5), None),
        ] {
            timeline.apply(Record::Event(event));
            assert_eq!((timeline.progress(0), timeline.progress(1)), (expect, Some(Playhead::Before)));
        }
    }
}
