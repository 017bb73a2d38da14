//! Tokens of the running sequences: a token for each, the rest of the chunk for prompts.

use super::plan::{Draft, Share};
use super::{Admission, Scheduler, Stall};
use crate::cache::{CacheError, Log, TableId};
use crate::claims::safe;
use alloc::vec::Vec;

/// What a sequence is to get.
#[derive(Clone, Copy)]
struct Wish {
    table: TableId,
    /// Tokens that it holds.
    start: u64,
    tokens: u32,
    /// Whether they are of the prompt.
    prompt: bool,
}

impl Scheduler {
    /// Gives the running sequences their tokens of the step.
    pub(super) fn grow(&mut self, log: &mut Log, draft: &mut Draft) {
        let wishes = self.wishes(draft.left);
        let all = log.mark();
        let together = wishes.iter().try_for_each(|wish| self.give(log, wish, wish.tokens));
        // Mostly all of it can be given. Where not, the oldest is asked first.
        let granted: Vec<u32> = if together.is_ok() && self.stays_safe() {
            wishes.iter().map(|wish| wish.tokens).collect()
        } else {
            self.cache.back(log, all);
            wishes.iter().map(|wish| self.give_most(log, wish)).collect()
        };
        for (wish, tokens) in wishes.iter().zip(granted) {
            draft.left -= tokens;
            draft.shares.push(match tokens {
                0 => self.nothing(wish),
                count if wish.prompt => Share::Prompt { start: wish.start, count },
                _ => Share::Decode,
            });
        }
    }

    fn wishes(&self, chunk: u32) -> Vec<Wish> {
        let mut left = chunk - self.running.len() as u32;
        let wish = |running: &super::Running| {
            let table = TableId::of(running.request.sequence);
            let start = self.held(table.sequence);
            let rest = (running.request.prompt.len() as u64).saturating_sub(start);
            let prompt = rest > 0;
            let more = rest.saturating_sub(1).min(left.into()) as u32;
            left -= more;
            Wish { table, start, tokens: 1 + more, prompt }
        };
        self.running.iter().map(wish).collect()
    }

    /// Tokens of prompts are known and added; what is decoded may yet become a candidate.
    fn give(&mut self, log: &mut Log, wish: &Wish, tokens: u32) -> Result<(), CacheError> {
        self.cache.reserve(log, wish.table, tokens.into())?;
        if !wish.prompt {
            return Ok(());
        }
        let running = self.running.iter().find(|running| running.request.sequence == wish.table.sequence);
        let prompt = running.map_or(&[][..], |running| &running.request.prompt);
        self.cache.push(log, wish.table, &prompt[wish.start as usize..][..tokens as usize])
    }

    /// As many tokens as can be given, at most those that are wished for: more need more blocks.
    fn give_most(&mut self, log: &mut Log, wish: &Wish) -> u32 {
        let (mut low, mut high) = (0, wish.tokens);
        while low < high {
            let middle = high - (high - low) / 2;
            let mark = log.mark();
            let fits = self.give(log, wish, middle).is_ok() && self.stays_safe();
            self.cache.back(log, mark);
            *if fits { &mut low } else { &mut high } = if fits { middle } else { middle - 1 };
        }
        if low > 0 && self.give(log, wish, low).is_err() {
            return 0;
        }
        low
    }

    fn stays_safe(&self) -> bool {
        self.admission != Admission::Exact || {
            let claims: Vec<_> = self.running.iter().map(|running| running.claim(0)).collect();
            safe(&self.cache, &claims)
        }
    }

    fn nothing(&self, wish: &Wish) -> Share {
        let need = self.cache.need(wish.table, 1).unwrap_or(0);
        match self.admission {
            Admission::Exact => Share::Stalled(Stall { need, free: self.cache.pool().free() }),
            _ => Share::Failed,
        }
    }
}
