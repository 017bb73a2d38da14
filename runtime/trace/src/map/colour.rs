//! Colours for the map: buffers that touch get different ones.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::schema::plan_record::PlanRecord;
use crate::schema::storage::{counted, roots};

/// A number below `palette` for each buffer, the same for the same plan. Buffers that touch in the map, above, below
/// or one after the other, get different numbers as long as a palette of that size has one left; views get that of
/// what they look at. With a palette of 8 neighbours differ unless a buffer has 8 or more earlier neighbours.
pub fn colours(plan: &PlanRecord, palette: u8) -> Vec<u8> {
    let mut colours = alloc::vec![0; plan.buffers.len()];
    if palette < 2 {
        return colours;
    }
    let mut order: Vec<u32> = (0..plan.buffers.len() as u32).collect();
    let key = |&index: &u32| {
        let buffer = &plan.buffers[index as usize];
        (buffer.arena, counted(plan, buffer).start, buffer.offset, index)
    };
    order.sort_by_cached_key(key);
    let mut surface = Surface::default();
    let mut arena = None;
    for (place, &index) in order.iter().enumerate() {
        let buffer = &plan.buffers[index as usize];
        if buffer.size == 0 || counted(plan, buffer).is_empty() {
            continue;
        }
        if arena.replace(buffer.arena) != Some(buffer.arena) {
            surface = Surface::default();
        }
        let life = counted(plan, buffer);
        let mut weights = [0u32; 256];
        surface.cover(buffer.offset, buffer.end(), index, |other, near| {
            // Whoever borders on it in the map weighs more than any number of those across free space.
            let borders =
                near <= buffer.alignment && counted(plan, &plan.buffers[other as usize]).end >= life.start;
            let weight = &mut weights[usize::from(colours[other as usize])];
            *weight = weight.saturating_add(if borders { 1 << 16 } else { 1 });
        });
        // Beginning at another colour each time spreads them over the map.
        let start = place as u64 % u64::from(palette);
        let turn = |step: u8| ((start + u64::from(step)) % u64::from(palette)) as u8;
        let free = (0..palette).map(turn).min_by_key(|&colour| weights[usize::from(colour)]);
        colours[index as usize] = free.unwrap_or(0);
    }
    for (index, root) in roots(plan).into_iter().enumerate() {
        colours[index] = colours[root as usize];
    }
    colours
}

/// Who covered each byte last: a map from the start of a stretch to its end and owner.
#[derive(Default)]
struct Surface(BTreeMap<u64, (u64, u32)>);

impl Surface {
    /// Puts a buffer over `start..end`, and tells who was there and next to it, each with the bytes between. Every
    /// stretch that is looked at is removed, or is one of four, so that the work over all buffers grows with their
    /// number.
    fn cover(&mut self, start: u64, end: u64, buffer: u32, mut touched: impl FnMut(u32, u64)) {
        // From the stretch below to the one above.
        let below = self.0.range(..start).next_back().map(|(&at, &piece)| (at, piece));
        let within: Vec<(u64, (u64, u32))> =
            self.0.range(start..end).map(|(&at, &piece)| (at, piece)).collect();
        if let Some((at, (piece_end, owner))) = below {
            touched(owner, start.saturating_sub(piece_end));
            if piece_end > start {
                self.0.insert(at, (start, owner));
            }
            if piece_end > end {
                self.0.insert(end, (piece_end, owner));
            }
        }
        for &(at, (piece_end, owner)) in &within {
            touched(owner, 0);
            self.0.remove(&at);
            if piece_end > end {
                self.0.insert(end, (piece_end, owner));
            }
        }
        if let Some((&at, &(_, owner))) = self.0.range(end..).next() {
            touched(owner, at - end);
        }
        self.0.insert(start, (end, buffer));
    }
}
