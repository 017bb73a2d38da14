//! Cases through the program: `bayplan conform`.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::Case;
use crate::program::Sandbox;

/// How long a case may take before it counts as hung. Drivers on a processor compile its kernels in that time.
const PATIENCE: Duration = Duration::from_secs(120);

/// What became of one set of a case.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// Dispatches of the run, or why there are no right outputs.
    pub result: Result<u64, String>,
    /// Nodes that the host computed, with the reason.
    pub host: Vec<String>,
    /// Milliseconds that it took.
    pub ms: f64,
}

/// Runs all sets of all cases on a device and judges them; the answers are by case and set. Where the program dies or hangs,
/// the case in hand is blamed, and another process goes on behind it.
///
/// # Panics
/// When the program cannot be started, or does not keep to its contract.
pub fn run(cases: &[Case], device: &str) -> Vec<Vec<Done>> {
    let sandbox = Sandbox::new();
    let jobs: Vec<(usize, usize)> =
        cases.iter().enumerate().flat_map(|(at, case)| (0..case.sets).map(move |set| (at, set))).collect();
    let mut done = Vec::with_capacity(jobs.len());
    while done.len() < jobs.len() {
        let left = &jobs[done.len()..];
        let answers = list(cases, left, &sandbox, device);
        let answered = answers.len();
        done.extend(answers);
        if answered < left.len() {
            let result = Err("the program died or hung in it".to_owned());
            done.push(Done { result, host: Vec::new(), ms: 0.0 });
        }
    }
    let mut done = done.into_iter();
    cases.iter().map(|case| done.by_ref().take(case.sets).collect()).collect()
}

/// Starts the program on a list; what it says, until it ends or is silent for too long.
fn list(cases: &[Case], jobs: &[(usize, usize)], sandbox: &Sandbox, device: &str) -> Vec<Done> {
    let (path, outputs) = (sandbox.path("list.jsonl"), sandbox.path("outputs"));
    let mut text = String::new();
    for &(at, set) in jobs {
        let (case, id) = (&cases[at], format!("{}#{set}", cases[at].id));
        let (inputs, outputs) = (case.inputs(set), outputs.join(&id));
        let line = json!({ "id": id, "model": case.model(), "inputs": inputs, "outputs": outputs });
        writeln!(text, "{line}").expect("texts grow");
    }
    fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let words = ["conform", path.to_str().expect("a path in UTF-8"), "--device", device];
    let mut child = sandbox
        .command("bayplan", &words)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("bayplan conform: {e}"));
    let (send, lines) = mpsc::channel();
    let reader = BufReader::new(child.stdout.take().expect("a pipe"));
    let reading =
        thread::spawn(move || reader.lines().map_while(Result::ok).all(|line| send.send(line).is_ok()));
    let mut done = Vec::with_capacity(jobs.len());
    for &(at, set) in jobs {
        let Ok(line) = lines.recv_timeout(PATIENCE) else { break };
        let (case, id) = (&cases[at], format!("{}#{set}", cases[at].id));
        let json: Value =
            serde_json::from_str(&line).unwrap_or_else(|e| panic!("no line of JSON ({e}): {line}"));
        assert_eq!(json["id"].as_str(), Some(id.as_str()), "{line}");
        let folder = outputs.join(&id);
        let result = match json["status"].as_str() {
            Some("ok") => case.judge(set, &folder).map(|()| json["dispatches"].as_u64().expect("a number")),
            _ => Err(json["error"].as_str().unwrap_or("no error said").to_owned()),
        };
        let _ = fs::remove_dir_all(folder);
        let host: Vec<String> = json["host"].as_array().map_or_else(Vec::new, |nodes| {
            nodes.iter().map(|node| node.as_str().expect("a text").to_owned()).collect()
        });
        assert_eq!(json["host_nodes"].as_u64().unwrap_or(0), host.len() as u64, "{line}");
        done.push(Done { result, host, ms: json["ms"].as_f64().expect("milliseconds") });
    }
    let _ = child.kill();
    let _ = child.wait();
    let _ = reading.join();
    done
}
