//! `bayplan bench plan DIR` as people use it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use bayplan_tests::program::{Sandbox, run, wait};

use crate::instance::Instance;

/// A folder of three instances, of which the last lies deeper, beside other files.
fn folder(sandbox: &Sandbox) -> [(&'static str, Instance); 3] {
    let instances = [
        ("cut.csv", Instance::cut_rectangle(3, 30)),
        ("random.csv", Instance::random(1, 80)),
        ("sub/deep/random.csv", Instance::random(2, 40)),
    ];
    for (name, instance) in &instances {
        write(&sandbox.path("instances").join(name), &instance.csv());
    }
    write(&sandbox.path("instances/SOURCES.md"), "id,lower,upper,size\n");
    instances
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a file's folder")).expect("a folder");
    fs::write(path, text).expect("a file is written");
}

/// `bench plan FOLDER`, with more words behind.
fn bench(sandbox: &Sandbox, folder: &str, words: &[&str]) -> Command {
    let folder = sandbox.path(folder).display().to_string();
    sandbox.command("bayplan", &[&["bench", "plan", &folder], words].concat())
}

#[test]
fn every_instance_below_is_measured() {
    let sandbox = Sandbox::new();
    let instances = folder(&sandbox);
    let json = run(&mut bench(&sandbox, "instances", &["--runs", "3", "--json"])).json();
    assert_eq!((&json["effort"], &json["interrupted"]), (&"normal".into(), &false.into()));
    let rows = json["instances"].as_array().expect("a list");
    assert_eq!((rows.len(), json["failures"].as_array().map(Vec::len)), (3, Some(0)));
    for (row, (name, instance)) in rows.iter().zip(&instances) {
        let number = |key: &str| row[key].as_u64().unwrap_or_else(|| panic!("{key}: {row}"));
        assert_eq!((row["name"].as_str(), number("buffers")), (Some(*name), instance.len() as u64));
        assert_eq!((number("lower_bound"), number("runs")), (instance.max_live(), 3));
        assert_eq!(number("gap"), number("peak") - number("lower_bound"));
        assert!((number("lower_bound")..=number("peak")).contains(&number("proved_bound")), "{row}");
        assert!(number("cpu_ns_min") > 0 && number("cpu_ns_min") <= number("cpu_ns"), "{row}");
        let ratio = number("peak") as f64 / instance.max_live() as f64;
        assert!(row["ratio"].as_f64().is_some_and(|told| (told - ratio).abs() < 1e-9), "{row}");
    }
    let sum: u64 = rows.iter().filter_map(|row| row["cpu_ns"].as_u64()).sum();
    assert_eq!(json["cpu_ns"].as_u64(), Some(sum));
    assert!(json["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 100_000), "{json}");

    let text = run(&mut bench(&sandbox, "instances", &["--runs", "1"])).success();
    let first: Vec<&str> = text.lines().map(|line| line.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(first, ["instance", "cut", "random", "sub/deep/random", "3"], "{text}");
}

#[test]
fn what_cannot_be_planned_is_told_and_the_others_go_on() {
    let sandbox = Sandbox::new();
    folder(&sandbox);
    write(&sandbox.path("instances/a\u{1b}[2J.csv"), "id,lower,upper,size\na,3,3,1\n");
    write(&sandbox.path("instances/empty.csv"), "");
    symlink(sandbox.path("instances"), sandbox.path("instances/sub/loop")).expect("a link");
    symlink(sandbox.path("nowhere"), sandbox.path("instances/gone.csv")).expect("a link");
    for words in [&["--runs", "1"][..], &["--runs", "1", "--json"]] {
        let ended = run(&mut bench(&sandbox, "instances", words));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(!ended.stdout.contains('\u{1b}') && !ended.stderr.contains('\u{1b}'), "{ended:?}");
        let lines: Vec<&str> = ended.stderr.lines().collect();
        assert_eq!(lines.len(), 3, "{}", ended.stderr);
        let expect = ["a\\x1b[2J.csv: line 2: ", "empty.csv: line 1: ", "gone.csv: "];
        for (line, expect) in lines.iter().zip(expect) {
            assert!(line.starts_with("error: ") && line.contains(expect), "{line}");
        }
        assert!(ended.stdout.contains("sub/deep/random"), "{}", ended.stdout);
    }
    assert!(run(&mut bench(&sandbox, "instances", &[])).stdout.contains("3 instances, "));
}

#[test]
fn a_folder_without_instances_is_an_error_that_helps() {
    let sandbox = Sandbox::new();
    write(&sandbox.path("none/README.md"), "");
    write(&sandbox.path("file.csv"), "id,lower,upper,size\n");
    for (folder, expect) in
        [("none", "give a folder of instances"), ("missing", "missing: "), ("file.csv", "file.csv: ")]
    {
        let ended = run(&mut bench(&sandbox, folder, &[]));
        assert_eq!((ended.code, ended.stdout.contains("0 instances")), (Some(1), false), "{ended:?}");
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(expect), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
    for words in [&["bench", "run", "."][..], &["bench", "plan", ".", "--runs", "0"], &["bench", "plan"]] {
        assert_eq!(sandbox.bayplan(words).code, Some(2), "{words:?}");
    }
}

/// A signal ends it with what has been measured until then.
#[test]
fn an_interrupted_bench_tells_what_it_has() {
    let sandbox = Sandbox::new();
    folder(&sandbox);
    let mut command = bench(&sandbox, "instances", &["--runs", "1000000", "--json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
    thread::sleep(Duration::from_secs(2));
    let signalled = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(signalled.expect("kill runs").success());
    let status = wait(&mut child, Duration::from_secs(60)).unwrap_or_else(|| {
        let _ = child.kill();
        panic!("it goes on after a signal");
    });
    assert_eq!(status.code(), Some(0));
    let text = std::io::read_to_string(child.stdout.take().expect("a pipe")).expect("text");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(json["interrupted"], true);
    let rows = json["instances"].as_array().expect("a list");
    assert!(rows.len() == 1 && rows[0]["runs"].as_u64().is_some_and(|runs| runs > 0), "{json}");
}
