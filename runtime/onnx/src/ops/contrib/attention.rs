//! Attention over a cache, and rotary embedding.

use bayplan_graph::op::{BinaryOp, PadMode};
use bayplan_graph::{DType, Op, ValueId};

use super::super::Row;
use super::super::attention::{Rotary, grouped_product, heads_of, probabilities};
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("GroupQueryAttention", 1, group_query).says(&[6]),
    Row::new("RotaryEmbedding", 1, rotary_embedding),
];

type Step = Result<ValueId, String>;

/// Attention whose keys and values join a cache:
///
/// ```text
///  past [b, g, p, d]  |k k k k · · · ·|      `seqlens_k` says for each sequence how many keys there are with the new ones,
///  present            |k k k k n n · ·|      less one: the new ones are written behind those before
/// ```
///
/// What lies behind the last key of a sequence stays as it is, and is not seen.
fn group_query(c: &mut Call<'_, '_>) -> Built {
    refuse_quantized(c)?;
    let heads = Heads::of(c)?;
    let [q, k, v] = heads.operands(c)?;
    let length = c.dim(q, 2)?;
    let before = before(c, length)?;
    let (q, k) = turned(c, q, k, before)?;
    let (past_k, past_v) = (c.optional(3)?, c.optional(4)?);
    let (k, v) = match (past_k, past_v) {
        (Some(past_k), Some(past_v)) => (cached(c, past_k, k, before)?, cached(c, past_v, v, before)?),
        (None, None) => (k, v),
        _ => return Err("past_key and past_value must be given together".to_owned()),
    };
    let scale = match c.attributes().float_or("scale", 0.0)? {
        0.0 => 1.0 / (heads.size as f64).sqrt(),
        scale => f64::from(scale),
    };
    let q = c.with(BinaryOp::Mul, q, scale)?;
    let turned_k = c.permute(k, &[0, 1, 3, 2])?;
    let scores = grouped_product(c, q, turned_k)?;
    let scores = capped(c, scores)?;
    let scores = match c.optional(10)? {
        Some(bias) => {
            let bias = fitted(c, bias, scores)?;
            c.binary(BinaryOp::Add, scores, bias)?
        }
        None => scores,
    };
    let seen = seen(c, scores, before, length)?;
    let hidden = c.scalar_like(scores, f64::NEG_INFINITY)?;
    let scores = c.select(seen, scores, hidden)?;
    let weights = with_sink(c, scores)?;
    let y = grouped_product(c, weights, v)?;
    let y = c.permute(y, &[0, 2, 1, 3])?;
    Ok(vec![c.reshape_to(y, &[0, 0, -1])?, k, v])
}

/// What the node may ask for beside plain floats.
fn refuse_quantized(c: &Call<'_, '_>) -> Result<(), String> {
    let a = c.attributes();
    let typed = |name: &str| Ok::<_, String>(a.text(name)?.is_some_and(|kind| kind != "NONE"));
    let quantized =
        typed("k_quant_type")? || typed("v_quant_type")? || a.int_or("kv_cache_bit_width", 0)? != 0;
    if quantized || c.optional(12)?.is_some() || c.optional(13)?.is_some() {
        return Err("a quantized cache is not supported; export the model with a cache of floats".to_owned());
    }
    if c.optional(14)?.is_some() || c.optional(15)?.is_some() {
        return Err(
            "normalisation of queries and keys within is not supported; export it as nodes".to_owned()
        );
    }
    if a.flag("sliding_window_cache", false)? || a.int_or("qk_output", 0)? != 0 {
        return Err("a window-sized cache and the output of scores are not supported".to_owned());
    }
    Ok(())
}

/// How the last axis of the operands divides.
struct Heads {
    queries: i64,
    groups: i64,
    /// Elements of a head.
    size: i64,
    /// Whether queries, keys and values are one operand.
    packed: bool,
}

impl Heads {
    fn of(c: &Call<'_, '_>) -> Result<Self, String> {
        let a = c.attributes();
        let given = |name: &str| {
            let count = a.int(name)?.filter(|count| (1..=1 << 20).contains(count));
            count.ok_or_else(|| format!("attribute `{name}` must be given and at least 1"))
        };
        let (queries, groups) = (given("num_heads")?, given("kv_num_heads")?);
        let (packed, query) = (c.optional(1)?.is_none(), c.input(0)?);
        if c.rank(query)? != 3 {
            return Err("its query must have rank 3: [batch, length, heads times size]".to_owned());
        }
        let width = c.size(query, 2)?.ok_or("the last dimension of the query must be known")? as i64;
        let parts = if packed { queries + 2 * groups } else { queries };
        if width == 0 || width % parts != 0 || queries % groups != 0 {
            return Err(format!("{width} elements do not divide into {queries} and {groups} heads"));
        }
        Ok(Self { queries, groups, size: width / parts, packed })
    }

