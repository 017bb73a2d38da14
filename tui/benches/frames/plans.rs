//! Plans of very many tensors, as records of a session that runs.

use bayplan_trace::{ArenaRecord, BufferRecord, Event, OpRecord, PlanRecord, Record, Window};

/// What a plan is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// Short lives on few bytes, as activations are.
    Small,
    /// Whole lives on few bytes, as weights are.
    Long,
}

/// A plan without a hole, all of it seen where it was planned, in the middle of a run.
pub(crate) fn records(tensors: u64, shape: Shape) -> Vec<Record> {
    const BYTES: u64 = 256;
    let (across, life) = match shape {
        Shape::Small => (tensors.isqrt(), 4),
        Shape::Long => (1, 2000),
    };
    let down = tensors / across;
    let ops = (across * life) as u32;
    let place = |number: u64| {
        let (col, row) = (number % across, number / across);
        // Rows are moved against each other, so that nothing lines up.
        let first = ((col * life + row % life.min(across * life - life + 1)) as u32).min(ops - life as u32);
        (first, row * BYTES)
    };
    let buffers = (0..tensors).map(|number| {
        let (first, offset) = place(number);
        BufferRecord {
            name: format!("layer.{first}/tensor_{number}"),
            size: BYTES,
            offset,
            alignment: 1,
            first,
            last: first + life as u32,
            ..BufferRecord::default()
        }
    });
    let record = PlanRecord {
        model: "many".to_owned(),
        arenas: vec![ArenaRecord {
            name: "activations".to_owned(),
            size: down * BYTES + BYTES,
            alignment: 1,
            ..ArenaRecord::default()
        }],
        ops: vec![OpRecord::default(); ops as usize],
        buffers: buffers.collect(),
        ..PlanRecord::default()
    };
    let windows = (0..tensors).map(|number| {
        let (op, offset) = place(number);
        Window { op, binding: 0, buffer: number as u32, arena: 0, offset, len: BYTES, write: true }
    });
    let windows = Event::Windows { t: 0, recording: 0, plan: 0, part: 0, windows: windows.collect() };
    vec![
        Record::Plan { plan: 0, record },
        Record::Event(windows),
        Record::Event(Event::RunStart { run: 0, plan: 0, t: 1 }),
    ]
}
