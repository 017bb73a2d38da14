//! `bayplan top`: hands over to the viewer, a program of its own.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::args::TopOptions;
use crate::exit::{Failure, Outcome};

const VIEWER: &str = "bayplan-tui";

pub(crate) fn top(options: &TopOptions) -> Outcome {
    let viewer = viewer();
    // In place of this process, so that signals and the exit status are the viewer's own. Returns only where it fails.
    let e = Command::new(&viewer).args(&options.arguments).exec();
    Err(cannot_start(&viewer, &e))
}

/// The one named in the environment, else the one beside this program, else the one on the path.
pub(crate) fn viewer() -> PathBuf {
    if let Some(named) = std::env::var_os("BAYPLAN_TUI").filter(|name| !name.is_empty()) {
        return named.into();
    }
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(VIEWER)));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| VIEWER.into())
}

pub(crate) fn cannot_start(viewer: &Path, e: &io::Error) -> Failure {
    Failure::new(format!(
        "the viewer {} cannot be started: {e}\n\
         install it beside bayplan with `make install`, or name it in the variable BAYPLAN_TUI",
        viewer.display()
    ))
}
