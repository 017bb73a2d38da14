//! How many blocks a budget leaves, and what keeps it from being more.
//!
//! ```text
//!  blocks = ⌊ (budget − weights − draft's weights − max of all arenas − constants − overhead)
//!             / (block bytes + draft's block bytes) ⌋
//! ```
//!
//! Arenas are exact, out of the memory functions; all functions of both models share one. What is calibrated is the driver's
//! overhead alone. A block holds the keys and values of both models, so that one block table serves both.

mod calibration;
mod heap;

pub use calibration::{Calibration, CalibrationError, Sample, Stale};
pub use heap::{Budget, Heap, Source, budget, roomiest};

use alloc::string::String;
use bayplan_expr::Bindings;
use bayplan_expr::memory::{Binding, KvCache, MemoryError, MemoryFunction};
use bayplan_text::{Bytes, Count, escape, plural};
use core::fmt;

/// What is to be served, on which device.
#[derive(Clone, Debug)]
pub struct Demand<'a> {
    /// The model.
    pub target: &'a MemoryFunction,
    /// The one that drafts.
    pub draft: Option<&'a MemoryFunction>,
    /// The largest step: values of the symbols of both.
    pub point: Bindings,
    /// Bytes that may be used.
    pub budget: u64,
    /// Bytes of the driver, as calibrated.
    pub overhead: u64,
    /// The most bytes that a kernel can bind of a buffer (`maxStorageBufferRange`).
    pub range: u64,
    /// Bytes of a block's largest window: the keys, or the values, of one layer.
    pub window_bytes: u64,
    /// The most tokens of a sequence, where given.
    pub context: Option<u64>,
    /// Sequences at once.
    pub parallel: u32,
}

/// What keeps the number of blocks from being larger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The budget. The arena is as large as it is for this term, of this function; none where nothing is placed.
    Budget {
        /// The function's and the term's names.
        term: Option<(String, String)>,
    },
    /// What a kernel can bind of a buffer: all blocks of a layer are one window.
    Range,
    /// So many sequences of so many tokens need no more.
    Use,
}

/// The pool that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizing {
    /// Blocks.
    pub blocks: u64,
    /// Tokens of a block.
    pub block_tokens: u64,
    /// Bytes of a block, of both models.
    pub block_bytes: u64,
    /// Bytes of the weights, of both models.
    pub weights: u64,
    /// Bytes that no symbol changes, and the driver's.
    pub constant: u64,
    /// Bytes of the arena.
    pub arena: u64,
    /// Bytes of the budget that are left over.
    pub left: u64,
    /// What binds.
    pub bound: Bound,
}

/// Why there is no pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SizeError {
    /// A model has no cache of keys and values, or blocks of nothing.
    NoCache,
    /// Blocks of the two models differ in their tokens.
    BlockTokens {
        /// The model's.
        target: u64,
        /// The draft's.
        draft: u64,
    },
    /// The memory function has no value for the step.
    Memory(MemoryError),
    /// Not one block fits.
    Budget {
        /// Bytes that are needed with one block.
        need: u64,
        /// The budget.
        budget: u64,
    },
    /// Not one block can be bound.
    Range {
        /// Bytes of a block's window.
        need: u64,
        /// What can be bound.
        range: u64,
    },
}

impl fmt::Display for SizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCache => f.write_str("the model keeps no keys and values in blocks"),
            Self::BlockTokens { target, draft } => {
                write!(
                    f,
                    "the model has blocks of {target} tokens and the draft of {draft}; they must be the same"
                )
            }
            Self::Memory(error) => error.fmt(f),
            Self::Budget { need, budget } => {
                write!(f, "with one block {} are needed and the budget is {}", Bytes(*need), Bytes(*budget))?;
                f.write_str("; raise the budget or take a smaller chunk")
            }
            Self::Range { need, range } => {
                write!(f, "a layer's block has {} and a kernel can bind {}", Bytes(*need), Bytes(*range))?;
                f.write_str("; take fewer tokens for a block")
            }
        }
    }
}

impl core::error::Error for SizeError {}

impl From<MemoryError> for SizeError {
    fn from(error: MemoryError) -> Self {
        Self::Memory(error)
    }
}

