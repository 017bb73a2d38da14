//! Views: the same elements in another shape.

use bayplan_expr::Expr;

use super::ViewOp;
use crate::dims;
use crate::rule::{
    self, Context, EvalError, HostType, Inferred, Kind, MAX_RANK, Output, Rule, Set, ShapeError, Signature,
};
use crate::tensor::Tensor;

impl Rule for ViewOp {
    fn name(&self) -> &'static str {
        match self {
            Self::Reshape { .. } => "Reshape",
            Self::Squeeze => "Squeeze",
            Self::Unsqueeze => "Unsqueeze",
            Self::Flatten(_) => "Flatten",
        }
    }

    fn signature(&self) -> Signature {
        const WITH_LIST: Signature = Signature::new(&[Kind::Same(Set::Any), Kind::Index], Output::Same);
        match self {
            Self::Flatten(_) => Signature::new(&[Kind::Same(Set::Any)], Output::Same),
            Self::Squeeze => Signature { optional: 1, ..WITH_LIST },
            Self::Reshape { .. } | Self::Unsqueeze => WITH_LIST,
        }
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        match self {
            Self::Reshape { .. } => ctx.arity(2, 2, "an operand and a shape")?,
            Self::Unsqueeze => ctx.arity(2, 2, "an operand and its axes")?,
            Self::Squeeze => ctx.arity(1, 2, "an operand and, if wanted, its axes")?,
            Self::Flatten(_) => ctx.arity(1, 1, "one operand")?,
        }
        if ctx.len() > 1 {
            ctx.index(1)?;
        }
        let shape = match *self {
            Self::Reshape { allow_zero } => reshape(ctx, allow_zero)?,
            Self::Squeeze => squeeze(ctx)?,
            Self::Unsqueeze => unsqueeze(ctx)?,
            Self::Flatten(axis) => flatten(ctx, axis)?,
        };
        if shape.len() > MAX_RANK {
            return Err(ShapeError::Invalid(format!(
                "rank {} is above the limit of {MAX_RANK}",
                shape.len()
            )));
        }
        Ok(vec![Inferred::new(ctx.dtype(0), shape).with(ctx.contents(0).map(<[_]>::to_vec))])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        Ok(vec![inputs[0].reshaped(outputs[0].shape.clone())?])
    }
}

fn reshape(ctx: &mut Context<'_>, allow_zero: bool) -> Result<Vec<Expr>, ShapeError> {
    let (x, target) = (ctx.shape(0), ctx.known(1, "the shape")?);
    if target.len() > MAX_RANK {
        return Err(ShapeError::Invalid(format!("rank {} is above the limit of {MAX_RANK}", target.len())));
    }
    let (mut shape, mut inferred) = (Vec::with_capacity(target.len()), None);
    for (axis, dim) in target.iter().enumerate() {
        shape.push(match dims::as_int(dim) {
            Some(-1) if inferred.is_none() => {
                inferred = Some(axis);
                dims::int(1)
            }
            Some(v) if v < 0 => {
                return Err(ShapeError::Invalid(format!(
                    "the target shape has {v} at axis {axis}; a dimension is at least 0, and -1 (inferred) may stand once"
                )));
            }
            Some(0) if !allow_zero => x.get(axis).cloned().ok_or_else(|| {
                ShapeError::Invalid(format!(
                    "the target shape copies axis {axis} (0), but the operand has rank {}", x.len()
                ))
            })?,
            _ => dim.clone(),
        });
    }
    // Factors common to both sides cancel whatever their value: what is left is what must agree.
    let (mut from, mut to) = (x.to_vec(), shape.clone());
    from.retain(|dim| match to.iter().position(|d| d == dim && dims::as_int(d) != Some(0)) {
        Some(i) => {
            to.remove(i);
            false
        }
        None => true,
    });
    let (from, to) = (dims::product(&from), dims::product(&to));
    let Some(axis) = inferred else {
        ctx.unify(
            "the number of elements before and after a reshape",
            &dims::product(x),
            &dims::product(&shape),
        )
        .map_err(|_| count_error(x, &shape))?;
        return Ok(shape);
    };
    match (dims::as_int(&from), dims::as_int(&to)) {
        (_, Some(0)) => {
            return Err(ShapeError::Invalid(
                "-1 cannot be inferred beside a dimension of 0; name it".to_owned(),
            ));
        }
        (Some(a), Some(b)) if a % b != 0 => return Err(count_error(x, &shape)),
        _ => shape[axis] = dims::div_floor(&from, &to),
    }
    let whole = dims::mul(&shape[axis], &to);
    ctx.unify("the number of elements before and after a reshape", &from, &whole)
        .map_err(|_| count_error(x, &shape))?;
    Ok(shape)
}

fn count_error(x: &[Expr], shape: &[Expr]) -> ShapeError {
    let list = |shape: &[Expr]| shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x ");
    ShapeError::Invalid(format!("{} elements do not fit the shape {}", list(x), list(shape)))
}

