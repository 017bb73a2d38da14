//! Softmax and normalisation: rows of elements that depend on each other.

use bayplan_shaders::{NormalizeSpec, Repr, SoftmaxSpec};

use super::epilogue;
use crate::chain::{BLOCK, repr};
use crate::column::{Column, Element, rounded};
use crate::parallel;

/// Operations that an element with an exponential counts for when work is shared out.
const COST: u64 = 16;

pub(super) fn softmax(spec: &SoftmaxSpec, operands: &[&[u32]], out: &mut [u32]) -> Result<(), String> {
    match repr(spec.dtype)? {
        Repr::F64 => softmax_of::<f64>(spec, operands[0], out, |v| v),
        _ => softmax_of::<f32>(spec, operands[0], out, |v| rounded(spec.dtype, v as f32)),
    }
}

fn softmax_of<T: Element + Into<f64>>(
    spec: &SoftmaxSpec,
    x: &[u32],
    out: &mut [u32],
    back: impl Fn(f64) -> T + Sync,
) -> Result<(), String> {
    let (len, inner) = (spec.len as usize, spec.inner as usize);
    let (plane, work) = (len * inner * T::WORDS, (out.len() as u64).saturating_mul(COST));
    parallel::rows(out, plane, work, |first, out| {
        let mut line = vec![0.0; len];
        for (block, out) in out.chunks_mut(plane).enumerate() {
            let x = &x[(first + block) * plane..][..plane];
            for column in 0..inner {
                for (k, value) in line.iter_mut().enumerate() {
                    *value = T::get(x, k * inner + column).into();
                }
                softmax_line(&mut line, spec.log);
                for (k, value) in line.iter().enumerate() {
                    back(*value).put(out, k * inner + column);
                }
            }
        }
        Ok(())
    })
}

/// Softmax of a line in place.
pub(crate) fn softmax_line(line: &mut [f64], log: bool) {
    let most = line.iter().fold(f64::NEG_INFINITY, |most, &v| most.max(v));
    if log {
        let sum: f64 = line.iter().map(|v| (v - most).exp()).sum();
        let shift = most + sum.ln();
        line.iter_mut().for_each(|v| *v -= shift);
    } else {
        line.iter_mut().for_each(|v| *v = (*v - most).exp());
        let sum: f64 = line.iter().sum();
        line.iter_mut().for_each(|v| *v /= sum);
    }
}

/// Mean (0 where it is not subtracted) and the factor that gives a variance of 1.
pub(crate) fn moments(row: &[f64], center: bool, epsilon: f32) -> (f64, f64) {
    let count = row.len() as f64;
    let mean = if center { row.iter().sum::<f64>() / count } else { 0.0 };
    let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    (mean, (variance + f64::from(epsilon)).sqrt().recip())
}

pub(super) fn normalize(spec: &NormalizeSpec, operands: &[&[u32]], out: &mut [u32]) -> Result<(), String> {
    let x = operands[0];
    let len = spec.len as usize;
    let applied = epilogue(&spec.epilogue, &[spec.rows, spec.len], operands, 1)?;
    let words = crate::chain::repr(spec.epilogue.result)?.words() as usize;
    let work = (out.len() as u64).saturating_mul(COST);
    parallel::rows(out, len * words, work, |first, out| {
        for (index, out) in out.chunks_mut(len * words).enumerate() {
            let at = (first + index) * len;
            let row: Vec<f64> = x[at..at + len].iter().map(|word| f64::from(f32::from_bits(*word))).collect();
            let (mean, scale) = moments(&row, spec.center, spec.epsilon);
            for (number, out) in out.chunks_mut(BLOCK * words).enumerate() {
                let from = number * BLOCK;
                let row = &row[from..(from + BLOCK).min(len)];
                let values = row.iter().map(|v| ((v - mean) * scale) as f32).collect();
                applied.block(at + from, row.len(), Some(Column::F32(values)))?.store(out);
            }
        }
        Ok(())
    })
}
