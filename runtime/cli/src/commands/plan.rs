//! `bayplan plan`.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use bayplan::{Arena, Bindings, Brought, Device, Effort, Error, Options, Program, Target};
use bayplan_compile::plan_file::PlanFile;
use bayplan_compile::{Dims, Family, FunctionId};
use bayplan_graph::{ByteRange, Graph};
use bayplan_plan::csv::{self, Instance};
use bayplan_plan::{Plan, Violation, solve};
use bayplan_report::instance_plan;
use bayplan_text::{Bytes, Count, ellipsis, escape};
use bayplan_trace::PlanRecord;

use super::compared::plan_alone;
use super::fit::first_row;
use super::plan_json::{Rest, plan_json};
use super::plan_ports::with_policies;
use super::plan_shapes::shapes_text;
use super::plan_text::{instance_text, model_text};
use super::plan_times::Times;
use super::plan_why::labelled;
use super::planned::Planned;
use super::run::{compile_options, device_options, open_with, refused};
use crate::args::{ModelOptions, PlanFormat, PlanOptions};
use crate::exit::{Failure, Outcome};
use crate::out::counted;
use crate::{dims, out, shapes};

/// Largest instance read into memory: a million buffers take about 40 MB.
const MAX_CSV: u64 = 1 << 30;

/// Columns of an id in a message.
const ID: usize = 40;

