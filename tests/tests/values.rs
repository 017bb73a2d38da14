//! Elements of inputs that decide shapes: one session plans for each, keeps the plans, and takes floats as data only.

use std::path::PathBuf;

use bayplan::{Bounds, Dims, Error, InputError, Model, Scope, Session, SessionOptions, Tensor};
use bayplan_record::{Destination, Places, RecordingOptions, RunState, Source};
use bayplan_tests::backend::Backend;
use bayplan_tests::on_every_backend;
use bayplan_tests::onnx_file::{Attribute, Constant, Data, Dim, Model as File, Node, Type};
use bayplan_tests::program::Sandbox;
use bayplan_trace::{Event, Record, Timeline};

/// `y = Slice(Reshape(x, shape), starts, ends) * x0`, the shape, starts and ends given at each run.
fn written(folder: &tempfile::TempDir) -> PathBuf {
    let list = |name: &'static str| (name, vec![Dim::Symbol("rank")]);
    let model = File {
        nodes: vec![
            Node::new("Reshape", &["x", "shape"], &["shaped"]),
            Node::new("Slice", &["shaped", "starts", "ends"], &["part"]),
            Node::new("Mul", &["part", "scale"], &["y"]),
        ],
        inputs: vec![
            ("x", vec![Dim::Known(24)]),
            list("shape"),
            list("starts"),
            list("ends"),
            ("scale", vec![Dim::Known(1)]),
        ],
        types: ["shape", "starts", "ends"].map(|name| (name, Type::I64)).to_vec(),
        outputs: vec!["y"],
        ..File::default()
    };
    let path = folder.path().join("values.onnx");
    std::fs::write(&path, model.bytes()).expect("a file");
    path
}

/// The inputs of a run, with floats that follow from a seed.
struct Run {
    tensors: [(&'static str, Tensor); 5],
}

impl Run {
    fn new(shape: &[i64], starts: &[i64], ends: &[i64], seed: u32) -> Self {
        let list = |list: &[i64]| Tensor::from_i64(vec![list.len()], list).expect("a list");
        let x: Vec<f32> = (0..24_u32).map(|i| (i.wrapping_mul(seed * 7 + 1) % 31) as f32 - 9.0).collect();
        let floats = |v: &[f32]| Tensor::from_f32(vec![v.len()], v).expect("floats");
        let tensors = [
            ("x", floats(&x)),
            ("shape", list(shape)),
            ("starts", list(starts)),
            ("ends", list(ends)),
            ("scale", floats(&[seed as f32 + 0.5])),
        ];
        Self { tensors }
    }

    fn named(&self) -> Vec<(&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (*name, tensor)).collect()
    }

    /// What comes of it, by the definition of both operators.
    fn expected(&self) -> (Vec<usize>, Vec<f32>) {
        let [(_, x), (_, shape), (_, starts), (_, ends), (_, scale)] = &self.tensors;
        let (x, scale) = (x.to_f32().expect("floats"), scale.to_f32().expect("floats")[0]);
        let list = |t: &Tensor| t.to_i64().expect("integers").iter().map(|&v| v as usize).collect::<Vec<_>>();
        let (shape, starts, ends) = (list(shape), list(starts), list(ends));
        let part: Vec<usize> = starts.iter().zip(&ends).map(|(start, end)| end - start).collect();
        let elements = (0..part.iter().product()).map(|mut index: usize| {
            let (mut at, mut stride) = (0, 1);
            for axis in (0..shape.len()).rev() {
                at += (starts[axis] + index % part[axis]) * stride;
                index /= part[axis];
                stride *= shape[axis];
            }
            x[at] * scale
        });
        (part.clone(), elements.collect())
    }
}

fn check(session: &mut Session, run: &Run) {
    let outputs = session.run(&run.named()).expect("it runs");
    let y = outputs.get("y").expect("an output").to_tensor().expect("a tensor");
    assert_eq!((y.shape().to_vec(), y.to_f32().expect("floats")), run.expected());
}

fn each_value_has_a_plan(on: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, device) = (written(&folder), on.device());
    let runs = [
        Run::new(&[4, 6], &[1, 2], &[3, 6], 1),
        Run::new(&[2, 3, 4], &[0, 1, 0], &[2, 3, 3], 2),
        Run::new(&[24], &[5], &[19], 3),
        Run::new(&[4, 6], &[0, 0], &[4, 1], 4),
    ];
    let model = Model::open_for(&path, &runs[0].named()).expect("a model");
    let session = model.session(&device, Dims::default(), SessionOptions::default());
    let mut session = session.expect("a session");
    for (made, run) in runs.iter().enumerate() {
        check(&mut session, run);
        assert_eq!(session.counters().values, made as u64);
    }
    // All are at hand: no plan, no shape, no memory is made any more.
    let before = session.counters();
    for run in runs.iter().rev() {
        check(&mut session, run);
    }
    let after = session.counters();
    assert_eq!((after.values, after.device_allocations), (before.values, before.device_allocations));
    // One more than are kept: the one that did not run for longest gives way, and comes back when it is asked for.
    check(&mut session, &Run::new(&[6, 4], &[0, 0], &[1, 1], 5));
    check(&mut session, &runs[3]);
    assert_eq!(session.counters().values, before.values + 2);
    // What cannot be planned leaves the session as it is.
    let wrong = Run::new(&[5, 5], &[0, 0], &[1, 1], 6);
    assert!(session.run(&wrong.named()).is_err());
    check(&mut session, &runs[1]);
}

