//! How far loading is, as the threads that read and the one that submits dispatches tell each other.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::EngineError;

/// Which batches have arrived, and which dispatches of the load program were submitted.
pub(crate) struct State {
    now: Mutex<Now>,
    changed: Condvar,
}

struct Now {
    /// The next batch that nobody has taken.
    next: usize,
    /// For each batch, whether it has arrived.
    arrived: Vec<bool>,
    /// All before this one have.
    first_missing: usize,
    /// Dispatches of the load program that were submitted.
    dispatched: u32,
    /// For each batch, whether its bytes were checked.
    checked: Vec<bool>,
    /// Loading has ended before its time: why, until somebody was told.
    ended: Option<Option<EngineError>>,
}

impl State {
    /// Of so many batches.
    pub(crate) fn new(batches: usize) -> Self {
        let (arrived, checked) = (vec![false; batches], vec![false; batches]);
        let now = Now { next: 0, arrived, first_missing: 0, dispatched: 0, checked, ended: None };
        Self { now: Mutex::new(now), changed: Condvar::new() }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        // Every change of it is whole.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<R>(&self, change: impl FnOnce(&mut Now) -> R) -> R {
        let result = change(&mut self.now());
        self.changed.notify_all();
        result
    }

    /// Waits until `ready`; `None` where loading ended before.
    fn until<R>(&self, ready: impl Fn(&Now) -> Option<R>) -> Option<R> {
        let mut now = self.now();
        loop {
            if now.ended.is_some() {
                return None;
            }
            if let Some(result) = ready(&now) {
                return Some(result);
            }
            now = self.changed.wait(now).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes the next batch, in order; `None` where there is none, or loading has ended.
    pub(crate) fn take(&self) -> Option<usize> {
        let mut now = self.now();
        let free = now.ended.is_none() && now.next < now.arrived.len();
        free.then(|| {
            now.next += 1;
            now.next - 1
        })
    }

    /// A batch has arrived: what is submitted from now on reads it.
    pub(crate) fn arrive(&self, batch: usize) {
        self.change(|now| {
            now.arrived[batch] = true;
            while now.arrived.get(now.first_missing) == Some(&true) {
                now.first_missing += 1;
            }
        });
    }

    /// So many dispatches of the load program were submitted.
    pub(crate) fn dispatched(&self, count: u32) {
        self.change(|now| now.dispatched = count);
    }

    /// Waits until `gate` dispatches were submitted; false where loading ended before.
    pub(crate) fn pass(&self, gate: u32) -> bool {
        self.until(|now| (now.dispatched >= gate).then_some(())).is_some()
    }

    /// Has `check` look at the bytes of a batch when those of the batches `after` which it comes were looked at; `None` where
    /// loading ended before.
    pub(crate) fn in_turn<R>(&self, batch: usize, after: &[usize], check: impl FnOnce() -> R) -> Option<R> {
        self.until(|now| after.iter().all(|&earlier| now.checked[earlier]).then_some(()))?;
        let result = check();
        self.change(|now| now.checked[batch] = true);
        Some(result)
    }

    /// Waits until the first `count` batches have arrived; answers how many have.
    ///
    /// # Errors
    /// Loading ended before: why.
    pub(crate) fn wait(&self, count: usize) -> Result<usize, EngineError> {
        self.until(|now| (now.first_missing >= count).then_some(now.first_missing)).ok_or_else(|| {
            let told = self.now().ended.as_mut().and_then(Option::take);
            told.unwrap_or_else(|| EngineError::Weights {
                name: String::new(),
                reason: "loading has failed before; build the session again".into(),
            })
        })
    }

    /// A batch could not be loaded: ends loading when those before it have arrived, so that whoever runs sees the same failure
    /// whichever thread was faster.
    pub(crate) fn fail(&self, batch: usize, error: EngineError) {
        if self.until(|now| (now.first_missing >= batch).then_some(())).is_some() {
            self.end(Some(error));
        }
    }

    /// Ends loading, unless it has ended; `error` says why.
    pub(crate) fn end(&self, error: Option<EngineError>) {
        self.change(|now| {
            now.ended.get_or_insert(error);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(name: &str) -> EngineError {
        EngineError::Weights { name: name.into(), reason: "short".into() }
    }

    #[test]
    fn what_has_arrived_is_what_came_in_order() {
        let state = State::new(3);
        assert_eq!(
            [state.take(), state.take(), state.take(), state.take()],
            [Some(0), Some(1), Some(2), None]
        );
        state.arrive(1);
        assert_eq!(state.wait(0).expect("nothing is waited for"), 0);
        state.arrive(0);
        assert_eq!(state.wait(1).expect("arrived"), 2);
        std::thread::scope(|threads| {
            let waiting = threads.spawn(|| state.wait(3));
            state.arrive(2);
            assert_eq!(waiting.join().expect("no panic").expect("arrived"), 3);
        });
    }

    #[test]
    fn gates_open_with_dispatches() {
        let state = State::new(1);
        assert!(state.pass(0));
        std::thread::scope(|threads| {
            let waiting = threads.spawn(|| state.pass(2));
            state.dispatched(1);
            state.dispatched(2);
            assert!(waiting.join().expect("no panic"));
            let waiting = threads.spawn(|| state.pass(3));
            state.end(None);
            assert!(!waiting.join().expect("no panic"), "whoever waits is let go");
        });
    }

    #[test]
    fn batches_are_checked_after_those_of_the_same_constants() {
        let (state, order) = (State::new(4), Mutex::new(Vec::new()));
        let check = |batch, after: &[usize]| {
            state.in_turn(batch, after, || order.lock().expect("no panic").push(batch))
        };
        assert_eq!(check(2, &[]), Some(()), "what has none of them does not wait");
        std::thread::scope(|threads| {
            threads.spawn(|| check(3, &[1, 2]));
            threads.spawn(|| check(1, &[0]));
            threads.spawn(|| check(0, &[]));
        });
        assert_eq!(*order.lock().expect("no panic"), [2, 0, 1, 3]);
        state.end(None);
        assert_eq!(check(3, &[2]), None);
    }

    #[test]
    fn the_first_failure_is_told_once() {
        let state = State::new(2);
        std::thread::scope(|threads| {
            let later = threads.spawn(|| state.fail(1, failure("b")));
            state.fail(0, failure("a"));
            later.join().expect("no panic");
        });
        state.end(Some(failure("c")));
        assert_eq!(state.take(), None);
        let told = [(); 2].map(|()| state.wait(1).expect_err("failed").to_string());
        assert!(told[0].contains("weight a cannot"), "{told:?}");
        assert!(told[1].contains("failed before"), "{told:?}");
    }
}
