//! What a session tells its recording.

use bayplan_compile::session::OutputPool;
use bayplan_compile::{Arena, Program, RecordIndex, record};
use bayplan_expr::Bindings;
use bayplan_record::{Executor, RecordError, Recorder, Recording, RecordingOptions, Summary};
use bayplan_trace::{Event, EventKind, Level, Severity, UNPLANNED, Window};
use bayplan_vulkan::{AllocationEvent, AllocationId, BoundWindow, Commands};

use crate::arena::Arenas;
use crate::device::Device;
use crate::external::Placement;
use crate::imports::Imported;
use crate::instruments::{CurrentRun, Instruments, Places, Span};
use crate::memory::Planned;
use crate::parts::Part;
use crate::probe::roofs;

/// Heaps are sampled at most this often, in nanoseconds.
const SAMPLE_EVERY: u64 = 500_000_000;

/// The recording of a session; a handle that records nothing if none was asked for.
#[derive(Default)]
pub struct Trace {
    recording: Recording,
    current: CurrentRun,
    /// The parts of the run in progress that are done, where op times are recorded.
    parts: Vec<Span>,
    next_sample: u64,
    /// Messages of the device that were told, or are too many to be kept.
    messages: u64,
    /// The shape of plan 0, which a recording begins with, until another plan of that shape is told.
    first: Option<Bindings>,
    /// The session's own blocks of device memory, as far as they were told and are not freed.
    own: Vec<AllocationId>,
    /// How often planned memory had been freed when it was last looked at whether these were.
    frees: u64,
}

impl Trace {
    /// Begins a recording, with the plan of a program.
    ///
    /// # Errors
    /// A file that was asked for by name cannot be written.
    pub(crate) fn begin(
        options: Option<RecordingOptions>,
        program: &Program,
        device: &Device,
    ) -> Result<Self, RecordError> {
        let info = device.info();
        let (roofs, unmeasured) = roofs(device, options.as_ref());
        let executor = Executor {
            device: info.name.clone(),
            driver: info.driver.clone(),
            api: format!("Vulkan {}", info.api_version),
            roofs,
        };
        let recording = Recording::begin(options, &record(program), executor)?;
        if let Some(e) = unmeasured {
            recording.message(Severity::Warning, e.to_string());
        }
        Ok(Self::new(recording, Some(program.dims.clone())))
    }

    fn new(recording: Recording, first: Option<Bindings>) -> Self {
        Self { recording, first, ..Self::default() }
    }

    /// Begins for a session that goes on with the recording of another.
    pub(crate) fn going_on(before: &mut Self) -> Self {
        let mut own = Self::new(before.recording.hand_over(), None);
        (own.next_sample, own.messages) = (before.next_sample, before.messages);
        own
    }

    /// Goes on with the recording of another session.
    pub(crate) fn take_over(&mut self, before: &mut Self, instruments: &Instruments) {
        self.recording = before.recording.hand_over();
        (self.next_sample, self.messages) = (before.next_sample, before.messages);
        self.watch(instruments);
    }

    /// The recording as such.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// The recorder, for what only it knows: the run's name, the file.
    pub fn recorder(&self) -> &Recorder {
        self.recording.recorder()
    }

    /// Why nothing is recorded although it was asked for: the folder of recordings cannot be written. Worth a warning.
    pub fn refused(&self) -> Option<&RecordError> {
        self.recording.refused()
    }

    /// Tells the plan of a shape, and answers the number that later events name it by; `None` where nothing is recorded, or the
    /// recording cannot keep up with the shapes. `model` says whether it is the function that the recording began with.
    pub(crate) fn plan(&mut self, program: &Program, model: bool) -> Option<u32> {
        if !self.recorder().records(Level::Run) {
            return None;
        }
        if model && self.first.take_if(|first| *first == program.dims).is_some() {
            return Some(0);
        }
        let begun = self.recorder().now();
        let plan = self.recorder().plan(&record(program));
        self.recorder().add_cost(self.recorder().now() - begun);
        plan
    }

    /// Tells that a plan's shape is not at hand any more: whoever follows may forget where its buffers lie.
    pub(crate) fn retire(&self, plan: u32) {
        self.recorder().emit(Event::PlanRetired { t: self.recorder().now(), plan });
    }

    /// Tells of the arena of outputs that callers keep, and from then on of each of them.
    pub(crate) fn outputs(&mut self, pool: &OutputPool) {
        if let Some((number, emitter)) = self.recording.pool() {
            pool.watch(number, move |event| emitter.emit(event(emitter.now())));
        }
    }

