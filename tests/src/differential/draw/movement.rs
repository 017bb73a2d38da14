//! What moves elements: views, transposes, slices, joins, padding, gathers, sequences.

use bayplan_graph::op::{BinaryOp, Op, PadMode, ViewOp};
use bayplan_graph::{DType, Tensor, ValueId};

use super::{Drawing, LARGEST};

impl Drawing {
    /// Transposes or expands.
    pub(super) fn layout(&mut self) {
        let (x, exact) = self.any();
        let shape = self.b.shape(x);
        if self.random.once_in(2) {
            let mut perm: Vec<usize> = (0..shape.len()).collect();
            for i in (1..perm.len()).rev() {
                let j = self.random.below(i + 1);
                perm.swap(i, j);
            }
            self.add(Op::Transpose(perm), &[x], exact);
            return;
        }
        let mut to: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
        for size in &mut to {
            if *size == 1 {
                *size = self.random.pick(&[0, 1, 3, 4, 5]);
            }
        }
        if to.len() < 5 {
            to.insert(0, self.random.pick(&[1, 2]));
        }
        let to = self.b.ints(&to);
        self.add(Op::Expand, &[x, to], exact);
    }

    /// The same elements in another shape.
    pub(super) fn view(&mut self) {
        let (x, exact) = self.any();
        let shape = self.b.shape(x);
        let rank = shape.len();
        let mut to: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
        match self.random.below(5) {
            0 => {
                let axis = self.random.below(rank + 1) as i64;
                self.add(Op::View(ViewOp::Flatten(axis)), &[x], exact);
                return;
            }
            1 => {
                self.add(Op::View(ViewOp::Squeeze), &[x], exact);
                return;
            }
            2 if rank < 5 => {
                let axes = self.b.ints(&[self.random.below(rank + 1) as i64]);
                self.add(Op::View(ViewOp::Unsqueeze), &[x, axes], exact);
                return;
            }
            3 if rank > 1 => {
                let last = to.pop().unwrap_or(1);
                if let Some(size) = to.last_mut() {
                    *size *= last;
                }
            }
            _ => {
                if let Some(at) = to.iter().position(|size| size % 2 == 0 && *size > 0) {
                    to[at] /= 2;
                    to.insert(at, 2);
                } else {
                    to.insert(0, 1);
                }
            }
        }
        let to = self.b.ints(&to);
        self.add(Op::View(ViewOp::Reshape { allow_zero: true }), &[x, to], exact);
    }

    pub(super) fn slice(&mut self) {
        let (x, exact) = self.any();
        let shape = self.b.shape(x);
        if shape.is_empty() {
            return;
        }
        let mut lists: [Vec<i64>; 4] = Default::default();
        for (axis, &size) in shape.iter().enumerate() {
            if axis + 1 < shape.len() && !self.random.once_in(2) {
                continue;
            }
            let at = |random: &mut super::Random| random.below(size + 3) as i64 - 1;
            let (start, end) = (at(&mut self.random), at(&mut self.random));
            let step = self.random.pick(&[1, 1, 1, 2, 3, -1, -2]);
            // Mostly something is left.
            let (start, end) = if (step > 0) == (start < end) { (start, end) } else { (end, start) };
            [start, end, axis as i64, step].iter().zip(&mut lists).for_each(|(&v, list)| list.push(v));
        }
        let [starts, ends, axes, steps] = lists.map(|list| self.b.ints(&list));
        self.add(Op::Slice, &[x, starts, ends, axes, steps], exact);
    }

    pub(super) fn split_and_join(&mut self) {
        let (x, exact) = self.any();
        let shape = self.b.shape(x);
        if shape.is_empty() {
            return;
        }
        let axis = self.random.below(shape.len());
        let first = self.random.below(shape[axis] + 1);
        let rest = shape[axis] - first;
        let second = if self.random.once_in(2) { rest } else { self.random.below(rest + 1) };
        let mut sizes = vec![first, second];
        if second < rest {
            sizes.push(rest - second);
        }
        let list = self.b.ints(&sizes.iter().map(|&size| size as i64).collect::<Vec<_>>());
        let Some(parts) = self.b.try_ops(Op::Split { axis: axis as i64 }, &[x, list], sizes.len()) else {
            return;
        };
        let picked = parts[self.random.below(parts.len())];
        let list = match self.random.below(3) {
            0 => parts.iter().rev().copied().collect(),
            1 => vec![x, picked, x],
            _ => {
                let mut like = shape.clone();
                like[axis] = self.random.below(4);
                vec![picked, self.leaf(self.b.dtype(x), &like), parts[0]]
            }
        };
        parts.iter().for_each(|&part| self.keep(part, exact));
        self.add(Op::Concat { axis: axis as i64 }, &list, exact);
    }

