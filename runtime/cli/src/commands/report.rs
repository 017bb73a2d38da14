//! `bayplan report`.

use std::process::ExitCode;

use bayplan::Places;
use bayplan_record::{RunState, SegmentDamage};
use bayplan_trace::Timeline;

use crate::args::{ReportFormat, ReportOptions};
use crate::exit::{Failure, Outcome};

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
    if options.json || options.format == ReportFormat::Json {
        println!("{}", bayplan_report::json(&timeline, &damages_text(&damages), live));
    } else if !options.map {
        print!("{}", bayplan_report::text(&timeline, &damages_text(&damages), live));
    }
    if options.map {
        print!("{}", bayplan_report::map(&timeline, MAP.0, MAP.1));
    }
    Ok(ExitCode::SUCCESS)
}

fn damages_text(damages: &[SegmentDamage]) -> Vec<String> {
    damages.iter().map(ToString::to_string).collect()
}
