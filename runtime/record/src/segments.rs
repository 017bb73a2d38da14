//! Segment files: appending, beginning the next, dropping the oldest.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bayplan_trace::Reader;

use crate::disk::check_file_limit;
use crate::error::RecordError;

/// Ending of segment files.
pub(crate) const EXTENSION: &str = "bptrace";

/// Bytes at the start of a file within which a recording shows itself.
const HEAD: u64 = 4096;

/// How much of a recording is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// A segment that has reached this many bytes is followed by a new one.
    pub segment_bytes: u64,
    /// The oldest segments go when a recording in a folder is larger than this. A single file is not bounded.
    pub total_bytes: u64,
    /// How many recordings of ended runs are kept in the folder of runs; older ones go when a new run begins.
    pub keep_runs: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self { segment_bytes: 4 << 20, total_bytes: 256 << 20, keep_runs: 64 }
    }
}

/// Where a recording is appended to.
pub(crate) struct Segments {
    /// The folder of segments; none for a single file.
    folder: Option<PathBuf>,
    path: PathBuf,
    file: File,
    /// Whether there was no such file before the recording began.
    is_new: bool,
    /// Bytes of sound frames in the open file.
    len: u64,
    /// Bytes since the segment in it began.
    segment_len: u64,
    /// Bytes at the segment's start that restate what earlier segments said.
    head_len: u64,
    number: u64,
    /// Closed segments, oldest first: number and bytes.
    closed: VecDeque<(u64, u64)>,
    retention: Retention,
}

impl Segments {
    /// Begins a recording in a new folder.
    pub(crate) fn in_folder(folder: &Path, retention: Retention) -> Result<Self, RecordError> {
        let path = segment_path(folder, 1);
        Self::begin(Some(folder.to_path_buf()), path, retention)
    }

    /// Begins a recording in one file, in place of what it held.
    pub(crate) fn in_file(path: &Path, retention: Retention) -> Result<Self, RecordError> {
        Self::begin(None, path.to_path_buf(), retention)
    }

    fn begin(folder: Option<PathBuf>, path: PathBuf, retention: Retention) -> Result<Self, RecordError> {
        let (file, is_new) = create(&path)?;
        let (number, closed) = (1, VecDeque::new());
        Ok(Self {
            folder,
            path,
            file,
            is_new,
            len: 0,
            segment_len: 0,
            head_len: 0,
            number,
            closed,
            retention,
        })
    }

    /// Bytes of sound frames in the open file.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Whether each segment is a file of its own.
    pub(crate) fn is_folder(&self) -> bool {
        self.folder.is_some()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends whole frames with one call to the system. When that fails, what it wrote of them is taken back, so
    /// that the file still ends with a whole frame.
    pub(crate) fn append(&mut self, frames: &[u8]) -> io::Result<()> {
        check_file_limit(self.len + frames.len() as u64)?;
        let written = self.file.write_all(frames);
        if written.is_err() {
            if self.file.set_len(self.len).is_err() {
                // What is torn stays; readers find the next whole chunk behind it.
                self.len = self.file.metadata().map_or(self.len, |about| about.len());
            }
            return written;
        }
        self.len += frames.len() as u64;
        self.segment_len += frames.len() as u64;
        // The segment has its head: nothing before it is needed any more.
        self.drop_oldest(0);
        Ok(())
    }

    /// Removes what was made for a recording that cannot begin. A file that was there before stays.
    pub(crate) fn discard(self) {
        if self.is_new {
            let _ = fs::remove_file(&self.path);
        }
        if let Some(folder) = &self.folder {
            let _ = fs::remove_dir(folder);
        }
    }

    /// Sends the next bytes to another file.
    #[cfg(test)]
    pub(crate) fn replace_file(&mut self, file: File) -> File {
        std::mem::replace(&mut self.file, file)
    }

    /// Says how many of the segment's first bytes are its head.
    pub(crate) fn set_head_len(&mut self, len: usize) {
        self.head_len = len as u64;
    }

    /// Whether the next bytes should begin a new segment. However large a plan is, heads are at most half of all.
    pub(crate) fn is_full(&self) -> bool {
        self.segment_len >= self.segment_bytes()
    }

    fn segment_bytes(&self) -> u64 {
        self.retention.segment_bytes.max(self.head_len.saturating_mul(2))
    }

    /// Makes the next segment file; a single file goes on. The bytes that follow must begin a segment.
    pub(crate) fn begin_next(&mut self) -> io::Result<()> {
        self.segment_len = 0;
        let Some(folder) = &self.folder else { return Ok(()) };
        let path = segment_path(folder, self.number + 1);
        let file = OpenOptions::new().append(true).create_new(true).open(&path)?;
        self.closed.push_back((self.number, self.len));
        self.number += 1;
        (self.path, self.file, self.len) = (path, file, 0);
        // Until it has its head, the one before it is all that is left to whoever kills this process.
        self.drop_oldest(1);
        Ok(())
    }

    /// Removes closed segments until those left, with a whole open one, are within the bound, or are so few.
    fn drop_oldest(&mut self, keep: usize) {
        let Some(folder) = &self.folder else { return };
        let bound = self.retention.total_bytes.saturating_sub(self.segment_bytes());
        let mut total: u64 = self.closed.iter().map(|(_, len)| len).sum();
        while total > bound && self.closed.len() > keep {
            let Some((number, len)) = self.closed.pop_front() else { return };
            // Whoever reads it keeps it open; if it cannot be removed, the next one can.
            let _ = fs::remove_file(segment_path(folder, number));
            total -= len;
        }
    }
}

/// Makes a file, or empties one that held a recording; with it, whether it was made.
fn create(path: &Path) -> Result<(File, bool), RecordError> {
    let is_new = match open_file(path) {
        Ok(file) if occupied(&file) => return Err(RecordError::Occupied { path: path.to_path_buf() }),
        Ok(_) => false,
        Err(error) if !error.is_absent() => return Err(error),
        Err(_) => true,
    };
    // Appending, so that after a truncation the next bytes go to the new end.
    let truncated = OpenOptions::new().write(true).create(true).truncate(true).open(path);
    truncated
        .and_then(|_| OpenOptions::new().append(true).open(path))
        .map(|file| (file, is_new))
        .map_err(RecordError::io("create", path))
}

/// Whether the file holds what is no recording, and would be lost.
fn occupied(file: &File) -> bool {
    let mut head = Vec::new();
    let read = file.take(HEAD).read_to_end(&mut head);
    read.is_err() || !(head.is_empty() || Reader::recognises(&head))
}

/// Opens a regular file to read. Anything else is refused before it is opened: opening a pipe waits for its other end,
/// and a device may go on for ever.
pub(crate) fn open_file(path: &Path) -> Result<File, RecordError> {
    if !fs::metadata(path).map_err(RecordError::io("open", path))?.is_file() {
        return Err(RecordError::NotAFile { path: path.to_path_buf() });
    }
    File::open(path).map_err(RecordError::io("open", path))
}

pub(crate) fn segment_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:04}.{EXTENSION}"))
}

