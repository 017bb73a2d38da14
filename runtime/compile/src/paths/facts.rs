//! What a decided condition on shapes says of the symbols: on a way that only `n = 1` takes, n is 1.

use bayplan_expr::{Bounds, Expr, Scope, ScopeError};
use bayplan_graph::op::{BinaryOp, UnaryOp};
use bayplan_graph::{Graph, Op, ValueId, ValueSource};

/// Narrows the bounds of symbols that a condition compares with numbers.
///
/// # Errors
/// The condition leaves a symbol no value: no shape takes the way.
pub(super) fn narrow(symbols: &mut Scope, condition: &Graph, truth: bool) -> Result<(), ScopeError> {
    let mut open: Vec<(ValueId, bool)> = condition.outputs.iter().map(|&id| (id, truth)).collect();
    while let Some((id, truth)) = open.pop() {
        let ValueSource::Node { node, .. } = condition.value(id).source else { continue };
        let node = condition.node(node);
        match (&node.op, node.inputs.as_slice()) {
            (Op::Unary(UnaryOp::Not), &[x]) => open.push((x, !truth)),
            (Op::Binary(BinaryOp::And), &[a, b]) if truth => open.extend([(a, true), (b, true)]),
            (Op::Binary(BinaryOp::Or), &[a, b]) if !truth => open.extend([(a, false), (b, false)]),
            (Op::View(_) | Op::Cast(_), &[x, ..]) => open.push((x, truth)),
            (Op::Binary(op), &[a, b]) => {
                compare(symbols, *op, [element(condition, a), element(condition, b)], truth)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The one element of a value, where it is known.
fn element(graph: &Graph, id: ValueId) -> Option<&Expr> {
    match graph.value(id).contents.as_deref() {
        Some([one]) => Some(one),
        _ => None,
    }
}

fn compare(
    symbols: &mut Scope,
    op: BinaryOp,
    sides: [Option<&Expr>; 2],
    truth: bool,
) -> Result<(), ScopeError> {
    let [Some(a), Some(b)] = sides else { return Ok(()) };
    let (symbol, value, op) = match (a.as_symbol().zip(b.as_const()), b.as_symbol().zip(a.as_const())) {
        (Some((symbol, value)), _) => (symbol, value, op),
        (None, Some((symbol, value))) => (symbol, value, turned(op)),
        (None, None) => return Ok(()),
    };
    let old = symbols.get(symbol);
    let Some(narrowed) = bounds(old, op, truth, value) else { return Ok(()) };
    symbols.declare(symbol, narrowed)
}

/// The comparison with its sides exchanged.
const fn turned(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Less => BinaryOp::Greater,
        BinaryOp::LessOrEqual => BinaryOp::GreaterOrEqual,
        BinaryOp::Greater => BinaryOp::Less,
        BinaryOp::GreaterOrEqual => BinaryOp::LessOrEqual,
        other => other,
    }
}

/// Bounds of a symbol that compares with `value` as `truth` says; none where that says nothing.
fn bounds(old: Bounds, op: BinaryOp, truth: bool, value: i64) -> Option<Bounds> {
    let at_most = |most: i64| Bounds { upper: Some(old.upper.map_or(most, |upper| upper.min(most))), ..old };
    let at_least = |least: i64| Bounds { lower: old.lower.max(least), ..old };
    Some(match (op, truth) {
        (BinaryOp::Equal, true) => Bounds { lower: old.lower.max(value), ..at_most(value) },
        (BinaryOp::Equal, false) if value == old.lower => at_least(value.checked_add(1)?),
        (BinaryOp::Equal, false) if Some(value) == old.upper => at_most(value.checked_sub(1)?),
        (BinaryOp::Less, true) | (BinaryOp::GreaterOrEqual, false) => at_most(value.checked_sub(1)?),
        (BinaryOp::LessOrEqual, true) | (BinaryOp::Greater, false) => at_most(value),
        (BinaryOp::Greater, true) | (BinaryOp::LessOrEqual, false) => at_least(value.checked_add(1)?),
        (BinaryOp::GreaterOrEqual, true) | (BinaryOp::Less, false) => at_least(value),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_narrow() {
        let old = Bounds::between(1, 20);
        let check = |op, truth, value, expected: Option<(i64, i64)>| {
            let expected = expected.map(|(lower, upper)| Bounds::between(lower, upper));
            assert_eq!(bounds(old, op, truth, value), expected, "{op:?} {truth} {value}");
        };
        check(BinaryOp::Equal, true, 5, Some((5, 5)));
        check(BinaryOp::Equal, false, 1, Some((2, 20)));
        check(BinaryOp::Equal, false, 20, Some((1, 19)));
        check(BinaryOp::Equal, false, 5, None);
        check(BinaryOp::Less, true, 5, Some((1, 4)));
        check(BinaryOp::Less, false, 5, Some((5, 20)));
        check(BinaryOp::Greater, true, 5, Some((6, 20)));
        check(BinaryOp::GreaterOrEqual, false, 5, Some((1, 4)));
        check(turned(BinaryOp::Less), true, 5, Some((6, 20)));
        check(BinaryOp::LessOrEqual, true, 50, Some((1, 20)));
        check(BinaryOp::Add, true, 5, None);
    }
}
