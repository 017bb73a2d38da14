//! The arguments of `bayplan check`.

use std::path::PathBuf;

use bayplan_trace::quantities::QUANTITIES;
use clap::Args;

use super::common::FormatOptions;

/// The example of `check`, and what it does.
pub(super) const CHECK: &str = "\
Example: bayplan check 12345 --assert waste<=2%andpeak<=512MiB --junit memory.xml

Exit codes: 0 every assertion holds, 1 one failed, 4 none failed but one could not be judged (a figure is not known, the \
    recording is damaged or cannot be read), 2 wrong usage.

EXPR compares figures: 'peak <= 512MiB and waste <= 2%', 'deviation == 0 and overlap == 0 and unplanned == 0', \
    'peak(arena=\"activations\") <= 1.02 * baseline.peak(arena=\"activations\")', 'p95(op_time) < 3ms'. It has and, or, \
    not, < <= == != >= >, + - * /, brackets, sizes (512MiB, 1.5GB), times (3ms, 10us), shares (2%) and plain numbers. \
    In brackets behind a figure stands of what: plan=0, arena=\"weights\", heap=0, pool=\"outputs\", op=\"conv1\", \
    tensor=\"x\"; without them it is that of the session. Functions: count, sum, min, max, mean of a figure over what it is \
    told of, or of a distribution, which also has p50, p90, p95, p99; min and max of several values; abs.

With --baseline every figure marked * must not be worse than the baseline's, beyond the --tolerance: those of arenas arena \
    by arena. Where an arena is larger, the tensors that cause it are named.

JSON: format, version; verdict (holds, failed, not judged), recording, model, baseline; assertions, each with assertion, \
    verdict, figures (name, value or null, at_least, at_most), why (it could not be judged) and causes; notes.";

/// The long help: with every figure that can be asserted.
pub(super) fn help() -> String {
    let mut text = format!("{CHECK}\n\nFigures:\n");
    for row in QUANTITIES {
        let mark = if row.worse.is_some() { "*" } else { " " };
        text +=
            &format!(" {mark} {:18} {:5} {:8} {}\n", row.name, row.unit.name(), row.scope.name(), row.help);
    }
    text
}

#[derive(Args, Debug)]
pub(crate) struct CheckOptions {
    /// A file, a folder, a process id, the name of a model (its newest run), or the name of a run (a unique beginning is
    /// enough); or a plan file, such as `bayplan plan --json` writes.
    pub(crate) recording: String,
    /// What must hold (repeat for each).
    #[arg(long = "assert", value_name = "EXPR", required_unless_present = "baseline")]
    pub(crate) assertions: Vec<String>,
    /// What to hold it against: nothing may be worse than there.
    #[arg(long, value_name = "RECORDING")]
    pub(crate) baseline: Option<String>,
    /// By how much a figure may be worse than the baseline's, for instance 2%.
    #[arg(long, value_name = "PERCENT", requires = "baseline", value_parser = tolerance)]
    pub(crate) tolerance: Option<f64>,
    /// Also writes the result as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Also writes the result as Markdown, for a pull request.
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) format: FormatOptions,
}

/// `2%`, `0.5 %`: at most everything.
fn tolerance(text: &str) -> Result<f64, String> {
    let number = text.trim().strip_suffix('%').map(|number| number.trim_end().parse::<f64>());
    match number {
        Some(Ok(percent)) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err("a tolerance is a share from 0% to 100%, for instance 2%".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerances_are_shares() {
        for (text, expected) in [("2%", 0.02), ("0%", 0.0), (" 12.5 % ", 0.125), ("100%", 1.0)] {
            assert_eq!(tolerance(text), Ok(expected), "{text}");
        }
        for text in ["", "2", "%", "-1%", "101%", "nan%", "inf%", "2%%", "1MiB"] {
            assert!(tolerance(text).is_err(), "{text}");
        }
    }
}
