//! Sessions on the host, and what they tell their recordings.

mod common;

use std::path::Path;
use std::time::Duration;

use bayplan_compile::{Options, Program};
use bayplan_graph::op::{BinaryOp, Op, UnaryOp};
use bayplan_graph::{DType, NoFiles, Tensor, eval};
use bayplan_host::{HostError, Session, SessionOptions};
use bayplan_record::{Destination, Places, RecordingOptions, Source};
use bayplan_trace::{Event, Level, Record, Timeline};
use bayplan_weights::Store;

use common::{Builder, Random, compare, program};

fn graph() -> Builder {
    let (mut random, mut builder) = (Random(1), Builder::new());
    let x = builder.input(random.floats(&[3, 40]));
    let w = builder.constant(&random.floats(&[40, 40]));
    let a = builder.op(Op::MatMul, &[x, w]);
    let b = builder.op(Op::Unary(UnaryOp::Tanh), &[a]);
    let c = builder.op(Op::MatMul, &[b, w]);
    let d = builder.op(Op::Binary(BinaryOp::Add), &[c, x]);
    builder.output(d);
    builder
}

fn session(builder: &Builder, program: Program, options: SessionOptions) -> Result<Session, HostError> {
    Session::new(program, &Store::open("", &builder.graph).expect("no files"), options)
}

/// Records to a file.
fn recording(file: &Path, level: Level) -> SessionOptions {
    let mut options = RecordingOptions::new(Places::under(file.parent().expect("a folder")));
    options.destination = Destination::File(file.into());
    options.level = level;
    SessionOptions { recording: Some(options), ..SessionOptions::default() }
}

#[test]
fn runs_give_what_the_reference_gives_and_are_recorded() {
    let builder = graph();
    let expected = eval(&builder.graph, &builder.inputs, &NoFiles).expect("the reference");
    let folder = tempfile::tempdir().expect("a folder");
    for level in [Level::Run, Level::Op] {
        let file = folder.path().join(format!("{level:?}.bptrace"));
        let own = program(&builder.graph, Options::default());
        let ops = own.run.dispatches.len();
        let windows: usize = own.run.dispatches.iter().map(|dispatch| dispatch.windows.len()).sum();
        let planned: u64 = own.arena_bytes[..2].iter().sum();
        let mut session = session(&builder, own, recording(&file, level)).expect("a session");
        for _ in 0..3 {
            let outputs = session.run(&[("v0", &builder.inputs[0])]).expect("a run");
            let output = outputs.get("v6").or_else(|| outputs.iter().next()).expect("an output");
            compare("run", &output.to_tensor().expect("a copy"), &expected[0], 1e-6);
        }
        assert_eq!(session.runs(), 3);
        let summary = session.finish();
        assert_eq!((summary.lost, summary.disk_error), (0, None));

        let (mut events, mut timeline) = (Vec::new(), Timeline::new());
        let read = bayplan_record::read(Source::of_path(&file), |record| {
            if let Record::Event(event) = &record {
                events.push(event.clone());
            }
            timeline.apply(record);
        });
        read.expect("a recording");
        let count = |wanted: fn(&Event) -> bool| events.iter().filter(|event| wanted(event)).count();
        assert_eq!(count(|e| matches!(e, Event::RunStart { .. })), 3);
        assert_eq!(count(|e| matches!(e, Event::RunEnd { ok: true, .. })), 3);
        assert_eq!(count(|e| matches!(e, Event::SessionReady { .. })), 1);
        assert_eq!(count(|e| matches!(e, Event::OpTimes { .. })), if level == Level::Op { 3 } else { 0 });
        for event in &events {
            match event {
                Event::OpTimes { times, .. } => {
                    assert_eq!(times.len(), ops);
                    assert!(times.iter().all(|(start, end)| start <= end) && times.is_sorted());
                }
                Event::Windows { windows: told, .. } => assert_eq!(told.len(), windows),
                _ => {}
            }
        }
        let allocated = events.iter().filter_map(|event| match event {
            Event::DeviceAllocated { bytes, planned: true, .. } => Some(*bytes),
            _ => None,
        });
        assert_eq!(allocated.sum::<u64>(), planned);
        let alarms: Vec<_> = timeline.alarms().collect();
        assert!(alarms.is_empty(), "{alarms:?}");
    }
}

#[test]
fn wrong_inputs_and_programs_are_refused_and_slow_runs_end() {
    let builder = graph();
    let own = || program(&builder.graph, Options::default());
    let mut good = session(&builder, own(), SessionOptions::default()).expect("a session");
    let check = |given: Result<(), HostError>, says: &str| {
        let said = given.expect_err("refused").to_string();
        assert!(said.contains(says), "{said}");
    };
    let other = Tensor::zeros(DType::F32, vec![40, 3]).expect("a tensor");
    check(good.run(&[]).map(drop), "input v0 is missing; it must be f32[3,40]");
    check(good.run(&[("v0", &other)]).map(drop), "but is f32[40,3]");
    assert!(good.run(&[("v0", &builder.inputs[0])]).is_ok(), "and the session goes on");

    let mut broken = own();
    broken.run.dispatches[0].windows[0].offset += 1 << 20;
    check(session(&builder, broken, SessionOptions::default()).map(drop), "is not sound");
    let options = SessionOptions { timeout: Some(Duration::ZERO), ..SessionOptions::default() };
    let mut slow = session(&builder, own(), options).expect("a session");
    check(slow.run(&[("v0", &builder.inputs[0])]).map(drop), "did not end within");
}
