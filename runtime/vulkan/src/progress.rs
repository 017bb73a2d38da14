//! Marks that the device leaves in memory as it goes, for the host to read at any moment.
//!
//! Timestamp queries tell when an op was done, but some drivers let nobody ask while commands run
//! ([`polls_queries`](crate::polls_queries)). A mark is a word in mapped memory: reading it asks no driver.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::access::Busy;
use crate::barrier::Barrier;
use crate::buffer::Buffer;
use crate::decide::Location;
use crate::device::Device;
use crate::error::Error;
use crate::recorder::Recorder;
use crate::shim::AllocationId;

/// Most marks of one list: 1 Mi, 4 MiB.
const MAX_MARKS: u32 = 1 << 20;

/// What a word holds once its mark was made.
const MARKED: u32 = 1;

/// A list of marks, made in order. A clone is the same list.
#[derive(Clone)]
pub struct Progress {
    words: Arc<Buffer>,
    count: u32,
}

impl Device {
    /// Makes a list of `count` marks, none of them made.
    ///
    /// # Errors
    /// [`Error::ExceedsLimit`], [`Error::InvalidRange`] for 0 marks, or as [`Device::create_buffer`].
    pub fn create_progress(&self, name: &str, count: u32) -> Result<Progress, Error> {
        if count > MAX_MARKS {
            let (value, max) = (count.into(), MAX_MARKS.into());
            return Err(Error::ExceedsLimit { name: name.to_owned(), limit: "marks", value, max });
        }
        let len = u64::from(count) * 4;
        let words = self.create_buffer(name, len, Location::Readback)?;
        let mapped = words.mapped().ok_or_else(|| Error::NotMapped { name: name.to_owned() })?;
        mapped.write_with(0, len, |bytes| bytes.fill(0))?;
        Ok(Progress { words: Arc::new(words), count })
    }
}

impl Progress {
    /// Number of marks.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// How many marks were made, as far as the host can see: also while commands run, without waiting.
    ///
    /// # Errors
    /// A failed invalidation.
    pub fn reached(&self) -> Result<u32, Error> {
        self.words.shared.invalidate_all()?;
        // Marks are made in order, so the first that is missing is found by halving.
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.word(middle) == MARKED { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    /// Takes all marks away at once, from the host: who asks later never sees a mark of commands that were submitted
    /// before. Other threads may count at the same time.
    ///
    /// # Errors
    /// [`Error::BufferInUse`] while commands that make marks run, or a failed flush.
    pub fn clear(&self) -> Result<(), Error> {
        let buffer = &self.words.shared;
        let held = buffer.access.take(0..buffer.size, Busy::Refuse, &*buffer.device)?;
        let _held = held.ok_or_else(|| Error::BufferInUse { name: buffer.name.clone() })?;
        for index in 0..self.count {
            if let Some(word) = self.address(index) {
                word.store(0, Ordering::Release);
            }
        }
        buffer.flush(0, buffer.size)
    }

    /// The device allocation behind the marks, as the allocation events name it.
    #[must_use]
    pub fn allocation(&self) -> Option<AllocationId> {
        self.words.allocation()
    }

    fn word(&self, index: u32) -> u32 {
        self.address(index).map_or(0, |word| word.load(Ordering::Acquire))
    }

    fn address(&self, index: u32) -> Option<&AtomicU32> {
        debug_assert!(index < self.count, "callers stay inside the list");
        let base = self.words.shared.address()?;
        // SAFETY: the buffer has `count` words, so the address is inside the mapping and aligned, and the mapping lives
        // as long as `self`; once the list is made the host reaches it atomically only, the device writes it whole.
        Some(unsafe { AtomicU32::from_ptr(base.cast::<u32>().add(index as usize).as_ptr()) })
    }
}

impl Recorder {
    /// Takes all marks away. Recorded before the first [`Recorder::mark`] of commands that are submitted again.
    ///
    /// # Errors
    /// [`Error::ForeignObject`].
    pub fn reset_progress(&mut self, progress: &Progress) -> Result<(), Error> {
        self.fill(&progress.words, 0, u64::from(progress.count) * 4, 0)?;
        self.barrier(Barrier::TransferToTransfer);
        Ok(())
    }

    /// Makes mark `index` when the device comes by. The device may come by before commands ahead of it are done, unless
    /// a barrier that transfers wait for stands between; on a CPU device, which runs one command after another, it does
    /// not.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] or [`Error::ForeignObject`]; then nothing was added.
    pub fn mark(&mut self, progress: &Progress, index: u32) -> Result<(), Error> {
        self.fill(&progress.words, u64::from(index) * 4, 4, MARKED)
    }
}
