//! Convolution.

use super::Window;
use super::window::{AxisWindow, indices, taps};
use crate::dims;
use crate::layout::product;
use crate::rule::{Context, EvalError, HostType, Inferred, Kind, Output, Rule, Set, ShapeError, Signature};
use crate::tensor::{Elements, Tensor};

pub(super) struct Conv<'a> {
    pub(super) window: &'a Window,
    pub(super) groups: usize,
}

impl Rule for Conv<'_> {
    fn name(&self) -> &'static str {
        "Conv"
    }

    fn signature(&self) -> Signature {
        Signature::new(&[Kind::Same(Set::Number), Kind::Same(Set::Number)], Output::Same)
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(2, 2, "an input and a weight")?;
        let dtype = ctx.same(0, 1, Set::Number)?;
        let rank = self.window.rank() + 2;
        for operand in 0..2 {
            if ctx.rank(operand) != rank {
                let expected = format!("{rank} (a window of {} axes)", rank - 2);
                return Err(ShapeError::Rank { operand, actual: ctx.rank(operand), expected });
            }
        }
        let (x, w) = (ctx.shape(0), ctx.shape(1));
        let groups = i64::try_from(self.groups).ok().filter(|&g| g > 0);
        let groups = groups.ok_or_else(|| ShapeError::Invalid("groups must be at least 1".to_owned()))?;
        ctx.unify(
            "input channels and weight channels times groups",
            &x[1],
            &dims::mul(&w[1], &dims::int(groups)),
        )?;
        if dims::as_int(&w[0]).is_some_and(|m| m % groups != 0) {
            return Err(ShapeError::Invalid(format!(
                "{} output channels do not divide into {groups} groups",
                w[0]
            )));
        }
        for (axis, (&taps, dim)) in self.window.kernel.iter().zip(&w[2..]).enumerate() {
            let taps = dims::int(i64::try_from(taps).unwrap_or(i64::MAX));
            let refused = |_| {
                let has = format!("the window has {taps} taps along spatial axis {axis}");
                ShapeError::Invalid(format!("{has}, but the weight has {dim}"))
            };
            ctx.unify("the taps of window and weight", &taps, dim).map_err(refused)?;
        }
        let mut shape = vec![x[0].clone(), w[0].clone()];
        shape.extend(self.window.outputs(ctx, &x[2..])?);
        Ok(vec![Inferred::new(dtype, shape)])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let HostType { dtype, shape } = &outputs[0];
        let (x_shape, w_shape) = (inputs[0].shape(), inputs[1].shape());
        if inputs.iter().any(|t| t.count() == 0) {
            return Ok(vec![Tensor::zeros(*dtype, shape.clone())?]);
        }
        let axes = self.window.resolve(&x_shape[2..], &shape[2..]);
        let plan = tap_plan(&axes, &shape[2..], product(&w_shape[2..]));
        let shapes = [x_shape, w_shape, shape];
        let computed = match (inputs[0].elements(), inputs[1].elements()) {
            (Elements::Int(x), Elements::Int(w)) => {
                Elements::Int(
                    self.sums(&x, &w, shapes, &plan, |sum: i128, a, b| sum.wrapping_add(a.wrapping_mul(b))),
                )
            }
            _ => {
                let (x, w) = (inputs[0].to_f64(), inputs[1].to_f64());
                Elements::Float(self.sums(&x, &w, shapes, &plan, |sum, a, b| sum + a * b))
            }
        };
        Ok(vec![Tensor::from_elements(*dtype, shape.clone(), &computed)?])
    }
}

impl Conv<'_> {
    /// The results; `shapes` are those of input, weight and result.
    fn sums<T: Copy + Default>(
        &self,
        x: &[T],
        w: &[T],
        [x_shape, w_shape, shape]: [&[usize]; 3],
        plan: &[Vec<(u32, u32)>],
        add: impl Fn(T, T, T) -> T,
    ) -> Vec<T> {
        let (c, per_group) = (x_shape[1], w_shape[1]);
        let (m, in_area, area) = (shape[1], product(&x_shape[2..]), product(&shape[2..]));
        let window_size: usize = product(&w_shape[2..]);
        let mut out = vec![T::default(); product(shape)];
        if area > 0 {
            for (plane, out) in out.chunks_exact_mut(area).enumerate() {
                let (n, channel) = (plane / m, plane % m);
                let group = channel / (m / self.groups).max(1);
                for i in 0..per_group {
                    let x = &x[(n * c + group * per_group + i) * in_area..][..in_area];
                    let w = &w[(channel * per_group + i) * window_size..][..window_size];
                    for (&weight, pairs) in w.iter().zip(plan) {
                        for &(to, from) in pairs {
                            out[to as usize] = add(out[to as usize], weight, x[from as usize]);
                        }
                    }
                }
            }
        }
        out
    }
}

