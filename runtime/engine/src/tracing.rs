//! What a session tells its recording.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bayplan_compile::{Program, RecordIndex, record};
use bayplan_record::{RecordError, Recorder, RecordingOptions};
use bayplan_trace::{Event, Level, UNPLANNED};
use bayplan_vulkan::{AllocationEvent, AllocationId, BoundWindow, BufferId, Commands, Device};

use crate::commands::Timestamps;

/// Windows per event: large plans are told in parts, so that no event is large.
const WINDOWS_PER_EVENT: usize = 1024;

/// Heaps and the cost of tracing are told at most this often, in nanoseconds.
const SAMPLE_EVERY: u64 = 500_000_000;

/// Stands for "no run in progress".
const IDLE: u64 = u64::MAX;

/// The recording of a session; a handle that records nothing if none was asked for.
pub struct Trace {
    recorder: Recorder,
    plan: u32,
    recordings: u32,
    next_sample: u64,
    cost: u64,
    run_time: u64,
    /// The run in progress, for the playhead.
    current: Arc<AtomicU64>,
}

impl Trace {
    /// Begins a recording, with the program's plan.
    pub(crate) fn begin(
        options: Option<RecordingOptions>,
        program: &Program,
        device: &Device,
    ) -> Result<Self, RecordError> {
        let recorder = match options {
            None => Recorder::off(),
            Some(mut options) => {
                let info = device.info();
                options.model.clone_from(&program.name);
                options.device.clone_from(&info.name);
                options.driver.clone_from(&info.driver);
                options.api = format!("Vulkan {}", info.api_version);
                Recorder::create(options, &record(program))?
            }
        };
        Ok(Self {
            recorder,
            plan: 0,
            recordings: 0,
            next_sample: 0,
            cost: 0,
            run_time: 0,
            current: Arc::new(AtomicU64::new(IDLE)),
        })
    }

    /// The recorder, for what only it knows: the run's name, the file.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Dispatches between two queries: one at level `op`, few queries a run at level `run`, none without a recording.
    pub(crate) fn query_stride(&self, ops: u32) -> Option<u32> {
        // A timestamp costs about as much as a small dispatch on a CPU driver.
        const QUERIES_PER_RUN: u32 = 8;
        match self.recorder.level() {
            Level::Off => None,
            Level::Run => Some(ops.div_ceil(QUERIES_PER_RUN).max(1)),
            Level::Op => Some(1),
        }
    }

    /// Tells of device memory allocated and freed since the last time.
    pub(crate) fn memory(&mut self, device: &Device, names: &HashMap<AllocationId, String>, planned: bool) {
        if !self.recorder.records(Level::Run) {
            return;
        }
        let t = self.recorder.now();
        for event in device.drain_allocation_events().events {
            self.recorder.emit(match event {
                AllocationEvent::Allocated { id, bytes, memory_type } => Event::DeviceAllocated {
                    t,
                    id: id.0,
                    bytes,
                    memory_type,
                    purpose: names.get(&id).cloned().unwrap_or_else(|| "unknown".into()),
                    planned,
                },
                AllocationEvent::Freed { id } => Event::DeviceFreed { t, id: id.0 },
            });
        }
    }

    /// Tells the windows of a command buffer as they were recorded.
    pub(crate) fn windows(&mut self, program: &Program, commands: &Commands, arenas: &[Option<BufferId>; 2]) {
        if !self.recorder.records(Level::Run) {
            return;
        }
        let index = RecordIndex::new(program);
        let seen: Vec<bayplan_trace::Window> =
            commands.windows().iter().filter_map(|bound| actual(program, &index, arenas, bound)).collect();
        let (t, recording) = (self.recorder.now(), self.recordings);
        self.recordings += 1;
        for (part, windows) in seen.chunks(WINDOWS_PER_EVENT).enumerate() {
            let windows = windows.to_vec();
            self.recorder.emit(Event::Windows { t, recording, plan: self.plan, part: part as u32, windows });
        }
    }

    /// Tells that the session is ready, and lets the drain thread watch the queries.
    pub(crate) fn ready(&mut self, device: &Device, timestamps: Option<&Timestamps>) {
        self.recorder.emit(Event::SessionReady { t: self.recorder.now() });
        self.sample(device);
        let Some(times) = timestamps.cloned() else { return };
        let (current, plan, emitter) = (Arc::clone(&self.current), self.plan, self.recorder.emitter());
        let mut playhead = Playhead { times, run: IDLE, last_tick: 0, next: 0 };
        self.recorder.set_probe(move || {
            let (run, op) = playhead.advance(current.load(Ordering::Acquire))?;
            Some(Event::Completed { run, plan, op, t: emitter.now() })
        });
    }

