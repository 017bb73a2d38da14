//! Findings for programs.

use serde_json::{Value, json as object};

use super::finding::{Finding, Findings, Shown};
use super::number::Number;
use crate::json::visible;

/// Findings as JSON: `format`, `version`, `verdict` (`holds`, `failed`, `not judged`), `recording`, `model`, `baseline`,
/// `assertions` (each with `assertion`, `verdict`, `figures` with `name`, `value`, `at_least`, `at_most`; `why` it could not
/// be judged, and `causes` of a failure) and `notes`. What is not known is `null`.
pub fn json(findings: &Findings) -> String {
    let value = object!({
        "format": "bayplan-check", "version": 1, "verdict": findings.verdict().name(),
        "recording": findings.recording, "model": findings.model, "baseline": findings.baseline,
        "assertions": findings.list.iter().map(assertion).collect::<Vec<_>>(), "notes": findings.notes,
    });
    visible(&format!("{value:#}\n"))
}

fn assertion(finding: &Finding) -> Value {
    object!({
        "assertion": finding.text, "verdict": finding.verdict.name(),
        "figures": finding.shown.iter().map(figure).collect::<Vec<_>>(),
        "why": finding.why, "causes": finding.causes,
    })
}

fn figure(shown: &Shown) -> Value {
    let number = |number: Option<Number>| match number {
        Some(Number::Whole(number)) => u64::try_from(number).map_or(Value::Null, Value::from),
        Some(number) => number.as_f64().into(),
        None => Value::Null,
    };
    object!({
        "name": shown.name, "value": number(shown.exact()),
        "at_least": number(shown.known.least), "at_most": number(shown.known.most),
    })
}
