//! `bayplan run`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bayplan::{
    Bindings, Brought, CompileError, Device, DeviceOptions, Effort, Family, Io, Level, Model, Options,
    Places, RecordingOptions, Session, SessionOptions, Target, Tensor, ValueInput, Weights,
};
use bayplan_compile::Dims;
use bayplan_graph::ByteRange;
use bayplan_record::Destination;
use bayplan_text::escape;
use serde_json::Value;
use signal_hook::iterator::Signals;

use super::fit::first_row;
use super::functions::Functions;
use super::plan::{held, needed};
use super::run_text::{Facts, Ran, Written, gap_json, head, incomplete, json, tail};
use super::{run_fleet, watch};
use crate::args::{DeviceOption, ModelOptions, RunOptions};
use crate::bar::Bar;
use crate::exit::{Failure, Outcome};
use crate::latencies::Latencies;
use crate::out::{self, Progress};
use crate::{dims, fresh_file, inputs, outputs, shapes, tensor_file, weights};

pub(crate) fn run(options: &RunOptions) -> Outcome {
    if options.watch {
        return watch::watch(options);
    }
    if options.trace.is_some() && options.trace_level == Some(Level::Off) {
        return Err(Failure::usage(
            "--trace names a file to record to, and --trace-level off records nothing; leave one out",
        ));
    }
    let outlets = run_fleet::outlets(options)?;
    let stop = stop_on_signals()?;
    let mut progress = Progress::new(options.quiet || options.watched);
    progress.stage("reading the model");
    let model = open_with(&options.model, options.folder.as_deref(), &options.inputs)?;
    let words = match &options.folder {
        Some(folder) => inputs::numbered(model.graph(), folder)?,
        None => options.inputs.clone(),
    };
    let mut known = dims::known(model.graph(), &options.model)?;
    shapes::tell(model.graph(), &mut known, &words)?;
    let device = open(&options.model)?;
    let begun = Instant::now();
    progress.stage("compiling");
    let brought = Brought::open(&options.model.model, model.graph());
    let (family, dims) = family(&model, &known, options, device.target(), brought.as_ref())?;
    let family = Arc::new(family);
    let functions = Functions::of(&family)?;
    held(needed(functions.arena_bytes(), None), options.budget)?;
    // Before inputs as large as what does not fit are drawn. What stays in files is known to the session alone.
    if options.io != Io::Import {
        device.check_memory(functions.largest())?;
    }
    let ports = inputs::ports(model.graph(), &dims)?;
    let given = inputs::tensors(&ports, &words, options.seed)?;
    if let Some(folder) = &options.outputs {
        std::fs::create_dir_all(folder).map_err(|e| Failure::new(format!("{}: {e}", folder.display())))?;
    }
    progress.stage("loading weights");
    let bar = progress.bar("loading weights");
    let session_options = SessionOptions {
        recording: recording(options, &device),
        progress: Some(told(&bar)),
        cancel: Arc::clone(&stop).into(),
        io: options.io,
        early: options.early,
        ..SessionOptions::default()
    };
    let mut session = Session::new(&device, family, model.weights(), session_options)?;
    if !options.early {
        progress.clear();
    }
    let built = begun.elapsed();
    let text = !options.quiet && !options.format.is_json();
    let (functions, bound) = (&functions, model.bound());
    let packed = brought.map(|plan| plan.judge(functions.largest()));
    let facts =
        Facts { options, functions, dims: &dims, ports: &ports, built, bound, packed: packed.as_ref() };
    // Weights that arrive still are told of below it.
    let fleet = progress.aside(|| {
        warn(&session, options.io);
        let fleet = run_fleet::start(outlets, &session, options.quiet)?;
        if text {
            out::print(&head(&facts, &session))?;
        }
        Ok::<_, Failure>(fleet)
    })?;
    let named: Vec<(&str, &Tensor)> = ports.iter().map(|port| &*port.name).zip(&given).collect();
    let done = repeat(&mut session, &named, options, &stop, &mut progress);
    progress.clear();
    let told = done.map(|ran| {
        if options.format.is_json() {
            Told::Json(json(&facts, &session, &ran))
        } else {
            Told::Text(if text { tail(&facts, &session, &ran) } else { String::new() })
        }
    });
    let outcome = finish(session, told);
    run_fleet::finish(fleet);
    outcome
}

/// Tells a bar how far loading is.
fn told(bar: &Arc<Bar>) -> bayplan::Progress {
    let bar = Arc::clone(bar);
    bayplan::Progress::new(move |loading| bar.tell(loading.arrived(), loading.total))
}

