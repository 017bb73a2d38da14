//! What composites are written with: selections, views, positions and reductions, each in one call.

use bayplan_expr::Expr;
use bayplan_graph::op::{BinaryOp, Keep, PadMode, ReduceOp, ViewOp};
use bayplan_graph::{DType, Op, Tensor, ValueId};

use crate::builder::Call;

type Step = Result<ValueId, String>;

impl Call<'_, '_> {
    /// Whether something may read the node's output.
    pub(super) fn wants(&self, output: usize) -> bool {
        self.node.output.get(output).is_some_and(|name| !name.is_empty())
    }

    /// `condition ? a : b`, broadcast.
    pub(super) fn select(&mut self, condition: ValueId, a: ValueId, b: ValueId) -> Step {
        self.emit(Op::Select, &[condition, a, b])
    }

    /// `x` converted to a type that it may have already.
    pub(super) fn cast(&mut self, x: ValueId, to: DType) -> Step {
        if self.dtype(x).is_ok_and(|from| from == to) { Ok(x) } else { self.emit(Op::Cast(to), &[x]) }
    }

    /// The dimensions of `x`, as a list.
    pub(super) fn dims(&mut self, x: ValueId) -> Step {
        self.emit(Op::Shape { start: 0, end: None }, &[x])
    }

    /// Dimension `axis` of `x`, as a list of one.
    pub(super) fn dim(&mut self, x: ValueId, axis: usize) -> Step {
        self.emit(Op::Shape { start: axis as i64, end: Some(axis as i64 + 1) }, &[x])
    }

    /// An axis of `x` counted from the front.
    pub(super) fn axis(&self, x: ValueId, axis: i64) -> Result<usize, String> {
        let rank = self.rank(x)?;
        let from_front = if axis < 0 { axis + rank as i64 } else { axis };
        let found = usize::try_from(from_front).ok().filter(|&axis| axis < rank);
        found.ok_or_else(|| format!("axis {axis} does not exist in a tensor of rank {rank}"))
    }

    /// Dimension `axis` of `x` as a number.
    pub(super) fn size(&self, x: ValueId, axis: usize) -> Result<Option<usize>, String> {
        let shape = self.shape(x)?;
        Ok(shape.get(axis).and_then(Expr::as_const).and_then(|v| usize::try_from(v).ok()))
    }

    /// The product of lists of one; 1 of none.
    pub(super) fn product(&mut self, sizes: &[ValueId]) -> Step {
        let mut all = self.ints(&[1])?;
        for &size in sizes {
            all = self.binary(BinaryOp::Mul, all, size)?;
        }
        Ok(all)
    }

    /// Refuses sizes (a list) that are known to be too small.
    pub(super) fn at_least(&self, list: ValueId, least: i64, what: &str) -> Result<(), String> {
        match self.known(list).and_then(|list| list.into_iter().find(|&size| size < least)) {
            Some(size) => Err(format!("{what} is {size}, but must be at least {least}")),
            None => Ok(()),
        }
    }

    /// `x` in the shape that lists give when joined; of no lists a scalar.
    pub(super) fn reshape(&mut self, x: ValueId, lists: &[ValueId]) -> Step {
        let shape = if lists.is_empty() { self.ints(&[])? } else { self.join(lists)? };
        self.emit(Op::View(ViewOp::Reshape { allow_zero: true }), &[x, shape])
    }

    /// `x` in a shape as ONNX writes it: 0 keeps a dimension, -1 is what is left.
    pub(super) fn reshape_to(&mut self, x: ValueId, shape: &[i64]) -> Step {
        let shape = self.ints(shape)?;
        self.emit(Op::View(ViewOp::Reshape { allow_zero: false }), &[x, shape])
    }

    /// Dimensions of size 1 at these axes of the result.
    pub(super) fn unsqueeze(&mut self, x: ValueId, axes: &[i64]) -> Step {
        let axes = self.ints(axes)?;
        self.emit(Op::View(ViewOp::Unsqueeze), &[x, axes])
    }

    /// `x` without these axes, whose size is 1.
    pub(super) fn squeeze(&mut self, x: ValueId, axes: &[i64]) -> Step {
        let axes = self.ints(axes)?;
        self.emit(Op::View(ViewOp::Squeeze), &[x, axes])
    }

