//! The op axis that maps and bars share: what is marked on it, and the words under it.

use bayplan_text::Count;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::draw;
use crate::model::viewport::Axis;
use crate::model::{ArenaView, Model, Playhead};
use crate::theme::Theme;

/// An op that is marked.
pub(super) struct Mark {
    /// The op.
    pub(super) op: u64,
    /// What stands on the axis there.
    pub(super) glyph: &'static str,
    /// In which style.
    pub(super) on_axis: Style,
    style: Style,
    word: String,
}

/// What is marked, the most important first: where two labels would meet, the first one stands.
pub(super) fn marks(arena: &ArenaView<'_>, model: &Model, theme: &Theme) -> Vec<Mark> {
    let ops = &arena.view.ops;
    let mark =
        |op, glyph, on_axis, style, word: &str| Mark { op, glyph, on_axis, style, word: word.to_owned() };
    let mut marks = vec![
        mark(ops.start, "┴", theme.line(), theme.faint(), ""),
        mark(ops.cursor, "▲", theme.cursor(), theme.cursor(), "op "),
    ];
    if let Playhead::At(op) = model.playhead() {
        marks.push(mark(op.into(), "▲", theme.playhead(), theme.playhead(), "now "));
    }
    marks.push(mark(ops.end() - 1, "┴", theme.line(), theme.faint(), ""));
    marks.push(mark(arena.index.peak.op.into(), "┴", theme.warning(), theme.warning(), "peak "));
    let plan = model.wanted_map().map_or(0, |(plan, _)| plan);
    let set = model.marks.ops(plan, arena.arena);
    marks.extend(set.map(|(op, name)| mark(op, "◆", theme.accent(), theme.accent(), &format!("{name} "))));
    marks
}

/// Writes the labels of marks into one row; returns the columns that they take, first and one past the last.
pub(super) fn labels(buffer: &mut Buffer, row: Rect, ops: &Axis, marks: &[Mark]) -> Vec<(u16, u16)> {
    let mut taken: Vec<(u16, u16)> = Vec::new();
    for mark in marks {
        let Some(col) = ops.cell(mark.op, row.width.into()) else { continue };
        let text = format!("{}{}", mark.word, Count(mark.op));
        let width = text.chars().count() as u16;
        let start = (col as u16).saturating_sub(width / 2).min(row.width.saturating_sub(width));
        let free = taken.iter().all(|(from, to)| start > *to || start + width < *from);
        if free && width <= row.width {
            draw::put(buffer, row, row.x + start, row.y, &text, mark.style);
            taken.push((start, start + width));
        }
    }
    taken
}
