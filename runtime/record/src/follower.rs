//! Reading a recording, and going on as it grows.

use std::path::PathBuf;

use bayplan_trace::{Damage, EventRef, Reader, Record, Visitor};

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
    /// A session, a plan or a keyframe.
    Record(Record),
    /// An event, without a copy of its own: a recording holds millions.
    Event(EventRef<'a>),
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

    /// Bytes of the recording that were passed so far, of all segments; what was left out at the start of a single file counts.
    pub fn passed(&self) -> u64 {
        self.stream.passed()
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
        self.poll_parts(|part| records(part, &mut sink))
    }

    /// As [`Follower::poll`], much faster where there are many events.
    ///
    /// # Errors
    /// As those of [`Follower::poll`].
    pub fn poll_parts(&mut self, mut sink: impl FnMut(Part<'_>)) -> Result<Progress, RecordError> {
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
        let mut hands = Hands {
            sink,
            records: 0,
            session_ended: &mut self.session_ended,
            record: None,
            damages: Vec::new(),
        };
        let mut chunks = Vec::new();
        while self.reader.visit_some(&mut hands) {
            self.reader.take_chunks(&mut chunks);
            if !chunks.is_empty() {
                (hands.sink)(Part::Chunks(&chunks));
                chunks.clear();
            }
            hands.hand_on();
        }
        let Hands { records, damages, .. } = hands;
        for damage in damages {
            if damage.is_fatal() {
                return Err(RecordError::Unreadable { path: self.stream.path().to_path_buf(), damage });
            }
            self.damage_count += 1;
            if self.damages.len() < MAX_DAMAGES {
                self.damages.push(SegmentDamage { path: self.stream.path().to_path_buf(), damage });
            }
        }
        Ok(records)
    }
}

/// Between a reader and whoever follows.
struct Hands<'h, S> {
    sink: &'h mut S,
    records: u64,
    session_ended: &'h mut bool,
    /// What was read and waits until its chunk was handed on.
    record: Option<Record>,
    damages: Vec<Damage>,
}

impl<S: FnMut(Part<'_>)> Hands<'_, S> {
    fn hand_on(&mut self) {
        if let Some(record) = self.record.take() {
            (self.sink)(Part::Record(record));
        }
    }
}

impl<S: FnMut(Part<'_>)> Visitor for Hands<'_, S> {
    fn record(&mut self, record: Record) {
        if matches!(record, Record::Session(_)) {
            // Another session's recording may follow in the same file.
            *self.session_ended = false;
        }
        self.records += 1;
        self.record = Some(record);
    }

    #[inline]
    fn event(&mut self, event: EventRef<'_>) {
        if matches!(event, EventRef::SessionEnd { .. }) {
            *self.session_ended = true;
        }
        self.records += 1;
        (self.sink)(Part::Event(event));
    }

    fn damage(&mut self, damage: Damage) {
        self.damages.push(damage);
    }
}

/// Hands on what is a record, an event as one of its own.
fn records(part: Part<'_>, sink: &mut impl FnMut(Record)) {
    match part {
        Part::Record(record) => sink(record),
        Part::Event(event) => sink(Record::Event(event.to_event())),
        Part::Chunks(_) => {}
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
    read_parts(source, |part| records(part, &mut sink))
}

/// As [`read`], much faster where there are many events.
///
/// # Errors
/// As those of [`read`].
pub fn read_parts(
    source: Source,
    sink: impl FnMut(Part<'_>),
) -> Result<(RunState, Vec<SegmentDamage>), RecordError> {
    read_all(Follower::open(source, Start::Beginning)?, sink)
}

/// As [`read_parts`], with the bytes of the chunks before what they hold.
///
/// # Errors
/// As those of [`read`].
pub fn read_with_chunks(
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
