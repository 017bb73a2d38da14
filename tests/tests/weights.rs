//! Weights of another file than the model's, by name: the same outputs as with its own, quantised ones as GGUF's reference has
//! them, and everything that does not fit named.

use std::fs;
use std::path::{Path, PathBuf};

use bayplan::{Bindings, Bounds, DType, Dims, Model, Rules, Scope, SessionOptions, Tensor, Weights};
use bayplan_graph::{BlockFormat, Graph};
use bayplan_tests::backend::Backend;
use bayplan_tests::onnx_file::{Attribute, Constant, Data, Dim, External, Model as File, Node};
use bayplan_tests::program::Sandbox;
use bayplan_tests::random::Random;
use bayplan_tests::weight_files::{Written, gguf, initializers, safetensors, sums};
use bayplan_tests::{draw, on_every_backend, root};

on_every_backend! {
    a_model_with_its_own_weights_in_another_file => check_own_weights;
    quantised_weights => check_quantised;
    weights_of_several_pieces => check_pieces;
    weights_that_stay_in_blocks => check_blocks;
    other_values_of_what_decides_shapes => check_values;
}

fn digits() -> PathBuf {
    root().join("assets/digits.onnx")
}

/// The outputs of a model.
fn outputs(model: &Model, on: Backend, dims: &Bindings, inputs: &[(String, Tensor)]) -> Vec<Tensor> {
    let device = on.device();
    let mut session = model.session(&device, dims, SessionOptions::default()).expect("a session");
    let given: Vec<(&str, &Tensor)> = inputs.iter().map(|(name, tensor)| (&**name, tensor)).collect();
    let outputs = session.run(&given).expect("it runs");
    outputs.iter().map(|output| output.to_tensor().expect("a tensor")).collect()
}

fn bound(model: &Path, weights: &Path, rules: &str) -> Model {
    let weights = Weights::open(weights).expect("weights").renamed(Rules::parse(rules).expect("rules"));
    Model::open_with(model, &[], Some(&weights)).unwrap_or_else(|e| panic!("{e}"))
}

/// A decoder whose head is its table of tokens transposed, with constants that decide shapes among its initializers.
fn check_own_weights(on: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let chars = root().join("assets/chars.onnx");
    let mut tensors = initializers(&chars);
    let dims =
        [("batch", 2), ("seq", 3), ("past", 4), ("total", 7)].map(|(name, value)| (name.to_owned(), value));
    let dims: Bindings = dims.into_iter().collect();
    let own = Model::open(&chars).expect("a model");
    let inputs = draw::inputs(own.graph(), &dims, &mut Random::new(3));
    let expect = outputs(&own, on, &dims, &inputs);

    let path = folder.path().join("plain.safetensors");
    safetensors(&path, &tensors);
    let plain = bound(&chars, &path, "");
    assert_eq!(plain.bound().map(|bound| (bound.bound, bound.kept)), Some((tensors.len(), 0)));
    assert!(outputs(&plain, on, &dims, &inputs) == expect, "the same weights");

    // Renamed, and every matrix as other exporters hold it.
    for (name, dtype, shape, bytes) in &mut tensors {
        let kind = if shape.len() == 2 { "turned" } else { "plain" };
        if let &mut [rows, columns] = &mut shape[..] {
            let size = dtype.size();
            let at = |i: u64| &bytes[i as usize * size..][..size];
            let turned = (0..columns)
                .flat_map(|c| (0..rows).map(move |r| r * columns + c))
                .flat_map(|i| at(i).to_vec());
            *bytes = turned.collect();
            shape.reverse();
        }
        *name = format!("model.{kind}.{name}");
    }
    let path = folder.path().join("turned.safetensors");
    safetensors(&path, &tensors);
    let rules = "model\\.turned\\.(.*) => $1 transposed\nmodel\\.plain\\.(.*) => $1\n";
    let made = outputs(&bound(&chars, &path, rules), on, &dims, &inputs);
    for (made, expect) in made.iter().zip(&expect) {
        // A matrix that is read through strides is summed up in another order.
        let pairs = made.to_f64().into_iter().zip(expect.to_f64());
        let (off, size) =
            pairs.fold((0.0, 0.0), |(off, size), (a, b)| (off + (a - b) * (a - b), size + b * b));
        assert!(off.sqrt() <= 1e-5 * size.sqrt(), "turned back: {off} of {size}");
    }
}

