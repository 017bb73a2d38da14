//! A small session in which everything happens that exports tell of.

use bayplan_trace::{
    ArenaKind, ArenaRecord, BufferKind, BufferRecord, DimBinding, Event, EventKind, Level, OpRecord,
    PlanRecord, Record, SessionInfo, Severity, WeightsPath, Window,
};

const MIB: u64 = 1 << 20;

/// What a terminal would obey.
pub(crate) const HOSTILE: &str = "evil\u{1b}]0;x\u{7}\u{9b}31m\u{202e}\n\"<b>";

fn buffer(name: &str, kind: BufferKind, size: u64, offset: u64, life: (u32, u32)) -> BufferRecord {
    BufferRecord {
        name: name.into(),
        kind,
        dtype: "f32".into(),
        shape: format!("f32[{}]", size / 4),
        size,
        size_expr: size.to_string(),
        alignment: 256,
        offset,
        first: life.0,
        last: life.1,
        ..BufferRecord::default()
    }
}

/// Four ops; the peak is at op 1, where 7 of 8 MiB live.
pub(crate) fn plan(batch: i64) -> PlanRecord {
    let arena = |name: &str, kind, size, bound, witness_op| ArenaRecord {
        name: name.into(),
        kind,
        size,
        alignment: 256,
        lower_bound: bound,
        witness_op,
    };
    let weight = BufferRecord { arena: 1, ..buffer("conv1.weight", BufferKind::Weight, 3 * MIB, 0, (0, 4)) };
    let in_place = BufferRecord {
        in_place_of: Some(1),
        ..buffer(HOSTILE, BufferKind::Activation, 2 * MIB, MIB, (2, 4))
    };
    let view =
        BufferRecord { alias_of: Some(2), ..buffer("view", BufferKind::Activation, MIB, 4 * MIB, (2, 3)) };
    let ops = ["conv1", "conv2", "relu2", "pool"].into_iter().enumerate().map(|(op, name)| OpRecord {
        name: name.into(),
        source_node: format!("node{op}"),
        source_op: if op < 2 { "Conv" } else { "Relu" }.into(),
        kernel: "direct".into(),
        reads: vec![op as u32],
        writes: vec![op as u32 + 1],
        bytes: 3 * MIB + op as u64,
        flops: 1000 * op as u64,
        ..OpRecord::default()
    });
    PlanRecord {
        model: "small".into(),
        target: "generic".into(),
        dims: vec![DimBinding { name: "batch".into(), value: batch }],
        arenas: vec![
            arena("activations", ArenaKind::Activations, 8 * MIB, 7 * MIB, Some(1)),
            arena("weights", ArenaKind::Weights, 3 * MIB, 3 * MIB, None),
        ],
        buffers: vec![
            buffer("image", BufferKind::Input, MIB, 0, (0, 2)),
            buffer("features/conv1", BufferKind::Activation, 2 * MIB, MIB, (0, 2)),
            buffer("features/conv2", BufferKind::Activation, 4 * MIB, 4 * MIB, (1, 3)),
            in_place,
            weight,
            view,
        ],
        ops: ops.collect(),
        strategy: "greedy by size".into(),
        notes: Vec::new(),
    }
}

fn windows(plan: &PlanRecord) -> Vec<Window> {
    let window = |op, number: usize, buffer: &BufferRecord| Window {
        op,
        binding: 0,
        buffer: number as u32,
        arena: buffer.arena,
        offset: buffer.offset,
        len: buffer.size,
        write: op == buffer.first,
    };
    let places = plan.buffers.iter().enumerate();
    places.flat_map(|(at, buffer)| [buffer.first, buffer.last - 1].map(|op| window(op, at, buffer))).collect()
}

fn block(t: u64, id: u64, bytes: u64, purpose: &str, planned: bool) -> Event {
    let purpose = purpose.into();
    Event::DeviceAllocated { t, id, bytes, memory_type: 0, purpose, planned }
}

fn run(run: u64, plan: u32, start: u64, times: Vec<(u64, u64)>) -> Vec<Event> {
    let end = times.last().map_or(start + 500, |(_, end)| end + 20);
    vec![
        Event::RunStart { run, plan, t: start },
        Event::Completed { run, plan, op: 1, t: start + 10 },
        Event::RunEnd { run, t: end, ok: true },
        Event::OpTimes { run, plan, first_op: 0, times },
    ]
}

