//! The map in characters: what stands in a cell, for every picture that has glyphs in place of colours.
//!
//! ```text
//!  raster ─► state of each cell ─► glyph ─► border ─► names ─► lower bound ─► playhead
//! ```
//! What comes later is drawn over free cells and glyphs, never over a name or an alarm.

use alloc::string::String;
use alloc::vec::Vec;

use bayplan_text::{ascii_row, columns};

use crate::map::labels::MapLabel;
use crate::map::raster::{Cell, CellState, Raster, RasterOptions};
use crate::schema::plan_record::PlanRecord;
use crate::timeline::playhead::Playhead;

/// What a cell of a map, or of the bar of a tensor, shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MapState {
    /// Nothing lives there.
    #[default]
    Free,
    /// Planned; not reached, or not seen.
    Planned,
    /// Seen in its place.
    Seen,
    /// Seen in its place, and alive at the playhead.
    Live,
    /// Not as planned.
    Deviant,
}

/// The line between two neighbours beside each other, and between one above the other.
const BORDERS: [char; 2] = ['│', '─'];

/// A line over the map, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapLine {
    /// The op that was seen complete last.
    Playhead,
    /// No plan for this order of ops has a smaller arena.
    Bound,
}

impl MapState {
    /// Those that a legend tells.
    pub const TOLD: [Self; 4] = [Self::Planned, Self::Seen, Self::Live, Self::Deviant];

    /// What a cell shows while a run has come that far.
    pub fn of(plan: &PlanRecord, cell: &Cell, playhead: Playhead) -> Self {
        let lives = |op: u32| {
            let buffer = cell.buffer.and_then(|owner| plan.buffers.get(owner as usize));
            buffer.is_some_and(|buffer| buffer.lives_at(op))
        };
        match (cell.state, playhead) {
            (CellState::Free, _) => Self::Free,
            (CellState::Planned, _) => Self::Planned,
            (CellState::Actual, Playhead::At(op)) if lives(op) => Self::Live,
            (CellState::Actual, _) => Self::Seen,
            (CellState::Deviant, _) => Self::Deviant,
        }
    }

    /// The glyph that says so.
    pub fn glyph(self) -> char {
        match self {
            Self::Free => ' ',
            Self::Planned => '░',
            Self::Seen => '▒',
            Self::Live => '█',
            Self::Deviant => '╳',
        }
    }

    /// The same in a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Planned => "planned",
            Self::Seen => "used",
            Self::Live => "live",
            Self::Deviant => "not as planned",
        }
    }
}

impl MapLine {
    /// The glyph that the line is made of.
    pub fn glyph(self) -> char {
        match self {
            Self::Playhead => '║',
            Self::Bound => '┈',
        }
    }

    /// What it says.
    pub fn word(self) -> &'static str {
        match self {
            Self::Playhead => "now",
            Self::Bound => "lower bound",
        }
    }
}

/// What a glyph of a sketch is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SketchPart {
    /// That of the cell's state.
    #[default]
    State,
    /// The left border of the cell's buffer, or its upper one.
    Border,
    /// A character of a buffer's name.
    Label,
    /// The second half of a wide one.
    LabelRest,
    /// A line over the map.
    Line(MapLine),
}

/// A cell of the map in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SketchCell {
    /// What stands there.
    pub glyph: char,
    /// What that is.
    pub part: SketchPart,
    /// What the map shows there, whatever stands over it.
    pub state: MapState,
    /// The buffer of the plan that the map shows there.
    pub buffer: Option<u32>,
}

/// The map of an arena in characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    cols: u16,
    rows: u16,
    /// In rows from the top.
    cells: Vec<SketchCell>,
}

impl Sketch {
    /// Draws what a raster of these options holds, made as if all ops were reached, while a run has come that far. Where there
    /// are no colours, `borders` tell neighbours apart.
    pub fn new(
        plan: &PlanRecord,
        (options, raster): (&RasterOptions, &Raster),
        labels: &[MapLabel],
        playhead: Playhead,
        borders: bool,
    ) -> Self {
        let (cols, rows) = (options.cols, options.rows);
        let all = (0..rows).flat_map(|row| (0..cols).map(move |col| (col, row)));
        let cell = |(col, row): (u16, u16)| {
            let cell = raster.reached((col, row), playhead.reached());
            let state = MapState::of(plan, &cell, playhead);
            let border = Some((col, row)).filter(|_| borders && state != MapState::Deviant);
            let border = border.and_then(|(col, row)| border_of(raster, col, row));
            let (glyph, part) =
                border.map_or((state.glyph(), SketchPart::State), |border| (border, SketchPart::Border));
            SketchCell { glyph, part, state, buffer: cell.buffer }
        };
        let mut sketch = Self { cols, rows, cells: all.map(cell).collect() };
        labels.iter().for_each(|label| sketch.write(label));
        if let Some(row) = options.bound_row(plan) {
            (0..cols).for_each(|col| sketch.line(col, row, MapLine::Bound));
        }
        if let Playhead::At(op) = playhead
            && let Some(col) = options.col_of(op)
        {
            (0..rows).for_each(|row| sketch.line(col, row, MapLine::Playhead));
        }
        sketch
    }

