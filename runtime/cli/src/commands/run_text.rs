//! What `bayplan run` says.

use std::path::PathBuf;
use std::time::Duration;

use bayplan::{Bindings, Bound, Judged, Session, Tensor};
use bayplan_record::Summary;
use bayplan_text::{Bytes, Count, Nanos, Percent, ellipsis};
use serde_json::{Map, Value, json};

use super::functions::Functions;
use super::plan::needed;
use super::plan_host::{host_json, host_line};
use crate::args::RunOptions;
use crate::inputs::Port;
use crate::latencies::Latencies;
use crate::out::counted;
use crate::outputs::describe;

/// Version of the JSON that this command prints.
const VERSION: u32 = 1;

/// Columns of a name in a line.
const NAME: usize = 40;

/// Weights that the file perhaps lacks, as many as are named.
const DOUBTFUL: usize = 3;

/// What a session is described by, beside itself.
pub(crate) struct Facts<'a> {
    pub(crate) options: &'a RunOptions,
    pub(crate) functions: &'a Functions,
    /// Values of the model's symbols.
    pub(crate) dims: &'a Bindings,
    /// The model's inputs.
    pub(crate) ports: &'a [Port],
    /// How long it took to compile the model and build the session.
    pub(crate) built: Duration,
    /// What was bound to weights of another file.
    pub(crate) bound: Option<&'a Bound>,
    /// What became of the plan that a packed model brings along.
    pub(crate) packed: Option<&'a Judged>,
}

/// What came of the runs.
pub(crate) struct Ran {
    /// Of the model: a condition that is computed before is part of a run.
    pub(crate) runs: u64,
    pub(crate) latencies: Latencies,
    /// The outputs of the last run.
    pub(crate) outputs: Vec<Written>,
}

/// An output of the last run.
pub(crate) struct Written {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    /// For people; empty where nobody reads it.
    line: String,
    file: Option<PathBuf>,
}

impl Written {
    pub(crate) fn new(name: &str, tensor: &Tensor, file: Option<PathBuf>, options: &RunOptions) -> Self {
        let read = !options.quiet && !options.format.is_json();
        Self {
            name: name.into(),
            dtype: tensor.dtype().to_string(),
            shape: tensor.shape().to_vec(),
            line: if read { describe(name, tensor) } else { String::new() },
            file,
        }
    }
}

/// `batch=4 seq=32`, cut where there are many.
pub(crate) fn dims_text(dims: &Bindings) -> String {
    let dims: Vec<String> = dims.iter().map(|(name, value)| format!("{name}={value}")).collect();
    ellipsis(&dims.join(" "), NAME).to_string()
}

/// The lines before the first run.
pub(crate) fn head(facts: &Facts<'_>, session: &Session) -> String {
    let (functions, device) = (facts.functions, session.device());
    let plan = &functions.largest().run.plan;
    let name = ellipsis(functions.model(), NAME);
    let mut text = format!("model      {name}  {}", dims_text(facts.dims)).trim_end().to_owned();
    text += &format!("\ndevice     {}", ellipsis(device.name(), 60));
    if let Some(info) = device.info() {
        text += &format!(" · Vulkan {}", info.api_version);
    }
    text += "\n";
    if let (Some(bound), Some(file)) = (facts.bound, &facts.options.model.weights.file) {
        text += &bound_line(bound, &file.display().to_string());
    }
    text += &format!(
        "plan       peak {} · lower bound {} · waste {}{}\n",
        Bytes(plan.peak),
        Bytes(plan.lower_bound.bytes),
        Percent(plan.waste()),
        if functions.are_several() { ", of the function that needs the most" } else { "" },
    );
    if let Some(packed) = facts.packed {
        text += &format!("packed     {packed}\n");
    }
    let &[activations, weights, load, _] = functions.arena_bytes();
    text += &format!("memory     arena {} · weights {}", Bytes(activations), Bytes(weights));
    if load > 0 {
        text += &format!(" · {} only while loading", Bytes(load));
    }
    text += "\n";
    if let Some(imported) = session.imported() {
        text += &format!("files      {imported}\n");
    }
    if let Some(budget) = facts.options.budget {
        let needed = needed(functions.arena_bytes(), None);
        text += &format!("budget     {} of {}\n", Bytes(needed), Bytes(budget));
    }
    text += &functions.text(&Nanos(facts.built.as_nanos() as u64).to_string());
    if let Some(host) = host_line(functions.largest()) {
        let whose = if functions.are_several() { " (of the function that needs the most)" } else { "" };
        text += &format!("host       {host}{whose}\n");
    }
    if facts.options.folder.is_none() && facts.options.inputs.len() < facts.ports.len() {
        let all = facts.options.inputs.is_empty();
        let which = if all { "drawn" } else { "those not given are drawn" };
        text += &format!("inputs     {which} from seed {}\n", facts.options.seed);
    }
    let recorder = session.trace().recorder();
    if let (Some(id), Some(path)) = (recorder.id(), recorder.path()) {
        text += &format!("recording  {id}  {}\n", bayplan_text::escape(&path.display().to_string()));
    }
    text
}

