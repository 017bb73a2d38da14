//! Attention and what goes with it: rotary embedding.

use bayplan_expr::Expr;
use bayplan_graph::op::{BinaryOp, Keep, ReduceOp, UnaryOp};
use bayplan_graph::{DType, Op, ValueId};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] =
    &[Row::new("Attention", 23, attention), Row::new("RotaryEmbedding", 23, rotary_embedding)];

type Step = Result<ValueId, String>;

/// Which of the intermediate matrices the node gives out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Raw,
    Capped,
    Biased,
    Probabilities,
}

/// softmax(Q·Kᵀ · scale + bias) · V per head.
///
/// ```text
///  q [b, h, s, d]   k [b, g, t, d]   v [b, g, t, e]      h = g · r: r query heads share a head of k and v. They are
///  q as [b, g, r·s, d] · kᵀ [b, g, d, t] = scores         rows of one product (a view), so that k is never repeated.
/// ```
fn attention(c: &mut Call<'_, '_>) -> Built {
    let (q, k, v) = (c.input(0)?, c.input(1)?, c.input(2)?);
    let flat = c.rank(q)? == 3;
    let (heads, groups) = (count(c, "q_num_heads")?, count(c, "kv_num_heads")?);
    let q = heads_of(c, q, heads)?;
    let (new_k, new_v) = (heads_of(c, k, groups)?, heads_of(c, v, groups)?);
    let (past_k, past_v) = (c.optional(4)?, c.optional(5)?);
    if past_k.is_some() != past_v.is_some() {
        return Err("past_key and past_value must be given together".to_owned());
    }
    let k = joined(c, past_k, new_k)?;
    let v = joined(c, past_v, new_v)?;
    let scores = scores(c, q, k)?;
    let capped = match c.attributes().float_or("softcap", 0.0)? {
        cap if cap > 0.0 => {
            let cap = f64::from(cap);
            let small = c.with(BinaryOp::Div, scores, cap)?;
            let bent = c.unary(UnaryOp::Tanh, small)?;
            c.with(BinaryOp::Mul, bent, cap)?
        }
        _ => scores,
    };
    let mask = mask(c, scores, past_k)?;
    let biased = mask.apply(c, capped)?;
    let probabilities = probabilities(c, biased, mask.may_hide_rows)?;
    let y = grouped_product(c, probabilities, v)?;
    let y = if flat {
        let y = c.permute(y, &[0, 2, 1, 3])?;
        c.reshape_to(y, &[0, 0, -1])?
    } else {
        y
    };
    let shown = match shown(c)? {
        Shown::Raw => scores,
        Shown::Capped => capped,
        Shown::Biased => biased,
        Shown::Probabilities => probabilities,
    };
    Ok(vec![y, k, v, shown])
}

fn shown(c: &Call<'_, '_>) -> Result<Shown, String> {
    Ok(match c.attributes().int_or("qk_matmul_output_mode", 0)? {
        0 => Shown::Raw,
        1 => Shown::Capped,
        2 => Shown::Biased,
        3 => Shown::Probabilities,
        other => {
            return Err(format!("attribute `qk_matmul_output_mode` is {other}, but must be from 0 to 3"));
        }
    })
}

/// A number of heads that the node gives.
fn count(c: &Call<'_, '_>, name: &str) -> Result<Option<i64>, String> {
    match c.attributes().int(name)? {
        Some(n) if n < 1 => Err(format!("attribute `{name}` is {n}, but at least 1 is needed")),
        given => Ok(given),
    }
}

/// [b, s, heads · d] as [b, heads, s, d]; what has four axes is left as it is.
pub(super) fn heads_of(c: &mut Call<'_, '_>, x: ValueId, heads: Option<i64>) -> Step {
    match (c.rank(x)?, heads) {
        (4, _) => Ok(x),
        (3, Some(heads)) => {
            let apart = c.reshape_to(x, &[0, 0, heads, -1])?;
            c.permute(apart, &[0, 2, 1, 3])
        }
        (3, None) => {
            Err("with operands of rank 3 the numbers of heads must be given as attributes".to_owned())
        }
        (rank, _) => Err(format!("an operand has rank {rank}; [batch, heads, length, size] is needed")),
    }
}

