//! Findings as Markdown, for a pull request or a job's summary.

use std::fmt::Write as _;

use super::finding::{Findings, Verdict};
use crate::markup::{code, plain};

/// Findings as Markdown: a table of the assertions, and below it the tensors that made one fail.
pub fn markdown(findings: &Findings) -> String {
    let mut out = String::new();
    let sign = |verdict| match verdict {
        Verdict::Holds => "✅ holds",
        Verdict::Failed => "❌ **failed**",
        Verdict::Open => "⚠️ not judged",
    };
    // Writing to a string does not fail.
    let _ = writeln!(out, "### Memory of {}\n", plain(&findings.subject()));
    let _ = writeln!(out, "{}\n", plain(&findings.summary()));
    out += "| | assertion | figures |\n|---|---|---|\n";
    for finding in &findings.list {
        let figures = finding.shown.iter().map(|shown| plain(&shown.to_string()));
        let why = finding.why.iter().map(|why| plain(why));
        let cell = figures.chain(why).collect::<Vec<_>>().join("<br>");
        let _ = writeln!(out, "| {} | {} | {cell} |", sign(finding.verdict), code(&finding.text));
    }
    for finding in findings.list.iter().filter(|finding| !finding.causes.is_empty()) {
        let _ = writeln!(out, "\n{} because of\n", code(&finding.text));
        finding.causes.iter().for_each(|cause| {
            let _ = writeln!(out, "- {}", code(cause.trim_start()));
        });
    }
    if !findings.notes.is_empty() {
        out.push('\n');
    }
    findings.notes.iter().for_each(|note| {
        let _ = writeln!(out, "> {}\n", plain(note));
    });
    out
}
