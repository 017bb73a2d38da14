//! Nodes that give back their operand.

use bayplan_graph::op::{BinaryOp, PadMode};
use bayplan_graph::{Node, Op, ValueId};

use super::Rewriter;

/// The operand, where the result is the same element by element.
pub(super) fn rewrite(r: &mut Rewriter<'_>, node: &Node) -> Option<ValueId> {
    let (&output, &first) = (node.outputs.first()?, node.inputs.first()?);
    let same = match &node.op {
        Op::Cast(_) | Op::Expand | Op::Split { .. } => Some(first),
        // There and back again, by way of any number of shapes.
        Op::View(_) => std::iter::successors(Some(first), |&id| {
            r.maker(id).filter(|maker| matches!(maker.op, Op::View(_)))?.inputs.first().copied()
        })
        .find(|&id| r.alike(id, output)),
        Op::Transpose(perm) if perm.is_sorted() => Some(first),
        Op::Transpose(perm) => {
            let maker = r.maker(first)?;
            let Op::Transpose(before) = &maker.op else { return None };
            let undone = perm.iter().enumerate().all(|(axis, &from)| before.get(from) == Some(&axis));
            undone.then(|| maker.inputs.first().copied()).flatten()
        }
        // All elements, and not backwards.
        Op::Slice => r.ints(*node.inputs.get(4)?)?.iter().all(|&step| step > 0).then_some(first),
        Op::Pad(PadMode::Constant) => {
            r.ints(*node.inputs.get(1)?)?.iter().all(|&pad| pad == 0).then_some(first)
        }
        Op::Concat { .. } => (node.inputs.len() == 1).then_some(first),
        Op::Binary(op) => neutral(r, *op, first, *node.inputs.get(1)?),
        Op::Select => match r.uniform(first)? {
            0.0 => node.inputs.get(2).copied(),
            _ => node.inputs.get(1).copied(),
        },
        _ => None,
    };
    same.filter(|&value| r.alike(value, output))
}

/// The operand that the other one leaves as it is.
fn neutral(r: &Rewriter<'_>, op: BinaryOp, a: ValueId, b: ValueId) -> Option<ValueId> {
    use BinaryOp::{Add, And, Div, Mul, Or, Pow, Sub};
    let is = |id: ValueId, number: f64| r.uniform(id) == Some(number);
    match op {
        Add | Or => [(a, b), (b, a)].into_iter().find(|&(_, zero)| is(zero, 0.0)).map(|(x, _)| x),
        Mul | And => [(a, b), (b, a)].into_iter().find(|&(_, one)| is(one, 1.0)).map(|(x, _)| x),
        Sub => is(b, 0.0).then_some(a),
        Div | Pow => is(b, 1.0).then_some(a),
        _ => None,
    }
}
