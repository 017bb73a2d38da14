//! Arenas on a device: one buffer per block.

use bayplan_compile::{Arena, Program};
use bayplan_vulkan::{Buffer, BufferId, Device, Location};

use crate::error::EngineError;

/// The device buffers of the arenas that exist, by [`Arena::index`]. A clone holds the same buffers.
#[derive(Clone, Default)]
pub(crate) struct Arenas([Vec<Block>; Arena::ALL.len()]);

/// One block of an arena.
#[derive(Clone)]
struct Block {
    /// Its first byte in the arena.
    start: u64,
    buffer: Buffer,
}

impl Arenas {
    /// Allocates the blocks of an arena, of which each ends at one of `ends`; what it had before is freed first.
    pub(crate) fn allocate(
        &mut self,
        device: &Device,
        arena: Arena,
        ends: &[u64],
    ) -> Result<(), EngineError> {
        self.0[arena.index()].clear();
        let location = match arena {
            Arena::Weights | Arena::Load => Location::Weights,
            Arena::Activations | Arena::External => Location::Device,
        };
        let mut start = 0;
        for (index, &end) in ends.iter().enumerate() {
            let name =
                if ends.len() == 1 { arena.name().into() } else { format!("{} {index}", arena.name()) };
            let buffer = device.create_buffer(&name, end.saturating_sub(start), location)?;
            self.0[arena.index()].push(Block { start, buffer });
            start = end;
        }
        Ok(())
    }

    /// Takes the buffers of an arena, to be freed.
    pub(crate) fn take(&mut self, arena: Arena) -> Vec<Buffer> {
        std::mem::take(&mut self.0[arena.index()]).into_iter().map(|block| block.buffer).collect()
    }

    /// Whether the blocks of a program's arena are these: the same ends, or a shorter last one.
    pub(crate) fn fit(&self, program: &Program, arena: Arena) -> bool {
        let (own, needed) = (&self.0[arena.index()], &program.blocks[arena.index()]);
        let holds = |(index, &end): (usize, &u64)| {
            own.get(index).is_some_and(|block| {
                let last = index + 1 == needed.len();
                let own_end = block.start + block.buffer.size();
                end == own_end || (last && own.len() == needed.len() && end <= own_end)
            })
        };
        needed.iter().enumerate().all(holds)
    }

    /// The buffer that a byte of an arena lies in, and where in it. Nothing that a program binds or moves crosses its end.
    pub(crate) fn place(&self, arena: Arena, offset: u64) -> Result<(&Buffer, u64), EngineError> {
        let blocks = &self.0[arena.index()];
        let block =
            blocks[..blocks.partition_point(|block| block.start <= offset)].last().ok_or_else(|| {
                bayplan_vulkan::Error::InvalidRange { name: arena.name().into(), why: "an empty arena" }
            })?;
        Ok((&block.buffer, offset - block.start))
    }

    /// The arena that a buffer belongs to, and the buffer's first byte in it.
    pub(crate) fn find(&self, buffer: BufferId) -> Option<(Arena, u64)> {
        let of = |arena: Arena| self.0[arena.index()].iter().find(|block| block.buffer.id() == buffer);
        Arena::ALL.into_iter().find_map(|arena| Some((arena, of(arena)?.start)))
    }

    /// The buffers of an arena, in order.
    pub(crate) fn of(&self, arena: Arena) -> impl Iterator<Item = &Buffer> {
        self.0[arena.index()].iter().map(|block| &block.buffer)
    }

    /// All buffers.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = &Buffer> + Clone {
        self.0.iter().flatten().map(|block| &block.buffer)
    }
}
