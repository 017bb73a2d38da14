//! `bayplan conform`: many models, each with its inputs, one line of JSON for each.

use std::fmt::Display;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bayplan::{Device, Options, Session, SessionOptions, Tensor};
use bayplan_compile::host_node::HostNode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::functions::Functions;
use super::run::{compile, device_options, open_for};
use crate::args::ConformOptions;
use crate::exit::{Failure, Outcome};
use crate::tensor_file;

/// A line of the list.
#[derive(Debug, Deserialize)]
struct Case {
    id: String,
    /// The ONNX file.
    model: PathBuf,
    /// The folder of `input_0.pb` and so on, in the order of the graph's inputs.
    inputs: PathBuf,
    /// The folder for `output_0.pb` and so on, made if it is missing.
    outputs: PathBuf,
}

/// What a case that ran took.
struct Done {
    dispatches: usize,
    kernels: usize,
    /// The nodes that the host computed, with the reason.
    host: Vec<String>,
}

/// Works through a list in its order. What is wrong with one case is told in its line, and the next one follows.
pub(crate) fn conform(options: &ConformOptions) -> Outcome {
    let path = &options.list;
    let named = |e: &dyn Display| Failure::new(format!("{}: {e}", path.display()));
    let list = fs::File::open(path).map_err(|e| named(&e))?;
    let options = device_options(&options.device)?;
    let mut device = Device::open(&options)?;
    let mut out = std::io::stdout().lock();
    for (number, line) in (1..).zip(BufReader::new(list).lines()) {
        let wrong = |e: &dyn Display| named(&format!("line {number}: {e}"));
        let line = line.map_err(|e| wrong(&e))?;
        if line.trim().is_empty() {
            continue;
        }
        let case: Case = serde_json::from_str(&line).map_err(|e| wrong(&e))?;
        let begun = Instant::now();
        // A panic is a defect, but the cases behind it are asked all the same.
        let done = catch_unwind(AssertUnwindSafe(|| run(&case, &device)));
        let broken = done.as_ref().map_or(true, |done| done.as_ref().is_err_and(Failure::is_of_device));
        let done = done
            .unwrap_or_else(|_| Err(Failure::new("bayplan panicked, which is a defect; please report it")));
        let told = told(&case.id, done, begun.elapsed());
        writeln!(out, "{told}").and_then(|()| out.flush()).map_err(|e| Failure::new(e.to_string()))?;
        if broken {
            device = Device::open(&options)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The line that tells what became of a case.
fn told(id: &str, done: Result<Done, Failure>, took: Duration) -> Value {
    let ms = took.as_secs_f64() * 1e3;
    match done {
        Ok(Done { dispatches, kernels, host }) => json!({
            "id": id, "status": "ok", "ms": ms, "dispatches": dispatches, "host_nodes": host.len(), "host": host,
            "kernels": kernels,
        }),
        Err(failure) => {
            let status = if failure.is_unsupported() { "unsupported" } else { "error" };
            json!({ "id": id, "status": status, "error": failure.message(), "ms": ms })
        }
    }
}

/// Runs a case, compiled for the shapes of its inputs, and writes its outputs.
fn run(case: &Case, device: &Device) -> Result<Done, Failure> {
    let given = |at: usize| tensor_file::read(&tensor_file::numbered(&case.inputs, "input", at));
    let model = open_for(&case.model, None, &mut |input| given(input.index).map(Some))?;
    let graph = model.graph();
    let names: Vec<&str> = graph.inputs.iter().map(|&id| &*graph.value(id).name).collect();
    let inputs: Vec<Tensor> = (0..names.len()).map(given).collect::<Result<_, _>>()?;
    let given: Vec<(&str, &Tensor)> = names.into_iter().zip(&inputs).collect();
    let dims = model.dims_for(&given)?;
    let family = compile(&model, &dims, device.target(), &Options::default())?;
    device.check_memory(Functions::of(&family)?.largest())?;
    let mut session = Session::new(device, family, model.weights(), SessionOptions::default())?;
    let outputs = session.run(&given)?;
    fs::create_dir_all(&case.outputs)
        .map_err(|e| Failure::new(format!("{}: {e}", case.outputs.display())))?;
    for (at, output) in outputs.iter().enumerate() {
        let path = tensor_file::numbered(&case.outputs, "output", at);
        tensor_file::write(&path, output.name(), &output.to_tensor()?)?;
    }
    let program = session.program();
    let (dispatches, kernels) = (program.run.dispatches.len(), program.kernels.len());
    let told = |node: HostNode| format!("{}: {}", node.op, node.why);
    Ok(Done { dispatches, kernels, host: program.host_nodes().into_iter().map(told).collect() })
}