    /// Queries, keys and values as [b, heads, s, size].
    fn operands(&self, c: &mut Call<'_, '_>) -> Result<[ValueId; 3], String> {
        let query = c.input(0)?;
        let (q, k, v) = if self.packed {
            let (first, second) = (self.queries * self.size, (self.queries + self.groups) * self.size);
            (c.cut(query, 2, 0, first)?, c.cut(query, 2, first, second)?, c.cut(query, 2, second, i64::MAX)?)
        } else {
            (query, c.input(1)?, c.input(2)?)
        };
        Ok([
            heads_of(c, q, Some(self.queries))?,
            heads_of(c, k, Some(self.groups))?,
            heads_of(c, v, Some(self.groups))?,
        ])
    }
}

/// The keys of each sequence before the new ones [b]. A prompt may be padded: its sequences are then shorter than the
/// operand, and begin at 0 all the same.
fn before(c: &mut Call<'_, '_>, length: ValueId) -> Step {
    let last = c.input(5)?;
    let last = c.cast(last, DType::I64)?;
    let last = c.reshape_to(last, &[-1])?;
    let count = c.with(BinaryOp::Add, last, 1.0)?;
    let before = c.binary(BinaryOp::Sub, count, length)?;
    c.with(BinaryOp::Max, before, 0.0)
}

/// Queries and keys turned by their positions, if the node does that.
fn turned(
    c: &mut Call<'_, '_>,
    q: ValueId,
    k: ValueId,
    before: ValueId,
) -> Result<(ValueId, ValueId), String> {
    if !c.attributes().flag("do_rotary", false)? {
        return Ok((q, k));
    }
    let (cos, sin) = (c.input(7)?, c.input(8)?);
    let at = match c.optional(9)? {
        Some(at) => at,
        None => {
            let length = c.dim(q, 2)?;
            let (places, before) = (c.positions(length)?, c.unsqueeze(before, &[1])?);
            c.binary(BinaryOp::Add, places, before)?
        }
    };
    let half = c.size(cos, 1)?.ok_or("the width of the cache of cosines must be known")?;
    let rotary = Rotary {
        interleaved: c.attributes().flag("rotary_interleaved", false)?,
        size: Some(2 * half as i64),
    };
    let [cos, sin] = [cos, sin].map(|cache| {
        let found = c.emit(Op::Gather { axis: 0 }, &[cache, at])?;
        c.unsqueeze(found, &[1])
    });
    let (cos, sin) = (cos?, sin?);
    Ok((rotary.turned(c, q, cos, sin)?, rotary.turned(c, k, cos, sin)?))
}

/// The cache with the new rows behind those of each sequence; it grows to the longest sequence.
fn cached(c: &mut Call<'_, '_>, past: ValueId, new: ValueId, before: ValueId) -> Step {
    let total = c.input(6)?;
    let total = c.cast(total, DType::I64)?;
    let total = c.reshape_to(total, &[1])?;
    let capacity = c.dim(past, 2)?;
    let longest = c.binary(BinaryOp::Max, capacity, total)?;
    let more = c.binary(BinaryOp::Sub, longest, capacity)?;
    let (none, last) = (c.ints(&[0; 6])?, c.ints(&[0])?);
    let (pads, zero) = (c.join(&[none, more, last])?, c.scalar_like(past, 0.0)?);
    let cache = c.emit(Op::Pad(PadMode::Constant), &[past, pads, zero])?;
    let (rows, first) = (c.positions_along(new, 2)?, c.unsqueeze(before, &[1, 2, 3])?);
    let rows = c.binary(BinaryOp::Add, rows, first)?;
    let dims = c.dims(new)?;
    let rows = c.expand(rows, dims)?;
    c.emit(Op::ScatterElements { axis: 2, join: None }, &[cache, rows, new])
}

fn capped(c: &mut Call<'_, '_>, scores: ValueId) -> Step {
    let cap = f64::from(c.attributes().float_or("softcap", 0.0)?);
    if cap <= 0.0 {
        return Ok(scores);
    }
    let small = c.with(BinaryOp::Div, scores, cap)?;
    let bent = c.unary(bayplan_graph::op::UnaryOp::Tanh, small)?;
    c.with(BinaryOp::Mul, bent, cap)
}