/// One recording tells of all plans of a session: every run names its own, blocks and alarms are right, and what gave way is
/// freed.
fn all_plans_are_in_one_recording(on: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, device) = (written(&folder), on.device());
    let file = folder.path().join("run.bptrace");
    let mut recording = RecordingOptions::new(Places::under(folder.path()));
    recording.destination = Destination::File(file.clone());
    let runs: Vec<Run> = (1..=6).map(|n| Run::new(&[4, 6], &[0, 0], &[2, i64::from(n)], n)).collect();
    let model = Model::open_for(&path, &runs[0].named()).expect("a model");
    let options = SessionOptions { recording: Some(recording), ..SessionOptions::default() };
    let mut session = model.session(&device, Dims::default(), options).expect("a session");
    // Six plans, of which four are kept; then two of those again, and one that gave way.
    let order = [0, 1, 2, 3, 4, 5, 4, 3, 0];
    for run in order {
        check(&mut session, &runs[run]);
    }
    // What cannot be planned leaves the recording where it was.
    assert!(session.run(&Run::new(&[5, 5], &[0, 0], &[1, 1], 6).named()).is_err());
    check(&mut session, &runs[0]);
    assert_eq!((session.counters().values, session.runs()), (6, 10));
    let lost = session.finish().lost;

    let (mut timeline, mut plans, mut ready) = (Timeline::new(), Vec::new(), 0);
    let (state, damages) = bayplan_record::read(Source::of_path(&file), |record| {
        match &record {
            Record::Event(Event::RunStart { run, plan, .. }) => {
                assert_eq!(*run, plans.len() as u64, "runs are counted on");
                plans.push(*plan);
            }
            Record::Event(Event::SessionReady { .. }) => ready += 1,
            _ => {}
        }
        timeline.apply(record);
    })
    .expect("a recording");
    assert_eq!((state, damages.len(), lost, ready), (RunState::Ended, 0, 0, 1));
    assert_eq!((timeline.runs_started, timeline.runs_ok), (10, 10));
    assert_eq!(plans, [0, 1, 2, 3, 4, 5, 4, 3, 6, 6]);
    assert_eq!(timeline.plans.len(), 7);
    assert!(timeline.plans.iter().all(|plan| plan.runs > 0));
    let retired: Vec<usize> = (0..7).filter(|&plan| timeline.plans[plan].retired).collect();
    assert_eq!(retired, [0, 1, 2], "those that ran least lately gave way");
    assert_eq!(timeline.alarm_counts().total(), 0, "{:?}", timeline.alarms().collect::<Vec<_>>());
    let told = timeline.messages.iter().filter(|(_, _, text)| text.starts_with("planned again for")).count();
    assert_eq!(told, 6);
    // Of seven sessions four are left, each with as many blocks as any other.
    let per_session = timeline.blocks.len() / 4;
    assert!(per_session > 0 && timeline.blocks.len() == 4 * per_session, "{:?}", timeline.blocks);
}

