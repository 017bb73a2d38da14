//! Sets of decisions: what a deduction rests on.

use alloc::vec;
use alloc::vec::Vec;

/// 64-bit words of a set.
const WORDS: usize = 8;

/// Depths that have a bit of their own.
const BITS: usize = 64 * WORDS;

/// A set of decisions, each known by its depth in the search tree. Depths that are [`BITS`] apart share a bit,
/// so a set may name a decision too many, never one too few.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Decisions([u64; WORDS]);

impl Decisions {
    pub(super) fn insert(&mut self, depth: usize) {
        self.0[depth % BITS / 64] |= 1 << (depth % 64);
    }

    /// Removes the deepest decision of the tree, unless it shares its bit with another.
    pub(super) fn remove(&mut self, depth: usize) {
        if depth < BITS {
            self.0[depth / 64] &= !(1 << (depth % 64));
        }
    }

    pub(super) fn contains(&self, depth: usize) -> bool {
        self.0[depth % BITS / 64] >> (depth % 64) & 1 == 1
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }
}

/// The sets in use, each named by its number. A set that many jobs share is kept once; what was added since a
/// node was opened goes when the node is taken back.
pub(super) struct Reasons(Vec<Decisions>);

impl Reasons {
    /// The number of the empty set: what holds whatever is decided.
    pub(super) const NONE: u32 = 0;

    pub(super) fn new() -> Self {
        Self(vec![Decisions::default()])
    }

    pub(super) fn get(&self, reason: u32) -> &Decisions {
        &self.0[reason as usize]
    }

    pub(super) fn push(&mut self, decisions: Decisions) -> u32 {
        self.0.push(decisions);
        (self.0.len() - 1) as u32
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }
}
