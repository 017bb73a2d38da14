//! What a disk refuses: how much a file may grow, and what is missing because of it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use bayplan_text::{Nanos as Duration, escape};
use bayplan_trace::Nanos;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// Bytes that could not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskError {
    /// The file that was written to when it first happened.
    pub path: PathBuf,
    /// The system's answer.
    pub error: String,
    /// Time of the first event that is missing, in nanoseconds since the session began; none where it is not known.
    pub from_ns: Option<Nanos>,
    /// Time of the first event that was written again after all that are missing; none where none was.
    pub until_ns: Option<Nanos>,
    /// Events that are missing because of it.
    pub events: u64,
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not write {}: {}", escape(&self.path.to_string_lossy()), self.error)?;
        match (self.from_ns, self.until_ns) {
            (Some(from), Some(until)) => {
                write!(f, ", between {} and {} after its start", Duration(from), Duration(until))
            }
            (Some(from), None) => write!(f, ", from {} after its start on", Duration(from)),
            (None, _) => Ok(()),
        }
    }
}

/// Refuses what would make a file longer than this process may (`ulimit -f`): writing it would end the process with SIGXFSZ,
/// and recording must never end a run.
///
/// # Errors
/// The system's for a file that is too large.
pub(crate) fn check_file_limit(len: u64) -> io::Result<()> {
    match getrlimit(Resource::Fsize).current {
        Some(limit) if len > limit => Err(Errno::FBIG.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_in_words() {
        let mut error = DiskError {
            path: "/t/\u{1b}[2J".into(),
            error: "no space".into(),
            from_ns: None,
            until_ns: None,
            events: 3,
        };
        assert_eq!(error.to_string(), r"could not write /t/\x1b[2J: no space");
        error.from_ns = Some(1_500_000_000);
        assert!(error.to_string().ends_with(": no space, from 1.50 s after its start on"), "{error}");
        error.until_ns = Some(2_000_000_000);
        assert!(error.to_string().ends_with(", between 1.50 s and 2.00 s after its start"), "{error}");
    }
}
