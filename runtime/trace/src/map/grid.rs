//! What a raster gathers while it is drawn, so that a buffer costs the same however many cells it covers.

use alloc::vec::Vec;

use crate::map::axis::{Axis, Span};

/// A sum per cell, to which rectangles are added at their corners: the sums of the corners' running sums, along both
/// axes, are the sums of the rectangles.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    cols: usize,
    corners: Vec<f64>,
}

impl Sums {
    pub(crate) fn new(cols: u16, rows: u16) -> Self {
        let (cols, rows) = (usize::from(cols) + 1, usize::from(rows) + 1);
        Self { cols, corners: alloc::vec![0.0; cols * rows] }
    }

    /// Adds to each cell its share of a rectangle.
    pub(crate) fn add(&mut self, x: &Span, y: &Span) {
        for (row, height) in steps(y) {
            for (col, width) in steps(x) {
                // The step past the last column or row has a place of its own, one past the end has none.
                if let Some(corner) = self.corners.get_mut(row * self.cols + col).filter(|_| col < self.cols)
                {
                    *corner += width * height;
                }
            }
        }
    }

    /// The sum of each cell.
    pub(crate) fn finish(mut self) -> Vec<f64> {
        self.add_up();
        let rows = self.corners.len() / self.cols.max(1);
        let inside = self.corners.chunks_exact(self.cols.max(1)).take(rows.saturating_sub(1));
        inside.flat_map(|row| row.iter().take(self.cols - 1).copied()).collect()
    }

    /// For each corner of cells, one more of them than cells along both axes, the sum of all cells below it on both.
    pub(crate) fn finish_summed(mut self) -> Vec<f64> {
        self.add_up();
        // The sum of cell (col, row) belongs to the corner past it.
        let cells = self.corners.clone();
        let value = |at: usize| {
            if at < self.cols || at.is_multiple_of(self.cols) { 0.0 } else { cells[at - self.cols - 1] }
        };
        for at in 0..cells.len() {
            self.corners[at] = value(at);
        }
        self.add_up();
        self.corners
    }

    /// Running sums along both axes.
    fn add_up(&mut self) {
        for row in self.corners.chunks_exact_mut(self.cols.max(1)) {
            let mut sum = 0.0;
            for value in row {
                sum += *value;
                *value = sum;
            }
        }
        for at in self.cols..self.corners.len() {
            self.corners[at] += self.corners[at - self.cols];
        }
    }
}

/// The changes of a span's share from cell to cell: up to its first share, on to 1, down to its last, and to 0.
fn steps(span: &Span) -> [(usize, f64); 4] {
    let (first, last) = (usize::from(span.first), usize::from(span.last));
    let (start, end) = (f64::from(span.first_share), f64::from(span.last_share));
    if first == last {
        return [(first, start), (first + 1, -start), (first, 0.0), (first, 0.0)];
    }
    [(first, start), (first + 1, 1.0 - start), (last, end - 1.0), (last + 1, -end)]
}

/// Columns that are asked at once whether a buffer can have the most of any of them.
const BLOCK: usize = 16;

/// Who covers most of each cell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owners {
    cols: usize,
    blocks: usize,
    owner: Vec<Option<u32>>,
    share: Vec<f32>,
    /// For each block of columns of a row, a share that all of its cells have; what has less need not look.
    least: Vec<f32>,
    budget: usize,
}

/// Visits per cell of the grid, and per buffer, before owners are no longer sought. In a valid plan no byte is drawn
/// twice at one op, and far fewer are needed; a damaged file could cover the whole grid a million times over.
const VISITS: usize = 64;

impl Owners {
    pub(crate) fn new(cols: u16, rows: u16, buffers: usize) -> Self {
        let (cols, rows) = (usize::from(cols), usize::from(rows));
        let blocks = cols.div_ceil(BLOCK);
        Self {
            cols,
            blocks,
            owner: alloc::vec![None; cols * rows],
            share: alloc::vec![0.0; cols * rows],
            least: alloc::vec![0.0; blocks * rows],
            budget: (cols * rows).saturating_add(buffers).saturating_mul(VISITS),
        }
    }

    /// Lets a buffer have the cells of a rectangle of which nobody has a larger share.
    pub(crate) fn claim(&mut self, buffer: u32, x: &Span, y: &Span) {
        for row in y.cells() {
            let (row, height) = (usize::from(row), y.share(row));
            for block in usize::from(x.first) / BLOCK..=usize::from(x.last) / BLOCK {
                let Some(left) = self.budget.checked_sub(1) else { return };
                self.budget = left;
                if height > self.least[row * self.blocks + block] {
                    self.claim_block(buffer, (row, height), block, x);
                }
            }
        }
    }

    fn claim_block(&mut self, buffer: u32, (row, height): (usize, f32), block: usize, x: &Span) {
        let cols = block * BLOCK..((block + 1) * BLOCK).min(self.cols);
        let mut least = f32::INFINITY;
        for col in cols {
            let at = row * self.cols + col;
            let inside = (usize::from(x.first)..=usize::from(x.last)).contains(&col);
            // A product of two tiny shares is still more than nothing.
            let share = if inside { (height * x.share(col as u16)).max(f32::MIN_POSITIVE) } else { 0.0 };
            if share > self.share[at] {
                self.share[at] = share;
                self.owner[at] = Some(buffer);
            }
            least = least.min(self.share[at]);
        }
        self.least[row * self.blocks + block] = least;
        self.budget = self.budget.saturating_sub(BLOCK);
    }

    /// Lets a buffer have those cells of a rectangle that nobody has.
    pub(crate) fn claim_free(&mut self, buffer: u32, x: &Span, y: &Span) {
        for row in y.cells() {
            for col in x.cells() {
                let Some(left) = self.budget.checked_sub(1) else { return };
                self.budget = left;
                self.owner[usize::from(row) * self.cols + usize::from(col)].get_or_insert(buffer);
            }
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Option<u32>> {
        self.owner
    }
}

/// The cells of both axes that a rectangle reaches into.
pub(crate) fn spans(x: &Axis, y: &Axis, ops: (u32, u32), bytes: (u64, u64)) -> Option<(Span, Span)> {
    Some((x.span(u64::from(ops.0)..u64::from(ops.1))?, y.span(bytes.0..bytes.1)?))
}