/// Random blocks, and their elements.
fn blocks(format: BlockFormat, count: usize) -> (Vec<u8>, Vec<f32>) {
    let mut random = Random::new(count as u64 + format.bytes() as u64);
    let bytes = count / format.elements() * format.bytes();
    let mut bytes: Vec<u8> = (0..bytes).map(|_| random.between(0, 255) as u8).collect();
    // Scales that are numbers of ordinary size.
    for block in bytes.chunks_exact_mut(format.bytes()) {
        let scales: &[usize] = match format {
            BlockFormat::Q4K => &[0, 2],
            BlockFormat::Q6K => &[208],
            _ => &[0],
        };
        scales.iter().for_each(|&at| block[at + 1] = 0x30 | block[at + 1] & 0x83);
    }
    let mut elements = Vec::new();
    format.unpack(&bytes, &mut elements);
    assert!(elements.iter().all(|v| v.is_finite()) && elements.iter().any(|v| *v != 0.0));
    (bytes, elements)
}

/// What is unpacked goes to the device a piece at a time, as it lies in the file, and nothing of it is computed by a run.
fn check_pieces(on: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    // One whole piece of 2^20 elements, and part of another that is no whole number of words.
    let shape = [1025_u64, 1056];
    let count = (shape[0] * shape[1]) as usize;
    let model = sums(&folder.path().join("sums.onnx"), &["q4_0", "f16"], &[1025, 1056]);
    let (q4_0, elements) = blocks(BlockFormat::Q4_0, count);
    let halves: Vec<f64> = (0..count).map(|i| f64::from(i as u32 % 8191) / 64.0 - 60.0).collect();
    let halves = Tensor::from_f64(DType::F16, vec![count], &halves).expect("a tensor");
    let expect = [elements, halves.to_f64().into_iter().map(|v| v as f32).collect()];
    let stored = [q4_0.len() as u64, 2 * count as u64];
    let path = folder.path().join("w.gguf");
    gguf(&path, &[("q4_0", &shape, 2, q4_0), ("f16", &shape, 1, halves.into_bytes())]);
    let (model, device) = (bound(&model, &path, ""), on.device());
    let session = model.session(&device, Dims::default(), SessionOptions::default());
    let mut session = session.expect("a session");
    let program = session.family().first();
    assert_eq!(program.host_nodes(), []);
    let unpacked = |stage: &bayplan_compile::Stage| {
        stage.dispatches.iter().filter(|own| matches!(*own.spec, bayplan_shaders::Spec::Unpack(_))).count()
    };
    assert_eq!((unpacked(&program.load), unpacked(&program.run)), (4, 0));
    let mut arrived = [0, 0];
    for upload in &*program.uploads {
        let of = usize::from(upload.data.len() == stored[1]);
        assert_eq!((upload.data.len(), upload.skip), (stored[of], arrived[of]), "in order, as it lies");
        arrived[of] += upload.bytes;
    }
    assert_eq!(arrived, stored);
    let scratch = program.arena_bytes[bayplan_compile::Arena::Load.index()];
    assert!((2 << 20..3 << 20).contains(&scratch), "two pieces at most, one of 2 MiB: {scratch}");
    let x = Tensor::from_f32(vec![1025, 1056], &vec![0.0; count]).expect("a tensor");
    let outputs = session.run(&[("x", &x)]).expect("it runs");
    for (name, expect) in ["q4_0", "f16"].into_iter().zip(&expect) {
        let made = outputs.get(&format!("{name}.y")).expect("an output").to_tensor().expect("a tensor");
        let made = made.to_f32().expect("floats");
        assert_eq!(made.iter().zip(expect).position(|(a, b)| a != b), None, "{name} on {on}");
    }
}

