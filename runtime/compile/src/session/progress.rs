//! Who is told how far loading is.

use core::fmt;
use std::sync::Arc;

use bayplan_trace::Loading;

/// Told of every piece of weights that arrives, from whichever thread it arrives on; it should answer soon, loading waits.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(&Loading) + Send + Sync>);

impl Progress {
    /// Tells this function.
    pub fn new(tell: impl Fn(&Loading) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// The same as a function of its own.
    pub fn into_watch(self) -> Box<dyn Fn(&Loading) + Send> {
        Box::new(move |loading| self.tell(loading))
    }

    /// Tells how far loading is.
    pub fn tell(&self, loading: &Loading) {
        (self.0)(loading);
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}
