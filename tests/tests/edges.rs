//! Shapes at the edges of their bounds: one session of each model serves them all as onnxruntime does, or refuses what cannot
//! be computed by the name of the node, and goes on.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use bayplan::{Dims, Model, Outputs, Session, SessionOptions, Tensor};
use bayplan_tests::backend::Backend;
use bayplan_tests::{Case, npy, python, read_case, root, session};

/// Difference, to 1 or to the element, that rounding in another order explains.
const MOST: f32 = 1e-5;

/// The models with their cases, made once.
fn models() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let made = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = root().join("tests/python/edges.py");
        let made = Command::new(python()).arg(script).arg(folder.path()).output().expect("Python runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        folder
    });
    made.path()
}

/// A session of a model within the bounds that it states.
fn open(backend: Backend, name: &str) -> Session {
    let file = models().join(name).join("model.onnx");
    let model = Model::open(file).unwrap_or_else(|e| panic!("{name}: {e}"));
    let session = model.session(&backend.device(), Dims::default(), SessionOptions::default());
    session.unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The cases of a model, in order.
fn cases(name: &str) -> Vec<Case> {
    let entries = std::fs::read_dir(models().join(name)).expect("a folder");
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders.iter().map(|path| read_case(path)).collect()
}

/// Holds every element to onnxruntime's.
fn right(outputs: &Outputs<'_>, case: &Case, name: &str) {
    assert_eq!(outputs.iter().len(), case.outputs.len(), "{name}");
    for (output, file) in &case.outputs {
        let (own, reference) = (outputs.get(output).expect("an output"), npy::read(file));
        let own = own.to_tensor().expect("a tensor");
        assert_eq!(own.shape(), reference.shape, "{name} {}: {output}", case.name);
        for (own, reference) in own.to_f32().expect("floats").iter().zip(reference.f32s()) {
            let error = (own - reference).abs();
            assert!(
                error <= MOST * (1.0 + reference.abs()),
                "{name} {}: {output} is {own}, not {reference}",
                case.name
            );
        }
    }
}

fn ones(shape: &[usize]) -> Tensor {
    Tensor::from_f32(shape.to_vec(), &vec![1.0; shape.iter().product()]).expect("a tensor")
}

/// Runs all cases in one session, and between them inputs x of these shapes, which are refused for this reason.
fn check(backend: Backend, name: &str, refused: &[(&[usize], &str)]) {
    let mut session = open(backend, name);
    for case in cases(name) {
        let inputs = session::inputs(&case);
        right(&session::run(&mut session, &inputs), &case, name);
        for (shape, expected) in refused {
            let x = ones(shape);
            let refusal = session.run(&[("x", &x)]).map(|_| ()).expect_err("it is refused").to_string();
            assert!(refusal.contains(expected), "{name} {shape:?}: {refusal}");
        }
    }
}

/// Neither equal nor 1.
fn unequal(backend: Backend) {
    let mut session = open(backend, "spread");
    let [x, y, w] = [&[2, 3][..], &[2, 4], &[3]].map(ones);
    let refusal =
        session.run(&[("x", &x), ("y", &y), ("w", &w)]).map(|_| ()).expect_err("3 and 4").to_string();
    assert_eq!(refusal, "dimension 1 of input y is 4, but must be k = 3 or 1 (k=3), as node mul needs it");
}

bayplan_tests::on_every_backend! {
    /// The last of three pieces may be smaller, or empty, but none is less than that.
    pieces => |on| check(on, "pieces", &[
        (&[2, 1], "node `split` would make a dimension of n - 2*((n + 2)//3), which is -1"),
        (&[2, 12], "the dim n is 12"),
    ]);
    /// Before they could be smaller, pieces had to be equal.
    halves => |on| check(on, "halves", &[(&[2, 5], "node `split` needs it to be 2*((n + 1)//2), which is 6")]);
    window => |on| check(on, "window", &[(&[2, 2, 1], "node `maxpool` would make a dimension of n - 2, which is -1")]);
    spread => |on| check(on, "spread", &[]);
    unequal => unequal;
    known => |on| check(on, "known", &[(&[2, 4], "dimension 1 of input x is 4, but must be 5 or 1, as node mul needs it")]);
    dropped => |on| check(on, "dropped", &[
        (&[2, 3], "dimension 1 of input x is 3, but must be 1, as node squeeze needs it"),
    ]);
    mask => |on| check(on, "mask", &[]);
    reductions => |on| check(on, "reductions", &[(&[4, 3], "the dim b is 4")]);
}
