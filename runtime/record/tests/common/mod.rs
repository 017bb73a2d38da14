//! A small plan, and the events of a run of it.

use bayplan_trace::{ArenaRecord, BufferRecord, Event, OpRecord, PlanRecord};

const OPS: u32 = 8;

pub(crate) fn plan() -> PlanRecord {
    let buffer = |at: u32| BufferRecord {
        name: format!("value {at}"),
        size: 64,
        offset: u64::from(at % 2) * 64,
        first: at,
        last: at + 1,
        ..BufferRecord::default()
    };
    let op = |at: u32| OpRecord { name: format!("op {at}"), writes: vec![at], ..OpRecord::default() };
    PlanRecord {
        model: "model".to_owned(),
        arenas: vec![ArenaRecord { name: "activations".to_owned(), size: 128, ..ArenaRecord::default() }],
        buffers: (0..OPS).map(buffer).collect(),
        ops: (0..OPS).map(op).collect(),
        ..PlanRecord::default()
    }
}

pub(crate) fn run(number: u64, t: u64) -> [Event; 4] {
    let times = (0..u64::from(OPS)).map(|op| (t + 10 * op, t + 10 * op + 9)).collect();
    [
        Event::RunStart { run: number, plan: 0, t },
        Event::Completed { run: number, plan: 0, op: 3, t: t + 40 },
        Event::RunEnd { run: number, t: t + 80, ok: true },
        Event::OpTimes { run: number, plan: 0, first_op: 0, times },
    ]
}
