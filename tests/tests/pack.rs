//! Packed models: the same outputs to the last bit, weights where they are said to be, damage found and named.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bayplan::{
    Bindings, DType, Device, Dims, Model, Options, PackError, Packed, PackedFiles, Packer, Rules,
    SessionOptions, Target, Tensor, Weights, packed_plan,
};
use bayplan_compile::plan_file::digest;
use bayplan_graph::{ByteRange, ConstData, Digest, Graph, ValueSource};
use bayplan_tests::backend::Backend;
use bayplan_tests::onnx_file::{Attribute, Constant, Data, Dim, External, Model as File, Node, Type};
use bayplan_tests::program::{Sandbox, run};
use bayplan_tests::random::Random;
use bayplan_tests::weight_files::{Written, gguf, initializers, safetensors, sums};
use bayplan_tests::{draw, on_every_backend, python, root};

on_every_backend! {
    packed_models_give_the_same_outputs => check_outputs;
}

fn asset(name: &str) -> PathBuf {
    root().join("assets").join(name)
}

fn dims(of: &[(&str, i64)]) -> Bindings {
    of.iter().map(|&(name, value)| (name.to_owned(), value)).collect()
}

/// Packs a model into a file, with a plan for these dims.
fn pack(model: &Path, out: &Path, weights: Option<&Weights>, dims: Option<&Bindings>) -> Packed {
    let mut packer = Packer::open(model, weights).unwrap_or_else(|e| panic!("{e}"));
    if let Some(dims) = dims {
        packer.plan(&Dims::from(dims), &Target::generic(), &Options::default()).expect("a plan");
    }
    let data = beside(out);
    let to = PackedFiles { name: out, data_name: &data, model: out, data: &data };
    let (mut told, all) = (0, packer.bytes());
    let packed = packer.write(to, &mut |done| {
        assert!((told..=all).contains(&done));
        told = done;
        true
    });
    assert_eq!(told, all);
    packed.expect("it is packed")
}

fn beside(out: &Path) -> PathBuf {
    PathBuf::from(format!("{}.data", out.display()))
}

fn outputs(model: &Model, on: Backend, dims: &Bindings, inputs: &[(String, Tensor)]) -> Vec<Tensor> {
    let device = on.device();
    let mut session = model.session(&device, dims, SessionOptions::default()).expect("a session");
    let given: Vec<(&str, &Tensor)> = inputs.iter().map(|(name, tensor)| (&**name, tensor)).collect();
    let outputs = session.run(&given).expect("it runs");
    outputs.iter().map(|output| output.to_tensor().expect("a tensor")).collect()
}

fn same(on: Backend, one: &Model, packed: &Path, dims: &Bindings) {
    let inputs = draw::inputs(one.graph(), dims, &mut Random::new(5));
    let packed = Model::open(packed).expect("a packed model");
    let (one, other) = (outputs(one, on, dims, &inputs), outputs(&packed, on, dims, &inputs));
    let bits = |all: &[Tensor]| all.iter().map(|tensor| tensor.bytes().to_vec()).collect::<Vec<_>>();
    assert!(bits(&one) == bits(&other), "{on}: other outputs");
}

/// A classifier; a decoder whose head is its table of tokens transposed; weights of other files, turned and rounded.
fn check_outputs(on: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    for (name, dims) in [
        ("digits.onnx", dims(&[("batch", 3)])),
        ("chars.onnx", dims(&[("batch", 2), ("seq", 3), ("past", 4), ("total", 7)])),
    ] {
        let (model, out) = (asset(name), path(&format!("bay.{name}")));
        pack(&model, &out, None, Some(&dims));
        same(on, &Model::open(&model).expect("a model"), &out, &dims);
    }
    let (model, dims) = (asset("digits.onnx"), dims(&[("batch", 3)]));
    let weights = other_weights(&model, &path("w.safetensors"));
    pack(&model, &path("bound.onnx"), Some(&weights), Some(&dims));
    let bound = Model::open_with(&model, &[], Some(&weights)).expect("a model");
    same(on, &bound, &path("bound.onnx"), &dims);
}

