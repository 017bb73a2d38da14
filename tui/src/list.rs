//! Lists on the screen: a head, rows under it, a bar that says where in them one is.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use crate::draw;
use crate::keys::Keymap;
use crate::model::Model;
use crate::model::lists::{ListKind, ListState};
use crate::theme::Theme;
use crate::view::Target;

/// A list that a view or window shows.
pub(crate) trait List: Sync {
    /// Which one: its rows, order and place are the model's.
    fn kind(&self) -> ListKind;

    /// Its columns, from left to right; of a list without columns, rows are lines.
    fn columns(&self) -> &'static [Column] {
        &[]
    }

    /// The cells of a row, one for each column; one for all where there are none.
    fn row(&self, model: &Model, thing: u32, theme: &Theme, width: usize) -> Vec<Line<'static>>;

    /// The column that is drawn cell by cell, as bars are, if there is one: its number.
    fn painted(&self) -> Option<usize> {
        None
    }

    /// Draws that column of a row.
    fn paint(&self, buffer: &mut Buffer, place: Rect, model: &Model, thing: u32, theme: &Theme) {
        let _ = (buffer, place, model, thing, theme);
    }

    /// Whether rows that are ordered by that column begin with the largest: sizes, costs and times do, names do not.
    fn begins_with_largest(&self, column: usize) -> bool {
        self.columns().get(column).is_some_and(|column| column.right)
    }

    /// Whether the chosen row is shown as chosen.
    fn shows_choice(&self) -> bool {
        true
    }

    /// What is said where there are no rows.
    fn empty(&self, model: &Model, keys: &Keymap) -> String;
}

/// A column of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// Its head.
    pub(crate) title: &'static str,
    /// How many columns of the screen it takes; the one of 0 takes what is left.
    pub(crate) width: u16,
    /// Whether it stands at the right end of its place, as numbers do.
    pub(crate) right: bool,
    /// Where there is too little room, the columns of the least weight go first.
    pub(crate) weight: u8,
    /// Whether rows can be ordered by it.
    pub(crate) sorts: bool,
}

/// Columns of the screen that a column without a width is given at least.
const LEAST: u16 = 12;
/// Columns of the screen that bars are given at least; a third of all where that is more.
const LEAST_BARS: u16 = 12;
/// Columns of the screen that text beside bars is given at most.
const MOST_BESIDE_BARS: u16 = 48;

/// Which columns fit, with where they begin and how wide they are; one of them may be painted.
fn places(columns: &[Column], painted: Option<usize>, width: u16) -> Vec<(usize, u16, u16)> {
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let bars = LEAST_BARS.max(width / 3);
    let wanted = |at: &usize| match columns[*at].width {
        0 if painted == Some(*at) => bars + 1,
        0 => LEAST + 1,
        width => width + 1,
    };
    while shown.len() > 1 && shown.iter().map(wanted).sum::<u16>() > width {
        let least = shown.iter().copied().min_by_key(|at| (columns[*at].weight, usize::MAX - *at));
        shown.retain(|at| Some(*at) != least);
    }
    let fixed: u16 = shown.iter().map(|at| columns[*at].width + 1).sum();
    let rest = width.saturating_sub(fixed);
    let open = |at: &&usize| columns[**at].width == 0;
    let has_bars = shown.iter().filter(open).any(|at| painted == Some(*at));
    // Bars take what text leaves them: three fifths, or more.
    let beside = if has_bars { (rest * 2 / 5).clamp(LEAST.min(rest), MOST_BESIDE_BARS) } else { rest };
    let alone = shown.iter().filter(open).count() < 2;
    let mut x = 0;
    let mut found = Vec::new();
    for at in shown {
        let columns = match columns[at].width {
            0 if alone => rest,
            0 if painted == Some(at) => rest - beside,
            0 => beside,
            width => width,
        };
        found.push((at, x, columns.min(width.saturating_sub(x))));
        x += columns + 1;
    }
    found
}

/// Rows of the area that rows of the list take: all but the head.
pub(crate) fn page(list: &dyn List, area: Rect) -> usize {
    usize::from(area.height.saturating_sub(u16::from(!list.columns().is_empty())))
}

/// Draws a list. Its page must have been told to the model.
pub(crate) fn draw(list: &dyn List, buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) {
    if area.width < 3 || area.height == 0 {
        return;
    }
    let state = model.lists.get(list.kind());
    let width = area.width - 1;
    let columns = list.columns();
    let places = places(columns, list.painted(), width);
    let head = u16::from(!columns.is_empty());
    for &(at, x, wide) in &places {
        let place = Rect { x: area.x + x, width: wide, height: 1, ..area };
        draw::put_line(buffer, place, 0, &title(&columns[at], state, at, theme));
    }
    if state.rows.is_empty() {
        let lines =
            bayplan_text::wrap(&list.empty(model, theme.keys), usize::from(width.saturating_sub(2)).max(8));
        for (row, line) in (head + 1..).zip(lines) {
            draw::put_line(buffer, area, row, &Line::styled(format!(" {line}"), theme.faint()));
        }
        return;
    }
    let rows = state.rows.iter().enumerate().skip(state.top);
    for (y, (at, thing)) in (head..area.height).zip(rows) {
        let cells = list.row(model, *thing, theme, usize::from(width));
        if columns.is_empty() {
            let place = Rect { width, ..area };
            cells.iter().take(1).for_each(|line| draw::put_line(buffer, place, y, line));
        }
        for &(column, x, wide) in &places {
            let Some(cell) = cells.get(column) else { continue };
            let cell = if columns[column].right { cell.clone().right_aligned() } else { cell.clone() };
            let place = Rect { x: area.x + x, y: area.y + y, width: wide, height: 1 };
            draw::put_line(buffer, place, 0, &cell);
        }
        if at == state.at && list.shows_choice() {
            draw::fill_row(buffer, Rect { width, ..area }, y, theme.chosen());
        }
        for &(_, x, wide) in places.iter().filter(|(column, ..)| list.painted() == Some(*column)) {
            // What is chosen does not turn the colours of bars round.
            let place = Rect { x: area.x + x, y: area.y + y, width: wide, height: 1 };
            Clear.render(place, buffer);
            list.paint(buffer, place, model, *thing, theme);
        }
    }
    scroll_bar(buffer, Rect { y: area.y + head, height: area.height - head, ..area }, state, theme);
}

