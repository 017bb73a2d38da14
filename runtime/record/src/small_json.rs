//! Small JSON files that other processes read while they are replaced.

use std::fs;
use std::io::Read;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::disk::check_file_limit;
use crate::error::RecordError;

/// Longest file that is read, in bytes.
const MAX_LEN: u64 = 64 << 10;

/// What a file says; `None` if it is not there, too long or says something else.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let mut text = Vec::new();
    fs::File::open(path).ok()?.take(MAX_LEN).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Writes a file by way of a temporary one beside it: a reader sees all of it, or what was there before.
///
/// # Errors
/// The folder cannot be written, or the disk is full.
pub(crate) fn replace(path: &Path, temporary: &Path, value: &impl Serialize) -> Result<(), RecordError> {
    let text =
        serde_json::to_vec_pretty(value).map_err(|error| RecordError::io("write", path)(error.into()))?;
    let written = check_file_limit(text.len() as u64)
        .and_then(|()| fs::write(temporary, text))
        .and_then(|()| fs::rename(temporary, path));
    written.map_err(|error| {
        // What a full disk took of it is of no use to anyone.
        let _ = fs::remove_file(temporary);
        RecordError::io("write", path)(error)
    })
}
