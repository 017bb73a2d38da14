//! `bayplan run --metrics` and `--otlp`: the run's figures for those who watch many machines.

use bayplan::{Level, Session};
use bayplan_fleet::{Fleet, FleetError, Outlets, Server};

use crate::args::RunOptions;
use crate::exit::Failure;
use crate::out;

/// Who is to be told of the run; what cannot be is refused before anything is done.
pub(super) fn outlets(options: &RunOptions) -> Result<Outlets, Failure> {
    let mut outlets = Outlets::default();
    if let Some(address) = &options.metrics {
        outlets.server = Some(Server::bind(address, options.metrics_open)?);
    }
    #[cfg(feature = "otlp")]
    if let Some(url) = &options.otlp {
        outlets.receiver = Some(bayplan_fleet::Receiver::new(url)?);
    }
    if !outlets.is_empty() && options.trace_level == Some(Level::Off) {
        return Err(Failure::usage(
            "metrics are read off the recording, and --trace-level off records nothing; leave one out",
        ));
    }
    Ok(outlets)
}

/// Follows the session's recording, if anybody is to be told of it.
pub(super) fn start(outlets: Outlets, session: &Session, quiet: bool) -> Result<Option<Fleet>, Failure> {
    if outlets.is_empty() {
        return Ok(None);
    }
    let Some(recording) = session.trace().recorder().path() else {
        return Err(Failure::new(
            "metrics are read off the recording, and none can be made (see the warning)",
        ));
    };
    let address = outlets.server.as_ref().map(Server::address);
    let fleet = Fleet::start(recording, outlets)?;
    if let Some(address) = address.filter(|_| !quiet) {
        out::error_line("metrics", &format!("http://{address}/metrics"));
    }
    Ok(Some(fleet))
}

/// Tells the last figures. What could not be told is a warning: the runs are none the worse for it.
pub(super) fn finish(fleet: Option<Fleet>) {
    for missing in fleet.into_iter().flat_map(Fleet::finish) {
        out::error_line("warning", &missing);
    }
}

impl From<FleetError> for Failure {
    fn from(e: FleetError) -> Self {
        if e.is_usage() { Self::usage(e.to_string()) } else { Self::new(e.to_string()) }
    }
}
