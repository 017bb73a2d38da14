//! `bayplan check` as a gate: a planted mebibyte fails it and its tensor is named, the example workflow's steps do the same
//! as a script, and what cannot be judged does not pass.

mod model;
mod workflow;

use std::fs;
use std::path::Path;
use std::process::Command;

use bayplan_tests::program::{Sandbox, run};
use bayplan_tests::{python, root};
use serde_json::Value;

use model::network;

/// Whether everything is as planned.
const CLEAN: &str = "deviation==0 and overlap==0 and unplanned==0";

/// Runs a model with so many hidden values; the recording's path.
fn record(sandbox: &Sandbox, name: &str, hidden: i64) -> String {
    let model = sandbox.path(&format!("{name}.onnx"));
    fs::write(&model, network(hidden)).expect("a file");
    let trace = sandbox.path(&format!("{name}.bptrace")).to_string_lossy().into_owned();
    let model = model.to_string_lossy().into_owned();
    sandbox.bayplan(&["run", &model, "--runs", "3", "--trace", &trace]).success();
    trace
}

/// Holds a report to the schema of build servers.
fn valid_junit(path: &Path) {
    let mut command = Command::new(python());
    run(command.arg(root().join("tests/python/junit.py")).arg(path)).success();
}

#[test]
fn a_mebibyte_more_fails_and_its_tensor_is_named() {
    let sandbox = Sandbox::new();
    let (before, after) = (record(&sandbox, "before", 1024), record(&sandbox, "after", 2048));

    let same = sandbox.bayplan(&["check", &before, "--baseline", &before, "--assert", CLEAN]);
    let text = same.success();
    assert!(text.contains("peak(arena=\"activations\") <= baseline.peak(arena=\"activations\")"), "{text}");

    let junit = sandbox.path("memory.xml");
    let markdown = sandbox.path("memory.md");
    let words = ["check", &after, "--baseline", &before, "--tolerance", "2%", "--json", "--junit"];
    let words = words.iter().map(|word| (*word).to_owned());
    let files = [&junit, &markdown].map(|path| path.to_string_lossy().into_owned());
    let words: Vec<String> = words.chain([files[0].clone(), "--markdown".into(), files[1].clone()]).collect();
    let ended = sandbox.bayplan(&words);
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    let found: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let of = |text: &str| {
        let all = found["assertions"].as_array().into_iter().flatten();
        all.into_iter()
            .find(|found| found["assertion"].as_str().is_some_and(|own| own.starts_with(text)))
            .cloned()
    };
    let peak = of("peak(arena=\"activations\")").expect("the peak is compared");
    assert_eq!(peak["verdict"], "failed");
    let values: Vec<i64> = peak["figures"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|figure| figure["value"].as_i64())
        .collect();
    assert_eq!(values[0] - values[1], 1 << 20, "{peak:#}");
    let cause = peak["causes"][0].as_str().unwrap_or_default();
    assert!(cause.contains("+1.00 MiB") && cause.contains("hidden"), "{peak:#}");
    valid_junit(&junit);
    for path in [&junit, &markdown] {
        let text = fs::read_to_string(path).expect("a report");
        assert!(text.contains("hidden") && text.contains("1.00 MiB"), "{text}");
    }
    // The mebibyte is most of the activations, and half of the sum with the weights.
    let loose = sandbox.bayplan(&["check", &after, "--baseline", &before, "--tolerance", "100%"]);
    assert_eq!(loose.code, Some(0), "{}", loose.stdout);
    // The other way round memory is saved.
    let saved = sandbox.bayplan(&["check", &before, "--baseline", &after]);
    assert_eq!(saved.code, Some(0), "{}", saved.stdout);
}

