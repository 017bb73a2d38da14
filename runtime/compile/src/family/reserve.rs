//! What a session of a family allocates.

use bayplan_shaders::Target;

use crate::error::CompileError;
use crate::program::{Arena, Program};

/// What a session of a family allocates: enough for every shape of every function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reservation {
    /// Bytes of each arena, in the order of [`Arena::ALL`].
    pub arena_bytes: [u64; Arena::ALL.len()],
    /// The blocks of each arena: where each ends, as in [`Program::blocks`].
    pub blocks: [Vec<u64>; Arena::ALL.len()],
}

impl Reservation {
    /// What one program needs.
    pub(crate) fn of(program: &Program) -> Self {
        Self { arena_bytes: program.arena_bytes, blocks: program.blocks.clone() }
    }

    /// Makes it large enough for another program too.
    pub(crate) fn grow(&mut self, program: &Program) {
        for arena in Arena::ALL {
            let (own, needed) = (&mut self.blocks[arena.index()], &program.blocks[arena.index()]);
            if own.is_empty() {
                own.clone_from(needed);
            } else if own != needed {
                // Blocks that differ from shape to shape are one range, which one allocation must hold.
                *own = own.iter().chain(needed).copied().max().into_iter().collect();
            }
            self.arena_bytes[arena.index()] = own.last().copied().unwrap_or(0);
        }
    }

    /// Makes the activations at least as large as this.
    pub(crate) fn reserve(&mut self, bytes: u64) {
        let index = Arena::Activations.index();
        if bytes > self.arena_bytes[index] {
            self.arena_bytes[index] = bytes;
            self.blocks[index] = vec![bytes];
        }
    }

    /// Refuses blocks that the device cannot allocate.
    pub(crate) fn checked(self, target: &Target) -> Result<Self, CompileError> {
        for arena in [Arena::Activations, Arena::Weights, Arena::Load] {
            let ends = &self.blocks[arena.index()];
            let starts = [0].iter().chain(ends);
            if ends.iter().zip(starts).any(|(end, start)| end - start > target.max_allocation) {
                let (arena, max) = (arena.name(), target.max_allocation);
                return Err(CompileError::Blocks { arena, max, fitting: Vec::new() });
            }
        }
        Ok(self)
    }

    /// Whether a program fits.
    pub(crate) fn holds(&self, program: &Program) -> bool {
        let own = |arena: Arena| &self.blocks[arena.index()];
        [Arena::Activations, Arena::Weights, Arena::Load].into_iter().all(|arena| {
            let needed = &program.blocks[arena.index()];
            let within = needed.len() <= 1 && own(arena).len() <= 1;
            needed == own(arena)
                || within && needed.last().copied().unwrap_or(0) <= own(arena).last().copied().unwrap_or(0)
        })
    }
}
