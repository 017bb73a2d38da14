//! Arenas of words, poisoned where nothing lives, with a bit for each word that was written.

use std::ops::Range;

use bayplan_compile::{Arena, Buffer};

use crate::error::HostError;
use crate::view::{Merged, View};
use crate::written::Written;

/// What words hold where no tensor lives: a signalling NaN as a float, and as an integer an absurd size or index.
///
/// By it, bytes that nobody should have touched are checked. It does not tell what was written: a tensor may hold the
/// same word.
pub const POISON: u32 = 0x7fa5_a5a5;

/// The arenas of a program, in the order of [`Arena::ALL`]; empty before and after their time. An arena is one piece, but
/// for the external one, of which each buffer may be a piece of its own.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    arenas: [Vec<Piece>; Arena::ALL.len()],
}

/// Words of an arena that lie together.
#[derive(Debug)]
struct Piece {
    /// The first word's number in the arena.
    start: usize,
    cells: Cells,
}

/// Words, and which of them were written.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    words: Vec<u32>,
    written: Written,
}

impl Cells {
    /// Room for that many bytes, all poison; `None` where there is no memory for it.
    pub(crate) fn poisoned(bytes: u64) -> Option<Self> {
        let count = usize::try_from(bytes.div_ceil(4)).ok()?;
        let mut words = Vec::new();
        words.try_reserve_exact(count).ok()?;
        words.resize(count, POISON);
        Some(Self { words, written: Written::none(count).ok()? })
    }

    /// A range of words; `None` where it leaves them.
    pub(crate) fn get(&self, words: Range<usize>) -> Option<&[u32]> {
        self.words.get(words)
    }

    /// Words to be written, all of them; `None` where they leave the cells.
    pub(crate) fn write(&mut self, words: Range<usize>) -> Option<&mut [u32]> {
        let lent = self.words.get_mut(words.clone())?;
        self.written.set(words);
        Some(lent)
    }

    /// The first word of a range that was not written.
    pub(crate) fn unwritten(&self, words: Range<usize>) -> Option<usize> {
        self.written.first_unwritten(words)
    }

    /// Poisons what exists of a range of words.
    pub(crate) fn poison(&mut self, words: Range<usize>) {
        let range = words.start.min(self.words.len())..words.end.min(self.words.len());
        if !range.is_empty() {
            self.words[range.clone()].fill(POISON);
            self.written.clear(range);
        }
    }
}

impl Memory {
    /// Makes an arena, all poison.
    pub(crate) fn allocate(&mut self, arena: Arena, bytes: u64) -> Result<(), HostError> {
        self.free(arena);
        let cells = Cells::poisoned(bytes).ok_or(HostError::Memory { arena: arena.name(), bytes })?;
        self.arenas[arena.index()].push(Piece { start: 0, cells });
        Ok(())
    }

    /// Frees an arena.
    pub(crate) fn free(&mut self, arena: Arena) {
        self.arenas[arena.index()].clear();
    }

    /// Gives a buffer of the external arena its memory. Buffers are given theirs in the order of their offsets.
    pub(crate) fn bind(&mut self, buffer: &Buffer, cells: Cells) {
        let start = (buffer.offset / 4) as usize;
        let pieces = &mut self.arenas[Arena::External.index()];
        let at = pieces.partition_point(|piece| piece.start < start);
        pieces.insert(at, Piece { start, cells });
    }

    /// Takes the memory of a buffer of the external arena back.
    pub(crate) fn unbind(&mut self, buffer: &Buffer) -> Option<Cells> {
        let start = (buffer.offset / 4) as usize;
        let pieces = &mut self.arenas[Arena::External.index()];
        let at = pieces.iter().position(|piece| piece.start == start)?;
        Some(pieces.remove(at).cells)
    }

    /// The piece that a word lies in, which begins at or before it.
    fn piece(&self, arena: Arena, word: usize) -> Option<&Piece> {
        let pieces = &self.arenas[arena.index()];
        pieces.get(pieces.partition_point(|piece| piece.start <= word).checked_sub(1)?)
    }

    fn piece_mut(&mut self, arena: Arena, word: usize) -> Option<&mut Piece> {
        let pieces = &mut self.arenas[arena.index()];
        let at = pieces.partition_point(|piece| piece.start <= word).checked_sub(1)?;
        pieces.get_mut(at)
    }

