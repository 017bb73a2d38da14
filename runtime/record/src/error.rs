//! Errors for people.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use bayplan_text::{escape, escape_lines};
use bayplan_trace::Damage;

/// Why a recording could not be written, found or read.
#[derive(Debug)]
pub enum RecordError {
    /// The system refused something.
    Io {
        /// What was being done, such as `create`.
        action: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A folder that must be this user's own is not.
    NotPrivate {
        /// The folder.
        path: PathBuf,
        /// Why it is not trusted.
        reason: &'static str,
    },
    /// No recording, run or process answers to this name.
    NotFound {
        /// The name as it was given.
        name: String,
    },
    /// More than one run begins with this name.
    Ambiguous {
        /// The name as it was given.
        name: String,
        /// The runs that begin with it.
        runs: Vec<String>,
    },
    /// A folder without segment files.
    EmptyFolder {
        /// The folder.
        path: PathBuf,
        /// Recordings in it that have names of their own.
        recordings: usize,
        /// The first of them by name.
        first: Option<PathBuf>,
    },
    /// A file to record to holds something else.
    Occupied {
        /// The file.
        path: PathBuf,
    },
    /// A device, pipe, socket or folder stands where a recording's file would.
    NotAFile {
        /// What was named.
        path: PathBuf,
    },
    /// A recording was to come through standard input, which is a terminal.
    NothingPiped,
    /// What has passed of standard input was wanted again.
    NotKept,
    /// A recording that was open is not there any more, or empty.
    Gone {
        /// The recording.
        path: PathBuf,
    },
    /// Another session's recording stands where one was open.
    Replaced {
        /// The recording.
        path: PathBuf,
    },
    /// The recording cannot be read at all.
    Unreadable {
        /// The segment or file.
        path: PathBuf,
        /// What is wrong with it.
        damage: Damage,
    },
}

impl RecordError {
    /// Why a folder is not one recording: files of several runs may lie in it under names of their own. It is looked into
    /// here, so that what is said later is what was so when it was opened.
    pub(crate) fn empty_folder(path: &Path) -> Self {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_recording = |path: &PathBuf| path.extension().is_some_and(|end| end == "bptrace");
        let (mut recordings, mut first) = (0, None::<PathBuf>);
        for entry in entries.filter(is_recording) {
            recordings += 1;
            if first.as_ref().is_none_or(|first| entry < *first) {
                first = Some(entry);
            }
        }
        Self::EmptyFolder { path: path.to_path_buf(), recordings, first }
    }

    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Whether the disk has no room, or this user or process may not take more of it.
    pub(crate) fn is_lack_of_room(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge))
    }

    /// Whether what was wanted is simply not there.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |path: &PathBuf| escape(&path.to_string_lossy()).to_string();
        match self {
            Self::Io { action, path, source } => {
                write!(f, "could not {action} {}: {source}{}", shown(path), advice(source))
            }
            Self::NotPrivate { path, reason } => write!(
                f,
                "{} is not used for recordings and live runs, because {reason}: remove it, or set XDG_RUNTIME_DIR \
                 and XDG_STATE_HOME to folders of your own",
                shown(path)
            ),
            Self::NotFound { name } if name.trim().is_empty() => f.write_str(
                "name a recording: a .bptrace file, a folder of them, a process id, a model's name or the start of a \
                 run's name",
            ),
            Self::NotFound { name } => write!(
                f,
                "there is no recording, live run or process called {}: name a .bptrace file, a folder of them, a \
                 process id, a model's name or the start of a run's name",
                escape(name)
            ),
            Self::Ambiguous { name, runs } => {
                write!(f, "{} could be any of these runs: {}", escape(name), escape_lines(&runs.join(", ")))
            }
            Self::EmptyFolder { path, recordings, first } => {
                write!(f, "{} ", shown(path))?;
                match (recordings, first.as_ref().map(shown)) {
                    (2.., Some(first)) => write!(
                        f,
                        "is a folder with {recordings} recordings in it: name one of them, such as {first}"
                    ),
                    (_, Some(one)) => write!(f, "is a folder with one recording in it: name {one}"),
                    (_, None) => f.write_str("holds no recording: there is no .bptrace file in it"),
                }
            }
            Self::Occupied { path } => write!(
                f,
                "{} exists and is no recording: it is left as it is; name another file, or remove it first",
                shown(path)
            ),
            Self::NotAFile { path } => write!(
                f,
                "{} is not a regular file, and recordings are written to and read from regular files only",
                shown(path)
            ),
            Self::NothingPiped => f.write_str(
                "- reads a recording from standard input, which is a terminal: pipe one in, as in \
                 `ssh HOST bayplan tail RUN | bayplan top -`",
            ),
            Self::NotKept => f.write_str(
                "what came through standard input is not kept: for its past, record to disk and open that, as in \
                 `ssh HOST bayplan tail RUN > run.bptrace`",
            ),
            Self::Gone { path } => write!(
                f,
                "{} is gone or was emptied since it was opened: what was read of it is all there is",
                shown(path)
            ),
            Self::Replaced { path } => write!(
                f,
                "another recording was put in the place of {} since it was opened: open it anew",
                shown(path)
            ),
            Self::Unreadable { path, damage } => write!(f, "{} cannot be read: {damage}", shown(path)),
        }
    }
}

/// What to do about an answer of the system, where that is not plain.
fn advice(answer: &io::Error) -> &'static str {
    if answer.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        return "; its links lead in a circle: name what they should lead to";
    }
    match answer.kind() {
        io::ErrorKind::PermissionDenied => {
            "; this user may not do that: let a user do it who may, or change the permissions of the file and its folders"
        }
        io::ErrorKind::NotADirectory => "; a part of that path is a file and no folder: check the path",
        io::ErrorKind::NotFound => "; it is not there, or is a link to what is not there",
        _ => "",
    }
}

impl std::error::Error for RecordError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Unreadable { damage, .. } => Some(damage),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_several_recordings_says_which_to_name() {
        let temp = tempfile::tempdir().unwrap();
        let said = || RecordError::empty_folder(temp.path()).to_string();
        assert!(said().contains("holds no recording"), "{}", said());
        for (name, words) in
            [("b.bptrace", "one recording in it: name"), ("a.bptrace", "2 recordings in it: name one")]
        {
            std::fs::write(temp.path().join(name), "").unwrap();
            assert!(said().contains(words) && said().ends_with(name), "{}", said());
        }
        // What was so when it was opened is told, whatever becomes of the folder.
        let error = RecordError::empty_folder(temp.path());
        let before = error.to_string();
        std::fs::remove_file(temp.path().join("a.bptrace")).unwrap();
        assert_eq!(error.to_string(), before);
    }
}
