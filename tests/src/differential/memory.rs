//! All bytes of a program's arenas, as a device holds them at one moment.

use bayplan_compile::{Arena, Program, Window};
use bayplan_engine::EngineError;
use bayplan_engine::inspect::Inspection;

/// What arenas hold before anything is written: a NaN, and an index far outside.
const POISON: [u8; 4] = 0x7fc0_dead_u32.to_le_bytes();

/// The bytes of each arena, by [`Arena::index`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Memory([Vec<u8>; 4]);

impl Memory {
    /// Poison everywhere.
    pub(super) fn poison(program: &Program) -> Self {
        Self(program.arena_bytes.map(|bytes| POISON.iter().copied().cycle().take(bytes as usize).collect()))
    }

    /// What a device holds now.
    pub(super) fn read(inspection: &Inspection) -> Result<Self, EngineError> {
        let mut memory = Self([const { Vec::new() }; 4]);
        for arena in Arena::ALL {
            for block in inspection.program().blocks(arena) {
                let bytes = inspection.read(arena, block.start, block.end - block.start)?;
                memory.0[arena.index()].extend_from_slice(&bytes);
            }
        }
        Ok(memory)
    }

    /// Makes a device hold this.
    pub(super) fn write(&self, inspection: &Inspection) -> Result<(), EngineError> {
        for arena in Arena::ALL {
            for block in inspection.program().blocks(arena) {
                let bytes = &self.0[arena.index()][block.start as usize..block.end as usize];
                inspection.write(arena, block.start, bytes)?;
            }
        }
        Ok(())
    }

    /// The words of a window.
    pub(super) fn words(&self, window: &Window) -> Vec<u32> {
        let bytes = &self.0[window.arena.index()][window.offset as usize..][..window.len as usize];
        bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
    }

    /// The first byte outside a window in which another memory differs from this.
    pub(super) fn differs_outside(&self, other: &Self, window: Option<&Window>) -> Option<(Arena, u64)> {
        Arena::ALL.into_iter().find_map(|arena| {
            let (mine, theirs) = (&self.0[arena.index()], &other.0[arena.index()]);
            if mine == theirs {
                return None;
            }
            let own = window.filter(|window| window.arena == arena);
            let own =
                own.map_or(0..0, |window| window.offset as usize..(window.offset + window.len) as usize);
            let at = (0..mine.len()).find(|at| mine[*at] != theirs[*at] && !own.contains(at))?;
            Some((arena, at as u64))
        })
    }
}

/// The buffers of an arena that a byte belongs to, with their lives, for people.
pub(super) fn owners(program: &Program, arena: Arena, byte: u64) -> String {
    let of = |buffer: &&bayplan_compile::Buffer| {
        buffer.arena == arena && (buffer.offset..buffer.offset + buffer.size).contains(&byte)
    };
    let list: Vec<String> = program
        .buffers
        .iter()
        .filter(of)
        .map(|buffer| {
            let life = &buffer.lifespan;
            format!("{} ({}..{})", buffer.name, life.start, life.end)
        })
        .collect();
    if list.is_empty() { "no buffer".into() } else { list.join(", ") }
}
