//! The model of these tests, and sessions of it.

use bayplan::{
    Bounds, Device, Dims, Error, Model as Opened, Options, OutputArena, OutputPolicy, Policies, Scope,
    Session, SessionOptions, Tensor,
};
use bayplan_tests::onnx_file::{Attribute, Dim, Model, Node};

/// The largest `n`.
pub(crate) const MOST: i64 = 20;

/// x f32[n, 8] → lent = −x, kept = Relu(x), mine = Concat(|x|, Exp(x)) of f32[n, 16].
pub(crate) fn three() -> Model<'static> {
    Model {
        nodes: vec![
            Node::new("Neg", &["x"], &["lent"]),
            Node::new("Relu", &["x"], &["kept"]),
            Node::new("Abs", &["x"], &["left"]),
            Node::new("Exp", &["x"], &["right"]),
            Node::new("Concat", &["left", "right"], &["mine"]).with("axis", Attribute::Int(1)),
        ],
        inputs: vec![("x", vec![Dim::Symbol("n"), Dim::Known(8)])],
        outputs: vec!["lent", "kept", "mine"],
        ..Model::default()
    }
}

/// Opens a model from its bytes.
pub(crate) fn opened(model: &Model<'_>) -> Opened {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("outputs.onnx");
    std::fs::write(&file, model.bytes()).expect("a file");
    Opened::open(&file).unwrap_or_else(|e| panic!("{e}"))
}

/// One policy for each of them: `Borrow`, `Own`, `Into`.
pub(crate) fn each_its_own() -> Options {
    let outputs = Policies::default().with("kept", OutputPolicy::Own).with("mine", OutputPolicy::Into);
    Options { outputs, ..Options::default() }
}

/// A session for `n` up to [`MOST`] with so many bytes for outputs that are kept.
pub(crate) fn session(device: &Device, options: &Options, outputs: OutputArena) -> Session {
    let model = opened(&three());
    let mut bounds = Scope::new();
    bounds.declare("n", Bounds::between(1, MOST)).expect("bounds");
    let family =
        model.family(&Dims::from(bounds), device.target(), options).unwrap_or_else(|e| panic!("{e}"));
    let options = SessionOptions { outputs, ..SessionOptions::default() };
    Session::new(device, family, model.weights(), options).unwrap_or_else(|e| panic!("{e}"))
}

/// An output arena of so many bytes.
pub(crate) fn arena(bytes: u64) -> OutputArena {
    OutputArena { bytes, grow: false }
}

/// Numbers between −1 and 1, other ones for other seeds.
pub(crate) fn x(n: usize, seed: usize) -> Tensor {
    let all: Vec<f32> = (0..n * 8).map(|i| ((i * 7 + seed * 5) % 33) as f32 / 16.0 - 1.0).collect();
    Tensor::from_f32(vec![n, 8], &all).expect("as many as the shape says")
}

/// What the three outputs are for an input.
pub(crate) fn expected(x: &Tensor) -> [Vec<f32>; 3] {
    let all = x.to_f32().expect("floats");
    let map = |f: fn(f32) -> f32| all.iter().map(|&v| f(v)).collect::<Vec<f32>>();
    let rows = all.chunks(8);
    let mine = rows.flat_map(|row| row.iter().map(|v| v.abs()).chain(row.iter().map(|v| v.exp())));
    [map(|v| -v), map(|v| v.max(0.0)), mine.collect()]
}

/// Demands numbers, exponentials within their rounding.
pub(crate) fn same(what: &str, tensor: Result<Tensor, Error>, expected: &[f32]) {
    let tensor = tensor.unwrap_or_else(|e| panic!("{what}: {e}"));
    let made = tensor.to_f32().expect("floats");
    assert_eq!(made.len(), expected.len(), "{what}");
    for (at, (a, b)) in made.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{what}: element {at} is {a}, should be {b}");
    }
}
