//! The recorder and those who read what it writes, in one process.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bayplan_record::{
    Destination, Follower, Places, Recorder, RecordingOptions, Retention, RunState, Source, Start, live_runs,
    open, read, recordings,
};
use bayplan_trace::{Event, EventKind, Level, Record};

mod common;
use common::{plan, run};

fn options(places: &Places) -> RecordingOptions {
    RecordingOptions {
        level: Level::Op,
        model: "model \u{1b}[2J".to_owned(),
        device: "device".to_owned(),
        ..RecordingOptions::new(places.clone())
    }
}

/// The events of the session itself, without what the recorder adds.
fn own_events(records: &[Record]) -> Vec<Event> {
    let events = records.iter().filter_map(|record| match record {
        Record::Event(event) => Some(event.clone()),
        _ => None,
    });
    let added = [EventKind::TraceCost, EventKind::Dropped, EventKind::SessionEnd];
    events.filter(|event| !added.contains(&event.kind())).collect()
}

fn lost(records: &[Record]) -> u64 {
    let counts = records.iter().map(|record| match record {
        Record::Event(Event::Dropped { count, .. }) => *count,
        _ => 0,
    });
    counts.sum()
}

fn read_all(path: &Path) -> (Vec<Record>, RunState) {
    let mut records = Vec::new();
    let (state, damages) = read(Source::of_path(path), |record| records.push(record)).unwrap();
    assert_eq!(damages, []);
    (records, state)
}

#[test]
fn a_follower_sees_everything_while_it_is_written() {
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    // Small segments, so that the follower crosses many.
    let retention = Retention { segment_bytes: 20_000, total_bytes: 1 << 30, keep_runs: 9 };
    let recorder = Recorder::create(RecordingOptions { retention, ..options(&places) }, &plan()).unwrap();
    let id = recorder.id().unwrap().to_owned();
    let path = recorder.path().unwrap().to_owned();
    let mut follower = Follower::open(open(&id, &places).unwrap(), Start::Beginning).unwrap();

    let writing = thread::spawn(move || {
        let mut sent = Vec::new();
        for number in 0..3000 {
            for event in run(number, recorder.now()) {
                sent.push(event.clone());
                recorder.emit(event);
            }
            if number % 50 == 0 {
                thread::sleep(Duration::from_millis(5));
            }
        }
        (sent, recorder.finish())
    });
    let mut seen = Vec::new();
    let mut live_polls = 0;
    let give_up = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < give_up, "the follower never saw the end");
        let before = seen.len();
        let progress = follower.poll(|record| seen.push(record)).unwrap();
        assert_eq!(progress.records as usize, seen.len() - before);
        if progress.state != RunState::Live {
            assert_eq!(progress.state, RunState::Ended);
            break;
        }
        live_polls += u32::from(progress.records > 0);
        thread::sleep(Duration::from_millis(2));
    }
    let (sent, summary) = writing.join().unwrap();
    assert_eq!((summary.lost, &summary.disk_error), (0, &None));
    assert_eq!(summary.written as usize, sent.len());
    assert_eq!(follower.damages(), []);
    assert!(live_polls > 3, "{live_polls} polls saw something before the end");
    assert!(fs::read_dir(&path).unwrap().count() > 3, "several segments");
    let on_disk: u64 =
        fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert_eq!(summary.bytes, on_disk);
    assert_eq!(own_events(&seen), sent);
    assert!(seen.iter().all(|record| !matches!(record, Record::Keyframe(_))), "nothing was missed");
    assert_eq!(read_all(&path), (seen, RunState::Ended));
}

#[test]
fn what_does_not_fit_the_ring_is_counted_exactly() {
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    let recorder = Recorder::create(RecordingOptions { ring: 4, ..options(&places) }, &plan()).unwrap();
    let path = recorder.path().unwrap().to_owned();
    const THREADS: u64 = 3;
    const RUNS: u64 = 5000;
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let emitter = recorder.emitter();
            scope.spawn(move || {
                for number in 0..RUNS {
                    run(thread * RUNS + number, emitter.now())
                        .into_iter()
                        .for_each(|event| emitter.emit(event));
                }
            });
        }
    });
    let summary = recorder.finish();
    let (records, state) = read_all(&path);
    let arrived = own_events(&records).len() as u64;
    assert_eq!(state, RunState::Ended);
    assert!(lost(&records) > 0 && arrived > 0, "{arrived} arrived, {} lost", lost(&records));
    assert_eq!(arrived + lost(&records), THREADS * RUNS * 4);
    assert_eq!((summary.written, summary.lost), (arrived, lost(&records)));
}

