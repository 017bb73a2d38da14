//! A recording held against a baseline: every figure that gets worse in one direction, within a tolerance.

use bayplan_trace::quantities::{
    Filter, Key, Match, QUANTITIES, Quantity, Reading, Scope, Statistic, Subject, Unit, Unknown, Value, Worse,
};

use super::finding::{Finding, Verdict};
use super::{Assertion, Judged};

/// By which part of the baseline's value figures may be worse.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tolerance {
    /// Bytes and counts.
    pub memory: Share,
    /// Times; where it is `None` they are not compared, since they differ from run to run.
    pub time: Option<Share>,
}

/// A share of something, exactly: so many parts of 10⁸.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share(u64);

impl Share {
    /// Parts of a percent.
    const PERCENT: u64 = 1_000_000;

    /// The largest: ten times as much more.
    const MOST: u64 = 1000 * Self::PERCENT;

    /// `2%`, `0.5 %`: up to 1000%, to a millionth of a percent. `None` where it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, part) = {
            let number = text.trim().strip_suffix('%')?.trim_end();
            number.split_once('.').unwrap_or((number, "0"))
        };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 6 {
            return None;
        }
        let whole = whole.parse::<u64>().ok()?.checked_mul(Self::PERCENT)?;
        let share = whole.checked_add(format!("{part:0<6}").parse().ok()?)?;
        (share <= Self::MOST).then_some(Self(share))
    }

    /// What a baseline is multiplied with: `102%`.
    fn factor(self, worse: Worse) -> String {
        let all = 100 * Self::PERCENT;
        let factor = if worse == Worse::More { all + self.0 } else { all.saturating_sub(self.0) };
        let text = format!("{}.{:06}", factor / Self::PERCENT, factor % Self::PERCENT);
        format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Compares every figure that has a worse direction (see [`Quantity::worse`]) with the baseline's: those of arenas arena by
/// arena, since a sum with the weights would hide what activations need. What the baseline has not recorded is not
/// compared. Times are compared only with a tolerance of their own: of runs the median.
pub fn compare(own: &Judged<'_>, baseline: &Judged<'_>, tolerance: Tolerance) -> Vec<Finding> {
    let mut found = Vec::new();
    for quantity in QUANTITIES {
        let Some(worse) = quantity.worse else { continue };
        let allowed = if quantity.unit == Unit::Nanos { tolerance.time } else { Some(tolerance.memory) };
        let Some(tolerance) = allowed else { continue };
        for arena in subjects(quantity, own) {
            let gate = Gate { quantity, worse, arena: arena.as_deref(), tolerance };
            found.extend(gate.judge(own, baseline));
        }
    }
    found
}

/// The arenas of a recording, where a figure is told of arenas; one entry for the whole session otherwise.
fn subjects(quantity: &'static Quantity, own: &Judged<'_>) -> Vec<Option<String>> {
    if quantity.scope != Scope::Arena {
        return vec![None];
    }
    let mut names: Vec<Option<String>> = Vec::new();
    for figure in Reading::new(own.timeline).of(quantity, &Filter::default()) {
        let Subject::Arena { name, .. } = figure.subject else { continue };
        if !names.iter().any(|known| known.as_deref() == Some(name)) {
            names.push(Some(name.to_owned()));
        }
    }
    names
}

/// A figure that must not be worse than the baseline's.
struct Gate<'a> {
    quantity: &'static Quantity,
    worse: Worse,
    arena: Option<&'a str>,
    tolerance: Share,
}

impl Gate<'_> {
    /// What it came to; `None` where there is nothing to compare with.
    fn judge(&self, own: &Judged<'_>, baseline: &Judged<'_>) -> Option<Finding> {
        let before = self.before(baseline);
        // An arena that the baseline does not have took nothing there.
        let added = matches!(before, Value::Unknown(Unknown::NoSuch { .. }));
        let limit = match before {
            _ if added => "0".to_owned(),
            Value::Unknown(Unknown::Damaged | Unknown::Lost { .. } | Unknown::LostWindows) => self.limit(),
            // Whoever asks for times is told that there are none.
            Value::Unknown(Unknown::NoRuns) if self.quantity.is_distribution() => self.limit(),
            Value::Unknown(_) => return None,
            _ => self.limit(),
        };
        let sign = if self.worse == Worse::More { "<=" } else { ">=" };
        let assertion = Assertion::parse(&format!("{} {sign} {limit}", self.name(""))).ok()?;
        let mut finding = assertion.judge(own, Some(baseline));
        if added && finding.verdict == Verdict::Failed {
            finding.causes.insert(0, "the baseline has no such arena".into());
        }
        Some(finding)
    }

    fn before(&self, baseline: &Judged<'_>) -> Value {
        let reading = Reading::new(baseline.timeline).with_damage(baseline.damages.len() as u64);
        if self.quantity.is_distribution() {
            return reading.statistic(self.quantity, Statistic::P50);
        }
        let filter = self.arena.map(|arena| Filter::by(Key::Arena, Match::Name(arena.to_owned())));
        reading.total(self.quantity, &filter.unwrap_or_default())
    }

    /// `peak(arena="activations")`, `p50(run_time)`; of the baseline `baseline.peak(…)`, `p50(baseline.run_time)`.
    fn name(&self, of: &str) -> String {
        let quoted = |arena: &str| arena.replace('\\', "\\\\").replace('"', "\\\"");
        let arena = self.arena.map_or_else(String::new, |arena| format!("(arena=\"{}\")", quoted(arena)));
        let name = format!("{of}{}{arena}", self.quantity.name);
        if self.quantity.is_distribution() { format!("{}({name})", Statistic::P50.name()) } else { name }
    }

    /// `baseline.peak(arena="activations") * 102%`.
    fn limit(&self) -> String {
        let before = self.name("baseline.");
        if self.tolerance == Share::default() {
            return before;
        }
        format!("{before} * {}", self.tolerance.factor(self.worse))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_exactly() {
        let cases = [
            ("2%", "102%", "98%"),
            ("0%", "100%", "100%"),
            (" 12.5 % ", "112.5%", "87.5%"),
            ("0.1%", "100.1%", "99.9%"),
            ("0.000001%", "100.000001%", "99.999999%"),
            ("1000%", "1100%", "0%"),
        ];
        for (text, more, less) in cases {
            let share = Share::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((share.factor(Worse::More), share.factor(Worse::Less)), (more.into(), less.into()));
        }
        let long = format!("{}%", "9".repeat(40));
        for text in [
            "",
            "2",
            "%",
            "-1%",
            "1001%",
            "nan%",
            "inf%",
            "2%%",
            "1MiB",
            "1.%",
            ".5%",
            "1e1%",
            "1.0000001%",
            &long,
        ] {
            assert_eq!(Share::parse(text), None, "{text}");
        }
    }
}
