//! Models at random shapes: which shapes, and what onnxruntime answers there.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use bayplan::{Bindings, Bounds, DType, Device, Dims, Graph, Model, Scope, SessionOptions, Tensor};
use serde_json::json;

use crate::npy::{self, Array};
use crate::random::Random;
use crate::{Case, draw, python, read_case, root, session};

/// Bounds of a model's symbols. Where `seq` and `past` are among them, the model may have a `total` of both.
#[derive(Clone, Copy, Debug)]
pub struct Shapes<'a>(pub &'a [(&'a str, i64, i64)]);

impl Shapes<'_> {
    /// A random one, all symbols with a value.
    pub fn draw(&self, graph: &Graph, random: &mut Random) -> Bindings {
        let value =
            |low: i64, high: i64, random: &mut Random| low + random.between(0, (high - low) as u64) as i64;
        let drawn: Bindings =
            self.0.iter().map(|&(name, low, high)| (name, value(low, high, random))).collect();
        completed(graph, drawn)
    }

    /// The box of all of them.
    pub fn scope(&self, graph: &Graph) -> Scope {
        let ends = |end: fn(&(&str, i64, i64)) -> i64| {
            completed(graph, self.0.iter().map(|side| (side.0, end(side))).collect())
        };
        let (least, most) = (ends(|side| side.1), ends(|side| side.2));
        let mut scope = Scope::new();
        for ((symbol, lower), (_, upper)) in least.iter().zip(most.iter()) {
            scope.declare(symbol, Bounds::between(lower, upper)).expect("bounds in order, once each");
        }
        scope
    }
}

/// A point with the sum of its tokens, where the model has a symbol for it.
fn completed(graph: &Graph, mut point: Bindings) -> Bindings {
    let has_total = graph.symbols.iter().any(|(symbol, _)| symbol == "total");
    if let (true, Some(seq), Some(past)) = (has_total, point.get("seq"), point.get("past")) {
        point.set("total", seq + past);
    }
    point
}

/// What onnxruntime answers at points of a model's shapes, to inputs drawn from the seed: one case each, in that order, in
/// folders of `folder`.
///
/// # Panics
/// When the model cannot be opened, a file not be written, or onnxruntime fails.
pub fn cases_at(model: &Path, folder: &Path, points: &[Bindings], seed: u64) -> Vec<Case> {
    let graph = Model::import(model).unwrap_or_else(|e| panic!("{}: {e}", model.display()));
    let mut random = Random::new(seed);
    if points.is_empty() {
        return Vec::new();
    }
    let folders: Vec<_> = (0..points.len()).map(|index| folder.join(format!("{index}"))).collect();
    for (point, folder) in points.iter().zip(&folders) {
        let dims = completed(&graph, point.clone());
        write(folder, &dims, &draw::inputs(&graph, &dims, &mut random));
    }
    let mut answering = Command::new(python())
        .arg(root().join("tests/python/answers.py"))
        .arg(model)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("Python runs");
    let mut asked = answering.stdin.take().expect("it was asked for");
    for folder in &folders {
        writeln!(asked, "{}", folder.display()).expect("it reads until it is told no more");
    }
    drop(asked);
    let ended = answering.wait().expect("it ends");
    assert!(ended.success(), "{}: onnxruntime gave no answers", model.display());
    folders.iter().map(|folder| read_case(folder)).collect()
}

/// What a session did at random shapes, after it was built.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Runs.
    pub shapes: usize,
    /// Calls of `vkAllocateMemory`.
    pub allocations: u64,
    /// Calls of `vkCreateComputePipelines`.
    pub pipelines: u64,
    /// How often the output arena grew.
    pub growths: u64,
    /// Command buffers recorded.
    pub recordings: u64,
    /// Runs whose shape was at hand.
    pub cached: u64,
    /// Median nanoseconds to instantiate a shape, its verification apart.
    pub instantiate: u64,
    /// Median nanoseconds to record one.
    pub record: u64,
    /// Median nanoseconds of a run, what its shape took included.
    pub run: u64,
    /// Shapes that onnxruntime answered.
    pub compared: usize,
    /// The largest ‖out − reference‖ / ‖reference‖, and where.
    pub worst: Option<(f64, Bindings)>,
}