fn squeeze(ctx: &mut Context<'_>) -> Result<Vec<Expr>, ShapeError> {
    let x = ctx.shape(0);
    if ctx.len() == 1 {
        let (scope, one) = (ctx.scope(), dims::int(1));
        let kept: Vec<Expr> = x.iter().filter(|dim| !dims::equal(scope, dim, &one)).cloned().collect();
        // How many are left is to be the same whatever the symbols are.
        ctx.not_one.extend(kept.iter().filter(|dim| !dims::differ(scope, dim, &one)).cloned());
        return Ok(kept);
    }
    let axes = rule::axes(&ctx.known_ints(1, "the axes")?, x.len())?;
    for &axis in &axes {
        let refused = |_| {
            let size = &x[axis];
            ShapeError::Invalid(format!("axis {axis} has size {size}, but only size 1 can be dropped"))
        };
        ctx.unify("a dimension that is dropped and 1", &x[axis], &dims::int(1)).map_err(refused)?;
    }
    Ok(x.iter().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, dim)| dim.clone()).collect())
}

fn unsqueeze(ctx: &Context<'_>) -> Result<Vec<Expr>, ShapeError> {
    let list = ctx.known_ints(1, "the axes")?;
    let rank = ctx.rank(0) + list.len();
    if rank > MAX_RANK {
        return Err(ShapeError::Invalid(format!("rank {rank} is above the limit of {MAX_RANK}")));
    }
    let axes = rule::axes(&list, rank)?;
    let mut rest = ctx.shape(0).iter();
    let one = dims::int(1);
    Ok((0..rank)
        .filter_map(|axis| if axes.contains(&axis) { Some(&one) } else { rest.next() })
        .cloned()
        .collect())
}

fn flatten(ctx: &Context<'_>, axis: i64) -> Result<Vec<Expr>, ShapeError> {
    let x = ctx.shape(0);
    // The axis may also be the rank: everything before it.
    let at = if axis == x.len() as i64 { x.len() } else { rule::axis(axis, x.len())? };
    Ok(vec![dims::product(&x[..at]), dims::product(&x[at..])])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    fn view(op: ViewOp, shape: &[usize], list: Option<&[i64]>) -> Result<Vec<usize>, String> {
        let x = Tensor::zeros(crate::DType::F32, shape.to_vec()).unwrap();
        let list = list.map(|l| Tensor::from_i64(vec![l.len()], l).unwrap());
        let inputs: Vec<&Tensor> = core::iter::once(&x).chain(list.as_ref()).collect();
        eval_node(&Op::View(op), &inputs, 1).map(|y| y[0].shape().to_vec()).map_err(|e| e.to_string())
    }

    #[test]
    fn shapes() {
        let reshape = ViewOp::Reshape { allow_zero: false };
        let check = |op, shape: &[usize], list: Option<&[i64]>, expected: &[usize]| {
            assert_eq!(view(op, shape, list).as_deref(), Ok(expected), "{op:?} {shape:?} {list:?}");
        };
        check(reshape, &[2, 6], Some(&[3, -1]), &[3, 4]);
        check(reshape, &[2, 6], Some(&[0, 2, -1]), &[2, 2, 3]);
        check(reshape, &[1], Some(&[]), &[]);
        check(reshape, &[], Some(&[1, 1]), &[1, 1]);
        check(reshape, &[0, 4], Some(&[0, 2, 2]), &[0, 2, 2]);
        check(ViewOp::Reshape { allow_zero: true }, &[0, 4], Some(&[4, 0]), &[4, 0]);
        check(ViewOp::Squeeze, &[1, 3, 1], None, &[3]);
        check(ViewOp::Squeeze, &[1, 3, 1], Some(&[-1]), &[1, 3]);
        check(ViewOp::Unsqueeze, &[3], Some(&[0, -1]), &[1, 3, 1]);
        check(ViewOp::Unsqueeze, &[], Some(&[0]), &[1]);
        check(ViewOp::Flatten(1), &[2, 3, 4], None, &[2, 12]);
        check(ViewOp::Flatten(0), &[2, 3], None, &[1, 6]);
        check(ViewOp::Flatten(-1), &[2, 3, 4], None, &[6, 4]);
        check(ViewOp::Flatten(2), &[2, 3], None, &[6, 1]);
    }

    #[test]
    fn refusals() {
        let reshape = ViewOp::Reshape { allow_zero: false };
        let refuse = |op, shape: &[usize], list: &[i64], text: &str| {
            let e = view(op, shape, Some(list)).unwrap_err();
            assert!(e.contains(text), "{e}");
        };
        refuse(reshape, &[2, 6], &[5, -1], "do not fit");
        refuse(reshape, &[2, 6], &[13], "do not fit");
        refuse(reshape, &[2, 6], &[-1, -1], "may stand once");
        refuse(reshape, &[2, 6], &[-2], "at least 0");
        refuse(reshape, &[12], &[12, 0], "copies axis 1");
        refuse(ViewOp::Squeeze, &[2, 1], &[0], "only size 1");
        refuse(ViewOp::Unsqueeze, &[2, 1], &[4], "axis 4");
        refuse(ViewOp::Unsqueeze, &[2], &[0; 20], "limit");
    }
}