/// What runs, and the shape: values as given; without one, the largest that fits the budget; without a budget, the upper
/// bound.
fn family(
    model: &Model,
    known: &Dims,
    options: &RunOptions,
    target: &Target,
    brought: Option<&Brought>,
) -> Result<(Family, Bindings), Failure> {
    let graph = model.graph();
    let (open, unpinned) = (dims::open(graph, known), dims::unpinned(graph, known));
    let how = compile_options(&options.model, Effort::Normal);
    match options.budget {
        None if !open.is_empty() => {
            return Err(dims::without_value(&open, &known.pinned, &graph.constraints));
        }
        Some(budget) if !unpinned.is_empty() => {
            let read = |range: &ByteRange| model.read(range);
            return first_row(graph, known, budget, (target, &how, &read));
        }
        _ => {}
    }
    let upper = |name: String| {
        let bounds = known.bounds.get(&name);
        (name, bounds.upper.unwrap_or(bounds.lower))
    };
    let point: Bindings = unpinned.into_iter().map(upper).collect();
    let dims = dims::complete(graph, &dims::with(known, &point));
    let how = Options { known: brought.map(|plan| plan.known(&dims)).unwrap_or_default(), ..how };
    Ok((compile(model, &dims, target, &how)?, dims))
}

/// What there is to say of the runs.
enum Told {
    Json(Value),
    Text(String),
}

