//! Sums over a fine grid of a whole arena, for pictures of more buffers than can be drawn one by one.
//!
//! ```text
//!  fine grid       how much of each cell is planned, how much was seen, and which buffer covers its middle
//!      ▼ summed    along both axes, so that four corners tell the sum of any rectangle
//!  any picture     a cell's share is the sum over its rectangle, by its area; between corners it is interpolated
//! ```
//! A share is off by what buffers that a fine cell cuts are not spread evenly over it: less than that cell.

use alloc::vec::Vec;
use core::ops::Range;

use crate::map::axis::{Axis, scale};
use crate::map::grid::{Sums, spans};
use crate::map::shapes::shape;
use crate::metrics::deviation::StorageLives;
use crate::timeline::plan_state::PlanState;

/// Most columns and rows of the fine grid.
const FINE: u16 = 2048;
/// Fine cells of a cell that are asked for a buffer, along each axis, where there is none in its middle.
const ASKED: u64 = 16;
/// Nobody.
const NONE: u32 = u32::MAX;

/// The fine grid of an arena.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Of the whole arena.
    ops: u64,
    bytes: u64,
    cols: u64,
    rows: u64,
    planned: Vec<f64>,
    actual: Vec<f64>,
    /// A buffer of each fine cell: the one at its middle, else a small one in it.
    owners: Vec<u32>,
}

/// A position along an axis of the fine grid: cells from its start.
#[derive(Clone, Copy, Debug, Default)]
struct At {
    cell: usize,
    part: f64,
}

/// A cell of a picture as the field knows it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FieldCell {
    pub(crate) planned: f64,
    pub(crate) actual: f64,
    pub(crate) owner: Option<u32>,
}

impl Field {
    /// Sums up an arena. Time grows with buffers + fine cells.
    pub(crate) fn new(state: &PlanState, arena: u32, lives: &StorageLives<'_>) -> Self {
        let record = &state.record;
        let bytes = record.arenas.get(arena as usize).map_or(0, |arena| arena.size);
        let ops = record.ops.len() as u64;
        let fine = |len: u64| len.clamp(1, u64::from(FINE)) as u16;
        let (cols, rows) = (fine(ops), fine(bytes));
        let (x, y) = (Axis::new(0..ops, cols), Axis::new(0..bytes, rows));
        let (mut planned, mut actual) = (Sums::new(cols, rows), Sums::new(cols, rows));
        let mut field = Self {
            ops: ops.max(1),
            bytes: bytes.max(1),
            cols: cols.into(),
            rows: rows.into(),
            planned: Vec::new(),
            actual: Vec::new(),
            owners: alloc::vec![NONE; usize::from(cols) * usize::from(rows)],
        };
        let mut budget = field.owners.len().saturating_mul(8);
        for (index, buffer) in record.buffers.iter().enumerate().filter(|(_, buffer)| buffer.arena == arena) {
            let (life, seen) = shape(state, lives, index, buffer, u32::MAX);
            let (start, end) = (life.start, life.end);
            let Some((width, height)) = spans(&x, &y, (start, end), (buffer.offset, buffer.end())) else {
                continue;
            };
            planned.add(&width, &height);
            field.claim(index as u32, (start.into(), end.into()), (buffer.offset, buffer.end()), &mut budget);
            let Some((ops, bytes)) = seen else { continue };
            if let Some((width, height)) = spans(&x, &y, (ops.start, ops.end), (bytes.start, bytes.end)) {
                actual.add(&width, &height);
            }
        }
        (field.planned, field.actual) = (planned.finish_summed(), actual.finish_summed());
        field
    }

    /// Lets a buffer have the fine cells whose middle it covers; if there are none, the one it lies in, where nobody has it.
    /// In a valid plan every middle is covered once; a damaged one ends with the budget.
    fn claim(&mut self, buffer: u32, ops: (u64, u64), bytes: (u64, u64), budget: &mut usize) {
        let cols = middles(ops, self.ops, self.cols);
        let rows = middles(bytes, self.bytes, self.rows);
        if cols.is_empty() || rows.is_empty() {
            let col = cell_of(ops.0 / 2 + ops.1 / 2, self.ops, self.cols);
            let row = cell_of(bytes.0 / 2 + bytes.1 / 2, self.bytes, self.rows);
            let owner = &mut self.owners[row * self.cols as usize + col];
            if *owner == NONE {
                *owner = buffer;
            }
            return;
        }
        for row in rows {
            let Some(left) = budget.checked_sub(cols.len()) else { return };
            *budget = left;
            let start = row * self.cols as usize;
            self.owners[start + cols.start..start + cols.end].fill(buffer);
        }
    }

