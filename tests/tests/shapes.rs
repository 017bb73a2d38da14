//! One session serves every shape within bounds: right at each, without device memory or kernels that it did not have when it
//! was built; a shape beyond its bounds is refused by name, and nothing changes.

use std::path::Path;

use bayplan::{Bindings, Bounds, Dims, Error, InputError, Model, Scope, Session, SessionOptions, Tensor};
use bayplan_tests::backend::Backend;
use bayplan_tests::decoder::Decoder;
use bayplan_tests::onnx_file::{self, Dim, Node};
use bayplan_tests::shapes::{Shapes, measure};
use bayplan_tests::{reference_model, root};

/// ‖out − onnxruntime‖ / ‖onnxruntime‖ that rounding in another order explains.
const MOST: f64 = 1e-4;

/// Shapes at hand at once: fewer than there are.
const AT_HAND: usize = 5;

/// Runs random shapes of a model in one session, some against onnxruntime.
fn steady(backend: Backend, model: &Path, shapes: Shapes<'_>, (runs, asked): (usize, usize)) {
    let device = backend.device();
    let options = SessionOptions { shapes: AT_HAND, ..SessionOptions::default() };
    let measured = measure(&device, model, shapes, (runs, asked), 3, options);
    let name = model.display();
    assert_eq!((measured.allocations, measured.growths), (0, 0), "{name}: device memory allocated by runs");
    assert_eq!(measured.pipelines, 0, "{name}: kernels compiled by runs");
    assert_eq!(measured.compared, asked);
    let (error, point) = measured.worst.clone().expect("there are answers");
    assert!(error <= MOST, "{name} at {point}: {error:.3e} from onnxruntime");
    let hits = measured.cached;
    assert!(hits > 0 && hits < runs as u64 / 2, "{name}: {hits} of {runs} shapes were at hand");
    if backend != Backend::Host {
        // The counters count: what was built shows in them.
        assert!(device.allocations().allocations > 0 && measured.recordings > 0);
    }
    println!("{name} on {backend}: {measured:?}");
}

const DECODER: Shapes<'static> = Shapes(&[("batch", 1, 3), ("seq", 1, 6), ("past", 0, 24)]);

bayplan_tests::on_every_backend! {
    /// A trained decoder, with a cache of any length, none included.
    chars => |on| steady(on, &root().join("assets/chars.onnx"), DECODER, (120, 20));
    /// Rotary positions, grouped heads, naive attention; seeded.
    llama => |on| {
        let folder = tempfile::tempdir().expect("a folder");
        steady(on, &Decoder::SMALL.write(folder.path(), 5), DECODER, (200, 40));
    };
    encoder => |on| {
        let shapes = Shapes(&[("batch", 1, 3), ("seq", 1, 9)]);
        steady(on, &reference_model("encoder_l6"), shapes, (40, 8));
    };
    bounds => beyond;
}

/// x f32[n, 4] → Exp → Softmax → y.
fn small(folder: &Path) -> Model {
    let file = folder.join("small.onnx");
    let nodes = vec![Node::new("Exp", &["x"], &["e"]), Node::new("Softmax", &["e"], &["y"])];
    let inputs = vec![("x", vec![Dim::Symbol("n"), Dim::Known(4)])];
    let model = onnx_file::Model { inputs, nodes, outputs: vec!["y"], ..Default::default() };
    std::fs::write(&file, model.bytes()).expect("a file");
    Model::open(&file).expect("a model")
}

fn x(n: usize) -> Tensor {
    let all: Vec<f32> = (0..4 * n).map(|i| (i as f32 * 0.7).sin()).collect();
    Tensor::from_f32(vec![n, 4], &all).expect("as many as there are")
}

/// Runs n rows and holds them to the definition.
fn right(session: &mut Session, n: usize) {
    let given = x(n);
    let outputs = session.run(&[("x", &given)]).expect("a run");
    let y = outputs.get("y").expect("an output").to_tensor().expect("a tensor").to_f32().expect("floats");
    assert_eq!(y.len(), 4 * n);
    for (x, y) in given.to_f32().expect("floats").chunks(4).zip(y.chunks(4)) {
        let weights: Vec<f64> = x.iter().map(|&x| f64::from(x).exp().exp()).collect();
        let sum: f64 = weights.iter().sum();
        let off = weights.iter().zip(y).map(|(w, &y)| (w / sum - f64::from(y)).abs()).fold(0.0, f64::max);
        assert!(off < 1e-5, "{n} rows: {off:e}");
    }
}

/// Too many rows, too few, and more than the session was given memory for: named, nothing written, and the next run right.
fn beyond(backend: Backend) {
    let (device, folder) = (backend.device(), tempfile::tempdir().expect("a folder"));
    let model = small(folder.path());
    let mut scope = Scope::new();
    scope.declare("n", Bounds::between(2, 20)).expect("declared once");
    let family = model.family(&Dims::from(scope), device.target(), &Default::default()).expect("a family");
    let dims: Bindings = [("n", 12)].into_iter().collect();
    let program = family.at(Default::default(), &dims).expect("a program");
    let [activations, weights, load, _] = program.arena_bytes;
    let memory = Some(weights + activations.max(load));
    for (memory, largest) in [(None, 20), (memory, 12)] {
        let options = SessionOptions { memory, ..SessionOptions::default() };
        let mut session = Session::new(&device, family.clone(), model.weights(), options).expect("a session");
        right(&mut session, largest);
        session.fill_activations(0xa5).expect("the device is there");
        let before = (session.activations().expect("bytes"), session.counters(), session.runs());
        assert!(!before.0.is_empty());
        let mut refused = |n: usize| session.run(&[("x", &x(n))]).map(|_| ()).expect_err("it is refused");
        match refused(21) {
            Error::Input(InputError::BoundExceeded { dim, value: 21, bound: 20, .. }) => assert_eq!(dim, "n"),
            other => panic!("{other}"),
        }
        match refused(1) {
            Error::Input(InputError::BelowBound { dim, value: 1, bound: 2, .. }) => assert_eq!(dim, "n"),
            other => panic!("{other}"),
        }
        let after = (session.activations().expect("bytes"), session.counters(), session.runs());
        assert!(before == after, "something was written, counted or run");
        if memory.is_some() {
            let over = session.run(&[("x", &x(20))]).map(|_| ()).expect_err("too little memory");
            assert!(matches!(over, Error::Budget(_)), "{over}");
            assert!(before.0 == session.activations().expect("bytes") && before.2 == session.runs());
        }
        right(&mut session, 3);
        right(&mut session, largest);
    }
}

/// The counter of pipelines, held to a device on which a second family needs kernels that the first does not have.
#[test]
fn pipelines_and_allocations_are_counted() {
    let (device, folder) = (Backend::Lavapipe.device(), tempfile::tempdir().expect("a folder"));
    let model = small(folder.path());
    let counted = |session: &Session| (session.counters().pipelines, session.counters().device_allocations);
    let dims: Bindings = [("n", 3)].into_iter().collect();
    let build = |model: &Model| model.session(&device, &dims, SessionOptions::default()).expect("a session");
    let first = build(&model);
    let (pipelines, allocations) = counted(&first);
    assert!(pipelines > 0 && allocations > 0);
    let again = build(&model);
    assert_eq!(counted(&again).0, pipelines, "the same kernels");
    assert!(counted(&again).1 > allocations, "an arena of its own");
    let buffer = device.tensor(bayplan::DType::F32, &[1]).expect("a tensor");
    assert_eq!(device.allocations().allocations, counted(&again).1);
    drop(buffer);
}
