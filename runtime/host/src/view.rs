//! Strided views of words: which elements of an operand a dispatch touches, in which order.

use std::ops::Range;

use bayplan_graph::DType;
use bayplan_shaders::Repr;

/// Elements of an operand, by distances in elements from the first byte of its window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) dtype: DType,
    pub(crate) base: u64,
    pub(crate) shape: Vec<u64>,
    pub(crate) strides: Vec<i64>,
}

impl View {
    /// Elements in a row.
    pub(crate) fn row(dtype: DType, elements: u64) -> Self {
        Self { dtype, base: 0, shape: vec![elements], strides: vec![1] }
    }

    /// Elements at strides that run forwards.
    pub(crate) fn strided(dtype: DType, shape: &[u64], strides: &[u64]) -> Self {
        Self { dtype, base: 0, shape: shape.to_vec(), strides: signed(strides) }
    }

    /// Whether it has no elements.
    pub(crate) fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Words per element.
    pub(crate) fn words(&self) -> usize {
        Repr::of(self.dtype).map_or(1, |repr| repr.words() as usize)
    }

    /// One past the last word touched; `None` if the view begins before its window or ends beyond any memory.
    pub(crate) fn end(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        let (mut low, mut high) = (i128::from(self.base), i128::from(self.base));
        for (&size, &stride) in self.shape.iter().zip(&self.strides) {
            let far = i128::from(stride).checked_mul(i128::from(size) - 1)?;
            low = low.checked_add(far.min(0))?;
            high = high.checked_add(far.max(0))?;
        }
        (low >= 0).then_some(())?;
        usize::try_from(high + 1).ok()?.checked_mul(self.words())
    }

    /// What `wanted` finds first in the view's words, which it is asked for in runs of places in the window.
    pub(crate) fn find(&self, wanted: impl Fn(Range<usize>) -> Option<usize>) -> Option<usize> {
        let wide = self.words();
        let merged = Merged::new(&self.shape, std::slice::from_ref(&self.strides));
        let step = merged.strides[0].last().copied().unwrap_or(1);
        let run = |first: isize, count: usize| {
            let from = first as usize * wide;
            wanted(from..from + count * wide)
        };
        let mut found = None;
        merged.segments(0, merged.count(), |at, count| {
            if found.is_some() {
                return;
            }
            let first = self.base as isize + at[0];
            if step == 1 {
                found = run(first, count);
            } else {
                let repeats = if step == 0 { 1 } else { count };
                found = (0..repeats as isize).find_map(|i| run(first + i * step, 1));
            }
        });
        found
    }
}

/// Strides as signed numbers; what does not fit leaves every window.
pub(crate) fn signed(strides: &[u64]) -> Vec<i64> {
    strides.iter().map(|&stride| i64::try_from(stride).unwrap_or(i64::MAX)).collect()
}

/// Strides of elements in a row.
pub(crate) fn contiguous(shape: &[u64]) -> Vec<u64> {
    let mut strides = vec![1_u64; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis].max(1));
    }
    strides
}

/// Number of elements of a shape; saturates.
pub(crate) fn elements(shape: &[u64]) -> u64 {
    if shape.contains(&0) { 0 } else { shape.iter().fold(1, |product, &size| product.saturating_mul(size)) }
}

/// A shape with the strides of several tensors over it, in as few dimensions as all of them allow; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Merged {
    pub(crate) shape: Vec<usize>,
    /// One list per tensor.
    pub(crate) strides: Vec<Vec<isize>>,
}

impl Merged {
    pub(crate) fn new(shape: &[u64], tensors: &[Vec<i64>]) -> Self {
        // Inner dimensions first, while they are collected.
        let mut sizes: Vec<usize> = Vec::new();
        let mut strides = vec![Vec::<isize>::new(); tensors.len()];
        for (axis, &size) in shape.iter().enumerate().rev() {
            if size == 1 {
                continue;
            }
            let size = size as usize;
            let joins = sizes.last().is_some_and(|&inner| {
                tensors.iter().zip(&strides).all(|(tensor, own)| {
                    let step = own.last().copied().unwrap_or(0) as i128;
                    i128::from(tensor[axis]) == step * inner as i128
                })
            });
            if joins {
                if let Some(last) = sizes.last_mut() {
                    *last *= size;
                }
            } else {
                sizes.push(size);
                for (tensor, own) in tensors.iter().zip(&mut strides) {
                    own.push(tensor[axis] as isize);
                }
            }
        }
        if sizes.is_empty() {
            sizes.push(1);
            strides.iter_mut().for_each(|own| own.push(1));
        }
        sizes.reverse();
        strides.iter_mut().for_each(|own| own.reverse());
        Self { shape: sizes, strides }
    }

