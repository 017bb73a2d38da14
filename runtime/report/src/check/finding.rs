//! What assertions came to.

use std::fmt;

use bayplan_text::{Bytes, Count, Nanos, Percent, Rate, plural};

use super::notes::notes;
use super::number::{Known, Number};
use super::{Judged, Kind};

/// How an assertion came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It does not.
    Failed,
    /// It could not be judged.
    Open,
}

impl Verdict {
    /// Its name, as reports write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Failed => "failed",
            Self::Open => "not judged",
        }
    }
}

/// What one assertion came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The assertion.
    pub text: String,
    /// How it came out.
    pub verdict: Verdict,
    /// The figures that it names, with their values.
    pub(crate) shown: Vec<Shown>,
    /// Why it could not be judged.
    pub why: Vec<String>,
    /// What made it fail, where that is known: tensors, say. Escaped.
    pub causes: Vec<String>,
}

/// A figure as an assertion names it, and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shown {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) known: Known,
}

/// What all assertions on a recording came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    /// What the recording is called.
    pub recording: String,
    /// The model that was recorded.
    pub model: String,
    /// What the baseline is called.
    pub baseline: Option<String>,
    /// One for each assertion.
    pub list: Vec<Finding>,
    /// What is to be known about the recordings: that one is damaged, say.
    pub notes: Vec<String>,
}

impl Findings {
    /// What assertions on a recording came to. Notes say what is to be known about the recordings.
    pub fn new(own: &Judged<'_>, baseline: Option<&Judged<'_>>, list: Vec<Finding>) -> Self {
        let session = own.timeline.session.as_ref();
        let plan = own.timeline.plans.first().map(|plan| plan.record.model.as_str());
        let model = session.map(|session| session.model.as_str()).filter(|model| !model.is_empty()).or(plan);
        Self {
            recording: own.name.to_owned(),
            model: model.unwrap_or_default().to_owned(),
            baseline: baseline.map(|baseline| baseline.name.to_owned()),
            list,
            notes: notes(own, baseline),
        }
    }

    /// How many came out so.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.list.iter().filter(|finding| finding.verdict == verdict).count()
    }

    /// The verdict on all of them: one that failed decides, then one that could not be judged.
    pub fn verdict(&self) -> Verdict {
        match (self.count(Verdict::Failed), self.count(Verdict::Open)) {
            (1.., _) => Verdict::Failed,
            (0, 1..) => Verdict::Open,
            (0, 0) => Verdict::Holds,
        }
    }

    /// The assertion before that names the same causes, if there are any.
    pub(super) fn told_before(&self, finding: &Finding) -> Option<&str> {
        let mut before = self.list.iter().take_while(|other| !std::ptr::eq(*other, finding));
        let same = before.find(|other| !finding.causes.is_empty() && other.causes == finding.causes)?;
        Some(&same.text)
    }

    /// What was recorded, in a word: the model, else the recording.
    pub(super) fn subject(&self) -> String {
        if self.model.is_empty() { self.recording.clone() } else { self.model.clone() }
    }

    /// `3 assertions: 1 holds, 1 failed, 1 could not be judged`.
    pub(super) fn summary(&self) -> String {
        let all = self.list.len();
        let parts =
            [(Verdict::Holds, "hold"), (Verdict::Failed, "failed"), (Verdict::Open, "could not be judged")];
        let parts: Vec<String> = parts
            .into_iter()
            .map(|(verdict, words)| (self.count(verdict), words))
            .filter(|(count, _)| *count > 0)
            .map(|(count, words)| match (count, words) {
                (1, "hold") => "1 holds".to_owned(),
                _ => format!("{count} {words}"),
            })
            .collect();
        format!("{}: {}", plural(all as u64, "assertion"), parts.join(", "))
    }
}

impl Shown {
    /// A number that programs read: the exact value, or nothing.
    pub(super) fn exact(&self) -> Option<Number> {
        self.known.exact()
    }
}

/// `peak = 12.4 MiB (13,002,342)`, `deviation >= 3`, `trace_cost = ?`.
impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = bayplan_text::escape(&self.name);
        let value = |number| show(number, self.kind);
        match (self.exact(), self.known.least, self.known.most) {
            (Some(number), ..) => write!(f, "{name} = {}", value(number)),
            (None, Some(least), Some(most)) => write!(f, "{name} = {} to {}", value(least), value(most)),
            (None, Some(least), None) => write!(f, "{name} >= {}", value(least)),
            (None, None, _) => write!(f, "{name} = ?"),
        }
    }
}

/// A number in the units of its kind, with the exact one where it is rounded.
fn show(number: Number, kind: Kind) -> String {
    let whole = match number {
        Number::Whole(number) => u64::try_from(number).ok(),
        Number::Part(..) | Number::Real(_) => None,
    };
    match (kind, whole) {
        (Kind::Bytes, Some(bytes @ 1024..)) => format!("{} ({})", Bytes(bytes), Count(bytes)),
        (Kind::Bytes, Some(bytes)) => Bytes(bytes).to_string(),
        (Kind::Nanos, Some(nanos)) => Nanos(nanos).to_string(),
        (Kind::Nanos, None) if (0.0..1e19).contains(&number.as_f64()) => {
            Nanos(number.as_f64() as u64).to_string()
        }
        (Kind::Rate, _) if (0.0..1e19).contains(&number.as_f64()) => {
            Rate(number.as_f64() as u64, "B").to_string()
        }
        (Kind::Ratio, None) => Percent(number.as_f64()).to_string(),
        (_, Some(count)) => Count(count).to_string(),
        (_, None) => number.as_f64().to_string(),
    }
}
