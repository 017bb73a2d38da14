//! Blocks of keys and values: who holds them, which are free, what full ones contain.
//!
//! ```text
//!            take: the first                    release: to the end, when nobody is left
//!  free ──► [ blank, by number │ findable, longest free first ] ◄──┐
//!    ▲                │                                            │
//!    │                ▼  count 1                                   │
//!    └── share ──  held  ── share ──► count 2 … ── release ────────┘
//!        (found by its content)
//! ```
//!
//! A full block is known by its content: its tokens and the content before it, compared token by token, never by a hash
//! alone. What is known stays findable when the last holder lets go, until the block is taken for something else; it
//! counts as free all the same.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// A block of the pool, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId(pub u32);

/// All tokens from the beginning of a sequence to the end of a full block. Never given twice, so that what was
/// forgotten cannot be mistaken for something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ContentId(u64);

/// What a full block contains.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Content {
    /// What lies before it; the least one at the beginning.
    pub(crate) before: ContentId,
    pub(crate) tokens: Arc<[u32]>,
}

/// Where a free block stands in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    since: u64,
    block: BlockId,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Block {
    /// Tables that hold it; 0 where it is free.
    count: u32,
    /// Its content where it can be found by it.
    content: Option<Content>,
    /// When it was freed, in releases; 0 where it had no content then: blank ones are the first to be taken.
    since: u64,
}

/// A fixed number of blocks, each with room for the keys and values of as many tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockPool {
    block_tokens: u32,
    blocks: Vec<Block>,
    free: BTreeSet<Place>,
    known: BTreeMap<Content, (ContentId, BlockId)>,
    releases: u64,
    contents: u64,
    shared: u32,
}

/// What takes a change of the pool back.
#[derive(Debug)]
pub(crate) enum PoolUndo {
    Take { block: BlockId, known: Option<(Content, ContentId)> },
    Share { block: BlockId },
    Release { block: BlockId, since: u64 },
    Seal { content: Content },
}

impl BlockPool {
    /// So many blank blocks of so many tokens; a block has room for one token at least.
    pub fn new(blocks: u32, block_tokens: u32) -> Self {
        let place = |block| Place { since: 0, block: BlockId(block) };
        Self {
            block_tokens: block_tokens.max(1),
            blocks: vec![Block::default(); blocks as usize],
            free: (0..blocks).map(place).collect(),
            known: BTreeMap::new(),
            releases: 0,
            contents: 0,
            shared: 0,
        }
    }

    /// Tokens of a block.
    pub fn block_tokens(&self) -> u32 {
        self.block_tokens
    }

    /// All blocks.
    pub fn blocks(&self) -> u32 {
        self.blocks.len() as u32
    }

    /// Blocks that can be taken.
    pub fn free(&self) -> u32 {
        self.free.len() as u32
    }

    /// Blocks that are free and can still be found by their content.
    pub fn findable(&self) -> u32 {
        let known = |place: &&Place| self.blocks[place.block.0 as usize].content.is_some();
        self.free.iter().filter(known).count() as u32
    }

    /// Blocks that more than one table holds.
    pub fn shared(&self) -> u32 {
        self.shared
    }

    /// How many tables hold a block; 0 where it is free or there is no such block.
    pub fn count(&self, block: BlockId) -> u32 {
        self.blocks.get(block.0 as usize).map_or(0, |block| block.count)
    }

    /// The free blocks in the order in which they will be taken.
    pub fn free_list(&self) -> impl Iterator<Item = BlockId> + '_ {
        self.free.iter().map(|place| place.block)
    }

    /// The blocks that tokens fill: ⌈tokens / block⌉.
    pub fn blocks_for(&self, tokens: u64) -> u64 {
        tokens.div_ceil(self.block_tokens.into())
    }

    /// The block with this content.
    pub(crate) fn find(&self, content: &Content) -> Option<(ContentId, BlockId)> {
        self.known.get(content).copied()
    }

    fn place(&self, block: BlockId) -> Place {
        Place { since: self.blocks[block.0 as usize].since, block }
    }

    /// Takes the first free block, which forgets its content.
    pub(crate) fn take(&mut self) -> Option<(BlockId, PoolUndo)> {
        let Place { block, .. } = self.free.pop_first()?;
        let own = &mut self.blocks[block.0 as usize];
        own.count = 1;
        let known = own.content.take().and_then(|content| {
            let (id, _) = self.known.remove(&content)?;
            Some((content, id))
        });
        Some((block, PoolUndo::Take { block, known }))
    }

    /// One table more holds a block, be it free until now.
    pub(crate) fn share(&mut self, block: BlockId) -> PoolUndo {
        self.free.remove(&self.place(block));
        let own = &mut self.blocks[block.0 as usize];
        own.count += 1;
        self.shared += u32::from(own.count == 2);
        PoolUndo::Share { block }
    }

    /// One table fewer holds a block.
    pub(crate) fn release(&mut self, block: BlockId) -> PoolUndo {
        let own = &mut self.blocks[block.0 as usize];
        let since = own.since;
        own.count -= 1;
        self.shared -= u32::from(own.count == 1);
        // A blank block goes back to its number, so that a pool that was used is filled from its beginning again.
        if own.count == 0 {
            own.since = if own.content.is_some() { self.releases + 1 } else { 0 };
            self.free.insert(self.place(block));
        }
        self.releases += 1;
        PoolUndo::Release { block, since }
    }

    /// Lets a full block be found. Where another one has the same content that one stays the one that is found.
    pub(crate) fn seal(&mut self, block: BlockId, content: Content) -> (ContentId, Option<PoolUndo>) {
        if let Some((id, _)) = self.find(&content) {
            return (id, None);
        }
        self.contents += 1;
        let id = ContentId(self.contents);
        self.known.insert(content.clone(), (id, block));
        self.blocks[block.0 as usize].content = Some(content.clone());
        (id, Some(PoolUndo::Seal { content }))
    }

    /// Takes the last change back that was not yet taken back. Where a device may have `written` since, blocks that were
    /// taken do not have their contents any more.
    pub(crate) fn undo(&mut self, undo: PoolUndo, written: bool) {
        match undo {
            PoolUndo::Take { block, known } => {
                let own = &mut self.blocks[block.0 as usize];
                own.count = 0;
                if let Some((content, id)) = known.filter(|_| !written) {
                    own.content = Some(content.clone());
                    self.known.insert(content, (id, block));
                }
                self.free.insert(self.place(block));
            }
            PoolUndo::Share { block } => {
                let own = &mut self.blocks[block.0 as usize];
                own.count -= 1;
                self.shared -= u32::from(own.count == 1);
                if own.count == 0 {
                    self.free.insert(self.place(block));
                }
            }
            PoolUndo::Release { block, since } => {
                self.free.remove(&self.place(block));
                let own = &mut self.blocks[block.0 as usize];
                own.count += 1;
                self.shared += u32::from(own.count == 2);
                self.releases -= 1;
                own.since = since;
            }
            PoolUndo::Seal { content } => {
                if let Some((_, block)) = self.known.remove(&content) {
                    self.blocks[block.0 as usize].content = None;
                }
                self.contents -= 1;
            }
        }
    }
}
