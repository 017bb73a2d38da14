//! The report for people.

use std::fmt::Write as _;

use bayplan_text::{Bytes, Count, Nanos, Percent, columns, ellipsis, escape, plural};
use bayplan_trace::{
    ArenaMetrics, PlanState, Roofs, Timeline, arena_metrics, deviation, holdings, op_shares, ops_words,
    why_not_smaller, why_peak,
};

use crate::json::severity;
use crate::page::{Page, TOP};
use crate::roofline::{means_words, rate_words, share_words};
use crate::summary::{forecast_words, session_words};

/// The report for people, in lines of text. Alarms and damage come first, if there are any. `ops` adds the time of every op
/// to those of the slowest.
pub fn text(timeline: &Timeline, damages: &[String], live: bool, ops: bool) -> String {
    let mut page = Page(String::new());
    page.alarms(timeline);
    page.damage(timeline, damages);
    page.session(timeline, live);
    for (number, plan) in timeline.plans.iter().enumerate().filter(|(_, plan)| !plan.forgotten) {
        page.plan(timeline, number, plan, ops);
    }
    page.forgotten(timeline);
    page.memory(timeline);
    page.messages(timeline);
    page.0
}

impl Page {
    fn session(&mut self, timeline: &Timeline, live: bool) {
        let seen = timeline.plans.iter().any(|plan| plan.recording.is_some());
        let clean = if seen { "none" } else { "none; no windows were recorded to compare with the plan" };
        if timeline.alarm_counts().total() == 0 {
            self.line("alarms", clean);
        }
        for (name, value) in session_words(timeline, live) {
            self.line(name, value);
        }
    }

    fn alarms(&mut self, timeline: &Timeline) {
        let counts = timeline.alarm_counts();
        if counts.total() == 0 {
            return;
        }
        self.line(
            "ALARMS",
            format_args!(
                "{}: deviation {}, overlap {}, unplanned {}",
                Count(counts.total()),
                Count(counts.deviation),
                Count(counts.overlap),
                Count(counts.unplanned)
            ),
        );
        // A few of each sort: one broken buffer may raise a thousand of the first.
        let kinds =
            [("deviation", counts.deviation), ("overlap", counts.overlap), ("unplanned", counts.unplanned)];
        for (kind, count) in kinds {
            let alarms = timeline.alarms().filter(|(_, alarm)| alarm.kind() == kind).take(TOP);
            let mut shown = 0;
            for (number, alarm) in alarms {
                let plan = number.and_then(|number| timeline.plans.get(number as usize));
                self.item(format_args!("{kind}: {}", alarm.text(plan.map(|plan| &*plan.record))));
                shown += 1;
            }
            self.more(count, shown);
        }
    }

    fn damage(&mut self, timeline: &Timeline, damages: &[String]) {
        if !damages.is_empty() {
            self.line(
                "DAMAGE",
                format_args!(
                    "at {} of the recording; the rest was read",
                    plural(damages.len() as u64, "place")
                ),
            );
            damages.iter().take(TOP).for_each(|damage| self.item(escape(damage)));
            self.more(damages.len() as u64, TOP);
        }
        if timeline.dropped_total() > 0 {
            let kinds =
                timeline.dropped.iter().map(|(kind, count)| format!("{} × {}", Count(*count), kind.name()));
            let kinds = kinds.collect::<Vec<_>>().join(", ");
            self.line("LOST", format_args!("{} events: {kinds}", Count(timeline.dropped_total())));
        }
        for (number, _) in timeline.plans.iter().enumerate().filter(|(_, plan)| plan.incomplete) {
            self.line("LOST", format_args!("some windows of plan {number}: alarms may be missing"));
        }
    }

