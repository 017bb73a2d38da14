//! `condition ? a : b`.

use crate::layout::{broadcast_strides, walk};
use crate::rule::{Context, EvalError, HostType, Inferred, Kind, Output, Rule, Set, ShapeError, Signature};
use crate::tensor::Tensor;
use crate::{DType, dims};

pub(super) struct Select;

impl Rule for Select {
    fn name(&self) -> &'static str {
        "Select"
    }

    fn signature(&self) -> Signature {
        Signature::new(&[Kind::Only(DType::Bool), Kind::Same(Set::Any), Kind::Same(Set::Any)], Output::Same)
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(3, 3, "a condition and two operands")?;
        ctx.only(0, DType::Bool)?;
        let dtype = ctx.same(1, 2, Set::Any)?;
        let shape = ctx.broadcast(ctx.shape(0), ctx.shape(1))?;
        let shape = ctx.broadcast(&shape, ctx.shape(2))?;
        let contents = (|| {
            let lists = [ctx.contents(0)?, ctx.contents(1)?, ctx.contents(2)?];
            let len =
                if lists.iter().any(|l| l.is_empty()) { 0 } else { lists.iter().map(|l| l.len()).max()? };
            let at = |k: usize, i: usize| lists[k].get(if lists[k].len() == 1 { 0 } else { i });
            (0..len).map(|i| at(if dims::as_int(at(0, i)?)? != 0 { 1 } else { 2 }, i).cloned()).collect()
        })();
        Ok(vec![Inferred::new(dtype, shape).with(contents)])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let HostType { dtype, shape } = &outputs[0];
        let size = dtype.size();
        let by: Vec<Vec<isize>> = inputs.iter().map(|t| broadcast_strides(t.shape(), shape)).collect();
        let mut out = Vec::new();
        walk(shape, [&by[0], &by[1], &by[2]], |[c, a, b]| {
            let (source, at) =
                if inputs[0].bytes()[c as usize] != 0 { (inputs[1], a) } else { (inputs[2], b) };
            out.extend_from_slice(&source.bytes()[at as usize * size..][..size]);
        });
        Ok(vec![Tensor::new(*dtype, shape.clone(), out)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    #[test]
    fn chooses_with_broadcasting() {
        let c = Tensor::from_bool(vec![2, 1], &[true, false]).unwrap();
        let a = Tensor::from_f32(vec![3], &[1., 2., 3.]).unwrap();
        let b = Tensor::from_f32(vec![], &[9.]).unwrap();
        let y = eval_node(&Op::Select, &[&c, &a, &b], 1).unwrap().remove(0);
        assert_eq!((y.shape(), y.to_f32().unwrap()), (&[2, 3][..], vec![1., 2., 3., 9., 9., 9.]));
        assert!(eval_node(&Op::Select, &[&a, &a, &b], 1).is_err());
        assert!(eval_node(&Op::Select, &[&c, &a], 1).is_err());
    }
}
