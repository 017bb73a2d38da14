//! plan, kv, expr and text without the standard library: `tests/no_std` is a program that has none, and plans
//! and generates.

use std::env;
use std::path::Path;
use std::process::{Command, Output};

/// Builds the program into a folder of its own, and runs it. It is a workspace by itself, so that no feature that
/// another crate asks for is on; what it is built from is locked, and lies where this workspace's crates do.
fn run(features: &[&str]) -> Output {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = bayplan_tests::root().join("tests/no_std/Cargo.toml");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no_std");
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--locked", "--manifest-path"]).arg(manifest);
    command.arg("--target-dir").arg(target).args(features);
    command.output().expect("cargo starts")
}

#[test]
fn pure_rooms_need_no_standard_library() {
    let output = run(&[]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "the number of the step that failed, or no program: {stderr}");

    // The control: were the standard library linked, there would be two panic handlers and no program.
    let control = run(&["--features", "std"]);
    let stderr = String::from_utf8_lossy(&control.stderr);
    assert!(!control.status.success() && stderr.contains("`panic_impl`"), "{stderr}");
}
