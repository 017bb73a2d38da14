//! `bayplan top`: hands over to the viewer, a program of its own.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::args::TopOptions;
use crate::exit::{Failure, Outcome};

const VIEWER: &str = "bayplan-tui";

pub(crate) fn top(options: &TopOptions) -> Outcome {
    let viewer = viewer();
    let status = Command::new(&viewer).args(&options.arguments).status().map_err(|e| {
        Failure::new(format!(
            "the viewer {} cannot be started: {e}; install it beside bayplan with `make install`, or name it in BAYPLAN_TUI",
            viewer.display()
        ))
    })?;
    // A viewer ended by a signal has no code of its own.
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// The one named in the environment, else the one beside this program, else the one on the path.
fn viewer() -> PathBuf {
    if let Some(named) = std::env::var_os("BAYPLAN_TUI").filter(|name| !name.is_empty()) {
        return named.into();
    }
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(VIEWER)));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| VIEWER.into())
}
