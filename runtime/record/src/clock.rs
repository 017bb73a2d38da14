//! Time, read in one place.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What a recording reads the time from.
pub trait Clock: Send + Sync {
    /// Nanoseconds since the session began. Never runs backwards.
    fn now(&self) -> u64;

    /// Wall-clock time at which [`Clock::now`] was 0, in nanoseconds since the Unix epoch.
    fn start_unix_ns(&self) -> u64;
}

/// The system's monotonic clock; it begins when it is made.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock {
    start: Instant,
    start_unix_ns: u64,
}

impl MonotonicClock {
    /// A clock that reads 0 now.
    pub fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start_unix_ns = u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX);
        Self { start: Instant::now(), start_unix_ns }
    }

    /// The session time of an instant; 0 for one before the session.
    pub fn at(&self, instant: Instant) -> u64 {
        u64::try_from(instant.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Default for MonotonicClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for MonotonicClock {
    fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    fn start_unix_ns(&self) -> u64 {
        self.start_unix_ns
    }
}
