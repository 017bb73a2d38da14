//! A PyTorch memory snapshot: what `_memory_viz.py` and pytorch.org/memory_viz read.
//!
//! Every arena is a segment with addresses of its own, every pool and every block of device memory outside the plan as
//! well. Each plan is told once, with the first run of it: viewers of snapshots show some ten thousand allocations, and
//! later runs of a plan repeat what the first one did. What a run that was cut short had reached stays allocated, as do
//! weights and the outputs of the last run.
//!
//! ```text
//! {"device_traces": [[segment_alloc…, alloc…, free_requested, free_completed, …]], "segments": [{…, "blocks": […]}]}
//! ```
//! The keys are those of `torch.cuda.memory._snapshot`. The frames of an allocation name the tensor, and the op that it is
//! born with by its node in the model (`fx_node_name`).

use std::io::{self, Write};

use bayplan_text::escape;
use bayplan_trace::{ArenaKind, BufferKind, Event, Nanos, PlanRecord, Record, Timeline};

use super::Exporter;
use super::torch_memory::{Memory, Stack};

/// Bytes that gather before they are handed out.
const PORTION: usize = 1 << 16;

/// Microseconds between two ops whose times are not known.
const STEP_US: u64 = 1;

/// Writes a snapshot.
#[derive(Default)]
pub(super) struct Torch {
    memory: Memory,
    /// By the number of the plan: whether a run of it was told.
    told: Vec<bool>,
    run: Option<Run>,
    start_us: u64,
}

/// A run that is to be told: the first of its plan.
struct Run {
    run: u64,
    plan: u32,
    start: Nanos,
    /// Begin of each op, as far as known.
    begins: Vec<Nanos>,
    /// The op in progress; none once the run ended.
    at: Option<u32>,
}

impl Exporter for Torch {
    fn record(&mut self, record: &Record, before: &Timeline, out: &mut dyn Write) -> io::Result<()> {
        match record {
            Record::Session(session) => self.start_us = session.start_unix_ns / 1000,
            Record::Plan { record, .. } => self.plan(record, before.now)?,
            Record::Keyframe(keyframe) => {
                for event in &keyframe.state {
                    self.event(event, before)?;
                }
            }
            Record::Event(event) => self.event(event, before)?,
        }
        self.memory.hand_over(out, PORTION)
    }

    fn finish(&mut self, timeline: &Timeline, out: &mut dyn Write) -> io::Result<()> {
        self.end_run(timeline)?;
        self.memory.finish(out)
    }
}

impl Torch {
    /// A plan's arenas become segments, and what stays in them for the session is allocated.
    fn plan(&mut self, plan: &PlanRecord, t: Nanos) -> io::Result<()> {
        let time = self.time(t);
        for (number, arena) in (0u32..).zip(&plan.arenas) {
            let segment = self.memory.segment(&arena.name, arena.size, arena.alignment, time)?;
            let resident = plan.buffers.iter().filter(|buffer| {
                is_resident(arena.kind) && buffer.arena == number && buffer.alias_of.is_none()
            });
            for buffer in resident {
                let range = Memory::range(segment, buffer.offset, buffer.size);
                if !self.memory.is_held(&range) {
                    let stack = stack(plan, buffer.first, &format!("{} {}", buffer.name, buffer.shape));
                    self.memory.alloc(range, &stack, category(buffer.kind), time, true)?;
                }
            }
        }
        Ok(())
    }

