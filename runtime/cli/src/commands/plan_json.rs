//! What `bayplan plan` tells programs.

use bayplan::{Arena, Judged, Program, record};
use bayplan_compile::plan_file::PlanFile;
use bayplan_compile::{Order, Schedule};
use bayplan_plan::LowerBound;
use bayplan_plan::explain::{BoundProof, Ground, Loss, Verdict};
use serde::Serialize;
use serde_json::{Value, json};

use super::devices::target_json;
use super::plan_copies::copies_json;
use super::plan_host::host_json;
use super::plan_ports::{inputs_json, outputs_json, values_json};
use super::plan_times::Times;
use super::plan_why::verdict_text;
use super::planned::Planned;
use super::run_text::packed_json;
use crate::exit::Failure;
use crate::out::plain;

/// Version of the JSON that this command prints. It changes when a key changes its meaning, not when one is added.
const VERSION: u32 = 1;

/// Most rows of a list that is sorted by how much its rows matter. What is told of every buffer is in `buffers`.
const MOST: usize = 64;

/// A plan for programs. Sizes are bytes; the witness is a program point at which the live buffers' sizes add up to the
/// lower bound; the gap is the peak less the lower bound, the waste that gap as a share of the lower bound.
#[derive(Serialize)]
struct PlanJson<'a> {
    version: u32,
    kind: &'static str,
    name: &'a str,
    peak: u64,
    lower_bound: u64,
    proved_bound: u64,
    witness: Witness<'a>,
    gap: u64,
    waste: f64,
    status: &'static str,
    strategy: &'static str,
    why_not_smaller: Why<'a>,
    #[serde(flatten)]
    rest: Rest,
    buffers: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Witness<'a> {
    point: u32,
    /// The buffers that are live there.
    live: Vec<&'a str>,
}

/// What only instances, or only models, have.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Rest {
    Instance {
        /// The peak of the offsets in the file.
        given_peak: Option<u64>,
    },
    Model(Box<Model>),
}

/// What only models have.
#[derive(Serialize)]
pub(super) struct Model {
    dims: serde_json::Map<String, Value>,
    /// Inputs that decide shapes, with the elements that it is planned for.
    values: Value,
    target: Value,
    arena_bytes: u64,
    weight_bytes: u64,
    load_peak: u64,
    dispatches: usize,
    kernels: usize,
    order: Value,
    /// What is moved at each run, and why.
    copies: Value,
    /// What the host computes at each run, and why.
    host_nodes: Value,
    /// Buffers, ops and weights, as a recording keeps them.
    plan: Value,
    /// Whose bytes each input and output is.
    inputs: Value,
    outputs: Value,
    /// What planning takes, in nanoseconds.
    times: Value,
    /// The plan of every shape within bounds, as a file that is read back; none if there is one shape.
    shapes: Option<Value>,
    /// What became of the plan that a packed model brings along; null of other models.
    packed_plan: Value,
}

impl Rest {
    /// What there is to tell of a program beside its plan.
    pub(super) fn of_program(
        program: &Program,
        shapes: Option<&PlanFile>,
        times: &Times,
        packed: Option<&Judged>,
    ) -> Result<Self, Failure> {
        let fail = |e: serde_json::Error| Failure::new(e.to_string());
        Ok(Self::Model(Box::new(Model {
            dims: program.dims.iter().map(|(name, value)| (name.to_string(), json!(value))).collect(),
            values: values_json(program),
            target: target_json(&program.target),
            arena_bytes: program.arena_bytes[Arena::Activations.index()],
            weight_bytes: program.arena_bytes[Arena::Weights.index()],
            load_peak: program.load.plan.peak,
            dispatches: program.run.dispatches.len(),
            kernels: program.kernels.len(),
            order: order_json(&program.schedule),
            copies: copies_json(program),
            host_nodes: host_json(program),
            plan: serde_json::from_str(&record(program).to_json()).map_err(fail)?,
            inputs: inputs_json(program),
            outputs: outputs_json(program),
            times: times.json(),
            shapes: shapes.map(PlanFile::to_value),
            packed_plan: packed_json(packed),
        })))
    }
}

/// In which order operators run, and what that saves.
fn order_json(schedule: &Schedule) -> Value {
    json!({
        "taken": match schedule.order {
            Order::Given => "given",
            Order::Search => "search",
            Order::Drawn(_) => "drawn",
        },
        "candidate": schedule.candidate,
        "peak": schedule.peak,
        "barriers": schedule.barriers,
        "given_peak": schedule.given_peak,
        "given_barriers": schedule.given_barriers,
        "bound": schedule.bound,
        "declined": schedule.declined.map(|declined| json!({
            "candidate": declined.candidate,
            "peak": declined.peak,
            "barriers": declined.barriers,
        })),
    })
}

/// A buffer. Other buffers are named by their place in the list, from 0.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    lower: u32,
    upper: u32,
    size: u64,
    alignment: u64,
    fixed: Option<u64>,
    offset: u64,
    ground: &'static str,
    rests_on: Vec<u32>,
    slack: u64,
    regret: [u64; 2],
}

#[derive(Serialize)]
struct Why<'a> {
    verdict: &'static str,
    text: String,
    /// Bytes by which a plan could be smaller, as far as is known.
    open: u64,
    bound: Bound<'a>,
    loss: LossJson,
    reliefs: Vec<ReliefJson<'a>>,
    regrets: Vec<RegretJson<'a>>,
    regrets_untried: u32,
    settled_peak: u64,
    chain: Vec<LinkJson<'a>>,
    chain_length: usize,
}

