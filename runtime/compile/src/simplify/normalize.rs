//! Normalisation written out: `x · 1/√(mean(x²) + ε)`, and the same of `x − mean(x)`.

use bayplan_graph::op::{BinaryOp, F32Bits, Keep, ReduceOp, UnaryOp};
use bayplan_graph::{DType, Node, Op, ValueId};

use super::Rewriter;

/// The normalised value as one operator. Sums are formed in another order than written, as every kernel may.
pub(super) fn rewrite(r: &mut Rewriter<'_>, node: &Node) -> Option<ValueId> {
    let (&output, &[a, b]) = (node.outputs.first()?, &node.inputs[..]) else { return None };
    let (x, spread) = match node.op {
        Op::Binary(BinaryOp::Mul) => [(a, b), (b, a)].into_iter().find_map(|(x, scale)| {
            let root = operand(r, scale, UnaryOp::Reciprocal)?;
            Some((x, operand(r, root, UnaryOp::Sqrt)?))
        })?,
        Op::Binary(BinaryOp::Div) => (a, operand(r, b, UnaryOp::Sqrt)?),
        _ => return None,
    };
    if r.dtype(x)? != DType::F32 || !r.alike(x, output) {
        return None;
    }
    let (power, epsilon) = shifted(r, spread)?;
    let axis = mean_over(r, power, |square| squares(r, square, x))?;
    let (x, center) = match centered(r, x, axis) {
        Some(original) => (original, true),
        None => (x, false),
    };
    let shape = r.shape(x)?;
    let op = Op::Normalize { axis: axis as i64, epsilon: F32Bits::new(epsilon), center };
    r.emit(op, &[x], DType::F32, &shape)
}

/// What a unary operator was applied to.
fn operand(r: &Rewriter<'_>, id: ValueId, op: UnaryOp) -> Option<ValueId> {
    let maker = r.maker(id).filter(|maker| maker.op == Op::Unary(op))?;
    maker.inputs.first().copied()
}

/// A value plus one number.
fn shifted(r: &Rewriter<'_>, id: ValueId) -> Option<(ValueId, f32)> {
    let maker = r.maker(id).filter(|maker| maker.op == Op::Binary(BinaryOp::Add))?;
    let &[a, b] = &maker.inputs[..] else { return None };
    [(a, b), (b, a)].into_iter().find_map(|(x, number)| Some((x, r.uniform(number)? as f32)))
}

/// Whether a value is another one times itself.
fn squares(r: &Rewriter<'_>, id: ValueId, x: ValueId) -> bool {
    r.maker(id).is_some_and(|maker| maker.op == Op::Binary(BinaryOp::Mul) && maker.inputs == [x, x])
}

/// The first of the axes, all the last ones, over which a value is the mean of one that fits.
fn mean_over(r: &Rewriter<'_>, id: ValueId, fits: impl Fn(ValueId) -> bool) -> Option<usize> {
    let maker = r.maker(id).filter(|maker| maker.op == Op::Reduce(ReduceOp::Mean, Keep::Dims))?;
    let &[x, axes] = &maker.inputs[..] else { return None };
    let rank = r.shape(x)?.len();
    let mut axes: Vec<i64> =
        r.ints(axes)?.into_iter().map(|axis| if axis < 0 { axis + rank as i64 } else { axis }).collect();
    axes.sort_unstable();
    let first = rank.checked_sub(axes.len()).filter(|_| fits(x) && !axes.is_empty())?;
    axes.into_iter().eq(first as i64..rank as i64).then_some(first)
}

/// What a value was before its mean over the axes from `axis` on was subtracted.
fn centered(r: &Rewriter<'_>, id: ValueId, axis: usize) -> Option<ValueId> {
    let maker = r.maker(id).filter(|maker| maker.op == Op::Binary(BinaryOp::Sub))?;
    let &[x, mean] = &maker.inputs[..] else { return None };
    (mean_over(r, mean, |of| of == x) == Some(axis)).then_some(x)
}
