//! Padding.

use super::PadMode;
use super::window::indices;
use crate::dims;
use crate::layout::strides;
use crate::rule::{Context, EvalError, HostType, Inferred, Kind, Output, Rule, Set, ShapeError, Signature};
use crate::tensor::Tensor;

impl Rule for PadMode {
    fn name(&self) -> &'static str {
        "Pad"
    }

    fn signature(&self) -> Signature {
        Signature::new(&[Kind::Same(Set::Any), Kind::Index, Kind::Same(Set::Any)], Output::Same)
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(3, 3, "an operand, pads and a value")?;
        ctx.index(1)?;
        let dtype = ctx.dtype(0);
        ctx.only(2, dtype)?;
        let (x, pads) = (ctx.shape(0), ctx.known(1, "the pads")?);
        if pads.len() != 2 * x.len() {
            return Err(ShapeError::Invalid(format!(
                "an operand of rank {} needs {} pads, but has {}",
                x.len(),
                2 * x.len(),
                pads.len()
            )));
        }
        if let Some(value) = ctx.tensor(2).filter(|t| t.count() != 1) {
            return Err(ShapeError::Invalid(format!(
                "the padding value must be one element, not {}",
                value.count()
            )));
        }
        let mut shape = Vec::with_capacity(x.len());
        for (axis, dim) in x.iter().enumerate() {
            let (before, after) = (&pads[axis], &pads[axis + x.len()]);
            let padded = dims::add(&dims::add(dim, before), after);
            if let (Some(n), Some(before), Some(after)) =
                (dims::as_int(dim), dims::as_int(before), dims::as_int(after))
            {
                self.check(axis, n, before, after)?;
            }
            shape.push(padded);
        }
        super::check_dims(ctx.scope(), &shape)?;
        Ok(vec![Inferred::new(dtype, shape)])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let HostType { dtype, shape } = &outputs[0];
        let (x, size) = (inputs[0], dtype.size());
        let pads = inputs[1].to_ints().unwrap_or_default();
        let by = strides(x.shape());
        let mut out = Vec::new();
        indices(shape, |index| {
            let offset = index.iter().enumerate().try_fold(0, |offset, (axis, &i)| {
                let at = self.source(i as i64 - pads[axis] as i64, x.shape()[axis] as i64)?;
                Some(offset + at as isize * by[axis])
            });
            match offset {
                Some(at) => out.extend_from_slice(&x.bytes()[at as usize * size..][..size]),
                None => out.extend_from_slice(inputs[2].bytes()),
            }
        });
        Ok(vec![Tensor::new(*dtype, shape.clone(), out)?])
    }
}

impl PadMode {
    fn check(self, axis: usize, n: i64, before: i64, after: i64) -> Result<(), ShapeError> {
        let most = match self {
            Self::Constant => return Ok(()),
            Self::Reflect => n - 1,
            Self::Edge if n > 0 => return Ok(()),
            Self::Edge | Self::Wrap => n,
        };
        if before <= most.max(0) && after <= most.max(0) {
            return Ok(());
        }
        Err(ShapeError::Invalid(format!(
            "pads {before} and {after} of axis {axis} reach beyond its {n} elements, of which this mode can repeat {}",
            most.max(0)
        )))
    }

    /// The element that position `at` (counted from the first element, which may be negative) shows.
    fn source(self, at: i64, n: i64) -> Option<i64> {
        match self {
            Self::Constant => (0..n).contains(&at).then_some(at),
            Self::Edge => Some(at.clamp(0, n - 1)),
            Self::Wrap => Some(at.rem_euclid(n)),
            Self::Reflect => Some(if at < 0 {
                -at
            } else if at >= n {
                2 * (n - 1) - at
            } else {
                at
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    fn pad(mode: PadMode, pads: &[i64]) -> Result<Vec<f64>, String> {
        let x = Tensor::from_f32(vec![3], &[1., 2., 3.]).unwrap();
        let pads = Tensor::from_i64(vec![pads.len()], pads).unwrap();
        let value = Tensor::from_f32(vec![], &[9.]).unwrap();
        eval_node(&Op::Pad(mode), &[&x, &pads, &value], 1).map(|y| y[0].to_f64()).map_err(|e| e.to_string())
    }

    #[test]
    fn modes() {
        assert_eq!(pad(PadMode::Constant, &[1, 2]).unwrap(), [9., 1., 2., 3., 9., 9.]);
        assert_eq!(pad(PadMode::Constant, &[-1, 1]).unwrap(), [2., 3., 9.]);
        assert_eq!(pad(PadMode::Reflect, &[2, 1]).unwrap(), [3., 2., 1., 2., 3., 2.]);
        assert_eq!(pad(PadMode::Edge, &[2, 1]).unwrap(), [1., 1., 1., 2., 3., 3.]);
        assert_eq!(pad(PadMode::Wrap, &[2, 1]).unwrap(), [2., 3., 1., 2., 3., 1.]);
        assert!(pad(PadMode::Reflect, &[3, 0]).unwrap_err().contains("beyond"));
        assert!(pad(PadMode::Constant, &[-2, -2]).unwrap_err().contains("negative"));
        assert!(pad(PadMode::Constant, &[1]).unwrap_err().contains("needs 2 pads"));
    }

    #[test]
    fn two_axes() {
        let x = Tensor::from_f32(vec![1, 2], &[1., 2.]).unwrap();
        let pads = Tensor::from_i64(vec![4], &[1, 0, 0, 1]).unwrap();
        let value = Tensor::from_f32(vec![], &[0.]).unwrap();
        let y = eval_node(&Op::Pad(PadMode::Constant), &[&x, &pads, &value], 1).unwrap().remove(0);
        assert_eq!((y.shape(), y.to_f64()), (&[2, 3][..], vec![0., 0., 0., 1., 2., 0.]));
    }
}
