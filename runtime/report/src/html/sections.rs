//! The page's tables: what is read without scripts.

use std::fmt::Write as _;

use bayplan_text::{Bytes, Count, Nanos, Percent, escape, plural};
use bayplan_trace::{Timeline, arena_metrics, op_shares, ops_range, why_peak};

use crate::figures::{Told, told};
use crate::json::severity;
use crate::markup::{marked, xml};
use crate::picture::{Drawn, op_words};
use crate::roofline::{means_words, rate_words, share_words};
use crate::summary::{bound_words, forecast_words, session_words};

/// Rows of a table before the rest is only counted.
const ROWS: usize = 50;

/// Rows of the table of ops, where it was asked for.
const MOST_OPS: usize = 20_000;

/// Figures of plans, arenas and heaps.
const MOST_FIGURES: usize = 2000;

/// A cell: its class and what is in it, escaped.
type Cell = (&'static str, String);

/// What is wrong, if anything is.
pub(super) fn warnings(out: &mut String, timeline: &Timeline, damages: &[String]) {
    let counts = timeline.alarm_counts();
    let mut lines: Vec<String> = Vec::new();
    for kind in ["deviation", "overlap", "unplanned"] {
        let alarms = timeline.alarms().filter(|(_, alarm)| alarm.kind() == kind).take(ROWS / 5);
        lines.extend(alarms.map(|(number, alarm)| {
            let plan = number.and_then(|number| timeline.plans.get(number as usize));
            // Names are escaped in it.
            format!("{kind}: {}", marked(&alarm.text(plan.map(|plan| &*plan.record))))
        }));
    }
    let all = counts.total();
    if let Some(rest) = all.checked_sub(lines.len() as u64).filter(|&rest| rest > 0) {
        lines.push(format!("… and {} more", Count(rest)));
    }
    lines.extend(damages.iter().take(ROWS / 5).map(|damage| format!("damage: {}", xml(damage))));
    let lost =
        timeline.dropped.iter().map(|(kind, count)| format!("lost: {} × {}", Count(*count), kind.name()));
    lines.extend(lost);
    if lines.is_empty() {
        return;
    }
    let what = if all > 0 {
        format!("⚠ {}", plural(all, "alarm"))
    } else {
        "⚠ The recording is not whole".into()
    };
    // Writing to a string does not fail.
    let _ = writeln!(out, "<section class=\"alarms\" role=\"alert\"><h2>{what}</h2><ul>");
    lines.iter().for_each(|line| *out += &format!("<li>{line}</li>\n"));
    *out += "</ul></section>\n";
}

/// Size, bound and loss of every arena.
pub(super) fn arenas(out: &mut String, drawn: &Drawn<'_>) {
    let plan = &drawn.state.record;
    let metrics = arena_metrics(plan);
    let rows = plan.arenas.iter().zip(&metrics).map(|(arena, metrics)| {
        let loss = metrics.loss;
        let peak = metrics.peak_op.map_or_else(|| "–".to_owned(), |op| op_words(drawn, op));
        vec![
            ("code", xml(&arena.name)),
            ("n", Bytes(arena.size).to_string()),
            ("", bound_words(arena, metrics)),
            ("", marked(&peak)),
            ("n", Bytes(metrics.peak_live).to_string()),
            ("n", Bytes(loss.padding).to_string()),
            ("n", format!("{} in {}", Bytes(loss.holes), Count(loss.hole_count))),
            ("n", Bytes(loss.tail).to_string()),
        ]
    });
    *out += "<h2>Arenas</h2>\n";
    let heads = ["arena", "size ", "", "peak at", "live ", "padding ", "holes ", "tail "];
    table(out, "arenas", &heads, rows);
}

/// What lives at the peak of the arena that matters most.
pub(super) fn peak(out: &mut String, drawn: &Drawn<'_>) {
    let Some(&arena) = drawn.arenas().first() else { return };
    let plan = &drawn.state.record;
    let metrics = arena_metrics(plan).swap_remove(arena);
    let Some(peak) = why_peak(plan, arena as u32, &metrics) else { return };
    let title = format!(
        "{} live at the peak of {}, {}",
        Bytes(peak.live),
        escape(&plan.arenas[arena].name),
        op_words(drawn, peak.op)
    );
    let _ = writeln!(out, "<h2>{}</h2>", marked(&title));
    let rows = peak.buffers.iter().take(ROWS).map(|&at| {
        let buffer = &plan.buffers[at as usize];
        vec![
            ("n", Bytes(buffer.size).to_string()),
            ("code wide", xml(&buffer.name)),
            ("code", xml(&buffer.shape)),
            ("n", Count(buffer.offset).to_string()),
            ("n", ops_range(buffer.first, buffer.last)),
        ]
    });
    table(out, "peak", &["size ", "tensor", "shape", "offset ", "ops "], rows);
    more(out, peak.buffers.len(), ROWS);
}

/// Ops by device time: the slowest, or all.
pub(super) fn ops(out: &mut String, drawn: &Drawn<'_>, all: bool) {
    let roofs = drawn.timeline.roofs();
    let times = op_shares(drawn.state, roofs);
    if times.is_empty() {
        if all {
            *out += "<h2>Ops</h2>\n<p>No op was timed; <code>--trace-level op</code> times them.</p>\n";
        }
        return;
    }
    let total = times.iter().fold(0, |sum: u64, time| sum.saturating_add(time.mean));
    let _ = writeln!(out, "<h2>Ops by device time, {} in all{}</h2>", Nanos(total), means_words(&times));
    let most = if all { MOST_OPS } else { ROWS / 5 };
    let rows = times.iter().take(most).map(|time| {
        let op = &drawn.state.record.ops[time.op];
        let [bytes, flops] = rate_words(time);
        let mut row = vec![("n", Nanos(time.mean).to_string()), ("n", Percent(time.share).to_string())];
        row.extend(roofs.map(|_| ("n", xml(&share_words(time)))));
        row.extend([
            ("n", bytes),
            ("n", flops),
            ("n", time.op.to_string()),
            ("", xml(&op.source_op)),
            ("code wide", xml(&op.source_node)),
            ("code", xml(&op.kernel)),
            ("n", Bytes(op.bytes).to_string()),
        ]);
        row
    });
    let mut heads = vec!["mean ", "share "];
    heads.extend(roofs.map(|_| "of the roof "));
    heads.extend(["bytes moved ", "operations ", "op ", "operator", "node", "kernel", "moves "]);
    table(out, "ops", &heads, rows);
    more(out, times.len(), most);
}

/// Every figure with what it means: the session's, and, folded, those of its parts.
pub(super) fn figures(out: &mut String, timeline: &Timeline, damage: usize) {
    let (own, parts): (Vec<_>, Vec<_>) =
        told(timeline, damage).into_iter().partition(|figure| figure.of.is_empty());
    *out += "<h2>Figures</h2>\n";
    let exact = |figure: &Told| figure.exact.as_deref().map_or_else(|| "–".to_owned(), xml);
    let rows = own.iter().map(|figure| {
        vec![
            ("code", xml(&figure.name)),
            ("n", marked(&figure.value)),
            ("n", exact(figure)),
            ("", xml(figure.help)),
        ]
    });
    table(out, "figures", &["figure", "value ", "exactly ", "what it says"], rows);
    if parts.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "<details><summary>{} of plans, arenas, heaps and pools</summary>",
        plural(parts.len() as u64, "figure")
    );
    let rows = parts.iter().take(MOST_FIGURES).map(|figure| {
        vec![
            ("code", xml(&figure.name)),
            ("wide", marked(&figure.of)),
            ("n", marked(&figure.value)),
            ("n", exact(figure)),
        ]
    });
    table(out, "parts", &["figure", "of", "value ", "exactly "], rows);
    more(out, parts.len(), MOST_FIGURES);
    *out += "</details>\n";
}

