//! Memory that pieces of files are read into.

use bayplan_graph::DIRECT;

/// Room for so many bytes, whole blocks, wherever memory begins: direct reads want addresses at whole blocks.
pub fn room(bytes: u64) -> u64 {
    bytes + DIRECT as u64
}

/// The bytes of a slot in memory with [`room`] for it, from the first address at a whole block on.
pub fn aligned(memory: &mut [u8]) -> &mut [u8] {
    let (start, len) = (first_block(memory), memory.len().saturating_sub(DIRECT));
    &mut memory[start..start + len]
}

/// How far the first address at a whole block lies in memory.
pub fn first_block(memory: &[u8]) -> usize {
    // Less than a block by what it says; where it says nothing of the kind, direct reads are refused and others made.
    memory.as_ptr().align_offset(DIRECT) % DIRECT
}

/// A slot in memory of its own.
#[derive(Debug)]
pub struct Slot(Vec<u8>);

impl Slot {
    /// Of so many bytes, whole blocks.
    pub fn new(bytes: u64) -> Self {
        Self(vec![0; room(bytes) as usize])
    }

    /// Its bytes.
    pub fn bytes(&mut self) -> &mut [u8] {
        aligned(&mut self.0)
    }
}
