//! Sentences about a plan: why its peak is what it is, and what is wrong.

use bayplan_text::{Bytes, Count, Nanos, Percent, Rate, escape, plural};
use bayplan_trace::{
    Alarm, BufferKind, BufferRecord, Load, OpRoof, PlanRecord, Playhead, RoofBound, RoofSource, Roofs,
    Timeline, why_not_smaller,
};

use super::{ArenaView, Model};

/// A name out of a model, made safe to show; what has none is named by its number.
pub(crate) fn name_of(name: &str, kind: &str, number: u32) -> String {
    if name.is_empty() { format!("{kind} {number}") } else { escape(name).to_string() }
}

/// The name of a buffer, made safe to show.
pub(crate) fn buffer_name(plan: &PlanRecord, number: u32) -> String {
    plan.buffers
        .get(number as usize)
        .map_or_else(|| format!("buffer {number}"), |buffer| name_of(&buffer.name, "buffer", number))
}

/// The end of a buffer's name, which tells more than its beginning where many stand side by side.
pub(crate) fn short_name(plan: &PlanRecord, number: u32) -> String {
    let name = plan.buffers.get(number as usize).map_or("", |buffer| buffer.name.trim_matches('/'));
    let parts = name.rmatch_indices('/').nth(1).map_or(name, |(at, _)| &name[at + 1..]);
    name_of(parts, "buffer", number)
}

/// An op by its number and operator: `op 141 Softmax`.
pub(crate) fn op_name(plan: &PlanRecord, op: u32) -> String {
    let about = plan.ops.get(op as usize);
    let word = about.map(|op| if op.source_op.is_empty() { &op.name } else { &op.source_op });
    match word.filter(|word| !word.is_empty()) {
        Some(word) => format!("op {op} {}", escape(&fused(word))),
        None => format!("op {op}"),
    }
}

/// An operator, as short as it stands in names of ops.
pub(crate) fn operator(name: &str) -> String {
    if name.is_empty() { "no operator".to_owned() } else { escape(&fused(name)).to_string() }
}

/// Operators that were fused into one, by the first and the last: `Conv+…+Relu`.
fn fused(word: &str) -> String {
    let mut parts = word.split('+');
    match (parts.next(), parts.next(), parts.next_back()) {
        (Some(first), Some(_), Some(last)) => format!("{first}+…+{last}"),
        _ => word.to_owned(),
    }
}

/// The type of a buffer: `f32[1,12]`, or what is known of it.
pub(crate) fn type_of(buffer: &BufferRecord) -> String {
    let shown = if buffer.shape.is_empty() { &buffer.dtype } else { &buffer.shape };
    escape(shown).to_string()
}

/// Whether a buffer lives as long as the session does: no order of operators changes that.
pub(crate) fn is_resident(buffer: &BufferRecord) -> bool {
    matches!(buffer.kind, BufferKind::Weight | BufferKind::Constant)
}

/// Where a buffer's life begins and ends, in words.
pub(crate) fn life_of(plan: &PlanRecord, buffer: &BufferRecord) -> String {
    if is_resident(buffer) {
        return "resident for the session".to_owned();
    }
    let (first, last) = born_and_dies(plan, buffer);
    let born = if buffer.kind == BufferKind::Input { first } else { format!("born {first}") };
    let dies = match buffer.last {
        0 => last,
        _ if buffer.kind == BufferKind::Output => last,
        _ => format!("dies {last}"),
    };
    format!("{born}, {dies}")
}

/// What begins a buffer's life, and what ends it.
pub(crate) fn born_and_dies(plan: &PlanRecord, buffer: &BufferRecord) -> (String, String) {
    let resident = is_resident(buffer);
    let born = match buffer.kind {
        _ if resident => "when loaded".to_owned(),
        BufferKind::Input => "given by the caller".to_owned(),
        _ => op_name(plan, buffer.first),
    };
    let dies = match (buffer.kind, buffer.last.checked_sub(1)) {
        _ if resident => "with the session".to_owned(),
        (BufferKind::Output, _) => "kept for the caller".to_owned(),
        (_, Some(last)) => op_name(plan, last),
        (_, None) => "never used".to_owned(),
    };
    (born, dies)
}