/// Who recorded it, device memory, messages.
pub(super) fn session(out: &mut String, timeline: &Timeline, live: bool) {
    *out += "<h2>Session</h2>\n";
    let forecasts = forecast_words(timeline).into_iter().map(|words| ("forecast", words));
    let rows = session_words(timeline, live).into_iter().chain(forecasts);
    table(
        out,
        "session",
        &["", ""],
        rows.map(|(name, value)| vec![("", name.into()), ("wide", marked(&value))]),
    );
    if !timeline.blocks.is_empty() {
        let _ = writeln!(out, "<h2>Device memory, {} in all</h2>", Bytes(timeline.device_bytes()));
        let rows = timeline.blocks.values().take(ROWS).map(|block| {
            vec![
                ("n", Bytes(block.bytes).to_string()),
                ("", xml(&block.purpose)),
                ("n", block.memory_type.to_string()),
                ("", if block.planned { String::new() } else { "outside the plan".into() }),
            ]
        });
        table(out, "blocks", &["bytes ", "purpose", "memory type ", ""], rows);
        more(out, timeline.blocks.len(), ROWS);
    }
    if !timeline.messages.is_empty() {
        *out += "<h2>Messages</h2>\n";
        let from = timeline.messages.len().saturating_sub(ROWS);
        let rows = timeline.messages.iter().skip(from).map(|(t, level, text)| {
            vec![("n", Nanos(*t).to_string()), ("", severity(*level).into()), ("wide", xml(text))]
        });
        table(out, "messages", &["at ", "", ""], rows);
    }
}

/// A table; heads that end in a blank are those of numbers.
fn table(out: &mut String, id: &str, heads: &[&str], rows: impl Iterator<Item = Vec<Cell>>) {
    let _ = write!(out, "<div class=\"scroll\"><table id=\"t-{id}\"><thead><tr>");
    for head in heads {
        let class = if head.ends_with(' ') { " class=\"n\"" } else { "" };
        let _ = write!(out, "<th scope=\"col\"{class}>{}</th>", head.trim_end());
    }
    *out += "</tr></thead><tbody>\n";
    for row in rows {
        *out += "<tr>";
        for (class, cell) in row {
            let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
            let _ = write!(out, "<td{class}>{cell}</td>");
        }
        *out += "</tr>\n";
    }
    *out += "</tbody></table></div>\n";
}

fn more(out: &mut String, all: usize, shown: usize) {
    if let Some(rest) = all.checked_sub(shown).filter(|&rest| rest > 0) {
        let _ = writeln!(out, "<p class=\"faint\">… and {} more</p>", Count(rest as u64));
    }
}
