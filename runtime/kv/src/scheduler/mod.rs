//! Which sequences run, and what each of them does in the next step.
//!
//! ```text
//!  submit ─► queue ──admit──► running ──────────────► finished
//!    │ refused   waits: why     │  every step: a token each that decodes,
//!    ▼ by name                  │  the rest of the chunk to prompts, oldest first
//!                               └─ stalls where its blocks are the last that others need
//! ```
//!
//! # Order and fairness
//!
//! * Requests are admitted in the order in which they were submitted. One may come before others only where the first that
//!   waits could not begin before it has ended, going by the staircase of what runs: as long as nobody ends early the first
//!   begins when it would have begun anyway. Each request is overtaken at most [`Limits::overtakes`] times.
//! * Every running sequence advances in every step, by one token at least, unless it is stalled.
//! * Nobody is admitted while a sequence is stalled, so that it waits at most until those that run have finished. A step
//!   gives blocks to whoever can finish with them (`claims`), so one of them always can: no deadlock, and nobody is ever
//!   put out again.
//! * A request that would not fit into the empty pool is refused when it is submitted.
//!
//! A scheduler is values in, values out: the same calls make the same plans.

mod admit;
mod commit;
mod grow;
mod plan;
mod speculate;
mod tell;

pub use commit::{CommitError, Outcome};
pub use plan::{Planned, Row};

use crate::cache::Cache;
use crate::claims::Claim;
use crate::policy::{Admission, Draft, Speculation};
use crate::pool::BlockPool;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// What a scheduler keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sequences that run at once; at least 1.
    pub parallel: u32,
    /// Tokens of a step; at least as many as sequences run.
    pub chunk: u32,
    /// The most tokens that a sequence may hold.
    pub context: u64,
    /// How often a request may be overtaken.
    pub overtakes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { parallel: 16, chunk: 512, context: u64::MAX, overtakes: 4 }
    }
}

/// A prompt to go on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its number, which no other one has.
    pub sequence: u64,
    /// The tokens; at least one.
    pub prompt: Vec<u32>,
    /// The most tokens to generate; at least one.
    pub max_new: u32,
}

impl Request {
    /// The most tokens whose keys and values are kept: the last one that is generated is never read.
    pub fn total(&self) -> u64 {
        self.prompt.len() as u64 + u64::from(self.max_new) - 1
    }
}

/// Why a request will never run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refusal {
    /// The prompt has no token.
    EmptyPrompt,
    /// No token is to be generated.
    NothingToDo,
    /// A request of this number is there.
    Exists,
    /// It may hold more tokens than a sequence can.
    Context {
        /// Tokens.
        need: u64,
        /// The most that a sequence may hold.
        context: u64,
    },
    /// It may need more blocks than there are.
    Blocks {
        /// Blocks.
        need: u64,
        /// All blocks of the pool.
        blocks: u64,
    },
    /// By the fitted model alone it weighs more than the limit.
    Weight {
        /// Bytes.
        need: f64,
        /// The limit in bytes.
        limit: u64,
    },
}

/// Why a request waits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wait {
    /// So many sequences run already.
    Sequences {
        /// How many.
        running: u64,
    },
    /// The tokens of this step are all given out.
    Chunk {
        /// Tokens of a step.
        chunk: u32,
    },
    /// With it the pool would be too small.
    Blocks {
        /// Blocks that would be held.
        need: u64,
        /// Blocks of the pool.
        blocks: u64,
        /// In how many steps.
        steps: u64,
    },
    /// By the fitted model it would weigh more than the limit.
    Weight {
        /// Bytes.
        need: f64,
        /// The limit in bytes.
        limit: f64,
    },
    /// It would have fitted, but another one before it waits, which it would delay.
    Behind {
        /// The first that waits.
        sequence: u64,
    },
    /// A running sequence is stalled.
    Stalled {
        /// The one that is.
        sequence: u64,
    },
    /// More of the device's memory is in use than its budget.
    Budget(Pressure),
}

// Weights are finite.
impl Eq for Wait {}

/// The device's memory beyond its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pressure {
    /// Bytes in use.
    pub usage: u64,
    /// The budget in bytes.
    pub budget: u64,
}

/// Why a running sequence gets nothing: others need what is free to finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// Blocks that it needs for its next token.
    pub need: u64,
    /// Blocks that are free.
    pub free: u32,
}

/// Why a sequence is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It has generated as many tokens as it may.
    Length,
    /// It generated an end, or was told to stop.
    Stop,
    /// It was withdrawn.
    Cancelled,
    /// There was no block for it. Cannot happen to [`Admission::Exact`] and [`Admission::Contiguous`].
    OutOfBlocks,
}

/// A request that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The request.
    pub request: Request,
    /// Why, as of the last step.
    pub why: Option<Wait>,
    /// How often it was overtaken.
    pub overtaken: u32,
}

/// A sequence that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// What was asked.
    pub request: Request,
    /// Tokens generated.
    pub generated: u32,
    /// Steps in a row in which it was stalled.
    pub stalled: u32,
    /// The token that was generated last, whose keys and values the next step writes.
    next: Option<u32>,
}

