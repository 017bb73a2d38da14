//! The whole time of a session in few stretches of equal length: what the strip of time is drawn from, however long the
//! session is.

use bayplan_trace::{EventRef, Nanos, Timeline};

/// Most stretches; with one more, each two become one.
const MOST: usize = 512;
/// The shortest stretch, as a power of two of nanoseconds: about a millisecond.
const SHORTEST: u32 = 20;

/// What happened in one stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Runs that began.
    pub(crate) runs: u32,
    /// Runs that failed.
    pub(crate) failed: u32,
    /// Most bytes that were taken: of the pools where there are any, else of device memory.
    pub(crate) bytes: u64,
}

/// A session's time, from the first thing that was read on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Strip {
    stretches: Vec<Stretch>,
    /// When the first stretch begins.
    start: Option<Nanos>,
    /// Stretches are two to the power of this many nanoseconds long.
    power: u32,
    /// Bytes taken at present.
    level: u64,
}

impl Strip {
    /// Takes one event in, after the timeline did.
    #[inline]
    pub(crate) fn apply(&mut self, event: EventRef<'_>, timeline: &Timeline) {
        match event {
            EventRef::RunStart { t, .. } => {
                let stretch = self.at(t);
                stretch.runs = stretch.runs.saturating_add(1);
            }
            EventRef::RunEnd { t, ok: false, .. } => {
                let stretch = self.at(t);
                stretch.failed = stretch.failed.saturating_add(1);
            }
            EventRef::PoolAllocated { t, .. }
            | EventRef::PoolFreed { t, .. }
            | EventRef::DeviceAllocated { t, .. }
            | EventRef::DeviceFreed { t, .. } => self.take(t, timeline),
            _ => {}
        }
    }

    /// Takes over what a keyframe says.
    pub(crate) fn restate(&mut self, timeline: &Timeline) {
        self.take(timeline.now, timeline);
    }

    fn take(&mut self, t: Nanos, timeline: &Timeline) {
        let pools = timeline.pools.values().map(|pool| pool.live_bytes);
        let level = if timeline.pools.is_empty() {
            timeline.device_bytes()
        } else {
            pools.fold(0, u64::saturating_add)
        };
        let stretch = self.at(t);
        stretch.bytes = stretch.bytes.max(level);
        self.level = level;
    }

    /// The stretch that holds a time; one before the first counts for the first.
    fn at(&mut self, t: Nanos) -> &mut Stretch {
        if self.start.is_none() {
            self.power = SHORTEST;
            self.start = Some(t >> SHORTEST << SHORTEST);
        }
        let since = t.saturating_sub(self.start.unwrap_or(0));
        while since >> self.power >= MOST as u64 {
            self.halve();
        }
        let at = (since >> self.power) as usize;
        if at >= self.stretches.len() {
            // What was taken before goes on being taken.
            self.stretches.resize(at + 1, Stretch { bytes: self.level, ..Stretch::default() });
        }
        &mut self.stretches[at]
    }

    fn halve(&mut self) {
        let join = |pair: &[Stretch]| {
            pair.iter().fold(Stretch::default(), |sum, part| Stretch {
                runs: sum.runs.saturating_add(part.runs),
                failed: sum.failed.saturating_add(part.failed),
                bytes: sum.bytes.max(part.bytes),
            })
        };
        self.stretches = self.stretches.chunks(2).map(join).collect();
        self.power += 1;
    }

    /// When it begins.
    pub(crate) fn start(&self) -> Option<Nanos> {
        self.start
    }

    /// Whether any memory was ever taken.
    pub(crate) fn has_memory(&self) -> bool {
        self.stretches.iter().any(|stretch| stretch.bytes > 0)
    }

    /// What happened from `first` to before `last`; none of it where nothing was read of that time.
    pub(crate) fn between(&self, first: Nanos, last: Nanos) -> Option<Stretch> {
        let start = self.start?;
        if last <= start || self.stretches.is_empty() {
            return None;
        }
        let at = |t: Nanos| (t.saturating_sub(start) >> self.power) as usize;
        let (from, to) = (at(first), at(last.saturating_sub(1)).max(at(first)));
        let within = self.stretches.get(from..(to + 1).min(self.stretches.len())).unwrap_or_default();
        // After the last thing that happened, what was taken stays taken.
        let none = Stretch { bytes: if within.is_empty() { self.level } else { 0 }, ..Stretch::default() };
        Some(within.iter().fold(none, |sum, part| Stretch {
            runs: sum.runs.saturating_add(part.runs),
            failed: sum.failed.saturating_add(part.failed),
            bytes: sum.bytes.max(part.bytes),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::taken;
    use proptest::prelude::*;

    fn strip(runs: &[Nanos]) -> Strip {
        let (mut strip, timeline) = (Strip::default(), Timeline::new());
        for &t in runs {
            strip.apply(EventRef::RunStart { run: 0, plan: 0, t }, &timeline);
        }
        strip
    }

    proptest! {
        #[test]
        fn no_run_is_lost_however_long_the_session_is(
            mut runs in prop::collection::vec(prop_oneof![0u64..1 << 22, 0u64..1 << 34, any::<u64>()], 1..200)
        ) {
            runs.sort_unstable();
            let strip = strip(&runs);
            prop_assert!(strip.stretches.len() <= MOST);
            let all = strip.between(0, u64::MAX).unwrap();
            prop_assert_eq!(all.runs as usize, runs.len());
        }
    }

    #[test]
    fn bytes_stay_until_they_are_freed() {
        let (mut strip, mut timeline) = (Strip::default(), Timeline::new());
        let ms = 1u64 << SHORTEST;
        for event in [taken(ms, 1, 100), taken(5 * ms, 2, 50), EventRef::DeviceFreed { t: 7 * ms, id: 1 }] {
            timeline.apply_event(event);
            strip.apply(event, &timeline);
        }
        let bytes = |first: u64, last: u64| strip.between(first * ms, last * ms).map(|stretch| stretch.bytes);
        assert_eq!((bytes(0, 1), bytes(1, 2), bytes(3, 4)), (None, Some(100), Some(100)));
        assert_eq!((bytes(5, 6), bytes(6, 7), bytes(7, 8)), (Some(150), Some(150), Some(150)));
        assert_eq!(bytes(9, 12), Some(50));
        assert!(strip.has_memory() && !Strip::default().has_memory());
    }
}
