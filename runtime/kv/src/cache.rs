//! The pool and the block tables of sequences, and how they change together.

use crate::event::Event;
use crate::pool::{BlockId, BlockPool, Content, ContentId, PoolUndo};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bayplan_text::plural;
use core::fmt;

/// A block table: that of a sequence, or of a candidate for its next tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId {
    /// The sequence.
    pub sequence: u64,
    /// 0 for the sequence itself, candidates count from 1.
    pub lane: u32,
}

impl TableId {
    /// The table of a sequence.
    pub const fn of(sequence: u64) -> Self {
        Self { sequence, lane: 0 }
    }
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lane {
            0 => write!(f, "sequence {}", self.sequence),
            lane => write!(f, "candidate {lane} of sequence {}", self.sequence),
        }
    }
}

/// The blocks of a sequence, in order, and the tokens whose keys and values they hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    blocks: Vec<BlockId>,
    tokens: Vec<u32>,
    /// Full blocks whose content is known, and the content to their end.
    sealed: usize,
    content: ContentId,
}

impl Table {
    /// The blocks; those behind the last token are there for what comes next.
    pub fn blocks(&self) -> &[BlockId] {
        &self.blocks
    }

    /// The tokens.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// How many tokens.
    pub fn len(&self) -> u64 {
        self.tokens.len() as u64
    }

    /// Whether there is no token yet.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}

/// Why a change is not possible. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheError {
    /// More blocks are needed than are free.
    NoBlocks {
        /// Blocks needed.
        need: u64,
        /// Blocks free.
        free: u32,
    },
    /// There is no such table.
    Unknown(TableId),
    /// There is such a table already.
    Exists(TableId),
    /// Tokens have no room in the table's blocks.
    NoRoom {
        /// The table.
        table: TableId,
        /// Tokens that were to be added.
        tokens: u64,
        /// Tokens that have room.
        room: u64,
    },
    /// A failure that a test has planted.
    #[cfg(test)]
    Planted,
}

impl fmt::Display for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBlocks { need, free } => {
                write!(f, "{} needed, {free} free", plural(*need, "block"))
            }
            Self::Unknown(table) => write!(f, "{table} has no block table"),
            Self::Exists(table) => write!(f, "{table} has a block table already"),
            Self::NoRoom { table, tokens, room } => {
                write!(f, "{table} has room for {}, not {tokens}", plural(*room, "token"))
            }
            #[cfg(test)]
            Self::Planted => f.write_str("planted"),
        }
    }
}

impl core::error::Error for CacheError {}

/// The pool and all block tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    pool: BlockPool,
    tables: BTreeMap<TableId, Table>,
}

/// What takes one change back.
#[derive(Debug)]
enum Undo {
    Pool(PoolUndo),
    Opened(TableId),
    Closed(TableId, Table),
    Added(TableId),
    Dropped(TableId, BlockId),
    Replaced(TableId, usize, BlockId),
    Pushed { id: TableId, tokens: usize },
    Sealed { id: TableId, content: ContentId },
}

/// The changes of a step so far, newest last.
#[derive(Debug, Default)]
pub(crate) struct Log {
    undo: Vec<Undo>,
    events: Vec<Event>,
    /// Whether a device may have written what the step takes.
    written: bool,
    /// Changes until a planted failure.
    #[cfg(test)]
    fails_after: Option<usize>,
}

/// A moment of a step that can be gone back to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    undo: usize,
    events: usize,
}

impl Log {
    pub(crate) fn mark(&self) -> Mark {
        Mark { undo: self.undo.len(), events: self.events.len() }
    }

    pub(crate) fn written(&mut self) {
        self.written = true;
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.events.push(event);
    }

    pub(crate) fn events(&self) -> &[Event] {
        &self.events
    }

    pub(crate) fn into_events(self) -> Vec<Event> {
        self.events
    }

    #[cfg(test)]
    pub(crate) fn failing(after: usize) -> Self {
        Self { fails_after: Some(after), ..Self::default() }
    }

