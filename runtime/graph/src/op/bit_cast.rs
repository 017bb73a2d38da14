//! Bits read as another element type.

use crate::DType;
use crate::rule::{Context, EvalError, HostType, Inferred, Kind, Output, Rule, ShapeError, Signature};
use crate::tensor::Tensor;

pub(super) struct BitCast(pub(super) DType);

impl Rule for BitCast {
    fn name(&self) -> &'static str {
        "BitCast"
    }

    fn signature(&self) -> Signature {
        Signature::new(&[Kind::Any], Output::Only(self.0))
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(1, 1, "one operand")?;
        let from = ctx.dtype(0);
        if from.bits() != self.0.bits() {
            return Err(ShapeError::Invalid(format!(
                "the bits of {from} are no {}: {} and {} bits per element; convert it with Cast",
                self.0,
                from.bits(),
                self.0.bits()
            )));
        }
        Ok(vec![Inferred::new(self.0, ctx.shape(0).to_vec())])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let (shape, mut bytes) = (outputs[0].shape.clone(), inputs[0].bytes().to_vec());
        if self.0.bits() >= 8 {
            return Ok(vec![Tensor::new(self.0, shape, bytes)?]);
        }
        // Each has a byte of its own here, in which a signed one has its sign repeated.
        bytes.iter_mut().for_each(|byte| *byte &= (1 << self.0.bits()) - 1);
        if !self.0.is_int() {
            return Ok(vec![Tensor::new(self.0, shape, bytes)?]);
        }
        let values: Vec<i128> = bytes.into_iter().map(i128::from).collect();
        Ok(vec![Tensor::from_ints(self.0, shape, &values)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    #[test]
    fn keeps_the_bits() {
        let x = Tensor::from_f32(vec![3], &[1.0, -2.0, f32::NAN]).unwrap();
        let y = eval_node(&Op::BitCast(DType::I32), &[&x], 1).unwrap().remove(0);
        assert_eq!(y.to_ints().unwrap(), [0x3f80_0000, -0x4000_0000, 0x7fc0_0000]);
        assert_eq!(eval_node(&Op::BitCast(DType::F32), &[&y], 1).unwrap().remove(0), x);
        let x = Tensor::from_ints(DType::I8, vec![2], &[-1, 5]).unwrap();
        let y = eval_node(&Op::BitCast(DType::U8), &[&x], 1).unwrap().remove(0);
        assert_eq!(y.to_ints().unwrap(), [255, 5]);
        let x = Tensor::from_ints(DType::I4, vec![2], &[-1, 5]).unwrap();
        let y = eval_node(&Op::BitCast(DType::U4), &[&x], 1).unwrap().remove(0);
        assert_eq!(y, Tensor::from_ints(DType::U4, vec![2], &[15, 5]).unwrap());
        assert_eq!(eval_node(&Op::BitCast(DType::I4), &[&y], 1).unwrap().remove(0), x);
        assert!(
            eval_node(&Op::BitCast(DType::I64), &[&x], 1).unwrap_err().to_string().contains("4 and 64 bits")
        );
    }
}
