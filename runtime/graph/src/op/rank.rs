//! Places in order along an axis.

use core::cmp::Ordering;

use crate::DType;
use crate::layout::around;
use crate::rule::{
    self, Context, EvalError, HostType, Inferred, Kind, Output, Rule, Set, ShapeError, Signature,
};
use crate::tensor::{Elements, Tensor};

pub(super) struct Rank {
    pub(super) axis: i64,
    pub(super) largest: bool,
}

impl Rule for Rank {
    fn name(&self) -> &'static str {
        "Rank"
    }

    fn signature(&self) -> Signature {
        Signature::new(&[Kind::Same(Set::Number)], Output::Only(DType::I32))
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(1, 1, "an operand")?;
        ctx.same(0, 0, Set::Number)?;
        rule::axis(self.axis, ctx.rank(0))?;
        Ok(vec![Inferred::new(DType::I32, ctx.shape(0).to_vec())])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let shape = &outputs[0].shape;
        let axis = rule::axis(self.axis, shape.len())?;
        let ranks = match inputs[0].elements() {
            Elements::Int(x) => self.lines(shape, axis, &x, Ord::cmp),
            Elements::Float(x) => self.lines(shape, axis, &x, |a, b| {
                // A NaN is the largest number; zeros of both signs are equal.
                a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
            }),
        };
        Ok(vec![Tensor::from_ints(DType::I32, shape.clone(), &ranks)?])
    }
}

impl Rank {
    /// The place of each element in its line along the axis; of equal ones the first comes first.
    fn lines<T>(
        &self,
        shape: &[usize],
        axis: usize,
        x: &[T],
        order: impl Fn(&T, &T) -> Ordering,
    ) -> Vec<i128> {
        let (outer, len, inner) = around(shape, axis);
        let mut ranks = vec![0; x.len()];
        for line in 0..outer * inner {
            let first = line / inner * len * inner + line % inner;
            let mut places: Vec<usize> = (0..len).map(|step| first + step * inner).collect();
            places.sort_by(|&a, &b| if self.largest { order(&x[b], &x[a]) } else { order(&x[a], &x[b]) });
            for (rank, at) in (0..).zip(places) {
                ranks[at] = rank;
            }
        }
        ranks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    #[test]
    fn places() {
        let check = |x: &Tensor, axis, largest, expected: &[i128]| {
            let y = eval_node(&Op::Rank { axis, largest }, &[x], 1).unwrap().remove(0);
            assert_eq!(
                (y.dtype(), y.shape(), y.to_ints().unwrap()),
                (DType::I32, x.shape(), expected.to_vec())
            );
        };
        let x = Tensor::from_f32(vec![2, 3], &[3., 1., 3., f32::NAN, -0., 0.]).unwrap();
        check(&x, 1, true, &[0, 2, 1, 0, 1, 2]);
        check(&x, -1, false, &[1, 0, 2, 2, 0, 1]);
        check(&x, 0, true, &[1, 0, 0, 0, 1, 1]);
        let x = Tensor::from_ints(DType::U64, vec![3], &[1, u64::MAX.into(), 1 << 40]).unwrap();
        check(&x, 0, true, &[2, 0, 1]);
        check(&Tensor::from_f32(vec![2, 0], &[]).unwrap(), 1, true, &[]);
        assert!(
            eval_node(&Op::Rank { axis: 0, largest: true }, &[&Tensor::from_f32(vec![], &[1.]).unwrap()], 1)
                .is_err()
        );
    }
}
