//! Planted faults raise their alarms: in the report for programs, in the viewer's pictures of the recording, and live.
//!
//! The faults are in a program of its own, built here with the cargo feature `faults` into a target folder of its own:
//! they never reach the binaries that people run.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use bayplan_tests::program::{Sandbox, run};
use bayplan_tests::tmux::Tmux;
use bayplan_tests::{binary, root};
use serde_json::Value;

/// Every sort of alarm.
const ALARMS: [&str; 3] = ["deviation", "overlap", "unplanned"];

/// Each fault, the alarm it must raise, and those it may not.
const FAULTS: [(&str, &str, &[&str]); 4] = [
    ("shifted-window", "deviation", &["unplanned"]),
    ("late-release", "deviation", &["unplanned"]),
    ("overlap", "overlap", &["unplanned"]),
    ("unplanned-allocation", "unplanned", &["deviation", "overlap"]),
];

/// The program with the faults; built once.
fn faulty() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        let target = target.join("faults");
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(root()).args([
            "build",
            "--locked",
            "--quiet",
            "-p",
            "bayplan-tests",
            "--bin",
            "faulty",
        ]);
        cargo.args(["--features", "faults", "--target-dir"]).arg(&target);
        let status = cargo.stdin(Stdio::null()).status().expect("cargo runs");
        assert!(status.success(), "{cargo:?} failed");
        target.join("debug/faulty")
    };
    PROGRAM.get_or_init(build).clone()
}

/// Runs the program with a fault; the recording's path.
fn record(sandbox: &Sandbox, fault: &str, runs: &str) -> String {
    let text = run(&mut sandbox.program(&faulty(), &[fault, runs])).success();
    let path = text.lines().find_map(|line| line.strip_prefix("recording: "));
    path.unwrap_or_else(|| panic!("no recording: {text}")).into()
}

fn report(sandbox: &Sandbox, recording: &str) -> Value {
    sandbox.bayplan(&["report", recording, "--json"]).json()
}

/// The assertion that every alarm fails.
const CLEAN: &str = "deviation==0 and overlap==0 and unplanned==0";

/// How a check of the alarms ends.
fn checked(sandbox: &Sandbox, recording: &str) -> Option<i32> {
    sandbox.bayplan(&["check", recording, "--assert", CLEAN]).code
}

