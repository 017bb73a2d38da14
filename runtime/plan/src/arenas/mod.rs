//! Memories with limits: arenas with capacities and spill order, cut into blocks where a device limits allocations.
//!
//! [`solve`](crate::solve) plans one arena without limits. Here an [`Arena`] has a capacity, a largest block (what the
//! device allocates at once) and a largest buffer (what it binds at once). [`plan_blocks`] plans one such arena,
//! [`plan_arenas`] several, of which each buffer names those it may lie in, and [`sequence`] lays out what lives
//! throughout. [`validate_blocks`] and [`validate_arenas`] judge the results.
//!
//! ```text
//!            arena 0: 512 KiB on chip          arena 1: 4 GiB in blocks of at most 1 GiB
//!          +----------------------+          +------------+------------+-------+
//!   buffer |  a  |  b  |   c   |  |  spills  |  d   | e   |  f         |  g    |
//!          +----------------------+ -------> +------------+------------+-------+
//!            what costs most to move           no buffer lies in two blocks; offsets count on
//! ```
//!
//! ```
//! use bayplan_plan::arenas::{Arena, plan_arenas, validate_arenas};
//! use bayplan_plan::{Buffer, Effort, Problem};
//!
//! let problem = Problem::new(vec![Buffer::new(300, 0, 2), Buffer::new(200, 1, 3), Buffer::new(300, 2, 4)])?;
//! let arenas = [Arena::of(400), Arena::UNLIMITED.in_blocks(1 << 30, 256)];
//! let plan = plan_arenas(&problem, &arenas, &[], Effort::Normal)?;
//! validate_arenas(&problem, &arenas, &[], &plan)?;
//! assert_eq!((plan.spilled[0].buffer, plan.cost), (1, 200));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bins;
mod blocks;
mod budget;
mod cut;
mod error;
mod keep;
mod layouts;
mod memories;
mod ruin;
mod validate;

use crate::problem::{Buffer, MAX_TOTAL_BYTES};

pub use blocks::{BlockPlan, plan_blocks, sequence};
pub use error::{NoFit, Proof};
pub use memories::{ArenaPlan, ArenasPlan, Place, Reason, Spill, Wish, plan_arenas};
pub use validate::{Flaw, validate_arenas, validate_blocks};

/// One memory and its limits, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Arena {
    /// Most bytes its blocks may take together, padding between them included.
    pub capacity: u64,
    /// Most bytes of one block (Vulkan: `maxMemoryAllocationSize`).
    pub largest_block: u64,
    /// Blocks begin at multiples of this power of two.
    pub block_align: u64,
    /// Most bytes of one buffer (Vulkan: `maxStorageBufferRange`).
    pub largest_buffer: u64,
}

impl Arena {
    /// A memory without limits.
    pub const UNLIMITED: Self = Self {
        capacity: MAX_TOTAL_BYTES,
        largest_block: MAX_TOTAL_BYTES,
        block_align: 1,
        largest_buffer: MAX_TOTAL_BYTES,
    };

    /// A memory of so many bytes in one block.
    pub const fn of(capacity: u64) -> Self {
        Self { capacity, ..Self::UNLIMITED }
    }

    /// The same memory in blocks of at most `largest_block` bytes that begin at multiples of `block_align`.
    #[must_use]
    pub const fn in_blocks(self, largest_block: u64, block_align: u64) -> Self {
        Self { largest_block, block_align, ..self }
    }

    /// Checks what can be wrong with a memory.
    fn check(&self, arena: usize) -> Result<(), NoFit> {
        match self.block_align.is_power_of_two() && self.block_align <= self.largest_block {
            true => Ok(()),
            false => Err(NoFit::BadArena { arena }),
        }
    }

    /// Blocks that hold these buffers begin at multiples of this.
    fn unit(&self, buffers: &[Buffer]) -> u64 {
        buffers.iter().map(|buffer| buffer.align).fold(self.block_align, u64::max)
    }

    /// Most bytes of a block with these buffers where there are several blocks.
    fn most(&self, buffers: &[Buffer]) -> u64 {
        self.largest_block - self.largest_block % self.unit(buffers)
    }

    /// Whether some block can hold the buffer.
    fn holds(&self, buffer: &Buffer) -> bool {
        buffer.size <= self.largest_buffer.min(self.largest_block)
    }
}
