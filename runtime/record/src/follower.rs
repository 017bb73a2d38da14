//! Reading a recording, and going on as it grows.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use bayplan_trace::{Damage, Event, Reader, Record};

use crate::error::RecordError;
use crate::segments::{list_segments, open_file};
use crate::source::Source;

/// Bytes read at a time.
const PORTION: usize = 64 << 10;
/// Bytes read in one poll, so that a viewer can draw in between.
const POLL_BYTES: usize = 4 << 20;
/// Damages that are kept; more are only counted.
const MAX_DAMAGES: usize = 256;
/// How often opening is tried again when the segment has just been removed by retention.
const OPEN_TRIES: usize = 16;

/// Where reading begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the oldest segment that is there.
    #[default]
    Beginning,
    /// At the newest segment, whose keyframe says what holds. A single file is read from its beginning.
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

/// Reads a recording from its start or its last keyframe and follows it as it grows, across segments.
///
/// [`Follower::poll`] never waits; call it when something may have changed, or a few times a second.
pub struct Follower {
    source: Source,
    is_folder: bool,
    number: u64,
    path: PathBuf,
    file: File,
    reader: Reader,
    /// At the end of the file something was seen that means it will not grow; it is read once more before that counts.
    end_seen: bool,
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
    /// It is not there, holds no segments, is not made of regular files, or cannot be opened.
    pub fn open(source: Source, start: Start) -> Result<Self, RecordError> {
        let is_folder = source.path.is_dir();
        let (number, path, file) = if is_folder {
            open_segment(&source.path, start)?
        } else {
            (1, source.path.clone(), open_file(&source.path)?)
        };
        Ok(Self {
            source,
            is_folder,
            number,
            path,
            file,
            reader: Reader::new(),
            end_seen: false,
            session_ended: false,
            state: RunState::Live,
            damages: Vec::new(),
            damage_count: 0,
            portion: vec![0; PORTION],
        })
    }

    /// The recording that is followed.
    pub fn source(&self) -> &Source {
        &self.source
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
        let mut records = 0;
        let mut left = POLL_BYTES;
        while self.state == RunState::Live {
            let read = self.read_portion()?;
            if read > 0 {
                self.end_seen = false;
                records += self.hand_out(&mut sink)?;
                left = left.saturating_sub(read);
                if left == 0 {
                    return Ok(Progress { records, caught_up: false, state: self.state });
                }
                continue;
            }
            let next = self.next_segment()?;
            if next.is_none() && self.source.is_live() {
                break;
            }
            // What was written before the next segment came, or before the process ended, may have come after the
            // read above: read again before going on.
            if !std::mem::replace(&mut self.end_seen, true) {
                continue;
            }
            self.reader.end_segment();
            records += self.hand_out(&mut sink)?;
            self.end_seen = false;
            match next {
                Some((number, path, file)) => {
                    (self.number, self.path, self.file) = (number, path, file);
                    self.reader.begin_segment();
                }
                None => self.state = if self.session_ended { RunState::Ended } else { RunState::Lost },
            }
        }
        Ok(Progress { records, caught_up: true, state: self.state })
    }

    fn read_portion(&mut self) -> Result<usize, RecordError> {
        if self.reader.gave_up() {
            // For this reader the file ends here, however long it is.
            return Ok(0);
        }
        loop {
            match self.file.read(&mut self.portion) {
                Ok(read) => {
                    self.reader.feed(&self.portion[..read]);
                    return Ok(read);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(RecordError::io("read", &self.path)(error)),
            }
        }
    }

    fn hand_out(&mut self, sink: &mut impl FnMut(Record)) -> Result<u64, RecordError> {
        let mut records = 0;
        while let Some(item) = self.reader.next_record() {
            match item {
                Ok(record) => {
                    match &record {
                        Record::Event(Event::SessionEnd { .. }) => self.session_ended = true,
                        // Another session's recording follows in the same file.
                        Record::Session(_) => self.session_ended = false,
                        _ => {}
                    }
                    records += 1;
                    sink(record);
                }
                Err(damage) if damage.is_fatal() => {
                    return Err(RecordError::Unreadable { path: self.path.clone(), damage });
                }
                Err(damage) => {
                    self.damage_count += 1;
                    if self.damages.len() < MAX_DAMAGES {
                        self.damages.push(SegmentDamage { path: self.path.clone(), damage });
                    }
                }
            }
        }
        Ok(records)
    }

    /// Opens the segment that follows the current one, if there is one.
    fn next_segment(&self) -> Result<Option<(u64, PathBuf, File)>, RecordError> {
        if !self.is_folder {
            return Ok(None);
        }
        let segments = match list_segments(&self.source.path) {
            Ok(segments) => segments,
            // The whole recording was removed: there is no next one.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(RecordError::io("list", &self.source.path)(error)),
        };
        for (number, path) in segments.into_iter().filter(|(number, _)| *number > self.number) {
            match open_file(&path) {
                Ok(file) => return Ok(Some((number, path, file))),
                // Retention was faster: take the one after it.
                Err(error) if error.is_absent() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// Opens the segment of a folder that reading begins with.
fn open_segment(folder: &Path, start: Start) -> Result<(u64, PathBuf, File), RecordError> {
    for _ in 0..OPEN_TRIES {
        let mut segments = list_segments(folder).map_err(RecordError::io("list", folder))?;
        if start == Start::Latest {
            segments.reverse();
            // The newest one may not have got as far as its keyframe.
            let readable = segments.iter().position(|(number, path)| has_head(*number, path)).unwrap_or(0);
            segments.drain(..readable);
        }
        let Some((number, path)) = segments.into_iter().next() else {
            return Err(RecordError::EmptyFolder { path: folder.to_path_buf() });
        };
        match open_file(&path) {
            Ok(file) => return Ok((number, path, file)),
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(error),
        }
    }
    Err(RecordError::EmptyFolder { path: folder.to_path_buf() })
}

/// Whether a segment says who records, what the plan is and, but for the first segment, what holds.
fn has_head(number: u64, path: &Path) -> bool {
    let Ok(mut file) = open_file(path) else { return false };
    let mut reader = Reader::new();
    let mut portion = vec![0; PORTION];
    while let Ok(read @ 1..) = file.read(&mut portion) {
        reader.feed(&portion[..read]);
        while let Some(item) = reader.next_record() {
            match item {
                Ok(Record::Keyframe(_)) => return true,
                Ok(Record::Plan { .. }) if number == 1 => return true,
                Ok(Record::Event(_)) | Err(_) => return false,
                Ok(_) => {}
            }
        }
    }
    false
}

/// Reads all that is there of a recording now.
///
/// # Errors
/// It cannot be opened or read, or is no recording that this version reads.
pub fn read(
    source: Source,
    mut sink: impl FnMut(Record),
) -> Result<(RunState, Vec<SegmentDamage>), RecordError> {
    let mut follower = Follower::open(source, Start::Beginning)?;
    loop {
        let progress = follower.poll(&mut sink)?;
        if progress.caught_up {
            return Ok((progress.state, follower.damages));
        }
    }
}
