//! The results of one of two bodies.

use crate::rule::{Context, EvalError, HostType, Inferred, Kind, Output, Rule, ShapeError, Signature};
use crate::tensor::Tensor;
use crate::{DType, dims};

/// Both bodies' results are operands here; who walks the graph runs one body and takes its results
/// ([`crate::eval`]), or knows which one it will be ([`crate::Inference`]).
pub(super) struct If;

impl Rule for If {
    fn name(&self) -> &'static str {
        "If"
    }

    fn signature(&self) -> Signature {
        let operands = &[Kind::Only(DType::Bool), Kind::Any];
        Signature { variadic: true, many_outputs: true, ..Signature::new(operands, Output::Same) }
    }

    /// Where the condition is not known and the bodies' results differ in a dimension, that dimension is a symbol of
    /// its own.
    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        let count = ctx.outputs();
        let what = "a condition and, of each of its bodies, as many results as it has outputs";
        ctx.arity(1 + 2 * count, 1 + 2 * count, what)?;
        ctx.only(0, DType::Bool)?;
        if ctx.shape(0).iter().any(|dim| dims::differ(ctx.scope(), dim, &dims::int(1))) {
            return Err(ShapeError::Invalid(format!(
                "the condition must have one element, but is bool[{}]",
                ctx.shape(0).iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            )));
        }
        let which = taken(ctx);
        (0..count).map(|output| result(ctx, output, [1 + output, 1 + count + output], which)).collect()
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let then = inputs.first().and_then(|condition| truth(condition)).unwrap_or(false);
        let first = if then { 1 } else { 1 + outputs.len() };
        Ok(inputs.iter().skip(first).take(outputs.len()).map(|&tensor| tensor.clone()).collect())
    }
}

/// Whether the then body is taken, where that is known.
fn taken(ctx: &Context<'_>) -> Option<bool> {
    let listed = ctx.contents(0).and_then(|list| Some(dims::as_int(list.first()?)? != 0));
    listed.or_else(|| ctx.tensor(0).and_then(truth))
}

/// The value of a condition.
pub(crate) fn truth(condition: &Tensor) -> Option<bool> {
    condition.bytes().first().map(|&byte| byte != 0)
}

/// One output from the two operands that it may be.
fn result(
    ctx: &Context<'_>,
    output: usize,
    [then, other]: [usize; 2],
    which: Option<bool>,
) -> Result<Inferred, ShapeError> {
    let same = ctx.dtype(then) == ctx.dtype(other) && ctx.shape(then) == ctx.shape(other);
    let chosen = match which {
        Some(true) => then,
        Some(false) => other,
        None if same && ctx.contents(then) == ctx.contents(other) => then,
        None => return merged(ctx, output, [then, other]),
    };
    let contents = ctx.contents(chosen).map(<[_]>::to_vec);
    Ok(Inferred::new(ctx.dtype(chosen), ctx.shape(chosen).to_vec()).with(contents))
}

/// What holds of an output whichever body is taken.
fn merged(ctx: &Context<'_>, output: usize, [then, other]: [usize; 2]) -> Result<Inferred, ShapeError> {
    let (a, b) = (ctx.shape(then), ctx.shape(other));
    if ctx.dtype(then) != ctx.dtype(other) || a.len() != b.len() {
        return Err(ShapeError::Invalid(format!(
            "its bodies give output {output} another {}, and which of them runs depends on data; let both give one type \
             and rank, or give the symbolic dimensions values if the condition follows from shapes",
            if a.len() == b.len() { "element type" } else { "rank" }
        )));
    }
    let dims = a.iter().zip(b).enumerate();
    let shape = dims.map(|(axis, (a, b))| match dims::equal(ctx.scope(), a, b) {
        true => a.clone(),
        false => ctx.fresh(output, axis),
    });
    Ok(Inferred::new(ctx.dtype(then), shape.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    #[test]
    fn takes_the_results_of_one_body() {
        let op = Op::If { then_nodes: 0, else_nodes: 0 };
        let (a, b) = (Tensor::from_f32(vec![2], &[1., 2.]).unwrap(), Tensor::from_i64(vec![], &[3]).unwrap());
        for (truth, expected) in [(true, [&a, &b]), (false, [&b, &a])] {
            let condition = Tensor::from_bool(vec![1, 1], &[truth]).unwrap();
            let made = eval_node(&op, &[&condition, &a, &b, &b, &a], 2).unwrap();
            assert_eq!(made.iter().collect::<Vec<_>>(), expected);
        }
        let two = Tensor::from_bool(vec![2], &[true, false]).unwrap();
        assert!(eval_node(&op, &[&two, &a, &a], 1).is_err(), "a condition has one element");
        assert!(eval_node(&op, &[&a, &a, &a], 1).is_err(), "a condition is bool");
        assert!(eval_node(&op, &[&two, &a], 1).is_err(), "each body has a result");
    }
}
