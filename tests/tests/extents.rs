//! Outputs whose size depends on data: planned as large as they can be, shown as large as they are.

use bayplan::{
    Bounds, CompileError, Device, Dims, Error, Model, Options, OutputArena, OutputPolicy, Policies, Scope,
    Session, SessionOptions, Tensor,
};
use bayplan_tests::backend::Backend;
use bayplan_tests::on_every_backend;
use bayplan_tests::onnx_file::{Attribute, Constant, Data, Dim, Model as File, Node, Type};

/// `at = NonZero(x)`, `rows = Compress(x, which)` along the first axis, `y = x + x`.
fn written(folder: &tempfile::TempDir, nodes: Vec<Node<'static>>) -> Model {
    let model = File {
        nodes,
        inputs: vec![("x", vec![Dim::Symbol("h"), Dim::Symbol("w")]), ("which", vec![Dim::Symbol("h")])],
        types: vec![("which", Type::Bool)],
        outputs: vec!["at", "y", "rows"],
        ..File::default()
    };
    let path = folder.path().join("extents.onnx");
    std::fs::write(&path, model.bytes()).expect("a file");
    Model::open(path).expect("a model")
}

fn nodes() -> Vec<Node<'static>> {
    vec![
        Node::new("NonZero", &["x"], &["at"]),
        Node::new("Compress", &["x", "which"], &["rows"]).with("axis", Attribute::Int(0)),
        Node::new("Add", &["x", "x"], &["y"]),
    ]
}

fn dims() -> Dims {
    let mut bounds = Scope::new();
    for (name, most) in [("h", 9), ("w", 70)] {
        bounds.declare(name, Bounds::between(0, most)).expect("bounds");
    }
    Dims::from(bounds)
}

/// Runs with elements of which those that a rule names are not 0, and rows likewise.
fn check(
    session: &mut Session,
    [h, w]: [usize; 2],
    set: impl Fn(usize) -> bool,
    row: impl Fn(usize) -> bool,
) {
    let x: Vec<f32> = (0..h * w).map(|i| if set(i) { i as f32 - 3.5 } else { -0.0 }).collect();
    let which: Vec<bool> = (0..h).map(row).collect();
    let tensors = [
        Tensor::from_f32(vec![h, w], &x).expect("floats"),
        Tensor::from_bool(vec![h], &which).expect("booleans"),
    ];
    let outputs = session.run(&[("x", &tensors[0]), ("which", &tensors[1])]).expect("it runs");
    let names: Vec<&str> = outputs.iter().map(|output| output.name()).collect();
    assert_eq!(names, ["at", "y", "rows"], "what counts is no output of the model");
    let places: Vec<i64> = (0..h * w).filter(|&i| x[i] != 0.0).map(|i| i as i64).collect();
    let at = outputs.get("at").expect("an output");
    assert_eq!(at.shape(), [2, places.len() as u64]);
    let at = at.to_tensor().expect("a tensor");
    let (rows, columns) = (places.iter().map(|i| i / w as i64), places.iter().map(|i| i % w as i64));
    let expected: Vec<i64> = rows.chain(columns).collect();
    assert_eq!((at.shape(), at.to_i64().expect("integers")), (&[2, places.len()][..], expected));
    let kept = outputs.get("rows").expect("an output").to_tensor().expect("a tensor");
    let of = (0..h).filter(|&i| which[i]);
    let expected: Vec<f32> = of.clone().flat_map(|i| x[i * w..][..w].to_vec()).collect();
    assert_eq!((kept.shape(), kept.to_f32().expect("floats")), (&[of.count(), w][..], expected));
    assert!(outputs.get("at.count").is_none());
}

fn sizes_follow_from_data(on: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, device) = (written(&folder, nodes()), on.device());
    let mut session = model.session(&device, dims(), SessionOptions::default()).expect("a session");
    for [h, w] in [[3, 5], [9, 70], [1, 1], [3, 5], [4, 0]] {
        check(&mut session, [h, w], |i| i % 3 == 1, |i| i != 1);
        check(&mut session, [h, w], |_| false, |_| false);
        check(&mut session, [h, w], |_| true, |_| true);
        check(&mut session, [h, w], |i| i == 0, |i| i + 1 == h);
    }
}

fn refused(device: &Device, model: &Model, named: &str, policy: OutputPolicy) -> Option<String> {
    let outputs = Policies::all(OutputPolicy::Own).with(named, policy);
    let made = model.family(&dims(), device.target(), &Options { outputs, ..Options::default() });
    match made {
        Ok(_) => None,
        Err(Error::Compile(e @ CompileError::Sized { .. })) => Some(e.to_string()),
        Err(other) => panic!("{other}"),
    }
}