    /// A place at which a step may fail in a test.
    #[cfg(test)]
    fn site(&mut self) -> Result<(), CacheError> {
        match &mut self.fails_after {
            Some(0) => Err(CacheError::Planted),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    #[cfg(not(test))]
    #[allow(clippy::unnecessary_wraps, clippy::unused_self)]
    fn site(&mut self) -> Result<(), CacheError> {
        Ok(())
    }
}

impl Cache {
    /// A pool without sequences.
    pub fn new(pool: BlockPool) -> Self {
        Self { pool, tables: BTreeMap::new() }
    }

    /// The pool.
    pub fn pool(&self) -> &BlockPool {
        &self.pool
    }

    /// All tables, by sequence.
    pub fn tables(&self) -> impl ExactSizeIterator<Item = (TableId, &Table)> {
        self.tables.iter().map(|(id, table)| (*id, table))
    }

    /// A table.
    pub fn table(&self, id: TableId) -> Option<&Table> {
        self.tables.get(&id)
    }

    fn known(&self, id: TableId) -> Result<&Table, CacheError> {
        self.tables.get(&id).ok_or(CacheError::Unknown(id))
    }

    /// Where the keys and values of a table's next tokens are written: rows of the pool, block · tokens of a block + offset. As
    /// many as have room.
    pub fn slots(&self, id: TableId) -> impl Iterator<Item = u64> + '_ {
        let each = u64::from(self.pool.block_tokens());
        let table = self.tables.get(&id);
        let (start, blocks) = table.map_or((0, &[][..]), |table| (table.len(), &table.blocks));
        let row = move |at: u64| u64::from(blocks[(at / each) as usize].0) * each + at % each;
        (start..blocks.len() as u64 * each).map(row)
    }

    /// The full blocks of the pool that hold the beginning of these tokens, with the contents to their ends.
    fn found(&self, tokens: &[u32]) -> Vec<(BlockId, ContentId)> {
        let mut found = Vec::new();
        let mut before = ContentId::default();
        for full in tokens.chunks_exact(self.pool.block_tokens() as usize) {
            let Some((content, block)) = self.pool.find(&Content { before, tokens: full.into() }) else {
                break;
            };
            found.push((block, content));
            before = content;
        }
        found
    }

    /// How many tokens of a prompt's beginning the pool holds. The last token never counts: what comes after it is
    /// computed from it.
    pub fn finds(&self, prompt: &[u32]) -> u64 {
        let all = prompt.split_last().map_or(&[][..], |(_, all)| all);
        self.found(all).len() as u64 * u64::from(self.pool.block_tokens())
    }

    /// New blocks that a table needs to have room for so many tokens more; a partly filled last block that others hold, too,
    /// needs a copy.
    pub fn need(&self, id: TableId, tokens: u64) -> Result<u64, CacheError> {
        let table = self.known(id)?;
        let grown = self.pool.blocks_for(table.len() + tokens).saturating_sub(table.blocks.len() as u64);
        Ok(grown + u64::from(tokens > 0 && self.shared_tail(table).is_some()))
    }

    /// The position of a block into which the next token goes and which other tables hold, too.
    pub(crate) fn shared_tail(&self, table: &Table) -> Option<usize> {
        let at = table.tokens.len() / self.pool.block_tokens() as usize;
        let block = *table.blocks.get(at)?;
        (self.pool.count(block) > 1).then_some(at)
    }

    /// Opens a table that shares the full blocks which hold the beginning of a prompt; tells how many tokens these hold.
    pub(crate) fn open(&mut self, log: &mut Log, id: TableId, prompt: &[u32]) -> Result<u64, CacheError> {
        let all = prompt.split_last().map_or(&[][..], |(_, all)| all);
        let found = self.found(all);
        self.atomic(log, |cache, log| {
            cache.insert(log, id)?;
            for (block, content) in &found {
                cache.add_shared(log, id, *block)?;
                cache.seal_as(log, id, *content)?;
            }
            let tokens = found.len() * cache.pool.block_tokens() as usize;
            cache.record(log, id, &all[..tokens])?;
            Ok(tokens as u64)
        })
    }

    /// Opens a table that shares all blocks of another one that hold tokens.
    pub(crate) fn fork(&mut self, log: &mut Log, from: TableId, to: TableId) -> Result<(), CacheError> {
        let parent = self.known(from)?.clone();
        let held = self.pool.blocks_for(parent.len()) as usize;
        self.atomic(log, |cache, log| {
            cache.insert(log, to)?;
            for block in &parent.blocks[..held] {
                cache.add_shared(log, to, *block)?;
            }
            cache.record(log, to, &parent.tokens)?;
            let table = cache.tables.get_mut(&to).ok_or(CacheError::Unknown(to))?;
            (table.sealed, table.content) = (parent.sealed, parent.content);
            Ok(())
        })
    }

    /// Gives a table room for so many tokens more. What is written into must be its own: a partly filled last block that
    /// others hold, too, is copied first.
    pub(crate) fn reserve(&mut self, log: &mut Log, id: TableId, tokens: u64) -> Result<(), CacheError> {
        let need = self.need(id, tokens)?;
        if need > u64::from(self.pool.free()) {
            return Err(CacheError::NoBlocks { need, free: self.pool.free() });
        }
        self.atomic(log, |cache, log| {
            let table = cache.known(id)?;
            let blocks = cache.pool.blocks_for(table.len() + tokens);
            let more = blocks.saturating_sub(table.blocks.len() as u64);
            if let Some(at) = cache.shared_tail(table).filter(|_| tokens > 0) {
                cache.copy_on_write(log, id, at)?;
            }
            (0..more).try_for_each(|_| cache.add_new(log, id))
        })
    }

    /// Adds tokens whose keys and values this step writes. Blocks that are full now can be found by their content: a step
    /// writes all rows of a layer before it reads any.
    pub(crate) fn push(&mut self, log: &mut Log, id: TableId, tokens: &[u32]) -> Result<(), CacheError> {
        let table = self.known(id)?;
        let room = table.blocks.len() as u64 * u64::from(self.pool.block_tokens()) - table.len();
        if tokens.len() as u64 > room {
            return Err(CacheError::NoRoom { table: id, tokens: tokens.len() as u64, room });
        }
        self.atomic(log, |cache, log| {
            cache.record(log, id, tokens)?;
            cache.seal(log, id)
        })
    }

    /// Lets go of the blocks that are not needed for a table's tokens, nor for `room` of them.
    pub(crate) fn trim(&mut self, log: &mut Log, id: TableId, room: u64) -> Result<(), CacheError> {
        let table = self.known(id)?;
        let keep = self.pool.blocks_for(table.len().max(room));
        let over = (table.blocks.len() as u64).saturating_sub(keep);
        self.atomic(log, |cache, log| (0..over).try_for_each(|_| cache.drop_last(log, id)))
    }

    /// Closes a table; its last blocks are the first to be taken for something else.
    pub(crate) fn close(&mut self, log: &mut Log, id: TableId) -> Result<(), CacheError> {
        self.known(id)?;
        self.atomic(log, |cache, log| {
            while !cache.known(id)?.blocks.is_empty() {
                cache.drop_last(log, id)?;
            }
            log.site()?;
            if let Some(table) = cache.tables.remove(&id) {
                log.undo.push(Undo::Closed(id, table));
            }
            Ok(())
        })
    }

    /// Puts another table in the place of one, which is closed.
    pub(crate) fn adopt(&mut self, log: &mut Log, id: TableId, child: TableId) -> Result<(), CacheError> {
        self.known(child)?;
        self.atomic(log, |cache, log| {
            cache.close(log, id)?;
            log.site()?;
            if let Some(table) = cache.tables.remove(&child) {
                log.undo.push(Undo::Closed(child, table.clone()));
                cache.tables.insert(id, table);
                log.undo.push(Undo::Opened(id));
            }
            Ok(())
        })
    }

    /// Takes back what came after a moment.
    pub(crate) fn back(&mut self, log: &mut Log, mark: Mark) {
        while log.undo.len() > mark.undo {
            if let Some(undo) = log.undo.pop() {
                self.undo(undo, log.written);
            }
        }
        log.events.truncate(mark.events);
    }

    /// Takes all back.
    pub(crate) fn roll_back(&mut self, log: &mut Log) {
        self.back(log, Mark { undo: 0, events: 0 });
    }

    /// All of these changes, or none where one fails.
    fn atomic<T>(
        &mut self,
        log: &mut Log,
        change: impl FnOnce(&mut Self, &mut Log) -> Result<T, CacheError>,
    ) -> Result<T, CacheError> {
        let mark = log.mark();
        change(self, log).inspect_err(|_| self.back(log, mark))
    }

    fn insert(&mut self, log: &mut Log, id: TableId) -> Result<(), CacheError> {
        log.site()?;
        if self.tables.contains_key(&id) {
            return Err(CacheError::Exists(id));
        }
        self.tables.insert(id, Table::default());
        log.undo.push(Undo::Opened(id));
        Ok(())
    }

    fn edit(&mut self, id: TableId, change: impl FnOnce(&mut Table)) {
        if let Some(table) = self.tables.get_mut(&id) {
            change(table);
        }
    }

    fn add(&mut self, log: &mut Log, id: TableId, block: BlockId) {
        self.edit(id, |table| table.blocks.push(block));
        log.undo.push(Undo::Added(id));
    }

    fn add_new(&mut self, log: &mut Log, id: TableId) -> Result<(), CacheError> {
        let block = self.take(log)?;
        self.add(log, id, block);
        log.tell(Event::Taken { table: id, block });
        Ok(())
    }

    fn add_shared(&mut self, log: &mut Log, id: TableId, block: BlockId) -> Result<(), CacheError> {
        log.site()?;
        log.undo.push(Undo::Pool(self.pool.share(block)));
        self.add(log, id, block);
        log.tell(Event::Shared { table: id, block, count: self.pool.count(block) });
        Ok(())
    }

    fn take(&mut self, log: &mut Log) -> Result<BlockId, CacheError> {
        log.site()?;
        let (block, undo) = self.pool.take().ok_or(CacheError::NoBlocks { need: 1, free: 0 })?;
        log.undo.push(Undo::Pool(undo));
        Ok(block)
    }

    fn copy_on_write(&mut self, log: &mut Log, id: TableId, at: usize) -> Result<(), CacheError> {
        let to = self.take(log)?;
        log.site()?;
        let rows = self.known(id)?.tokens.len() as u32 % self.pool.block_tokens();
        let from = self.known(id)?.blocks[at];
        self.edit(id, |table| table.blocks[at] = to);
        log.undo.push(Undo::Replaced(id, at, from));
        log.undo.push(Undo::Pool(self.pool.release(from)));
        log.tell(Event::Copied { table: id, from, to, rows });
        Ok(())
    }

    fn drop_last(&mut self, log: &mut Log, id: TableId) -> Result<(), CacheError> {
        log.site()?;
        let Some(block) = self.tables.get_mut(&id).and_then(|table| table.blocks.pop()) else {
            return Ok(());
        };
        log.undo.push(Undo::Dropped(id, block));
        log.undo.push(Undo::Pool(self.pool.release(block)));
        log.tell(Event::Released { table: id, block, count: self.pool.count(block) });
        Ok(())
    }

    fn record(&mut self, log: &mut Log, id: TableId, tokens: &[u32]) -> Result<(), CacheError> {
        log.site()?;
        self.edit(id, |table| table.tokens.extend_from_slice(tokens));
        log.undo.push(Undo::Pushed { id, tokens: tokens.len() });
        Ok(())
    }

    /// Lets all full blocks be found.
    fn seal(&mut self, log: &mut Log, id: TableId) -> Result<(), CacheError> {
        let each = self.pool.block_tokens() as usize;
        while let Some(table) =
            self.tables.get(&id).filter(|table| (table.sealed + 1) * each <= table.tokens.len())
        {
            let tokens = table.tokens[table.sealed * each..][..each].into();
            let (block, content) = (table.blocks[table.sealed], Content { before: table.content, tokens });
            log.site()?;
            let (content, undo) = self.pool.seal(block, content);
            log.undo.extend(undo.map(Undo::Pool));
            self.seal_as(log, id, content)?;
        }
        Ok(())
    }

    fn seal_as(&mut self, log: &mut Log, id: TableId, content: ContentId) -> Result<(), CacheError> {
        log.site()?;
        let table = self.tables.get_mut(&id).ok_or(CacheError::Unknown(id))?;
        log.undo.push(Undo::Sealed { id, content: table.content });
        table.sealed += 1;
        table.content = content;
        Ok(())
    }

    fn undo(&mut self, undo: Undo, written: bool) {
        match undo {
            Undo::Pool(undo) => self.pool.undo(undo, written),
            Undo::Opened(id) => {
                self.tables.remove(&id);
            }
            Undo::Closed(id, table) => {
                self.tables.insert(id, table);
            }
            Undo::Added(id) => self.edit(id, |table| {
                table.blocks.pop();
            }),
            Undo::Dropped(id, block) => self.edit(id, |table| table.blocks.push(block)),
            Undo::Replaced(id, at, block) => self.edit(id, |table| table.blocks[at] = block),
            Undo::Pushed { id, tokens } => {
                self.edit(id, |table| table.tokens.truncate(table.tokens.len() - tokens));
            }
            Undo::Sealed { id, content } => self.edit(id, |table| {
                table.sealed -= 1;
                table.content = content;
            }),
        }
    }
}
