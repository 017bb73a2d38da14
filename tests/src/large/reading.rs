//! Reading a file from end to end as fast as one thread does, and keeping its pages or not: what a loader is held against.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, OFlags, fadvise};

/// Bytes read at once.
const PIECE: usize = 4 << 20;

/// What `O_DIRECT` wants of addresses and offsets, on every file system that is common.
const ALIGN: usize = 4096;

/// Drops the pages of a file from the page cache; all of them are on the disk.
///
/// # Errors
/// The file cannot be opened.
pub fn forget(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    file.sync_all()?;
    Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
}

/// Reads a file once, into the same few megabytes again and again; past the page cache where `direct` is set.
///
/// # Errors
/// The file cannot be read so.
pub fn read(path: &Path, direct: bool) -> io::Result<Duration> {
    let mut options = OpenOptions::new();
    options.read(true);
    if direct {
        options.custom_flags(OFlags::DIRECT.bits() as i32);
    }
    let file = options.open(path)?;
    let len = file.metadata()?.len();
    // Pages that are there before the clock starts.
    let mut room = vec![1; PIECE + ALIGN];
    let start = room.as_ptr().align_offset(ALIGN);
    let piece = &mut room[start..start + PIECE];
    let begun = Instant::now();
    let mut at = 0;
    while at < len {
        match file.read_at(piece, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => at += count as u64,
        }
    }
    Ok(begun.elapsed())
}
