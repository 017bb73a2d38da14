//! Nodes that the host computes between those of the device: run after run, told by name, and none where none is needed.

use std::path::PathBuf;

use bayplan::{Bounds, Dims, Level, Model, Scope, SessionOptions, Tensor};
use bayplan_record::{Destination, Places, RecordingOptions, Source};
use bayplan_shaders::Spec;
use bayplan_tests::backend::Backend;
use bayplan_tests::on_every_backend;
use bayplan_tests::onnx_file::{Attribute, Constant, Data, Dim, Model as File, Node};
use bayplan_tests::program::Sandbox;
use bayplan_trace::{Event, Record};

/// Boxes that are scaled on the device before the best are found, and scores that are needed on both sides.
fn written(folder: &tempfile::TempDir) -> PathBuf {
    let one = |name: &'static str, data: Data| Constant { name, shape: &[1], data };
    let model = File {
        nodes: vec![
            Node::new("Mul", &["boxes", "two"], &["larger"]),
            Node::new("Mul", &["scores", "two"], &["better"]),
            Node::new("NonMaxSuppression", &["larger", "better", "most", "overlap", "least"], &["kept"]),
            Node::new("Add", &["better", "larger_sum"], &["y"]),
            Node::new("ReduceMax", &["larger"], &["larger_sum"]),
        ],
        inputs: vec![
            ("boxes", vec![Dim::Known(1), Dim::Known(4), Dim::Known(4)]),
            ("scores", vec![Dim::Known(1), Dim::Known(1), Dim::Known(4)]),
        ],
        outputs: vec!["kept", "y"],
        constants: vec![
            one("two", Data::F32(vec![2.0])),
            one("most", Data::I64(vec![3])),
            one("overlap", Data::F32(vec![0.5])),
            one("least", Data::F32(vec![0.2])),
        ],
        ..File::default()
    };
    let mut model = model;
    // What reads it comes after what makes it.
    model.nodes.swap(3, 4);
    let path = folder.path().join("boxes.onnx");
    std::fs::write(&path, model.bytes()).expect("a file");
    path
}

/// Four boxes of one row, `step` apart, and their scores.
fn inputs(step: f32, scores: [f32; 4]) -> [Tensor; 2] {
    let boxes: Vec<f32> = (0..4).flat_map(|i| [0.0, i as f32 * step, 1.0, i as f32 * step + 1.0]).collect();
    let boxes = Tensor::from_f32(vec![1, 4, 4], &boxes).expect("boxes");
    [boxes, Tensor::from_f32(vec![1, 1, 4], &scores).expect("scores")]
}

fn computed_between(on: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, device) = (Model::open(written(&folder)).expect("a model"), on.device());
    let session = model.session(&device, Dims::default(), SessionOptions::default());
    let mut session = session.expect("a session");
    let nodes = session.family().first().host_nodes();
    assert_eq!(nodes.iter().map(|node| &*node.op).collect::<Vec<_>>(), ["NonMaxSuppression"]);
    // Boxes, scores and three scalars, for each of two results; four rows of three, and their number.
    assert_eq!((nodes[0].read, nodes[0].written), (2 * (64 + 16 + 8 + 4 + 4), 3 * 3 * 8 + 8));
    let mut steady = None;
    for (step, scores, kept) in [
        (0.1, [0.9, 0.8, 0.7, 0.6], vec![0]),
        (2.0, [0.9, 0.8, 0.7, 0.6], vec![0, 1, 2]),
        (2.0, [0.05, 0.8, 0.09, 0.6], vec![1, 3]),
        (0.6, [0.6, 0.7, 0.8, 0.9], vec![3, 2, 1]),
        (2.0, [0.0, 0.0, 0.0, 0.1], vec![]),
    ] {
        let [boxes, given] = inputs(step, scores);
        let outputs = session.run(&[("boxes", &boxes), ("scores", &given)]).expect("it runs");
        let found = outputs.get("kept").expect("an output").to_tensor().expect("a tensor");
        let rows: Vec<i64> = kept.iter().flat_map(|&index| [0, 0, index]).collect();
        assert_eq!((found.shape(), found.to_i64().expect("integers")), (&[kept.len(), 3][..], rows));
        let y = outputs.get("y").expect("an output").to_tensor().expect("a tensor");
        let largest = 2.0 * (3.0 * step + 1.0);
        let expect: Vec<f32> = scores.iter().map(|score| score * 2.0 + largest).collect();
        for (own, expect) in y.to_f32().expect("floats").iter().zip(expect) {
            assert!((own - expect).abs() < 1e-5, "{own} is not {expect}");
        }
        let counters = session.counters();
        let first = *steady.get_or_insert(counters);
        let kept_still = |c: bayplan::Counters| (c.device_allocations, c.pipelines, c.shapes, c.recordings);
        assert_eq!(kept_still(counters), kept_still(first), "nothing is made after the first run");
    }
}