/// What came before, and what comes now, along the sequence.
fn joined(c: &mut Call<'_, '_>, past: Option<ValueId>, new: ValueId) -> Step {
    match past {
        Some(past) => c.concat(2, &[past, new]),
        None => Ok(new),
    }
}

/// Q · Kᵀ · scale as [b, h, s, t]. The scale goes to Q, which is smaller than K where there is a past.
fn scores(c: &mut Call<'_, '_>, q: ValueId, k: ValueId) -> Step {
    let scale = match c.attributes().float("scale")? {
        Some(scale) => f64::from(scale),
        None => {
            let size = c.size(q, 3)?.filter(|&size| size > 0);
            1.0 / (size.ok_or("the size of a head must be known, or attribute `scale` given")? as f64).sqrt()
        }
    };
    let q = c.with(BinaryOp::Mul, q, scale)?;
    let k = c.permute(k, &[0, 1, 3, 2])?;
    grouped_product(c, q, k)
}

/// a [b, h, s, x] · w [b, g, x, y] as [b, h, s, y], where each matrix of `w` serves the h / g consecutive heads of `a`.
pub(super) fn grouped_product(c: &mut Call<'_, '_>, a: ValueId, w: ValueId) -> Step {
    let (Some(heads), Some(groups)) = (c.size(a, 1)?, c.size(w, 1)?) else {
        return c.emit(Op::MatMul, &[a, w]);
    };
    if heads == groups {
        return c.emit(Op::MatMul, &[a, w]);
    }
    if groups == 0 || heads % groups != 0 {
        return Err(format!("{heads} query heads do not divide into {groups} heads of keys and values"));
    }
    let (batch, rows, inner) = (c.dim(a, 0)?, c.dim(a, 2)?, c.dim(a, 3)?);
    let all = c.with(BinaryOp::Mul, rows, (heads / groups) as f64)?;
    let [heads, groups] = [heads, groups].map(|n| c.ints(&[n as i64]));
    let (heads, groups) = (heads?, groups?);
    let together = c.reshape(a, &[batch, groups, all, inner])?;
    let product = c.emit(Op::MatMul, &[together, w])?;
    let columns = c.dim(w, 3)?;
    c.reshape(product, &[batch, heads, rows, columns])
}

/// Which scores count, and what is added to them. All broadcast against [b, h, s, t].
struct Mask {
    /// False where a key must not be seen.
    allowed: Option<ValueId>,
    added: Option<ValueId>,
    /// Whether some query may see no key at all.
    may_hide_rows: bool,
}

impl Mask {
    /// Hidden keys get −inf by selection: a score that is infinite or no number does not get through, as it would
    /// through a sum.
    fn apply(&self, c: &mut Call<'_, '_>, scores: ValueId) -> Step {
        let hidden = c.scalar_like(scores, f64::NEG_INFINITY)?;
        let mut biased = scores;
        if let Some(added) = self.added {
            let none = c.scalar_like(added, f64::NEG_INFINITY)?;
            let closed = c.binary(BinaryOp::Equal, added, none)?;
            let sum = c.binary(BinaryOp::Add, biased, added)?;
            biased = c.select(closed, hidden, sum)?;
        }
        match self.allowed {
            Some(allowed) => c.select(allowed, biased, hidden),
            None => Ok(biased),
        }
    }
}