/// The number of a segment file, by its name.
pub(crate) fn segment_number(path: &Path) -> Option<u64> {
    let digits = path.file_stem()?.to_str()?;
    let is_segment = path.extension()? == EXTENSION && digits.len() >= 4;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten().filter(|_| is_segment)
}

/// The segments in a folder, oldest first.
pub(crate) fn list_segments(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        segments.extend(segment_number(&path).map(|number| (number, path)));
    }
    segments.sort_unstable();
    Ok(segments)
}

#[cfg(test)]
mod tests {
    use bayplan_trace::{SessionInfo, Writer};

    use super::*;

    #[test]
    fn segments_are_known_by_name() {
        let cases = [
            ("0001.bptrace", Some(1)),
            ("12345.bptrace", Some(12345)),
            ("1.bptrace", None),
            ("0001.txt", None),
        ];
        for (name, expect) in cases.into_iter().chain([("00a1.bptrace", None), (".bptrace", None)]) {
            assert_eq!(segment_number(Path::new(name)), expect, "{name}");
        }
        assert_eq!(segment_path(Path::new("f"), 12), Path::new("f/0012.bptrace"));
    }

    #[test]
    fn oldest_segments_go_first_and_the_bound_holds() {
        let temp = tempfile::tempdir().unwrap();
        let retention = Retention { segment_bytes: 100, total_bytes: 350, keep_runs: 1 };
        let mut segments = Segments::in_folder(temp.path(), retention).unwrap();
        for round in 0..50 {
            segments.append(&[7; 40]).unwrap();
            if segments.is_full() {
                segments.begin_next().unwrap();
            }
            let listed = list_segments(temp.path()).unwrap();
            let total: u64 = listed.iter().map(|(_, path)| fs::metadata(path).unwrap().len()).sum();
            assert!(total <= 350, "round {round}: {total} bytes");
            assert!(listed.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0));
        }
        assert_eq!(segments.path(), segment_path(temp.path(), 17));
        assert_eq!(list_segments(temp.path()).unwrap().len(), 3);
    }

    #[test]
    fn the_last_whole_segment_stays_until_the_next_has_its_head() {
        let temp = tempfile::tempdir().unwrap();
        let retention = Retention { segment_bytes: 100, total_bytes: 350, keep_runs: 1 };
        let mut segments = Segments::in_folder(temp.path(), retention).unwrap();
        let numbers = || list_segments(temp.path()).unwrap().iter().map(|(n, _)| *n).collect::<Vec<_>>();
        for number in 1..5 {
            // More at once than all segments may hold.
            segments.append(&[7; 500]).unwrap();
            assert_eq!(numbers(), [number]);
            segments.begin_next().unwrap();
            assert_eq!(numbers(), [number, number + 1]);
        }
    }

    #[test]
    fn a_large_head_makes_segments_larger() {
        let temp = tempfile::tempdir().unwrap();
        let retention = Retention { segment_bytes: 100, total_bytes: 1 << 20, keep_runs: 1 };
        let mut segments = Segments::in_folder(temp.path(), retention).unwrap();
        segments.append(&[1; 300]).unwrap();
        assert!(segments.is_full());
        segments.set_head_len(300);
        assert!(!segments.is_full());
        segments.append(&[1; 300]).unwrap();
        assert!(segments.is_full());
    }

    #[test]
    fn single_file_replaces_what_was_there_and_has_no_bound() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("run.bptrace");
        let retention = Retention { segment_bytes: 10, total_bytes: 20, keep_runs: 1 };
        // What is no recording is somebody's: it stays.
        fs::write(&path, "a model").unwrap();
        assert!(matches!(Segments::in_file(&path, retention), Err(RecordError::Occupied { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"a model");
        let mut old = Writer::new(SessionInfo::default());
        let mut bytes = Vec::new();
        old.flush();
        old.take(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        let mut segments = Segments::in_file(&path, retention).unwrap();
        for _ in 0..10 {
            segments.append(&[1; 10]).unwrap();
            segments.begin_next().unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), [1; 100]);
    }
}
