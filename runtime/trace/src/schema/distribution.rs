//! Sums over many durations, with percentiles, in bounded memory.

use alloc::vec::Vec;

use crate::format::wire::{Cursor, WireError, put_varint};

/// Values below this have a bucket each; above, every power of two is cut into half as many buckets.
const EXACT: u64 = 1 << (SUB_BITS + 1);
/// Base-2 logarithm of the number of buckets in a power of two. A bucket's middle is within 1/128 of all of its values.
const SUB_BITS: u32 = 6;
/// Number of buckets that 64-bit values need.
const BUCKETS: usize = 3776;

/// What many values came to: count, sum, extremes and, within 1 % of the value, every percentile.
///
/// A log-linear histogram: 64 buckets for each power of two, at most 3,776 of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
    /// Number of values in each bucket, as far as one is in use.
    buckets: Vec<u64>,
}

impl Distribution {
    /// Adds a value.
    #[inline]
    pub fn add(&mut self, value: u64) {
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(value);
        let at = bucket_of(value);
        if at >= self.buckets.len() {
            self.buckets.resize(at + 1, 0);
        }
        self.buckets[at] = self.buckets[at].saturating_add(1);
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum; at most `u64::MAX`.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The smallest; `None` without values.
    pub fn min(&self) -> Option<u64> {
        (self.count > 0).then_some(self.min)
    }

    /// The largest; `None` without values.
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// The mean; `None` without values.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// The value that this fraction of all values, from 0 to 1, does not exceed, by the nearest rank: exact for 0 and 1 and
    /// for values below 128, else within 1 % of the value of that rank. `None` without values.
    pub fn percentile(&self, fraction: f64) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        // 0.07 × 100 is a little more than 7. NaN counts as 0.
        let rank = fraction.clamp(0.0, 1.0) * self.count as f64 * (1.0 - 1e-12);
        let rank = rank as u64 + u64::from(rank > rank as u64 as f64);
        if rank <= 1 {
            return Some(self.min);
        }
        if rank >= self.count {
            return Some(self.max);
        }
        let mut seen = 0u64;
        let reached = |number: &u64| {
            seen = seen.saturating_add(*number);
            seen >= rank
        };
        let at = self.buckets.iter().position(reached).unwrap_or(0);
        Some(middle(at).clamp(self.min, self.max))
    }

    /// Sum, smallest, largest, then for each bucket in use: how many buckets after the one before, and its values.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        [self.sum, self.min, self.max].into_iter().for_each(|value| put_varint(&mut out, value));
        let mut next = 0;
        for (at, number) in self.buckets.iter().enumerate().filter(|(_, number)| **number > 0) {
            put_varint(&mut out, (at - next) as u64);
            put_varint(&mut out, *number);
            next = at + 1;
        }
        out
    }

    /// Reads what [`Distribution::to_bytes`] wrote.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor::new(bytes);
        let (sum, min, max) = (cursor.varint()?, cursor.varint()?, cursor.varint()?);
        let mut found = Self { sum, min, max, ..Self::default() };
        while !cursor.is_empty() {
            let skipped = usize::try_from(cursor.varint()?).unwrap_or(usize::MAX);
            let at = found.buckets.len().saturating_add(skipped);
            if at >= BUCKETS {
                return Err(WireError::Value("a distribution has too many buckets"));
            }
            found.buckets.resize(at, 0);
            let number = cursor.varint()?;
            found.buckets.push(number);
            found.count = found.count.saturating_add(number);
        }
        Ok(found)
    }

    /// The buckets in use: the smallest and the largest value that falls into each, and how many did.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        let used = self.buckets.iter().enumerate().filter(|(_, number)| **number > 0);
        used.map(|(at, number)| (lowest(at), lowest(at) + (width(at) - 1), *number))
    }
}

