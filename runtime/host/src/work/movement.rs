//! Movement of elements: copies, gathers, and sequences.

use bayplan_graph::DType;
use bayplan_shaders::{CopySpec, GatherNdSpec, GatherSpec, Others, RangeSpec, Repr, Spec};

use crate::chain::repr;
use crate::column::{Column, Element};
use crate::parallel;
use crate::view::{Merged, elements};

pub(super) fn copy(spec: &CopySpec, operands: &[&[u32]], out: &mut [u32]) -> Result<(), String> {
    let x = operands[0];
    let words = repr(spec.dtype)?.words() as usize;
    let merged = Merged::new(&spec.shape, std::slice::from_ref(&spec.x_strides));
    let step = merged.strides[0].last().copied().unwrap_or(1);
    let base = spec.x_base as isize;
    let work = out.len() as u64;
    parallel::rows(out, words, work, |first, out| {
        let (mut at, len) = (0, out.len() / words);
        merged.segments(first, len, |places, count| {
            let (from, run) = (base + places[0], &mut out[at..at + count * words]);
            at += run.len();
            if step == 1 {
                run.copy_from_slice(&x[from as usize * words..][..count * words]);
                return;
            }
            for (i, element) in run.chunks_exact_mut(words).enumerate() {
                element.copy_from_slice(&x[(from + i as isize * step) as usize * words..][..words]);
            }
        });
        Ok(())
    })
}

/// Most elements of a movement that are held beside memory at once.
const PIECE: u64 = 1 << 20;

/// A large movement as several, so that what is held beside memory does not grow with what is moved.
pub(crate) fn pieces(spec: &Spec) -> Option<Vec<Spec>> {
    let Spec::Copy(copy) = spec else { return None };
    let (&first, rest) = copy.shape.split_first()?;
    let inner = elements(rest);
    let len = (PIECE / inner.max(1)).max(1);
    if first <= len || inner == 0 {
        return None;
    }
    let piece = |start: u64| {
        let mut piece = copy.clone();
        piece.shape[0] = len.min(first - start);
        piece.x_base = copy.x_base.wrapping_add_signed(copy.x_strides[0].wrapping_mul(start.cast_signed()));
        piece.out_base = copy.out_base + copy.out_strides[0] * start;
        Spec::Copy(piece)
    };
    Some((0..first).step_by(len as usize).map(piece).collect())
}

/// Indices as numbers.
pub(crate) fn indices(dtype: DType, words: &[u32]) -> Result<Vec<i128>, String> {
    let each = |wide: usize, get: fn(&[u32]) -> i128| words.chunks_exact(wide).map(get).collect();
    Ok(match repr(dtype)? {
        Repr::I32 => each(1, |w| i32::get(w, 0).into()),
        Repr::U32 if dtype != DType::Bool => each(1, |w| w[0].into()),
        Repr::I64 => each(2, |w| i64::get(w, 0).into()),
        Repr::U64 => each(2, |w| u64::get(w, 0).into()),
        Repr::U32 | Repr::F32 | Repr::F64 => return Err(format!("indices of type {dtype}")),
    })
}

/// An index counted from the front, if it lies within the axis.
pub(super) fn position(index: i128, axis: u64) -> Option<usize> {
    let index = if index < 0 { index + i128::from(axis) } else { index };
    usize::try_from(index).ok().filter(|&index| (index as u64) < axis)
}

/// Results whose index is not among the rows stay what `out` holds, unless they become 0.
pub(super) fn gather(spec: &GatherSpec, operands: &[&[u32]], out: &mut [u32]) -> Result<(), String> {
    let x = operands[0];
    let row = (spec.inner * repr(spec.dtype)?.words()) as usize;
    let rows = spec.rows.start as usize..spec.rows.end as usize;
    let indices = indices(spec.index, operands[1])?;
    for (line, out) in out.chunks_mut(row).enumerate() {
        let (outer, j) = (line / spec.count as usize, line % spec.count as usize);
        match position(indices[j], spec.axis).filter(|at| rows.contains(at)) {
            Some(at) => out.copy_from_slice(&x[(outer * rows.len() + at - rows.start) * row..][..row]),
            None if spec.others == Others::Zero => out.fill(0),
            None => {}
        }
    }
    Ok(())
}

/// For each element of a gather's result, whether it stays what it was.
pub(crate) fn kept(spec: &GatherSpec, words: &[u32]) -> Result<Vec<bool>, String> {
    let rows = spec.rows.start as usize..spec.rows.end as usize;
    let own = |index: &i128| position(*index, spec.axis).is_some_and(|at| rows.contains(&at));
    let stays: Vec<bool> = indices(spec.index, &words[..(spec.count * repr(spec.index)?.words()) as usize])?
        .iter()
        .map(|index| spec.others == Others::Keep && !own(index))
        .collect();
    let row = stays.iter().flat_map(|&stays| std::iter::repeat_n(stays, spec.inner as usize));
    let row: Vec<bool> = row.collect();
    Ok(row.repeat(spec.outer as usize))
}

