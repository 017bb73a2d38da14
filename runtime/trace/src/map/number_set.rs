//! A set of numbers below a limit that knows its neighbours: the nearest number below or above any, in a few steps.

use alloc::vec;
use alloc::vec::Vec;

/// A bit for each number, a bit for each word of those that holds any, and so on up to one word (the idea of van Emde Boas 1975,
/// with a root of 64).
#[derive(Clone, Debug, Default)]
pub(crate) struct NumberSet {
    /// The bits of the numbers first.
    levels: Vec<Vec<u64>>,
}

impl NumberSet {
    /// An empty set of numbers below `limit`; neighbours are asked of numbers up to it.
    pub(crate) fn new(limit: usize) -> Self {
        let mut levels = Vec::new();
        let mut count = limit + 1;
        loop {
            count = count.div_ceil(64);
            levels.push(vec![0; count]);
            if count == 1 {
                return Self { levels };
            }
        }
    }

    pub(crate) fn insert(&mut self, number: usize) {
        let mut at = number;
        for level in &mut self.levels {
            let word = &mut level[at / 64];
            let held = *word != 0;
            *word |= 1 << (at % 64);
            // Above, it is known already that this word holds any.
            if held {
                return;
            }
            at /= 64;
        }
    }

    pub(crate) fn remove(&mut self, number: usize) {
        let mut at = number;
        for level in &mut self.levels {
            let word = &mut level[at / 64];
            *word &= !(1 << (at % 64));
            if *word != 0 {
                return;
            }
            at /= 64;
        }
    }

    /// The largest number below this one.
    pub(crate) fn below(&self, number: usize) -> Option<usize> {
        let mut at = number;
        for (height, level) in self.levels.iter().enumerate() {
            // Past the limit nothing is held.
            let word = level.get(at / 64).copied().unwrap_or(0) & ((1 << (at % 64)) - 1);
            if word != 0 {
                return Some(self.down(height, at / 64, word, |word| 63 - word.leading_zeros()));
            }
            at /= 64;
        }
        None
    }

    /// The smallest number that is this one or above it.
    pub(crate) fn from(&self, number: usize) -> Option<usize> {
        let mut at = number;
        for (height, level) in self.levels.iter().enumerate() {
            let word = level.get(at / 64)? & (u64::MAX << (at % 64));
            if word != 0 {
                return Some(self.down(height, at / 64, word, u64::trailing_zeros));
            }
            at = at / 64 + 1;
        }
        None
    }

    /// From bits of a word of a level down to a number: the one that is picked of each word on the way.
    fn down(&self, height: usize, at: usize, word: u64, pick: impl Fn(u64) -> u32) -> usize {
        let mut found = at * 64 + pick(word) as usize;
        for level in self.levels[..height].iter().rev() {
            found = found * 64 + pick(level[found]) as usize;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn neighbours_are_those_of_a_plain_set(
            limit in prop_oneof![1usize..200, 4000usize..5000, 270_000usize..300_000],
            steps in prop::collection::vec((0usize..300_000, any::<bool>()), 1..200),
        ) {
            let (mut set, mut plain) = (NumberSet::new(limit), BTreeSet::new());
            for (number, add) in steps {
                let number = number % limit;
                if add {
                    set.insert(number);
                    plain.insert(number);
                } else {
                    set.remove(number);
                    plain.remove(&number);
                }
                for at in [number, number + 1, 0, limit, limit / 2] {
                    prop_assert_eq!(set.below(at), plain.range(..at).next_back().copied());
                    prop_assert_eq!(set.from(at), plain.range(at..).next().copied());
                }
            }
        }
    }
}
