//! The bytes of a recording, as they are, for pipes.

use std::io::{self, Write};

use crate::error::RecordError;
use crate::follower::Start;
use crate::source::Source;
use crate::stream::{PORTION, Piece, Stream};

/// Hands out the bytes of a recording from its start or its last keyframe on, segment after segment, and follows it as
/// it grows. Every segment is a whole trace and so is their concatenation: what comes out is a recording.
pub struct Tail {
    stream: Stream,
    portion: Vec<u8>,
}

/// Why a tail stopped.
#[derive(Debug)]
pub enum TailError {
    /// The recording cannot be read.
    Read(RecordError),
    /// What is read cannot be written.
    Write(io::Error),
}

impl Tail {
    /// Opens a recording.
    ///
    /// # Errors
    /// It is not there, holds no segments, is not made of regular files, or cannot be opened.
    pub fn open(source: Source, start: Start) -> Result<Self, RecordError> {
        Ok(Self { stream: Stream::open(source, start)?, portion: vec![0; PORTION] })
    }

    /// Writes what has come since the last call; returns whether more may come.
    ///
    /// # Errors
    /// The recording cannot be read, or `out` refuses what was read.
    pub fn copy(&mut self, out: &mut impl Write) -> Result<bool, TailError> {
        loop {
            match self.stream.read(&mut self.portion).map_err(TailError::Read)? {
                Piece::Bytes(read) => out.write_all(&self.portion[..read]).map_err(TailError::Write)?,
                Piece::SegmentEnd => {}
                Piece::Nothing => return Ok(true),
                Piece::End => return Ok(false),
            }
        }
    }

    /// Waits until something has come through standard input, or its end, and is `true` then; `false` at once for files,
    /// which tell nobody of what is appended.
    pub fn wait(&mut self) -> bool {
        self.stream.wait()
    }
}
