//! A plan of a transformer encoder and the events of running it, for tests and for trying the viewer without a device.
#![allow(dead_code, reason = "each test binary uses a part")]

use bayplan_plan::{Buffer, Effort, Problem, solve};
use bayplan_trace::{
    ArenaKind, ArenaRecord, BufferKind, BufferRecord, Event, EventRef, Level, OpRecord, PlanRecord, Record,
    SessionInfo, Window,
};

/// Builds a plan op by op: lifespans follow from who reads what.
struct Builder {
    plan: PlanRecord,
}

impl Builder {
    fn buffer(&mut self, name: &str, dims: &[u64], kind: BufferKind) -> u32 {
        let shape: Vec<String> = dims.iter().map(u64::to_string).collect();
        let size = dims.iter().product::<u64>() * 4;
        let first = self.plan.ops.len() as u32;
        self.plan.buffers.push(BufferRecord {
            name: name.to_owned(),
            arena: match kind {
                BufferKind::Weight => 1,
                BufferKind::Input => 2,
                _ => 0,
            },
            kind,
            dtype: "f32".to_owned(),
            shape: format!("f32[{}]", shape.join(",")),
            size,
            size_expr: format!("4*{}", shape.join("*")),
            alignment: 256,
            first,
            last: first + 1,
            ..BufferRecord::default()
        });
        self.plan.buffers.len() as u32 - 1
    }

    fn op(&mut self, node: &str, source_op: &str, reads: &[u32], name: &str, dims: &[u64]) -> u32 {
        let out = self.buffer(name, dims, BufferKind::Activation);
        let op = self.plan.ops.len() as u32;
        for &read in reads {
            self.plan.buffers[read as usize].last = op + 1;
        }
        let bytes = reads.iter().chain([&out]).map(|at| self.plan.buffers[*at as usize].size).sum();
        self.plan.ops.push(OpRecord {
            name: format!("{source_op}_{op}"),
            source_node: node.to_owned(),
            source_op: source_op.to_owned(),
            kernel: format!("{}_f32", source_op.to_lowercase()),
            reads: reads.to_vec(),
            writes: vec![out],
            bytes,
            flops: bytes / 2,
            barrier_before: true,
            host: false,
        });
        out
    }

    fn layer(&mut self, number: u32, x: u32, (tokens, hidden, heads): (u64, u64, u64)) -> u32 {
        let path = |part: &str| format!("encoder/layer.{number}/{part}");
        let weight = |b: &mut Self, part: &str, dims: &[u64]| b.buffer(&path(part), dims, BufferKind::Weight);
        let state = [1, tokens, hidden];
        let mut projected = Vec::new();
        for part in ["query", "key", "value"] {
            let w = weight(self, &format!("attention/{part}.weight"), &[hidden, hidden]);
            let node = path(&format!("attention/{part}/MatMul"));
            projected.push(self.op(&node, "MatMul", &[x, w], &path(&format!("attention/{part}")), &state));
        }
        let scores = [1, heads, tokens, tokens];
        let [q, k, v] = projected[..] else { unreachable!("three projections") };
        let s = self.op(&path("attention/MatMul"), "MatMul", &[q, k], &path("attention/scores"), &scores);
        let p = self.op(&path("attention/Softmax"), "Softmax", &[s], &path("attention/probs"), &scores);
        let c = self.op(&path("attention/MatMul_1"), "MatMul", &[p, v], &path("attention/context"), &state);
        let w = weight(self, "attention/output.weight", &[hidden, hidden]);
        let o =
            self.op(&path("attention/output/MatMul"), "MatMul", &[c, w], &path("attention/output"), &state);
        let a = self.op(&path("Add"), "Add", &[o, x], &path("attention/residual"), &state);
        let n = self.op(&path("LayerNorm"), "LayerNormalization", &[a], &path("attention/norm"), &state);
        let w = weight(self, "ffn/up.weight", &[hidden, 4 * hidden]);
        let up =
            self.op(&path("ffn/up/MatMul"), "MatMul", &[n, w], &path("ffn/up"), &[1, tokens, 4 * hidden]);
        let gelu = self.op(&path("ffn/Gelu"), "Gelu", &[up], &path("ffn/gelu"), &[1, tokens, 4 * hidden]);
        let w = weight(self, "ffn/down.weight", &[4 * hidden, hidden]);
        let down = self.op(&path("ffn/down/MatMul"), "MatMul", &[gelu, w], &path("ffn/down"), &state);
        let sum = self.op(&path("ffn/Add"), "Add", &[down, n], &path("ffn/residual"), &state);
        self.op(&path("ffn/LayerNorm"), "LayerNormalization", &[sum], &path("ffn/norm"), &state)
    }

    fn finish(mut self, output: u32) -> PlanRecord {
        let ops = self.plan.ops.len() as u32;
        (self.plan.buffers[output as usize].kind, self.plan.buffers[output as usize].last) =
            (BufferKind::Output, ops);
        for buffer in &mut self.plan.buffers {
            if buffer.kind == BufferKind::Weight {
                (buffer.first, buffer.last) = (0, ops);
            }
        }
        self.place(0, "activations", ArenaKind::Activations);
        self.place(1, "weights", ArenaKind::Weights);
        self.place(2, "inputs", ArenaKind::Inputs);
        self.plan
    }

