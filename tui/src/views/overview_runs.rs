//! Sections of the overview: live bytes over ops, the times of runs, alarms, the peak, messages.

use bayplan_text::{Bytes, Count, Nanos, ellipsis, escape};
use bayplan_trace::{SessionInfo, Severity, ops_words, recent_runs};
use ratatui::text::{Line, Span};

use super::section::Section;
use crate::chrome::is_imported;
use crate::draw;
use crate::model::events::clock;
use crate::model::whatif::all_words;
use crate::model::{Life, Model, explain};
use crate::theme::Theme;
use crate::view::Target;

/// More lines than fit any screen.
const MOST_LINES: usize = 1000;
/// Alarms that are told one by one.
const MOST_ALARMS: usize = 200;
/// Messages that are told.
const MOST_MESSAGES: usize = 50;

/// Bytes that live in the arena over the ops in view.
pub(crate) fn live(model: &Model, theme: &Theme, width: usize, tall: bool) -> Section {
    let least = if tall { 4 } else { 2 };
    let Some(arena) = model.arena().filter(|arena| !arena.plan.record.ops.is_empty()) else {
        return Section::new("", least);
    };
    let ops = &arena.view.ops;
    // What is in view here is what is in view on the map.
    let part = if ops.is_whole() {
        "op by op".to_owned()
    } else {
        ops_words(ops.start as u32, ops.end() as u32) + " in view"
    };
    let mut section = Section::new(format!("live bytes, {part}"), least);
    let at = |word: &str, op: u32| {
        let bytes = arena.index.metrics.live.get(op as usize).copied().unwrap_or(0);
        format!("{word} {} at op {}", Bytes(bytes), Count(op.into()))
    };
    let peak = arena.index.peak.op;
    let mut parts = vec![(9, vec![Span::styled(at("peak", peak), theme.strong())])];
    // Who looks back asks for that moment first.
    let (weight, style) = if model.standing.is_some() { (10, theme.strong()) } else { (8, theme.faint()) };
    let now = format!("   now {}", explain::live_now(model, &arena));
    parts.push((weight, vec![Span::styled(now, style)]));
    section.offer(draw::fitting(parts, width), Target::Op(peak));
    let most = (0..width).map(|col| {
        let (first, last) = ops.span(col as u64, width as u64);
        arena.index.most_live(first as usize, last as usize)
    });
    for row in draw::chart(most, width, if tall { 3 } else { 1 }) {
        section.ops(Line::styled(row, theme.gauge()));
    }
    section
}

/// How the runs went, and how long they took.
pub(crate) fn times(model: &Model, theme: &Theme, width: usize, tall: bool) -> Section {
    let mut section = Section::new("runs", 3);
    let timeline = &model.timeline;
    let mut counts = vec![Span::styled(format!("{} done", Count(timeline.runs_ok)), theme.strong())];
    if timeline.runs_failed > 0 {
        counts.push(Span::styled(format!("  {} failed", Count(timeline.runs_failed)), theme.alarm_text()));
    }
    if let Some(run) = timeline.current {
        // Counted from 1, as in the header and on the command line.
        let number = Count(run.run.saturating_add(1));
        counts.push(Span::styled(format!("  run {number} in progress"), theme.faint()));
    }
    section.say(counts);
    if timeline.runs.is_empty() {
        let words = match (is_imported(model), model.life) {
            (true, _) => "none: an imported plan was not run",
            (false, Life::Live) => "no run has ended so far",
            (false, Life::Ended | Life::Killed) => "no run ended",
        };
        section.say(Line::styled(words, theme.faint()));
        return section;
    }
    match recent_runs(timeline) {
        Some(runs) => {
            // Of so few runs the slowest is what a share of a hundred would name.
            let slow = match runs.count < 100 {
                true => format!("  slowest {}", Nanos(runs.p99)),
                false => format!("  99 % in {}", Nanos(runs.p99)),
            };
            section.say(draw::fitting(
                vec![
                    (9, vec![Span::styled(format!("latest {}", Nanos(runs.latest)), theme.text())]),
                    (8, vec![Span::styled(format!("  median {}", Nanos(runs.median)), theme.faint())]),
                    (7, vec![Span::styled(slow, theme.faint())]),
                ],
                width,
            ));
        }
        None => section.say(Line::styled("no run has succeeded", theme.faint())),
    }
    let took = timeline.runs.iter().map(|run| run.end.saturating_sub(run.start));
    for row in draw::chart(took, width, if tall { 5 } else { 1 }) {
        section.say(Line::styled(row, theme.gauge()));
    }
    section
}

