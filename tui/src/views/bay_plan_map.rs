//! The cells of the map: shades of colour with two pixels in a cell, or a ramp of glyphs with one.

use bayplan_text::ellipsis;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

use bayplan_trace::{BufferRecord, Cell, CellState, Raster, RasterOptions};

use super::ghost;
use crate::model::{ArenaView, Model, Playhead, reached_cell};
use crate::theme::{Colours, Shade, Theme};

/// Draws the map of an arena.
pub(crate) fn draw(buffer: &mut Buffer, map: Rect, model: &Model, arena: &ArenaView<'_>, theme: &Theme) {
    let per_cell = if theme.has_shades() { 2 } else { 1 };
    let (ops, bytes) = (&arena.view.ops, &arena.view.bytes);
    let options = RasterOptions {
        arena: arena.arena,
        ops: ops.start as u32..ops.end() as u32,
        bytes: bytes.start..bytes.end(),
        cols: map.width,
        rows: map.height * per_cell,
        playhead: None,
    };
    let raster = arena.raster(options);
    let reached = model.playhead().reached();
    let pixel = |ink: &Ink<'_>, col: u16, row: u16| ink.pixel(reached_cell(&raster, (col, row), reached));
    let selected = model.selected().map(|(number, _)| number);
    let ink = Ink { model, arena, theme, selected, playhead: model.playhead() };
    for row in 0..map.height {
        for col in 0..map.width {
            let Some(cell) = buffer.cell_mut((map.x + col, map.y + row)) else { continue };
            if theme.has_shades() {
                ink.shades(cell, pixel(&ink, col, row * 2), pixel(&ink, col, row * 2 + 1));
            } else {
                ink.glyph(cell, pixel(&ink, col, row));
                border(cell, &raster, (col, row), theme);
            }
        }
    }
    names(buffer, map, model, arena, theme);
    if let Some(ghost) = model.ghost() {
        ghost::draw(buffer, map, arena, ghost, theme);
    }
    lines(buffer, map, model, arena, theme);
    if let Some((_, buffer_record)) = model.selected().filter(|_| theme.has_shades()) {
        corners(buffer, map, arena, buffer_record, theme);
    }
}

/// What a pixel of the map, or a cell of a bar, shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Free,
    Planned,
    Seen,
    /// Seen, and alive at the playhead.
    Live,
    Deviant,
}

/// A pixel: what it shows, and of which buffer, if of one of the plan's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pixel {
    owner: Option<u32>,
    state: State,
}

/// How pixels become cells.
struct Ink<'a> {
    model: &'a Model,
    arena: &'a ArenaView<'a>,
    playhead: Playhead,
    theme: &'a Theme,
    selected: Option<u32>,
}

impl Ink<'_> {
    fn pixel(&self, cell: Cell) -> Pixel {
        let lives = |op: u32| {
            let buffer = cell.buffer.and_then(|owner| self.arena.plan.record.buffers.get(owner as usize));
            buffer.is_some_and(|buffer| buffer.lives_at(op))
        };
        let state = match (cell.state, self.playhead) {
            (CellState::Free, _) => State::Free,
            (CellState::Planned, _) => State::Planned,
            (CellState::Actual, Playhead::At(op)) if lives(op) => State::Live,
            (CellState::Actual, _) => State::Seen,
            (CellState::Deviant, _) => State::Deviant,
        };
        Pixel { owner: cell.buffer, state }
    }

    fn hue(&self, owner: u32) -> u8 {
        self.model.index().map_or(0, |index| index.hue(owner))
    }

    fn color(&self, pixel: Pixel) -> Option<Color> {
        if pixel.state == State::Deviant {
            return Some(self.theme.deviant());
        }
        let owner = pixel.owner.filter(|_| pixel.state != State::Free)?;
        let found = self.model.filter.keeps(owner);
        let shade = match pixel.state {
            _ if !found => Shade::Dim,
            _ if self.model.filter.is_on() => Shade::Bright,
            state => shade_of(state),
        };
        Some(self.theme.shade(self.hue(owner), shade))
    }

    fn shades(&self, cell: &mut ratatui::buffer::Cell, top: Pixel, bottom: Pixel) {
        let style = match (self.color(top), self.color(bottom)) {
            (None, None) => return,
            (Some(one), Some(other)) if one == other => {
                // A colour alone would leave an alarm to those who see it.
                let deviant = top.state == State::Deviant;
                cell.set_symbol(if deviant { "╳" } else { " " });
                Style::new().bg(one).fg(Color::Black)
            }
            (Some(top), Some(bottom)) => {
                cell.set_symbol("▀");
                Style::new().fg(top).bg(bottom)
            }
            (Some(top), None) => {
                cell.set_symbol("▀");
                Style::new().fg(top)
            }
            (None, Some(bottom)) => {
                cell.set_symbol("▄");
                Style::new().fg(bottom)
            }
        };
        cell.set_style(style);
    }

    fn glyph(&self, cell: &mut ratatui::buffer::Cell, pixel: Pixel) {
        cell.set_symbol(glyph_of(pixel.state));
        if pixel.state == State::Deviant {
            cell.set_style(self.theme.alarm_text());
            return;
        }
        let Some(owner) = pixel.owner.filter(|_| pixel.state != State::Free) else { return };
        let mut style = self.theme.tensor(self.hue(owner));
        if self.selected == Some(owner) || self.model.filter.is_on() && self.model.filter.keeps(owner) {
            style = style.add_modifier(Modifier::BOLD | Modifier::REVERSED);
        }
        cell.set_style(style);
    }
}

