//! A lower bound on the bytes that any order of a region holds at once.

use alloc::vec;
use alloc::vec::Vec;

use super::region::{Held, Region};

/// Words of bits of one row: so many nodes times 64 are looked at together, which bounds the memory of all rows.
const WORDS: usize = 64;

/// Most words that all rows together may come to: half a second.
const MOST_WORDS: usize = 1 << 28;

/// The node with the most bytes that are there whenever it runs, and those bytes.
///
/// When a node runs, all nodes before which it must not run have run, and none of those that must not run before it.
/// So a value is there if the node or one that must precede it touches it (or it was there from the start), and the
/// node or one that must follow touches it too (or it stays). That counts the node's inputs and outputs, and what is
/// kept for later beside them.
///
/// ```text
///   a ─► b ─► c ─► d        while b runs: what it reads and writes, and skip, which a has made and d will read
///   └──── skip ────┘
/// ```
pub(crate) fn bound(region: &Region) -> (u64, u32) {
    let words =
        region.len().div_ceil(64) * (region.successors.total() + region.touches.total() + region.len());
    let sure = if words <= MOST_WORDS { surely(region) } else { touched(region) };
    let with_own = |(node, bytes): (usize, u64)| {
        let spares = region.overwrites.of(node as u32).iter().any(|&value| {
            let held = &region.values[value as usize];
            // Seen from behind: an operand that is there at the end cannot have been overwritten.
            if region.backward { !held.started } else { !held.survives }
        });
        let saved = if spares { region.saved[node] } else { 0 };
        ((bytes + region.scratch[node]).saturating_sub(saved), node as u32)
    };
    // The first node on a tie.
    let most = sure.into_iter().enumerate().map(with_own).chain(ends(region));
    most.fold((0, 0), |most, next| if next.0 > most.0 { next } else { most })
}

/// What is there before the first node and after the last, with a node that is the first or last of some order.
fn ends(region: &Region) -> [(u64, u32); 2] {
    let sum = |there: fn(&Held) -> bool| region.values.iter().filter(|h| there(h)).map(|h| h.size).sum();
    let last = (region.len() as u32).saturating_sub(1);
    let ends = [(sum(|held| held.started), 0), (sum(|held| held.survives), last)];
    if region.backward { [(ends[0].0, last), (ends[1].0, 0)] } else { ends }
}

/// For each node, the bytes of what it touches.
fn touched(region: &Region) -> Vec<u64> {
    let size = |&value: &u32| region.values[value as usize].size;
    (0..region.len() as u32).map(|node| region.touches.of(node).iter().map(size).sum()).collect()
}

/// For each node, the bytes of all values that are there whenever it runs.
fn surely(region: &Region) -> Vec<u64> {
    let count = region.len();
    // The nodes of a region are numbered in an order in which they can run, from behind if it is turned.
    let forward: Vec<u32> = (0..count as u32).collect();
    let backward: Vec<u32> = forward.iter().rev().copied().collect();
    let (up, down) = if region.backward { (&backward, &forward) } else { (&forward, &backward) };
    let users = region.touches.reversed(region.values.len());
    let mut bytes = vec![0; count];
    for first in (0..count).step_by(64 * WORDS) {
        let columns = Columns { first, words: (count - first).div_ceil(64).min(WORDS) };
        let ancestors = columns.closed(up, |node| region.predecessors.of(node));
        let descendants = columns.closed(down, |node| region.successors.of(node));
        for (value, held) in region.values.iter().enumerate() {
            let users = users.of(value as u32);
            columns.add(held, users, &ancestors, &descendants, &mut bytes);
        }
    }
    bytes
}

/// Some of the nodes, as columns of bits.
struct Columns {
    first: usize,
    words: usize,
}

impl Columns {
    /// For each node a row of bits: which of these nodes are itself or can be reached from it by `next`. `order` has
    /// what can be reached first.
    fn closed<'a>(&self, order: &[u32], next: impl Fn(u32) -> &'a [u32]) -> Vec<u64> {
        let mut rows = vec![0u64; order.len() * self.words];
        let mut row = vec![0u64; self.words];
        for &node in order {
            row.fill(0);
            if let Some(word) = (node as usize).checked_sub(self.first).and_then(|at| row.get_mut(at / 64)) {
                *word |= 1 << ((node as usize - self.first) % 64);
            }
            for &other in next(node) {
                let other = other as usize * self.words..(other as usize + 1) * self.words;
                row.iter_mut().zip(&rows[other]).for_each(|(word, other)| *word |= other);
            }
            rows[node as usize * self.words..(node as usize + 1) * self.words].copy_from_slice(&row);
        }
        rows
    }

    /// Adds a value's bytes at those of the columns where it is sure to be there.
    fn add(&self, held: &Held, users: &[u32], ancestors: &[u64], descendants: &[u64], bytes: &mut [u64]) {
        if held.size == 0 || users.is_empty() && !(held.started && held.survives) {
            return;
        }
        for at in 0..self.words {
            let any = |rows: &[u64]| {
                users.iter().fold(0, |word, &user| word | rows[user as usize * self.words + at])
            };
            // It has begun at all nodes that follow a user, and is needed at all that precede one.
            let begun = if held.started { u64::MAX } else { any(descendants) };
            let mut both = begun & if held.survives { u64::MAX } else { any(ancestors) };
            while both != 0 {
                let node = self.first + at * 64 + both.trailing_zeros() as usize;
                if let Some(bytes) = bytes.get_mut(node) {
                    *bytes += held.size;
                }
                both &= both - 1;
            }
        }
    }
}
