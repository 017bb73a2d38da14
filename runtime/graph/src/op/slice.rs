//! Slices.

use bayplan_expr::Expr;

use crate::dims;
use crate::layout::{gather_strided, strides};
use crate::rule::{
    self, Context, EvalError, HostType, Inferred, Kind, Output, Rule, Set, ShapeError, Signature,
};
use crate::tensor::Tensor;

pub(super) struct Slice;

/// Bounds at or beyond this stand for "to the end", as exporters write them (2^31−1, 2^63−1 and their negatives).
const FAR: i64 = i32::MAX as i64;

impl Rule for Slice {
    fn name(&self) -> &'static str {
        "Slice"
    }

    fn signature(&self) -> Signature {
        Signature::new(
            &[Kind::Same(Set::Any), Kind::Index, Kind::Index, Kind::Index, Kind::Index],
            Output::Same,
        )
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(5, 5, "an operand, starts, ends, axes and steps")?;
        (1..5).try_for_each(|operand| ctx.index(operand))?;
        let (starts, ends) = (ctx.known(1, "the starts")?, ctx.known(2, "the ends")?);
        let axes = rule::axes(&ctx.known_ints(3, "the axes")?, ctx.rank(0))?;
        let steps = ctx.known_ints(4, "the steps")?;
        if [starts.len(), ends.len(), steps.len()] != [axes.len(); 3] {
            return Err(ShapeError::Invalid(format!(
                "starts, ends, axes and steps must be equally long, but have {}, {}, {} and {} entries",
                starts.len(),
                ends.len(),
                axes.len(),
                steps.len()
            )));
        }
        let mut shape = ctx.shape(0).to_vec();
        let mut contents = ctx.contents(0).map(<[_]>::to_vec);
        for (i, &axis) in axes.iter().enumerate() {
            let (first, len) = extent(ctx, &shape[axis], &starts[i], &ends[i], steps[i])?;
            contents = contents.and_then(|list| pick(&list, &first, &len, steps[i]));
            shape[axis] = len;
        }
        Ok(vec![Inferred::new(ctx.dtype(0), shape).with(contents)])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let lists: Vec<Vec<i64>> = inputs[1..]
            .iter()
            .map(|t| t.to_ints().unwrap_or_default().iter().map(|&v| v as i64).collect())
            .collect();
        let x = inputs[0];
        let (mut by, mut base) = (strides(x.shape()), 0);
        for (i, &axis) in rule::axes(&lists[2], x.shape().len())?.iter().enumerate() {
            base += first(x.shape()[axis] as i64, lists[0][i], lists[3][i]) as isize * by[axis];
            // One element needs no step, which may be as far as ±2^63.
            by[axis] = if outputs[0].shape[axis] > 1 { by[axis] * lists[3][i] as isize } else { 0 };
        }
        Ok(vec![gather_strided(x, &outputs[0].shape, base, &by)?])
    }
}

/// Where a slice starts, by ONNX's clamping: into `0..=dim` going forward, into `0..dim` going backward.
fn first(dim: i64, start: i64, step: i64) -> i64 {
    let start = if start < 0 { start.saturating_add(dim) } else { start };
    if step > 0 { start.clamp(0, dim) } else { start.clamp(0, (dim - 1).max(0)) }
}

/// Start and length of a slice along one axis.
fn extent(
    ctx: &Context<'_>,
    dim: &Expr,
    start: &Expr,
    end: &Expr,
    step: i64,
) -> Result<(Expr, Expr), ShapeError> {
    let zero = dims::int(0);
    if step == 0 {
        return Err(ShapeError::Invalid("a step of 0 never ends; use 1 or -1".to_owned()));
    }
    if let (Some(dim), Some(start), Some(end)) = (dims::as_int(dim), dims::as_int(start), dims::as_int(end)) {
        let from = first(dim, start, step);
        let end = if end < 0 { end.saturating_add(dim) } else { end };
        // Going backward, −1 stands for "past the first element" after clamping.
        let span = if dim == 0 {
            0
        } else if step > 0 {
            end.clamp(0, dim) - from
        } else {
            from - end.clamp(-1, dim - 1)
        };
        let by = i128::from(step).abs();
        let len = (i128::from(span.max(0)) + by - 1) / by;
        return Ok((dims::int(from), dims::int(i64::try_from(len).unwrap_or(dim))));
    }
    if step < 0 {
        return backward(dim, start, end, step);
    }
    let (from, to) = (bound(ctx, dim, start)?, bound(ctx, dim, end)?);
    let span = dims::max(ctx.scope(), &dims::sub(&to, &from), &zero);
    Ok((from, dims::div_ceil(&span, &dims::int(step))))
}

