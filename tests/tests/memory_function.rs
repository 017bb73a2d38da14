//! The memory function: what it tells of a shape is what dispatches bind, a session needs no more, and less is refused.

use std::path::Path;
use std::sync::Arc;

use bayplan::{
    Arena, Bindings, Bounds, Device, Dims, Error, Family, FunctionId, InputError, Level, Model, Options,
    Places, Program, RecordingOptions, Scope, Session, SessionOptions, Tensor,
};
use bayplan_compile::plan_file::PlanFile;
use bayplan_plan::memory::MemoryFunction;
use bayplan_record::{Destination, Source};
use bayplan_tests::backend::Backend;
use bayplan_tests::random::Random;
use bayplan_tests::{Case, on_every_backend, reference_model, session, shapes};
use bayplan_trace::Timeline;

/// Points at which the function is held to the windows of programs.
const POINTS: usize = 100;

/// Of these, points at which sessions run in so many bytes.
const RUNS: usize = 10;

/// ‖out − reference‖ / ‖reference‖ allowed of an output.
const MAX_ERROR: f64 = 1e-4;

/// A model with the box of its symbols. That `total` is `past + seq` no decoder says: it has bounds of its own, and the
/// inputs of a run make it what it is.
type Boxed = (&'static str, &'static [(&'static str, i64, i64)]);

const ENCODER: Boxed = ("encoder_l6", &[("batch", 1, 4), ("seq", 1, 96)]);
const GPT2: Boxed = ("gpt2_small", &[("batch", 1, 3), ("seq", 1, 24), ("past", 0, 120), ("total", 1, 144)]);
const LLAMA: Boxed = ("llama_125m", &[("batch", 1, 3), ("seq", 1, 24), ("past", 0, 120), ("total", 1, 144)]);

fn scope(sides: &[(&str, i64, i64)]) -> Scope {
    let mut scope = Scope::new();
    for &(symbol, low, high) in sides {
        scope.declare(symbol, Bounds::between(low, high)).expect("a box that is not empty");
    }
    scope
}

/// A model compiled for a device within bounds.
struct Compiled {
    device: Device,
    model: Model,
    family: Arc<Family>,
}

impl Compiled {
    fn new(backend: Backend, name: &str, sides: &[(&str, i64, i64)]) -> Self {
        let device = backend.device();
        let model = Model::open(reference_model(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let family = model.family(&Dims::from(scope(sides)), device.target(), &Options::default());
        let family = Arc::new(family.unwrap_or_else(|e| panic!("{name}: {e}")));
        Self { device, model, family }
    }

    fn session(&self, family: &Arc<Family>, options: SessionOptions) -> Result<Session, Error> {
        Session::new(&self.device, Arc::clone(family), self.model.weights(), options)
    }
}

/// Random points of a box, and its two ends.
fn points(sides: &[(&'static str, i64, i64)], seed: u64) -> Vec<Bindings> {
    let mut random = Random::new(seed);
    let mut drawn = |&(symbol, low, high): &(&'static str, i64, i64)| {
        (symbol, low + random.between(0, (high - low) as u64) as i64)
    };
    let mut points: Vec<Bindings> = (0..POINTS).map(|_| sides.iter().map(&mut drawn).collect()).collect();
    points.push(sides.iter().map(|&(symbol, low, _)| (symbol, low)).collect());
    points.push(sides.iter().map(|&(symbol, _, high)| (symbol, high)).collect());
    for point in &mut points {
        if let (Some(past), Some(seq)) = (point.get("past"), point.get("seq")) {
            point.set("total", past + seq);
        }
    }
    points
}

/// One past the last byte of each arena that a dispatch binds, those that load the weights included.
fn bound(program: &Program) -> [u64; Arena::ALL.len()] {
    let mut ends = [0; Arena::ALL.len()];
    let dispatches = program.load.dispatches.iter().chain(&program.run.dispatches);
    for window in dispatches.flat_map(|dispatch| &dispatch.windows) {
        let end = &mut ends[window.arena.index()];
        *end = (window.offset + window.len).max(*end);
    }
    ends
}

/// What a session holds at once: weights, and what loading them takes or the activations.
fn together(ends: [u64; Arena::ALL.len()]) -> u64 {
    ends[Arena::Weights.index()] + ends[Arena::Activations.index()].max(ends[Arena::Load.index()])
}

/// The function at 100 points against the windows of the programs, at 10 of them against sessions.
fn check(backend: Backend, (name, sides): Boxed) {
    let compiled = Compiled::new(backend, name, sides);
    let memory = compiled.family.memory().expect("a formula");
    let points = points(sides, 0x3e30);
    for point in &points {
        let program = compiled.family.at(FunctionId(0), point).unwrap_or_else(|e| panic!("{point}: {e}"));
        let ends = bound(&program);
        for arena in Arena::ALL {
            let (end, bytes) = (ends[arena.index()], program.arena_bytes[arena.index()]);
            assert_eq!(end, bytes, "{name} at {point}: bytes bound of {}", arena.name());
        }
        assert_eq!(memory.eval(point), Ok(together(ends)), "{name} at {point}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let some = &points[..RUNS];
    for (point, case) in some.iter().zip(shapes::cases_at(&reference_model(name), folder.path(), some, 1)) {
        exactly(&compiled, &memory, point, &case, folder.path());
    }
}

/// A session of exactly so many bytes runs right, whatever lay in them before; one of a unit less does not run.
fn exactly(compiled: &Compiled, memory: &MemoryFunction, point: &Bindings, case: &Case, folder: &Path) {
    let bytes = memory.eval(point).expect("bytes");
    let inputs = session::inputs(case);
    let file = folder.join(format!("{}.bptrace", case.name));
    let options = SessionOptions {
        memory: Some(bytes),
        recording: Some(recording(&file, folder)),
        ..SessionOptions::default()
    };
    let mut own = compiled.session(&compiled.family, options).unwrap_or_else(|e| panic!("{point}: {e}"));
    own.fill_activations(0xff).expect("a session that is idle");
    for (output, error) in session::errors(&session::run(&mut own, &inputs), case) {
        assert!(error <= MAX_ERROR, "{point}: {output} is {error:.3e} from onnxruntime");
    }
    let ends = bound(own.program());
    own.finish();
    assert_eq!(recorded(&file), ends[Arena::Activations.index()], "{point}: windows as recorded");
    assert_eq!(together(ends), bytes, "{point}");

    let given = bytes - compiled.device.target().storage_alignment;
    let options = SessionOptions { memory: Some(given), ..SessionOptions::default() };
    let named: Vec<(&str, &Tensor)> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let refused = match compiled.session(&compiled.family, options) {
        // Loading the weights takes more than the activations.
        Err(refused) => refused,
        Ok(mut less) => {
            let refused = less.run(&named).err().unwrap_or_else(|| panic!("{point}: it ran in {given}"));
            assert_eq!(less.runs(), 0, "{point}: nothing was written or dispatched");
            refused
        }
    };
    match refused {
        Error::Budget(over) => assert_eq!((over.needed, over.given), (bytes, given), "{point}"),
        other => panic!("{point}: {other}"),
    }
}

fn recording(file: &Path, folder: &Path) -> RecordingOptions {
    let mut recording = RecordingOptions::new(Places::under(folder.join("places")));
    recording.destination = Destination::File(file.to_owned());
    recording.level = Level::Run;
    recording
}

/// One past the last byte of the activations that a window of the run reaches, as the executor saw it bound.
fn recorded(file: &Path) -> u64 {
    let mut timeline = Timeline::default();
    let (_, damages) =
        bayplan_record::read(Source::of_path(file), |record| timeline.apply(record)).expect("a recording");
    assert!(damages.is_empty(), "{damages:?}");
    let (_, plan) = timeline.current_plan().expect("a run");
    let activations = plan
        .record
        .arenas
        .iter()
        .position(|arena| arena.name == Arena::Activations.name())
        .expect("an arena");
    let ends = plan.windows.iter().filter(|window| window.arena as usize == activations);
    ends.map(|window| window.offset + window.len).max().unwrap_or(0)
}

/// A chunk of at most 2,048 tokens becomes one of 512 when the session starts.
fn chunk(backend: Backend) {
    let (past, fits, total) = (256, 512, 2304);
    let sides = [("batch", 1, 1), ("seq", 1, 2048), ("past", 0, past), ("total", 1, total)];
    let compiled = Compiled::new(backend, "llama_125m", &sides);
    let (family, corner) = (&compiled.family, |seq: i64| {
        Bindings::new().with("batch", 1).with("past", past).with("seq", seq).with("total", total)
    });
    // The plan is written, and read by whoever starts the session: the formula says which chunk fits its memory.
    let written = PlanFile::of(family, compiled.model.graph()).expect("a plan file").to_json();
    let file = PlanFile::read(&written).expect("the same");
    let budget = family.memory().expect("a formula").eval(&corner(fits)).expect("bytes");
    let others = Bindings::new().with("batch", 1).with("past", past).with("total", total);
    let found = file.memory.solve(budget, "seq", &others).expect("a chunk");
    // Loading the weights needs what a few more tokens would.
    assert!(found.all_up_to >= Some(fits) && found.bytes == budget, "{found:?}");
    let bounds = scope(&[("seq", 1, fits)]);

    let compiles = family.compiles();
    let small = Arc::new(family.within(&bounds).expect("smaller bounds"));
    assert_eq!(family.compiles(), compiles, "nothing is compiled or planned");
    assert!(small.compiles() <= compiles, "nor there");
    let reserved = |family: &Family| family.reservation().expect("bounds").arena_bytes;
    let activations = |bytes: [u64; Arena::ALL.len()]| bytes[Arena::Activations.index()];
    assert_eq!(together(reserved(&small)), budget, "what is reserved is what the formula says");
    let (_, replayed) = file.replay(&file.model, &corner(fits)).expect("offsets");
    assert_eq!(activations(reserved(&small)), replayed.peak, "the arena is what its largest shape takes");
    let narrowed = file.narrowed(&bounds).expect("smaller bounds");
    assert_eq!(narrowed.arena_bytes(), activations(reserved(&small)), "in the plan file, too");
    assert!(2 * activations(reserved(&small)) < activations(reserved(family)));

    let before = compiled.device.allocations().live_bytes;
    let options = SessionOptions { memory: Some(budget), ..SessionOptions::default() };
    let mut own = compiled.session(&small, options).expect("a session");
    if backend != Backend::Host {
        let taken = compiled.device.allocations().live_bytes - before;
        let [least, most] = [&small, family]
            .map(|family| activations(reserved(family)) + reserved(family)[Arena::Weights.index()]);
        assert!((least..most).contains(&taken), "{taken} bytes, of {least}, for all chunks {most}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let points = [(33, 0), (5, 90), (1, past)].map(|(seq, past)| {
        Bindings::new().with("batch", 1).with("seq", seq).with("past", past).with("total", past + seq)
    });
    let cases = shapes::cases_at(&reference_model("llama_125m"), folder.path(), &points, 2);
    let right = |own: &mut Session, case: &Case| {
        for (output, error) in session::errors(&session::run(own, &session::inputs(case)), case) {
            assert!(error <= MAX_ERROR, "{}: {output} is {error:.3e} from onnxruntime", case.name);
        }
    };
    cases.iter().for_each(|case| right(&mut own, case));
    let beyond = inputs_of(&compiled, &corner(fits + 1));
    let named: Vec<(&str, &Tensor)> = beyond.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    match own.run(&named).err() {
        Some(Error::Input(InputError::BoundExceeded { dim, value, bound, .. })) => {
            assert_eq!((dim.as_str(), value, bound), ("seq", fits + 1, fits));
        }
        other => panic!("{other:?}"),
    }
    right(&mut own, &cases[0]);
}

/// Zeros for every input of a shape.
fn inputs_of(compiled: &Compiled, point: &Bindings) -> Vec<(String, Tensor)> {
    let program = compiled.family.at(FunctionId(0), point).expect("a program");
    let zeros = |port: &bayplan_compile::Port| {
        let shape = port.shape.iter().map(|&dim| dim as usize).collect();
        (port.name.clone(), Tensor::zeros(port.dtype, shape).expect("a tensor"))
    };
    program.inputs.iter().map(zeros).collect()
}

on_every_backend! {
    encoder => |on| check(on, ENCODER);
    gpt2 => |on| check(on, GPT2);
    llama => |on| check(on, LLAMA);
    a_chunk_chosen_at_start_up => chunk;
}
