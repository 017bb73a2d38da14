//! Overview: where the memory is, how the runs go, what makes the peak, what is wrong.

use bayplan_text::{Bytes, Count, Nanos, Percent, ellipsis, escape};
use bayplan_trace::{ArenaKind, Block, Severity, recent_runs};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::chrome::is_imported;
use crate::draw;
use crate::model::{Model, explain};
use crate::theme::Theme;
use crate::view::View;

/// The overview.
pub(crate) struct Overview;

/// A framed list of lines.
struct Section {
    title: &'static str,
    lines: Vec<Line<'static>>,
    /// Lines that there would be more of than fit any screen.
    more: usize,
    /// Lines it should have at least, as far as there are any.
    least: u16,
}

impl View for Overview {
    fn title(&self) -> &'static str {
        "Overview"
    }

    fn about(&self) -> &'static str {
        "memory, runs, peak and alarms at a glance"
    }

    fn draw(&self, buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) {
        let wide = area.width >= 76;
        let tall = wide && area.height >= 32;
        let left = if wide { area.width / 2 } else { area.width };
        let width = usize::from(left.saturating_sub(4));
        let other = usize::from(if wide { area.width - left } else { left }.saturating_sub(4));
        let mut first = vec![
            heaps(model, theme, width, tall),
            purposes(model, theme, width),
            arenas(model, theme, width),
            runs(model, theme, width, tall),
        ];
        let second =
            vec![alarms(model, theme, other), peak(model, theme, other), messages(model, theme, other)];
        if wide {
            stack(buffer, Rect { width: left, ..area }, first, theme);
            stack(buffer, Rect { x: area.x + left, width: area.width - left, ..area }, second, theme);
        } else {
            let at = first.len().min(1);
            first.splice(at..at, second);
            stack(buffer, area, first, theme);
        }
    }
}

/// Stacks sections in a column: each gets what it needs, or its least where there is too little; the last one takes
/// what is left.
fn stack(buffer: &mut Buffer, area: Rect, sections: Vec<Section>, theme: &Theme) {
    let sections: Vec<Section> = sections.into_iter().filter(|section| !section.lines.is_empty()).collect();
    let mut heights: Vec<u16> =
        sections.iter().map(|section| section.least.min(section.lines.len() as u16) + 2).collect();
    let mut left = area.height.saturating_sub(heights.iter().sum());
    for (height, section) in heights.iter_mut().zip(&sections) {
        let wanted = (section.lines.len() as u16 + 2).saturating_sub(*height).min(left);
        *height += wanted;
        left -= wanted;
    }
    if let Some(last) = heights.last_mut() {
        *last += left;
    }
    let mut y = area.y;
    for (section, height) in sections.iter().zip(heights) {
        let height = height.min(area.bottom().saturating_sub(y));
        if height < 3 {
            return;
        }
        let title = Line::styled(section.title, theme.accent());
        let inner = draw::frame(buffer, Rect { y, height, ..area }, &title, theme);
        let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
        let lines = section.lines.len() + section.more;
        let cut = lines > usize::from(inner.height);
        for (row, line) in section.lines.iter().take(usize::from(inner.height)).enumerate() {
            if cut && row + 1 == usize::from(inner.height) {
                let more = format!("… {} more lines", lines - row);
                draw::put_line(buffer, inner, row as u16, &Line::styled(more, theme.faint()));
            } else {
                draw::put_line(buffer, inner, row as u16, line);
            }
        }
        y += height;
    }
}

fn heaps(model: &Model, theme: &Theme, width: usize, tall: bool) -> Section {
    let mut lines = Vec::new();
    for (number, heap) in &model.timeline.heaps {
        let limit = heap.budget.unwrap_or(heap.size);
        let ratio = heap.usage as f64 / limit.max(1) as f64;
        let of = if heap.budget.is_some() { "budget" } else { "heap" };
        let figures = format!(" {} of {} {of}", Bytes(heap.usage), Bytes(limit));
        let label = format!("heap {number} ");
        let figures =
            if width < 44 { format!(" {} of {}", Bytes(heap.usage), Bytes(limit)) } else { figures };
        let room = width.saturating_sub(label.len() + figures.len());
        let style = if ratio > 0.9 { theme.alarm_text() } else { theme.gauge() };
        let mut spans = vec![Span::styled(label, theme.text())];
        if room >= 4 {
            spans.extend(draw::bar(ratio, room, style, theme.line()));
        }
        spans.push(Span::styled(figures, theme.text()));
        lines.push(Line::from(spans));
        if tall && heap.history.len() > 1 {
            let usage = heap.history.iter().map(|(_, usage)| *usage);
            lines.extend(draw::chart(usage, width, 2).into_iter().map(|row| Line::styled(row, theme.line())));
        }
    }
    if lines.is_empty() {
        lines.push(Line::styled("no samples of the device's heaps yet", theme.faint()));
    }
    Section { title: "device memory", lines, more: 0, least: 1 }
}

