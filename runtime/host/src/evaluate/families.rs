//! What each family computes before its chain or epilogue, exactly, with the magnitudes that its error is a multiple of.

use bayplan_graph::op::{BinaryOp, PoolKind, ReduceOp};
use bayplan_shaders::{
    ConvSpec, CumulateSpec, MatMulSpec, NormalizeSpec, PoolSpec, RangeSpec, ReduceSpec, ScatterSpec,
    SoftmaxSpec, log_softmax_magnitudes, normalize_magnitudes, product_magnitude, softmax_magnitudes,
};

use super::scalar::{Scalar, wrapped};
use crate::view::{Merged, contiguous, elements, signed};
use crate::work::accumulated;
use crate::work::pool::{Axis, first_maximum};
use crate::work::rows::{moments, softmax_line};

/// A result and its magnitude.
pub(super) type Exact = (Scalar, f64);

fn float(value: f64, magnitude: f64) -> Exact {
    (Scalar::Float(value), magnitude)
}

fn at(words: &[u32], index: usize) -> f64 {
    f32::from_bits(words[index]).into()
}

/// A sum of products and the sum of their sizes.
fn sum(terms: impl Iterator<Item = f64>) -> Exact {
    let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
    float(sum, size)
}

/// `a` and `b` are the elements of the operands' windows.
pub(super) fn matmul(spec: &MatMulSpec, a: &[Scalar], b: &[Scalar]) -> Vec<Exact> {
    let dtype = accumulated(&spec.epilogue);
    let rank = spec.batch.len();
    let bases = Merged::new(&spec.batch, &[signed(&spec.a_strides[..rank]), signed(&spec.b_strides[..rank])]);
    let [a_row, a_k] = [spec.a_strides[rank], spec.a_strides[rank + 1]].map(|step| step as usize);
    let [b_k, b_column] = [spec.b_strides[rank], spec.b_strides[rank + 1]].map(|step| step as usize);
    let [m, n, k] = [spec.m, spec.n, spec.k].map(|size| size as usize);
    let mut all = Vec::new();
    for batch in 0..elements(&spec.batch) as usize {
        let mut base = [0, 0];
        bases.segments(batch, 1, |places, _| base = [places[0] as usize, places[1] as usize]);
        for (row, column) in (0..m).flat_map(|row| (0..n).map(move |column| (row, column))) {
            let (a_at, b_at) = (base[0] + row * a_row, base[1] + column * b_column);
            let pairs = (0..k).map(|step| (a[a_at + step * a_k], b[b_at + step * b_k]));
            all.push(if dtype.is_float() {
                sum(pairs.map(|(a, b)| a.as_f64() * b.as_f64()))
            } else {
                let product = |(a, b): (Scalar, Scalar)| match (a, b) {
                    (Scalar::Int(a), Scalar::Int(b)) => a.wrapping_mul(b),
                    _ => 0,
                };
                let total = pairs.map(product).fold(0, i128::wrapping_add);
                (Scalar::Int(wrapped(total, dtype)), 0.0)
            });
        }
    }
    all
}

/// `w` as the model has it.
pub(super) fn conv(spec: &ConvSpec, x: &[u32], w: &[u32]) -> Vec<Exact> {
    let axis = |axis: usize| Axis {
        input: spec.input[axis] as usize,
        kernel: spec.kernel[axis] as usize,
        stride: spec.strides[axis] as usize,
        dilation: spec.dilations[axis] as usize,
        before: spec.pads[axis] as usize,
        after: 0,
    };
    let axes = [axis(0), axis(1)];
    let (area, taps) = (axes[0].input * axes[1].input, axes[0].kernel * axes[1].kernel);
    let (channels, filters) = ((spec.channels / spec.groups) as usize, (spec.filters / spec.groups) as usize);
    let mut all = Vec::new();
    for (image, filter) in
        (0..spec.batch as usize).flat_map(|n| (0..spec.filters as usize).map(move |m| (n, m)))
    {
        let first = image * spec.channels as usize + filter / filters * channels;
        for (oy, ox) in
            (0..spec.output[0] as usize).flat_map(|y| (0..spec.output[1] as usize).map(move |x| (y, x)))
        {
            let down: Vec<(usize, usize)> = axes[0].numbered(oy).collect();
            let across: Vec<(usize, usize)> = axes[1].numbered(ox).collect();
            all.push(sum((0..channels).flat_map(|channel| {
                let (across, from) = (&across, (first + channel) * area);
                let weights = (filter * channels + channel) * taps;
                down.iter().flat_map(move |&(ky, y)| {
                    across.iter().map(move |&(kx, column)| {
                        let tap = at(w, weights + ky * axes[1].kernel + kx);
                        tap * at(x, from + y * axes[1].input + column)
                    })
                })
            })));
        }
    }
    all
}

