//! Strided views: how a value lies in the tensor that stores it.

use std::ops::Range;

use bayplan_graph::DType;

use crate::lowered::TensorId;

/// Most dimensions of a view that dimensions were cut apart for: kernels take eight that do not merge.
pub(crate) const MAX_PIECES: usize = 8;

/// A value as a strided window on a stored tensor. Base and strides count elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// The tensor whose elements these are.
    pub(crate) tensor: TensorId,
    /// Element type.
    pub(crate) dtype: DType,
    /// The element at index 0 of every dimension.
    pub(crate) base: u64,
    /// Dimensions.
    pub(crate) shape: Vec<u64>,
    /// Distance between neighbours in each dimension; 0 repeats, negative runs backwards.
    pub(crate) strides: Vec<i64>,
}

impl View {
    /// The whole of a tensor of that shape.
    pub(crate) fn whole(tensor: TensorId, dtype: DType, shape: Vec<u64>) -> Self {
        Self { tensor, dtype, base: 0, strides: contiguous(&shape), shape }
    }

    /// Number of elements.
    pub(crate) fn elements(&self) -> u64 {
        elements(&self.shape)
    }

    /// Whether the elements lie one after the other, row-major.
    pub(crate) fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        for (&size, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if size != 1 && stride != expected {
                return self.elements() == 0;
            }
            expected = expected.saturating_mul(size as i64);
        }
        true
    }

    /// The view without repetition: dimensions that repeat one element are cut to that element.
    pub(crate) fn narrowed(&self) -> Self {
        let cut = |(&size, &stride): (&u64, &i64)| if stride == 0 { size.min(1) } else { size };
        Self { shape: self.shape.iter().zip(&self.strides).map(cut).collect(), ..self.clone() }
    }

    /// The same elements in another shape, if that needs no movement.
    pub(crate) fn reshape(&self, shape: &[u64]) -> Option<Self> {
        let strides = restride(&self.shape, &self.strides, shape)?;
        Some(Self { strides, shape: shape.to_vec(), ..self.clone() })
    }

    /// The same elements in a shape whose dimensions are pieces of those of `shape`, none of them 1: what a reshape is
    /// without movement where dimensions would have to be merged that lie apart. `None` if the pieces would overlap.
    ///
    /// ```text
    ///  [4, 3, 8] with strides [8, 0, 1] as [12, 8]: no stride steps through 12, but [4, 3, 8] are pieces of [12, 8]
    /// ```
    pub(crate) fn pieces(&self, shape: &[u64]) -> Option<Self> {
        let fine = common(&self.shape, shape)?;
        let steps = restride(&self.shape, &self.strides, &fine)?;
        let (mut dims, mut strides) = (Vec::new(), Vec::new());
        for group in groups(&fine, shape)? {
            let first = dims.len();
            for axis in group {
                let (size, step) = (fine[axis], steps[axis]);
                match (dims[first..].last_mut(), strides.last_mut()) {
                    (Some(outer), Some(stride)) if *stride == size as i64 * step => {
                        (*outer, *stride) = (*outer * size, step);
                    }
                    _ => {
                        dims.push(size);
                        strides.push(step);
                    }
                }
            }
        }
        Some(Self { shape: dims, strides, ..self.clone() })
    }

    /// This view, whose dimensions are pieces of those of `own`, with the axes of `own` permuted.
    pub(crate) fn permute_pieces(&self, own: &[u64], perm: &[usize]) -> Option<Self> {
        let groups = groups(&self.shape, own)?;
        let order: Vec<usize> = perm.iter().flat_map(|&axis| groups[axis].clone()).collect();
        Some(self.permute(&order))
    }

    /// This view, whose dimensions are pieces of those of `own`, broadcast to `shape` as numpy does.
    pub(crate) fn expand_pieces(&self, own: &[u64], shape: &[u64]) -> Option<Self> {
        if self.shape == own {
            return Some(self.expand(shape));
        }
        let (groups, lead) = (groups(&self.shape, own)?, shape.len() - own.len());
        let (mut dims, mut strides) = (Vec::new(), Vec::new());
        for (axis, &size) in shape.iter().enumerate() {
            match axis.checked_sub(lead).filter(|&axis| own[axis] == size) {
                Some(axis) => {
                    dims.extend_from_slice(&self.shape[groups[axis].clone()]);
                    strides.extend_from_slice(&self.strides[groups[axis].clone()]);
                }
                None => {
                    dims.push(size);
                    strides.push(0);
                }
            }
        }
        Some(Self { shape: dims, strides, ..self.clone() })
    }

    /// Output axis `i` is axis `perm[i]`.
    pub(crate) fn permute(&self, perm: &[usize]) -> Self {
        Self {
            shape: perm.iter().map(|&axis| self.shape[axis]).collect(),
            strides: perm.iter().map(|&axis| self.strides[axis]).collect(),
            ..self.clone()
        }
    }

    /// Broadcasts to a shape of at least this rank, as numpy does.
    pub(crate) fn expand(&self, shape: &[u64]) -> Self {
        let lead = shape.len() - self.shape.len();
        let strides = (0..shape.len())
            .map(|axis| match axis.checked_sub(lead) {
                Some(own) if self.shape[own] == shape[axis] => self.strides[own],
                _ => 0,
            })
            .collect();
        Self { shape: shape.to_vec(), strides, ..self.clone() }
    }

    /// `len` elements of one axis from `start` on, every `step`-th. All of them must exist.
    pub(crate) fn slice(&self, axis: usize, start: u64, step: i64, len: u64) -> Self {
        let mut view = self.clone();
        if len > 0 {
            view.base = view.base.wrapping_add_signed(start as i64 * self.strides[axis]);
        }
        // One element needs no step, which may be as far as ±2^63.
        if len > 1 {
            view.strides[axis] *= step;
        }
        view.shape[axis] = len;
        view
    }

    /// Elements from the base to the last one touched, both included; 0 for an empty view. Strides must not be negative.
    pub(crate) fn extent(&self) -> u64 {
        if self.elements() == 0 {
            return 0;
        }
        1 + self
            .shape
            .iter()
            .zip(&self.strides)
            .map(|(&size, &stride)| (size - 1) * stride.unsigned_abs())
            .sum::<u64>()
    }

    /// The strides as unsigned numbers, if none runs backwards.
    pub(crate) fn forward_strides(&self) -> Option<Vec<u64>> {
        self.strides.iter().map(|&stride| u64::try_from(stride).ok()).collect()
    }
}

