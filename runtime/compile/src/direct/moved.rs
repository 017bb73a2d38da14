//! How the elements of one tensor lie in another.
//!
//! Everything here is sure of all shapes: where a symbol would decide, there is no answer.

use bayplan_shaders::CopySpec;

use crate::size::Size;

/// A dimension: how many, and how far apart.
pub(super) type Dim = (Size, Size);

/// The dimensions of a contiguous tensor, outermost first, without those that are surely 1: size and stride.
#[derive(Clone, Debug)]
pub(super) struct Grid(Vec<Dim>);

/// Elements at even distances, taken apart along a grid.
struct Walk {
    /// Of the first element, along each dimension of the grid.
    at: Vec<Size>,
    /// For each dimension of the grid, the last coordinate.
    last: Vec<Size>,
    /// For each dimension walked, its pieces, outermost first: how many, the grid's dimension, steps along it.
    pieces: Vec<Vec<(Size, Option<usize>, Size)>>,
}

impl Grid {
    pub(super) fn new(shape: &[Size]) -> Self {
        let mut dims = Vec::with_capacity(shape.len());
        let mut stride = Size::ONE;
        for &size in shape.iter().rev() {
            if !size.surely_eq(1) {
                dims.push((size, stride));
            }
            stride *= size;
        }
        dims.reverse();
        Self(dims)
    }

    /// The coordinates of an element.
    fn coordinates(&self, element: Size) -> Option<Vec<Size>> {
        let mut rest = element;
        let mut all = Vec::with_capacity(self.0.len());
        for &(size, stride) in &self.0 {
            let at = if (rest + 1).surely_le(stride) {
                Size::ZERO
            } else if let (Some(known), Some(step)) = (rest.known(), stride.known()) {
                Size::constant(known / step.max(1))
            } else {
                rest.exact_div(stride)?
            };
            if !(at + 1).surely_le(size) {
                return None;
            }
            rest = rest - at * stride;
            all.push(at);
        }
        rest.surely_eq(0).then_some(all)
    }

    /// Takes the elements `first + Σ i·stride` apart; `None` where a step carries from one dimension into another.
    fn walk(&self, first: Size, dims: &[Dim]) -> Option<Walk> {
        let at = self.coordinates(first)?;
        let mut walk = Walk { last: at.clone(), at, pieces: Vec::with_capacity(dims.len()) };
        for &dim in dims {
            let pieces = self.pieces(&mut walk, dim)?;
            walk.pieces.push(pieces);
        }
        Some(walk)
    }

    /// The pieces of one dimension, and how far they reach.
    fn pieces(
        &self,
        walk: &mut Walk,
        (mut count, mut stride): Dim,
    ) -> Option<Vec<(Size, Option<usize>, Size)>> {
        let mut own = Vec::new();
        if stride.surely_eq(0) || count.surely_eq(1) {
            return Some(vec![(count, None, Size::ZERO)]);
        }
        // Each turn but the last goes through all of one dimension.
        for _ in 0..=self.0.len() {
            let axis = self.0.iter().position(|&(_, grid)| grid.surely_le(stride))?;
            let (size, grid) = self.0[axis];
            let step = stride.exact_div(grid)?;
            let reach = walk.last[axis] + step * (count - 1);
            if (reach + 1).surely_le(size) {
                walk.last[axis] = reach;
                own.push((count, Some(axis), step));
                break;
            }
            let inner = size.exact_div(step)?;
            if !walk.at[axis].surely_eq(0) || !walk.last[axis].surely_eq(0) {
                return None;
            }
            walk.last[axis] = step * (inner - 1);
            own.push((inner, Some(axis), step));
            (count, stride) = (count.exact_div(inner)?, stride * inner);
            if count.surely_eq(1) {
                break;
            }
        }
        own.reverse();
        Some(own)
    }
}

/// The place of each element of a contiguous tensor in another: along each dimension of its grid, how far apart.
#[derive(Clone, Debug)]
pub(super) struct Moved {
    grid: Grid,
    /// Place of the tensor's element 0; below 0 where it has none.
    base: Size,
    strides: Vec<Size>,
}

/// Elements in the other tensor: the first, and for each dimension its pieces, outermost first.
pub(super) struct Found {
    pub(super) first: Size,
    pub(super) dims: Vec<Vec<Dim>>,
}

