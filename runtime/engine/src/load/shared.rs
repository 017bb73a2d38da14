//! What the threads of a loader share, and how a batch is read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bayplan_compile::session::Cancel;
use bayplan_compile::{Arena, Upload};
use bayplan_record::Arrivals;
use bayplan_trace::{ReadMode, WeightsPath};
use bayplan_vulkan::{Buffer, Device, Mapped};
use bayplan_weights::reading::{Batch, Manner, Part, Unread};
use bayplan_weights::{Checks, Store};

use super::state::State;
use crate::arena::Arenas;
use crate::error::EngineError;

/// How far ahead of what is read a file is told of it: what the disk has ready while others are placed.
const AHEAD: u64 = 12 << 20;

/// Bytes of a file that are looked at at once, where they are only looked at.
const LOOK: u64 = 256 << 10;

/// What the threads of a loader share.
pub(crate) struct Shared {
    pub(crate) device: Device,
    pub(crate) store: Store,
    /// In the order in which they are loaded.
    pub(crate) uploads: Vec<Upload>,
    pub(crate) batches: Vec<Batch>,
    pub(crate) state: State,
    pub(crate) arrivals: Arc<Arrivals>,
    /// Looked at before each batch.
    pub(crate) cancel: Cancel,
    /// What looks at the bytes as they pass, where the model says what they should be.
    pub(crate) checks: Option<Checks>,
    /// For each batch, those that are checked before it.
    pub(crate) checked_after: Vec<Vec<usize>>,
    pub(crate) manner: Manner,
    /// The most bytes of a batch.
    pub(crate) slot: u64,
    pub(crate) arenas: Mutex<Arenas>,
}

impl Shared {
    fn arenas(&self) -> MutexGuard<'_, Arenas> {
        self.arenas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of an arena that nothing is loaded to any more.
    pub(crate) fn forget(&self, arena: Arena) {
        drop(self.arenas().take(arena));
    }

    /// Where a part belongs.
    pub(crate) fn place(&self, part: &Part) -> Result<(Buffer, u64), EngineError> {
        let window = &self.uploads[part.of].window;
        let arenas = self.arenas();
        let (buffer, start) = arenas.place(window.arena, window.offset)?;
        Ok((buffer.clone(), start + part.skip))
    }

    /// Tells files what will be read soon, where that is not in memory already.
    pub(crate) fn expect(&self, index: usize) {
        if let (true, Some(batch)) =
            (self.manner.ahead, self.batches.get(index + (AHEAD / self.slot) as usize))
            && !batch.stays
        {
            self.store.expect(batch);
        }
    }

    /// Lets kernels read a batch in its file, where the model says what it should be after a look at it; false where loading
    /// ended before.
    pub(crate) fn admit(&self, index: usize) -> Result<bool, EngineError> {
        let batch = &self.batches[index];
        if self.manner.direct || self.manner.ahead {
            // It is in no cache yet: the disk begins with it, whoever reads it first.
            self.store.expect(batch);
        }
        if self.checked(index, || batch.parts.iter().try_for_each(|part| self.look(part)))?.is_none() {
            return Ok(false);
        }
        for part in &batch.parts {
            self.arrivals.piece(part.len, WeightsPath::Imported, ReadMode::Buffered);
        }
        Ok(true)
    }

    /// Checks a part as its file has it.
    fn look(&self, part: &Part) -> Result<(), EngineError> {
        let upload = &self.uploads[part.of];
        let mut bytes = vec![0; part.len.min(LOOK) as usize];
        let mut done = 0;
        while done < part.len {
            let bytes = &mut bytes[..LOOK.min(part.len - done) as usize];
            let skip = part.skip + done;
            let read = self.store.read_part(&upload.data, upload.skip + skip, bytes);
            read.map_err(|e| self.failed(part.of, e.to_string()))?;
            self.check(part.of, skip, bytes)?;
            done += bytes.len() as u64;
        }
        Ok(())
    }