pub(super) fn pool(spec: &PoolSpec, x: &[u32]) -> Vec<Exact> {
    let axes = [Axis::of(spec, 0), Axis::of(spec, 1)];
    let area = axes[0].input * axes[1].input;
    let mut all = Vec::new();
    for plane in 0..spec.planes as usize {
        for (oy, ox) in
            (0..spec.output[0] as usize).flat_map(|y| (0..spec.output[1] as usize).map(move |x| (y, x)))
        {
            let row =
                |y: usize| axes[1].taps(ox).map(move |column| plane * area + y * axes[1].input + column);
            let places: Vec<usize> = axes[0].taps(oy).flat_map(row).collect();
            let taps: Vec<f64> = places.iter().map(|&place| at(x, place)).collect();
            all.push(match spec.kind {
                PoolKind::Max => {
                    let larger = |most: f64, v: &f64| if *v > most || v.is_nan() { *v } else { most };
                    float(taps.iter().fold(f64::NEG_INFINITY, larger), 0.0)
                }
                PoolKind::Sum => sum(taps.into_iter()),
                PoolKind::Index => {
                    let first =
                        first_maximum(taps.into_iter()).map_or(-1, |i| (places[i] - plane * area) as i128);
                    (Scalar::Int(first), 0.0)
                }
                PoolKind::Average { count_pad } => {
                    let whole = axes[0].counted(oy) * axes[1].counted(ox);
                    let counted = if count_pad { whole } else { taps.len() } as f64;
                    let (total, size) = sum(taps.into_iter());
                    float(total.as_f64() / counted, size / counted)
                }
            });
        }
    }
    all
}

/// `x` are the elements of the operand.
pub(super) fn reduce(spec: &ReduceSpec, x: &[Scalar]) -> Option<Vec<Exact>> {
    let (len, inner) = (spec.len as usize, spec.inner as usize);
    let mut all = Vec::new();
    for line in 0..spec.outer as usize * inner {
        let first = line / inner * len * inner + line % inner;
        let line = (0..len).map(|k| x[first + k * inner]);
        all.push(if spec.dtype.is_float() {
            reduce_floats(spec.op, line)?
        } else {
            reduce_ints(spec, line)?
        });
    }
    Some(all)
}

fn reduce_floats(op: ReduceOp, line: impl Iterator<Item = Scalar>) -> Option<Exact> {
    let line: Vec<f64> = line.map(Scalar::as_f64).collect();
    let count = line.len() as f64;
    Some(match op {
        ReduceOp::Sum => sum(line.into_iter()),
        ReduceOp::Mean => {
            let (total, size) = sum(line.into_iter());
            float(total.as_f64() / count, size / count)
        }
        ReduceOp::Prod => float(line.iter().product(), product_magnitude(line.iter().copied())),
        ReduceOp::Max => {
            float(line.iter().fold(f64::NEG_INFINITY, |a, &v| if a.is_nan() || a > v { a } else { v }), 0.0)
        }
        ReduceOp::Min => {
            float(line.iter().fold(f64::INFINITY, |a, &v| if a.is_nan() || a < v { a } else { v }), 0.0)
        }
        _ => return None,
    })
}

fn reduce_ints(spec: &ReduceSpec, line: impl Iterator<Item = Scalar>) -> Option<Exact> {
    let line: Vec<i128> = line.map(|v| if let Scalar::Int(v) = v { v } else { 0 }).collect();
    let limits = spec.dtype.limits();
    let made = match spec.op {
        ReduceOp::Sum => line.iter().sum(),
        ReduceOp::Mean => line.iter().sum::<i128>() / line.len().max(1) as i128,
        ReduceOp::Prod => line.iter().fold(1, |a, v| wrapped(a * v, spec.dtype)),
        // Over nothing, the least and greatest there is.
        ReduceOp::Max => line.iter().copied().max().or(limits.map(|(least, _)| least))?,
        ReduceOp::Min => line.iter().copied().min().or(limits.map(|(_, most)| most))?,
        _ => return None,
    };
    Some((Scalar::Int(wrapped(made, spec.dtype)), 0.0))
}