impl Found {
    /// The strides, if each dimension is one piece.
    pub(super) fn whole(&self) -> Option<Vec<Size>> {
        let one = |pieces: &Vec<Dim>| if let [(_, stride)] = pieces[..] { Some(stride) } else { None };
        self.dims.iter().map(one).collect()
    }

    /// All pieces that are not surely 1, in order, joined where they step evenly.
    pub(super) fn flat(&self) -> Vec<Dim> {
        joined(self.dims.iter().flatten().copied().filter(|(size, _)| !size.surely_eq(1)))
    }
}

impl Moved {
    /// What a copy does with a tensor of `count` elements, of which it takes all: those from `first` on go to `to` and on.
    /// `None` if it takes some only, or one twice.
    pub(super) fn by(spec: &CopySpec<Size>, first: Size, to: Size, count: Size) -> Option<Self> {
        let all = spec.shape.iter().zip(&spec.x_strides).zip(&spec.out_strides);
        let mut dims: Vec<(Size, Size, Size)> =
            all.map(|((&size, &x), &out)| (x, size, out)).filter(|(_, size, _)| !size.surely_eq(1)).collect();
        dims.sort_by_key(|(x, ..)| std::cmp::Reverse(x.here()));
        let shape: Vec<Size> = dims.iter().map(|&(_, size, _)| size).collect();
        let grid = Grid::new(&shape);
        let even = grid.0.iter().zip(&dims).all(|(&(_, stride), &(x, ..))| stride.surely_eq(x));
        let whole = shape.iter().copied().product::<Size>().surely_eq(count) && first.surely_eq(0);
        (even && whole).then(|| Self { grid, base: to, strides: dims.iter().map(|&(.., out)| out).collect() })
    }

    /// Some columns, from `first` on, of a matrix of rows of `columns` to a matrix of `width` columns.
    pub(super) fn columns(rows: Size, columns: Size, first: Size, width: Size) -> Self {
        let grid = Grid::new(&[rows, columns]);
        let there = |&(_, stride): &Dim| if stride.surely_eq(1) { Size::ONE } else { width };
        let strides = grid.0.iter().map(there).collect();
        Self { grid, base: -first, strides }
    }

    /// Where the elements `first + Σ i·stride` lie; `None` where they do not lie evenly.
    pub(super) fn find(&self, first: Size, dims: &[Dim]) -> Option<Found> {
        let Walk { at, pieces, .. } = self.grid.walk(first, dims)?;
        let first = at.iter().zip(&self.strides).fold(self.base, |sum, (&at, &stride)| sum + at * stride);
        let there = |&(count, axis, step): &(Size, Option<usize>, Size)| {
            (count, axis.map_or(Size::ZERO, |axis| self.strides[axis] * step))
        };
        let dims = pieces.iter().map(|own| joined(own.iter().map(there))).collect();
        Some(Found { first, dims })
    }
}

/// Pieces joined where they step evenly.
fn joined(pieces: impl Iterator<Item = Dim>) -> Vec<Dim> {
    let mut all: Vec<Dim> = Vec::new();
    for (count, stride) in pieces {
        match all.last_mut() {
            Some(outer) if outer.1.surely_eq(count * stride) => *outer = (outer.0 * count, stride),
            _ => all.push((count, stride)),
        }
    }
    all
}

/// Whether dimensions are one run of elements, or one element.
pub(super) fn is_run(dims: &[Dim]) -> bool {
    match dims {
        [] => true,
        [(_, stride)] => stride.surely_eq(1),
        _ => false,
    }
}

