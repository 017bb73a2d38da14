//! Reading a recording, and going on as it grows.

use std::path::PathBuf;

use bayplan_trace::{Damage, Event, Reader, Record};

use crate::error::RecordError;
use crate::source::Source;
use crate::stream::{PORTION, Piece, Stream};

/// Bytes read in one poll, so that a viewer can draw in between.
const POLL_BYTES: usize = 4 << 20;
/// Damages that are kept; more are only counted.
const MAX_DAMAGES: usize = 256;

/// Where reading begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the oldest segment that is there.
    #[default]
    Beginning,
    /// At the newest segment, whose keyframe says what holds; in a single file at the last one that has such.
    Latest,
}

/// Whether more is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// The run goes on.
    Live,
    /// The run ended in order.
    Ended,
    /// The recording stops without an end: the process was killed, or the disk was full.
    Lost,
}

/// What one poll came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Records handed out.
    pub records: u64,
    /// Whether all that was there has been read.
    pub caught_up: bool,
    /// Whether more is to come.
    pub state: RunState,
}

/// Damage, and the file it was found in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentDamage {
    /// The segment.
    pub path: PathBuf,
    /// What is damaged.
    pub damage: Damage,
}

/// A part of a recording, as it is read.
#[derive(Debug)]
pub enum Part<'a> {
    /// Chunks that are sound, in their frames as they lie in the file. They come before the records in them.
    Chunks(&'a [u8]),
    /// What they hold.
    Record(Record),
}

/// Reads a recording from its start or its last keyframe and follows it as it grows, across segments.
///
/// [`Follower::poll`] never waits; call it when something may have changed, or a few times a second.
pub struct Follower {
    stream: Stream,
    reader: Reader,
    session_ended: bool,
    state: RunState,
    damages: Vec<SegmentDamage>,
    damage_count: u64,
    portion: Vec<u8>,
}

impl Follower {
    /// Opens a recording.
    ///
    /// # Errors
    /// It is not there, holds no segments, is not made of regular files, or cannot be opened; standard input is a
    /// terminal.
    pub fn open(source: Source, start: Start) -> Result<Self, RecordError> {
        let stream = Stream::open(source, start)?;
        Ok(Self {
            reader: Reader::starting_at(stream.begin()),
            stream,
            session_ended: false,
            state: RunState::Live,
            damages: Vec::new(),
            damage_count: 0,
            portion: vec![0; PORTION],
        })
    }

    /// The recording that is followed.
    pub fn source(&self) -> &Source {
        self.stream.source()
    }

    /// Calls this from a thread of its own whenever something has come through standard input. Nothing of the kind is
    /// told of files: watch or poll them.
    pub fn tell_of_arrivals(&self, tell: impl Fn() + Send + Sync + 'static) {
        self.stream.tell_of_arrivals(tell);
    }

    /// Waits until something has come through standard input, or its end, and returns whether it is worth to poll again:
    /// `false` after that end, and at once for files.
    pub fn wait(&mut self) -> bool {
        self.state == RunState::Live && self.stream.wait()
    }

    /// What was damaged so far, at most 256 of them.
    pub fn damages(&self) -> &[SegmentDamage] {
        &self.damages
    }

    /// How many damages were found so far.
    pub fn damage_count(&self) -> u64 {
        self.damage_count
    }

    /// Hands out the records that have come since the last poll, but no more than a few megabytes of them at once.
    ///
    /// # Errors
    /// The file cannot be read, or is no recording that this version reads.
    pub fn poll(&mut self, mut sink: impl FnMut(Record)) -> Result<Progress, RecordError> {
        self.poll_parts(|part| {
            if let Part::Record(record) = part {
                sink(record);
            }
        })
    }

    fn poll_parts(&mut self, mut sink: impl FnMut(Part<'_>)) -> Result<Progress, RecordError> {
        let mut records = 0;
        let mut left = POLL_BYTES;
        while self.state == RunState::Live {
            match self.stream.read(&mut self.portion)? {
                Piece::Bytes(read) => {
                    self.reader.feed(&self.portion[..read]);
                    records += self.hand_out(&mut sink)?;
                    if self.reader.gave_up() {
                        // For this reader the segment ends here, however long it is.
                        self.stream.skip_segment();
                    }
                    left = left.saturating_sub(read);
                    if left == 0 {
                        return Ok(Progress { records, caught_up: false, state: self.state });
                    }
                }
                Piece::Nothing => break,
                Piece::SegmentEnd => {
                    self.reader.end_segment();
                    records += self.hand_out(&mut sink)?;
                    self.reader.begin_segment();
                }
                Piece::End => {
                    self.reader.end_segment();
                    records += self.hand_out(&mut sink)?;
                    self.state = if self.session_ended { RunState::Ended } else { RunState::Lost };
                }
            }
        }
        Ok(Progress { records, caught_up: true, state: self.state })
    }

    fn hand_out(&mut self, sink: &mut impl FnMut(Part<'_>)) -> Result<u64, RecordError> {
        let mut records = 0;
        let mut chunks = Vec::new();
        let mut pass = |reader: &mut Reader, sink: &mut dyn FnMut(Part<'_>)| {
            reader.take_chunks(&mut chunks);
            if !chunks.is_empty() {
                sink(Part::Chunks(&chunks));
                chunks.clear();
            }
        };
        while let Some(item) = self.reader.next_record() {
            pass(&mut self.reader, sink);
            match item {
                Ok(record) => {
                    match &record {
                        Record::Event(Event::SessionEnd { .. }) => self.session_ended = true,
                        // Another session's recording follows in the same file.
                        Record::Session(_) => self.session_ended = false,
                        _ => {}
                    }
                    records += 1;
                    sink(Part::Record(record));
                }
                Err(damage) if damage.is_fatal() => {
                    return Err(RecordError::Unreadable { path: self.stream.path().to_path_buf(), damage });
                }
                Err(damage) => {
                    self.damage_count += 1;
                    if self.damages.len() < MAX_DAMAGES {
                        self.damages.push(SegmentDamage { path: self.stream.path().to_path_buf(), damage });
                    }
                }
            }
        }
        pass(&mut self.reader, sink);
        Ok(records)
    }
}

/// Reads all that is there of a recording now; of standard input, all until its end.
///
/// # Errors
/// It cannot be opened or read, or is no recording that this version reads.
pub fn read(
    source: Source,
    mut sink: impl FnMut(Record),
) -> Result<(RunState, Vec<SegmentDamage>), RecordError> {
    let follower = Follower::open(source, Start::Beginning)?;
    read_all(follower, |part| {
        if let Part::Record(record) = part {
            sink(record);
        }
    })
}

/// As [`read`], with the bytes of the chunks beside the records in them.
///
/// # Errors
/// As those of [`read`].
pub fn read_parts(
    source: Source,
    sink: impl FnMut(Part<'_>),
) -> Result<(RunState, Vec<SegmentDamage>), RecordError> {
    let mut follower = Follower::open(source, Start::Beginning)?;
    follower.reader.keep_chunks();
    read_all(follower, sink)
}

fn read_all(
    mut follower: Follower,
    mut sink: impl FnMut(Part<'_>),
) -> Result<(RunState, Vec<SegmentDamage>), RecordError> {
    loop {
        let progress = follower.poll_parts(&mut sink)?;
        if progress.caught_up && !follower.wait() {
            return Ok((progress.state, follower.damages));
        }
    }
}
