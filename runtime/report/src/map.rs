//! The map of an arena in characters: offset × op.

use std::collections::{BTreeMap, BTreeSet};

use bayplan_text::{Bytes, columns, ellipsis, escape};
use bayplan_trace::{
    ArenaKind, ArenaMetrics, Cell, CellState, PlanState, Raster, RasterOptions, Timeline, arena_metrics,
    colours,
};

use crate::summary::bound_words;

/// The smallest map that can be read.
const SMALLEST: (u16, u16) = (40, 8);

/// The largest: beyond it nothing is gained, and a mistaken size would fill memory.
const LARGEST: (u16, u16) = (1000, 500);

/// Columns of the byte axis: a size, a blank and the line.
const GUTTER: usize = 11;

/// Lines that are no map: the heading, the op axis, its labels and the legend.
const FRAME: u16 = 4;

/// Shades of buffers that were bound as planned and reached. Neighbours get different ones where three suffice.
const SHADES: [char; 3] = ['▒', '▓', '█'];

const PLANNED: char = '░';
const PARTLY: char = '·';
const DEVIANT: char = '!';

/// The map of the activations of the current plan, at most `cols` characters wide and `rows` lines high (but at least
/// 40 by 8), with its axes, the bound, the peak and a legend. Offsets grow upwards, ops to the right.
pub fn map(timeline: &Timeline, cols: u16, rows: u16) -> String {
    let Some((number, state)) = timeline.current_plan() else {
        return "no plan was recorded: there is nothing to draw\n".into();
    };
    let Some(arena) = drawn_arena(state) else {
        return format!("plan {number} has no memory: there is nothing to draw\n");
    };
    let cols = cols.clamp(SMALLEST.0, LARGEST.0);
    let rows = rows.clamp(SMALLEST.1, LARGEST.1);
    let size = state.record.arenas[arena].size;
    let options = RasterOptions {
        arena: arena as u32,
        ops: 0..state.record.ops.len() as u32,
        bytes: 0..size,
        cols: cols - GUTTER as u16,
        rows: rows - FRAME,
        playhead: timeline.reached(number),
    };
    let metrics = arena_metrics(&state.record).swap_remove(arena);
    let raster = Raster::new(state, &options);
    let full = cells(&raster).filter(is_full).filter_map(|cell| cell.buffer).collect();
    let shades = colours(&state.record, SHADES.len() as u8);
    let picture = Picture { state, arena, metrics, raster, full, shades };
    let mut lines = vec![ellipsis(&picture.heading(timeline), usize::from(cols)).to_string()];
    lines.extend(picture.plot());
    lines.extend(picture.op_axis());
    lines.push(picture.legend());
    lines.iter().map(|line| format!("{}\n", cut(line.trim_end(), usize::from(cols)))).collect()
}

/// The first arena of activations that has bytes, else the largest.
pub(crate) fn drawn_arena(state: &PlanState) -> Option<usize> {
    let arenas = || state.record.arenas.iter().enumerate().filter(|(_, arena)| arena.size > 0);
    let activations = arenas().find(|(_, arena)| arena.kind == ArenaKind::Activations);
    let largest = || arenas().max_by_key(|(at, arena)| (arena.size, std::cmp::Reverse(*at)));
    let found = activations.or_else(largest).filter(|_| !state.record.ops.is_empty());
    found.map(|(at, _)| at)
}

/// Cuts a line of characters that are one column wide each.
fn cut(line: &str, width: usize) -> String {
    match line.char_indices().nth(width) {
        None => line.to_owned(),
        Some(_) => line.chars().take(width - 1).chain(['…']).collect(),
    }
}

struct Picture<'a> {
    state: &'a PlanState,
    arena: usize,
    metrics: ArenaMetrics,
    raster: Raster,
    /// Buffers that fill at least half of some cell. Cells that they only reach into stay blank.
    full: BTreeSet<u32>,
    shades: Vec<u8>,
}