    fn place(&mut self, arena: u32, name: &str, kind: ArenaKind) {
        let mine: Vec<usize> =
            (0..self.plan.buffers.len()).filter(|at| self.plan.buffers[*at].arena == arena).collect();
        let buffer = |at: &usize| {
            let buffer = &self.plan.buffers[*at];
            Buffer::new(buffer.size, buffer.first, buffer.last).aligned(256)
        };
        let problem = Problem::new(mine.iter().map(buffer).collect()).expect("the plan is sound");
        let plan = solve(&problem, Effort::Normal);
        for (at, offset) in mine.iter().zip(&plan.offsets) {
            self.plan.buffers[*at].offset = *offset;
        }
        let (lower_bound, witness) = (plan.lower_bound.bytes, plan.lower_bound.witness);
        self.plan.arenas.push(ArenaRecord {
            name: name.to_owned(),
            kind,
            size: plan.peak,
            alignment: 256,
            lower_bound,
            witness_op: (arena == 0).then_some(witness),
        });
    }
}

/// An encoder of some layers, planned by the real planner.
pub(crate) fn encoder(layers: u32) -> PlanRecord {
    let mut builder = Builder {
        plan: PlanRecord {
            model: "minilm-l6".to_owned(),
            target: "generic".to_owned(),
            strategy: "best".to_owned(),
            ..PlanRecord::default()
        },
    };
    let shape = (128, 384, 12);
    let ids = builder.buffer("input_ids", &[1, shape.0], BufferKind::Input);
    let table = builder.buffer("embeddings/word.weight", &[3052, shape.1], BufferKind::Weight);
    let mut x =
        builder.op("embeddings/Gather", "Gather", &[ids, table], "embeddings", &[1, shape.0, shape.1]);
    for layer in 0..layers {
        x = builder.layer(layer, x, shape);
    }
    builder.finish(x)
}

/// The windows of a command buffer that does what the plan says.
pub(crate) fn windows(plan: &PlanRecord) -> Vec<Window> {
    let mut windows = Vec::new();
    for (op, record) in (0..).zip(&plan.ops) {
        let reads = record.reads.iter().map(|at| (*at, false));
        let writes = record.writes.iter().map(|at| (*at, true));
        for (binding, (buffer, write)) in (0..).zip(reads.chain(writes)) {
            let of = &plan.buffers[buffer as usize];
            let (arena, offset, len) = (of.arena, of.offset, of.size);
            windows.push(Window { op, binding, buffer, arena, offset, len, write });
        }
    }
    windows
}

/// A window shifted, a buffer touched three ops late, and two live tensors on the same bytes.
pub(crate) fn plant_faults(plan: &PlanRecord, windows: &mut Vec<Window>) {
    let at = |name: &str| plan.buffers.iter().position(|b| b.name == name).expect("a known name");
    let shifted = at("encoder/layer.0/attention/context") as u32;
    for window in windows.iter_mut().filter(|window| window.buffer == shifted) {
        window.offset += 512;
    }
    let late = at("encoder/layer.1/attention/probs");
    let of = &plan.buffers[late];
    let (op, offset, len) = (of.last + 2, of.offset, of.size);
    windows.push(Window { op, binding: 7, buffer: late as u32, arena: 0, offset, len, write: false });
    let (over, under) = (at("encoder/layer.2/ffn/gelu") as u32, at("encoder/layer.2/ffn/up"));
    for window in windows.iter_mut().filter(|window| window.buffer == over) {
        window.offset = plan.buffers[under].offset;
    }
}

