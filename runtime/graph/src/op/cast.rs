//! Conversion between element types.

use crate::DType;
use crate::rule::{Context, EvalError, HostType, Inferred, Kind, Output, Rule, ShapeError, Signature};
use crate::tensor::Tensor;

pub(super) struct Cast(pub(super) DType);

impl Rule for Cast {
    fn name(&self) -> &'static str {
        "Cast"
    }

    fn signature(&self) -> Signature {
        Signature::new(&[Kind::Any], Output::Only(self.0))
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(1, 1, "one operand")?;
        // Conversions among wide integers and floats keep whole numbers of the size of a dimension; narrow ones wrap.
        let wide =
            matches!(self.0, DType::I32 | DType::I64 | DType::U32 | DType::U64 | DType::F32 | DType::F64)
                || self.0 == ctx.dtype(0);
        let contents = ctx.contents(0).filter(|_| wide).map(<[_]>::to_vec);
        Ok(vec![Inferred::new(self.0, ctx.shape(0).to_vec()).with(contents)])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        Ok(vec![Tensor::from_elements(self.0, outputs[0].shape.clone(), &inputs[0].elements())?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    fn check(from: DType, to: DType, values: &[f64], expected: &[f64]) {
        let x = Tensor::from_f64(from, vec![values.len()], values).unwrap();
        let y = eval_node(&Op::Cast(to), &[&x], 1).unwrap().remove(0);
        assert_eq!((y.dtype(), y.to_f64()), (to, expected.to_vec()), "{from} to {to}");
    }

    #[test]
    fn converts() {
        check(DType::F32, DType::I64, &[1.9, -1.9], &[1.0, -1.0]);
        check(DType::F32, DType::Bool, &[0.0, -0.5], &[0.0, 1.0]);
        check(DType::I64, DType::U8, &[257.0, -1.0], &[1.0, 255.0]);
        check(DType::Bool, DType::F32, &[1.0, 0.0], &[1.0, 0.0]);
        check(DType::F32, DType::F16, &[1.0 + 1.0 / 4096.0], &[1.0]);
        check(DType::F32, DType::BF16, &[1.0 + 1.0 / 512.0], &[1.0]);
    }
}
