//! Candidates for the next tokens, in tables of their own.

use super::plan::{Draft, Share};
use super::{Admission, Scheduler};
use crate::cache::{CacheError, Log, TableId};
use crate::claims::safe;
use crate::event::Event;
use crate::policy::speculation_need;

impl Scheduler {
    /// Lets sequences that decode speculate, the oldest first, as far as the rule and the blocks let them.
    pub(super) fn speculate(&mut self, log: &mut Log, draft: &mut Draft) {
        let Some((wanted, rule)) = self.draft else { return };
        let held: u64 = self.cache.tables().map(|(_, table)| table.len()).sum();
        let running = draft.shares.len() + draft.admitted.len();
        let alone = wanted.candidates == 1;
        if !rule.allows(running, held) || (!alone && self.admission == Admission::Contiguous) {
            return;
        }
        for at in 0..draft.shares.len() {
            let request = &self.running[at].request;
            let (sequence, own) = (request.sequence, self.held(request.sequence));
            let count = u64::from(wanted.tokens).min(request.total().saturating_sub(own)) as u32;
            // One token of the step it has already.
            let more = (u64::from(wanted.candidates) * u64::from(count)).saturating_sub(1);
            if draft.shares[at] != Share::Decode || count < 2 || more > u64::from(draft.left) {
                continue;
            }
            let mark = log.mark();
            let need = speculation_need(self.cache.pool(), own, crate::Draft { tokens: count, ..wanted });
            let before = core::mem::replace(
                &mut draft.shares[at],
                Share::Speculate { lanes: wanted.candidates, count },
            );
            let open = self.open_lanes(log, sequence, wanted.candidates, count);
            if open.is_ok() && self.safe_when_done(log, &draft.shares) {
                draft.left -= more as u32;
                continue;
            }
            self.cache.back(log, mark);
            draft.shares[at] = before;
            let free = self.cache.pool().free();
            log.tell(Event::Short { sequence, need, free });
        }
    }

    /// A table for each candidate, with room for its tokens. A single one is the sequence itself.
    fn open_lanes(&mut self, log: &mut Log, sequence: u64, lanes: u32, count: u32) -> Result<(), CacheError> {
        let table = TableId::of(sequence);
        if lanes == 1 {
            return self.cache.reserve(log, table, count.into());
        }
        self.cache.trim(log, table, 0)?;
        (1..=lanes).map(|lane| TableId { sequence, lane }).try_for_each(|lane| {
            self.cache.fork(log, table, lane)?;
            self.cache.reserve(log, lane, count.into())
        })
    }

    /// Whether all can finish once one candidate of each sequence is taken, with all of its tokens.
    fn safe_when_done(&mut self, log: &mut Log, shares: &[Share]) -> bool {
        if self.admission != Admission::Exact {
            return true;
        }
        let mark = log.mark();
        let lanes = self.running.iter().zip(shares).filter_map(|(running, share)| match share {
            Share::Speculate { lanes, .. } if *lanes > 1 => Some((running.request.sequence, *lanes)),
            _ => None,
        });
        let lanes: alloc::vec::Vec<(u64, u32)> = lanes.collect();
        let taken = lanes.iter().try_for_each(|(sequence, lanes)| self.take_lane(log, *sequence, 1, *lanes));
        // Those that come in with this step claim as well: they have tables.
        let mut claims = self.claims(shares);
        let known: alloc::collections::BTreeSet<u64> = claims.iter().map(|claim| claim.sequence).collect();
        let newcomers = self.queue.iter().map(|waiting| &waiting.request);
        let newcomers = newcomers.filter(|request| {
            !known.contains(&request.sequence) && self.cache.table(TableId::of(request.sequence)).is_some()
        });
        claims.extend(newcomers.map(|request| crate::Claim {
            sequence: request.sequence,
            soon: request.prompt.len() as u64,
            total: request.total(),
        }));
        let safe = taken.is_ok() && safe(&self.cache, &claims);
        self.cache.back(log, mark);
        safe
    }

    /// Puts a candidate in its sequence's place and closes the others.
    pub(super) fn take_lane(
        &mut self,
        log: &mut Log,
        sequence: u64,
        chosen: u32,
        lanes: u32,
    ) -> Result<(), CacheError> {
        let lane = |lane| TableId { sequence, lane };
        (1..=lanes)
            .filter(|other| *other != chosen)
            .try_for_each(|other| self.cache.close(log, lane(other)))?;
        self.cache.adopt(log, lane(0), lane(chosen))
    }
}
