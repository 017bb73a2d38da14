//! Going back in a recording: where its segments begin in time, and reading on from one of them.
//!
//! ```text
//!  file or folder   │ head  events … │ head  events … │ head  events … │        head = session, plans, keyframe
//!  chapters         0                1                2                          each says what holds at its beginning
//! ```
//! What a history knows is found by looking at the headers of chunks; their bodies are passed over.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bayplan_trace::{Damage, EventRef, IndexEntry, IndexScan, Nanos, Reader, Record, Visitor};

use crate::error::RecordError;
use crate::follower::Part;
use crate::segments::{list_segments, open_file};
use crate::source::Source;
use crate::stream::PORTION;

/// Kinds of chunks, by their numbers in the format.
const SESSION: u8 = 1;
const KEYFRAME: u8 = 3;

/// Bytes read at a time of a session's head, and read of it at most.
const HEAD_PORTION: usize = 16 << 10;
const MOST_HEAD: usize = 1 << 20;

/// A part of a recording that can be read without what was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chapter {
    /// The state at its beginning is that of this time.
    pub begins: Nanos,
    /// Whether it says all that holds there; the first one of a session says nothing, since nothing was before.
    pub has_keyframe: bool,
    path: PathBuf,
    offset: u64,
}

/// The past of a recording on disk.
#[derive(Debug)]
pub struct History {
    source: Source,
    files: Vec<Scanned>,
    chapters: Vec<Chapter>,
}

/// A file of the recording, as far as it was looked at.
#[derive(Debug)]
struct Scanned {
    /// Number of the segment; of a single file 0.
    number: u64,
    path: PathBuf,
    scan: IndexScan,
    passed: u64,
    /// Which session begins where, if several do.
    sessions: BTreeMap<u64, String>,
}

impl History {
    /// Looks at a recording on disk.
    ///
    /// # Errors
    /// It is not there or cannot be read; standard input keeps nothing.
    pub fn open(source: Source) -> Result<Self, RecordError> {
        if source.is_standard_input() {
            return Err(RecordError::NotKept);
        }
        let mut history = Self { source, files: Vec::new(), chapters: Vec::new() };
        history.refresh()?;
        Ok(history)
    }

    /// Looks at what has come since, and forgets the segments that are gone.
    ///
    /// # Errors
    /// The recording cannot be read any more.
    pub fn refresh(&mut self) -> Result<(), RecordError> {
        let path = &self.source.path;
        let there = if path.is_dir() {
            list_segments(path).map_err(RecordError::io("list", path))?
        } else {
            vec![(0, path.clone())]
        };
        self.files.retain(|file| there.iter().any(|(number, _)| *number == file.number));
        let known = self.files.last().map(|file| file.number);
        let new = there.into_iter().filter(|(number, _)| known.is_none_or(|known| *number > known));
        self.files.extend(new.map(|(number, path)| Scanned {
            number,
            path,
            scan: IndexScan::default(),
            passed: 0,
            sessions: BTreeMap::new(),
        }));
        for file in &mut self.files {
            match file.look() {
                Ok(()) => {}
                // Retention was faster.
                Err(error) if error.is_absent() => {}
                Err(error) => return Err(error),
            }
        }
        self.chapters.clear();
        for file in &self.files {
            self.chapters = chapters(std::mem::take(&mut self.chapters), file);
        }
        Ok(())
    }

    /// The recording's file or folder.
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// The chapters that are there, oldest first, of the recording's last session.
    pub fn chapters(&self) -> &[Chapter] {
        &self.chapters
    }

    /// Whether the beginning of the session is gone.
    pub fn is_cut(&self) -> bool {
        self.chapters.first().is_some_and(|first| first.has_keyframe)
    }

    /// The last chapter that begins no later than a time; the first, where none does.
    pub fn chapter_at(&self, t: Nanos) -> usize {
        self.chapters.partition_point(|chapter| chapter.begins <= t).saturating_sub(1)
    }

