//! That a layer is attention: evaluated from queries, keys and values to its result, and compared.

use super::masks::NEAR;
use super::part::Part;
use super::sizes::{Inputs, Point, Sizes};
use super::states::{self, Dims};
use super::walk::Layer;
use super::{Attention, Refusal, named};
use crate::{Constants, DType, Graph, Tensor};

/// Elements for a layer: queries [heads, seq, d], keys and values [kv heads, past + seq, d].
struct Sample {
    q: Vec<f64>,
    k: Vec<f64>,
    v: Vec<f64>,
}

/// How far scores of neighbouring keys lie apart in steep samples: a mask that hides by less shows.
const STEP: f64 = 300.0;

/// Proves that a layer's result is softmax(q · kᵀ · scale, keys up to the query's position) · v, whatever its nodes are.
pub(super) fn prove(
    graph: &Graph,
    sizes: &Sizes,
    inputs: &Inputs,
    layer: &Layer,
    constants: &dyn Constants,
) -> Result<(), Refusal> {
    let attention = &layer.attention;
    let (keys, values) = (states::dims(graph, &attention.keys), states::dims(graph, &attention.values));
    if keys != values || !attention.heads.is_multiple_of(keys.heads) {
        return Err(Refusal::new(format!(
            "{} heads of queries and {} of keys and values; the first is expected to be a multiple of the second",
            attention.heads, keys.heads
        )));
    }
    let given = [attention.q, attention.keys.present, attention.values.present];
    let part = Part::cut(graph, &given, &[attention.result]);
    for at in NEAR {
        for steep in [false, true] {
            let sample = Sample::new(attention, keys, at, steep);
            let made = evaluated(&part, graph, sizes, inputs, attention, &sample, at, constants);
            let made = made.map_err(|e| unlike(graph, attention, &format!("cannot be evaluated: {e}")))?;
            if !close(&made, &sample.result(attention, keys, at), keys.dtype) {
                let with = format!("is another with {} tokens behind {}", at.seq, at.past);
                return Err(unlike(graph, attention, &with));
            }
        }
    }
    Ok(())
}

fn unlike(graph: &Graph, attention: &Attention, what: &str) -> Refusal {
    let Attention { heads, scale, .. } = attention;
    Refusal::new(format!(
        "result {} {what}; softmax(q · kᵀ · {scale}) · v over the keys up to each query's position is expected, with {heads} heads \
         of which consecutive ones share keys",
        named(graph, attention.result)
    ))
}

fn close(made: &Tensor, expected: &[f64], dtype: DType) -> bool {
    let tolerance = match dtype {
        DType::F32 | DType::F64 => 1e-4,
        DType::F16 => 1e-2,
        _ => 8e-2,
    };
    let made = made.to_f64();
    made.len() == expected.len() && made.iter().zip(expected).all(|(a, b)| (a - b).abs() <= tolerance)
}

#[allow(clippy::too_many_arguments, reason = "what a layer is evaluated with")]
fn evaluated(
    part: &Part,
    graph: &Graph,
    sizes: &Sizes,
    inputs: &Inputs,
    attention: &Attention,
    sample: &Sample,
    at: Point,
    constants: &dyn Constants,
) -> Result<Tensor, String> {
    let made = part.at(sizes, at, constants, &|value| {
        let elements = match value {
            _ if value == attention.q => &sample.q,
            _ if value == attention.keys.present => &sample.k,
            _ if value == attention.values.present => &sample.v,
            _ => return inputs.elements(graph, value, at),
        };
        let ty = graph.value(value).ty.as_ref()?;
        let bindings = sizes.of_run(at);
        let shape: Option<Vec<usize>> =
            ty.shape.iter().map(|dim| usize::try_from(dim.eval(&bindings).ok()?).ok()).collect();
        Tensor::from_f64(ty.dtype, shape?, elements).ok()
    })?;
    made.into_iter().next().ok_or_else(|| "it has no result".to_owned())
}

impl Sample {
    /// Elements that differ from each other, from -1 to 1; steep ones make later keys score higher by [`STEP`] each.
    fn new(attention: &Attention, dims: Dims, at: Point, steep: bool) -> Self {
        let (all, d) = (at.past + at.seq, dims.head);
        let mut state = 0x9e37_79b9_u32;
        let mut draw = |count: usize| -> Vec<f64> {
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // Sixteenths are exact in every float type.
                f64::from((state >> 16) % 33) / 16.0 - 1.0
            };
            (0..count).map(|_| next()).collect()
        };
        let (q, k) = (draw(attention.heads * at.seq * d), draw(dims.heads * all * d));
        let v = draw(dims.heads * all * d);
        if !steep {
            return Self { q, k, v };
        }
        let rise = STEP / (attention.scale * d as f64);
        let k = (0..k.len()).map(|index| rise * (index / d % all) as f64).collect();
        Self { q: vec![1.0; q.len()], k, v }
    }

    /// What attention makes of them: [heads, seq, d].
    fn result(&self, attention: &Attention, dims: Dims, at: Point) -> Vec<f64> {
        let (all, d, shared) = (at.past + at.seq, dims.head, attention.heads / dims.heads);
        let mut result = Vec::with_capacity(self.q.len());
        for (index, q) in self.q.chunks_exact(d).enumerate() {
            let (head, query) = (index / at.seq / shared, index % at.seq);
            let rows = |of: &'_ [f64]| of[head * all * d..][..(at.past + query + 1) * d].to_vec();
            let (k, v) = (rows(&self.k), rows(&self.v));
            let dot = |key: &[f64]| attention.scale * key.iter().zip(q).map(|(a, b)| a * b).sum::<f64>();
            let scores: Vec<f64> = k.chunks_exact(d).map(dot).collect();
            let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - highest).exp()).collect();
            let sum: f64 = weights.iter().sum();
            result.extend((0..d).map(|at| {
                let column = v.iter().skip(at).step_by(d);
                column.zip(&weights).map(|(v, weight)| v * weight).sum::<f64>() / sum
            }));
        }
        result
    }
}