impl Picture<'_> {
    /// Not escaped yet.
    fn heading(&self, timeline: &Timeline) -> String {
        let plan = &self.state.record;
        let arena = &plan.arenas[self.arena];
        let bound = bound_words(arena, &self.metrics);
        let alarms = timeline.alarm_counts().total();
        let alarms = if alarms > 0 { format!(" · {alarms} ALARMS") } else { String::new() };
        format!("{} · {} {} {bound}{alarms}", plan.model, arena.name, Bytes(arena.size))
    }

    /// The grid with the byte axis, from the top down.
    fn plot(&self) -> Vec<String> {
        let rows = self.raster.rows();
        let mut canvas: Vec<Vec<char>> = (0..rows).map(|row| self.row(row)).collect();
        self.names(&mut canvas);
        let labels = self.byte_labels();
        let line = |(row, cells): (usize, Vec<char>)| {
            let (label, joint) = match &labels[row] {
                Some(label) => (label.as_str(), '┤'),
                None => ("", '│'),
            };
            format!("{label:>width$} {joint}{}", cells.into_iter().collect::<String>(), width = GUTTER - 2)
        };
        canvas.into_iter().enumerate().map(line).collect()
    }

    fn row(&self, row: u16) -> Vec<char> {
        let bytes = self.raster.bytes_of(row);
        let bound = self.state.record.arenas[self.arena].lower_bound;
        // The line lies on the bound's last byte; at the very top it would say nothing.
        let is_bound = bound < self.state.record.arenas[self.arena].size
            && bound > 0
            && self.raster.row_of(bound) == Some(row)
            && bytes.contains(&bound);
        let peak = self.metrics.peak_op.and_then(|op| self.raster.col_of(op));
        let draw = |col: u16| match self.glyph(&self.raster.cell(col, row)) {
            ' ' if is_bound => '╌',
            ' ' if peak == Some(col) => '┆',
            glyph => glyph,
        };
        (0..self.raster.cols()).map(draw).collect()
    }

    /// A label at every fourth line or so, and at the top and the bottom: the offset at the line's lower edge; at the
    /// top the arena's end.
    fn byte_labels(&self) -> Vec<Option<String>> {
        let rows = usize::from(self.raster.rows());
        let ticks = (rows / 4).max(1);
        let mut labels = vec![None; rows];
        for tick in 1..ticks {
            let row = rows - 1 - tick * (rows - 1) / ticks;
            labels[row] = Some(Bytes(self.raster.bytes_of(row as u16).start).to_string());
        }
        labels[rows - 1] = Some("0".into());
        labels[0] = Some(Bytes(self.state.record.arenas[self.arena].size).to_string());
        labels
    }

    /// Writes names into the largest areas, at the middle of each.
    fn names(&self, canvas: &mut [Vec<char>]) {
        let mut rows_of: BTreeMap<u32, Vec<(u16, u16, u16)>> = BTreeMap::new();
        for row in 0..self.raster.rows() {
            for (buffer, first, last) in runs(&self.raster, row) {
                rows_of.entry(buffer).or_default().push((row, first, last));
            }
        }
        for (buffer, rows) in rows_of {
            let Some(widest) = rows.iter().map(|(_, first, last)| last - first).max() else { continue };
            let wide: Vec<_> = rows.iter().filter(|(_, first, last)| last - first == widest).collect();
            let &&(row, first, last) = &wide[wide.len() / 2];
            // One cell of shade at each side keeps names apart.
            let room = usize::from(last - first).saturating_sub(2);
            let Some(record) = self.state.record.buffers.get(buffer as usize) else { continue };
            let Some(name) = short(&record.name, room) else { continue };
            let at = usize::from(first) + 1 + (room - name.len()) / 2;
            canvas[usize::from(row)][at..at + name.len()].copy_from_slice(&name);
        }
    }

    /// The line under the grid with a mark at the peak, and the labels under it.
    fn op_axis(&self) -> [String; 2] {
        let cols = usize::from(self.raster.cols());
        let last = self.state.record.ops.len() - 1;
        let peak = self.metrics.peak_op;
        let peak_col = peak.and_then(|op| self.raster.col_of(op)).map(usize::from);
        let axis: String = (0..cols).map(|col| if Some(col) == peak_col { '▲' } else { '─' }).collect();
        let mut labels = vec![' '; cols];
        let end = format!("op {last}");
        if let (Some(op), Some(col)) = (peak, peak_col) {
            let name = self.state.record.ops.get(op as usize).map(|op| op.source_op.as_str());
            let name = name.filter(|name| !name.is_empty() && name.bytes().all(|c| c.is_ascii_graphic()));
            let name = name.map_or_else(String::new, |name| format!(" {}", ellipsis(name, 16)));
            let text = &format!("peak {} at op {op}{name}", Bytes(self.metrics.peak_live));
            let width = text.chars().count();
            // Under the mark, but off the labels at both ends where there is room.
            let rightmost = cols.saturating_sub(width + end.len() + 2);
            put(&mut labels, col.saturating_sub(width / 2).max("op 0  ".len()).min(rightmost), text);
        }
        put(&mut labels, 0, "op 0");
        put(&mut labels, cols.saturating_sub(end.len()), &end);
        let gutter = " ".repeat(GUTTER - 1);
        [format!("{gutter}└{axis}"), format!("{gutter} {}", labels.into_iter().collect::<String>())]
    }

    /// The character of a cell.
    fn glyph(&self, cell: &Cell) -> char {
        match cell.state {
            CellState::Deviant => DEVIANT,
            CellState::Free => ' ',
            _ if !is_full(cell) => match cell.buffer {
                Some(buffer) if self.full.contains(&buffer) => ' ',
                _ => PARTLY,
            },
            CellState::Planned => PLANNED,
            CellState::Actual => {
                let shade =
                    cell.buffer.and_then(|buffer| self.shades.get(buffer as usize)).copied().unwrap_or(0);
                SHADES[usize::from(shade) % SHADES.len()]
            }
        }
    }

    fn legend(&self) -> String {
        let (mut partly, mut planned, mut deviant) = (false, false, false);
        for cell in cells(&self.raster) {
            match self.glyph(&cell) {
                PARTLY => partly = true,
                PLANNED => planned = true,
                DEVIANT => deviant = true,
                _ => {}
            }
        }
        let mut legend =
            format!("{}{} bound as planned", " ".repeat(GUTTER), SHADES.iter().collect::<String>());
        let others = [
            (deviant, DEVIANT, "NOT as planned"),
            (planned, PLANNED, "planned, not reached"),
            (partly, PARTLY, "small tensors"),
        ];
        for (_, glyph, meaning) in others.iter().filter(|(there, ..)| *there) {
            legend += &format!("   {glyph} {meaning}");
        }
        legend
    }
}

