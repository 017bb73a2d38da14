//! The map of an arena: offset × op as a grid of cells, the plan under what was seen.

use alloc::vec::Vec;
use core::ops::Range;

use crate::map::axis::Axis;
use crate::map::grid::{Owners, Sums, spans};
use crate::map::index::{Deviant, MapIndex};
use crate::map::shapes::shape;
use crate::metrics::deviation::StorageLives;
use crate::schema::event::UNPLANNED;
use crate::schema::plan_record::{BufferKind, PlanRecord};
use crate::timeline::alarms::Alarm;
use crate::timeline::plan_state::{Actual, PlanState, Stray};

/// What to draw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RasterOptions {
    /// The arena.
    pub arena: u32,
    /// The ops, from left to right.
    pub ops: Range<u32>,
    /// The bytes, from the bottom up.
    pub bytes: Range<u64>,
    /// Cells across.
    pub cols: u16,
    /// Cells down.
    pub rows: u16,
    /// Ops that are reached: those below this one; all of them where it is `None`.
    /// [`Timeline::reached`](crate::Timeline::reached) tells it.
    pub playhead: Option<u32>,
}

impl RasterOptions {
    /// The column that shows an op, if it is in view: where it has several, the one in their middle.
    pub fn col_of(&self, op: u32) -> Option<u16> {
        Axis::new(u64::from(self.ops.start)..u64::from(self.ops.end), self.cols).middle(op.into())
    }

    /// The row, from the top, where the lower bound of the arena lies, if it is in view and below the arena's end.
    pub fn bound_row(&self, plan: &PlanRecord) -> Option<u16> {
        let arena = plan.arenas.get(self.arena as usize)?;
        let bound = Some(arena.lower_bound).filter(|&bound| bound > 0 && bound < arena.size)?;
        Axis::new(self.bytes.clone(), self.rows).cell(bound).map(|from_below| self.rows - 1 - from_below)
    }
}

/// What is to be seen in a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CellState {
    /// Nothing lives there.
    #[default]
    Free,
    /// The plan has bytes there that are not reached, or that no window showed.
    Planned,
    /// Bytes bound as planned, and reached.
    Actual,
    /// Bytes bound where the plan has none of that buffer, or two buffers alive on the same bytes.
    Deviant,
}

/// One cell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cell {
    /// The buffer that covers most of it.
    pub buffer: Option<u32>,
    /// The share of it that the plan covers, 0 to 1.
    pub planned: f32,
    /// The share of it that was seen and is reached, 0 to 1.
    pub actual: f32,
    /// What is to be seen.
    pub state: CellState,
}

/// At which sides of a cell another buffer begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edges {
    /// Towards earlier ops.
    pub left: bool,
    /// Towards later ops.
    pub right: bool,
    /// Towards higher offsets.
    pub top: bool,
    /// Towards lower offsets.
    pub bottom: bool,
}

/// The grid. Row 0 is the top one, with the highest offsets.
#[derive(Clone, Debug, Default)]
pub struct Raster {
    cols: u16,
    rows: u16,
    x: Axis,
    y: Axis,
    /// In rows from the bottom up.
    cells: Vec<Cell>,
}

impl Raster {
    /// Draws an arena. Time grows with buffers + cells.
    pub fn new(state: &PlanState, options: &RasterOptions) -> Self {
        Self::with(options, |x, y| {
            let all = 0..state.record.buffers.len() as u32;
            let deviants = deviants(state, options.arena);
            draw(state, options, (x, y), &StorageLives::new(state), all, deviants)
        })
    }

    /// As [`Raster::new`], with an index of the arena: time grows with what is in view and cells. Of more buffers than can be
    /// drawn one by one, shares are off by what a two-thousandth of each axis holds, and a cell may show another buffer than
    /// the one that covers most of it.
    pub fn indexed(state: &PlanState, options: &RasterOptions, index: &MapIndex) -> Self {
        Self::with(options, |x, y| {
            let deviants = index.deviants.iter().copied();
            if let Some(drawn) = index.drawn(&options.ops, &options.bytes) {
                let lives = StorageLives::with_merged(state, index.merged.as_deref());
                return draw(state, options, (x, y), &lives, drawn.into_iter(), deviants);
            }
            draw_field(options, (x, y), index, deviants)
        })
    }

    fn with(options: &RasterOptions, draw: impl FnOnce(&Axis, &Axis) -> Vec<Cell>) -> Self {
        let RasterOptions { cols, rows, .. } = *options;
        let x = Axis::new(u64::from(options.ops.start)..u64::from(options.ops.end), cols);
        let y = Axis::new(options.bytes.clone(), rows);
        let cells = if x.is_empty() || y.is_empty() { Vec::new() } else { draw(&x, &y) };
        Self { cols, rows, x, y, cells }
    }

