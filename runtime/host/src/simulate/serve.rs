//! All requests of a workload, to their ends.

use super::workload::Coming;
use super::{Policy, Server, Workload};
use bayplan_kv::sizing::SizeError;
use bayplan_kv::{Event, Finish, Outcome as Given, Row, Scheduler};
use std::collections::BTreeMap;

/// What a step takes: nanoseconds, for each token, for each token that attention reads.
const STEP: u64 = 5_000_000;
const TOKEN: u64 = 15_000;
const READ: u64 = 20;

/// What became of a workload.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Blocks of the pool.
    pub blocks: u64,
    /// Requests that ran.
    pub admitted: u64,
    /// Requests that can never run.
    pub refused: u64,
    /// Requests that came to their end.
    pub finished: u64,
    /// The most requests that waited at once.
    pub queue: u64,
    /// Requests that ran out of memory: there was no block, or the arena went beyond the budget.
    pub out_of_memory: u64,
    /// Times that a running sequence was stalled.
    pub stalls: u64,
    /// Tokens that are kept at once while requests wait or come, on average over time.
    pub tokens: f64,
    /// The most tokens that were kept at once.
    pub most: u64,
    /// Of the memory beside the weights, the part that keeps keys and values while requests wait or come: the mean over time.
    pub mean: f64,
    /// The part below which it is for 99 % of that time.
    pub p99: f64,
    /// Sequences at once while requests wait or come, on average over time.
    pub sequences: f64,
    /// The most bytes that were used at once.
    pub bytes: u64,
    /// Steps.
    pub steps: u64,
    /// Nanoseconds of the virtual clock until all was done.
    pub time: u64,
}

/// Serves a workload under a policy.
///
/// # Errors
/// The budget is too small for one block.
pub fn serve(server: &Server, policy: Policy, workload: &Workload) -> Result<Outcome, SizeError> {
    let mut run = Run {
        server,
        scheduler: server.scheduler(policy)?,
        ends: BTreeMap::new(),
        generated: BTreeMap::new(),
        more: true,
        saturated: Vec::new(),
        told: Outcome::default(),
    };
    run.told.blocks = run.scheduler.cache().pool().blocks().into();
    let mut coming = workload.draw().into_iter().peekable();
    while coming.peek().is_some() || !run.scheduler.is_idle() {
        while let Some(next) = coming.next_if(|next| next.at <= run.told.time) {
            run.submit(next);
        }
        run.more = coming.peek().is_some();
        match coming.peek() {
            Some(next) if run.scheduler.is_idle() => run.told.time = next.at,
            _ => run.step(),
        }
    }
    Ok(run.finish())
}

struct Run<'a> {
    server: &'a Server,
    scheduler: Scheduler,
    /// After how many tokens each sequence ends.
    ends: BTreeMap<u64, u32>,
    generated: BTreeMap<u64, u32>,
    /// Whether requests are still to come.
    more: bool,
    /// Tokens, sequences and nanoseconds of the steps during which requests waited or were still to come.
    saturated: Vec<(u64, u64, u64)>,
    told: Outcome,
}

impl Run<'_> {
    fn submit(&mut self, Coming { request, ends, .. }: Coming) {
        let sequence = request.sequence;
        match self.scheduler.submit(request) {
            Ok(()) => drop(self.ends.insert(sequence, ends)),
            Err(_) => self.told.refused += 1,
        }
    }

    fn step(&mut self) {
        let planned = self.scheduler.plan();
        let tokens = planned.tokens();
        let wanted: Vec<&Row> = planned.rows().iter().filter(|row| row.wanted).collect();
        let read: u64 =
            planned.rows().iter().map(|row| u64::from(row.count) * (row.start + u64::from(row.count))).sum();
        let pool = self.told.blocks * self.server.block_tokens() * self.server.token_bytes();
        let arena = self.server.arena(tokens, wanted.len() as u64);
        let bytes = self.server.budget - self.server.free() + pool + arena;
        self.told.steps += 1;
        self.told.time += STEP + TOKEN * tokens + READ * read;
        if bytes > self.server.budget {
            let lost = newest(planned.rows());
            drop(planned);
            return self.overflow(lost);
        }
        self.told.bytes = self.told.bytes.max(bytes);
        let mut given = Vec::new();
        for row in wanted {
            let sequence = row.table.sequence;
            let generated = self.generated.entry(sequence).or_default();
            *generated += 1;
            let stop = self.ends.get(&sequence).is_some_and(|ends| *generated >= *ends);
            given.push(Given { table: row.table, tokens: vec![sequence as u32], stop });
        }
        let events = planned.commit(&given).unwrap_or_default();
        self.count(&events);
        self.sample(STEP + TOKEN * tokens + READ * read);
    }

    /// A step that there is no memory for: those that it brought are lost.
    fn overflow(&mut self, lost: Vec<u64>) {
        for sequence in lost {
            self.scheduler.cancel(sequence);
            self.told.out_of_memory += 1;
        }
    }

    fn count(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Admitted { .. } => self.told.admitted += 1,
                Event::Stalled { .. } => self.told.stalls += 1,
                Event::Finished { why: Finish::OutOfBlocks, .. } => self.told.out_of_memory += 1,
                Event::Finished { .. } => self.told.finished += 1,
                _ => {}
            }
        }
    }

    fn sample(&mut self, took: u64) {
        let tokens = self.scheduler.cache().tables().map(|(_, table)| table.len()).sum();
        self.told.most = self.told.most.max(tokens);
        self.told.queue = self.told.queue.max(self.scheduler.waiting().len() as u64);
        if self.more || self.scheduler.waiting().len() > 0 {
            self.saturated.push((tokens, self.scheduler.running().len() as u64, took));
        }
    }

    fn finish(mut self) -> Outcome {
        let time: u64 = self.saturated.iter().map(|(.., took)| took).sum();
        let mean = |value: fn(&(u64, u64, u64)) -> u64| {
            let sum: f64 = self.saturated.iter().map(|one| value(one) as f64 * one.2 as f64).sum();
            if time > 0 { sum / time as f64 } else { 0.0 }
        };
        let part = |tokens: f64| tokens * self.server.token_bytes() as f64 / self.server.free() as f64;
        self.told.tokens = mean(|one| one.0);
        self.told.sequences = mean(|one| one.1);
        self.told.mean = part(self.told.tokens);
        self.saturated.sort_unstable();
        let mut passed = 0;
        let most = self.saturated.iter().find(|(.., took)| {
            passed += took;
            passed as f64 >= 0.99 * time as f64
        });
        self.told.p99 = part(most.map_or(0.0, |(tokens, ..)| *tokens as f64));
        self.told
    }
}

/// The newcomers of a step, or where there are none all that it runs.
fn newest(rows: &[Row]) -> Vec<u64> {
    let new: Vec<u64> = rows.iter().filter(|row| row.start == 0).map(|row| row.table.sequence).collect();
    if new.is_empty() { rows.iter().map(|row| row.table.sequence).collect() } else { new }
}