/// A session of a family made for certain elements refuses all others.
fn other_values_are_refused(on: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, device) = (written(&folder), on.device());
    let (own, other) = (Run::new(&[4, 6], &[1, 2], &[3, 6], 1), Run::new(&[4, 6], &[1, 1], &[3, 5], 1));
    let model = Model::open_for(&path, &own.named()).expect("a model");
    let dims = model.dims_for(&own.named()).expect("dims");
    let program = model.compile(&dims, device.target(), bayplan::Options::default()).expect("a program");
    let mut session =
        Session::new(&device, program, model.weights(), SessionOptions::default()).expect("a session");
    check(&mut session, &own);
    match session.run(&other.named()).map(|_| ()) {
        Err(Error::Input(InputError::Specialised { name })) => assert_eq!(name, "starts"),
        other => panic!("{other:?}"),
    }
    check(&mut session, &own);
}

/// `y` = start, start + delta, … below limit, all of them floats that runs give.
fn counted(folder: &tempfile::TempDir) -> PathBuf {
    let model = File {
        nodes: vec![Node::new("Range", &["start", "limit", "delta"], &["y"])],
        inputs: ["start", "limit", "delta"].map(|name| (name, vec![])).to_vec(),
        outputs: vec!["y"],
        ..File::default()
    };
    let path = folder.path().join("range.onnx");
    std::fs::write(&path, model.bytes()).expect("a file");
    path
}

fn scalars(values: [f32; 3]) -> [(&'static str, Tensor); 3] {
    let scalar = |value: f32| Tensor::from_f32(vec![], &[value]).expect("a scalar");
    [("start", scalar(values[0])), ("limit", scalar(values[1])), ("delta", scalar(values[2]))]
}

fn count(session: &mut Session, values: [f32; 3]) -> Result<Vec<f32>, Error> {
    let tensors = scalars(values);
    let named: Vec<(&str, &Tensor)> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let outputs = session.run(&named)?;
    Ok(outputs.get("y").expect("an output").to_tensor()?.to_f32().expect("floats"))
}

/// Floats decide sizes by way of the integers that follow from them alone: one compile serves them all.
fn sizes_follow_from_floats(on: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, device) = (Model::open(counted(&folder)).expect("a model"), on.device());
    let mut bounds = Scope::new();
    bounds.declare("y.size0", Bounds::between(0, 64)).expect("bounds");
    let session = model.session(&device, Dims::from(bounds), SessionOptions::default());
    let mut session = session.expect("a session");
    let compiles = session.family().compiles();
    for (start, limit, delta, expect) in [
        (0.5, 2.0, 0.5, vec![0.5, 1.0, 1.5]),
        (4.0, -1.0, -2.0, vec![4.0, 2.0, 0.0]),
        (1.0, 1.0, 3.0, vec![]),
        (0.0, 6.0, 0.25, (0..24).map(|i| i as f32 * 0.25).collect()),
        (10.0, 11.5, 0.5, vec![10.0, 10.5, 11.0]),
    ] {
        assert_eq!(count(&mut session, [start, limit, delta]).expect("it runs"), expect);
    }
    // Three lengths of five: the floats themselves made no difference.
    assert_eq!((session.family().compiles(), session.counters().values), (compiles, 0));
    let refused = count(&mut session, [0.0, 65.0, 1.0]);
    assert!(matches!(refused, Err(Error::Input(InputError::BoundExceeded { value: 65, bound: 64, .. }))));
    assert_eq!(count(&mut session, [0.0, 2.0, 1.0]).expect("it works on"), [0.0, 1.0]);
}

/// A program for one size refuses floats that ask for another.
fn other_sizes_are_refused(on: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, device) = (Model::open(counted(&folder)).expect("a model"), on.device());
    let tensors = scalars([0.0, 3.0, 1.0]);
    let named: Vec<(&str, &Tensor)> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let dims = model.dims_for(&named).expect("dims");
    assert_eq!(dims.get("y.size0"), Some(3));
    let program = model.compile(&dims, device.target(), bayplan::Options::default()).expect("a program");
    let mut session =
        Session::new(&device, program, model.weights(), SessionOptions::default()).expect("a session");
    assert_eq!(count(&mut session, [5.0, 11.0, 2.0]).expect("it runs"), [5.0, 7.0, 9.0]);
    let refused = count(&mut session, [0.0, 4.0, 1.0]);
    assert!(matches!(refused, Err(Error::Input(InputError::Sized { value: 4, expected: 3, .. }))));
}

on_every_backend! {
    sizes_of_floats => sizes_follow_from_floats;
    fixed_sizes => other_sizes_are_refused;
    plans_for_values => each_value_has_a_plan;
    plans_in_one_recording => all_plans_are_in_one_recording;
    fixed_values => other_values_are_refused;
}