    /// The axes of `x` in another order: axis `i` of the result is axis `order[i]`.
    pub(super) fn permute(&mut self, x: ValueId, order: &[usize]) -> Step {
        if order.iter().copied().eq(0..order.len()) {
            return Ok(x);
        }
        self.emit(Op::Transpose(order.to_vec()), &[x])
    }

    /// Elements `from..to` along an axis, by ONNX's rules: negative ones count from the end, those beyond it are clamped.
    pub(super) fn cut(&mut self, x: ValueId, axis: i64, from: i64, to: i64) -> Step {
        let [from, to, axis, step] = [from, to, axis, 1].map(|v| self.ints(&[v]));
        self.emit(Op::Slice, &[x, from?, to?, axis?, step?])
    }

    /// Tensors joined along an axis.
    pub(super) fn concat(&mut self, axis: i64, parts: &[ValueId]) -> Step {
        match parts {
            [one] => Ok(*one),
            _ => self.emit(Op::Concat { axis }, parts),
        }
    }

    /// A reduction over axes, which the result keeps as dimensions of size 1 or has no more.
    pub(super) fn reduce(&mut self, op: ReduceOp, x: ValueId, axes: &[i64], keep: Keep) -> Step {
        let axes = self.ints(axes)?;
        self.emit(Op::Reduce(op, keep), &[x, axes])
    }

    /// A reduction over all axes, to a scalar.
    pub(super) fn reduce_all(&mut self, op: ReduceOp, x: ValueId) -> Step {
        let axes: Vec<i64> = (0..self.rank(x)? as i64).collect();
        self.reduce(op, x, &axes, Keep::None)
    }

    /// `x` broadcast to a shape (a list).
    pub(super) fn expand(&mut self, x: ValueId, shape: ValueId) -> Step {
        self.emit(Op::Expand, &[x, shape])
    }

    /// `x` with each element repeated along an axis.
    pub(super) fn repeated(&mut self, x: ValueId, axis: usize, times: i64) -> Step {
        let rank = self.rank(x)?;
        let apart = self.unsqueeze(x, &[axis as i64 + 1])?;
        let mut shape = vec![1; rank + 1];
        shape[axis + 1] = times;
        let shape = self.ints(&shape)?;
        let apart = self.expand(apart, shape)?;
        let mut factors = vec![1; rank];
        factors[axis] = times;
        let (dims, factors) = (self.dims(x)?, self.ints(&factors)?);
        let target = self.binary(BinaryOp::Mul, dims, factors)?;
        self.emit(Op::View(ViewOp::Reshape { allow_zero: true }), &[apart, target])
    }

    /// `x` with elements of one value before and after each axis: `pads` has all begins, then all ends.
    pub(super) fn padded(&mut self, x: ValueId, pads: &[i64], value: f64) -> Step {
        let (pads, value) = (self.ints(pads)?, self.scalar_like(x, value)?);
        self.emit(Op::Pad(PadMode::Constant), &[x, pads, value])
    }

    /// 0, 1, … below `n` (a list of one), as i64.
    pub(super) fn positions(&mut self, n: ValueId) -> Step {
        let (limit, zero) = (self.squeeze(n, &[0])?, self.scalar(DType::I64, 0.0)?);
        let one = self.scalar(DType::I64, 1.0)?;
        self.emit(Op::Range, &[zero, limit, one])
    }

    /// The positions along an axis of `x`, as i64 of the rank of `x` with all other dimensions 1.
    pub(super) fn positions_along(&mut self, x: ValueId, axis: usize) -> Step {
        let (rank, n) = (self.rank(x)?, self.dim(x, axis)?);
        let list = self.positions(n)?;
        let others: Vec<i64> = (0..rank as i64).filter(|&i| i != axis as i64).collect();
        self.unsqueeze(list, &others)
    }

    /// A rank-0 i64, exact beyond 2^53.
    pub(super) fn integer(&mut self, value: i64) -> Step {
        let tensor = Tensor::from_i64(vec![], &[value]).map_err(|e| e.to_string())?;
        self.builder.constant(&tensor)
    }

    /// A tensor of one value in a shape (a list).
    pub(super) fn filled(&mut self, shape: ValueId, dtype: DType, value: f64) -> Step {
        let value = self.scalar(dtype, value)?;
        self.emit(Op::Fill, &[shape, value])
    }
}