/// The weights of a model in a file of their own: matrices turned, floats of more than 4 KiB as bf16.
fn other_weights(model: &Path, path: &Path) -> Weights {
    let mut tensors = initializers(model);
    for (name, dtype, shape, bytes) in &mut tensors {
        if *dtype == DType::F32 && bytes.len() > 4096 {
            let floats = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            *bytes = floats.flat_map(|float| ((float.to_bits() >> 16) as u16).to_le_bytes()).collect();
            *dtype = DType::BF16;
        }
        let turned = shape.len() == 2;
        if let &mut [rows, columns] = &mut shape[..] {
            let size = dtype.size();
            let places = (0..columns).flat_map(|c| (0..rows).map(move |r| (r * columns + c) as usize));
            *bytes = places.flat_map(|at| bytes[at * size..][..size].to_vec()).collect();
            shape.reverse();
        }
        *name = format!("{}.{name}", if turned { "turned" } else { "plain" });
    }
    safetensors(path, &tensors);
    let rules = Rules::parse("turned\\.(.*) => $1 transposed\nplain\\.(.*) => $1\n").expect("rules");
    Weights::open(path).expect("weights").renamed(rules)
}

/// The constants of a graph that lie in a file, each with its name.
fn ranges(graph: &Graph) -> Vec<(String, ByteRange)> {
    let range = |value: &bayplan_graph::Value| match &value.source {
        ValueSource::Constant(ConstData::Range(range)) => Some((value.name.to_string(), *range)),
        _ => None,
    };
    graph.values.iter().filter_map(range).collect()
}

#[test]
fn weights_lie_aligned_in_the_order_in_which_they_are_uploaded_with_digests_and_a_plan() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, dims) =
        (folder.path().join("chars.bay.onnx"), dims(&[("batch", 2), ("seq", 3), ("past", 4), ("total", 7)]));
    let packed = pack(&asset("chars.onnx"), &out, None, Some(&dims));
    let data = fs::read(beside(&out)).expect("the weights");
    assert_eq!(
        (packed.data_bytes, packed.model_bytes),
        (data.len() as u64, fs::metadata(&out).unwrap().len())
    );
    let model = Model::open(&out).expect("a model");
    let graph = model.graph();
    let all = ranges(graph);
    assert!(all.len() > 10, "{}", all.len());
    for (name, range) in &all {
        assert_eq!(range.offset % if range.len < 4096 { 64 } else { 4096 }, 0, "{name}");
        let bytes = &data[range.offset as usize..][..range.len as usize];
        assert!(graph.digests.contains(&(*range, Digest::of(bytes))), "{name} has no digest");
    }
    let program = model.compile(&dims, &Target::generic(), Options::default()).expect("a program");
    let offsets: Vec<u64> = bayplan_engine::upload_order(&program)
        .iter()
        .filter_map(|upload| match &upload.data {
            ConstData::Range(range) => Some(range.offset),
            ConstData::Inline(_) => None,
        })
        .collect();
    assert!(offsets.len() > 10 && offsets.is_sorted(), "{offsets:?}");
    let plan = packed_plan(&out).expect("a plan that can be read").expect("a plan");
    assert_eq!((plan.digest, &*plan.model), (digest(graph), "chars.bay"));
    assert!(packed_plan(asset("chars.onnx")).expect("a model").is_none());
    // Packed again nothing changes but what the names say.
    let again = folder.path().join("again.onnx");
    pack(&out, &again, None, Some(&dims));
    assert!(fs::read(beside(&again)).unwrap() == data, "packed again the weights are others");
    let of = |path: &Path| Model::import(path).expect("a graph");
    assert_eq!((of(&out).digests, of(&out).values), (of(&again).digests, of(&again).values));
}

/// onnxruntime and the checker of onnx take packed models; outputs and weights are those of the models they were made of.
#[test]
fn other_readers_open_packed_models() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let mut arguments = Vec::new();
    for name in ["digits.onnx", "chars.onnx"] {
        pack(&asset(name), &path(name), None, None);
        arguments.extend([asset(name), path(name)]);
    }
    // Blocks, which ONNX has no operator for, and turned bf16, for which there are nodes.
    let (names, shape) = (["q8_0", "bf16"], [64_u64, 64]);
    let model = sums(&path("sums.onnx"), &names, &[64, 64]);
    let blocks: Vec<u8> =
        (0..64 * 2).flat_map(|at| [at, 0x2c].into_iter().chain((0..32).map(move |i| (i * 7) ^ at))).collect();
    let rounded: Vec<u8> = (0..64 * 64_u16).flat_map(|at| (0x3f80 + at % 99).to_le_bytes()).collect();
    gguf(&path("w.gguf"), &[("q8_0", &shape, 8, blocks), ("bf16", &shape, 30, rounded)]);
    let rules = Rules::parse("(bf.*) => $1 transposed\n(.*) => $1").expect("rules");
    let weights = Weights::open(path("w.gguf")).expect("weights").renamed(rules);
    pack(&model, &path("bay.sums.onnx"), Some(&weights), None);
    let bound = Model::open_with(&model, &[], Some(&weights)).expect("a model");
    same(Backend::Host, &bound, &path("bay.sums.onnx"), &Bindings::default());
    arguments.push(path("bay.sums.onnx"));
    let script = root().join("tests/python/packed.py");
    let said = run(Command::new(python()).arg(script).args(&arguments)).success();
    assert_eq!(said.lines().count(), 3, "{said}");
}