#[test]
fn lists_too_large_for_the_ring_are_lost_and_counted() {
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    let recorder = Recorder::create(options(&places), &plan()).unwrap();
    let path = recorder.path().unwrap().to_owned();
    let text = "x".repeat(65 << 20);
    recorder.emit(Event::Message { t: 1, level: bayplan_trace::Severity::Info, text });
    recorder.emit(Event::SessionReady { t: 2 });
    recorder.finish();
    let (records, _) = read_all(&path);
    assert_eq!(own_events(&records), [Event::SessionReady { t: 2 }]);
    assert!(records.iter().any(|record| matches!(
        record,
        Record::Event(Event::Dropped { count: 1, kind: EventKind::Message, .. })
    )));
}

#[test]
fn retention_bounds_a_run_and_what_is_left_decodes() {
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    let retention = Retention { segment_bytes: 30_000, total_bytes: 200_000, keep_runs: 9 };
    let recorder = Recorder::create(RecordingOptions { retention, ..options(&places) }, &plan()).unwrap();
    let path = recorder.path().unwrap().to_owned();
    let mut number = 0;
    let size = || -> u64 {
        fs::read_dir(&path).unwrap().filter_map(|e| e.ok()?.metadata().ok()).map(|m| m.len()).sum()
    };
    for _ in 0..60 {
        for _ in 0..400 {
            run(number, recorder.now()).into_iter().for_each(|event| recorder.emit(event));
            number += 1;
        }
        thread::sleep(Duration::from_millis(20));
        // The open segment may exceed its size by what one round writes.
        assert!(size() < 300_000, "{} bytes", size());
    }
    recorder.finish();
    assert!(!path.join("0001.bptrace").exists(), "the oldest segment is gone");
    let (records, state) = read_all(&path);
    assert_eq!(state, RunState::Ended);
    let [Record::Session(_), Record::Plan { plan: 0, record }, Record::Keyframe(keyframe), ..] = &records[..]
    else {
        panic!("{:?}", &records[..3]);
    };
    assert_eq!(record, &plan());
    let ends = own_events(&records).iter().filter(|event| event.kind() == EventKind::RunEnd).count();
    assert_eq!(keyframe.runs_ok + ends as u64, number);

    // Attaching at the newest segment gives the same count.
    let mut follower = Follower::open(open(path.to_str().unwrap(), &places).unwrap(), Start::Latest).unwrap();
    let mut tail = Vec::new();
    follower.poll(|record| tail.push(record)).unwrap();
    let Some(Record::Keyframe(keyframe)) = tail.get(2) else { panic!("{:?}", tail.get(2)) };
    let ends = own_events(&tail).iter().filter(|event| event.kind() == EventKind::RunEnd).count();
    assert_eq!(keyframe.runs_ok + ends as u64, number);
    assert!(tail.len() < records.len());
}

