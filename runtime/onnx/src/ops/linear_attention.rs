//! Operators that carry a state from call to call: linear attention, causal convolution.

use bayplan_graph::op::{BinaryOp, Pads, UnaryOp, Window};
use bayplan_graph::{DType, Op, ValueId};

use super::Row;
use super::activation::swish;
use super::attention::{grouped_product, heads_of};
use super::recurrent::known_steps;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("CausalConvWithState", 27, causal_convolution),
    Row::new("LinearAttention", 27, linear_attention),
];

type Step = Result<ValueId, String>;

/// Attention without softmax: a state per head takes in a key and a value at each step, and a query reads it.
///
/// ```text
///  S ← S · exp(decay)                          gated rules
///  v ← beta · (v − Sᵀ · k)                     delta rules
///  S ← S + k ⊗ v      out = scale · Sᵀ · q     S [b, heads of keys, key size, value size]
/// ```
///
/// The arithmetic is in f32 whatever the operands are. Steps are unrolled.
fn linear_attention(c: &mut Call<'_, '_>) -> Built {
    let (own, steps) = {
        let q = c.input(0)?;
        (c.dtype(q)?, known_steps(c, q, 1)?)
    };
    let operands = Operands::of(c)?;
    let (mut state, state_type) = first_state(c, operands.k, operands.v, own)?;
    let mut read = Vec::with_capacity(steps);
    for step in 0..steps as i64 {
        let out;
        (out, state) = operands.step(c, step, state)?;
        read.push(out);
    }
    let y = c.concat(2, &read)?;
    let y = c.permute(y, &[0, 2, 1, 3])?;
    let y = c.reshape_to(y, &[0, 0, -1])?;
    Ok(vec![c.cast(y, own)?, c.cast(state, state_type)?])
}

/// The operands by head, in f32.
struct Operands {
    /// [b, heads, steps, key size], scaled.
    q: ValueId,
    /// [b, heads of keys, steps, size]
    k: ValueId,
    v: ValueId,
    /// e to the power of decay, [b, heads of keys, key size or 1, steps]: a column for each step.
    decay: Option<ValueId>,
    /// [b, heads of keys or 1, steps, 1]
    beta: Option<ValueId>,
}

impl Operands {
    fn of(c: &mut Call<'_, '_>) -> Result<Self, String> {
        let (q, k, v) = (c.input(0)?, c.input(1)?, c.input(2)?);
        let a = c.attributes();
        let heads = |name: &str| {
            let count = a.int(name)?.filter(|&count| count > 0);
            count.ok_or_else(|| format!("attribute `{name}` must be given and at least 1"))
        };
        let (queries, groups) = (heads("q_num_heads")?, heads("kv_num_heads")?);
        let (decay, beta) = gates(c)?;
        let (q, k, v) = (by_head(c, q, queries)?, by_head(c, k, groups)?, by_head(c, v, groups)?);
        let decay = match decay {
            Some(decay) => {
                let decay = by_head(c, decay, groups)?;
                let decay = c.permute(decay, &[0, 1, 3, 2])?;
                Some(c.unary(UnaryOp::Exp, decay)?)
            }
            None => None,
        };
        let beta = match beta {
            Some(beta) => {
                let last = c.size(beta, 2)?.ok_or("the last dimension of beta must be known")?;
                Some(by_head(c, beta, last as i64)?)
            }
            None => None,
        };
        let scale = match c.attributes().float_or("scale", 0.0)? {
            0.0 => {
                let size = c.size(q, 3)?.filter(|&size| size > 0);
                1.0 / (size.ok_or("the size of a head must be known, or attribute `scale` given")? as f64)
                    .sqrt()
            }
            scale => f64::from(scale),
        };
        Ok(Self { q: c.with(BinaryOp::Mul, q, scale)?, k, v, decay, beta })
    }

    /// What the queries of a step read, and the state after it.
    fn step(&self, c: &mut Call<'_, '_>, step: i64, state: ValueId) -> Result<(ValueId, ValueId), String> {
        let [q, k, v] = [self.q, self.k, self.v].map(|x| c.cut(x, 2, step, step + 1));
        let (q, k, mut v, mut state) = (q?, k?, v?, state);
        if let Some(decay) = self.decay {
            let decay = c.cut(decay, 3, step, step + 1)?;
            state = c.binary(BinaryOp::Mul, state, decay)?;
        }
        if let Some(beta) = self.beta {
            let (beta, known) = (c.cut(beta, 2, step, step + 1)?, c.emit(Op::MatMul, &[k, state])?);
            let new = c.binary(BinaryOp::Sub, v, known)?;
            v = c.binary(BinaryOp::Mul, beta, new)?;
        }
        let column = c.permute(k, &[0, 1, 3, 2])?;
        let added = c.binary(BinaryOp::Mul, column, v)?;
        let state = c.binary(BinaryOp::Add, state, added)?;
        Ok((grouped_product(c, q, state)?, state))
    }
}

