//! A thread that reads batches and puts them where they belong.

use std::sync::Arc;

use bayplan_trace::WeightsPath;
use bayplan_weights::reading::{Part, Slot};

use super::shared::Shared;
use super::slot::Staging;
use crate::error::EngineError;

/// How a worker puts weights where they belong.
pub(crate) enum Means {
    /// Reads into mapped memory.
    InPlace,
    /// Reads into memory of its own, and copies from there into mapped memory: direct reads want whole blocks.
    Copied(Slot),
    /// Reads into staging buffers, which take turns.
    Staged(Vec<Arc<Staging>>),
}

/// Reads batches until there are none.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) means: Means,
}

impl Worker {
    /// Works until all batches are taken, or loading ends.
    pub(crate) fn work(mut self) {
        let shared = Arc::clone(&self.shared);
        let _end = Unwound(&shared);
        while let Some(index) = shared.state.take() {
            if let Err(e) = shared.cancel.check(|| shared.arrivals.loading()) {
                // Not in its turn, as failures are: whoever cancels does not wait for what is being read.
                return shared.state.end(Some(e.into()));
            }
            match self.load(index) {
                Ok(true) => shared.state.arrive(index),
                Ok(false) => return,
                Err(e) => return shared.state.fail(index, e),
            }
        }
    }

    /// Loads a batch; false where loading ended before.
    fn load(&mut self, index: usize) -> Result<bool, EngineError> {
        let shared = Arc::clone(&self.shared);
        let batch = &shared.batches[index];
        if batch.stays {
            return shared.admit(index);
        }
        shared.expect(index);
        match &mut self.means {
            Means::InPlace => {
                if !shared.state.pass(batch.gate) {
                    return Ok(false);
                }
                shared.read_in_place(index)
            }
            Means::Copied(slot) => {
                let slot = slot.bytes();
                let Some(mode) = shared.fill(index, slot)? else { return Ok(false) };
                if !shared.state.pass(batch.gate) {
                    return Ok(false);
                }
                shared.copy_out(index, slot, mode)?;
                Ok(true)
            }
            Means::Staged(ring) => {
                ring.rotate_left(1);
                let Some(staging) = ring.last() else { return Ok(false) };
                let (start, mode) = staging.fill(&shared.device, |slot| shared.fill(index, slot))?;
                let Some(mode) = mode? else { return Ok(false) };
                if !shared.state.pass(batch.gate) {
                    return Ok(false);
                }
                let place = |part| shared.place(part).map(|(buffer, at)| (part, buffer, at));
                let places = batch.parts.iter().map(place).collect::<Result<Vec<_>, _>>()?;
                staging.copy(&shared.device, start, &places)?;
                let arrived = |part: &Part| shared.arrivals.piece(part.len, WeightsPath::Staged, mode);
                batch.parts.iter().for_each(arrived);
                Ok(true)
            }
        }
    }
}

/// Nobody waits for a reader that panicked.
struct Unwound<'s>(&'s Shared);

impl Drop for Unwound<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let reason = "a thread that reads weights has panicked; this is a defect of bayplan".into();
            self.0.state.end(Some(EngineError::Weights { name: "weights".into(), reason }));
        }
    }
}
