//! How a dynamic pool was filled over time: few enough samples to keep and to draw, however much happens.

use alloc::collections::VecDeque;

use crate::metrics::Fragmentation;
use crate::schema::event::Nanos;
use crate::timeline::HISTORY;
use crate::timeline::pool::Pool;

/// Samples are no farther apart than this while there is room for more: a second.
const FARTHEST: Nanos = 1_000_000_000;
/// Samples of a new pool are this far apart at least.
const NEAREST: Nanos = 1_000_000;

/// A pool at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolSample {
    /// When.
    pub t: Nanos,
    /// Bytes that were taken.
    pub live: u64,
    /// How scattered the free bytes were.
    pub fragmentation: Fragmentation,
}

/// Samples of a pool, oldest first. They begin close together; when there are as many as are kept, every other one is dropped
/// and the next ones come twice as far apart, up to a second. From then on the oldest is forgotten for each that comes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PoolHistory {
    samples: VecDeque<PoolSample>,
    spacing: Nanos,
}

impl PoolHistory {
    /// The samples, oldest first.
    pub fn samples(&self) -> impl DoubleEndedIterator<Item = &PoolSample> + ExactSizeIterator + '_ {
        self.samples.iter()
    }

    /// Something changed in the pool; it becomes a sample if the former one is old enough.
    pub(crate) fn note(&mut self, t: Nanos, pool: &Pool) {
        self.spacing = self.spacing.max(NEAREST);
        let due = self.samples.back().is_none_or(|last| t >= last.t.saturating_add(self.spacing));
        if !due {
            return;
        }
        if self.samples.len() == HISTORY {
            self.make_room();
        }
        self.samples.push_back(PoolSample { t, live: pool.live_bytes, fragmentation: pool.fragmentation() });
    }

    fn make_room(&mut self) {
        if self.spacing >= FARTHEST {
            self.samples.pop_front();
            return;
        }
        let span = self.samples.back().zip(self.samples.front()).map_or(0, |(last, first)| last.t - first.t);
        self.spacing = (2 * self.spacing).max(span / HISTORY as u64).min(FARTHEST);
        let mut keep = false;
        self.samples.retain(|_| {
            keep = !keep;
            keep
        });
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn history(count: u64, every: Nanos) -> PoolHistory {
        let mut history = PoolHistory::default();
        for at in 0..count {
            let pool = Pool { bytes: 1 << 40, live_bytes: at, ..Pool::default() };
            history.note(at * every, &pool);
        }
        history
    }

    #[test]
    fn samples_are_bounded_and_span_the_time() {
        for (count, every) in
            [(10, NEAREST), (100_000, NEAREST / 10), (20_000, 7 * NEAREST), (3000, FARTHEST)]
        {
            let history = history(count, every);
            let samples: Vec<_> = history.samples().copied().collect();
            assert!(samples.len() <= HISTORY && samples.len() >= HISTORY.min(count as usize) / 2, "{count}");
            assert!(samples.windows(2).all(|pair| pair[0].t < pair[1].t));
            // From the beginning on, while they need not be a second apart.
            assert_eq!(
                samples[0].t == 0,
                count * every <= HISTORY as u64 * FARTHEST,
                "{count} every {every}"
            );
            let last = (count - 1) * every;
            assert!(samples.last().unwrap().t + history.spacing > last);
        }
    }
}
