//! Serving without a device: thousands of requests through the same scheduler and block pool, on a virtual clock.
//!
//! ```text
//!  Workload ─► arrivals ─► Scheduler ─► step ─► clock += cost of the step
//!   seeded                    ▲           │
//!                             └─ tokens ◄─┴─► is the memory that it really takes within the budget?
//! ```
//!
//! Policies are compared on one memory function: `exact` computes its blocks from it, `ibm-98` fits a model to what it
//! measures of it ([`fit`]), `contiguous` gives every sequence a whole context.

mod fit;
mod random;
mod serve;
mod workload;

pub use fit::{Fit, Measured, fit};
pub use serve::{Outcome, serve};
pub use workload::{Arrival, Lengths, Workload};

use bayplan_expr::memory::{Function, KvCache, MemoryFunction, Term};
use bayplan_expr::{Bindings, Expr};
use bayplan_kv::sizing::{Demand, SizeError, size};
use bayplan_kv::{Admission, BlockPool, Limits, Scheduler, Weights};

/// The symbol of a step's tokens.
pub const TOKENS: &str = "tokens";

/// The symbol of the rows of a step whose logits are wanted.
pub const ROWS: &str = "rows";

/// What serves.
#[derive(Clone, Debug)]
pub struct Server {
    /// The memory of a step of [`TOKENS`] with [`ROWS`], and of blocks.
    pub memory: MemoryFunction,
    /// Bytes that may be used.
    pub budget: u64,
    /// Tokens of a step, and sequences at once.
    pub chunk: u32,
    /// Sequences at once.
    pub parallel: u32,
    /// The most tokens of a sequence.
    pub context: u64,
}

/// A policy to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Blocks and admission by the memory function; requests may be overtaken so often.
    Exact {
        /// How often.
        overtakes: u32,
    },
    /// Blocks and admission by a fit, with a safety margin in percent: the one that it recommends where there is none.
    Ibm98 {
        /// How the cache is taken to grow while it is measured.
        measured: Measured,
        /// Percent.
        margin: Option<i64>,
    },
    /// A whole context for each sequence.
    Contiguous,
}

impl Server {
    /// Llama-3-8B in 16 bits with fused attention and the logits of the rows that are wanted, in 24 GiB.
    pub fn llama_3_8b() -> Self {
        let sum = |terms: &[(&str, i64)]| {
            terms.iter().fold(Expr::from(0_i64), |sum, (symbol, bytes)| sum + Expr::symbol(symbol) * *bytes)
        };
        let terms = [("mlp", sum(&[(TOKENS, 73_728)])), ("logits", sum(&[(TOKENS, 8192), (ROWS, 513_024)]))];
        let terms = terms.map(|(name, bytes)| Term { name: name.into(), bytes });
        let memory = MemoryFunction {
            weights: 16_060_522_496,
            kv: Some(KvCache {
                sequences: Expr::symbol(ROWS),
                tokens: Expr::symbol(TOKENS),
                block_tokens: 16,
                block_bytes: 16 * 131_072,
            }),
            functions: vec![Function::new("step", terms.into())],
            ..MemoryFunction::default()
        };
        Self { memory, budget: 24 << 30, chunk: 512, parallel: 256, context: 8192 }
    }

    /// Bytes of a step's arena.
    fn arena(&self, tokens: u64, rows: u64) -> u64 {
        let binding = self.memory.binding(&Self::point(tokens, rows));
        binding.ok().flatten().map_or(0, |binding| binding.bytes)
    }

    fn point(tokens: u64, rows: u64) -> Bindings {
        let value = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Bindings::new().with(TOKENS, value(tokens)).with(ROWS, value(rows))
    }

    /// Bytes of the keys and values of a token.
    fn token_bytes(&self) -> u64 {
        self.memory.kv.as_ref().map_or(0, |kv| kv.block_bytes / kv.block_tokens.max(1))
    }

    fn block_tokens(&self) -> u64 {
        self.memory.kv.as_ref().map_or(1, |kv| kv.block_tokens.max(1))
    }

    /// Bytes beside weights and constants.
    fn free(&self) -> u64 {
        self.budget.saturating_sub(self.memory.weights).saturating_sub(self.memory.constant)
    }

    /// A policy's scheduler with its pool.
    ///
    /// # Errors
    /// The budget is too small for one block.
    pub fn scheduler(&self, policy: Policy) -> Result<Scheduler, SizeError> {
        let limits =
            Limits { parallel: self.parallel, chunk: self.chunk, context: self.context, overtakes: 0 };
        let each = u32::try_from(self.block_tokens()).unwrap_or(u32::MAX);
        let pool = |blocks: u64| BlockPool::new(u32::try_from(blocks).unwrap_or(u32::MAX), each);
        Ok(match policy {
            Policy::Exact { overtakes } => {
                let limits = Limits { overtakes, ..limits };
                Scheduler::new(pool(self.exact_blocks()?), limits, Admission::Exact)
            }
            Policy::Contiguous => Scheduler::new(pool(self.exact_blocks()?), limits, Admission::Contiguous),
            Policy::Ibm98 { measured, margin } => {
                let fit = fit(self, measured);
                let margin = margin.unwrap_or_else(|| fit.recommended_margin());
                // Prompts go through whole.
                let limits = Limits { chunk: u32::MAX, ..limits };
                let weights: Weights = fit.weights(margin);
                Scheduler::new(pool(fit.blocks(self.block_tokens())), limits, Admission::Ibm98(weights))
            }
        })
    }

    fn exact_blocks(&self) -> Result<u64, SizeError> {
        let demand = Demand {
            target: &self.memory,
            draft: None,
            point: Self::point(self.chunk.into(), self.parallel.into()),
            budget: self.budget,
            overhead: 0,
            range: u64::MAX,
            window_bytes: 0,
            context: None,
            parallel: self.parallel,
        };
        size(&demand).map(|sizing| sizing.blocks)
    }
}