/// [b, steps, heads · size] as [b, heads, steps, size], in f32.
fn by_head(c: &mut Call<'_, '_>, x: ValueId, heads: i64) -> Step {
    let x = c.cast(x, DType::F32)?;
    heads_of(c, x, Some(heads))
}

/// The operands `decay` and `beta`, those and only those that the rule needs.
fn gates(c: &Call<'_, '_>) -> Result<(Option<ValueId>, Option<ValueId>), String> {
    let (decay, beta) = (c.optional(4)?, c.optional(5)?);
    let rule = c.attributes().text("update_rule")?.unwrap_or("gated_delta");
    let needed = match rule {
        "linear" => (false, false),
        "gated" => (true, false),
        "delta" => (false, true),
        "gated_delta" => (true, true),
        other => return Err(format!("update_rule `{other}` is not known")),
    };
    for (name, given, needed) in [("decay", decay.is_some(), needed.0), ("beta", beta.is_some(), needed.1)] {
        if given != needed {
            let verb = if needed { "needs" } else { "takes no" };
            return Err(format!("update_rule `{rule}` {verb} {name}"));
        }
    }
    Ok((decay, beta))
}

/// The state to begin with, in f32, and the type that the last one is given in.
fn first_state(c: &mut Call<'_, '_>, k: ValueId, v: ValueId, own: DType) -> Result<(ValueId, DType), String> {
    if let Some(past) = c.optional(3)? {
        let dtype = c.dtype(past)?;
        return Ok((c.cast(past, DType::F32)?, dtype));
    }
    let dims = [c.dim(k, 0)?, c.dim(k, 1)?, c.dim(k, 3)?, c.dim(v, 3)?];
    let shape = c.join(&dims)?;
    Ok((c.filled(shape, DType::F32, 0.0)?, own))
}

/// A convolution per channel whose window ends at each element; the state holds the elements before the first.
fn causal_convolution(c: &mut Call<'_, '_>) -> Built {
    let (x, weight, past) = (c.input(0)?, c.input(1)?, c.optional(3)?);
    let (rank, of_weight) = (c.rank(x)?, c.rank(weight)?);
    if (rank, of_weight) != (3, 3) {
        return Err(format!("operands of ranks {rank} and {of_weight} were given; both must have rank 3"));
    }
    let taps = c.size(weight, 2)?.filter(|&taps| taps > 0).ok_or("the number of taps must be known")?;
    let channels = c.size(weight, 0)?.filter(|&n| n > 0).ok_or("the number of channels must be known")?;
    let before = taps as i64 - 1;
    let (joined, missing) = match past {
        Some(past) => (c.concat(2, &[past, x])?, 0),
        None => (x, before),
    };
    let (one, pads) = (vec![1], Pads::Explicit(vec![missing, 0]));
    let window = Window { kernel: vec![taps], strides: one.clone(), dilations: one, pads, ceil: false };
    let mut y = c.emit(Op::Conv(window, channels), &[joined, weight])?;
    if let Some(bias) = c.optional(2)? {
        let bias = c.per_channel(bias, 1)?;
        y = c.binary(BinaryOp::Add, y, bias)?;
    }
    let y = match c.attributes().text("activation")? {
        None | Some("none") => y,
        Some("silu" | "swish") => swish(c, y, 1.0)?,
        Some(other) => return Err(format!("activation `{other}` is not known; use none, silu or swish")),
    };
    if !c.wants(1) {
        return Ok(vec![y]);
    }
    Ok(vec![y, last_elements(c, joined, missing, before)?])
}

/// The last `count` elements of the last axis of `x`, before which `missing` zeros are thought.
fn last_elements(c: &mut Call<'_, '_>, x: ValueId, missing: i64, count: i64) -> Step {
    let x = if missing == 0 { x } else { c.padded(x, &[0, 0, missing, 0, 0, 0], 0.0)? };
    // From the end of the axis, 0 would be its beginning.
    let from = if count == 0 { i64::MAX } else { -count };
    c.cut(x, 2, from, i64::MAX)
}
