//! The binary on a pseudo-terminal: it gives the terminal back however it ends, is silent when nothing happens, and
//! follows what is recorded while it looks.

#[path = "support/on_terminal.rs"]
mod on_terminal;
mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use bayplan_record::{Places, Recorder, RecordingOptions};
use rustix::process::Signal;
use rustix::termios::tcgetattr;

use on_terminal::{OnTerminal, PATIENCE};

fn recorder(home: &Path) -> Recorder {
    let session = support::session();
    let places =
        Places { live: home.join("runtime/bayplan"), runs: home.join("state/bayplan/runs"), cache: None };
    let options =
        RecordingOptions { model: session.model, device: session.device, ..RecordingOptions::new(places) };
    let plan = support::encoder(6);
    std::fs::create_dir_all(home.join("runtime")).unwrap();
    let recorder = Recorder::create(options, &plan).unwrap();
    assert!(recorder.discovery_error().is_none());
    for event in support::preamble(&plan, support::windows(&plan)) {
        recorder.emit(event);
    }
    recorder
}

fn recording(home: &Path) -> String {
    let recorder = recorder(home);
    let path = recorder.path().unwrap().to_str().unwrap().to_owned();
    recorder.finish();
    path
}

#[test]
fn the_terminal_is_given_back() {
    let home = tempfile::tempdir().unwrap();
    let path = recording(home.path());
    let by_key = |keys: &'static str| move |viewer: &mut OnTerminal| viewer.send(keys);
    let by_signal = |signal: Signal| move |viewer: &mut OnTerminal| viewer.signal(signal);
    type Way = Box<dyn Fn(&mut OnTerminal)>;
    let ways: [(&str, Way, Option<i32>); 6] = [
        ("q", Box::new(by_key("q")), None),
        ("ctrl-c", Box::new(by_key("\x03")), None),
        ("SIGTERM", Box::new(by_signal(Signal::TERM)), Some(15)),
        ("SIGINT", Box::new(by_signal(Signal::INT)), Some(2)),
        ("SIGHUP", Box::new(by_signal(Signal::HUP)), Some(1)),
        ("SIGQUIT", Box::new(by_signal(Signal::QUIT)), Some(3)),
    ];
    for (name, way, signal) in ways {
        let mut viewer = OnTerminal::start(home.path(), &[&path]);
        let before = tcgetattr(&viewer.slave).unwrap();
        viewer.wait_for("ended");
        assert!(viewer.is_raw(), "{name}");
        way(&mut viewer);
        // The mouse, the screen and the cursor, as they were.
        for sequence in ["\x1b[?1000l", "\x1b[?1049l", "\x1b[?25h"] {
            viewer.wait_for(sequence);
        }
        let status = viewer.end();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), signal, "{name}: {status}");
        assert_eq!(status.success(), signal.is_none(), "{name}: {status}");
        let after = tcgetattr(&viewer.slave).unwrap();
        assert_eq!(after.local_modes, before.local_modes, "{name}");
        assert_eq!(after.input_modes, before.input_modes, "{name}");
        assert_eq!(after.output_modes, before.output_modes, "{name}");
    }
}

#[test]
fn a_stop_gives_the_terminal_back_and_going_on_takes_it_again() {
    let home = tempfile::tempdir().unwrap();
    let path = recording(home.path());
    let mut viewer = OnTerminal::start(home.path(), &[&path]);
    for _ in 0..2 {
        viewer.wait_for("ended");
        viewer.send("\x1a");
        viewer.wait_for("\x1b[?1049l");
        let end = Instant::now() + PATIENCE;
        while viewer.is_raw() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(!viewer.is_raw());
        viewer.signal(Signal::CONT);
        viewer.wait_for("\x1b[?1049h");
    }
    viewer.wait_for("ended");
    viewer.send("q");
    assert!(viewer.end().success());
}

#[test]
fn nothing_is_sent_when_nothing_happens() {
    let home = tempfile::tempdir().unwrap();
    let path = recording(home.path());
    let mut viewer = OnTerminal::start(home.path(), &[&path, "--view", "2"]);
    viewer.wait_for("ended");
    viewer.listen(Duration::from_millis(700));
    assert_eq!(viewer.listen(Duration::from_millis(1500)), 0);
    viewer.send("l");
    let step = viewer.listen(Duration::from_millis(700));
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
