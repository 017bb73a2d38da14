//! What the threads of a loader share, and how a batch is read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bayplan_compile::session::Cancel;
use bayplan_compile::{Arena, Upload};
use bayplan_graph::DIRECT;
use bayplan_record::Arrivals;
use bayplan_trace::{ReadMode, WeightsPath};
use bayplan_vulkan::{Buffer, Device, Mapped};
use bayplan_weights::{Checks, Store};

use super::batch::{Batch, From, Part, Read};
use super::state::State;
use crate::arena::Arenas;
use crate::error::EngineError;

/// Batches whose bytes a file is told of before they are read: what the disk has ready while others are placed.
const AHEAD: usize = 4;

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
    /// Whether files are read past the page cache, where they can be.
    pub(crate) direct: bool,
    /// Whether files are told what is read next.
    pub(crate) ahead: bool,
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
        let window = &self.uploads[part.upload].window;
        let arenas = self.arenas();
        let (buffer, start) = arenas.place(window.arena, window.offset)?;
        Ok((buffer.clone(), start + part.skip))
    }

    /// Tells files what will be read soon, where that is not in memory already.
    pub(crate) fn expect(&self, index: usize) {
        if !self.ahead {
            return;
        }
        let batch = self.batches.get(index + AHEAD).filter(|batch| !batch.imported);
        batch.iter().flat_map(|batch| &batch.reads).for_each(|read| self.expect_read(read));
    }

    fn expect_read(&self, read: &Read) {
        if let From::File(file, offset) = read.from
            && let Some(source) = self.store.source(file)
        {
            source.expect(offset, read.len);
        }
    }

    /// Lets kernels read a batch in its file, where the model says what it should be after a look at it; false where loading
    /// ended before.
    pub(crate) fn admit(&self, index: usize) -> Result<bool, EngineError> {
        let batch = &self.batches[index];
        if self.direct || self.ahead {
            // It is in no cache yet: the disk begins with it, whoever reads it first.
            batch.reads.iter().for_each(|read| self.expect_read(read));
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
        let upload = &self.uploads[part.upload];
        let mut bytes = vec![0; part.len.min(LOOK) as usize];
        let mut done = 0;
        while done < part.len {
            let bytes = &mut bytes[..LOOK.min(part.len - done) as usize];
            let skip = part.skip + done;
            let read = self.store.read_part(&upload.data, upload.skip + skip, bytes);
            read.map_err(|e| self.failed(part.upload, e.to_string()))?;
            self.check(part.upload, skip, bytes)?;
            done += bytes.len() as u64;
        }
        Ok(())
    }

    /// Reads a batch into a slot, and checks it. Answers how it was read: directly, if every byte of a file was. `None` where
    /// loading ended before.
    pub(crate) fn fill(&self, index: usize, slot: &mut [u8]) -> Result<Option<ReadMode>, EngineError> {
        let batch = &self.batches[index];
        let mut mode = if self.direct { ReadMode::Direct } else { ReadMode::Buffered };
        for read in &batch.reads {
            if !(self.direct && self.read_direct(read, slot)) {
                mode = ReadMode::Buffered;
                self.read(batch, read, slot)?;
            }
        }
        let check_part = |part: &Part| self.check(part.upload, part.skip, &slot[part.range()]);
        let check = || batch.parts.iter().try_for_each(check_part);
        Ok(self.checked(index, check)?.map(|()| mode))
    }

    /// Has the bytes of a batch checked in their turn, if that is wanted.
    fn checked(
        &self,
        index: usize,
        check: impl FnOnce() -> Result<(), EngineError>,
    ) -> Result<Option<()>, EngineError> {
        match self.checks {
            Some(_) => self.state.in_turn(index, check).transpose(),
            None => Ok(Some(())),
        }
    }

    /// Checks bytes of an upload, from its byte `skip` on.
    fn check(&self, upload: usize, skip: u64, bytes: &[u8]) -> Result<(), EngineError> {
        let Some(checks) = &self.checks else { return Ok(()) };
        let own = &self.uploads[upload];
        checks.update(&own.data, own.skip + skip, bytes).map_err(|e| self.failed(upload, e.to_string()))
    }

    /// Reads past the page cache; false where that fails or cannot be done.
    fn read_direct(&self, read: &Read, slot: &mut [u8]) -> bool {
        let From::File(file, offset) = read.from else { return false };
        let Some(source) = self.store.source(file) else { return false };
        let block = DIRECT as u64;
        // Whole blocks around what is wanted. They lie in the slot: its bytes lie there as they do in their block.
        let lead = offset % block;
        let whole = read.at - lead..(read.at + read.len).next_multiple_of(block).min(slot.len() as u64);
        let target = &mut slot[whole.start as usize..whole.end as usize];
        let done = source.read_direct(offset - lead, target);
        done.is_ok_and(|done| done.is_some_and(|done| done as u64 >= lead + read.len))
    }

    /// Reads as files are read usually: at once or, so that whoever cannot be read is named, a tensor at a time.
    fn read(&self, batch: &Batch, read: &Read, slot: &mut [u8]) -> Result<(), EngineError> {
        let (at, len) = (read.at, read.len);
        if let From::File(file, offset) = read.from
            && let Some(source) = self.store.source(file)
            && source.read_at(offset, &mut slot[at as usize..(at + len) as usize]).is_ok()
        {
            return Ok(());
        }
        let mut parts = batch.parts.iter().filter(|part| (at..at + len).contains(&part.at));
        parts.try_for_each(|part| {
            let upload = &self.uploads[part.upload];
            let read = self.store.read_part(&upload.data, upload.skip + part.skip, &mut slot[part.range()]);
            read.map_err(|e| self.failed(part.upload, e.to_string()))
        })
    }

    /// Reads a batch straight to where its parts belong, in mapped memory, and checks it; false where loading ended before.
    pub(crate) fn read_in_place(&self, index: usize) -> Result<bool, EngineError> {
        let parts = &self.batches[index].parts;
        for part in parts {
            let upload = &self.uploads[part.upload];
            let read =
                |target: &mut [u8]| self.store.read_part(&upload.data, upload.skip + part.skip, target);
            let read = self.mapped(part, |mapped, at| mapped.write_with(at, part.len, read))?;
            read.map_err(|e| self.failed(part.upload, e.to_string()))?;
        }
        let check = |part: &Part| {
            self.mapped(part, |mapped, at| {
                mapped.read_with(at, part.len, |bytes| self.check(part.upload, part.skip, bytes))
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

    /// Whether the files are in memory for the most part, as a few places of what is read say.
    pub(crate) fn is_cached(store: &Store, batches: &[Batch]) -> bool {
        const PLACES: usize = 32;
        let reads: Vec<&Read> = batches.iter().flat_map(|batch| &batch.reads).collect();
        let step = reads.len().div_ceil(PLACES).max(1);
        let known = reads.iter().step_by(step).filter_map(|read| match read.from {
            From::File(file, offset) => Some(store.source(file)?.is_cached(offset + read.len / 2)),
            From::Memory => None,
        });
        let (mut cached, mut all) = (0, 0);
        known.for_each(|known| {
            cached += usize::from(known);
            all += 1;
        });
        cached * 2 >= all
    }
}