    /// Cells across.
    pub fn cols(&self) -> u16 {
        self.cols
    }

    /// Cells down.
    pub fn rows(&self) -> u16 {
        self.rows
    }

    /// A cell, counted from the left and from the top; an empty one outside the grid.
    pub fn cell(&self, col: u16, row: u16) -> Cell {
        self.index(col, row).map(|at| self.cells[at]).unwrap_or_default()
    }

    /// A cell of a raster that was made as if all ops were reached, where only those below `reached` are: what lies ahead is
    /// planned and not seen yet. Of a column that is reached in part, the larger part decides.
    pub fn reached(&self, (col, row): (u16, u16), reached: Option<u32>) -> Cell {
        let cell = self.cell(col, row);
        let ops = self.ops_of(col);
        let done = reached.is_none_or(|reached| {
            let (past, all) = (reached.saturating_sub(ops.start), ops.end - ops.start);
            u64::from(past) * 2 >= u64::from(all)
        });
        match cell.state {
            CellState::Actual if !done => Cell { actual: 0.0, state: CellState::Planned, ..cell },
            _ if !done => Cell { actual: 0.0, ..cell },
            _ => cell,
        }
    }

    /// The sides at which the cell's neighbour shows another buffer, or none. The rim of the grid is no side.
    pub fn edges(&self, col: u16, row: u16) -> Edges {
        let own = self.cell(col, row).buffer;
        let differs = |col: Option<u16>, row: Option<u16>| match (col, row) {
            (Some(col), Some(row)) => self.index(col, row).is_some_and(|at| self.cells[at].buffer != own),
            _ => false,
        };
        Edges {
            left: differs(col.checked_sub(1), Some(row)),
            right: differs(col.checked_add(1), Some(row)),
            top: differs(Some(col), row.checked_sub(1)),
            bottom: differs(Some(col), row.checked_add(1)),
        }
    }

    /// The ops that a column shows any part of.
    pub fn ops_of(&self, col: u16) -> Range<u32> {
        let ops = self.x.values(col);
        ops.start as u32..ops.end as u32
    }

    /// The bytes that a row shows any part of.
    pub fn bytes_of(&self, row: u16) -> Range<u64> {
        match self.rows.checked_sub(1).and_then(|last| last.checked_sub(row)) {
            Some(from_below) => self.y.values(from_below),
            None => 0..0,
        }
    }

    /// The first column that shows an op, if it is in view.
    pub fn col_of(&self, op: u32) -> Option<u16> {
        self.x.cell(u64::from(op))
    }

    /// The row that shows a byte, if it is in view.
    pub fn row_of(&self, byte: u64) -> Option<u16> {
        self.y.cell(byte).map(|from_below| self.rows - 1 - from_below)
    }

    fn index(&self, col: u16, row: u16) -> Option<usize> {
        let inside = col < self.cols && row < self.rows && !self.cells.is_empty();
        inside.then(|| usize::from(self.rows - 1 - row) * usize::from(self.cols) + usize::from(col))
    }
}

/// Draws these buffers one by one.
fn draw(
    state: &PlanState,
    options: &RasterOptions,
    (x, y): (&Axis, &Axis),
    lives: &StorageLives<'_>,
    drawn: impl Iterator<Item = u32>,
    deviants: impl Iterator<Item = Deviant>,
) -> Vec<Cell> {
    let RasterOptions { arena, cols, rows, .. } = *options;
    let buffers = &state.record.buffers;
    let reached = options.playhead.unwrap_or(u32::MAX);
    let (mut planned, mut actual) = (Sums::new(cols, rows), Sums::new(cols, rows));
    let mut deviant = Sums::new(cols, rows);
    let mut owners = Owners::new(cols, rows, buffers.len());
    let drawn = drawn.filter_map(|index| Some((index, buffers.get(index as usize)?)));
    for (index, buffer) in drawn.filter(|(_, buffer)| buffer.arena == arena) {
        // What was seen lies within the planned bytes: out of view, out of the picture.
        let Some(height) = y.span(buffer.offset..buffer.end()) else { continue };
        let (life, seen) = shape(state, lives, index as usize, buffer, reached);
        if let Some(width) = x.span(life.start.into()..life.end.into()) {
            planned.add(&width, &height);
            owners.claim(index, &width, &height);
        }
        let Some((ops, bytes)) = seen else { continue };
        if let Some((x, y)) = spans(x, y, (ops.start, ops.end), (bytes.start, bytes.end)) {
            actual.add(&x, &y);
        }
    }
    add_deviants(deviants, (x, y), &mut deviant, &mut owners);
    let sums = planned.finish().into_iter().zip(actual.finish()).zip(deviant.finish());
    let cells = sums.zip(owners.into_vec());
    cells.map(|(((planned, actual), deviant), owner)| cell(owner, planned, actual, deviant)).collect()
}

