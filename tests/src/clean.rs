//! Runs in which nothing is wrong, of many models and shapes on every backend: each is recorded, and `bayplan check` must
//! find no alarm. What a gate in CI rests on is that it fails for a reason only.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bayplan::{
    Bindings, CompileError, Destination, Device, Dims, Level, Model, Places, Program, RecordingOptions,
    Session, SessionOptions, Tensor, record,
};
use bayplan_weights::Store;
use tempfile::TempDir;

use crate::backend::Backend;
use crate::decoder::Decoder;
use crate::differential::{Case, compiled};
use crate::program::{Ended, Sandbox};
use crate::random::Random;
use crate::shapes::Shapes;
use crate::{draw, root, session};

/// What no clean run fails.
pub const CLEAN: &str = "deviation==0 and overlap==0 and unplanned==0";

/// What runs are made of, by the last digit of their number.
const KINDS: [Kind; 10] = [
    Kind::Graph,
    Kind::Digits,
    Kind::Graph,
    Kind::Decoder,
    Kind::Graph,
    Kind::Graph,
    Kind::Digits,
    Kind::Graph,
    Kind::Chars,
    Kind::Graph,
];

/// Operators drawn at least per random graph.
const STEPS: usize = 5;

/// Shapes that a session of a decoder meets, its cache growing.
const TURNS: usize = 6;

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A graph over all operators, compiled in one of many ways, both drawn.
    Graph,
    /// The digit classifier at a drawn batch.
    Digits,
    /// The character decoder in one session for all shapes, its cache growing.
    Chars,
    /// A small decoder of Llama's kind in one session, at drawn shapes.
    Decoder,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Graph => "random graph",
            Self::Digits => "digits",
            Self::Chars => "chars",
            Self::Decoder => "small decoder",
        })
    }
}

/// What came of many runs.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Recordings that were judged, by what ran where.
    pub judged: BTreeMap<(Kind, String), u64>,
    /// Times that a model ran, over all recordings.
    pub inferences: u64,
    /// Plans, over all recordings.
    pub plans: u64,
    /// Windows that were seen and lay where planned, over all recordings.
    pub windows: u64,
    /// What was not clean: the number of the run and what the check said.
    pub failures: Vec<String>,
}

impl Outcome {
    /// Recordings that were judged.
    pub fn recordings(&self) -> u64 {
        self.judged.values().sum()
    }
}

/// The devices, the models and the folder of a sweep.
pub struct Sweep {
    devices: Vec<(Backend, Device)>,
    digits: Model,
    chars: Model,
    decoder: Model,
    sandbox: Sandbox,
    _models: TempDir,
}

/// A run that is over.
struct Ran {
    inferences: u64,
    /// Whether the trace has windows to judge.
    seen: bool,
}

impl Sweep {
    /// On these backends, in turn.
    ///
    /// # Panics
    /// When a device or a model cannot be opened.
    pub fn new(backends: &[Backend]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let open = |path: PathBuf| Model::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self {
            devices: backends.iter().map(|&backend| (backend, backend.device())).collect(),
            digits: open(root().join("assets/digits.onnx")),
            chars: open(root().join("assets/chars.onnx")),
            decoder: open(Decoder::SMALL.write(folder.path(), 7)),
            sandbox: Sandbox::new(),
            _models: folder,
        }
    }

    /// Runs these numbers, each recorded and judged by itself. `progress` is told after each.
    pub fn run(&self, numbers: Range<u64>, progress: &mut dyn FnMut(u64, &Outcome)) -> Outcome {
        let mut outcome = Outcome::default();
        for number in numbers {
            self.one(number, &mut outcome);
            progress(number, &outcome);
        }
        outcome
    }

    fn one(&self, number: u64, outcome: &mut Outcome) {
        // Ten in a row are one of each kind; the next ten run elsewhere.
        let kind = KINDS[(number % KINDS.len() as u64) as usize];
        let turn = number / KINDS.len() as u64 + number;
        let (backend, device) = &self.devices[(turn % self.devices.len() as u64) as usize];
        let path = self.sandbox.path(&format!("{number}.bptrace"));
        let options = self.options(&path, number);
        let ran = match kind {
            Kind::Graph => random_graph(device, number, options),
            Kind::Digits => digits(device, &self.digits, number, options),
            Kind::Chars => growing(device, &self.chars, number, options),
            Kind::Decoder => shapes(device, &self.decoder, number, options),
        };
        let judged = self.judge(&path, &ran);
        // A thousand recordings are gigabytes.
        std::fs::remove_file(&path).expect("the recording is there");
        outcome.inferences += ran.inferences;
        *outcome.judged.entry((kind, backend.to_string())).or_default() += 1;
        match judged {
            Ok((plans, windows)) => {
                outcome.plans += plans;
                outcome.windows += windows;
            }
            Err(why) => outcome.failures.push(format!("run {number}, {kind} on {backend}: {why}")),
        }
    }