fn progress(t: u64, path: WeightsPath, arrived: u64) -> Event {
    Event::LoadProgress { t, path, arrived, direct: MIB / 2, staging: 16 * MIB }
}

/// What happens: two plans, runs that succeed, fail and are cut short, blocks that come and go, losses, messages.
pub(crate) fn events() -> Vec<Event> {
    let mut events = vec![
        block(100, 1, 8 * MIB, "activations", true),
        block(150, 2, 3 * MIB, "weights", true),
        Event::LoadStart { t: 160, total: 3 * MIB },
        progress(165, WeightsPath::Staged, MIB),
        progress(170, WeightsPath::Mapped, 2 * MIB),
        Event::LoadEnd { t: 175, ok: true },
        Event::Windows { t: 180, recording: 0, plan: 0, part: 0, windows: windows(&plan(4)) },
        Event::SessionReady { t: 200 },
        Event::HeapSample { t: 250, heap: 0, size: 64 * MIB, usage: 11 * MIB, budget: Some(48 * MIB) },
    ];
    events.extend(run(0, 0, 1000, vec![(1010, 1100), (1100, 1350), (1350, 1350), (1350, 1400)]));
    events.push(block(1500, 9, 4096, HOSTILE, false));
    events.push(Event::DeviceFreed { t: 1600, id: 9 });
    events.push(Event::Message { t: 1650, level: Severity::Warning, text: HOSTILE.into() });
    events.push(Event::Dropped { t: 1700, count: 3, kind: EventKind::Completed });
    events.push(Event::HeapSample { t: 1750, heap: 0, size: 64 * MIB, usage: 12 * MIB, budget: None });
    let range = |t, id, offset| Event::PoolAllocated { t, pool: 0, id, offset, bytes: 1024 };
    events.push(Event::PoolReady { t: 1800, pool: 0, bytes: 4096, name: "outputs".into() });
    events.extend([range(1810, 7, 0), range(1820, 8, 1024)]);
    events.push(Event::PoolFreed { t: 1830, pool: 0, id: 7 });
    events.push(range(1840, 9, 2048));
    // The first op of the second run was not timed, and two ops overlap.
    events.extend(run(1, 0, 2000, vec![(2010, 2100), (2090, 2350), (2400, 2500), (2500, 2600)]));
    events.push(Event::RunStart { run: 2, plan: 0, t: 3000 });
    events.push(Event::RunEnd { run: 2, t: 3300, ok: false });
    events.push(Event::PlanRetired { t: 3400, plan: 0 });
    events.extend(run(3, 1, 4000, vec![(4000, 4001), (4001, 4003), (4003, 4007), (4007, 4015)]));
    events.push(Event::TraceCost { t: 4100, ns: 30, run_ns: 1500 });
    events.push(Event::RunStart { run: 4, plan: 1, t: 5000 });
    events.push(Event::Completed { run: 4, plan: 1, op: 2, t: 5500 });
    events
}

/// The session.
pub(crate) fn info(level: Level) -> SessionInfo {
    SessionInfo {
        id: "4711-1".into(),
        model: "small".into(),
        device: "llvmpipe".into(),
        driver: "Mesa 24".into(),
        api: "Vulkan 1.3.255".into(),
        version: "0.1.0".into(),
        level,
        pid: 4711,
        start_unix_ns: 1_700_000_000_000_000_000,
        origin: String::new(),
        roofs: None,
    }
}

/// All of it as a recording holds it. At a level below `op` there are no times of ops.
pub(crate) fn records(level: Level) -> Vec<Record> {
    let mut records = vec![Record::Session(info(level)), Record::Plan { plan: 0, record: plan(4) }];
    for event in events() {
        if matches!(event, Event::PlanRetired { .. }) {
            records.push(Record::Plan { plan: 1, record: plan(2) });
        }
        if level == Level::Op || !matches!(event, Event::OpTimes { .. }) {
            records.push(Record::Event(event));
        }
    }
    records
}
