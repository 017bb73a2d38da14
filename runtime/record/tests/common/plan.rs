//! A small plan.

use bayplan_trace::{ArenaRecord, BufferRecord, OpRecord, PlanRecord};

pub(crate) const OPS: u32 = 8;

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