/// Whether two sets of elements of a tensor of that shape surely have none in common.
pub(super) fn apart(shape: &[Size], a: (Size, &[Dim]), b: (Size, &[Dim])) -> bool {
    let end = |(first, dims): (Size, &[Dim])| {
        first + 1 + dims.iter().map(|&(size, stride)| (size - 1) * stride).sum::<Size>()
    };
    if end(a).surely_le(b.0) || end(b).surely_le(a.0) {
        return true;
    }
    let grid = Grid::new(shape);
    let (Some(a), Some(b)) = (grid.walk(a.0, a.1), grid.walk(b.0, b.1)) else { return false };
    (0..grid.0.len())
        .any(|axis| (a.last[axis] + 1).surely_le(b.at[axis]) || (b.last[axis] + 1).surely_le(a.at[axis]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bayplan_graph::DType;

    fn sizes<T: Copy>(list: &[T]) -> Vec<Size>
    where
        Size: From<T>,
    {
        list.iter().map(|&size| Size::from(size)).collect()
    }

    fn dims(list: &[(u64, u64)]) -> Vec<Dim> {
        list.iter().map(|&(size, stride)| (Size::from(size), Size::from(stride))).collect()
    }

    fn copy(shape: &[u64], x: &[i64], out: &[u64]) -> CopySpec<Size> {
        CopySpec {
            shape: sizes(shape),
            dtype: DType::F32,
            x_base: Size::ZERO,
            x_strides: sizes(x),
            out_base: Size::ZERO,
            out_strides: sizes(out),
        }
    }

    fn by(spec: &CopySpec<Size>, to: u64, count: u64) -> Option<Moved> {
        Moved::by(spec, Size::ZERO, Size::from(to), Size::from(count))
    }

    /// Places one by one.
    fn places(first: u64, dims: &[Dim]) -> Vec<u64> {
        let mut all = vec![first];
        for (size, stride) in dims {
            all = all.iter().flat_map(|at| (0..size.here()).map(move |i| at + i * stride.here())).collect();
        }
        all
    }

    #[test]
    fn elements_are_found_where_the_copy_puts_them() {
        // [3, 4, 5] to [4, 3, 5] with room, from 7 on.
        let moved = by(&copy(&[4, 3, 5], &[5, 20, 1], &[18, 6, 1]), 7, 60).expect("all elements");
        let mut to = [0; 60];
        let [x, out] = [(0, [5, 20, 1]), (7, [18, 6, 1])].map(|(first, strides)| {
            places(first, &dims(&[(4, strides[0]), (3, strides[1]), (5, strides[2])]))
        });
        for (x, out) in x.into_iter().zip(out) {
            to[x as usize] = out;
        }
        let check = |first: u64, list: &[(u64, u64)], expect: bool| {
            let found = moved.find(Size::from(first), &dims(list));
            assert_eq!(found.is_some(), expect, "{first} {list:?}");
            if let Some(found) = found {
                let own: Vec<u64> = places(first, &dims(list)).iter().map(|&at| to[at as usize]).collect();
                let all: Vec<Dim> = found.dims.into_iter().flatten().collect();
                assert_eq!(places(found.first.here(), &all), own, "{first} {list:?}");
            }
        };
        check(0, &[(60, 1)], true);
        check(20, &[(20, 1)], true);
        check(5, &[(3, 20), (2, 5), (2, 2)], true);
        check(2, &[(3, 20), (4, 5)], true);
        check(0, &[(3, 20), (7, 0), (5, 1)], true);
        check(0, &[(12, 5)], true);
        check(3, &[(4, 1)], false);
        check(0, &[(4, 3)], false);
        check(5, &[(20, 1)], false);
        assert!(by(&copy(&[4, 3], &[5, 20], &[3, 1]), 0, 60).is_none(), "some only");
        assert!(by(&copy(&[4, 3], &[0, 1], &[3, 1]), 0, 12).is_none(), "repeated");
        assert!(by(&copy(&[4], &[-1], &[1]), 0, 4).is_none(), "backwards");
    }

    #[test]
    fn columns_of_a_matrix() {
        let of = |n: u64| Size::from(n);
        let moved = Moved::columns(of(3), of(10), of(4), of(6));
        let found = moved.find(of(5), &dims(&[(3, 10), (2, 3), (2, 1)])).expect("columns 5 to 9");
        assert_eq!(places(found.first.here(), &found.flat()), places(1, &dims(&[(3, 6), (2, 3), (2, 1)])));
    }

    #[test]
    fn boxes_that_meet_and_boxes_that_do_not() {
        let shape = sizes(&[2_u64, 3, 8, 4]);
        let rows = |from: u64, rows: u64| (from * 4, dims(&[(2, 96), (3, 32), (rows, 4), (4, 1)]));
        let of = |(a, b): (u64, Vec<Dim>), (c, d): (u64, Vec<Dim>)| {
            apart(&shape, (Size::from(a), &b), (Size::from(c), &d))
        };
        assert!(of(rows(0, 5), rows(5, 3)));
        assert!(of(rows(7, 1), rows(0, 7)));
        assert!(!of(rows(0, 5), rows(4, 3)));
        assert!(!of(rows(0, 8), rows(3, 1)));
        assert!(of((0, dims(&[(96, 1)])), (96, dims(&[(96, 1)]))), "halves");
        assert!(!of((0, dims(&[(97, 1)])), (96, dims(&[(96, 1)]))));
    }
}
