//! Where the bytes of constants come from, without reading them.

use core::fmt;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

/// One file a graph refers to, by its index in [`crate::Graph::files`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// How a model names a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FileRef {
    /// The model file itself (initializers stored in it).
    Model,
    /// A path relative to the model's folder (ONNX external data; no absolute path, no `..`).
    External(Arc<str>),
    /// A file of weights that the caller named, or a part of one: a path as the caller wrote it.
    Weights(Arc<Path>),
}

/// A range of bytes in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteRange {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub len: u64,
}

/// Random access to bytes: the model file, a weight file, or a slice in memory.
///
/// Rooms that must not touch files read through this; whoever owns the file implements it.
pub trait ByteSource: Send + Sync {
    /// Total number of bytes.
    fn len(&self) -> u64;

    /// Whether there is nothing to read.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` with the bytes at `offset`.
    ///
    /// # Errors
    /// [`ReadError`] if the range does not lie within the source or the read fails.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError>;

    /// Fills `buf` with the bytes from `offset` on, past the system's cache of files, as far as the source goes; answers how
    /// many there were. The offset and the buffer's address and length are multiples of [`DIRECT`]. `None` where the source
    /// cannot be read like that; what `buf` holds is unspecified then.
    ///
    /// # Errors
    /// [`ReadError`] if the read fails.
    fn read_direct(&self, offset: u64, buf: &mut [u8]) -> Result<Option<usize>, ReadError> {
        let _ = (offset, buf);
        Ok(None)
    }

    /// Checks, as far as anybody can tell, that the bytes are still those that the source was opened with: before what was read
    /// counts as whole.
    ///
    /// # Errors
    /// [`ReadError`] if they were changed.
    fn check_unchanged(&self) -> Result<(), ReadError> {
        Ok(())
    }

    /// Tells the source that these bytes are read soon.
    fn expect(&self, offset: u64, len: u64) {
        let _ = (offset, len);
    }

    /// The file that these are the bytes of, from its first on, if they are: for whoever can read it where the system has it.
    fn file(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Whether the byte at `offset` is in memory already, so that reading it waits for no disk. True where nobody can tell.
    fn is_cached(&self, offset: u64) -> bool {
        let _ = offset;
        true
    }
}

/// What [`ByteSource::read_direct`] aligns offsets, lengths and addresses to: the largest block of common disks.
pub const DIRECT: usize = 4096;

/// A failed read: which range, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// First byte asked for.
    pub offset: u64,
    /// Number of bytes asked for.
    pub len: u64,
    /// What went wrong.
    pub reason: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read {} bytes at offset {}: {}", self.len, self.offset, self.reason)
    }
}

impl std::error::Error for ReadError {}

impl ByteSource for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let range = usize::try_from(offset).ok().and_then(|start| Some(start..start.checked_add(buf.len())?));
        match range.and_then(|range| self.get(range)) {
            Some(bytes) => {
                buf.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(ReadError {
                offset,
                len: buf.len() as u64,
                reason: format!("the source ends at byte {}", <[u8]>::len(self)),
            }),
        }
    }
}

impl ByteSource for Vec<u8> {
    fn len(&self) -> u64 {
        ByteSource::len(self.as_slice())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        self.as_slice().read_at(offset, buf)
    }
}
