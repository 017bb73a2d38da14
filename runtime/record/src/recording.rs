//! The recording of a session: what every executor of programs tells in the same way.

use bayplan_trace::{Event, PlanRecord, Window};

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
}

/// A session's recorder, or why there is none; a handle that records nothing if none was asked for.
pub struct Recording {
    recorder: Recorder,
    refused: Option<RecordError>,
}

impl Recording {
    /// Begins a recording of a plan, if there are options for one.
    ///
    /// # Errors
    /// A file that was asked for by name cannot be written. That the folder of recordings cannot be is no error: people
    /// want their results also where nobody can record them.
    pub fn begin(
        options: Option<RecordingOptions>,
        plan: &PlanRecord,
        executor: Executor,
    ) -> Result<Self, RecordError> {
        let Some(options) = options else { return Ok(Self { recorder: Recorder::off(), refused: None }) };
        let Executor { device, driver, api } = executor;
        let options = RecordingOptions { model: plan.model.clone(), device, driver, api, ..options };
        let by_name = options.destination != Destination::Folder;
        match Recorder::create(options, plan) {
            Ok(recorder) => Ok(Self { recorder, refused: None }),
            Err(e) if by_name => Err(e),
            Err(e) => Ok(Self { recorder: Recorder::off(), refused: Some(e) }),
        }
    }

    /// The recorder, for what only it knows: the run's name, the file.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Why nothing is recorded although it was asked for: the folder of recordings cannot be written. Worth a warning.
    pub fn refused(&self) -> Option<&RecordError> {
        self.refused.as_ref()
    }

    /// Tells the windows of a plan as they were bound, for the given number of a recording of commands.
    pub fn windows(&self, recording: u32, plan: u32, windows: &[Window]) {
        let t = self.recorder.now();
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
