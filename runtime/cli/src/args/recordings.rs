//! The arguments of the commands that read recordings.

use std::ffi::OsString;

use clap::{Args, ValueEnum};

use super::common::FileOptions;

/// The examples of `report`.
pub(super) const REPORT: &str = "\
Example: bayplan report 12345 --format html --output run.html

svg is the map of memory as a vector picture; html is one page with the map to zoom and to search, and all that the other \
    formats tell, which fetches nothing from anywhere. Of a run that goes on, what it has recorded so far is told.";

#[derive(Args, Debug)]
pub(crate) struct ReportOptions {
    /// A file, a folder, a process id, the name of a model (its newest run), or the name of a run (a unique beginning is
    /// enough); - is standard input.
    pub(crate) recording: OsString,
    /// What to print.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: ReportFormat,
    /// Short for --format json.
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
    /// Draws the map of memory instead, in characters: offset against op.
    #[arg(long, conflicts_with_all = ["format", "json"])]
    pub(crate) map: bool,
    /// Draws it with ASCII signs alone.
    #[arg(long, requires = "map")]
    pub(crate) ascii: bool,
    /// Tells the time of every op, not of the slowest alone. JSON has them all.
    #[arg(long)]
    pub(crate) ops: bool,
    #[command(flatten)]
    pub(crate) file: FileOptions,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one object, whose `version` changes when a key changes its meaning.
    Json,
    /// For a pull request or an issue.
    Markdown,
    /// The map of memory as a picture.
    Svg,
    /// One page with everything, for a browser.
    Html,
}

#[derive(Args, Debug)]
pub(crate) struct TopOptions {
    /// Passed to the viewer, bayplan-tui: a recording (a file, a folder, a process id, the name of a model or
    /// of a run; - is standard input) and the viewer's options, which `bayplan top -- --help` lists. Without a recording, pick from the live runs.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    pub(crate) arguments: Vec<OsString>,
}