#[test]
fn live_runs_become_recordings() {
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    assert_eq!(live_runs(&places).unwrap(), []);
    let first = Recorder::create(options(&places), &plan()).unwrap();
    let second = Recorder::create(options(&places), &plan()).unwrap();
    let file = temp.path().join("chosen.bptrace");
    let destination = Destination::File(file.clone());
    let third = Recorder::create(RecordingOptions { destination, ..options(&places) }, &plan()).unwrap();
    let ids = [&first, &second, &third].map(|recorder| recorder.id().unwrap().to_owned());
    assert!(first.discovery_error().is_none());

    let live = live_runs(&places).unwrap();
    let mut listed: Vec<_> = live.iter().map(|run| run.id.clone()).collect();
    listed.sort();
    let mut expect = ids.to_vec();
    expect.sort();
    assert_eq!(listed, expect);
    assert!(live.iter().all(|run| run.pid == std::process::id() && run.model == "model \u{1b}[2J"));
    assert_eq!(recordings(&places).unwrap(), []);
    assert!(open(&ids[0], &places).unwrap().is_live());
    assert!(open(file.to_str().unwrap(), &places).unwrap().is_live(), "a live run is known by its file, too");

    let folder = first.path().unwrap().to_owned();
    first.finish();
    drop(second);
    third.finish();
    assert_eq!(live_runs(&places).unwrap(), []);
    let ended = recordings(&places).unwrap();
    assert_eq!(ended.len(), 2, "a file elsewhere that ended in order is its owner's affair");
    assert!(ended.iter().any(|entry| entry.id == ids[0] && entry.path == folder && entry.device == "device"));
    assert!(!open(&ids[0], &places).unwrap().is_live());
    assert_eq!(read_all(&file).1, RunState::Ended);
}

#[test]
fn a_run_with_an_endless_name_is_listed() {
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    let model = "\u{7}".repeat(1 << 20);
    let recorder =
        Recorder::create(RecordingOptions { model: model.clone(), ..options(&places) }, &plan()).unwrap();
    let live = live_runs(&places).unwrap();
    assert!(live.len() == 1 && model.starts_with(&live[0].model));
    let path = recorder.path().unwrap().to_owned();
    recorder.finish();
    assert_eq!(recordings(&places).unwrap().len(), 1);
    assert_eq!(read_all(&path).1, RunState::Ended);
}

#[test]
fn names_find_runs() {
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    let pid = std::process::id().to_string();
    for name in ["nothing", &pid, "0"] {
        let error = open(name, &places).unwrap_err().to_string();
        assert!(error.contains("there is no recording"), "{name}: {error}");
    }
    let first = Recorder::create(options(&places), &plan()).unwrap();
    let second = Recorder::create(options(&places), &plan()).unwrap();
    let newest = open(&pid, &places).unwrap();
    assert_eq!(newest.path, second.path().unwrap());
    let error = open(format!("{pid}-"), &places).unwrap_err().to_string();
    assert!(error.contains(first.id().unwrap()) && error.contains(second.id().unwrap()), "{error}");
    for nameless in ["", " "] {
        assert!(open(nameless, &places).unwrap_err().to_string().starts_with("name a recording:"));
    }
    let empty = temp.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert!(open(empty.to_str().unwrap(), &places).unwrap_err().to_string().contains("no .bptrace file"));
}

/// A path that the system does not follow is told as what it is, not as a run of an unknown name; and a path may be any bytes.
#[test]
fn paths_are_told_from_names() {
    use std::os::unix::ffi::OsStrExt;
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    let at = |name: &str| temp.path().join(name);
    fs::write(at("file"), "").unwrap();
    for (link, to) in [("dangling", "nothing"), ("circle", "circle")] {
        std::os::unix::fs::symlink(at(to), at(link)).unwrap();
    }
    for (name, words) in [
        ("dangling", "a link to what is not there"),
        ("circle", "lead in a circle"),
        ("file/run.bptrace", "is a file and no folder"),
        ("nothing.bptrace", "there is no recording, live run or process called"),
        ("nowhere/run.bptrace", "there is no recording, live run or process called"),
    ] {
        let error = open(at(name), &places).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(name), "{name}: {error}");
    }
    let refused = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let error = bayplan_record::RecordError::Io { action: "open", path: at("file"), source: refused };
    assert!(error.to_string().contains("this user may not do that"), "{error}");
    let options = RecordingOptions { destination: Destination::File(at("run.bptrace")), ..options(&places) };
    Recorder::create(options, &plan()).unwrap().finish();
    let named = temp.path().join(std::ffi::OsStr::from_bytes(b"r\xffn.bptrace"));
    fs::rename(at("run.bptrace"), &named).unwrap();
    assert_eq!(open(&named, &places).unwrap().path, named);
}