    fn options(&self, path: &Path, number: u64) -> SessionOptions {
        let level = if number.is_multiple_of(2) { Level::Run } else { Level::Op };
        let places = Places::under(self.sandbox.path("places"));
        let destination = Destination::File(path.to_path_buf());
        let recording = RecordingOptions { destination, level, ..RecordingOptions::new(places) };
        SessionOptions { recording: Some(recording), ..SessionOptions::default() }
    }

    /// The plans and windows of a recording in which nothing is wrong; what `bayplan check` says of others.
    fn judge(&self, path: &Path, ran: &Ran) -> Result<(u64, u64), String> {
        let path = path.to_string_lossy();
        let whole = format!(
            "runs == {} and failed_runs == 0 and allocs_after_init == 0 and damage == 0 and ended == 1",
            ran.inferences
        );
        // Where no op ran, there is no window to be somewhere else.
        let clean = if ran.seen { CLEAN } else { "unplanned==0" };
        let words = ["check", &path, "--assert", clean, "--assert", &whole];
        let Ended { code, stdout, stderr } = self.sandbox.bayplan(&words);
        if code != Some(0) {
            return Err(format!("exit code {code:?}\n{stdout}{stderr}"));
        }
        let mut timeline = bayplan_trace::Timeline::new();
        let source = bayplan_record::Source::of_path(&*path);
        bayplan_record::read(source, |record| timeline.apply(record)).map_err(|e| e.to_string())?;
        let windows: usize = timeline.plans.iter().map(|plan| plan.windows.len()).sum();
        if ran.seen && windows == 0 {
            return Err("no window was seen".into());
        }
        Ok((timeline.plans.len() as u64, windows as u64))
    }
}

/// The first graph from a seed on that the compiler takes, run twice.
fn random_graph(device: &Device, seed: u64, options: SessionOptions) -> Ran {
    let (case, program) = (0..)
        .find_map(|more| {
            // Another than any that the other numbers begin with.
            let case = Case::of(seed + more * 1_000_000, STEPS);
            let target = case.settings.target(device.target());
            match compiled(&case, &target) {
                Ok(program) => Some((case, program)),
                Err(CompileError::Unsupported(_)) => None,
                Err(e) => panic!("seed {seed}: {e}"),
            }
        })
        .expect("most graphs are taken");
    // The device can do more than what the program was compiled for.
    let program = Program { target: device.target().clone(), ..program };
    let seen = !record(&program).ops.is_empty();
    let store = Store::open("", &case.graph).expect("constants in memory");
    let mut session =
        Session::new(device, program, &store, options).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    for _ in 0..2 {
        session.run(&case.given()).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    }
    ended(session, 2, seen)
}

fn digits(device: &Device, model: &Model, seed: u64, options: SessionOptions) -> Ran {
    let mut random = Random::new(seed);
    let dims: Bindings = [("batch", random.between(1, 64) as i64)].into_iter().collect();
    let mut session =
        model.session(device, &dims, options).unwrap_or_else(|e| panic!("digits at {dims}: {e}"));
    let runs = random.between(1, 8);
    for _ in 0..runs {
        session::run(&mut session, &draw::inputs(model.graph(), &dims, &mut random));
    }
    ended(session, runs, true)
}

/// A prompt, then tokens, each with the cache that is left by those before.
fn growing(device: &Device, model: &Model, seed: u64, options: SessionOptions) -> Ran {
    let mut random = Random::new(seed);
    let (batch, prompt) = (random.between(1, 2) as i64, random.between(1, 8) as i64);
    let most = prompt + TURNS as i64;
    let bounds = Shapes(&[("batch", 1, 2), ("seq", 1, 8), ("past", 0, most)]);
    let mut session = bounded(device, model, bounds, options);
    let mut past = 0;
    for turn in 0..TURNS {
        let seq = if turn == 0 { prompt } else { 1 };
        let sizes = [("batch", batch, batch), ("seq", seq, seq), ("past", past, past)];
        let point = Shapes(&sizes).draw(model.graph(), &mut random);
        session::run(&mut session, &draw::inputs(model.graph(), &point, &mut random));
        past += seq;
    }
    ended(session, TURNS as u64, true)
}

fn shapes(device: &Device, model: &Model, seed: u64, options: SessionOptions) -> Ran {
    let mut random = Random::new(seed);
    let bounds = Shapes(&[("batch", 1, 2), ("seq", 1, 4), ("past", 0, 32)]);
    let mut session = bounded(device, model, bounds, options);
    for _ in 0..TURNS {
        let point = bounds.draw(model.graph(), &mut random);
        let inputs: Vec<(String, Tensor)> = draw::inputs(model.graph(), &point, &mut random);
        session::run(&mut session, &inputs);
    }
    ended(session, TURNS as u64, true)
}

fn bounded(device: &Device, model: &Model, bounds: Shapes<'_>, options: SessionOptions) -> Session {
    let dims = Dims::from(bounds.scope(model.graph()));
    model.session(device, dims, options).unwrap_or_else(|e| panic!("{bounds:?}: {e}"))
}

/// Ends a session in order, so that its recording is whole.
fn ended(session: Session, inferences: u64, seen: bool) -> Ran {
    let summary = session.finish();
    assert_eq!(summary.disk_error, None, "the recording was written");
    Ran { inferences, seen }
}
