//! Which words of an arena were written: one bit each.

use std::collections::TryReserveError;
use std::ops::Range;

/// A bit per word: whether something was written there and still lives. No data can look like it, whatever its bits are.
#[derive(Debug, Default)]
pub(crate) struct Written(Vec<u64>);

impl Written {
    /// Of that many words, none written.
    pub(crate) fn none(words: usize) -> Result<Self, TryReserveError> {
        let blocks = words.div_ceil(64);
        let mut bits = Vec::new();
        bits.try_reserve_exact(blocks)?;
        bits.resize(blocks, 0);
        Ok(Self(bits))
    }

    /// Notes that words were written. The range lies within the arena.
    pub(crate) fn set(&mut self, words: Range<usize>) {
        masks(words).for_each(|(block, mask)| self.0[block] |= mask);
    }

    /// Notes that words hold nothing any more. The range lies within the arena.
    pub(crate) fn clear(&mut self, words: Range<usize>) {
        masks(words).for_each(|(block, mask)| self.0[block] &= !mask);
    }

    /// The first word of a range within the arena that was not written.
    pub(crate) fn first_unwritten(&self, words: Range<usize>) -> Option<usize> {
        masks(words).find_map(|(block, mask)| {
            let missing = !self.0[block] & mask;
            (missing != 0).then(|| block * 64 + missing.trailing_zeros() as usize)
        })
    }
}

/// The bits of a range: each block that it touches with its bits there.
fn masks(words: Range<usize>) -> impl Iterator<Item = (usize, u64)> {
    let Range { start, end } = words;
    let blocks = if start < end { start / 64..end.div_ceil(64) } else { 0..0 };
    blocks.map(move |block| {
        let from = start.saturating_sub(block * 64);
        let to = (end - block * 64).min(64);
        (block, (u64::MAX << from) & (u64::MAX >> (64 - to)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_set_and_cleared_to_the_word() {
        const WORDS: usize = 200;
        for start in 0..WORDS {
            for end in [start, start + 1, start + 63, start + 64, start + 65, WORDS] {
                let range = start..end.min(WORDS);
                let mut written = Written::none(WORDS).expect("memory");
                written.set(range.clone());
                let is = |written: &Written, word: usize| written.first_unwritten(word..word + 1).is_none();
                assert!((0..WORDS).all(|word| is(&written, word) == range.contains(&word)), "{range:?}");
                assert_eq!(written.first_unwritten(range.clone()), None, "{range:?}");
                let next = if range.is_empty() { start } else { range.end };
                let expect = (next < WORDS).then_some(next);
                assert_eq!(written.first_unwritten(start..WORDS), expect, "{range:?}");

                written.set(0..WORDS);
                written.clear(range.clone());
                assert!((0..WORDS).all(|word| is(&written, word) != range.contains(&word)), "{range:?}");
                assert_eq!(
                    written.first_unwritten(0..WORDS),
                    (!range.is_empty()).then_some(start),
                    "{range:?}"
                );
            }
        }
    }
}