/// A table that rows are taken from and a matrix that they are multiplied by stay quantised on the device, for any number of
/// rows.
fn check_blocks(on: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("w.gguf");
    for (format, ty) in BlockFormat::ALL.into_iter().zip([2, 8, 12, 14]) {
        let [vocabulary, width, heads] = [50_usize, 512, 33];
        let external =
            |name, shape, length| External { name, shape, location: "gone.data", offset: "0", length };
        let model = File {
            nodes: vec![
                Node::new("Gather", &["table", "ids"], &["rows"]),
                Node::new("Gemm", &["rows", "w"], &["y"]).with("transB", Attribute::Int(1)),
            ],
            inputs: vec![("ids", vec![Dim::Symbol("count")])],
            types: vec![("ids", bayplan_tests::onnx_file::Type::I64)],
            outputs: vec!["rows", "y"],
            weights: vec![external("table", &[50, 512], "102400"), external("w", &[33, 512], "67584")],
            ..File::default()
        };
        let path = folder.path().join("rows.onnx");
        fs::write(&path, model.bytes()).expect("a file");
        let (table, rows) = blocks(format, vocabulary * width);
        let (w, columns) = blocks(format, heads * width);
        let stored = (table.len() + w.len()) as u64;
        let [of_table, of_w] = [vocabulary, heads].map(|rows| [rows as u64, width as u64]);
        gguf(&file, &[("table", &of_table, ty, table), ("w", &of_w, ty, w)]);
        let (model, device) = (bound(&path, &file, ""), on.device());
        let mut bounds = Scope::new();
        bounds.declare("count", Bounds::between(0, 9)).expect("bounds");
        let session = model.session(&device, Dims::from(bounds), SessionOptions::default());
        let mut session = session.expect("a session");
        let program = session.family().first();
        assert_eq!((program.upload_bytes(), program.load.dispatches.len()), (stored, 0), "{format}");
        assert!(program.arena_bytes[bayplan_compile::Arena::Weights.index()] < stored + 1024, "{format}");
        for count in [1_usize, 2, 3, 9] {
            let ids: Vec<i64> = (0..count as i64).map(|i| (i * 17 + 3) % 50 - 25 * (i % 2)).collect();
            let given = Tensor::from_i64(vec![count], &ids).expect("a tensor");
            let outputs = session.run(&[("ids", &given)]).expect("it runs");
            let made = |name: &str| {
                let output = outputs.get(name).expect("an output").to_tensor().expect("a tensor");
                output.to_f32().expect("floats")
            };
            let row = |&id: &i64| &rows[id.rem_euclid(50) as usize * width..][..width];
            assert!(
                made("rows") == ids.iter().flat_map(row).copied().collect::<Vec<_>>(),
                "{format} on {on}"
            );
            let products = ids.iter().map(row).flat_map(|x| {
                let terms = |w: &[f32]| x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).collect();
                columns.chunks_exact(width).map(terms).collect::<Vec<Vec<f64>>>()
            });
            for (made, terms) in made("y").into_iter().zip(products) {
                let [sum, size] = [terms.iter().sum::<f64>(), terms.iter().map(|term| term.abs()).sum()];
                assert!((f64::from(made) - sum).abs() <= 1e-4 * size, "{format} on {on}: {made}, not {sum}");
            }
        }
    }
}

fn check_quantised(on: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let (names, shape) = (["q4_0", "q8_0", "q4_k", "q6_k", "f16", "bf16"], &[6_u64, 512]);
    let model = sums(&folder.path().join("sums.onnx"), &names, &[6, 512]);
    assert!(Model::open(&model).is_err(), "its own weights are gone");
    let mut expect = Vec::new();
    let mut tensors = Vec::new();
    for (name, (format, ty)) in names.iter().zip(BlockFormat::ALL.into_iter().zip([2, 8, 12, 14])) {
        let (bytes, elements) = blocks(format, 6 * 512);
        expect.push(elements);
        tensors.push((*name, &shape[..], ty, bytes));
    }
    for (name, ty, dtype) in [("f16", 1, DType::F16), ("bf16", 30, DType::BF16)] {
        let drawn: Vec<f64> = (0..6 * 512).map(|i| f64::from(i % 97) / 8.0 - 5.0).collect();
        let tensor = Tensor::from_f64(dtype, vec![6, 512], &drawn).expect("a tensor");
        expect.push(tensor.to_f64().into_iter().map(|v| v as f32).collect());
        tensors.push((name, &shape[..], ty, tensor.into_bytes()));
    }
    let path = folder.path().join("w.gguf");
    gguf(&path, &tensors);
    let x = Tensor::from_f32(vec![6, 512], &[0.0; 6 * 512]).expect("a tensor");
    let made = outputs(&bound(&model, &path, ""), on, &Bindings::default(), &[("x".to_owned(), x)]);
    for ((made, expect), name) in made.iter().zip(&expect).zip(names) {
        let made = made.to_f32().expect("floats");
        let wrong = made.iter().zip(expect).position(|(a, b)| a != b);
        assert_eq!(wrong, None, "{name} on {on}");
    }
}