/// Number of elements of a shape; saturates.
pub(crate) fn elements(shape: &[u64]) -> u64 {
    // A zero anywhere makes the product zero, even where a partial product would not fit.
    if shape.contains(&0) { 0 } else { shape.iter().fold(1, |product, &size| product.saturating_mul(size)) }
}

/// Row-major strides of a shape; they saturate where a dimension of size 0 makes them meaningless.
pub(crate) fn contiguous(shape: &[u64]) -> Vec<i64> {
    let mut strides = vec![1i64; shape.len()];
    for axis in (1..shape.len()).rev() {
        let size = i64::try_from(shape[axis].max(1)).unwrap_or(i64::MAX);
        strides[axis - 1] = strides[axis].saturating_mul(size);
    }
    strides
}

/// The strides that read the same elements in the same order in shape `to` (as many elements), if there are any.
///
/// Dimensions of both shapes are matched in groups of equal extent; a group must be mergeable into one run with one
/// stride before it can be split again.
pub(crate) fn restride(from: &[u64], strides: &[i64], to: &[u64]) -> Option<Vec<i64>> {
    if elements(from) == 0 {
        return Some(contiguous(to));
    }
    let old: Vec<(u64, i64)> =
        from.iter().zip(strides).filter(|(size, _)| **size != 1).map(|(&s, &t)| (s, t)).collect();
    let mut result = vec![0; to.len()];
    let (mut next_old, mut axis) = (0, 0);
    while axis < to.len() {
        if to[axis] == 1 {
            axis += 1;
            continue;
        }
        let (first_old, first_axis) = (next_old, axis);
        let (mut extent_old, mut extent_new) = (old.get(next_old)?.0, to[axis]);
        next_old += 1;
        axis += 1;
        while extent_old != extent_new {
            if extent_old < extent_new {
                extent_old *= old.get(next_old)?.0;
                next_old += 1;
            } else {
                extent_new *= *to.get(axis)?;
                axis += 1;
            }
        }
        let group = &old[first_old..next_old];
        if group.windows(2).any(|pair| pair[0].1 != pair[1].0 as i64 * pair[1].1) {
            return None;
        }
        let mut stride = group.last()?.1;
        for position in (first_axis..axis).rev() {
            result[position] = stride;
            stride *= to[position] as i64;
        }
    }
    Some(result)
}

