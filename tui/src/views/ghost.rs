//! A ghost on the map: the outlines of what would lie elsewhere, a hatching over what would be gone, and a line where its
//! arena would end.

use bayplan_text::Bytes;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::bay_plan_map::over;
use crate::draw;
use crate::model::ArenaView;
use crate::model::ghost::Ghost;
use crate::model::viewport::Axis;
use crate::theme::Theme;

/// What outlines are made of.
pub(super) const OUTLINE: &str = "┅";

/// Draws the ghost over a map that is drawn already. Costs what is in view, however many buffers there are.
pub(super) fn draw(buffer: &mut Buffer, map: Rect, arena: &ArenaView<'_>, ghost: &Ghost, theme: &Theme) {
    let style = theme.ghost();
    let (ops, bytes) = (&arena.view.ops, &arena.view.bytes);
    let in_view = (ops.start as u32..ops.end() as u32, bytes.start..bytes.end());
    for outline in ghost.outlines(in_view.0, in_view.1, least(map, ops, bytes)) {
        let Some(place) = Place::of(map, arena, (&outline.ops, &outline.bytes)) else { continue };
        place.outline(buffer, map, style);
    }
    gone(buffer, map, arena, ghost, style);
    top(buffer, map, bytes, ghost, style);
}

/// What is smaller than this shows as nothing but specks: two columns, half a row.
fn least(map: Rect, ops: &Axis, bytes: &Axis) -> (u32, u64) {
    let (cols, rows) = (u64::from(map.width.max(1)), u64::from(map.height.max(1)));
    (ops.len.saturating_mul(2).div_ceil(cols).min(u32::MAX.into()) as u32, bytes.len / (2 * rows))
}

/// Cells of the map: columns from the left, rows from the bottom, and whether each edge is in view.
struct Place {
    cols: (u64, u64),
    rows: (u64, u64),
    left: bool,
    right: bool,
    bottom: bool,
    top: bool,
}

impl Place {
    fn of(
        map: Rect,
        arena: &ArenaView<'_>,
        (ops, bytes): (&std::ops::Range<u32>, &std::ops::Range<u64>),
    ) -> Option<Self> {
        let (x, y) = (&arena.view.ops, &arena.view.bytes);
        let (first, last) = (u64::from(ops.start), u64::from(ops.end));
        if last <= x.start || first >= x.end() || bytes.end <= y.start || bytes.start >= y.end() {
            return None;
        }
        let span = |axis: &Axis, from: u64, to: u64, cells: u64| {
            let first = axis.edge(from, cells).min(cells.saturating_sub(1));
            (first, axis.edge(to, cells).max(first + 1))
        };
        let place = Self {
            cols: span(x, first, last, map.width.into()),
            rows: span(y, bytes.start, bytes.end, map.height.into()),
            left: first >= x.start,
            right: last <= x.end(),
            bottom: bytes.start >= y.start,
            top: bytes.end <= y.end(),
        };
        (place.cols.1 >= place.cols.0 + 2).then_some(place)
    }

    fn outline(&self, buffer: &mut Buffer, map: Rect, style: Style) {
        let (left, right) = (self.cols.0, self.cols.1 - 1);
        let (low, high) = (self.rows.0, self.rows.1 - 1);
        let glyph = |col: u64, row: u64| {
            let (at_left, at_right) = (self.left && col == left, self.right && col == right);
            let (at_low, at_high) = (self.bottom && row == low, self.top && row == high);
            match (at_left, at_right, at_low, at_high) {
                (true, _, false, true) => "╭",
                (_, true, false, true) => "╮",
                (true, _, true, false) => "╰",
                (_, true, true, false) => "╯",
                (true, ..) | (_, true, ..) => "┇",
                _ => OUTLINE,
            }
        };
        let mut put = |col: u64, row: u64| {
            over(buffer, map.x + col as u16, map.bottom() - 1 - row as u16, glyph(col, row), style);
        };
        // Edges that are out of view are not drawn, as if they were in it.
        let seen = |edges: [(u64, bool); 2]| edges.into_iter().filter_map(|(at, seen)| seen.then_some(at));
        for row in low..=high {
            if row == low && self.bottom || row == high && self.top {
                (left..=right).for_each(|col| put(col, row));
            } else {
                seen([(left, self.left), (right, self.right)]).for_each(|col| put(col, row));
            }
        }
    }
}

/// Hatches what the ghost's plan does not have.
fn gone(buffer: &mut Buffer, map: Rect, arena: &ArenaView<'_>, ghost: &Ghost, style: Style) {
    if ghost.counts().removed == 0 {
        return;
    }
    let (ops, bytes) = (&arena.view.ops, &arena.view.bytes);
    let in_view = (ops.start as u32..ops.end() as u32, bytes.start..bytes.end());
    let large = arena.map().large_at(in_view.0, in_view.1, least(map, ops, bytes));
    for number in large.into_iter().filter(|number| ghost.is_gone(*number)) {
        let record = &arena.plan.record.buffers[number as usize];
        let Some(place) =
            Place::of(map, arena, (&(record.first..record.last), &(record.offset..record.end())))
        else {
            continue;
        };
        for row in place.rows.0..place.rows.1 {
            for col in place.cols.0..place.cols.1 {
                over(buffer, map.x + col as u16, map.bottom() - 1 - row as u16, "╱", style);
            }
        }
    }
}

/// A line where the ghost's arena ends, with its size; at the upper edge where it ends beyond what is in view.
fn top(buffer: &mut Buffer, map: Rect, bytes: &Axis, ghost: &Ghost, style: Style) {
    let rows = u64::from(map.height);
    let size = ghost.size();
    let Some(last) = size.checked_sub(1).filter(|last| *last >= bytes.start) else { return };
    let (row, above) = match bytes.cell(last, rows) {
        Some(row) => (row, size > bytes.end()),
        None => (rows - 1, true),
    };
    let y = map.bottom() - 1 - row as u16;
    for x in map.x..map.right() {
        over(buffer, x, y, "═", style);
    }
    let word = if above { " ▲" } else { " " };
    let text = format!("{word}{} {} ", bayplan_text::ellipsis(&ghost.title, 28), Bytes(size));
    let width = bayplan_text::columns(&text) as u16;
    if width < map.width {
        let area = Rect { y, height: 1, ..map };
        draw::put(buffer, area, map.right() - width, y, &text, style.add_modifier(Modifier::REVERSED));
    }
}
