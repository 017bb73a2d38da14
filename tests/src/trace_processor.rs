//! Perfetto's own trace processor: what its SQL says of a trace.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::{python, root};

/// What the trace processor makes of a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// Why it cannot be loaded.
    pub error: Option<String>,
    /// The rows of each query, objects by the names of their columns.
    pub rows: Vec<Vec<Value>>,
}

/// Loads traces, one after the other, and asks each its queries.
///
/// # Panics
/// When the trace processor cannot be started, or a query fails.
pub fn ask(requests: &[(PathBuf, Vec<String>)]) -> Vec<Answers> {
    let script = root().join("tests/python/trace_processor.py");
    let mut child = Command::new(python())
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let requests: Vec<Value> =
        requests.iter().map(|(trace, sql)| json!({"trace": trace, "sql": sql})).collect();
    let mut stdin = child.stdin.take().expect("its input was asked for");
    stdin.write_all(Value::from(requests).to_string().as_bytes()).expect("it reads its requests");
    drop(stdin);
    let ended = child.wait_with_output().expect("it ends");
    assert!(ended.status.success(), "the trace processor failed: its message is above");
    let found: Vec<Value> = serde_json::from_slice(&ended.stdout).expect("it prints JSON");
    found.into_iter().map(answers).collect()
}

fn answers(mut found: Value) -> Answers {
    let rows: Vec<Value> = found["answers"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let list = |rows: Value| match rows {
        Value::Array(rows) => rows,
        other => panic!("{other} is no list of rows"),
    };
    let error = found["error"].as_str().map(String::from);
    Answers { error, rows: rows.into_iter().map(list).collect() }
}

/// One trace that must load without an error of any sort: the rows of each query.
///
/// # Panics
/// When it does not load, or the trace processor counted an error in it.
pub fn sound(trace: &Path, sql: &[&str]) -> Vec<Vec<Value>> {
    let mut queries = vec![ERRORS.to_owned()];
    queries.extend(sql.iter().map(|sql| (*sql).to_owned()));
    let mut found = ask(&[(trace.to_path_buf(), queries)]);
    let Answers { error, mut rows } = found.remove(0);
    assert_eq!(error, None, "{}", trace.display());
    assert_eq!(rows.remove(0), Vec::<Value>::new(), "{}", trace.display());
    rows
}

/// What the trace processor counted as errors, data that it lost among them.
pub const ERRORS: &str =
    "select name, value from stats where severity in ('error', 'data_loss') and value > 0";
