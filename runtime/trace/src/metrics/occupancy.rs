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
        let mut shown = Cells::new(bytes, cells);
        self.parts.iter().for_each(|part| shown.add(*part));
        shown.finish()
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
    let mut climb = Climb::new(size, alignment);
    live.for_each(|live| climb.add(live, &mut tell));
    climb.finish(&mut tell)
}

/// Goes up an arena at one op, from live buffer to live buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Climb {
    size: u64,
    alignment: u64,
    /// One past the topmost live byte so far.
    top: u64,
    loss: Loss,
}

impl Climb {
    /// From the first byte of an arena.
    pub(crate) fn new(size: u64, alignment: u64) -> Self {
        Self::from(0, size, alignment)
    }

    /// From a byte of an arena on: what lies below it is not counted.
    pub(crate) fn from(top: u64, size: u64, alignment: u64) -> Self {
        Self { size, alignment: alignment.max(1), top, loss: Loss::default() }
    }

    /// What was counted so far.
    pub(crate) fn loss(&self) -> Loss {
        self.loss
    }

    /// One past the topmost live byte so far.
    pub(crate) fn top(&self) -> u64 {
        self.top
    }

    /// Goes past a live buffer: its first byte, one past its last, its number. None may begin below one before.
    pub(crate) fn add(&mut self, (start, end, number): (u64, u64, u32), tell: &mut impl FnMut(Part)) {
        let (start, end) = (start.min(self.size), end.min(self.size));
        self.gap(start, tell);
        self.loss.live += end.saturating_sub(start.max(self.top));
        told(tell, start.max(self.top), end, Holds::Live(number));
        self.top = self.top.max(end);
    }

    /// Goes past bytes that were gone through before, by themselves and from the first live one to the last: they begin at
    /// the top or above it, and end within the arena.
    pub(crate) fn skip(&mut self, (start, end): (u64, u64), inside: &Loss, tell: &mut impl FnMut(Part)) {
        self.gap(start, tell);
        self.loss.live += inside.live;
        self.loss.padding += inside.padding;
        self.loss.holes += inside.holes;
        self.loss.hole_count += inside.hole_count;
        self.loss.largest_hole = self.loss.largest_hole.max(inside.largest_hole);
        self.top = end;
    }

    /// What is free from the top up to a live byte.
    fn gap(&mut self, start: u64, tell: &mut impl FnMut(Part)) {
        if start > self.top {
            let usable = self.aligned(self.top).min(start);
            self.loss.padding += usable - self.top;
            self.loss.add_hole(start - usable);
            told(tell, self.top, usable, Holds::Padding);
            told(tell, usable, start, Holds::Hole);
        }
    }

    /// The first byte from a place on at which a buffer can begin.
    fn aligned(&self, at: u64) -> u64 {
        at.checked_next_multiple_of(self.alignment).unwrap_or(u64::MAX)
    }

    /// Goes to the end of the arena.
    pub(crate) fn finish(mut self, tell: &mut impl FnMut(Part)) -> Loss {
        self.loss.tail = self.size - self.top;
        let fits = self.size - self.aligned(self.top).min(self.size);
        self.loss.largest_fit = self.loss.largest_hole.max(fits);
        told(tell, self.top, self.size, Holds::Tail);
        self.loss
    }
}

fn told(tell: &mut impl FnMut(Part), start: u64, end: u64, holds: Holds) {
    if start < end {
        tell(Part { start, end, holds });
    }
}

/// The largest part of a cell: whether it is live, how much of it is in the cell, what it is.
type Most = (bool, u64, Holds);

/// What most of each cell is, of bytes that are shown in so many cells, gathered from parts that come in order. A live buffer
/// that reaches into a cell is never hidden by what is free: of a cell that is live in part, the largest live part is told.
#[derive(Clone, Debug)]
pub(crate) struct Cells {
    bytes: Range<u64>,
    /// Of each cell its first byte and one past its last, and the largest part so far.
    cells: Vec<(u64, u64, Option<Most>)>,
    /// The first cell that may be touched yet.
    next: usize,
}

impl Cells {
    pub(crate) fn new(bytes: &Range<u64>, cells: u16) -> Self {
        let len = bytes.end.saturating_sub(bytes.start);
        let edge = |cell: u16| {
            let at = u128::from(len) * u128::from(cell) / u128::from(cells.max(1));
            bytes.start + at as u64
        };
        // Of fewer bytes than cells, each cell shows one all the same.
        let cell = |cell: u16| (edge(cell), edge(cell + 1).max(edge(cell).saturating_add(1)), None);
        Self { bytes: bytes.clone(), cells: (0..cells).map(cell).collect(), next: 0 }
    }

    /// Takes a part; none may begin below one before.
    pub(crate) fn add(&mut self, part: Part) {
        while self.cells.get(self.next).is_some_and(|(_, to, _)| *to <= part.start) {
            self.next += 1;
        }
        for (from, to, most) in self.cells[self.next..].iter_mut().take_while(|(from, ..)| *from < part.end) {
            let room = part.end.min(*to) - part.start.max(*from);
            let live = matches!(part.holds, Holds::Live(_));
            // Of two of a size, the one above.
            if most.is_none_or(|(was_live, most, _)| (live, room) >= (was_live, most)) {
                *most = Some((live, room, part.holds));
            }
        }
    }

    /// Whether these bytes lie in one cell, or in none.
    pub(crate) fn hold_whole(&self, (start, end): (u64, u64)) -> bool {
        if end <= self.bytes.start || start >= self.bytes.end {
            return true;
        }
        let mut cells = self.cells[self.next..].iter().skip_while(|(_, to, _)| *to <= start);
        let in_first = cells.next().is_some_and(|(from, to, _)| *from <= start && end <= *to);
        in_first && cells.next().is_none_or(|(from, ..)| end <= *from)
    }

    pub(crate) fn finish(self) -> Vec<Option<Holds>> {
        self.cells.into_iter().map(|(_, _, most)| most.map(|(.., holds)| holds)).collect()
    }
}
