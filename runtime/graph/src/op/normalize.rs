//! Normalisation over the last axes: the common core of layer and RMS normalisation.

use crate::layout::product;
use crate::rule::{
    self, Context, EvalError, HostType, Inferred, Kind, Output, Rule, Set, ShapeError, Signature,
};
use crate::tensor::Tensor;

pub(super) struct Normalize {
    pub(super) axis: i64,
    pub(super) epsilon: f32,
    pub(super) center: bool,
}

impl Rule for Normalize {
    fn name(&self) -> &'static str {
        if self.center { "LayerNormalize" } else { "RmsNormalize" }
    }

    fn signature(&self) -> Signature {
        Signature::new(&[Kind::Same(Set::Float)], Output::Same)
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        rule::float_along(ctx, self.axis)
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let HostType { dtype, shape } = &outputs[0];
        let len: usize = product(&shape[rule::axis(self.axis, shape.len())?..]);
        let mut v = inputs[0].to_f64();
        for row in v.chunks_exact_mut(len.max(1)) {
            let mean = if self.center { row.iter().sum::<f64>() / len as f64 } else { 0.0 };
            let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / len as f64;
            let scale = (variance + f64::from(self.epsilon)).sqrt().recip();
            row.iter_mut().for_each(|v| *v = (*v - mean) * scale);
        }
        Ok(vec![Tensor::from_f64(*dtype, shape.clone(), &v)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;
    use crate::op::F32Bits;

    fn check(axis: i64, center: bool, epsilon: f32, expected: &[f32]) {
        let x = Tensor::from_f32(vec![2, 1, 2], &[1., 3., 5., 7.]).unwrap();
        let op = Op::Normalize { axis, epsilon: F32Bits::new(epsilon), center };
        let y = eval_node(&op, &[&x], 1).unwrap().remove(0).to_f32().unwrap();
        assert!(y.iter().zip(expected).all(|(y, e)| (y - e).abs() < 1e-6), "{y:?} instead of {expected:?}");
    }

    #[test]
    fn rows_and_whole() {
        check(-1, true, 0.0, &[-1., 1., -1., 1.]);
        let d = 5_f32.sqrt();
        check(0, true, 0.0, &[-3. / d, -1. / d, 1. / d, 3. / d]);
        check(2, false, 4.0, &[1. / 3., 1., 5. / 41_f32.sqrt(), 7. / 41_f32.sqrt()]);
    }
}
