//! Matrix products, convolutions and pooling.

use bayplan_graph::ValueId;
use bayplan_graph::op::{Op, Pads, PoolKind, ViewOp, Window};

use super::{DIMS, Drawing, INTEGERS, LARGEST};

/// Most multiplications of one product or convolution: the reference takes one after the other.
const MOST_WORK: usize = 1 << 19;

impl Drawing {
    /// `x` times a constant or an input, either way around, transposed or not.
    pub(super) fn product(&mut self) {
        let (mut x, _) = self.float();
        let integers = self.random.once_in(6);
        let dtype = if integers { self.random.pick(&INTEGERS) } else { self.b.dtype(x) };
        if self.b.shape(x).is_empty() || integers || self.random.once_in(2) {
            let shape: Vec<usize> = (0..1 + self.random.below(3)).map(|_| self.random.pick(&DIMS)).collect();
            if shape.iter().product::<usize>() > LARGEST {
                return;
            }
            x = self.leaf(dtype, &shape);
        }
        let shape = self.b.shape(x);
        let k = shape[shape.len() - 1];
        let n = self.random.pick(&DIMS);
        let mut other = if self.random.once_in(5) { vec![k] } else { vec![k, n] };
        if self.random.once_in(3) && shape.len() > 2 && other.len() == 2 {
            let batch: Vec<usize> = shape[..shape.len() - 2].to_vec();
            let batch = batch.into_iter().map(|size| if self.random.once_in(4) { 1 } else { size });
            other.splice(0..0, batch.collect::<Vec<_>>());
        }
        if shape.iter().product::<usize>() * n > MOST_WORK || other.iter().product::<usize>() > LARGEST {
            return;
        }
        match self.random.below(4) {
            // Both from the other side: (x w)ᵀ = wᵀ xᵀ.
            0 if shape.len() >= 2 && other.len() >= 2 => {
                let w = self.leaf(dtype, &other);
                let (x, w) = (self.swapped(x), self.swapped(w));
                self.add(Op::MatMul, &[w, x], false);
            }
            // A weight that lies transposed.
            1 if other.len() >= 2 => {
                let last = other.len() - 1;
                other.swap(last, last - 1);
                let w = self.leaf(dtype, &other);
                let w = self.swapped(w);
                self.add(Op::MatMul, &[x, w], false);
            }
            _ => {
                let w = self.leaf(dtype, &other);
                self.add(Op::MatMul, &[x, w], false);
            }
        }
    }

    fn swapped(&mut self, x: ValueId) -> ValueId {
        let rank = self.b.shape(x).len();
        let mut perm: Vec<usize> = (0..rank).collect();
        perm.swap(rank - 1, rank - 2);
        self.b.op(Op::Transpose(perm), &[x])
    }

    /// A value as images of one or two spatial axes, or a new one.
    fn images(&mut self, channels: usize) -> ValueId {
        let (x, _) = self.float();
        let count: usize = self.b.shape(x).iter().product();
        let width = self.random.pick(&[1, 3, 4, 5, 7, 8]);
        let batch = 1 + self.random.below(2);
        let height = count / (batch * channels * width);
        if height > 0 && batch * channels * width * height == count && !self.random.once_in(3) {
            let shape = self.b.ints(&[batch, channels, height, width].map(|size| size as i64));
            return self.b.op(Op::View(ViewOp::Reshape { allow_zero: true }), &[x, shape]);
        }
        let side = |random: &mut super::Random| random.pick(&[1, 2, 3, 5, 6, 7, 8, 9, 12, 14, 17]);
        let (h, w) = (side(&mut self.random), side(&mut self.random));
        let shape =
            if self.random.once_in(6) { vec![batch, channels, h * w] } else { vec![batch, channels, h, w] };
        let dtype = self.b.dtype(x);
        self.leaf(dtype, &shape)
    }

