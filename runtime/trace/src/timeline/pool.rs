//! Dynamic pools: memory inside which ranges come and go while runs go on.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::metrics::{Fragmentation, fragmentation};
use crate::schema::event::Nanos;

/// A pool and the ranges that are taken of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// What it holds, in words.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// The ranges that are taken, by their number.
    pub live: BTreeMap<u64, PoolRange>,
    /// Sum of their sizes.
    pub live_bytes: u64,
    /// What it came to so far.
    pub totals: PoolTotals,
}

/// A range of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolRange {
    /// When it was taken.
    pub t: Nanos,
    /// Byte offset in the pool.
    pub offset: u64,
    /// Its size.
    pub bytes: u64,
}

impl PoolRange {
    /// One past its last byte.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes)
    }
}

/// What a pool came to since the session began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolTotals {
    /// The most bytes that were taken at once.
    pub high_water: u64,
    /// The highest end that a range had.
    pub top: u64,
    /// Ranges taken.
    pub allocated: u64,
    /// Ranges given back.
    pub freed: u64,
}

impl Pool {
    /// A range was taken.
    pub(crate) fn allocate(&mut self, id: u64, range: PoolRange) {
        if let Some(before) = self.live.insert(id, range) {
            // Its release was lost.
            self.live_bytes = self.live_bytes.saturating_sub(before.bytes);
        }
        self.live_bytes = self.live_bytes.saturating_add(range.bytes);
        let totals = &mut self.totals;
        totals.allocated = totals.allocated.saturating_add(1);
        totals.high_water = totals.high_water.max(self.live_bytes);
        totals.top = totals.top.max(range.end());
    }

    /// A range was given back.
    pub(crate) fn free(&mut self, id: u64) {
        // Whose allocation was lost was not counted either.
        if let Some(range) = self.live.remove(&id) {
            self.live_bytes = self.live_bytes.saturating_sub(range.bytes);
            self.totals.freed = self.totals.freed.saturating_add(1);
        }
    }

    /// The bytes that no range takes, lowest first: offset and length. Neighbours are one.
    pub fn free_ranges(&self) -> Vec<(u64, u64)> {
        let mut taken: Vec<(u64, u64)> =
            self.live.values().map(|range| (range.offset, range.end())).collect();
        taken.sort_unstable();
        let (mut free, mut top) = (Vec::new(), 0);
        for (start, end) in taken.into_iter().chain([(self.bytes, self.bytes)]) {
            let start = start.min(self.bytes);
            if start > top {
                free.push((top, start - top));
            }
            top = top.max(end);
        }
        free
    }

    /// How scattered the free bytes are now.
    pub fn fragmentation(&self) -> Fragmentation {
        fragmentation(self.free_ranges().into_iter().map(|(_, len)| len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn pool(bytes: u64, ranges: &[(u64, u64)]) -> Pool {
        let mut pool = Pool { bytes, ..Pool::default() };
        for (id, (offset, bytes)) in (0..).zip(ranges) {
            pool.allocate(id, PoolRange { t: id, offset: *offset, bytes: *bytes });
        }
        pool
    }

    #[test]
    fn holes_lie_between_ranges_and_behind_them() {
        assert_eq!(pool(100, &[]).free_ranges(), vec![(0, 100)]);
        assert_eq!(pool(100, &[(0, 100)]).free_ranges(), vec![]);
        assert_eq!(pool(100, &[(50, 10), (10, 20)]).free_ranges(), vec![(0, 10), (30, 20), (60, 40)]);
        // Ranges that share bytes or leave the pool, which only a broken session has.
        assert_eq!(pool(100, &[(0, 60), (10, 20), (90, 50), (200, 9)]).free_ranges(), vec![(60, 30)]);
        let scattered = pool(100, &[(50, 10), (10, 20)]).fragmentation();
        assert_eq!((scattered.free, scattered.holes, scattered.largest), (70, 3, 40));
        assert!((scattered.external - 3.0 / 7.0).abs() < 1e-12);
    }

    #[test]
    fn totals_outlive_ranges() {
        let mut pool = pool(100, &[(0, 30), (40, 30)]);
        pool.free(0);
        pool.free(0);
        pool.allocate(7, PoolRange { t: 9, offset: 0, bytes: 10 });
        let totals = PoolTotals { high_water: 60, top: 70, allocated: 3, freed: 1 };
        assert_eq!((pool.live_bytes, pool.totals), (40, totals));
        // The same number again: the release between was lost.
        pool.allocate(7, PoolRange { t: 10, offset: 0, bytes: 20 });
        assert_eq!((pool.live_bytes, pool.live.len()), (50, 2));
    }
}
