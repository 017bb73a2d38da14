//! `bayplan run` on a model whose Ifs are decided by an input and by data.

use std::path::Path;

use bayplan_tests::npy::{self, Array};
use bayplan_tests::onnx_file::{Attribute, Constant, Data, Dim, Model, Node, Type};
use bayplan_tests::program::Sandbox;
use serde_json::Value;

/// Runs asked for in one session.
const RUNS: u64 = 3;

/// One operator as the body of a branch, which captures what it reads.
fn body<'a>(op: &'a str, inputs: &'a [&'a str], outputs: &'a [&'a str]) -> Attribute<'a> {
    Attribute::Graph(Model {
        nodes: vec![Node::new(op, inputs, outputs)],
        outputs: outputs.to_vec(),
        ..Model::default()
    })
}

/// `y = c ? -x : x·x`, then `z = Σx < 0 ? y + x : y - other`. Only the last way reads `other`.
fn model() -> Vec<u8> {
    let given = Node::new("If", &["c"], &["y"])
        .with("then_branch", body("Neg", &["x"], &["t"]))
        .with("else_branch", body("Mul", &["x", "x"], &["e"]));
    let computed = Node::new("If", &["d"], &["z"])
        .with("then_branch", body("Add", &["y", "x"], &["u"]))
        .with("else_branch", body("Sub", &["y", "other"], &["v"]));
    Model {
        nodes: vec![
            given,
            Node::new("ReduceSum", &["x"], &["sum"]).with("keepdims", Attribute::Int(0)),
            Node::new("Less", &["sum", "zero"], &["d"]),
            computed,
        ],
        inputs: vec![
            ("c", vec![]),
            ("x", vec![Dim::Symbol("n"), Dim::Known(3)]),
            ("other", vec![Dim::Symbol("n"), Dim::Known(3)]),
        ],
        types: vec![("c", Type::Bool)],
        outputs: vec!["z"],
        constants: vec![Constant { name: "zero", shape: &[], data: Data::F32(vec![0.0]) }],
        ..Model::default()
    }
    .bytes()
}

fn expected(c: bool, x: &[f32], other: &[f32]) -> Vec<f32> {
    let negative = x.iter().sum::<f32>() < 0.0;
    let z = |(&x, &other): (&f32, &f32)| {
        let y = if c { -x } else { x * x };
        if negative { y + x } else { y - other }
    };
    x.iter().zip(other).map(z).collect()
}

fn write(path: &Path, dtype: &str, shape: &[usize], bytes: Vec<u8>) {
    npy::write(path, &Array { dtype: dtype.into(), shape: shape.to_vec(), bytes });
}

fn floats(all: &[f32]) -> Vec<u8> {
    all.iter().flat_map(|one| one.to_le_bytes()).collect()
}

/// `run` on files for one way, on a device or on the one that is taken without a name.
fn way(sandbox: &Sandbox, device: Option<&str>, c: bool, sign: f32) -> Value {
    let x: Vec<f32> = (1..=6).map(|i| sign * i as f32).collect();
    let other: Vec<f32> = (1..=6).map(|i| 0.5 * i as f32).collect();
    let file = |name: &str| sandbox.path(&format!("{name}.npy"));
    write(&file("c"), "|b1", &[], vec![u8::from(c)]);
    write(&file("x"), "<f4", &[2, 3], floats(&x));
    write(&file("other"), "<f4", &[2, 3], floats(&other));
    let (folder, runs) = (sandbox.path("out").display().to_string(), RUNS.to_string());
    let mut words = vec!["run".to_owned(), sandbox.path("ifs.onnx").display().to_string()];
    for name in ["c", "x", "other"] {
        words.extend(["--input".into(), format!("{name}={}", file(name).display())]);
    }
    words.extend(["--runs".into(), runs, "--outputs".into(), folder, "--json".into()]);
    words.extend(device.into_iter().flat_map(|name| ["--device".into(), name.into()]));
    let json = sandbox.bayplan(&words).json();
    let z = npy::read(&sandbox.path("out/z.npy"));
    assert_eq!((z.shape.as_slice(), z.f32s()), (&[2, 3][..], expected(c, &x, &other)), "{c} {sign}");
    json
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("ifs.onnx"), model()).expect("a model is written");
    sandbox
}

#[test]
fn run_takes_the_way_that_inputs_and_data_say() {
    let sandbox = sandbox();
    for device in [None, Some("host")] {
        let mut taken = Vec::new();
        for (c, sign) in [(true, -1.0), (true, 1.0), (false, -1.0), (false, 1.0)] {
            let json = way(&sandbox, device, c, sign);
            assert_eq!((json["runs"].as_u64(), &json["interrupted"]), (Some(RUNS), &false.into()), "{json}");
            assert_eq!((&json["model"], &json["dims"]["n"]), (&"ifs".into(), &2.into()), "{json}");
            assert_eq!(json["inputs"].as_array().map(Vec::len), Some(3), "{json}");
            let functions = json["functions"].as_array().expect("a list of functions");
            let arenas = functions.iter().filter_map(|function| function["arena_bytes"].as_u64());
            assert_eq!(json["arena_bytes"].as_u64(), arenas.max(), "{json}");
            assert!(functions.iter().any(|function| function["name"] == json["function"]), "{json}");
            taken.push(json["function"].as_str().expect("a name").to_owned());
        }
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), 4, "{taken:?}");
    }
}

/// Without files inputs are drawn, whichever way they take; the budget must hold the largest way.
#[test]
fn run_draws_inputs_records_and_holds_a_budget_for_every_way() {
    let sandbox = sandbox();
    let (model, trace) = (sandbox.path("ifs.onnx"), sandbox.path("run.bayrec"));
    let [model, trace] = [&model, &trace].map(|path| path.display().to_string());
    let run = |words: &[&str]| {
        sandbox.bayplan(&[&["run", &model, "--dim", "n=200", "--device", "host"], words].concat())
    };
    let json = run(&["--json"]).json();
    let number = |key: &str| json[key].as_u64().expect("a number");
    let needed = number("arena_bytes") + number("weight_bytes");
    let text = run(&["--budget", &needed.to_string(), "--trace", &trace]).success();
    for words in ["model      ifs  n=200", "functions", "taken      ifs ", "inputs     drawn"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(
        sandbox.bayplan(&["report", &trace, "--json"]).json()["runs"].is_object(),
        "a report of the runs"
    );
    let refused = run(&["--budget", &(needed - 1).to_string()]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("1 more than the budget"), "{}", refused.stderr);
}
