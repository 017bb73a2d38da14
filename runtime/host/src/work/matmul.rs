//! Matrix products.

use bayplan_shaders::MatMulSpec;

use super::product::{CHUNK, Sizes, product, serial};
use super::{epilogue, product::Pack};
use crate::chain::{Applied, repr};
use crate::column::Column;
use crate::parallel;
use crate::view::{Merged, elements, signed};

/// Products of up to this many rows read B where it lies: packing it would take longer.
const FEW: usize = 8;
/// Columns of B that are computed with at once when it is read where it lies.
const WIDE: usize = 512;
/// Sums side by side in a scalar product.
const LANES: usize = 16;

/// A matrix as it lies in words.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    words: &'a [u32],
    base: usize,
    /// Distance between neighbours across the inner product.
    outer: usize,
    /// Distance between neighbours along it.
    along: usize,
}

impl Matrix<'_> {
    fn at(&self, outer: usize, along: usize) -> f32 {
        f32::from_bits(self.words[self.base + outer * self.outer + along * self.along])
    }

    /// Some rows of A, or columns of B, as a panel.
    fn pack(&self, first: usize, lanes: usize, panel: &mut [f32], wide: usize) {
        let steps = panel.len() / wide;
        if self.outer == 1 {
            for (step, out) in panel.chunks_exact_mut(wide).enumerate() {
                let from = self.base + first + step * self.along;
                let run = &self.words[from..from + lanes];
                out.iter_mut().zip(run).for_each(|(out, word)| *out = f32::from_bits(*word));
            }
            return;
        }
        for lane in 0..lanes {
            let from = self.base + (first + lane) * self.outer;
            if self.along == 1 {
                let run = &self.words[from..from + steps];
                let out = panel[lane..].iter_mut().step_by(wide);
                out.zip(run).for_each(|(out, word)| *out = f32::from_bits(*word));
            } else {
                for (step, out) in panel[lane..].iter_mut().step_by(wide).enumerate() {
                    *out = f32::from_bits(self.words[from + step * self.along]);
                }
            }
        }
    }
}

pub(super) fn compute(spec: &MatMulSpec, operands: &[&[u32]], out: &mut [u32]) -> Result<(), String> {
    let sizes = Sizes { m: spec.m as usize, n: spec.n as usize, k: spec.k as usize };
    let rank = spec.batch.len();
    let batch = elements(&spec.batch) as usize;
    let bases = Merged::new(&spec.batch, &[signed(&spec.a_strides[..rank]), signed(&spec.b_strides[..rank])]);
    let matrices = |number: usize| {
        let mut base = [0, 0];
        bases.segments(number, 1, |at, _| base = [at[0] as usize, at[1] as usize]);
        let a = Matrix {
            words: operands[0],
            base: base[0],
            outer: spec.a_strides[rank] as usize,
            along: spec.a_strides[rank + 1] as usize,
        };
        let b = Matrix {
            words: operands[1],
            base: base[1],
            outer: spec.b_strides[rank + 1] as usize,
            along: spec.b_strides[rank] as usize,
        };
        (a, b)
    };
    let area = sizes.m * sizes.n;
    let mut sums = vec![0.0_f32; batch * area];
    if batch > 1 {
        let work = sizes.work().saturating_mul(batch as u64);
        parallel::rows(&mut sums, area, work, |first, sums| {
            for (number, sums) in sums.chunks_exact_mut(area).enumerate() {
                let (a, b) = matrices(first + number);
                one(sizes, a, b, sums, false)?;
            }
            Ok(())
        })?;
    } else {
        let (a, b) = matrices(0);
        one(sizes, a, b, &mut sums, true)?;
    }
    let shape = [&spec.batch[..], &[spec.m, spec.n]].concat();
    finish(
        &epilogue(&spec.epilogue, &shape, operands, 2)?,
        repr(spec.epilogue.result)?.words() as usize,
        &sums,
        out,
    )
}

/// Applies an epilogue to sums.
pub(super) fn finish(
    applied: &Applied<'_>,
    words: usize,
    sums: &[f32],
    out: &mut [u32],
) -> Result<(), String> {
    if applied.is_identity() {
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum.to_bits());
        return Ok(());
    }
    parallel::rows(out, words, 8 * sums.len() as u64, |first, out| {
        applied.fill(first, out, |from, len| Some(Column::F32(sums[from..from + len].to_vec())))
    })
}