const SHAPE: [i64; 2] = [40, 40];

fn floats(seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..1600).map(|_| random.unit()).collect()
}

fn le(floats: &[f32]) -> Vec<u8> {
    floats.iter().flat_map(|float| float.to_le_bytes()).collect()
}

/// Three weights: in the model, in a file beside it, and by name.
fn in_every_form(folder: &Path) -> Vec<(PathBuf, PathBuf, Option<&'static str>)> {
    let path = |name: &str| folder.join(name);
    let names = ["a", "b", "c"];
    let constant = |(name, seed)| Constant { name, shape: &SHAPE, data: Data::F32(floats(seed)) };
    let sums = ["ya", "yb", "yc"];
    let inside = File {
        nodes: vec![
            Node::new("Add", &["x", "a"], &["ya"]),
            Node::new("Add", &["x", "b"], &["yb"]),
            Node::new("Add", &["x", "c"], &["yc"]),
        ],
        inputs: vec![("x", SHAPE.map(Dim::Known).to_vec())],
        outputs: sums.to_vec(),
        constants: names.into_iter().zip(1..).map(constant).collect(),
        ..File::default()
    };
    fs::write(path("inside.onnx"), inside.bytes()).expect("a file");
    let external =
        |(name, offset)| External { name, shape: &SHAPE, location: "w.bin", offset, length: "6400" };
    let outside = File {
        constants: Vec::new(),
        weights: names.into_iter().zip(["0", "6400", "12800"]).map(external).collect(),
        ..inside.clone()
    };
    fs::write(path("outside.onnx"), outside.bytes()).expect("a file");
    let bytes: Vec<Vec<u8>> = (1..4).map(|seed| le(&floats(seed))).collect();
    fs::write(path("w.bin"), bytes.concat()).expect("a file");
    let written = |(name, bytes): (&str, &Vec<u8>)| -> Written {
        (name.to_owned(), DType::F32, vec![40, 40], bytes.clone())
    };
    let tensors: Vec<Written> = names.into_iter().zip(&bytes).map(written).collect();
    safetensors(&path("w.safetensors"), &tensors);
    let tensors: Vec<(&str, &[u64], u32, Vec<u8>)> =
        names.into_iter().zip(&bytes).map(|(name, bytes)| (name, &[40, 40][..], 0, bytes.clone())).collect();
    gguf(&path("w.gguf"), &tensors);
    pack(&path("inside.onnx"), &path("packed.onnx"), None, Some(&Bindings::default()));
    vec![
        (path("inside.onnx"), path("inside.onnx"), None),
        (path("outside.onnx"), path("w.bin"), None),
        (path("inside.onnx"), path("w.safetensors"), Some("w.safetensors")),
        (path("inside.onnx"), path("w.gguf"), Some("w.gguf")),
        (path("packed.onnx"), path("packed.onnx.data"), None),
        (path("packed.onnx"), path("packed.onnx"), None),
    ]
}

/// Opens a model, with the weights of another file if there is one.
fn open(model: &Path, weights: Option<&Path>) -> Result<Model, bayplan::Error> {
    let weights = weights.map(Weights::open).transpose()?;
    Model::open_with(model, &[], weights.as_ref())
}

/// The last bytes of each weight in a file, and those behind the last: where one is cut, if it is.
fn ends(whole: &[u8]) -> Vec<usize> {
    let find = |seed| {
        let bytes = le(&floats(seed));
        whole.windows(bytes.len()).position(|window| window == bytes).map(|at| at + bytes.len())
    };
    (1..4).filter_map(find).collect()
}

