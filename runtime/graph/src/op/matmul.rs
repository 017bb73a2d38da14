//! Matrix product with numpy's batching rule.

use crate::layout::{broadcast_strides, walk};
use crate::rule::{Context, EvalError, HostType, Inferred, Kind, Output, Rule, Set, ShapeError, Signature};
use crate::tensor::{Elements, Tensor};

pub(super) struct MatMul;

impl Rule for MatMul {
    fn name(&self) -> &'static str {
        "MatMul"
    }

    fn signature(&self) -> Signature {
        Signature::new(&[Kind::Same(Set::Number), Kind::Same(Set::Number)], Output::Same)
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(2, 2, "two matrices")?;
        let dtype = ctx.same(0, 1, Set::Number)?;
        let (a, b) = (ctx.shape(0), ctx.shape(1));
        for (operand, shape) in [a, b].into_iter().enumerate() {
            if shape.is_empty() {
                let expected = "at least 1".to_owned();
                return Err(ShapeError::Rank { operand, actual: 0, expected });
            }
        }
        // A vector on the left is a row, on the right a column; the axis added for it is dropped again.
        let (batch_a, rows, inner_a) = match a {
            [k] => (&[][..], None, k),
            [batch @ .., m, k] => (batch, Some(m), k),
            [] => unreachable!("checked above"),
        };
        let (batch_b, inner_b, columns) = match b {
            [k] => (&[][..], k, None),
            [batch @ .., k, n] => (batch, k, Some(n)),
            [] => unreachable!("checked above"),
        };
        ctx.unify("the inner dimensions of a matrix product", inner_a, inner_b)?;
        let mut shape = ctx.broadcast(batch_a, batch_b)?;
        shape.extend(rows.cloned());
        shape.extend(columns.cloned());
        Ok(vec![Inferred::new(dtype, shape)])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let HostType { dtype, shape } = &outputs[0];
        let matrix = |t: &Tensor, column: bool| match t.shape() {
            [k] if column => (vec![], *k, 1),
            [k] => (vec![], 1, *k),
            [batch @ .., m, n] => (batch.to_vec(), *m, *n),
            [] => (vec![], 1, 1),
        };
        let ((batch_a, m, k), (batch_b, _, n)) = (matrix(inputs[0], false), matrix(inputs[1], true));
        let dropped = usize::from(inputs[0].shape().len() == 1) + usize::from(inputs[1].shape().len() == 1);
        let batch = &shape[..shape.len() + dropped - 2];
        let by = [broadcast_strides(&batch_a, batch), broadcast_strides(&batch_b, batch)];
        let mut starts = Vec::new();
        walk(batch, [&by[0], &by[1]], |[i, j]| starts.push((i as usize * m * k, j as usize * k * n)));
        let computed = match (inputs[0].elements(), inputs[1].elements()) {
            (Elements::Int(a), Elements::Int(b)) => {
                let mut out = vec![0_i128; starts.len() * m * n];
                for (&(a0, b0), out) in starts.iter().zip(out.chunks_exact_mut((m * n).max(1))) {
                    multiply(&a[a0..], &b[b0..], (m, k, n), out, |sum, a, b| {
                        sum.wrapping_add(a.wrapping_mul(b))
                    });
                }
                Elements::Int(out)
            }
            _ => {
                let (a, b) = (inputs[0].to_f64(), inputs[1].to_f64());
                let mut out = vec![0.0; starts.len() * m * n];
                for (&(a0, b0), out) in starts.iter().zip(out.chunks_exact_mut((m * n).max(1))) {
                    multiply(&a[a0..], &b[b0..], (m, k, n), out, |sum, a, b| sum + a * b);
                }
                Elements::Float(out)
            }
        };
        Ok(vec![Tensor::from_elements(*dtype, shape.clone(), &computed)?])
    }
}

/// `out[m, n] += a[m, k] · b[k, n]`, row by row of `b` so that memory is read in order.
fn multiply<T: Copy>(
    a: &[T],
    b: &[T],
    (m, k, n): (usize, usize, usize),
    out: &mut [T],
    fma: impl Fn(T, T, T) -> T,
) {
    if n == 0 {
        return;
    }
    for (row, out) in out.chunks_exact_mut(n).enumerate().take(m) {
        for (i, b) in b.chunks_exact(n).enumerate().take(k) {
            let factor = a[row * k + i];
            for (out, &b) in out.iter_mut().zip(b) {
                *out = fma(*out, factor, b);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    fn check(a: (&[usize], &[f32]), b: (&[usize], &[f32]), expected: (&[usize], &[f32])) {
        let t = |(shape, v): (&[usize], &[f32])| Tensor::from_f32(shape.to_vec(), v).unwrap();
        let y = eval_node(&Op::MatMul, &[&t(a), &t(b)], 1).unwrap().remove(0);
        assert_eq!(y, t(expected), "{a:?} x {b:?}");
    }

    #[test]
    fn products() {
        let two = (&[2, 2][..], &[1., 2., 3., 4.][..]);
        check(two, (&[2, 1], &[5., 6.]), (&[2, 1], &[17., 39.]));
        check(two, (&[2], &[5., 6.]), (&[2], &[17., 39.]));
        check((&[2], &[5., 6.]), two, (&[2], &[23., 34.]));
        check((&[2], &[5., 6.]), (&[2], &[1., 2.]), (&[], &[17.]));
        check((&[2, 1, 2], &[1., 2., 3., 4.]), (&[2, 2], &[1., 0., 0., 2.]), (&[2, 1, 2], &[1., 4., 3., 8.]));
        check((&[2, 1, 1, 1], &[2., 3.]), (&[2, 1, 1], &[5., 7.]), (&[2, 2, 1, 1], &[10., 14., 15., 21.]));
        check((&[2, 0], &[]), (&[0, 2], &[]), (&[2, 2], &[0.; 4]));
        check((&[0, 2], &[]), (&[2, 2], &[1.; 4]), (&[0, 2], &[]));
    }

    #[test]
    fn refusals() {
        let t = |shape: &[usize]| Tensor::zeros(crate::DType::F32, shape.to_vec()).unwrap();
        let e = eval_node(&Op::MatMul, &[&t(&[2, 3]), &t(&[4, 2])], 1).unwrap_err().to_string();
        assert!(e.contains("inner dimensions") && e.contains("3 and 4"), "{e}");
        assert!(eval_node(&Op::MatMul, &[&t(&[]), &t(&[4])], 1).is_err());
    }
}
