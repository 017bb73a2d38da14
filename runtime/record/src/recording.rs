//! The recording of a session: what every executor of programs tells in the same way.

use bayplan_text::Bytes;
use bayplan_trace::{Event, Level, PlanRecord, Roofs, Severity, Window};

use crate::arrivals::{Arrivals, Watch};
use crate::emitter::Emitter;
use crate::error::RecordError;
use crate::recorder::{Destination, Recorder, RecordingOptions, Summary};

/// Windows per event: large plans are told in parts, so that no event is large.
const WINDOWS_PER_EVENT: usize = 1024;

/// What executes a program, as recordings name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Executor {
    /// Name of the device.
    pub device: String,
    /// Name and version of the driver.
    pub driver: String,
    /// Interface version, such as `Vulkan 1.3.255`.
    pub api: String,
    /// What it does at most, where that is known.
    pub roofs: Option<Roofs>,
}

/// A session's recorder, or why there is none; a handle that records nothing if none was asked for.
///
/// Sessions that take turns for one caller, one for each plan of a model, have one recording together: it belongs to
/// the session that runs, and [`Recording::hand_over`] passes it on.
pub struct Recording {
    recorder: Recorder,
    refused: Option<RecordError>,
    /// Recordings of commands told so far.
    commands: u32,
    /// Dynamic pools told so far.
    pools: u32,
}

impl Default for Recording {
    /// Records nothing.
    fn default() -> Self {
        Self::off(None)
    }
}

impl Recording {
    /// Begins a recording of a plan, if there are options for one.
    ///
    /// # Errors
    /// A file that was asked for by name cannot be written. That the folder of recordings cannot be is no error, nor is a
    /// disk without room: people want their results also where nobody can record them.
    pub fn begin(
        options: Option<RecordingOptions>,
        plan: &PlanRecord,
        executor: Executor,
    ) -> Result<Self, RecordError> {
        let Some(options) = options else { return Ok(Self::off(None)) };
        let Executor { device, driver, api, roofs } = executor;
        let options = RecordingOptions { model: plan.model.clone(), device, driver, api, roofs, ..options };
        let by_name = options.destination != Destination::Folder;
        match Recorder::create(options, plan) {
            Ok(recorder) => Ok(Self { recorder, refused: None, commands: 0, pools: 0 }),
            Err(e) if by_name && !e.is_lack_of_room() => Err(e),
            Err(e) => Ok(Self::off(Some(e))),
        }
    }

    /// Records nothing.
    fn off(refused: Option<RecordError>) -> Self {
        Self { recorder: Recorder::off(), refused, commands: 0, pools: 0 }
    }

    /// Passes the recording on to another session, which goes on with it; this one records nothing from here on. Nobody is
    /// asked for the playhead until the other session says whom to ask.
    #[must_use = "the recording ends where nobody takes it"]
    pub fn hand_over(&mut self) -> Self {
        self.recorder.clear_probe();
        std::mem::take(self)
    }

    /// The recorder, for what only it knows: the run's name, the file.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Why nothing is recorded although it was asked for: the folder of recordings cannot be written. Worth a warning.
    pub fn refused(&self) -> Option<&RecordError> {
        self.refused.as_ref()
    }

    /// Tells people something; at [`Level::Off`] nobody reads it.
    pub fn message(&self, level: Severity, text: String) {
        self.recorder.emit(Event::Message { t: self.recorder.now(), level, text });
    }

    /// Tells people that the arena of outputs that callers keep grew by so many bytes.
    pub fn output_arena_grew(&self, bytes: u64) {
        let text =
            format!("the output arena grew by {}: callers keep more than it was built for", Bytes(bytes));
        self.message(Severity::Warning, text);
    }

    /// The number that events name one more dynamic pool by, and what records them. `None` where nothing is recorded.
    pub fn pool(&mut self) -> Option<(u32, Emitter)> {
        if !self.recorder.records(Level::Run) {
            return None;
        }
        let pool = self.pools;
        self.pools += 1;
        Some((pool, self.recorder.emitter()))
    }

    /// Begins to load weights of so many bytes, as they are stored; `watch` is told of every piece, whether or not anything is
    /// recorded. A load that is not finished before its session is built goes on telling the recording.
    pub fn loading(&self, total: u64, watch: Option<Watch>) -> Arrivals {
        Arrivals::begin(total, watch, self.recorder.emitter())
    }

    /// Tells the windows of a plan as they were bound when its commands were recorded.
    pub fn windows(&mut self, plan: u32, windows: &[Window]) {
        let (t, recording) = (self.recorder.now(), self.commands);
        self.commands = self.commands.wrapping_add(1);
        for (part, windows) in (0..).zip(windows.chunks(WINDOWS_PER_EVENT)) {
            let windows = windows.to_vec();
            self.recorder.emit(Event::Windows { t, recording, plan, part, windows });
        }
    }

    /// Ends the recording; what happens afterwards is not recorded.
    pub fn finish(&mut self) -> Summary {
        std::mem::replace(&mut self.recorder, Recorder::off()).finish()
    }
}
