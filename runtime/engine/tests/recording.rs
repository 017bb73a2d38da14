//! What sessions tell their recordings.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bayplan_engine::{Device, DeviceOptions, Limits, Session, SessionOptions};
use bayplan_graph::{ByteSource, ReadError};
use bayplan_record::{Destination, Follower, Places, RecordingOptions, Source, Start};
use bayplan_shaders::Class;
use bayplan_trace::{Event, Level, Record, Severity, Timeline, WeightsPath};
use common::{
    Model, agree, funnel, long, numbers, on_swiftshader, open, open_with, recording, records, slow, timeline,
};

/// Rows and columns of [`long`] matrix products.
const SIZE: usize = 512;

/// Names the file that the child of the kill test records to.
const CHILD: &str = "BAYPLAN_TEST_RECORD_TO";

fn options(file: &Path, level: Level) -> SessionOptions {
    SessionOptions { recording: Some(recording(file, level)), ..SessionOptions::default() }
}

fn events(file: &Path) -> Vec<Event> {
    let events = records(file).into_iter().filter_map(|record| match record {
        Record::Event(event) => Some(event),
        _ => None,
    });
    events.collect()
}

/// The ops of run 0 that a growing recording says are complete, and whether the run ended.
fn completed(file: &Path) -> (Vec<u32>, bool) {
    let mut ops = Vec::new();
    let mut ended = false;
    // A file that was just made holds nothing yet, and is no recording until it does.
    if file.metadata().map_or(0, |file| file.len()) == 0 {
        return (ops, ended);
    }
    let mut follower = Follower::open(Source::of_path(file), Start::Beginning).expect("a recording");
    let take = |record| match record {
        Record::Event(Event::Completed { run: 0, op, .. }) => ops.push(op),
        Record::Event(Event::RunEnd { run: 0, .. }) => ended = true,
        _ => {}
    };
    follower.poll(take).expect("it can be read");
    (ops, ended)
}

#[test]
fn the_playhead_moves_while_a_run_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    for level in [Level::Run, Level::Op] {
        let file = folder.path().join(format!("{level:?}.bptrace"));
        let device = open(false);
        let mut session = slow(long(&device, SIZE), SIZE).session(&device, options(&file, level));
        let input = numbers(&[SIZE, SIZE]);
        let returned = AtomicBool::new(false);
        let seen = std::thread::scope(|scope| {
            scope.spawn(|| {
                session.run(&[("x", &input)]).expect("a run");
                returned.store(true, Ordering::Release);
            });
            let mut seen = Vec::new();
            while !returned.load(Ordering::Acquire) {
                let (ops, ended) = completed(&file);
                // What is read before the run returns was written while it went on.
                if !ended && !returned.load(Ordering::Acquire) {
                    seen = ops;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            seen
        });
        println!("{level:?}: {seen:?}");
        assert!(seen.len() >= 4, "{level:?}: {seen:?}");
        assert!(seen.is_sorted_by(|a, b| a < b), "the playhead only moves on: {seen:?}");
        assert_eq!(session.finish().lost, 0);
        assert!(completed(&file).1, "and the run ended");
    }
}

/// Not a test of its own: what the test below kills.
#[test]
#[ignore = "the child of another test"]
fn child_that_is_killed() {
    let Ok(file) = std::env::var(CHILD) else { return };
    let device = open(false);
    let mut session = slow(long(&device, SIZE), SIZE).session(&device, options(Path::new(&file), Level::Run));
    let input = numbers(&[SIZE, SIZE]);
    session.run(&[("x", &input)]).expect("a run");
}

#[test]
fn a_killed_run_leaves_the_last_op_it_reached() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("killed.bptrace");
    // In the program of a driver's name this file is a module.
    let path = module_path!().split_once("::").map_or(String::new(), |(_, module)| format!("{module}::"));
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", &format!("{path}child_that_is_killed"), "--ignored"])
        .env(CHILD, &file)
        .stdout(Stdio::null())
        .spawn()
        .expect("a child");
    let give_up = Instant::now() + Duration::from_secs(120);
    let seen = loop {
        let (ops, ended) = completed(&file);
        if ops.len() >= 2 && !ended {
            child.kill().expect("it is there"); // SIGKILL
            break ops;
        }
        let left = child.try_wait().expect("its status");
        assert_eq!((ended, left), (false, None), "the run ended before it could be killed: {ops:?}");
        assert!(Instant::now() < give_up, "nothing of the run was seen: {ops:?}");
        std::thread::sleep(Duration::from_millis(5));
    };
    child.wait().expect("it is gone");
    let timeline = timeline(&file);
    let current = timeline.current.expect("the run was in progress");
    assert_eq!(current.run, 0);
    assert!(current.playhead >= seen.last().copied(), "{:?} {seen:?}", current.playhead);
    assert_eq!((timeline.ended, timeline.runs_ok), (None, 0));
}

