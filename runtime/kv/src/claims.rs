//! What running sequences may still ask for, and whether the pool can give it.
//!
//! ```text
//!  blocks                         staircase: all grow by one token a step until each one's end;
//!    N  ┤- - - - - - - - - - -    the peaks lie at the ends, so that only these are looked at
//!       │        ╭┐    ╭──┐
//!       │   ╭────╯│ ╭──╯  │       safe: some order in which each one can finish with what is free then,
//!       │╭──╯     ╰─╯     │       the others standing still (the banker's algorithm, Dijkstra 1965)
//!       ┼┴────────────────┴──► steps
//! ```
//!
//! Where the staircase holds the state is safe: at the first end all blocks of that sequence are there while the others have
//! grown, so the more while they stand still, and so on from end to end. A block that several tables hold counts once,
//! and comes back with the last of them. A partly filled block that several hold counts for each of them: whoever writes
//! first takes a copy.

use crate::cache::{Cache, Table, TableId};
use crate::pool::BlockId;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;

/// A sequence and the tokens that it may come to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The sequence.
    pub sequence: u64,
    /// Tokens that it will hold for certain before it grows one by one: its prompt, or what this step adds.
    pub soon: u64,
    /// The most tokens that it will ever hold.
    pub total: u64,
}

/// The fullest moment of a staircase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peak {
    /// In how many steps.
    pub steps: u64,
    /// What is held then: blocks, or tokens where those are counted.
    pub held: u64,
}

/// Sequences that grow by a token a step, each until its end.
#[derive(Clone, Debug, Default)]
pub struct Staircase {
    unit: u64,
    /// By their ends, the earliest first.
    stairs: Vec<Stair>,
}

#[derive(Clone, Copy, Debug)]
struct Stair {
    /// Steps until it holds all of its tokens; after that step it is gone.
    end: u64,
    /// Tokens now.
    tokens: u64,
    /// Blocks that others hold which end later: they count there.
    elsewhere: u64,
    sequence: u64,
}

impl Stair {
    fn held(&self, steps: u64, unit: u64) -> u64 {
        (self.tokens + steps).div_ceil(unit) - self.elsewhere
    }
}

impl Staircase {
    /// Of claims on a pool, in blocks.
    pub fn of(cache: &Cache, claims: &[Claim]) -> Self {
        let mut stairs = Self::counted(cache.pool().block_tokens().into(), cache, claims);
        if cache.pool().shared() > 0 {
            // From the last end to the first: a block counts where it is met first.
            let mut met = BTreeSet::new();
            for stair in stairs.stairs.iter_mut().rev() {
                let shared = shared_blocks(cache, stair.sequence);
                stair.elsewhere = shared.filter(|block| !met.insert(*block)).count() as u64;
            }
        }
        stairs
    }

    /// Of claims in units of so many tokens, each sequence by itself.
    pub fn counted(unit: u64, cache: &Cache, claims: &[Claim]) -> Self {
        let stair = |claim: &Claim| {
            let held = cache.table(TableId::of(claim.sequence)).map_or(0, Table::len);
            let tokens = held.max(claim.soon).min(claim.total);
            Stair { end: claim.total - tokens, tokens, elsewhere: 0, sequence: claim.sequence }
        };
        let mut stairs: Vec<Stair> = claims.iter().map(stair).collect();
        stairs.sort_by_key(|stair| stair.end);
        Self { unit: unit.max(1), stairs }
    }

    /// How many sequences.
    pub fn len(&self) -> usize {
        self.stairs.len()
    }

