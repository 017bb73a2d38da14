//! `bayplan report`.

use std::process::ExitCode;

use super::recordings::Recorded;
use crate::args::ReportOptions;
use crate::exit::Outcome;
use crate::out;

/// Size of the map where standard output is no terminal, in characters.
const MAP: (u16, u16) = (100, 24);

pub(crate) fn report(options: &ReportOptions) -> Outcome {
    let Recorded { timeline, damages, live } = Recorded::read(&options.recording)?;
    let mut text = if options.map {
        let (columns, rows) = map_size();
        bayplan_report::map(&timeline, columns, rows)
    } else if options.format.is_json() {
        bayplan_report::json(&timeline, &damages, live)
    } else {
        bayplan_report::text(&timeline, &damages, live)
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    out::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// What fits the terminal, less the line that the shell needs.
fn map_size() -> (u16, u16) {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let known = size.filter(|size| size.ws_col > 0 && size.ws_row > 1);
    known.map_or(MAP, |size| (size.ws_col, size.ws_row - 1))
}