/// Runs a model in one session at `runs` random shapes, of which onnxruntime answers `asked`, evenly among the others. Before
/// each run the activations are overwritten with what is no number; the inputs are drawn anew each time.
///
/// # Panics
/// When anything fails.
pub fn measure(
    device: &Device,
    model: &Path,
    shapes: Shapes<'_>,
    (runs, asked): (usize, usize),
    seed: u64,
    options: SessionOptions,
) -> Measured {
    let opened = Model::open(model).unwrap_or_else(|e| panic!("{}: {e}", model.display()));
    let graph = opened.graph();
    let mut random = Random::new(seed);
    let points: Vec<Bindings> = (0..runs).map(|_| shapes.draw(graph, &mut random)).collect();
    let is_asked = |index: usize| (index + 1) * asked / runs > index * asked / runs;
    let answered: Vec<Bindings> =
        (0..runs).filter(|&index| is_asked(index)).map(|index| points[index].clone()).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut cases = cases_at(model, folder.path(), &answered, seed).into_iter();

    let mut session = opened
        .session(device, Dims::from(shapes.scope(graph)), options)
        .unwrap_or_else(|e| panic!("{}: {e}", model.display()));
    let built = session.counters();
    let mut measured = Measured { shapes: runs, compared: asked, ..Measured::default() };
    let (mut instantiate, mut record, mut run) = (Vec::new(), Vec::new(), Vec::new());
    for (index, point) in points.iter().enumerate() {
        let case = is_asked(index).then(|| cases.next().expect("one for each"));
        let inputs = case.as_ref().map_or_else(|| draw::inputs(graph, point, &mut random), session::inputs);
        session.fill_activations(0xff).expect("the device is there");
        let before = session.counters();
        let begun = Instant::now();
        let outputs = session::run(&mut session, &inputs);
        run.push(begun.elapsed().as_nanos() as u64);
        if let Some(case) = case {
            let errors = session::errors(&outputs, &case);
            let worst = errors.into_iter().map(|(_, error)| error).max_by(f64::total_cmp);
            measured.note(worst.expect("models have outputs"), point);
        }
        let after = session.counters();
        measured.cached += u64::from(after.shapes == before.shapes);
        let note = |list: &mut Vec<u64>, nanos: u64| list.extend((nanos > 0).then_some(nanos));
        note(&mut instantiate, after.instantiate_ns - before.instantiate_ns);
        note(&mut record, after.record_ns - before.record_ns);
    }
    let done = session.counters();
    measured.allocations = done.device_allocations - built.device_allocations;
    measured.pipelines = done.pipelines - built.pipelines;
    measured.growths = done.output_growths - built.output_growths;
    measured.recordings = done.recordings - built.recordings;
    [measured.instantiate, measured.record, measured.run] = [instantiate, record, run].map(median);
    measured
}

impl Measured {
    fn note(&mut self, error: f64, point: &Bindings) {
        // What is no number is worse than any.
        if self.worst.as_ref().is_none_or(|(worst, _)| error.total_cmp(worst).is_gt()) {
            self.worst = Some((error, point.clone()));
        }
    }
}

fn median(mut list: Vec<u64>) -> u64 {
    list.sort_unstable();
    list.get(list.len() / 2).copied().unwrap_or(0)
}

/// Writes a case without answers.
fn write(folder: &Path, dims: &Bindings, inputs: &[(String, Tensor)]) {
    fs::create_dir_all(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files = serde_json::Map::new();
    for (name, tensor) in inputs {
        let file = format!("in_{}.npy", name.replace('/', "_"));
        let dtype = match tensor.dtype() {
            DType::F32 => "<f4",
            DType::I64 => "<i8",
            other => panic!("{name}: {other} is not written"),
        };
        let (shape, bytes) = (tensor.shape().to_vec(), tensor.bytes().to_vec());
        npy::write(&folder.join(&file), &Array { dtype: dtype.into(), shape, bytes });
        files.insert(name.clone(), file.into());
    }
    let extents: serde_json::Map<_, _> =
        dims.iter().map(|(symbol, value)| (symbol.into(), value.into())).collect();
    let case = json!({ "dims": extents, "inputs": files, "outputs": {} });
    fs::write(folder.join("case.json"), case.to_string())
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
}
