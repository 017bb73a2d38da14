//! The steps of the example workflow, run as a script as GitHub runs them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use bayplan_tests::program::{Ended, Sandbox, run};
use bayplan_tests::{binary, root};

use crate::model::network;

/// A step that runs commands.
#[derive(Debug)]
struct Step {
    name: String,
    commands: String,
}

/// What the workflow sets, and its steps, as far as they run commands. The file is read by its indentation.
fn workflow() -> (BTreeMap<String, String>, Vec<Step>) {
    let path = root().join("assets/ci/memory.yml");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let env = text
        .lines()
        .skip_while(|line| line.trim() != "env:")
        .skip(1)
        .map_while(|line| line.strip_prefix("      "));
    let env = env.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.into(), value.into()));
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("      - name: ") {
            steps.push(Step { name: name.into(), commands: String::new() });
        }
        let Some(step) = steps.last_mut() else { continue };
        if let Some(command) = line.strip_prefix("        run: ") {
            inside = command == "|";
            step.commands = if inside { String::new() } else { command.into() };
        } else if let (true, Some(command)) = (inside, line.strip_prefix("          ")) {
            step.commands += command;
            step.commands.push('\n');
        } else {
            inside = false;
        }
    }
    steps.retain(|step| !step.commands.is_empty());
    (env.collect(), steps)
}

fn git(folder: &Path, words: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(folder).args(["-c", "user.name=test", "-c", "user.email=test@localhost"]).args(words);
    run(&mut command).success()
}

/// Runs a step with `bash -e`, as GitHub does, with `bayplan` on the PATH.
fn step(sandbox: &Sandbox, folder: &Path, env: &BTreeMap<String, String>, step: &Step) -> Ended {
    let programs = binary("bayplan");
    let programs = programs.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap_or_default());
    let script = sandbox.path("step.sh");
    fs::write(&script, &step.commands).expect("a script");
    let mut command = sandbox.program(Path::new("bash"), &[Path::new("-e"), &script]);
    command.current_dir(folder).envs(env).env("PATH", path);
    run(&mut command)
}

/// A pull request that changes the model from so many hidden values to so many: how the last step ends, and the summary.
fn pull_request(before: i64, after: i64) -> (Ended, String) {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("repository");
    fs::create_dir(&folder).expect("a folder");
    git(&folder, &["init", "--quiet"]);
    let (mut env, steps) = workflow();
    let model = env["MODEL"].clone();
    let commit = |hidden: i64| {
        fs::write(folder.join(&model), network(hidden)).expect("a model");
        git(&folder, &["add", &model]);
        git(&folder, &["commit", "--quiet", "--allow-empty", "-m", "model"]);
    };
    commit(before);
    let base = git(&folder, &["rev-parse", "HEAD"]);
    commit(after);
    let summary = sandbox.path("summary.md");
    env.insert("BASE".into(), base.trim().into());
    env.insert("GITHUB_STEP_SUMMARY".into(), summary.display().to_string());

    let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    assert!(names[..2].iter().all(|name| name.starts_with("Install ")), "{names:?}");
    let last = steps.len() - 1;
    for ready in &steps[2..last] {
        step(&sandbox, &folder, &env, ready).success();
    }
    let ended = step(&sandbox, &folder, &env, &steps[last]);
    let report = fs::read_to_string(folder.join("memory.xml")).expect("the report for the build server");
    assert!(report.contains("<testsuites "), "{report}");
    (ended, fs::read_to_string(summary).expect("the summary"))
}

#[test]
fn the_example_workflow_passes_what_needs_no_more() {
    let (ended, summary) = pull_request(1024, 1024);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(!summary.contains("**failed**") && summary.contains("hold"), "{summary}");
}

#[test]
fn the_example_workflow_fails_a_mebibyte_more() {
    let (ended, summary) = pull_request(1024, 2048);
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("FAILED") && ended.stdout.contains("hidden"), "{}", ended.stdout);
    assert!(summary.contains("**failed**") && summary.contains("hidden"), "{summary}");
}
