//! What follows a run for those who watch from elsewhere.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::FleetError;
#[cfg(feature = "otlp")]
use crate::otlp::{Receiver, Sending};
use crate::prometheus;
use crate::server::{Server, Serving};
use crate::watched::Watched;

/// Between two looks at the recording: often enough that retention does not take away what was not read.
const EVERY: Duration = Duration::from_millis(500);

/// Who is told of a run.
#[derive(Debug, Default)]
pub struct Outlets {
    /// Whoever asks a port of this machine.
    pub server: Option<Server>,
    /// A receiver of OpenTelemetry metrics.
    #[cfg(feature = "otlp")]
    pub receiver: Option<Receiver>,
}

impl Outlets {
    /// Whether nobody is told.
    pub fn is_empty(&self) -> bool {
        #[cfg(feature = "otlp")]
        if self.receiver.is_some() {
            return false;
        }
        self.server.is_none()
    }
}

/// Follows a run's recording and tells of it, until it is finished or dropped.
pub struct Fleet {
    // In the order in which they end: nobody is answered any more, then nobody follows.
    serving: Option<Serving>,
    #[cfg(feature = "otlp")]
    sending: Option<Sending>,
    following: Following,
    watched: Watched,
}

impl Fleet {
    /// Begins to follow the recording at a path, which this process makes.
    ///
    /// # Errors
    /// The recording cannot be opened, or a thread cannot be started.
    pub fn start(recording: &Path, outlets: Outlets) -> Result<Self, FleetError> {
        let watched = Watched::open(recording)?;
        let of_server = watched.clone();
        let answer = move |open| of_server.tell(|told| prometheus::text(told, open));
        let serving = outlets.server.map(|server| server.serve(Arc::new(answer))).transpose()?;
        #[cfg(feature = "otlp")]
        let sending =
            outlets.receiver.map(|receiver| Sending::start(receiver, watched.clone())).transpose()?;
        let following = Following::start(watched.clone())?;
        Ok(Self {
            serving,
            #[cfg(feature = "otlp")]
            sending,
            following,
            watched,
        })
    }

    /// The recording is finished: tells the last figures, and what could not be told, in words. Takes no longer than a
    /// receiver that hangs is waited for: some seconds.
    pub fn finish(mut self) -> Vec<String> {
        self.watched.finished();
        self.watched.refresh();
        self.serving = None;
        self.following.stop();
        #[cfg(feature = "otlp")]
        if let Some(sending) = self.sending.take() {
            return sending.finish().into_iter().collect();
        }
        Vec::new()
    }
}

/// Told once that it is over.
#[derive(Clone, Default)]
pub(crate) struct Over(Arc<(Mutex<bool>, Condvar)>);

impl Over {
    pub(crate) fn tell(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Waits that long, or until it is over; says whether it is.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let over = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        *self.0.1.wait_timeout_while(over, time, |over| !*over).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The thread that reads the recording as it grows.
struct Following {
    over: Over,
    thread: Option<JoinHandle<()>>,
}

impl Following {
    fn start(watched: Watched) -> Result<Self, FleetError> {
        let over = Over::default();
        let told = over.clone();
        let follow = move || {
            while !told.wait(EVERY) {
                watched.refresh();
            }
        };
        let thread = thread::Builder::new().name("bayplan-fleet".to_owned()).spawn(follow);
        Ok(Self { over, thread: Some(thread.map_err(FleetError::Thread)?) })
    }

    fn stop(&mut self) {
        self.over.tell();
        if let Some(thread) = self.thread.take() {
            // It ends by itself; that it panicked was printed.
            let _ = thread.join();
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.stop();
    }
}