    pub(super) fn pad(&mut self) {
        let (x, exact) = self.any();
        let rank = self.b.shape(x).len();
        let pads: Vec<i64> = (0..2 * rank).map(|_| self.random.pick(&[0, 0, 1, 2, 3, -1])).collect();
        let pads = self.b.ints(&pads);
        let value = Tensor::from_f64(self.b.dtype(x), vec![], &[1.0]).expect("one");
        let value = if self.random.once_in(3) { self.b.input(value) } else { self.b.constant(&value) };
        let mode = self.random.pick(&[
            PadMode::Constant,
            PadMode::Constant,
            PadMode::Edge,
            PadMode::Reflect,
            PadMode::Wrap,
        ]);
        self.add(Op::Pad(mode), &[x, pads, value], exact);
    }

    /// Indices into an axis of that size, from either end; now and then outside, where that is asked for.
    fn index(&mut self, size: usize) -> i64 {
        if !self.determined && self.random.once_in(6) {
            return self.random.pick(&[size as i64, -(size as i64) - 1, 1 << 20, -(1 << 20)]);
        }
        self.random.below(2 * size) as i64 - size as i64
    }

    /// Indices as a constant or an input; those outside are given at run time only.
    fn indices(&mut self, shape: Vec<usize>, list: &[i64]) -> ValueId {
        let list: Vec<i128> = list.iter().map(|&v| v.into()).collect();
        let dtype = self.random.pick(&[DType::I64, DType::I64, DType::I32]);
        let tensor = Tensor::from_ints(dtype, shape, &list).expect("as many as the shape says");
        if self.determined && self.random.once_in(2) {
            self.b.constant(&tensor)
        } else {
            self.b.input(tensor)
        }
    }

    pub(super) fn gather(&mut self) {
        let (x, exact) = self.any();
        let shape = self.b.shape(x);
        let Some(axis) = (!shape.is_empty()).then(|| self.random.below(shape.len())) else { return };
        let size = shape[axis];
        if size == 0 {
            return;
        }
        let of: Vec<usize> = (0..self.random.below(3)).map(|_| self.random.pick(&[1, 2, 3, 5, 9])).collect();
        let count: usize = of.iter().product();
        let list: Vec<i64> = (0..count).map(|_| self.index(size)).collect();
        let indices = self.indices(of, &list);
        let axis = axis as i64 - if self.random.once_in(2) { shape.len() as i64 } else { 0 };
        self.add(Op::Gather { axis }, &[x, indices], exact);
    }

    pub(super) fn gather_nd(&mut self) {
        let (x, exact) = self.any();
        let shape = self.b.shape(x);
        let batch_dims = self.random.below(2).min(shape.len());
        let tuple = self.random.below(shape.len() - batch_dims + 1);
        if shape.contains(&0) {
            return;
        }
        let count = 1 + self.random.below(5);
        let batches: usize = shape[..batch_dims].iter().product();
        let list: Vec<i64> =
            (0..batches * count * tuple).map(|at| self.index(shape[batch_dims + at % tuple])).collect();
        let of = [&shape[..batch_dims], &[count, tuple]].concat();
        let indices = self.indices(of, &list);
        self.add(Op::GatherNd { batch_dims }, &[x, indices], exact);
    }

