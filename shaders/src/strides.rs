//! Shapes and strides: merging of dimensions and the text of index computations.

use core::fmt::Write as _;

use crate::Refusal;
use crate::source::Source;
use crate::tape::Taped;

/// Most dimensions left after merging that kernels take apart: eight, and the words of an element.
pub(crate) const MAX_RANK: usize = 9;

/// Number of elements of a shape; saturates.
pub(crate) fn elements(shape: &[Taped]) -> Taped {
    shape.iter().fold(Taped::constant(1), |n, &d| n * d)
}

/// One more than the greatest index that strides reach within a shape; 0 for an empty shape. Saturates.
pub(crate) fn extent(shape: &[Taped], strides: &[Taped]) -> Taped {
    if shape.iter().any(|&d| d == 0) {
        return Taped::constant(0);
    }
    shape.iter().zip(strides).fold(Taped::constant(1), |n, (&d, &s)| n + (d - 1) * s)
}

/// Strides of a contiguous tensor.
pub(crate) fn contiguous(shape: &[Taped]) -> Vec<Taped> {
    let mut strides = vec![Taped::constant(1); shape.len()];
    for d in (1..shape.len()).rev() {
        strides[d - 1] = strides[d] * shape[d];
    }
    strides
}

/// A shape with the strides of several tensors over it, fewest dimensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Merged {
    /// Dimensions, none of them 1 (empty for a single element).
    pub(crate) shape: Vec<Taped>,
    /// One list per tensor.
    pub(crate) strides: Vec<Vec<Taped>>,
}

/// Drops dimensions of size 1 and joins neighbours that every tensor steps through evenly.
pub(crate) fn merge(shape: &[Taped], tensors: &[Vec<Taped>]) -> Merged {
    let mut merged = Merged { shape: Vec::new(), strides: vec![Vec::new(); tensors.len()] };
    for (d, &size) in shape.iter().enumerate() {
        if size == 1 {
            continue;
        }
        let even = !merged.shape.is_empty()
            && tensors
                .iter()
                .zip(&merged.strides)
                .all(|(t, m)| m.last().is_some_and(|&outer| outer == t[d] * size));
        if even {
            if let Some(last) = merged.shape.last_mut() {
                *last = *last * size;
            }
            for (t, m) in tensors.iter().zip(&mut merged.strides) {
                if let Some(last) = m.last_mut() {
                    *last = t[d];
                }
            }
        } else {
            merged.shape.push(size);
            for (t, m) in tensors.iter().zip(&mut merged.strides) {
                m.push(t[d]);
            }
        }
    }
    merged
}

/// Writes statements that take the index `from` apart over `dims` into `PREFIX0, PREFIX1, …` (outermost first).
pub(crate) fn take_apart(
    src: &mut Source<'_>,
    out: &mut String,
    from: &str,
    dims: &[Taped],
    prefix: &str,
) -> Result<(), Refusal> {
    if dims.len() > MAX_RANK {
        return Err(src.refuse(format!(
            "{} dimensions that do not merge; kernels take at most {MAX_RANK}",
            dims.len()
        )));
    }
    let mut rest = from.to_owned();
    for (d, &size) in dims.iter().enumerate().rev() {
        if d == 0 {
            let _ = writeln!(out, "let {prefix}0 = {rest};");
        } else {
            let name = src.fresh("d");
            let size = src.size(&name, size)?;
            let _ = writeln!(
                out,
                "let {prefix}r{d} = {rest} / {size};\nlet {prefix}{d} = {rest} - {prefix}r{d} * {size};"
            );
            rest = format!("{prefix}r{d}");
        }
    }
    Ok(())
}

/// The sum of coordinates times strides, without the terms of stride 0: `PREFIX0 * p.s + PREFIX1`.
pub(crate) fn dot(src: &mut Source<'_>, prefix: &str, strides: &[Taped]) -> Result<String, Refusal> {
    let mut terms = Vec::new();
    for (d, &stride) in strides.iter().enumerate() {
        if stride == 0 {
            continue;
        }
        if stride == 1 {
            terms.push(format!("{prefix}{d}"));
            continue;
        }
        // Negative strides work in two's complement: sums wrap back into range.
        if !stride.is_signed_word() {
            return Err(src.refuse(format!("a stride of {stride:?} does not fit 32 bits")));
        }
        let text = src.param(&src.fresh("s"), stride);
        terms.push(format!("{prefix}{d} * {text}"));
    }
    Ok(if terms.is_empty() { "0u".into() } else { terms.join(" + ") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::list;

    #[test]
    fn merging_joins_what_steps_evenly() {
        let check = |shape: &[i64], tensors: &[&[i64]], want_shape: &[i64], want: &[&[i64]]| {
            let tensors: Vec<_> = tensors.iter().map(|t| list(t)).collect();
            let merged = merge(&list(shape), &tensors);
            assert_eq!(merged.shape, list(want_shape), "{shape:?}");
            assert_eq!(merged.strides, want.iter().map(|t| list(t)).collect::<Vec<_>>(), "{shape:?}");
        };
        check(&[2, 3, 4], &[&[12, 4, 1]], &[24], &[&[1]]);
        check(&[2, 1, 4], &[&[4, 9, 1]], &[8], &[&[1]]);
        check(&[2, 3, 4], &[&[12, 4, 1], &[0, 0, 0]], &[24], &[&[1], &[0]]);
        check(&[2, 3, 4], &[&[12, 4, 1], &[0, 1, 0]], &[2, 3, 4], &[&[12, 4, 1], &[0, 1, 0]]);
        check(&[2, 3, 4], &[&[12, 4, 1], &[0, 4, 1]], &[2, 12], &[&[12, 1], &[0, 1]]);
        check(&[1, 1], &[&[5, 5]], &[], &[&[]]);
        check(&[3, 4], &[&[-4, -1]], &[12], &[&[-1]]);
    }

    #[test]
    fn extents_count_the_furthest_element() {
        assert_eq!(extent(&list(&[2, 3]), &list(&[3, 1])), 6);
        assert_eq!(extent(&list(&[2, 3]), &list(&[0, 1])), 3);
        assert_eq!(extent(&list(&[2, 0]), &list(&[3, 1])), 0);
        assert_eq!(extent(&list(&[]), &list(&[])), 1);
        assert_eq!(contiguous(&list(&[2, 3, 4])), [12, 4, 1]);
    }
}