/// The check of a run with a fault fails and names the alarm: of windows the op and the tensor, of memory the block.
fn fails_by_name(sandbox: &Sandbox, recording: &str, alarm: &str) {
    let junit = sandbox.path("check.xml");
    let ended =
        run(sandbox.command("bayplan", &["check", recording, "--assert", CLEAN, "--junit"]).arg(&junit));
    assert_eq!(ended.code, Some(1), "{alarm}: {}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.starts_with("FAILED"), "{alarm}: {}", ended.stdout);
    let named = |text: &str| {
        let mut lines =
            text.lines().filter_map(|line| line.trim_start().strip_prefix(alarm)?.strip_prefix(": "));
        lines.any(|line| match alarm {
            "unplanned" => line.contains("block ") && line.contains(" bytes was allocated outside the plan"),
            "overlap" => {
                line.matches("buffer ").count() == 2
                    && line.matches(" (").count() == 2
                    && line.contains("ops ")
            }
            _ => line.contains("op ") && line.contains("buffer ") && line.matches(" (").count() == 2,
        })
    };
    assert!(named(&ended.stdout), "{alarm}: {}", ended.stdout);
    let report = fs::read_to_string(&junit).expect("the report for the build server");
    assert!(report.contains("<failure ") && named(&report), "{alarm}: {report}");
}

fn snapshot(sandbox: &Sandbox, recording: &str, size: &str, view: &str) -> String {
    let words = ["--snapshot", size, "--view", view, recording];
    run(&mut sandbox.command("bayplan-tui", &words)).success()
}

#[test]
fn each_fault_raises_its_alarm() {
    for (fault, alarm, silent) in FAULTS {
        let sandbox = Sandbox::new();
        let recording = record(&sandbox, fault, "3");
        let json = report(&sandbox, &recording);
        let counts = ALARMS.map(|kind| json[kind].as_u64().unwrap_or_else(|| panic!("no {kind}: {json}")));
        println!("{fault}: {ALARMS:?} {counts:?}");
        assert!(json[alarm].as_u64() > Some(0), "{fault}: {json:#}");
        for kind in silent {
            assert_eq!(json[kind], 0, "{fault}: {json:#}");
        }
        let told = json["alarms"].as_array().expect("a list of alarms");
        assert!(told.iter().any(|told| told["kind"] == alarm && told["text"].is_string()), "{json:#}");
        let text = sandbox.bayplan(&["report", &recording]).success();
        assert!(text.contains(alarm), "{fault}: {text}");
        fails_by_name(&sandbox, &recording, alarm);
        for size in ["80x24", "200x50"] {
            for view in ["1", "2"] {
                let picture = snapshot(&sandbox, &recording, size, view);
                assert!(picture.contains('▲') && picture.contains(alarm), "{fault} at {size}:\n{picture}");
            }
        }
    }
}

#[test]
fn without_a_fault_there_is_no_alarm() {
    let sandbox = Sandbox::new();
    let recording = record(&sandbox, "none", "1000");
    let json = report(&sandbox, &recording);
    for kind in ALARMS {
        assert_eq!(json[kind], 0, "{json:#}");
    }
    assert_eq!(
        (&json["runs"]["ok"], &json["alarms"]),
        (&Value::from(1000), &Value::from(Vec::<Value>::new()))
    );
    assert_eq!(checked(&sandbox, &recording), Some(0));
    // Windows were seen: silence is not for want of looking.
    assert!(json["plans"][0]["windows_seen"].as_u64() > Some(0), "{json:#}");
    for view in ["1", "2"] {
        let picture = snapshot(&sandbox, &recording, "200x50", view);
        assert!(!picture.contains('▲') && !picture.contains("deviation"), "{picture}");
    }
}

/// The program that people run says the same of a thousand runs.
#[test]
fn the_command_line_raises_no_alarm() {
    let sandbox = Sandbox::new();
    let model = root().join("assets/digits.onnx");
    let model = model.to_str().expect("a path in UTF-8");
    let words = ["run", model, "--dim", "batch=8", "--runs", "1000", "--json"];
    let json = sandbox.bayplan(&words).json();
    let recording = json["recording"].as_str().expect("a recording's path");
    let json = report(&sandbox, recording);
    assert_eq!(json["runs"]["ok"], 1000, "{json:#}");
    assert_eq!(checked(&sandbox, recording), Some(0));
    for kind in ALARMS {
        assert_eq!(json[kind], 0, "{json:#}");
    }
}

#[test]
fn alarms_come_up_on_a_live_screen() {
    for (fault, alarm, _) in FAULTS.into_iter().chain([("none", "", &[][..])]) {
        let sandbox = Sandbox::new();
        let tmux = Tmux::new(&sandbox, 120, 40);
        let patience = Duration::from_secs(60);
        let run = tmux.open(&format!("exec {} {fault} 1 hold", faulty().display()));
        let (screen, _) = tmux.wait(&run, "recording", patience, |screen| screen.contains("recording:"));
        assert!(screen.contains("runs/"), "{screen}");
        let pid = tmux.pid(&run).to_string();
        let top = tmux.open(&format!("exec {} top {pid}", binary("bayplan").display()));
        let (screen, took) = tmux.wait(&top, "live picture", patience, |screen| {
            screen.contains("● live") && screen.contains("run ") && screen.contains('▲') != alarm.is_empty()
        });
        println!("{fault}: on the screen after {} ms", took.as_millis());
        if alarm.is_empty() {
            assert!(screen.contains("none: every tensor is where the plan puts it"), "{screen}");
        } else {
            assert!(screen.contains(alarm), "{screen}");
        }
    }
}
