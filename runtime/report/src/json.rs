//! The report for programs.

use std::collections::BTreeMap;

use bayplan_trace::{
    Alarm, ArenaMetrics, Block, Forecast, Growing, PlanState, Playhead, Roofs, Severity, Timeline,
    arena_metrics, deviation, forecasts, holdings, op_shares, recent_runs, reserved_unused, why_not_smaller,
    why_peak,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::figures::figures;
use crate::roofline::roofs_json;

/// Buffers named at each peak.
const TOP: usize = 20;

/// The report for programs: indented JSON with a fixed order of keys, described at the head of this crate.
///
/// What a terminal would obey is written as `\u…`, so that the text may be shown and still reads back unchanged.
pub fn json(timeline: &Timeline, damages: &[String], live: bool) -> String {
    let report = Report::new(timeline, damages, live);
    // Serialising fails only for maps with keys that are not text; there is none.
    visible(&serde_json::to_string_pretty(&report).unwrap_or_default())
}

#[derive(Serialize)]
struct Report<'a> {
    format: &'static str,
    version: u32,
    live: bool,
    state: &'static str,
    session: Option<Value>,
    deviation: u64,
    overlap: u64,
    unplanned: u64,
    alarms: Vec<Value>,
    figures: BTreeMap<&'static str, Value>,
    runs: Value,
    current_plan: Option<u32>,
    plans: Vec<Value>,
    blocks: Vec<Value>,
    unplanned_blocks: Vec<Value>,
    heaps: Vec<Value>,
    memory: Value,
    forecasts: Vec<Value>,
    dropped: BTreeMap<&'static str, u64>,
    trace_cost: Option<Value>,
    messages: Vec<Value>,
    damage: &'a [String],
}

impl<'a> Report<'a> {
    fn new(timeline: &Timeline, damage: &'a [String], live: bool) -> Self {
        let counts = timeline.alarm_counts();
        let plan = |number: Option<u32>| number.and_then(|number| timeline.plans.get(number as usize));
        Self {
            format: "bayplan-report",
            version: 1,
            live,
            state: match (live, timeline.ended) {
                (true, _) => "running",
                (false, Some(_)) => "ended",
                (false, None) => "killed",
            },
            session: timeline.session.as_ref().map(|session| {
                json!({
                    "id": session.id, "model": session.model, "device": session.device, "driver": session.driver,
                    "api": session.api, "version": session.version, "level": session.level.name(),
                    "pid": session.pid, "start_unix_ns": session.start_unix_ns,
                    "origin": session.origin, "roofs": roofs_json(session),
                })
            }),
            deviation: counts.deviation,
            overlap: counts.overlap,
            unplanned: counts.unplanned,
            alarms: timeline.alarms().map(|(number, found)| alarm(number, plan(number), &found)).collect(),
            figures: figures(timeline, damage.len()),
            runs: runs(timeline),
            current_plan: timeline.current_plan().map(|(number, _)| number),
            plans: timeline.plans.iter().enumerate().map(|(number, state)| self::plan(number, state, timeline)).collect(),
            blocks: timeline.blocks.values().map(block).collect(),
            unplanned_blocks: timeline.unplanned.iter().map(block).collect(),
            heaps: timeline
                .heaps
                .iter()
                .map(|(heap, state)| {
                    json!({
                        "heap": heap, "size": state.size, "usage": state.usage, "budget": state.budget,
                        "others": state.others(),
                    })
                })
                .collect(),
            memory: memory(timeline),
            forecasts: forecasts(timeline).iter().map(forecast).collect(),
            dropped: timeline.dropped.iter().map(|(kind, count)| (kind.name(), *count)).collect(),
            trace_cost: timeline
                .trace_cost
                .map(|(ns, run_ns)| json!({"ns": ns, "run_ns": run_ns, "share": timeline.trace_share()})),
            messages: timeline
                .messages
                .iter()
                .map(|(t, level, text)| json!({"t": t, "level": severity(*level), "text": text}))
                .collect(),
            damage,
        }
    }
}

