//! What `bayplan plan` says.

use bayplan::{Arena, Program, record};
use bayplan_compile::BufferKind;
use bayplan_plan::csv::{self, Instance};
use bayplan_plan::{Buffer, Plan, Problem};
use bayplan_text::{Bytes, Count, Percent, ellipsis, escape};
use serde::Serialize;
use serde_json::{Value, json};

use super::devices::target_json;
use super::run_text::dims_text;
use crate::exit::Failure;
use crate::out::{counted, plain};

/// Version of the JSON that this command prints.
const VERSION: u32 = 1;

/// Buffers listed for people.
const LISTED: usize = 12;

/// Columns of a name in a line.
const NAME: usize = 80;

/// A plan for programs. Sizes are bytes; the witness is a program point at which the live buffers' sizes add up to the
/// lower bound; the gap is the peak less the lower bound, the waste that gap as a share of the lower bound.
#[derive(Serialize)]
struct PlanJson<'a, Rest> {
    version: u32,
    kind: &'static str,
    name: &'a str,
    peak: u64,
    lower_bound: u64,
    witness: Witness<'a>,
    gap: u64,
    waste: f64,
    status: &'static str,
    strategy: &'static str,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Serialize)]
struct Witness<'a> {
    point: u32,
    /// The buffers that are live there.
    live: Vec<&'a str>,
}

#[derive(Serialize)]
struct InstanceJson<'a> {
    /// The peak of the offsets in the file.
    given_peak: Option<u64>,
    buffers: Vec<BufferJson<'a>>,
}

#[derive(Serialize)]
struct BufferJson<'a> {
    id: &'a str,
    lower: u32,
    upper: u32,
    size: u64,
    alignment: u64,
    offset: u64,
}

#[derive(Serialize)]
struct ModelJson {
    dims: serde_json::Map<String, Value>,
    target: Value,
    arena_bytes: u64,
    weight_bytes: u64,
    load_peak: u64,
    dispatches: usize,
    kernels: usize,
    /// Buffers, ops and weights, as a recording keeps them.
    plan: Value,
}

fn plan_json<Rest: Serialize>(
    kind: &'static str,
    name: &str,
    plan: &Plan,
    live: Vec<&str>,
    rest: Rest,
) -> Result<String, Failure> {
    let plan = PlanJson {
        version: VERSION,
        kind,
        name,
        peak: plan.peak,
        lower_bound: plan.lower_bound.bytes,
        witness: Witness { point: plan.lower_bound.witness, live },
        gap: plan.gap(),
        waste: plan.waste(),
        status: plan.status.name(),
        strategy: plan.strategy,
        rest,
    };
    let text = serde_json::to_string_pretty(&plan).map_err(|e| Failure::new(e.to_string()))?;
    Ok(plain(&text) + "\n")
}

pub(crate) fn instance_json(
    name: &str,
    instance: &Instance,
    plan: &Plan,
    given: Option<&Plan>,
) -> Result<String, Failure> {
    let live = instance.problem.live_at(plan.lower_bound.witness);
    let live = live.iter().map(|&index| instance.ids[index as usize].as_str()).collect();
    let buffers = instance.problem.buffers().iter().zip(&instance.ids).zip(&plan.offsets);
    let buffers = buffers.map(|((buffer, id), &offset)| BufferJson {
        id,
        lower: buffer.lifespan.first,
        upper: buffer.lifespan.last,
        size: buffer.size,
        alignment: buffer.align,
        offset,
    });
    let buffers = buffers.collect();
    plan_json(
        "instance",
        name,
        plan,
        live,
        InstanceJson { given_peak: given.map(|given| given.peak), buffers },
    )
}

pub(crate) fn instance_text(name: &str, instance: &Instance, plan: &Plan, given: Option<&Plan>) -> String {
    let count = counted(instance.problem.len(), "buffer", "buffers");
    let mut text = format!("instance     {}  {count}\n", escape(name));
    text += &summary(plan);
    if let Some(given) = given {
        text += &format!("given        {}, the peak of the offsets in the file\n", sized(given.peak));
    }
    let live = instance.problem.live_at(plan.lower_bound.witness);
    let sizes = live.iter().map(|&index| {
        (instance.ids[index as usize].as_str(), instance.problem.buffers()[index as usize].size)
    });
    text + &largest("live at the witness", sizes.collect())
}

/// The buffers of a run's arena that are live at a point, with their sizes.
fn live_at(program: &Program, point: u32) -> Vec<(&str, u64)> {
    let live = program.buffers.iter().filter(|buffer| {
        buffer.arena == Arena::Activations
            && buffer.kind != BufferKind::Load
            && buffer.lifespan.contains(&point)
    });
    live.map(|buffer| (buffer.name.as_str(), buffer.size)).collect()
}

pub(crate) fn model_json(program: &Program) -> Result<String, Failure> {
    let fail = |e: serde_json::Error| Failure::new(e.to_string());
    let live = live_at(program, program.run.plan.lower_bound.witness);
    let rest = ModelJson {
        dims: program.dims.iter().map(|(name, value)| (name.to_string(), json!(value))).collect(),
        target: target_json(&program.target),
        arena_bytes: program.arena_bytes[Arena::Activations.index()],
        weight_bytes: program.arena_bytes[Arena::Weights.index()],
        load_peak: program.load.plan.peak,
        dispatches: program.run.dispatches.len(),
        kernels: program.kernels.len(),
        plan: serde_json::from_str(&record(program).to_json()).map_err(fail)?,
    };
    let live = live.into_iter().map(|(name, _)| name).collect();
    plan_json("model", &program.name, &program.run.plan, live, rest)
}

