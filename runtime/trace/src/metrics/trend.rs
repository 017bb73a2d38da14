//! Where growing memory is heading: least squares over the samples that are kept, and the time that is left at that rate.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bayplan_text::Bytes;

use crate::schema::event::Nanos;
use crate::timeline::Timeline;

/// Samples from which on a trend is looked for.
const LEAST_SAMPLES: usize = 16;
/// How many times its standard error a slope must be to count.
const SIGNIFICANT: f64 = 4.0;
/// A limit that is farther away says nothing: a week.
const FARTHEST: f64 = 7.0 * 24.0 * 3600.0;

/// A straight line through samples.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    /// Bytes per second.
    slope: f64,
    /// The standard error of the slope.
    error: f64,
}

/// Fits a line by least squares. `None` where there are too few samples, or all at one time.
fn line(samples: &[(Nanos, u64)]) -> Option<Line> {
    let (first, count) = (samples.first()?.0, samples.len() as f64);
    if samples.len() < LEAST_SAMPLES / 4 {
        return None;
    }
    let seconds = |t: Nanos| t.saturating_sub(first) as f64 * 1e-9;
    let mean = |value: &dyn Fn(&(Nanos, u64)) -> f64| samples.iter().map(value).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(&|(t, _)| seconds(*t)), mean(&|(_, bytes)| *bytes as f64));
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (t, bytes) in samples {
        let (x, y) = (seconds(*t) - mean_x, *bytes as f64 - mean_y);
        (xx, xy, yy) = (xx + x * x, xy + x * y, yy + y * y);
    }
    if xx <= 0.0 {
        return None;
    }
    let slope = xy / xx;
    let residual = (yy - slope * xy).max(0.0);
    Some(Line { slope, error: sqrt(residual / (count - 2.0) / xx) })
}

/// The square root, by Newton's method: there is none without the standard library.
fn sqrt(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 0.0;
    }
    // Half the exponent is within a factor of 2; each step then doubles the digits that are right.
    let mut root = f64::from_bits((value.to_bits() >> 1) + (1023 << 51));
    for _ in 0..6 {
        root = 0.5 * (root + value / root);
    }
    root
}

/// The rate at which samples grow, in bytes per second, if they do beyond doubt: lines through all of them, through each half and
/// through the last quarter rise by four times their standard error at least. What grew once and then stayed has no rate.
pub fn growth(samples: &[(Nanos, u64)]) -> Option<f64> {
    let grows = |part: &[(Nanos, u64)]| {
        let line = line(part)?;
        (line.slope > 0.0 && line.slope >= SIGNIFICANT * line.error).then_some(line.slope)
    };
    if samples.len() < LEAST_SAMPLES {
        return None;
    }
    let (former, latter) = samples.split_at(samples.len() / 2);
    let last = &latter[latter.len() / 2..];
    grows(last).and(grows(latter)).and(grows(former)).and_then(|_| grows(samples))
}

/// What may grow into its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Growing {
    /// A heap of the device, by its number: the limit is the budget, or the size where no budget is told.
    Heap(u32),
    /// A dynamic pool, by its number: the limit is its size.
    Pool(u32),
}

/// When something that grows reaches its limit, if it goes on as it does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// What grows.
    pub of: Growing,
    /// Bytes per second.
    pub rate: f64,
    /// Bytes that are in use.
    pub used: u64,
    /// Bytes that may be.
    pub limit: u64,
    /// Whether that is a budget that the driver told; else it is the size.
    pub budget: bool,
    /// Time that is left; 0 where the limit is reached.
    pub left: Nanos,
}

impl Forecast {
    /// In words: `budget in about 4 min at +3.1 MiB/s`.
    pub fn text(&self) -> String {
        let what = if self.budget { "budget" } else { "full" };
        let rate = Bytes(self.rate as u64);
        match self.left {
            0 => format!("{what} reached, at +{rate}/s"),
            left => format!("{what} in about {} at +{rate}/s", about(left)),
        }
    }
}