    /// Elements taken, or updates put or joined, by an index for each.
    pub(super) fn elements(&mut self) {
        let (x, exact) = self.any();
        let (dtype, shape) = (self.b.dtype(x), self.b.shape(x));
        if shape.is_empty() || shape.contains(&0) {
            return;
        }
        let at = self.random.below(shape.len());
        let mut of = shape.clone();
        // Fewer lines than there are, and another number of elements in each.
        if self.random.once_in(3) {
            of[0] = 1 + self.random.below(of[0]);
        }
        of[at] = self.random.pick(&[1, 2, shape[at], shape[at] + 3]);
        let count: usize = of.iter().product();
        if count > LARGEST {
            return;
        }
        let axis = at as i64 - if self.random.once_in(2) { shape.len() as i64 } else { 0 };
        if self.random.once_in(2) {
            let list: Vec<i64> = (0..count).map(|_| self.index(shape[at])).collect();
            let indices = self.indices(of, &list);
            self.add(Op::GatherElements { axis }, &[x, indices], exact);
            return;
        }
        let join = self.random.pick(&[None, Some(BinaryOp::Add), Some(BinaryOp::Max), Some(BinaryOp::Mul)]);
        let join = join.filter(|_| dtype != DType::Bool);
        let list: Vec<i64> = if join.is_some() {
            (0..count).map(|_| self.index(shape[at])).collect()
        } else {
            // No two of a line go to one place.
            of[at] = of[at].min(shape[at]);
            let (by, inner) = (self.random.below(shape[at]), of[at + 1..].iter().product::<usize>());
            (0..of.iter().product()).map(|e| ((e / inner % of[at] + by) % shape[at]) as i64).collect()
        };
        let indices = self.indices(of.clone(), &list);
        let updates = self.leaf(dtype, &of);
        self.add(Op::ScatterElements { axis, join }, &[x, indices, updates], exact);
    }

    /// Rows put or joined where tuples say.
    pub(super) fn scatter_nd(&mut self) {
        let (x, exact) = self.any();
        let (dtype, shape) = (self.b.dtype(x), self.b.shape(x));
        if shape.contains(&0) || dtype == DType::Bool {
            return;
        }
        let tuple = self.random.below(shape.len() + 1);
        let join = self.random.pick(&[None, Some(BinaryOp::Add), Some(BinaryOp::Min)]);
        // One update where two must not meet.
        let count = if join.is_some() { 1 + self.random.below(5) } else { 1 };
        let list: Vec<i64> = (0..count * tuple).map(|at| self.index(shape[at % tuple])).collect();
        let indices = self.indices(vec![count, tuple], &list);
        let updates = [&[count], &shape[tuple..]].concat();
        if updates.iter().product::<usize>() > LARGEST {
            return;
        }
        let updates = self.leaf(dtype, &updates);
        self.add(Op::ScatterNd { join }, &[x, indices, updates], exact);
    }

    /// Running results along an axis, or places in its order.
    pub(super) fn along(&mut self) {
        let (x, exact) = self.any();
        let rank = self.b.shape(x).len();
        if rank == 0 || self.b.dtype(x) == DType::Bool {
            return;
        }
        let axis = self.random.below(2 * rank) as i64 - rank as i64;
        if self.random.once_in(3) {
            // Rounded numbers may change places.
            if exact {
                let largest = self.random.once_in(2);
                self.add(Op::Rank { axis, largest }, &[x], true);
            }
            return;
        }
        let op = self.random.pick(&[BinaryOp::Add, BinaryOp::Add, BinaryOp::Mul]);
        let (exclusive, reverse) = (self.random.once_in(2), self.random.once_in(2));
        let exact = exact && self.b.dtype(x) != DType::F32;
        self.add(Op::Cumulate { op, axis, exclusive, reverse }, &[x], exact);
    }

    /// A tensor of one value, or a sequence, too long to be folded or not.
    pub(super) fn fill(&mut self) {
        let dtype = self.random.pick(&[DType::F32, DType::I32, DType::I64]);
        let one = |value: f64| Tensor::from_f64(dtype, vec![], &[value]).expect("one");
        if self.random.once_in(2) {
            let shape: Vec<i64> = self.shape().iter().map(|&size| size as i64).collect();
            let shape = self.b.ints(&shape);
            let value = self.b.constant(&one(3.0));
            self.add(Op::Fill, &[shape, value], true);
            return;
        }
        let (count, delta) = (self.random.pick(&[5, 64, 1025, 1500]), self.random.pick(&[1.0, 2.0, -3.0]));
        let list = [7.0, 7.0 + delta * f64::from(count), delta].map(|value| self.b.constant(&one(value)));
        self.add(Op::Range, &list, true);
    }
}
