//! The descriptor of a live run: a small JSON file that says where its recording lies.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::RecordError;
use crate::places::Places;
use crate::process;
use crate::small_json;

/// Version of the descriptor's format.
const VERSION: u32 = 1;

/// What is known about a run without opening its recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// Version of this format.
    pub format: u32,
    /// Name of the run: `<pid>-<start>`, the start in milliseconds since the Unix epoch.
    pub id: String,
    /// Process id.
    pub pid: u32,
    /// When the process began, in the system's ticks since boot: tells it from a later process with the same id.
    pub process_start: Option<u64>,
    /// When the session began, in nanoseconds since the Unix epoch.
    pub start_unix_ns: u64,
    /// Name of the model.
    pub model: String,
    /// Name of the device.
    pub device: String,
    /// The recording: a file or a folder of segments.
    pub recording: PathBuf,
    /// Version of bayplan.
    pub version: String,
}

impl Descriptor {
    pub(crate) const FORMAT: u32 = VERSION;

    /// Whether the process that records this run is still there.
    pub fn is_alive(&self) -> bool {
        process::is_alive(self.pid, self.process_start)
    }

    /// Where the descriptor of the run lies.
    pub(crate) fn path(places: &Places, id: &str) -> PathBuf {
        places.live.join(format!("{id}.json"))
    }

    /// Writes it into a folder so that a reader sees all of it or nothing.
    pub(crate) fn write(&self, folder: &Path) -> Result<PathBuf, RecordError> {
        let path = folder.join(format!("{}.json", self.id));
        let temporary = folder.join(format!(".{}.new", self.id));
        small_json::replace(&path, &temporary, self)?;
        Ok(path)
    }

    /// Reads one; `None` if it is not one that this version knows.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let descriptor: Self = small_json::read(path)?;
        let named = path.file_stem().is_some_and(|stem| stem.to_string_lossy() == descriptor.id);
        (descriptor.format == VERSION && named).then_some(descriptor)
    }
}
