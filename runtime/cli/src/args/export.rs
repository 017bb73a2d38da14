//! The arguments of `export`.

use std::ffi::OsString;
use std::path::PathBuf;

use bayplan_report::{FORMATS, Format, export_format};
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// The example of `export`, and what it does with files.
pub(super) const EXPORT: &str = "\
Example: bayplan export 12345 --format chrome --output run.json

The file appears when it is whole. One that is there already is left as it is, unless --force is given. Of a \
    run that goes on, what it has recorded so far is written.";

#[derive(Args, Debug)]
pub(crate) struct ExportOptions {
    /// A file, a folder, a process id, the name of a model (its newest run), or the name of a run (a unique beginning is
    /// enough).
    pub(crate) recording: OsString,
    /// Which format.
    #[arg(long, value_parser = formats())]
    pub(crate) format: &'static Format,
    /// The file to write; - is standard output.
    #[arg(long, short, value_name = "FILE|-")]
    pub(crate) output: PathBuf,
    /// Replaces a file that is there already.
    #[arg(long)]
    pub(crate) force: bool,
}

/// The names of the formats, each with what it is.
fn formats() -> impl TypedValueParser<Value = &'static Format> {
    let names = FORMATS.iter().map(|format| PossibleValue::new(format.name).help(format.about));
    PossibleValuesParser::new(names).try_map(|name| export_format(&name).ok_or("there is no such format"))
}
