//! Sessions whose shapes change from run to run.

use bayplan::{
    Bindings, Bounds, DType, Device, DeviceTensor, Dims, Family, Input, InputPolicy, Model, Options,
    OutputArena, OutputPolicy, Owned, Policies, Scope, Session, SessionOptions, Tensor,
};
use bayplan_compile::Function;
use bayplan_graph::ByteRange;
use bayplan_tests::onnx_file::{self, Attribute, Dim, Node};
use bayplan_tests::root;
use bayplan_tests::shapes::{Shapes, measure};

/// Shapes at hand at once: most runs evict one, and record over its commands and parameters.
const AT_HAND: usize = 2;

/// A small trained decoder.
fn chars() -> std::path::PathBuf {
    root().join("assets/chars.onnx")
}

/// Random shapes, a few of which come again.
pub(crate) fn shapes(device: &Device) {
    let within = Shapes(&[("batch", 1, 2), ("seq", 1, 3), ("past", 0, 3)]);
    let options = SessionOptions { shapes: AT_HAND, ..SessionOptions::default() };
    let measured = measure(device, &chars(), within, (24, 0), 7, options);
    assert!(measured.recordings > 12 && measured.cached > 0, "{measured:?}");
}

/// Tokens of the prompt, and of all that is generated.
const PROMPT: usize = 4;
const TOKENS: usize = 9;

/// Prefill and decode of one family: caches are kept outputs that the next step reads where they lie, logits are made in a
/// buffer of the caller's.
pub(crate) fn generation(device: &Device) {
    let model = Model::open(chars()).expect("the model");
    let dims = |pinned: (&str, i64), bounds: &[(&str, i64)]| {
        let mut scope = Scope::new();
        for &(symbol, most) in bounds {
            scope.declare(symbol, Bounds::between(1, most)).expect("declared once");
        }
        Dims { pinned: [("batch", 1), pinned].into_iter().collect::<Bindings>(), bounds: scope }
    };
    let (most, past) = (TOKENS as i64, TOKENS as i64 - 1);
    let prefill = dims(("past", 0), &[("seq", most), ("total", most)]);
    let decode = dims(("seq", 1), &[("past", past), ("total", most)]);
    let functions = [("prefill", &prefill), ("decode", &decode)];
    let functions = functions.map(|(name, dims)| Function { name, graph: model.graph(), dims });
    let caches = model.graph().inputs.iter().map(|&id| model.graph().value(id).name.to_string());
    let caches: Vec<String> = caches.filter(|name| name.starts_with("past_")).collect();
    let inputs =
        caches.iter().fold(Policies::default(), |inputs, name| inputs.with(name, InputPolicy::Caller));
    let outputs = Policies::all(OutputPolicy::Own).with("logits", OutputPolicy::Into);
    let options = Options { inputs, outputs, ..Options::default() };
    let read = |range: &ByteRange| model.read(range);
    let family = Family::with_functions(&functions, device.target(), &options, &read).expect("a family");
    let options = SessionOptions {
        shapes: AT_HAND,
        outputs: OutputArena { bytes: 1 << 18, grow: false },
        ..SessionOptions::default()
    };
    let mut session = Session::new(device, family, model.weights(), options).expect("a session");
    let mut logits = device.tensor(DType::F32, &[1, TOKENS, 103]).expect("a buffer");
    let built = session.counters();
    let last = generate(&mut session, &mut logits, &caches, PROMPT);
    let whole = generate(&mut session, &mut logits, &caches, TOKENS);
    let off = last.iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off < 1e-3, "logits behind a cache are {off} off those of the whole prompt");
    let done = session.counters();
    assert_eq!((done.device_allocations, done.pipelines), (built.device_allocations, built.pipelines));
}