/// Whether a buffer took over another's bytes, or why it has bytes of its own, as far as the record tells.
pub(crate) fn own_bytes(plan: &PlanRecord, number: u32) -> String {
    let Some(buffer) = plan.buffers.get(number as usize) else { return String::new() };
    if let Some(of) = buffer.in_place_of {
        return format!("in place: yes, in the bytes of {}", buffer_name(plan, of));
    }
    let Some(op) = plan.ops.get(buffer.first as usize).filter(|op| op.writes.contains(&number)) else {
        return "in place: no, no operator of the run makes it".to_owned();
    };
    // Where a result took the bytes of an operand, both are one buffer of the plan.
    if op.reads.contains(&number) {
        return format!("in place: yes, {} writes where it reads", op_name(plan, buffer.first));
    }
    let operands = || {
        let all = op.reads.iter().filter_map(|read| Some((*read, plan.buffers.get(*read as usize)?)));
        all.filter(|(read, operand)| {
            operand.arena == buffer.arena && *read != number && operand.size >= buffer.size
        })
    };
    let lives_on = operands().find(|(_, operand)| operand.last > buffer.first.saturating_add(1));
    let dies = operands().find(|(_, operand)| operand.last == buffer.first.saturating_add(1));
    match (dies, lives_on) {
        (Some((operand, _)), _) => format!(
            "in place: no, {} ends here and would be large enough, but the kernel of {} writes apart from what it reads",
            buffer_name(plan, operand),
            op_name(plan, buffer.first)
        ),
        (None, Some((operand, record))) => format!(
            "in place: no, {} is still needed until {}",
            buffer_name(plan, operand),
            op_name(plan, record.last - 1)
        ),
        (None, None) => {
            format!(
                "in place: no, {} reads nothing in this arena that is large enough",
                op_name(plan, buffer.first)
            )
        }
    }
}

/// How many of the arena's buffers live at its peak, and how large they are: `8 tensors, 12.4 MiB at op 97 Conv`.
pub(crate) fn peak_summary(arena: &ArenaView<'_>) -> String {
    peak_words(arena, &op_name(&arena.plan.record, arena.index.peak.op))
}

/// The same without the name of the operator.
pub(crate) fn peak_brief(arena: &ArenaView<'_>) -> String {
    peak_words(arena, &format!("op {}", Count(arena.index.peak.op.into())))
}

fn peak_words(arena: &ArenaView<'_>, op: &str) -> String {
    let (count, bytes) = (arena.index.peak.buffers.len() as u64, Bytes(arena.index.peak.live));
    let count = plural(count, "tensor");
    if is_level(arena) { format!("{count}, {bytes} throughout") } else { format!("{count}, {bytes} at {op}") }
}

/// Whether the same bytes live at every op: those that are resident. No op is the peak then.
pub(crate) fn is_level(arena: &ArenaView<'_>) -> bool {
    let (record, peak) = (&arena.plan.record, &arena.index.peak);
    let resident = |number: &u32| record.buffers.get(*number as usize).is_some_and(is_resident);
    let all = arena.index.as_full.count + 1 == record.ops.len() as u64;
    all && !peak.buffers.is_empty() && peak.buffers.iter().all(resident)
}

/// The other ops at which as many bytes live as at the peak: `op 8 Add, op 12 Conv and 3 more`; none where there is none.
pub(crate) fn as_full(arena: &ArenaView<'_>) -> Option<String> {
    let found = &arena.index.as_full;
    let names: Vec<String> = found.first.iter().map(|op| op_name(&arena.plan.record, *op)).collect();
    let more = found.count.saturating_sub(names.len() as u64);
    let more = if more == 0 { String::new() } else { format!(" and {} more", Count(more)) };
    (!names.is_empty()).then(|| format!("{}{more}", names.join(", ")))
}

/// Bytes that live in the arena at the moment that is shown, and where in its runs that is: `6.00 KiB at op 4`.
pub(crate) fn live_now(model: &Model, arena: &ArenaView<'_>) -> String {
    let progress = model.wanted_map().map(|(plan, _)| model.timeline.progress(plan));
    let Some(playhead) = progress.flatten() else {
        return "not known: no op of this run was seen complete".to_owned();
    };
    let place = match playhead {
        Playhead::At(op) => format!("at op {}", Count(op.into())),
        Playhead::Done => "between runs".to_owned(),
        Playhead::Before => "before the first run".to_owned(),
    };
    format!("{} {place}", Bytes(arena.index.metrics.live_at(playhead)))
}

