//! How long runs took.

use std::time::Duration;

use bayplan_trace::median;

/// Latencies kept for the quantiles; beyond that every second one is dropped and the stride doubled.
const MAX_KEPT: usize = 1 << 16;

/// Durations of runs, thinned evenly once there are many, so that a run of days takes no more memory than one of minutes.
/// The first run stands apart: drivers compile kernels when they first meet them.
#[derive(Default)]
pub(crate) struct Latencies {
    first: Option<u64>,
    kept: Vec<u64>,
    seen: u64,
    stride: u64,
}

impl Latencies {
    pub(crate) fn add(&mut self, latency: Duration) {
        let latency = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        if self.first.is_none() {
            self.first = Some(latency);
            return;
        }
        let stride = self.stride.max(1);
        if self.seen.is_multiple_of(stride) {
            self.kept.push(latency);
        }
        self.seen += 1;
        if self.kept.len() == MAX_KEPT {
            let mut index = 0;
            self.kept.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride = stride * 2;
        }
    }

    /// The first run, in nanoseconds.
    pub(crate) fn first(&self) -> Option<u64> {
        self.first
    }

    /// Median, 95 % (nearest rank) and least of the runs after the first, in nanoseconds; the first alone if there is no
    /// other.
    pub(crate) fn quantiles(&self) -> Option<[u64; 3]> {
        let mut sorted =
            if self.kept.is_empty() { self.first.into_iter().collect() } else { self.kept.clone() };
        sorted.sort_unstable();
        let at =
            |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        Some([median(&sorted)?, at(95)?, at(0)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(nanos: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies { first: Some(u64::MAX), ..Latencies::default() };
        nanos.into_iter().for_each(|ns| latencies.add(Duration::from_nanos(ns)));
        latencies
    }

    #[test]
    fn quantiles_of_few_are_exact() {
        let cases: [(&[u64], Option<[u64; 3]>); 5] = [
            (&[], Some([u64::MAX; 3])),
            (&[7], Some([7, 7, 7])),
            (&[2, 1], Some([1, 2, 1])),
            (&[3, 1, 2], Some([2, 3, 1])),
            (&[9, 9, 9, 1], Some([9, 9, 1])),
        ];
        assert_eq!(Latencies::default().quantiles(), None);
        for (nanos, expected) in cases {
            assert_eq!(of(nanos.iter().copied()).quantiles(), expected, "{nanos:?}");
        }
        assert_eq!(of(1..=100).quantiles(), Some([50, 95, 1]));
    }

    #[test]
    fn many_are_thinned_evenly() {
        let all = 10 * MAX_KEPT as u64;
        let latencies = of((0..all).map(|i| i * 7919 % all));
        assert!(latencies.kept.len() < MAX_KEPT);
        let [median, p95, _] = latencies.quantiles().unwrap();
        let near = |value: u64, part: f64| (value as f64 / all as f64 - part).abs() < 0.01;
        assert!(near(median, 0.5) && near(p95, 0.95), "{median} {p95} of {all}");
    }
}
