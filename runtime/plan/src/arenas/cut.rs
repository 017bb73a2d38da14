//! Where to cut a plan into blocks.

use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

/// Where a plan is cut.
pub(super) struct Cut {
    /// The offset: a multiple of the unit.
    pub(super) at: u64,
    /// Bytes of the largest buffer that crosses it.
    pub(super) across: u64,
}

/// Cuts the range `0..peak` of a plan into pieces of at most `most` bytes at multiples of `unit`, so that the largest
/// buffers across the cuts are the least bytes in all; of equal ways the one with the fewest cuts.
///
/// ```text
///   offset --> |  a   |    b    |   c   |         the end of a buffer is a place for a cut, and so
///              |    d    |     e     |  f  |      are the multiples of `most`: no place is further
///                     ^         ^     ^   ^       than `most` from the one before. A shortest path
///                     d         e     c   f       from 0 to the peak over the places, each paying
///                     crosses   ...               for the largest buffer across it: O(n log n).
/// ```
///
/// `extents` are the buffers' first bytes and ends; `most` is a multiple of `unit`.
pub(super) fn cuts(extents: &[(u64, u64)], peak: u64, most: u64, unit: u64) -> Vec<Cut> {
    let places = places(extents, peak, most, unit);
    let across = largest_across(extents, &places);
    // Per place: (cost, cuts up to here, place before).
    let mut best: Vec<(u64, u32, usize)> = vec![(0, 0, 0); places.len()];
    let mut reach = BinaryHeap::from([Reverse((0, 0, 0))]);
    for at in 1..places.len() {
        while reach.peek().is_some_and(|&Reverse((_, _, from))| places[at] - places[from] > most) {
            reach.pop();
        }
        // Multiples of `most` are among the places, so one is in reach.
        let Some(&Reverse((cost, count, from))) = reach.peek() else { break };
        best[at] = (cost + across[at], count + 1, from);
        reach.push(Reverse((best[at].0, best[at].1, at)));
    }
    let mut cuts = vec![];
    let mut at = best.last().map_or(0, |last| last.2);
    while at > 0 {
        cuts.push(Cut { at: places[at], across: across[at] });
        at = best[at].2;
    }
    cuts.reverse();
    cuts
}

/// Where a cut may be: at the ends of extents and at multiples of `most`; the ends of the plan first and last.
fn places(extents: &[(u64, u64)], peak: u64, most: u64, unit: u64) -> Vec<u64> {
    let ends = extents.iter().flat_map(|&(from, to)| [from - from % unit, to.next_multiple_of(unit)]);
    let mut places: Vec<u64> = ends.chain((1..=peak / most).map(|k| k * most)).collect();
    places.retain(|&place| 0 < place && place < peak);
    places.extend([0, peak]);
    places.sort_unstable();
    places.dedup();
    places
}

/// The largest extent that begins before and ends after each place.
fn largest_across(extents: &[(u64, u64)], places: &[u64]) -> Vec<u64> {
    let mut sorted = extents.to_vec();
    sorted.sort_unstable();
    let mut open: BinaryHeap<(u64, u64)> = BinaryHeap::new();
    let mut next = 0;
    let largest = |&place: &u64| {
        while let Some(&(from, to)) = sorted.get(next).filter(|extent| extent.0 < place) {
            open.push((to - from, to));
            next += 1;
        }
        while open.peek().is_some_and(|&(_, to)| to <= place) {
            open.pop();
        }
        open.peek().map_or(0, |&(size, _)| size)
    };
    places.iter().map(largest).collect()
}