    /// Whether there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.stairs.is_empty()
    }

    /// The fullest moment; the first of several.
    pub fn peak(&self) -> Peak {
        let mut best = Peak::default();
        self.ends(|peak| {
            if peak.held > best.held {
                best = peak;
            }
        });
        best
    }

    /// What is held at each end, in order.
    ///
    /// Σ⌈(tokens + steps)/unit⌉ over those that are still there is kept as a sum of whole units and, for each remainder,
    /// how many sequences have it.
    fn ends(&self, mut tell: impl FnMut(Peak)) {
        let unit = self.unit;
        let (mut whole, mut elsewhere) = (0, 0);
        let mut remainders = vec![0u64; unit as usize];
        for stair in &self.stairs {
            whole += stair.tokens / unit;
            remainders[(stair.tokens % unit) as usize] += 1;
            elsewhere += stair.elsewhere;
        }
        let mut at = 0;
        while let Some(&Stair { end, .. }) = self.stairs.get(at) {
            let rest = |(remainder, count): (usize, &u64)| count * (remainder as u64 + end).div_ceil(unit);
            let held = whole + remainders.iter().enumerate().map(rest).sum::<u64>() - elsewhere;
            tell(Peak { steps: end, held });
            while let Some(stair) = self.stairs.get(at).filter(|stair| stair.end == end) {
                whole -= stair.tokens / unit;
                remainders[(stair.tokens % unit) as usize] -= 1;
                elsewhere -= stair.elsewhere;
                at += 1;
            }
        }
    }

    /// What is held in so many steps.
    fn held(&self, steps: u64) -> u64 {
        let there = self.stairs.iter().filter(|stair| stair.end >= steps);
        there.map(|stair| stair.held(steps, self.unit)).sum()
    }

    /// In how many steps a sequence can begin, if nobody ends early; `limit` + 1 where that is later.
    pub fn start(&self, new: Newcomer, limit: u64) -> u64 {
        let mut ends = Vec::new();
        self.ends(|peak| ends.push(peak));
        // The end at which it did not fit in the step before is mostly the one at which it does not fit now.
        let mut witness = 0;
        (0..=limit)
            .find(|start| self.fits(new, *start, &ends, &mut witness))
            .unwrap_or(limit.saturating_add(1))
    }

    fn fits(&self, new: Newcomer, start: u64, ends: &[Peak], witness: &mut usize) -> bool {
        let last = start + (new.total - new.tokens);
        let with = |at: u64, held: u64| {
            let own = (new.tokens + (at - start)).div_ceil(self.unit).saturating_sub(new.found);
            held + own <= new.capacity
        };
        let fits = |peak: &Peak| !(start..=last).contains(&peak.steps) || with(peak.steps, peak.held);
        if ends.get(*witness).is_some_and(|peak| !fits(peak)) {
            return false;
        }
        if let Some(at) = ends.iter().position(|peak| !fits(peak)) {
            *witness = at;
            return false;
        }
        let there = self.stairs.len() - self.stairs.partition_point(|stair| stair.end < start);
        (there as u64) < new.parallel && with(last, self.held(last))
    }
}

/// A sequence that is to come in.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer {
    /// Tokens that it brings.
    pub tokens: u64,
    /// The most tokens that it will hold.
    pub total: u64,
    /// Units of these that are held already.
    pub found: u64,
    /// Units that there are.
    pub capacity: u64,
    /// Sequences that may run at once.
    pub parallel: u64,
}

/// Blocks that a sequence shares for as long as it runs. The one that its next token goes into is not among them.
fn shared_blocks(cache: &Cache, sequence: u64) -> impl Iterator<Item = BlockId> + '_ {
    let table = cache.table(TableId::of(sequence));
    let tail = table.and_then(|table| cache.shared_tail(table));
    let blocks = table.map_or(&[][..], Table::blocks).iter().enumerate();
    blocks
        .filter(move |(at, block)| cache.pool().count(**block) > 1 && Some(*at) != tail)
        .map(|(_, block)| *block)
}

/// Whether all sequences can finish one after the other, whatever each one asks for.
pub fn safe(cache: &Cache, claims: &[Claim]) -> bool {
    let pool = cache.pool();
    let need = |claim: &Claim| {
        let table = cache.table(TableId::of(claim.sequence))?;
        let all = pool.blocks_for(claim.total.max(table.len()));
        let copy = u64::from(claim.total > table.len() && cache.shared_tail(table).is_some());
        let held = table.blocks().len() as u64;
        // Whoever copies gives the copy back as well.
        Some((all.saturating_sub(held) + copy, all.max(held) + copy, claim.sequence))
    };
    let mut needs: Vec<(u64, u64, u64)> = claims.iter().filter_map(need).collect();
    needs.sort_unstable();
    let mut free = u64::from(pool.free());
    let mut holders: BTreeMap<BlockId, u32> = BTreeMap::new();
    for (need, all, sequence) in needs {
        if need > free {
            return false;
        }
        let mut back = all;
        if pool.shared() > 0 {
            let Some(table) = cache.table(TableId::of(sequence)) else { continue };
            for block in table.blocks().iter().filter(|block| pool.count(**block) > 1) {
                let left = holders.entry(*block).or_insert_with(|| pool.count(*block));
                *left -= 1;
                back -= u64::from(*left > 0);
            }
        }
        // It takes what it needs, finishes, and gives back what nobody else holds.
        free = free - need + back;
    }
    true
}
