//! `bayplan run`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bayplan::{
    Arena, Device, DeviceOptions, Level, Model, Places, RecordingOptions, Session, SessionOptions, Tensor,
};
use bayplan_record::Destination;
use bayplan_text::{Bytes, Count, Nanos, Percent, escape};
use serde_json::json;

use crate::args::{ModelOptions, RunOptions};
use crate::exit::{Failure, Outcome};
use crate::{inputs, tensors};

/// Latencies kept for the quantiles; beyond that every second one is dropped and the stride doubled.
const MAX_LATENCIES: usize = 1 << 16;

pub(crate) fn run(options: &RunOptions) -> Outcome {
    let device = open(&options.model)?;
    let model = Model::open(&options.model.model)?;
    let dims = inputs::dims(&model, &options.model.dims)?;
    let begun = Instant::now();
    let program = model.compile(&dims, device.target(), bayplan::Options::default())?;
    let given = inputs::tensors(&program, &options.inputs, options.seed)?;
    if let Some(folder) = &options.outputs {
        std::fs::create_dir_all(folder).map_err(|e| Failure::new(format!("{}: {e}", folder.display())))?;
    }
    let session_options =
        SessionOptions { recording: recording(options, &device), ..SessionOptions::default() };
    let mut session = Session::new(&device, program, model.weights(), session_options)?;
    let report = Report { options, built: begun.elapsed() };
    report.head(&session);
    let named: Vec<(String, &Tensor)> =
        session.program().inputs.iter().map(|port| port.name.clone()).zip(&given).collect();
    let named: Vec<(&str, &Tensor)> = named.iter().map(|(name, tensor)| (name.as_str(), *tensor)).collect();
    let latencies = repeat(&mut session, &named, options)?;
    report.tail(&session, &latencies);
    Ok(ExitCode::SUCCESS)
}

/// Opens the device that the options name.
pub(crate) fn open(options: &ModelOptions) -> Result<Device, Failure> {
    let mut device = DeviceOptions::default();
    if let Some(name) = &options.device {
        device.selector = name.parse().map_err(|e| Failure::usage(format!("--device: {e}")))?;
    }
    Ok(Device::open(&device)?)
}

fn recording(options: &RunOptions, device: &Device) -> Option<RecordingOptions> {
    let on_cpu = device.target().class == bayplan_shaders::Class::Cpu;
    let level = options.trace_level.unwrap_or(if on_cpu { Level::Run } else { Level::Op });
    let mut recording = RecordingOptions::new(Places::from_env());
    recording.level = level;
    if let Some(file) = &options.trace {
        recording.destination = Destination::File(file.clone());
    }
    (level != Level::Off).then_some(recording)
}

/// Runs as often as asked, or until a signal says to stop; the last outputs are written.
fn repeat(
    session: &mut Session,
    named: &[(&str, &Tensor)],
    options: &RunOptions,
) -> Result<Latencies, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for &signal in signal_hook::consts::TERM_SIGNALS {
        // A second signal ends the process at once.
        let _ = signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop));
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(|e| Failure::new(e.to_string()))?;
    }
    let mut latencies = Latencies::default();
    for run in 0..options.runs {
        let begun = Instant::now();
        let outputs = session.run(named)?;
        latencies.add(begun.elapsed());
        let last = run + 1 == options.runs || stop.load(Ordering::Relaxed);
        if last {
            for output in outputs.iter() {
                let tensor = output.to_tensor()?;
                if let Some(folder) = &options.outputs {
                    save(folder, output.name(), &tensor)?;
                }
                if !options.quiet && !options.json {
                    println!("output     {} {}", escape(output.name()), describe(&tensor));
                }
            }
            break;
        }
    }
    Ok(latencies)
}

