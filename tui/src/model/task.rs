//! Work over very many tensors that goes on beside drawing: how far it is, and whether anybody still waits for it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Tensors that are looked at between two looks at whether to go on; few in tests, whose plans are small.
pub(crate) const PORTION: usize = if cfg!(test) { 64 } else { 1 << 16 };

/// One piece of such work, as both who does it and who waits for it know it.
#[derive(Debug, Default)]
pub(crate) struct Task {
    is_off: AtomicBool,
    done: AtomicU64,
    all: AtomicU64,
}

impl Task {
    /// A number that no other piece of work has.
    pub(crate) fn ticket() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    /// Nobody waits for it any more.
    pub(crate) fn call_off(&self) {
        self.is_off.store(true, Ordering::Relaxed);
    }

    /// Tells how many tensors are to be looked at, each as often as it is.
    pub(crate) fn begin(&self, all: u64) {
        self.all.store(all, Ordering::Relaxed);
    }

    /// Tells that so many more were looked at; `None` where nobody waits for the rest.
    pub(crate) fn pass(&self, count: usize) -> Option<()> {
        self.done.fetch_add(count as u64, Ordering::Relaxed);
        (!self.is_off.load(Ordering::Relaxed)).then_some(())
    }

    /// How many of a hundred parts are done; all of them only once what was found is there.
    pub(crate) fn percent(&self) -> u8 {
        let [done, all] = [&self.done, &self.all].map(|number| number.load(Ordering::Relaxed));
        (u128::from(done) * 100 / u128::from(all.max(1))).min(99) as u8
    }
}
