//! Offline greedy planners: buffers in some order, each into the smallest gap between those already placed.

use std::cmp::Reverse;

use bayplan_plan::Buffer;

use super::{aligned, meet};

/// TensorFlow Lite's arena planner: buffers that live from the first to the last point, then the others by falling
/// size, the earlier one of equal sizes first. (`arena_planner.cc`, `simple_memory_arena.cc` of
/// github.com/tensorflow/tensorflow.)
pub(super) fn tflite(buffers: &[Buffer]) -> Option<Vec<u64>> {
    let first = buffers.iter().map(|b| b.lifespan.first).min();
    let last = buffers.iter().map(|b| b.lifespan.last).max();
    let whole = |b: &Buffer| Some(b.lifespan.first) == first && Some(b.lifespan.last) == last;
    let order = sorted(buffers, |b| match whole(b) {
        true => (0, Reverse(0), 0),
        false => (1, Reverse(b.size), u64::from(b.lifespan.first)),
    });
    Some(place(buffers, &order, tflite_gap))
}

/// XLA's global best fit in its spatial order: by falling size, then by falling length of life. (`heap_simulator.cc` of
/// github.com/openxla/xla.)
pub(super) fn xla_spatial(buffers: &[Buffer]) -> Option<Vec<u64>> {
    let order = sorted(buffers, |b| (0, Reverse(b.size), u64::from(u32::MAX - life(b))));
    Some(place(buffers, &order, xla_gap))
}

/// XLA's global best fit in its temporal order: by falling length of life, then by falling size.
pub(super) fn xla_temporal(buffers: &[Buffer]) -> Option<Vec<u64>> {
    let order = sorted(buffers, |b| (0, Reverse(u64::from(life(b))), u64::MAX - b.size));
    Some(place(buffers, &order, xla_gap))
}

/// Program points at which a buffer lives.
fn life(buffer: &Buffer) -> u32 {
    buffer.lifespan.last - buffer.lifespan.first
}

/// Buffers' numbers by rising key; equal ones as given.
fn sorted(buffers: &[Buffer], key: impl Fn(&Buffer) -> (u8, Reverse<u64>, u64)) -> Vec<usize> {
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    order.sort_by_key(|&index| key(&buffers[index]));
    order
}

/// Where a buffer goes: given the ranges taken by what lives with it, by where they begin.
type Gap = fn(&Buffer, &[(u64, u64)]) -> u64;

/// Buffers of the caller's choice first, where they must be, then the others in order.
fn place(buffers: &[Buffer], order: &[usize], gap: Gap) -> Vec<u64> {
    let mut offsets: Vec<Option<u64>> = buffers.iter().map(|b| b.fixed).collect();
    for &index in order.iter().filter(|&&index| buffers[index].fixed.is_none()) {
        let buffer = &buffers[index];
        let mut taken: Vec<(u64, u64)> = (buffers.iter().zip(&offsets))
            .filter(|(other, _)| meet(buffer, other))
            .filter_map(|(other, offset)| offset.map(|offset| (offset, offset + other.size)))
            .collect();
        taken.sort_unstable();
        offsets[index] = Some(gap(buffer, &taken));
    }
    offsets.into_iter().map(Option::unwrap_or_default).collect()
}

/// A gap replaces the one chosen so far if what is left of it above the aligned offset is less than that one's whole
/// length.
fn tflite_gap(buffer: &Buffer, taken: &[(u64, u64)]) -> u64 {
    let (mut best, mut smallest, mut end) = (None, u64::MAX, 0);
    for &(from, to) in taken {
        let offset = aligned(end, buffer.align);
        if offset + buffer.size <= from && from - offset < smallest {
            (best, smallest) = (Some(offset), from - end);
        }
        end = end.max(to);
    }
    best.unwrap_or(aligned(end, buffer.align))
}

/// The shortest gap, measured from its first aligned offset; the lowest of equal ones.
fn xla_gap(buffer: &Buffer, taken: &[(u64, u64)]) -> u64 {
    let (mut gaps, mut end) = (Vec::new(), 0);
    for &(from, to) in taken {
        let offset = aligned(end, buffer.align);
        if offset + buffer.size <= from {
            gaps.push((from - offset, offset));
        }
        end = end.max(to);
    }
    gaps.into_iter().min().map_or(aligned(end, buffer.align), |(_, offset)| offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffers(rows: &[(u64, u32, u32)]) -> Vec<Buffer> {
        rows.iter().map(|&(size, first, last)| Buffer::new(size, first, last)).collect()
    }

    #[test]
    fn orders_differ_as_described() {
        // Worked out by hand: a long thin one, two large short ones, a middling one that meets all.
        let rows = buffers(&[(2, 0, 9), (10, 1, 3), (8, 5, 7), (5, 2, 6)]);
        // Size: 10 at 0, 8 at 0, 5 above the 10, 2 above the 5. The first never lives alone from end to end here.
        assert_eq!(xla_spatial(&rows), Some(vec![15, 0, 0, 10]));
        // Life: 2 at 0, 5 above it, then 10 and 8 above the 5.
        assert_eq!(xla_temporal(&rows), Some(vec![0, 7, 7, 2]));
        // The one that lives throughout goes first, the rest by size.
        assert_eq!(tflite(&rows), Some(vec![0, 2, 2, 12]));
    }

    #[test]
    fn gaps_are_chosen_as_described() {
        let odd = Buffer::new(4, 0, 1).aligned(8);
        // Gaps 1..13 (aligned 8..13) and 20..28 (aligned 24..28), then free above 30.
        let taken = [(0, 1), (13, 20), (28, 30)];
        assert_eq!((tflite_gap(&odd, &taken), xla_gap(&odd, &taken)), (24, 24));
        // Gap 1..13 counts as 12 once chosen: 16..24 with 8 replaces it in the one, 5 stays in the other.
        let taken = [(0, 1), (13, 16), (24, 30)];
        assert_eq!((tflite_gap(&odd, &taken), xla_gap(&odd, &taken)), (16, 8));
        assert_eq!((tflite_gap(&odd, &[(0, 3)]), xla_gap(&odd, &[(0, 3)])), (8, 8));
    }

    #[test]
    fn fixed_buffers_stay_where_they_are() {
        let rows = [Buffer::new(4, 0, 9).at(2), Buffer::new(2, 0, 5), Buffer::new(3, 4, 9)];
        for place in [tflite, xla_spatial, xla_temporal] {
            assert_eq!(place(&rows), Some(vec![2, 0, 6]));
        }
    }
}