/// Every file that is cut is refused before anything runs, in words that name the file or what is cut.
#[test]
fn files_cut_anywhere_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut random = Random::new(9);
    for (model, cut, weights) in in_every_form(folder.path()) {
        let weights = weights.map(|name| folder.path().join(name));
        let whole = fs::read(&cut).expect("the whole file");
        open(&model, weights.as_deref()).unwrap_or_else(|e| panic!("{}: {e}", cut.display()));
        let ends = ends(&whole);
        let last = *ends.iter().max().unwrap_or(&whole.len());
        assert_eq!(ends.len(), if cut.ends_with("packed.onnx") { 0 } else { 3 }, "{}", cut.display());
        let mut cuts: Vec<usize> = ends
            .iter()
            .flat_map(|&end| [end.saturating_sub(6401), end - 6400, end - 6399, end - 1, end, end + 1])
            .collect();
        cuts.extend((0..200).map(|_| random.between(0, last as u64 - 1) as usize));
        for len in cuts {
            if len >= last {
                continue;
            }
            fs::write(&cut, &whole[..len]).expect("a cut file");
            let Err(e) = open(&model, weights.as_deref()) else {
                panic!("{} cut at byte {len} of {} was opened", cut.display(), whole.len());
            };
            let said = e.to_string();
            let inside = ends.iter().any(|&end| (end - 6399..end).contains(&len));
            let tensor = ["`a`", "`b`", "`c`"].iter().any(|name| said.contains(name));
            assert!(!inside || tensor, "{} cut at byte {len}: no tensor in {said}", cut.display());
            assert!(said.len() < 600 && !said.contains(char::is_control), "{said:?}");
        }
        fs::write(&cut, &whole).expect("the file as it was");
    }
}

/// Opens a model and runs it once; what went wrong, wherever it was found.
fn ran(model: &Path, device: &Device) -> Result<(), String> {
    let said = |e: bayplan::Error| e.to_string();
    let model = Model::open(model).map_err(said)?;
    let mut session = model.session(device, &Bindings::default(), SessionOptions::default()).map_err(said)?;
    let x = Tensor::from_f32(vec![40, 40], &floats(7)).expect("a tensor");
    let outputs = session.run(&[("x", &x)]).map_err(said)?;
    assert_eq!(outputs.iter().len(), 3);
    Ok(())
}

/// One bit changed anywhere in a weight: no output, and the tensor is named.
#[test]
fn damaged_weights_are_named_and_nothing_is_computed() {
    let folder = tempfile::tempdir().expect("a folder");
    in_every_form(folder.path());
    let (model, data) = (folder.path().join("packed.onnx"), folder.path().join("packed.onnx.data"));
    let whole = fs::read(&data).expect("the weights");
    for on in [Backend::Host, Backend::Lavapipe] {
        let device = on.device();
        for (name, end) in ["a", "b", "c"].into_iter().zip(ends(&whole)) {
            for at in [end - 6400, end - 3000, end - 1] {
                let mut bytes = whole.clone();
                bytes[at] ^= 0x04;
                fs::write(&data, &bytes).expect("a damaged file");
                let said = ran(&model, &device).expect_err("damage that was missed");
                assert!(said.contains("is damaged") && said.contains(&format!("`{name}`")), "{on}: {said}");
            }
        }
        fs::write(&data, &whole).expect("the file as it was");
        ran(&model, &device).expect("it is whole");
    }
    // Packed again: what is damaged is not given a new digest.
    let mut bytes = whole.clone();
    bytes[100] ^= 0x80;
    fs::write(&data, &bytes).expect("a damaged file");
    let out = folder.path().join("again.onnx");
    let (data_name, mut packer) = (beside(&out), Packer::open(&model, None).expect("a packer"));
    let to = PackedFiles { name: &out, data_name: &data_name, model: &out, data: &data_name };
    let said = packer.write(to, &mut |_| true).expect_err("damaged").to_string();
    assert!(said.contains("is damaged: tensor `"), "{said}");
    fs::write(&data, &whole).expect("the file as it was");
    let stopped = packer.write(to, &mut |_| false);
    assert!(matches!(stopped, Err(bayplan::Error::Pack(PackError::Stopped))), "{stopped:?}");
}

