//! Matrix products of integers and of 64-bit floats, a result after the other.

use bayplan_shaders::{MatMulSpec, Repr};

use super::{accumulated, epilogue};
use crate::chain::repr;
use crate::column::{Column, Element};
use crate::parallel;
use crate::view::{Merged, elements, signed};

pub(super) fn compute(spec: &MatMulSpec, operands: &[&[u32]], out: &mut [u32]) -> Result<(), String> {
    let shape = [&spec.batch[..], &[spec.m, spec.n]].concat();
    let applied = epilogue(&spec.epilogue, &shape, operands, 2)?;
    let own = repr(accumulated(&spec.epilogue))?;
    let words = repr(spec.epilogue.result)?.words() as usize;
    let work = elements(&shape).saturating_mul(spec.k).saturating_mul(2);
    parallel::rows(out, words, work, |first, out| {
        applied.fill(first, out, |from, len| Some(column(spec, own, operands, from, len)))
    })
}

/// Results `from..from + len`; integers wrap in the words that they lie in.
fn column(spec: &MatMulSpec, repr: Repr, operands: &[&[u32]], from: usize, len: usize) -> Column {
    macro_rules! wrapping {
        () => {
            |sum, a, b| sum.wrapping_add(a.wrapping_mul(b))
        };
    }
    match repr {
        Repr::F32 => Column::F32(sums(spec, operands, from, len, 0.0, |sum, a, b| sum + a * b)),
        Repr::I32 => Column::I32(sums(spec, operands, from, len, 0_i32, wrapping!())),
        Repr::U32 => Column::U32(sums(spec, operands, from, len, 0_u32, wrapping!())),
        Repr::I64 => Column::I64(sums(spec, operands, from, len, 0_i64, wrapping!())),
        Repr::U64 => Column::U64(sums(spec, operands, from, len, 0_u64, wrapping!())),
        Repr::F64 => Column::F64(sums(spec, operands, from, len, 0.0, |sum, a, b| sum + a * b)),
    }
}

fn sums<T: Element>(
    spec: &MatMulSpec,
    operands: &[&[u32]],
    from: usize,
    len: usize,
    zero: T,
    add: fn(T, T, T) -> T,
) -> Vec<T> {
    let rank = spec.batch.len();
    let [m, n, k] = [spec.m, spec.n, spec.k].map(|size| size as usize);
    let [a_row, a_k] = [spec.a_strides[rank], spec.a_strides[rank + 1]].map(|step| step as usize);
    let [b_k, b_column] = [spec.b_strides[rank], spec.b_strides[rank + 1]].map(|step| step as usize);
    let bases = Merged::new(&spec.batch, &[signed(&spec.a_strides[..rank]), signed(&spec.b_strides[..rank])]);
    let (mut base, mut current) = ([0, 0], None);
    let mut all = Vec::with_capacity(len);
    for number in from..from + len {
        let (batch, row, column) = (number / (m * n), number / n % m, number % n);
        if current != Some(batch) {
            bases.segments(batch, 1, |at, _| base = [at[0] as usize, at[1] as usize]);
            current = Some(batch);
        }
        let (a_at, b_at) = (base[0] + row * a_row, base[1] + column * b_column);
        let sum = (0..k).fold(zero, |sum, step| {
            let a = T::get(operands[0], a_at + step * a_k);
            add(sum, a, T::get(operands[1], b_at + step * b_k))
        });
        all.push(sum);
    }
    all
}
