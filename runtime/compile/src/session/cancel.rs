//! Ending a load before its time.

use core::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bayplan_text::Bytes;
use bayplan_trace::{Loading, Severity};

/// Ends the loading of weights before its time. Clones are one: what one of them is told, all know. From a signal handler it is
/// told through the flag that it was made of.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Ends the loading that goes on, and all that begin later: within a piece of the weights.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether loading is to end.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Refuses to go on where loading is to end; `loading` says how far it is.
    ///
    /// # Errors
    /// It is to end.
    pub fn check(&self, loading: impl FnOnce() -> Loading) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled::at(&loading())) } else { Ok(()) }
    }
}

impl From<Arc<AtomicBool>> for Cancel {
    fn from(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }
}

/// Loading was cancelled: nothing was run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled {
    /// Bytes of weights that had arrived.
    pub arrived: u64,
    /// Bytes of all weights.
    pub total: u64,
}

impl Cancelled {
    /// What recordings are told of it as: nothing has failed.
    pub const SEVERITY: Severity = Severity::Warning;

    fn at(loading: &Loading) -> Self {
        Self { arrived: loading.arrived(), total: loading.total }
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (arrived, total) = (Bytes(self.arrived), Bytes(self.total));
        write!(
            f,
            "cancelled while weights were loaded: {arrived} of {total} had arrived, and no run has ended"
        )
    }
}

impl std::error::Error for Cancelled {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_and_the_flag_are_one() {
        let flag = Arc::new(AtomicBool::new(false));
        let (cancel, loading) = (Cancel::from(Arc::clone(&flag)), || Loading::of(2 << 20));
        assert_eq!(cancel.clone().check(loading), Ok(()));
        flag.store(true, Ordering::Relaxed);
        let refused = cancel.check(loading).unwrap_err();
        assert_eq!(refused, Cancelled { arrived: 0, total: 2 << 20 });
        assert!(refused.to_string().contains("0 B of 2.00 MiB"), "{refused}");
        let (one, other) = (Cancel::default(), Cancel::default());
        one.clone().cancel();
        assert!(one.is_cancelled() && !other.is_cancelled());
    }
}