/// For every tap, the pairs (output position, input position) that it joins: the same for all channels.
fn tap_plan(axes: &[AxisWindow], output: &[usize], window_size: usize) -> Vec<Vec<(u32, u32)>> {
    let mut plan = vec![Vec::new(); window_size];
    let mut position = 0_u32;
    indices(output, |index| {
        taps(axes, index, &mut |input, tap| plan[tap].push((position, input as u32)));
        position += 1;
    });
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;
    use crate::op::Pads;

    fn window(kernel: &[usize], strides: &[usize], dilations: &[usize], pads: Pads) -> Window {
        let list = |v: &[usize]| v.to_vec();
        Window { kernel: list(kernel), strides: list(strides), dilations: list(dilations), pads, ceil: false }
    }

    fn check(
        window: Window,
        groups: usize,
        x: (&[usize], &[f32]),
        w: (&[usize], &[f32]),
        y: (&[usize], &[f32]),
    ) {
        let t = |(shape, v): (&[usize], &[f32])| Tensor::from_f32(shape.to_vec(), v).unwrap();
        let out = eval_node(&Op::Conv(window, groups), &[&t(x), &t(w)], 1).unwrap().remove(0);
        assert_eq!(out, t(y));
    }

    #[test]
    fn convolutions() {
        let x = [1., 2., 3., 4., 5., 6., 7., 8., 9.];
        let image = (&[1, 1, 3, 3][..], &x[..]);
        let ones = (&[1, 1, 2, 2][..], &[1.; 4][..]);
        let none = Pads::Explicit(vec![0; 4]);
        check(
            window(&[2, 2], &[1, 1], &[1, 1], none.clone()),
            1,
            image,
            ones,
            (&[1, 1, 2, 2], &[12., 16., 24., 28.]),
        );
        check(window(&[2, 2], &[1, 1], &[2, 2], none), 1, image, ones, (&[1, 1, 1, 1], &[20.]));
        let ends = Pads::Explicit(vec![1, 0, 0, 1]);
        check(window(&[2, 2], &[2, 2], &[1, 1], ends), 1, image, ones, (&[1, 1, 2, 2], &[3., 3., 24., 15.]));
        let same = [12., 16., 9., 24., 28., 15., 15., 17., 9.];
        let upper = Pads::Same { upper: true };
        check(window(&[2, 2], &[1, 1], &[1, 1], upper), 1, image, ones, (&[1, 1, 3, 3], &same));
        let lower = Pads::Same { upper: false };
        let same = [1., 3., 5., 5., 12., 16., 11., 24., 28.];
        check(window(&[2, 2], &[1, 1], &[1, 1], lower), 1, image, ones, (&[1, 1, 3, 3], &same));
    }

    #[test]
    fn channels_and_groups() {
        let one = || window(&[1], &[1], &[1], Pads::Explicit(vec![0, 0]));
        let x = (&[1, 2, 2][..], &[1., 2., 10., 20.][..]);
        check(one(), 1, x, (&[1, 2, 1], &[1., 2.]), (&[1, 1, 2], &[21., 42.]));
        check(one(), 2, x, (&[2, 1, 1], &[3., 4.]), (&[1, 2, 2], &[3., 6., 40., 80.]));
        check(one(), 1, (&[0, 2, 2], &[]), (&[1, 2, 1], &[1., 2.]), (&[0, 1, 2], &[]));
    }

    #[test]
    fn refusals() {
        let t = |shape: &[usize]| Tensor::zeros(crate::DType::F32, shape.to_vec()).unwrap();
        let refuse = |window: Window, groups, x: &[usize], w: &[usize], text: &str| {
            let e = eval_node(&Op::Conv(window, groups), &[&t(x), &t(w)], 1).unwrap_err().to_string();
            assert!(e.contains(text), "{e}");
        };
        let one = |k: usize| window(&[k], &[1], &[1], Pads::Explicit(vec![0, 0]));
        refuse(one(1), 1, &[1, 3, 4], &[2, 2, 1], "must be equal");
        refuse(one(1), 2, &[1, 2, 4], &[3, 1, 1], "do not divide");
        refuse(one(1), 0, &[1, 2, 4], &[3, 1, 1], "at least 1");
        refuse(one(5), 1, &[1, 1, 4], &[1, 1, 5], "only 4");
        refuse(one(2), 1, &[1, 1, 4], &[1, 1, 1], "taps");
        refuse(one(1), 1, &[1, 1, 4, 4], &[1, 1, 1], "rank 4");
        refuse(window(&[1], &[0], &[1], Pads::Explicit(vec![0, 0])), 1, &[1, 1, 4], &[1, 1, 1], "at least 1");
        refuse(window(&[1], &[1], &[1], Pads::Explicit(vec![0])), 1, &[1, 1, 4], &[1, 1, 1], "pads 2");
    }
}
