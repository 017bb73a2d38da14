//! Who made a recording, and the state that lets a reader begin in its middle.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::schema::event::{Event, EventKind, Nanos};
use crate::schema::plan_record::PlanRecord;
use crate::schema::roofs::Roofs;
use crate::schema::totals::Totals;
use crate::timeline::plan_sums::PlanSums;
use crate::timeline::pool::PoolTotals;

/// What is known about a session when its recording begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionInfo {
    /// Name of the run: `<pid>-<start>`.
    pub id: String,
    /// Name of the model.
    pub model: String,
    /// Name of the device.
    pub device: String,
    /// Name and version of the driver.
    pub driver: String,
    /// Interface version of the device, such as `Vulkan 1.3.255`.
    pub api: String,
    /// Version of bayplan that wrote the recording.
    pub version: String,
    /// How much is recorded.
    pub level: Level,
    /// Process id.
    pub pid: u32,
    /// Wall-clock time at which the session's clock read 0, in nanoseconds since the Unix epoch.
    pub start_unix_ns: u64,
    /// What the recording was made from, in words, where nothing ran while it was made: `PyTorch memory snapshot x.pickle`.
    /// Empty for the recording of a run.
    pub origin: String,
    /// What the device does at most, where that was measured; recordings of format 1.3 and before do not say it.
    pub roofs: Option<Roofs>,
}

impl SessionInfo {
    /// Whether the recording was made of what another program wrote.
    pub fn is_imported(&self) -> bool {
        !self.origin.is_empty()
    }

    /// Its texts by the names that other programs are told; empty ones too.
    pub fn named(&self) -> [(&'static str, &str); 8] {
        [
            ("run", &self.id),
            ("model", &self.model),
            ("device", &self.device),
            ("driver", &self.driver),
            ("api", &self.api),
            ("version", &self.version),
            ("origin", &self.origin),
            ("level", self.level.name()),
        ]
    }
}

/// How much is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing.
    Off,
    /// Runs, windows, memory: nothing per op and run but the playhead.
    #[default]
    Run,
    /// All of it: also device times of every op.
    Op,
}

impl Level {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Run => "run",
            Self::Op => "op",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no [`Level`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownLevel;

impl fmt::Display for UnknownLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the trace level is one of off, run, op")
    }
}

impl core::error::Error for UnknownLevel {}

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(word: &str) -> Result<Self, UnknownLevel> {
        [Self::Off, Self::Run, Self::Op].into_iter().find(|l| l.name() == word).ok_or(UnknownLevel)
    }
}

/// The state at the start of a segment: what a reader must know that has not read the segments before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keyframe {
    /// When the state was taken.
    pub t: Nanos,
    /// Runs submitted so far.
    pub runs_started: u64,
    /// Runs that succeeded so far.
    pub runs_ok: u64,
    /// Runs that failed so far.
    pub runs_failed: u64,
    /// Events lost so far, by kind; kinds without loss are absent.
    pub dropped: Vec<(EventKind, u64)>,
    /// Sums over all runs so far; recordings of format 1.1 and before do not say them.
    pub totals: Option<Box<Totals>>,
    /// What the pools came to so far, by their number.
    pub pools: Vec<(u32, PoolTotals)>,
    /// What the runs of each plan came to so far, by its number: of plans that runs may still be of. Recordings of format 1.2
    /// and before do not say it.
    pub plans: Vec<(u32, PlanSums)>,
    /// Events that restate what holds: ready, live device blocks, pools and their ranges, the last sample of each heap, the
    /// windows of each plan, the last start and playhead, the cost of tracing. They happened before; they are not to be
    /// counted again.
    pub state: Vec<Event>,
}

/// One item of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Who made the recording. The first record.
    Session(SessionInfo),
    /// A plan and its number in the session.
    Plan {
        /// The number that events name it by.
        plan: u32,
        /// The plan.
        record: PlanRecord,
    },
    /// The state at this point. It comes where a reader lacks what went before: at the start of a recording whose
    /// first segments are gone, and after a gap.
    Keyframe(Keyframe),
    /// Something that happened.
    Event(Event),
}
