//! Distinct elements.

use core::cmp::Ordering;

use crate::DType;
use crate::dims;
use crate::layout::around;
use crate::rule::{
    self, Context, EvalError, HostType, Inferred, Kind, Output, Rule, Set, ShapeError, Signature,
};
use crate::tensor::{Elements, Tensor};

pub(super) struct Unique {
    pub(super) axis: Option<i64>,
    pub(super) sorted: bool,
}

impl Rule for Unique {
    fn name(&self) -> &'static str {
        "Unique"
    }

    fn signature(&self) -> Signature {
        let operands = &[Kind::Same(Set::Any)];
        Signature { many_outputs: true, ..Signature::new(operands, Output::Only(DType::I64)) }
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(1, 1, "an operand")?;
        let shape = ctx.shape(0);
        let count = match self.axis {
            Some(axis) => shape[rule::axis(axis, shape.len())?].clone(),
            None => shape.iter().fold(dims::int(1), |product, dim| dims::mul(&product, dim)),
        };
        let list = |dim| Inferred::new(DType::I64, vec![dim]);
        Ok(vec![list(count.clone()), list(count.clone()), list(count), list(dims::int(1))])
    }

    fn on_host(&self) -> Option<&'static str> {
        Some("slices are compared one after the other")
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let (x, n) = (inputs[0], outputs[0].shape[0]);
        let (outer, inner) = match self.axis {
            Some(axis) => {
                let (outer, _, inner) = around(x.shape(), rule::axis(axis, x.shape().len())?);
                (outer, inner)
            }
            None => (1, 1),
        };
        // Slices are compared element by element, in the order of the other axes.
        let places = |a: usize, b: usize| {
            let at = move |slice: usize, o: usize, i: usize| (o * n + slice) * inner + i;
            (0..outer).flat_map(move |o| (0..inner).map(move |i| (at(a, o, i), at(b, o, i))))
        };
        let groups = match x.elements() {
            Elements::Int(x) => {
                grouped(n, |a, b| places(a, b).map(|(a, b)| x[a].cmp(&x[b])).find(|o| o.is_ne()))
            }
            Elements::Float(x) => grouped(n, |a, b| {
                // A NaN is the largest number, and like any other; zeros of both signs are equal.
                let order = |a: f64, b: f64| a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
                places(a, b).map(|(a, b)| order(x[a], x[b])).find(|o| o.is_ne())
            }),
        };
        let lists = self.lists(groups, n);
        lists
            .into_iter()
            .zip(outputs)
            .map(|(list, ty)| Ok(Tensor::from_i64(ty.shape.clone(), &list)?))
            .collect()
    }
}

/// The slices by what they hold, in ascending order; equal ones in their own.
fn grouped(n: usize, order: impl Fn(usize, usize) -> Option<Ordering>) -> Vec<Vec<usize>> {
    let order = |a: usize, b: usize| order(a, b).unwrap_or(Ordering::Equal);
    let mut all: Vec<usize> = (0..n).collect();
    all.sort_by(|&a, &b| order(a, b));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for slice in all {
        match groups.last_mut() {
            Some(group) if order(group[0], slice).is_eq() => group.push(slice),
            _ => groups.push(vec![slice]),
        }
    }
    groups
}

impl Unique {
    fn lists(&self, mut groups: Vec<Vec<usize>>, n: usize) -> [Vec<i64>; 4] {
        if !self.sorted {
            groups.sort_by_key(|group| group[0]);
        }
        let [mut first, mut inverse, mut counts] = [const { Vec::new() }; 3].map(|mut list: Vec<i64>| {
            list.resize(n, 0);
            list
        });
        for (place, group) in groups.iter().enumerate() {
            (first[place], counts[place]) = (group[0] as i64, group.len() as i64);
            group.iter().for_each(|&slice| inverse[slice] = place as i64);
        }
        [first, inverse, counts, vec![groups.len() as i64]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    #[test]
    fn distinct_elements_and_slices() {
        let check = |x: &Tensor, axis, sorted, expect: [&[i64]; 4]| {
            let made = eval_node(&Op::Unique { axis, sorted }, &[x], 4).unwrap();
            let made: Vec<Vec<i64>> = made.iter().map(|t| t.to_i64().unwrap()).collect();
            assert_eq!(made, expect, "{x:?} {axis:?} {sorted}");
        };
        let x = Tensor::from_f32(vec![6], &[2., 1., 1., 3., 4., 3.]).unwrap();
        check(&x, None, true, [&[1, 0, 3, 4, 0, 0], &[1, 0, 0, 2, 3, 2], &[2, 1, 2, 1, 0, 0], &[4]]);
        check(&x, None, false, [&[0, 1, 3, 4, 0, 0], &[0, 1, 1, 2, 3, 2], &[1, 2, 2, 1, 0, 0], &[4]]);
        let x = Tensor::from_i64(vec![3, 3], &[1, 0, 0, 1, 0, 0, 2, 3, 4]).unwrap();
        check(&x, Some(0), true, [&[0, 2, 0], &[0, 0, 1], &[2, 1, 0], &[2]]);
        let turned = Tensor::from_i64(vec![3, 3], &[1, 0, 0, 1, 0, 0, 2, 3, 3]).unwrap();
        check(&turned, Some(-1), true, [&[1, 0, 0], &[1, 0, 0], &[2, 1, 0], &[2]]);
        let x = Tensor::from_f32(vec![5], &[f32::NAN, 0., -0., f32::NAN, -1.]).unwrap();
        check(&x, None, true, [&[4, 1, 0, 0, 0], &[2, 1, 1, 2, 0], &[1, 2, 2, 0, 0], &[3]]);
        check(&Tensor::from_f32(vec![0], &[]).unwrap(), None, true, [&[], &[], &[], &[0]]);
    }
}
