//! Arithmetic that has a cheaper form.

use bayplan_graph::op::{BinaryOp, ReduceOp, UnaryOp};
use bayplan_graph::{DType, Node, Op, ValueId};

use super::Rewriter;

/// Powers that are products or roots, divisions that are products. Of 32-bit floats only, and only where the result is
/// at least as exact: dividing by a power of two is multiplying by another, and a kernel's power is the exponential of
/// a logarithm.
pub(super) fn rewrite(r: &mut Rewriter<'_>, node: &Node) -> Option<ValueId> {
    let (&output, &[a, b]) = (node.outputs.first()?, &node.inputs[..]) else { return None };
    if r.dtype(output)? != DType::F32 {
        return None;
    }
    match node.op {
        Op::Binary(BinaryOp::Pow) if r.alike(a, output) => power(r, a, r.uniform(b)?),
        Op::Binary(BinaryOp::Div) if r.uniform(a) == Some(1.0) && r.alike(b, output) => {
            unary(r, UnaryOp::Reciprocal, b)
        }
        Op::Binary(BinaryOp::Div) if r.alike(a, output) => {
            let inverse = exact_inverse(r.uniform(b)? as f32)?;
            let factor = r.scalar(DType::F32, inverse.into())?;
            binary(r, BinaryOp::Mul, a, factor)
        }
        _ => None,
    }
}

fn power(r: &mut Rewriter<'_>, x: ValueId, exponent: f64) -> Option<ValueId> {
    match exponent {
        2.0 => binary(r, BinaryOp::Mul, x, x),
        3.0 => {
            let square = binary(r, BinaryOp::Mul, x, x)?;
            binary(r, BinaryOp::Mul, square, x)
        }
        // Not of any number: the power of −∞ is ∞, that of −0 is 0.
        0.5 if positive(r, x) => unary(r, UnaryOp::Sqrt, x),
        -1.0 => unary(r, UnaryOp::Reciprocal, x),
        -0.5 if positive(r, x) => {
            let root = unary(r, UnaryOp::Sqrt, x)?;
            unary(r, UnaryOp::Reciprocal, root)
        }
        _ => None,
    }
}

/// Whether a value has no sign: the square of another one, the mean or sum of such, and either plus a number above 0.
fn positive(r: &Rewriter<'_>, id: ValueId) -> bool {
    let mut id = id;
    while let Some(maker) = r.maker(id) {
        match (&maker.op, &maker.inputs[..]) {
            (Op::Binary(BinaryOp::Mul), &[a, b]) => return a == b,
            (Op::Binary(BinaryOp::Add), &[a, b]) => {
                let above = |number: ValueId| r.uniform(number).is_some_and(|number| number > 0.0);
                let Some((rest, _)) = [(a, b), (b, a)].into_iter().find(|&(_, number)| above(number)) else {
                    return false;
                };
                id = rest;
            }
            (Op::Reduce(ReduceOp::Mean | ReduceOp::Sum, _), &[of, ..]) => id = of,
            _ => return false,
        }
    }
    false
}

/// The reciprocal of a power of two, if it is a normal number too.
fn exact_inverse(number: f32) -> Option<f32> {
    const FRACTION: u32 = (1 << 23) - 1;
    let inverse = number.recip();
    (number.is_normal() && number.to_bits() & FRACTION == 0 && inverse.is_normal()).then_some(inverse)
}

fn unary(r: &mut Rewriter<'_>, op: UnaryOp, x: ValueId) -> Option<ValueId> {
    let shape = r.shape(x)?;
    r.emit(Op::Unary(op), &[x], DType::F32, &shape)
}

/// Of an operand and another one of its shape or a scalar.
fn binary(r: &mut Rewriter<'_>, op: BinaryOp, x: ValueId, y: ValueId) -> Option<ValueId> {
    let shape = r.shape(x)?;
    r.emit(Op::Binary(op), &[x, y], DType::F32, &shape)
}