#[test]
fn models_say_which_inputs_decide() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = Model::open(written(&folder)).map(|_| ()).expect_err("its shapes are not known");
    let Error::Values { inputs, .. } = &error else { panic!("{error}") };
    let inputs: Vec<(&str, usize)> = inputs.iter().map(|input| (&*input.name, input.index)).collect();
    assert_eq!(inputs, [("shape", 1), ("starts", 2), ("ends", 3)]);
    assert!(error.to_string().contains("shape (i64), which Reshape asks for"), "{error}");
}

/// Whatever the floats of a run are, what reaches the compiler is the same.
#[test]
fn no_float_reaches_the_compiler() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = written(&folder);
    let graph = |seed| {
        let run = Run::new(&[4, 6], &[1, 2], &[3, 6], seed);
        let model = Model::open_for(&path, &run.named()).expect("a model");
        (model.dims_for(&run.named()).expect("dims"), model.graph().clone())
    };
    let first = graph(1);
    let floats = first.1.specialised.iter().filter(|(_, elements)| elements.dtype().is_float());
    assert_eq!((floats.count(), first.1.specialised.len()), (0, 3));
    assert!((2..8).all(|seed| graph(seed) == first));
}

/// Without a run nothing says how large sizes that follow from floats are: `plan` and `fit` ask for them by name.
#[test]
fn a_plan_asks_for_sizes_that_follow_from_floats() {
    let (folder, sandbox) = (tempfile::tempdir().expect("a folder"), Sandbox::new());
    let path = counted(&folder).display().to_string();
    let asked = |words: &[&str]| sandbox.bayplan(&[words, &[&path, "--device", "host"]].concat());
    let (fit, plan): (&[&str], &[&str]) = (&["fit"], &["plan"]);
    for words in [plan, fit, &["fit", "--budget", "1MiB"], &["plan", "--dim-min", "y.size0=1"]] {
        let ended = asked(words);
        let named =
            ["the size y.size0 follows from elements of inputs delta, start, limit\n", "--dim y.size0=1"];
        assert!(ended.code == Some(2) && named.iter().all(|name| ended.stderr.contains(name)), "{ended:?}");
    }
    for words in [plan, fit] {
        for given in [["--dim", "y.size0=8"], ["--dim-max", "y.size0=8"]] {
            asked(&[words, &given[..]].concat()).success();
        }
    }
    asked(&["fit", "--budget", "1MiB", "--dim", "y.size0=8"]).success();
    asked(&["plan", "--budget", "1MiB", "--dim-max", "y.size0=8"]).success();
    // A budget decides no size that follows from elements.
    let ended = asked(&["fit", "--budget", "1MiB", "--dim-max", "y.size0=8"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("as the budget decides"), "{ended:?}");
}

/// Sizes that follow by floats from dimensions alone need no value of their own.
#[test]
fn a_plan_computes_sizes_that_follow_from_dimensions() {
    let (folder, sandbox) = (tempfile::tempdir().expect("a folder"), Sandbox::new());
    let scalar = |name: &'static str, value: f32| Constant { name, shape: &[], data: Data::F32(vec![value]) };
    let model = File {
        nodes: vec![
            Node::new("Size", &["x"], &["count"]),
            Node::new("Cast", &["count"], &["float"]).with("to", Attribute::Int(1)),
            Node::new("Mul", &["float", "half"], &["limit"]),
            Node::new("Range", &["zero", "limit", "one"], &["y"]),
        ],
        inputs: vec![("x", vec![Dim::Symbol("n")])],
        outputs: vec!["y"],
        constants: vec![scalar("half", 0.5), scalar("zero", 0.0), scalar("one", 1.0)],
        ..File::default()
    };
    let path = folder.path().join("half.onnx");
    std::fs::write(&path, model.bytes()).expect("a file");
    let path = path.display().to_string();
    let asked = |words: &[&str]| sandbox.bayplan(&[words, &[&path, "--device", "host"]].concat());
    let json = asked(&["plan", "--json", "--dim", "n=9"]).json();
    assert_eq!((&json["dims"]["n"], &json["dims"]["y.size0"]), (&9.into(), &5.into()));
    asked(&["fit", "--dim", "n=9"]).success();
    let ended = asked(&["plan", "--dim-max", "n=9"]);
    let why = "y.size0 follows by floats from dimensions without a value";
    assert!(ended.code == Some(2) && ended.stderr.contains(why), "{ended:?}");
}