/// A bias for as many keys as the cache has: it counts to the longest sequence, which may be shorter.
fn fitted(c: &mut Call<'_, '_>, bias: ValueId, scores: ValueId) -> Step {
    let (given, all) = (c.dim(bias, 3)?, c.dim(scores, 3)?);
    let more = c.binary(BinaryOp::Sub, all, given)?;
    let none = c.ints(&[0; 7])?;
    let (pads, zero) = (c.join(&[none, more])?, c.scalar_like(bias, 0.0)?);
    c.emit(Op::Pad(PadMode::Constant), &[bias, pads, zero])
}

/// Which keys each query sees: those up to its own position, as many as the window takes with its own; without causality
/// all of its sequence.
fn seen(c: &mut Call<'_, '_>, scores: ValueId, before: ValueId, length: ValueId) -> Step {
    let keys = c.positions_along(scores, 3)?;
    let before = c.unsqueeze(before, &[1, 2, 3])?;
    if !c.attributes().flag("causal", true)? {
        let end = c.binary(BinaryOp::Add, before, length)?;
        return c.binary(BinaryOp::Less, keys, end);
    }
    let queries = c.positions_along(scores, 2)?;
    let own = c.binary(BinaryOp::Add, queries, before)?;
    let seen = c.binary(BinaryOp::LessOrEqual, keys, own)?;
    match c.attributes().int_or("local_window_size", -1)? {
        window if window < 0 => Ok(seen),
        window => {
            let far = c.with(BinaryOp::Sub, own, window as f64)?;
            let near = c.binary(BinaryOp::Greater, keys, far)?;
            c.binary(BinaryOp::And, seen, near)
        }
    }
}

/// The softmax of each row. A sink takes part in the sum and is left out of the result: one number per head, or 0.
fn with_sink(c: &mut Call<'_, '_>, scores: ValueId) -> Step {
    let sink = match c.optional(11)? {
        Some(sink) => c.reshape_to(sink, &[1, -1, 1, 1])?,
        None if c.attributes().int_or("smooth_softmax", 0)? == 1 => c.scalar_like(scores, 0.0)?,
        None => return probabilities(c, scores, true),
    };
    let dims = c.dims(scores)?;
    let (rows, one) = (c.cut(dims, 0, 0, 3)?, c.ints(&[1])?);
    let shape = c.join(&[rows, one])?;
    let sink = c.expand(sink, shape)?;
    let all = c.concat(3, &[scores, sink])?;
    let weights = c.emit(Op::Softmax { axis: -1, log: false }, &[all])?;
    c.cut(weights, 3, 0, -1)
}

/// As ONNX's own, with the positions before the caches. One position alone is that of the first element.
fn rotary_embedding(c: &mut Call<'_, '_>) -> Built {
    let (x, at, cos, sin) = (c.input(0)?, c.input(1)?, c.input(2)?, c.input(3)?);
    let a = c.attributes();
    if a.flag("is_packed_batching", false)? || a.float_or("scale", 1.0)? != 1.0 {
        return Err("packed batches and scaled positions are not supported".to_owned());
    }
    let half = c.size(cos, 1)?.ok_or("the width of the cache of cosines must be known")? as i64;
    let flat = c.rank(x)? == 3;
    let x4 = if flat {
        let width = c.size(x, 2)?.ok_or("the last dimension must be known")? as i64;
        let heads = match a.int_or("num_heads", 0)? {
            0 if half > 0 => width / (2 * half),
            heads => heads,
        };
        if heads < 1 || width % heads != 0 {
            return Err(format!("{width} elements do not divide into {heads} heads"));
        }
        heads_of(c, x, Some(heads))?
    } else {
        x
    };
    let at = if c.rank(at)? == 1 {
        let length = c.dim(x4, 2)?;
        let places = c.positions(length)?;
        let places = c.unsqueeze(places, &[0])?;
        let at = c.cast(at, DType::I64)?;
        c.binary(BinaryOp::Add, places, at)?
    } else {
        at
    };
    let rotary = Rotary { interleaved: a.flag("interleaved", false)?, size: Some(2 * half) };
    let [cos, sin] = [cos, sin].map(|cache| {
        let found = c.emit(Op::Gather { axis: 0 }, &[cache, at])?;
        c.unsqueeze(found, &[1])
    });
    let y = rotary.turned(c, x4, cos?, sin?)?;
    if !flat {
        return Ok(vec![y]);
    }
    let y = c.permute(y, &[0, 2, 1, 3])?;
    Ok(vec![c.like(y, x)?])
}
