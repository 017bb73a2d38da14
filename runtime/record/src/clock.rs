//! Time, read in one place.
//!
//! The system's monotonic clock is right and takes 20 ns to read; the processor's counter takes half of that, and its rate
//! is known only as well as someone measured it. [`MonotonicClock`] reads the counter, and the drain thread holds it
//! against the system's clock now and then: the error that is found is made good by running a little faster or slower
//! until the next time, so that times neither jump nor run backwards.

use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What a recording reads the time from.
pub trait Clock: Send + Sync {
    /// Nanoseconds since the session began. Never runs backwards.
    fn now(&self) -> u64;

    /// Wall-clock time at which [`Clock::now`] was 0, in nanoseconds since the Unix epoch.
    fn start_unix_ns(&self) -> u64;

    /// Called by the thread that writes, some times a second while something happens: a clock that counts by a counter
    /// of its own compares it with the system's here.
    fn keep_time(&self) {}
}

/// Least time between two comparisons with the system's clock, in nanoseconds.
const COMPARE_EVERY: u64 = 100_000_000;
/// Time in which an error is made good, in nanoseconds.
const CORRECT_WITHIN: u64 = 1_000_000_000;
/// A new rate holds from this time on after it was found, in nanoseconds: by then all threads know of it.
const AHEAD: u64 = 50_000_000;
/// Reading both clocks at once is tried this often; the closest pair counts.
const TRIES: u32 = 4;

/// A rate of 1 ns per tick: rates are fractions of 2³².
const ONE: u64 = 1 << 32;

/// The system's monotonic clock; it begins when it is made. Read off the processor's counter where that is steady.
#[derive(Debug)]
pub struct MonotonicClock {
    counter: quanta::Clock,
    start: Instant,
    start_unix_ns: u64,
    rule: Published,
    known: Mutex<Known>,
}

/// How session time follows from the counter: it is `t` at `ticks`; nanoseconds per tick are `before` / 2³² until then and
/// `rate` / 2³² from then on.
#[derive(Clone, Copy, Debug)]
struct Rule {
    ticks: u64,
    t: u64,
    before: u64,
    rate: u64,
}

impl Rule {
    /// Rounds down on both sides of `ticks`, so that a rule that goes on with the rate of another is never behind it.
    #[inline]
    fn at(self, ticks: u64) -> u64 {
        let scaled = |ticks: u64, rate: u64| ((u128::from(ticks) * u128::from(rate)) >> 32) as u64;
        match ticks.checked_sub(self.ticks) {
            Some(passed) => self.t + scaled(passed, self.rate),
            None => self.t.saturating_sub(scaled(self.ticks - ticks, self.before)),
        }
    }

    fn words(self) -> [u64; 4] {
        [self.ticks, self.t, self.before, self.rate]
    }
}

/// What the last comparison saw: a count and the system's time since the start.
#[derive(Clone, Copy, Debug)]
struct Known {
    ticks: u64,
    t: u64,
}

/// A [`Rule`] that one thread at a time replaces while others read it. Nobody waits: the new rule is written beside the
/// one in force.
#[derive(Debug)]
struct Published {
    version: AtomicU64,
    rules: [[AtomicU64; 4]; 2],
}

impl Published {
    fn new(rule: Rule) -> Self {
        let words = || rule.words().map(AtomicU64::new);
        Self { version: AtomicU64::new(0), rules: [words(), words()] }
    }

    /// Puts another rule in force. By one thread at a time.
    fn publish(&self, rule: Rule) {
        let version = self.version.load(Ordering::Relaxed) + 1;
        // Whoever sees a word of what follows sees the version before it, too.
        fence(Ordering::Release);
        for (word, value) in self.rules[version as usize % 2].iter().zip(rule.words()) {
            word.store(value, Ordering::Relaxed);
        }
        self.version.store(version, Ordering::Release);
    }

