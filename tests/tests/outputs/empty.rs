//! Outputs without elements, beside others that have some.

use bayplan::{
    Bounds, DType, Device, Dims, Options, OutputPolicy, Policies, Scope, Session, SessionOptions, Tensor,
};
use bayplan_tests::on_every_backend;
use bayplan_tests::onnx_file::{Dim, Model, Node};

use crate::model::{arena, opened, same, x};

/// x f32[n, 8] → kept = Relu(x), mine = −x; y f32[m, 8] → other = Relu(y), its = −y.
fn pairs() -> Model<'static> {
    Model {
        nodes: vec![
            Node::new("Relu", &["x"], &["kept"]),
            Node::new("Neg", &["x"], &["mine"]),
            Node::new("Relu", &["y"], &["other"]),
            Node::new("Neg", &["y"], &["its"]),
        ],
        inputs: vec![
            ("x", vec![Dim::Symbol("n"), Dim::Known(8)]),
            ("y", vec![Dim::Symbol("m"), Dim::Known(8)]),
        ],
        outputs: vec!["kept", "mine", "other", "its"],
        ..Model::default()
    }
}

/// A session for up to 20 rows of each; outputs are kept, or lie in buffers of the caller's.
fn session(device: &Device) -> Session {
    let model = opened(&pairs());
    let mut bounds = Scope::new();
    for symbol in ["n", "m"] {
        bounds.declare(symbol, Bounds::between(0, 20)).expect("bounds");
    }
    let outputs =
        Policies::all(OutputPolicy::Own).with("mine", OutputPolicy::Into).with("its", OutputPolicy::Into);
    let options = Options { outputs, ..Options::default() };
    let family = model.family(&Dims::from(bounds), device.target(), &options).expect("a family");
    let options = SessionOptions { outputs: arena(8192), ..SessionOptions::default() };
    Session::new(device, family, model.weights(), options).expect("a session")
}

/// Whichever is empty, the others are whole, and the caller's buffers last.
fn beside(device: &Device) {
    let mut session = session(device);
    let [mut mine, mut its] = [(); 2].map(|()| device.tensor(DType::F32, &[20, 8]).expect("a buffer"));
    for (seed, (n, m)) in [(0, 3), (20, 2), (4, 0), (0, 0), (1, 20)].into_iter().enumerate() {
        let (x, y) = (x(n, seed), x(m, seed + 1));
        let mut into = [("mine", &mut mine), ("its", &mut its)];
        let mut outputs = session.run_into(&[("x", &x), ("y", &y)], &mut into).expect("a run");
        let floats = |tensor: &Tensor, f: fn(f32) -> f32| -> Vec<f32> {
            tensor.to_f32().expect("floats").iter().map(|&v| f(v)).collect()
        };
        for (name, given) in [("kept", &x), ("other", &y)] {
            let own = outputs.take(name).expect("it has the policy Own");
            assert_eq!(own.shape(), given.shape(), "{name}");
            same(name, own.to_tensor(), &floats(given, |v| v.max(0.0)));
        }
        drop(outputs);
        for (name, buffer, given) in [("mine", &mine, &x), ("its", &its, &y)] {
            assert_eq!(buffer.shape(), given.shape(), "{name}");
            same(name, buffer.to_tensor(), &floats(given, |v| -v));
        }
    }
    assert_eq!(session.output_usage().held, 0);
}

on_every_backend! {
    an_empty_output_takes_nothing_from_others => |on| beside(&on.device());
}