    /// Reads a batch into a slot, and checks it. Answers how it was read: directly, if every byte of a file was. `None` where
    /// loading ended before.
    pub(crate) fn fill(&self, index: usize, slot: &mut [u8]) -> Result<Option<ReadMode>, EngineError> {
        let batch = &self.batches[index];
        let wanted = |of: usize| (&self.uploads[of].data, self.uploads[of].skip);
        let filled = self.store.fill(batch, wanted, self.manner.direct, slot);
        let direct = filled.map_err(|Unread(of, e)| self.failed(of, e.to_string()))?;
        let check_part = |part: &Part| self.check(part.of, part.skip, &slot[part.range()]);
        let check = || batch.parts.iter().try_for_each(check_part);
        let mode = if direct { ReadMode::Direct } else { ReadMode::Buffered };
        Ok(self.checked(index, check)?.map(|()| mode))
    }

    /// Has the bytes of a batch checked in their turn, if that is wanted.
    fn checked(
        &self,
        index: usize,
        check: impl FnOnce() -> Result<(), EngineError>,
    ) -> Result<Option<()>, EngineError> {
        match self.checks {
            Some(_) => self.state.in_turn(index, &self.checked_after[index], check).transpose(),
            None => Ok(Some(())),
        }
    }

    /// Checks bytes of an upload, from its byte `skip` on.
    fn check(&self, upload: usize, skip: u64, bytes: &[u8]) -> Result<(), EngineError> {
        let Some(checks) = &self.checks else { return Ok(()) };
        let own = &self.uploads[upload];
        checks.update(&own.data, own.skip + skip, bytes).map_err(|e| self.failed(upload, e.to_string()))
    }

    /// Reads a batch straight to where its parts belong, in mapped memory, and checks it; false where loading ended before.
    pub(crate) fn read_in_place(&self, index: usize) -> Result<bool, EngineError> {
        let parts = &self.batches[index].parts;
        for part in parts {
            let upload = &self.uploads[part.of];
            let read =
                |target: &mut [u8]| self.store.read_part(&upload.data, upload.skip + part.skip, target);
            let read = self.mapped(part, |mapped, at| mapped.write_with(at, part.len, read))?;
            read.map_err(|e| self.failed(part.of, e.to_string()))?;
        }
        let check = |part: &Part| {
            self.mapped(part, |mapped, at| {
                mapped.read_with(at, part.len, |bytes| self.check(part.of, part.skip, bytes))
            })?
        };
        if self.checked(index, || parts.iter().try_for_each(check))?.is_none() {
            return Ok(false);
        }
        for part in parts {
            self.arrivals.piece(part.len, WeightsPath::Mapped, ReadMode::Buffered);
        }
        Ok(true)
    }

    /// Copies a batch from a slot to where its parts belong, in mapped memory.
    pub(crate) fn copy_out(&self, index: usize, slot: &[u8], mode: ReadMode) -> Result<(), EngineError> {
        self.batches[index].parts.iter().try_for_each(|part| {
            self.mapped(part, |mapped, at| mapped.write(at, &slot[part.range()]))?;
            self.arrivals.piece(part.len, WeightsPath::Mapped, mode);
            Ok(())
        })
    }

    /// Where a part belongs in mapped memory; whoever uses it waits for submissions.
    fn mapped<R>(
        &self,
        part: &Part,
        with: impl FnOnce(Mapped<'_>, u64) -> Result<R, bayplan_vulkan::Error>,
    ) -> Result<R, EngineError> {
        let (buffer, at) = self.place(part)?;
        let name = || bayplan_vulkan::Error::NotMapped { name: buffer.name().into() };
        Ok(with(buffer.mapped().ok_or_else(name)?.waiting(), at)?)
    }

    pub(crate) fn failed(&self, upload: usize, reason: String) -> EngineError {
        let name = self.uploads.get(upload).map(|upload| upload.name.clone()).unwrap_or_default();
        EngineError::Weights { name, reason }
    }
}