/// Where the weights come from, if not from the model.
fn bound_line(bound: &Bound, file: &str) -> String {
    let mut text =
        format!("weights    {} from {}", counted(bound.bound, "tensor", "tensors"), ellipsis(file, 60));
    if bound.kept > 0 {
        text += &format!(" · {} of the model's own", counted(bound.kept, "small one", "small ones"));
    }
    if bound.left_out > 0 {
        text += &format!(" · {} left out", Count(bound.left_out as u64));
    }
    text += "\n";
    // Constants that exporters make, or weights that the file lacks: only who made the file knows.
    if !bound.doubtful.is_empty() {
        text += &format!("           not in the file, so the model's own: {}\n", doubtful(bound));
    }
    text
}

/// The floats that the file could have had, the first of them with their types.
fn doubtful(bound: &Bound) -> String {
    let shown = bound.doubtful.iter().take(DOUBTFUL).map(|(name, ty)| format!("{} {ty}", ellipsis(name, 60)));
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if let Some(more @ 1..) = bound.doubtful.len().checked_sub(DOUBTFUL) {
        text += &format!(", and {} more", Count(more as u64));
    }
    text
}

/// The lines after the last run.
pub(crate) fn tail(facts: &Facts<'_>, session: &Session, ran: &Ran) -> String {
    let Ran { runs, latencies, outputs } = ran;
    let mut text = String::new();
    if facts.functions.are_several() {
        text += &format!("taken      {}\n", ellipsis(facts.functions.named(session.program()), NAME));
    }
    text.extend(outputs.iter().map(|output| format!("output     {}\n", output.line)));
    if let Some(folder) = &facts.options.outputs {
        text += &format!("written    {} in {}\n", counted(outputs.len(), "file", "files"), folder.display());
    }
    text += &format!("runs       {}", Count(*runs));
    if *runs < facts.options.runs {
        text += &format!(" of {}, then interrupted", Count(facts.options.runs));
    }
    let first = latencies.first().map_or_else(String::new, |first| Nanos(first).to_string());
    match latencies.quantiles() {
        Some([median, p95, least]) if *runs > 1 => {
            let (median, p95, least) = (Nanos(median), Nanos(p95), Nanos(least));
            text += &format!("  first {first}, then median {median}  95 % {p95}  least {least}");
        }
        _ if session.device().info().is_none() => text += &format!("  {first}"),
        _ => text += &format!("  {first}, kernels compiled on the way"),
    }
    text + "\n"
}

/// What a recording lacks, if it lacks anything.
pub(crate) fn incomplete(summary: &Summary) -> Option<String> {
    let lost = (summary.lost > 0).then(|| format!("{} events are not in it", Count(summary.lost)));
    match (&summary.disk_error, lost) {
        (Some(error), Some(lost)) => Some(format!("{error}; {lost}")),
        (Some(error), None) => Some(error.to_string()),
        (None, Some(lost)) => Some(format!("{lost}: they came faster than they could be written")),
        (None, None) => None,
    }
}

/// The same for programs: what the disk refused, or null.
pub(crate) fn gap_json(summary: &Summary) -> Value {
    summary.disk_error.as_ref().map_or(Value::Null, |gap| {
        json!({
            "file": gap.path, "error": gap.error, "from_ns": gap.from_ns, "until_ns": gap.until_ns,
            "events": gap.events,
        })
    })
}

