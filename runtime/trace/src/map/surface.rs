//! Who covered each byte of an arena last, while buffers are laid on it one after the other.

use alloc::vec;
use alloc::vec::Vec;

use crate::map::number_set::NumberSet;

/// Stretches of an arena, each with its owner, between the marks at which any buffer begins or ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surface {
    /// The marks at which a stretch begins.
    starts: NumberSet,
    /// Of each such mark: the mark at which the stretch ends, and its owner.
    pieces: Vec<(u32, u32)>,
    marks: Marks,
}

/// Bytes at which buffers begin or end, by number.
#[derive(Clone, Debug)]
enum Marks {
    /// Every multiple of so many bytes.
    Every(u64),
    /// These, in order.
    Listed(Vec<u64>),
}

impl Default for Marks {
    fn default() -> Self {
        Self::Every(1)
    }
}

/// Marks at equal distances for each buffer, at most: of more, most would be marks of nothing.
const MARKS: u64 = 8;

impl Marks {
    /// Of the first byte of each buffer, and the one past its last; and how many marks there are.
    fn of(ranges: impl Iterator<Item = (u64, u64)> + Clone) -> (Self, usize) {
        let (mut step, mut most, mut count) = (0, 0, 0);
        for (start, end) in ranges.clone() {
            (step, most, count) = (divisor(end, divisor(start, step)), end.max(most), count + 1);
        }
        let marks = most.checked_div(step).unwrap_or(0);
        if marks <= MARKS.saturating_mul(count).min(u32::MAX.into()) {
            return (Self::Every(step.max(1)), marks as usize + 1);
        }
        let mut listed: Vec<u64> = ranges.flat_map(|(start, end)| [start, end]).collect();
        listed.sort_unstable();
        listed.dedup();
        let count = listed.len();
        (Self::Listed(listed), count)
    }

    fn number(&self, byte: u64) -> usize {
        match self {
            Self::Every(step) => (byte / step) as usize,
            Self::Listed(bytes) => bytes.partition_point(|&mark| mark < byte),
        }
    }

    fn byte(&self, number: usize) -> u64 {
        match self {
            Self::Every(step) => number as u64 * step,
            Self::Listed(bytes) => bytes[number],
        }
    }
}

/// The greatest common divisor; that of a number and 0 is the number.
fn divisor(mut a: u64, mut b: u64) -> u64 {
    // Mostly the one is a multiple of the other.
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl Surface {
    /// A surface on which nobody is, for buffers on these bytes: the first, and one past the last.
    pub(crate) fn new(ranges: impl Iterator<Item = (u64, u64)> + Clone) -> Self {
        let (marks, count) = Marks::of(ranges);
        Self { starts: NumberSet::new(count), pieces: vec![(0, 0); count], marks }
    }

    /// Puts a buffer over its bytes, and tells who was there and next to it, each with the bytes between. Every stretch
    /// that is looked at is removed, or is one of four, so that the work over all buffers grows with their number.
    pub(crate) fn cover(&mut self, (start, end): (u64, u64), owner: u32, mut touched: impl FnMut(u32, u64)) {
        let (start, end) = (self.marks.number(start), self.marks.number(end));
        let mut within = self.starts.from(start);
        if let Some(at) = self.starts.below(start) {
            let (piece_end, below) = self.pieces[at];
            let bytes = self.marks.byte(start).saturating_sub(self.marks.byte(piece_end as usize));
            touched(below, bytes);
            if piece_end as usize > start {
                self.pieces[at].0 = start as u32;
            }
            if piece_end as usize > end {
                self.put(end, (piece_end, below));
            }
        }
        while let Some(at) = within.filter(|&at| at < end) {
            let (piece_end, under) = self.pieces[at];
            within = self.starts.from(at + 1);
            touched(under, 0);
            if at > start {
                self.starts.remove(at);
            }
            if piece_end as usize > end {
                self.put(end, (piece_end, under));
            }
        }
        if let Some(at) = self.starts.from(end) {
            touched(self.pieces[at].1, self.marks.byte(at) - self.marks.byte(end));
        }
        self.put(start, (end as u32, owner));
    }

    fn put(&mut self, at: usize, piece: (u32, u32)) {
        self.starts.insert(at);
        self.pieces[at] = piece;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    /// The same by a map of every byte.
    #[derive(Default)]
    struct Plain(BTreeMap<u64, u32>);

    impl Plain {
        /// Whoever is under the buffer and whoever is nearest below and above it.
        fn cover(&mut self, (start, end): (u64, u64), owner: u32) -> Vec<(u32, u64)> {
            let below = self.0.range(..start).next_back().map(|(at, owner)| (*owner, start - at - 1));
            let under = self.0.range(start..end).map(|(_, owner)| (*owner, 0));
            let above = self.0.range(end..).next().map(|(at, owner)| (*owner, at - end));
            let touched = below.into_iter().chain(under).chain(above).collect();
            self.0.extend((start..end).map(|byte| (byte, owner)));
            touched
        }
    }

    proptest! {
        #[test]
        fn whoever_is_touched_is_told(
            ranges in prop::collection::vec((0u64..60, 1u64..20), 1..60),
            (step, far) in (prop_oneof![Just(1u64), Just(256)], prop_oneof![Just(0u64), Just(1 << 40)]),
        ) {
            let ranges: Vec<(u64, u64)> = ranges.iter().map(|(start, len)| (*start, start + len)).collect();
            let bytes = |at: u64| if at > 70 { far + at * step } else { at * step };
            let scaled = ranges.iter().map(|&(start, end)| (bytes(start), bytes(end)));
            let (mut surface, mut plain) = (Surface::new(scaled.clone()), Plain::default());
            for ((owner, range), scaled) in (0..).zip(&ranges).zip(scaled) {
                let mut found = Vec::new();
                surface.cover(scaled, owner, |owner, bytes| found.push((owner, bytes)));
                let mut expect = plain.cover(*range, owner);
                if far == 0 {
                    expect.iter_mut().for_each(|(_, bytes)| *bytes *= step);
                } else {
                    // Who is touched is the same however the bytes are stretched.
                    for (_, bytes) in found.iter_mut().chain(&mut expect) {
                        *bytes = u64::from(*bytes > 0);
                    }
                }
                for list in [&mut found, &mut expect] {
                    list.sort_unstable();
                    list.dedup();
                }
                prop_assert_eq!(found, expect);
            }
        }
    }
}
