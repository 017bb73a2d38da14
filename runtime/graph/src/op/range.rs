//! Arithmetic sequences.

use bayplan_expr::Expr;

use crate::dims;
use crate::rule::{
    Context, EvalError, HostType, Inferred, Kind, MAX_CONTENTS, Output, Rule, Set, ShapeError, Signature,
};
use crate::tensor::{Elements, Tensor};

pub(super) struct Range;

const WHAT: [&str; 3] = ["the start", "the limit", "the delta"];

impl Rule for Range {
    fn name(&self) -> &'static str {
        "Range"
    }

    fn signature(&self) -> Signature {
        Signature::new(
            &[Kind::Same(Set::Number), Kind::Same(Set::Number), Kind::Same(Set::Number)],
            Output::Same,
        )
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(3, 3, "a start, a limit and a delta")?;
        let dtype = ctx.same(0, 2, Set::Number)?;
        for operand in 0..3 {
            let one = ctx.shape(operand).iter().all(|dim| dims::as_int(dim) == Some(1));
            if !one {
                let expected = "0 (one element)".to_owned();
                return Err(ShapeError::Rank { operand, actual: ctx.rank(operand), expected });
            }
        }
        if let (true, Some(n)) = (dtype.is_float(), float_len(ctx)?) {
            return Ok(vec![Inferred::new(dtype, vec![dims::int(n)])]);
        }
        let get = |operand: usize| -> Result<Expr, ShapeError> {
            let list = ctx.known(operand, WHAT[operand])?;
            list.first().cloned().ok_or(ShapeError::Unknown { operand, what: WHAT[operand] })
        };
        let (start, limit, delta) = (get(0)?, get(1)?, get(2)?);
        let step = dims::as_int(&delta).filter(|&d| d != 0).ok_or_else(|| {
            ShapeError::Invalid(format!("the delta is {delta}, but must be a known number other than 0"))
        })?;
        let zero = dims::int(0);
        let (span, by) = if step > 0 {
            (dims::sub(&limit, &start), delta.clone())
        } else {
            (dims::sub(&start, &limit), dims::sub(&zero, &delta))
        };
        let len = dims::div_ceil(&dims::max(ctx.scope(), &span, &zero), &by);
        let contents = dims::as_int(&len)
            .filter(|&n| n <= MAX_CONTENTS as i64)
            .map(|n| (0..n).map(|i| dims::add(&start, &dims::mul(&delta, &dims::int(i)))).collect());
        Ok(vec![Inferred::new(dtype, vec![len]).with(contents)])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let HostType { dtype, shape } = &outputs[0];
        let n = shape[0];
        // The size is checked before anything of it is made.
        Tensor::zeros(*dtype, shape.clone())?;
        let computed = match (inputs[0].elements(), inputs[2].elements()) {
            (Elements::Int(a), Elements::Int(d)) => {
                Elements::Int((0..n).map(|i| a[0] + d[0] * i as i128).collect())
            }
            _ => {
                let (a, d) = (inputs[0].to_f64()[0], inputs[2].to_f64()[0]);
                Elements::Float((0..n).map(|i| a + d * i as f64).collect())
            }
        };
        Ok(vec![Tensor::from_elements(*dtype, shape.clone(), &computed)?])
    }
}

/// Length of a sequence of known floats.
fn float_len(ctx: &Context<'_>) -> Result<Option<i64>, ShapeError> {
    let get = |operand: usize| {
        ctx.tensor(operand).filter(|t| t.dtype().is_float()).and_then(|t| t.to_f64().first().copied())
    };
    let (Some(start), Some(limit), Some(delta)) = (get(0), get(1), get(2)) else { return Ok(None) };
    let len = ((limit - start) / delta).ceil();
    if delta == 0.0 || !len.is_finite() || len > 1e15 {
        return Err(ShapeError::Invalid(format!("there is no sequence from {start} to {limit} by {delta}")));
    }
    Ok(Some(len.max(0.0) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    #[test]
    fn sequences() {
        let ints = |start, limit, delta, expected: &[i64]| {
            let t = |v| Tensor::from_i64(vec![], &[v]).unwrap();
            let y = eval_node(&Op::Range, &[&t(start), &t(limit), &t(delta)], 1).unwrap().remove(0);
            assert_eq!(y.to_i64().unwrap(), expected, "{start}..{limit} by {delta}");
        };
        ints(0, 4, 1, &[0, 1, 2, 3]);
        ints(1, 8, 3, &[1, 4, 7]);
        ints(5, 0, -2, &[5, 3, 1]);
        ints(3, 3, 1, &[]);
        ints(4, 0, 1, &[]);
        let t = |v| Tensor::from_f32(vec![], &[v]).unwrap();
        let y = eval_node(&Op::Range, &[&t(0.5), &t(2.0), &t(0.5)], 1).unwrap().remove(0);
        assert_eq!(y.to_f64(), [0.5, 1.0, 1.5]);
    }

    #[test]
    fn refusals() {
        let t = |v| Tensor::from_i64(vec![], &[v]).unwrap();
        assert!(eval_node(&Op::Range, &[&t(0), &t(5), &t(0)], 1).is_err());
        assert!(eval_node(&Op::Range, &[&t(0), &t(i64::MAX / 2), &t(1)], 1).is_err(), "too large");
        let f = |v| Tensor::from_f32(vec![], &[v]).unwrap();
        assert!(eval_node(&Op::Range, &[&f(0.0), &f(f32::INFINITY), &f(1.0)], 1).is_err());
    }
}