    /// Tells of memory that the arena of outputs grew by.
    pub(crate) fn grown(&mut self, memory: Vec<Planned>) {
        memory.iter().for_each(|block| self.recording.output_arena_grew(block.bytes));
        self.planned(memory);
    }

    /// Tells of the session's own device memory.
    pub(crate) fn planned(&mut self, memory: Vec<Planned>) {
        let t = self.recorder().now();
        self.own.extend(memory.iter().map(|planned| planned.id));
        for Planned { id, bytes, memory_type, purpose } in memory {
            let planned = true;
            self.recorder().emit(Event::DeviceAllocated {
                t,
                id: id.0,
                bytes,
                memory_type,
                purpose,
                planned,
            });
        }
    }

    /// The session of another plan gives way: its plans are not at hand any more, and its memory is freed, at once or when
    /// callers drop the last outputs in it.
    pub(crate) fn bury(&mut self, before: &mut Self, plans: impl Iterator<Item = u32>) {
        plans.for_each(|plan| self.retire(plan));
        self.own.append(&mut before.own);
        self.frees = u64::MAX;
    }

    /// Tells of device memory that no session planned, and of planned memory that was freed.
    fn unplanned(&mut self, device: &Device) {
        let unplanned = device.ledger.unplanned(&device.vulkan);
        for id in device.ledger.gone(&mut self.own, &mut self.frees) {
            self.recorder().emit(Event::DeviceFreed { t: self.recorder().now(), id: id.0 });
        }
        if unplanned.lost == 0 && unplanned.events.is_empty() {
            return;
        }
        let t = self.recorder().now();
        for event in unplanned.events {
            self.recorder().emit(match event {
                AllocationEvent::Allocated { id, bytes, memory_type } => {
                    let purpose = "unknown".into();
                    Event::DeviceAllocated { t, id: id.0, bytes, memory_type, purpose, planned: false }
                }
                AllocationEvent::Freed { id } => Event::DeviceFreed { t, id: id.0 },
            });
        }
        if unplanned.lost > 0 {
            self.recorder().emit(Event::Dropped {
                t,
                count: unplanned.lost,
                kind: EventKind::DeviceAllocated,
            });
        }
    }

    /// Tells the windows of a shape's run program as they were recorded.
    pub(crate) fn windows(
        &mut self,
        plan: u32,
        program: &Program,
        (parts, commands): (&[Part], &[Commands]),
        arenas: &Arenas,
        placement: &Placement,
    ) {
        if !self.recorder().records(Level::Run) {
            return;
        }
        let index = RecordIndex::new(program);
        let firsts = parts.iter().filter_map(|part| match part {
            Part::Device(range) => Some(range.start as u32),
            Part::Host(_) => None,
        });
        let bound = firsts.zip(commands).flat_map(|(first, commands)| {
            let own = commands.windows().iter();
            own.map(move |bound| BoundWindow { dispatch: bound.dispatch + first, ..*bound })
        });
        let seen = bound.flat_map(|bound| actual(program, &index, arenas, placement, &bound));
        let seen: Vec<Window> = seen.collect();
        self.recording.windows(plan, &seen);
    }

    /// Tells what the device reads in files.
    pub(crate) fn imported(&self, imported: Option<&Imported>) {
        imported.into_iter().for_each(|told| self.recording.message(Severity::Info, told.to_string()));
    }

    /// Tells what the validation layer and the driver have said since the last time.
    fn device_messages(&mut self, device: &Device) {
        let count = device.message_count();
        let seen = std::mem::replace(&mut self.messages, count);
        if seen == count {
            return;
        }
        // Only the first are kept.
        for message in device.messages().into_iter().skip(usize::try_from(seen).unwrap_or(usize::MAX)) {
            let level = match message.severity {
                bayplan_vulkan::Severity::Warning => Severity::Warning,
                bayplan_vulkan::Severity::Error => Severity::Error,
            };
            self.recording.message(level, format!("{}: {}", message.id, message.text));
        }
    }

    /// Tells that the session is ready, and lets the recorder's thread look at the playhead.
    pub(crate) fn ready(&mut self, device: &Device, instruments: &Instruments) {
        if !self.recorder().records(Level::Run) {
            return;
        }
        self.recorder().emit(Event::SessionReady { t: self.recorder().now() });
        self.go_on(device, instruments);
    }

