//! A recording that is followed, and the state folded from it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bayplan_record::{Follower, Part, RunState, Source, Start};
use bayplan_trace::Timeline;
use bayplan_trace::quantities::Reading;

use crate::error::FleetError;
use crate::metrics::Told;

/// Most polls for one answer. Each takes some megabytes, so that whoever asks waits a second at most, and sees the rest later.
const POLLS: usize = 64;

/// A run's own recording as the threads that tell of it see it. A clone is the same.
#[derive(Clone)]
pub(crate) struct Watched {
    state: Arc<Mutex<State>>,
    /// Whether the run goes on.
    alive: Arc<AtomicBool>,
}

struct State {
    follower: Follower,
    timeline: Timeline,
    /// Why it cannot be read any further.
    failed: Option<String>,
    ended: bool,
}

impl Watched {
    /// Follows the recording at a path that this process makes.
    pub(crate) fn open(path: &Path) -> Result<Self, FleetError> {
        let alive = Arc::new(AtomicBool::new(true));
        let source = Source::of_own(path, Arc::clone(&alive));
        let follower = Follower::open(source, Start::Beginning).map_err(FleetError::Recording)?;
        let state = State { follower, timeline: Timeline::new(), failed: None, ended: false };
        Ok(Self { state: Arc::new(Mutex::new(state)), alive })
    }

    /// The recording is finished: what is there is all that comes.
    pub(crate) fn finished(&self) {
        self.alive.store(false, Ordering::Release);
    }

    /// Reads on as far as the recording goes now.
    pub(crate) fn refresh(&self) {
        self.state().refresh();
    }

    /// Reads on, and has something told of what is known then.
    ///
    /// # Errors
    /// Why the recording cannot be read.
    pub(crate) fn tell<T>(&self, tell: impl FnOnce(&Told<'_>) -> T) -> Result<T, String> {
        let mut state = self.state();
        state.refresh();
        match &state.failed {
            Some(why) => Err(why.clone()),
            None => {
                let damages = state.follower.damage_count();
                let reading = Reading::new(&state.timeline).with_damage(damages);
                Ok(tell(&Told { timeline: &state.timeline, reading }))
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked left the timeline between two records at worst.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn refresh(&mut self) {
        for _ in 0..POLLS {
            if self.ended || self.failed.is_some() {
                return;
            }
            let timeline = &mut self.timeline;
            match self.follower.poll_parts(|part| match part {
                Part::Event(event) => timeline.apply_event(event),
                Part::Record(record) => timeline.apply(record),
                Part::Chunks(_) => {}
            }) {
                Ok(progress) => {
                    self.ended = progress.state != RunState::Live;
                    if progress.caught_up {
                        return;
                    }
                }
                Err(e) => self.failed = Some(e.to_string()),
            }
        }
    }
}