    pub(crate) fn run_started(&mut self, run: u64) -> u64 {
        let t = self.recorder.now();
        self.recorder.emit(Event::RunStart { run, plan: self.plan, t });
        self.current.store(run, Ordering::Release);
        self.cost += self.recorder.now() - t;
        t
    }

    /// Tells that a run ended, and its op times if they are recorded.
    pub(crate) fn run_ended(
        &mut self,
        run: u64,
        started: u64,
        ok: bool,
        device: &Device,
        times: Option<&Timestamps>,
    ) {
        let t = self.recorder.now();
        self.current.store(IDLE, Ordering::Release);
        if let Some(times) = times.filter(|_| self.recorder.records(Level::Op) && ok) {
            self.op_times(run, started, times);
        }
        self.recorder.emit(Event::RunEnd { run, t, ok });
        self.run_time += t - started;
        if t >= self.next_sample {
            self.sample(device);
        }
        self.cost += self.recorder.now() - t;
    }

    fn op_times(&self, run: u64, started: u64, times: &Timestamps) {
        let Ok(ticks) = times.pool.results_nowait(0..times.pool.count()) else { return };
        let Some(ticks) = ticks.into_iter().collect::<Option<Vec<u64>>>() else { return };
        let at = |tick: u64| started + times.pool.scale().elapsed_ns(ticks[0], tick) as u64;
        let times = ticks.windows(2).map(|pair| (at(pair[0]), at(pair[1]))).collect();
        self.recorder.emit(Event::OpTimes { run, plan: self.plan, first_op: 0, times });
    }

    fn sample(&mut self, device: &Device) {
        if !self.recorder.records(Level::Run) {
            return;
        }
        let t = self.recorder.now();
        for (heap, sample) in device.heap_budget().into_iter().enumerate() {
            let bayplan_vulkan::HeapSample { size, usage, budget, .. } = sample;
            self.recorder.emit(Event::HeapSample { t, heap: heap as u32, size, usage, budget });
        }
        self.recorder.emit(Event::TraceCost { t, ns: self.cost, run_ns: self.run_time });
        self.next_sample = t + SAMPLE_EVERY;
    }

    /// Tells that the session ends.
    pub(crate) fn end(&mut self) {
        self.recorder.clear_probe();
        self.recorder.emit(Event::SessionEnd { t: self.recorder.now() });
    }
}

/// A window as the device got it, for the buffer it was meant for.
fn actual(
    program: &Program,
    index: &RecordIndex,
    arenas: &[Option<BufferId>; 2],
    bound: &BoundWindow,
) -> Option<bayplan_trace::Window> {
    // A dispatch's last binding may be its parameters, which are no part of the plan.
    let meant = program.run.dispatches.get(bound.dispatch as usize)?.windows.get(bound.binding as usize)?;
    let arena = arenas.iter().position(|&arena| arena == Some(bound.buffer));
    Some(bayplan_trace::Window {
        op: bound.dispatch,
        binding: bound.binding,
        buffer: index.get(meant.buffer).unwrap_or(UNPLANNED),
        arena: arena.map_or(UNPLANNED, |arena| arena as u32),
        offset: bound.offset,
        len: bound.len,
        write: meant.access != bayplan_shaders::Access::Read,
    })
}

/// Reads the newest completed query of the run in progress, without waiting.
struct Playhead {
    times: Timestamps,
    run: u64,
    /// The last tick seen of the run before: queries keep their old result until the device resets them.
    last_tick: u64,
    /// The query to look at next.
    next: usize,
}

impl Playhead {
    fn advance(&mut self, run: u64) -> Option<(u64, u32)> {
        let ticks = self.times.pool.results_nowait(0..self.times.pool.count()).ok()?;
        if run != self.run {
            self.run = run;
            self.next = 1;
        }
        let fresh = |tick: Option<u64>| tick.filter(|&tick| tick > self.last_tick);
        if run == IDLE {
            self.last_tick = ticks.iter().flatten().copied().max().unwrap_or(0).max(self.last_tick);
            return None;
        }
        fresh(ticks[0])?;
        let start = self.next;
        while self.next < ticks.len() && ticks[self.next].is_some_and(|tick| Some(tick) >= ticks[0]) {
            self.next += 1;
        }
        (self.next > start).then(|| (run, self.times.after[self.next - 2]))
    }
}
