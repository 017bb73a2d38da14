//! A step as it is planned: who advances by what.

use super::{Finish, Running, Scheduler, Stall, Wait};
use crate::cache::{Log, TableId};
use crate::claims::Claim;
use crate::event::Event;
use crate::pool::BlockId;
use alloc::vec;
use alloc::vec::Vec;

/// Tokens of one table in one step, next to one another in the step's row of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose.
    pub table: TableId,
    /// Tokens before them.
    pub start: u64,
    /// The tokens. Where there are fewer than `count` the rest are to be drafted.
    pub tokens: Vec<u32>,
    /// How many there are to be.
    pub count: u32,
    /// Whether what follows the last of them is wanted: not while a prompt goes on in the next step.
    pub wanted: bool,
}

/// The next step. Committed, it has happened; dropped, it was never planned: pool, tables, queue and running sequences are as
/// before.
///
/// The device copies what [`Event::Copied`] tells, in order, then writes the keys and values of all rows at their
/// [`slots`](Planned::slots), then reads.
#[derive(Debug)]
pub struct Planned<'a> {
    pub(super) scheduler: &'a mut Scheduler,
    pub(super) log: Log,
    pub(super) rows: Vec<Row>,
    pub(super) draft: Draft,
}

/// What a plan changes of the scheduler when it is committed.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// For each running sequence what it does.
    pub(super) shares: Vec<Share>,
    /// Positions in the queue of those that are admitted, in order.
    pub(super) admitted: Vec<Admitted>,
    /// For each in the queue, admitted ones too, why it waits.
    pub(super) waits: Vec<Option<Wait>>,
    /// Tokens of the step that are not given out.
    pub(super) left: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Admitted {
    pub(super) at: usize,
    pub(super) share: Share,
    /// Where it stands before others: they are overtaken.
    pub(super) overtakes: usize,
}

/// What a sequence does in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// Tokens of the prompt.
    Prompt { start: u64, count: u32 },
    /// The token that was generated last.
    Decode,
    /// The same and tokens that are drafted, in so many tables.
    Speculate { lanes: u32, count: u32 },
    /// Nothing.
    Stalled(Stall),
    /// There was no block, and nothing had kept one back.
    Failed,
}

impl Scheduler {
    /// Plans the next step. Without rows where nobody runs and nobody can be admitted.
    pub fn plan(&mut self) -> Planned<'_> {
        self.planned(Log::default())
    }

    #[cfg(test)]
    pub(crate) fn plan_failing(&mut self, after: usize) -> Planned<'_> {
        self.planned(Log::failing(after))
    }

    fn planned(&mut self, mut log: Log) -> Planned<'_> {
        let mut draft = Draft { left: self.limits.chunk, ..Draft::default() };
        self.grow(&mut log, &mut draft);
        self.admit(&mut log, &mut draft);
        self.speculate(&mut log, &mut draft);
        let rows = self.rows(&mut log, &mut draft);
        Planned { scheduler: self, log, rows, draft }
    }

    /// What all that run claim, once this step has given its shares.
    pub(super) fn claims(&self, shares: &[Share]) -> Vec<Claim> {
        let claim = |(running, share): (&Running, &Share)| {
            let held = self.held(running.request.sequence);
            let soon = match share {
                Share::Decode => held + 1,
                Share::Speculate { count, .. } => held + u64::from(*count),
                Share::Prompt { .. } | Share::Stalled(_) | Share::Failed => held,
            };
            running.claim(soon)
        };
        self.running.iter().zip(shares).map(claim).collect()
    }

    /// Tokens of a sequence in the pool.
    pub(super) fn held(&self, sequence: u64) -> u64 {
        self.cache.table(TableId::of(sequence)).map_or(0, crate::cache::Table::len)
    }

    /// The rows of the step; what is decoded is added to the tables.
    fn rows(&mut self, log: &mut Log, draft: &mut Draft) -> Vec<Row> {
        let mut rows = Vec::new();
        for (at, share) in draft.shares.iter_mut().enumerate() {
            let running = &self.running[at];
            let sequence = running.request.sequence;
            let (table, next) = (TableId::of(sequence), running.next.unwrap_or_default());
            let start = self.held(sequence);
            match *share {
                Share::Prompt { start, count } => rows.push(prompt_row(&running.request, start, count)),
                Share::Decode => {
                    if self.cache.push(log, table, &[next]).is_ok() {
                        rows.push(Row { table, start, tokens: vec![next], count: 1, wanted: true });
                    } else {
                        *share = Share::Failed;
                    }
                }
                Share::Speculate { lanes, count } => {
                    let lanes = if lanes == 1 { 0..1 } else { 1..lanes + 1 };
                    rows.extend(lanes.map(|lane| Row {
                        table: TableId { sequence, lane },
                        start,
                        tokens: vec![next],
                        count,
                        wanted: true,
                    }));
                }
                Share::Stalled(why) => log.tell(Event::Stalled { sequence, why }),
                Share::Failed => {}
            }
        }
        for Admitted { at, share, .. } in &draft.admitted {
            if let Share::Prompt { start, count } = *share {
                rows.push(prompt_row(&self.queue[*at].request, start, count));
            }
        }
        rows
    }
}

fn prompt_row(request: &super::Request, start: u64, count: u32) -> Row {
    let (from, end) = (start as usize, start as usize + count as usize);
    Row {
        table: TableId::of(request.sequence),
        start,
        tokens: request.prompt[from..end].to_vec(),
        count,
        wanted: end == request.prompt.len(),
    }
}

impl Planned<'_> {
    /// What each table does, prompts of newcomers last.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Tokens of the step.
    pub fn tokens(&self) -> u64 {
        self.rows.iter().map(|row| u64::from(row.count)).sum()
    }

    /// What happens in the pool, and who waits why.
    pub fn events(&self) -> &[Event] {
        self.log.events()
    }

    /// The block table of a row: enough for all tokens before it and its own.
    pub fn table(&self, row: &Row) -> &[BlockId] {
        self.scheduler.cache.table(row.table).map_or(&[], crate::cache::Table::blocks)
    }

    /// Where the keys and values of a row's tokens are written, as rows of the pool.
    pub fn slots<'s>(&'s self, row: &Row) -> impl Iterator<Item = u64> + use<'s> {
        let each = u64::from(self.scheduler.cache.pool().block_tokens());
        let blocks = self.table(row);
        let tokens = row.start..row.start + u64::from(row.count);
        tokens.map(move |at| u64::from(blocks[(at / each) as usize].0) * each + at % each)
    }

    /// From now on the device may have written. Taken back, all is as before but for what can be found: blocks that the step
    /// took from what was free are not found by their old contents.
    pub fn submitted(&mut self) {
        self.log.written();
    }

    /// Sequences that there was no block for. They are gone when the step is committed.
    pub fn failed(&self) -> impl Iterator<Item = u64> + '_ {
        let running = self.scheduler.running.iter().zip(&self.draft.shares);
        running.filter(|(_, share)| **share == Share::Failed).map(|(running, _)| running.request.sequence)
    }

    /// The scheduler as it is while the step goes on.
    pub fn scheduler(&self) -> &Scheduler {
        self.scheduler
    }
}

impl Drop for Planned<'_> {
    fn drop(&mut self) {
        self.scheduler.cache.roll_back(&mut self.log);
    }
}

/// Why a sequence is gone that a share ends.
impl Share {
    pub(super) fn failure(self) -> Option<Finish> {
        (self == Self::Failed).then_some(Finish::OutOfBlocks)
    }
}