/// Whether a better plan could exist in this order of the operators, and what no plan in it can be smaller than.
pub(crate) fn bound_parts(arena: &ArenaView<'_>) -> (String, String) {
    let why = why_not_smaller(&arena.plan.record.arenas[arena.arena as usize]);
    if why.lower_bound == 0 {
        return ("not known".to_owned(), "no lower bound was recorded".to_owned());
    }
    let place = why.witness_op.map_or_else(String::new, |op| format!(" at op {op}"));
    let verdict = match (why.optimal, why.witness_op) {
        (true, Some(_)) => "optimal for this order".to_owned(),
        (true, None) => "all of it is needed".to_owned(),
        (false, _) => {
            // Of the arena, as it is read; waste is of the bound.
            let size = arena.plan.record.arenas[arena.arena as usize].size;
            let share = Percent(why.gap as f64 / size.max(1) as f64);
            format!("{} ({share}) could be saved at most", Bytes(why.gap))
        }
    };
    (verdict, format!("lower bound {}{place}", Bytes(why.lower_bound)))
}

/// Both of them as a sentence.
pub(crate) fn bound_summary(arena: &ArenaView<'_>) -> String {
    let (verdict, bound) = bound_parts(arena);
    format!("{bound}: {verdict}")
}

/// Where the figures of what a device does at best are from.
pub(crate) fn measured(roofs: &Roofs) -> &'static str {
    match roofs.source {
        RoofSource::Measured => "measured by a probe as the recording began",
        RoofSource::Cached => "measured earlier by bayplan devices --probe",
    }
}

/// An op's share of what the device does at best, in a sentence.
pub(crate) fn of_best(roof: &OpRoof, roofs: &Roofs) -> String {
    let best = match roof.bound {
        RoofBound::Memory => format!("can read and write, {}", Rate(roofs.bytes_per_second, "B")),
        RoofBound::Compute => format!("can compute, {}", Rate(roofs.flops_per_second, "flop")),
    };
    let than = match roof.bound {
        _ if roof.share <= 1.0 => format!("it could take {}", Nanos(roof.attainable_ns as u64)),
        RoofBound::Memory => {
            "more than memory gives, so bytes came from a cache, or the device was busy when it was measured"
                .to_owned()
        }
        RoofBound::Compute => {
            "more than was measured, so the device was busy then, or clocked lower".to_owned()
        }
    };
    format!("{} of what this device {best}, {}: {than}", Percent(roof.share), measured(roofs))
}

/// Every alarm of a session in words, with its kind.
pub(crate) fn alarms(timeline: &Timeline) -> impl Iterator<Item = (&'static str, String)> {
    timeline.alarms().map(|(plan, alarm)| {
        let plan = plan.and_then(|plan| timeline.plans.get(plan as usize));
        let text = match alarm {
            Alarm::Unplanned { block, .. } => unplanned(timeline, block),
            _ => None,
        };
        (alarm.kind(), text.unwrap_or_else(|| alarm.text(plan.map(|plan| &*plan.record))))
    })
}

/// An unplanned block with what it was allocated for.
fn unplanned(timeline: &Timeline, id: u64) -> Option<String> {
    let block = timeline.unplanned.iter().find(|block| block.id == id)?;
    let purpose =
        if block.purpose.is_empty() { String::new() } else { format!(", for {}", escape(&block.purpose)) };
    Some(format!("block {id} of {} was allocated outside the plan{purpose}", Bytes(block.bytes)))
}

/// How many alarms there are, by kind; kinds without any are left out.
pub(crate) fn alarm_counts(timeline: &Timeline) -> Vec<(&'static str, u64)> {
    let counts = timeline.alarm_counts();
    let all = [("deviation", counts.deviation), ("overlap", counts.overlap), ("unplanned", counts.unplanned)];
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// What the recording that is shown is called: by its file, else by its model and process, and the moment of it where that is
/// past.
pub(crate) fn shown_title(model: &Model) -> String {
    let at = model.standing.as_ref().map_or_else(String::new, |standing| {
        format!(" at {}, run {}", super::events::clock(standing.t), Count(model.timeline.runs_started))
    });
    if !model.opened.is_empty() {
        return model.opened.clone() + &at;
    }
    let title = model.live().session.as_ref().map_or_else(
        || "this one".to_owned(),
        |session| format!("{}, process {}", name_of(&session.model, "model", 0), session.pid),
    );
    title + &at
}

/// How a load of weights went or goes.
pub(crate) fn load(load: &Load, now: u64) -> String {
    let text = load.text(now);
    match (load.end, load.ok) {
        (None, _) => format!("loading weights: {text}"),
        (Some(_), true) => format!("weights loaded: {text}"),
        (Some(_), false) => format!("loading weights {text}"),
    }
}
