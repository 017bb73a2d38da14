//! `bayplan plan`.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use bayplan::{Arena, Device, DeviceOptions, EngineError, Model, Options, Program, Target, record};
use bayplan_plan::csv::{self, Instance};
use bayplan_plan::{Effort, Plan, solve, validate};
use bayplan_text::{Bytes, Count, Percent, escape};
use serde_json::{Value, json};

use crate::args::{ModelOptions, PlanFormat, PlanOptions};
use crate::exit::{Failure, Outcome};
use crate::inputs;

/// Version of the JSON that this command prints.
const VERSION: u32 = 1;

/// Largest instance read into memory: a million buffers take about 40 MB.
const MAX_CSV: u64 = 1 << 30;

/// Buffers listed for people.
const LISTED: usize = 12;

pub(crate) fn plan(options: &PlanOptions) -> Outcome {
    let format = if options.json { PlanFormat::Json } else { options.format };
    let path = &options.model.model;
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
        instance(path, &options.model, format)?;
    } else {
        model(&options.model, format)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn instance(path: &Path, options: &ModelOptions, format: PlanFormat) -> Result<(), Failure> {
    if !options.dims.is_empty() {
        return Err(Failure::usage("--dim applies to models; an instance in CSV has fixed sizes"));
    }
    let instance = csv::read(&read(path)?).map_err(|e| Failure::new(format!("{}: {e}", path.display())))?;
    let plan = solve(&instance.problem, Effort::Normal);
    validate(&instance.problem, &plan).map_err(|e| {
        Failure::new(format!("the plan did not pass its validator: {e}; this is a defect of bayplan"))
    })?;
    match format {
        PlanFormat::Csv => print!("{}", csv::write(&instance, Some(&plan))),
        PlanFormat::Json => println!("{:#}", instance_json(path, &instance, &plan)),
        PlanFormat::Text => {
            println!("instance     {}  {} buffers", path.display(), Count(instance.problem.len() as u64));
            summary(&plan);
            let live = instance.problem.live_at(plan.lower_bound.witness);
            let sizes = live.iter().map(|&index| {
                (instance.ids[index as usize].as_str(), instance.problem.buffers()[index as usize].size)
            });
            largest("live at the witness", sizes.collect());
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, Failure> {
    let fail = |e: &dyn std::fmt::Display| Failure::new(format!("{}: {e}", path.display()));
    let file = fs::File::open(path).map_err(|e| fail(&e))?;
    let mut text = String::new();
    let read = file.take(MAX_CSV + 1).read_to_string(&mut text).map_err(|e| fail(&e))?;
    if read as u64 > MAX_CSV {
        return Err(fail(&format!("it is larger than {}", Bytes(MAX_CSV))));
    }
    Ok(text)
}

fn instance_json(path: &Path, instance: &Instance, plan: &Plan) -> Value {
    let live = instance.problem.live_at(plan.lower_bound.witness);
    let buffers = instance.problem.buffers().iter().zip(&instance.ids).zip(&plan.offsets);
    let buffers: Vec<Value> = buffers
        .map(|((buffer, id), offset)| {
            json!({
                "id": id,
                "lower": buffer.lifespan.first,
                "upper": buffer.lifespan.last,
                "size": buffer.size,
                "alignment": buffer.align,
                "offset": offset,
            })
        })
        .collect();
    let mut object = plan_json(plan);
    object["kind"] = json!("instance");
    object["instance"] = json!(path.display().to_string());
    object["witness"]["live"] = live.iter().map(|&index| json!(instance.ids[index as usize])).collect();
    object["buffers"] = json!(buffers);
    object
}

/// What every plan is described by. Sizes are bytes; the witness is a program point at which the live buffers' sizes add
/// up to the lower bound.
fn plan_json(plan: &Plan) -> Value {
    json!({
        "version": VERSION,
        "peak": plan.peak,
        "lower_bound": plan.lower_bound.bytes,
        "witness": { "point": plan.lower_bound.witness },
        "gap": plan.gap(),
        "waste": plan.waste(),
        "status": plan.status.name(),
        "strategy": plan.strategy,
    })
}

fn model(options: &ModelOptions, format: PlanFormat) -> Result<(), Failure> {
    let model = Model::open(&options.model)?;
    let dims = inputs::dims(&model, &options.dims)?;
    let target = target(options)?;
    let program = model.compile(&dims, &target, Options::default())?;
    match format {
        PlanFormat::Json => println!("{:#}", model_json(&program)?),
        PlanFormat::Csv => print!("{}", model_csv(&program)),
        PlanFormat::Text => model_text(&program),
    }
    Ok(())
}

/// The device that was asked for, else the best one, else the built-in one.
fn target(options: &ModelOptions) -> Result<Target, Failure> {
    let mut device = DeviceOptions::default();
    if let Some(name) = &options.device {
        device.selector = name.parse().map_err(|e| Failure::usage(format!("--device: {e}")))?;
    }
    match Device::open(&device) {
        Ok(device) => Ok(device.target().clone()),
        Err(EngineError::Vulkan(_)) if options.device.is_none() => Ok(Target::generic()),
        Err(e) => Err(e.into()),
    }
}

fn model_json(program: &Program) -> Result<Value, Failure> {
    let record: Value =
        serde_json::from_str(&record(program).to_json()).map_err(|e| Failure::new(e.to_string()))?;
    let mut object = plan_json(&program.run.plan);
    object["kind"] = json!("model");
    object["weight_bytes"] = json!(program.arena_bytes[Arena::Weights.index()]);
    object["arena_bytes"] = json!(program.arena_bytes[Arena::Activations.index()]);
    object["load_peak"] = json!(program.load.plan.peak);
    object["kernels"] = json!(program.kernels.len());
    object["plan"] = record;
    Ok(object)
}

/// The buffers of the run's plan as an instance.
fn model_csv(program: &Program) -> String {
    let mut text = String::from("id,lower,upper,size,alignment,offset\n");
    for buffer in record(program).buffers.iter().filter(|buffer| buffer.arena == 0) {
        let name = buffer.name.replace('"', "\"\"");
        text += &format!(
            "\"{name}\",{},{},{},{},{}\n",
            buffer.first, buffer.last, buffer.size, buffer.alignment, buffer.offset
        );
    }
    text
}

fn model_text(program: &Program) {
    let dims: Vec<String> =
        program.dims.iter().map(|(name, value)| format!("{}={value}", escape(name))).collect();
    println!("model        {}  {}", escape(&program.name), dims.join(" "));
    println!("target       {}", escape(&program.target.name));
    summary(&program.run.plan);
    println!("weights      {}", Bytes(program.arena_bytes[Arena::Weights.index()]));
    println!("load peak    {}  while weights are loaded", Bytes(program.load.plan.peak));
    println!(
        "dispatches   {} per run, {} while loading, {} kernels",
        program.run.dispatches.len(),
        program.load.dispatches.len(),
        program.kernels.len()
    );
    let witness = program.run.plan.lower_bound.witness;
    if let Some(dispatch) = program.run.dispatches.get(witness as usize) {
        println!("at op {witness}      {} ({})", escape(&dispatch.name), escape(&dispatch.source_op));
    }
    let live = program.buffers.iter().filter(|buffer| {
        buffer.arena == Arena::Activations
            && buffer.kind != bayplan_compile::BufferKind::Load
            && buffer.lifespan.contains(&witness)
    });
    largest("live at the peak", live.map(|buffer| (buffer.name.as_str(), buffer.size)).collect());
}

fn summary(plan: &Plan) {
    println!("peak         {}  ({} bytes)", Bytes(plan.peak), Count(plan.peak));
    println!(
        "lower bound  {}  ({} bytes), the live buffers at point {}",
        Bytes(plan.lower_bound.bytes),
        Count(plan.lower_bound.bytes),
        plan.lower_bound.witness
    );
    println!("waste        {}  ({} bytes), {}", Percent(plan.waste()), Count(plan.gap()), plan.status.name());
    println!("strategy     {}", plan.strategy);
}

fn largest(title: &str, mut sizes: Vec<(&str, u64)>) {
    sizes.sort_by_key(|&(_, size)| std::cmp::Reverse(size));
    println!("{title}:");
    for (name, size) in sizes.iter().take(LISTED) {
        println!("  {:>10}  {}", Bytes(*size).to_string(), escape(name));
    }
    if sizes.len() > LISTED {
        let rest: u64 = sizes[LISTED..].iter().map(|(_, size)| size).sum();
        println!("  {:>10}  {} more", Bytes(rest).to_string(), sizes.len() - LISTED);
    }
}
