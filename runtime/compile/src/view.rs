//! Strided views: how a value lies in the tensor that stores it.

use std::cmp::Ordering;
use std::ops::Range;

use bayplan_graph::DType;

use crate::lowered::TensorId;
use crate::size::Size;

/// Most dimensions of a view that dimensions were cut apart for: kernels take eight that do not merge.
pub(crate) const MAX_PIECES: usize = 8;

/// A value as a strided window on a stored tensor. Base and strides count elements.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// The tensor whose elements these are.
    pub(crate) tensor: TensorId,
    /// Element type.
    pub(crate) dtype: DType,
    /// The element at index 0 of every dimension.
    pub(crate) base: Size,
    /// Dimensions.
    pub(crate) shape: Vec<Size>,
    /// Distance between neighbours in each dimension; 0 repeats, negative runs backwards.
    pub(crate) strides: Vec<Size>,
}

impl View {
    /// The whole of a tensor of that shape.
    pub(crate) fn whole(tensor: TensorId, dtype: DType, shape: Vec<Size>) -> Self {
        Self { tensor, dtype, base: Size::ZERO, strides: contiguous(&shape), shape }
    }

    /// Number of elements.
    pub(crate) fn elements(&self) -> Size {
        elements(&self.shape)
    }

    /// Whether the elements surely lie one after the other, row-major.
    pub(crate) fn is_contiguous(&self) -> bool {
        let mut expected = Size::ONE;
        for (&size, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if !size.surely_eq(1) && !stride.surely_eq(expected) {
                return self.elements().surely_eq(0);
            }
            expected *= size;
        }
        true
    }

    /// Whether another view surely shows the same elements in the same way.
    pub(crate) fn same(&self, other: &Self) -> bool {
        (self.tensor, self.dtype) == (other.tensor, other.dtype)
            && self.base.surely_eq(other.base)
            && same(&self.shape, &other.shape)
            && same(&self.strides, &other.strides)
    }

    /// The view without repetition: dimensions that repeat one element are cut to that element.
    pub(crate) fn narrowed(&self) -> Self {
        let cut = |(&size, &stride): (&Size, &Size)| if stride.surely_eq(0) { size.min(1) } else { size };
        Self { shape: self.shape.iter().zip(&self.strides).map(cut).collect(), ..self.clone() }
    }

    /// The same elements in another shape, if that needs no movement.
    pub(crate) fn reshape(&self, shape: &[Size]) -> Option<Self> {
        let strides = restride(&self.shape, &self.strides, shape)?;
        Some(Self { strides, shape: shape.to_vec(), ..self.clone() })
    }