    /// Reads from a chapter on, to the end of what is there or until told to stop by `false`. Damage is passed over, as whoever
    /// follows does.
    ///
    /// # Errors
    /// A file cannot be read, or is gone by now.
    pub fn read(&self, chapter: usize, sink: impl FnMut(Part<'_>) -> bool) -> Result<(), RecordError> {
        let Some(chapter) = self.chapters.get(chapter) else { return Ok(()) };
        let files = self.files.iter().skip_while(|file| file.path != chapter.path);
        let mut reader = Reader::starting_at(chapter.offset);
        let mut hands = Hands { sink, goes_on: true };
        for (at, file) in files.enumerate() {
            if at > 0 {
                reader.end_segment();
                reader.visit(&mut hands);
                reader.begin_segment();
            }
            let offset = if at == 0 { chapter.offset } else { 0 };
            let mut open = match open_file(&file.path) {
                // A later one that is gone leaves a gap, which the keyframe behind it makes good.
                Err(error) if error.is_absent() && at > 0 => continue,
                other => other?,
            };
            let failed = |error| RecordError::io("read", &file.path)(error);
            open.seek(SeekFrom::Start(offset)).map_err(failed)?;
            if !read_file(&mut open, &mut reader, &mut hands).map_err(failed)? {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Reads to the end of a file; returns whether to go on.
fn read_file<S: FnMut(Part<'_>) -> bool>(
    file: &mut File,
    reader: &mut Reader,
    hands: &mut Hands<S>,
) -> io::Result<bool> {
    let mut portion = vec![0; PORTION];
    loop {
        let read = match file.read(&mut portion) {
            Ok(0) => return Ok(hands.goes_on),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        reader.feed(&portion[..read]);
        while hands.goes_on && reader.visit_some(hands) {}
        if !hands.goes_on || reader.gave_up() {
            return Ok(hands.goes_on);
        }
    }
}

/// The chapters with those of one file more. A copy of what was before, as `cat` makes, adds none.
fn chapters(mut before: Vec<Chapter>, file: &Scanned) -> Vec<Chapter> {
    let mut head: Option<&IndexEntry> = None;
    let mut session: Option<&str> = None;
    for entry in file.scan.entries() {
        let chapter =
            |begins, has_keyframe, offset| Chapter { begins, has_keyframe, path: file.path.clone(), offset };
        match entry.kind {
            SESSION if entry.restated => head = Some(entry),
            SESSION => {
                let own = file.sessions.get(&entry.offset).map(String::as_str);
                if own.is_none() || own != session {
                    // Another session begins: what was before is none of its past.
                    before = vec![chapter(entry.base, false, entry.offset)];
                    session = own;
                }
                head = None;
            }
            KEYFRAME => {
                let is_new = before.last().is_none_or(|last| last.begins < entry.base);
                if let Some(session) = head.take().filter(|_| is_new) {
                    before.push(chapter(entry.base, true, session.offset));
                }
            }
            _ => {}
        }
    }
    before
}

impl Scanned {
    /// Looks at what of the file was not looked at.
    fn look(&mut self) -> Result<(), RecordError> {
        let mut file = open_file(&self.path)?;
        let mut look = || -> io::Result<()> {
            let len = file.metadata()?.len();
            let mut portion = vec![0; PORTION];
            file.seek(SeekFrom::Start(self.passed))?;
            while self.passed < len {
                let read = file.read(&mut portion)?;
                if read == 0 {
                    break;
                }
                self.passed += read as u64;
                let skipped = self.scan.feed(&portion[..read]).min(len.saturating_sub(self.passed));
                self.scan.skip(skipped);
                self.passed += skipped;
                file.seek(SeekFrom::Start(self.passed))?;
            }
            self.name_sessions(&mut file)
        };
        look().map_err(RecordError::io("read", &self.path))
    }

    /// Reads which sessions begin in the file, where several do: one may be there twice.
    fn name_sessions(&mut self, file: &mut File) -> io::Result<()> {
        let begins = self.scan.entries().iter().filter(|entry| entry.kind == SESSION && !entry.restated);
        let offsets: Vec<u64> = begins.map(|entry| entry.offset).collect();
        if offsets.len() < 2 {
            return Ok(());
        }
        for offset in offsets {
            if !self.sessions.contains_key(&offset)
                && let Some(id) = session_at(file, offset)?
            {
                self.sessions.insert(offset, id);
            }
        }
        Ok(())
    }
}

/// The session whose head is at an offset of a file; `None` where that cannot be read.
fn session_at(file: &mut File, offset: u64) -> io::Result<Option<String>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut reader = Reader::starting_at(offset);
    let mut portion = vec![0; HEAD_PORTION];
    // Heads are a few kilobytes.
    for _ in 0..MOST_HEAD / HEAD_PORTION {
        let read = file.read(&mut portion)?;
        reader.feed(&portion[..read]);
        match reader.next_record() {
            Some(Ok(Record::Session(session))) => return Ok(Some(session.id)),
            Some(_) => return Ok(None),
            None if read == 0 => return Ok(None),
            None => {}
        }
    }
    Ok(None)
}

/// Between a reader and whoever reads a part.
struct Hands<S> {
    sink: S,
    goes_on: bool,
}

impl<S: FnMut(Part<'_>) -> bool> Visitor for Hands<S> {
    fn record(&mut self, record: Record) {
        self.goes_on = self.goes_on && (self.sink)(Part::Record(record));
    }

    #[inline]
    fn event(&mut self, event: EventRef<'_>) {
        self.goes_on = self.goes_on && (self.sink)(Part::Event(event));
    }

    fn damage(&mut self, _: Damage) {}
}
