//! The difference for programs.

use bayplan_trace::{
    ArenaDiff, ArenaSide, Cause, LiveDiff, Moment, OpDiff, PlanDiff, PlanRecord, Playhead, TensorCounts,
    TensorDiff,
};
use serde_json::{Value, json};

use super::words::op_record;
use super::{Compared, Side, tensor_name};
use crate::json::visible;

/// The difference for programs: indented JSON, described at the head of this crate. All tensors that differ are listed.
pub fn json(compared: &Compared<'_>) -> String {
    let plans = compared.diff.plans.iter().map(|plan| {
        let (a, b) = compared.plans(plan.numbers);
        plan_json((&a.record, &b.record), plan, &compared.live(plan))
    });
    let (run_time, warm) = (compared.all_runs(), compared.warm_runs());
    let value = json!({
        "format": "bayplan-diff", "version": 1,
        "same": compared.diff.is_empty(),
        "a": side(&compared.a), "b": side(&compared.b),
        "run_time_ns": {"a": run_time.0, "b": run_time.1},
        "warm_run_ns": {"a": warm.0, "b": warm.1},
        "plans": plans.collect::<Vec<_>>(),
        "only_a": compared.diff.only_a, "only_b": compared.diff.only_b,
    });
    visible(&format!("{value:#}\n"))
}

fn side(side: &Side<'_>) -> Value {
    let session = side.timeline.session.as_ref();
    json!({
        "name": side.name, "plans": side.timeline.plans.len(),
        "session": session.map(|session| json!({"id": session.id, "model": session.model, "device": session.device})),
    })
}

fn plan_json(plans: (&PlanRecord, &PlanRecord), plan: &PlanDiff, live: &LiveDiff) -> Value {
    let TensorCounts { added, removed, renamed, resized, moved, relived, unchanged } = plan.counts;
    let dims = |plan: &PlanRecord| -> Value {
        plan.dims
            .iter()
            .map(|dim| (dim.name.clone(), json!(dim.value)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    json!({
        "a": plan.numbers.0, "b": plan.numbers.1,
        "same": plan.is_empty(),
        "dims": {"a": dims(plans.0), "b": dims(plans.1)},
        "arenas": plan.arenas.iter().map(|arena| arena_json(plans, arena)).collect::<Vec<_>>(),
        "counts": {
            "added": added, "removed": removed, "renamed": renamed, "resized": resized, "moved": moved, "relived": relived,
            "unchanged": unchanged,
        },
        "tensors": plan.tensors.iter().map(|tensor| tensor_json(plans, tensor)).collect::<Vec<_>>(),
        "ops": plan.ops.iter().map(|op| op_json(plans, plan, op)).collect::<Vec<_>>(),
        "live": live_json(plans, live),
        "noise_share": plan.noise(),
        "op_time_ns": {"a": plan.op_time.0, "b": plan.op_time.1},
    })
}

fn arena_json(plans: (&PlanRecord, &PlanRecord), arena: &ArenaDiff) -> Value {
    let moment = |moment: &Moment| {
        let (a, b) = match moment.of_b {
            true => (moment.other, Some(moment.op)),
            false => (Some(moment.op), moment.other),
        };
        json!({"a": a, "b": b, "peak_of": if moment.of_b { "b" } else { "a" }, "live_a": moment.live.0, "live_b": moment.live.1})
    };
    json!({
        "name": arena.name, "same": arena.is_empty(),
        "a": arena.a.as_ref().map(arena_side), "b": arena.b.as_ref().map(arena_side),
        "moment": arena.moment.as_ref().map(moment),
        "causes": arena.causes.iter().map(|cause| cause_json(plans, cause)).collect::<Vec<_>>(),
    })
}

fn cause_json(plans: (&PlanRecord, &PlanRecord), cause: &Cause) -> Value {
    json!({
        "name": tensor_name(plans, cause.a, cause.b), "a": cause.a, "b": cause.b,
        "live_a": cause.bytes.0, "live_b": cause.bytes.1,
    })
}

/// What lives where both sessions have come to; `null` where that is not known.
fn live_json(plans: (&PlanRecord, &PlanRecord), live: &LiveDiff) -> Value {
    let op = |at: Option<Playhead>| match at {
        Some(Playhead::At(op)) => Some(op),
        _ => None,
    };
    let (a, b) = live.bytes();
    json!({
        "a": a, "b": b, "op_a": op(live.at.0), "op_b": op(live.at.1),
        "tensors": live.tensors.iter().map(|tensor| cause_json(plans, tensor)).collect::<Vec<_>>(),
    })
}

fn arena_side(side: &ArenaSide) -> Value {
    let loss = side.metrics.loss;
    json!({
        "arena": side.arena, "size": side.size, "lower_bound": side.lower_bound, "waste": side.metrics.waste,
        "peak_op": side.metrics.peak_op, "peak_live": side.metrics.peak_live,
        "loss": {
            "live": loss.live, "padding": loss.padding, "holes": loss.holes, "tail": loss.tail,
            "hole_count": loss.hole_count, "largest_hole": loss.largest_hole,
        },
    })
}

fn tensor_json(plans: (&PlanRecord, &PlanRecord), tensor: &TensorDiff) -> Value {
    let place = |plan: &PlanRecord, at: Option<u32>| {
        let at = at?;
        let buffer = plan.buffers.get(at as usize)?;
        let arena = plan.arenas.get(buffer.arena as usize).map(|arena| &arena.name);
        Some(json!({
            "buffer": at, "name": buffer.name, "arena": arena, "size": buffer.size, "offset": buffer.offset, "first": buffer.first,
            "last": buffer.last, "shape": buffer.shape,
        }))
    };
    json!({
        "name": tensor_name(plans, tensor.a, tensor.b),
        "change": {
            "added": tensor.is_added(), "removed": tensor.is_removed(), "renamed": tensor.renamed,
            "resized": tensor.resized,
            "moved": tensor.moved, "relived": tensor.relived,
        },
        "a": place(plans.0, tensor.a), "b": place(plans.1, tensor.b),
    })
}

fn op_json(plans: (&PlanRecord, &PlanRecord), plan: &PlanDiff, op: &OpDiff) -> Value {
    let record = op_record(plans, op);
    json!({
        "name": record.map(|op| &op.name), "a": op.a, "b": op.b, "other_kernel": op.other_kernel,
        "mean_ns_a": op.mean.0, "mean_ns_b": op.mean.1, "noise": op.is_noise(plan),
    })
}
