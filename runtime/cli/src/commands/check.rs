//! `bayplan check`.

use std::path::Path;
use std::process::ExitCode;

use bayplan_report::check::{self, Assertion, ExpressionError, Findings, Judged, Tolerance, Verdict};
use bayplan_text::escape;

use super::compared::{only_one_standard_input, planned_or_recorded};
use super::recordings::Recorded;
use crate::args::{CheckOptions, FileOptions};
use crate::exit::{Failure, Outcome, UNJUDGED};
use crate::out;
use crate::output_file::{deliver, is_part_of};

pub(crate) fn check(options: &CheckOptions) -> Outcome {
    let assertions = read(options)?;
    let files = [(&options.junit, "the JUnit report"), (&options.markdown, "the Markdown report")];
    let files: Vec<_> = files.iter().filter_map(|(path, what)| Some((path.as_deref()?, *what))).collect();
    told_apart(options, &files)?;
    let own = planned_or_recorded(&options.recording).map_err(Failure::unjudged)?;
    let baseline =
        options.baseline.as_deref().map(|name| planned_or_recorded(name).map_err(Failure::unjudged));
    let baseline = baseline.transpose()?;
    let sources: Vec<&Path> =
        [Some(&own), baseline.as_ref()].into_iter().flatten().map(|it| &*it.path).collect();
    for (path, what) in &files {
        not_a_source(path, what, &sources)?;
    }
    let names = [Some(&options.recording), options.baseline.as_ref()]
        .map(|name| name.map(|name| name.to_string_lossy()).unwrap_or_default());
    let own = judged(&names[0], &own);
    let baseline = baseline.as_ref().map(|baseline| judged(&names[1], baseline));

    let mut list: Vec<_> =
        assertions.iter().map(|assertion| assertion.judge(&own, baseline.as_ref())).collect();
    if let Some(baseline) = &baseline {
        let tolerance =
            Tolerance { memory: options.tolerance.unwrap_or_default(), time: options.time_tolerance };
        list.extend(check::compare(&own, baseline, tolerance));
    }
    let findings = Findings::new(&own, baseline.as_ref(), list);
    let verdict = findings.verdict();
    let text = if options.format.is_json() { check::json(&findings) } else { check::text(&findings) };
    let printed = out::print(&text);
    let texts = [(&options.junit, check::junit(&findings)), (&options.markdown, check::markdown(&findings))];
    let mut done = printed;
    for (path, text) in texts {
        let Some(path) = path else { continue };
        done = done.and(write(path, &text));
    }
    match (verdict, done) {
        // Whatever could not be written: it failed.
        (Verdict::Failed, Err(e)) => Err(e),
        (_, Err(e)) => Err(e.unjudged()),
        (Verdict::Holds, Ok(())) => Ok(ExitCode::SUCCESS),
        (Verdict::Failed, Ok(())) => Ok(ExitCode::FAILURE),
        (Verdict::Open, Ok(())) => Ok(ExitCode::from(UNJUDGED)),
    }
}

/// Refuses arguments that are one place twice.
fn told_apart(options: &CheckOptions, files: &[(&Path, &str)]) -> Result<(), Failure> {
    only_one_standard_input(&options.recording, options.baseline.as_deref())?;
    if let [(junit, _), (markdown, _)] = files
        && junit == markdown
    {
        let name = escape(&junit.to_string_lossy()).to_string();
        return Err(Failure::usage(format!("--junit and --markdown are both {name}: name two files")));
    }
    match files.iter().find(|(path, _)| path.as_os_str() == "-") {
        Some((_, what)) => Err(Failure::usage(format!(
            "{what} cannot go to standard output, which has the result: name a file"
        ))),
        None => Ok(()),
    }
}

/// Refuses to replace what is read.
fn not_a_source(path: &Path, what: &str, sources: &[&Path]) -> Result<(), Failure> {
    match sources.iter().any(|source| is_part_of(path, source)) {
        true => {
            let name = escape(&path.to_string_lossy()).to_string();
            Err(Failure::usage(format!("{name} is a recording that is judged: name another file for {what}")))
        }
        false => Ok(()),
    }
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

/// A report appears when it is whole; what was there is replaced.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let file = FileOptions { output: Some(path.to_path_buf()), force: true };
    deliver(&file, "the report", &[], text)
}
