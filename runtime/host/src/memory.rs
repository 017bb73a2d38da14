//! Arenas of words, poisoned where nothing lives.

use std::ops::Range;

use bayplan_compile::{Arena, Buffer, Program};

use crate::error::HostError;

/// What words hold where no tensor lives: a signalling NaN as a float, and as an integer an absurd size or index.
///
/// Arithmetic makes NaNs quiet, so that results never look like it; only copying keeps it as it is.
pub const POISON: u32 = 0x7fa5_a5a5;

/// The arenas of a program, in the order of [`Arena::ALL`]; empty before and after their time.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    arenas: [Vec<u32>; 3],
}

impl Memory {
    /// Makes an arena, all poison.
    pub(crate) fn allocate(&mut self, program: &Program, arena: Arena) -> Result<(), HostError> {
        let bytes = program.arena_bytes[arena.index()];
        let fail = || HostError::Memory { arena: arena.name(), bytes };
        let words = usize::try_from(bytes.div_ceil(4)).map_err(|_| fail())?;
        let own = &mut self.arenas[arena.index()];
        *own = Vec::new();
        own.try_reserve_exact(words).map_err(|_| fail())?;
        own.resize(words, POISON);
        Ok(())
    }

    /// Frees an arena.
    pub(crate) fn free(&mut self, arena: Arena) {
        self.arenas[arena.index()] = Vec::new();
    }

    pub(crate) fn words(&self, arena: Arena) -> &[u32] {
        &self.arenas[arena.index()]
    }

    pub(crate) fn words_mut(&mut self, arena: Arena) -> &mut [u32] {
        &mut self.arenas[arena.index()]
    }

    /// Poisons what exists of a range of bytes.
    pub(crate) fn poison(&mut self, arena: Arena, bytes: Range<u64>) {
        let words = &mut self.arenas[arena.index()];
        let at = |byte: u64| usize::try_from(byte / 4).unwrap_or(usize::MAX).min(words.len());
        let range = at(bytes.start)..at(bytes.end);
        if !range.is_empty() {
            words[range].fill(POISON);
        }
    }

    /// The first byte outside all `live` buffers of an arena that is not poison.
    pub(crate) fn changed(&self, arena: Arena, live: impl Iterator<Item = Range<u64>>) -> Option<u64> {
        let words = self.words(arena);
        let mut live: Vec<Range<u64>> = live.collect();
        live.sort_unstable_by_key(|range| range.start);
        let mut at = 0;
        for range in live.into_iter().chain(std::iter::once(u64::MAX..u64::MAX)) {
            let clamp = |byte: u64| usize::try_from(byte / 4).unwrap_or(usize::MAX).min(words.len());
            let (from, to) = (clamp(at), clamp(range.start));
            if from < to
                && let Some(word) = words[from..to].iter().position(|&word| word != POISON)
            {
                return Some((from + word) as u64 * 4);
            }
            at = at.max(range.end);
        }
        None
    }
}

/// The bytes of a buffer.
pub(crate) fn bytes_of(buffer: &Buffer) -> Range<u64> {
    buffer.offset..buffer.offset.saturating_add(buffer.size)
}

/// Words of bytes, four to each, the last filled up with zeros.
pub(crate) fn words_of(bytes: &[u8]) -> impl ExactSizeIterator<Item = u32> + '_ {
    bytes.chunks(4).map(|chunk| {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        u32::from_le_bytes(word)
    })
}
