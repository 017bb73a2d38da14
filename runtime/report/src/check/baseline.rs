//! A recording held against a baseline: every figure that gets worse in one direction, within a tolerance.

use bayplan_trace::quantities::{
    Filter, Key, Match, QUANTITIES, Quantity, Reading, Scope, Subject, Unknown, Value, Worse,
};

use super::finding::{Finding, Verdict};
use super::{Assertion, Judged};
use crate::diff::{Compared, Side, causes};

/// Tensors that are named for each arena that got larger.
const TOP: usize = 20;

/// Compares every figure that has a worse direction (see [`Quantity::worse`]) with the baseline's: those of arenas arena by
/// arena, since a sum with the weights would hide what activations need. `tolerance` is the part of the baseline's value by
/// which a figure may be worse. What the baseline has not recorded is not compared. Where an arena is larger, the tensors
/// that cause it are named.
pub fn compare(own: &Judged<'_>, baseline: &Judged<'_>, tolerance: f64) -> Vec<Finding> {
    let mut found = Vec::new();
    for quantity in QUANTITIES {
        let Some(worse) = quantity.worse else { continue };
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
    tolerance: f64,
}

impl Gate<'_> {
    /// What it came to; `None` where there is nothing to compare with.
    fn judge(&self, own: &Judged<'_>, baseline: &Judged<'_>) -> Option<Finding> {
        let filter = self.arena.map(|arena| Filter::by(Key::Arena, Match::Name(arena.to_owned())));
        let reading = Reading::new(baseline.timeline).with_damage(baseline.damages.len() as u64);
        let before = reading.total(self.quantity, &filter.unwrap_or_default());
        let (added, limit) = match before {
            // An arena that the baseline does not have took nothing there.
            Value::Unknown(Unknown::NoSuch { .. }) => (true, "0".to_owned()),
            Value::Unknown(Unknown::Damaged | Unknown::Lost { .. } | Unknown::LostWindows) => {
                (false, self.limit())
            }
            Value::Unknown(_) => return None,
            _ => (false, self.limit()),
        };
        let sign = if self.worse == Worse::More { "<=" } else { ">=" };
        let assertion = Assertion::parse(&format!("{} {sign} {limit}", self.name())).ok()?;
        let mut finding = assertion.judge(own, Some(baseline));
        if let (Verdict::Failed, Some(arena)) = (finding.verdict, self.arena) {
            finding.causes = tensors(own, baseline, arena);
            if added {
                finding.causes.insert(0, "the baseline has no such arena".into());
            }
        }
        Some(finding)
    }

    /// `peak(arena="activations")`.
    fn name(&self) -> String {
        let quoted = |arena: &str| arena.replace('\\', "\\\\").replace('"', "\\\"");
        let of = self.arena.map_or_else(String::new, |arena| format!("(arena=\"{}\")", quoted(arena)));
        format!("{}{of}", self.quantity.name)
    }

    /// `baseline.peak(arena="activations") * 102%`.
    fn limit(&self) -> String {
        let factor = if self.worse == Worse::More { 1.0 + self.tolerance } else { 1.0 - self.tolerance };
        if self.tolerance == 0.0 {
            return format!("baseline.{}", self.name());
        }
        // A hundredth of a millionth of a percent is more than anyone asks for.
        let percent = format!("{:.8}", factor * 100.0);
        let percent = percent.trim_end_matches('0').trim_end_matches('.');
        format!("baseline.{} * {percent}%", self.name())
    }
}

/// The tensors that make an arena larger than the baseline's, a line each.
fn tensors(own: &Judged<'_>, baseline: &Judged<'_>, arena: &str) -> Vec<String> {
    let a = Side { name: baseline.name, timeline: baseline.timeline };
    let compared = Compared::new(a, Side { name: own.name, timeline: own.timeline });
    let mut lines: Vec<String> = Vec::new();
    for plan in &compared.diff.plans {
        for found in plan.arenas.iter().filter(|found| found.name == arena && grew(found)) {
            let told = causes(&compared, plan, found).into_iter().zip(&found.causes);
            lines.extend(told.filter(|(_, cause)| cause.growth() > 0).map(|(line, _)| line));
        }
    }
    lines.dedup();
    let more = lines.len().saturating_sub(TOP);
    lines.truncate(TOP);
    if more > 0 {
        lines.push(format!("… and {more} more"));
    }
    lines
}

fn grew(arena: &bayplan_trace::ArenaDiff) -> bool {
    let size = |side: &Option<bayplan_trace::ArenaSide>| side.as_ref().map_or(0, |side| side.size);
    let (a, b) = arena.peaks();
    b > a || size(&arena.b) > size(&arena.a)
}
