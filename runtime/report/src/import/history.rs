//! From an allocator's events to the lives of allocations and of the segments they lie in.
//!
//! A trace holds only the latest events, and what it forgot is made good: what is freed or held at the end without having
//! been allocated lived from the start; what lies where something else is allocated ended there.
//!
//! ```text
//! address
//!   ^   ┌─ island: pieces of memory that touch, so that an allocation may lie in several of them ─┐
//!   │   │ ┌───────────────┐ segment_map   ┌─────────────────────┐                                 │
//!   │   │ │  allocation   ├───────────────┤       ┌─────────┐   │                                 │
//!   │   │ └───────────────┘               └───────┤         ├───┘ segment_unmap                   │
//!   └───┴─────────────────────────────────────────┴─────────┴─────────────────────────────────► event
//! ```

use std::collections::BTreeMap;

use super::snapshot::{Action, Device, Held, Step};
use crate::pickle::Value;

/// What lived when, of one device. Points are those of the plan.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) blocks: Vec<Life>,
    /// Pieces of memory that the device gave.
    pub(super) pieces: Vec<Life>,
    /// The island of each piece.
    islands: Vec<u32>,
    /// How many times something was missing from the trace.
    pub(super) mended: u64,
}

/// A range of addresses during a range of points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Life {
    pub(super) addr: u64,
    pub(super) size: u64,
    pub(super) first: u32,
    pub(super) last: u32,
    /// Number of the piece that an allocation begins in; of a piece, its own.
    pub(super) piece: u32,
    pub(super) frames: Value,
    pub(super) category: Value,
}

impl Life {
    pub(super) fn end(&self) -> u64 {
        self.addr.saturating_add(self.size)
    }
}

/// A bounding box of pieces that touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Island {
    pub(super) addr: u64,
    pub(super) end: u64,
    pub(super) first: u32,
    pub(super) last: u32,
}

impl Island {
    fn grow(&mut self, life: &Life) {
        self.addr = self.addr.min(life.addr);
        self.end = self.end.max(life.end());
        self.first = self.first.min(life.first);
        self.last = self.last.max(life.last);
    }
}

impl History {
    /// Follows the events of a device; `points` says at which point of the plan, of which there are `count`, each comes.
    pub(super) fn new(device: &Device, points: &[u32], count: u32) -> Self {
        let mut walk =
            Walk { history: Self::default(), blocks: BTreeMap::new(), pieces: BTreeMap::new(), count };
        let begun = Begun::of(device);
        for held in &begun.pieces {
            walk.add_piece(held.addr, held.size, 0, held.frames, true);
        }
        for held in &begun.blocks {
            walk.add_block(held.addr, held.size, 0, held.frames, Value::None);
        }
        for (step, &at) in device.steps.iter().zip(points) {
            walk.step(step, at);
        }
        // What is held at the end without a trace of how that came, where the trace says otherwise.
        let late: Vec<Held> =
            device.blocks.iter().filter(|held| !walk.blocks.contains_key(&held.addr)).copied().collect();
        for held in late {
            walk.history.mended += 1;
            walk.add_block(held.addr, held.size, count.saturating_sub(1), held.frames, Value::None);
        }
        // What was freed by the very first event was gone when the picture begins.
        walk.history.blocks.retain(|block| block.first < block.last);
        walk.history
    }

    /// The islands, and the number of each piece's.
    pub(super) fn islands(&mut self) -> (Vec<Island>, Vec<u32>) {
        let mut number: BTreeMap<u32, u32> = BTreeMap::new();
        let mut islands: Vec<Island> = Vec::new();
        let mut of_piece = Vec::with_capacity(self.pieces.len());
        for at in 0..self.pieces.len() {
            let root = self.root(at as u32);
            let piece = &self.pieces[at];
            let Life { addr, first, last, .. } = *piece;
            let next = islands.len() as u32;
            let island = *number.entry(root).or_insert(next);
            match islands.get_mut(island as usize) {
                Some(island) => island.grow(piece),
                None => islands.push(Island { addr, end: piece.end(), first, last }),
            }
            of_piece.push(island);
        }
        for island in &mut islands {
            island.last = island.last.max(island.first + 1);
        }
        for block in &self.blocks {
            // Only where something is missing does an allocation reach beyond the memory that was given.
            if let Some(island) = islands.get_mut(of_piece[block.piece as usize] as usize) {
                island.grow(block);
            }
        }
        (islands, of_piece)
    }

