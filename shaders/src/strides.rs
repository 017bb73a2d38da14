//! Shapes and strides: merging of dimensions and the text of index computations.

use core::fmt::Write as _;

use crate::Refusal;
use crate::source::Source;

/// Most dimensions left after merging that kernels take apart: eight, and the words of an element.
pub(crate) const MAX_RANK: usize = 9;

/// Number of elements of a shape; saturates.
pub(crate) fn elements(shape: &[u64]) -> u64 {
    shape.iter().fold(1, |n, &d| n.saturating_mul(d))
}

/// One more than the greatest index that strides reach within a shape; 0 for an empty shape. Saturates.
pub(crate) fn extent(shape: &[u64], strides: &[u64]) -> u64 {
    if shape.contains(&0) {
        return 0;
    }
    shape.iter().zip(strides).fold(1, |n, (&d, &s)| n.saturating_add((d - 1).saturating_mul(s)))
}

/// Strides of a contiguous tensor.
pub(crate) fn contiguous(shape: &[u64]) -> Vec<u64> {
    let mut strides = vec![1_u64; shape.len()];
    for d in (1..shape.len()).rev() {
        strides[d - 1] = strides[d].saturating_mul(shape[d]);
    }
    strides
}

/// A shape with the strides of several tensors over it, fewest dimensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Merged {
    /// Dimensions, none of them 1 (empty for a single element).
    pub(crate) shape: Vec<u64>,
    /// One list per tensor.
    pub(crate) strides: Vec<Vec<i64>>,
}

/// Drops dimensions of size 1 and joins neighbours that every tensor steps through evenly.
pub(crate) fn merge(shape: &[u64], tensors: &[Vec<i64>]) -> Merged {
    let mut merged = Merged { shape: Vec::new(), strides: vec![Vec::new(); tensors.len()] };
    for (d, &size) in shape.iter().enumerate() {
        if size == 1 {
            continue;
        }
        let even = !merged.shape.is_empty()
            && tensors.iter().zip(&merged.strides).all(|(t, m)| {
                let inner = i128::from(t[d]) * i128::from(size);
                m.last().is_some_and(|&outer| i128::from(outer) == inner)
            });
        if even {
            if let Some(last) = merged.shape.last_mut() {
                *last = last.saturating_mul(size);
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

/// As signed strides; what does not fit is refused later by the extent.
pub(crate) fn signed(strides: &[u64]) -> Vec<i64> {
    strides.iter().map(|&s| i64::try_from(s).unwrap_or(i64::MAX)).collect()
}

/// Writes statements that take the index `from` apart over `dims` into `PREFIX0, PREFIX1, …` (outermost first).
pub(crate) fn take_apart(
    src: &mut Source<'_>,
    out: &mut String,
    from: &str,
    dims: &[u64],
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
pub(crate) fn dot(src: &mut Source<'_>, prefix: &str, strides: &[i64]) -> Result<String, Refusal> {
    let mut terms = Vec::new();
    for (d, &stride) in strides.iter().enumerate() {
        match stride {
            0 => {}
            1 => terms.push(format!("{prefix}{d}")),
            _ => {
                let name = src.fresh("s");
                // Negative strides work in two's complement: sums wrap back into range.
                let value = i32::try_from(stride).map(i32::cast_unsigned).or_else(|_| u32::try_from(stride));
                let value =
                    value.map_err(|_| src.refuse(format!("a stride of {stride} does not fit 32 bits")))?;
                let text = src.param(&name, value);
                terms.push(format!("{prefix}{d} * {text}"));
            }
        }
    }
    Ok(if terms.is_empty() { "0u".into() } else { terms.join(" + ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_joins_what_steps_evenly() {
        let check = |shape: &[u64], tensors: &[&[i64]], want_shape: &[u64], want: &[&[i64]]| {
            let tensors: Vec<_> = tensors.iter().map(|t| t.to_vec()).collect();
            let merged = merge(shape, &tensors);
            assert_eq!(merged.shape, want_shape, "{shape:?}");
            assert_eq!(merged.strides, want.iter().map(|t| t.to_vec()).collect::<Vec<_>>(), "{shape:?}");
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
        assert_eq!(extent(&[2, 3], &[3, 1]), 6);
        assert_eq!(extent(&[2, 3], &[0, 1]), 3);
        assert_eq!(extent(&[2, 0], &[3, 1]), 0);
        assert_eq!(extent(&[], &[]), 1);
        assert_eq!(contiguous(&[2, 3, 4]), [12, 4, 1]);
    }
}