fn title(column: &Column, state: &ListState, at: usize, theme: &Theme) -> Line<'static> {
    let mark = match (column.sorts && state.sort.column == at, state.sort.descending) {
        (false, _) => "",
        (true, true) => "▼",
        (true, false) => "▲",
    };
    let line =
        Line::from(vec![Span::styled(column.title, theme.faint()), Span::styled(mark, theme.accent())]);
    if column.right { line.right_aligned() } else { line }
}

/// Where in the list the rows on the screen are, if not all of it is shown.
fn scroll_bar(buffer: &mut Buffer, area: Rect, state: &ListState, theme: &Theme) {
    let (rows, total) = (usize::from(area.height), state.rows.len());
    if rows == 0 || total <= rows {
        return;
    }
    let length = (rows * rows).div_ceil(total).min(rows);
    let first = (state.top * (rows - length)).div_ceil((total - rows).max(1)).min(rows - length);
    for row in 0..rows {
        let glyph = if (first..first + length).contains(&row) { "┃" } else { "│" };
        draw::put(buffer, area, area.right() - 1, area.y + row as u16, glyph, theme.line());
    }
}

/// The columns that are seen in an area.
pub(crate) fn seen(list: &dyn List, area: Rect) -> Vec<usize> {
    let places = places(list.columns(), list.painted(), area.width.saturating_sub(1));
    places.into_iter().map(|(column, ..)| column).collect()
}

/// How many columns of the screen a column of a list of that width has; 0 where it is not seen.
pub(crate) fn wide(list: &dyn List, column: usize, width: usize) -> usize {
    let places = places(list.columns(), list.painted(), u16::try_from(width).unwrap_or(u16::MAX));
    places.into_iter().find(|(at, ..)| *at == column).map_or(0, |(_, _, wide)| wide.into())
}

/// Where the painted column of a list stands, head and all rows.
pub(crate) fn painted(list: &dyn List, area: Rect) -> Option<Rect> {
    let places = places(list.columns(), list.painted(), area.width.saturating_sub(1));
    let (_, x, width) = places.into_iter().find(|(column, ..)| list.painted() == Some(*column))?;
    (width > 0 && area.height > 1).then_some(Rect { x: area.x + x, width, ..area })
}

/// What lies at a cell of a list's area.
pub(crate) fn target(list: &dyn List, area: Rect, model: &Model, at: Position) -> Option<Target> {
    if !area.contains(at) {
        return None;
    }
    let head = u16::from(!list.columns().is_empty());
    if at.y < area.y + head {
        let x = at.x - area.x;
        let places = places(list.columns(), list.painted(), area.width.saturating_sub(1));
        let place = places.into_iter().find(|(_, from, width)| (*from..from + width).contains(&x));
        return place.filter(|(column, ..)| list.columns()[*column].sorts).map(|at| Target::Column(at.0));
    }
    let state = model.lists.get(list.kind());
    let row = state.top + usize::from(at.y - area.y - head);
    (row < state.rows.len()).then_some(Target::Row(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn column(title: &'static str, width: u16, weight: u8) -> Column {
        Column { title, width, right: width > 0, weight, sorts: true }
    }

    const COLUMNS: &[Column] =
        &[column("name", 0, 9), column("size", 8, 8), column("life", 6, 3), column("op", 5, 5)];

    #[test]
    fn columns_share_the_width_and_the_least_go_first() {
        assert_eq!(places(COLUMNS, None, 60), [(0, 0, 37), (1, 38, 8), (2, 47, 6), (3, 54, 5)]);
        assert_eq!(places(COLUMNS, None, 30), [(0, 0, 14), (1, 15, 8), (3, 24, 5)]);
        assert_eq!(places(COLUMNS, None, 14), [(0, 0, 13)]);
        assert_eq!(places(COLUMNS, None, 3), [(0, 0, 2)]);
        assert!(places(&[], None, 3).is_empty());
        // Bars get the larger part, and numbers give way to them.
        const BARS: &[Column] = &[column("name", 0, 9), column("bars", 0, 9), column("size", 8, 8)];
        assert_eq!(places(BARS, Some(1), 99), [(0, 0, 35), (1, 36, 53), (2, 90, 8)]);
        assert_eq!(places(BARS, Some(1), 37), [(0, 0, 12), (1, 13, 14), (2, 28, 8)]);
        assert_eq!(places(BARS, Some(1), 30), [(0, 0, 12), (1, 13, 16)]);
    }
}
