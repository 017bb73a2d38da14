//! Sections of the overview: the device's heaps, what its memory is held for, and the arenas.

use bayplan_text::{Bytes, Percent, ellipsis};
use bayplan_trace::{Forecast, Growing, HeapState, Purpose, forecasts, holdings};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::section::Section;
use crate::draw;
use crate::model::Model;
use crate::theme::Theme;
use crate::view::Target;

/// A share of a heap from which on it is nearly full.
const NEARLY_FULL: f64 = 0.9;
/// A waste from which on it is marked.
const WASTEFUL: f64 = 0.02;

/// What stands before the bars of what was in use.
const OVER_TIME: &str = "  over time ";

/// The heaps of the device: what this process uses, its budget, what others hold, how it changed, where it is heading.
pub(crate) fn heaps(model: &Model, theme: &Theme, width: usize, tall: bool) -> Section {
    let mut section = Section::new("device memory", 1);
    let growing = forecasts(&model.timeline);
    for (&number, heap) in &model.timeline.heaps {
        section.say(usage(number, heap, theme, width));
        let forecast = growing.iter().find(|forecast| forecast.of == Growing::Heap(number));
        if let Some(forecast) = forecast {
            section.say(warned(forecast, theme));
        }
        for line in bayplan_text::wrap(&room(heap), width.saturating_sub(2).max(8)) {
            section.say(Line::styled(format!("  {line}"), theme.faint()));
        }
        if heap.history.len() > 1 {
            let usage = heap.history.iter().map(|(_, usage)| *usage);
            let rows = draw::chart(usage, width.saturating_sub(OVER_TIME.len()), if tall { 2 } else { 1 });
            let last = rows.len().saturating_sub(1);
            for (at, row) in rows.into_iter().enumerate() {
                let label = if at == last { OVER_TIME } else { "" };
                let label = format!("{label:0$}", OVER_TIME.len());
                section.say(vec![Span::styled(label, theme.faint()), Span::styled(row, theme.line())]);
            }
        }
    }
    for forecast in &growing {
        if let Growing::Pool(number) = forecast.of {
            let name = model.timeline.pools.get(&number).map_or("", |pool| &pool.name);
            section.say(Line::from(vec![
                Span::styled(format!("pool {} ", ellipsis(name, 16)), theme.text()),
                Span::styled(forecast.text(), theme.warning()),
            ]));
        }
    }
    if section.is_empty() {
        section.say(Line::styled("not known: no sample was recorded", theme.faint()));
    }
    section
}

fn warned(forecast: &Forecast, theme: &Theme) -> Line<'static> {
    Line::styled(format!("  ▲ {}", forecast.text()), theme.warning())
}

fn usage(number: u32, heap: &HeapState, theme: &Theme, width: usize) -> Line<'static> {
    let limit = heap.budget.unwrap_or(heap.size);
    let ratio = heap.usage as f64 / limit.max(1) as f64;
    let of = if heap.budget.is_some() { "budget" } else { "heap" };
    let of = if width < 44 { String::new() } else { format!(" {of}") };
    let figures = format!(" {} of {}{of}", Bytes(heap.usage), Bytes(limit));
    let label = format!("heap {number} ");
    let room = width.saturating_sub(label.len() + figures.len());
    let style = if ratio > NEARLY_FULL { theme.alarm_text() } else { theme.gauge() };
    let mut spans = vec![Span::styled(label, theme.text())];
    if room >= 4 {
        spans.extend(draw::bar(ratio, room, style, theme.line()));
    }
    spans.push(Span::styled(figures, theme.text()));
    Line::from(spans)
}

/// What is left of a heap, and what others hold, as far as the driver tells.
fn room(heap: &HeapState) -> String {
    match heap.budget.zip(heap.others()) {
        Some((budget, others)) => format!(
            "headroom {} · heap {} · others {}",
            Bytes(budget.saturating_sub(heap.usage)),
            Bytes(heap.size),
            Bytes(others)
        ),
        None => "the driver tells no budget".to_owned(),
    }
}

