//! Recordings on disk: writing, discovery, following.
//!
//! ```text
//! session thread(s)                drain thread                            viewer, report, check
//!   Recorder::emit ──► ring ──► encode ──► NNNN.bptrace ◄── Follower::poll ──► records
//!                       │ full: counted                ▲
//!                       ▼                              │ where?  discovery: <pid>-<start>.json per live run
//!                     Dropped                          └ recordings: runs/<pid>-<start>/
//! ```
//! The recording is the live stream: a viewer reads what the recorder appends. Nothing that reads can slow what
//! writes, and what was written before a kill stays readable.
//!
//! A full disk is no reason to end a run either. What was written stays, and nothing of it is removed to make room: another
//! program might take that, and neither would be left. What cannot be written is counted; writing is tried again some four
//! times a second while something happens, and where there is room again the recording goes on with all that holds, the
//! losses counted in it. [`Summary::disk_error`] tells what is missing. A limit to the size of files (`ulimit -f`) is a full disk, without
//! the signal that would end the process.
#![forbid(unsafe_code)]

mod arrivals;
mod attach;
mod clock;
mod descriptor;
mod discovery;
mod disk;
mod drain;
mod emitter;
mod error;
mod follower;
mod history;
mod lane;
mod packed;
mod pipe;
mod places;
mod process;
mod recorder;
mod recording;
mod ring;
mod roofs;
mod segments;
mod small_json;
mod source;
mod stream;
mod tail;

pub use arrivals::{Arrivals, Watch};
pub use clock::{Clock, MonotonicClock};
pub use descriptor::Descriptor;
pub use discovery::{RecordingEntry, live_runs, recordings};
pub use disk::DiskError;
pub use emitter::Emitter;
pub use error::RecordError;
pub use follower::{
    Follower, Part, Progress, RunState, SegmentDamage, Start, read, read_parts, read_with_chunks,
};
pub use history::{Chapter, History};
pub use places::Places;
pub use recorder::{Destination, Recorder, RecordingOptions, Summary};
pub use recording::{Executor, Recording};
pub use roofs::MeasuredDevice;
pub use segments::Retention;
pub use source::{Source, open};
pub use tail::{Tail, TailError};
