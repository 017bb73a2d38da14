//! `bayplan report`.

use std::process::ExitCode;

use bayplan::Places;
use bayplan_record::{RunState, SegmentDamage};
use bayplan_trace::Timeline;

use crate::args::ReportOptions;
use crate::exit::{Failure, Outcome};
use crate::out;

/// Size of the map where standard output is no terminal, in characters.
const MAP: (u16, u16) = (100, 24);

pub(crate) fn report(options: &ReportOptions) -> Outcome {
    let source = bayplan_record::open(&options.recording, &Places::from_env())?;
    let mut timeline = Timeline::new();
    let path = source.path.clone();
    let (state, damages) = bayplan_record::read(source, |record| timeline.apply(record))?;
    if timeline.session.is_none() && timeline.plans.is_empty() {
        return Err(Failure::new(format!(
            "{} holds no recording that can be read; it may be damaged or not be a bayplan trace",
            path.display()
        )));
    }
    let live = state == RunState::Live;
    let damages: Vec<String> = damages.iter().map(damage_text).collect();
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

fn damage_text(damage: &SegmentDamage) -> String {
    format!("{}: {}", damage.path.display(), damage.damage)
}

/// What fits the terminal, less the line that the shell needs.
fn map_size() -> (u16, u16) {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let known = size.filter(|size| size.ws_col > 0 && size.ws_row > 1);
    known.map_or(MAP, |size| (size.ws_col, size.ws_row - 1))
}
