//! A step that has happened.

use super::plan::{Planned, Row, Share};
use super::{Admission, Finish, Request, Running, Scheduler};
use crate::cache::{CacheError, Log, TableId};
use crate::event::Event;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

/// What came of a row whose next token was wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The row's table: of several candidates the one that is taken.
    pub table: TableId,
    /// The tokens that were generated: those of the candidate that were accepted, and the one that follows them. At
    /// least one, at most as many as the row has.
    pub tokens: Vec<u32>,
    /// Whether the sequence ends here: it generated an end, or is not wanted any more.
    pub stop: bool,
}

/// Why a step cannot be committed; it is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitError {
    /// A sequence has a row whose token was wanted, and no outcome.
    Missing(u64),
    /// An outcome is not of a row whose token was wanted, or there are two of a sequence.
    Unwanted(TableId),
    /// An outcome has no token, or more than its row.
    Tokens {
        /// The row's table.
        table: TableId,
        /// Tokens given.
        given: u64,
        /// The most there can be.
        most: u32,
    },
    /// The tables cannot be changed.
    Cache(CacheError),
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(sequence) => {
                write!(f, "sequence {sequence} was computed and no token of it is given")
            }
            Self::Unwanted(table) => write!(f, "no token of {table} was asked for"),
            Self::Tokens { table, given, most } => {
                write!(f, "{given} tokens are given of {table}; there is at least 1, and at most {most}")
            }
            Self::Cache(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for CommitError {}

impl From<CacheError> for CommitError {
    fn from(error: CacheError) -> Self {
        Self::Cache(error)
    }
}

impl Planned<'_> {
    /// Lets the step hold, with what came of it: one outcome for each sequence whose token was wanted. Sequences that are
    /// at their end leave the pool.
    ///
    /// # Errors
    /// [`CommitError`]; the step is taken back.
    pub fn commit(mut self, outcomes: &[Outcome]) -> Result<Vec<Event>, CommitError> {
        let given = check(&self.rows, outcomes)?;
        let (scheduler, log) = (&mut *self.scheduler, &mut self.log);
        let shares = self.draft.shares.iter().copied().chain(self.draft.admitted.iter().map(|new| new.share));
        let mut ends = Vec::new();
        for (at, share) in shares.enumerate() {
            let running = scheduler.running.get(at);
            let newcomer = self.draft.admitted.get(at.wrapping_sub(scheduler.running.len()));
            let request = running.map(|running| &running.request);
            let request = request.or(newcomer.map(|new| &scheduler.queue[new.at].request));
            let Some(request) = request else { break };
            let (sequence, max_new) = (request.sequence, request.max_new);
            let before = running.map_or(0, |running| running.generated);
            let next = running.and_then(|running| running.next);
            let outcome = given.get(&sequence).copied();
            let generated = before + outcome.map_or(0, |outcome| outcome.tokens.len() as u32);
            if let (Share::Speculate { lanes, .. }, Some(outcome)) = (share, outcome) {
                scheduler.accept(log, outcome, next, lanes)?;
            }
            let end = match outcome {
                None => share.failure(),
                Some(outcome) if outcome.stop => Some(Finish::Stop),
                Some(_) => (generated >= max_new).then_some(Finish::Length),
            };
            if let Some(why) = end {
                scheduler.cache.close(log, TableId::of(sequence))?;
                log.tell(Event::Finished { sequence, why, generated });
            }
            ends.push(end.is_some());
        }
        // From here on nothing can fail.
        self.queue_on();
        self.run_on(&given, &ends);
        Ok(core::mem::take(&mut self.log).into_events())
    }

    /// The running sequences with what they generated, without those that are at their end.
    fn run_on(&mut self, given: &BTreeMap<u64, &Outcome>, ends: &[bool]) {
        let running = &mut self.scheduler.running;
        for (one, share) in running.iter_mut().zip(&self.draft.shares) {
            one.stalled = if matches!(share, Share::Stalled(_)) { one.stalled + 1 } else { 0 };
        }
        for one in running.iter_mut() {
            if let Some(outcome) = given.get(&one.request.sequence) {
                one.generated += outcome.tokens.len() as u32;
                one.next = outcome.tokens.last().copied();
            }
        }
        let mut ends = ends.iter();
        running.retain(|_| !ends.next().copied().unwrap_or(false));
    }

    /// Those that came in run; the queue without them, and why the others wait.
    fn queue_on(&mut self) {
        let queue = &mut self.scheduler.queue;
        let admitted = &self.draft.admitted;
        for overtaking in admitted.iter().filter(|admitted| admitted.overtakes > 0) {
            let stays = |at: &usize| admitted.iter().all(|other| other.at != *at);
            for at in (0..overtaking.at).filter(stays) {
                queue[at].overtaken += 1;
            }
        }
        for (waiting, why) in queue.iter_mut().zip(&self.draft.waits) {
            waiting.why = *why;
        }
        let came = admitted.iter().rev().filter_map(|admitted| queue.remove(admitted.at));
        let came: Vec<Request> = came.map(|waiting| waiting.request).collect();
        let new = |request| Running { request, generated: 0, stalled: 0, next: None };
        self.scheduler.running.extend(came.into_iter().rev().map(new));
    }
}

impl Scheduler {
    /// Takes what was accepted of a candidate.
    fn accept(
        &mut self,
        log: &mut Log,
        outcome: &Outcome,
        next: Option<u32>,
        lanes: u32,
    ) -> Result<(), CacheError> {
        let (table, sequence) = (outcome.table, outcome.table.sequence);
        let accepted = outcome.tokens.split_last().map_or(&[][..], |(_, accepted)| accepted);
        self.cache.push(log, table, next.as_slice())?;
        self.cache.push(log, table, accepted)?;
        if table.lane > 0 {
            self.take_lane(log, sequence, table.lane, lanes)?;
        }
        let room = if self.admission == Admission::Contiguous { self.limits.context } else { 0 };
        self.cache.trim(log, TableId::of(sequence), room)
    }
}

/// The outcomes by sequence: each sequence whose token was wanted has one, and there are no others.
fn check<'o>(rows: &[Row], outcomes: &'o [Outcome]) -> Result<BTreeMap<u64, &'o Outcome>, CommitError> {
    let wanted: BTreeMap<TableId, &Row> =
        rows.iter().filter(|row| row.wanted).map(|row| (row.table, row)).collect();
    let mut given = BTreeMap::new();
    for outcome in outcomes {
        let table = outcome.table;
        let row = wanted.get(&table).ok_or(CommitError::Unwanted(table))?;
        // What is not drafted has one token after its last.
        let most = if row.tokens.len() == row.count as usize { 1 } else { row.count };
        let tokens = outcome.tokens.len() as u64;
        if tokens == 0 || tokens > u64::from(most) {
            return Err(CommitError::Tokens { table, given: tokens, most });
        }
        if given.insert(table.sequence, outcome).is_some() {
            return Err(CommitError::Unwanted(table));
        }
    }
    match wanted.keys().find(|table| !given.contains_key(&table.sequence)) {
        Some(table) => Err(CommitError::Missing(table.sequence)),
        None => Ok(given),
    }
}
