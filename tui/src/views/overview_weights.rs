//! Section of the overview: how the weights of the model come in.

use bayplan_text::{Bytes, Nanos, Percent, Rate};
use bayplan_trace::{Load, Timeline, rate};
use ratatui::text::{Line, Span};

use super::section::Section;
use crate::draw;
use crate::model::{Life, Model};
use crate::theme::Theme;

/// The rate of late is that of this long, in nanoseconds.
const OF_LATE: u64 = 1_000_000_000;
/// Least columns of the bar.
const BAR: usize = 8;

/// The latest load, as long as it matters: while it goes on, where it failed, and until a run ended; later only where there
/// is room (`tall`).
pub(crate) fn weights(model: &Model, theme: &Theme, width: usize, tall: bool) -> Section {
    let timeline = &model.timeline;
    let Some(load) = timeline.totals.loads.latest.filter(|load| tall || matters(load, timeline)) else {
        return Section::new("", 1);
    };
    let title = match (load.end, model.life) {
        (None, Life::Live) => "loading weights",
        (None, _) => "weights, loading stopped",
        (Some(_), _) if !load.ok => "weights, loading failed",
        (Some(_), _) => "weights",
    };
    let mut section = Section::new(title, if load.end.is_none() { 4 } else { 1 });
    if load.end.is_some() && !load.ok {
        for line in bayplan_text::wrap(&load.amount(timeline.now), width.max(8)) {
            section.say(Line::styled(line, theme.alarm_text()));
        }
    } else if load.end.is_some() {
        let (amount, rate) = (load.amount(timeline.now), load.rate(timeline.now));
        let mut parts = vec![(9, vec![Span::styled(amount, theme.strong())])];
        parts.extend(rate.map(|rate| (8, vec![Span::styled(format!("  {rate}"), theme.text())])));
        section.say(draw::fitting(parts, width));
    } else {
        section.say(progress(&load, theme, width));
        section.say(rates(&load, model, theme, width));
    }
    let way = load.loading.way();
    if !way.is_empty() {
        for line in bayplan_text::wrap(&way.join(" · "), width.max(8)) {
            section.say(Line::styled(line, theme.faint()));
        }
    }
    if load.end.is_none() && timeline.arrivals.len() > 2 {
        for row in draw::chart(speeds(timeline).into_iter(), width, if tall { 3 } else { 1 }) {
            section.say(Line::styled(row, theme.gauge()));
        }
    }
    section
}

/// Whether it is told where rows are few.
pub(crate) fn matters(load: &Load, timeline: &Timeline) -> bool {
    load.end.is_none() || !load.ok || timeline.runs.is_empty()
}

/// A bar, and how much of how much.
fn progress(load: &Load, theme: &Theme, width: usize) -> Line<'static> {
    let (arrived, total) = (load.loading.arrived(), load.loading.total);
    let share = if total == 0 { 1.0 } else { arrived as f64 / total as f64 };
    let words = format!(" {}", Percent(share));
    let of = format!("  {} of {}", Bytes(arrived), Bytes(total));
    let needs = words.len() + of.len();
    let mut spans = draw::bar(share, width.saturating_sub(needs).max(BAR), theme.gauge(), theme.line());
    spans.push(Span::styled(words, theme.strong()));
    spans.push(Span::styled(of, theme.text()));
    Line::from(spans)
}

/// How fast they come, of late and on the whole, and how long it takes if it goes on so.
fn rates(load: &Load, model: &Model, theme: &Theme, width: usize) -> Line<'static> {
    let timeline = &model.timeline;
    let Some(whole) = rate(load.loading.arrived(), load.took(timeline.now)) else {
        return Line::styled("nothing has arrived so far", theme.faint());
    };
    let of_late = of_late(timeline).unwrap_or(whole);
    let words = |rate: f64| Rate(rate as u64, "B");
    let mut parts = vec![(9, vec![Span::styled(words(of_late).to_string(), theme.strong())])];
    parts.push((7, vec![Span::styled(format!("  {} on the whole", words(whole)), theme.faint())]));
    let left = load.loading.total.saturating_sub(load.loading.arrived());
    if of_late >= 1.0 && left > 0 && model.life == Life::Live {
        let left = Nanos((left as f64 / of_late * 1e9) as u64);
        parts.push((8, vec![Span::styled(format!("  about {left} left"), theme.text())]));
    }
    draw::fitting(parts, width)
}

/// Bytes per second over the latest second that was told of.
fn of_late(timeline: &Timeline) -> Option<f64> {
    let (last, arrived) = timeline.arrivals.back()?;
    let since = last.saturating_sub(OF_LATE);
    let (first, before) = timeline.arrivals.iter().find(|(t, _)| *t >= since)?;
    rate(arrived.saturating_sub(*before), last.saturating_sub(*first))
}

/// Bytes per second between each two moments that were told of, oldest first.
fn speeds(timeline: &Timeline) -> Vec<u64> {
    let later = timeline.arrivals.iter().skip(1);
    let pairs = timeline.arrivals.iter().zip(later);
    pairs
        .filter_map(|((t, before), (next, arrived))| rate(arrived.saturating_sub(*before), next - t))
        .map(|rate| rate as u64)
        .collect()
}
