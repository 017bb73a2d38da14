//! A file as a byte source.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, IoSliceMut};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use bayplan_graph::{ByteSource, DIRECT, ReadError};
use rustix::fs::{Advice, OFlags, fadvise};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use crate::WeightsError;

/// A file opened for positional reading.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    len: u64,
    /// When it was last written to before it was opened.
    modified: Option<SystemTime>,
    path: PathBuf,
    /// The same file past the page cache, opened when it is first read like that; `None` where that is refused.
    direct: OnceLock<Option<File>>,
    /// Direct reads failed once: the file system takes the flag and does not keep it.
    refused: AtomicBool,
}

impl FileSource {
    /// Opens a file.
    ///
    /// # Errors
    /// If it cannot be opened or is no regular file (a pipe would block, a device has no length).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        let fail = |reason: String| WeightsError::Open { path: path.to_owned(), tensor: None, reason };
        // Looked at before it is opened: opening a pipe waits for a writer.
        let kind = std::fs::metadata(path).map_err(|e| fail(e.to_string()))?;
        if !kind.is_file() {
            let what = if kind.is_dir() { "it is a folder" } else { "it is no regular file" };
            return Err(fail(format!("{what}; name a file")));
        }
        let file = File::open(path).map_err(|e| fail(e.to_string()))?;
        let about = file.metadata().map_err(|e| fail(e.to_string()))?;
        let (len, modified) = (about.len(), about.modified().ok());
        let (direct, refused) = (OnceLock::new(), AtomicBool::new(false));
        Ok(Self { file, len, modified, path: path.to_owned(), direct, refused })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What has become of the file since it was opened, if its length or the time of its last change is another.
    fn changed(&self) -> Option<String> {
        let now = self.file.metadata().ok()?;
        let (opened, len) = (self.len, now.len());
        if len != opened {
            return Some(format!(
                "the file was {opened} bytes long when it was opened and is {len} now: somebody writes to it; load again when it \
                 is whole"
            ));
        }
        let same = now.modified().ok() == self.modified;
        (!same).then(|| "the file was written to while it was read; load again when nobody does".into())
    }

    /// The file opened past the page cache.
    fn direct(&self) -> Option<&File> {
        let opened = self.direct.get_or_init(|| {
            let flags = OFlags::DIRECT.bits().cast_signed();
            let file = OpenOptions::new().read(true).custom_flags(flags).open(&self.path).ok()?;
            let (own, other) = (self.file.metadata().ok()?, file.metadata().ok()?);
            // Under its path there may be another file by now.
            ((own.dev(), own.ino()) == (other.dev(), other.ino())).then_some(file)
        });
        opened.as_ref().filter(|_| !self.refused.load(Ordering::Relaxed))
    }
}

