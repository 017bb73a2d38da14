//! Cutting one axis into pieces.

use crate::dims;
use crate::layout::{gather_strided, strides};
use crate::rule::{
    self, Context, EvalError, HostType, Inferred, Kind, Output, Rule, Set, ShapeError, Signature,
};
use crate::tensor::Tensor;

pub(super) struct Split {
    pub(super) axis: i64,
}

impl Rule for Split {
    fn name(&self) -> &'static str {
        "Split"
    }

    fn signature(&self) -> Signature {
        Signature { many_outputs: true, ..Signature::new(&[Kind::Same(Set::Any), Kind::Index], Output::Same) }
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(2, 2, "an operand and sizes")?;
        ctx.index(1)?;
        let axis = rule::axis(self.axis, ctx.rank(0))?;
        let sizes = ctx.known(1, "the sizes")?;
        super::check_dims(ctx.scope(), sizes)?;
        if sizes.len() != ctx.outputs() {
            return Err(ShapeError::Invalid(format!(
                "there are {} sizes for {} outputs; give one size for each",
                sizes.len(),
                ctx.outputs()
            )));
        }
        let sum = sizes.iter().fold(dims::int(0), |sum, size| dims::add(&sum, size));
        ctx.unify("the dimension and the sum of the sizes it is split into", &ctx.shape(0)[axis], &sum)?;
        let mut at = Some(0);
        let pieces = sizes.iter().map(|size| {
            let mut shape = ctx.shape(0).to_vec();
            shape[axis] = size.clone();
            let range =
                at.zip(dims::as_int(size).and_then(|n| usize::try_from(n).ok())).map(|(a, n)| a..a + n);
            at = range.as_ref().map(|r| r.end);
            let contents = range.and_then(|r| Some(ctx.contents(0)?.get(r)?.to_vec()));
            Inferred::new(ctx.dtype(0), shape).with(contents)
        });
        Ok(pieces.collect())
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let by = strides(inputs[0].shape());
        let axis = rule::axis(self.axis, by.len())?;
        let mut base = 0;
        outputs
            .iter()
            .map(|out| {
                let piece = gather_strided(inputs[0], &out.shape, base, &by)?;
                base += out.shape[axis] as isize * by[axis];
                Ok(piece)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    #[test]
    fn pieces() {
        let x = Tensor::from_f32(vec![2, 3], &[1., 2., 3., 4., 5., 6.]).unwrap();
        let sizes = |v: &[i64]| Tensor::from_i64(vec![v.len()], v).unwrap();
        let y = eval_node(&Op::Split { axis: -1 }, &[&x, &sizes(&[1, 0, 2])], 3).unwrap();
        assert_eq!(y[0].to_f64(), [1., 4.]);
        assert_eq!(y[1].shape(), [2, 0]);
        assert_eq!(y[2].to_f64(), [2., 3., 5., 6.]);
        let refuse = |v: &[i64], outputs, text: &str| {
            let e = eval_node(&Op::Split { axis: 1 }, &[&x, &sizes(v)], outputs).unwrap_err().to_string();
            assert!(e.contains(text), "{e}");
        };
        refuse(&[1, 1], 2, "must be equal");
        refuse(&[1, 2], 3, "one size for each");
        refuse(&[4, -1], 2, "negative");
    }
}