#[derive(Serialize)]
struct Bound<'a> {
    kind: &'static str,
    bytes: u64,
    point: u32,
    live: u64,
    padding: u64,
    /// The fixed buffer that sets it.
    fixed: Option<&'a str>,
}

#[derive(Serialize)]
struct LossJson {
    live: u64,
    padding: u64,
    holes: u64,
    tail: u64,
    hole_count: u64,
    largest_hole: u64,
}

#[derive(Serialize)]
struct ReliefJson<'a> {
    id: &'a str,
    size: u64,
    without: PointJson,
    halved: PointJson,
}

#[derive(Serialize)]
struct PointJson {
    bound: u64,
    point: u32,
}

#[derive(Serialize)]
struct RegretJson<'a> {
    id: &'a str,
    size: u64,
    at_least: u64,
    at_most: u64,
}

#[derive(Serialize)]
struct LinkJson<'a> {
    id: &'a str,
    offset: u64,
    size: u64,
    gap: u64,
}

impl From<LowerBound> for PointJson {
    fn from(bound: LowerBound) -> Self {
        Self { bound: bound.bytes, point: bound.witness }
    }
}

impl From<Loss> for LossJson {
    fn from(loss: Loss) -> Self {
        let Loss { live, padding, holes, tail, hole_count, largest_hole } = loss;
        Self { live, padding, holes, tail, hole_count, largest_hole }
    }
}

/// All of a plan, in one object.
pub(super) fn plan_json(
    kind: &'static str,
    name: &str,
    planned: &Planned,
    rest: Rest,
) -> Result<String, Failure> {
    let Planned { plan, instance, .. } = planned;
    let witness = plan.lower_bound.witness;
    let live = instance.problem.live_at(witness);
    let json = PlanJson {
        version: VERSION,
        kind,
        name,
        peak: plan.peak,
        lower_bound: plan.lower_bound.bytes,
        proved_bound: plan.proved_bound,
        witness: Witness { point: witness, live: live.iter().map(|&buffer| planned.id(buffer)).collect() },
        gap: plan.gap(),
        waste: plan.waste(),
        status: plan.status.name(),
        strategy: plan.strategy,
        why_not_smaller: why_json(planned),
        rest,
        buffers: (0..instance.problem.len() as u32).map(|buffer| row(planned, buffer)).collect(),
    };
    let text = serde_json::to_string_pretty(&json).map_err(|e| Failure::new(e.to_string()))?;
    Ok(plain(&text) + "\n")
}

fn row(planned: &Planned, number: u32) -> Row<'_> {
    let (own, rest) = (planned.buffer(number), planned.why.rests.get(number));
    let regret = planned.why.regrets.of[number as usize];
    Row {
        id: planned.id(number),
        lower: own.lifespan.first,
        upper: own.lifespan.last,
        size: own.size,
        alignment: own.align,
        fixed: own.fixed,
        offset: planned.offset(number),
        ground: match rest.ground {
            Ground::Floor => "floor",
            Ground::Fixed => "fixed",
            Ground::Buffers => "buffers",
            Ground::Loose => "loose",
            Ground::Empty => "empty",
        },
        rests_on: rest.on.iter().map(|contact| contact.buffer).collect(),
        slack: rest.slack,
        regret: [regret.at_least, regret.at_most],
    }
}

fn why_json(planned: &Planned) -> Why<'_> {
    let why = &planned.why;
    let size = |buffer: u32| planned.buffer(buffer).size;
    let reliefs = why.reliefs.iter().take(MOST).map(|relief| ReliefJson {
        id: planned.id(relief.buffer),
        size: size(relief.buffer),
        without: relief.without.into(),
        halved: relief.halved.into(),
    });
    let regrets = why.regrets.largest(MOST).into_iter().map(|(buffer, regret)| RegretJson {
        id: planned.id(buffer),
        size: size(buffer),
        at_least: regret.at_least,
        at_most: regret.at_most,
    });
    // From the top, so that what is left out of a long one is what it shares with others.
    let chain = why.critical.chain.iter().rev().take(MOST).map(|link| LinkJson {
        id: planned.id(link.buffer),
        offset: planned.offset(link.buffer),
        size: size(link.buffer),
        gap: link.gap,
    });
    Why {
        verdict: why.verdict.name(),
        text: verdict_text(planned),
        open: match why.verdict {
            Verdict::Open { at_most, .. } => at_most,
            Verdict::Empty | Verdict::BoundMet | Verdict::Excluded { .. } => 0,
        },
        bound: bound_json(planned),
        loss: why.loss.into(),
        reliefs: reliefs.collect(),
        regrets: regrets.collect(),
        regrets_untried: why.regrets.untried,
        settled_peak: why.regrets.settled,
        chain: chain.collect(),
        chain_length: why.critical.chain.len(),
    }
}

fn bound_json(planned: &Planned) -> Bound<'_> {
    let bound = planned.plan.aligned_bound;
    let (kind, live, padding, fixed) = match &planned.why.proof {
        BoundProof::Live(clique) => ("live", clique.bytes, 0, None),
        BoundProof::Padded(clique, padding) => ("padded", clique.bytes, *padding, None),
        BoundProof::Fixed(buffer) => {
            ("fixed", planned.instance.problem.bytes_at(bound.witness), 0, Some(planned.id(*buffer)))
        }
    };
    Bound { kind, bytes: bound.bytes, point: bound.witness, live, padding, fixed }
}