impl Running {
    /// What it claims with `soon` tokens for certain.
    fn claim(&self, soon: u64) -> Claim {
        let soon = soon.max(self.request.prompt.len() as u64);
        Claim { sequence: self.request.sequence, soon, total: self.request.total() }
    }

    /// The token that was generated last.
    pub fn last(&self) -> Option<u32> {
        self.next
    }
}

/// Queue, running sequences, and the pool that they share.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduler {
    cache: Cache,
    limits: Limits,
    admission: Admission,
    draft: Option<(Draft, Speculation)>,
    queue: VecDeque<Waiting>,
    /// In the order in which they were admitted.
    running: Vec<Running>,
    pressure: Option<Pressure>,
}

impl Scheduler {
    /// One without sequences. Limits that make no sense are raised to the least that does.
    pub fn new(pool: BlockPool, limits: Limits, admission: Admission) -> Self {
        let parallel = limits.parallel.max(1);
        Self {
            cache: Cache::new(pool),
            limits: Limits { parallel, chunk: limits.chunk.max(parallel), ..limits },
            admission,
            draft: None,
            queue: VecDeque::new(),
            running: Vec::new(),
            pressure: None,
        }
    }

    /// Sequences speculate where the rule lets them and the blocks are there. A draft without candidates or tokens is none.
    #[must_use]
    pub fn speculating(mut self, draft: Draft, rule: Speculation) -> Self {
        self.draft = (draft.candidates > 0 && draft.tokens > 0).then_some((draft, rule));
        self
    }

    /// Pool and tables.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// What it keeps to.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Those that wait, the first first.
    pub fn waiting(&self) -> impl ExactSizeIterator<Item = &Waiting> {
        self.queue.iter()
    }

    /// Those that run, the oldest first.
    pub fn running(&self) -> &[Running] {
        &self.running
    }

    /// Whether nobody runs or waits.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.running.is_empty()
    }

    /// Whether all that run can finish, come what may. Always, under [`Admission::Exact`].
    pub fn is_safe(&self) -> bool {
        let claims: Vec<Claim> = self.running.iter().map(|running| running.claim(0)).collect();
        crate::claims::safe(&self.cache, &claims)
    }

    /// How often each request may be overtaken, from now on.
    pub fn let_overtake(&mut self, times: u32) {
        self.limits.overtakes = times;
    }

    /// Nobody is admitted while more of the device's memory is in use than its budget.
    pub fn press(&mut self, pressure: Option<Pressure>) {
        self.pressure = pressure.filter(|pressure| pressure.usage > pressure.budget);
    }

    /// Takes a request in.
    ///
    /// # Errors
    /// [`Refusal`]: it can never run.
    pub fn submit(&mut self, request: Request) -> Result<(), Refusal> {
        let sequence = request.sequence;
        let queued = self.queue.iter().map(|waiting| waiting.request.sequence);
        let running = self.running.iter().map(|running| running.request.sequence);
        if request.prompt.is_empty() {
            return Err(Refusal::EmptyPrompt);
        }
        if request.max_new == 0 {
            return Err(Refusal::NothingToDo);
        }
        if queued.chain(running).any(|other| other == sequence) {
            return Err(Refusal::Exists);
        }
        self.possible(&request)?;
        self.queue.push_back(Waiting { request, why: None, overtaken: 0 });
        Ok(())
    }

    /// Whether a request could run if it were alone.
    fn possible(&self, request: &Request) -> Result<(), Refusal> {
        let (pool, need, context) = (self.cache.pool(), request.total(), self.limits.context);
        if need > context {
            return Err(Refusal::Context { need, context });
        }
        let held = if self.admission == Admission::Contiguous { context } else { need };
        let (need, blocks) = (pool.blocks_for(held), u64::from(pool.blocks()));
        if need > blocks {
            return Err(Refusal::Blocks { need, blocks });
        }
        if let Admission::Ibm98(weights) = &self.admission {
            let prompt = weights.prefill(request.prompt.len() as u64);
            let need = prompt.max(weights.kept(request.total()));
            if need > weights.limit as f64 {
                return Err(Refusal::Weight { need, limit: weights.limit });
            }
        }
        Ok(())
    }

    /// Withdraws a request, whether it waits or runs; tells what became free. Nothing where there is none of this number.
    pub fn cancel(&mut self, sequence: u64) -> Vec<crate::Event> {
        self.queue.retain(|waiting| waiting.request.sequence != sequence);
        let Some(at) = self.running.iter().position(|running| running.request.sequence == sequence) else {
            return Vec::new();
        };
        let generated = self.running.remove(at).generated;
        let mut step = crate::Step::begin(&mut self.cache);
        // A sequence that runs has a table.
        let _ = step.close(crate::TableId::of(sequence));
        let mut events = step.commit();
        events.push(crate::Event::Finished { sequence, why: Finish::Cancelled, generated });
        events
    }
}
