//! The cells of the map: shades of colour with two pixels in a cell, or a ramp of glyphs with one.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use bayplan_trace::{
    BufferRecord, MapLabel, MapLine, MapState, RasterOptions, Sketch, SketchCell, SketchPart, map_labels,
};

use super::ghost;
use crate::model::{ArenaView, Model, Playhead};
use crate::theme::{Colours, Shade, Theme};

/// Draws the map of an arena.
pub(crate) fn draw(buffer: &mut Buffer, map: Rect, model: &Model, arena: &ArenaView<'_>, theme: &Theme) {
    let (ops, bytes) = (&arena.view.ops, &arena.view.bytes);
    let options = RasterOptions {
        arena: arena.arena,
        ops: ops.start as u32..ops.end() as u32,
        bytes: bytes.start..bytes.end(),
        cols: map.width,
        rows: map.height,
        playhead: None,
    };
    let labels = map_labels(&arena.plan.record, &options, arena.map());
    let ink = Ink { model, arena, theme, playhead: model.playhead() };
    if theme.has_shades() {
        ink.shades(buffer, map, &options, &labels);
    } else {
        ink.glyphs(buffer, map, &options, &labels);
    }
    if let Some(ghost) = model.ghost() {
        ghost::draw(buffer, map, arena, ghost, theme);
    }
    if theme.has_shades() {
        playhead(buffer, map, &options, ink.playhead, theme);
    }
    cross_hair(buffer, map, arena, theme);
    if let Some((_, buffer_record)) = model.selected().filter(|_| theme.has_shades()) {
        corners(buffer, map, arena, buffer_record, theme);
    }
}

/// A pixel: what it shows, and of which buffer, if of one of the plan's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pixel {
    owner: Option<u32>,
    state: MapState,
}

/// How pixels become cells.
struct Ink<'a> {
    model: &'a Model,
    arena: &'a ArenaView<'a>,
    playhead: Playhead,
    theme: &'a Theme,
}

impl Ink<'_> {
    fn hue(&self, owner: u32) -> u8 {
        self.model.index().map_or(0, |index| index.hue(owner))
    }

    fn finds(&self, owner: u32) -> bool {
        self.model.filter.is_on() && self.model.filter.keeps(owner)
    }

    fn color(&self, pixel: Pixel) -> Option<Color> {
        if pixel.state == MapState::Deviant {
            return Some(self.theme.deviant());
        }
        let owner = pixel.owner.filter(|_| pixel.state != MapState::Free)?;
        let found = self.model.filter.keeps(owner);
        let shade = match pixel.state {
            _ if !found => Shade::Dim,
            _ if self.model.filter.is_on() => Shade::Bright,
            state => shade_of(state),
        };
        Some(self.theme.shade(self.hue(owner), shade))
    }

    /// Shades of colour, two pixels in a cell.
    fn shades(&self, buffer: &mut Buffer, map: Rect, options: &RasterOptions, labels: &[MapLabel]) {
        let raster = self.arena.raster(RasterOptions { rows: map.height * 2, ..options.clone() });
        let plan = &self.arena.plan.record;
        let pixel = |col: u16, row: u16| {
            let cell = raster.reached((col, row), self.playhead.reached());
            Pixel { owner: cell.buffer, state: MapState::of(plan, &cell, self.playhead) }
        };
        let bound = options.bound_row(plan);
        for row in 0..map.height {
            for col in 0..map.width {
                let Some(cell) = buffer.cell_mut((map.x + col, map.y + row)) else { continue };
                if !self.halves(cell, pixel(col, row * 2), pixel(col, row * 2 + 1)) && bound == Some(row) {
                    cell.set_char(MapLine::Bound.glyph()).set_style(self.theme.line());
                }
            }
        }
        labels.iter().for_each(|label| self.label(buffer, map, label));
    }

    /// Draws two pixels; returns whether there is anything to be seen of them.
    fn halves(&self, cell: &mut ratatui::buffer::Cell, top: Pixel, bottom: Pixel) -> bool {
        let style = match (self.color(top), self.color(bottom)) {
            (None, None) => return false,
            (Some(one), Some(other)) if one == other => {
                // A colour alone would leave an alarm to those who see it.
                let state = if top.state == MapState::Deviant { top.state } else { MapState::Free };
                cell.set_char(state.glyph());
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
        true
    }

    /// A name, in a colour that stands out from the shade under it.
    fn label(&self, buffer: &mut Buffer, map: Rect, label: &MapLabel) {
        let (theme, y, hue) = (self.theme, map.y + label.row, self.hue(label.buffer));
        // Alarms and half cells of neighbours are not written over.
        let plain = |buffer: &Buffer, x: u16| buffer.cell((x, y)).is_some_and(|cell| cell.symbol() == " ");
        let mut at = map.x + label.col;
        for c in label.text.chars() {
            let width = Span::raw(c.to_string()).width() as u16;
            let fits = width > 0 && (at..at + width).all(|x| plain(buffer, x));
            for x in (at..at + width).filter(|_| fits) {
                let cell = &mut buffer[(x, y)];
                let shades = [Shade::Dim, Shade::Medium, Shade::Bright];
                let shade = shades.into_iter().find(|shade| theme.shade(hue, *shade) == cell.bg);
                cell.set_style(Style::new().fg(theme.label(hue, shade.unwrap_or(Shade::Dim))));
                // A wide character covers the cell after it.
                cell.set_char(if x == at { c } else { ' ' });
                if self.finds(label.buffer) {
                    cell.modifier.insert(Modifier::BOLD);
                }
            }
            at += width;
        }
    }

    /// The map in characters, as `bayplan report --map` prints it; where there are few colours, in them.
    fn glyphs(&self, buffer: &mut Buffer, map: Rect, options: &RasterOptions, labels: &[MapLabel]) {
        let (plan, raster) = (&self.arena.plan.record, self.arena.raster(options.clone()));
        let borders = self.theme.colours == Colours::None;
        let sketch = Sketch::new(plan, (options, &raster), labels, self.playhead, borders);
        for row in 0..map.height {
            for col in 0..map.width {
                let (own, Some(cell)) = (sketch.cell(col, row), buffer.cell_mut((map.x + col, map.y + row)))
                else {
                    continue;
                };
                cell.set_char(own.glyph).set_style(self.glyph_style(&own));
            }
        }
    }

    fn glyph_style(&self, cell: &SketchCell) -> Style {
        let selected = self.model.selected().map(|(number, _)| number);
        match (cell.part, cell.state, cell.buffer) {
            (SketchPart::Line(MapLine::Playhead), ..) => self.theme.playhead(),
            (SketchPart::Line(MapLine::Bound), ..) => self.theme.line(),
            (_, MapState::Deviant, _) => self.theme.alarm_text(),
            (_, MapState::Free, _) | (_, _, None) => Style::new(),
            (SketchPart::Label | SketchPart::LabelRest, _, Some(owner)) => {
                let style = self.theme.tensor(self.hue(owner));
                let stands_out = self.finds(owner) || selected == Some(owner);
                if stands_out { style.add_modifier(Modifier::BOLD) } else { style }
            }
            (_, _, Some(owner)) => {
                let style = self.theme.tensor(self.hue(owner));
                let stands_out = self.finds(owner) || selected == Some(owner);
                if stands_out { style.add_modifier(Modifier::BOLD | Modifier::REVERSED) } else { style }
            }
        }
    }
}

/// How strongly it is shown.
pub(super) fn shade_of(state: MapState) -> Shade {
    match state {
        MapState::Live => Shade::Bright,
        MapState::Seen => Shade::Medium,
        MapState::Free | MapState::Planned | MapState::Deviant => Shade::Dim,
    }
}

/// What shades and glyphs mean: a sign and a word for each.
pub(crate) fn states(theme: &Theme) -> Vec<Vec<Span<'static>>> {
    let sign = |state: MapState| match (theme.has_shades(), state) {
        (_, MapState::Deviant) => Span::styled(state.glyph().to_string(), theme.alarm()),
        (true, state) => Span::styled("  ", Style::new().bg(theme.shade(0, shade_of(state)))),
        (false, state) => Span::styled(state.glyph().to_string(), theme.tensor(0)),
    };
    MapState::TOLD.map(|state| vec![sign(state), word(state.word(), theme)]).to_vec()
}

