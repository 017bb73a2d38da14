//! Findings as Markdown, for a pull request or a job's summary.

use std::fmt::Write as _;

use super::finding::{Finding, Findings, Verdict};
use crate::markup::{code, plain};

/// Findings as Markdown: a table of what failed or is open, below it the tensors that made it fail, and, folded, what holds.
pub fn markdown(findings: &Findings) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(out, "### Memory of {}\n", plain(&findings.subject()));
    let against =
        findings.baseline.as_deref().map_or_else(String::new, |name| format!(" against {}", code(name)));
    let _ = writeln!(out, "{} of {}{against}\n", plain(&findings.summary()), code(&findings.recording));
    let (holds, rest): (Vec<_>, Vec<_>) =
        findings.list.iter().partition(|finding| finding.verdict == Verdict::Holds);
    table(&mut out, &rest);
    for finding in rest.iter().filter(|finding| !finding.causes.is_empty()) {
        if let Some(before) = findings.told_before(finding) {
            let _ = writeln!(out, "\n{} because of the same as {}\n", code(&finding.text), code(before));
            continue;
        }
        let _ = writeln!(out, "\n{} because of\n", code(&finding.text));
        finding.causes.iter().for_each(|cause| {
            let _ = writeln!(out, "- {}", code(cause.trim_start()));
        });
    }
    if !holds.is_empty() {
        // Open where there is nothing else to see.
        let open = if rest.is_empty() { " open" } else { "" };
        let count = holds.len();
        let s = if count == 1 { "s" } else { "" };
        let _ = writeln!(out, "\n<details{open}><summary>{count} hold{s}</summary>\n");
        table(&mut out, &holds);
        out += "\n</details>\n";
    }
    if !findings.notes.is_empty() {
        out.push('\n');
    }
    findings.notes.iter().for_each(|note| {
        let _ = writeln!(out, "> {}\n", plain(note));
    });
    out
}

/// A table of findings; nothing where there are none.
fn table(out: &mut String, list: &[&Finding]) {
    let sign = |verdict| match verdict {
        Verdict::Holds => "✅ holds",
        Verdict::Failed => "❌ **failed**",
        Verdict::Open => "⚠️ not judged",
    };
    if !list.is_empty() {
        *out += "| | assertion | figures |\n|---|---|---|\n";
    }
    for finding in list {
        let figures = finding.shown.iter().map(|shown| plain(&shown.to_string()));
        let why = finding.why.iter().map(|why| plain(why));
        let cell = figures.chain(why).collect::<Vec<_>>().join("<br>");
        let _ = writeln!(out, "| {} | {} | {cell} |", sign(finding.verdict), code(&finding.text));
    }
}