/// Without colours, neighbours are told apart by a line between them, where there is room beside it.
fn border(cell: &mut ratatui::buffer::Cell, raster: &Raster, (col, row): (u16, u16), theme: &Theme) {
    let own = raster.cell(col, row).buffer;
    let beside = col.checked_sub(1).and_then(|left| raster.cell(left, row).buffer);
    let wide = own == raster.cell(col + 1, row).buffer && own == raster.cell(col + 2, row).buffer;
    let between = theme.colours == Colours::None && own.is_some() && beside.is_some() && own != beside;
    if between && wide && cell.symbol() != "╳" {
        cell.set_symbol("│");
    }
}

/// How strongly it is shown.
pub(super) fn shade_of(state: State) -> Shade {
    match state {
        State::Live => Shade::Bright,
        State::Seen => Shade::Medium,
        State::Free | State::Planned | State::Deviant => Shade::Dim,
    }
}

/// The glyph that says the same without shades.
pub(super) fn glyph_of(state: State) -> &'static str {
    match state {
        State::Free => " ",
        State::Planned => "░",
        State::Seen => "▒",
        State::Live => "█",
        State::Deviant => "╳",
    }
}

/// What shades and glyphs mean.
pub(crate) fn legend(theme: &Theme) -> Vec<Span<'static>> {
    let words = [
        (State::Planned, " planned  "),
        (State::Seen, " seen  "),
        (State::Live, " live  "),
        (State::Deviant, " not as planned"),
    ];
    let mut spans = Vec::new();
    for (state, word) in words {
        let glyph = match (theme.has_shades(), state) {
            (_, State::Deviant) => Span::styled("╳", theme.alarm()),
            (true, state) => Span::styled("  ", Style::new().bg(theme.shade(0, shade_of(state)))),
            (false, state) => Span::styled(glyph_of(state), theme.tensor(0)),
        };
        spans.push(glyph);
        spans.push(Span::styled(word, theme.faint()));
    }
    spans
}

/// The playhead and the cursor's cross-hair, as lines over the cells.
fn lines(buffer: &mut Buffer, map: Rect, model: &Model, arena: &ArenaView<'_>, theme: &Theme) {
    let (cols, rows) = (u64::from(map.width), u64::from(map.height));
    if let Playhead::At(op) = model.playhead()
        && let Some(col) = arena.view.ops.cell(u64::from(op), cols)
    {
        for y in map.y..map.bottom() {
            over(buffer, map.x + col as u16, y, "┃", theme.playhead());
        }
    }
    let col = arena.view.ops.cell(arena.view.ops.cursor, cols);
    let row = arena.view.bytes.cell(arena.view.bytes.cursor, rows);
    let (Some(col), Some(row)) = (col, row) else { return };
    let (col, row) = (col as u16, map.height - 1 - row as u16);
    let faint =
        if theme.has_shades() { theme.cursor().remove_modifier(Modifier::BOLD) } else { theme.cursor() };
    // Where glyphs are all there is, the cross-hair leaves them alone.
    let free = |buffer: &Buffer, x: u16, y: u16| {
        theme.has_shades() || buffer.cell((x, y)).is_some_and(|cell| cell.symbol() == " ")
    };
    for y in map.y..map.bottom() {
        if free(buffer, map.x + col, y) {
            over(buffer, map.x + col, y, "╎", faint);
        }
    }
    for x in map.x..map.right() {
        if free(buffer, x, map.y + row) {
            over(buffer, x, map.y + row, "╌", faint);
        }
    }
    over(buffer, map.x + col, map.y + row, "┼", theme.cursor());
}

/// The corners of the tensor at the cursor, as far as they are in view.
fn corners(buffer: &mut Buffer, map: Rect, arena: &ArenaView<'_>, of: &BufferRecord, theme: &Theme) {
    let (ops, bytes) = (&arena.view.ops, &arena.view.bytes);
    let (cols, rows) = (u64::from(map.width), u64::from(map.height));
    let (left, right) = (ops.edge(of.first.into(), cols), ops.edge(of.last.into(), cols));
    let (low, high) = (bytes.edge(of.offset, rows * 2).div_ceil(2), bytes.edge(of.end(), rows * 2) / 2);
    if right < left + 2 || high < low + 2 {
        return;
    }
    let (first, last) = (u64::from(of.first) >= ops.start, u64::from(of.last) <= ops.end());
    let (bottom, top) = (of.offset >= bytes.start, of.end() <= bytes.end());
    let marks = [
        (first && top, left, high - 1, "┏"),
        (last && top, right - 1, high - 1, "┓"),
        (first && bottom, left, low, "┗"),
        (last && bottom, right - 1, low, "┛"),
    ];
    for (_, col, from_bottom, glyph) in marks.into_iter().filter(|(seen, ..)| *seen) {
        over(buffer, map.x + col as u16, map.bottom() - 1 - from_bottom as u16, glyph, theme.cursor());
    }
}