/// Digests of weights that change while they are packed would vouch for a mixture.
#[test]
fn weights_that_change_while_they_are_packed_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    in_every_form(folder.path());
    let (model, out) = (folder.path().join("outside.onnx"), folder.path().join("out.onnx"));
    let (data_name, mut packer) = (beside(&out), Packer::open(&model, None).expect("a packer"));
    let to = PackedFiles { name: &out, data_name: &data_name, model: &out, data: &data_name };
    let said = packer.write(to, &mut |_| {
        let file = fs::File::options().write(true).open(folder.path().join("w.bin")).expect("the weights");
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(1);
        file.set_modified(later).is_ok()
    });
    let said = said.expect_err("a mixture").to_string();
    assert!(said.contains("w.bin") && said.contains("written to"), "{said}");
}

/// A product in either branch of an If, each with a kernel of its own body, by these names.
fn branches(path: &Path, names: [&'static str; 2]) {
    let body = |kernel: &'static str, inputs: &'static [&'static str]| {
        let floats = floats(kernel.len() as u64).into_iter().cycle().take(48 * 48).collect();
        Attribute::Graph(File {
            nodes: vec![Node::new("MatMul", inputs, &["product"])],
            outputs: vec!["product"],
            constants: vec![Constant { name: kernel, shape: &[48, 48], data: Data::F32(floats) }],
            ..File::default()
        })
    };
    let read = |name: &'static str| if name == "own" { &["x", "own"] } else { &["x", "others"] };
    let model = File {
        nodes: vec![
            Node::new("If", &["flag"], &["y"])
                .with("then_branch", body(names[0], read(names[0])))
                .with("else_branch", body(names[1], read(names[1]))),
        ],
        inputs: vec![("x", vec![Dim::Known(2), Dim::Known(48)]), ("flag", vec![])],
        types: vec![("flag", Type::Bool)],
        outputs: vec!["y"],
        ..File::default()
    };
    fs::write(path, model.bytes()).expect("a file");
}

/// What lies in bodies is bound to other weights as all else, as it is, turned and rounded.
#[test]
fn weights_of_bodies_are_packed_as_they_are_bound() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    branches(&path("if.onnx"), ["own", "others"]);
    let turned = other_weights(&path("if.onnx"), &path("turned.safetensors"));
    let even = initializers(&path("if.onnx")).into_iter().map(|(name, dtype, shape, bytes)| {
        let bytes = bytes.chunks_exact(4).flat_map(|_| (name.len() as f32).to_le_bytes()).collect();
        (name, dtype, shape, bytes)
    });
    safetensors(&path("plain.safetensors"), &even.collect::<Vec<Written>>());
    let plain = Weights::open(path("plain.safetensors")).expect("weights");
    let own = Model::open(path("if.onnx")).expect("a model");
    for (weights, name) in [(&turned, "turned.onnx"), (&plain, "plain.onnx")] {
        let bound = Model::open_with(path("if.onnx"), &[], Some(weights)).expect("a model");
        pack(&path("if.onnx"), &path(name), Some(weights), Some(&dims(&[])));
        let packed = Model::open(path(name)).expect("a packed model");
        for flag in [true, false] {
            let x = Tensor::from_f32(vec![2, 48], &floats(7)[..96]).expect("a tensor");
            let flag = Tensor::new(DType::Bool, vec![], vec![flag.into()]).expect("a tensor");
            let inputs = [("x".to_owned(), x), ("flag".to_owned(), flag)];
            let of = |model: &Model| outputs(model, Backend::Host, &dims(&[]), &inputs)[0].bytes().to_vec();
            assert!(of(&packed) == of(&bound), "{name}: other outputs");
            assert!(of(&packed) != of(&own), "{name}: the model's own weights");
        }
    }

    // Of two of one name it is not known which is which.
    branches(&path("twice.onnx"), ["own", "own"]);
    let all = initializers(&path("twice.onnx"));
    safetensors(&path("twice.safetensors"), &all);
    let both = Weights::open(path("twice.safetensors")).expect("weights");
    Model::open_with(path("twice.onnx"), &[], Some(&both)).map(drop).unwrap_or_else(|e| panic!("{e}"));
    let refused = Packer::open(path("twice.onnx"), Some(&both)).expect_err("two of a name").to_string();
    assert!(refused.contains("have several of its name"), "{refused}");
    // Its own weights can be packed.
    pack(&path("twice.onnx"), &path("own.onnx"), None, Some(&dims(&[])));
}