pub(crate) fn severity(level: Severity) -> &'static str {
    match level {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

fn alarm(number: Option<u32>, plan: Option<&PlanState>, alarm: &Alarm) -> Value {
    let mut object = match alarm {
        Alarm::Moved { op, binding, buffer, arenas, planned, actual } => json!({
            "op": op, "binding": binding, "buffer": buffer, "planned_arena": arenas.0, "arena": arenas.1,
            "planned": planned, "actual": actual,
        }),
        Alarm::Late { op, buffer, planned } => json!({"op": op, "buffer": buffer, "planned": planned}),
        Alarm::Overlap { a, b, arena, bytes, ops } => {
            json!({"buffers": [a, b], "arena": arena, "bytes": bytes, "ops": ops})
        }
        Alarm::Unplanned { block, bytes } => json!({"block": block, "bytes": bytes}),
    };
    object["kind"] = alarm.kind().into();
    object["plan"] = number.into();
    object["text"] = alarm.text(plan.map(|state| &*state.record)).into();
    object
}

fn runs(timeline: &Timeline) -> Value {
    let times = recent_runs(timeline);
    json!({
        "started": timeline.runs_started, "ok": timeline.runs_ok, "failed": timeline.runs_failed,
        "latest_ns": times.map(|times| times.latest), "median_ns": times.map(|times| times.median),
        "p99_ns": times.map(|times| times.p99),
        "recent": times.map_or(0, |times| times.count),
        "current": timeline.current.map(|run| json!({"run": run.run, "plan": run.plan, "playhead": run.playhead})),
    })
}

/// Device memory by what it is held for.
fn memory(timeline: &Timeline) -> Value {
    let found = holdings(timeline);
    let parts: BTreeMap<&str, u64> = found.parts.iter().map(|(of, bytes)| (of.name(), *bytes)).collect();
    json!({"total": found.total, "seen": found.seen, "parts": parts})
}

fn forecast(found: &Forecast) -> Value {
    let (kind, number) = match found.of {
        Growing::Heap(number) => ("heap", number),
        Growing::Pool(number) => ("pool", number),
    };
    json!({
        "kind": kind, "number": number, "bytes_per_second": found.rate, "used": found.used, "limit": found.limit,
        "budget": found.budget, "left_ns": found.left,
    })
}

fn block(block: &Block) -> Value {
    json!({
        "id": block.id, "bytes": block.bytes, "memory_type": block.memory_type, "purpose": block.purpose,
        "planned": block.planned, "t": block.t,
    })
}

fn plan(number: usize, state: &PlanState, timeline: &Timeline) -> Value {
    let plan = &state.record;
    let progress = timeline.progress(number as u32);
    let metrics = arena_metrics(plan);
    let dims: BTreeMap<&str, i64> = plan.dims.iter().map(|dim| (dim.name.as_str(), dim.value)).collect();
    json!({
        "number": number, "model": plan.model, "target": plan.target, "strategy": plan.strategy,
        "notes": plan.notes, "dims": dims, "ops": plan.ops.len(), "buffers": plan.buffers.len(),
        "runs": state.runs, "windows_seen": state.windows.len(), "windows_incomplete": state.incomplete,
        "arenas": metrics.iter().enumerate().map(|(at, metrics)| arena(state, at, metrics, progress)).collect::<Vec<_>>(),
        "deviations": deviations(state),
        "op_times": op_times(state, timeline.roofs()),
    })
}

fn arena(state: &PlanState, number: usize, metrics: &ArenaMetrics, progress: Option<Playhead>) -> Value {
    let plan = &state.record;
    let arena = &plan.arenas[number];
    let why = why_not_smaller(arena);
    let peak = why_peak(plan, number as u32, metrics).unwrap_or_default();
    let live = peak.buffers.iter().take(TOP).map(|&index| {
        let buffer = &plan.buffers[index as usize];
        json!({
            "buffer": index, "name": buffer.name, "shape": buffer.shape, "kind": buffer.kind, "size": buffer.size,
            "size_expr": buffer.size_expr, "offset": buffer.offset, "first": buffer.first, "last": buffer.last,
        })
    });
    let witness = arena.witness_op.and_then(|op| plan.ops.get(op as usize));
    let loss = metrics.loss;
    json!({
        "name": arena.name, "kind": arena.kind, "size": arena.size, "alignment": arena.alignment,
        "lower_bound": arena.lower_bound, "witness_op": arena.witness_op,
        "witness_node": witness.map(|op| &op.source_node), "gap": why.gap, "optimal": why.optimal,
        "waste": metrics.waste, "peak_op": metrics.peak_op, "peak_live": metrics.peak_live,
        "utilisation": metrics.peak_op.map(|op| metrics.utilisation(arena, op)),
        "live_now": progress.map(|progress| metrics.live_at(progress)),
        "least_op": metrics.least_op, "least_live": metrics.least_live,
        "least_utilisation": metrics.least_utilisation(arena), "area_efficiency": metrics.area_efficiency(arena),
        "loss": {
            "live": loss.live, "padding": loss.padding, "holes": loss.holes, "tail": loss.tail,
            "hole_count": loss.hole_count, "largest_hole": loss.largest_hole, "largest_fit": loss.largest_fit,
        },
        "live_at_peak_count": peak.buffers.len(),
        "live_at_peak": live.collect::<Vec<_>>(),
    })
}

fn deviations(state: &PlanState) -> Option<Value> {
    let found = deviation(state)?;
    let largest = found.largest();
    let late = found.late.iter().map(|late| {
        let name = state.record.buffers.get(late.buffer as usize).map(|buffer| &buffer.name);
        json!({"buffer": late.buffer, "name": name, "planned": late.planned, "seen": late.seen})
    });
    let unused = reserved_unused(state).map(|unused| unused.into_iter().fold(0, u64::saturating_add));
    Some(json!({
        "max_excess": found.max_excess(), "largest_op": largest.map(|(op, _)| op),
        "largest_bytes": largest.map_or(0, |(_, bytes)| bytes), "reserved_unused": unused,
        "late": late.collect::<Vec<_>>(),
    }))
}

fn op_times(state: &PlanState, roofs: Option<&Roofs>) -> Vec<Value> {
    let times = op_shares(state, roofs).into_iter().map(|time| {
        let op = &state.record.ops[time.op];
        json!({
            "op": time.op, "name": op.name, "kernel": op.kernel, "source_node": op.source_node,
            "source_op": op.source_op, "count": time.count, "mean_ns": time.mean, "latest_ns": time.latest,
            "first_ns": time.first, "averaged": time.averaged,
            "share": time.share, "bytes": op.bytes, "flops": op.flops,
            "bytes_per_second": time.bytes_per_second, "flops_per_second": time.flops_per_second,
            "attainable_ns": time.roof.map(|roof| roof.attainable_ns), "roof_share": time.roof.map(|roof| roof.share),
            "bound": time.roof.map(|roof| roof.bound.name()),
        })
    });
    times.collect()
}

/// Writes what a terminal would obey as JSON escapes. Outside of JSON's strings there is only ASCII that prints, line
/// breaks and blanks.
pub(crate) fn visible(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut units = [0; 2];
    let mut text = [0; 4];
    for c in json.chars() {
        let plain = c.is_ascii() && c != '\x7f'
            || bayplan_text::escape(c.encode_utf8(&mut text)).to_string().starts_with(c);
        if plain {
            out.push(c);
        } else {
            c.encode_utf16(&mut units).iter().for_each(|unit| out += &format!("\\u{unit:04x}"));
        }
    }
    out
}