    /// The words of an arena's first piece.
    pub(crate) fn words(&self, arena: Arena) -> &[u32] {
        self.arenas[arena.index()].first().map_or(&[], |piece| &piece.cells.words)
    }

    /// The words as such: what is changed here does not count as written.
    pub(crate) fn words_mut(&mut self, arena: Arena) -> &mut [u32] {
        self.arenas[arena.index()].first_mut().map_or(&mut [], |piece| &mut piece.cells.words)
    }

    /// Bytes from an arena's first to its last.
    pub(crate) fn bytes(&self, arena: Arena) -> u64 {
        let last = self.arenas[arena.index()].last();
        last.map_or(0, |piece| (piece.start + piece.cells.words.len()) as u64 * 4)
    }

    /// A range of an arena's words; `None` where it leaves its piece.
    pub(crate) fn get(&self, arena: Arena, words: Range<usize>) -> Option<&[u32]> {
        if words.is_empty() {
            return Some(&[]);
        }
        let piece = self.piece(arena, words.start)?;
        piece.cells.get(words.start - piece.start..words.end.checked_sub(piece.start)?)
    }

    /// Words to be written, all of them; `None` where they leave the arena.
    pub(crate) fn write(&mut self, arena: Arena, words: Range<usize>) -> Option<&mut [u32]> {
        if words.is_empty() {
            return Some(&mut []);
        }
        let piece = self.piece_mut(arena, words.start)?;
        let start = piece.start;
        piece.cells.write(words.start - start..words.end.checked_sub(start)?)
    }

    /// Writes a dense result to where its elements belong in a window, which holds them all.
    pub(crate) fn put(&mut self, result: &[u32], view: &View, arena: Arena, window: Range<usize>) {
        let Some(Piece { start, cells: Cells { words, written } }) = self.piece_mut(arena, window.start)
        else {
            return;
        };
        let origin = window.start - *start;
        let wide = view.words();
        let merged = Merged::new(&view.shape, std::slice::from_ref(&view.strides));
        let step = merged.strides[0].last().copied().unwrap_or(1);
        let mut rest = result;
        let mut write = |element: isize, run: &[u32]| {
            let from = origin + element as usize * wide;
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
        if words.is_empty() {
            return None;
        }
        let Some(piece) = self.piece(arena, words.start) else { return Some(words.start) };
        let own = words.start - piece.start..words.end.saturating_sub(piece.start);
        piece.cells.unwritten(own).map(|word| word + piece.start)
    }

    /// Poisons what exists of a range of bytes.
    pub(crate) fn poison(&mut self, arena: Arena, bytes: Range<u64>) {
        let word = |byte: u64| usize::try_from(byte / 4).unwrap_or(usize::MAX);
        let range = word(bytes.start)..word(bytes.end);
        for Piece { start, cells } in &mut self.arenas[arena.index()] {
            cells.poison(range.start.saturating_sub(*start)..range.end.saturating_sub(*start));
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

/// Puts bytes into words, from byte `at` on. What is left of a word behind them is zeros.
pub(crate) fn put_bytes(words: &mut [u32], at: usize, bytes: &[u8]) {
    let lead = at.next_multiple_of(4).min(at + bytes.len()) - at;
    let (head, rest) = bytes.split_at(lead);
    if let Some(word) = words.get_mut(at / 4).filter(|_| lead > 0) {
        let mut own = word.to_le_bytes();
        own[at % 4..].fill(0);
        own[at % 4..at % 4 + lead].copy_from_slice(head);
        *word = u32::from_le_bytes(own);
    }
    let (whole, tail) = rest.as_chunks();
    let target = words.get_mut(at.div_ceil(4)..).unwrap_or_default();
    target.iter_mut().zip(whole).for_each(|(target, word)| *target = u32::from_le_bytes(*word));
    target.iter_mut().skip(whole.len()).zip(words_of(tail)).for_each(|(target, word)| *target = word);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_in_pieces_become_the_words_of_all() {
        let bytes: Vec<u8> = (1..=23).collect();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let mut words = [POISON; 7];
                for piece in [0..first, first..second, second..bytes.len()] {
                    put_bytes(&mut words, piece.start, &bytes[piece]);
                }
                let whole: Vec<u32> = words_of(&bytes).chain([POISON]).collect();
                assert_eq!(words[..], whole, "{first} {second}");
            }
        }
    }
}