/// A small plan with offsets set by hand, so that pictures of it change with the viewer alone.
///
/// ```text
///  KiB 7 │      s s s             s scores   g gelu
///      4 │    k k k   g g         k key
///      2 │  q q q c c c c c       q query    c context
///      0 │t t t   u u u u o o     t tokens   u up     o logits
///        └─0─1─2─3─4─5─6─7─8─9
/// ```
pub(crate) fn by_hand() -> PlanRecord {
    let names = ["Gather", "MatMul", "Add", "MatMul", "Softmax", "MatMul", "Gelu", "MatMul", "Add", "Cast"];
    let ops = names.into_iter().enumerate().map(|(at, name)| OpRecord {
        name: format!("{name}_{at}"),
        source_node: format!("block/{name}_{at}"),
        source_op: name.to_owned(),
        kernel: format!("{}_f32", name.to_lowercase()),
        bytes: 4096 * (at as u64 + 1),
        flops: 1000,
        ..OpRecord::default()
    });
    let buffer = |name: &str, kib: (u64, u64), life: (u32, u32), kind: BufferKind| BufferRecord {
        name: name.to_owned(),
        kind,
        dtype: "f32".to_owned(),
        shape: format!("f32[{},256]", kib.1),
        size: kib.1 << 10,
        size_expr: "1024*seq".to_owned(),
        alignment: 256,
        offset: kib.0 << 10,
        first: life.0,
        last: life.1,
        ..BufferRecord::default()
    };
    let activation = BufferKind::Activation;
    let mut plan = PlanRecord {
        model: "by-hand".to_owned(),
        strategy: "hand".to_owned(),
        arenas: vec![ArenaRecord {
            name: "activations".to_owned(),
            size: 9 << 10,
            alignment: 256,
            lower_bound: 8 << 10,
            witness_op: Some(4),
            ..ArenaRecord::default()
        }],
        ops: ops.collect(),
        buffers: vec![
            buffer("tokens", (0, 2), (0, 3), BufferKind::Input),
            buffer("block/query", (2, 2), (1, 4), activation),
            buffer("block/key", (4, 2), (2, 5), activation),
            buffer("block/scores", (7, 2), (3, 6), activation),
            buffer("block/context", (2, 2), (4, 9), activation),
            buffer("block/up", (0, 2), (4, 8), activation),
            buffer("block/gelu", (4, 3), (6, 8), activation),
            buffer("logits", (0, 2), (8, 10), BufferKind::Output),
        ],
        ..PlanRecord::default()
    };
    for number in 0..plan.buffers.len() as u32 {
        let (first, last) = (plan.buffers[number as usize].first, plan.buffers[number as usize].last);
        plan.ops[first as usize].writes.push(number);
        if first + 1 < last {
            plan.ops[last as usize - 1].reads.push(number);
        }
    }
    plan
}

/// The faults of the small plan: the key shifted, the scores read late, gelu over the context.
pub(crate) fn plant_by_hand(windows: &mut Vec<Window>) {
    for window in windows.iter_mut().filter(|window| window.buffer == 2) {
        window.offset += 256;
    }
    let late = Window { op: 7, binding: 3, buffer: 3, arena: 0, offset: 7 << 10, len: 2 << 10, write: false };
    windows.push(late);
    for window in windows.iter_mut().filter(|window| window.buffer == 6) {
        window.offset = 2 << 10;
    }
}

/// Who runs.
pub(crate) fn session() -> SessionInfo {
    SessionInfo {
        id: "4711-1763756472000".to_owned(),
        model: "minilm-l6".to_owned(),
        device: "llvmpipe".to_owned(),
        driver: "Mesa 25.2.8".to_owned(),
        api: "Vulkan 1.3".to_owned(),
        version: "0.1.0".to_owned(),
        level: Level::Run,
        pid: 4711,
        start_unix_ns: 1_763_756_472_000_000_000,
        origin: String::new(),
        roofs: None,
    }
}

/// What a session emits before its first run.
pub(crate) fn preamble(plan: &PlanRecord, windows: Vec<Window>) -> Vec<Event> {
    let mut events = Vec::new();
    for (id, arena) in (0..).zip(&plan.arenas) {
        let purpose = arena.name.clone();
        let bytes = arena.size.checked_next_multiple_of(65536).unwrap_or(arena.size);
        events.push(Event::DeviceAllocated { t: 1000, id, bytes, memory_type: 1, purpose, planned: true });
    }
    let usage = plan.arenas.iter().map(|arena| arena.size).fold(9 << 20, u64::saturating_add);
    events.push(Event::HeapSample { t: 2000, heap: 0, size: 8 << 30, usage, budget: Some(2 << 30) });
    events.push(Event::Windows { t: 3000, recording: 0, plan: 0, part: 0, windows });
    events.push(Event::SessionReady { t: 4000 });
    events
}

/// A finished run, and what it cost to watch it.
pub(crate) fn whole_run(run: u64, start: u64, took: u64) -> Vec<Event> {
    vec![
        Event::RunStart { run, plan: 0, t: start },
        Event::RunEnd { run, t: start + took, ok: true },
        Event::TraceCost { t: start + took, ns: (start + took) / 400, run_ns: start + took },
    ]
}

/// The records of a session in its forty-third run, at an op.
pub(crate) fn records(plan: &PlanRecord, windows: Vec<Window>, playhead: u32) -> Vec<Record> {
    let mut records = vec![Record::Session(session()), Record::Plan { plan: 0, record: plan.clone() }];
    let mut events = preamble(plan, windows);
    for run in 0..42 {
        let took = 3_000_000 + (run * 7919 % 11) * 60_000;
        events.extend(whole_run(run, 1_000_000 + run * 4_000_000, took));
    }
    events.push(Event::RunStart { run: 42, plan: 0, t: 170_000_000 });
    events.push(Event::Completed { run: 42, plan: 0, op: playhead, t: 171_500_000 });
    records.extend(events.into_iter().map(Record::Event));
    records
}

/// Device memory that is taken as it was planned.
pub(crate) fn taken(t: u64, id: u64, bytes: u64) -> EventRef<'static> {
    EventRef::DeviceAllocated { t, id, bytes, memory_type: 0, purpose: "", planned: true }
}