/// The mask operand, the causal frontier, the window around it and the padding of a cache.
fn mask(c: &mut Call<'_, '_>, scores: ValueId, past: Option<ValueId>) -> Result<Mask, String> {
    let mut mask = Mask { allowed: None, added: None, may_hide_rows: false };
    if let Some(given) = c.optional(3)? {
        let given = widened(c, given, scores)?;
        mask.may_hide_rows = true;
        match c.dtype(given)? {
            DType::Bool => mask.allowed = Some(given),
            _ => mask.added = Some(given),
        }
    }
    let filled = c.optional(6)?;
    if filled.is_some() && past.is_some() {
        return Err("nonpad_kv_seqlen and a past cannot be given together".to_owned());
    }
    let causal = c.attributes().flag("is_causal", false)?;
    let [left, right] = ["left_window_size", "right_window_size"].map(|name| window(c, name));
    let (left, right) = (left?, right?);
    let keys = c.positions_along(scores, 3)?;
    if causal || left.is_some() || right.is_some() {
        mask.may_hide_rows |= filled.is_some() || left.is_some() || right.is_some();
        let places = places(c, scores, past, filled)?;
        let right = if causal { Some(0) } else { right };
        if let Some(right) = right {
            let last = if right == 0 { places } else { c.with(BinaryOp::Add, places, right as f64)? };
            let seen = c.binary(BinaryOp::LessOrEqual, keys, last)?;
            mask.allowed = also(c, mask.allowed, seen)?;
        }
        if let Some(left) = left {
            let first = c.with(BinaryOp::Sub, places, left as f64)?;
            let seen = c.binary(BinaryOp::GreaterOrEqual, keys, first)?;
            mask.allowed = also(c, mask.allowed, seen)?;
        }
    }
    if let Some(filled) = filled {
        mask.may_hide_rows = true;
        let filled = c.unsqueeze(filled, &[1, 2, 3])?;
        let seen = c.binary(BinaryOp::Less, keys, filled)?;
        mask.allowed = also(c, mask.allowed, seen)?;
    }
    Ok(mask)
}

fn also(c: &mut Call<'_, '_>, allowed: Option<ValueId>, seen: ValueId) -> Result<Option<ValueId>, String> {
    match allowed {
        Some(allowed) => c.binary(BinaryOp::And, allowed, seen).map(Some),
        None => Ok(Some(seen)),
    }
}

/// Keys seen to one side of a query; −1 means all.
fn window(c: &Call<'_, '_>, name: &str) -> Result<Option<i64>, String> {
    match c.attributes().int_or(name, -1)? {
        -1 => Ok(None),
        n if (0..=1 << 31).contains(&n) => Ok(Some(n)),
        n => Err(format!("attribute `{name}` is {n}, but must be -1 or a number of positions below 2^31")),
    }
}

/// The position of each query among the keys: behind the past, or at the end of what a cache holds.
fn places(c: &mut Call<'_, '_>, scores: ValueId, past: Option<ValueId>, filled: Option<ValueId>) -> Step {
    let queries = c.positions_along(scores, 2)?;
    match (past, filled) {
        (Some(past), _) => {
            let before = c.dim(past, 2)?;
            c.binary(BinaryOp::Add, queries, before)
        }
        (None, Some(filled)) => {
            let length = c.dim(scores, 2)?;
            let before = c.binary(BinaryOp::Sub, filled, length)?;
            let before = c.unsqueeze(before, &[1, 2, 3])?;
            c.binary(BinaryOp::Add, queries, before)
        }
        (None, None) => Ok(queries),
    }
}

/// A mask with fewer keys than there are hides the rest. Where one of the lengths is not known they are taken as equal.
fn widened(c: &mut Call<'_, '_>, mask: ValueId, scores: ValueId) -> Step {
    let (shape, all) = (c.shape(mask)?, c.size(scores, 3)?);
    let given = shape.last().and_then(Expr::as_const).and_then(|v| usize::try_from(v).ok());
    let (Some(given), Some(all)) = (given, all) else { return Ok(mask) };
    if given >= all {
        return Ok(mask);
    }
    let mut pads = vec![0; 2 * shape.len()];
    pads[2 * shape.len() - 1] = (all - given) as i64;
    let hidden = if c.dtype(mask)? == DType::Bool { 0.0 } else { f64::NEG_INFINITY };
    c.padded(mask, &pads, hidden)
}

/// The softmax of each row, in the precision that the node asks for. A row of −inf alone sees nothing: its
/// probabilities are 0.
pub(super) fn probabilities(c: &mut Call<'_, '_>, biased: ValueId, may_hide_rows: bool) -> Step {
    let own = c.dtype(biased)?;
    let precision = match c.attributes().int("softmax_precision")? {
        None | Some(0) => own,
        Some(number) => crate::tensor::dtype(i32::try_from(number).unwrap_or(-1))?,
    };
    if !precision.is_float() {
        return Err(format!(
            "attribute `softmax_precision` names {precision}, which is no floating-point type"
        ));
    }
    let biased = c.cast(biased, precision)?;
    let mut y = c.emit(Op::Softmax { axis: -1, log: false }, &[biased])?;
    if may_hide_rows {
        let highest = c.reduce(ReduceOp::Max, biased, &[-1], Keep::Dims)?;
        let (nothing, zero) = (c.scalar_like(biased, f64::NEG_INFINITY)?, c.scalar_like(biased, 0.0)?);
        let blind = c.binary(BinaryOp::Equal, highest, nothing)?;
        y = c.select(blind, zero, y)?;
    }
    c.cast(y, own)
}