/// Writes an output under its name, with what a path would read as a folder replaced.
fn save(folder: &Path, name: &str, tensor: &Tensor) -> Result<(), Failure> {
    let file: String =
        name.chars().map(|c| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect();
    tensors::write(&folder.join(format!("{}.npy", file.trim_start_matches('.'))), tensor)
        .map_err(Failure::new)
}

/// Type, and the mean and range of the elements.
fn describe(tensor: &Tensor) -> String {
    let dims: Vec<String> = tensor.shape().iter().map(usize::to_string).collect();
    let ty = format!("{}[{}]", tensor.dtype(), dims.join(","));
    let elements = tensor.to_f64();
    if elements.is_empty() {
        return ty;
    }
    let (low, high) =
        elements.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &x| (l.min(x), h.max(x)));
    let mean = elements.iter().sum::<f64>() / elements.len() as f64;
    format!("{ty}  mean {mean:.4}  from {low:.4} to {high:.4}")
}

struct Report<'a> {
    options: &'a RunOptions,
    built: Duration,
}

impl Report<'_> {
    fn head(&self, session: &Session) {
        if self.options.quiet || self.options.json {
            return;
        }
        let (program, info) = (session.program(), session.device().info());
        let plan = &program.run.plan;
        let dims: Vec<String> =
            program.dims.iter().map(|(name, value)| format!("{}={value}", escape(name))).collect();
        println!("model      {}  {}", escape(&program.name), dims.join(" "));
        println!("device     {} · Vulkan {}", escape(&info.name), info.api_version);
        println!(
            "plan       arena {} · lower bound {} · waste {} · weights {} · {} dispatches, {} kernels",
            Bytes(program.arena_bytes[Arena::Activations.index()]),
            Bytes(plan.lower_bound.bytes),
            Percent(plan.waste()),
            Bytes(program.arena_bytes[Arena::Weights.index()]),
            program.run.dispatches.len(),
            program.kernels.len(),
        );
        println!("built      in {}", Nanos(self.built.as_nanos() as u64));
        if self.options.inputs.len() < program.inputs.len() {
            println!("inputs     drawn from seed {}", self.options.seed);
        }
        let recorder = session.trace().recorder();
        if let (Some(id), Some(path)) = (recorder.id(), recorder.path()) {
            println!("recording  {id}  {}", path.display());
        }
    }

    fn tail(&self, session: &Session, latencies: &Latencies) {
        let [median, p95, least] = latencies.quantiles();
        if self.options.json {
            let program = session.program();
            let plan = &program.run.plan;
            let recorder = session.trace().recorder();
            let report = json!({
                "version": 1,
                "model": program.name,
                "device": session.device().info().name,
                "dims": program.dims.iter().map(|(name, value)| (name.to_string(), json!(value))).collect::<serde_json::Map<_, _>>(),
                "arena_bytes": program.arena_bytes[Arena::Activations.index()],
                "weight_bytes": program.arena_bytes[Arena::Weights.index()],
                "lower_bound": plan.lower_bound.bytes,
                "waste": plan.waste(),
                "dispatches": program.run.dispatches.len(),
                "kernels": program.kernels.len(),
                "build_ns": self.built.as_nanos() as u64,
                "runs": session.runs(),
                "run_ns": { "median": median, "p95": p95, "min": least },
                "recording": recorder.path(),
            });
            println!("{report:#}");
        } else if !self.options.quiet {
            println!(
                "runs       {}  median {}  95 % {}  least {}",
                Count(session.runs()),
                Nanos(median),
                Nanos(p95),
                Nanos(least)
            );
        }
    }
}

/// Durations of runs, thinned evenly once there are many.
#[derive(Default)]
struct Latencies {
    kept: Vec<u64>,
    seen: u64,
    stride: u64,
}

impl Latencies {
    fn add(&mut self, latency: Duration) {
        let stride = self.stride.max(1);
        if self.seen.is_multiple_of(stride) {
            self.kept.push(latency.as_nanos() as u64);
        }
        self.seen += 1;
        if self.kept.len() == MAX_LATENCIES {
            let mut index = 0;
            self.kept.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride = stride * 2;
        }
    }

    /// Median, 95 % and least, in nanoseconds.
    fn quantiles(&self) -> [u64; 3] {
        let mut sorted = self.kept.clone();
        sorted.sort_unstable();
        let at =
            |part: usize| sorted.get((sorted.len().saturating_sub(1)) * part / 100).copied().unwrap_or(0);
        [at(50), at(95), at(0)]
    }
}
