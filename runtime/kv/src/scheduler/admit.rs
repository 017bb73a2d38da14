//! Who of the queue comes in.

use super::plan::{Admitted, Draft, Share};
use super::{Admission, Request, Scheduler, Wait};
use crate::cache::{Log, TableId};
use crate::claims::{Claim, Newcomer, Staircase};
use crate::event::Event;
use crate::policy::Weights;
use alloc::vec::Vec;

/// How many behind the first that waits are asked whether they can come before it.
const LOOKED_AT: usize = 16;

/// The first that waits, and in how many steps it can begin.
struct First {
    at: usize,
    start: u64,
}

/// A request that could come in.
struct Entry {
    share: Share,
    found: u64,
    claim: Claim,
}

impl Scheduler {
    /// Admits those that fit, in order, and notes why the others wait.
    pub(super) fn admit(&mut self, log: &mut Log, draft: &mut Draft) {
        let gate = self.gate(draft);
        let mut claims = self.claims(&draft.shares);
        let mut first: Option<First> = None;
        for at in 0..self.queue.len() {
            if first.as_ref().is_some_and(|first| at > first.at + LOOKED_AT) {
                break;
            }
            let entered = match gate {
                Some(why) => Err(why),
                None => self.ask(log, at, &claims, draft, first.as_ref()),
            };
            match entered {
                Ok(Entry { share, found, claim }) => {
                    claims.push(claim);
                    if let Share::Prompt { count, .. } = share {
                        draft.left -= count;
                    }
                    let overtaken = self.queue[at].overtaken;
                    log.tell(Event::Admitted { sequence: claim.sequence, found, overtaken });
                    let overtakes = if first.is_some() { at - draft.admitted.len() } else { 0 };
                    draft.admitted.push(Admitted { at, share, overtakes });
                    draft.waits.push(None);
                }
                Err(why) => {
                    let waiting = &self.queue[at];
                    if waiting.why != Some(why) {
                        log.tell(Event::Waits { sequence: waiting.request.sequence, why });
                    }
                    draft.waits.push(Some(why));
                    if first.is_none() {
                        let start = if gate.is_none() { self.start(&claims, at) } else { 0 };
                        first = Some(First { at, start });
                    }
                }
            }
        }
    }

    /// What keeps everybody out.
    fn gate(&self, draft: &Draft) -> Option<Wait> {
        let stalled = |(running, share): (&super::Running, &Share)| {
            matches!(share, Share::Stalled(_)).then_some(running.request.sequence)
        };
        let sequence = self.running.iter().zip(&draft.shares).find_map(stalled);
        self.pressure.map(Wait::Budget).or(sequence.map(|sequence| Wait::Stalled { sequence }))
    }

    /// Lets a request in, or says why not.
    fn ask(
        &mut self,
        log: &mut Log,
        at: usize,
        claims: &[Claim],
        draft: &Draft,
        first: Option<&First>,
    ) -> Result<Entry, Wait> {
        if claims.len() as u64 >= u64::from(self.limits.parallel) {
            return Err(Wait::Sequences { running: claims.len() as u64 });
        }
        if draft.left == 0 {
            return Err(Wait::Chunk { chunk: self.limits.chunk });
        }
        if let Some(first) = first {
            self.may_overtake(at, first, draft)?;
        }
        let mark = log.mark();
        let entered = self.enter(log, at, claims, draft);
        if entered.is_err() {
            self.cache.back(log, mark);
        }
        entered
    }

    /// Whether a request may come before the first that waits: it would be gone before that one could begin, and nobody
    /// whom it overtakes was overtaken too often.
    fn may_overtake(&self, at: usize, first: &First, draft: &Draft) -> Result<(), Wait> {
        let waits = |other: usize| draft.waits.get(other).is_some_and(Option::is_some);
        let now = |other: usize| {
            draft.admitted.iter().filter(|new| new.overtakes > 0 && new.at > other).count() as u32
        };
        let patient = |other: usize| self.queue[other].overtaken + now(other) < self.limits.overtakes;
        let request = &self.queue[at].request;
        let rest = request.prompt.len() as u64 - self.finds(request);
        let gone = rest <= u64::from(draft.left) && u64::from(request.max_new) <= first.start;
        let allowed = self.admission == Admission::Exact
            && gone
            && (first.at..at).all(|other| !waits(other) || patient(other));
        let sequence = self.queue[first.at].request.sequence;
        if allowed { Ok(()) } else { Err(Wait::Behind { sequence }) }
    }

