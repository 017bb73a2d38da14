//! The shape of a tensor as a value.

use crate::rule::{Context, EvalError, HostType, Inferred, Kind, Output, Rule, ShapeError, Signature};
use crate::tensor::Tensor;
use crate::{DType, dims};

pub(super) struct Shape {
    pub(super) start: i64,
    pub(super) end: Option<i64>,
}

impl Shape {
    /// The dimensions as a range, clamped into the rank as ONNX says.
    fn range(&self, rank: usize) -> core::ops::Range<usize> {
        let clamp = |v: i64| {
            let v = if v < 0 { v.saturating_add(rank as i64) } else { v };
            v.clamp(0, rank as i64) as usize
        };
        let start = clamp(self.start);
        start..self.end.map_or(rank, clamp).max(start)
    }
}

impl Rule for Shape {
    fn name(&self) -> &'static str {
        "Shape"
    }

    fn signature(&self) -> Signature {
        Signature::new(&[Kind::Any], Output::Only(DType::I64))
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(1, 1, "one operand")?;
        let list = ctx.shape(0)[self.range(ctx.rank(0))].to_vec();
        let shape = vec![dims::int(list.len() as i64)];
        Ok(vec![Inferred::new(DType::I64, shape).with(Some(list))])
    }

    fn eval(&self, inputs: &[&Tensor], _: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let shape = inputs[0].shape();
        let list: Vec<i64> = shape[self.range(shape.len())].iter().map(|&dim| dim as i64).collect();
        Ok(vec![Tensor::from_i64(vec![list.len()], &list)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    #[test]
    fn ranges() {
        let check = |start, end, expected: &[i64]| {
            let x = Tensor::zeros(DType::F32, vec![2, 0, 4]).unwrap();
            let y = eval_node(&Op::Shape { start, end }, &[&x], 1).unwrap().remove(0);
            assert_eq!(y, Tensor::from_i64(vec![expected.len()], expected).unwrap(), "{start}..{end:?}");
        };
        check(0, None, &[2, 0, 4]);
        check(-2, None, &[0, 4]);
        check(1, Some(-1), &[0]);
        check(2, Some(1), &[]);
        check(-9, Some(9), &[2, 0, 4]);
    }
}