/// What the memory is for, in the order in which it is listed.
const PURPOSES: [(&str, &[ArenaKind]); 6] = [
    ("weights", &[ArenaKind::Weights, ArenaKind::Constants]),
    ("activations", &[ArenaKind::Activations]),
    ("in and out", &[ArenaKind::Inputs, ArenaKind::Outputs]),
    ("KV", &[ArenaKind::Kv]),
    ("staging", &[ArenaKind::Staging]),
    ("other", &[ArenaKind::Other]),
];

fn purposes(model: &Model, theme: &Theme, width: usize) -> Section {
    let Some(plan) = model.plan() else {
        return Section { title: "memory", lines: Vec::new(), more: 0, least: 0 };
    };
    let size = |kinds: &[ArenaKind]| {
        let arenas = plan.record.arenas.iter().filter(|arena| kinds.contains(&arena.kind));
        arenas.map(|arena| arena.size).fold(0, u64::saturating_add)
    };
    let mut rows: Vec<(&str, u64)> = PURPOSES.iter().map(|(name, kinds)| (*name, size(kinds))).collect();
    let planned: u64 = rows.iter().map(|(_, bytes)| *bytes).fold(0, u64::saturating_add);
    let sum = |of: &dyn Fn(&Block) -> bool| {
        let blocks = model.timeline.blocks.values().filter(|block| of(block));
        blocks.map(|block| block.bytes).fold(0, u64::saturating_add)
    };
    // An arena is a block of its name, or several that are numbered.
    let is_arena = |block: &Block| {
        let mut names =
            plan.record.arenas.iter().filter_map(|arena| block.purpose.strip_prefix(&*arena.name));
        names.any(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    // A session of many shapes holds what the largest of them needs.
    let reserved = if plan.record.dims.is_empty() { planned } else { sum(&is_arena).max(planned) };
    rows.push(("other shapes", reserved - planned));
    let blocks = sum(&|_| true);
    // Blocks hold more than the arenas in them: rounding, and what the runtime allocates for itself.
    rows.push(("not in arenas", blocks.saturating_sub(reserved)));
    let total = reserved.max(blocks).max(1);
    let line = |(name, bytes): (&str, u64)| {
        let room = width.saturating_sub(25).min(60);
        let mut spans = vec![Span::styled(format!("{name:<13} "), theme.text())];
        if room >= 4 {
            spans.extend(draw::bar(bytes as f64 / total as f64, room, theme.gauge(), theme.line()));
        }
        spans.push(Span::styled(format!("{:>10}", Bytes(bytes).to_string()), theme.strong()));
        Line::from(spans)
    };
    let lines = rows.into_iter().filter(|(_, bytes)| *bytes > 0).map(line).collect();
    Section { title: "what it is for", lines, more: 0, least: 2 }
}

fn arenas(model: &Model, theme: &Theme, width: usize) -> Section {
    let (Some(plan), Some(index)) = (model.plan(), model.index()) else {
        let lines = vec![Line::styled("waiting for the plan …", theme.faint())];
        return Section { title: "arenas", lines, more: 0, least: 1 };
    };
    // The bound is the first to go: the waste says it.
    let bound_width = if width >= 46 { 12 } else { 0 };
    let name_width = width.saturating_sub(20 + bound_width).clamp(4, 40);
    let bound = |text: String| if bound_width > 0 { format!("{text:>bound_width$}") } else { String::new() };
    let heading = format!("{:<name_width$}{:>11}{}{:>9}", "", "size", bound("bound".to_owned()), "waste");
    let mut lines = vec![Line::styled(heading, theme.faint())];
    for (arena, known) in plan.record.arenas.iter().zip(&index.arenas) {
        let waste = known.metrics.waste;
        let chosen = model.arena().is_some_and(|view| std::ptr::eq(view.index, known));
        let style = if chosen { theme.strong() } else { theme.text() };
        let waste_style = if waste.is_some_and(|waste| waste > 0.02) { theme.warning() } else { style };
        let waste = waste.map_or("n/a".to_owned(), |waste| Percent(waste).to_string());
        lines.push(Line::from(vec![
            Span::styled(format!("{:<name_width$}", ellipsis(&arena.name, name_width - 1)), style),
            Span::styled(format!("{:>11}", Bytes(arena.size)), style),
            Span::styled(bound(Bytes(arena.lower_bound).to_string()), theme.faint()),
            Span::styled(format!("{waste:>9}"), waste_style),
        ]));
    }
    if let Some(arena) = model.arena() {
        let loss = &arena.index.metrics.loss;
        let parts =
            [("live", loss.live), ("padding", loss.padding), ("holes", loss.holes), ("tail", loss.tail)];
        let shown = parts.iter().filter(|(name, bytes)| *bytes > 0 || *name == "live");
        let words: Vec<String> = shown.map(|(name, bytes)| format!("{name} {}", Bytes(*bytes))).collect();
        lines.push(Line::styled(format!("at the peak: {}", words.join(" + ")), theme.faint()));
    }
    Section { title: "arenas", lines, more: 0, least: 3 }
}

fn runs(model: &Model, theme: &Theme, width: usize, tall: bool) -> Section {
    let timeline = &model.timeline;
    let took = |run: &bayplan_trace::FinishedRun| run.end.saturating_sub(run.start);
    let mut lines = Vec::new();
    let failed = timeline.runs_failed;
    let mut counts = vec![Span::styled(format!("{} done", Count(timeline.runs_ok)), theme.strong())];
    if failed > 0 {
        counts.push(Span::styled(format!("  {} failed", Count(failed)), theme.alarm_text()));
    }
    if let Some(run) = timeline.current {
        counts.push(Span::styled(format!("  run {} in progress", Count(run.run)), theme.faint()));
    }
    lines.push(Line::from(counts));
    if timeline.runs.is_empty() {
        lines.push(Line::styled("no run has ended yet", theme.faint()));
    } else {
        let times: Vec<u64> = timeline.runs.iter().map(took).collect();
        let rows = if tall { 5 } else { 1 };
        for row in draw::chart(times.iter().copied(), width, rows) {
            lines.push(Line::styled(row, theme.gauge()));
        }
        lines.push(match recent_runs(timeline) {
            Some(runs) => Line::from(vec![
                Span::styled(format!("latest {}  ", Nanos(runs.latest)), theme.text()),
                Span::styled(
                    format!("median {}  99th {}", Nanos(runs.median), Nanos(runs.p99)),
                    theme.faint(),
                ),
            ]),
            None => Line::styled("no run has succeeded yet", theme.faint()),
        });
    }
    Section { title: "runs", lines, more: 0, least: 2 }
}

fn alarms(model: &Model, theme: &Theme, width: usize) -> Section {
    let mut lines = Vec::new();
    for (kind, text) in explain::alarms(&model.timeline).take(200) {
        let label = format!(" {kind} ");
        let indent = label.len();
        for (at, part) in bayplan_text::wrap(&text, width.saturating_sub(indent + 1)).into_iter().enumerate()
        {
            let head = if at == 0 {
                Span::styled(label.clone(), theme.alarm())
            } else {
                Span::raw(" ".repeat(indent))
            };
            lines.push(Line::from(vec![head, Span::styled(format!(" {part}"), theme.text())]));
        }
    }
    if lines.is_empty() {
        let seen = model.plan().is_some_and(|plan| !plan.windows.is_empty());
        let (words, style) = if is_imported(model) {
            ("none: nothing was planned to differ from", theme.faint())
        } else if seen {
            ("none: all windows are where planned", theme.good())
        } else {
            ("none; no window was seen yet", theme.faint())
        };
        lines.push(Line::styled(words, style));
    }
    Section { title: "alarms", lines, more: 0, least: 3 }
}

/// More lines than fit any screen.
const MOST_LINES: usize = 1000;

fn peak(model: &Model, theme: &Theme, width: usize) -> Section {
    let (mut lines, mut more) = (Vec::new(), 0);
    if let (Some(arena), Some(index)) = (model.arena(), model.index()) {
        let record = &arena.plan.record;
        lines.push(Line::styled(explain::peak_summary(&arena), theme.strong()));
        more = arena.index.peak.buffers.len().saturating_sub(MOST_LINES);
        for number in arena.index.peak.buffers.iter().take(MOST_LINES) {
            let buffer = &record.buffers[*number as usize];
            let size = format!("{:>10} ", Bytes(buffer.size).to_string());
            let room = (width / 6).min(24);
            let ratio = buffer.size as f64 / arena.index.peak.live.max(1) as f64;
            let name_width = width.saturating_sub(size.len() + room + 1);
            let name = explain::buffer_name(record, *number);
            let mut spans = vec![Span::styled(size, theme.text())];
            spans.extend(draw::bar(ratio, room, theme.tensor(index.hue(*number)), theme.line()));
            spans.push(Span::styled(format!(" {}", draw::tail(&name, name_width)), theme.text()));
            lines.push(Line::from(spans));
        }
    }
    Section { title: "why this peak?", lines, more, least: 4 }
}

fn messages(model: &Model, theme: &Theme, width: usize) -> Section {
    let style = |level: &Severity| match level {
        Severity::Error => theme.alarm_text(),
        Severity::Warning => theme.warning(),
        Severity::Info => theme.text(),
    };
    let all = model.timeline.messages.iter().rev().take(50);
    let mut lines: Vec<Line<'static>> = all
        .map(|(t, level, text)| {
            let time = format!("{:>9}  ", Nanos(*t).to_string());
            let room = width.saturating_sub(time.len());
            Line::from(vec![
                Span::styled(time, theme.faint()),
                Span::styled(ellipsis(text, room).to_string(), style(level)),
            ])
        })
        .collect();
    if let Some(session) = model.timeline.session.as_ref().filter(|_| lines.is_empty()) {
        let version = escape(&session.version).to_string();
        let about = format!("bayplan {version}, process {}, trace level {}", session.pid, session.level);
        lines.push(Line::styled(about, theme.faint()));
        let device = format!("{}, {}, driver {}", session.device, session.api, session.driver);
        let device = escape(&device).to_string();
        lines.extend(
            bayplan_text::wrap(&device, width).into_iter().map(|line| Line::styled(line, theme.faint())),
        );
    }
    Section { title: "messages", lines, more: 0, least: 1 }
}
