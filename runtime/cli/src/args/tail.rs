//! The arguments of `tail`.

use std::ffi::OsString;

use clap::{Args, ValueEnum};

/// Examples of `tail`.
pub(super) const TAIL: &str = "\
Example: bayplan tail 12345 --from start

To watch a run on another machine: ssh HOST bayplan tail RUN | bayplan top -
What tail writes is a recording, and a Perfetto trace: it can also be kept in a file. It ends when the run ends.";

#[derive(Args, Debug)]
pub(crate) struct TailOptions {
    /// A file, a folder, a process id, the name of a model (its newest run), or the name of a run (a unique beginning is
    /// enough); - is standard input.
    pub(crate) recording: OsString,
    /// Where to begin: at the first byte that is there, or at the last keyframe, which says what holds there.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) from: From,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum From {
    /// The first byte that is there.
    Start,
    /// The last keyframe.
    #[default]
    Latest,
}