    fn plan(&mut self, timeline: &Timeline, number: usize, state: &PlanState, ops: bool) {
        let plan = &state.record;
        let _ = writeln!(self.0);
        let dims = plan
            .dims
            .iter()
            .map(|dim| format!(" · {} = {}", escape(&dim.name), dim.value))
            .collect::<String>();
        self.line(
            &format!("plan {number}"),
            format_args!(
                "{}, {} for {}{dims} · strategy {}",
                plural(plan.ops.len() as u64, "op"),
                plural(plan.buffers.len() as u64, "buffer"),
                escape(&plan.target),
                escape(if plan.strategy.is_empty() { "unnamed" } else { &plan.strategy })
            ),
        );
        for note in plan.notes.iter().take(TOP) {
            self.item(escape(note));
        }
        for (number, metrics) in arena_metrics(plan).iter().enumerate() {
            self.arena(state, number, metrics);
        }
        self.deviations(state);
        self.ops(state, timeline.roofs(), ops);
    }

    fn forgotten(&mut self, timeline: &Timeline) {
        let forgotten = timeline.plans.iter().filter(|plan| plan.forgotten).count();
        if forgotten > 0 {
            let _ = writeln!(self.0);
            let count = Count(forgotten as u64);
            self.line("plans", format_args!("{count} more of earlier shapes, with nothing wrong; not kept"));
        }
    }

    fn arena(&mut self, state: &PlanState, number: usize, metrics: &ArenaMetrics) {
        let plan = &state.record;
        let arena = &plan.arenas[number];
        let why = why_not_smaller(arena);
        let mut value = format!("{} · bound {}", Bytes(arena.size), Bytes(arena.lower_bound));
        if let Some(op) = arena.witness_op {
            value += &format!(" at {}", op_name(state, op));
        }
        match metrics.waste {
            _ if why.optimal => value += " · optimal, no plan for this order is smaller",
            Some(waste) => value += &format!(" · waste {} ({})", Percent(waste), Bytes(why.gap)),
            None => value += &format!(" · {} above the bound", Bytes(why.gap)),
        }
        self.folded(&format!("arena {} {value}", escape(&arena.name)), 6);
        let Some(peak) = why_peak(plan, number as u32, metrics) else { return };
        // What always lives together has no peak to explain.
        let flat = metrics.live.iter().all(|&live| live == metrics.peak_live);
        let loss = metrics.loss;
        self.item(format_args!(
            "{}: {} live + {} padding + {} in {} + {} tail",
            if flat { "throughout".into() } else { format!("peak at {}", op_name(state, peak.op)) },
            Bytes(loss.live),
            Bytes(loss.padding),
            Bytes(loss.holes),
            plural(loss.hole_count, "hole"),
            Bytes(loss.tail)
        ));
        self.live(state, &peak.buffers);
    }

    fn live(&mut self, state: &PlanState, buffers: &[u32]) {
        let buffers: Vec<_> = buffers.iter().map(|&index| &state.record.buffers[index as usize]).collect();
        let shown = &buffers[..buffers.len().min(TOP)];
        let width = shown.iter().map(|buffer| columns(&buffer.name)).max().unwrap_or(0).min(40);
        for buffer in shown {
            let place = format!("at {}", buffer.offset);
            self.item(format_args!(
                "  {:>9}  {:width$}  {} {place}, {}",
                Bytes(buffer.size),
                ellipsis(&buffer.name, width),
                escape(&buffer.shape),
                ops_words(buffer.first, buffer.last)
            ));
        }
        if let Some(rest) = buffers.get(TOP..).filter(|rest| !rest.is_empty()) {
            let bytes = rest.iter().fold(0, |sum: u64, buffer| sum.saturating_add(buffer.size));
            self.item(format_args!("  {:>9}  in {} more", Bytes(bytes), Count(rest.len() as u64)));
        }
    }

    fn deviations(&mut self, state: &PlanState) {
        let Some(found) = deviation(state) else { return };
        if found.max_excess() > 0 {
            self.line(
                "deviation",
                format_args!("up to {} beside the plan at one op", Bytes(found.max_excess())),
            );
        }
        for late in found.late.iter().take(TOP) {
            let name = &state.record.buffers[late.buffer as usize].name;
            self.item(format_args!("{} is released {} late", escape(name), plural(late.ops().into(), "op")));
        }
    }