    /// The same of a session that goes on with the recording of one that was ready.
    pub(crate) fn go_on(&mut self, device: &Device, instruments: &Instruments) {
        if self.recorder().records(Level::Run) {
            self.sample(device);
            self.watch(instruments);
        }
    }

    /// Lets the recorder's thread look at the playhead of this session.
    fn watch(&self, instruments: &Instruments) {
        let Some(mut playhead) = self.current.playhead(instruments) else { return };
        let clock = self.recorder().emitter();
        self.recorder().set_probe(move || {
            let (run, plan, op) = playhead.look()?;
            Some(Event::Completed { run, plan, op, t: clock.now() })
        });
    }

    /// Tells that a run of a plan is about to be submitted.
    pub(crate) fn run_started(
        &mut self,
        run: u64,
        plan: Option<u32>,
        places: &Places,
        instruments: &Instruments,
    ) {
        if !self.recorder().records(Level::Run) {
            return;
        }
        self.parts.clear();
        let t = self.recorder().now();
        match plan {
            Some(plan) => {
                self.recorder().emit(Event::RunStart { run, plan, t });
                self.current.begin(run, plan, places, instruments);
            }
            // A run whose plan nobody knows is lost to those who follow, and counted.
            None => self.recorder().lost(EventKind::RunStart),
        }
        self.recorder().add_cost(self.recorder().now() - t);
    }

    /// A part of the run that began at that time is done.
    pub(crate) fn part_ended(&mut self, part: &Part, started: u64) {
        if let Part::Host(op) = part {
            self.current.computed(*op as u32);
        }
        if self.recorder().records(Level::Op) {
            let ended = self.recorder().now();
            self.parts.push(Span { part: part.clone(), started, ended });
        }
    }

    /// Tells that a run (its number, plan, and whether it succeeded) ended, and its op times if they were taken.
    pub(crate) fn run_ended(
        &mut self,
        (run, plan, ok): (u64, Option<u32>, bool),
        places: &Places,
        device: &Device,
        instruments: &Instruments,
    ) {
        if !self.recorder().records(Level::Run) {
            return;
        }
        let t = self.recorder().now();
        self.current.end();
        if let Some(plan) = plan {
            if let Some(times) = ok.then(|| instruments.op_times(&self.parts)).flatten() {
                self.recorder().emit(Event::OpTimes { run, plan, first_op: 0, times });
            }
            self.recorder().emit(Event::RunEnd { run, t, ok });
        }
        self.unplanned(device);
        self.device_messages(device);
        if t >= self.next_sample {
            self.sample(device);
        }
        self.recorder().add_cost(instruments.cost(places) + (self.recorder().now() - t));
    }

    fn sample(&mut self, device: &Device) {
        let t = self.recorder().now();
        for (heap, sample) in (0..).zip(device.heaps()) {
            let bayplan_vulkan::HeapSample { size, usage, budget, .. } = sample;
            self.recorder().emit(Event::HeapSample { t, heap, size, usage, budget });
        }
        self.next_sample = t + SAMPLE_EVERY;
    }

    /// Ends the recording; what happens afterwards is not recorded.
    pub(crate) fn finish(&mut self) -> Summary {
        self.recording.finish()
    }
}

/// A window as the device got it, for the buffer it was meant for: one for each piece of that.
fn actual(
    program: &Program,
    index: &RecordIndex,
    arenas: &Arenas,
    placement: &Placement,
    bound: &BoundWindow,
) -> Vec<Window> {
    let dispatch = program.run.dispatches.get(bound.dispatch as usize);
    // A dispatch's last binding may be its parameters, which are no part of the plan.
    let meant = dispatch.and_then(|dispatch| dispatch.windows.get(bound.binding as usize));
    let Some(meant) = meant else { return Vec::new() };
    let place = || {
        if let Some((arena, at)) = arenas.find(bound.buffer, bound.offset) {
            return Some((RecordIndex::arena(arena), at));
        }
        let at = placement.planned(program, bound.buffer, bound.offset)?;
        Some((RecordIndex::arena(Arena::External), at))
    };
    let (arena, offset) = place().unwrap_or((UNPLANNED, bound.offset));
    let seen = Window {
        op: bound.dispatch,
        binding: bound.binding,
        buffer: UNPLANNED,
        arena,
        offset,
        len: bound.len,
        write: meant.access != bayplan_shaders::Access::Read,
    };
    index.seen(meant, seen)
}