/// `y` = x² − 1 in 64-bit floats, then as f32: near 1 an f32 square loses half of the digits.
fn doubles(on: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let cast = |input: &'static [&'static str], output: &'static [&'static str], to| {
        Node::new("Cast", input, output).with("to", Attribute::Int(to))
    };
    let model = File {
        nodes: vec![
            cast(&["x"], &["wide"], 11),
            cast(&["one"], &["wide_one"], 11),
            Node::new("Mul", &["wide", "wide"], &["square"]),
            Node::new("Sub", &["square", "wide_one"], &["rest"]),
            cast(&["rest"], &["y"], 1),
        ],
        inputs: vec![("x", vec![Dim::Symbol("n")])],
        outputs: vec!["y"],
        constants: vec![Constant { name: "one", shape: &[1], data: Data::F32(vec![1.0]) }],
        ..File::default()
    };
    let path = folder.path().join("doubles.onnx");
    std::fs::write(&path, model.bytes()).expect("a file");
    let (model, device) = (Model::open(path).expect("a model"), on.device());
    let mut bounds = Scope::new();
    bounds.declare("n", Bounds::between(0, 100)).expect("bounds");
    let session = model.session(&device, Dims::from(bounds), SessionOptions::default());
    let mut session = session.expect("a session");
    for n in [7_u16, 0, 100, 7] {
        let x: Vec<f32> = (0..n).map(|i| 1.0 + f32::from(i) * 2.0_f32.powi(-22)).collect();
        let given = Tensor::from_f32(vec![x.len()], &x).expect("a tensor");
        let outputs = session.run(&[("x", &given)]).expect("it runs");
        let y = outputs.get("y").expect("an output").to_tensor().expect("a tensor");
        let expect: Vec<f32> = x.iter().map(|&x| (f64::from(x) * f64::from(x) - 1.0) as f32).collect();
        assert_eq!(y.to_f32().expect("floats"), expect);
    }
    let nodes = session.family().first().host_nodes();
    match device.target().features.float64 && device.target().features.int64 {
        true => assert_eq!(nodes, [], "the device computes them"),
        false => assert!(nodes.iter().any(|node| node.why.contains("shaderFloat64")), "{nodes:?}"),
    }
}

/// Every op has its time, those of the host among them, in the order in which they ran.
fn computed_between_and_timed(on: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, device) = (Model::open(written(&folder)).expect("a model"), on.device());
    let file = folder.path().join("run.bptrace");
    let mut recording = RecordingOptions::new(Places::under(folder.path()));
    (recording.destination, recording.level) = (Destination::File(file.clone()), Level::Op);
    let options = SessionOptions { recording: Some(recording), ..SessionOptions::default() };
    let mut session = model.session(&device, Dims::default(), options).expect("a session");
    for step in [0.1, 2.0, 0.6] {
        let [boxes, given] = inputs(step, [0.9, 0.8, 0.7, 0.6]);
        session.run(&[("boxes", &boxes), ("scores", &given)]).expect("it runs");
    }
    let program = session.program().clone();
    session.finish();
    let (mut runs, mut spans) = (Vec::new(), Vec::new());
    bayplan_record::read(Source::of_path(&file), |record| match record {
        Record::Event(Event::RunStart { t, .. }) => runs.push((t, u64::MAX)),
        Record::Event(Event::RunEnd { t, .. }) => runs.last_mut().expect("it began").1 = t,
        Record::Event(Event::OpTimes { first_op: 0, times, .. }) => spans.push(times),
        _ => {}
    })
    .expect("a recording");
    assert_eq!((runs.len(), spans.len()), (3, 3));
    for ((begun, ended), times) in runs.into_iter().zip(spans) {
        assert_eq!(times.len(), program.run.dispatches.len());
        assert!(times.iter().all(|(start, end)| begun <= *start && start <= end && *end <= ended));
        assert!(times.windows(2).all(|pair| pair[0].1 <= pair[1].0), "one after the other: {times:?}");
        let host = program.run.dispatches.iter().position(|d| matches!(*d.spec, Spec::Host(_)));
        let (start, end) = times[host.expect("a node of the host")];
        assert!(start < end, "the host takes time");
    }
}

on_every_backend! {
    host_nodes_are_timed => computed_between_and_timed;
    doubles_without_the_feature => doubles;
    host_nodes => computed_between;
}

/// `run` tells of the nodes that `plan` names, in a line for people and all of them for programs.
#[test]
fn run_tells_what_the_host_computes() {
    let (folder, sandbox) = (tempfile::tempdir().expect("a folder"), Sandbox::new());
    let model = written(&folder).display().to_string();
    let bayplan = |words: &[&str]| sandbox.bayplan(&[words, &[&model, "--device", "host"]].concat());
    let (planned, ran) = (bayplan(&["plan", "--json"]).json(), bayplan(&["run", "--json"]).json());
    assert_eq!(planned["host_nodes"].as_array().map(Vec::len), Some(1), "{planned}");
    assert_eq!(ran["host_nodes"], planned["host_nodes"]);
    let (read, written) = (2 * (64 + 16 + 8 + 4 + 4), 3 * 3 * 8 + 8);
    let line = format!(
        "host       1 node, {read} B to the host, {written} B back per run; `bayplan plan` names it\n"
    );
    let text = bayplan(&["run"]).success();
    assert!(text.contains(&line), "{text}");
}
