//! Lists of numbers in one piece of memory.

use alloc::vec;
use alloc::vec::Vec;

/// For each of some items a list of numbers: compressed sparse rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Csr {
    /// Where each list begins; one more than there are lists.
    starts: Vec<u32>,
    numbers: Vec<u32>,
}

impl Csr {
    /// Lists from (item, number) pairs; each list is ascending and has each number once.
    pub(crate) fn of_pairs(items: usize, mut pairs: Vec<(u32, u32)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        let mut starts = vec![0; items + 1];
        for &(item, _) in &pairs {
            starts[item as usize + 1] += 1;
        }
        for item in 0..items {
            starts[item + 1] += starts[item];
        }
        Self { starts, numbers: pairs.into_iter().map(|(_, number)| number).collect() }
    }

    /// The same pairs from the other side, for numbers below `items`.
    pub(crate) fn reversed(&self, items: usize) -> Self {
        let pairs = (0..self.len() as u32).flat_map(|item| self.of(item).iter().map(move |&n| (n, item)));
        Self::of_pairs(items, pairs.collect())
    }

    /// The list of an item.
    pub(crate) fn of(&self, item: u32) -> &[u32] {
        &self.numbers[self.starts[item as usize] as usize..self.starts[item as usize + 1] as usize]
    }

    /// Number of lists.
    pub(crate) fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Number of numbers in all lists.
    pub(crate) fn total(&self) -> usize {
        self.numbers.len()
    }
}
