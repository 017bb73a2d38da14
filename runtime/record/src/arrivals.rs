//! The arrival of a session's weights: what whoever waits is told of it, and the recording.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bayplan_trace::{Loading, ReadMode, WeightsPath};

/// Told of every piece that arrives.
pub type Watch = Box<dyn Fn(&Loading) + Send>;

/// Counts the weights of a session as they arrive, from any thread. [`Arrivals::finish`] says that all is well; where it
/// is dropped before, loading failed.
#[derive(Default)]
pub struct Arrivals {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    loading: Loading,
    watch: Option<Watch>,
    finished: bool,
}

impl Arrivals {
    /// Of so many bytes, as they are stored.
    pub(crate) fn begin(total: u64, watch: Option<Watch>) -> Self {
        let state = State { loading: Loading::of(total), watch, finished: false };
        state.tell();
        Self { state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Staging buffers of so many bytes are held.
    pub fn staging(&self, bytes: u64) {
        let mut state = self.state();
        state.loading.staging = state.loading.staging.max(bytes);
    }

    /// A piece is where kernels read it, or on its way there without the host.
    pub fn piece(&self, bytes: u64, path: WeightsPath, mode: ReadMode) {
        let mut state = self.state();
        state.loading.add(bytes, path, mode);
        state.tell();
    }

    /// How far loading is.
    pub fn loading(&self) -> Loading {
        self.state().loading
    }

    /// All weights have arrived, and what is computed of them alone is computed.
    pub fn finish(&self) {
        self.state().finished = true;
    }
}

impl State {
    fn tell(&self) {
        if let Some(watch) = &self.watch {
            watch(&self.loading);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn pieces_of_several_threads_are_all_counted() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let own = Arc::clone(&told);
        let watch: Watch = Box::new(move |loading| own.lock().expect("told").push(loading.arrived()));
        let arrivals = Arrivals::begin(4000, Some(watch));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..10).for_each(|_| arrivals.piece(100, WeightsPath::Staged, ReadMode::Direct));
                });
            }
        });
        assert_eq!((arrivals.loading().arrived(), arrivals.loading().direct), (4000, 4000));
        // Nobody is told less than before.
        let told = told.lock().expect("told");
        assert_eq!(told.len(), 41);
        assert!(told.is_sorted());
    }

    #[test]
    fn staging_is_the_most_that_was_held() {
        let arrivals = Arrivals::begin(1, None);
        arrivals.staging(64);
        arrivals.staging(16);
        assert_eq!(arrivals.loading().staging, 64);
    }
}