/// The logits of the last token, all but the prompt's tokens one by one.
fn generate(session: &mut Session, logits: &mut DeviceTensor, caches: &[String], prompt: usize) -> Vec<f32> {
    let mut kept: Vec<Owned> = Vec::new();
    let mut past = 0;
    while past < TOKENS {
        let seq = if past == 0 { prompt } else { 1 };
        let function = session.family().function(if past == 0 { "prefill" } else { "decode" });
        let positions: Vec<i64> = (past as i64..(past + seq) as i64).collect();
        let ids: Vec<i64> = positions.iter().map(|at| at * 7 % 100).collect();
        let [ids, mask, positions] = [&ids, &vec![1; past + seq], &positions].map(|list| integers(list));
        let empty = Tensor::from_f32(vec![1, 4, 0, 32], &[]).expect("no elements");
        let mut inputs: Vec<(&str, Input<'_>)> = vec![
            ("input_ids", Input::Host(&ids)),
            ("attention_mask", Input::Host(&mask)),
            ("position_ids", Input::Host(&positions)),
        ];
        for (index, name) in caches.iter().enumerate() {
            inputs.push((name, kept.get(index).map_or(Input::Host(&empty), Input::Owned)));
        }
        let into = &mut [("logits", &mut *logits)];
        let mut outputs = session.call(function.expect("it has both"), &inputs, into).expect("a run");
        let present = caches.iter().map(|name| name.replace("past_key_values", "present"));
        let next: Vec<Owned> = present.map(|name| outputs.take(&name).expect("an output to keep")).collect();
        drop(outputs);
        kept = next;
        past += seq;
    }
    let all = logits.to_tensor().expect("a copy").to_f32().expect("floats");
    all[all.len() - 103..].to_vec()
}

fn integers(list: &[i64]) -> Tensor {
    let bytes = list.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor::new(DType::I64, vec![1, list.len()], bytes).expect("as many as there are")
}

/// y = exp x where the largest element of x, which the device finds, is positive, else −x; any number of rows.
pub(crate) fn branches(device: &Device) {
    let body = |op| onnx_file::Model {
        nodes: vec![Node::new(op, &["x"], &["z"])],
        outputs: vec!["z"],
        ..Default::default()
    };
    let zero = onnx_file::Constant { name: "zero", shape: &[], data: onnx_file::Data::F32(vec![0.0]) };
    let nodes = vec![
        Node::new("ReduceMax", &["x"], &["largest"]).with("keepdims", Attribute::Int(0)),
        Node::new("Greater", &["largest", "zero"], &["positive"]),
        Node::new("If", &["positive"], &["y"])
            .with("then_branch", Attribute::Graph(body("Exp")))
            .with("else_branch", Attribute::Graph(body("Neg"))),
    ];
    let inputs = vec![("x", vec![Dim::Symbol("n"), Dim::Known(3)])];
    let file =
        onnx_file::Model { nodes, inputs, outputs: vec!["y"], constants: vec![zero], ..Default::default() };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("branches.onnx");
    std::fs::write(&path, file.bytes()).expect("a file");
    let model = Model::open(&path).expect("the model");
    let mut scope = Scope::new();
    scope.declare("n", Bounds::between(1, 9)).expect("declared once");
    let options = SessionOptions { shapes: AT_HAND, ..SessionOptions::default() };
    let mut session = model.session(device, scope, options).expect("a session");
    let built = session.counters();
    for (n, sign) in [(3, 1.0), (3, -1.0), (9, -1.0), (1, 1.0), (3, 1.0), (9, 1.0), (9, -1.0)] {
        let given: Vec<f32> = (0..3 * n).map(|i| sign * (0.1 + i as f32 / 16.0)).collect();
        let x = Tensor::from_f32(vec![n, 3], &given).expect("as many as there are");
        let outputs = session.run(&[("x", &x)]).expect("a run");
        let y = outputs.get("y").expect("an output").to_tensor().expect("a copy").to_f32().expect("floats");
        assert_eq!(y.len(), given.len());
        for (y, x) in y.iter().zip(&given) {
            let expected = if sign > 0.0 { x.exp() } else { -x };
            assert!((y - expected).abs() < 1e-5, "{n} rows: {y} instead of {expected}");
        }
    }
    let done = session.counters();
    assert_eq!((done.device_allocations, done.pipelines), (built.device_allocations, built.pipelines));
}
