//! Sums, means, extrema and products.

use bayplan_graph::DType;
use bayplan_graph::op::ReduceOp;
use bayplan_shaders::{ReduceSpec, Repr};

use super::epilogue;
use crate::chain::{BLOCK, repr};
use crate::column::{Column, Element};
use crate::parallel;
use crate::view::elements;

pub(super) fn compute(spec: &ReduceSpec, operands: &[&[u32]], out: &mut [u32]) -> Result<(), String> {
    let x = operands[0];
    let applied = epilogue(&spec.epilogue, &[spec.outer, spec.inner], operands, 1)?;
    let words = repr(spec.epilogue.result)?.words() as usize;
    let work = elements(&[spec.outer, spec.len, spec.inner]);
    parallel::rows(out, words, work, |first, out| {
        for (number, out) in out.chunks_mut(BLOCK * words).enumerate() {
            let (from, len) = (first + number * BLOCK, out.len() / words);
            let given = reduced(spec, x, from, len)?;
            applied.block(from, len, Some(given))?.store(out);
        }
        Ok(())
    })
}

/// The reductions `from..from + count`, counted through rows and columns.
fn reduced(spec: &ReduceSpec, x: &[u32], from: usize, count: usize) -> Result<Column, String> {
    let lines = Lines { len: spec.len as usize, inner: spec.inner as usize, from, count };
    Ok(match spec.dtype {
        dtype if repr(dtype)? == Repr::F32 => {
            Column::F32(lines.floats::<f32>(spec.op, x)?.into_iter().map(|v| v as f32).collect())
        }
        DType::F64 => Column::F64(lines.floats::<f64>(spec.op, x)?),
        DType::I2 | DType::I4 | DType::I8 | DType::I16 | DType::I32 => {
            Column::I32(lines.ints::<i32>(spec.op, x, i32::MIN.into(), i32::MAX.into(), |v| v as i32)?)
        }
        DType::U2 | DType::U4 | DType::U8 | DType::U16 | DType::U32 => {
            Column::U32(lines.ints::<u32>(spec.op, x, 0, u32::MAX.into(), |v| v as u32)?)
        }
        DType::I64 => {
            Column::I64(lines.ints::<i64>(spec.op, x, i64::MIN.into(), i64::MAX.into(), |v| v as i64)?)
        }
        DType::U64 => Column::U64(lines.ints::<u64>(spec.op, x, 0, u64::MAX.into(), |v| v as u64)?),
        other => return Err(format!("a reduction of {other}")),
    })
}

/// Some of the lines of a tensor [outer, len, inner].
struct Lines {
    len: usize,
    inner: usize,
    from: usize,
    count: usize,
}

impl Lines {
    /// Folds each line; runs of lines that lie side by side are folded together, element after element.
    fn fold<T: Element, A: Copy>(&self, x: &[u32], start: A, f: impl Fn(A, T) -> A) -> Vec<A> {
        let mut all = vec![start; self.count];
        let mut done = 0;
        while done < self.count {
            let (outer, column) = ((self.from + done) / self.inner, (self.from + done) % self.inner);
            let side = (self.inner - column).min(self.count - done);
            let block = &mut all[done..done + side];
            let base = outer * self.len * self.inner + column;
            for k in 0..self.len {
                for (i, value) in block.iter_mut().enumerate() {
                    *value = f(*value, T::get(x, base + k * self.inner + i));
                }
            }
            done += side;
        }
        all
    }

    fn floats<T: Element + Into<f64>>(&self, op: ReduceOp, x: &[u32]) -> Result<Vec<f64>, String> {
        let wide = |start: f64, f: fn(f64, f64) -> f64| self.fold(x, start, |a, v: T| f(a, v.into()));
        let all = match op {
            ReduceOp::Sum | ReduceOp::Mean => wide(0.0, |a, v| a + v),
            ReduceOp::Prod => wide(1.0, |a, v| a * v),
            // A NaN stays.
            ReduceOp::Max => wide(f64::NEG_INFINITY, |a, v| if a.is_nan() || a > v { a } else { v }),
            ReduceOp::Min => wide(f64::INFINITY, |a, v| if a.is_nan() || a < v { a } else { v }),
            _ => return Err(format!("{op:?} of floats")),
        };
        let by = if op == ReduceOp::Mean { self.len as f64 } else { 1.0 };
        Ok(all.into_iter().map(|v| v / by).collect())
    }

    fn ints<T: Element + Into<i128>>(
        &self,
        op: ReduceOp,
        x: &[u32],
        least: i128,
        most: i128,
        back: fn(i128) -> T,
    ) -> Result<Vec<T>, String> {
        let wide = |start, f: fn(i128, i128) -> i128| self.fold(x, start, |a, v: T| f(a, v.into()));
        let all = match op {
            ReduceOp::Sum | ReduceOp::Mean => wide(0, i128::wrapping_add),
            ReduceOp::Prod => wide(1, i128::wrapping_mul),
            ReduceOp::Max => wide(least, i128::max),
            ReduceOp::Min => wide(most, i128::min),
            _ => return Err(format!("{op:?} of integers")),
        };
        let by = if op == ReduceOp::Mean { self.len.max(1) as i128 } else { 1 };
        Ok(all.into_iter().map(|v| back(v / by)).collect())
    }
}
