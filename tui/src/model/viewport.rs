//! The part of an arena and of the program that is in view, and the cursor in it.
//!
//! All of it is whole numbers: one op and one byte are the smallest things there are. Cells of the screen are mapped
//! to half-open spans; every op and byte in view belongs to at least one cell.

/// A half-open stretch of one axis in view, within a whole of `total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    /// First position in view.
    pub(crate) start: u64,
    /// Number of positions in view, at least 1.
    pub(crate) len: u64,
    /// Number of positions there are, at least 1.
    pub(crate) total: u64,
    /// The position under the cursor, always in view.
    pub(crate) cursor: u64,
    /// The smallest step of the cursor and the smallest length in view: an alignment unit of bytes, or one op.
    pub(crate) unit: u64,
}

impl Axis {
    /// All of `total` positions, with the cursor on the first.
    pub(crate) fn whole(total: u64, unit: u64) -> Self {
        let total = total.max(1);
        Self { start: 0, len: total, total, cursor: 0, unit: unit.clamp(1, total) }
    }

    /// The same part of this whole as `former` shows of another, the cursor in the same place.
    pub(crate) fn like(mut self, former: &Self) -> Self {
        let at = |position: u64| scale(position, self.total, former.total);
        self.len = at(former.len).clamp(self.unit, self.total);
        self.start = at(former.start);
        self.cursor = at(former.cursor);
        self.keep_inside();
        self.cursor = self.cursor.clamp(self.start, self.end() - 1);
        self
    }

    /// One past the last position in view.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.len
    }

    /// Whether all there is is in view.
    pub(crate) fn is_whole(&self) -> bool {
        self.len == self.total
    }

    /// The positions that cell `cell` of `cells` shows: never empty.
    pub(crate) fn span(&self, cell: u64, cells: u64) -> (u64, u64) {
        let at = |cell: u64| self.start + scale(cell.min(cells.max(1)), self.len, cells.max(1));
        let first = at(cell).min(self.end() - 1);
        (first, at(cell + 1).clamp(first + 1, self.end()))
    }

    /// The cell of `cells` that shows `position`; none if it is out of view.
    pub(crate) fn cell(&self, position: u64, cells: u64) -> Option<u64> {
        let offset = position.checked_sub(self.start).filter(|offset| *offset < self.len)?;
        // The last cell whose span begins at or before the position: the middle one where one position has many.
        let (first, last) = (scale(offset, cells, self.len), scale(offset + 1, cells, self.len));
        let middle = if last > first + 1 { first + (last - first - 1) / 2 } else { first };
        Some(middle.min(cells.saturating_sub(1)))
    }

    /// Where the edge before `position` lies in cells, from 0 to `cells`, for positions in or out of view.
    pub(crate) fn edge(&self, position: u64, cells: u64) -> u64 {
        scale(position.clamp(self.start, self.end()) - self.start, cells, self.len)
    }

    /// Shows `num / den` of the present length, keeping `position` in its place on the screen.
    pub(crate) fn zoom(&mut self, position: u64, num: u64, den: u64) {
        let position = position.clamp(self.start, self.end() - 1);
        let len = scale(self.len, num, den.max(1));
        // A length that does not change for being small must still grow.
        let len = if num > den { len.max(self.len.saturating_add(1)) } else { len };
        let len = len.clamp(self.unit, self.total);
        let before = scale(position - self.start, len, self.len);
        self.len = len;
        self.start = position.saturating_sub(before);
        self.keep_inside();
        self.cursor = self.cursor.clamp(self.start, self.end() - 1);
    }

    /// Shows all there is.
    pub(crate) fn fit(&mut self) {
        (self.start, self.len) = (0, self.total);
    }

    /// Shows `first..last` with some room around it, and puts the cursor on its first position.
    pub(crate) fn show(&mut self, first: u64, last: u64) {
        let wanted = last.saturating_sub(first).max(1);
        let len = wanted.saturating_add(wanted / 2).max(self.unit).min(self.total);
        if len > self.len || first < self.start || last > self.end() {
            self.len = len.max(self.len);
            self.start = first.saturating_sub((self.len - wanted.min(self.len)) / 2);
            self.keep_inside();
        }
        self.cursor = first.clamp(self.start, self.end() - 1);
    }

    /// Moves the cursor by whole steps; what is in view follows it.
    pub(crate) fn step(&mut self, steps: i64, cells: u64) {
        let step = (self.len / cells.max(1)).max(1);
        let step = step.checked_next_multiple_of(self.unit).unwrap_or(step);
        let distance = step.saturating_mul(steps.unsigned_abs());
        let target = if steps < 0 {
            self.cursor.saturating_sub(distance)
        } else {
            self.cursor.saturating_add(distance)
        };
        self.put(target);
    }

    /// Puts the cursor on a position; what is in view follows it.
    pub(crate) fn put(&mut self, position: u64) {
        self.cursor = position.min(self.total - 1);
        if self.cursor < self.start {
            self.start = self.cursor;
        } else if self.cursor >= self.end() {
            self.start = self.cursor - (self.len - 1);
        }
    }

    /// Moves what is in view by whole cells; the cursor stays at its place as far as that is in view.
    pub(crate) fn pan(&mut self, moved: i64, cells: u64) {
        let step = (self.len / cells.max(1)).max(1);
        let distance = step.saturating_mul(moved.unsigned_abs());
        self.start =
            if moved < 0 { self.start.saturating_sub(distance) } else { self.start.saturating_add(distance) };
        self.keep_inside();
        self.cursor = self.cursor.clamp(self.start, self.end() - 1);
    }

    fn keep_inside(&mut self) {
        self.start = self.start.min(self.total - self.len);
    }
}

