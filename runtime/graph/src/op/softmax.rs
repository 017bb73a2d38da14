//! Softmax along one axis.

use crate::layout::around;
use crate::rule::{
    self, Context, EvalError, HostType, Inferred, Kind, Output, Rule, Set, ShapeError, Signature,
};
use crate::tensor::Tensor;

pub(super) struct Softmax {
    pub(super) axis: i64,
    pub(super) log: bool,
}

impl Rule for Softmax {
    fn name(&self) -> &'static str {
        if self.log { "LogSoftmax" } else { "Softmax" }
    }

    fn signature(&self) -> Signature {
        Signature::new(&[Kind::Same(Set::Float)], Output::Same)
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        rule::float_along(ctx, self.axis)
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let HostType { dtype, shape } = &outputs[0];
        let (outer, len, inner) = around(shape, rule::axis(self.axis, shape.len())?);
        let mut v = inputs[0].to_f64();
        for start in (0..outer).flat_map(|o| (0..inner).map(move |i| o * len * inner + i)) {
            let line = (0..len).map(|k| start + k * inner);
            let max = line.clone().fold(f64::NEG_INFINITY, |m, i| m.max(v[i]));
            let sum: f64 = line.clone().map(|i| (v[i] - max).exp()).sum();
            for i in line {
                v[i] = if self.log { v[i] - max - sum.ln() } else { (v[i] - max).exp() / sum };
            }
        }
        Ok(vec![Tensor::from_f64(*dtype, shape.clone(), &v)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    fn check(axis: i64, log: bool, expected: &[f64]) {
        let ln2 = core::f32::consts::LN_2;
        let x = Tensor::from_f32(vec![2, 2], &[1000.0, 1000.0 + ln2, 1000.0 + ln2, 1000.0]).unwrap();
        let y = eval_node(&Op::Softmax { axis, log }, &[&x], 1).unwrap().remove(0).to_f64();
        assert!(y.iter().zip(expected).all(|(y, e)| (y - e).abs() < 1e-4), "{y:?} instead of {expected:?}");
    }

    #[test]
    fn along_either_axis() {
        let (third, two) = (1.0 / 3.0, 2.0 / 3.0);
        check(-1, false, &[third, two, two, third]);
        check(0, false, &[third, two, two, third]);
        check(1, true, &[third.ln(), two.ln(), two.ln(), third.ln()]);
        let x = Tensor::from_f32(vec![2, 0], &[]).unwrap();
        assert_eq!(eval_node(&Op::Softmax { axis: 1, log: false }, &[&x], 1).unwrap()[0].count(), 0);
        assert!(eval_node(&Op::Softmax { axis: 2, log: false }, &[&x], 1).is_err());
    }
}