    fn event(&mut self, event: &Event, before: &Timeline) -> io::Result<()> {
        let of = |run: &mut Option<Run>, number: u64| run.take_if(|run| run.run == number);
        match event {
            Event::RunStart { run, plan, t } => {
                self.end_run(before)?;
                if !self.told.get(*plan as usize).is_some_and(|told| *told) {
                    self.run =
                        Some(Run { run: *run, plan: *plan, start: *t, begins: Vec::new(), at: Some(0) });
                }
            }
            Event::OpTimes { run, first_op, times, .. } => {
                if let Some(mut told) = of(&mut self.run, *run) {
                    told.begins.resize(*first_op as usize, told.start);
                    told.begins.extend(times.iter().map(|(begin, _)| *begin));
                    self.run = Some(told);
                }
            }
            Event::Completed { run, op, .. } => {
                if let Some(told) = of(&mut self.run, *run) {
                    let at = told.at.map(|before| before.max(op.saturating_add(1)));
                    self.run = Some(Run { at, ..told });
                }
            }
            Event::RunEnd { run, ok: true, .. } => {
                if let Some(told) = of(&mut self.run, *run) {
                    self.run = Some(Run { at: None, ..told });
                }
            }
            Event::DeviceAllocated { t, id, bytes, purpose, planned: false, .. } => {
                let tensor = format!("outside the plan: {}", escape(purpose));
                self.memory.block(*id, *bytes, &Stack { tensor, ..Stack::default() }, self.time(*t))?;
            }
            Event::DeviceFreed { t, id } => self.memory.free_block(*id, self.time(*t))?,
            Event::PoolReady { t, pool, bytes, name } => {
                let name = pool_name(*pool, name);
                self.memory.segment(&name, *bytes, 1, self.time(*t))?;
            }
            Event::PoolAllocated { t, pool, id, offset, bytes } => {
                let Some(state) = before.pools.get(pool) else { return Ok(()) };
                let name = pool_name(*pool, &state.name);
                let Some(segment) = self.memory.find(&name) else { return Ok(()) };
                let range = Memory::range(segment, *offset, *bytes);
                if self.memory.is_held(&range) {
                    return Ok(());
                }
                let stack = Stack { model: name, tensor: format!("range {id}"), ..Stack::default() };
                self.memory.alloc(range, &stack, "output", self.time(*t), true)?;
            }
            Event::PoolFreed { t, pool, id } => {
                let Some(state) = before.pools.get(pool) else { return Ok(()) };
                let segment = self.memory.find(&pool_name(*pool, &state.name));
                if let Some((segment, range)) = segment.zip(state.live.get(id)) {
                    self.memory
                        .free(Memory::range(segment, range.offset, range.bytes).addr, self.time(*t))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Tells the latest run, or as much of it as came to pass.
    fn end_run(&mut self, timeline: &Timeline) -> io::Result<()> {
        let Some(run) = self.run.take() else { return Ok(()) };
        let at = run.plan as usize;
        let Some(state) = timeline.plans.get(at).filter(|plan| !plan.forgotten) else { return Ok(()) };
        self.told.resize(self.told.len().max(at + 1), false);
        self.told[at] = true;
        let plan = &state.record;
        // What the run before left behind goes now: its outputs.
        self.memory.free_run(self.time(run.start))?;
        for change in changes(plan) {
            if run.at.is_some_and(|at| change.op > at) {
                break;
            }
            let buffer = &plan.buffers[change.buffer as usize];
            let Some(segment) = self.memory.find(&plan.arenas[buffer.arena as usize].name) else { continue };
            let range = Memory::range(segment, buffer.offset, buffer.size);
            let begin = run.begins.get(change.op as usize).map(|t| self.time(*t));
            let time = begin.unwrap_or_else(|| self.time(run.start) + u64::from(change.op) * STEP_US);
            if change.begins {
                let stack = stack(plan, change.op, &format!("{} {}", buffer.name, buffer.shape));
                self.memory.alloc(range, &stack, category(buffer.kind), time, false)?;
            } else {
                self.memory.free(range.addr, time)?;
            }
        }
        Ok(())
    }

    /// Microseconds since the Unix epoch.
    fn time(&self, t: Nanos) -> u64 {
        self.start_us.saturating_add(t / 1000)
    }
}

/// A buffer begins or ends to take bytes; what ends comes before what begins with the same op.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    op: u32,
    begins: bool,
    buffer: u32,
}

/// What changes during a run of the plan, in order. What lives to the end stays.
fn changes(plan: &PlanRecord) -> Vec<Change> {
    let ops = plan.ops.len() as u32;
    let mut found = Vec::with_capacity(2 * plan.buffers.len());
    for (number, buffer) in (0..).zip(&plan.buffers) {
        let arena = &plan.arenas[buffer.arena as usize];
        // A result computed in place takes bytes when its operand dies.
        let operand = buffer.in_place_of.and_then(|at| plan.buffers.get(at as usize));
        let first = operand.map_or(buffer.first, |operand| operand.last.max(buffer.first));
        if is_resident(arena.kind) || buffer.alias_of.is_some() || first >= buffer.last {
            continue;
        }
        found.push(Change { op: first, begins: true, buffer: number });
        if buffer.last < ops {
            found.push(Change { op: buffer.last, begins: false, buffer: number });
        }
    }
    found.sort_unstable();
    found
}

/// Whether what lies in such an arena stays between runs.
fn is_resident(kind: ArenaKind) -> bool {
    matches!(kind, ArenaKind::Weights | ArenaKind::Constants | ArenaKind::Kv)
}

/// PyTorch's profiler has these names for what tensors are.
fn category(kind: BufferKind) -> &'static str {
    match kind {
        BufferKind::Input => "input",
        BufferKind::Output => "output",
        BufferKind::Activation => "activation",
        BufferKind::Weight => "parameter",
        BufferKind::Constant => "constant",
        BufferKind::Scratch => "temporary",
    }
}

/// The segment of a pool; no arena has its name.
fn pool_name(number: u32, name: &str) -> String {
    format!("pool {number}: {}", escape(name))
}

/// The tensor, and the op that it is born with.
fn stack(plan: &PlanRecord, op: u32, tensor: &str) -> Stack {
    let of = plan.ops.get(op as usize);
    let text = |text: &str| escape(text).to_string();
    Stack {
        model: text(&plan.model),
        op,
        tensor: text(tensor),
        op_name: of.map(|op| text(&op.name)).unwrap_or_default(),
        kernel: of.map(|op| text(&op.kernel)).unwrap_or_default(),
        node: of.map(|op| text(&op.source_node)).unwrap_or_default(),
        node_op: of.map(|op| text(&op.source_op)).unwrap_or_default(),
    }
}
