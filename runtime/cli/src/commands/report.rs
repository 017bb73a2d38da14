//! `bayplan report`.

use std::process::ExitCode;

use super::recordings::Recorded;
use crate::args::{ReportFormat, ReportOptions};
use crate::exit::Outcome;
use crate::output_file::deliver;

/// Size of the map where standard output is no terminal, in characters.
const MAP: (u16, u16) = (100, 24);

pub(crate) fn report(options: &ReportOptions) -> Outcome {
    let Recorded { timeline, damages, live, path } = Recorded::read(&options.recording)?;
    let ops = options.ops;
    let mut text = match if options.json { ReportFormat::Json } else { options.format } {
        _ if options.map => {
            let (columns, rows) = map_size();
            bayplan_report::map(&timeline, columns, rows, options.ascii)
        }
        ReportFormat::Text => bayplan_report::text(&timeline, &damages, live, ops),
        ReportFormat::Json => bayplan_report::json(&timeline, &damages, live),
        ReportFormat::Markdown => bayplan_report::markdown(&timeline, &damages, live, ops),
        ReportFormat::Svg => bayplan_report::svg(&timeline),
        ReportFormat::Html => bayplan_report::html(&timeline, &damages, live, ops),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    deliver(&options.file, "the report", &[&path], &text)?;
    Ok(ExitCode::SUCCESS)
}

/// What fits the terminal, less the line that the shell needs.
fn map_size() -> (u16, u16) {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let known = size.filter(|size| size.ws_col > 0 && size.ws_row > 1);
    known.map_or(MAP, |size| (size.ws_col, size.ws_row - 1))
}