/// The pool that fits a budget beside weights and arena.
///
/// # Errors
/// [`SizeError`]: not even one block does.
pub fn size(demand: &Demand<'_>) -> Result<Sizing, SizeError> {
    let models = || core::iter::once(demand.target).chain(demand.draft);
    let (block_tokens, block_bytes) = block(demand)?;
    let mut binding: Option<(&MemoryFunction, Binding)> = None;
    for model in models() {
        if let Some(own) = model.binding(&demand.point)?
            && binding.is_none_or(|(_, other)| own.bytes > other.bytes)
        {
            binding = Some((model, own));
        }
    }
    let sum = |part: fn(&MemoryFunction) -> u64| models().map(part).fold(0, u64::saturating_add);
    let weights = sum(|model| model.weights);
    let constant = sum(|model| model.constant).saturating_add(demand.overhead);
    let arena = binding.map_or(0, |(_, binding)| binding.bytes);
    let fixed = weights.saturating_add(constant).saturating_add(arena);
    let need = fixed.saturating_add(block_bytes);
    if need > demand.budget {
        return Err(SizeError::Budget { need, budget: demand.budget });
    }
    let fits = (demand.budget - fixed) / block_bytes;
    let bound = demand.range.checked_div(demand.window_bytes).unwrap_or(u64::MAX);
    if bound == 0 {
        return Err(SizeError::Range { need: demand.window_bytes, range: demand.range });
    }
    let used =
        demand.context.map(|context| context.div_ceil(block_tokens).saturating_mul(demand.parallel.into()));
    let blocks = fits.min(bound).min(used.unwrap_or(u64::MAX)).max(1);
    let bound = if blocks == fits {
        let names = |(model, binding): (&MemoryFunction, Binding)| {
            model.term(binding).map(|(function, term)| (function.name.clone(), term.name.clone()))
        };
        Bound::Budget { term: binding.and_then(names) }
    } else if blocks == bound {
        Bound::Range
    } else {
        Bound::Use
    };
    let left = demand.budget - fixed - blocks * block_bytes;
    Ok(Sizing { blocks, block_tokens, block_bytes, weights, constant, arena, left, bound })
}

/// Tokens and bytes of a block, of both models.
fn block(demand: &Demand<'_>) -> Result<(u64, u64), SizeError> {
    let cache = |model: &MemoryFunction| {
        let usable = |kv: &&KvCache| kv.block_tokens > 0 && kv.block_bytes > 0;
        model.kv.as_ref().filter(usable).map(|kv| (kv.block_tokens, kv.block_bytes)).ok_or(SizeError::NoCache)
    };
    let (tokens, bytes) = cache(demand.target)?;
    let Some(draft) = demand.draft else { return Ok((tokens, bytes)) };
    let (draft, more) = cache(draft)?;
    if draft != tokens {
        return Err(SizeError::BlockTokens { target: tokens, draft });
    }
    Ok((tokens, bytes.saturating_add(more)))
}

/// The largest chunk that is chosen.
pub const MOST_CHUNK: u64 = 2048;

/// A larger chunk is taken as long as it costs at most this part of the blocks that there would be with the least one.
const COST: u64 = 16;

/// Chunk and context, and the pool that they leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Tokens of a step.
    pub chunk: u64,
    /// The most tokens of a sequence.
    pub context: u64,
    /// Whether the pool keeps the context below what the model can.
    pub limited: bool,
    /// The pool.
    pub sizing: Sizing,
}

/// Chooses what is not given: of the powers of two up to [`MOST_CHUNK`], and at least as many as sequences run, the largest
/// chunk that costs at most a sixteenth of the blocks that there would be with the least one; a context as long as the model
/// has it, or as the whole pool holds.
///
/// # Errors
/// [`SizeError`]: not even the least chunk leaves a block.
pub fn choose(
    demand: &Demand<'_>,
    symbol: &str,
    chunk: Option<u64>,
    model_context: u64,
) -> Result<Chosen, SizeError> {
    let at = |chunk: u64| {
        let point = demand.point.clone().with(symbol, i64::try_from(chunk).unwrap_or(i64::MAX));
        size(&Demand { point, ..demand.clone() }).map(|sizing| (chunk, sizing))
    };
    let (chunk, sizing) = match chunk {
        Some(chunk) => at(chunk)?,
        None => {
            let least = at(u64::from(demand.parallel.max(1)).next_power_of_two())?;
            let enough = least.1.blocks - least.1.blocks / COST;
            let mut chosen = least;
            while chosen.0 * 2 <= MOST_CHUNK {
                match at(chosen.0 * 2) {
                    Ok(more) if more.1.blocks >= enough => chosen = more,
                    // A box may end before the largest chunk does.
                    Ok(_) | Err(SizeError::Budget { .. } | SizeError::Memory(MemoryError::Scope(_))) => break,
                    Err(error) => return Err(error),
                }
            }
            chosen
        }
    };
    let room = sizing.blocks.saturating_mul(sizing.block_tokens);
    let wanted = demand.context.unwrap_or(model_context);
    Ok(Chosen { chunk, context: wanted.min(room), limited: room < wanted, sizing })
}

/// `4,500 blocks of 16 tokens (8.79 GiB); the budget binds: arena 144 MiB in main, logits`.
impl fmt::Display for Sizing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.blocks.saturating_mul(self.block_bytes);
        let (blocks, tokens) = (plural(self.blocks, "block"), plural(self.block_tokens, "token"));
        write!(f, "{blocks} of {tokens} ({})", Bytes(bytes))?;
        match &self.bound {
            Bound::Budget { term: Some((function, term)) } => {
                write!(
                    f,
                    "; the budget binds: arena {} in {}, {}",
                    Bytes(self.arena),
                    escape(function),
                    escape(term)
                )
            }
            Bound::Budget { term: None } => f.write_str("; the budget binds"),
            Bound::Range => f.write_str("; what a kernel can bind of a buffer binds"),
            Bound::Use => f.write_str("; the sequences need no more"),
        }
    }
}

/// `chunk 512, context 8,192`, and what limits it.
impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chunk {}, context {}", Count(self.chunk), Count(self.context))?;
        f.write_str(if self.limited { " (all blocks)" } else { "" })?;
        write!(f, "; {}", self.sizing)
    }
}
