//! The arrival of a session's weights: what whoever waits is told of it, and the recording.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bayplan_trace::{Event, Level, Loading, Nanos, ReadMode, WeightsPath};

use crate::emitter::Emitter;

/// Told of every piece that arrives.
pub type Watch = Box<dyn Fn(&Loading) + Send>;

/// Progress is recorded at most this often, in nanoseconds; the sums at the end always are.
const TELL_EVERY: Nanos = 5_000_000;

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
    /// None where nothing is recorded, and once the end is told.
    emitter: Option<Emitter>,
    /// When progress was recorded last.
    told: Nanos,
    /// What the recording was told of each path.
    recorded: [u64; WeightsPath::ALL.len()],
}

impl Arrivals {
    /// Of so many bytes, as they are stored.
    pub(crate) fn begin(total: u64, watch: Option<Watch>, emitter: Emitter) -> Self {
        let mut state = State { loading: Loading::of(total), watch, ..State::default() };
        if emitter.records(Level::Run) {
            state.told = emitter.now();
            emitter.emit(Event::LoadStart { t: state.told, total });
            state.emitter = Some(emitter);
        }
        state.watch.iter().for_each(|watch| watch(&state.loading));
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
        state.watch.iter().for_each(|watch| watch(&state.loading));
        state.record(false);
    }

    /// How far loading is.
    pub fn loading(&self) -> Loading {
        self.state().loading
    }

    /// All weights have arrived, and what is computed of them alone is computed. What comes afterwards is not recorded.
    pub fn finish(&self) {
        self.state().end(true);
    }

    /// Loading has failed or was given up; what comes afterwards is not recorded.
    pub fn abandon(&self) {
        self.state().end(false);
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl State {
    /// Records what came by each path since that was recorded last, if it is time for that or `now`.
    fn record(&mut self, now: bool) {
        let Some(emitter) = &self.emitter else { return };
        let t = emitter.now();
        if !now && t.saturating_sub(self.told) < TELL_EVERY {
            return;
        }
        self.told = t;
        let Loading { by_path, direct, staging, .. } = self.loading;
        for (path, recorded) in WeightsPath::ALL.into_iter().zip(&mut self.recorded) {
            let arrived = by_path[usize::from(path.number())];
            if arrived > std::mem::replace(recorded, arrived) {
                emitter.emit(Event::LoadProgress { t, path, arrived, direct, staging });
            }
        }
    }

    fn end(&mut self, ok: bool) {
        self.record(true);
        if let Some(emitter) = self.emitter.take() {
            emitter.emit_now(|t| Event::LoadEnd { t, ok });
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
        let arrivals = Arrivals::begin(4000, Some(watch), Emitter::off());
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
        let arrivals = Arrivals::begin(1, None, Emitter::off());
        arrivals.staging(64);
        arrivals.staging(16);
        assert_eq!(arrivals.loading().staging, 64);
    }
}
