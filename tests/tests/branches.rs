//! Models with Ifs: every way through them computes what onnxruntime does, on every backend.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use bayplan::{Model, Options, Session, SessionOptions, Tensor};
use bayplan_compile::{Arena, Dims, Family, FunctionId, Step};
use bayplan_graph::{ByteRange, ConstData};
use bayplan_tests::backend::Backend;
use bayplan_tests::{Case, python, read_case, root, session};

/// ‖out − reference‖ / ‖reference‖ that rounding in another order explains.
const MOST: f64 = 1e-5;

/// The models with their cases, made once.
fn models() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let made = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = root().join("tests/python/branches.py");
        let made = Command::new(python()).arg(script).arg(folder.path()).output().expect("Python runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        folder
    });
    made.path()
}

/// A model compiled for a backend, with a session for each function that was asked for.
struct Run {
    device: bayplan::Device,
    model: Model,
    family: Family,
    sessions: BTreeMap<(FunctionId, String), Session>,
}

impl Run {
    fn new(backend: Backend, name: &str) -> Self {
        let device = backend.device();
        let model =
            Model::open(models().join(name).join("model.onnx")).unwrap_or_else(|e| panic!("{name}: {e}"));
        let read = |range: &ByteRange| {
            let mut bytes = vec![0; range.len as usize];
            let read = model.weights().read(&ConstData::Range(*range), &mut bytes);
            read.map(|()| bytes).map_err(|e| e.to_string())
        };
        let family =
            Family::new(model.graph(), &Dims::default(), device.target(), &Options::default(), &read);
        let family = family.unwrap_or_else(|e| panic!("{name}: {e}"));
        Self { device, model, family, sessions: BTreeMap::new() }
    }

    /// The session of a function at a shape, and what of the inputs it takes.
    fn session(&mut self, function: FunctionId, dims: &bayplan::Bindings) -> &mut Session {
        let Self { device, model, family, sessions } = self;
        sessions.entry((function, dims.to_string())).or_insert_with(|| {
            let program = family.at(function, dims).unwrap_or_else(|e| panic!("{function:?} at {dims}: {e}"));
            let reserved = family.reservation().expect("every dim has bounds");
            for arena in [Arena::Weights, Arena::Load, Arena::Activations] {
                let index = arena.index();
                assert!(program.arena_bytes[index] <= reserved.arena_bytes[index], "{}", arena.name());
            }
            assert_eq!(program.uploads, family.first().uploads);
            Session::new(device, program, model.weights(), SessionOptions::default()).expect("a session")
        })
    }

    /// Runs a case by the protocol: asks what comes next until a function gives the outputs. Gives how often a condition
    /// was computed on the device, and the function that ran.
    fn case(&mut self, case: &Case) -> (usize, FunctionId) {
        let inputs = session::inputs(case);
        let given: Vec<(&str, &Tensor)> = inputs.iter().map(|(name, tensor)| (&**name, tensor)).collect();
        let dims = self.family.dims(FunctionId(0), &given).expect("inputs that fit");
        let mut decided = Vec::new();
        loop {
            let step = self.family.next(FunctionId(0), &dims, &given, &decided).expect("a step");
            let (Step::Decide(function) | Step::Run(function)) = step;
            let session = self.session(function, &dims);
            let ports: Vec<String> = session.program().inputs.iter().map(|port| port.name.clone()).collect();
            let own: Vec<_> =
                given.iter().filter(|(name, _)| ports.iter().any(|port| port == name)).copied().collect();
            let outputs = session.run(&own).expect("a run");
            if let Step::Run(function) = step {
                for (name, error) in session::errors(&outputs, case) {
                    assert!(error <= MOST, "{} {name}: {error:.3e} from onnxruntime", case.name);
                }
                return (decided.len(), function);
            }
            let condition = outputs.iter().next().expect("a condition").to_tensor().expect("its element");
            decided.push(condition.bytes() == [1]);
        }
    }
}

/// Runs all cases twice, so that each way follows others in the same memory, and tells how many conditions the device
/// computed and how many ways were taken.
fn check(backend: Backend, name: &str, asked: usize, ways: usize) {
    let mut run = Run::new(backend, name);
    let folder = models().join(name);
    let mut cases: Vec<Case> = std::fs::read_dir(&folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .map(|path| read_case(&path))
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    let answers: Vec<_> = cases.iter().chain(&cases).map(|case| run.case(case)).collect();
    let most = answers.iter().map(|(asked, _)| *asked).max();
    let mut taken: Vec<FunctionId> = answers.into_iter().map(|(_, function)| function).collect();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!((most, taken.len()), (Some(asked), ways), "{name}: conditions asked for, ways taken");
}

bayplan_tests::on_every_backend! {
    /// The caller's condition is read before the run.
    given => |backend| check(backend, "given", 0, 2);
    /// One condition of data; within one body another that the caller gives.
    computed => |backend| check(backend, "computed", 1, 3);
    /// The second condition depends on what the first chose.
    in_a_row => |backend| check(backend, "in_a_row", 2, 4);
    /// Shapes say which, and the results differ in shape.
    shapes => |backend| check(backend, "shapes", 0, 2);
    /// The onnx package's own.
    test_if => |backend| check(backend, "test_if", 0, 1);
}

/// What is no tensor is refused by the name of what makes it so.
#[test]
fn sequences_and_optionals_are_refused() {
    for (name, expected) in [("test_if_seq", "SequenceConstruct"), ("test_if_opt", "Optional")] {
        let refused = Model::open(models().join(format!("{name}.onnx"))).map(|_| ());
        let message = refused.expect_err("it is refused").to_string();
        assert!(message.contains(expected), "{name}: {message}");
    }
}