fn bucket_of(value: u64) -> usize {
    if value < EXACT {
        return value as usize;
    }
    let shift = value.ilog2() - SUB_BITS;
    // Between 64 and 127: the leading bit and the six behind it.
    ((u64::from(shift) << SUB_BITS) + (value >> shift)) as usize
}

/// Base-2 logarithm of the width of a bucket.
fn shift(at: usize) -> u32 {
    if (at as u64) < EXACT { 0 } else { (at >> SUB_BITS) as u32 - 1 }
}

fn width(at: usize) -> u64 {
    1 << shift(at)
}

fn lowest(at: usize) -> u64 {
    (at as u64 - (u64::from(shift(at)) << SUB_BITS)) << shift(at)
}

fn middle(at: usize) -> u64 {
    lowest(at) + (width(at) - 1) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Distribution {
        let mut distribution = Distribution::default();
        values.iter().for_each(|value| distribution.add(*value));
        distribution
    }

    #[test]
    fn nothing_has_no_figures() {
        let none = Distribution::default();
        assert_eq!((none.count(), none.sum(), none.min(), none.max()), (0, 0, None, None));
        assert_eq!((none.mean(), none.percentile(0.5), none.buckets().count()), (None, None, 0));
    }

    #[test]
    fn small_values_are_exact() {
        let values: Vec<u64> = (0..=100).collect();
        let all = of(&values);
        for percent in 1..=100 {
            // 101 values: the rank of a percentage p is ⌈1.01 p⌉.
            let rank = (percent * 101u64).div_ceil(100);
            assert_eq!(
                all.percentile(percent as f64 / 100.0),
                Some(values[rank as usize - 1]),
                "{percent} %"
            );
        }
        assert_eq!((all.min(), all.max(), all.mean()), (Some(0), Some(100), Some(50.0)));
    }

    #[test]
    fn extremes_have_buckets() {
        let all = of(&[0, u64::MAX, u64::MAX]);
        assert_eq!((all.min(), all.max(), all.sum()), (Some(0), Some(u64::MAX), u64::MAX));
        assert_eq!(all.percentile(0.0), Some(0));
        let buckets: Vec<_> = all.buckets().collect();
        assert_eq!(buckets.len(), 2);
        assert_eq!((buckets[1].1, buckets[1].2), (u64::MAX, 2));
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert_eq!(Distribution::from_bytes(&all.to_bytes()), Ok(all));
    }

    #[test]
    fn impossible_bytes_are_refused() {
        let mut bytes = vec![0, 0, 0];
        put_varint(&mut bytes, BUCKETS as u64);
        bytes.push(1);
        assert!(Distribution::from_bytes(&bytes).is_err());
        assert!(Distribution::from_bytes(&[0, 0]).is_err());
    }

    proptest! {
        #[test]
        fn buckets_hold_their_values_and_touch(value in any::<u64>(), bits in 0u32..64) {
            let value = value >> bits;
            let at = bucket_of(value);
            prop_assert!(lowest(at) <= value && value <= lowest(at) + (width(at) - 1));
            prop_assert!(at == 0 || lowest(at - 1) + (width(at - 1) - 1) == lowest(at) - 1);
        }

        #[test]
        fn percentiles_are_within_one_percent(
            values in proptest::collection::vec((any::<u64>(), 8u32..64), 1..300),
            fraction in 0.0f64..=1.0,
        ) {
            let mut values: Vec<u64> = values.into_iter().map(|(value, bits)| value >> bits).collect();
            let all = of(&values);
            values.sort_unstable();
            let rank = (fraction * values.len() as f64).ceil().max(1.0) as usize;
            let (exact, found) = (values[rank - 1] as f64, all.percentile(fraction).unwrap() as f64);
            prop_assert!((found - exact).abs() <= exact * 0.01, "{found} for {exact}");
            prop_assert_eq!(all.sum(), values.iter().fold(0u64, |sum, value| sum.saturating_add(*value)));
            prop_assert_eq!(Distribution::from_bytes(&all.to_bytes()), Ok(all));
        }
    }
}