fn cells(raster: &Raster) -> impl Iterator<Item = Cell> {
    (0..raster.rows()).flat_map(move |row| (0..raster.cols()).map(move |col| raster.cell(col, row)))
}

fn is_full(cell: &Cell) -> bool {
    matches!(cell.state, CellState::Planned | CellState::Actual) && cell.planned.max(cell.actual) >= 0.5
}

/// The stretches of a row that show one buffer at least half full and as planned: buffer, first and one past the last
/// column.
fn runs(raster: &Raster, row: u16) -> Vec<(u32, u16, u16)> {
    let mut runs: Vec<(u32, u16, u16)> = Vec::new();
    for col in 0..raster.cols() {
        let cell = raster.cell(col, row);
        if !is_full(&cell) {
            continue;
        }
        let Some(buffer) = cell.buffer else { continue };
        match runs.last_mut() {
            Some((last, _, end)) if *last == buffer && *end == col => *end = col + 1,
            _ => runs.push((buffer, col, col + 1)),
        }
    }
    runs
}

/// A name in at most `room` columns: whole, or its last part after a slash, or cut; none if too little would be left or
/// its characters are not each one column wide.
pub(crate) fn short(name: &str, room: usize) -> Option<Vec<char>> {
    const LEAST: usize = 4;
    let last = name.rsplit('/').next().unwrap_or(name);
    let text = if columns(name) <= room {
        escape(name).to_string()
    } else if columns(last) <= room {
        escape(last).to_string()
    } else if room >= LEAST {
        ellipsis(last, room).to_string()
    } else {
        return None;
    };
    let chars: Vec<char> = text.chars().collect();
    (!chars.is_empty() && chars.len() <= room && chars.len() == columns(&text.replace('\\', "/")))
        .then_some(chars)
}

/// Writes a text onto a line where the line and a cell at both sides of it are blank.
fn put(line: &mut [char], at: usize, text: &str) {
    let width = text.chars().count();
    let end = (at + width + 1).min(line.len());
    let free = at + width <= line.len() && line[at.saturating_sub(1)..end].iter().all(|&c| c == ' ');
    if free {
        line[at..at + width].iter_mut().zip(text.chars()).for_each(|(cell, c)| *cell = c);
    }
}
