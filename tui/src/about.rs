//! What of a recording is worth knowing before it is opened: how much memory its plan takes, and how it ended. From the head
//! of its first file and the end of its last one, never from all of it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bayplan_trace::{Event, Reader, Record};

/// Most bytes of the head that are looked at, for the plan.
const HEAD: u64 = 1 << 20;
/// Most bytes of the end that are looked at, for how it ended.
const END: u64 = 64 << 10;

/// How a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// In order.
    Ended,
    /// Its recording stops without an end.
    Killed,
}

/// What is known of a recording beforehand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct About {
    /// Device memory that its first plan takes: none where no plan was found.
    pub(crate) memory: Option<u64>,
    /// How it ended; none where it cannot be read.
    pub(crate) ending: Option<Ending>,
}

/// Looks at a file or a folder of segments.
pub(crate) fn about(path: &Path) -> About {
    let files = files(path);
    let memory = files.first().and_then(|file| read(file, 0, HEAD)).and_then(|bytes| memory(&bytes));
    let end = files.last().and_then(|file| {
        let length = file.metadata().ok()?.len();
        read(file, length.saturating_sub(END), END)
    });
    let ending = end.map(|bytes| if has_end(&bytes) { Ending::Ended } else { Ending::Killed });
    About { memory, ending }
}

/// The files of a recording, the oldest first.
pub(crate) fn files(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_path_buf()];
    }
    let entries = path.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "bptrace")).collect();
    found.sort();
    found
}

fn read(path: &Path, from: u64, most: u64) -> Option<Vec<u8>> {
    // What is no file (a pipe, a device) is not waited for.
    let mut file =
        path.metadata().ok().filter(std::fs::Metadata::is_file).and_then(|_| File::open(path).ok())?;
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn records(bytes: &[u8]) -> impl Iterator<Item = Record> {
    let mut reader = Reader::new();
    reader.feed(bytes);
    std::iter::from_fn(move || reader.next_record()).flatten()
}

fn memory(head: &[u8]) -> Option<u64> {
    records(head).find_map(|record| match record {
        Record::Plan { record, .. } => {
            Some(record.arenas.iter().fold(0, |sum: u64, arena| sum.saturating_add(arena.size)))
        }
        _ => None,
    })
}

fn has_end(end: &[u8]) -> bool {
    records(end).any(|record| matches!(record, Record::Event(Event::SessionEnd { .. })))
}
