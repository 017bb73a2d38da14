//! A step as a transaction: what it changes holds when it is committed, and else was never there.

use crate::cache::{Cache, CacheError, Log, TableId};
use crate::event::Event;
use alloc::vec::Vec;
use core::ops::Deref;

/// Changes of pool and tables that belong together. Dropped, they are taken back: the free list with its order, counts,
/// tables and what can be found are as before. A change that fails has changed nothing; the step may go on.
///
/// ```
/// use bayplan_kv::{BlockPool, Cache, Step, TableId};
///
/// let mut cache = Cache::new(BlockPool::new(4, 16));
/// let before = cache.clone();
/// let mut step = Step::begin(&mut cache);
/// step.open(TableId::of(7), &[1, 2, 3]).unwrap();
/// step.reserve(TableId::of(7), 17).unwrap();
/// assert_eq!(step.pool().free(), 2);
/// drop(step); // the device was lost
/// assert_eq!(cache, before);
/// ```
#[derive(Debug)]
pub struct Step<'a> {
    cache: &'a mut Cache,
    log: Log,
}

impl<'a> Step<'a> {
    /// Begins a step.
    pub fn begin(cache: &'a mut Cache) -> Self {
        Self { cache, log: Log::default() }
    }

    #[cfg(test)]
    pub(crate) fn failing(cache: &'a mut Cache, after: usize) -> Self {
        Self { cache, log: Log::failing(after) }
    }

    /// Opens a table that shares the full blocks which hold the beginning of a prompt, and adds their tokens; tells how
    /// many.
    ///
    /// # Errors
    /// [`CacheError::Exists`].
    pub fn open(&mut self, id: TableId, prompt: &[u32]) -> Result<u64, CacheError> {
        self.cache.open(&mut self.log, id, prompt)
    }

    /// Opens a table with the tokens of another one, which shares that one's blocks.
    ///
    /// # Errors
    /// [`CacheError::Unknown`], [`CacheError::Exists`].
    pub fn fork(&mut self, from: TableId, to: TableId) -> Result<(), CacheError> {
        self.cache.fork(&mut self.log, from, to)
    }

    /// Gives a table room for so many tokens more. A partly filled last block that others hold, too, is copied first.
    ///
    /// # Errors
    /// [`CacheError::NoBlocks`], [`CacheError::Unknown`].
    pub fn reserve(&mut self, id: TableId, tokens: u64) -> Result<(), CacheError> {
        self.cache.reserve(&mut self.log, id, tokens)
    }

    /// Adds tokens whose keys and values this step writes.
    ///
    /// # Errors
    /// [`CacheError::NoRoom`], [`CacheError::Unknown`].
    pub fn push(&mut self, id: TableId, tokens: &[u32]) -> Result<(), CacheError> {
        self.cache.push(&mut self.log, id, tokens)
    }

    /// Lets go of the blocks behind a table's tokens.
    ///
    /// # Errors
    /// [`CacheError::Unknown`].
    pub fn trim(&mut self, id: TableId) -> Result<(), CacheError> {
        self.cache.trim(&mut self.log, id, 0)
    }

    /// Puts a candidate's table in the place of another one.
    ///
    /// # Errors
    /// [`CacheError::Unknown`].
    pub fn adopt(&mut self, id: TableId, candidate: TableId) -> Result<(), CacheError> {
        self.cache.adopt(&mut self.log, id, candidate)
    }

    /// Closes a table and lets go of its blocks.
    ///
    /// # Errors
    /// [`CacheError::Unknown`].
    pub fn close(&mut self, id: TableId) -> Result<(), CacheError> {
        self.cache.close(&mut self.log, id)
    }

    /// From now on the device may have written what this step takes. Taken back, blocks are free, counted and listed as
    /// before, but those that were overwritten are not found by their old contents.
    pub fn submitted(&mut self) {
        self.log.written();
    }

    /// What happened so far.
    pub fn events(&self) -> &[Event] {
        self.log.events()
    }

    /// Lets the changes hold.
    pub fn commit(mut self) -> Vec<Event> {
        core::mem::take(&mut self.log).into_events()
    }
}

impl Deref for Step<'_> {
    type Target = Cache;
    fn deref(&self) -> &Cache {
        self.cache
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        self.cache.roll_back(&mut self.log);
    }
}
