//! What made an assertion fail: the alarms that are counted, and the tensors of an arena that is too large.

use bayplan_text::{Bytes, Signed, ellipsis, escape};
use bayplan_trace::quantities::{Figure, Filter, Key, Match, Number, Quantity, Reading, Scope, Subject};
use bayplan_trace::{ArenaDiff, PlanDiff, PlanRecord, PlanState, arena_metrics, diff_plans, why_peak};

use super::Judged;
use super::program::{Asked, Does, Step};
use crate::diff::{Sides, cause_line, to_spare};

/// Lines of each sort before the rest is only counted.
const TOP: usize = 20;

/// Columns of a tensor's name.
const NAME: usize = 60;

/// What the plans of a comparison are called.
const SIDES: Sides = ("the baseline", "this recording");

/// What made an assertion fail, in lines, the most important first. `untrue` are its comparisons that are not true. Escaped.
pub(super) fn causes(
    steps: &[Step],
    untrue: &[usize],
    own: &Judged<'_>,
    baseline: Option<&Judged<'_>>,
) -> Vec<String> {
    let mut lines = Vec::new();
    let baseline = baseline.filter(|_| steps.iter().any(Step::is_of_baseline));
    for asked in suspects(steps, untrue) {
        let found = match (alarms_of(asked.quantity), asked.quantity.scope) {
            (Some(kind), _) => alarms(own, kind, &asked.filter),
            (None, Scope::Arena) => arenas(own, baseline, asked),
            _ => Vec::new(),
        };
        for line in found {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    lines
}

/// The figures of the recording that comparisons name which are not true; under a `not` it may be any.
fn suspects<'s>(steps: &'s [Step], untrue: &[usize]) -> Vec<&'s Asked> {
    let turned = steps.iter().any(|step| matches!(step.does, Does::Not));
    let (mut found, mut named) = (Vec::new(), Vec::new());
    for (at, step) in steps.iter().enumerate() {
        named.extend(step.asked().filter(|asked| !asked.of_baseline));
        if matches!(step.does, Does::Compare(_)) {
            let of_it = std::mem::take(&mut named);
            found.extend(of_it.into_iter().filter(|_| turned || untrue.contains(&at)));
        }
    }
    found
}

/// The sort of alarm that a figure is made of.
fn alarms_of(quantity: &Quantity) -> Option<&'static str> {
    match quantity.name {
        "deviation" | "deviation_bytes" | "excess_bytes" | "lateness" | "tensor_lateness" => {
            Some("deviation")
        }
        "overlap" => Some("overlap"),
        "unplanned" | "allocs_after_init" => Some("unplanned"),
        _ => None,
    }
}

fn alarms(own: &Judged<'_>, kind: &str, filter: &Filter) -> Vec<String> {
    let plans = &own.timeline.plans;
    let chosen = |plan: Option<u32>| {
        plan.is_none_or(|plan| {
            filter.0.iter().all(|(key, wanted)| *key != Key::Plan || *wanted == Match::Number(plan.into()))
        })
    };
    let alarms = own.timeline.alarms().filter(|(plan, alarm)| alarm.kind() == kind && chosen(*plan));
    let text = |(plan, alarm): (Option<u32>, bayplan_trace::Alarm)| {
        let record = plan.and_then(|plan| Some(&*plans.get(plan as usize)?.record));
        let of = plan.filter(|_| plans.len() > 1).map_or_else(String::new, |plan| format!(" of plan {plan}"));
        format!("{kind}{of}: {}", alarm.text(record))
    };
    shortened(alarms.map(text).collect())
}

fn shortened(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(TOP);
    lines.truncate(TOP);
    if more > 0 {
        lines.push(format!("… and {more} more"));
    }
    lines
}

/// What fills the arenas that are asked for, in the plan in which they are largest; beside a baseline, what grew.
fn arenas(own: &Judged<'_>, baseline: Option<&Judged<'_>>, asked: &Asked) -> Vec<String> {
    let Some((number, names)) = largest(own, asked.quantity, &asked.filter) else { return Vec::new() };
    let plan = &own.timeline.plans[number as usize];
    if plan.forgotten {
        return vec![format!("plan {number} needs it, which is not kept: many shapes came after it")];
    }
    let before = baseline.map(|baseline| {
        let same = same_dims(baseline, plan).or_else(|| largest(baseline, asked.quantity, &asked.filter));
        same.map(|(at, _)| (at, &baseline.timeline.plans[at as usize]))
    });
    let mut lines = Vec::new();
    for name in names {
        lines.extend(match before {
            None => at_peak(&plan.record, name),
            Some(None) => vec!["the baseline has no such plan".into()],
            Some(Some(before)) => grown(before, (number, plan), name),
        });
    }
    lines
}