    /// The piece that stands for the island of this one. Paths are halved on the way.
    fn root(&mut self, mut piece: u32) -> u32 {
        while self.islands[piece as usize] != piece {
            let parent = self.islands[piece as usize];
            self.islands[piece as usize] = self.islands[parent as usize];
            piece = parent;
        }
        piece
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.islands[a.max(b) as usize] = a.min(b);
    }
}

/// What was there before the first event.
#[derive(Default)]
struct Begun {
    blocks: Vec<Held>,
    pieces: Vec<Held>,
}

impl Begun {
    fn of(device: &Device) -> Self {
        let (mut blocks, mut pieces) = (Ranges::default(), Ranges::default());
        for step in &device.steps {
            let Step { addr, size, frames, .. } = *step;
            let held = Held { addr, size, frames };
            match step.action {
                Action::Alloc => blocks.touch(addr, held.end()),
                Action::Free => blocks.add_whole(held),
                Action::SegmentAlloc | Action::Map => pieces.touch(addr, held.end()),
                Action::SegmentFree | Action::Unmap => pieces.add_rest(held),
                Action::OutOfMemory => {}
            }
        }
        for held in &device.blocks {
            blocks.add_whole(*held);
        }
        for held in &device.segments {
            pieces.add_rest(*held);
        }
        Self { blocks: blocks.before, pieces: pieces.before }
    }
}

/// Ranges of addresses that an event gave, took or holds.
#[derive(Default)]
struct Ranges {
    /// By their first address, without overlaps: the end of each.
    touched: BTreeMap<u64, u64>,
    /// Ranges that lived before the first event.
    before: Vec<Held>,
}

impl Ranges {
    fn touch(&mut self, start: u64, end: u64) {
        cut(&mut self.touched, start, end);
        self.touched.insert(start, end);
    }

    /// An allocation that nothing began was there from the start.
    fn add_whole(&mut self, held: Held) {
        if gaps(&self.touched, held.addr, held.end()) == [(held.addr, held.end())] {
            self.before.push(held);
            self.touched.insert(held.addr, held.end());
        }
    }

    /// What of a piece nothing began was there from the start.
    fn add_rest(&mut self, held: Held) {
        for (start, end) in gaps(&self.touched, held.addr, held.end()) {
            self.before.push(Held { addr: start, size: end - start, ..held });
            self.touched.insert(start, end);
        }
    }
}

/// Takes a range out of ranges that do not overlap; what lies on either side of it stays.
fn cut(ranges: &mut BTreeMap<u64, u64>, start: u64, end: u64) {
    let before = ranges.range(..start).next_back().map(|(from, to)| (*from, *to));
    if let Some((from, to)) = before.filter(|(_, to)| *to > start) {
        ranges.insert(from, start);
        if to > end {
            ranges.insert(end, to);
        }
    }
    while let Some((&from, &to)) = ranges.range(start..end).next() {
        ranges.remove(&from);
        if to > end {
            ranges.insert(end, to);
        }
    }
}

/// What of a range is in none of those that do not overlap.
fn gaps(ranges: &BTreeMap<u64, u64>, start: u64, end: u64) -> Vec<(u64, u64)> {
    let mut at = start;
    let mut found = Vec::new();
    if let Some((_, &to)) = ranges.range(..=start).next_back() {
        at = at.max(to);
    }
    for (&from, &to) in ranges.range(start..end) {
        if from > at {
            found.push((at, from));
        }
        at = at.max(to);
    }
    if at < end {
        found.push((at, end));
    }
    found
}

/// The state between two events.
struct Walk {
    history: History,
    /// Live allocations by address: their number.
    blocks: BTreeMap<u64, u32>,
    /// Live pieces by address: their number.
    pieces: BTreeMap<u64, u32>,
    count: u32,
}

