//! The three reports on one small session.

use bayplan_trace::{
    ArenaKind, ArenaRecord, BufferKind, BufferRecord, DimBinding, Event, Level, OpRecord, PlanRecord, Record,
    SessionInfo, Severity, Timeline, Window,
};

use crate::{json, map, text};

const MIB: u64 = 1 << 20;

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

/// Six ops; the peak is at op 2, where 7 of 8 MiB live and one is a hole.
fn plan() -> PlanRecord {
    let activation = BufferKind::Activation;
    let arena = |name: &str, kind, size, bound, witness_op| ArenaRecord {
        name: name.into(),
        kind,
        size,
        alignment: 256,
        lower_bound: bound,
        witness_op,
    };
    let ops = ["conv1", "relu1", "conv2", "pool", "fc", "softmax"].into_iter().enumerate();
    let weight = BufferRecord { arena: 1, ..buffer("conv1.weight", BufferKind::Weight, 3 * MIB, 0, (0, 6)) };
    PlanRecord {
        model: "small".into(),
        target: "generic".into(),
        dims: vec![DimBinding { name: "batch".into(), value: 4 }],
        arenas: vec![
            arena("activations", ArenaKind::Activations, 8 * MIB, 7 * MIB, Some(2)),
            arena("weights", ArenaKind::Weights, 3 * MIB, 3 * MIB, None),
        ],
        buffers: vec![
            buffer("image", BufferKind::Input, MIB, 0, (0, 1)),
            buffer("features/conv1", activation, 2 * MIB, MIB, (0, 3)),
            buffer("features/conv2/out", activation, 4 * MIB, 4 * MIB, (2, 4)),
            buffer("residual", activation, MIB, 0, (1, 6)),
            buffer("pooled", activation, 2 * MIB, MIB, (3, 5)),
            buffer("scores", BufferKind::Output, MIB / 2, 3 * MIB, (4, 6)),
            weight,
        ],
        ops: ops
            .map(|(op, name)| OpRecord {
                name: name.into(),
                source_node: format!("node{op}"),
                source_op: "Conv".into(),
                kernel: "direct".into(),
                ..OpRecord::default()
            })
            .collect(),
        strategy: "greedy by size".into(),
        notes: Vec::new(),
    }
}

/// The windows of a run that keeps to the plan: every buffer at its first and last op.
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

fn session(windows: Vec<Window>, more: Vec<Event>) -> Timeline {
    let mut timeline = Timeline::new();
    timeline.apply(Record::Session(SessionInfo {
        id: "4711-1".into(),
        model: "small".into(),
        device: "llvmpipe".into(),
        driver: "Mesa 24".into(),
        api: "Vulkan 1.3.255".into(),
        version: "0.1.0".into(),
        level: Level::Op,
        pid: 4711,
        start_unix_ns: 1_700_000_000_000_000_000,
    }));
    timeline.apply(Record::Plan { plan: 0, record: plan() });
    let purpose = "activations".into();
    let mut events = vec![
        Event::DeviceAllocated { t: 1, id: 1, bytes: 8 * MIB, memory_type: 0, purpose, planned: true },
        Event::Windows { t: 2, recording: 0, plan: 0, part: 0, windows },
        Event::SessionReady { t: 3 },
        Event::HeapSample { t: 4, heap: 0, size: 64 * MIB, usage: 11 * MIB, budget: Some(48 * MIB) },
    ];
    events.extend(more);
    events.into_iter().for_each(|event| timeline.apply(Record::Event(event)));
    timeline
}

fn one_run() -> Vec<Event> {
    let times = (0..6).map(|op| (1000 + op * 100, 1000 + op * 100 + 10 * (op + 1))).collect();
    vec![
        Event::RunStart { run: 0, plan: 0, t: 1000 },
        Event::OpTimes { run: 0, plan: 0, first_op: 0, times },
        Event::RunEnd { run: 0, t: 4000, ok: true },
        Event::TraceCost { t: 4000, ns: 30, run_ns: 3000 },
        Event::SessionEnd { t: 5000 },
    ]
}

#[test]
fn show() {
    let timeline = session(windows(&plan()), one_run());
    println!("{}", map(&timeline, 80, 20));
    println!("{}", text(&timeline, &["x".into()], false));
    println!("{}", json(&timeline, &[], false));
    let half = session(
        windows(&plan()),
        vec![Event::RunStart { run: 0, plan: 0, t: 9 }, Event::Completed { run: 0, plan: 0, op: 2, t: 10 }],
    );
    println!("{}", map(&half, 100, 24));
    println!("{}", text(&half, &["x".into()], true));
    let mut shifted = windows(&plan());
    shifted[4].offset -= MIB / 2;
    shifted[5].op = 5;
    let broken = session(shifted, one_run());
    println!("{}", map(&broken, 80, 24));
    println!("{}", text(&broken, &["x".into()], true));
    let _ = Severity::Info;
}
