//! What could not be read of a recording, and why.

use alloc::string::String;
use core::fmt;

use crate::format::chunk::FORMAT_MAJOR;

/// Something in a recording that could not be read. Reading goes on behind it, unless it [`Damage::is_fatal`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Byte offset in the segment.
    pub offset: u64,
    /// What it is.
    pub cause: DamageCause,
}

/// What is wrong at a place of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DamageCause {
    /// The bytes end inside a frame: the writer was stopped there, or is still writing.
    Truncated {
        /// How many bytes follow the last whole frame.
        bytes: u64,
    },
    /// No frame begins here.
    Frame,
    /// A chunk's bytes do not have the chunk's checksum.
    Checksum,
    /// A chunk's contents do not decode although the checksum holds.
    Content {
        /// What was wrong.
        reason: String,
    },
    /// Chunks are missing before this one.
    Missing {
        /// How many.
        chunks: u64,
    },
    /// There is no chunk for so long that the rest of the segment is not read.
    Void {
        /// How many bytes were searched at least.
        bytes: u64,
    },
    /// The recording was written in a major version this program does not know. Fatal.
    Version {
        /// The version found.
        found: u8,
    },
    /// The bytes are no recording of bayplan. Fatal.
    NotARecording,
}

impl Damage {
    /// Whether nothing more can be read.
    pub fn is_fatal(&self) -> bool {
        matches!(self.cause, DamageCause::Version { .. } | DamageCause::NotARecording)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.offset;
        match &self.cause {
            DamageCause::Truncated { bytes } => {
                write!(
                    f,
                    "the recording ends in the middle of a frame: the last {bytes} bytes, from byte {at}, are lost"
                )
            }
            DamageCause::Frame => write!(f, "the recording is damaged at byte {at}: no frame begins there"),
            DamageCause::Checksum => {
                write!(f, "the recording is damaged at byte {at}: the checksum of the chunk there is wrong")
            }
            DamageCause::Content { reason } => {
                write!(f, "the chunk at byte {at} of the recording does not decode: {reason}")
            }
            DamageCause::Missing { chunks } => {
                write!(f, "{chunks} chunks of the recording are missing before byte {at}")
            }
            DamageCause::Void { bytes } => {
                write!(
                    f,
                    "the recording holds no record in {bytes} bytes from byte {at}; the rest is not read"
                )
            }
            DamageCause::Version { found } => write!(
                f,
                "the recording has format version {found}; this bayplan reads version {FORMAT_MAJOR}: open it with \
                 the bayplan that wrote it"
            ),
            DamageCause::NotARecording => f.write_str("this is not a recording of bayplan"),
        }
    }
}

impl core::error::Error for Damage {}