pub(super) fn gather_nd(spec: &GatherNdSpec, operands: &[&[u32]], out: &mut [u32]) -> Result<(), String> {
    let x = operands[0];
    let row = (spec.inner * repr(spec.dtype)?.words()) as usize;
    let (indices, tuple) = (indices(spec.index, operands[1])?, spec.dims.len());
    // Elements with tuples of their own are rows of one element, as far as they are moved.
    let (wide, rows) = if spec.each { (row / spec.inner as usize, spec.inner as usize) } else { (row, 1) };
    for (number, out) in out.chunks_mut(wide).enumerate() {
        let mut own = indices[number * tuple..][..tuple].iter().zip(&spec.dims);
        let at = own.try_fold(number / rows / spec.count as usize, |at, (&index, &size)| {
            Some(at * size as usize + position(index, size)?)
        });
        match at {
            Some(at) => out.copy_from_slice(&x[(at * rows + number % rows) * wide..][..wide]),
            None => out.fill(0),
        }
    }
    Ok(())
}

pub(super) fn range(spec: &RangeSpec, operands: &[&[u32]], out: &mut [u32]) -> Result<(), String> {
    let repr = repr(spec.dtype)?;
    let count = spec.count as usize;
    let one = |words: &[u32]| Column::load(spec.dtype, repr, words, |visit| visit(0, 1), 1);
    let made = match (one(operands[0]), one(operands[1])) {
        (Column::F32(a), Column::F32(d)) => {
            let at = |i: usize| (f64::from(a[0]) + i as f64 * f64::from(d[0])) as f32;
            Column::F32((0..count).map(at).collect())
        }
        (Column::F64(a), Column::F64(d)) => Column::F64((0..count).map(|i| a[0] + i as f64 * d[0]).collect()),
        (Column::I32(a), Column::I32(d)) => {
            Column::I32((0..count).map(|i| a[0].wrapping_add((i as i32).wrapping_mul(d[0]))).collect())
        }
        (Column::U32(a), Column::U32(d)) => {
            Column::U32((0..count).map(|i| a[0].wrapping_add((i as u32).wrapping_mul(d[0]))).collect())
        }
        (Column::I64(a), Column::I64(d)) => {
            Column::I64((0..count).map(|i| a[0].wrapping_add((i as i64).wrapping_mul(d[0]))).collect())
        }
        (Column::U64(a), Column::U64(d)) => {
            Column::U64((0..count).map(|i| a[0].wrapping_add((i as u64).wrapping_mul(d[0]))).collect())
        }
        _ => return Err(format!("a sequence of {}", spec.dtype)),
    };
    made.narrowed(spec.dtype).store(out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work;
    use bayplan_shaders::Target;

    /// Turned, backwards, to every second place: the pieces, one after the other, are the whole.
    #[test]
    fn pieces_move_what_the_whole_moves() {
        let (rows, columns) = (2500, 1000);
        let x: Vec<u32> = (0..rows as u32 * columns as u32).collect();
        let copy = |x_base, x_strides: [i64; 2], out_strides: [u64; 2]| CopySpec {
            shape: vec![rows, columns],
            dtype: DType::F32,
            x_base,
            x_strides: x_strides.to_vec(),
            out_base: 3,
            out_strides: out_strides.to_vec(),
        };
        let (r, c) = (rows.cast_signed(), columns.cast_signed());
        let cases = [
            copy(0, [1, r], [columns, 1]),
            copy(rows - 1, [-1, r], [1, rows]),
            copy(rows * columns - 1, [-c, -1], [2 * columns, 2]),
        ];
        let target = Target::generic();
        for case in cases {
            let whole = Spec::Copy(case);
            let made = |spec: &Spec| work::compute(spec, &[&x], &[], &target).expect("it moves");
            let pieces = pieces(&whole).expect("several");
            assert_eq!(pieces.len(), 3);
            let place = |spec: &Spec, row: i64| {
                let view = work::writes(spec);
                view.base.cast_signed() + row * view.strides[0]
            };
            let (mut all, mut row) = (Vec::new(), 0);
            for piece in &pieces {
                assert_eq!(place(piece, 0), place(&whole, row), "{piece:?}");
                let made = made(piece);
                assert!(made.len() as u64 <= PIECE);
                row += (made.len() as u64 / columns).cast_signed();
                all.extend(made);
            }
            assert!(all == made(&whole), "{whole:?}");
        }
        let small = CopySpec { shape: vec![10, 10], ..copy(0, [1, r], [columns, 1]) };
        assert_eq!(super::pieces(&Spec::Copy(small)), None);
    }
}