    /// A window over the spatial axes of a value.
    fn over(&mut self, x: ValueId, pool: bool) -> Window {
        let sizes = self.b.shape(x)[2..].to_vec();
        let square = self.random.once_in(2);
        let first = self.random.pick(&[1, 1, 2, 3, 3, 3, 5, 7]);
        let kernel: Vec<usize> =
            sizes.iter().map(|_| if square { first } else { self.random.pick(&[1, 2, 3, 4, 5]) }).collect();
        let strides: Vec<usize> = sizes.iter().map(|_| self.random.pick(&[1, 1, 1, 2, 2, 3])).collect();
        let dilations: Vec<usize> = sizes.iter().map(|_| self.random.pick(&[1, 1, 1, 1, 2, 3])).collect();
        let pads = match self.random.below(5) {
            0 => Pads::Same { upper: self.random.once_in(2) },
            1 => Pads::Explicit(vec![0; 2 * sizes.len()]),
            2 => Pads::Explicit(kernel.iter().chain(&kernel).map(|&k| (k / 2) as i64).collect()),
            3 if !pool => {
                Pads::Explicit((0..2 * sizes.len()).map(|_| self.random.pick(&[-1, 0, 1])).collect())
            }
            _ => Pads::Explicit((0..2 * sizes.len()).map(|_| self.random.pick(&[0, 1, 2])).collect()),
        };
        let ceil = pool && self.random.once_in(3);
        Window { kernel, strides, dilations, pads, ceil }
    }

    pub(super) fn convolution(&mut self) {
        let channels = self.random.pick(&[1, 2, 3, 4, 4, 6, 8, 8, 12, 16, 17, 32]);
        let x = self.images(channels);
        let window = self.over(x, false);
        let even: Vec<usize> = (1..=channels).filter(|groups| channels.is_multiple_of(*groups)).collect();
        let groups = match self.random.below(6) {
            0 | 1 => channels,
            2 => self.random.pick(&even),
            _ => 1,
        };
        let per_group = self.random.pick(&[1, 1, 2, 3, 4, 5, 8, 16, 17]);
        let filters =
            if groups == 1 { self.random.pick(&[1, 2, 3, 4, 7, 8, 16, 17, 32]) } else { groups * per_group };
        if filters > 64 {
            return;
        }
        let shape = [&[filters, channels / groups][..], &window.kernel].concat();
        let weights: usize = shape.iter().product();
        let pixels: usize = self.b.shape(x)[2..].iter().product();
        if weights * pixels > MOST_WORK {
            return;
        }
        let integers = self.random.once_in(8);
        let (dtype, x) = if integers {
            let (dtype, own) = (self.random.pick(&INTEGERS), self.b.shape(x));
            (dtype, self.leaf(dtype, &own))
        } else {
            (self.b.dtype(x), x)
        };
        let w = self.leaf(dtype, &shape);
        let Some(mut y) = self.add(Op::Conv(window, groups), &[x, w], false) else { return };
        if self.random.once_in(2) {
            let mut bias = vec![1; self.b.shape(y).len()];
            bias[1] = filters;
            let bias = self.leaf(dtype, &bias);
            let Some(sum) = self.add(Op::Binary(bayplan_graph::op::BinaryOp::Add), &[y, bias], false) else {
                return;
            };
            y = sum;
        }
        if self.random.once_in(2) && !integers {
            self.add(Op::Unary(bayplan_graph::op::UnaryOp::Relu), &[y], false);
        }
    }

    pub(super) fn pool(&mut self) {
        let channels = self.random.pick(&[1, 2, 3, 4, 8, 9, 16]);
        let x = self.images(channels);
        let window = self.over(x, true);
        let kind = self.random.pick(&PoolKind::ALL);
        // Of two maxima that rounding tells apart either may be the first.
        if kind == PoolKind::Index && self.determined {
            return;
        }
        self.add(Op::Pool(kind, window), &[x], false);
    }
}
