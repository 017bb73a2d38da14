//! `bayplan check`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use bayplan_report::check::{self, Assertion, ExpressionError, Findings, Judged, Verdict};
use bayplan_text::escape;

use super::compared::planned_or_recorded;
use super::recordings::Recorded;
use crate::args::CheckOptions;
use crate::exit::{Failure, Outcome, UNJUDGED};
use crate::out;

pub(crate) fn check(options: &CheckOptions) -> Outcome {
    let assertions = read(options)?;
    let own = planned_or_recorded(&options.recording).map_err(Failure::unjudged)?;
    let baseline =
        options.baseline.as_deref().map(|name| planned_or_recorded(name).map_err(Failure::unjudged));
    let baseline = baseline.transpose()?;
    let own = judged(&options.recording, &own);
    let name = options.baseline.as_deref().unwrap_or_default();
    let baseline = baseline.as_ref().map(|baseline| judged(name, baseline));

    let mut list: Vec<_> =
        assertions.iter().map(|assertion| assertion.judge(&own, baseline.as_ref())).collect();
    if let Some(baseline) = &baseline {
        list.extend(check::compare(&own, baseline, options.tolerance.unwrap_or(0.0)));
    }
    let findings = Findings::new(&own, baseline.as_ref(), list);
    if let Some(path) = &options.junit {
        write(path, &check::junit(&findings))?;
    }
    if let Some(path) = &options.markdown {
        write(path, &check::markdown(&findings))?;
    }
    let text = if options.format.is_json() { check::json(&findings) } else { check::text(&findings) };
    out::print(&text).map_err(Failure::unjudged)?;
    Ok(match findings.verdict() {
        Verdict::Holds => ExitCode::SUCCESS,
        Verdict::Failed => ExitCode::FAILURE,
        Verdict::Open => ExitCode::from(UNJUDGED),
    })
}

/// Reads all assertions before any recording: a mistake in one is found at once.
fn read(options: &CheckOptions) -> Result<Vec<Assertion>, Failure> {
    let read = |text: &String| {
        let assertion = Assertion::parse(text)?;
        match assertion.needs_baseline().filter(|_| options.baseline.is_none()) {
            Some(e) => Err(e),
            None => Ok(assertion),
        }
    };
    let all: Result<Vec<_>, ExpressionError> = options.assertions.iter().map(read).collect();
    all.map_err(|e| Failure::usage(format!("the assertion cannot be read: {e}")))
}

fn judged<'a>(name: &'a str, recorded: &'a Recorded) -> Judged<'a> {
    Judged { name, timeline: &recorded.timeline, damages: &recorded.damages, live: recorded.live }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let fail = |e: std::io::Error| {
        let path = path.display().to_string();
        Failure::new(format!("{} cannot be written: {e}", escape(&path))).unjudged()
    };
    fs::write(path, text).map_err(fail)
}