/// They are cut when they are read, so that nobody can take them uncut.
fn they_are_only_lent(on: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, device) = (written(&folder, nodes()), on.device());
    for policy in [OutputPolicy::Own, OutputPolicy::Into] {
        let why = refused(&device, &model, "at", policy).expect("a refusal");
        assert!(why.contains("the size of the output at depends on data"), "{why}");
        assert!(refused(&device, &model, "rows", policy).is_some());
    }
    assert_eq!(refused(&device, &model, "y", OutputPolicy::Own), None);
    let options = Options { outputs: Policies::all(OutputPolicy::Own), ..Options::default() };
    let family = model.family(&dims(), device.target(), &options).expect("the others are kept");
    let arena = OutputArena { bytes: 1 << 16, grow: false };
    let own = SessionOptions { outputs: arena, ..SessionOptions::default() };
    let mut session = Session::new(&device, family, model.weights(), own).expect("a session");
    let x = Tensor::from_f32(vec![1, 2], &[0.0, 2.0]).expect("floats");
    let which = Tensor::from_bool(vec![1], &[true]).expect("booleans");
    let mut outputs = session.run(&[("x", &x), ("which", &which)]).expect("it runs");
    assert!(outputs.take("y").is_some() && outputs.take("at").is_none());
    assert_eq!(outputs.get("at").expect("still there").shape(), [2, 1]);
}

/// `picked = x[x ≠ 0] · 3`, as exporters write it: by the tuples of positions.
fn masks_pick_elements(on: Backend) {
    let model = File {
        nodes: vec![
            Node::new("NonZero", &["x"], &["at"]),
            Node::new("Transpose", &["at"], &["tuples"]),
            Node::new("GatherND", &["x", "tuples"], &["some"]),
            Node::new("Mul", &["some", "three"], &["picked"]),
        ],
        inputs: vec![("x", vec![Dim::Symbol("h"), Dim::Symbol("w")])],
        constants: vec![Constant { name: "three", shape: &[], data: Data::F32(vec![3.0]) }],
        outputs: vec!["picked"],
        ..File::default()
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mask.onnx");
    std::fs::write(&path, model.bytes()).expect("a file");
    let (model, device) = (Model::open(path).expect("a model"), on.device());
    let mut session = model.session(&device, dims(), SessionOptions::default()).expect("a session");
    for ([h, w], every) in [([3, 5], 2), ([9, 70], 7), ([1, 1], 1), ([2, 3], 100)] {
        let x: Vec<f32> =
            (0..h * w).map(|i| if i % every == every - 1 { i as f32 + 0.5 } else { 0.0 }).collect();
        let input = Tensor::from_f32(vec![h, w], &x).expect("floats");
        let outputs = session.run(&[("x", &input)]).expect("it runs");
        let picked = outputs.get("picked").expect("an output").to_tensor().expect("a tensor");
        let expected: Vec<f32> = x.iter().filter(|v| **v != 0.0).map(|v| v * 3.0).collect();
        assert_eq!((picked.shape(), picked.to_f32().expect("floats")), (&[expected.len()][..], expected));
    }
}

/// A loop that ends where what it doubles is no longer below a limit, after seven turns at the latest.
fn loops_end_by_data(on: Backend) {
    let inner = File {
        nodes: vec![
            Node::new("Add", &["v", "v"], &["twice"]),
            Node::new("Less", &["twice", "limit"], &["below"]),
            Node::new("Identity", &["twice"], &["shown"]),
        ],
        inputs: vec![("i", vec![]), ("go", vec![]), ("v", vec![Dim::Known(1)])],
        outputs: vec!["below", "twice", "shown"],
        ..File::default()
    };
    let model = File {
        nodes: vec![
            Node::new("Loop", &["most", "", "x"], &["last", "all"]).with("body", Attribute::Graph(inner)),
        ],
        inputs: vec![("x", vec![Dim::Known(1)]), ("limit", vec![Dim::Known(1)])],
        constants: vec![Constant { name: "most", shape: &[], data: Data::I64(vec![7]) }],
        outputs: vec!["last", "all"],
        ..File::default()
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("loop.onnx");
    std::fs::write(&path, model.bytes()).expect("a file");
    let (model, device) = (Model::open(path).expect("a model"), on.device());
    let mut session = model.session(&device, Dims::default(), SessionOptions::default()).expect("a session");
    for (limit, turns) in [(0.0, 1_u32), (3.0, 1), (20.0, 3), (1e9, 7)] {
        let one = |v: f32| Tensor::from_f32(vec![1], &[v]).expect("a float");
        let (x, limit) = (one(3.0), one(limit));
        let outputs = session.run(&[("x", &x), ("limit", &limit)]).expect("it runs");
        let of = |name: &str| outputs.get(name).expect("an output").to_tensor().expect("a tensor");
        let all: Vec<f32> = (1..=turns).map(|turn| 3.0 * 2.0_f32.powi(turn as i32)).collect();
        assert_eq!(of("last").to_f32().expect("floats"), all[all.len() - 1..]);
        let shown = of("all");
        assert_eq!((shown.shape(), shown.to_f32().expect("floats")), (&[all.len(), 1][..], all));
    }
}

on_every_backend! {
    loops => loops_end_by_data;
    masks => masks_pick_elements;
    sizes => sizes_follow_from_data;
    policies => they_are_only_lent;
}

#[test]
fn what_would_read_them_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = File {
        nodes: vec![Node::new("NonZero", &["x"], &["at"]), Node::new("Shape", &["at"], &["y"])],
        inputs: vec![("x", vec![Dim::Known(3)])],
        outputs: vec!["y"],
        ..File::default()
    };
    let path = folder.path().join("read.onnx");
    std::fs::write(&path, model.bytes()).expect("a file");
    let error = Model::open(path).err().expect("a refusal").to_string();
    assert!(error.contains("Shape reads `at`, whose size depends on data"), "{error}");
}
