//! Errors for people.

use std::fmt;
use std::io;

use bayplan_record::RecordError;

use crate::config::ConfigError;

/// Why the viewer could not do what was asked.
#[derive(Debug)]
pub(crate) enum TuiError {
    /// The recording could not be found or read.
    Record(RecordError),
    /// The configuration cannot be read or is wrong.
    Config(ConfigError),
    /// Nothing was named, and this way of looking needs a name.
    NoRecording,
    /// Standard output is no terminal.
    NoTerminal,
    /// The terminal cannot place a cursor; what it is called.
    PlainTerminal(String),
    /// What was asked for cannot be written.
    Output(io::Error),
    /// Reading the recording stopped before its end; why.
    Unreadable(String),
    /// The terminal refused something.
    Terminal(io::Error),
    /// The signals could not be caught.
    Signals(io::Error),
    /// No thread could be started to read the recording.
    Thread(io::Error),
    /// Two plans could not be compared; why.
    NotCompared(String),
    /// There is no such moment in the recording; why.
    NoMoment(String),
    /// The thread that reads the recording broke down.
    ReaderLost,
}

impl fmt::Display for TuiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
            Self::NoRecording => f.write_str(
                "no run is live: name a recording, or start a run with `bayplan run MODEL` in another terminal",
            ),
            Self::NoTerminal => f.write_str(
                "this is not a terminal: use --text for a summary, or --snapshot 120x40 for a picture as text",
            ),
            Self::PlainTerminal(name) => write!(
                f,
                "a terminal of the kind \"{}\" cannot show pictures that change: use --text for a summary, or --snapshot \
                 120x40 for one picture; if it can, set TERM to its kind, such as xterm-256color",
                bayplan_text::escape(name)
            ),
            Self::Output(error) => write!(f, "could not write to standard output: {error}"),
            Self::Unreadable(why) => f.write_str(why),
            Self::Terminal(error) => write!(f, "the terminal cannot be used: {error}; --text needs none"),
            Self::Signals(error) => write!(f, "could not catch signals: {error}"),
            Self::Thread(error) => write!(f, "could not start a thread that reads the recording: {error}"),
            Self::NotCompared(why) => write!(f, "cannot compare: {why}"),
            Self::NoMoment(why) => write!(f, "there is no such moment in the recording: {why}"),
            Self::ReaderLost => f.write_str("reading broke down; what it said stands above"),
        }
    }
}

impl std::error::Error for TuiError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Record(error) => Some(error),
            Self::Output(error) | Self::Terminal(error) | Self::Signals(error) | Self::Thread(error) => {
                Some(error)
            }
            Self::Config(_)
            | Self::NoRecording
            | Self::NoTerminal
            | Self::PlainTerminal(_)
            | Self::Unreadable(_)
            | Self::NotCompared(_)
            | Self::NoMoment(_)
            | Self::ReaderLost => None,
        }
    }
}

impl From<RecordError> for TuiError {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

impl From<ConfigError> for TuiError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}
