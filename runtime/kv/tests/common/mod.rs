//! A device for schedulers: rows of memory that really are written, copied and read, and a model that follows from what
//! they hold.
#![allow(dead_code)]

use bayplan_kv::{BlockId, Event, Outcome, Planned, Row, Scheduler};
use std::collections::{BTreeMap, BTreeSet};

/// Tokens that there are.
pub(crate) const VOCABULARY: u64 = 5;

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (value ^ (value >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb) ^ (value >> 17)
}

/// What the keys and values of a token are: they follow from all tokens up to it.
pub(crate) fn state(before: u64, token: u32) -> u64 {
    mix(before.wrapping_mul(31).wrapping_add(u64::from(token) + 1))
}

/// The token that follows, as the model has it.
pub(crate) fn next(state: u64) -> u32 {
    (mix(state ^ 0x5eed) % VOCABULARY) as u32
}

/// Whether a sequence ends after a token. So many in a thousand do.
pub(crate) fn ends(state: u64, per_mille: u64) -> bool {
    mix(state ^ 0xe0d) % 1000 < per_mille
}

/// What a sequence generates on its own, without a cache.
pub(crate) fn alone(prompt: &[u32], max_new: u32, per_mille: u64) -> Vec<u32> {
    let mut at = prompt.iter().fold(0, |at, token| state(at, *token));
    let mut text = Vec::new();
    while (text.len() as u32) < max_new {
        let token = next(at);
        text.push(token);
        if ends(at, per_mille) {
            break;
        }
        at = state(at, token);
    }
    text
}

/// Memory with a row for each token of the pool.
#[derive(Clone)]
pub(crate) struct Device {
    rows: Vec<u64>,
    /// Rows that the step has written.
    written: BTreeSet<u64>,
    each: usize,
    per_mille: u64,
    /// How often a drafted token is right, in ten.
    pub(crate) luck: u64,
    /// What was generated.
    pub(crate) texts: BTreeMap<u64, Vec<u32>>,
}

impl Device {
    pub(crate) fn new(scheduler: &Scheduler, per_mille: u64) -> Self {
        let (blocks, each) =
            (scheduler.cache().pool().blocks(), scheduler.cache().pool().block_tokens() as usize);
        Self {
            written: BTreeSet::new(),
            rows: vec![u64::MAX; blocks as usize * each],
            each,
            per_mille,
            luck: 7,
            texts: BTreeMap::new(),
        }
    }

    fn row(&self, blocks: &[BlockId], at: u64) -> usize {
        blocks[at as usize / self.each].0 as usize * self.each + at as usize % self.each
    }

    /// Copies, writes, reads: what a step does on a device. Panics where a sequence does not read what it wrote.
    pub(crate) fn run(&mut self, planned: &Planned<'_>) -> Vec<Outcome> {
        self.written.clear();
        for event in planned.events() {
            if let Event::Copied { from, to, rows, .. } = event {
                for row in 0..*rows as usize {
                    self.rows[to.0 as usize * self.each + row] = self.rows[from.0 as usize * self.each + row];
                }
            }
        }
        let mut tokens: Vec<Vec<u32>> = planned.rows().iter().map(|row| row.tokens.clone()).collect();
        // What stands before a row may be written by another one in this step: all writes come before all reads, and a row
        // knows its tokens. Rows are written in the order of their positions here, since states follow from states.
        let mut order: Vec<usize> = (0..tokens.len()).collect();
        order.sort_by_key(|at| planned.rows()[*at].start);
        for at in order {
            self.write(planned, &planned.rows()[at], &mut tokens[at]);
        }
        let mut outcomes: BTreeMap<u64, (Outcome, usize)> = BTreeMap::new();
        for (row, tokens) in planned.rows().iter().zip(&tokens) {
            let Some((outcome, right)) = self.read(planned, row, tokens) else { continue };
            let best = outcomes.get(&row.table.sequence).is_none_or(|(_, best)| right > *best);
            if best {
                outcomes.insert(row.table.sequence, (outcome, right));
            }
        }
        outcomes.into_values().map(|(outcome, _)| outcome).collect()
    }

