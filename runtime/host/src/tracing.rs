//! What a session on the host tells its recording.

use std::sync::{Arc, Mutex, PoisonError};

use bayplan_compile::session::OutputPool;
use bayplan_compile::{Arena, Program, RecordIndex, record};
use bayplan_record::{Executor, RecordError, Recording, RecordingOptions, Summary};
use bayplan_shaders::Access;
use bayplan_trace::{Event, EventKind, Level, Severity, UNPLANNED, Window};

use crate::error::HostError;
use crate::system;
use crate::target::NAME;

/// Memory is sampled at most this often, in nanoseconds.
const SAMPLE_EVERY: u64 = 500_000_000;

/// How far the run in progress is: its number, its plan's, and its last finished op.
type Playhead = Arc<Mutex<Option<(u64, u32, u32)>>>;

/// The recording of a session.
#[derive(Default)]
pub(crate) struct Trace {
    recording: Recording,
    playhead: Playhead,
    run: u64,
    /// The plan of the run in progress: each shape has its own; `None` of one that could not be told.
    plan: Option<u32>,
    /// Bytes of the activation arena.
    activations: u64,
    /// Start and end of each op of the run in progress, if they are recorded.
    times: Vec<(u64, u64)>,
    next_sample: u64,
    planned: u64,
    /// The session's arenas as blocks of memory, numbered in the recording.
    own: Vec<u64>,
    /// Blocks told so far, of all sessions that have the recording together.
    blocks: u64,
}

impl Trace {
    pub(crate) fn begin(
        options: Option<RecordingOptions>,
        program: &Program,
        activations: u64,
    ) -> Result<Self, RecordError> {
        let executor = Executor {
            device: NAME.into(),
            driver: format!("bayplan {}", env!("CARGO_PKG_VERSION")),
            api: NAME.into(),
            roofs: None,
        };
        let recording = Recording::begin(options, &record(program), executor)?;
        Ok(Self { recording, ..Self::new(program, activations) })
    }

    fn new(program: &Program, activations: u64) -> Self {
        Self {
            activations,
            planned: activations + program.arena_bytes[Arena::Weights.index()],
            ..Self::default()
        }
    }

    /// Begins for a session that goes on with the recording of another.
    pub(crate) fn going_on(before: &mut Self, program: &Program, activations: u64) -> Self {
        let mut own = Self::new(program, activations);
        own.take_over(before);
        own
    }

    /// Goes on with the recording of another session.
    pub(crate) fn take_over(&mut self, before: &mut Self) {
        self.recording = before.recording.hand_over();
        (self.next_sample, self.blocks) = (before.next_sample, before.blocks);
        self.watch();
    }

    /// The session of another plan gives way: its plans are not at hand any more, and its arenas are freed.
    pub(crate) fn bury(&self, before: &Self, plans: impl Iterator<Item = u32>) {
        plans.for_each(|plan| self.retire(Some(plan)));
        before.own.iter().for_each(|&id| self.emit(|t| Event::DeviceFreed { t, id }));
    }

    pub(crate) fn recording(&self) -> &Recording {
        &self.recording
    }

    fn records(&self, level: Level) -> bool {
        self.recording.recorder().records(level)
    }

    fn emit(&self, event: impl FnOnce(u64) -> Event) {
        self.recording.recorder().emit_now(event);
    }

    fn playhead(&self) -> std::sync::MutexGuard<'_, Option<(u64, u32, u32)>> {
        self.playhead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of the arenas, the windows, and that the session is ready.
    pub(crate) fn ready(&mut self, program: &Program) {
        if !self.records(Level::Run) {
            return;
        }
        self.told(program);
        self.recording.windows(0, &windows(program));
        self.emit(|t| Event::SessionReady { t });
        self.sample();
        self.watch();
    }

    /// The same of a session that goes on with the recording of one that was ready: its plan and windows are told as those of
    /// another shape. Answers the plan's number.
    pub(crate) fn go_on(&mut self, program: &Program) -> Option<u32> {
        self.told(program);
        self.sample();
        self.planned(program)
    }

    /// Tells of the arena of outputs that callers keep, and from then on of each of them.
    pub(crate) fn outputs(&mut self, pool: &OutputPool) {
        if let Some((number, emitter)) = self.recording.pool() {
            pool.watch(number, move |event| emitter.emit(event(emitter.now())));
        }
    }

