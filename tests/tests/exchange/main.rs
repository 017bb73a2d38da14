//! What leaves bayplan and comes back: every export as other programs read it, what is imported, and the report on all of
//! them.

mod imports;
mod made;
mod refusals;
mod same;
mod tables;
mod torch;

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bayplan_tests::program::{Sandbox, run};
use bayplan_tests::{python, root};
use serde_json::Value;

/// The report on a recording.
fn report(sandbox: &Sandbox, recording: &Path) -> Value {
    sandbox.bayplan(&["report".as_ref(), recording.as_os_str(), "--json".as_ref()]).json()
}

/// A recording in a format, in a file beside it.
fn export(sandbox: &Sandbox, recording: &Path, format: &str) -> PathBuf {
    let extension = if matches!(format, "csv" | "instance") { "csv" } else { format };
    let path = recording.with_extension(format!("{format}.{extension}"));
    let words = ["export".as_ref(), recording.as_os_str(), "--format".as_ref(), OsStr::new(format)];
    let ended = run(sandbox.command("bayplan", &words).arg("--output").arg(&path));
    assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (Some(0), "", ""), "{format}");
    path
}

/// A file as a recording, in a file beside it.
fn import(sandbox: &Sandbox, file: &Path) -> PathBuf {
    let path = file.with_extension("imported.bptrace");
    let words = ["import".as_ref(), file.as_os_str(), "--output".as_ref(), path.as_os_str()];
    let ended = sandbox.bayplan(&words);
    assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (Some(0), "", ""), "{}", file.display());
    path
}

/// What a Python program of the tests prints.
fn told<A: AsRef<OsStr>>(script: &str, arguments: &[A]) -> Value {
    let script = root().join("tests/python").join(script);
    run(Command::new(python()).arg(script).args(arguments).stdin(Stdio::null())).json()
}

/// DuckDB's answers: the rows of each query.
fn sql(queries: &[String]) -> Vec<Value> {
    let script = root().join("tests/python/exchange.py");
    let mut command = Command::new(python());
    command.arg(script).arg("sql").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("Python starts");
    let asked = serde_json::to_vec(queries).expect("text");
    child.stdin.take().expect("its input was asked for").write_all(&asked).expect("it reads");
    let ended = child.wait_with_output().expect("it ends");
    assert!(ended.status.success(), "DuckDB refused a query: its message is above");
    serde_json::from_slice(&ended.stdout).expect("it prints JSON")
}

/// The items of a list.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The number under a key.
#[track_caller]
fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("no number {key}: {value}"))
}

/// A figure of the session.
#[track_caller]
fn figure(said: &Value, name: &str) -> u64 {
    number(&said["figures"][name], "value")
}

/// The largest of a key over the arenas of a name; of plans that ran, where they alone count.
fn most_of(said: &Value, arena: &str, key: &str, ran: bool) -> u64 {
    let plans = list(&said["plans"]).iter().filter(|plan| !ran || plan["runs"] != 0);
    let arenas = plans.flat_map(|plan| list(&plan["arenas"])).filter(|of| of["name"] == arena);
    arenas.map(|of| number(of, key)).max().unwrap_or(0)
}

/// The names of all arenas.
fn arenas(said: &Value) -> std::collections::BTreeSet<&str> {
    let arenas = list(&said["plans"]).iter().flat_map(|plan| list(&plan["arenas"]));
    arenas.map(|arena| arena["name"].as_str().expect("arenas have names")).collect()
}

/// The bytes of the live blocks outside the plan.
fn outside(said: &Value) -> impl Iterator<Item = u64> {
    list(&said["blocks"]).iter().filter(|block| block["planned"] == false).map(|block| number(block, "bytes"))
}