/// The same for programs, or null.
fn bound_json(facts: &Facts<'_>) -> Value {
    facts.bound.map_or(Value::Null, |Bound { bound, kept, doubtful, left_out, .. }| {
        let doubtful: Vec<_> = doubtful.iter().map(|(name, _)| &**name).collect();
        json!({
            "file": facts.options.model.weights.file, "bound": bound, "kept": kept, "doubtful": doubtful,
            "left_out": left_out,
        })
    })
}

/// What became of the plan that a packed model brings along, for programs, or null.
pub(crate) fn packed_json(packed: Option<&Judged>) -> Value {
    match packed {
        None => Value::Null,
        Some(Judged::Holds { bytes, used }) => {
            json!({ "holds": true, "used": used, "bytes": bytes, "reason": null })
        }
        Some(Judged::Unfit { reason }) => {
            json!({ "holds": false, "used": false, "bytes": null, "reason": reason })
        }
    }
}

/// Bytes of weights that are not read in their files, and why.
fn left_json(left: &[(u64, String)]) -> Vec<Value> {
    left.iter().map(|(bytes, why)| json!({ "bytes": bytes, "why": why })).collect()
}

/// All of it for programs. Sizes are bytes, times nanoseconds; a file is null where none is written, the recording where
/// nothing is recorded. Where there are several functions, the arena is enough for each, and what is told of a plan is told
/// of the one that needs the most.
pub(crate) fn json(facts: &Facts<'_>, session: &Session, ran: &Ran) -> Value {
    let (functions, largest) = (facts.functions, facts.functions.largest());
    let plan = &largest.run.plan;
    let dims: Map<String, Value> =
        facts.dims.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
    let inputs: Vec<Value> = facts
        .ports
        .iter()
        .map(|port| json!({ "name": port.name, "dtype": port.dtype.to_string(), "shape": port.shape }))
        .collect();
    let outputs: Vec<Value> = ran
        .outputs
        .iter()
        .map(|output| {
            json!({ "name": output.name, "dtype": output.dtype, "shape": output.shape, "file": output.file })
        })
        .collect();
    let &[activations, weights, ..] = functions.arena_bytes();
    let [median, p95, least] = ran.latencies.quantiles().map_or([None; 3], |times| times.map(Some));
    json!({
        "version": VERSION,
        "model": functions.model(),
        "device": session.device().name(),
        "dims": dims,
        "budget": facts.options.budget,
        "seed": facts.options.seed,
        "inputs": inputs,
        "outputs": outputs,
        "arena_bytes": activations,
        "weight_bytes": weights,
        "weights": bound_json(facts),
        "imported": session.imported().map(|told| json!({ "bytes": told.bytes, "left": left_json(&told.left) })),
        "peak": plan.peak,
        "lower_bound": plan.lower_bound.bytes,
        "waste": plan.waste(),
        "packed_plan": packed_json(facts.packed),
        "dispatches": largest.run.dispatches.len(),
        "kernels": largest.kernels.len(),
        "host_nodes": host_json(largest),
        "functions": functions.json(),
        "function": functions.named(session.program()),
        "build_ns": facts.built.as_nanos() as u64,
        "runs": ran.runs,
        "interrupted": ran.runs < facts.options.runs,
        "run_ns": { "first": ran.latencies.first(), "median": median, "p95": p95, "min": least },
        "recording": session.trace().recorder().path(),
    })
}

#[cfg(test)]
mod tests {
    use bayplan_record::DiskError;

    use super::*;

    #[test]
    fn what_a_recording_lacks_is_told() {
        let error = || {
            let (path, error, from_ns) = ("x".into(), "no space".into(), Some(1_000_000_000));
            Some(DiskError { path, error, from_ns, until_ns: None, events: 1200 })
        };
        let cases = [
            (0, None, None),
            (0, error(), Some("could not write x: no space, from 1.00 s after its start on")),
            (
                1200,
                error(),
                Some(
                    "could not write x: no space, from 1.00 s after its start on; 1,200 events are not in it",
                ),
            ),
            (7, None, Some("7 events are not in it: they came faster than they could be written")),
        ];
        for (lost, disk_error, expected) in cases {
            let summary = Summary { lost, disk_error, ..Summary::default() };
            assert_eq!(incomplete(&summary).as_deref(), expected);
        }
    }
}
