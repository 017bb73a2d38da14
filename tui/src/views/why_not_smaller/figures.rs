//! The rows of the window: tensors that the bound rests on, and questions, with their figures.

use std::cmp::Ordering;

use bayplan_plan::explain::Regret;
use bayplan_text::{Bytes, ellipsis};
use bayplan_trace::PlanRecord;
use ratatui::text::{Line, Span};

use crate::draw;
use crate::model::whatif::{Because, Brief, Part, Reason, Row, words};
use crate::model::{Model, explain};
use crate::theme::Theme;

/// Columns of a figure at the right, and columns that are left to what it is of before a second one is shown.
const FIGURE: usize = 20;
const LABEL: usize = 34;
/// Columns of a figure that stands alone, and the width below which it does.
const FIGURE_ALONE: usize = 12;
const ALONE_BELOW: usize = 60;

/// Where a label is cut that is too long.
#[derive(Clone, Copy)]
enum Cut {
    Name,
    Words,
}

/// A label, and as many figures at the right as there is room for.
fn cells(label: Vec<Span<'static>>, cut: Cut, figures: [Span<'static>; 3], width: usize) -> Line<'static> {
    let shown = (width.saturating_sub(LABEL) / FIGURE).clamp(1, figures.len());
    // A figure alone gets what a size needs.
    let wide = if shown == 1 && width < ALONE_BELOW { FIGURE_ALONE } else { FIGURE };
    let room = width.saturating_sub(shown * wide);
    let mut spans = label;
    let used: usize = spans.iter().map(Span::width).sum();
    if used > room
        && let Some(last) = spans.pop()
    {
        let rest = room.saturating_sub(used - last.width() + 1);
        // The ends of names differ more than their beginnings; a sentence is cut at its end.
        let cut = match cut {
            Cut::Name => draw::tail(&last.content, rest),
            Cut::Words => ellipsis(&last.content, rest.max(1)).to_string(),
        };
        spans.push(Span::styled(cut, last.style));
    }
    let used: usize = spans.iter().map(Span::width).sum();
    spans.push(Span::raw(" ".repeat(room.saturating_sub(used))));
    for figure in figures.into_iter().take(shown) {
        let text = ellipsis(&figure.content, wide - 1).to_string();
        let pad = wide.saturating_sub(bayplan_text::columns(&text));
        spans.push(Span::styled(format!("{}{text}", " ".repeat(pad)), figure.style));
    }
    Line::from(spans)
}

/// What stands in the rows below.
pub(super) fn head(part: Part, theme: &Theme, width: usize) -> Line<'static> {
    let (label, figures) = match part {
        Part::Reasons => ("what makes it so large", ["size", "change without it", "change of the least"]),
        Part::Questions => ("what if …", ["change", "arena then", "least then"]),
    };
    let figures = figures.map(|text| Span::styled(text, theme.faint()));
    cells(vec![Span::styled(label, theme.accent())], Cut::Words, figures, width)
}

/// A tensor that the bound rests on.
pub(super) fn reason(
    model: &Model,
    record: &PlanRecord,
    (because, reason): (&Because, &Reason),
    theme: &Theme,
    width: usize,
) -> Line<'static> {
    let hue = model.index().map_or(0, |index| index.hue(reason.buffer));
    let asked = model.asked.tensor == Some(reason.buffer);
    let mark = if asked { "▸" } else { " " };
    let label = vec![
        Span::styled(mark, theme.cursor()),
        Span::styled("▣ ", theme.tensor(hue)),
        Span::styled(explain::buffer_name(record, reason.buffer), theme.text()),
    ];
    let figures = [
        Span::styled(Bytes(reason.size).to_string(), theme.text()),
        Span::styled(regret_words(model.asked.gain(because, reason)), theme.text()),
        Span::styled(less(reason.without), theme.faint()),
    ];
    cells(label, Cut::Name, figures, width)
}

fn less(bytes: u64) -> String {
    if bytes == 0 { "as now".to_owned() } else { format!("−{}", Bytes(bytes)) }
}

/// How much smaller the arena is without a tensor, in a few columns.
fn regret_words(regret: Regret) -> String {
    match regret.exact() {
        Some(bytes) => less(bytes),
        None if regret.at_least > 0 => format!("−{} or more", Bytes(regret.at_least)),
        None => format!("−{} at most", Bytes(regret.at_most)),
    }
}

/// A question, or a change that can be taken back: how the arena changes against what it is now.
pub(super) fn question(
    model: &Model,
    record: &PlanRecord,
    row: &Row,
    theme: &Theme,
    width: usize,
) -> Line<'static> {
    let mut label =
        vec![Span::styled("  ", theme.text()), Span::styled(row_words(row, record), theme.text())];
    let figures = match model.asked.found(row) {
        None => {
            let words = if model.asked.foreseen { "…" } else { "not asked yet" };
            [words, "", ""].map(|text| Span::styled(text, theme.faint()))
        }
        Some(Err(why)) => {
            // The reason takes the room of figures.
            label.push(Span::styled(format!("  no answer: {why}"), theme.faint()));
            return Line::from(label);
        }
        Some(Ok(brief)) => answer(&brief, model.asked.before(&brief), theme),
    };
    cells(label, Cut::Words, figures, width)
}

/// What a row asks: its own change alone.
pub(super) fn row_words(row: &Row, record: &PlanRecord) -> String {
    match row {
        Row::Question(Some(edit)) => words(edit, record),
        Row::Back(edit) => format!("undo: {}", words(edit, record)),
        _ => "everything placed anew".to_owned(),
    }
}

fn answer(brief: &Brief, before: Option<u64>, theme: &Theme) -> [Span<'static>; 3] {
    let after = brief.arena.1;
    let change = before.map_or_else(|| "not known".to_owned(), |before| brief.change(before));
    let style = match before.map(|before| after.cmp(&before)) {
        None | Some(Ordering::Equal) => theme.faint(),
        Some(Ordering::Less) => theme.good(),
        Some(Ordering::Greater) => theme.warning(),
    };
    [
        Span::styled(change, style),
        Span::styled(brief.size(), theme.text()),
        Span::styled(Bytes(brief.bound.1).to_string(), theme.faint()),
    ]
}
