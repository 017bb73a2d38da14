//! Tests across rooms: architecture, models, faults, terminal.
//!
//! The tests lie in `tests/`, one binary per concern; here is what they share: where things are. What is missing
//! fails a test with the command that brings it.

pub mod backend;
pub mod clean;
pub mod conformance;
pub mod decoder;
pub mod differential;
pub mod doomed;
pub mod draw;
pub mod graphs;
pub mod large;
pub mod live;
pub mod npy;
pub mod onnx_file;
pub mod planners;
pub mod program;
pub mod random;
pub mod session;
pub mod shapes;
pub mod small_disk;
pub mod statistics;
pub mod tmux;
pub mod trace_processor;
pub mod weight_files;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The folder of the workspace.
pub fn root() -> PathBuf {
    // Cargo and nextest set it for a running test; the path compiled in may be another checkout's, where several
    // share a target folder.
    let tests = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&tests).parent().expect("tests/ has a parent").to_path_buf()
}

/// A binary of the workspace (`bayplan`, `bayplan-tui`, `examples/digits`), built with the profile of this test or program.
///
/// # Panics
/// When it was not built; the message says how to.
pub fn binary(name: &str) -> PathBuf {
    // target/PROFILE/deps/TEST-HASH, target/PROFILE/PROGRAM
    let own = env::current_exe().expect("a running program has a path");
    let folder = own.parent().expect("programs run from target/PROFILE");
    let profile = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    let path = profile.expect("tests run from target/PROFILE/deps").join(name);
    assert!(path.exists(), "{} is missing: run `make test`, which builds the binaries first", path.display());
    path
}

/// A Python with onnx, onnxruntime and numpy.
///
/// # Panics
/// When `BAYPLAN_TEST_PYTHON` is unset and `target/venv` was not made.
pub fn python() -> PathBuf {
    let path = match env::var_os("BAYPLAN_TEST_PYTHON") {
        Some(path) => PathBuf::from(path),
        None => root().join("target/venv/bin/python"),
    };
    assert!(path.exists(), "{} is missing: run `scripts/setup.sh test`", path.display());
    path
}

/// One set of inputs of a reference model, and what onnxruntime answers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The folder's name, such as `3x33`.
    pub name: String,
    /// Extents of the model's symbolic dims.
    pub dims: BTreeMap<String, u64>,
    /// Input name to `.npy` file.
    pub inputs: BTreeMap<String, PathBuf>,
    /// Output name to `.npy` file.
    pub outputs: BTreeMap<String, PathBuf>,
}

/// The folder that `make references` fills: `BAYPLAN_TEST_REFERENCES`, else `target/references`.
///
/// # Panics
/// When it was not made.
pub fn references() -> PathBuf {
    let path = env::var_os("BAYPLAN_TEST_REFERENCES")
        .map_or_else(|| root().join("target/references"), PathBuf::from);
    assert!(path.join("stamp.json").exists(), "{} was not made: run `make references`", path.display());
    path
}

/// The reference models that `make references` makes, by name.
pub const REFERENCE_MODELS: [&str; 20] = [
    "alexnet",
    "chars",
    "densenet121",
    "digits",
    "encoder_l6",
    "encoder_l6_ts",
    "gpt2_small",
    "gpt2_small_ts",
    "inception_v1",
    "inception_v2",
    "llama_125m",
    "llama_125m_ts",
    "mobilenetv2",
    "mobilenetv2_ts",
    "resnet50",
    "shufflenet",
    "squeezenet",
    "vgg19",
    "vit_tiny",
    "zfnet512",
];

/// The reference model `name`, a folder of `tests/python/references.py`.
///
/// # Panics
/// When there is no such reference.
pub fn reference_model(name: &str) -> PathBuf {
    let path = references().join(name).join("model.onnx");
    assert!(path.exists(), "no reference model {}", path.display());
    path
}

/// The cases of reference model `name`, by name.
///
/// # Panics
/// When a case cannot be read, or there is none.
pub fn reference_cases(name: &str) -> Vec<Case> {
    let folder = references().join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut cases: Vec<Case> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.is_dir())
        .map(|path| read_case(&path))
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!cases.is_empty(), "{} has no cases: remove it and run `make references`", folder.display());
    cases
}

/// One case of reference model `name`.
///
/// # Panics
/// When it cannot be read.
pub fn reference_case(name: &str, case: &str) -> Case {
    read_case(&references().join(name).join(case))
}

/// The case in a folder.
///
/// # Panics
/// When it cannot be read.
pub fn read_case(folder: &Path) -> Case {
    let file = folder.join("case.json");
    let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let json: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let entries =
        |key: &str| json[key].as_object().unwrap_or_else(|| panic!("{}: no {key:?}", file.display())).clone();
    let files = |key: &str| {
        let path = |v: Value| folder.join(v.as_str().expect("a file's name"));
        entries(key).into_iter().map(|(name, v)| (name, path(v))).collect()
    };
    let extent = |v: Value| v.as_u64().expect("an extent is a whole number");
    Case {
        name: folder.file_name().expect("a case is a folder").to_string_lossy().into_owned(),
        dims: entries("dims").into_iter().map(|(symbol, v)| (symbol, extent(v))).collect(),
        inputs: files("inputs"),
        outputs: files("outputs"),
    }
}