    /// The cells of a picture, in rows from the bottom up. What was seen counts up to the op that is reached.
    pub(crate) fn cells(
        &self,
        ops: &Range<u32>,
        bytes: &Range<u64>,
        (cols, rows): (u16, u16),
        reached: u32,
    ) -> Vec<FieldCell> {
        let edge = |range: (u64, u64), cells: u16, at: u16| {
            range.0 as f64 + (range.1 - range.0) as f64 * f64::from(at) / f64::from(cells.max(1))
        };
        let (ops, bytes) = ((ops.start.into(), ops.end.into()), (bytes.start, bytes.end));
        let xs: Vec<f64> = (0..=cols).map(|at| edge(ops, cols, at)).collect();
        let ys: Vec<f64> = (0..=rows).map(|at| edge(bytes, rows, at)).collect();
        let x = |op: f64| place(op, self.ops, self.cols);
        let y: Vec<At> = ys.iter().map(|&byte| place(byte, self.bytes, self.rows)).collect();
        let planned_x: Vec<At> = xs.iter().map(|&op| x(op)).collect();
        let actual_x: Vec<At> = xs.iter().map(|&op| x(op.min(f64::from(reached)))).collect();
        let mut cells = Vec::with_capacity(usize::from(cols) * usize::from(rows));
        let fine = (self.cols as f64 / self.ops as f64) * (self.rows as f64 / self.bytes as f64);
        let mut below =
            (self.line(&self.planned, &planned_x, y[0]), self.line(&self.actual, &actual_x, y[0]));
        for row in 0..usize::from(rows) {
            let above = (
                self.line(&self.planned, &planned_x, y[row + 1]),
                self.line(&self.actual, &actual_x, y[row + 1]),
            );
            for col in 0..usize::from(cols) {
                let area = (xs[col + 1] - xs[col]) * (ys[row + 1] - ys[row]) * fine;
                let share = |above: &[f64], below: &[f64]| {
                    let sum = above[col + 1] - above[col] - below[col + 1] + below[col];
                    if area > 0.0 { (sum / area).clamp(0.0, 1.0) } else { 0.0 }
                };
                let (planned, actual) = (share(&above.0, &below.0), share(&above.1, &below.1));
                let owner = if planned > 0.0 {
                    self.owner((planned_x[col], planned_x[col + 1]), (y[row], y[row + 1]))
                } else {
                    None
                };
                cells.push(FieldCell { planned, actual, owner });
            }
            below = above;
        }
        cells
    }

    /// The sums up to each of these columns, at a height.
    fn line(&self, sums: &[f64], x: &[At], y: At) -> Vec<f64> {
        let width = self.cols as usize + 1;
        let at = |col: usize, row: usize| sums.get(row * width + col).copied().unwrap_or(0.0);
        let along = |x: &At, row: usize| {
            let left = at(x.cell, row);
            if x.part > 0.0 { left + (at(x.cell + 1, row) - left) * x.part } else { left }
        };
        let value = |x: &At| {
            let low = along(x, y.cell);
            if y.part > 0.0 { low + (along(x, y.cell + 1) - low) * y.part } else { low }
        };
        x.iter().map(value).collect()
    }

    /// A buffer in a rectangle of the fine grid: the one in its middle, if there is one.
    fn owner(&self, x: (At, At), y: (At, At)) -> Option<u32> {
        let whole = |at: (At, At), cells: u64| {
            let first = (at.0.cell as u64).min(cells - 1);
            let last = at.1.cell as u64 + u64::from(at.1.part > 0.0);
            (first, last.clamp(first + 1, cells))
        };
        let middle = |at: (At, At), cells: u64| {
            let twice = at.0.cell as f64 + at.0.part + at.1.cell as f64 + at.1.part;
            ((twice / 2.0) as u64).min(cells - 1)
        };
        let middle = (middle(x, self.cols), middle(y, self.rows));
        let (x, y) = (whole(x, self.cols), whole(y, self.rows));
        let at = |col: u64, row: u64| {
            let owner = self.owners[(row * self.cols + col) as usize];
            (owner != NONE).then_some(owner)
        };
        let steps =
            |range: (u64, u64)| (range.0..range.1).step_by(((range.1 - range.0) / ASKED).max(1) as usize);
        at(middle.0, middle.1).or_else(|| steps(y).find_map(|row| steps(x).find_map(|col| at(col, row))))
    }
}

fn place(value: f64, len: u64, cells: u64) -> At {
    let scaled = (value * cells as f64 / len as f64).clamp(0.0, cells as f64);
    let cell = scaled as usize;
    At { cell, part: scaled - cell as f64 }
}

/// The cell in which a value lies.
fn cell_of(value: u64, len: u64, cells: u64) -> usize {
    scale(value, cells, len).min(cells - 1) as usize
}

/// The cells whose middle lies in a range of values.
fn middles(range: (u64, u64), len: u64, cells: u64) -> Range<usize> {
    // The middle of cell c is at (2c + 1) · len / 2cells: the first at or above a value is its rounded-up inverse.
    let first = |value: u64| match value.checked_mul(2 * cells) {
        Some(doubled) => (doubled.div_ceil(len) / 2).min(cells) as usize,
        None => {
            let doubled = (u128::from(value) * 2 * u128::from(cells)).div_ceil(u128::from(len));
            (doubled / 2).min(u128::from(cells)) as usize
        }
    };
    first(range.0)..first(range.1)
}