    /// The same elements in a shape whose dimensions are pieces of those of `shape`, none of them 1: what a reshape is
    /// without movement where dimensions would have to be merged that lie apart. `None` if the pieces would overlap.
    ///
    /// ```text
    ///  [4, 3, 8] with strides [8, 0, 1] as [12, 8]: no stride steps through 12, but [4, 3, 8] are pieces of [12, 8]
    /// ```
    pub(crate) fn pieces(&self, shape: &[Size]) -> Option<Self> {
        let fine = common(&self.shape, shape)?;
        let steps = restride(&self.shape, &self.strides, &fine)?;
        let (mut dims, mut strides): (Vec<Size>, Vec<Size>) = (Vec::new(), Vec::new());
        for group in groups(&fine, shape)? {
            let first = dims.len();
            for axis in group {
                let (size, step) = (fine[axis], steps[axis]);
                match (dims[first..].last_mut(), strides.last_mut()) {
                    (Some(outer), Some(stride)) if stride.surely_eq(size * step) => {
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
    pub(crate) fn permute_pieces(&self, own: &[Size], perm: &[usize]) -> Option<Self> {
        let groups = groups(&self.shape, own)?;
        let order: Vec<usize> = perm.iter().flat_map(|&axis| groups[axis].clone()).collect();
        Some(self.permute(&order))
    }

    /// This view, whose dimensions are pieces of those of `own`, broadcast to `shape` as numpy does.
    pub(crate) fn expand_pieces(&self, own: &[Size], shape: &[Size]) -> Option<Self> {
        if same(&self.shape, own) {
            return Some(self.expand(shape));
        }
        let (groups, lead) = (groups(&self.shape, own)?, shape.len() - own.len());
        let (mut dims, mut strides) = (Vec::new(), Vec::new());
        for (axis, &size) in shape.iter().enumerate() {
            match axis.checked_sub(lead).filter(|&axis| !repeats(own[axis], size)) {
                Some(axis) => {
                    dims.extend_from_slice(&self.shape[groups[axis].clone()]);
                    strides.extend_from_slice(&self.strides[groups[axis].clone()]);
                }
                None => {
                    dims.push(size);
                    strides.push(Size::ZERO);
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
    pub(crate) fn expand(&self, shape: &[Size]) -> Self {
        let lead = shape.len() - self.shape.len();
        let strides = (0..shape.len())
            .map(|axis| match axis.checked_sub(lead) {
                Some(own) if !repeats(self.shape[own], shape[axis]) => self.strides[own],
                _ => Size::ZERO,
            })
            .collect();
        Self { shape: shape.to_vec(), strides, ..self.clone() }
    }

    /// `len` elements of one axis from `start` on, every `step`-th. All of them must exist.
    pub(crate) fn slice(&self, axis: usize, start: Size, step: i64, len: Size) -> Self {
        let mut view = self.clone();
        // Where there is none it does not matter where they begin.
        if !len.surely_eq(0) {
            view.base += start * self.strides[axis];
        }
        // One element needs no step, which may be as far as ±2^63.
        if !len.surely_le(1) {
            view.strides[axis] *= step;
        }
        view.shape[axis] = len;
        view
    }

    /// Elements from the base to the last one touched, both included; 0 for an empty view. Strides must not be negative.
    /// Views that symbols may leave empty count as if they were not.
    pub(crate) fn extent(&self) -> Size {
        if self.elements().surely_eq(0) {
            return Size::ZERO;
        }
        let reach = self.shape.iter().zip(&self.strides).map(|(&size, &stride)| (size - 1) * stride.abs());
        Size::ONE + reach.sum::<Size>()
    }

    /// The strides, if none runs backwards.
    pub(crate) fn forward_strides(&self) -> Option<Vec<Size>> {
        self.strides.iter().all(|&stride| stride >= 0).then(|| self.strides.clone())
    }
}

/// Whether two lists are surely equal.
pub(crate) fn same(a: &[Size], b: &[Size]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.surely_eq(*b))
}

/// Whether a dimension broadcasts to another size by repeating its one element. Of two sizes that only the symbols make
/// equal, or one of them 1, this decides which.
fn repeats(own: Size, size: Size) -> bool {
    if own.surely_eq(size) || own.surely_eq(1) {
        return !own.surely_eq(size);
    }
    if own.here() == size.here() {
        return own != size;
    }
    own.pin();
    true
}

/// Number of elements of a shape; saturates.
pub(crate) fn elements(shape: &[Size]) -> Size {
    shape.iter().copied().product()
}

/// Row-major strides of a shape; they saturate where a dimension of size 0 makes them meaningless.
pub(crate) fn contiguous(shape: &[Size]) -> Vec<Size> {
    let mut strides = vec![Size::ONE; shape.len()];
    for axis in (1..shape.len()).rev() {
        let size = if shape[axis].surely_eq(0) { Size::ONE } else { shape[axis] };
        strides[axis - 1] = strides[axis] * size;
    }
    strides
}

/// The strides that read the same elements in the same order in shape `to` (as many elements), if there are any.
///
/// Dimensions of both shapes are matched in groups of equal extent; a group must be mergeable into one run with one
/// stride before it can be split again.
///
/// Which dimensions belong together is looked for at the reference point; a group counts where its extents are surely
/// equal.
pub(crate) fn restride(from: &[Size], strides: &[Size], to: &[Size]) -> Option<Vec<Size>> {
    if elements(from).surely_eq(0) {
        return Some(contiguous(to));
    }
    let old: Vec<(Size, Size)> = from
        .iter()
        .zip(strides)
        .filter(|(size, _)| !size.surely_eq(1))
        .map(|(&size, &stride)| (size, stride))
        .collect();
    let mut result = vec![Size::ZERO; to.len()];
    let (mut next_old, mut axis) = (0, 0);
    while axis < to.len() {
        if to[axis].surely_eq(1) {
            axis += 1;
            continue;
        }
        let (first_old, first_axis) = (next_old, axis);
        let (mut extent_old, mut extent_new) = (old.get(next_old)?.0, to[axis]);
        next_old += 1;
        axis += 1;
        while !extent_old.surely_eq(extent_new) {
            match extent_old.here().cmp(&extent_new.here()) {
                Ordering::Less => {
                    extent_old *= old.get(next_old)?.0;
                    next_old += 1;
                }
                Ordering::Greater => {
                    extent_new *= *to.get(axis)?;
                    axis += 1;
                }
                Ordering::Equal => return None,
            }
        }
        let group = &old[first_old..next_old];
        if group.windows(2).any(|pair| !pair[0].1.surely_eq(pair[1].0 * pair[1].1)) {
            return None;
        }
        let mut stride = group.last()?.1;
        for position in (first_axis..axis).rev() {
            result[position] = stride;
            stride *= to[position];
        }
    }
    (next_old == old.len()).then_some(result)
}

/// The coarsest shape, without dimensions of size 1, that both shapes (of as many elements) are merged from, if there
/// is one: `[6, 4]` and `[2, 12]` have `[2, 3, 4]`, `[2, 3]` and `[3, 2]` have none.
pub(crate) fn common(a: &[Size], b: &[Size]) -> Option<Vec<Size>> {
    let sizes = |shape: &[Size]| shape.iter().copied().filter(|size| !size.surely_eq(1)).collect::<Vec<_>>();
    let (a, b) = (sizes(a), sizes(b));
    let (mut a, mut b) = (a.into_iter(), b.into_iter());
    let (mut left, mut right) = (a.next(), b.next());
    let mut shape = Vec::new();
    loop {
        match (left, right) {
            (None, None) => return Some(shape),
            (Some(x), Some(y)) if x.surely_eq(y) => {
                shape.push(x);
                (left, right) = (a.next(), b.next());
            }
            (Some(x), Some(y)) if x.here() > y.here() => {
                shape.push(y);
                (left, right) = (Some(x.exact_div(y)?), b.next());
            }
            (Some(x), Some(y)) if y.here() > x.here() => {
                shape.push(x);
                (left, right) = (a.next(), Some(y.exact_div(x)?));
            }
            _ => return None,
        }
    }
}

/// For each dimension of `shape`, the dimensions of `fine` that are its pieces.
pub(crate) fn groups(fine: &[Size], shape: &[Size]) -> Option<Vec<Range<usize>>> {
    if same(fine, shape) {
        return Some((0..shape.len()).map(|axis| axis..axis + 1).collect());
    }
    let mut next = 0;
    let groups = shape.iter().map(|&size| {
        let (first, mut product) = (next, Size::ONE);
        while !product.surely_eq(size) {
            let piece = fine.get(next).filter(|piece| !piece.surely_le(1));
            product *= *piece.filter(|_| product.here() < size.here())?;
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

    fn sizes(shape: &[u64]) -> Vec<Size> {
        shape.iter().map(|&size| Size::from(size)).collect()
    }

    fn numbers(sizes: &[Size]) -> Vec<u64> {
        sizes.iter().map(|size| size.here()).collect()
    }

    fn view(shape: &[u64]) -> View {
        View::whole(TensorId(0), DType::F32, sizes(shape))
    }

    /// Every element's position, in row-major order of the view.
    fn positions(view: &View) -> Vec<i64> {
        let signed = |size: &Size| size.known().expect("a constant");
        let mut all = vec![signed(&view.base)];
        for (size, stride) in view.shape.iter().zip(&view.strides) {
            let (size, stride) = (signed(size), signed(stride));
            all = all.iter().flat_map(|&at| (0..size).map(move |i| at + i * stride)).collect();
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
            (view(&[1, 3]).expand(&sizes(&[4, 3])), &[2, 2, 3], true),
            (view(&[1, 3]).expand(&sizes(&[4, 3])), &[12], false),
            (view(&[6, 4]).slice(1, Size::from(1), 2, Size::from(2)), &[2, 3, 2, 1], true),
            (view(&[5, 1, 1]), &[1, 5], true),
            (view(&[1, 1]), &[], true),
            (view(&[]), &[1, 1, 1], true),
            (view(&[4]).slice(0, Size::from(3), -1, Size::from(4)), &[2, 2], true),
            (view(&[2, 1, 3]).permute(&[1, 0, 2]), &[6], true),
        ];
        for (from, to, possible) in cases {
            let reshaped = from.reshape(&sizes(to));
            assert_eq!(reshaped.is_some(), possible, "{from:?} to {to:?}");
            if let Some(reshaped) = reshaped {
                assert_eq!(positions(&reshaped), positions(&from), "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn pieces_need_no_movement() {
        let check = |from: &View, to: &[u64], expect: Option<&[u64]>| {
            let pieces = from.pieces(&sizes(to));
            assert_eq!(
                pieces.as_ref().map(|view| numbers(&view.shape)).as_deref(),
                expect,
                "{from:?} to {to:?}"
            );
            if let Some(pieces) = pieces {
                assert_eq!(positions(&pieces), positions(from), "{from:?} to {to:?}");
            }
        };
        let repeated = view(&[4, 1, 8]).expand(&sizes(&[4, 3, 8]));
        check(&repeated, &[12, 8], Some(&[4, 3, 8]));
        check(&repeated, &[2, 6, 8], Some(&[2, 2, 3, 8]));
        check(&repeated, &[12, 1, 2, 4], Some(&[4, 3, 2, 4]));
        // Dimensions that step evenly stay together.
        check(&view(&[4, 3, 8]), &[12, 8], Some(&[12, 8]));
        check(&view(&[2, 3, 4]).permute(&[1, 0, 2]), &[24], Some(&[3, 2, 4]));
        // 5 and 4 lie across each other's edges.
        check(&view(&[4, 5]).permute(&[1, 0]), &[4, 5], None);
        check(&view(&[1, 3]).expand(&sizes(&[4, 3])), &[12, 1], Some(&[4, 3]));
        check(&view(&[1]), &[1, 1], Some(&[]));
        let pieces = repeated.pieces(&sizes(&[12, 8])).expect("pieces");
        let turned = pieces.permute_pieces(&sizes(&[12, 8]), &[1, 0]).expect("permuted");
        let copied = View { tensor: TensorId(1), ..view(&[12, 8]) };
        let through = |order: Vec<i64>, flat: &View| -> Vec<i64> {
            order.into_iter().map(|at| positions(flat)[at as usize]).collect()
        };
        assert_eq!(positions(&turned), through(positions(&copied.permute(&[1, 0])), &repeated));
        let wide = pieces.expand_pieces(&sizes(&[12, 8]), &sizes(&[2, 12, 8])).expect("broadcast");
        assert_eq!(positions(&wide), through(positions(&copied.expand(&sizes(&[2, 12, 8]))), &repeated));
    }

    #[test]
    fn common_pieces_of_shapes() {
        let check = |a: &[u64], b: &[u64], expect: Option<&[u64]>| {
            let [a, b] = [a, b].map(sizes);
            let common = |a, b| common(a, b).map(|shape| numbers(&shape));
            assert_eq!(common(&a, &b).as_deref(), expect, "{a:?} and {b:?}");
            assert_eq!(common(&b, &a).as_deref(), expect, "{b:?} and {a:?}");
        };
        check(&[6, 4], &[2, 12], Some(&[2, 3, 4]));
        check(&[64], &[2, 32], Some(&[2, 32]));
        check(&[1, 5, 1], &[5], Some(&[5]));
        check(&[], &[1, 1], Some(&[]));
        check(&[2, 3], &[3, 2], None);
        check(&[6], &[5], None);
        check(&[0, 3], &[3, 0], None);
        assert_eq!(groups(&sizes(&[2, 2, 3]), &sizes(&[4, 1, 3])), Some(vec![0..2, 2..2, 2..3]));
        assert_eq!(groups(&sizes(&[4, 3]), &sizes(&[2, 6])), None);
        assert_eq!(groups(&sizes(&[1, 3]), &sizes(&[1, 3])), Some(vec![0..1, 1..2]));
    }

    #[test]
    fn slices_and_extents() {
        let backwards = view(&[5]).slice(0, Size::from(4), -2, Size::from(3));
        assert_eq!(positions(&backwards), [4, 2, 0]);
        assert!(backwards.forward_strides().is_none());
        assert_eq!(view(&[4, 6]).slice(1, Size::from(2), 1, Size::from(3)).extent(), 3 * 6 + 3);
        assert_eq!(view(&[4, 0]).extent(), 0);
        let far = view(&[2, 5]).slice(1, Size::from(4), i64::MIN, Size::from(1)).slice(
            0,
            Size::from(0),
            i64::MAX,
            Size::from(1),
        );
        assert_eq!(
            (positions(&far), far.forward_strides().is_some()),
            (vec![4], true),
            "one element needs no step"
        );
        assert_eq!(
            positions(&view(&[4]).slice(0, Size::from(3), -1, Size::from(4)).slice(
                0,
                Size::from(3),
                -1,
                Size::from(2)
            )),
            [0, 1],
            "backwards twice"
        );
        assert!(view(&[1, 4]).expand(&sizes(&[1, 4])).is_contiguous());
        assert!(!view(&[1, 4]).expand(&sizes(&[2, 4])).is_contiguous());
        assert_eq!(view(&[1, 4]).expand(&sizes(&[3, 4])).narrowed().shape, [1, 4]);
        assert_eq!(view(&[2, 4]).expand(&sizes(&[3, 2, 4])).narrowed().shape, [1, 2, 4]);
    }

    #[test]
    fn empty_and_endless_shapes() {
        let far = u64::MAX / 2;
        let most = i64::MAX as u64;
        assert_eq!(elements(&sizes(&[far, far, 0])), 0);
        assert_eq!(elements(&sizes(&[far, far])), most);
        assert_eq!(elements(&sizes(&[])), 1);
        let empty = view(&[far, 0, far]);
        assert!(empty.is_contiguous());
        assert_eq!(empty.reshape(&sizes(&[0, far])).map(|view| view.elements().here()), Some(0));
        assert!(view(&[2, 0]).permute(&[1, 0]).is_contiguous());
        assert_eq!(view(&[1]).expand(&sizes(&[0])).elements(), 0);
        assert_eq!(view(&[]).expand(&sizes(&[2, 3])).extent(), 1);
    }
}