/// Draws a line's glyph over a cell whose colour stays: the background's, or of half-filled cells the lower half's.
pub(super) fn over(buffer: &mut Buffer, x: u16, y: u16, glyph: &str, style: Style) {
    let Some(cell) = buffer.cell_mut((x, y)) else { return };
    // Alarms and names are not to be hidden by a line.
    let plain = [" ", "▀", "▄", "░", "▒", "▓", "█", "│", "╎", "┆", "╌"].contains(&cell.symbol());
    if !plain {
        return;
    }
    if cell.symbol() == "▄" {
        cell.bg = cell.fg;
    }
    cell.modifier = Modifier::empty();
    cell.set_symbol(glyph).set_style(style);
}

/// Names of the tensors that have room for one, in the middle of their rectangles.
fn names(buffer: &mut Buffer, map: Rect, model: &Model, arena: &ArenaView<'_>, theme: &Theme) {
    let (cols, rows) = (u64::from(map.width), u64::from(map.height));
    let (ops, bytes) = (&arena.view.ops, &arena.view.bytes);
    // Most are too short or too low for a name, or out of view: not even their place is worth working out.
    let least = (ops.len.saturating_mul(NAMED).div_ceil(cols), bytes.len / (2 * rows));
    let in_view = (ops.start as u32..ops.end() as u32, bytes.start..bytes.end());
    for number in arena.map().large_at(in_view.0, in_view.1, (least.0 as u32, least.1)) {
        let record = &arena.plan.record.buffers[number as usize];
        let (left, right) = (ops.edge(record.first.into(), cols), ops.edge(record.last.into(), cols));
        if right < left + NAMED {
            continue;
        }
        // Twice the rows, as the pixels of the map: a cell is whole only if both of its halves are.
        let (low, high) = (bytes.edge(record.offset, rows * 2), bytes.edge(record.end(), rows * 2));
        let (low, high) = (low.div_ceil(2), high / 2);
        if high <= low {
            continue;
        }
        let width = (right - left - 2) as usize;
        let row = rows - 1 - (low + high - 1) / 2;
        let text = short_name(&record.name, width);
        let x = map.x + left as u16 + 1;
        let y = map.y + row as u16;
        label(buffer, (x, y), &text, model, number, theme);
    }
}

/// Columns from which on a tensor is named.
const NAMED: u64 = 6;

/// The end of a name says more than its beginning, where there is room for one only.
fn short_name(name: &str, width: usize) -> String {
    if bayplan_text::columns(name) <= width {
        return bayplan_text::escape(name).to_string();
    }
    let last = name.trim_matches('/').rsplit('/').next().unwrap_or(name);
    // What exporters put after the name of the node says nothing.
    let last = last.strip_suffix("_output_0").unwrap_or(last);
    ellipsis(last, width).to_string()
}

fn label(buffer: &mut Buffer, (x, y): (u16, u16), text: &str, model: &Model, number: u32, theme: &Theme) {
    let found = model.filter.is_on() && model.filter.keeps(number);
    let hue = model.index().map_or(0, |index| index.hue(number));
    // Alarms, borders and half cells of neighbours are not written over.
    let plain = |buffer: &Buffer, x: u16| {
        buffer.cell((x, y)).is_some_and(|cell| matches!(cell.symbol(), " " | "░" | "▒" | "▓" | "█"))
    };
    let mut at = x;
    for c in text.chars() {
        let width = Span::raw(c.to_string()).width() as u16;
        let fits = width > 0 && (at..at + width).all(|x| plain(buffer, x));
        for x in (at..at + width).filter(|_| fits) {
            let cell = &mut buffer[(x, y)];
            let style = if theme.has_shades() {
                let shades = [Shade::Dim, Shade::Medium, Shade::Bright];
                let shade = shades.into_iter().find(|shade| theme.shade(hue, *shade) == cell.bg);
                Style::new().fg(theme.label(hue, shade.unwrap_or(Shade::Dim)))
            } else {
                theme.text().remove_modifier(Modifier::REVERSED)
            };
            cell.set_style(style);
            // A wide character covers the cell after it.
            cell.set_char(if x == at { c } else { ' ' });
            if found {
                cell.modifier.insert(Modifier::BOLD);
            }
        }
        at += width;
    }
}
