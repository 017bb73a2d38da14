//! One axis of a raster: a range of values laid over a number of cells, without a gap and without rounding.

use core::ops::Range;

/// `value` · `by` / `of`, rounded down.
pub(crate) fn scale(value: u64, by: u64, of: u64) -> u64 {
    // 64 bits do for all but arenas beyond 2^48 bytes, and are several times as fast.
    match value.checked_mul(by) {
        Some(scaled) => scaled / of,
        None => (u128::from(value) * u128::from(by) / u128::from(of)) as u64,
    }
}

/// A range of values over cells. A cell may show several values, or a part of one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Axis {
    start: u64,
    len: u64,
    cells: u16,
}

/// The cells that a range of values reaches into, and how much of the first and the last it covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) first: u16,
    pub(crate) last: u16,
    pub(crate) first_share: f32,
    pub(crate) last_share: f32,
}

impl Axis {
    pub(crate) fn new(values: Range<u64>, cells: u16) -> Self {
        Self { start: values.start, len: values.end.saturating_sub(values.start), cells }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0 || self.cells == 0
    }

    /// The values that a cell shows any part of.
    pub(crate) fn values(&self, cell: u16) -> Range<u64> {
        if self.is_empty() || cell >= self.cells {
            return self.start..self.start;
        }
        let (len, cells, cell) = (u128::from(self.len), u128::from(self.cells), u128::from(cell));
        // At most the length of the axis, so both fit.
        let (from, to) = ((cell * len / cells) as u64, ((cell + 1) * len).div_ceil(cells) as u64);
        self.start + from..self.start + to
    }

    /// The first cell that shows a value.
    pub(crate) fn cell(&self, value: u64) -> Option<u16> {
        let at = value.checked_sub(self.start).filter(|&at| at < self.len && self.cells > 0)?;
        Some((u128::from(at) * u128::from(self.cells) / u128::from(self.len)) as u16)
    }

    /// The cell that shows a value; where it has several, the one in their middle.
    pub(crate) fn middle(&self, value: u64) -> Option<u16> {
        let first = self.cell(value)?;
        let (at, len) = (u128::from(value - self.start) + 1, u128::from(self.len));
        let end = (at * u128::from(self.cells) / len) as u16;
        Some(first + end.saturating_sub(first + 1) / 2)
    }

    /// Where the edge before a value lies in cells: 0 for all below what is in view, their number for all above.
    pub(crate) fn edge(&self, value: u64) -> u16 {
        let at = value.clamp(self.start, self.start.saturating_add(self.len)) - self.start;
        (u128::from(at) * u128::from(self.cells) / u128::from(self.len.max(1))) as u16
    }

    /// The cells that a range of values reaches into; none if it is empty or out of view.
    pub(crate) fn span(&self, values: Range<u64>) -> Option<Span> {
        let from = values.start.max(self.start) - self.start;
        let to = values.end.saturating_sub(self.start).min(self.len);
        if from >= to || self.cells == 0 {
            return None;
        }
        let (start, first) = self.place(from);
        let (end, last) = self.place(to);
        // An end at the border of a cell does not reach into it.
        let (last, end) = if end == 0.0 { (last - 1, 1.0) } else { (last, end) };
        if first == last {
            return Some(Span { first, last, first_share: end - start, last_share: end - start });
        }
        Some(Span { first, last, first_share: 1.0 - start, last_share: end })
    }

    /// How far into which cell a position lies: a fraction below 1, and the cell (one past the last for the end).
    fn place(&self, at: u64) -> (f32, u16) {
        let cells = u64::from(self.cells);
        // 64 bits do for all but arenas beyond 2^48 bytes, and are several times as fast.
        let (cell, rest) = match at.checked_mul(cells) {
            Some(scaled) => (scaled / self.len, scaled % self.len),
            None => {
                let (scaled, len) = (u128::from(at) * u128::from(cells), u128::from(self.len));
                ((scaled / len) as u64, (scaled % len) as u64)
            }
        };
        // The quotient in double precision is below 1; rounding to single precision must not make it 1 or 0.
        let share = (rest as f64 / self.len as f64) as f32;
        let share = if rest == 0 { 0.0 } else { share.clamp(f32::MIN_POSITIVE, 1.0 - f32::EPSILON) };
        (share, cell as u16)
    }
}

impl Span {
    pub(crate) fn cells(&self) -> core::ops::RangeInclusive<u16> {
        self.first..=self.last
    }

    /// The same cells, covered in full.
    pub(crate) fn whole(self) -> Self {
        Self { first_share: 1.0, last_share: 1.0, ..self }
    }

    /// The share of a cell of the span that is covered: more than nothing, at most 1.
    pub(crate) fn share(&self, cell: u16) -> f32 {
        if cell == self.first {
            // Two positions in one cell may round to the same.
            self.first_share.max(f32::MIN_POSITIVE)
        } else if cell == self.last {
            self.last_share.max(f32::MIN_POSITIVE)
        } else {
            1.0
        }
    }
}
