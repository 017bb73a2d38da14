//! Who uses which bytes of a mapped buffer: submissions on one side, the host on the other.
//!
//! The host may work on bytes that no submission uses while others of the same buffer are in use: weights arrive in one
//! part of an arena while dispatches read another. What overlaps waits, or is refused.

use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::error::Error;
use crate::lock;

/// Ranges of a buffer, sorted, none touching another.
pub(crate) type Ranges = Arc<[Range<u64>]>;

/// The uses of one buffer.
#[derive(Default)]
pub(crate) struct Access {
    state: Mutex<State>,
    /// The host let go of a range.
    let_go: Condvar,
}

#[derive(Default)]
struct State {
    /// Submissions that may be in progress, each with what it uses.
    submissions: Vec<(u64, Ranges)>,
    /// What the host works on.
    host: Vec<Range<u64>>,
}

/// What to do where a submission uses the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    /// Say so.
    Refuse,
    /// Wait until it is done.
    Wait,
}

/// Bytes that the host works on; dropping it lets submissions have them.
pub(crate) struct Held<'a> {
    access: &'a Access,
    range: Range<u64>,
}

/// Asks the device about submissions.
pub(crate) trait Timeline {
    /// Whether a submission is done.
    fn is_done(&self, number: u64) -> Result<bool, Error>;
    /// Waits until it is; says whether it is.
    fn wait(&self, number: u64) -> Result<bool, Error>;
}

impl Access {
    /// Takes a range for the host: waits for the host's other work on it, and as `busy` says for submissions. `None` where
    /// one uses it.
    pub(crate) fn take(
        &self,
        range: Range<u64>,
        busy: Busy,
        timeline: &impl Timeline,
    ) -> Result<Option<Held<'_>>, Error> {
        let mut state = lock(&self.state);
        loop {
            if let Some(number) = state.last_use(&range) {
                let done = match busy {
                    Busy::Refuse => timeline.is_done(number)?,
                    Busy::Wait => {
                        // The submission is under way, or soon is: it needs nothing of this to end.
                        drop(state);
                        let done = timeline.wait(number)?;
                        state = lock(&self.state);
                        done
                    }
                };
                if !done {
                    return Ok(None);
                }
                // One submission runs after another: those before it are done as well.
                state.submissions.retain(|&(other, _)| other > number);
            } else if state.host.iter().any(|own| overlap(own, &range)) {
                state = self.let_go.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                state.host.push(range.clone());
                return Ok(Some(Held { access: self, range }));
            }
        }
    }

    /// Submission `number` is about to use these ranges: waits until the host has let go of them. Submissions up to `done`
    /// are forgotten.
    pub(crate) fn submit(&self, number: u64, ranges: &Ranges, done: u64) {
        let mut state = lock(&self.state);
        while state.host.iter().any(|own| overlaps(ranges, own)) {
            state = self.let_go.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.submissions.retain(|&(other, _)| other > done);
        state.submissions.push((number, Arc::clone(ranges)));
    }

    /// Submission `number` failed: nothing uses the ranges.
    pub(crate) fn withdraw(&self, number: u64) {
        lock(&self.state).submissions.retain(|&(other, _)| other != number);
    }
}

impl State {
    /// The last submission that uses a byte of a range.
    fn last_use(&self, range: &Range<u64>) -> Option<u64> {
        let using = self.submissions.iter().filter(|(_, ranges)| overlaps(ranges, range));
        using.map(|&(number, _)| number).max()
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.access.state);
        if let Some(own) = state.host.iter().position(|own| *own == self.range) {
            state.host.swap_remove(own);
        }
        drop(state);
        self.access.let_go.notify_all();
    }
}

fn overlap(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

fn overlaps(ranges: &[Range<u64>], range: &Range<u64>) -> bool {
    let after = ranges.partition_point(|own| own.end <= range.start);
    ranges.get(after).is_some_and(|own| overlap(own, range))
}

/// Sorts ranges and joins those that touch.
pub(crate) fn joined(mut ranges: Vec<Range<u64>>) -> Ranges {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable_by_key(|range| range.start);
    let mut all: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match all.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => all.push(range),
        }
    }
    all.into()
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "lists of ranges, some of one")]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Submissions up to a number are done; one that is waited for is done then.
    struct Device(AtomicU64);

    impl Timeline for Device {
        fn is_done(&self, number: u64) -> Result<bool, Error> {
            Ok(number <= self.0.load(Ordering::SeqCst))
        }

        fn wait(&self, number: u64) -> Result<bool, Error> {
            self.0.fetch_max(number, Ordering::SeqCst);
            Ok(true)
        }
    }

    #[test]
    fn ranges_are_joined() {
        let check = |ranges: &[Range<u64>], expect: &[Range<u64>]| {
            assert_eq!(*joined(ranges.to_vec()), *expect, "{ranges:?}");
        };
        check(&[], &[]);
        check(&[8..12, 0..4, 4..8], &[0..12]);
        check(&[16..20, 0..4, 2..9, 5..5], &[0..9, 16..20]);
    }

    #[test]
    fn bytes_that_no_submission_uses_are_the_hosts() {
        let (access, device) = (Access::default(), Device(AtomicU64::new(0)));
        access.submit(1, &joined(vec![0..16, 64..80]), 0);
        let free = |range: Range<u64>, busy| access.take(range, busy, &device).unwrap().is_some();
        for (range, expect) in
            [(0..1, false), (15..64, false), (16..64, true), (79..90, false), (80..90, true)]
        {
            assert_eq!(free(range.clone(), Busy::Refuse), expect, "{range:?}");
        }
        assert!(free(0..90, Busy::Wait), "waited for");
        assert!(free(0..90, Busy::Refuse), "done and forgotten");
        access.submit(2, &joined(vec![0..16]), 1);
        access.withdraw(2);
        assert!(free(0..16, Busy::Refuse), "a submission that failed uses nothing");
        assert!(lock(&access.state).submissions.is_empty() && lock(&access.state).host.is_empty());
    }

    #[test]
    fn submissions_wait_for_the_host_where_they_meet_it() {
        let (access, device) = (Access::default(), Device(AtomicU64::new(9)));
        let held = access.take(16..32, Busy::Refuse, &device).unwrap().expect("free");
        access.submit(10, &joined(vec![0..16, 32..48]), 9);
        std::thread::scope(|threads| {
            let (told, done) = mpsc::channel();
            let access = &access;
            threads.spawn(move || {
                access.submit(11, &joined(vec![31..33]), 9);
                told.send(()).unwrap();
            });
            assert!(done.recv_timeout(Duration::from_millis(20)).is_err(), "the host holds byte 31");
            drop(held);
            done.recv().unwrap();
        });
        assert!(access.take(16..31, Busy::Refuse, &device).unwrap().is_some());
        assert!(access.take(31..32, Busy::Refuse, &device).unwrap().is_none());
    }

    #[test]
    fn the_host_waits_for_itself() {
        let (access, device) = (Access::default(), Device(AtomicU64::new(0)));
        let take = |range| access.take(range, Busy::Refuse, &device).unwrap().expect("no submission");
        let (held, _other) = (take(0..8), take(8..16));
        std::thread::scope(|threads| {
            let (told, done) = mpsc::channel();
            threads.spawn(move || {
                drop(take(4..8));
                told.send(()).unwrap();
            });
            assert!(done.recv_timeout(Duration::from_millis(20)).is_err());
            drop(held);
            done.recv().unwrap();
        });
    }
}