/// What is wrong; a click goes there.
pub(crate) fn alarms(model: &Model, theme: &Theme, width: usize) -> Section {
    let mut section = Section::new("alarms", 3);
    let place = model.alarm_places();
    for (at, (kind, text)) in explain::alarms(&model.timeline).take(MOST_ALARMS).enumerate() {
        let label = format!(" {kind} ");
        let indent = label.len();
        let lines = bayplan_text::wrap(&text, width.saturating_sub(indent + 1).max(8));
        for (row, part) in lines.into_iter().enumerate() {
            let head = match row {
                0 => Span::styled(label.clone(), theme.alarm()),
                _ => Span::raw(" ".repeat(indent)),
            };
            let line = vec![head, Span::styled(format!(" {part}"), theme.text())];
            match place(at) {
                Some(alarm) => section.offer(line, Target::Alarm(alarm)),
                None => section.say(line),
            }
        }
    }
    let told = MOST_ALARMS as u64;
    section.leave_out(model.timeline.alarm_counts().total().saturating_sub(told) as usize);
    if section.is_empty() {
        let seen = model.plan().is_some_and(|plan| !plan.windows.is_empty());
        let (words, style) = if is_imported(model) {
            ("none: nothing was planned to differ from", theme.faint())
        } else if seen {
            ("none: every tensor is where the plan puts it", theme.good())
        } else {
            ("none; nothing was seen to compare so far", theme.faint())
        };
        for line in bayplan_text::wrap(words, width.max(8)) {
            section.say(Line::styled(line, style));
        }
    }
    section
}

/// The tensors that make the peak, the largest first.
pub(crate) fn peak(model: &Model, theme: &Theme, width: usize) -> Section {
    let mut section = Section::new("why this peak?", 4);
    let (Some(arena), Some(index)) = (model.arena(), model.index()) else { return section };
    let record = &arena.plan.record;
    let summary = explain::peak_summary(&arena);
    // The number of the op is kept where its operator does not fit.
    let fits = bayplan_text::columns(&summary) <= width;
    let summary = if fits { summary } else { explain::peak_brief(&arena) };
    let summary = Line::styled(summary, theme.strong());
    section.offer(summary, Target::Op(arena.index.peak.op));
    let selected = model.selected().map(|(number, _)| number);
    section.leave_out(arena.index.peak.buffers.len().saturating_sub(MOST_LINES));
    for &number in arena.index.peak.buffers.iter().take(MOST_LINES) {
        let buffer = &record.buffers[number as usize];
        let size = format!("{:>10} ", Bytes(buffer.size).to_string());
        let room = (width / 6).min(24);
        let ratio = buffer.size as f64 / arena.index.peak.live.max(1) as f64;
        let name_width = width.saturating_sub(size.len() + room + 1);
        let name = explain::buffer_name(record, number);
        let style = if selected == Some(number) { theme.cursor() } else { theme.text() };
        let mut spans = vec![Span::styled(size, theme.text())];
        spans.extend(draw::bar(ratio, room, theme.tensor(index.hue(number)), theme.line()));
        spans.push(Span::styled(format!(" {}", draw::tail(&name, name_width)), style));
        section.offer(spans, Target::Tensor(number));
    }
    section
}

/// What was said of late; before anything was, who runs on what.
pub(crate) fn messages(model: &Model, theme: &Theme, width: usize) -> Section {
    let mut section = Section::new("messages", 1);
    let style = |level: &Severity| match level {
        Severity::Error => theme.alarm_text(),
        Severity::Warning => theme.warning(),
        Severity::Info => theme.text(),
    };
    for (t, level, text) in model.timeline.messages.iter().rev().take(MOST_MESSAGES) {
        let time = format!("{:>9}  ", clock(*t));
        let room = width.saturating_sub(time.len());
        section.say(vec![
            Span::styled(time, theme.faint()),
            Span::styled(ellipsis(text, room).to_string(), style(level)),
        ]);
    }
    if let Some(session) = model.timeline.session.as_ref().filter(|_| section.is_empty()) {
        for line in bayplan_text::wrap(&about(session), width.max(8)) {
            section.say(Line::styled(line, theme.faint()));
        }
    }
    section
}

/// Who recorded, and on what: as far as that is known.
fn about(session: &SessionInfo) -> String {
    let own = [
        ("bayplan ", session.version.clone()),
        ("process ", session.pid.to_string()),
        ("trace level ", session.level.to_string()),
    ];
    let origin = [("imported from ", session.origin.clone())];
    let device =
        [("", session.device.clone()), ("", session.api.clone()), ("driver ", session.driver.clone())];
    let first = if session.is_imported() { &origin[..] } else { &own[..] };
    let known = first.iter().chain(&device).filter(|(_, value)| !value.is_empty());
    let words: Vec<String> = known.map(|(word, value)| format!("{word}{}", escape(value))).collect();
    words.join(", ")
}

/// What is changed of the plan that the map shows: the figures here stay those of the recording.
pub(crate) fn changed(model: &Model, theme: &Theme, width: usize) -> Section {
    let mut section = Section::new("what if · figures here as recorded", 2);
    let asked = &model.asked;
    let Some(arena) = model.arena().filter(|_| asked.shown && model.is_asked_of_arena()) else {
        return section;
    };
    let title = all_words(&asked.edits, &arena.plan.record);
    let found = match asked.answer(&asked.edits) {
        Some(Ok(brief)) => brief.words(),
        Some(Err(why)) => why.clone(),
        None => "planning anew …".to_owned(),
    };
    for line in bayplan_text::wrap(&format!("{title}: {found}"), width.max(8)) {
        section.say(Line::styled(line, theme.cursor()));
    }
    section
}