#[test]
fn op_times_rise_within_their_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("times.bptrace");
    let mut session = slow(6, 192).session(&open(false), options(&file, Level::Op));
    let input = numbers(&[192, 192]);
    for _ in 0..20 {
        session.run(&[("x", &input)]).expect("a run");
    }
    let ops = session.program().run.dispatches.len();
    assert_eq!(session.finish().lost, 0);
    let events = events(&file);
    let mut start = 0;
    let mut open = None;
    let mut told = 0;
    for event in &events {
        match event {
            Event::RunStart { t, .. } => start = *t,
            Event::OpTimes { run, first_op, times, .. } => {
                assert_eq!((*first_op, times.len()), (0, ops));
                let flat: Vec<u64> = times.iter().flat_map(|&(begin, end)| [begin, end]).collect();
                assert!(flat.is_sorted() && flat[0] >= start, "run {run} from {start}: {times:?}");
                assert!(times.iter().any(|(begin, end)| end > begin));
                open = flat.last().copied();
                told += 1;
            }
            Event::RunEnd { t, .. } => assert!(open.take().is_some_and(|end| end <= *t)),
            _ => {}
        }
    }
    assert_eq!(told, 20);
}

#[test]
fn by_default_tracing_is_cheap_and_what_it_costs_is_told() {
    const RUNS: u64 = 20;
    let folder = tempfile::tempdir().expect("a folder");
    let device = open(false);
    let cost = |level| {
        let file = folder.path().join(format!("{level:?}.bptrace"));
        let mut session = slow(16, 160).session(&device, options(&file, level));
        let input = numbers(&[160, 160]);
        for _ in 0..RUNS {
            session.run(&[("x", &input)]).expect("a run");
        }
        session.finish();
        let (ns, run_ns) = timeline(&file).trace_cost.expect("the cost is told");
        assert!(ns > 0 && run_ns > 0);
        println!("{level:?}: {} us of {} us a run", ns / 1000 / RUNS, run_ns / 1000 / RUNS);
        (ns, ns as f64 / run_ns as f64)
    };
    // The least of several: whatever else the machine does only adds.
    let mut least = [(u64::MAX, f64::INFINITY); 2];
    for _ in 0..5 {
        for (least, level) in least.iter_mut().zip([Level::Run, Level::Op]) {
            let (ns, share) = cost(level);
            *least = (least.0.min(ns), least.1.min(share));
        }
    }
    let [(run, share), (op, _)] = least;
    if device.target().class == Class::Cpu {
        assert_eq!(device.trace_level(), Level::Run);
        assert!(share < 0.05, "{share}");
        // SwiftShader's timestamps cost nothing that would stand out.
        assert!(run < op || on_swiftshader(), "{run} {op}");
    }
}

#[test]
fn sessions_break_no_rule_of_vulkan() {
    let folder = tempfile::tempdir().expect("a folder");
    let input = numbers(&[8, 64]);
    for separate_memory in [false, true] {
        let options = DeviceOptions { validation: true, separate_memory, ..DeviceOptions::default() };
        let device = Device::open(&options).expect("a Vulkan device and the validation layer");
        for level in [Level::Off, Level::Run, Level::Op] {
            let file = folder.path().join(format!("{level:?}{separate_memory}.bptrace"));
            let mut session = funnel(&[64, 32, 16]).session(&device, self::options(&file, level));
            for _ in 0..3 {
                let outputs = session.run(&[("x", &input)]).expect("a run");
                outputs.get("h1").expect("h1").to_tensor().expect("a copy");
            }
        }
        assert_eq!((device.message_count(), device.messages()), (0, Vec::new()));
    }
}

