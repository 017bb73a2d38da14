//! What the recordings under `fixtures` tell: the same session, as far as each version of the format can say it.

use bayplan_trace::{
    ArenaKind, ArenaRecord, BufferKind, BufferRecord, DimBinding, Event, EventKind, Level, OpRecord,
    PlanRecord, SessionInfo, Severity, Window, Writer,
};

pub(crate) fn session() -> SessionInfo {
    SessionInfo {
        id: "4711-1763800000000".into(),
        model: "small model".into(),
        device: "a device".into(),
        driver: "a driver 1.2".into(),
        api: "Vulkan 1.3.255".into(),
        version: "0.1.0".into(),
        level: Level::Op,
        pid: 4711,
        start_unix_ns: 1_763_800_000_000_000_000,
        ..SessionInfo::default()
    }
}

pub(crate) fn plan() -> PlanRecord {
    let buffer = |at: u64, kind, (first, last)| BufferRecord {
        name: format!("tensor {at}"),
        kind,
        dtype: "f32".into(),
        shape: "f32[1,64]".into(),
        size: 256,
        size_expr: "256".into(),
        alignment: 64,
        offset: at % 2 * 256,
        first,
        last,
        ..BufferRecord::default()
    };
    let op = |at: u32| OpRecord {
        name: format!("Relu_{at}"),
        source_node: format!("layer.{at}"),
        source_op: "Relu".into(),
        kernel: "elementwise".into(),
        reads: vec![at],
        writes: vec![at + 1],
        bytes: 512,
        flops: 64,
        barrier_before: at > 0,
        ..OpRecord::default()
    };
    PlanRecord {
        model: "small model".into(),
        target: "generic".into(),
        dims: vec![DimBinding { name: "batch".into(), value: 1 }],
        arenas: vec![ArenaRecord {
            name: "activations".into(),
            kind: ArenaKind::Activations,
            size: 512,
            alignment: 64,
            lower_bound: 512,
            witness_op: Some(1),
        }],
        buffers: vec![
            buffer(0, BufferKind::Input, (0, 1)),
            buffer(1, BufferKind::Activation, (0, 2)),
            buffer(2, BufferKind::Output, (1, 3)),
            buffer(3, BufferKind::Activation, (2, 3)),
        ],
        ops: (0..3).map(op).collect(),
        strategy: "greedy by size".into(),
        notes: vec!["a note".into()],
    }
}

/// Before the second segment begins.
pub(crate) fn first_part() -> Vec<Event> {
    let window = |op: u32, binding: u32, buffer: u32| Window {
        op,
        binding,
        buffer,
        arena: 0,
        offset: u64::from(buffer % 2) * 256,
        len: 256,
        write: binding == 1,
    };
    let windows = (0..3).flat_map(|op| [window(op, 0, op), window(op, 1, op + 1)]).collect();
    let purpose = "arena activations".to_string();
    let mut events = vec![
        Event::DeviceAllocated { t: 10_000, id: 1, bytes: 512, memory_type: 2, purpose, planned: true },
        Event::HeapSample { t: 12_000, heap: 0, size: 1 << 33, usage: 1 << 20, budget: Some(1 << 32) },
        Event::Windows { t: 20_000, recording: 0, plan: 0, part: 0, windows },
        Event::SessionReady { t: 30_000 },
    ];
    events.extend((0..3).flat_map(run));
    events
}

/// Behind it.
pub(crate) fn second_part() -> Vec<Event> {
    let mut events: Vec<Event> = (3..6).flat_map(run).collect();
    events.extend([
        Event::HeapSample { t: 900_000, heap: 1, size: 1 << 30, usage: 1 << 21, budget: None },
        Event::Dropped { t: 900_001, count: 3, kind: EventKind::Completed },
        Event::TraceCost { t: 900_002, ns: 5, run_ns: 5000 },
        Event::Message { t: 900_003, level: Severity::Warning, text: "größer \u{1b}[31m".into() },
        Event::DeviceFreed { t: 900_004, id: 1 },
    ]);
    events
}

pub(crate) fn run(number: u64) -> Vec<Event> {
    let t = 100_000 * (number + 1);
    // Op times of the device, with gaps, are read back after the run.
    let times = (0..3).map(|op| (t + 4000 * op, t + 4000 * op + 3900 - 17 * op * number)).collect();
    vec![
        Event::RunStart { run: number, plan: 0, t },
        Event::Completed { run: number, plan: 0, op: 1, t: t + 8500 },
        Event::RunEnd { run: number, t: t + 12_000 + number, ok: number != 4 },
        Event::OpTimes { run: number, plan: 0, first_op: 0, times },
    ]
}

/// A recording of two segments: `more` is what only later versions can tell, each in the second segment.
pub(crate) fn recording(session: SessionInfo, plan: &PlanRecord, more: &[Event]) -> Vec<u8> {
    let mut writer = Writer::new(session);
    writer.plan(plan);
    first_part().iter().for_each(|event| writer.event(event));
    writer.begin_segment();
    second_part().iter().chain(more).for_each(|event| writer.event(event));
    writer.event(&Event::SessionEnd { t: 1_000_000 });
    writer.flush();
    let mut bytes = Vec::new();
    writer.take(&mut bytes);
    bytes
}