    fn write(&mut self, planned: &Planned<'_>, row: &Row, tokens: &mut Vec<u32>) {
        let blocks = planned.table(row);
        let slots: Vec<u64> = planned.slots(row).collect();
        assert_eq!(slots.len(), row.count as usize);
        let mut before = match row.start {
            0 => 0,
            start => self.rows[self.row(blocks, start - 1)],
        };
        for (at, slot) in slots.into_iter().enumerate() {
            if at >= tokens.len() {
                // Candidates differ, and are right now and then.
                let lucky = mix(before ^ u64::from(row.table.lane) << 7) % 10 < self.luck;
                let guess = mix(before ^ 0xbad ^ u64::from(row.table.lane)) % VOCABULARY;
                tokens.push(if lucky { next(before) } else { guess as u32 });
            }
            before = state(before, tokens[at]);
            assert!(self.written.insert(slot), "{} writes what another one writes", row.table);
            self.rows[slot as usize] = before;
        }
    }

    /// Every token that is read is the one of this sequence. The tokens that are accepted, and how many of a candidate.
    fn read(&self, planned: &Planned<'_>, row: &Row, tokens: &[u32]) -> Option<(Outcome, usize)> {
        let table = planned.scheduler().cache().table(row.table).expect("a table");
        let known = &table.tokens()[..row.start as usize];
        let mut at = 0;
        for (position, token) in known.iter().chain(tokens).enumerate() {
            at = state(at, *token);
            let found = self.rows[self.row(table.blocks(), position as u64)];
            assert_eq!(found, at, "{} reads token {position} of something else", row.table);
        }
        if !row.wanted {
            return None;
        }
        let first = row.start as usize + row.tokens.len() - 1;
        let (mut given, mut stop) = (Vec::new(), false);
        for position in first..row.start as usize + tokens.len() {
            let at = self.rows[self.row(table.blocks(), position as u64)];
            given.push(next(at));
            stop = ends(at, self.per_mille);
            let following = tokens.get(position + 1 - row.start as usize);
            if stop || following != given.last() {
                break;
            }
        }
        let right = given.len();
        Some((Outcome { table: row.table, tokens: given, stop }, right))
    }

    /// What every table holds lies in its blocks, also of those that did nothing in this step.
    pub(crate) fn check(&self, scheduler: &Scheduler) {
        for (id, table) in scheduler.cache().tables() {
            let mut at = 0;
            for (position, token) in table.tokens().iter().enumerate() {
                at = state(at, *token);
                let found = self.rows[self.row(table.blocks(), position as u64)];
                assert_eq!(found, at, "{id} has something else at {position}");
            }
        }
    }

    /// Keeps what was generated.
    pub(crate) fn keep(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            self.texts.entry(outcome.table.sequence).or_default().extend(&outcome.tokens);
        }
    }
}

/// Blocks are counted once for each table that holds them, and are free where nobody does.
pub(crate) fn check_counts(scheduler: &Scheduler) {
    let cache = scheduler.cache();
    let mut counts = vec![0; cache.pool().blocks() as usize];
    for (_, table) in cache.tables() {
        assert!(table.len() <= table.blocks().len() as u64 * u64::from(cache.pool().block_tokens()));
        table.blocks().iter().for_each(|block| counts[block.0 as usize] += 1);
    }
    for (block, count) in counts.iter().enumerate() {
        assert_eq!(*count, cache.pool().count(BlockId(block as u32)), "block {block}");
    }
    let mut free: Vec<u32> = cache.pool().free_list().map(|block| block.0).collect();
    free.sort_unstable();
    let nobody = (0..counts.len() as u32).filter(|block| counts[*block as usize] == 0);
    assert_eq!(free, nobody.collect::<Vec<_>>());
    let shared = counts.iter().filter(|count| **count > 1).count();
    assert_eq!(cache.pool().shared() as usize, shared);
}