#[test]
fn planned_memory_is_told_by_its_purpose() {
    let folder = tempfile::tempdir().expect("a folder");
    for (separate, staging) in [(false, false), (true, true)] {
        let file = folder.path().join(format!("{separate}.bptrace"));
        let mut session = funnel(&[64, 32, 16]).session(&open(separate), options(&file, Level::Run));
        session.run(&[("x", &numbers(&[8, 64]))]).expect("a run");
        session.finish();
        let timeline = timeline(&file);
        let purposes: Vec<&str> = timeline.blocks.values().map(|block| block.purpose.as_str()).collect();
        assert!(timeline.blocks.values().all(|block| block.planned), "{purposes:?}");
        let mut expected = vec!["weights", "kernel parameters"];
        if staging {
            expected.extend(["staging upload", "staging readback"]);
        }
        expected.extend(["activations", "playhead"]);
        assert_eq!(purposes, expected);
        assert_eq!(timeline.alarms().count(), 0);
        assert!(timeline.ready.is_some() && timeline.ended.is_some());
    }
}

#[test]
fn how_weights_were_loaded_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    for (separate, path) in [(false, WeightsPath::Mapped), (true, WeightsPath::Staged)] {
        let device = open(separate);
        let (model, file) = (funnel(&[64, 64, 64]), folder.path().join(format!("{separate}.bptrace")));
        model.session(&device, options(&file, Level::Run)).finish();
        let whole = timeline(&file);
        let load = whole.totals.loads.latest.expect("a load");
        // Two matrices of floats.
        let all = 2 * 64 * 64 * 4;
        assert_eq!((load.ok, load.loading.total, load.loading.arrived()), (true, all, all));
        assert_eq!(load.loading.paths().collect::<Vec<_>>(), [(path, all)]);
        assert_eq!(load.loading.staging > 0, separate, "{load:?}");
        assert!(load.end <= whole.ready, "{load:?}");
        // One that ends in its middle says so, and why.
        let file = folder.path().join(format!("{separate}-short.bptrace"));
        let short = model.store_of(Arc::new(BadSector));
        let e = Session::new(&device, model.compile(&device), &short, options(&file, Level::Run));
        let e = e.err().expect("a refusal").to_string();
        let cut = timeline(&file);
        let load = cut.totals.loads.latest.expect("a load");
        assert!(!load.ok && load.end.is_some() && load.loading.arrived() < all, "{load:?}");
        assert_eq!(cut.ready, None);
        assert!(cut.messages.iter().any(|(_, level, text)| (*level, text) == (Severity::Error, &e)), "{e}");
    }
}

/// A file of which only the first matrix can be read.
struct BadSector;

impl ByteSource for BadSector {
    fn len(&self) -> u64 {
        1 << 20
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let len = buf.len() as u64;
        if offset + len > 64 * 64 * 4 {
            return Err(ReadError { offset, len, reason: "bad sector".into() });
        }
        buf.fill(0);
        Ok(())
    }
}

/// Blocks are allocations of their own; windows are told where they lie in the arena, as the plan has them.
#[test]
fn arenas_of_several_blocks_are_told_as_planned() {
    let folder = tempfile::tempdir().expect("a folder");
    // Every tensor takes a block.
    let unit = Some(16 << 10);
    let limits = Limits { max_allocation: unit, storage_alignment: unit, ..Limits::default() };
    for separate_memory in [false, true] {
        let file = folder.path().join(format!("{separate_memory}.bptrace"));
        let device = open_with(&DeviceOptions { limits, separate_memory, ..DeviceOptions::default() });
        let (model, input) = (funnel(&[64, 64, 64]), numbers(&[8, 64]));
        let mut session = model.session(&device, options(&file, Level::Run));
        let outputs = session.run(&[("x", &input)]).expect("a run");
        let y = outputs.iter().last().expect("an output").to_tensor().expect("a copy");
        assert!(agree(&y, model.reference(&[input]).last().expect("its reference")));
        session.finish();
        let timeline = timeline(&file);
        let purposes: Vec<&str> = timeline.blocks.values().map(|block| block.purpose.as_str()).collect();
        for purpose in ["weights 0", "weights 1", "activations 0", "activations 1"] {
            assert!(purposes.contains(&purpose), "{purposes:?}");
        }
        assert!(timeline.blocks.values().all(|block| block.planned), "{purposes:?}");
        assert_eq!(timeline.alarms().collect::<Vec<_>>(), [], "windows lie where the plan has them");
    }
}

