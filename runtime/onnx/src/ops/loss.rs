//! Losses over classes.

use bayplan_graph::op::{BinaryOp, Keep, ReduceOp, UnaryOp};
use bayplan_graph::{DType, Op, ValueId};

use super::Row;
use crate::builder::Call;

pub(super) const ROWS: &[Row] = &[
    Row::new("NegativeLogLikelihoodLoss", 12, |c| {
        let x = c.input(0)?;
        Ok(vec![loss(c, x)?])
    }),
    Row::new("SoftmaxCrossEntropyLoss", 12, |c| {
        let x = c.input(0)?;
        let logarithms = c.emit(Op::Softmax { axis: 1, log: true }, &[x])?;
        Ok(vec![loss(c, logarithms)?, logarithms])
    }),
];

/// The negative of the element of the target's class, weighted by class, reduced as the node says.
///
/// ```text
///  x [n, classes, d..]   target [n, d..]     loss = −weight[target] · Σ over classes of (class = target ? x : 0)
/// ```
///
/// Elements of other classes are left out by a selection, so that their infinities do not count. A target that is
/// `ignore_index` (which need not be a class) has loss and weight 0.
fn loss(c: &mut Call<'_, '_>, x: ValueId) -> Result<ValueId, String> {
    let (target, weight) = (c.input(1)?, c.optional(2)?);
    let rank = c.rank(x)?;
    if rank < 2 || c.rank(target)? + 1 != rank {
        let target = c.rank(target)?;
        return Err(format!(
            "its operands have ranks {rank} and {target}; [n, classes, ..] and [n, ..] are needed"
        ));
    }
    let target = c.cast(target, DType::I64)?;
    let ignored = match c.attributes().int("ignore_index")? {
        Some(index) => {
            let index = c.integer(index)?;
            Some(c.binary(BinaryOp::Equal, target, index)?)
        }
        None => None,
    };
    let classes = c.positions_along(x, 1)?;
    let wanted = c.unsqueeze(target, &[1])?;
    let hit = c.binary(BinaryOp::Equal, classes, wanted)?;
    let zero = c.scalar_like(x, 0.0)?;
    let picked = c.select(hit, x, zero)?;
    let picked = c.reduce(ReduceOp::Sum, picked, &[1], Keep::None)?;
    let loss = c.unary(UnaryOp::Neg, picked)?;
    let weights = weights(c, target, weight, ignored, x)?;
    let loss = match weights {
        Some(weights) => c.binary(BinaryOp::Mul, loss, weights)?,
        None => loss,
    };
    let loss = match ignored {
        Some(ignored) => c.select(ignored, zero, loss)?,
        None => loss,
    };
    match (c.attributes().text("reduction")?, weights) {
        (Some("none"), _) => Ok(loss),
        (Some("sum"), _) => c.reduce_all(ReduceOp::Sum, loss),
        (None | Some("mean"), None) => c.reduce_all(ReduceOp::Mean, loss),
        (None | Some("mean"), Some(weights)) => {
            let (sum, all) = (c.reduce_all(ReduceOp::Sum, loss)?, c.reduce_all(ReduceOp::Sum, weights)?);
            c.binary(BinaryOp::Div, sum, all)
        }
        (Some(other), _) => Err(format!("reduction `{other}` is not known; use none, sum or mean")),
    }
}

/// The weight of each target, if they are not all 1.
fn weights(
    c: &mut Call<'_, '_>,
    target: ValueId,
    weight: Option<ValueId>,
    ignored: Option<ValueId>,
    like: ValueId,
) -> Result<Option<ValueId>, String> {
    let zero = c.scalar_like(like, 0.0)?;
    match (weight, ignored) {
        (None, None) => Ok(None),
        (None, Some(ignored)) => {
            let one = c.scalar_like(like, 1.0)?;
            c.select(ignored, zero, one).map(Some)
        }
        (Some(weight), None) => c.emit(Op::Gather { axis: 0 }, &[weight, target]).map(Some),
        (Some(weight), Some(ignored)) => {
            // What is ignored may be no class: class 0 is looked up in its place.
            let first = c.integer(0)?;
            let class = c.select(ignored, first, target)?;
            let found = c.emit(Op::Gather { axis: 0 }, &[weight, class])?;
            c.select(ignored, zero, found).map(Some)
        }
    }
}