    fn ops(&mut self, state: &PlanState, roofs: Option<&Roofs>, all: bool) {
        let times = op_shares(state, roofs);
        if times.is_empty() {
            return;
        }
        let total = times.iter().fold(0, |sum: u64, time| sum.saturating_add(time.mean));
        let _ = writeln!(
            self.0,
            "ops by device time, {} in all{}{}",
            Nanos(total),
            means_words(&times),
            legend(roofs, all)
        );
        let most = if all { times.len() } else { TOP };
        for time in times.iter().take(most) {
            let op = &state.record.ops[time.op];
            let roof = roofs.map_or_else(String::new, |_| format!("  {:>15}", share_words(time)));
            let rates = if all {
                rate_words(time).map(|rate| format!("  {rate:>12}")).concat()
            } else {
                String::new()
            };
            self.item(format_args!(
                "  {:>9}  {:>6}{roof}{rates}  op {} {} ({})",
                Nanos(time.mean),
                Percent(time.share),
                time.op,
                ellipsis(&op.name, 40),
                escape(&op.source_op)
            ));
        }
        self.more(times.len() as u64, most);
    }

    fn memory(&mut self, timeline: &Timeline) {
        if timeline.blocks.is_empty() && timeline.heaps.is_empty() {
            return;
        }
        let _ = writeln!(self.0);
        let bytes = timeline.device_bytes();
        let count = plural(timeline.blocks.len() as u64, "block");
        self.line("memory", format_args!("{} in {count} on the device", Bytes(bytes)));
        for block in timeline.blocks.values().take(TOP) {
            let outside = if block.planned { "" } else { " · outside the plan" };
            self.item(format_args!(
                "  {:>9}  {} · memory type {}{outside}",
                Bytes(block.bytes),
                escape(&block.purpose),
                block.memory_type
            ));
        }
        self.more(timeline.blocks.len() as u64, TOP);
        let held = holdings(timeline);
        let parts: Vec<String> =
            held.parts.iter().map(|(of, bytes)| format!("{} {}", of.name(), Bytes(*bytes))).collect();
        if held.seen {
            self.folded(&format!("of which {}", parts.join(" + ")), 2);
        }
        for (heap, state) in &timeline.heaps {
            let others =
                state.others().map_or_else(String::new, |bytes| format!(", {} left to others", Bytes(bytes)));
            let budget =
                state.budget.map_or_else(String::new, |budget| format!(", budget {}", Bytes(budget)));
            self.line(
                &format!("heap {heap}"),
                format_args!("{} used of {}{budget}{others}", Bytes(state.usage), Bytes(state.size)),
            );
        }
        for words in forecast_words(timeline) {
            self.line("FORECAST", format_args!("{words}"));
        }
    }

    fn messages(&mut self, timeline: &Timeline) {
        let from = timeline.messages.len().saturating_sub(TOP);
        for (t, level, text) in timeline.messages.iter().skip(from) {
            self.line(severity(*level), format_args!("{} · {}", Nanos(*t), escape(text)));
        }
    }
}

/// What the columns of the ops are, where they are more than their times.
fn legend(roofs: Option<&Roofs>, all: bool) -> String {
    let mut columns = vec!["mean", "share of all"];
    columns.extend(roofs.map(|_| "share of the device's roof and what binds"));
    if all {
        columns.extend(["bytes moved", "operations"]);
    }
    if columns.len() == 2 { String::new() } else { format!(": {}", columns.join(", ")) }
}

/// `op 97 (layer.3/attention, MatMul)`.
fn op_name(state: &PlanState, op: u32) -> String {
    let record = state.record.ops.get(op as usize);
    let name = record.map(|record| {
        let name = if record.source_node.is_empty() { &record.name } else { &record.source_node };
        [name.as_str(), record.source_op.as_str()]
    });
    let known: Vec<String> = name
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .map(|part| escape(part).to_string())
        .collect();
    if known.is_empty() { format!("op {op}") } else { format!("op {op} ({})", known.join(", ")) }
}