pub(crate) fn plan(options: &PlanOptions) -> Outcome {
    let format = if options.json { PlanFormat::Json } else { options.format };
    let effort = options.effort.into();
    let path = &options.model.model;
    let text = if is_csv(path) {
        if !options.model.dims.is_empty() {
            return Err(Failure::usage("--dim applies to models; an instance in CSV has fixed sizes"));
        }
        if options.model.order.is_some() {
            return Err(Failure::usage("--order applies to models; an instance in CSV has no operators"));
        }
        if !options.model.dim_max.is_empty() || !options.model.dim_min.is_empty() {
            return Err(Failure::usage(
                "--dim-max and --dim-min apply to models; an instance in CSV has fixed sizes",
            ));
        }
        if options.model.weights.file.is_some() {
            return Err(Failure::usage("--weights applies to models; an instance in CSV has none"));
        }
        if !options.inputs.is_empty() || !options.outputs.is_empty() || options.budget.is_some() {
            return Err(Failure::usage(
                "--input, --output and --budget apply to models; an instance in CSV has only buffers",
            ));
        }
        instance(path, format, effort)?
    } else {
        return model(options, format, effort);
    };
    out::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// A plan as the reports on recordings tell it: nothing ran yet.
fn reported(record: PlanRecord, format: PlanFormat) -> String {
    let timeline = plan_alone(record);
    match format {
        PlanFormat::Svg => bayplan_report::svg(&timeline),
        PlanFormat::Html => bayplan_report::html(&timeline, &[], false, false),
        _ => bayplan_report::markdown(&timeline, &[], false, false),
    }
}

fn instance(path: &Path, format: PlanFormat, effort: Effort) -> Result<String, Failure> {
    let name = path.display().to_string();
    let instance = read(path)?;
    let given = given(&name, &instance)?;
    let plan = solve(&instance.problem, effort);
    let planned = Planned::new(&name, instance, plan, effort)?;
    let given_peak = given.as_ref().map(|given| given.peak);
    Ok(match format {
        PlanFormat::Csv => csv::write(&planned.instance, Some(&planned.plan)),
        PlanFormat::Json => plan_json("instance", &name, &planned, Rest::Instance { given_peak })?,
        PlanFormat::Text => instance_text(&name, &planned, given.as_ref()),
        PlanFormat::Markdown | PlanFormat::Svg | PlanFormat::Html => {
            reported(instance_plan(&name, &planned.instance, &planned.plan), format)
        }
    })
}

/// The plan of the offsets in the file, checked.
pub(super) fn given(name: &str, instance: &Instance) -> Result<Option<Plan>, Failure> {
    let Some(offsets) = &instance.offsets else { return Ok(None) };
    let plan = Plan::from_offsets(&instance.problem, offsets.clone(), "given");
    plan.map(Some).map_err(|violation| {
        Failure::new(format!("{}: the offsets are no plan: {}", escape(name), wrong(instance, &violation)))
    })
}

/// What is wrong with the offsets of an instance, its rows named by their ids.
fn wrong(instance: &Instance, violation: &Violation) -> String {
    let row = |index: u32| {
        let id = instance.ids.get(index as usize).map_or("", String::as_str);
        format!("row {} ({})", u64::from(index) + 1, ellipsis(id, ID))
    };
    match *violation {
        Violation::Overlap { a, b, from, to, point } => format!(
            "{} and {} are both live at point {point} and share {}, {from}..{to}",
            row(a),
            row(b),
            counted((to - from) as usize, "byte", "bytes")
        ),
        Violation::Misaligned { buffer, offset, align } => {
            format!("{}: offset {offset} is no multiple of its alignment {align}", row(buffer))
        }
        Violation::Moved { buffer, offset, fixed } => {
            format!("{}: offset {offset}, but it is fixed at {fixed}", row(buffer))
        }
        Violation::OffsetTooLarge { buffer, offset } => {
            format!("{}: offset {offset} plus its size passes 64 bits", row(buffer))
        }
        // Peak and bounds are worked out, not given.
        ref other => other.to_string(),
    }
}

/// Whether a path is that of an instance, by its ending.
pub(super) fn is_csv(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
}

/// Reads an instance; the message of what is wrong names the file.
pub(super) fn read(path: &Path) -> Result<Instance, Failure> {
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

fn model(options: &PlanOptions, format: PlanFormat, effort: Effort) -> Outcome {
    let model = open_with(&options.model, None, &options.values)?;
    let dims = dims::known(model.graph(), &options.model)?;
    let open = dims::open(model.graph(), &dims);
    if !open.is_empty() && options.budget.is_none() {
        return Err(dims::without_value(&open, &dims.pinned, &model.graph().constraints));
    }
    let solved_for = options.budget.filter(|_| !open.is_empty());
    let dims = shapes::sized(model.graph(), dims, solved_for)?;
    let (device, why) = device(&options.model)?;
    let generic = Target::generic();
    let target = device.as_ref().map_or(&generic, Device::target);
    let compile_options =
        with_policies(compile_options(&options.model, effort), &options.inputs, &options.outputs)?;
    let read = |range: &ByteRange| model.read(range);
    let brought = Brought::open(&options.model.model, model.graph());
    let whole = dims::complete(model.graph(), &dims);
    let known = brought.as_ref().map(|plan| plan.known(&whole)).unwrap_or_default();
    let compile_options = Options { known, ..compile_options };
    let family = match solved_for {
        Some(budget) => first_row(model.graph(), &dims, budget, (target, &compile_options, &read))?.0,
        None => Family::new(model.graph(), &dims, target, &compile_options, &read)
            .map_err(|e| refused(e, !dims.pinned.is_empty()))?,
    };
    let file = PlanFile::of(&family, model.graph()).map_err(Error::from)?;
    let shapes = (!file.functions.is_empty()).then_some(&file);
    let (function, program) = largest(&family, &file, model.graph(), &dims)?;
    let times = Times::of(&family, function, &program.dims).map_err(Error::from)?;
    if let Some(Err(e)) = device.map(|device| device.check_memory(&program)) {
        out::error_line("warning", &format!("this would not run now: {e}"));
    }
    let planned = Planned::of_program(&program, effort)?;
    let packed = brought.map(|plan| plan.judge(&program));
    let mut text = match format {
        PlanFormat::Csv => csv::write(&escaped(planned.instance), None),
        PlanFormat::Json => plan_json(
            "model",
            &program.name,
            &planned,
            Rest::of_program(&program, shapes, &times, packed.as_ref())?,
        )?,
        PlanFormat::Text => model_text(&program, &planned, &times, why.as_deref()),
        PlanFormat::Markdown | PlanFormat::Svg | PlanFormat::Html => {
            reported(bayplan_compile::record(&program), format)
        }
    };
    if let (PlanFormat::Text, Some(file)) = (format, shapes) {
        text += &shapes_text(file);
    }
    if let (PlanFormat::Text, Some(packed)) = (format, &packed) {
        text += &labelled("packed", &packed.to_string());
    }
    out::print(&text)?;
    held(needed(&program.arena_bytes, shapes), options.budget)
}

/// The function and the shape that need the largest arena, with the program there.
fn largest(
    family: &Family,
    file: &PlanFile,
    graph: &Graph,
    dims: &Dims,
) -> Result<(FunctionId, Program), Failure> {
    let mut most: Option<(FunctionId, Program)> = None;
    for (function, name) in family.functions() {
        let own = file.functions.iter().filter(|plan| plan.function == name);
        let own = own.max_by_key(|plan| plan.reservation.attained);
        // A model with branches has no program of its own, only its ways have.
        if own.is_none() && family.points(function).is_empty() {
            continue;
        }
        let mut point = own.map_or_else(Bindings::new, |plan| plan.reservation.at.clone());
        for (symbol, bounds) in family.scope(function).iter() {
            if point.get(symbol).is_none() {
                point.set(symbol, bounds.upper.unwrap_or(bounds.lower));
            }
        }
        let whole = dims::complete(graph, &dims::with(dims, &point));
        let program = family.at(function, &whole).map_err(Error::from)?;
        let bytes = |program: &Program| program.arena_bytes[Arena::Activations.index()];
        if most.as_ref().is_none_or(|(_, other)| bytes(other) < bytes(&program)) {
            most = Some((function, program));
        }
    }
    most.ok_or_else(|| Failure::new("the model has no function"))
}

/// Bytes of device memory that a session takes: weights, and what is larger of loading them and the activations of the
/// largest shape.
pub(super) fn needed(arena_bytes: &[u64; Arena::ALL.len()], shapes: Option<&PlanFile>) -> u64 {
    let of = |arena: Arena| arena_bytes[arena.index()];
    let run = shapes.map_or(of(Arena::Activations), PlanFile::arena_bytes);
    of(Arena::Weights).saturating_add(run.max(of(Arena::Load)))
}

/// Whether a budget holds what is needed; a message and exit code 1 if not.
pub(super) fn held(needed: u64, budget: Option<u64>) -> Outcome {
    match budget {
        Some(budget) if needed > budget => Err(Failure::new(format!(
            "the plan takes {} bytes, {} more than the budget of {}; `bayplan fit` tells what fits",
            Count(needed),
            Count(needed - budget),
            Bytes(budget)
        ))),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// The same with ids that are harmless in a terminal: a file's ids are the user's own, a model's names are not.
fn escaped(instance: Instance) -> Instance {
    Instance { ids: instance.ids.iter().map(|id| escape(id).to_string()).collect(), ..instance }
}

/// The device that was asked for, else the best one, else none (the built-in target stands for it) and why.
fn device(options: &ModelOptions) -> Result<(Option<Device>, Option<String>), Failure> {
    let device = device_options(&options.device)?;
    match Device::open(&device) {
        Ok(device) => Ok((Some(device), None)),
        Err(Error::NoDevice(e)) if device == Default::default() => Ok((None, Some(e.to_string()))),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_offsets_are_checked_and_their_rows_named() {
        let check = |rows: &str, expect: Result<u64, &str>| {
            let text = format!("id,lower,upper,size,alignment,offset\n{rows}");
            let found = given("x.csv", &csv::read(&text).unwrap());
            match (found, expect) {
                (Ok(plan), Ok(peak)) => assert_eq!(plan.map(|plan| plan.peak), Some(peak), "{rows}"),
                (Err(failure), Err(words)) => {
                    let (message, code) = failure.parts();
                    assert!(message.contains(words) && code == 1, "{message}");
                }
                (found, _) => panic!("{rows}: {found:?}"),
            }
        };
        check("a,0,2,100,1,0\nb,1,3,50,1,150\n", Ok(200));
        check("a,0,2,100,1,0\nb,2,3,50,1,0\n", Ok(100));
        let shared = "row 1 (a) and row 2 (b\\x1b) are both live at point 1 and share 1 byte, 99..100";
        check("a,0,2,100,1,0\nb\u{1b},1,3,50,1,99\n", Err(shared));
        check("a,0,2,100,64,0\nb,1,3,50,64,100\n", Err("row 2 (b): offset 100 is no multiple"));
        check("a,0,2,100,1,18446744073709551615\n", Err("row 1 (a): offset 18446744073709551615 plus"));
        let moved = "id,lower,upper,size,fixed,offset\na,0,2,100,64,0\n";
        let failure = given("x.csv", &csv::read(moved).unwrap()).unwrap_err();
        assert!(failure.parts().0.contains("row 1 (a): offset 0, but it is fixed at 64"), "{failure:?}");
        let none = given("x.csv", &csv::read("id,lower,upper,size\na,0,2,100\n").unwrap()).unwrap();
        assert_eq!(none, None);
    }
}
