//! `bayplan diff`: two recordings, plan files or instances beside each other.

use std::path::Path;
use std::process::ExitCode;

use bayplan_report::diff::{self, Compared, Side};
use bayplan_text::escape;

use super::compared::{only_one_standard_input, planned_or_recorded};
use crate::args::{DiffFormat, DiffOptions};
use crate::exit::Outcome;
use crate::out;
use crate::output_file::deliver;

pub(crate) fn diff(options: &DiffOptions) -> Outcome {
    only_one_standard_input(&options.before, Some(&options.after))?;
    let (before, after) = (planned_or_recorded(&options.before)?, planned_or_recorded(&options.after)?);
    let names = [&options.before, &options.after].map(|name| name.to_string_lossy());
    for (name, side) in names.iter().zip([&before, &after]) {
        for damage in &side.damages {
            out::error_line("warning", &format!("{}: {}", escape(name), escape(damage)));
        }
    }
    let a = Side { name: &names[0], timeline: &before.timeline };
    let b = Side { name: &names[1], timeline: &after.timeline };
    let compared = Compared::new(a, b);
    let text = match if options.json { DiffFormat::Json } else { options.format } {
        DiffFormat::Text => diff::text(&compared),
        DiffFormat::Json => diff::json(&compared),
        DiffFormat::Markdown => diff::markdown(&compared),
        DiffFormat::Svg => diff::svg(&compared),
    };
    let sources = [Path::new(&options.before), Path::new(&options.after)];
    deliver(&options.file, "the comparison", &sources, &text)?;
    Ok(if options.exit_code && !compared.diff.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
