//! The report as Markdown, for an issue or a pull request.

use std::fmt::Write as _;

use bayplan_text::{Bytes, Count, Nanos, Percent, plural};
use bayplan_trace::{ArenaMetrics, Timeline, arena_metrics, op_shares, ops_range, why_peak};

use crate::json::severity;
use crate::markup::{code, marked, plain, xml};
use crate::page::TOP;
use crate::picture::{Drawn, op_words};
use crate::roofline::{means_words, rate_words, share_words};
use crate::summary::{bound_words, forecast_words, session_words};

/// Plans that are told before the rest is only counted: a comment holds 65,536 characters.
const PLANS: usize = 4;

/// Rows of the table of ops, where all were asked for.
const MOST_OPS: usize = 250;

/// The report as Markdown: what is wrong, the session, and for each plan its arenas, what lives at the peak, and its slowest
/// ops; with `ops` all of them, as far as a comment holds them.
pub fn markdown(timeline: &Timeline, damages: &[String], live: bool, ops: bool) -> String {
    let mut out = String::new();
    let plan = timeline.current_plan().map(|(_, plan)| plan.record.model.as_str());
    let model =
        timeline.session.as_ref().map(|session| session.model.as_str()).filter(|model| !model.is_empty());
    // Writing to a string does not fail.
    let model = model.or(plan).filter(|model| !model.is_empty()).unwrap_or("unnamed model");
    let _ = writeln!(out, "### Memory of {}\n", plain(model));
    warnings(&mut out, timeline, damages);
    out += "| | |\n|---|---|\n";
    for (name, value) in session_words(timeline, live) {
        let _ = writeln!(out, "| {name} | {} |", shown(&value));
    }
    for words in forecast_words(timeline) {
        let _ = writeln!(out, "| **forecast** | {} |", shown(&words));
    }
    let plans = || (0..).zip(&timeline.plans).filter(|(_, plan)| !plan.forgotten);
    for (number, state) in plans().take(PLANS) {
        plan_section(&mut out, &Drawn::new(timeline, number, state), ops);
    }
    let rest = timeline.plans.len().saturating_sub(plans().count().min(PLANS));
    if rest > 0 {
        let _ = writeln!(out, "\n… and {} more.", plural(rest as u64, "plan"));
    }
    memory(&mut out, timeline);
    messages(&mut out, timeline);
    out
}

/// What is escaped for display already: its backslashes are not escaped once more, but for Markdown.
fn shown(text: &str) -> String {
    text.split('\\').map(plain).collect::<Vec<_>>().join("\\\\")
}

fn warnings(out: &mut String, timeline: &Timeline, damages: &[String]) {
    let counts = timeline.alarm_counts();
    if counts.total() > 0 {
        let _ = writeln!(
            out,
            "**⚠️ {}: deviation {}, overlap {}, unplanned {}**\n",
            plural(counts.total(), "alarm"),
            Count(counts.deviation),
            Count(counts.overlap),
            Count(counts.unplanned)
        );
        let alarms = timeline.alarms().take(TOP);
        for (number, alarm) in alarms {
            let plan = number.and_then(|number| timeline.plans.get(number as usize));
            let text = alarm.text(plan.map(|plan| &*plan.record));
            let _ = writeln!(out, "- {}: {}", alarm.kind(), shown(&text));
        }
        more(out, counts.total(), TOP, "- ");
        *out += "\n";
    }
    if !damages.is_empty() {
        let _ = writeln!(
            out,
            "**⚠️ The recording is damaged at {}; the rest was read.**\n",
            plural(damages.len() as u64, "place")
        );
    }
    if timeline.dropped_total() > 0 {
        let _ = writeln!(
            out,
            "**⚠️ {} were lost while it was recorded.**\n",
            plural(timeline.dropped_total(), "event")
        );
    }
}

fn plan_section(out: &mut String, drawn: &Drawn<'_>, ops: bool) {
    let plan = &drawn.state.record;
    let dims: String =
        plan.dims.iter().map(|dim| format!(", {} = {}", plain(&dim.name), dim.value)).collect();
    let _ = writeln!(
        out,
        "\n**Plan {}**{dims}: {}, {}, for {}\n",
        drawn.number,
        plural(plan.ops.len() as u64, "op"),
        plural(plan.buffers.len() as u64, "tensor"),
        plain(&plan.target)
    );
    *out +=
        "| arena | size | | peak | at | padding | holes | tail |\n|---|---:|---|---:|---|---:|---:|---:|\n";
    let metrics = arena_metrics(plan);
    for (arena, metrics) in plan.arenas.iter().zip(&metrics) {
        let loss = metrics.loss;
        let at = metrics.peak_op.map_or_else(|| "–".to_owned(), |op| shown(&op_words(drawn, op)));
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {at} | {} | {} in {} | {} |",
            code(&arena.name),
            Bytes(arena.size),
            bound_words(arena, metrics),
            Bytes(metrics.peak_live),
            Bytes(loss.padding),
            Bytes(loss.holes),
            Count(loss.hole_count),
            Bytes(loss.tail)
        );
    }
    for (number, metrics) in metrics.iter().enumerate() {
        peak_table(out, drawn, number, metrics);
    }
    ops_table(out, drawn, ops);
}

