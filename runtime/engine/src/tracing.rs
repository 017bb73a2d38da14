//! What a session tells its recording.

use bayplan_compile::{Program, RecordIndex, record};
use bayplan_record::{Executor, RecordError, Recorder, Recording, RecordingOptions, Summary};
use bayplan_trace::{Event, EventKind, Level, UNPLANNED, Window};
use bayplan_vulkan::{AllocationEvent, BoundWindow, Commands};

use crate::arena::Arenas;
use crate::device::Device;
use crate::instruments::{CurrentRun, Instruments};
use crate::memory::Planned;

/// Heaps are sampled at most this often, in nanoseconds.
const SAMPLE_EVERY: u64 = 500_000_000;

/// A session has one plan and one command buffer of it.
const PLAN: u32 = 0;
const RECORDING: u32 = 0;

/// The recording of a session; a handle that records nothing if none was asked for.
pub struct Trace {
    recording: Recording,
    current: CurrentRun,
    next_sample: u64,
}

impl Trace {
    /// Begins a recording, with the program's plan.
    ///
    /// # Errors
    /// A file that was asked for by name cannot be written.
    pub(crate) fn begin(
        options: Option<RecordingOptions>,
        program: &Program,
        device: &Device,
    ) -> Result<Self, RecordError> {
        let info = device.info();
        let executor = Executor {
            device: info.name.clone(),
            driver: info.driver.clone(),
            api: format!("Vulkan {}", info.api_version),
        };
        let recording = Recording::begin(options, &record(program), executor)?;
        Ok(Self { recording, current: CurrentRun::new(), next_sample: 0 })
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

    /// Tells of the session's own device memory.
    pub(crate) fn planned(&self, memory: Vec<Planned>) {
        let t = self.recorder().now();
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

    /// Tells of device memory that no session planned.
    fn unplanned(&self, device: &Device) {
        let unplanned = device.ledger.unplanned(&device.vulkan);
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

    /// Tells the windows of the run program as they were recorded.
    pub(crate) fn windows(&self, program: &Program, commands: &Commands, arenas: &Arenas) {
        if !self.recorder().records(Level::Run) {
            return;
        }
        let index = RecordIndex::new(program);
        let seen: Vec<Window> =
            commands.windows().iter().filter_map(|bound| actual(program, &index, arenas, bound)).collect();
        self.recording.windows(RECORDING, PLAN, &seen);
    }

    /// Tells that the session is ready, and lets the recorder's thread look at the playhead.
    pub(crate) fn ready(&mut self, device: &Device, instruments: &Instruments) {
        if !self.recorder().records(Level::Run) {
            return;
        }
        self.recorder().emit(Event::SessionReady { t: self.recorder().now() });
        self.sample(device);
        let Some(marks) = instruments.marks() else { return };
        let (mut playhead, clock) = (self.current.playhead(marks.clone()), self.recorder().emitter());
        self.recorder().set_probe(move || {
            let (run, op) = playhead.look()?;
            Some(Event::Completed { run, plan: PLAN, op, t: clock.now() })
        });
    }

    /// Tells that a run is about to be submitted. Answers when, on the session's clock.
    pub(crate) fn run_started(&self, run: u64, instruments: &Instruments) -> u64 {
        if !self.recorder().records(Level::Run) {
            return 0;
        }
        let t = self.recorder().now();
        self.recorder().emit(Event::RunStart { run, plan: PLAN, t });
        self.current.begin(run, instruments.marks());
        self.recorder().add_cost(self.recorder().now() - t);
        t
    }

    /// Tells that a run ended, and its op times if they were taken.
    pub(crate) fn run_ended(
        &mut self,
        run: u64,
        started: u64,
        ok: bool,
        device: &Device,
        instruments: &Instruments,
    ) {
        if !self.recorder().records(Level::Run) {
            return;
        }
        let t = self.recorder().now();
        self.current.end();
        if let Some(times) = ok.then(|| instruments.op_times(started, t)).flatten() {
            self.recorder().emit(Event::OpTimes { run, plan: PLAN, first_op: 0, times });
        }
        self.recorder().emit(Event::RunEnd { run, t, ok });
        self.unplanned(device);
        if t >= self.next_sample {
            self.sample(device);
        }
        self.recorder().add_cost(instruments.cost() + (self.recorder().now() - t));
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

/// A window as the device got it, for the buffer it was meant for.
fn actual(program: &Program, index: &RecordIndex, arenas: &Arenas, bound: &BoundWindow) -> Option<Window> {
    // A dispatch's last binding may be its parameters, which are no part of the plan.
    let meant = program.run.dispatches.get(bound.dispatch as usize)?.windows.get(bound.binding as usize)?;
    let (arena, start) =
        arenas.find(bound.buffer).map_or((UNPLANNED, 0), |(arena, start)| (RecordIndex::arena(arena), start));
    Some(Window {
        op: bound.dispatch,
        binding: bound.binding,
        buffer: index.get(meant.buffer).unwrap_or(UNPLANNED),
        arena,
        offset: start + bound.offset,
        len: bound.len,
        write: meant.access != bayplan_shaders::Access::Read,
    })
}
