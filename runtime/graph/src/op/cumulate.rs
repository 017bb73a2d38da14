//! Running sums and products.

use super::BinaryOp;
use crate::layout::around;
use crate::rule::{
    self, Context, EvalError, HostType, Inferred, Kind, Output, Rule, Set, ShapeError, Signature,
};
use crate::tensor::{Elements, Tensor};

pub(super) struct Cumulate {
    pub(super) op: BinaryOp,
    pub(super) axis: i64,
    pub(super) exclusive: bool,
    pub(super) reverse: bool,
}

impl Rule for Cumulate {
    fn name(&self) -> &'static str {
        if self.op == BinaryOp::Mul { "CumProd" } else { "CumSum" }
    }

    fn signature(&self) -> Signature {
        Signature::new(&[Kind::Same(Set::Number)], Output::Same)
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(1, 1, "an operand")?;
        let dtype = ctx.same(0, 0, Set::Number)?;
        if !matches!(self.op, BinaryOp::Add | BinaryOp::Mul) {
            return Err(ShapeError::Invalid(format!("{:?} has no running result", self.op)));
        }
        rule::axis(self.axis, ctx.rank(0))?;
        Ok(vec![Inferred::new(dtype, ctx.shape(0).to_vec())])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let HostType { dtype, shape } = &outputs[0];
        let axis = rule::axis(self.axis, shape.len())?;
        let computed = match (inputs[0].elements(), self.op.int(), self.op.float()) {
            (Elements::Int(x), Some(join), _) => {
                let initial = i128::from(self.op == BinaryOp::Mul);
                let join = |a, b| join(a, b, *dtype).unwrap_or_default();
                Elements::Int(self.lines(shape, axis, &x, initial, join))
            }
            (Elements::Float(x), _, Some(join)) => {
                let initial = f64::from(u8::from(self.op == BinaryOp::Mul));
                Elements::Float(self.lines(shape, axis, &x, initial, join))
            }
            _ => return Err(EvalError::Value(format!("{dtype} has no running {:?}", self.op))),
        };
        Ok(vec![Tensor::from_elements(*dtype, shape.clone(), &computed)?])
    }
}

impl Cumulate {
    /// All running results, line by line along the axis.
    fn lines<T: Copy>(
        &self,
        shape: &[usize],
        axis: usize,
        x: &[T],
        initial: T,
        join: impl Fn(T, T) -> T,
    ) -> Vec<T> {
        let (outer, len, inner) = around(shape, axis);
        let mut out = x.to_vec();
        for line in 0..outer * inner {
            let first = line / inner * len * inner + line % inner;
            let mut all = initial;
            for step in 0..len {
                let at = first + inner * if self.reverse { len - 1 - step } else { step };
                let next = join(all, x[at]);
                out[at] = if self.exclusive { all } else { next };
                all = next;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    #[test]
    fn running_results() {
        let x = Tensor::from_i64(vec![2, 3], &[1, 2, 3, 4, 5, 6]).unwrap();
        let check = |op, axis, exclusive, reverse, expected: &[i64]| {
            let op = Op::Cumulate { op, axis, exclusive, reverse };
            let y = eval_node(&op, &[&x], 1).unwrap().remove(0);
            assert_eq!((y.shape(), y.to_i64().unwrap()), (&[2, 3][..], expected.to_vec()), "{op:?}");
        };
        check(BinaryOp::Add, 1, false, false, &[1, 3, 6, 4, 9, 15]);
        check(BinaryOp::Add, -1, true, false, &[0, 1, 3, 0, 4, 9]);
        check(BinaryOp::Add, 1, false, true, &[6, 5, 3, 15, 11, 6]);
        check(BinaryOp::Add, 1, true, true, &[5, 3, 0, 11, 6, 0]);
        check(BinaryOp::Add, 0, false, false, &[1, 2, 3, 5, 7, 9]);
        check(BinaryOp::Mul, 1, false, false, &[1, 2, 6, 4, 20, 120]);
        check(BinaryOp::Mul, 0, true, true, &[4, 5, 6, 1, 1, 1]);
    }

    #[test]
    fn refusals() {
        let x = Tensor::from_i64(vec![], &[1]).unwrap();
        let op = |op| Op::Cumulate { op, axis: 0, exclusive: false, reverse: false };
        assert!(eval_node(&op(BinaryOp::Add), &[&x], 1).is_err(), "a scalar has no axis");
        let x = Tensor::from_i64(vec![1], &[1]).unwrap();
        let e = eval_node(&op(BinaryOp::Max), &[&x], 1).unwrap_err().to_string();
        assert!(e.contains("Max has no running result"), "{e}");
        let none = Tensor::from_i64(vec![0], &[]).unwrap();
        assert_eq!(eval_node(&op(BinaryOp::Add), &[&none], 1).unwrap()[0].count(), 0);
    }
}