/// The buffers of the run's plan as an instance, placed. Ids are names, escaped.
pub(crate) fn model_csv(program: &Program) -> Result<String, Failure> {
    let record = record(program);
    let rows = || record.buffers.iter().filter(|buffer| buffer.arena == 0);
    let buffers = rows().map(|row| Buffer::new(row.size, row.first, row.last).aligned(row.alignment));
    let instance = Instance {
        ids: rows().map(|row| escape(&row.name).to_string()).collect(),
        problem: Problem::new(buffers.collect()).map_err(|e| Failure::new(e.to_string()))?,
        offsets: Some(rows().map(|row| row.offset).collect()),
    };
    Ok(csv::write(&instance, None))
}

pub(crate) fn model_text(program: &Program, why: Option<&str>) -> String {
    let dims = dims_text(program);
    let mut text = format!("model        {}  {dims}", ellipsis(&program.name, 40)).trim_end().to_owned();
    text += &format!("\ntarget       {}\n", ellipsis(&program.target.name, NAME));
    if let Some(why) = why {
        text += &format!("             {}\n", ellipsis(why, NAME));
    }
    text += &summary(&program.run.plan);
    text += &format!("weights      {}\n", Bytes(program.arena_bytes[Arena::Weights.index()]));
    text += &format!("load peak    {}  while weights are loaded\n", Bytes(program.load.plan.peak));
    text += &format!(
        "dispatches   {} per run, {} while loading, {}\n",
        Count(program.run.dispatches.len() as u64),
        Count(program.load.dispatches.len() as u64),
        counted(program.kernels.len(), "kernel", "kernels")
    );
    let witness = program.run.plan.lower_bound.witness;
    if let Some(dispatch) = program.run.dispatches.get(witness as usize) {
        let (name, op) = (ellipsis(&dispatch.name, 52), ellipsis(&dispatch.source_op, 20));
        text += &format!("witness      op {witness}  {name} ({op})\n");
    }
    text + &largest("live there", live_at(program, witness))
}

/// Bytes, short and in full.
fn sized(bytes: u64) -> String {
    format!("{:<10}  {} bytes", Bytes(bytes).to_string(), Count(bytes))
}

fn summary(plan: &Plan) -> String {
    let mut text = format!("peak         {}\n", sized(plan.peak));
    let witness = plan.lower_bound.witness;
    text += &format!("lower bound  {}, live at point {witness}\n", sized(plan.lower_bound.bytes));
    let waste = Percent(plan.waste()).to_string();
    text += &format!("waste        {waste:<10}  {} bytes, {}\n", Count(plan.gap()), plan.status.name());
    text + &format!("strategy     {}\n", plan.strategy)
}

fn largest(title: &str, mut sizes: Vec<(&str, u64)>) -> String {
    sizes.sort_by_key(|&(_, size)| std::cmp::Reverse(size));
    let mut text = format!("{title}:\n");
    for (name, size) in sizes.iter().take(LISTED) {
        text += &format!("  {:>10}  {}\n", Bytes(*size).to_string(), ellipsis(name, NAME));
    }
    if sizes.len() > LISTED {
        let rest: u64 = sizes[LISTED..].iter().map(|(_, size)| size).sum();
        text += &format!("  {:>10}  in {} more\n", Bytes(rest).to_string(), sizes.len() - LISTED);
    }
    text
}

#[cfg(test)]
mod tests {
    use bayplan_plan::{Effort, solve};
    use clap::CommandFactory;

    use super::*;

    const CSV: &str = "id,lower,upper,size\na,0,2,100\nb\u{1b}[2J,1,3,50\nc,2,4,100\n";

    fn planned() -> (Instance, Plan) {
        let instance = csv::read(CSV).unwrap();
        let plan = solve(&instance.problem, Effort::Normal);
        (instance, plan)
    }

    #[test]
    fn an_instance_is_told_with_its_proof() {
        let (instance, plan) = planned();
        let text = instance_json("x.csv", &instance, &plan, None).unwrap();
        assert!(!text.contains('\u{1b}'));
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&json["peak"], &json["lower_bound"], &json["gap"]),
            (&json!(150), &json!(150), &json!(0))
        );
        assert_eq!(json["witness"], json!({ "point": 1, "live": ["a", "b\u{1b}[2J"] }));
        assert_eq!(json["buffers"].as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn help_names_every_key_of_the_json() {
        let (instance, plan) = planned();
        let json: Value = serde_json::from_str(&instance_json("x", &instance, &plan, None).unwrap()).unwrap();
        let mut program = crate::args::Arguments::command();
        let help = program.find_subcommand_mut("plan").unwrap().render_long_help().to_string();
        let rows = json["buffers"][0].as_object().unwrap().keys();
        for key in json.as_object().unwrap().keys().chain(rows) {
            let named = help.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == key);
            assert!(named, "{key} is not in\n{help}");
        }
    }

    #[test]
    fn text_is_harmless_and_fits_a_hundred_columns() {
        let (instance, plan) = planned();
        let given = Plan::from_offsets(&instance.problem, vec![0, 100, 200], "given").unwrap();
        let text = instance_text("x.csv", &instance, &plan, Some(&given));
        assert!(text.contains("given        300 B       300 bytes"), "{text}");
        assert!(!text.contains('\u{1b}') && text.contains("peak         150 B       150 bytes"), "{text}");
        assert!(text.lines().all(|line| bayplan_text::columns(line) <= 100), "{text}");
    }
}