/// The coarsest shape, without dimensions of size 1, that both shapes (of as many elements) are merged from, if there
/// is one: `[6, 4]` and `[2, 12]` have `[2, 3, 4]`, `[2, 3]` and `[3, 2]` have none.
pub(crate) fn common(a: &[u64], b: &[u64]) -> Option<Vec<u64>> {
    let sizes = |shape: &[u64]| shape.iter().copied().filter(|&size| size != 1).collect::<Vec<_>>();
    let (a, b) = (sizes(a), sizes(b));
    let (mut a, mut b) = (a.into_iter(), b.into_iter());
    let (mut left, mut right) = (a.next(), b.next());
    let mut shape = Vec::new();
    loop {
        match (left, right) {
            (None, None) => return Some(shape),
            (Some(x), Some(y)) if x == y => {
                shape.push(x);
                (left, right) = (a.next(), b.next());
            }
            (Some(x), Some(y)) if y > 0 && x > y && x.is_multiple_of(y) => {
                shape.push(y);
                (left, right) = (Some(x / y), b.next());
            }
            (Some(x), Some(y)) if x > 0 && y > x && y.is_multiple_of(x) => {
                shape.push(x);
                (left, right) = (a.next(), Some(y / x));
            }
            _ => return None,
        }
    }
}