fn peak_table(out: &mut String, drawn: &Drawn<'_>, arena: usize, metrics: &ArenaMetrics) {
    let plan = &drawn.state.record;
    let Some(peak) = why_peak(plan, arena as u32, metrics) else { return };
    let _ = write!(
        out,
        "\n<details><summary>{} live at the peak of {}, {}</summary>\n\n",
        Bytes(peak.live),
        // The summary is no Markdown.
        xml(&plan.arenas[arena].name),
        marked(&op_words(drawn, peak.op))
    );
    *out += "| size | tensor | shape | offset | ops |\n|---:|---|---|---:|---|\n";
    for &at in peak.buffers.iter().take(2 * TOP) {
        let buffer = &plan.buffers[at as usize];
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            Bytes(buffer.size),
            code(&buffer.name),
            code(&buffer.shape),
            Count(buffer.offset),
            ops_range(buffer.first, buffer.last)
        );
    }
    if let Some(rest) = peak.buffers.get(2 * TOP..).filter(|rest| !rest.is_empty()) {
        let bytes = rest.iter().fold(0, |sum: u64, &at| sum.saturating_add(plan.buffers[at as usize].size));
        let _ = writeln!(out, "| {} | in {} more | | | |", Bytes(bytes), Count(rest.len() as u64));
    }
    *out += "\n</details>\n";
}

fn ops_table(out: &mut String, drawn: &Drawn<'_>, all: bool) {
    let roofs = drawn.timeline.roofs();
    let times = op_shares(drawn.state, roofs);
    if times.is_empty() {
        return;
    }
    let total = times.iter().fold(0, |sum: u64, time| sum.saturating_add(time.mean));
    let words = means_words(&times);
    let _ =
        write!(out, "\n<details><summary>Ops by device time, {} in all{words}</summary>\n\n", Nanos(total));
    let more = if roofs.is_some() { [" of the roof |", "---:|"] } else { [""; 2] };
    let _ = writeln!(
        out,
        "| mean | share |{} bytes moved | operations | op | operator | node | kernel |",
        more[0]
    );
    let _ = writeln!(out, "|---:|---:|{}---:|---:|---:|---|---|---|", more[1]);
    let most = if all { MOST_OPS } else { TOP };
    for time in times.iter().take(most) {
        let op = &drawn.state.record.ops[time.op];
        let roof = roofs.map_or_else(String::new, |_| format!(" {} |", share_words(time)));
        let [bytes, flops] = rate_words(time);
        let _ = writeln!(
            out,
            "| {} | {} |{roof} {bytes} | {flops} | {} | {} | {} | {} |",
            Nanos(time.mean),
            Percent(time.share),
            time.op,
            plain(&op.source_op),
            code(&op.source_node),
            code(&op.kernel)
        );
    }
    if times.len() > most {
        let _ = writeln!(
            out,
            "| | |{} | | | … and {} more | | |",
            if roofs.is_some() { " |" } else { "" },
            Count((times.len() - most) as u64)
        );
    }
    *out += "\n</details>\n";
}

fn memory(out: &mut String, timeline: &Timeline) {
    if timeline.blocks.is_empty() {
        return;
    }
    let count = plural(timeline.blocks.len() as u64, "block");
    let _ = writeln!(out, "\n{} in {count} on the device.", Bytes(timeline.device_bytes()));
    for (heap, state) in &timeline.heaps {
        let budget = state.budget.map_or_else(String::new, |budget| format!(", budget {}", Bytes(budget)));
        let _ = writeln!(out, "Heap {heap}: {} used of {}{budget}.", Bytes(state.usage), Bytes(state.size));
    }
}

fn messages(out: &mut String, timeline: &Timeline) {
    let from = timeline.messages.len().saturating_sub(TOP);
    if !timeline.messages.is_empty() {
        *out += "\n";
    }
    for (t, level, text) in timeline.messages.iter().skip(from) {
        let _ = writeln!(out, "- {} · {}: {}", severity(*level), Nanos(*t), plain(text));
    }
}

fn more(out: &mut String, all: u64, shown: usize, before: &str) {
    if let Some(rest) = all.checked_sub(shown as u64).filter(|&rest| rest > 0) {
        let _ = writeln!(out, "{before}… and {} more", Count(rest));
    }
}
