//! Softmax and normalisation: rows of elements that depend on each other.

use bayplan_shaders::{NormalizeSpec, SoftmaxSpec};

use super::epilogue;
use crate::chain::BLOCK;
use crate::column::{Column, rounded};
use crate::parallel;

/// Operations that an element with an exponential counts for when work is shared out.
const COST: u64 = 16;

pub(super) fn softmax(spec: &SoftmaxSpec, operands: &[&[u32]], out: &mut [u32]) -> Result<(), String> {
    let x = operands[0];
    let (len, inner) = (spec.len as usize, spec.inner as usize);
    let work = (out.len() as u64).saturating_mul(COST);
    parallel::rows(out, len * inner, work, |first, out| {
        let mut line = vec![0.0; len];
        for (block, out) in out.chunks_mut(len * inner).enumerate() {
            let x = &x[(first + block) * len * inner..][..len * inner];
            for column in 0..inner {
                for (value, word) in line.iter_mut().zip(x[column..].iter().step_by(inner)) {
                    *value = f64::from(f32::from_bits(*word));
                }
                softmax_line(&mut line, spec.log);
                for (word, value) in out[column..].iter_mut().step_by(inner).zip(&line) {
                    *word = rounded(spec.dtype, *value as f32).to_bits();
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