    /// Opens a request's table, asks the policy, and gives it what is left of the step.
    fn enter(&mut self, log: &mut Log, at: usize, claims: &[Claim], draft: &Draft) -> Result<Entry, Wait> {
        let request = &self.queue[at].request;
        let table = TableId::of(request.sequence);
        let (prompt, total) = (request.prompt.len() as u64, request.total());
        // Only blocks can be shared that are counted as blocks.
        let known = if self.admission == Admission::Exact { &request.prompt[..] } else { &[] };
        let full = |need: u64, cache: &crate::Cache| Wait::Blocks {
            need,
            blocks: cache.pool().blocks().into(),
            steps: 0,
        };
        let found = self.cache.open(log, table, known).map_err(|_| full(0, &self.cache))?;
        let claim = Claim { sequence: request.sequence, soon: prompt, total };
        let count = (prompt - found).min(draft.left.into()) as u32;
        let room = match self.admission {
            Admission::Exact => {
                self.fits(claims, claim)?;
                count.into()
            }
            Admission::Ibm98(weights) => {
                self.weighs(&weights, claims, claim, draft)?;
                count.into()
            }
            Admission::Contiguous => self.limits.context,
        };
        let reserved = self.cache.reserve(log, table, room);
        if let (Err(_), Admission::Ibm98(_)) = (reserved, self.admission) {
            return Ok(Entry { share: Share::Failed, found, claim });
        }
        let from = found as usize;
        let tokens = &self.queue[at].request.prompt[from..from + count as usize];
        let need = self.cache.pool().blocks_for(room);
        reserved.and_then(|()| self.cache.push(log, table, tokens)).map_err(|_| full(need, &self.cache))?;
        Ok(Entry { share: Share::Prompt { start: found, count }, found, claim })
    }

    /// Whether the staircase with a claim more stays within the pool.
    fn fits(&self, claims: &[Claim], claim: Claim) -> Result<(), Wait> {
        let mut all = claims.to_vec();
        all.push(claim);
        let peak = Staircase::of(&self.cache, &all).peak();
        let blocks = u64::from(self.cache.pool().blocks());
        if peak.held <= blocks {
            Ok(())
        } else {
            Err(Wait::Blocks { need: peak.held, blocks, steps: peak.steps })
        }
    }

    /// Whether a claim more stays within what a fitted model lets be used: the tokens that all come to hold, and the prompts
    /// of this step beside those that are held.
    fn weighs(&self, weights: &Weights, claims: &[Claim], claim: Claim, draft: &Draft) -> Result<(), Wait> {
        let mut all = claims.to_vec();
        all.push(claim);
        let peak = Staircase::counted(1, &self.cache, &all).peak();
        if peak.held > weights.tokens() {
            return Err(Wait::Weight { need: weights.kept(peak.held), limit: weights.limit as f64 });
        }
        let admitted = draft.admitted.iter().map(|admitted| &self.queue[admitted.at].request);
        let prompts = admitted.map(|request| weights.prefill(request.prompt.len() as u64)).sum::<f64>();
        let held: u64 = self.running.iter().map(|running| self.held(running.request.sequence)).sum();
        let (need, limit) =
            (prompts + weights.prefill(claim.soon), weights.limit as f64 - weights.kept(held));
        if need <= limit { Ok(()) } else { Err(Wait::Weight { need, limit }) }
    }

    /// In how many steps a request could begin, as far as it matters to those that might come before it.
    fn start(&self, claims: &[Claim], at: usize) -> u64 {
        let (request, pool) = (&self.queue[at].request, self.cache.pool());
        let behind = self.queue.range(at + 1..).take(LOOKED_AT);
        let Some(limit) = behind.map(|waiting| u64::from(waiting.request.max_new)).max() else { return 0 };
        if self.admission != Admission::Exact || self.queue[at].overtaken >= self.limits.overtakes {
            return 0;
        }
        let new = Newcomer {
            tokens: request.prompt.len() as u64,
            total: request.total(),
            found: pool.blocks_for(self.finds(request)),
            capacity: pool.blocks().into(),
            parallel: self.limits.parallel.into(),
        };
        Staircase::of(&self.cache, claims).start(new, limit)
    }

    fn finds(&self, request: &Request) -> u64 {
        self.cache.finds(&request.prompt)
    }

    /// Why a request waits, by its place in the queue, as of the last step; those far behind wait for the first.
    pub fn why(&self, at: usize) -> Option<Wait> {
        let own = self.queue.get(at)?.why;
        let first = self.queue.front().filter(|_| at > 0).map(|first| first.request.sequence);
        own.or(first.map(|sequence| Wait::Behind { sequence }))
    }

    /// What is held when all that run have grown to the fullest moment, in blocks: what admission goes by.
    pub fn peak(&self) -> crate::Peak {
        let claims: Vec<Claim> = self.running.iter().map(|running| running.claim(0)).collect();
        Staircase::of(&self.cache, &claims).peak()
    }
}
