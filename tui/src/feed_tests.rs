//! Reading beside drawing: nothing piles up, nothing waits for the other, and what is said at the end is all there is.

use std::fs;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use bayplan_record::Source;
use bayplan_trace::{Event, Writer};

use crate::events::Message;
use crate::feed::Feed;
use crate::model::{Life, Model, Stage};
use crate::support;

/// Longer than anything here takes on a machine that does other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// A recording of so many runs, in segments of two thousand; whether it ends in order.
fn recording(runs: u64, ended: bool) -> Vec<u8> {
    let plan = support::by_hand();
    let mut writer = Writer::new(support::session());
    writer.plan(&plan);
    let mut bytes = Vec::new();
    for event in support::preamble(&plan, support::windows(&plan)) {
        writer.event(&event);
    }
    for run in 0..runs {
        if run % 2000 == 1999 {
            writer.begin_segment();
        }
        support::whole_run(run, 10_000 + run * 1000, 500).iter().for_each(|event| writer.event(event));
    }
    if ended {
        writer.event(&Event::SessionEnd { t: 10_000 + runs * 1000 });
    }
    writer.flush();
    writer.take(&mut bytes);
    bytes
}

/// Takes whatever comes until the model is as wanted.
fn until(feed: &mut Feed, model: &mut Model, said: &Receiver<Message>, wanted: impl Fn(&Model) -> bool) {
    while !wanted(model) {
        match said.recv_timeout(PATIENCE) {
            Ok(Message::Changed) => drop(feed.take(model)),
            other => panic!("{other:?} instead of news"),
        }
    }
}

fn open(path: &Path) -> (Feed, Receiver<Message>) {
    let (tell, said) = channel();
    (Feed::open(Source::of_path(path), Some(&tell)).unwrap(), said)
}

#[test]
fn all_of_a_recording_arrives_and_its_end_is_told() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("run.bptrace");
    for (ended, life) in [(true, Life::Ended), (false, Life::Killed)] {
        fs::write(&path, recording(50_000, ended)).unwrap();
        let (mut feed, said) = open(&path);
        let mut model = Model::new();
        until(&mut feed, &mut model, &said, |model| model.caught_up);
        assert_eq!((model.timeline.runs_ok, model.life, model.stage), (50_000, life, None));
        assert!(
            model.arena().is_some_and(|arena| arena.map().first_at(0..1, 0..1).is_some()),
            "a map is there"
        );
        // The same as whoever reads it in one go.
        let mut whole = Model::new();
        Feed::open(Source::of_path(&path), None).unwrap().read_all(&mut whole);
        assert_eq!(format!("{:?}", whole.timeline), format!("{:?}", model.timeline));
        assert_eq!(whole.strip, model.strip);
    }
}

#[test]
fn nothing_piles_up_where_nobody_takes_it() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("run.bptrace");
    // Several times what is read at once.
    let bytes = recording(600_000, true);
    assert!(bytes.len() > 12 << 20, "{}", bytes.len());
    fs::write(&path, &bytes).unwrap();
    let (mut feed, said) = open(&path);
    // Until all is read: one state is on the desk, one word was said, whatever was read meanwhile.
    let mut waited = Duration::ZERO;
    while feed.bytes_read() < bytes.len() as u64 {
        assert!(waited < PATIENCE, "it goes on reading");
        std::thread::sleep(Duration::from_millis(5));
        waited += Duration::from_millis(5);
    }
    assert_eq!(said.try_iter().count(), 1);
    let mut model = Model::new();
    assert!(feed.take(&mut model));
    assert!(model.timeline.runs_ok < 600_000, "what was put there first waits there");
    assert!(matches!(model.stage, Some(Stage::Reading(Some(0..=99)))), "{:?}", model.stage);
    until(&mut feed, &mut model, &said, |model| model.caught_up);
    assert_eq!(model.timeline.runs_ok, 600_000);
}

#[test]
fn who_leaves_while_it_reads_ends_the_reading() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("run.bptrace");
    fs::write(&path, recording(100_000, true)).unwrap();
    let (feed, said) = open(&path);
    drop(feed);
    // The thread holds the only other end.
    loop {
        match said.recv_timeout(PATIENCE) {
            Ok(_) => {}
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => panic!("the thread goes on"),
        }
    }
}

#[test]
fn what_cannot_be_read_is_told_with_all_before_it() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("run.bptrace");
    fs::write(&path, "no recording, and long enough to be sure of that".repeat(1 << 19)).unwrap();
    let (mut feed, said) = open(&path);
    let mut model = Model::new();
    until(&mut feed, &mut model, &said, |model| model.failure.is_some());
    assert!(model.caught_up && model.stage.is_none());
    let damaged = [recording(10, false), vec![7; 5000]].concat();
    fs::write(&path, damaged).unwrap();
    let (mut feed, said) = open(&path);
    let mut model = Model::new();
    until(&mut feed, &mut model, &said, |model| model.caught_up);
    assert_eq!((model.timeline.runs_ok, model.damages, model.failure), (10, 1, None));
}

/// A copy that is under way stops without an end, too; it is no run that was killed.
#[test]
fn a_file_that_grows_without_a_run_is_read_on() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("copy.bptrace");
    let bytes = recording(5000, true);
    fs::write(&path, &bytes[..bytes.len() / 3]).unwrap();
    let (mut feed, said) = open(&path);
    let mut model = Model::new();
    until(&mut feed, &mut model, &said, |model| model.caught_up && model.life == Life::Killed);
    let before = model.timeline.runs_ok;
    let mut file = fs::File::options().append(true).open(&path).unwrap();
    std::io::Write::write_all(&mut file, &bytes[bytes.len() / 3..bytes.len() * 2 / 3]).unwrap();
    until(&mut feed, &mut model, &said, |model| {
        // Never less than was shown.
        assert!(model.timeline.runs_ok >= before);
        model.life == Life::Live && model.timeline.runs_ok > before
    });
    std::io::Write::write_all(&mut file, &bytes[bytes.len() * 2 / 3..]).unwrap();
    until(&mut feed, &mut model, &said, |model| model.timeline.runs_ok == 5000);
    // Nothing says that it is whole but that it grows no more.
    until(&mut feed, &mut model, &said, |model| model.life == Life::Ended);
    assert_eq!(model.damages, 0);
}
