//! Findings as JUnit XML, which build servers show.

use std::fmt::Write as _;

use super::finding::{Finding, Findings, Verdict};
use bayplan_text::escape;

/// Findings as JUnit XML: one suite, a test case for each assertion; what could not be judged is an error.
pub fn junit(findings: &Findings) -> String {
    let counts = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\"",
        findings.list.len(),
        findings.count(Verdict::Failed),
        findings.count(Verdict::Open)
    );
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a string does not fail.
    let _ = writeln!(out, "<testsuites name=\"bayplan check\" {counts}>");
    let _ = writeln!(out, "  <testsuite name=\"{}\" {counts} skipped=\"0\">", xml(&findings.recording));
    let class = if findings.model.is_empty() { "bayplan" } else { &findings.model };
    for finding in &findings.list {
        let _ = write!(out, "    <testcase classname=\"{}\" name=\"{}\"", xml(class), xml(&finding.text));
        let _ = match problem(finding) {
            None => writeln!(out, "/>"),
            Some(problem) => writeln!(out, ">\n      {problem}\n    </testcase>"),
        };
    }
    if !findings.notes.is_empty() {
        let notes: Vec<String> = findings.notes.iter().map(|note| xml(note)).collect();
        let _ = writeln!(out, "    <system-out>{}</system-out>", notes.join("\n"));
    }
    out += "  </testsuite>\n</testsuites>\n";
    out
}

/// What is wrong with an assertion, as an element; `None` if it holds.
fn problem(finding: &Finding) -> Option<String> {
    let element = match finding.verdict {
        Verdict::Holds => return None,
        Verdict::Failed => "failure",
        Verdict::Open => "error",
    };
    let figures: Vec<String> = finding.shown.iter().map(ToString::to_string).collect();
    let message = figures.iter().chain(&finding.why).cloned().collect::<Vec<_>>().join("; ");
    let lines: Vec<String> =
        figures.iter().chain(&finding.why).chain(&finding.causes).map(|line| xml(line)).collect();
    let kind = finding.verdict.name();
    Some(format!("<{element} message=\"{}\" type=\"{kind}\">{}</{element}>", xml(&message), lines.join("\n")))
}

/// Text for elements and attributes; what a terminal would obey, and what XML does not allow, is made visible first.
fn xml(text: &str) -> String {
    let shown = escape(text).to_string().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let shown = shown.replace('"', "&quot;").replace('\'', "&#39;");
    // No parser takes them.
    shown.replace('\u{fffe}', "\\u{fffe}").replace('\u{ffff}', "\\u{ffff}")
}