    /// Elements.
    pub(crate) fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Visits the elements `start..start + len` in row-major order, in runs along the innermost dimension: the distance
    /// of each tensor's first element, and how many follow at its innermost stride.
    pub(crate) fn segments(&self, start: usize, len: usize, mut visit: impl FnMut(&[isize], usize)) {
        if len == 0 {
            return;
        }
        let rank = self.shape.len();
        let mut at = vec![0_usize; rank];
        let mut rest = start;
        for axis in (0..rank).rev() {
            at[axis] = rest % self.shape[axis];
            rest /= self.shape[axis];
        }
        let place = |own: &Vec<isize>| own.iter().zip(&at).map(|(step, &at)| step * at as isize).sum();
        let mut places: Vec<isize> = self.strides.iter().map(place).collect();
        let (inner, mut left) = (self.shape[rank - 1], len);
        loop {
            let count = (inner - at[rank - 1]).min(left);
            visit(&places, count);
            left -= count;
            if left == 0 {
                return;
            }
            // Back to the beginning of the run, then on to the next one.
            let mut axis = rank - 1;
            for (place, own) in places.iter_mut().zip(&self.strides) {
                *place -= own[axis] * at[axis] as isize;
            }
            at[axis] = 0;
            while axis > 0 {
                axis -= 1;
                at[axis] += 1;
                places.iter_mut().zip(&self.strides).for_each(|(place, own)| *place += own[axis]);
                if at[axis] < self.shape[axis] {
                    break;
                }
                for (place, own) in places.iter_mut().zip(&self.strides) {
                    *place -= own[axis] * at[axis] as isize;
                }
                at[axis] = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_visit_every_element_once_from_anywhere() {
        let shape = [2, 3, 1, 4];
        let tensors = [vec![12, 4, 4, 1], vec![0, 1, 9, 0], vec![-12, -4, 3, -1]];
        let merged = Merged::new(&shape, &tensors);
        assert_eq!(merged.shape, [2, 3, 4]);
        let all = |start: usize, len: usize| {
            let mut seen = Vec::new();
            merged.segments(start, len, |at, count| {
                for i in 0..count as isize {
                    seen.push(at.iter().zip(&merged.strides).map(|(at, own)| at + i * own[2]).collect());
                }
            });
            seen
        };
        let whole: Vec<Vec<isize>> = all(0, 24);
        assert_eq!(whole.len(), 24);
        assert_eq!(whole[23], [23, 2, -23]);
        for start in 0..24 {
            for len in 0..24 - start {
                assert_eq!(all(start, len), whole[start..start + len], "{start} {len}");
            }
        }
    }

    #[test]
    fn merging_keeps_as_few_dimensions_as_it_can() {
        let check = |shape: &[u64], tensors: &[&[i64]], expect: &[usize]| {
            let tensors: Vec<Vec<i64>> = tensors.iter().map(|own| own.to_vec()).collect();
            assert_eq!(Merged::new(shape, &tensors).shape, expect, "{shape:?}");
        };
        check(&[2, 3, 4], &[&[12, 4, 1]], &[24]);
        check(&[2, 3, 4], &[&[12, 4, 1], &[0, 0, 0]], &[24]);
        check(&[2, 3, 4], &[&[12, 4, 1], &[0, 4, 1]], &[2, 12]);
        check(&[], &[&[]], &[1]);
        check(&[1, 1], &[&[5, 7]], &[1]);
        check(&[3, 4], &[&[-4, -1]], &[12]);
    }

    #[test]
    fn views_know_where_they_end() {
        let view = |base, shape: &[u64], strides: &[i64]| {
            let view = View { dtype: DType::F32, base, shape: shape.to_vec(), strides: strides.to_vec() };
            view.end()
        };
        assert_eq!(view(0, &[2, 3], &[3, 1]), Some(6));
        assert_eq!(view(5, &[2, 3], &[-3, 1]), Some(8));
        assert_eq!(view(2, &[2, 3], &[-3, 1]), None);
        assert_eq!(view(0, &[0, 3], &[-3, 1]), Some(0));
        assert_eq!(view(0, &[u64::MAX, 3], &[i64::MAX, 1]), None);
        assert_eq!(View::row(DType::I64, 3).end(), Some(6));
    }
}
