//! The arguments of `bayplan check`.

use std::ffi::OsString;
use std::path::PathBuf;

use bayplan_report::check::Share;
use bayplan_trace::quantities::{QUANTITIES, Unit};
use clap::{ArgGroup, Args};

use super::common::FormatOptions;

/// The example of `check`, and what it does.
pub(super) const CHECK: &str = "\
Example: bayplan check 12345 --assert 'peak <= 512MiB and waste <= 2%' --junit memory.xml

Exit codes: 0 every assertion holds, 1 one failed, 4 none failed but one could not be judged (a figure is not known, the \
    recording is damaged or cannot be read), 2 wrong usage.

EXPR compares figures: 'peak <= 512MiB and waste <= 2%', 'deviation == 0 and overlap == 0 and unplanned == 0', \
    'peak(arena=\"activations\") <= 102% * baseline.peak(arena=\"activations\")', 'p95(op_time) < 3ms'. It has and, or, \
    not, < <= == != >= >, + - * /, brackets, sizes (512MiB, 1.5GB), times (3ms, 10us), shares (2%) and plain numbers. \
    In brackets behind a figure stands of what: plan=0, arena=\"weights\", heap=0, pool=\"outputs\", op=\"conv1\", \
    tensor=\"x\", or, with ~ for =, a pattern of names: op~\"*/conv?\"; without them it is that of the session. Functions: \
    count, sum, min, max, mean of a figure over what it is told of, or of a distribution, which also has p50, p90, p95, \
    p99; min and max of several values; abs. Of an assertion that fails the alarms and tensors are named.

With --baseline every figure marked * must not be worse than the baseline's, beyond the --tolerance: those of arenas arena \
    by arena. Where an arena is larger, the tensors that cause it are named, the largest growth first. Times, marked +, \
    differ from run to run: they are compared only with a --time-tolerance (of runs the median; of ops the sum of their \
    means, if the baseline timed them). What the baseline did not record is not compared.

JSON: format, version; verdict (holds, failed, not judged), recording, model, baseline; assertions, each with assertion, \
    verdict, figures (name, value or null, at_least, at_most), why (it could not be judged) and causes; notes.";

/// The long help: with every figure that can be asserted.
pub(super) fn help() -> String {
    let mut text = format!("{CHECK}\n\nFigures (* + see above; unit; of what it is told; what it says):\n");
    for row in QUANTITIES {
        let mark = match (row.worse, row.unit) {
            (None, _) => " ",
            (Some(_), Unit::Nanos) => "+",
            (Some(_), _) => "*",
        };
        text +=
            &format!(" {mark} {:18} {:5} {:8} {}\n", row.name, row.unit.name(), row.scope.name(), row.help);
    }
    text
}

#[derive(Args, Debug)]
#[command(
    group(ArgGroup::new("what").args(["assertions", "baseline"]).required(true).multiple(true)),
    override_usage = "bayplan check [OPTIONS] <RECORDING>"
)]
pub(crate) struct CheckOptions {
    /// A file, a folder, a process id, the name of a model (its newest run), or the name of a run (a unique beginning is
    /// enough); or a plan file, such as `bayplan plan --json` writes.
    pub(crate) recording: OsString,
    /// What must hold (repeat for each).
    #[arg(long = "assert", value_name = "EXPR")]
    pub(crate) assertions: Vec<String>,
    /// What to hold it against: nothing may be worse than there.
    #[arg(long, value_name = "RECORDING")]
    pub(crate) baseline: Option<OsString>,
    /// By how much bytes and counts may be worse than the baseline's, for instance 2%; without it, by nothing.
    #[arg(long, value_name = "PERCENT", requires = "baseline", value_parser = tolerance, allow_hyphen_values = true)]
    pub(crate) tolerance: Option<Share>,
    /// Also compares times, which may be worse by so much, for instance 25%.
    #[arg(long, value_name = "PERCENT", requires = "baseline", value_parser = tolerance, allow_hyphen_values = true)]
    pub(crate) time_tolerance: Option<Share>,
    /// Also writes the result as JUnit XML, for build servers. A file that is there is replaced.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Also writes the result as Markdown, for a pull request. A file that is there is replaced.
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) format: FormatOptions,
}

/// `2%`, `0.5 %`.
fn tolerance(text: &str) -> Result<Share, String> {
    Share::parse(text).ok_or_else(|| "a tolerance is a share from 0% to 1000%, for instance 2%".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerances_are_shares() {
        for text in ["2%", "0%", " 12.5 % ", "1000%"] {
            assert!(tolerance(text).is_ok(), "{text}");
        }
        for text in ["", "2", "-1%", "1001%", "nan%", "2%%", "1MiB"] {
            assert!(tolerance(text).is_err_and(|why| why.contains("for instance 2%")), "{text}");
        }
    }

    /// Whoever writes an assertion finds every figure there, with what it is counted in and told of.
    #[test]
    fn the_help_lists_every_figure() {
        let help = help();
        for row in QUANTITIES {
            let named = format!("{} ", row.name);
            let line = help.lines().find(|line| line.get(3..).is_some_and(|rest| rest.starts_with(&named)));
            let line = line.unwrap_or_else(|| panic!("no {}", row.name));
            let mark = match (row.worse, row.unit) {
                (Some(_), Unit::Nanos) => " + ",
                (Some(_), _) => " * ",
                (None, _) => "   ",
            };
            assert!(line.starts_with(mark) && line.ends_with(row.help), "{line}");
            assert!(line.contains(row.unit.name()) && line.contains(row.scope.name()), "{line}");
        }
    }
}
