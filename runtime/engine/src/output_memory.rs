//! The memory behind the output arena: one buffer for each of its blocks.

use std::sync::Arc;

use bayplan_compile::session::{Lease, OutputArena, OutputPool, Usage};
use bayplan_vulkan::{AllocationId, Buffer, Location};

use crate::device::Device;
use crate::error::EngineError;
use crate::memory::Planned;

/// The output arena of a session.
pub(crate) struct OutputMemory {
    pool: OutputPool,
    blocks: Vec<Arc<Buffer>>,
    align: u64,
    growths: u64,
    /// Memory that it grew by and that nobody was told of yet.
    untold: Vec<Planned>,
}

/// The name of its buffers.
const NAME: &str = "outputs";

impl OutputMemory {
    /// Allocates the first block, rounded up to the storage alignment: the last slot's whole `vec4`s lie in it, too.
    pub(crate) fn new(device: &Device, options: OutputArena) -> Result<Self, EngineError> {
        let align = device.target().storage_alignment.max(1);
        let bytes = options.bytes.checked_next_multiple_of(align).unwrap_or(options.bytes);
        let mut blocks = Vec::new();
        if bytes > 0 {
            blocks.push(Arc::new(device.vulkan.create_buffer(NAME, bytes, Location::Device)?));
        }
        let pool = OutputPool::new(align, options);
        Ok(Self { pool, blocks, align, growths: 0, untold: Vec::new() })
    }

    /// Takes slots of exactly these sizes, all or none, and says where each lies.
    ///
    /// # Errors
    /// The arena is full, or there is no memory to grow it.
    pub(crate) fn take(&mut self, device: &Device, sizes: &[u64]) -> Result<Vec<Arc<Lease>>, EngineError> {
        let (blocks, growths, align) = (&mut self.blocks, &mut self.growths, self.align);
        let untold = &mut self.untold;
        let leases = self.pool.take(sizes, &mut |bytes: u64| {
            let bytes = bytes.checked_next_multiple_of(align).unwrap_or(bytes);
            let build = device.ledger.build(&device.vulkan);
            let buffer = device.vulkan.create_buffer(NAME, bytes, Location::Device)?;
            let own = build.claim(buffer.allocation().map(|id| (id, NAME.to_owned())).into_iter().collect());
            untold.extend(own);
            blocks.push(Arc::new(buffer));
            *growths += 1;
            Ok::<(), EngineError>(())
        })?;
        Ok(leases.into_iter().map(Arc::new).collect())
    }

    /// Where a slot lies. A slot of no bytes lies nowhere.
    pub(crate) fn place(&self, lease: &Lease) -> Option<(Arc<Buffer>, u64)> {
        let (block, offset) = lease.place();
        Some((Arc::clone(self.blocks.get(block)?), offset))
    }

    /// Which slots are held.
    pub(crate) fn pool(&self) -> &OutputPool {
        &self.pool
    }

    /// The memory that it grew by since this was asked last.
    pub(crate) fn grown(&mut self) -> Vec<Planned> {
        std::mem::take(&mut self.untold)
    }

    pub(crate) fn usage(&self) -> Usage {
        self.pool.usage()
    }

    pub(crate) fn growths(&self) -> u64 {
        self.growths
    }

    /// The allocations of its blocks.
    pub(crate) fn allocations(&self) -> impl Iterator<Item = (AllocationId, String)> {
        self.blocks.iter().filter_map(|buffer| Some((buffer.allocation()?, NAME.to_owned())))
    }
}