/// A bound of a forward slice within `0..=dim`.
fn bound(ctx: &Context<'_>, dim: &Expr, bound: &Expr) -> Result<Expr, ShapeError> {
    let (scope, zero) = (ctx.scope(), dims::int(0));
    match dims::as_int(bound) {
        Some(v) if v >= FAR => return Ok(dim.clone()),
        Some(v) if v <= -FAR => return Ok(zero),
        _ => {}
    }
    if dims::le(scope, &zero, bound) {
        Ok(dims::min(scope, bound, dim))
    } else if dims::lt(scope, bound, &zero) {
        Ok(dims::max(scope, &dims::add(dim, bound), &zero))
    } else {
        Err(ShapeError::Invalid(format!(
            "whether the bound {bound} counts from the front or from the end depends on its symbols; give them bounds \
             or values"
        )))
    }
}

/// A slice backward over a symbolic dimension: only the whole axis reversed, which is what models do.
fn backward(dim: &Expr, start: &Expr, end: &Expr, step: i64) -> Result<(Expr, Expr), ShapeError> {
    let whole = dims::as_int(start).is_some_and(|v| v == -1 || v >= FAR)
        && dims::as_int(end).is_some_and(|v| v <= -FAR);
    if !whole {
        return Err(ShapeError::Invalid(format!(
            "a backward slice {start}..{end} of the symbolic dimension {dim} is not supported; give the symbols values"
        )));
    }
    let len = dims::div_ceil(dim, &dims::int(step.saturating_neg()));
    Ok((dims::sub(dim, &dims::int(1)), len))
}

fn pick(list: &[Expr], first: &Expr, len: &Expr, step: i64) -> Option<Vec<Expr>> {
    let (first, len) = (dims::as_int(first)?, dims::as_int(len)?);
    (0..len)
        .map(|i| list.get(usize::try_from(first.checked_add(i.checked_mul(step)?)?).ok()?).cloned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    fn slice(n: usize, start: i64, end: i64, step: i64) -> Result<Vec<f64>, String> {
        let x = Tensor::from_f32(vec![n], &(0..n).map(|i| i as f32).collect::<Vec<_>>()).unwrap();
        let one = |v: i64| Tensor::from_i64(vec![1], &[v]).unwrap();
        let y = eval_node(&Op::Slice, &[&x, &one(start), &one(end), &one(-1), &one(step)], 1);
        y.map(|y| y[0].to_f64()).map_err(|e| e.to_string())
    }

    #[test]
    fn clamps_as_onnx() {
        let check = |n, (start, end, step), expected: &[f64]| {
            assert_eq!(slice(n, start, end, step).as_deref(), Ok(expected), "{n} {start}..{end} by {step}");
        };
        check(5, (1, 4, 1), &[1., 2., 3.]);
        check(5, (-3, i64::MAX, 1), &[2., 3., 4.]);
        check(5, (0, -1, 2), &[0., 2.]);
        check(5, (0, 5, 2), &[0., 2., 4.]);
        check(5, (7, 9, 1), &[]);
        check(5, (3, 1, 1), &[]);
        check(5, (i64::MIN, 2, 1), &[0., 1.]);
        check(5, (-1, i64::MIN, -1), &[4., 3., 2., 1., 0.]);
        check(5, (i64::MAX, 0, -2), &[4., 2.]);
        check(5, (3, -6, -2), &[3., 1.]);
        check(5, (4, 1, i64::MIN), &[4.]);
        check(5, (1, 4, i64::MAX), &[1.]);
        check(0, (0, 3, 1), &[]);
        check(0, (-1, i64::MIN, -1), &[]);
        assert!(slice(5, 0, 1, 0).unwrap_err().contains("step of 0"));
    }

    #[test]
    fn several_axes() {
        let x = Tensor::from_f32(vec![2, 3], &[1., 2., 3., 4., 5., 6.]).unwrap();
        let t = |v: &[i64]| Tensor::from_i64(vec![v.len()], v).unwrap();
        let y =
            eval_node(&Op::Slice, &[&x, &t(&[1, -1]), &t(&[2, -9]), &t(&[0, 1]), &t(&[1, -2])], 1).unwrap();
        assert_eq!((y[0].shape(), y[0].to_f64()), (&[1, 2][..], vec![6., 4.]));
        let e = eval_node(&Op::Slice, &[&x, &t(&[1]), &t(&[2, 3]), &t(&[0]), &t(&[1])], 1).unwrap_err();
        assert!(e.to_string().contains("equally long"));
    }
}