/// Ends the session and with it the recording. What the recording lacks is a warning: the runs are none the worse for it.
fn finish(session: Session, told: Result<Told, Failure>) -> Outcome {
    let refused = session.trace().refused().map(ToString::to_string);
    let summary = session.finish();
    if let Some(missing) = incomplete(&summary) {
        out::error_line("warning", &format!("the recording is incomplete: {missing}"));
    }
    match told? {
        Told::Json(mut json) => {
            json["recording_error"] = refused.or_else(|| incomplete(&summary)).into();
            json["events_lost"] = summary.lost.into();
            json["recording_gap"] = gap_json(&summary);
            out::print_json(&json)?;
        }
        Told::Text(text) => out::print(&text)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The run goes on where it cannot be watched, but not silently.
fn warn(session: &Session, io: Io) {
    if io == Io::Import && session.imported().is_none() {
        out::error_line(
            "warning",
            "--io import: the host reads weights into memory of its own, not in their files",
        );
    }
    let trace = session.trace();
    if let Some(e) = trace.refused() {
        out::error_line("warning", &format!("nothing is recorded: {e}"));
    } else if let Some(e) = trace.recorder().discovery_error() {
        out::error_line("warning", &format!("`bayplan top` will not list this run: {e}"));
    }
}

/// Opens the device that the options name.
fn open(options: &ModelOptions) -> Result<Device, Failure> {
    Ok(Device::open(&device_options(&options.device)?)?)
}

/// Opens a model for the inputs of a run: where elements of inputs decide shapes, `elements` gives them, or none of an input that
/// nothing is given for.
///
/// # Errors
/// As [`Model::open_with`], or as `elements`.
pub(crate) fn open_for(
    path: &Path,
    weights: Option<&Weights>,
    elements: &mut dyn FnMut(&ValueInput) -> Result<Option<Tensor>, Failure>,
) -> Result<Model, Failure> {
    let asked = match Model::open_with(path, &[], weights) {
        Err(bayplan::Error::Values { inputs, .. }) => inputs,
        opened => return Ok(opened?),
    };
    let mut given: Vec<(&str, Tensor)> = Vec::with_capacity(asked.len());
    for input in &asked {
        given.extend(elements(input)?.map(|tensor| (&*input.name, tensor)));
    }
    let given: Vec<(&str, &Tensor)> = given.iter().map(|(name, tensor)| (*name, tensor)).collect();
    Ok(Model::open_with(path, &given, weights)?)
}

/// Opens a model with the files given for its inputs at hand: `NAME=FILE`, or those of a folder.
///
/// # Errors
/// There is no such folder; as [`Model::open_with`]; the file of an input whose elements decide shapes cannot be read.
pub(crate) fn open_with(
    options: &ModelOptions,
    folder: Option<&Path>,
    words: &[String],
) -> Result<Model, Failure> {
    folder.map_or(Ok(()), inputs::is_folder)?;
    let (path, weights) = (&options.model, weights::open(&options.weights)?);
    let opened = open_for(path, weights.as_ref(), &mut |input| {
        let file = match folder {
            Some(folder) => Some(tensor_file::numbered(folder, "input", input.index)),
            None => words.iter().find_map(|word| file_of(word, &input.name)),
        };
        file.map(|file| tensor_file::read(&file)).transpose()
    });
    opened.map_err(|failure| about(path, failure))
}

/// The file that a word gives to an input.
pub(crate) fn file_of(word: &str, input: &str) -> Option<PathBuf> {
    word.strip_prefix(input)?.strip_prefix('=').map(PathBuf::from)
}

/// What is wrong with a model, the file named.
pub(crate) fn named(path: &Path, e: bayplan::Error) -> Failure {
    about(path, e.into())
}

fn about(path: &Path, failure: Failure) -> Failure {
    let name = path.display().to_string();
    if failure.mentions(&name) { failure } else { failure.about(&escape(&name).to_string()) }
}

/// Compiles a model for dims that its symbols have got: one program, or, where inputs or data decide its Ifs, one for each
/// way through them.
pub(crate) fn compile(
    model: &Model,
    dims: &Bindings,
    target: &Target,
    options: &bayplan::Options,
) -> Result<Family, Failure> {
    let compiled = match model.compile(dims, target, options.clone()) {
        // Told before anything else is compiled.
        Err(bayplan::Error::Compile(CompileError::Branches { .. })) => {
            model.family(&dims.into(), target, options)
        }
        program => program.map(Family::of),
    };
    compiled.map_err(|e| match e {
        bayplan::Error::Compile(e) => refused(e, !dims.is_empty()),
        e => e.into(),
    })
}

/// Why a model was not compiled. Values that do not fit each other are the fault of whoever gave them.
pub(crate) fn refused(e: CompileError, given: bool) -> Failure {
    match e {
        CompileError::Bind(reason) if given => Failure::usage(reason),
        e => bayplan::Error::from(e).into(),
    }
}

/// How to compile.
pub(crate) fn compile_options(options: &ModelOptions, effort: Effort) -> bayplan::Options {
    let default = bayplan::Options::default();
    bayplan::Options { effort, order: options.order.map_or(default.order, Into::into), ..default }
}

/// The device that the options name, to be opened.
pub(crate) fn device_options(option: &DeviceOption) -> Result<DeviceOptions, Failure> {
    let mut device = DeviceOptions::default();
    // A variable that is set to nothing asks for nothing.
    if let Some(name) = option.name.as_ref().filter(|name| !name.is_empty()) {
        device.selector = name.parse().map_err(|e| Failure::usage(format!("--device: {e}")))?;
    }
    Ok(device)
}

fn recording(options: &RunOptions, device: &Device) -> Option<RecordingOptions> {
    let level = options.trace_level.unwrap_or(device.trace_level());
    let mut recording = RecordingOptions::new(Places::from_env());
    recording.level = level;
    if let Some(file) = &options.trace {
        recording.destination = Destination::File(file.clone());
    }
    (level != Level::Off).then_some(recording)
}

/// Signals that come closer together than this are one: `timeout` and terminals signal a process and then its group.
const SAME_SIGNAL: Duration = Duration::from_millis(500);

/// A flag that SIGINT, SIGTERM and SIGQUIT raise. A second signal, half a second later or more, ends the process at once.
pub(crate) fn stop_on_signals() -> Result<Arc<AtomicBool>, Failure> {
    let mut signals = Signals::new(signal_hook::consts::TERM_SIGNALS)
        .map_err(|e| Failure::new(format!("signals cannot be handled: {e}")))?;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    std::thread::spawn(move || {
        let mut first: Option<Instant> = None;
        for signal in signals.forever() {
            flag.store(true, Ordering::Relaxed);
            if first.get_or_insert_with(Instant::now).elapsed() >= SAME_SIGNAL {
                fresh_file::remove_unfinished();
                // Cannot fail for a signal that was registered; ends the process.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
        }
    });
    Ok(stop)
}

/// Runs as often as asked, or until a signal says to stop; the last outputs are described and written.
fn repeat(
    session: &mut Session,
    named: &[(&str, &Tensor)],
    options: &RunOptions,
    stop: &AtomicBool,
    progress: &mut Progress,
) -> Result<Ran, Failure> {
    let mut latencies = Latencies::default();
    if stop.load(Ordering::Relaxed) {
        return Err(Failure::new("interrupted before the first run"));
    }
    let mut done = 0;
    loop {
        let begun = Instant::now();
        let lent = session.run(named)?;
        latencies.add(begun.elapsed());
        done += 1;
        // All weights have arrived by then.
        progress.end_bar();
        if done < options.runs && !stop.load(Ordering::Relaxed) {
            progress.runs(done, options.runs);
            continue;
        }
        progress.clear();
        let files = match &options.folder {
            Some(_) => (0..lent.iter().len()).map(|at| format!("output_{at}.pb")).collect(),
            None => outputs::file_names(lent.iter().map(|output| output.name())),
        };
        let mut written = Vec::with_capacity(files.len());
        for (output, file) in lent.iter().zip(files) {
            let tensor = output.to_tensor()?;
            let path: Option<PathBuf> = options.outputs.as_ref().map(|folder| folder.join(file));
            if let Some(path) = &path {
                tensor_file::write(path, output.name(), &tensor)?;
            }
            written.push(Written::new(output.name(), &tensor, path, options));
        }
        return Ok(Ran { runs: done, latencies, outputs: written });
    }
}