    /// A cell, counted from the left and from the top; an empty one outside.
    pub fn cell(&self, col: u16, row: u16) -> SketchCell {
        self.index(col, row).map(|at| self.cells[at]).unwrap_or_default()
    }

    /// Whether one of the cells shows this.
    pub fn shows(&self, state: MapState) -> bool {
        self.cells.iter().any(|cell| cell.part == SketchPart::State && cell.state == state)
    }

    /// The signs of the borders that stand anywhere.
    pub fn borders(&self) -> impl Iterator<Item = char> {
        let stands = |sign: &char| {
            self.cells.iter().any(|cell| cell.part == SketchPart::Border && cell.glyph == *sign)
        };
        BORDERS.into_iter().filter(stands)
    }

    /// Whether a line stands anywhere.
    pub fn has_line(&self, line: MapLine) -> bool {
        self.cells.iter().any(|cell| cell.part == SketchPart::Line(line))
    }

    /// A row as text; with stand-ins where only ASCII may be shown.
    pub fn row(&self, row: u16, is_ascii: bool) -> String {
        let cells = (0..self.cols).map(|col| self.cell(col, row));
        // A wide character takes both columns; its stand-in takes one.
        let shown = cells.filter(|cell| is_ascii || cell.part != SketchPart::LabelRest);
        let mut row: Vec<char> = shown.map(|cell| cell.glyph).collect();
        if is_ascii {
            ascii_row(&mut row);
        }
        row.into_iter().collect()
    }

    fn index(&self, col: u16, row: u16) -> Option<usize> {
        (col < self.cols && row < self.rows)
            .then(|| usize::from(row) * usize::from(self.cols) + usize::from(col))
    }

    /// Alarms, borders at the side and names are not written over. An upper border has room for a name, as frames have.
    fn is_plain(&self, col: u16, row: u16) -> bool {
        let cell = self.index(col, row).map(|at| self.cells[at]);
        cell.is_some_and(|cell| match cell.part {
            SketchPart::State => cell.state != MapState::Deviant,
            SketchPart::Border => cell.glyph == BORDERS[1],
            _ => false,
        })
    }

    fn write(&mut self, label: &MapLabel) {
        // A border may take the first cell of the name's room; its last is free for that.
        let is_late = !self.is_plain(label.col, label.row);
        let mut col = label.col.saturating_add(u16::from(is_late));
        for c in label.text.chars() {
            let width = width_of(c);
            let fits = width > 0 && (col..col.saturating_add(width)).all(|col| self.is_plain(col, label.row));
            for at in (col..col.saturating_add(width)).filter(|_| fits) {
                let Some(index) = self.index(at, label.row) else { continue };
                let (glyph, part) =
                    if at == col { (c, SketchPart::Label) } else { (' ', SketchPart::LabelRest) };
                self.cells[index] = SketchCell { glyph, part, ..self.cells[index] };
            }
            col = col.saturating_add(width);
        }
    }

    fn line(&mut self, col: u16, row: u16, line: MapLine) {
        let Some(at) = self.index(col, row) else { return };
        let cell = &mut self.cells[at];
        let over = match (line, cell.part) {
            (MapLine::Bound, part) => part == SketchPart::State && cell.state == MapState::Free,
            (MapLine::Playhead, SketchPart::State) => cell.state != MapState::Deviant,
            (MapLine::Playhead, part) => matches!(part, SketchPart::Border | SketchPart::Line(_)),
        };
        if over {
            *cell = SketchCell { glyph: line.glyph(), part: SketchPart::Line(line), ..*cell };
        }
    }
}

/// Without colours, neighbours are told apart by a line between them.
fn border_of(raster: &Raster, col: u16, row: u16) -> Option<char> {
    let owner = |col: Option<u16>, row: Option<u16>| raster.cell(col?, row?).buffer;
    let (own, right) = (owner(Some(col), Some(row))?, |by: u16| owner(col.checked_add(by), Some(row)));
    let is_own = |other: Option<u32>| other == Some(own);
    let is_other = |other: Option<u32>| other.is_some_and(|other| other != own);
    let beside = owner(col.checked_sub(1), Some(row));
    // Only where there is room beside it.
    if is_other(beside) && is_own(right(1)) && is_own(right(2)) {
        return Some(BORDERS[0]);
    }
    // A single row still has to tell what is used in it: its border has gaps.
    let is_high = is_own(owner(Some(col), row.checked_add(1)));
    let is_wide = is_own(right(1)) || is_own(beside);
    let has_room = is_high || is_wide && col.is_multiple_of(2);
    (is_other(owner(Some(col), row.checked_sub(1))) && has_room).then_some(BORDERS[1])
}

/// Columns of a character of text that is escaped already.
fn width_of(c: char) -> u16 {
    // A backslash is one column here; escaped once more it would be two.
    if c == '\\' { 1 } else { columns(c.encode_utf8(&mut [0; 4])) as u16 }
}
