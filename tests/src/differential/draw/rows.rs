//! Reductions, softmax and normalisation.

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, F32Bits, Keep, Op, ReduceOp};

use super::Drawing;

impl Drawing {
    /// A reduction over any axes.
    pub(super) fn reduce(&mut self) {
        let (x, exact) = if self.random.once_in(2) { self.any() } else { self.float() };
        let shape = self.b.shape(x);
        let float = self.b.dtype(x).is_float();
        if self.b.dtype(x) == DType::Bool {
            return;
        }
        let axes: Vec<i64> = (0..shape.len() as i64).filter(|_| self.random.once_in(2)).collect();
        let reduced: usize = axes.iter().map(|&axis| shape[axis as usize]).product();
        // A product of many numbers leaves the range of floats.
        let prod = reduced <= 8;
        let op = match (float, self.random.below(5)) {
            (_, 0 | 1) => ReduceOp::Sum,
            (_, 2) => ReduceOp::Max,
            (_, 3) => ReduceOp::Min,
            (_, _) if prod => ReduceOp::Prod,
            (true, _) => ReduceOp::Mean,
            (false, _) => ReduceOp::Sum,
        };
        let op = if float && self.random.once_in(4) { ReduceOp::Mean } else { op };
        let picks = matches!(op, ReduceOp::Max | ReduceOp::Min);
        let keep = self.random.pick(&[Keep::Dims, Keep::None]);
        let list = if self.random.once_in(3) {
            axes.iter().map(|axis| axis - shape.len() as i64).collect()
        } else {
            axes
        };
        let axes = self.b.ints(&list);
        self.add(Op::Reduce(op, keep), &[x, axes], exact && (!float || picks));
    }

    /// Softmax or a normalisation, often scaled and shifted.
    pub(super) fn rows(&mut self) {
        let (x, _) = self.float();
        let rank = self.b.shape(x).len();
        if rank == 0 {
            return;
        }
        let axis = self.random.below(rank) as i64 - if self.random.once_in(2) { rank as i64 } else { 0 };
        if self.random.once_in(2) {
            let log = self.random.once_in(4);
            self.add(Op::Softmax { axis, log }, &[x], false);
            return;
        }
        let epsilon = F32Bits::new(self.random.pick(&[0.1, 0.25]));
        let center = self.random.once_in(2);
        let made = self.add(Op::Normalize { axis, epsilon, center }, &[x], false);
        let (Some(y), true) = (made, self.random.once_in(2)) else { return };
        let last = self.b.shape(y)[rank - 1..].to_vec();
        let dtype = self.b.dtype(y);
        let (scale, shift) = (self.leaf(dtype, &last), self.leaf(dtype, &last));
        let Some(y) = self.add(Op::Binary(BinaryOp::Mul), &[y, scale], false) else { return };
        self.add(Op::Binary(BinaryOp::Add), &[y, shift], false);
    }

    /// More elements for one result than a loop of a CPU driver has passes.
    pub(super) fn long_reduction(&mut self) {
        if !self.random.once_in(3) {
            return;
        }
        let shape = self.random.pick(&[[1, 70_001], [70_001, 1], [2, 33_000], [3, 8_193]]);
        let x = self.b.floats(&shape);
        let axis = self.random.below(2) as i64;
        match self.random.below(4) {
            0 => self.add(Op::Softmax { axis, log: false }, &[x], false),
            1 => {
                let epsilon = F32Bits::new(0.1);
                self.add(Op::Normalize { axis: 1, epsilon, center: true }, &[x], false)
            }
            _ => {
                let op = self.random.pick(&[ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Max]);
                let axes = self.b.ints(&[axis]);
                self.add(Op::Reduce(op, Keep::Dims), &[x, axes], false)
            }
        };
    }
}