/// The plan in which the arenas that are asked for need most, and their names.
fn largest<'a>(
    judged: &Judged<'a>,
    quantity: &'static Quantity,
    filter: &Filter,
) -> Option<(u32, Vec<&'a str>)> {
    let mut sums: Vec<(u32, f64, Vec<&str>)> = Vec::new();
    for Figure { subject, value, .. } in Reading::new(judged.timeline).of(quantity, filter) {
        let Subject::Arena { plan, name, .. } = subject else { continue };
        let value = value.least().map_or(0.0, Number::as_f64);
        match sums.last_mut().filter(|(last, ..)| *last == plan) {
            Some((_, sum, names)) => {
                *sum += value;
                names.push(name);
            }
            None => sums.push((plan, value, vec![name])),
        }
    }
    // Of equals the first.
    let most = sums.into_iter().rev().max_by(|a, b| a.1.total_cmp(&b.1));
    most.map(|(plan, _, names)| (plan, names))
}

/// The plan of a recording for the same dimensions.
fn same_dims<'a>(judged: &Judged<'a>, plan: &PlanState) -> Option<(u32, Vec<&'a str>)> {
    let plans = (0..).zip(&judged.timeline.plans);
    let mut kept = plans.filter(|(_, other)| !other.forgotten);
    kept.find(|(_, other)| super::dims(&other.record) == super::dims(&plan.record))
        .map(|(number, _)| (number, Vec::new()))
}

/// The tensors that live at the peak of an arena.
fn at_peak(plan: &PlanRecord, name: &str) -> Vec<String> {
    let Some(arena) = plan.arenas.iter().position(|arena| arena.name == name) else { return Vec::new() };
    let metrics = arena_metrics(plan);
    let Some(peak) = metrics.get(arena).and_then(|metrics| why_peak(plan, arena as u32, metrics)) else {
        return Vec::new();
    };
    let op = plan.ops.get(peak.op as usize).map_or("", |op| op.name.as_str());
    let head = format!(
        "{} live in {} at its peak, op {} ({}):",
        Bytes(peak.live),
        escape(name),
        peak.op,
        ellipsis(op, NAME)
    );
    let tensors = peak.buffers.iter().filter_map(|&at| plan.buffers.get(at as usize));
    let lines = tensors.map(|tensor| {
        format!("{:>10}  {}  {}", Bytes(tensor.size), ellipsis(&tensor.name, NAME), escape(&tensor.shape))
    });
    std::iter::once(head).chain(shortened(lines.collect())).collect()
}

/// The tensors that make an arena larger than the baseline's, and what beside live bytes does.
fn grown(before: (u32, &PlanState), after: (u32, &PlanState), name: &str) -> Vec<String> {
    let plans = (&*before.1.record, &*after.1.record);
    let PlanDiff { arenas, .. } = diff_plans(before, after);
    let Some(arena) = arenas.iter().find(|arena| arena.name == name) else { return Vec::new() };
    let tensors = arena.causes.iter().filter(|cause| cause.growth() > 0);
    let mut lines = shortened(tensors.map(|cause| cause_line(plans, cause, SIDES)).collect());
    let spare = arena.moment.as_ref().map(|moment| to_spare(arena, moment, SIDES));
    if let (Some((side, spare @ 1..)), false) = (spare, lines.is_empty()) {
        lines.push(format!("{side} had {} to spare there, below its own peak", Bytes(spare)));
    }
    lines.extend(lost(arena));
    lines.extend(top(plans, arena));
    lines
}

/// What the arena has more beside live bytes, at its peak: `+64.0 KiB  holes at the peak  0 B → 64.0 KiB`.
fn lost(arena: &ArenaDiff) -> Vec<String> {
    let (Some(a), Some(b)) = (&arena.a, &arena.b) else { return Vec::new() };
    let (a, b) = (&a.metrics.loss, &b.metrics.loss);
    let parts = [("padding", a.padding, b.padding), ("holes", a.holes, b.holes), ("tail", a.tail, b.tail)];
    let grown = parts.into_iter().filter(|(_, a, b)| b > a);
    let line = |(what, a, b): (&str, u64, u64)| {
        let growth = Signed(i128::from(b) - i128::from(a), Bytes);
        format!("{growth:>10}  {what} at the peak  {} → {}", Bytes(a), Bytes(b))
    };
    grown.map(line).collect()
}

/// The tensor that ends highest, where the arena is larger by more than its live bytes: that one lies elsewhere.
fn top((plan_a, plan_b): (&PlanRecord, &PlanRecord), arena: &ArenaDiff) -> Option<String> {
    let (a, b) = (arena.a.as_ref()?, arena.b.as_ref()?);
    let (live_a, live_b) = arena.peaks();
    if b.size.saturating_sub(a.size) <= live_b.saturating_sub(live_a) {
        return None;
    }
    let tensor =
        plan_b.buffers.iter().filter(|tensor| tensor.arena == b.arena).max_by_key(|tensor| tensor.end())?;
    let before = plan_a.buffers.iter().find(|other| other.name == tensor.name);
    let moved = match before.filter(|before| before.offset != tensor.offset) {
        Some(before) => format!("moved from {} to {}", before.offset, tensor.offset),
        None => format!("at {}", tensor.offset),
    };
    let name = ellipsis(&tensor.name, NAME);
    Some(format!("{name} ends highest: {}, {moved}", Bytes(tensor.size)))
}