/// Planned again for other elements of an input, a session keeps the weights that it was given.
fn check_values(on: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let model = File {
        nodes: vec![Node::new("Add", &["x", "w"], &["sum"]), Node::new("Reshape", &["sum", "shape"], &["y"])],
        inputs: vec![("x", vec![Dim::Known(6)]), ("shape", vec![Dim::Known(2)])],
        types: vec![("shape", bayplan_tests::onnx_file::Type::I64)],
        outputs: vec!["y"],
        constants: vec![Constant { name: "w", shape: &[6], data: Data::F32(vec![0.0; 6]) }],
        ..File::default()
    };
    let path = folder.path().join("values.onnx");
    fs::write(&path, model.bytes()).expect("a file");
    let ones: Vec<u8> = [1.0_f32; 6].iter().flat_map(|v| v.to_le_bytes()).collect();
    let weights = folder.path().join("w.safetensors");
    safetensors(&weights, &[("w".into(), DType::F32, vec![6], ones)]);
    let weights = Weights::open(&weights).expect("weights");
    let shape = |shape: [i64; 2]| Tensor::from_i64(vec![2], &shape).expect("a tensor");
    let first = shape([2, 3]);
    let model =
        Model::open_with(&path, &[("shape", &first)], Some(&weights)).unwrap_or_else(|e| panic!("{e}"));
    let device = on.device();
    let mut session = model.session(&device, Dims::default(), SessionOptions::default()).expect("a session");
    let x = Tensor::from_f32(vec![6], &[0.5; 6]).expect("a tensor");
    for dims in [[2, 3], [3, 2], [6, 1]] {
        let outputs = session.run(&[("x", &x), ("shape", &shape(dims))]).expect("it runs");
        let y = outputs.get("y").expect("an output").to_tensor().expect("a tensor");
        assert_eq!(
            (y.shape(), y.to_f32().expect("floats")),
            (&dims.map(|dim| dim as usize)[..], vec![1.5; 6])
        );
    }
}

