//! What happened, for traces and views.

use crate::cache::TableId;
use crate::pool::BlockId;
use crate::scheduler::{Finish, Stall, Wait};

/// One change, in the order in which they came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A table has a block more, which nobody held.
    Taken {
        /// The table.
        table: TableId,
        /// The block.
        block: BlockId,
    },
    /// A table holds a block that was found by its content or that another table holds.
    Shared {
        /// The table.
        table: TableId,
        /// The block.
        block: BlockId,
        /// How many tables hold it now.
        count: u32,
    },
    /// A table has a block of its own in place of one that others hold, too. The device copies the rows before the step
    /// writes anything, in the order of these events.
    Copied {
        /// The table.
        table: TableId,
        /// Where the rows lie.
        from: BlockId,
        /// Where they are copied to.
        to: BlockId,
        /// How many, from the first.
        rows: u32,
    },
    /// A table let go of a block.
    Released {
        /// The table.
        table: TableId,
        /// The block.
        block: BlockId,
        /// How many tables hold it now; where none does it is free.
        count: u32,
    },
    /// A request runs.
    Admitted {
        /// The sequence.
        sequence: u64,
        /// Tokens of its prompt whose keys and values were found in the pool.
        found: u64,
        /// How often others came before it that were submitted after it.
        overtaken: u32,
    },
    /// A request does not run yet. Told when the reason is another than before.
    Waits {
        /// The sequence.
        sequence: u64,
        /// Why.
        why: Wait,
    },
    /// A running sequence gets nothing in this step.
    Stalled {
        /// The sequence.
        sequence: u64,
        /// Why.
        why: Stall,
    },
    /// A sequence was to speculate and does not: the blocks are not there.
    Short {
        /// The sequence.
        sequence: u64,
        /// Blocks that its candidates need.
        need: u64,
        /// Blocks that are free.
        free: u32,
    },
    /// A sequence has left the pool.
    Finished {
        /// The sequence.
        sequence: u64,
        /// Why.
        why: Finish,
        /// Tokens that it generated.
        generated: u32,
    },
}