/// `value * num / den` without overflow; at most `u64::MAX`.
fn scale(value: u64, num: u64, den: u64) -> u64 {
    // 64 bits do for all but the largest arenas, and are several times as fast.
    if let Some(scaled) = value.checked_mul(num) {
        return scaled / den.max(1);
    }
    let scaled = u128::from(value) * u128::from(num) / u128::from(den.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// Both axes of the map of one arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Viewport {
    /// Ops, from left to right.
    pub(crate) ops: Axis,
    /// Bytes, from bottom to top.
    pub(crate) bytes: Axis,
}

impl Viewport {
    /// All of an arena and a program.
    pub(crate) fn whole(ops: usize, bytes: u64, alignment: u64) -> Self {
        Self { ops: Axis::whole(ops as u64, 1), bytes: Axis::whole(bytes, alignment) }
    }

    /// The same part of this arena and program as `former` shows of another.
    pub(crate) fn like(self, former: &Self) -> Self {
        Self { ops: self.ops.like(&former.ops), bytes: self.bytes.like(&former.bytes) }
    }

    /// Zooms both axes around a point.
    pub(crate) fn zoom(&mut self, op: u64, byte: u64, num: u64, den: u64) {
        self.ops.zoom(op, num, den);
        self.bytes.zoom(byte, num, den);
    }

    /// Shows all there is.
    pub(crate) fn fit(&mut self) {
        self.ops.fit();
        self.bytes.fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sound(axis: &Axis) {
        assert!(axis.len >= 1 && axis.len <= axis.total, "{axis:?}");
        assert!(axis.len >= axis.unit, "{axis:?}");
        assert!(axis.end() <= axis.total, "{axis:?}");
        assert!((axis.start..axis.end()).contains(&axis.cursor), "{axis:?}");
    }

    proptest! {
        #[test]
        fn any_moves_stay_inside(
            total in prop_oneof![0u64..10_000, any::<u64>()],
            unit in 0u64..5000,
            moves in prop::collection::vec((0u8..9, any::<u64>(), -70i64..70, 1u64..400), 0..60),
        ) {
            let mut axis = Axis::whole(total, unit);
            for (what, position, steps, cells) in moves {
                match what {
                    7 => axis = Axis::whole(position, cells).like(&axis),
                    0 => axis.zoom(position, 1, 2),
                    1 => axis.zoom(position, 2, 1),
                    2 => axis.step(steps, cells),
                    3 => axis.put(position),
                    4 => axis.pan(steps, cells),
                    5 => axis.show(position % axis.total, (position % axis.total).saturating_add(cells).min(axis.total)),
                    _ => axis.fit(),
                }
                sound(&axis);
            }
        }

        #[test]
        fn cells_cover_what_is_in_view_in_order(total in 1u64..10_000, start in 0u64..10_000, len in 1u64..10_000, cells in 1u64..300) {
            let len = len.min(total);
            let axis = Axis { start: start.min(total - len), len, total, cursor: 0, unit: 1 };
            let mut reached = axis.start;
            for cell in 0..cells {
                let (first, last) = axis.span(cell, cells);
                prop_assert!(first < last && first <= reached && last >= reached && last <= axis.end());
                reached = last;
            }
            prop_assert_eq!(reached, axis.end());
        }

        #[test]
        fn a_position_is_shown_by_its_cell(total in 1u64..10_000, at in 0u64..10_000, cells in 1u64..300) {
            let axis = Axis::whole(total, 1);
            let at = at % total;
            let (first, last) = axis.span(axis.cell(at, cells).unwrap(), cells);
            // Cells narrower than a position share it; a cell that shows several shows this one or its neighbour.
            prop_assert!(first <= at + 1 && at < last + 1, "{at} in {first}..{last}");
        }

        #[test]
        fn zooming_in_and_out_ends_at_the_whole(total in 1u64..1 << 40, at in any::<u64>(), unit in 1u64..4096) {
            let mut axis = Axis::whole(total, unit);
            axis.put(at % total);
            for _ in 0..64 {
                axis.zoom(axis.cursor, 1, 2);
            }
            prop_assert_eq!(axis.len, axis.unit);
            prop_assert!((axis.start..axis.end()).contains(&(at % total)));
            for _ in 0..64 {
                axis.zoom(axis.cursor, 2, 1);
            }
            prop_assert!(axis.is_whole());
        }
    }

    #[test]
    fn a_single_op_fills_the_width() {
        let mut axis = Axis::whole(287, 1);
        axis.put(143);
        for _ in 0..20 {
            axis.zoom(143, 1, 2);
        }
        assert_eq!((axis.start, axis.len), (143, 1));
        assert_eq!((0..190).map(|cell| axis.span(cell, 190)).collect::<Vec<_>>(), vec![(143, 144); 190]);
        assert_eq!(axis.cell(143, 190), Some(94));
    }
}