pub(super) fn softmax(spec: &SoftmaxSpec, x: &[Scalar]) -> Vec<Exact> {
    let (len, inner) = (spec.len as usize, spec.inner as usize);
    let mut all = vec![float(0.0, 0.0); spec.outer as usize * len * inner];
    for line in 0..spec.outer as usize * inner {
        let first = line / inner * len * inner + line % inner;
        let row: Vec<f64> = (0..len).map(|k| x[first + k * inner].as_f64()).collect();
        let mut result = row.clone();
        softmax_line(&mut result, spec.log);
        let sizes = if spec.log { log_softmax_magnitudes(&row) } else { softmax_magnitudes(&row, &result) };
        for (k, (value, size)) in result.into_iter().zip(sizes).enumerate() {
            all[first + k * inner] = float(value, size);
        }
    }
    all
}

pub(super) fn normalize(spec: &NormalizeSpec, x: &[u32]) -> Vec<Exact> {
    let mut all = Vec::with_capacity(x.len());
    for row in x[..(spec.rows * spec.len) as usize].chunks_exact((spec.len as usize).max(1)) {
        let row: Vec<f64> = row.iter().map(|word| f32::from_bits(*word).into()).collect();
        let (mean, scale) = moments(&row, spec.center, spec.epsilon);
        let result: Vec<f64> = row.iter().map(|v| (v - mean) * scale).collect();
        let sizes = normalize_magnitudes(&row, &result, spec.epsilon.into(), spec.center);
        all.extend(result.into_iter().zip(sizes).map(|(value, size)| float(value, size)));
    }
    all
}

/// What is joined into one float by an addition, a product or an extremum, in that order.
fn joined(op: BinaryOp, terms: &[f64]) -> Option<Exact> {
    let reduce = match op {
        BinaryOp::Add => ReduceOp::Sum,
        BinaryOp::Mul => ReduceOp::Prod,
        BinaryOp::Max => ReduceOp::Max,
        BinaryOp::Min => ReduceOp::Min,
        _ => return None,
    };
    reduce_floats(reduce, terms.iter().map(|&v| Scalar::Float(v)))
}

/// Of floats.
pub(super) fn cumulate(spec: &CumulateSpec, x: &[Scalar]) -> Option<Vec<Exact>> {
    let (len, inner) = (spec.len as usize, spec.inner as usize);
    let mut all = vec![float(0.0, 0.0); x.len()];
    for line in 0..spec.outer as usize * inner {
        let first = line / inner * len * inner + line % inner;
        let mut terms = Vec::with_capacity(len);
        for j in 0..len {
            let at = first + inner * if spec.reverse { len - 1 - j } else { j };
            if spec.exclusive {
                all[at] = joined(spec.op, &terms)?;
            }
            terms.push(x[at].as_f64());
            if !spec.exclusive {
                all[at] = joined(spec.op, &terms)?;
            }
        }
    }
    Some(all)
}

/// Of floats that are joined: `places` has for each update the element that it goes to.
pub(super) fn scatter(
    spec: &ScatterSpec,
    places: &[Option<usize>],
    updates: &[Scalar],
    before: &[Scalar],
) -> Option<Vec<Exact>> {
    let mut terms: Vec<Vec<f64>> = before.iter().map(|v| vec![v.as_f64()]).collect();
    for (at, update) in places.iter().zip(updates) {
        if let Some(at) = at {
            terms[*at].push(update.as_f64());
        }
    }
    let op = spec.join?;
    terms.iter().map(|terms| joined(op, terms)).collect()
}

/// `ends` are start and delta.
pub(super) fn range(spec: &RangeSpec, ends: [Scalar; 2]) -> Vec<Exact> {
    let one = |i: u64| match ends {
        [Scalar::Int(start), Scalar::Int(delta)] => {
            (Scalar::Int(wrapped(start + i128::from(i) * delta, spec.dtype)), 0.0)
        }
        [start, delta] => {
            let (start, far) = (start.as_f64(), i as f64 * delta.as_f64());
            float(start + far, start.abs() + far.abs())
        }
    };
    (0..spec.count).map(one).collect()
}

/// The strides of a contiguous shape, signed.
pub(super) fn dense(shape: &[u64]) -> Vec<i64> {
    signed(&contiguous(shape))
}
