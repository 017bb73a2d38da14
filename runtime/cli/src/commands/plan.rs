//! `bayplan plan`.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use bayplan::{Device, Effort, EngineError, Target};
use bayplan_plan::csv::{self, Instance};
use bayplan_plan::{solve, validate};
use bayplan_text::{Bytes, escape};

use super::plan_text::{instance_json, instance_text, model_csv, model_json, model_text};
use super::run::{compile, device_options, open_model};
use crate::args::{ModelOptions, PlanFormat, PlanOptions};
use crate::exit::{Failure, Outcome};
use crate::{inputs, out};

/// Largest instance read into memory: a million buffers take about 40 MB.
const MAX_CSV: u64 = 1 << 30;

pub(crate) fn plan(options: &PlanOptions) -> Outcome {
    let format = if options.json { PlanFormat::Json } else { options.format };
    let path = &options.model.model;
    let text = if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
        if !options.model.dims.is_empty() {
            return Err(Failure::usage("--dim applies to models; an instance in CSV has fixed sizes"));
        }
        instance(path, format)?
    } else {
        model(&options.model, format)?
    };
    out::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn instance(path: &Path, format: PlanFormat) -> Result<String, Failure> {
    let name = path.display().to_string();
    let instance = read(path)?;
    let plan = solve(&instance.problem, Effort::Normal);
    validate(&instance.problem, &plan).map_err(|e| {
        Failure::new(format!(
            "the plan of {name} did not pass its validator: {e}; this is a defect of bayplan"
        ))
    })?;
    Ok(match format {
        PlanFormat::Csv => csv::write(&instance, Some(&plan)),
        PlanFormat::Json => instance_json(&name, &instance, &plan)?,
        PlanFormat::Text => instance_text(&name, &instance, &plan),
    })
}

fn read(path: &Path) -> Result<Instance, Failure> {
    let fail =
        |e: &dyn std::fmt::Display| Failure::new(format!("{}: {e}", escape(&path.display().to_string())));
    // Asked before it is opened: opening a pipe waits for its other end.
    if !fs::metadata(path).map_err(|e| fail(&e))?.is_file() {
        return Err(fail(&"it is no file; give a CSV file with the columns id, lower, upper and size"));
    }
    let file = fs::File::open(path).map_err(|e| fail(&e))?;
    let mut bytes = Vec::new();
    let read = file.take(MAX_CSV + 1).read_to_end(&mut bytes).map_err(|e| fail(&e))?;
    if read as u64 > MAX_CSV {
        return Err(fail(&format!("it is larger than {}", Bytes(MAX_CSV))));
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let before = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        fail(&format!("line {line}: it is no text in UTF-8"))
    })?;
    csv::read(&text).map_err(|e| fail(&e))
}

fn model(options: &ModelOptions, format: PlanFormat) -> Result<String, Failure> {
    let model = open_model(&options.model)?;
    let dims = inputs::dims(&model, &options.dims)?;
    let (target, why) = target(options)?;
    let program = compile(&model, &dims, &target)?;
    Ok(match format {
        PlanFormat::Csv => model_csv(&program)?,
        PlanFormat::Json => model_json(&program)?,
        PlanFormat::Text => model_text(&program, why.as_deref()),
    })
}

/// The device that was asked for, else the best one, else the built-in one and why.
fn target(options: &ModelOptions) -> Result<(Target, Option<String>), Failure> {
    let device = device_options(options)?;
    match Device::open(&device) {
        Ok(device) => Ok((device.target().clone(), None)),
        Err(e @ (EngineError::Vulkan(_) | EngineError::Select(_))) if device == Default::default() => {
            Ok((Target::generic(), Some(e.to_string())))
        }
        Err(e) => Err(e.into()),
    }
}
