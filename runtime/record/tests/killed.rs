//! A process that is killed in the middle of its runs leaves a recording that can be read.

use std::env;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bayplan_record::{
    Destination, Follower, Places, Recorder, RecordingOptions, RunState, Start, live_runs, open, read,
    recordings,
};
use bayplan_trace::{Event, Level, Record};

mod common;
use common::{plan, run};

/// Names the folder of places in the environment of the child.
const PLACES: &str = "BAYPLAN_TEST_PLACES";
/// Names the file to record to, if any.
const FILE: &str = "BAYPLAN_TEST_FILE";

/// Not a test of its own: what the child process of the tests below does, until it is killed.
#[test]
fn child() {
    let Some(root) = env::var_os(PLACES) else { return };
    let destination = env::var_os(FILE).map_or(Destination::Folder, |file| Destination::File(file.into()));
    let options = RecordingOptions {
        level: Level::Op,
        model: "killed model".to_owned(),
        destination,
        ..RecordingOptions::new(Places::under(PathBuf::from(root)))
    };
    let recorder = Recorder::create(options, &plan()).unwrap();
    for number in 0.. {
        run(number, recorder.now()).into_iter().for_each(|event| recorder.emit(event));
        thread::sleep(Duration::from_micros(300));
    }
}

/// Kills the child if a test fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(root: &std::path::Path, file: Option<&std::path::Path>) -> Killed {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "child", "--test-threads=1"]).env(PLACES, root).stdout(Stdio::null());
    command.stderr(Stdio::null());
    if let Some(file) = file {
        command.env(FILE, file);
    }
    Killed(command.spawn().unwrap())
}

fn wait_for<T>(what: &str, mut get: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = get() {
            return found;
        }
        assert!(Instant::now() < give_up, "{what} did not come");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The number of the last run that ended, if the runs that ended are all there from the first.
fn last_run(records: &[Record]) -> Option<u64> {
    let ends = records.iter().filter_map(|record| match record {
        Record::Event(Event::RunEnd { run, ok: true, .. }) => Some(*run),
        _ => None,
    });
    ends.enumerate().map(|(at, run)| (at as u64 == run).then_some(run)).last().flatten()
}

#[test]
fn a_killed_run_is_followed_to_its_last_chunk_and_opens_as_a_recording() {
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    let mut child = spawn(temp.path(), None);
    let live = wait_for("the run", || live_runs(&places).unwrap().into_iter().next());
    assert_eq!((live.pid, live.model.as_str()), (child.0.id(), "killed model"));

    let mut follower =
        Follower::open(open(child.0.id().to_string(), &places).unwrap(), Start::Beginning).unwrap();
    let mut seen = Vec::new();
    wait_for("the 200th run", || {
        let progress = follower.poll(|record| seen.push(record)).unwrap();
        assert_eq!(progress.state, RunState::Live);
        last_run(&seen).filter(|run| *run >= 200)
    });
    child.0.kill().unwrap();
    // Before anyone waits for the child it is a zombie, and that is gone enough.
    wait_for("the loss", || {
        let progress = follower.poll(|record| seen.push(record)).unwrap();
        (progress.state == RunState::Lost).then_some(())
    });
    assert!(follower.damage_count() <= 1, "{:?}", follower.damages());

    assert_eq!(live_runs(&places).unwrap(), [], "a killed run is no ghost");
    let ended = recordings(&places).unwrap();
    assert_eq!(ended.len(), 1);
    assert_eq!((ended[0].id.as_str(), ended[0].model.as_str()), (live.id.as_str(), "killed model"));
    let mut again = Vec::new();
    let source = open(&live.id, &places).unwrap();
    assert!(!source.is_live());
    let (state, _) = read(source, |record| again.push(record)).unwrap();
    assert_eq!(state, RunState::Lost);
    assert_eq!(again, seen);
    child.0.wait().unwrap();
}

#[test]
fn a_killed_run_that_recorded_to_a_file_elsewhere_is_listed() {
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    let file = temp.path().join("chosen.bptrace");
    let mut child = spawn(temp.path(), Some(&file));
    wait_for("the run", || live_runs(&places).unwrap().into_iter().next());
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    let ended = recordings(&places).unwrap();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].path, file.canonicalize().unwrap());
    assert_eq!(open(&ended[0].id, &places).unwrap().path, ended[0].path);
    // When its owner removes it, it is not listed any more.
    std::fs::remove_file(&file).unwrap();
    assert_eq!(recordings(&places).unwrap(), []);
}

#[test]
fn kills_at_many_moments_lose_little() {
    for round in 0..12u64 {
        let temp = tempfile::tempdir().unwrap();
        let places = Places::under(temp.path());
        let mut child = spawn(temp.path(), None);
        let live = wait_for("the run", || live_runs(&places).unwrap().into_iter().next());
        thread::sleep(Duration::from_millis(20 + round * 13));
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        let mut records = Vec::new();
        let source = open(&live.id, &places).unwrap();
        let (state, damages) = read(source, |record| records.push(record)).unwrap();
        assert_eq!(state, RunState::Lost, "round {round}");
        assert!(damages.len() <= 1, "round {round}: {damages:?}");
        assert!(matches!(records[..2], [Record::Session(_), Record::Plan { .. }]), "round {round}");
        let lost_or_none = last_run(&records).is_some() || records.len() < 6;
        assert!(lost_or_none, "round {round}: the runs are not all there from the first");
    }
}
