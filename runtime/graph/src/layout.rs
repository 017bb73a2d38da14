//! Row-major index arithmetic on the host: strides, broadcasting, strided copies.

use crate::tensor::{Tensor, TensorError, count};

/// Row-major strides in elements.
pub(crate) fn strides(shape: &[usize]) -> Vec<isize> {
    let mut out = vec![0; shape.len()];
    let mut step = 1_isize;
    for (axis, &dim) in shape.iter().enumerate().rev() {
        out[axis] = step;
        step = step.saturating_mul(dim.max(1) as isize);
    }
    out
}

/// Strides with which a tensor of `shape` is read as if it had the shape `to`: 0 along broadcast axes.
pub(crate) fn broadcast_strides(shape: &[usize], to: &[usize]) -> Vec<isize> {
    let own = strides(shape);
    let lead = to.len().saturating_sub(shape.len());
    (0..to.len())
        .map(|axis| match axis.checked_sub(lead) {
            Some(i) if shape[i] != 1 => own[i],
            _ => 0,
        })
        .collect()
}

/// Calls `visit` with one offset per operand for each index of `shape`, in row-major order. Offsets are in elements
/// and start at 0.
pub(crate) fn walk<const N: usize>(
    shape: &[usize],
    strides: [&[isize]; N],
    mut visit: impl FnMut([isize; N]),
) {
    let Some(total) = count(shape) else { return };
    if total == 0 {
        return;
    }
    let mut index = vec![0_usize; shape.len()];
    let mut offsets = [0_isize; N];
    loop {
        visit(offsets);
        // Advance the innermost axis that has room, rewinding the ones that are full.
        let mut axis = shape.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            index[axis] += 1;
            for (offset, stride) in offsets.iter_mut().zip(strides) {
                *offset += stride[axis];
            }
            if index[axis] < shape[axis] {
                break;
            }
            for (offset, stride) in offsets.iter_mut().zip(strides) {
                *offset -= stride[axis] * shape[axis] as isize;
            }
            index[axis] = 0;
        }
    }
}

/// A tensor of `shape` whose element at an index is `x`'s element at `base + Σ index·stride`.
///
/// Every such offset must lie in `x`; callers take it from a checked shape rule.
pub(crate) fn gather_strided(
    x: &Tensor,
    shape: &[usize],
    base: isize,
    by: &[isize],
) -> Result<Tensor, TensorError> {
    let size = x.dtype().size();
    let mut out = Tensor::zeros(x.dtype(), shape.to_vec())?.into_bytes();
    let mut at = 0;
    let source = x.bytes();
    walk(shape, [by], |[offset]| {
        let from = (base + offset) as usize * size;
        out[at..at + size].copy_from_slice(&source[from..from + size]);
        at += size;
    });
    Tensor::new(x.dtype(), shape.to_vec(), out)
}

/// Number of elements of a shape or a part of one; saturates, which only a shape without elements can reach.
pub(crate) fn product(shape: &[usize]) -> usize {
    count(shape).unwrap_or(usize::MAX)
}

/// `shape` split at `axis`: (elements before, that dimension, elements after).
pub(crate) fn around(shape: &[usize], axis: usize) -> (usize, usize, usize) {
    (product(&shape[..axis]), shape[axis], product(&shape[axis + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_in_row_major_order() {
        let mut seen = Vec::new();
        walk(&[2, 3], [&[3, 1], &[1, 0]], |offsets| seen.push(offsets));
        assert_eq!(seen, [[0, 0], [1, 0], [2, 0], [3, 1], [4, 1], [5, 1]]);
        let mut calls = 0;
        walk(&[], [&[]], |_: [isize; 1]| calls += 1);
        assert_eq!(calls, 1, "a scalar has one element");
        walk(&[2, 0], [&[0, 1]], |_| calls += 1);
        assert_eq!(calls, 1, "an empty tensor has none");
    }

    #[test]
    fn broadcasting_reads_ones_again() {
        assert_eq!(broadcast_strides(&[3, 1], &[2, 3, 4]), [0, 1, 0]);
        assert_eq!(broadcast_strides(&[], &[2]), [0]);
    }
}