/// Draws what was summed up beforehand.
fn draw_field(
    options: &RasterOptions,
    (x, y): (&Axis, &Axis),
    index: &MapIndex,
    deviants: impl Iterator<Item = Deviant>,
) -> Vec<Cell> {
    let RasterOptions { cols, rows, .. } = *options;
    let reached = options.playhead.unwrap_or(u32::MAX);
    let size = (cols, rows);
    let field = index.field.as_ref().map(|field| field.cells(&options.ops, &options.bytes, size, reached));
    let mut deviant = Sums::new(cols, rows);
    let mut strangers = Owners::new(cols, rows, 0);
    add_deviants(deviants, (x, y), &mut deviant, &mut strangers);
    let others = deviant.finish().into_iter().zip(strangers.into_vec());
    let cells = field.unwrap_or_default().into_iter().zip(others);
    cells
        .map(|(known, (deviant, stranger))| {
            cell(known.owner.or(stranger), known.planned, known.actual, deviant)
        })
        .collect()
}

fn add_deviants(
    deviants: impl Iterator<Item = Deviant>,
    (x, y): (&Axis, &Axis),
    sums: &mut Sums,
    owners: &mut Owners,
) {
    for (buffer, ops, bytes) in deviants {
        let Some((x, y)) = spans(x, y, ops, bytes) else { continue };
        sums.add(&x.whole(), &y.whole());
        owners.claim_free(buffer, &x, &y);
    }
}

fn cell(owner: Option<u32>, planned: f64, actual: f64, deviant: f64) -> Cell {
    Cell {
        // A valid buffer index; strays of none of the plan's buffers have none.
        buffer: owner.filter(|&owner| owner != UNPLANNED),
        planned: planned.clamp(0.0, 1.0) as f32,
        actual: actual.clamp(0.0, 1.0) as f32,
        state: cell_state(owner, planned, actual, deviant),
    }
}

/// What is not as planned: buffers touched outside their life or their bytes, and those that overlap.
pub(crate) fn deviants(state: &PlanState, arena: u32) -> impl Iterator<Item = Deviant> {
    let lives = (0..).zip(&state.record.buffers).zip(state.actual.iter());
    let late = lives.flat_map(|((index, buffer), seen)| {
        let seen = seen.filter(|_| !matches!(buffer.kind, BufferKind::Weight | BufferKind::Constant));
        let outside = |seen: Actual| [(seen.first, buffer.first), (buffer.last, seen.last)];
        let outside =
            seen.map(|seen| outside(seen).map(|ops| (index, seen.arena, ops, (seen.offset, seen.end))));
        outside.into_iter().flatten()
    });
    let strays = state.strays.iter().map(|Stray { buffer, seen }| {
        (*buffer, seen.arena, (seen.first, seen.last), (seen.offset, seen.end))
    });
    let overlaps = state.alarms().iter().filter_map(|alarm| match alarm {
        Alarm::Overlap { a, arena, bytes, ops, .. } => Some((*a, *arena, *ops, *bytes)),
        _ => None,
    });
    let all = late.chain(strays).chain(overlaps);
    all.filter(move |(_, at, ..)| *at == arena).map(|(buffer, _, ops, bytes)| (buffer, ops, bytes))
}

fn cell_state(owner: Option<u32>, planned: f64, actual: f64, deviant: f64) -> CellState {
    // Sums of shares are exact to far better than this; the smallest share that is drawn may be less.
    const NOTHING: f64 = 1e-9;
    match owner {
        _ if deviant > 0.5 => CellState::Deviant,
        // Where a column is reached in part, the larger part decides.
        Some(_) if actual > NOTHING && 2.0 * actual + NOTHING >= planned => CellState::Actual,
        Some(_) => CellState::Planned,
        None if planned > NOTHING => CellState::Planned,
        None => CellState::Free,
    }
}

/// A share of a cell, 0 to 1, as a shade: blank only for nothing at all.
pub fn glyph(share: f32) -> char {
    RAMP[step(share)]
}

/// As [`glyph`], in ASCII.
pub fn glyph_ascii(share: f32) -> char {
    ASCII_RAMP[step(share)]
}

const RAMP: [char; 5] = [' ', '░', '▒', '▓', '█'];
const ASCII_RAMP: [char; 5] = [' ', '.', '-', '+', '#'];

/// 0 for nothing, then four steps of equal width. What is no number counts as nothing.
fn step(share: f32) -> usize {
    match share {
        share if share > 0.75 => 4,
        share if share > 0.5 => 3,
        share if share > 0.25 => 2,
        share if share > 0.0 => 1,
        _ => 0,
    }
}