#[test]
fn files_that_are_no_recordings_are_refused() {
    let temp = tempfile::tempdir().unwrap();
    for (name, bytes) in [("a", &b""[..]), ("b", b"hello"), ("c", &[0x0a, 2, 8, 1]), ("d", &[0; 5000])] {
        let path = temp.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = read(Source::of_path(&path), |_| ()).unwrap_err().to_string();
        assert!(error.contains("not a recording of bayplan"), "{name}: {error}");
    }
}

#[test]
fn later_plans_come_before_the_events_that_name_them() {
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    let recorder = Recorder::create(options(&places), &plan()).unwrap();
    let path = recorder.path().unwrap().to_owned();
    for number in 1..20 {
        let plan = loop {
            // Where the thread that writes gets no time, plans wait.
            if let Some(plan) = recorder.plan(&plan()) {
                break plan;
            }
        };
        assert_eq!(plan, number);
        recorder.emit(Event::RunStart { run: u64::from(number), plan, t: recorder.now() });
    }
    recorder.finish();
    // An event whose plan is not known would be damage.
    let (records, _) = read_all(&path);
    assert_eq!(own_events(&records).len(), 19);
}

#[test]
fn the_probe_is_asked_while_a_run_is_open_and_never_after_it_is_taken_away() {
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    let recorder = Recorder::create(options(&places), &plan()).unwrap();
    let path = recorder.path().unwrap().to_owned();
    let asked = Arc::new(AtomicU32::new(0));
    let gone = Arc::new(AtomicBool::new(false));
    let (count, cleared, emitter) = (Arc::clone(&asked), Arc::clone(&gone), recorder.emitter());
    recorder.set_probe(move || {
        assert!(!cleared.load(Ordering::SeqCst));
        let op = count.fetch_add(1, Ordering::SeqCst).min(7);
        Some(Event::Completed { run: 0, plan: 0, op, t: emitter.now() })
    });
    thread::sleep(Duration::from_millis(60));
    assert_eq!(asked.load(Ordering::SeqCst), 0, "no run is open");
    recorder.emit(Event::RunStart { run: 0, plan: 0, t: recorder.now() });
    let give_up = Instant::now() + Duration::from_secs(20);
    while asked.load(Ordering::SeqCst) < 3 && Instant::now() < give_up {
        thread::sleep(Duration::from_millis(5));
    }
    recorder.clear_probe();
    gone.store(true, Ordering::SeqCst);
    recorder.emit(Event::RunEnd { run: 0, t: recorder.now(), ok: true });
    let asked = asked.load(Ordering::SeqCst);
    assert!(asked >= 3);
    assert_eq!(recorder.finish().disk_error, None);
    let (records, _) = read_all(&path);
    let seen = own_events(&records).iter().filter(|event| event.kind() == EventKind::Completed).count();
    assert_eq!(seen, asked as usize);
}

/// The thread that writes hangs, as on a disk that does not answer: whoever emits goes on all the same, and what does not fit is
/// counted.
#[test]
fn emitters_do_not_wait_for_a_thread_that_hangs() {
    const RUNS: u64 = 50_000;
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    let recorder = Recorder::create(RecordingOptions { ring: 64, ..options(&places) }, &plan()).unwrap();
    let path = recorder.path().unwrap().to_owned();
    let (hangs, hanging) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    recorder.set_probe(move || {
        let _ = hangs.send(());
        // An error once the other end is gone: from then on it does not hang any more.
        let _ = released.recv();
        None
    });
    recorder.emit(Event::RunStart { run: 0, plan: 0, t: recorder.now() });
    hanging.recv().unwrap();
    // Nobody takes anything out of the rings from here on. Were there anything to wait for, this would not end.
    thread::scope(|scope| {
        for thread in 0..2 {
            let emitter = recorder.emitter();
            scope.spawn(move || {
                for number in thread * RUNS..(thread + 1) * RUNS {
                    run(1 + number, emitter.now()).into_iter().for_each(|event| emitter.emit(event));
                }
            });
        }
    });
    drop(release);
    let summary = recorder.finish();
    let (records, _) = read_all(&path);
    assert!(summary.lost > RUNS, "{summary:?}");
    assert_eq!(own_events(&records).len() as u64 + summary.lost, 1 + 2 * RUNS * 4);
}

