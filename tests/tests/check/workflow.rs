//! The steps of the example workflows, run as scripts as GitHub and GitLab run them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bayplan_tests::program::{Ended, Sandbox, run};
use bayplan_tests::{binary, python, root};
use serde_json::Value;

use crate::model::network;

/// Reads YAML with the library that the world reads it with.
const READ: &str =
    "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout, default=str)";

/// A job of an example workflow: what it sets, and what it runs once everything is installed.
struct Job {
    env: BTreeMap<String, String>,
    steps: Vec<String>,
}

fn yaml(name: &str) -> Value {
    let path = root().join("assets/ci").join(name);
    let text = run(Command::new(python()).args(["-c", READ]).arg(&path)).success();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn texts(map: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    map.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn github() -> Job {
    let workflow = yaml("memory.yml");
    // YAML 1.1 reads the key `on` as true.
    assert_eq!(workflow["true"], "pull_request");
    assert_eq!(workflow["permissions"], serde_json::json!({ "contents": "read" }));
    let job = &workflow["jobs"]["memory"];
    let steps = job["steps"].as_array().expect("steps");
    let named = |step: &&Value| !step["name"].as_str().is_some_and(|name| name.starts_with("Install "));
    let commands = steps.iter().filter(named).filter_map(|step| step["run"].as_str());
    Job { env: texts(&job["env"]), steps: commands.map(str::to_owned).collect() }
}

/// A job's script is one: what a line sets is set for those after it.
fn gitlab() -> Job {
    let job = &yaml("memory.gitlab-ci.yml")["memory"];
    let lines = job["script"].as_array().expect("lines");
    let script: String = lines.iter().filter_map(Value::as_str).map(|line| format!("{line}\n")).collect();
    Job { env: texts(&job["variables"]), steps: vec![script] }
}

fn git(folder: &Path, words: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(folder).args(["-c", "user.name=test", "-c", "user.email=test@localhost"]).args(words);
    run(&mut command).success()
}

/// A repository in which a model changes: the folder, its base, and the model's path there.
struct Repository {
    sandbox: Sandbox,
    folder: PathBuf,
    base: String,
}

impl Repository {
    /// Commits the model with so many hidden values, then with so many.
    fn new(model: &str, before: Option<i64>, after: i64) -> Self {
        let sandbox = Sandbox::new();
        let folder = sandbox.path("repository");
        fs::create_dir(&folder).expect("a folder");
        git(&folder, &["init", "--quiet"]);
        let commit = |hidden: Option<i64>| {
            if let Some(hidden) = hidden {
                fs::write(folder.join(model), network(hidden)).expect("a model");
                git(&folder, &["add", model]);
            }
            git(&folder, &["commit", "--quiet", "--allow-empty", "-m", "model"]);
        };
        commit(before);
        let base = git(&folder, &["rev-parse", "HEAD"]).trim().to_owned();
        commit(Some(after));
        Self { sandbox, folder, base }
    }

    /// Runs a step with `bash -e`, as both do, with `bayplan` on the PATH.
    fn step(&self, env: &BTreeMap<String, String>, commands: &str) -> Ended {
        let programs = binary("bayplan");
        let programs = programs.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
        let path = format!("{programs}:{}", std::env::var("PATH").unwrap_or_default());
        let script = self.sandbox.path("step.sh");
        fs::write(&script, commands).expect("a script");
        let mut command = self.sandbox.program(Path::new("bash"), &[Path::new("-e"), &script]);
        command.current_dir(&self.folder).envs(env).env("PATH", path);
        run(&mut command)
    }

    /// Runs all steps; how the last ends. The others must succeed.
    fn all(&self, Job { mut env, steps }: Job, more: [(&str, String); 2]) -> Ended {
        env.extend(more.map(|(name, value)| (name.to_owned(), value)));
        let (last, ready) = steps.split_last().expect("a step");
        for commands in ready {
            self.step(&env, commands).success();
        }
        let ended = self.step(&env, last);
        let report =
            fs::read_to_string(self.folder.join("memory.xml")).expect("the report for the build server");
        assert!(report.contains("<testsuites "), "{report}");
        ended
    }
}

/// A pull request that changes the model: how the last step ends, and the summary.
fn pull_request(before: Option<i64>, after: i64) -> (Ended, String) {
    let job = github();
    assert_eq!(job.steps.len(), 3, "{:?}", job.steps);
    let repository = Repository::new(&job.env["MODEL"], before, after);
    let summary = repository.sandbox.path("summary.md");
    let given = [("BASE", repository.base.clone()), ("GITHUB_STEP_SUMMARY", summary.display().to_string())];
    let ended = repository.all(job, given);
    (ended, fs::read_to_string(summary).expect("the summary"))
}

#[test]
fn the_example_workflow_passes_what_needs_no_more() {
    let (ended, summary) = pull_request(Some(1024), 1024);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(!summary.contains("**failed**") && summary.contains("baseline"), "{summary}");
}

#[test]
fn the_example_workflow_fails_a_mebibyte_more() {
    let (ended, summary) = pull_request(Some(1024), 2048);
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("FAILED") && ended.stdout.contains("hidden"), "{}", ended.stdout);
    assert!(summary.contains("**failed**") && summary.contains("hidden"), "{summary}");
}

/// The pull request that brings the model, and mostly the workflow with it.
#[test]
fn the_example_workflow_needs_no_model_before() {
    let (ended, summary) = pull_request(None, 1024);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(summary.contains("3 hold") && !summary.contains("baseline"), "{summary}");
}

#[test]
fn the_example_for_gitlab_does_the_same() {
    for (before, after, code) in [(Some(1024), 2048, 1), (None, 1024, 0)] {
        let job = gitlab();
        let repository = Repository::new(&job.env["MODEL"], before, after);
        let given = [
            ("CI_MERGE_REQUEST_DIFF_BASE_SHA", repository.base.clone()),
            ("CI_PIPELINE_SOURCE", "merge_request_event".to_owned()),
        ];
        let ended = repository.all(job, given);
        assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
        let told = fs::read_to_string(repository.folder.join("memory.md")).expect("the report");
        assert_eq!(told.contains("**failed**"), code == 1, "{told}");
    }
}
