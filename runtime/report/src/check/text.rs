//! Findings for people.

use std::fmt::Write as _;

use bayplan_text::escape;

use super::finding::{Findings, Verdict};

/// Columns of the verdicts at the left.
const LABEL: usize = 11;

/// Findings for people, in lines of text: what failed first.
pub fn text(findings: &Findings) -> String {
    let mut out = String::new();
    let mut line = |label: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{label:LABEL$}{value}");
    };
    for verdict in [Verdict::Failed, Verdict::Open, Verdict::Holds] {
        let label = if verdict == Verdict::Failed { "FAILED" } else { verdict.name() };
        for finding in findings.list.iter().filter(|finding| finding.verdict == verdict) {
            line(label, &escape(&finding.text).to_string());
            let figures: Vec<String> = finding.shown.iter().map(ToString::to_string).collect();
            match verdict {
                Verdict::Holds if figures.is_empty() => {}
                Verdict::Holds => line("", &format!("  {}", figures.join(", "))),
                _ => figures.iter().for_each(|figure| line("", &format!("  {figure}"))),
            }
            finding.why.iter().for_each(|why| line("", &format!("  {}", escape(why))));
            match findings.told_before(finding) {
                Some(before) => line("", &format!("    because of the same as {}", escape(before))),
                None => finding.causes.iter().for_each(|cause| line("", &format!("    {cause}"))),
            }
        }
    }
    findings.notes.iter().for_each(|note| line("note", &escape(note).to_string()));
    line("", &findings.summary());
    out
}