impl Walk {
    fn step(&mut self, step: &Step, at: u32) {
        let Step { addr, size, frames, category, .. } = *step;
        match step.action {
            Action::Alloc => self.add_block(addr, size, at, frames, category),
            Action::Free => {
                if let Some(block) = self.blocks.remove(&addr) {
                    self.history.blocks[block as usize].last = at;
                }
            }
            Action::SegmentAlloc => self.add_piece(addr, size, at, frames, false),
            Action::Map => self.add_piece(addr, size, at, frames, true),
            Action::SegmentFree | Action::Unmap => {
                self.end_blocks(addr, addr.saturating_add(size), at);
                self.end_pieces(addr, addr.saturating_add(size), at);
            }
            Action::OutOfMemory => {}
        }
    }

    fn add_block(&mut self, addr: u64, size: u64, first: u32, frames: Value, category: Value) {
        if size == 0 {
            return;
        }
        let end = addr.saturating_add(size);
        self.end_blocks(addr, end, first);
        let piece = match self.piece_at(addr) {
            Some(piece) => piece,
            None => {
                // Memory that no event gave and no segment has: as much as the allocation needs.
                self.history.mended += 1;
                self.add_piece(addr, size, first, Value::None, true);
                self.piece_at(addr).unwrap_or_default()
            }
        };
        self.blocks.insert(addr, self.history.blocks.len() as u32);
        let last = self.count;
        self.history.blocks.push(Life { addr, size, first, last, piece, frames, category });
    }

    fn add_piece(&mut self, addr: u64, size: u64, first: u32, frames: Value, joins: bool) {
        if size == 0 {
            return;
        }
        let end = addr.saturating_add(size);
        self.end_pieces(addr, end, first);
        let number = self.history.pieces.len() as u32;
        let (last, category) = (self.count, Value::None);
        self.history.pieces.push(Life { addr, size, first, last, piece: number, frames, category });
        self.history.islands.push(number);
        let before = self.pieces.range(..addr).next_back().map(|(_, before)| *before);
        let before = before.filter(|before| joins && self.history.pieces[*before as usize].end() == addr);
        let after = self.pieces.get(&end).copied().filter(|_| joins);
        for other in before.into_iter().chain(after) {
            self.history.join(number, other);
        }
        self.pieces.insert(addr, number);
    }

    /// The live piece that an address lies in.
    fn piece_at(&self, addr: u64) -> Option<u32> {
        let (_, &piece) = self.pieces.range(..=addr).next_back()?;
        (self.history.pieces[piece as usize].end() > addr).then_some(piece)
    }

    /// Ends the allocations that share bytes with a range, whose own end was not seen.
    fn end_blocks(&mut self, start: u64, end: u64, at: u32) {
        for (addr, block) in overlapping(&self.blocks, &self.history.blocks, start, end) {
            self.blocks.remove(&addr);
            self.history.mended += 1;
            self.history.blocks[block as usize].last = at;
        }
    }

    /// Takes a range out of the live pieces.
    fn end_pieces(&mut self, start: u64, end: u64, at: u32) {
        for (addr, piece) in overlapping(&self.pieces, &self.history.pieces, start, end) {
            self.pieces.remove(&addr);
            let whole = self.history.pieces[piece as usize];
            self.history.pieces[piece as usize].last = at;
            for (from, to) in [(whole.addr, start), (end, whole.end())] {
                if from < to {
                    self.add_rest(Life { addr: from, size: to - from, first: at, ..whole }, piece);
                }
            }
        }
    }

    /// What is left of a piece after a part of it ended.
    fn add_rest(&mut self, rest: Life, of: u32) {
        let number = self.history.pieces.len() as u32;
        self.history.pieces.push(Life { piece: number, last: self.count, ..rest });
        self.history.islands.push(number);
        self.history.join(number, of);
        self.pieces.insert(rest.addr, number);
    }
}

/// The live ranges that share bytes with this one; live ranges do not overlap each other.
fn overlapping(live: &BTreeMap<u64, u32>, lives: &[Life], start: u64, end: u64) -> Vec<(u64, u32)> {
    let before = live.range(..start).next_back().filter(|(_, at)| lives[**at as usize].end() > start);
    before.into_iter().chain(live.range(start..end.max(start))).map(|(addr, at)| (*addr, *at)).collect()
}
