//! What each byte of an arena is at one op: part of a live buffer, padding, a hole, or the unused tail.

use alloc::vec::Vec;
use core::ops::Range;

use crate::metrics::Loss;
use crate::schema::plan_record::PlanRecord;

/// What bytes of an arena are at an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Bytes of this live buffer; where several share them, of the one that begins first.
    Live(u32),
    /// Too short for a buffer, by alignment.
    Padding,
    /// Between live buffers, or below the lowest: an aligned buffer would fit.
    Hole,
    /// Above the topmost live buffer.
    Tail,
}

/// A stretch of an arena that is all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its first byte.
    pub start: u64,
    /// One past its last byte.
    pub end: u64,
    /// What it is.
    pub holds: Holds,
}

/// An arena at one op, from its first byte to its last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// The stretches, without a gap and none of them empty.
    pub parts: Vec<Part>,
    /// Their sums.
    pub loss: Loss,
}

impl Occupancy {
    /// Of `size` bytes, given the live buffers in any order: first byte, one past the last, number.
    pub(crate) fn of(size: u64, alignment: u64, mut live: Vec<(u64, u64, u32)>) -> Self {
        live.sort_unstable();
        let mut parts = Vec::new();
        let loss = split(size, alignment, live.into_iter(), |part| parts.push(part));
        Self { parts, loss }
    }

    /// What most of each cell is, if these bytes are shown in so many cells. A live buffer that reaches into a cell is
    /// never hidden by what is free: of a cell that is live in part, the largest live part is told.
    pub fn cells(&self, bytes: &Range<u64>, cells: u16) -> Vec<Option<Holds>> {
        let len = bytes.end.saturating_sub(bytes.start);
        let edge = |cell: u16| {
            let at = u128::from(len) * u128::from(cell) / u128::from(cells.max(1));
            bytes.start + at as u64
        };
        let mut next = 0;
        let cell = |cell: u16| {
            let (from, to) = (edge(cell), edge(cell + 1).max(edge(cell).saturating_add(1)));
            while self.parts.get(next).is_some_and(|part| part.end <= from) {
                next += 1;
            }
            let touching = self.parts[next..].iter().take_while(|part| part.start < to);
            let room = |part: &Part| part.end.min(to) - part.start.max(from);
            let rank = |part: &&Part| (matches!(part.holds, Holds::Live(_)), room(part));
            touching.max_by_key(rank).map(|part| part.holds)
        };
        (0..cells).map(cell).collect()
    }
}

/// What each byte of an arena is at an op.
pub fn occupancy_at(plan: &PlanRecord, arena: u32, op: u32) -> Occupancy {
    let Some(record) = plan.arenas.get(arena as usize) else { return Occupancy::default() };
    Occupancy::of(record.size, record.alignment, live_ranges(plan, arena, op))
}

/// The bytes of the buffers that live at an op: first, one past the last, number.
pub(crate) fn live_ranges(plan: &PlanRecord, arena: u32, op: u32) -> Vec<(u64, u64, u32)> {
    let alive =
        |buffer: &crate::BufferRecord| buffer.arena == arena && buffer.lives_at(op) && buffer.size > 0;
    let found = (0..).zip(&plan.buffers).filter(|(_, buffer)| alive(buffer));
    found.map(|(number, buffer)| (buffer.offset, buffer.end(), number)).collect()
}

/// Splits `size` bytes, given the live buffers ordered by their first byte; tells of every part, the lowest first.
pub(crate) fn split(
    size: u64,
    alignment: u64,
    live: impl Iterator<Item = (u64, u64, u32)>,
    mut tell: impl FnMut(Part),
) -> Loss {
    let mut loss = Loss::default();
    let mut tell = |start: u64, end: u64, holds: Holds| {
        if start < end {
            tell(Part { start, end, holds });
        }
    };
    // The first byte from a place on at which a buffer can begin.
    let aligned = |at: u64| at.checked_next_multiple_of(alignment.max(1)).unwrap_or(u64::MAX);
    let mut top = 0;
    for (start, end, number) in live {
        let (start, end) = (start.min(size), end.min(size));
        if start > top {
            let usable = aligned(top).min(start);
            loss.padding += usable - top;
            loss.add_hole(start - usable);
            tell(top, usable, Holds::Padding);
            tell(usable, start, Holds::Hole);
        }
        loss.live += end.saturating_sub(start.max(top));
        tell(start.max(top), end, Holds::Live(number));
        top = top.max(end);
    }
    loss.tail = size - top;
    loss.largest_fit = loss.largest_hole.max(size - aligned(top).min(size));
    tell(top, size, Holds::Tail);
    loss
}