/// Pairs of elements of each head, turned by the angle of their position:
/// (x₁, x₂) → (cos · x₁ − sin · x₂, sin · x₁ + cos · x₂).
fn rotary_embedding(c: &mut Call<'_, '_>) -> Built {
    let (x, cos, sin, at) = (c.input(0)?, c.input(1)?, c.input(2)?, c.optional(3)?);
    let heads = count_or_none(c, "num_heads")?;
    let rotary = Rotary {
        interleaved: c.attributes().flag("interleaved", false)?,
        size: count_or_none(c, "rotary_embedding_dim")?,
    };
    let (flat, x4) = (c.rank(x)? == 3, heads_of(c, x, heads)?);
    let [cos, sin] = [cos, sin].map(|cache| {
        let found = match at {
            Some(at) => c.emit(Op::Gather { axis: 0 }, &[cache, at])?,
            None => cache,
        };
        // [b, s, half] beside [b, heads, s, half]
        c.unsqueeze(found, &[1])
    });
    let y = rotary.turned(c, x4, cos?, sin?)?;
    if !flat {
        return Ok(vec![y]);
    }
    let y = c.permute(y, &[0, 2, 1, 3])?;
    Ok(vec![c.like(y, x)?])
}

/// A number, of which 0 says that it is not given.
fn count_or_none(c: &Call<'_, '_>, name: &str) -> Result<Option<i64>, String> {
    if c.attributes().int_or(name, 0)? == 0 { Ok(None) } else { count(c, name) }
}

/// How elements of a head are turned.
pub(super) struct Rotary {
    /// Whether pairs are neighbours, or elements of the two halves.
    pub(super) interleaved: bool,
    /// Elements of a head that are turned, if not all.
    pub(super) size: Option<i64>,
}

impl Rotary {
    /// `x` [b, heads, s, d] turned by `cos` and `sin`, which broadcast against [b, heads, s, size / 2].
    pub(super) fn turned(&self, c: &mut Call<'_, '_>, x: ValueId, cos: ValueId, sin: ValueId) -> Step {
        let known = c.size(x, 3)?.ok_or("the size of a head must be known")? as i64;
        let size = self.size.unwrap_or(known);
        if size > known || size % 2 != 0 {
            return Err(format!("{size} of the {known} elements of a head cannot be turned in pairs"));
        }
        let turned = if size == known { x } else { c.cut(x, 3, 0, size)? };
        let (a, b) = if self.interleaved {
            let pairs = c.reshape_to(turned, &[0, 0, 0, size / 2, 2])?;
            let (a, b) = (c.cut(pairs, 4, 0, 1)?, c.cut(pairs, 4, 1, 2)?);
            (c.squeeze(a, &[4])?, c.squeeze(b, &[4])?)
        } else {
            (c.cut(turned, 3, 0, size / 2)?, c.cut(turned, 3, size / 2, size)?)
        };
        let (cos_a, sin_b) = (c.binary(BinaryOp::Mul, cos, a)?, c.binary(BinaryOp::Mul, sin, b)?);
        let real = c.binary(BinaryOp::Sub, cos_a, sin_b)?;
        let (sin_a, cos_b) = (c.binary(BinaryOp::Mul, sin, a)?, c.binary(BinaryOp::Mul, cos, b)?);
        let imaginary = c.binary(BinaryOp::Add, sin_a, cos_b)?;
        let y = if self.interleaved {
            let (real, imaginary) = (c.unsqueeze(real, &[4])?, c.unsqueeze(imaginary, &[4])?);
            let pairs = c.concat(4, &[real, imaginary])?;
            c.like(pairs, turned)?
        } else {
            c.concat(3, &[real, imaginary])?
        };
        if size == known {
            return Ok(y);
        }
        let rest = c.cut(x, 3, size, known)?;
        c.concat(3, &[y, rest])
    }
}