impl ByteSource for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let fail = |reason: String| ReadError { offset, len: buf.len() as u64, reason };
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > self.len) {
            return Err(fail(format!("the file ends at byte {}", self.len)));
        }
        let len = buf.len() as u64;
        self.file.read_exact_at(buf, offset).map_err(|e| {
            let short = (e.kind() == ErrorKind::UnexpectedEof).then(|| self.changed()).flatten();
            ReadError { offset, len, reason: short.unwrap_or_else(|| e.to_string()) }
        })
    }

    fn read_direct(&self, offset: u64, buf: &mut [u8]) -> Result<Option<usize>, ReadError> {
        let Some(file) = self.direct() else { return Ok(None) };
        let (len, mut done) = (buf.len() as u64, 0);
        while done < buf.len() {
            match file.read_at(&mut buf[done..], offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(count) => {
                    done += count;
                    if !count.is_multiple_of(DIRECT) {
                        break; // the end of the file
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                    self.refused.store(true, Ordering::Relaxed);
                    return Ok(None);
                }
                Err(e) => return Err(ReadError { offset, len, reason: e.to_string() }),
            }
        }
        Ok(Some(done))
    }

    fn check_unchanged(&self) -> Result<(), ReadError> {
        let changed = |reason| Err(ReadError { offset: 0, len: self.len, reason });
        self.changed().map_or(Ok(()), changed)
    }

    fn expect(&self, offset: u64, len: u64) {
        // A hint: where it is not taken, reading waits for the disk.
        let _ = fadvise(&self.file, offset, NonZeroU64::new(len), Advice::WillNeed);
    }

    fn file(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }

    fn is_cached(&self, offset: u64) -> bool {
        if offset >= self.len {
            return true;
        }
        let mut byte = [0];
        let mut bufs = [IoSliceMut::new(&mut byte)];
        // Answers at once, with EAGAIN where it would have to wait.
        !matches!(preadv2(&self.file, &mut bufs, offset, ReadWriteFlags::NOWAIT), Err(Errno::AGAIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A buffer whose address suits direct reads, with `len` bytes.
    fn aligned(memory: &mut Vec<u8>, len: usize) -> &mut [u8] {
        memory.resize(len + DIRECT, 0xee);
        let start = memory.as_ptr().align_offset(DIRECT);
        &mut memory[start..start + len]
    }

    fn file(folder: &Path, len: usize) -> (FileSource, Vec<u8>) {
        let bytes: Vec<u8> = (0..len).map(|i| (i * 31 % 251) as u8).collect();
        let path = folder.join("weights.bin");
        std::fs::write(&path, &bytes).unwrap();
        (FileSource::open(path).unwrap(), bytes)
    }

    #[test]
    fn direct_reads_give_the_files_bytes_up_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let (source, bytes) = file(folder.path(), 3 * DIRECT + 100);
        let mut memory = Vec::new();
        for (offset, len, expect) in [(0, 2, 2 * DIRECT), (1, 2, 2 * DIRECT), (2, 4, DIRECT + 100), (9, 1, 0)]
        {
            let buf = aligned(&mut memory, len * DIRECT);
            let read = source.read_direct((offset * DIRECT) as u64, buf).unwrap();
            // A file system in memory may refuse; then nothing is claimed to be read.
            let Some(read) = read else { continue };
            assert_eq!(read, expect, "{offset} {len}");
            let start = (offset * DIRECT).min(bytes.len());
            assert_eq!(buf[..read], bytes[start..start + read]);
        }
    }

    #[test]
    fn a_file_that_was_replaced_is_not_read_past_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let (source, _) = file(folder.path(), 2 * DIRECT);
        std::fs::write(folder.path().join("other"), vec![7; 2 * DIRECT]).unwrap();
        std::fs::rename(folder.path().join("other"), source.path()).unwrap();
        let mut memory = Vec::new();
        assert_eq!(source.read_direct(0, aligned(&mut memory, DIRECT)).unwrap(), None);
        let mut byte = [7];
        source.read_at(0, &mut byte).unwrap();
        assert_eq!(byte, [0], "the file that was opened");
    }

    #[test]
    fn a_file_that_changes_under_its_reader_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (source, _) = file(folder.path(), 2 * DIRECT);
        source.check_unchanged().unwrap();
        let other = File::options().write(true).open(source.path()).unwrap();
        let told = |e: ReadError| e.to_string();
        other.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let e = told(source.check_unchanged().unwrap_err());
        assert!(e.contains("written to while it was read"), "{e}");
        other.set_len(100).unwrap();
        for e in
            [source.check_unchanged().unwrap_err(), source.read_at(50, &mut [0; 100]).unwrap_err()].map(told)
        {
            assert!(e.contains("was 8192 bytes long") && e.contains("is 100 now"), "{e}");
        }
    }

    #[test]
    fn what_was_just_written_is_cached() {
        let folder = tempfile::tempdir().unwrap();
        let (source, _) = file(folder.path(), 2 * DIRECT);
        source.expect(0, 2 * DIRECT as u64);
        for offset in [0, 2 * DIRECT as u64 - 1, u64::MAX] {
            assert!(source.is_cached(offset));
        }
    }
}