/// What the graph was built by is right for the model's own elements alone; the same elements are taken.
#[test]
fn elements_that_decided_how_the_graph_was_built_have_to_be_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let constant = |name, shape, data| Constant { name, shape, data };
    let model = File {
        nodes: vec![
            Node::new("Reshape", &["x", "shape"], &["row"]),
            Node::new("Pow", &["row", "exponent"], &["power"]),
            Node::new("Mul", &["power", "w"], &["y"]),
        ],
        inputs: vec![("x", vec![Dim::Known(2), Dim::Known(3)])],
        // Integers to the power of a float are computed in integers, if the float is known to be a whole number.
        types: vec![("x", bayplan_tests::onnx_file::Type::I64)],
        outputs: vec!["y"],
        constants: vec![
            constant("shape", &[1], Data::I64(vec![6])),
            constant("exponent", &[], Data::F32(vec![2.0])),
            constant("w", &[1, 6], Data::I64(vec![1; 6])),
        ],
        ..File::default()
    };
    let path = folder.path().join("model.onnx");
    fs::write(&path, model.bytes()).expect("a file");
    let graph: Graph = Model::import(&path).expect("a graph");
    let decides = graph.initializers.iter().map(|own| (&*graph.value(own.value).name, own.decides));
    assert_eq!(decides.collect::<Vec<_>>(), [("shape", true), ("exponent", true), ("w", false)]);

    let file = folder.path().join("w.safetensors");
    let open = |shape: i64, exponent: f32| {
        safetensors(
            &file,
            &[
                ("shape".into(), DType::I64, vec![1], shape.to_le_bytes().to_vec()),
                ("exponent".into(), DType::F32, vec![], exponent.to_le_bytes().to_vec()),
                (
                    "w".into(),
                    DType::I64,
                    vec![1, 6],
                    [3_i64; 6].iter().flat_map(|v| v.to_le_bytes()).collect(),
                ),
            ],
        );
        let weights = Weights::open(&file).expect("weights");
        Model::open_with(&path, &[], Some(&weights)).map_err(|e| e.to_string())
    };
    let x = Tensor::from_i64(vec![2, 3], &[1, 2, 3, 4, 5, 6]).expect("a tensor");
    let model = open(6, 2.0).unwrap_or_else(|e| panic!("{e}"));
    let made = outputs(&model, Backend::Host, &Bindings::default(), &[("x".to_owned(), x)]).remove(0);
    assert_eq!(made.to_i64().expect("integers"), [3, 12, 27, 48, 75, 108]);
    for (shape, exponent, name) in [(-1, 2.0, "`shape`"), (6, 3.0, "`exponent`")] {
        let refused = open(shape, exponent).err().expect("other elements");
        assert!(refused.contains(name) && refused.contains("has other elements than"), "{refused}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}

#[test]
fn the_program_takes_weights_and_names_what_does_not_fit() {
    let sandbox = Sandbox::new();
    let (model, own) = (digits(), initializers(&digits()));
    let model = text(&model);
    let weights = sandbox.path("w.safetensors");
    let renamed: Vec<Written> =
        own.iter().map(|(name, d, s, b)| (format!("net.{name}"), *d, s.clone(), b.clone())).collect();
    safetensors(&weights, &renamed);
    let rules = sandbox.path("rules");
    fs::write(&rules, "# of a test\nnet\\.(.*) => $1\n").expect("a file");
    let common = ["--dim", "batch=2", "--device", "host", "--weights", text(&weights)];
    let with = |command: &'static str, more: &[&'static str], names: bool| {
        let names: &[&str] = if names { &["--weight-names", text(&rules)] } else { &[] };
        sandbox.bayplan(&[&[command, model], &common[..], more, names].concat())
    };
    let run = with("run", &["--trace-level", "off"], true).success();
    assert!(run.contains(&format!("weights    {} tensors from ", own.len())), "{run}");
    let json = with("run", &["--trace-level", "off", "--json"], true).success();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["weights"]["bound"], &json["weights"]["kept"]), (&own.len().into(), &0.into()));
    // A bias that the file lacks stays as the model has it, and is told of.
    let (bias, ..) =
        own.iter().find(|(_, d, s, b)| *d == DType::F32 && s.len() == 1 && b.len() <= 4096).expect("one");
    let others: Vec<Written> = renamed.iter().filter(|own| own.0 != format!("net.{bias}")).cloned().collect();
    safetensors(&weights, &others);
    let run = with("run", &["--trace-level", "off"], true).success();
    assert!(run.contains(&format!("not in the file, so the model's own: {bias} f32[")), "{run}");
    let json = with("run", &["--trace-level", "off", "--json"], true).success();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["weights"]["doubtful"], serde_json::json!([bias]));
    safetensors(&weights, &renamed);
    let plain = ["plan", model, "--dim", "batch=2", "--device", "host", "--format", "csv"];
    assert_eq!(
        with("plan", &["--format", "csv"], true).success(),
        sandbox.bayplan(&plain).success(),
        "one plan"
    );
    with("fit", &[], true).success();

    // Names that do not fit: all of them, and the rule that would do.
    for command in ["run", "plan", "fit"] {
        let refused = with(command, &[], false);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(
            refused.stderr.starts_with("error: ") && refused.stderr.matches("error:").count() == 1,
            "{refused:?}"
        );
        for says in ["w.safetensors", "without a tensor of the same name", "left over", "net\\.(.*) => $1"] {
            assert!(refused.stderr.contains(says), "{says}: {refused:?}");
        }
    }
    fs::write(&rules, "net\\.(.* => $1\n").expect("a file");
    let refused = with("run", &[], true);
    assert!(
        refused.code == Some(1) && refused.stderr.contains("line 1: the pattern is no regular"),
        "{refused:?}"
    );

    fs::write(&rules, b"# rules\nnet\\.(.*) => $1\n\xe9 => x\n").expect("a file");
    let refused = with("run", &[], true);
    assert!(
        refused.code == Some(1) && refused.stderr.contains("line 3: it is no text in UTF-8"),
        "{refused:?}"
    );
    // As editors of other systems write it.
    fs::write(&rules, "\u{feff}net\\.(.*) => $1\r\n").expect("a file");
    with("plan", &[], true).success();

    // Damaged, of another kind, alone, of an instance.
    let bytes = fs::read(&weights).expect("it is there");
    fs::write(&weights, &bytes[..bytes.len() - 1]).expect("a file");
    let refused = with("run", &[], false);
    assert!(refused.code == Some(1) && refused.stderr.contains("the file is incomplete"), "{refused:?}");
    fs::write(&weights, b"not weights at all").expect("a file");
    let refused = with("plan", &[], false);
    assert!(refused.code == Some(1) && refused.stderr.contains("is no safetensors file"), "{refused:?}");
    let alone = sandbox.bayplan(&["run", model, "--weight-names", text(&rules)]);
    assert!(alone.code == Some(2) && alone.stderr.contains("--weights"), "{alone:?}");
    let instance = sandbox.path("x.csv");
    fs::write(&instance, "id,lower,upper,size\na,0,1,64\n").expect("a file");
    let refused = sandbox.bayplan(&["plan", text(&instance), "--weights", text(&weights)]);
    assert!(refused.code == Some(2) && refused.stderr.contains("--weights applies to models"), "{refused:?}");
}
