//! The bytes of a recording as they come: of a file, of a folder's segments one after the other, or of a pipe.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use bayplan_trace::{Reader, Record};

use crate::attach::seek_to_last_segment;
use crate::error::RecordError;
use crate::follower::Start;
use crate::pipe::{Arrived, Pipe};
use crate::segments::{list_segments, open_file};
use crate::source::Source;

/// Bytes read at a time.
pub(crate) const PORTION: usize = 64 << 10;
/// How often opening is tried again when the segment has just been removed by retention.
const OPEN_TRIES: usize = 16;

/// What reading on came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// So many bytes of the segment.
    Bytes(usize),
    /// The segment is over; what is read next is of the one that follows.
    SegmentEnd,
    /// All that was there has been read; more may come.
    Nothing,
    /// All has been read, and no more will come.
    End,
}

/// A recording that is read as bytes. Reading never waits.
pub(crate) struct Stream {
    source: Source,
    input: Input,
    path: PathBuf,
    /// Offset in the first file at which reading begins.
    begin: u64,
    /// Bytes that were read.
    read: u64,
    /// The segment to go on with.
    next: Option<(u64, PathBuf, File)>,
    /// The rest of the segment is of no use to whoever reads.
    skipped: bool,
    /// At the end of the file something was seen that means it will not grow; it is read once more before that counts.
    end_seen: bool,
}

enum Input {
    File(File),
    Folder { number: u64, file: File },
    Pipe(Pipe),
}

impl Stream {
    pub(crate) fn open(source: Source, start: Start) -> Result<Self, RecordError> {
        let mut begin = 0;
        let (path, input) = if source.is_standard_input() {
            (source.path.clone(), Input::Pipe(Pipe::standard_input()?))
        } else if source.path.is_dir() {
            let (number, path, file) = open_segment(&source.path, start)?;
            (path, Input::Folder { number, file })
        } else {
            let mut file = open_file(&source.path)?;
            if start == Start::Latest {
                begin = seek_to_last_segment(&mut file).map_err(RecordError::io("read", &source.path))?;
            }
            (source.path.clone(), Input::File(file))
        };
        Ok(Self { source, input, path, begin, read: 0, next: None, skipped: false, end_seen: false })
    }

    /// Offset in the first file at which reading begins.
    pub(crate) fn begin(&self) -> u64 {
        self.begin
    }

    /// Bytes passed so far, those before the place where reading began among them.
    pub(crate) fn passed(&self) -> u64 {
        self.begin.saturating_add(self.read)
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// The file that was read last.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the rest of the segment out.
    pub(crate) fn skip_segment(&mut self) {
        self.skipped = true;
    }

    /// Calls this whenever bytes have come through a pipe, or its end. Files tell nobody of what is appended.
    pub(crate) fn tell_of_arrivals(&self, tell: impl Fn() + Send + Sync + 'static) {
        if let Input::Pipe(pipe) = &self.input {
            pipe.tell_of_arrivals(tell);
        }
    }

    /// Waits until something has come through a pipe, or its end, and is `true` then; `false` at once for files.
    pub(crate) fn wait(&mut self) -> bool {
        match &mut self.input {
            Input::Pipe(pipe) => {
                pipe.wait();
                true
            }
            Input::File(_) | Input::Folder { .. } => false,
        }
    }

    /// Reads on.
    pub(crate) fn read(&mut self, portion: &mut [u8]) -> Result<Piece, RecordError> {
        if let Some((number, path, file)) = self.next.take() {
            self.input = Input::Folder { number, file };
            (self.path, self.skipped, self.end_seen) = (path, false, false);
        }
        loop {
            match self.arrived(portion)? {
                Arrived::Bytes(read) => {
                    self.end_seen = false;
                    self.read = self.read.saturating_add(read as u64);
                    return Ok(Piece::Bytes(read));
                }
                Arrived::Nothing => return Ok(Piece::Nothing),
                Arrived::End => {}
            }
            self.next = self.next_segment()?;
            if self.next.is_none() && self.source.is_live() {
                return Ok(Piece::Nothing);
            }
            // What was written before the next segment came, or before the process ended, may have come after the
            // read above: read again before going on.
            if std::mem::replace(&mut self.end_seen, true) {
                return Ok(if self.next.is_some() { Piece::SegmentEnd } else { Piece::End });
            }
        }
    }

    fn arrived(&mut self, portion: &mut [u8]) -> Result<Arrived, RecordError> {
        if self.skipped {
            return Ok(Arrived::End);
        }
        let file = match &mut self.input {
            Input::Pipe(pipe) => return pipe.read(portion).map_err(RecordError::io("read", &self.path)),
            Input::File(file) | Input::Folder { file, .. } => file,
        };
        loop {
            match file.read(portion) {
                Ok(0) => return Ok(Arrived::End),
                Ok(read) => return Ok(Arrived::Bytes(read)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(RecordError::io("read", &self.path)(error)),
            }
        }
    }

    /// Opens the segment that follows the current one, if there is one.
    fn next_segment(&self) -> Result<Option<(u64, PathBuf, File)>, RecordError> {
        let Input::Folder { number: current, .. } = &self.input else { return Ok(None) };
        let segments = match list_segments(&self.source.path) {
            Ok(segments) => segments,
            // The whole recording was removed: there is no next one.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(RecordError::io("list", &self.source.path)(error)),
        };
        for (number, path) in segments.into_iter().filter(|(number, _)| number > current) {
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
            return Err(RecordError::empty_folder(folder));
        };
        match open_file(&path) {
            Ok(file) => return Ok((number, path, file)),
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(error),
        }
    }
    Err(RecordError::empty_folder(folder))
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