/// External data is read from the model's folder alone, wherever links lead.
#[test]
fn links_out_of_the_models_folder_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    in_every_form(folder.path());
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).expect("a folder");
    fs::copy(folder.path().join("outside.onnx"), inner.join("outside.onnx")).expect("a copy");
    std::os::unix::fs::symlink("../w.bin", inner.join("w.bin")).expect("a link");
    let said = Model::open(inner.join("outside.onnx")).map(drop).expect_err("a link").to_string();
    assert!(said.contains("tensor `a`") && said.contains("outside of the model's folder"), "{said}");
}

/// What is there is left as it is; files appear when both are whole; a signal leaves nothing behind.
#[test]
fn files_appear_whole_or_not_at_all() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("out");
    fs::create_dir(&folder).expect("a folder");
    let names = || {
        let entries = fs::read_dir(&folder).expect("a folder");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    let (model, out) = (asset("digits.onnx"), folder.join("digits.bay.onnx"));
    let words = |model: &Path, out: &Path| {
        ["pack".into(), model.as_os_str().to_owned(), "--output".into(), out.as_os_str().to_owned()]
    };
    let said = sandbox.bayplan(&words(&model, &out)).success();
    assert!(said.contains("5 tensors") && said.contains("nothing bounds batch"), "{said}");
    assert_eq!(names(), ["digits.bay.onnx", "digits.bay.onnx.data"]);
    let refused = |model: &Path, out: &Path, words_of: &str| {
        let ended = sandbox.bayplan(&words(model, out));
        assert!(ended.code != Some(0) && ended.stderr.contains(words_of), "{}", ended.stderr);
    };
    refused(&model, &out, "exists");
    fs::remove_file(&out).expect("it is there");
    refused(&model, &out, "digits.bay.onnx.data exists");
    assert_eq!(names(), ["digits.bay.onnx.data"]);
    let said = sandbox.bayplan(
        &[&words(&model, &out)[..], &["--force".into(), "--dim-max".into(), "batch=4".into()]].concat(),
    );
    assert!(said.success().contains("plan     part of the model"));
    // Neither the model nor its weights are written over, even if asked to.
    for own in [&out, &beside(&out)] {
        let ended = sandbox.bayplan(&[&words(&out, own)[..], &["--force".into()]].concat());
        assert!(ended.code == Some(2) && ended.stderr.contains("is read to make"), "{}", ended.stderr);
    }
    interrupted(&sandbox, &folder, &names());
}

/// A signal while weights are written.
fn interrupted(sandbox: &Sandbox, folder: &Path, before: &[String]) {
    // As many zeros as take a while.
    let (model, bytes) = (sandbox.path("large.onnx"), 1_u64 << 30);
    let shape = [1 << 28];
    let length = bytes.to_string();
    let large = File {
        nodes: vec![Node::new("Add", &["w", "x"], &["y"])],
        inputs: vec![("x", vec![Dim::Known(1)])],
        outputs: vec!["y"],
        weights: vec![External {
            name: "w",
            shape: &shape,
            location: "large.bin",
            offset: "0",
            length: &length,
        }],
        ..File::default()
    };
    fs::write(&model, large.bytes()).expect("a file");
    fs::File::create(sandbox.path("large.bin")).and_then(|file| file.set_len(bytes)).expect("a sparse file");
    let out = folder.join("large.bay.onnx");
    let words = ["pack".as_ref(), model.as_os_str(), "--output".as_ref(), out.as_os_str()];
    let found = || -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder").flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    // Asked to end it says so; killed it says nothing. Nothing is left either way: what is not whole has no name.
    for (signal, code) in [("-INT", Some(1)), ("-KILL", None)] {
        let mut command = sandbox.command("bayplan", &words);
        let mut child = command.stderr(std::process::Stdio::null()).spawn().expect("it starts");
        let pid = child.id().to_string();
        while written(&pid, folder) == 0 {
            assert!(child.try_wait().expect("a child").is_none(), "it ended before it began");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        run(Command::new("kill").args([signal, &pid])).success();
        let status = child.wait().expect("it ends");
        assert_eq!(status.code(), code, "{status}");
        let left = found();
        assert!(left.len() == before.len() && left.iter().all(|name| before.contains(name)), "{left:?}");
    }
}

/// Bytes that a process has written to files in a folder that have no name, or none that is their own.
fn written(pid: &str, folder: &Path) -> u64 {
    let folder = fs::canonicalize(folder).expect("a folder");
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let own = open.filter(|entry| fs::read_link(entry.path()).is_ok_and(|path| path.starts_with(&folder)));
    own.filter_map(|entry| Some(fs::metadata(entry.path()).ok()?.len())).sum()
}
