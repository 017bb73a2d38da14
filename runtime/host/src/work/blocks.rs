//! Products and rows of matrices that stay in quantised blocks.

use bayplan_graph::BlockFormat;
use bayplan_shaders::{BlockGatherSpec, BlockMatMulSpec};

use super::epilogue;
use super::movement::{indices, position};
use crate::column::Column;
use crate::parallel;

/// The elements of so many blocks from one on, of bytes that lie four to a word.
pub(crate) fn unpacked(format: BlockFormat, words: &[u32], first: usize, count: usize, out: &mut Vec<f32>) {
    let bytes = first * format.bytes()..(first + count) * format.bytes();
    let packed: Vec<u8> = bytes.map(|at| (words[at / 4] >> (at % 4 * 8)) as u8).collect();
    out.clear();
    format.unpack(&packed, out);
}

/// Each column's blocks are unpacked once; sums are rounded once.
pub(super) fn matmul(spec: &BlockMatMulSpec, operands: &[&[u32]], out: &mut [u32]) -> Result<(), String> {
    let [m, n, k] = [spec.m, spec.n, spec.k].map(|size| size as usize);
    let [row, step] = [spec.a_strides[0], spec.a_strides[1]].map(|step| step as usize);
    let blocks = k / spec.format.elements();
    let work = spec.m.saturating_mul(spec.n).saturating_mul(spec.k).saturating_mul(2);
    let mut columns = vec![0; m * n];
    parallel::rows(&mut columns, m, work, |first, columns| {
        let mut b = Vec::with_capacity(k);
        for (j, column) in columns.chunks_exact_mut(m).enumerate() {
            unpacked(spec.format, operands[1], (first + j) * blocks, blocks, &mut b);
            for (i, sum) in column.iter_mut().enumerate() {
                let a = operands[0][i * row..].iter().step_by(step.max(1));
                let terms = a.zip(&b).map(|(&a, &b)| f64::from(f32::from_bits(a)) * f64::from(b));
                *sum = (terms.sum::<f64>() as f32).to_bits();
            }
        }
        Ok(())
    })?;
    let applied = epilogue(&spec.epilogue, &[spec.m, spec.n], operands, 2)?;
    applied.fill(0, out, |from, len| {
        let at = |number: usize| f32::from_bits(columns[number % n * m + number / n]);
        Some(Column::F32((from..from + len).map(at).collect()))
    })
}

pub(super) fn gather(spec: &BlockGatherSpec, operands: &[&[u32]], out: &mut [u32]) -> Result<(), String> {
    let row = spec.inner as usize;
    let blocks = row / spec.format.elements();
    let mut elements = Vec::with_capacity(row);
    for (out, index) in out.chunks_exact_mut(row).zip(indices(spec.index, operands[1])?) {
        let Some(at) = position(index, spec.axis) else { continue };
        unpacked(spec.format, operands[0], at * blocks, blocks, &mut elements);
        out.iter_mut().zip(&elements).for_each(|(out, v): (&mut u32, &f32)| *out = v.to_bits());
    }
    Ok(())
}
