//! A run of `bayplan` that goes on until it is told to stop, and what can be seen of it meanwhile.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bayplan_record::{Descriptor, Places, Source, live_runs, read};
use bayplan_trace::{Event, Record};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::program::{Sandbox, wait};
use crate::root;

/// How long anything may take: machines that build beside the test are slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// `bayplan run` on the host, with a million runs of a small model before it.
pub struct LiveRun {
    child: Child,
    places: Places,
}

impl LiveRun {
    /// Starts one, and waits until it has run once.
    ///
    /// # Panics
    /// When it cannot be started, or does not run.
    pub fn start(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        let model = root().join("assets/digits.onnx");
        let words = ["--dim", "batch=1", "--device", "host", "--runs", "1000000000", "--json"];
        let mut command = sandbox.command("bayplan", &["run".as_ref(), model.as_os_str()]);
        command.args(words).args(arguments);
        Self::of(sandbox, command)
    }

    /// The run that a command starts.
    ///
    /// # Panics
    /// As [`LiveRun::start`].
    pub fn of(sandbox: &Sandbox, mut command: std::process::Command) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the run starts");
        let run = Self { child, places: places(sandbox) };
        run.wait_for("its first run", || run.has_run());
        run
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the list says of it.
    pub fn descriptor(&self) -> Option<Descriptor> {
        let live = live_runs(&self.places).expect("the list can be read");
        live.into_iter().find(|run| run.pid == self.child.id())
    }

    /// Whether a run of it has ended.
    fn has_run(&self) -> bool {
        let Some(descriptor) = self.descriptor() else { return false };
        let mut ended = false;
        let seen = read(Source::of_path(descriptor.recording), |record| {
            ended |= matches!(record, Record::Event(Event::RunEnd { .. }));
        });
        seen.is_ok() && ended
    }

    /// Its recording.
    ///
    /// # Panics
    /// When it is not listed.
    pub fn recording(&self) -> PathBuf {
        self.descriptor().expect("a live run is listed").recording
    }

    /// Waits until something holds.
    ///
    /// # Panics
    /// When it does not in time.
    #[track_caller]
    pub fn wait_for(&self, what: &str, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < PATIENCE, "{what} did not come");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the run is there");
    }

    /// Asks it to end, and gives its exit code, the JSON it printed and what it said to standard error.
    ///
    /// # Panics
    /// When it does not end, or prints no JSON.
    pub fn stop(self) -> (Option<i32>, Value, String) {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for its end, and gives its exit code, the JSON it printed and what it said to standard error.
    ///
    /// # Panics
    /// When it does not end, or prints no JSON.
    pub fn wait(mut self) -> (Option<i32>, Value, String) {
        let status = wait(&mut self.child, PATIENCE).expect("the run ends");
        let (mut out, mut err) = (String::new(), String::new());
        self.child.stdout.take().expect("a pipe").read_to_string(&mut out).expect("text");
        self.child.stderr.take().expect("a pipe").read_to_string(&mut err).expect("text");
        let json = serde_json::from_str(&out).unwrap_or_else(|e| panic!("no JSON ({e}): {out}{err}"));
        (status.code(), json, err)
    }

    /// Kills it.
    ///
    /// # Panics
    /// When it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("the run is there");
        self.child.wait().expect("a killed process ends");
    }
}

impl Drop for LiveRun {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folders of recordings in a sandbox.
pub fn places(sandbox: &Sandbox) -> Places {
    Places { live: sandbox.path("live/bayplan"), runs: sandbox.path("state/bayplan/runs"), cache: None }
}

/// The bytes of all segments of a recording in a folder, one after the other.
///
/// # Panics
/// When they cannot be read.
pub fn segments(folder: &Path) -> Vec<u8> {
    let entries = std::fs::read_dir(folder).expect("a folder of segments");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().flat_map(|path| std::fs::read(path).expect("a segment")).collect()
}
