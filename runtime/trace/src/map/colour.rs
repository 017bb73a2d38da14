//! Colours for the map: buffers that touch get different ones.

use alloc::vec::Vec;

use crate::map::surface::Surface;
use crate::schema::plan_record::{BufferRecord, PlanRecord};
use crate::schema::storage::{counted, roots};

/// A buffer as the map of its arena has it; without ops or bytes where it takes up no room there.
#[derive(Clone, Copy)]
struct Piece {
    arena: u32,
    first: u32,
    last: u32,
    low: u64,
    high: u64,
    /// Whoever is farther away than this does not border on it.
    near: u64,
    number: u32,
    colour: u8,
}

impl Piece {
    fn has_room(&self) -> bool {
        self.first < self.last && self.low < self.high
    }
}

/// A number below `palette` for each buffer, the same for the same plan. Buffers that touch in the map, above, below
/// or one after the other, get different numbers as long as a palette of that size has one left; views get that of
/// what they look at. With a palette of 8 neighbours differ unless a buffer has 8 or more earlier neighbours.
pub fn colours(plan: &PlanRecord, palette: u8) -> Vec<u8> {
    let mut colours = alloc::vec![0; plan.buffers.len()];
    if palette < 2 {
        return colours;
    }
    let piece = |(number, buffer): (u32, &BufferRecord)| {
        let life = counted(plan, buffer);
        let (low, high, near) = (buffer.offset, buffer.end(), buffer.alignment);
        Piece { arena: buffer.arena, first: life.start, last: life.end, low, high, near, number, colour: 0 }
    };
    let mut pieces: Vec<Piece> = (0..).zip(&plan.buffers).map(piece).collect();
    pieces.sort_unstable_by_key(|piece| (piece.arena, piece.first, piece.low, piece.number));
    let mut before = 0;
    for pieces in pieces.chunk_by_mut(|a, b| a.arena == b.arena) {
        colour(pieces, before, palette);
        before += pieces.len();
    }
    pieces.iter().for_each(|piece| colours[piece.number as usize] = piece.colour);
    if plan.buffers.iter().any(|buffer| buffer.alias_of.is_some()) {
        for (index, root) in roots(plan).into_iter().enumerate() {
            colours[index] = colours[root as usize];
        }
    }
    colours
}

/// Colours the buffers of an arena in the order of their births and, of those, of their bytes; `before` them came others.
fn colour(pieces: &mut [Piece], before: usize, palette: u8) {
    let rooms = pieces.iter().filter(|piece| piece.has_room());
    let mut surface = Surface::new(rooms.map(|piece| (piece.low, piece.high)));
    for at in 0..pieces.len() {
        let Piece { first, low, high, near, .. } = pieces[at];
        if !pieces[at].has_room() {
            continue;
        }
        let mut weights = [0u32; 256];
        surface.cover((low, high), at as u32, |other, bytes| {
            let other = pieces[other as usize];
            // Whoever borders on it in the map weighs more than any number of those across free space.
            let borders = bytes <= near && other.last >= first;
            let weight = &mut weights[usize::from(other.colour)];
            *weight = weight.saturating_add(if borders { 1 << 16 } else { 1 });
        });
        // Beginning at another colour each time spreads them over the map.
        let start = (before + at) as u64 % u64::from(palette);
        let turn = |step: u8| ((start + u64::from(step)) % u64::from(palette)) as u8;
        let free = (0..palette).map(turn).min_by_key(|&colour| weights[usize::from(colour)]);
        pieces[at].colour = free.unwrap_or(0);
    }
}
