//! A file as a byte source.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bayplan_graph::{ByteSource, ReadError};

use crate::WeightsError;

/// A file opened for positional reading.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    len: u64,
    path: PathBuf,
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
        let len = file.metadata().map_err(|e| fail(e.to_string()))?.len();
        Ok(Self { file, len, path: path.to_owned() })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
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
        let read = self.file.read_exact_at(buf, offset);
        read.map_err(|e| ReadError { offset, len, reason: e.to_string() })
    }
}