/// For each dimension of `shape`, the dimensions of `fine` that are its pieces.
pub(crate) fn groups(fine: &[u64], shape: &[u64]) -> Option<Vec<Range<usize>>> {
    if fine == shape {
        return Some((0..shape.len()).map(|axis| axis..axis + 1).collect());
    }
    let mut next = 0;
    let groups = shape.iter().map(|&size| {
        let (first, mut product) = (next, 1);
        while product != size {
            product *= fine.get(next).filter(|&&piece| piece > 1 && product < size)?;
            next += 1;
        }
        Some(first..next)
    });
    let groups = groups.collect::<Option<Vec<_>>>()?;
    (next == fine.len()).then_some(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(shape: &[u64]) -> View {
        View::whole(TensorId(0), DType::F32, shape.to_vec())
    }

    /// Every element's position, in row-major order of the view.
    fn positions(view: &View) -> Vec<i64> {
        let mut all = vec![view.base as i64];
        for (&size, &stride) in view.shape.iter().zip(&view.strides) {
            all = all.iter().flat_map(|&at| (0..size as i64).map(move |i| at + i * stride)).collect();
        }
        all
    }

    #[test]
    fn reshaping_keeps_the_order_of_elements() {
        let cases: [(View, &[u64], bool); 12] = [
            (view(&[2, 3, 4]), &[6, 4], true),
            (view(&[2, 3, 4]), &[24], true),
            (view(&[2, 3, 4]).permute(&[1, 0, 2]), &[3, 8], false),
            (view(&[2, 3, 4]).permute(&[1, 0, 2]), &[3, 2, 2, 2], true),
            (view(&[1, 3]).expand(&[4, 3]), &[2, 2, 3], true),
            (view(&[1, 3]).expand(&[4, 3]), &[12], false),
            (view(&[6, 4]).slice(1, 1, 2, 2), &[2, 3, 2, 1], true),
            (view(&[5, 1, 1]), &[1, 5], true),
            (view(&[1, 1]), &[], true),
            (view(&[]), &[1, 1, 1], true),
            (view(&[4]).slice(0, 3, -1, 4), &[2, 2], true),
            (view(&[2, 1, 3]).permute(&[1, 0, 2]), &[6], true),
        ];
        for (from, to, possible) in cases {
            let reshaped = from.reshape(to);
            assert_eq!(reshaped.is_some(), possible, "{from:?} to {to:?}");
            if let Some(reshaped) = reshaped {
                assert_eq!(positions(&reshaped), positions(&from), "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn pieces_need_no_movement() {
        let check = |from: &View, to: &[u64], expect: Option<&[u64]>| {
            let pieces = from.pieces(to);
            assert_eq!(pieces.as_ref().map(|view| &view.shape[..]), expect, "{from:?} to {to:?}");
            if let Some(pieces) = pieces {
                assert_eq!(positions(&pieces), positions(from), "{from:?} to {to:?}");
            }
        };
        let repeated = view(&[4, 1, 8]).expand(&[4, 3, 8]);
        check(&repeated, &[12, 8], Some(&[4, 3, 8]));
        check(&repeated, &[2, 6, 8], Some(&[2, 2, 3, 8]));
        check(&repeated, &[12, 1, 2, 4], Some(&[4, 3, 2, 4]));
        // Dimensions that step evenly stay together.
        check(&view(&[4, 3, 8]), &[12, 8], Some(&[12, 8]));
        check(&view(&[2, 3, 4]).permute(&[1, 0, 2]), &[24], Some(&[3, 2, 4]));
        // 5 and 4 lie across each other's edges.
        check(&view(&[4, 5]).permute(&[1, 0]), &[4, 5], None);
        check(&view(&[1, 3]).expand(&[4, 3]), &[12, 1], Some(&[4, 3]));
        check(&view(&[1]), &[1, 1], Some(&[]));
        let pieces = repeated.pieces(&[12, 8]).expect("pieces");
        let turned = pieces.permute_pieces(&[12, 8], &[1, 0]).expect("permuted");
        let copied = View { tensor: TensorId(1), ..view(&[12, 8]) };
        let through = |order: Vec<i64>, flat: &View| -> Vec<i64> {
            order.into_iter().map(|at| positions(flat)[at as usize]).collect()
        };
        assert_eq!(positions(&turned), through(positions(&copied.permute(&[1, 0])), &repeated));
        let wide = pieces.expand_pieces(&[12, 8], &[2, 12, 8]).expect("broadcast");
        assert_eq!(positions(&wide), through(positions(&copied.expand(&[2, 12, 8])), &repeated));
    }

    #[test]
    fn common_pieces_of_shapes() {
        let check = |a: &[u64], b: &[u64], expect: Option<&[u64]>| {
            assert_eq!(common(a, b).as_deref(), expect, "{a:?} and {b:?}");
            assert_eq!(common(b, a).as_deref(), expect, "{b:?} and {a:?}");
        };
        check(&[6, 4], &[2, 12], Some(&[2, 3, 4]));
        check(&[64], &[2, 32], Some(&[2, 32]));
        check(&[1, 5, 1], &[5], Some(&[5]));
        check(&[], &[1, 1], Some(&[]));
        check(&[2, 3], &[3, 2], None);
        check(&[6], &[5], None);
        check(&[0, 3], &[3, 0], None);
        assert_eq!(groups(&[2, 2, 3], &[4, 1, 3]), Some(vec![0..2, 2..2, 2..3]));
        assert_eq!(groups(&[4, 3], &[2, 6]), None);
        assert_eq!(groups(&[1, 3], &[1, 3]), Some(vec![0..1, 1..2]));
    }

    #[test]
    fn slices_and_extents() {
        let backwards = view(&[5]).slice(0, 4, -2, 3);
        assert_eq!(positions(&backwards), [4, 2, 0]);
        assert!(backwards.forward_strides().is_none());
        assert_eq!(view(&[4, 6]).slice(1, 2, 1, 3).extent(), 3 * 6 + 3);
        assert_eq!(view(&[4, 0]).extent(), 0);
        let far = view(&[2, 5]).slice(1, 4, i64::MIN, 1).slice(0, 0, i64::MAX, 1);
        assert_eq!(
            (positions(&far), far.forward_strides().is_some()),
            (vec![4], true),
            "one element needs no step"
        );
        assert_eq!(positions(&view(&[4]).slice(0, 3, -1, 4).slice(0, 3, -1, 2)), [0, 1], "backwards twice");
        assert!(view(&[1, 4]).expand(&[1, 4]).is_contiguous());
        assert!(!view(&[1, 4]).expand(&[2, 4]).is_contiguous());
        assert_eq!(view(&[1, 4]).expand(&[3, 4]).narrowed().shape, [1, 4]);
        assert_eq!(view(&[2, 4]).expand(&[3, 2, 4]).narrowed().shape, [1, 2, 4]);
    }

    #[test]
    fn empty_and_endless_shapes() {
        let far = u64::MAX / 2;
        assert_eq!(elements(&[far, far, 0]), 0);
        assert_eq!(elements(&[far, far]), u64::MAX);
        assert_eq!(elements(&[]), 1);
        let empty = view(&[far, 0, far]);
        assert!(empty.is_contiguous());
        assert_eq!(empty.reshape(&[0, far]).map(|view| view.elements()), Some(0));
        assert!(view(&[2, 0]).permute(&[1, 0]).is_contiguous());
        assert_eq!(view(&[1]).expand(&[0]).elements(), 0);
        assert_eq!(view(&[]).expand(&[2, 3]).extent(), 1);
    }
}
