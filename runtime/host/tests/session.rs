//! Sessions on the host, and what they tell their recordings.

mod common;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bayplan_compile::session::{Cancel, Cancelled, Loading, Progress, ReadMode, WeightsPath};
use bayplan_compile::{Dims, Family, Options, Program};
use bayplan_expr::{Bounds, Expr, Scope};
use bayplan_graph::op::{BinaryOp, Op, UnaryOp};
use bayplan_graph::{DType, Graph, NoFiles, Tensor, eval};
use bayplan_host::{HostError, Outputs, Session, SessionOptions, target};
use bayplan_record::{Destination, Places, RecordingOptions, Source};
use bayplan_trace::{Event, Level, Record, Severity, Timeline};
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
fn whoever_waits_is_told_how_far_loading_is() {
    let builder = graph();
    let told = Arc::new(Mutex::new(Vec::new()));
    let own = Arc::clone(&told);
    let progress = Progress::new(move |loading| own.lock().expect("told").push(*loading));
    let options = SessionOptions { progress: Some(progress), ..SessionOptions::default() };
    session(&builder, program(&builder.graph, Options::default()), options).expect("a session");
    let told = told.lock().expect("told");
    // One matrix of 40 by 40 floats: before its first byte, and when all of it is there.
    assert_eq!(told.first(), Some(&Loading::of(6400)));
    let mut all = Loading::of(6400);
    all.add(6400, WeightsPath::Host, ReadMode::Buffered);
    assert_eq!(told.last(), Some(&all));
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
        let load = timeline.totals.loads.latest.expect("a load");
        assert_eq!((load.ok, load.loading.total, load.loading.by_path), (true, 6400, [0, 0, 0, 6400]));
        assert!(load.end <= timeline.ready && load.overlap() == 0, "{load:?}");
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

/// exp(x) + y, and x · 2 beside it, for x and y with these dimensions.
fn sums(dims: [&str; 2]) -> Graph {
    let mut builder = Builder::new();
    let (x, y) = (builder.input(numbers(3)), builder.input(numbers(3)));
    let e = builder.op(Op::Unary(UnaryOp::Exp), &[x]);
    let sum = builder.op(Op::Binary(BinaryOp::Add), &[e, y]);
    let twice = builder.op(Op::Binary(BinaryOp::Add), &[x, x]);
    [sum, twice].into_iter().for_each(|id| builder.output(id));
    let mut graph = builder.graph;
    for (index, dim) in dims.into_iter().enumerate() {
        let ty = graph.values[index].ty.as_mut().expect("a type");
        ty.shape = vec![Expr::parse(dim).expect("a dimension")];
    }
    graph.infer().expect("types");
    graph
}

fn numbers(count: usize) -> Tensor {
    Tensor::from_f32(vec![count], &(0..count).map(|i| i as f32 / 8.0).collect::<Vec<_>>()).expect("floats")
}

#[test]
fn dims_that_broadcast_are_equal_or_one() {
    // A symbol that follows from another one, and two expressions of which neither does.
    let cases = [
        (
            ["n", "m"],
            [3, 3],
            [1, 4],
            [2, 4],
            "input v0 is 2, but must be m = 4 or 1 (m=4), as node n1 needs it",
        ),
        (
            ["n", "m"],
            [3, 3],
            [4, 1],
            [4, 3],
            "input v0 is 4, but must be m = 3 or 1 (m=3), as node n1 needs it",
        ),
        (
            ["n + 1", "2*m"],
            [4, 4],
            [1, 4],
            [5, 4],
            "n + 1 is 5, but node `n1` needs it to be 2*m, which is 4",
        ),
    ];
    for (dims, good, spread, bad, says) in cases {
        let graph = sums(dims);
        let mut scope = Scope::new();
        for symbol in graph.free_symbols() {
            scope.declare(&symbol, Bounds::between(0, 8)).expect("bounds");
        }
        let no_file = |_: &_| Err("no file".to_owned());
        let family = Family::new(&graph, &Dims::from(scope), &target(), &Options::default(), &no_file);
        let store = Store::open("", &graph).expect("no files");
        let mut session =
            Session::new(family.expect("a family"), &store, SessionOptions::default()).expect("a session");
        let mut run = |sizes: [usize; 2]| {
            let [x, y] = sizes.map(numbers);
            let outputs = session.run(&[("v0", &x), ("v1", &y)]).map(|outputs| read(&outputs));
            (outputs, session.counters(), session.runs())
        };
        for sizes in [good, spread, good] {
            let sum = run(sizes).0.expect("a run").remove(0).to_f32().expect("floats");
            let at = |size: usize, i: usize| if size == 1 { 0.0 } else { i as f32 / 8.0 };
            let length = sizes[0].max(sizes[1]);
            let expected: Vec<f32> = (0..length).map(|i| at(sizes[0], i).exp() + at(sizes[1], i)).collect();
            assert_eq!(sum, expected, "{dims:?} {sizes:?}");
        }
        let (before, counted, runs) = run(good);
        let (refused, after, still) = run(bad);
        let message = refused.expect_err("neither equal nor 1").to_string();
        assert!(message.contains(says), "{dims:?}: {message}");
        assert_eq!((after, still), (counted, runs), "nothing was begun");
        assert_eq!(run(good).0.expect("it goes on"), before.expect("a run"));
    }
}

fn read(outputs: &Outputs<'_>) -> Vec<Tensor> {
    outputs.iter().map(|output| output.to_tensor().expect("a tensor")).collect()
}

#[test]
fn loading_ends_within_a_piece_when_it_is_cancelled() {
    let mut builder = Builder::new();
    let x = builder.input(Random(1).floats(&[1, 2048]));
    let w = builder.constant(&Random(2).floats(&[2048, 2048]));
    let y = builder.op(Op::MatMul, &[x, w]);
    builder.output(y);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("cancelled.bptrace");
    let (cancel, own) = (Cancel::default(), Cancel::default());
    let told = cancel.clone();
    let progress = Progress::new(move |loading| {
        if loading.arrived() > 0 {
            told.cancel();
        }
    });
    let options = SessionOptions { progress: Some(progress), cancel, ..recording(&file, Level::Run) };
    let built = session(&builder, program(&builder.graph, Options::default()), options);
    let Err(HostError::Cancelled(Cancelled { arrived, total })) = built else { panic!("it was loaded") };
    assert_eq!((arrived, total), (2 << 20, 16 << 20), "one piece");
    let mut timeline = Timeline::new();
    bayplan_record::read(Source::of_path(&file), |record| timeline.apply(record)).expect("a recording");
    let load = timeline.totals.loads.latest.expect("a load");
    assert!(load.end.is_some() && !load.ok, "{load:?}");
    let told: Vec<_> =
        timeline.messages.iter().map(|(_, severity, text)| (*severity, text.as_str())).collect();
    let said = "cancelled while weights were loaded: 2.00 MiB of 16.0 MiB had arrived, and no run has ended";
    assert_eq!(told, [(Severity::Warning, said)]);
    // Nobody cancels another session's.
    let options = SessionOptions { cancel: own, ..SessionOptions::default() };
    session(&builder, program(&builder.graph, Options::default()), options).expect("a session");
}
