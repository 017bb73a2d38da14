//! `bayplan import`.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::ExitCode;

use bayplan_report::import as read;
use bayplan_text::escape;

use crate::args::ImportOptions;
use crate::exit::{Failure, Outcome};
use crate::output_file::{Output, Wanted};

/// Bytes read at a time.
const PORTION: usize = 1 << 18;

pub(crate) fn import(options: &ImportOptions) -> Outcome {
    let (path, name) = (&options.file, name(&options.file));
    let shown = escape(&name).to_string();
    let about = |e: &dyn std::fmt::Display| Failure::new(format!("{shown}: {e}"));
    let wanted = Wanted {
        path: &options.output,
        what: "the recording",
        text: false,
        force: options.force,
        source: path,
    };
    let mut output = Output::open(wanted)?;
    let imported = read(open(path).map_err(|e| about(&e))?).map_err(|e| about(&e))?;
    let written = imported.write(&name, env!("CARGO_PKG_VERSION"), output.writer());
    match written.and_then(|()| output.close(options.force)) {
        Err(e) if wanted.was_enough(&e) => {}
        result => result.map_err(|e| wanted.refused(&e))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The name by which a recording says what it was made from: without the folders, which mean nothing elsewhere.
fn name(path: &Path) -> String {
    match path.file_name() {
        Some(name) if path.as_os_str() != "-" => name.to_string_lossy().into_owned(),
        _ => "standard input".to_owned(),
    }
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufReader::with_capacity(PORTION, io::stdin())));
    }
    if path.is_dir() {
        return Err(io::Error::other("it is a folder: name a file in it"));
    }
    Ok(Box::new(BufReader::with_capacity(PORTION, File::open(path)?)))
}