    /// Tells of the arenas.
    fn told(&mut self, program: &Program) {
        if !self.records(Level::Run) {
            return;
        }
        let weights = program.arena_bytes[Arena::Weights.index()];
        for (arena, bytes) in [(Arena::Weights, weights), (Arena::Activations, self.activations)] {
            if bytes > 0 {
                self.blocks += 1;
                let id = self.blocks;
                self.own.push(id);
                let purpose = arena.name().to_owned();
                self.emit(|t| Event::DeviceAllocated {
                    t,
                    id,
                    bytes,
                    memory_type: 0,
                    purpose,
                    planned: true,
                });
            }
        }
    }

    /// Lets the recorder's thread look at the playhead of this session.
    fn watch(&self) {
        let (playhead, mut last) = (Arc::clone(&self.playhead), None);
        let clock = self.recording.recorder().emitter();
        self.recording.recorder().set_probe(move || {
            let now = *playhead.lock().unwrap_or_else(PoisonError::into_inner);
            let (run, plan, op) = now.filter(|_| now != last)?;
            last = now;
            Some(Event::Completed { run, plan, op, t: clock.now() })
        });
    }

    /// Tells the plan of another shape and its windows; answers its number. `None` where nothing is recorded, or the
    /// recording cannot keep up with the shapes.
    pub(crate) fn planned(&mut self, program: &Program) -> Option<u32> {
        if !self.records(Level::Run) {
            return None;
        }
        let plan = self.recording.recorder().plan(&record(program))?;
        self.recording.windows(plan, &windows(program));
        Some(plan)
    }

    /// Tells that the shape of a plan gave way to another.
    pub(crate) fn retire(&self, plan: Option<u32>) {
        if let Some(plan) = plan {
            self.emit(|t| Event::PlanRetired { t, plan });
        }
    }

    pub(crate) fn run_started(&mut self, run: u64, plan: Option<u32>) {
        (self.run, self.plan) = (run, plan);
        self.times.clear();
        if !self.records(Level::Run) {
            return;
        }
        match plan {
            Some(plan) => self.emit(|t| Event::RunStart { run, plan, t }),
            None => self.recording.recorder().lost(EventKind::RunStart),
        }
    }

    /// Answers when, on the session's clock.
    pub(crate) fn op_started(&self) -> u64 {
        if self.records(Level::Op) { self.recording.recorder().now() } else { 0 }
    }

    pub(crate) fn op_ended(&mut self, op: u32, started: u64) {
        if let Some(plan) = self.plan.filter(|_| self.records(Level::Run)) {
            *self.playhead() = Some((self.run, plan, op));
        }
        if self.records(Level::Op) {
            self.times.push((started, self.recording.recorder().now()));
        }
    }

    pub(crate) fn run_ended(&mut self, run: u64, result: &Result<(), HostError>) {
        if !self.records(Level::Run) {
            return;
        }
        let ok = result.is_ok();
        if let Err(e) = result {
            self.recording.message(Severity::Error, e.to_string());
        }
        *self.playhead() = None;
        if let Some(plan) = self.plan {
            if ok && self.records(Level::Op) && !self.times.is_empty() {
                let times = std::mem::take(&mut self.times);
                self.recording.recorder().emit(Event::OpTimes { run, plan, first_op: 0, times });
            }
            self.emit(|t| Event::RunEnd { run, t, ok });
        }
        if self.recording.recorder().now() >= self.next_sample {
            self.sample();
        }
    }

    /// Tells how full memory is.
    fn sample(&mut self) {
        if !self.records(Level::Run) {
            return;
        }
        let t = self.recording.recorder().now();
        if let Some(memory) = system::memory() {
            let (size, usage) = (memory.total, self.planned);
            let budget = Some(memory.available.saturating_add(usage));
            self.recording.recorder().emit(Event::HeapSample { t, heap: 0, size, usage, budget });
        }
        self.next_sample = t + SAMPLE_EVERY;
    }

    pub(crate) fn finish(&mut self) -> Summary {
        self.recording.finish()
    }
}

/// The windows of the run's dispatches, as they are looked up.
fn windows(program: &Program) -> Vec<Window> {
    let index = RecordIndex::new(program);
    let mut all = Vec::new();
    for (op, dispatch) in (0..).zip(&program.run.dispatches) {
        for (binding, window) in (0..).zip(&dispatch.windows) {
            let seen = Window {
                op,
                binding,
                buffer: UNPLANNED,
                arena: RecordIndex::arena(window.arena),
                offset: window.offset,
                len: window.len,
                write: window.access != Access::Read,
            };
            all.extend(index.seen(window, seen));
        }
    }
    all
}