    /// Reads the rule in force, and the counter while it was.
    #[inline]
    fn read(&self, counter: impl Fn() -> u64) -> (Rule, u64) {
        loop {
            let version = self.version.load(Ordering::Acquire);
            let [ticks, t, before, rate] = &self.rules[version as usize % 2];
            let [ticks, t, before, rate] = [ticks, t, before, rate].map(|word| word.load(Ordering::Relaxed));
            let counted = counter();
            fence(Ordering::Acquire);
            // Another one came into force in between, a few times a second at most.
            if self.version.load(Ordering::Relaxed) == version {
                return (Rule { ticks, t, before, rate }, counted);
            }
        }
    }
}

impl MonotonicClock {
    /// A clock that reads 0 now.
    pub fn new() -> Self {
        // The first in a process takes about half a millisecond, in which the counter's rate is measured.
        let counter = quanta::Clock::new();
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start_unix_ns = u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX);
        let (start, ticks) = (Instant::now(), counter.raw());
        let rate = counter.delta_as_nanos(0, ONE).max(1);
        let rule = Published::new(Rule { ticks, t: 0, before: rate, rate });
        Self { counter, start, start_unix_ns, rule, known: Mutex::new(Known { ticks, t: 0 }) }
    }

    /// A count and the system's time at once.
    fn pair(&self) -> Known {
        let mut best = (u64::MAX, Known { ticks: 0, t: 0 });
        for _ in 0..TRIES {
            let before = self.counter.raw();
            let t = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            let apart = self.counter.raw().saturating_sub(before);
            if apart < best.0 {
                best = (apart, Known { ticks: before + apart / 2, t });
            }
        }
        best.1
    }
}

impl Default for MonotonicClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for MonotonicClock {
    #[inline]
    fn now(&self) -> u64 {
        let (rule, ticks) = self.rule.read(|| self.counter.raw());
        rule.at(ticks)
    }

    fn start_unix_ns(&self) -> u64 {
        self.start_unix_ns
    }

    fn keep_time(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.pair();
        if now.t.saturating_sub(known.t) < COMPARE_EVERY || now.ticks <= known.ticks {
            return;
        }
        let (rule, ticks) = self.rule.read(|| self.counter.raw());
        // Until the last change is behind all threads there is no other.
        if let Some(rule) = corrected(*known, now, rule, AHEAD).filter(|_| ticks > rule.ticks) {
            self.rule.publish(rule);
        }
        *known = now;
    }
}

