//! Arenas of words, poisoned where nothing lives, with a bit for each word that was written.

use std::ops::Range;

use bayplan_compile::{Arena, Buffer, Program};

use crate::error::HostError;
use crate::view::{Merged, View};
use crate::written::Written;

/// What words hold where no tensor lives: a signalling NaN as a float, and as an integer an absurd size or index.
///
/// By it, bytes that nobody should have touched are checked. It does not tell what was written: a tensor may hold the
/// same word.
pub const POISON: u32 = 0x7fa5_a5a5;

/// The arenas of a program, in the order of [`Arena::ALL`]; empty before and after their time.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    arenas: [Cells; 4],
}

/// An arena.
#[derive(Debug, Default)]
struct Cells {
    words: Vec<u32>,
    written: Written,
}

impl Memory {
    /// Makes an arena, all poison.
    pub(crate) fn allocate(&mut self, program: &Program, arena: Arena) -> Result<(), HostError> {
        let bytes = program.arena_bytes[arena.index()];
        let fail = || HostError::Memory { arena: arena.name(), bytes };
        let count = usize::try_from(bytes.div_ceil(4)).map_err(|_| fail())?;
        self.free(arena);
        let mut words = Vec::new();
        words.try_reserve_exact(count).map_err(|_| fail())?;
        words.resize(count, POISON);
        let written = Written::none(count).map_err(|_| fail())?;
        self.arenas[arena.index()] = Cells { words, written };
        Ok(())
    }

    /// Frees an arena.
    pub(crate) fn free(&mut self, arena: Arena) {
        self.arenas[arena.index()] = Cells::default();
    }

    pub(crate) fn words(&self, arena: Arena) -> &[u32] {
        &self.arenas[arena.index()].words
    }

    /// The words as such: what is changed here does not count as written.
    pub(crate) fn words_mut(&mut self, arena: Arena) -> &mut [u32] {
        &mut self.arenas[arena.index()].words
    }

    /// Words to be written, all of them; `None` where they leave the arena.
    pub(crate) fn write(&mut self, arena: Arena, words: Range<usize>) -> Option<&mut [u32]> {
        let own = &mut self.arenas[arena.index()];
        let lent = own.words.get_mut(words.clone())?;
        own.written.set(words);
        Some(lent)
    }

    /// Writes a dense result to where its elements belong in a window, which holds them all.
    pub(crate) fn put(&mut self, result: &[u32], view: &View, arena: Arena, window: Range<usize>) {
        let Cells { words, written } = &mut self.arenas[arena.index()];
        let wide = view.words();
        let merged = Merged::new(&view.shape, std::slice::from_ref(&view.strides));
        let step = merged.strides[0].last().copied().unwrap_or(1);
        let mut rest = result;
        let mut write = |element: isize, run: &[u32]| {
            let from = window.start + element as usize * wide;
            words[from..from + run.len()].copy_from_slice(run);
            written.set(from..from + run.len());
        };
        merged.segments(0, result.len() / wide, |at, count| {
            let (run, more) = rest.split_at(count * wide);
            rest = more;
            let first = view.base as isize + at[0];
            if step == 1 {
                write(first, run);
            } else {
                run.chunks_exact(wide).zip(0..).for_each(|(element, i)| write(first + i * step, element));
            }
        });
    }

    /// The first word of a range of an arena that was not written since it died last.
    pub(crate) fn unwritten(&self, arena: Arena, words: Range<usize>) -> Option<usize> {
        self.arenas[arena.index()].written.first_unwritten(words)
    }

    /// Poisons what exists of a range of bytes.
    pub(crate) fn poison(&mut self, arena: Arena, bytes: Range<u64>) {
        let Cells { words, written } = &mut self.arenas[arena.index()];
        let at = |byte: u64| usize::try_from(byte / 4).unwrap_or(usize::MAX).min(words.len());
        let range = at(bytes.start)..at(bytes.end);
        if !range.is_empty() {
            words[range.clone()].fill(POISON);
            written.clear(range);
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
