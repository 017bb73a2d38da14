//! Assertions on a recording: a small language over the figures of the table, for gates in CI.
//!
//! # The language
//! ```text
//! assertion   or ::= and { "or" and }        and ::= not { "and" not }        not ::= [ "not" ] comparison
//! comparison  sum ( "<" | "<=" | "==" | "!=" | ">=" | ">" ) sum               joined, not chained: 1 <= x and x <= 2
//! sum         product { ( "+" | "-" ) product }      product ::= factor { ( "*" | "/" ) factor }
//! factor      [ "-" ] ( number | figure | function | "(" … ")" )
//! number      12 · 1_000 · 0.5 · 512MiB · 1.5GB · 2% · 3ms · 10us
//! figure      [ "baseline." ] name [ "(" choice { "," choice } ")" ]
//! choice      key = "name" · key = number · key ~ "na*e"              key: plan arena heap pool op tensor; of ~ * ? in it
//! function    count sum min max mean p50 p90 p95 p99 ( figure )      of a distribution, or over what the figure is told of
//!             min max ( x, y, … ) · abs ( x )
//! ```
//! The names of figures are those of [`bayplan_trace::quantities::QUANTITIES`]; without a key a figure is that of the
//! session. Bytes are compared with bytes, times with times; a plain number goes with both. What is written, and what figures
//! are whole numbers, is computed with exactly: 15 <= 15% * 100 holds.
//!
//! An assertion holds, fails, or cannot be judged: where records are missing, a figure is known from below only, so that
//! `deviation == 0` fails on what was seen and is open if nothing was. One that fails names its causes: alarms, and the
//! tensors of an arena that is too large, beside a baseline those that grew.

mod baseline;
mod causes;
#[cfg(test)]
mod causes_tests;
mod error;
mod eval;
mod finding;
mod json;
mod junit;
mod lex;
mod markdown;
mod notes;
mod number;
mod parse;
mod program;
#[cfg(test)]
mod tests;
mod text;

pub use baseline::{Share, Tolerance, compare};
pub use error::ExpressionError;
pub use finding::{Finding, Findings, Verdict};
pub use json::json;
pub use junit::junit;
pub use markdown::markdown;
pub use text::text;

use bayplan_trace::quantities::Unit;
use bayplan_trace::{PlanRecord, Timeline};

use eval::Evaluation;
use program::Step;

/// A recording that is judged, or one that it is held against.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// What it is called.
    pub name: &'a str,
    /// What is known of it.
    pub timeline: &'a Timeline,
    /// What is damaged in it, in words.
    pub damages: &'a [String],
    /// Whether the recorded process still runs.
    pub live: bool,
}

/// An assertion that was read.
#[derive(Clone, Debug)]
pub struct Assertion {
    text: String,
    steps: Vec<Step>,
}

impl Assertion {
    /// Reads an assertion.
    ///
    /// # Errors
    /// Where it is not one, with the place.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        Ok(Self { text: text.into(), steps: parse::parse(text)? })
    }

    /// Where it names the baseline, if it does: then there must be one.
    pub fn needs_baseline(&self) -> Option<ExpressionError> {
        let step = self.steps.iter().find(|step| step.is_of_baseline())?;
        let why = "there is no baseline: --baseline RECORDING names one".into();
        Some(ExpressionError::new(&self.text, step.at.clone(), why))
    }

    /// Judges it.
    pub fn judge(&self, own: &Judged<'_>, baseline: Option<&Judged<'_>>) -> Finding {
        Evaluation::of(&self.text, &self.steps, own, baseline)
    }
}

/// What a value is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A number as it was written, which goes with everything.
    Plain,
    Bytes,
    Nanos,
    Count,
    Ratio,
    /// Bytes in a second.
    Rate,
    /// True or false.
    Truth,
}

impl From<Unit> for Kind {
    fn from(unit: Unit) -> Self {
        match unit {
            Unit::Bytes => Self::Bytes,
            Unit::Nanos => Self::Nanos,
            Unit::Count => Self::Count,
            Unit::Ratio => Self::Ratio,
            Unit::BytesPerSecond => Self::Rate,
        }
    }
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "a number",
            Self::Bytes => "bytes",
            Self::Nanos => "a time",
            Self::Count => "a count",
            Self::Ratio => "a share",
            Self::Rate => "bytes per second",
            Self::Truth => "true or false",
        }
    }

    /// Whether it has no dimension: such numbers scale others.
    pub(crate) fn is_pure(self) -> bool {
        matches!(self, Self::Plain | Self::Count | Self::Ratio)
    }
}

/// What a plan is for: its dimensions, by name.
fn dims(plan: &PlanRecord) -> Vec<(&str, i64)> {
    let mut dims: Vec<_> = plan.dims.iter().map(|dim| (dim.name.as_str(), dim.value)).collect();
    dims.sort_unstable();
    dims
}
