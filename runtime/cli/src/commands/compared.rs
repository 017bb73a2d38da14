//! What can be compared: a recording, a plan file, an instance in CSV. A plan becomes a session that has only that plan.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::Path;

use bayplan::Effort;
use bayplan_plan::csv::Instance;
use bayplan_plan::{Buffer, Problem, solve};
use bayplan_report::instance_plan;
use bayplan_text::{Bytes, escape};
use bayplan_trace::{PlanRecord, Record, Timeline};
use serde::Deserialize;
use serde_json::Value;

use super::plan::{given, is_csv, read};
use super::recordings::Recorded;
use crate::exit::Failure;

/// The largest plan file that is read: ten times that of a model with 100,000 buffers.
const MAX_PLAN: u64 = 1 << 30;

/// Reads what a name stands for, by its ending: an instance (`.csv`), a plan file (`.json`), else a recording.
///
/// # Errors
/// It is not there, or cannot be read as what its ending says.
pub(super) fn planned_or_recorded(name: &OsStr) -> Result<Recorded, Failure> {
    let path = Path::new(name);
    let shown = name.to_string_lossy();
    let record = if is_csv(path) {
        let instance = read(path)?;
        placed(&shown, &instance)?
    } else if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        plan_of_json(&shown, &text(path)?)?
    } else {
        return Recorded::read(name);
    };
    Ok(Recorded { timeline: plan_alone(record), damages: Vec::new(), live: false, path: path.to_path_buf() })
}

/// A session that has a plan and nothing else.
pub(super) fn plan_alone(record: PlanRecord) -> Timeline {
    let mut timeline = Timeline::new();
    timeline.apply(Record::Plan { plan: 0, record });
    timeline
}

/// Refuses to read standard input for two.
pub(super) fn only_one_standard_input(first: &OsStr, second: Option<&OsStr>) -> Result<(), Failure> {
    match first == "-" && second.is_some_and(|second| second == "-") {
        true => Err(Failure::usage("standard input is one recording: - can stand for one of the two only")),
        false => Ok(()),
    }
}

/// The record of an instance, where its offsets put it, or else where the planner does.
fn placed(name: &str, instance: &Instance) -> Result<PlanRecord, Failure> {
    let plan = match given(name, instance)? {
        Some(plan) => plan,
        None => solve(&instance.problem, Effort::Normal),
    };
    Ok(instance_plan(name, instance, &plan))
}

fn text(path: &Path) -> Result<String, Failure> {
    let fail = |e: &dyn std::fmt::Display| wrong(&path.to_string_lossy(), e);
    // Asked before it is opened: opening a pipe waits for its other end.
    if !fs::metadata(path).map_err(|e| fail(&e))?.is_file() {
        return Err(fail(&"it is no file; `bayplan plan MODEL --json` writes a plan file"));
    }
    let file = fs::File::open(path).map_err(|e| fail(&e))?;
    let mut text = String::new();
    let read = file.take(MAX_PLAN + 1).read_to_string(&mut text).map_err(|e| fail(&e))?;
    if read as u64 > MAX_PLAN {
        return Err(fail(&format!("it is larger than {}", Bytes(MAX_PLAN))));
    }
    Ok(text)
}

fn wrong(name: &str, e: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("{}: {e}", escape(name)))
}

/// What of `bayplan plan --json` says where everything lies.
#[derive(Deserialize)]
struct PlanFile {
    #[serde(default)]
    version: u32,
    #[serde(default)]
    kind: String,
    /// Of a model.
    #[serde(default)]
    plan: Value,
    /// Of an instance.
    #[serde(default)]
    buffers: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    lower: u32,
    upper: u32,
    size: u64,
    alignment: u64,
    fixed: Option<u64>,
    offset: u64,
}

/// The version of `bayplan plan --json` that is read.
const VERSION: u32 = 1;

fn plan_of_json(name: &str, text: &str) -> Result<PlanRecord, Failure> {
    let fail = |e: &dyn std::fmt::Display| {
        wrong(
            name,
            &format!(
                "it is no plan file, such as `bayplan plan MODEL --json` writes: {}",
                escape(&e.to_string())
            ),
        )
    };
    let file: PlanFile = serde_json::from_str(text).map_err(|e| fail(&e))?;
    match (file.version, file.kind.as_str()) {
        (VERSION, "model") => PlanRecord::from_json(&file.plan.to_string()).map_err(|e| fail(&e)),
        (VERSION, "instance") => instance(name, file.buffers),
        (VERSION, _) => Err(fail(&"its kind is neither model nor instance")),
        (0, _) => Err(fail(&"it has no version")),
        (found, _) => Err(wrong(
            name,
            &format!("the plan file has version {found}; this bayplan reads version {VERSION}: make it anew"),
        )),
    }
}

fn instance(name: &str, rows: Vec<Row>) -> Result<PlanRecord, Failure> {
    let buffer = |row: &Row| Buffer {
        fixed: row.fixed,
        ..Buffer::new(row.size, row.lower, row.upper).aligned(row.alignment)
    };
    let problem = Problem::new(rows.iter().map(buffer).collect()).map_err(|e| wrong(name, &e))?;
    let offsets: Vec<u64> = rows.iter().map(|row| row.offset).collect();
    let ids = rows.into_iter().map(|row| row.id).collect();
    placed(name, &Instance { ids, problem, offsets: Some(offsets) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plan_files_are_read_or_refused_by_name() {
        let refused = [
            ("", "EOF"),
            ("[]", "no plan file"),
            ("{}", "it has no version"),
            (r#"{"version": 2, "kind": "model"}"#, "version 2; this bayplan reads version 1"),
            (r#"{"version": 1, "kind": "shapes"}"#, "neither model nor instance"),
            (r#"{"version": 1, "kind": "model", "plan": {"arenas": 3}}"#, "no plan file"),
            (
                r#"{"version": 1, "kind": "model", "plan": {"format": "bayplan-plan", "version": 1,
                    "plan": {"buffers": [{"arena": 9}]}}}"#,
                "names arena 9",
            ),
            (
                r#"{"version": 1, "kind": "instance", "buffers": [
                    {"id": "a\u001b", "lower": 0, "upper": 2, "size": 4, "alignment": 1, "fixed": null, "offset": 0},
                    {"id": "b", "lower": 1, "upper": 2, "size": 4, "alignment": 1, "fixed": null, "offset": 3}
                ]}"#,
                "row 1 (a\\x1b) and row 2 (b) are both live at point 1",
            ),
        ];
        for (text, words) in refused {
            let failure = plan_of_json("x.json", text).unwrap_err();
            let (message, code) = failure.parts();
            assert!(message.starts_with("x.json: ") && message.contains(words) && code == 1, "{message}");
        }
        let read = plan_of_json(
            "x.json",
            r#"{"version": 1, "kind": "instance", "buffers": [
                {"id": "a", "lower": 0, "upper": 2, "size": 4, "alignment": 4, "fixed": 8, "offset": 8, "slack": 0}
            ]}"#,
        );
        assert_eq!(read.map(|record| (record.arenas[0].size, record.ops.len())), Ok((12, 2)));
        let model = PlanRecord { model: "m".into(), ..PlanRecord::default() };
        let plan: Value = serde_json::from_str(&model.to_json()).expect("JSON");
        let text = serde_json::json!({"version": 1, "kind": "model", "plan": plan, "more": [1]}).to_string();
        assert_eq!(plan_of_json("x.json", &text), Ok(model));
    }
}