/// What the lines mean that stand on the map now.
pub(crate) fn line_signs(model: &Model, arena: &ArenaView<'_>, theme: &Theme) -> Vec<Vec<Span<'static>>> {
    let about = &arena.plan.record.arenas[arena.arena as usize];
    let lines = [
        (MapLine::Playhead, matches!(model.playhead(), Playhead::At(_)), theme.playhead()),
        (MapLine::Bound, about.lower_bound > 0 && about.lower_bound < about.size, theme.line()),
    ];
    let lines = lines.into_iter().filter(|(_, there, _)| *there);
    let mut signs: Vec<_> = lines
        .map(|(line, _, style)| vec![Span::styled(line.glyph().to_string(), style), word(line.word(), theme)])
        .collect();
    if model.ghost().is_some() {
        signs.push(vec![Span::styled(ghost::OUTLINE, theme.ghost()), word("other plan", theme)]);
    }
    signs
}

/// Signs with their words in a line: takes the first ones, as many as there is room for.
pub(crate) fn legend(signs: &mut Vec<Vec<Span<'static>>>, width: usize) -> Line<'static> {
    const BETWEEN: usize = 2;
    let mut room = width + BETWEEN;
    let fits = |sign: &&Vec<Span<'static>>| {
        let left = room.checked_sub(sign.iter().map(Span::width).sum());
        room = left.unwrap_or(0);
        left.is_some()
    };
    let count = signs.iter().take_while(fits).count();
    let mut line = Line::from(signs.drain(..count).flatten().collect::<Vec<_>>());
    if let Some(last) = line.spans.last_mut() {
        last.content = last.content.trim_end().to_owned().into();
    }
    line
}

fn word(word: &str, theme: &Theme) -> Span<'static> {
    Span::styled(format!(" {word}  "), theme.faint())
}

/// The playhead, as a line over the cells.
fn playhead(buffer: &mut Buffer, map: Rect, options: &RasterOptions, playhead: Playhead, theme: &Theme) {
    let Playhead::At(op) = playhead else { return };
    let Some(col) = options.col_of(op) else { return };
    let glyph = MapLine::Playhead.glyph().to_string();
    for y in map.y..map.bottom() {
        over(buffer, map.x + col, y, &glyph, theme.playhead());
    }
}

/// The cursor's cross-hair, as lines over the cells.
fn cross_hair(buffer: &mut Buffer, map: Rect, arena: &ArenaView<'_>, theme: &Theme) {
    let (cols, rows) = (u64::from(map.width), u64::from(map.height));
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
    let plain = [" ", "▀", "▄", "░", "▒", "▓", "█", "│", "╎", "┆", "╌", "┈"].contains(&cell.symbol());
    if !plain {
        return;
    }
    if cell.symbol() == "▄" {
        cell.bg = cell.fg;
    }
    cell.modifier = Modifier::empty();
    cell.set_symbol(glyph).set_style(style);
}