/// A time in one unit, rounded: nobody knows it better.
fn about(time: Nanos) -> String {
    const UNITS: [(Nanos, &str); 4] = [(86_400, "days"), (3600, "h"), (60, "min"), (1, "s")];
    let seconds = time / 1_000_000_000;
    // Below two of a unit the smaller one says more.
    let unit = UNITS.iter().find(|(length, _)| seconds >= 2 * length).unwrap_or(&(1, "s"));
    format!("{} {}", (seconds + unit.0 / 2) / unit.0, unit.1)
}

/// The forecast of samples that end with what is in use now; `None` where they do not grow, or the limit is more than a week
/// away. With the limit comes whether it is a budget.
pub fn forecast(of: Growing, samples: &[(Nanos, u64)], (limit, budget): (u64, bool)) -> Option<Forecast> {
    let rate = growth(samples)?;
    let used = samples.last()?.1;
    let seconds = limit.saturating_sub(used) as f64 / rate;
    (seconds <= FARTHEST).then_some(Forecast {
        of,
        rate,
        used,
        limit,
        budget,
        left: (seconds * 1e9) as Nanos,
    })
}

/// What of a session grows into its limit, the soonest first. A plan is static: arenas are never among it.
pub fn forecasts(timeline: &Timeline) -> Vec<Forecast> {
    let heaps = timeline.heaps.iter().filter_map(|(&number, heap)| {
        let samples: Vec<(Nanos, u64)> = heap.history.iter().copied().collect();
        forecast(Growing::Heap(number), &samples, (heap.budget.unwrap_or(heap.size), heap.budget.is_some()))
    });
    let pools = timeline.pools.iter().filter_map(|(&number, pool)| {
        let history = timeline.pool_histories.get(&number)?;
        let mut samples: Vec<(Nanos, u64)> =
            history.samples().map(|sample| (sample.t, sample.live)).collect();
        // Samples have a distance; what is in use now may have changed since the last one.
        if let Some(&(t, _)) = samples.last().filter(|(_, live)| *live != pool.live_bytes) {
            samples.push((timeline.now.max(t), pool.live_bytes));
        }
        forecast(Growing::Pool(number), &samples, (pool.bytes, false))
    });
    let mut found: Vec<Forecast> = heaps.chain(pools).collect();
    found.sort_by_key(|forecast| (forecast.left, forecast.of));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Record};

    const SECOND: Nanos = 1_000_000_000;

    fn samples(count: u64, value: impl Fn(u64) -> u64) -> Vec<(Nanos, u64)> {
        (0..count).map(|at| (at * SECOND, value(at))).collect()
    }

    /// A hash of a number below 1000 (the finaliser of MurmurHash3): noise that is the same every time.
    fn noise(at: u64) -> u64 {
        let mut x = at.wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ x >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
        x = (x ^ x >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        (x ^ x >> 33) % 1000
    }

    #[test]
    fn a_line_is_met_exactly() {
        let rate = growth(&samples(60, |at| 100 + 3 * at)).unwrap();
        assert!((rate - 3.0).abs() < 1e-9, "{rate}");
        let found = forecast(Growing::Pool(2), &samples(60, |at| 100 + 3 * at), (1000, false)).unwrap();
        assert_eq!((found.of, found.used, found.limit), (Growing::Pool(2), 277, 1000));
        assert_eq!(found.left.div_euclid(SECOND), 241);
    }

    #[test]
    fn only_what_grows_beyond_doubt_has_a_rate() {
        let check = |what: &str, grows: bool, value: &dyn Fn(u64) -> u64| {
            assert_eq!(growth(&samples(120, value)).is_some(), grows, "{what}");
        };
        check("flat", false, &|_| 7);
        check("falling", false, &|at| 1000 - at);
        check("noise", false, &noise);
        check("one step", false, &|at| if at < 60 { 10 } else { 90 });
        check("an early step", false, &|at| if at < 15 { 10 } else { 90 });
        check("a late step", false, &|at| if at < 100 { 10 } else { 90 });
        check("growth that ended", false, &|at| at.min(70));
        check("saw teeth", false, &|at| at % 20);
        check("growth under noise", true, &|at| 40 * at + noise(at));
        check("stairs", true, &|at| at / 10 * 100);
        check("quicker and quicker", true, &|at| at * at);
    }

    #[test]
    fn too_little_is_no_trend() {
        assert_eq!(growth(&[]), None);
        assert_eq!(growth(&samples(15, |at| at)), None);
        assert!(growth(&samples(16, |at| at)).is_some());
        let at_once: Vec<_> = (0..40).map(|at| (5, at)).collect();
        assert_eq!(growth(&at_once), None);
        let huge = samples(20, |at| u64::MAX / 20 * at);
        assert!(growth(&huge).is_some_and(f64::is_finite));
    }

    #[test]
    fn a_limit_that_is_reached_leaves_no_time_and_a_far_one_is_not_told() {
        let grown = samples(60, |at| at);
        assert_eq!(forecast(Growing::Heap(0), &grown, (10, true)).unwrap().left, 0);
        assert!(forecast(Growing::Heap(0), &grown, (600_000, true)).is_some());
        assert_eq!(forecast(Growing::Heap(0), &grown, (700_000, true)), None);
    }

    #[test]
    fn forecasts_are_told_in_words() {
        let check = |left: u64, budget: bool, expect: &str| {
            let rate = 3.1 * 1_048_576.0;
            let forecast =
                Forecast { of: Growing::Heap(0), rate, used: 1, limit: 2, budget, left: left * SECOND };
            assert_eq!(forecast.text(), expect);
        };
        check(0, true, "budget reached, at +3.10 MiB/s");
        check(1, true, "budget in about 1 s at +3.10 MiB/s");
        check(119, false, "full in about 119 s at +3.10 MiB/s");
        check(241, true, "budget in about 4 min at +3.10 MiB/s");
        check(9000, true, "budget in about 3 h at +3.10 MiB/s");
        check(300_000, false, "full in about 3 days at +3.10 MiB/s");
    }

    /// Ranges of a pool are taken one a second and never given back; a keyframe restates them.
    #[test]
    fn pools_and_heaps_that_grow_are_found() {
        let mut timeline = Timeline::new();
        let event = |timeline: &mut Timeline, event| timeline.apply(Record::Event(event));
        event(&mut timeline, Event::PoolReady { t: 0, pool: 3, bytes: 100_000, name: "kv".into() });
        for at in 0..60 {
            let (t, offset) = (at * SECOND, at * 1000);
            event(&mut timeline, Event::PoolAllocated { t, pool: 3, id: at, offset, bytes: 1000 });
            let (usage, budget) = (1000 + at * 10, Some(5000));
            event(&mut timeline, Event::HeapSample { t, heap: 1, size: 9000, usage, budget });
            event(&mut timeline, Event::HeapSample { t, heap: 0, size: 9000, usage: 500, budget: None });
        }
        let found: Vec<_> =
            forecasts(&timeline).iter().map(|f| (f.of, f.used, f.limit, f.left / SECOND)).collect();
        assert_eq!(found, [(Growing::Pool(3), 60_000, 100_000, 40), (Growing::Heap(1), 1590, 5000, 341)]);
        // What is in use is what is so now, not at the last sample.
        event(&mut timeline, Event::PoolFreed { t: 59 * SECOND + 1, pool: 3, id: 7 });
        assert_eq!(forecasts(&timeline)[0].used, 59_000);
        // What a keyframe restates is no growth.
        let mut late = Timeline::new();
        let state = (0..60).map(|at| Event::PoolAllocated {
            t: at * SECOND,
            pool: 3,
            id: at,
            offset: at * 1000,
            bytes: 1000,
        });
        late.apply(Record::Keyframe(crate::Keyframe {
            state: state.collect(),
            ..crate::Keyframe::default()
        }));
        assert_eq!((late.pools[&3].live_bytes, forecasts(&late)), (60_000, Vec::new()));
    }

    #[test]
    fn roots_are_right() {
        for value in [1e-300, 1e-9, 0.25, 1.0, 2.0, 9.0, 1e15, 1e300] {
            let root = sqrt(value);
            assert!((root * root / value - 1.0).abs() < 1e-12, "{value}: {root}");
        }
        assert!((sqrt(0.0), sqrt(-1.0), sqrt(f64::NAN), sqrt(f64::INFINITY)) == (0.0, 0.0, 0.0, 0.0));
    }
}
