//! The pictures and the page that `report`, `plan` and `diff` write, judged by parsers that are not ours.

use std::process::Command;

use bayplan_tests::program::{Sandbox, run};
use bayplan_tests::{python, root};
use serde_json::Value;

/// What `tests/python/pages.py` says of each file.
fn judged(files: &[&str]) -> Vec<Value> {
    let script = root().join("tests/python/pages.py");
    let said = run(Command::new(python()).arg(script).args(files)).success();
    said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn pages_and_pictures_are_whole_and_fetch_nothing() {
    let sandbox = Sandbox::new();
    let path = |name: &str| sandbox.path(name).display().to_string();
    let model = root().join("assets/digits.onnx").display().to_string();
    let trace = path("run.bptrace");
    let words = [
        "run",
        &model,
        "--dim",
        "batch=2",
        "--device",
        "host",
        "--trace",
        &trace,
        "--trace-level",
        "op",
        "--quiet",
    ];
    sandbox.bayplan(&words).success();
    let plan = |batch: &str, format: &str, file: &str| {
        let words = ["plan", &model, "--dim", batch, "--device", "host", "--format", format];
        std::fs::write(sandbox.path(file), sandbox.bayplan(&words).success()).expect("a file");
        path(file)
    };
    let (small, large) = (plan("batch=2", "json", "small.json"), plan("batch=4", "json", "large.json"));
    let report = |format: &str, file: &str| {
        sandbox.bayplan(&["report", &trace, "--ops", "--format", format, "--output", &path(file)]).success();
        path(file)
    };
    let (map, page) = (report("svg", "map.svg"), report("html", "page.html"));
    let differ = path("diff.svg");
    sandbox.bayplan(&["diff", &small, &large, "--format", "svg", "--output", &differ]).success();
    let planned = [plan("batch=2", "svg", "plan.svg"), plan("batch=2", "html", "plan.html")];
    let found = judged(&[&map, &page, &differ, &planned[0], &planned[1]]);
    let json = sandbox.bayplan(&["report", &trace, "--json"]).json();
    let (tensors, ops) = (&json["plans"][0]["buffers"], &json["plans"][0]["ops"]);
    for page in [&found[1], &found[4]] {
        assert_eq!((&page["tensors"][0], &page["ops"][0]), (tensors, ops));
    }
    // Of every arena a rectangle for each tensor; a page's picture and a plan's alone say the same.
    assert_eq!(found[0]["rectangles"], *tensors, "{}", found[0]);
    assert_eq!(found[3]["rectangles"], *tensors, "{}", found[3]);
    assert!(found[2]["words"].as_str().expect("words").contains("resized"), "{}", found[2]);
    let text = |words: &[&str]| sandbox.bayplan(&[&["report", &trace], words].concat()).success();
    assert!(text(&["--format", "markdown"]).starts_with("### Memory of digits"));
    let rows =
        |text: String| text.lines().filter(|line| line.contains(" op ") && line.contains(" % ")).count();
    assert!(rows(text(&["--ops"])) > rows(text(&[])), "every op is told");
}

#[test]
fn a_report_is_written_whole_and_over_nothing() {
    let sandbox = Sandbox::new();
    let path = |name: &str| sandbox.path(name).display().to_string();
    let (csv, made) = (path("a.csv"), path("a.svg"));
    std::fs::write(&csv, "id,lower,upper,size\nx,0,2,100\n</svg>,1,3,50\n").expect("a file");
    let diff = |words: &[&str]| sandbox.bayplan(&[&["diff", &csv, &csv, "--format", "svg"], words].concat());
    diff(&["-o", &made]).success();
    let refused = diff(&["-o", &made]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    diff(&["-o", &made, "--force"]).success();
    let refused = diff(&["-o", &csv, "--force"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("name another file"), "{}", refused.stderr);
    assert_eq!(diff(&["-o", "-"]).success(), std::fs::read_to_string(&made).expect("a picture"));
    assert_eq!(diff(&["--force"]).code, Some(2), "--force without --output");
    assert_eq!(judged(&[&made])[0]["rectangles"], 4);
}
