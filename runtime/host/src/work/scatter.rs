//! Updates put where indices say, or joined to what is there.

use bayplan_shaders::{ScatterSpec, StepOp};

use super::movement::{indices, position};
use crate::chain::repr;
use crate::column::Column;
use crate::step::step;
use crate::view::elements;

/// For each element of the updates, that of the result which it goes to, if it goes to any.
pub(crate) fn places(spec: &ScatterSpec, words: &[u32]) -> Result<Vec<Option<usize>>, String> {
    let (indices, tuple) = (indices(spec.index, words)?, spec.dims.len());
    let [count, inner] = [spec.count, spec.inner].map(|size| size as usize);
    let row = |line: usize, number: usize| {
        let mut own = indices[number * tuple..][..tuple].iter().zip(&spec.dims);
        own.try_fold(line / count, |at, (&index, &size)| Some(at * size as usize + position(index, size)?))
    };
    let mut all = Vec::with_capacity(spec.batch as usize * count * inner);
    for line in 0..spec.batch as usize * count {
        let shared = if spec.each { None } else { row(line, line) };
        all.extend((0..inner).map(|c| {
            let at = if spec.each { row(line, line * inner + c) } else { shared };
            at.map(|at| at * inner + c)
        }));
    }
    Ok(all)
}

/// For each element of the result, whether it stays what it was.
pub(crate) fn kept(spec: &ScatterSpec, words: &[u32]) -> Result<Vec<bool>, String> {
    let stays = spec.join.is_none();
    let mut kept = vec![stays; elements(&[spec.batch, elements(&spec.dims), spec.inner]) as usize];
    places(spec, words)?.into_iter().flatten().for_each(|at| kept[at] = false);
    Ok(kept)
}

/// `out` is what was there before, unless updates are joined to the operand that was.
pub(super) fn compute(spec: &ScatterSpec, operands: &[&[u32]], out: &mut [u32]) -> Result<(), String> {
    let (updates, places) = (operands[0], places(spec, operands[1])?);
    let repr = repr(spec.dtype)?;
    let words = repr.words() as usize;
    let Some(join) = spec.join else {
        for (at, update) in places.into_iter().zip(updates.chunks_exact(words)) {
            if let Some(at) = at {
                out[at * words..][..words].copy_from_slice(update);
            }
        }
        return Ok(());
    };
    out.copy_from_slice(&operands[2][..out.len()]);
    // Narrow floats are joined as wider ones and rounded where they are stored.
    let dtype = spec.dtype.accumulator();
    // No two elements of a row go to one place.
    let row = (spec.inner as usize).max(1);
    for (number, places) in places.chunks(row).enumerate() {
        let pairs = places.iter().enumerate().filter_map(|(c, at)| Some((number * row + c, (*at)?)));
        let (from, to): (Vec<usize>, Vec<usize>) = pairs.unzip();
        let column = |words: &[u32], list: &[usize]| {
            let runs =
                |visit: &mut dyn FnMut(isize, usize)| list.iter().for_each(|&at| visit(at as isize, 1));
            Column::load(spec.dtype, repr, words, runs, 1)
        };
        let (have, new) = (column(out, &to), column(updates, &from));
        let args = [(&have, dtype), (&new, dtype)];
        let mut made = vec![0; to.len() * words];
        step(StepOp::Binary(join), &args, dtype)?.store(&mut made);
        for (at, words_of) in to.into_iter().zip(made.chunks_exact(words)) {
            out[at * words..][..words].copy_from_slice(words_of);
        }
    }
    let whole = |visit: &mut dyn FnMut(isize, usize)| visit(0, out.len() / words);
    Column::load(spec.dtype, repr, out, whole, 1).narrowed(spec.dtype).store(out);
    Ok(())
}