/// A plan file stands for a run that never was: what it says is held, too.
#[test]
fn a_recording_is_held_against_a_plan() {
    let sandbox = Sandbox::new();
    let trace = record(&sandbox, "model", 1024);
    let model = sandbox.path("model.onnx").to_string_lossy().into_owned();
    let plan = sandbox.bayplan(&["plan", &model, "--json"]).success();
    let path = sandbox.path("plan.json");
    fs::write(&path, plan).expect("a file");
    let path = path.to_string_lossy().into_owned();
    let ended = sandbox.bayplan(&["check", &trace, "--baseline", &path, "--assert", "peak == baseline.peak"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    // A plan has no windows to judge.
    assert_eq!(sandbox.bayplan(&["check", &path, "--assert", CLEAN]).code, Some(4));
}

#[test]
fn what_cannot_be_judged_does_not_pass() {
    let sandbox = Sandbox::new();
    let trace = record(&sandbox, "model", 1024);
    let code = |words: &[&str]| sandbox.bayplan(&[&["check"], words].concat()).code;
    assert_eq!(code(&[&trace, "--assert", CLEAN]), Some(0));
    assert_eq!(code(&[&trace, "--assert", "runs == 4"]), Some(1));
    assert_eq!(code(&[&trace, "--assert", "runs == 4", "--assert", "peak(arena=\"x\") == 1"]), Some(1));
    assert_eq!(code(&[&trace, "--assert", "runs == 3", "--assert", "peak(arena=\"x\") == 1"]), Some(4));
    assert_eq!(code(&["nothing-of-the-kind", "--assert", "runs == 4"]), Some(4));
    assert_eq!(code(&[&trace, "--assert", "runs == 3", "--junit", "/nowhere/x.xml"]), Some(4));
    // What failed has failed, whatever becomes of the report.
    assert_eq!(code(&[&trace, "--assert", "runs == 4", "--junit", "/nowhere/x.xml"]), Some(1));
    for wrong in
        [&["--assert", "peek == 1"][..], &["--assert", "runs"], &["--assert", "runs == baseline.runs"]]
    {
        let ended = sandbox.bayplan(&[&["check", &trace], wrong].concat());
        assert_eq!(ended.code, Some(2), "{wrong:?}");
        assert!(ended.stderr.contains("column ") && ended.stderr.contains('^'), "{}", ended.stderr);
    }
    assert_eq!(code(&[&trace]), Some(2));
    assert_eq!(code(&[&trace, "--assert", "runs == 3", "--tolerance", "2%"]), Some(2));
    assert_eq!(code(&["-", "--baseline", "-"]), Some(2));

    // Reports never take the place of what is read, or of each other.
    let bytes = fs::read(&trace).expect("the recording");
    let report = sandbox.path("report").to_string_lossy().into_owned();
    let both = ["--assert", "runs == 3", "--junit", &report, "--markdown", &report];
    for words in
        [&["--assert", "runs == 3", "--junit", &trace][..], &["--assert", "runs == 3", "--junit", "-"], &both]
    {
        assert_eq!(code(&[&[trace.as_str()], words].concat()), Some(2), "{words:?}");
    }
    assert!(fs::read(&trace).is_ok_and(|now| now == bytes), "the recording is as it was");

    // A recording with its end cut off: what was seen still fails, what was not is not taken for granted.
    fs::write(&trace, &bytes[..bytes.len() - 7]).expect("a file");
    assert_eq!(code(&[&trace, "--assert", CLEAN]), Some(4));
    assert_eq!(code(&[&trace, "--assert", "peak < 1MiB"]), Some(1));
    assert_eq!(code(&[&trace, "--assert", "damage == 0"]), Some(1));
    assert_eq!(code(&[&trace, "--assert", "peak > 1MiB"]), Some(0));
}

/// Every figure of a real recording is in its report, and can be asserted by the value it has there.
#[test]
fn the_report_and_the_check_agree() {
    let sandbox = Sandbox::new();
    let trace = record(&sandbox, "model", 1024);
    let report = sandbox.bayplan(&["report", &trace, "--json"]).json();
    let figures = report["figures"].as_object().expect("figures");
    let mut asserted = Vec::new();
    for (name, figure) in figures {
        match &figure["value"] {
            Value::Number(value) => asserted.push(format!("{name} == {value}")),
            _ if figure.get("p95").is_some_and(|value| !value.is_null()) => {
                for statistic in ["count", "sum", "min", "max", "mean", "p50", "p90", "p95", "p99"] {
                    asserted.push(format!("{statistic}({name}) == {}", figure[statistic]));
                }
            }
            _ => assert!(figure["why"].is_string() || figure["of"].is_array(), "{name}: {figure}"),
        }
    }
    assert!(asserted.len() > 40, "{asserted:?}");
    let words = ["check".to_owned(), trace].into_iter();
    let words: Vec<String> =
        words.chain(asserted.into_iter().flat_map(|text| ["--assert".to_owned(), text])).collect();
    let ended = sandbox.bayplan(&words);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
}
