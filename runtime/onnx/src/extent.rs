//! Values whose size depends on data: as large as they can be, with the number of elements along an axis that count.
//!
//! What reads such a value and treats the elements along that axis each for itself makes another one. Whatever would look at
//! elements that do not count, or at the size, is refused: it must be known before the model runs.

use bayplan_expr::Expr;
use bayplan_graph::op::{Keep, ViewOp};
use bayplan_graph::{Graph, Op, ValueId};

/// The axis along which the first elements count, and how many (an i64 of one element).
pub(crate) type Extent = (usize, ValueId);

/// What a node reads, as far as its extents go.
pub(crate) struct Reading<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) op: &'a Op,
    pub(crate) inputs: &'a [ValueId],
    /// Of each operand.
    pub(crate) extents: Vec<Option<Extent>>,
}

impl Reading<'_> {
    /// The extent of the results.
    ///
    /// # Errors
    /// The number of an operand of which the node needs all, or its size.
    pub(crate) fn result(&self) -> Result<Option<Extent>, usize> {
        let Some(first) = self.extents.iter().position(Option::is_some) else { return Ok(None) };
        let Some((_, count)) = self.extents[first] else { return Ok(None) };
        if self.extents.iter().flatten().any(|&(_, other)| other != count) {
            return Err(first);
        }
        let alone = self.extents.iter().flatten().count() == 1;
        let axis = match self.op {
            Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) => self.broadcast(),
            Op::Concat { axis } => self.joined(*axis),
            Op::Gather { axis } if alone => self.gathered(first, *axis),
            Op::MatMul if alone => self.product(first),
            // The indices' own dimensions but for the last come first.
            Op::GatherNd { .. } if first == 1 && alone => {
                self.rank(1).zip(self.axis(1)).filter(|(rank, axis)| axis + 1 < *rank).map(|(_, axis)| axis)
            }
            Op::GatherElements { .. } if first == 1 && alone => self.axis(1),
            _ if first == 0 && alone => self.only(),
            _ => None,
        };
        axis.map(|axis| Some((axis, count))).ok_or(first)
    }

    fn shape(&self, operand: usize) -> Option<&[Expr]> {
        let value = self.graph.value(*self.inputs.get(operand)?);
        value.ty.as_ref().map(|ty| &ty.shape[..])
    }

    fn rank(&self, operand: usize) -> Option<usize> {
        self.shape(operand).map(<[Expr]>::len)
    }

    fn axis(&self, operand: usize) -> Option<usize> {
        self.extents.get(operand).copied().flatten().map(|(axis, _)| axis)
    }

    /// The elements of an operand that says axes, counted from the front of a tensor of that rank.
    fn axes(&self, operand: usize, rank: usize) -> Option<Vec<usize>> {
        let contents = self.graph.value(*self.inputs.get(operand)?).contents.as_ref()?;
        contents.iter().map(|axis| resolved(axis.as_const()?, rank)).collect()
    }

    /// Of operands that broadcast against each other: all have it at one place from the right, or are 1 there.
    fn broadcast(&self) -> Option<usize> {
        let ranks = (0..self.inputs.len()).map(|i| self.rank(i)).collect::<Option<Vec<_>>>()?;
        let back = |i: usize| self.axis(i).map(|axis| ranks[i] - axis);
        let place = (0..ranks.len()).find_map(back)?;
        let fits = (0..ranks.len()).all(|i| match back(i) {
            Some(own) => own == place,
            None => ranks[i] < place || self.is_one(i, ranks[i] - place),
        });
        fits.then(|| ranks.iter().max().map(|rank| rank - place)).flatten()
    }

    fn is_one(&self, operand: usize, axis: usize) -> bool {
        self.shape(operand).and_then(|shape| shape.get(axis)?.as_const()) == Some(1)
    }

    /// Joined along another axis, all with the same extent.
    fn joined(&self, along: i64) -> Option<usize> {
        let (axis, rank) = (self.axis(0)?, self.rank(0)?);
        let all = (0..self.inputs.len()).all(|operand| self.axis(operand) == Some(axis));
        (all && resolved(along, rank)? != axis).then_some(axis)
    }

    /// By indices with the extent; or from lines beside it.
    fn gathered(&self, operand: usize, along: i64) -> Option<usize> {
        let along = resolved(along, self.rank(0)?)?;
        let (axis, indices) = (self.axis(operand)?, self.rank(1)?);
        match operand {
            1 => Some(along + axis),
            _ if axis < along => Some(axis),
            _ if axis > along => Some(axis + indices - 1),
            _ => None,
        }
    }

    /// Rows of the left operand or columns of the right one, or batches that the other has not.
    fn product(&self, operand: usize) -> Option<usize> {
        let (axis, own, other) = (self.axis(operand)?, self.rank(operand)?, self.rank(1 - operand)?);
        let back = own - axis;
        // Of vectors the only axis is that of the sum.
        let summed = if operand == 0 { 1 } else { 2 };
        if own < 2 || other < 2 || back == summed {
            return None;
        }
        let beside = back < 3 || other < back || self.is_one(1 - operand, other - back);
        beside.then_some(own.max(other) - back)
    }

    /// Of an operator of one operand beside those that say axes.
    fn only(&self) -> Option<usize> {
        let (axis, rank) = (self.axis(0)?, self.rank(0)?);
        let beside = |along: i64| resolved(along, rank).filter(|&along| along != axis).map(|_| axis);
        let fewer = |axes: &[usize]| axes.iter().filter(|&&gone| gone < axis).count();
        match self.op {
            Op::Transpose(perm) => perm.iter().position(|&from| from == axis),
            Op::View(ViewOp::Unsqueeze) => {
                let count = self.graph.value(*self.inputs.get(1)?).contents.as_ref()?.len();
                let new = self.axes(1, rank + count)?;
                (0..rank + count).filter(|at| !new.contains(at)).nth(axis)
            }
            Op::View(ViewOp::Squeeze) => {
                let gone = self.axes(1, rank)?;
                (!gone.contains(&axis)).then(|| axis - fewer(&gone))
            }
            Op::Slice => (!self.axes(3, rank)?.contains(&axis)).then_some(axis),
            Op::Reduce(_, keep) => {
                let gone = self.axes(1, rank)?;
                let left = if *keep == Keep::None { fewer(&gone) } else { 0 };
                (!gone.contains(&axis)).then(|| axis - left)
            }
            Op::Split { axis: along } | Op::Softmax { axis: along, .. } | Op::Rank { axis: along, .. } => {
                beside(*along)
            }
            // What comes after an element does not matter to it.
            Op::Cumulate { reverse: false, .. } => Some(axis),
            Op::Cumulate { axis: along, .. } => beside(*along),
            Op::Normalize { axis: from, .. } => {
                resolved(*from, rank).filter(|&from| axis < from).map(|_| axis)
            }
            _ => None,
        }
    }
}

fn resolved(axis: i64, rank: usize) -> Option<usize> {
    bayplan_graph::axis(axis, rank).ok()
}