#[test]
fn sessions_of_one_device_know_their_own_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let device = open(false);
    let input = numbers(&[8, 64]);
    let build = |name: &str| {
        let file = folder.path().join(name);
        (funnel(&[64, 32, 16]).session(&device, options(&file, Level::Run)), file)
    };
    let (mut first, first_file) = build("first.bptrace");
    // Others are built and go while it runs.
    let building = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..5 {
                let (mut session, file) = build(&format!("{i}.bptrace"));
                session.run(&[("x", &input)]).expect("a run");
                drop(session);
                let timeline = timeline(&file);
                assert_eq!((timeline.blocks.len(), timeline.alarms().count()), (4, 0));
            }
            building.store(false, Ordering::Release);
        });
        while building.load(Ordering::Acquire) {
            first.run(&[("x", &input)]).expect("a run");
        }
    });
    first.finish();
    let timeline = timeline(&first_file);
    assert_eq!((timeline.blocks.len(), timeline.alarms().count()), (4, 0));
}

#[test]
fn a_folder_that_cannot_be_written_is_no_reason_to_fail_but_a_named_file_is() {
    let temp = tempfile::tempdir().expect("a folder");
    let blocker = temp.path().join("file");
    fs::write(&blocker, "no folder").expect("a file");
    let (device, model) = (open(false), funnel(&[64, 32, 16]));
    let mut options = RecordingOptions::new(Places::under(&blocker));
    let build = |options: &RecordingOptions| {
        let recording = Some(options.clone());
        let options = SessionOptions { recording, ..SessionOptions::default() };
        Session::new(&device, model.compile(&device), &model.store(), options)
    };
    let mut session = build(&options).expect("a session without a recording");
    let refused = session.trace().refused().expect("it says why").to_string();
    assert!(refused.contains("file"), "{refused}");
    assert!(session.trace().recorder().path().is_none());
    session.run(&[("x", &numbers(&[8, 64]))]).expect("it runs all the same");

    options.destination = Destination::File(blocker.join("run.bptrace"));
    let e = build(&options).err().expect("a refusal").to_string();
    assert!(e.starts_with("the recording cannot be made: ") && e.contains("run.bptrace"), "{e}");
}

#[test]
fn a_run_that_takes_too_long_is_recorded_as_failed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("late.bptrace");
    let mut options = options(&file, Level::Op);
    options.timeout = Some(Duration::from_millis(1));
    let device = open(false);
    let mut session = slow(long(&device, SIZE) / 4, SIZE).session(&device, options);
    assert!(session.run(&[("x", &numbers(&[SIZE, SIZE]))]).is_err());
    session.finish();
    let timeline = timeline(&file);
    assert_eq!((timeline.runs_started, timeline.runs_ok, timeline.runs_failed), (1, 0, 1));
    assert!(!events(&file).iter().any(|event| matches!(event, Event::OpTimes { .. })), "nothing was timed");
    let told = timeline.messages;
    let (_, level, text) = told.back().expect("it says why");
    assert!(*level == Severity::Error && text.contains("did not end within"), "{text}");
}

#[test]
fn a_program_without_ops_is_recorded_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("empty.bptrace");
    let mut model = Model::new("same");
    let x = model.input("x", bayplan_graph::DType::F32, &[4]);
    let mut session = model.outputs(&[x]).session(&open(false), options(&file, Level::Op));
    session.run(&[("x", &numbers(&[4]))]).expect("a run");
    session.finish();
    let timeline: Timeline = timeline(&file);
    assert_eq!((timeline.runs_ok, timeline.alarms().count()), (1, 0));
}