/// The rule that follows `rule` from `ahead` nanoseconds after `now` on: at the rate that was seen between two comparisons,
/// changed so that the error is gone after [`CORRECT_WITHIN`]. `None` where the counter stood still.
///
/// It begins ahead of the present, and goes on with the old rate until then: a thread that still reads the old rule while
/// another reads the new one gets the same times.
fn corrected(before: Known, now: Known, rule: Rule, ahead: u64) -> Option<Rule> {
    let (passed_ticks, passed) = (now.ticks.checked_sub(before.ticks)?, now.t.checked_sub(before.t)?);
    let seen = (u128::from(passed) * u128::from(ONE)).checked_div(u128::from(passed_ticks))?;
    let seen = u64::try_from(seen).ok().filter(|rate| *rate > 0)?;
    let error = i128::from(now.t) - i128::from(rule.at(now.ticks));
    // Half as fast at least, and three times as fast at most: a clock that was far ahead is waited for.
    let one = i128::from(ONE);
    let share = (error * one / i128::from(CORRECT_WITHIN)).clamp(-one / 2, 2 * one);
    let rate = u64::try_from(i128::from(seen) + i128::from(seen) * share / one).ok()?.max(1);
    let ticks = now.ticks + u64::try_from(u128::from(ahead) * u128::from(ONE) / u128::from(seen)).ok()?;
    Some(Rule { ticks, t: rule.at(ticks), before: rule.rate, rate })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Duration;

    /// A counter of 2.6 ticks per nanosecond whose rate was measured wrong by 17 millionths, against which the system's
    /// clock is steered, as a network time service does.
    #[test]
    fn errors_of_the_rate_do_not_add_up() {
        let true_rate = |second: u64| 2.6 * if second < 300 { 1.0 } else { 1.0 + 3e-4 };
        let (mut ticks, mut t) = (1_000_000.0f64, 0.0f64);
        let rate = (ONE as f64 / 2.6 * (1.0 + 17e-6)) as u64;
        let mut rule = Rule { ticks: 1_000_000, t: 0, before: rate, rate };
        let mut known = Known { ticks: 1_000_000, t: 0 };
        let mut worst = [0.0f64; 2];
        for round in 0..1200u64 {
            let last = rule.at(ticks as u64);
            ticks += 5e8 * true_rate(round / 2);
            t += 5e8;
            let now = Known { ticks: ticks as u64, t: t as u64 };
            let error = (rule.at(now.ticks) as f64 - t).abs();
            // The first error is halved with every round; the step of the rate is the other one that no clock can know of.
            let stepped = usize::from(!(12..600).contains(&round));
            worst[stepped] = worst[stepped].max(error);
            rule = corrected(known, now, rule, AHEAD).unwrap();
            assert!(rule.at(now.ticks) >= last);
            known = now;
        }
        assert!(worst[0] < 20.0 && worst[1] < 200_000.0, "{worst:?} ns");
        assert!((rule.at(known.ticks) as f64 - t).abs() < 20.0, "the step is made good");
    }

    #[test]
    fn a_clock_far_off_comes_back_without_running_backwards() {
        for error in [-3_000_000_000i64, -5_000_000, 5_000_000, 3_000_000_000] {
            let mut rule = Rule { ticks: 0, t: (10_000_000_000i64 - error) as u64, before: ONE, rate: ONE };
            let mut known = Known { ticks: 0, t: 10_000_000_000 };
            for second in 1..40u64 {
                let ticks = second * 500_000_000;
                let now = Known { ticks, t: 10_000_000_000 + ticks };
                let before = rule.at(ticks);
                rule = corrected(known, now, rule, AHEAD).unwrap();
                // Rounded up by what was rounded down.
                assert!((before..before + 2).contains(&rule.at(ticks)));
                known = now;
            }
            assert!(rule.at(known.ticks).abs_diff(known.t) < 1000, "{error}: {rule:?}");
        }
    }

    #[test]
    fn follows_the_system_clock() {
        let clock = MonotonicClock::new();
        let start = Instant::now();
        let first = clock.now();
        for _ in 0..12 {
            thread::sleep(Duration::from_millis(110));
            clock.keep_time();
            // One reading of the system's clock between two of ours.
            let (before, system, after) = (clock.now(), start.elapsed().as_nanos() as u64, clock.now());
            let slack = 100_000;
            assert!(before - first <= system + slack, "{before} {system}");
            assert!(after - first + slack >= system, "{after} {system}");
        }
    }

    #[test]
    fn no_thread_sees_time_run_backwards_while_rules_change() {
        let clock = MonotonicClock::new();
        let end = Instant::now() + Duration::from_millis(300);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut last = 0;
                    while Instant::now() < end {
                        let now = clock.now();
                        assert!(now >= last, "{last} {now}");
                        last = now;
                    }
                });
            }
            let mut changes = 0;
            while Instant::now() < end {
                thread::sleep(Duration::from_millis(1));
                let (rule, ticks) = clock.rule.read(|| clock.counter.raw());
                if ticks <= rule.ticks {
                    continue;
                }
                // As if the system's clock were far ahead and right in turn.
                let t = rule.at(ticks) + 500_000_000 * (changes % 2);
                let before = Known { ticks: ticks - 1_000_000, t: t.saturating_sub(400_000) };
                clock.rule.publish(corrected(before, Known { ticks, t }, rule, 20_000_000).unwrap());
                changes += 1;
            }
            assert!(changes > 3, "{changes}");
        });
    }
}