/// What the device's blocks are held for; the rows sum to them exactly.
pub(crate) fn held(model: &Model, theme: &Theme, width: usize) -> Section {
    let found = holdings(&model.timeline);
    let title = if found.seen { "what it is for" } else { "what the plan needs (nothing was allocated)" };
    let mut section = Section::new(title, 2);
    if model.plan().is_none() && !found.seen {
        return section;
    }
    let room = width.saturating_sub(24).min(60);
    let mut row = |name: &str, bytes: u64, style: Style| {
        let mut spans = vec![Span::styled(format!("{name:<12} "), theme.text())];
        if room >= 4 {
            let ratio = bytes as f64 / found.total.max(1) as f64;
            spans.extend(draw::bar(ratio, room, theme.gauge(), theme.line()));
        }
        spans.push(Span::styled(format!("{:>10}", Bytes(bytes).to_string()), style));
        section.say(spans);
    };
    for (purpose, bytes) in &found.parts {
        let style = if *purpose == Purpose::Unaccounted { theme.warning() } else { theme.strong() };
        row(purpose.name(), *bytes, style);
    }
    if found.seen {
        // That nothing is left unexplained is worth a line.
        if found.bytes(Purpose::Unaccounted) == 0 {
            row(Purpose::Unaccounted.name(), 0, theme.faint());
        }
        let blocks = model.timeline.blocks.len();
        row(if blocks == 1 { "in 1 block" } else { "= all blocks" }, found.total, theme.strong());
    }
    section
}

/// The arenas of the plan: size, bound and waste; how the one that is looked at is used at its peak.
pub(crate) fn arenas(model: &Model, theme: &Theme, width: usize) -> Section {
    let mut section = Section::new("arenas", 3);
    let (Some(plan), Some(index)) = (model.plan(), model.index()) else {
        section.say(Line::styled("waiting for the plan …", theme.faint()));
        return section;
    };
    // The bound is the first to go: the waste says it.
    let bound_width = if width >= 46 { 12 } else { 0 };
    let name_width = width.saturating_sub(20 + bound_width).clamp(4, 40);
    let bound = |text: String| if bound_width > 0 { format!("{text:>bound_width$}") } else { String::new() };
    let heading = format!("{:<name_width$}{:>11}{}{:>9}", "", "size", bound("bound".to_owned()), "waste");
    section.say(Line::styled(heading, theme.faint()));
    for (number, (arena, known)) in (0..).zip(plan.record.arenas.iter().zip(&index.arenas)) {
        let waste = known.metrics.waste;
        let chosen = model.arena().is_some_and(|view| view.arena == number);
        let style = if chosen { theme.strong() } else { theme.text() };
        let waste_style = if waste.is_some_and(|waste| waste > WASTEFUL) { theme.warning() } else { style };
        let waste = waste.map_or("n/a".to_owned(), |waste| Percent(waste).to_string());
        let name = ellipsis(&arena.name, name_width.saturating_sub(1)).to_string();
        let blanks = name_width.saturating_sub(bayplan_text::columns(&name));
        let line = vec![
            Span::styled(name + &" ".repeat(blanks), style),
            Span::styled(format!("{:>11}", Bytes(arena.size)), style),
            Span::styled(bound(Bytes(arena.lower_bound).to_string()), theme.faint()),
            Span::styled(format!("{waste:>9}"), waste_style),
        ];
        section.offer(line, Target::Arena(number));
    }
    if let Some(arena) = model.arena() {
        let loss = &arena.index.metrics.loss;
        let parts =
            [("live", loss.live), ("padding", loss.padding), ("holes", loss.holes), ("tail", loss.tail)];
        let shown = parts.iter().filter(|(name, bytes)| *bytes > 0 || *name == "live");
        let words: Vec<String> = shown.map(|(name, bytes)| format!("{name} {}", Bytes(*bytes))).collect();
        let words = format!("at the peak: {}", words.join(" + "));
        let target = arena.index.metrics.peak_op.map_or(Target::Arena(arena.arena), Target::Op);
        for line in bayplan_text::wrap(&words, width.max(8)) {
            section.offer(Line::styled(line, theme.faint()), target);
        }
    }
    section
}
