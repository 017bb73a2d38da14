//! The binary on a pseudo-terminal: it gives the terminal back however it ends, is silent when nothing happens, and
//! follows what is recorded while it looks.

mod given_back;
mod keys;
#[path = "../support/on_terminal.rs"]
mod on_terminal;
mod storms;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bayplan_record::{Clock, MonotonicClock, Places, Recorder, RecordingOptions};
use bayplan_trace::{PlanRecord, Window};

use on_terminal::{OnTerminal, PATIENCE};

fn recorder(home: &Path) -> Recorder {
    let plan = support::encoder(6);
    let windows = support::windows(&plan);
    recorder_of(home, &plan, windows, Arc::new(MonotonicClock::new()))
}

fn recorder_of(home: &Path, plan: &PlanRecord, windows: Vec<Window>, clock: Arc<dyn Clock>) -> Recorder {
    let session = support::session();
    let places =
        Places { live: home.join("runtime/bayplan"), runs: home.join("state/bayplan/runs"), cache: None };
    let options = RecordingOptions {
        model: session.model,
        device: session.device,
        clock,
        ..RecordingOptions::new(places)
    };
    std::fs::create_dir_all(home.join("runtime")).unwrap();
    let recorder = Recorder::create(options, plan).unwrap();
    assert!(recorder.discovery_error().is_none());
    for event in support::preamble(plan, windows) {
        recorder.emit(event);
    }
    recorder
}

fn recording(home: &Path) -> String {
    finished(recorder(home))
}

/// A clock that stands: however busy the machine is, the session is as long as its runs.
struct Standing(MonotonicClock);

impl Clock for Standing {
    fn now(&self) -> u64 {
        46_000_000
    }

    fn start_unix_ns(&self) -> u64 {
        self.0.start_unix_ns()
    }
}

/// A recording of ten runs of a plan, four milliseconds each, with those windows; of a session of 46 ms.
fn recording_of(home: &Path, plan: &PlanRecord, windows: Vec<Window>) -> String {
    let recorder = recorder_of(home, plan, windows, Arc::new(Standing(MonotonicClock::new())));
    for run in 0..10 {
        for event in support::whole_run(run, 5_000_000 + run * 4_000_000, 3_100_000) {
            recorder.emit(event);
        }
    }
    finished(recorder)
}

fn finished(recorder: Recorder) -> String {
    let path = recorder.path().unwrap().to_str().unwrap().to_owned();
    assert_eq!(recorder.finish().lost, 0);
    path
}

#[test]
fn nothing_is_sent_when_nothing_happens() {
    let home = tempfile::tempdir().unwrap();
    let path = recording(home.path());
    let mut viewer = OnTerminal::start(home.path(), &[&path, "--view", "2"]);
    viewer.wait_for("ended");
    viewer.listen(Duration::from_millis(700));
    assert_eq!(viewer.listen(Duration::from_secs(2)), 0);
    viewer.send("l");
    let (end, mut step) = (Instant::now() + PATIENCE, 0);
    while step == 0 && Instant::now() < end {
        step = viewer.listen(Duration::from_millis(700));
    }
    assert!((1..4096).contains(&step), "{step} bytes for one step of the cursor");
}

#[test]
fn a_new_run_is_listed_opened_and_followed_to_its_end() {
    let home = tempfile::tempdir().unwrap();
    let mut viewer = OnTerminal::start(home.path(), &[]);
    viewer.wait_for("another");
    let recorder = recorder(home.path());
    let begun = Instant::now();
    viewer.wait_for("minilm-l6");
    println!("listed after {:?}", begun.elapsed());
    viewer.send("\r");
    viewer.wait_for("activations");
    for run in 0..3 {
        for event in support::whole_run(run, recorder.now(), 3_100_000) {
            recorder.emit(event);
        }
    }
    // Shown once a run has ended.
    viewer.wait_for("median");
    recorder.finish();
    viewer.wait_for("ended");
    viewer.send("q");
    assert!(viewer.end().success());
}

#[test]
fn leaving_the_list_of_runs_goes_back_to_where_it_was_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let path = recording(home.path());
    let mut viewer = OnTerminal::start(home.path(), &[&path, "--view", "lifetimes"]);
    viewer.wait_for("embeddings");
    viewer.send("r");
    viewer.wait_for("choose");
    viewer.send("\x1b");
    viewer.wait_for("embeddings");
    viewer.send("q");
    assert!(viewer.end().success());
}