#[test]
fn a_recorder_that_is_off_makes_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path().join("places"));
    let recorder =
        Recorder::create(RecordingOptions { level: Level::Off, ..options(&places) }, &plan()).unwrap();
    recorder.emit(Event::SessionReady { t: 1 });
    assert_eq!((recorder.path(), recorder.id(), recorder.now()), (None, None, 0));
    assert!(!recorder.records(Level::Off) && !recorder.records(Level::Run));
    recorder.finish();
    assert!(!temp.path().join("places").exists());
}

#[test]
fn a_recording_that_cannot_be_made_is_an_error_that_says_where() {
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    let destination = Destination::File(temp.path().join("missing/run.bptrace"));
    let options = RecordingOptions { destination, ..options(&places) };
    let error = Recorder::create(options, &plan()).err().unwrap().to_string();
    assert!(error.contains("could not create") && error.contains("missing/run.bptrace"), "{error}");
    assert_eq!(live_runs(&places).unwrap(), []);
}

/// Opening a pipe would wait for its other end, and a device has no end.
#[test]
fn what_is_no_regular_file_is_neither_written_nor_read() {
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    let pipe = temp.path().join("pipe");
    let segment = temp.path().join("0001.bptrace");
    for path in [&pipe, &segment] {
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    }
    for path in [&pipe, Path::new("/dev/zero"), Path::new("/dev/full"), temp.path()] {
        let destination = Destination::File(path.to_path_buf());
        let options = RecordingOptions { destination, ..options(&places) };
        let error = Recorder::create(options, &plan()).err().unwrap().to_string();
        assert!(error.contains("is not a regular file"), "{}: {error}", path.display());
    }
    for path in [&pipe, Path::new("/dev/zero")] {
        let named = open(path.to_str().unwrap(), &places).unwrap_err().to_string();
        let read = read(Source::of_path(path), |_| ()).unwrap_err().to_string();
        assert!(named.contains("is not a regular file"), "{named}");
        assert_eq!(read, named);
    }
    for start in [Start::Beginning, Start::Latest] {
        let error = Follower::open(Source::of_path(temp.path()), start).err().unwrap().to_string();
        assert!(error.contains("0001.bptrace is not a regular file"), "{error}");
    }
    assert_eq!(live_runs(&places).unwrap(), []);
}

/// Sparse: they take no room on the disk.
#[test]
fn endless_zeros_are_given_up_soon() {
    const HUGE: u64 = 40 << 30;
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    let begun = Instant::now();
    let zeros = temp.path().join("zeros.bptrace");
    fs::File::create(&zeros).unwrap().set_len(HUGE).unwrap();
    let error = read(Source::of_path(&zeros), |_| ()).unwrap_err().to_string();
    assert!(error.contains("this is not a recording"), "{error}");

    let path = temp.path().join("run.bptrace");
    let destination = Destination::File(path.clone());
    let recorder = Recorder::create(RecordingOptions { destination, ..options(&places) }, &plan()).unwrap();
    run(0, recorder.now()).into_iter().for_each(|event| recorder.emit(event));
    recorder.finish();
    let (sound, _) = read_all(&path);
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(HUGE).unwrap();
    let mut found = Vec::new();
    let (state, damages) = read(Source::of_path(&path), |record| found.push(record)).unwrap();
    assert_eq!((found, state), (sound, RunState::Ended));
    let last = damages.last().unwrap().damage.to_string();
    assert!(last.contains("no record in 16777216 bytes"), "{last}");
    // Reading all of either would take half a minute of the fastest processor.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn what_the_session_spends_is_part_of_the_cost() {
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    let recorder = Recorder::create(options(&places), &plan()).unwrap();
    let path = recorder.path().unwrap().to_owned();
    recorder.add_cost(40_000_000_000);
    recorder.add_cost(2_000_000_000);
    recorder.finish();
    let (records, _) = read_all(&path);
    let costs = records.iter().filter_map(|record| match record {
        Record::Event(Event::TraceCost { ns, .. }) => Some(*ns),
        _ => None,
    });
    let cost = costs.max().unwrap();
    assert!((42_000_000_000..43_000_000_000).contains(&cost), "{cost}");
    Recorder::off().add_cost(1);
}
