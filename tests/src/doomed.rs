//! What the program `doomed` records until it is killed: any event follows from its number and its time, so that whoever
//! has the times knows what the recording should hold.

use std::time::Duration;

use bayplan_record::Retention;
use bayplan_trace::{ArenaRecord, BufferRecord, Event, OpRecord, PlanRecord, Severity};

/// Events of a run.
pub const STEPS: u64 = 8;
/// Ops of the plan.
pub const OPS: u32 = 8;

/// The first seed of those that emit some 70,000 events in a second.
pub const FAST: u64 = 1 << 20;

/// How a process records that will be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// Into a file of its own, not a folder of segments.
    pub into_file: bool,
    /// How much is kept.
    pub retention: Retention,
    /// Runs between two pauses.
    pub burst: u64,
    /// The pause.
    pub pause: Duration,
}

impl Fate {
    /// One of all combinations of places, retentions and paces; from the seed [`FAST`] on, a faster pace.
    pub fn of(seed: u64) -> Self {
        let whole = Retention { keep_runs: 4, ..Retention::default() };
        let retention = match seed % 3 {
            0 => whole,
            1 => Retention { segment_bytes: 8 << 10, ..whole },
            _ => Retention { segment_bytes: 8 << 10, total_bytes: 32 << 10, ..whole },
        };
        // 64 KiB are some 2,300 of these events: half a second of the first two paces, 30 ms of the third.
        let (burst, pause) = match seed / 3 % 2 {
            _ if seed >= FAST => (100, 10),
            0 => (1, 2),
            _ => (25, 40),
        };
        Self {
            into_file: (seed / 6).is_multiple_of(3),
            retention,
            burst,
            pause: Duration::from_millis(pause),
        }
    }

    /// Whether everything that was recorded is kept.
    pub fn keeps_all(&self) -> bool {
        self.into_file || self.retention.total_bytes > 1 << 20
    }
}

/// The event of a number, if it was emitted at a time.
pub fn event(number: u64, t: u64) -> Event {
    let run = number / STEPS;
    let op = (run % u64::from(OPS)) as u32;
    match number % STEPS {
        0 => Event::RunStart { run, plan: 0, t },
        1 => Event::HeapSample { t, heap: 0, size: 1 << 33, usage: run << 10, budget: Some(1 << 32) },
        2 => Event::Completed { run, plan: 0, op, t },
        3 => Event::Message { t, level: Severity::Info, text: "run ".repeat(run as usize % 8) },
        4 => Event::DeviceAllocated {
            t,
            id: run,
            bytes: 1 << (run % 20),
            memory_type: 0,
            purpose: "scratch".into(),
            planned: true,
        },
        5 => Event::DeviceFreed { t, id: run },
        6 => Event::RunEnd { run, t, ok: true },
        _ => {
            let times = (0..u64::from(OPS)).map(|op| (t + 10 * op, t + 10 * op + 9)).collect();
            Event::OpTimes { run, plan: 0, first_op: 0, times }
        }
    }
}

/// The plan that is recorded.
pub fn plan() -> PlanRecord {
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
        model: "doomed".into(),
        arenas: vec![ArenaRecord { name: "activations".into(), size: 128, ..ArenaRecord::default() }],
        buffers: (0..OPS).map(buffer).collect(),
        ops: (0..OPS).map(op).collect(),
        ..PlanRecord::default()
    }
}
