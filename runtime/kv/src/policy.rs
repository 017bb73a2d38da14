//! Who may come in, and who may speculate.
//!
//! `exact` counts blocks. The other rules are there to be compared with it, by the names under which they are known.

use crate::pool::BlockPool;

/// How it is decided whether a request may run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Admission {
    /// The staircase of everything that runs, with the request, stays within the pool: nothing can run out of blocks.
    #[default]
    Exact,
    /// Weights of tokens stay within a limit, as IBM's text-generation-inference decides: blocks may run out.
    Ibm98(Weights),
    /// Each sequence has the blocks of a whole context from its beginning.
    Contiguous,
}

/// What a memory model that was fitted to measurements makes of tokens: bytes, without a constant.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weights {
    /// Of a token of a prompt, where that is linear.
    pub linear: f64,
    /// Of a token, and of a token times the prompt's length, where it is quadratic.
    pub quadratic: [f64; 2],
    /// Of a token of the input and of one of the output, once the sequence grows.
    pub next: [f64; 2],
    /// Bytes that may be used: free memory without the safety margin.
    pub limit: u64,
}

impl Weights {
    /// The bytes of a prompt, by the model.
    pub fn prefill(&self, tokens: u64) -> f64 {
        let tokens = tokens as f64;
        let [linear, square] = self.quadratic;
        (self.linear * tokens).max(tokens * (linear + square * tokens))
    }

    /// The bytes of tokens that are kept, by the model.
    pub fn kept(&self, tokens: u64) -> f64 {
        self.next[1] * tokens as f64
    }

    /// How many tokens the model lets be kept.
    pub fn tokens(&self) -> u64 {
        if self.next[1] > 0.0 { (self.limit as f64 / self.next[1]) as u64 } else { u64::MAX }
    }
}

/// Candidates for the next tokens of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draft {
    /// How many candidates.
    pub candidates: u32,
    /// Tokens that each one appends.
    pub tokens: u32,
}

/// When a sequence may speculate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Speculation {
    /// As soon as the free blocks cover what the candidates need.
    #[default]
    Exact,
    /// While the tokens that are kept weigh at most three quarters of the limit and at most 16 sequences run: the rule of
    /// IBM's text-generation-inference.
    Weight75(Weights),
}

/// Sequences beyond which [`Speculation::Weight75`] does not speculate.
const MOST_SPECULATING: usize = 16;

impl Speculation {
    /// Whether the rule lets sequences speculate that hold so many tokens together. The exact one decides by blocks alone.
    pub fn allows(&self, sequences: usize, tokens: u64) -> bool {
        match self {
            Self::Exact => true,
            Self::Weight75(weights) => {
                sequences <= MOST_SPECULATING && weights.kept(tokens) <= 0.75 * weights.limit as f64
            }
        }
    }
}

/// New blocks that candidates need: with `cached` tokens in the sequence each of them appends its tokens, and gets a copy
/// of its own of the partly filled last block; full blocks are shared. k · ⌈((c mod B) + t) / B⌉.
///
/// ```
/// use bayplan_kv::{BlockPool, Draft, speculation_need};
/// let (pool, draft) = (BlockPool::new(64, 16), Draft { candidates: 5, tokens: 5 });
/// assert_eq!([speculation_need(&pool, 27, draft), speculation_need(&pool, 28, draft)], [5, 10]);
/// ```
pub fn speculation_need(pool: &BlockPool, cached: u64, draft: Draft) -> u64 {
    let tail = cached % u64::from(pool.block_tokens());
    u64::from(draft.candidates) * pool.blocks_for(tail + u64::from(draft.tokens))
}