/// One matrix product.
fn one(sizes: Sizes, a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32], share: bool) -> Result<(), String> {
    if sizes.m <= FEW && (b.outer == 1 || b.along == 1) {
        return few(sizes, a, b, out, share);
    }
    let pack_a =
        |first: usize, lanes: usize, panel: &mut [f32]| a.pack(first, lanes, panel, super::product::MR);
    let pack_b =
        |first: usize, lanes: usize, panel: &mut [f32]| b.pack(first, lanes, panel, super::product::NR);
    if share {
        return product(sizes, &pack_a, &pack_b, out);
    }
    plain(sizes, &pack_a, &pack_b, out);
    Ok(())
}

fn plain(sizes: Sizes, pack_a: &impl Pack, pack_b: &impl Pack, out: &mut [f32]) {
    serial(sizes, pack_a, pack_b, out);
}

/// A product of few rows: B is read once, where it lies.
fn few(sizes: Sizes, a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32], share: bool) -> Result<(), String> {
    let Sizes { m, n, k } = sizes;
    // The rows of A in a row each.
    let rows: Vec<f32> = (0..m).flat_map(|row| (0..k).map(move |step| a.at(row, step))).collect();
    // Columns first, so that threads have parts of their own.
    let mut turned = vec![0.0_f32; m * n];
    let work = if share { sizes.work() } else { 0 };
    parallel::rows(&mut turned, m, work, |first, out| {
        if b.outer == 1 {
            axpy(sizes, &rows, b, first, out);
        } else {
            for (column, out) in out.chunks_exact_mut(m).enumerate() {
                let from = b.base + (first + column) * b.outer;
                let column = &b.words[from..from + k];
                for (row, out) in rows.chunks_exact(k).zip(out) {
                    *out = dot(row, column) as f32;
                }
            }
        }
        Ok(())
    })?;
    for (row, out) in out.chunks_exact_mut(n).enumerate() {
        out.iter_mut().zip(turned[row..].iter().step_by(m)).for_each(|(out, sum)| *out = *sum);
    }
    Ok(())
}

/// A scalar product, summed up in lanes of f32 that go to f64 after every `CHUNK` steps.
fn dot(a: &[f32], b: &[u32]) -> f64 {
    let mut sum = 0.0;
    for (a, b) in a.chunks(CHUNK * LANES).zip(b.chunks(CHUNK * LANES)) {
        let mut part = [0.0_f32; LANES];
        let (whole_a, rest_a) = a.as_chunks::<LANES>();
        let (whole_b, rest_b) = b.as_chunks::<LANES>();
        for (a, b) in whole_a.iter().zip(whole_b) {
            for ((part, a), b) in part.iter_mut().zip(a).zip(b) {
                *part += a * f32::from_bits(*b);
            }
        }
        sum += part.iter().map(|&v| f64::from(v)).sum::<f64>();
        sum += rest_a
            .iter()
            .zip(rest_b)
            .map(|(a, b)| f64::from(*a) * f64::from(f32::from_bits(*b)))
            .sum::<f64>();
    }
    sum
}

/// Columns `first..` of a product where the rows of B lie in a row: `out[column][row]`.
fn axpy(sizes: Sizes, rows: &[f32], b: Matrix<'_>, first: usize, out: &mut [f32]) {
    let Sizes { m, k, .. } = sizes;
    let mut sums = vec![0.0_f64; m * WIDE];
    let mut part = vec![0.0_f32; m * WIDE];
    for (block, out) in out.chunks_mut(WIDE * m).enumerate() {
        let (from, columns) = (first + block * WIDE, out.len() / m);
        sums.fill(0.0);
        for start in (0..k).step_by(CHUNK) {
            part.fill(0.0);
            for step in start..(start + CHUNK).min(k) {
                let line = &b.words[b.base + step * b.along + from..][..columns];
                for (row, part) in part.chunks_exact_mut(WIDE).enumerate() {
                    let a = rows[row * k + step];
                    part.iter_mut().zip(line).for_each(|(part, b)| *part += a * f32::from_bits(*b));
                }
            }
            sums.iter_mut().zip(&part).for_each(|(sum, part)| *sum += f64::from(*part));
        }
        for (column, out) in out.chunks_exact_mut(m).enumerate() {
            for (row, out) in out.iter_mut().enumerate() {
                *out = sums[row * WIDE + column] as f32;
            }
        }
    }
}
