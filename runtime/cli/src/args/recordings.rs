//! The arguments of the commands that read recordings.

use clap::Args;

use super::common::FormatOptions;

#[derive(Args, Debug)]
pub(crate) struct ReportOptions {
    /// A file, a folder, a process id, the name of a model (its newest run), or the name of a run (a unique beginning is
    /// enough); - is standard input.
    pub(crate) recording: String,
    #[command(flatten)]
    pub(crate) format: FormatOptions,
    /// Draws the map of memory instead: offset against op.
    #[arg(long, conflicts_with_all = ["format", "json"])]
    pub(crate) map: bool,
}

#[derive(Args, Debug)]
pub(crate) struct TopOptions {
    /// Passed to the viewer, bayplan-tui: a recording (a file, a folder, a process id, the name of a model or
    /// of a run; - is standard input) and the viewer's options, which `bayplan top -- --help` lists. Without a recording, pick from the live runs.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    pub(crate) arguments: Vec<std::ffi::OsString>,
}
