//! Boxes that do not overlap a better one.

use bayplan_expr::Expr;

use crate::DType;
use crate::dims;
use crate::rule::{Context, EvalError, HostType, Inferred, Kind, Output, Rule, ShapeError, Signature};
use crate::tensor::Tensor;

pub(super) struct NonMaxSuppression {
    pub(super) center: bool,
}

impl Rule for NonMaxSuppression {
    fn name(&self) -> &'static str {
        "NonMaxSuppression"
    }

    fn signature(&self) -> Signature {
        const F32: Kind = Kind::Only(DType::F32);
        let operands = &[F32, F32, Kind::Only(DType::I64), F32, F32];
        Signature { many_outputs: true, ..Signature::new(operands, Output::Only(DType::I64)) }
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(5, 5, "boxes, scores, the most boxes of a class and two thresholds")?;
        for operand in [0, 1, 3, 4] {
            ctx.only(operand, DType::F32)?;
        }
        ctx.only(2, DType::I64)?;
        for operand in [0, 1] {
            if ctx.rank(operand) != 3 {
                let expected = "3".to_owned();
                return Err(ShapeError::Rank { operand, actual: ctx.rank(operand), expected });
            }
        }
        let (boxes, scores) = (ctx.shape(0), ctx.shape(1));
        ctx.unify("the batches of boxes and scores", &boxes[0], &scores[0])?;
        let count = ctx.unify("the boxes and their scores", &boxes[1], &scores[2])?;
        ctx.unify("the last dimension of boxes and 4", &boxes[2], &dims::int(4))?;
        let most = match ctx.contents(2).and_then(|list| list.first()) {
            Some(most) => most.max(Expr::from(0)).min(count),
            None => count,
        };
        let all = dims::mul(&dims::mul(&scores[0], &scores[1]), &most);
        Ok(vec![
            Inferred::new(DType::I64, vec![all, dims::int(3)]),
            Inferred::new(DType::I64, vec![dims::int(1)]),
        ])
    }

    fn on_host(&self) -> Option<&'static str> {
        Some("which boxes are kept follows one after the other")
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let (boxes, scores) = (inputs[0].to_f32()?, inputs[1].to_f32()?);
        let first = |operand: usize| inputs[operand].to_f64().first().copied().unwrap_or(0.0) as f32;
        let most = inputs[2].to_i64()?.first().copied().unwrap_or(0);
        let most = usize::try_from(most).unwrap_or(0);
        let ([batches, classes, count], overlap, least) = (dims_of(inputs[1]), first(3), first(4));
        let mut selected = Vec::new();
        for (batch, class) in (0..batches).flat_map(|b| (0..classes).map(move |c| (b, c))) {
            let from = (batch * classes + class) * count;
            let scores = scores.get(from..from + count).unwrap_or_default();
            let boxes: Vec<Area> = boxes
                .chunks_exact(4)
                .skip(batch * count)
                .take(count)
                .map(|own| Area::new([own[0], own[1], own[2], own[3]], self.center))
                .collect();
            for index in best(&boxes, scores, most, overlap, least) {
                selected.extend([batch as i64, class as i64, index as i64]);
            }
        }
        let found = (selected.len() / 3) as i64;
        let shape = outputs[0].shape.clone();
        selected.resize(shape.iter().product(), 0);
        Ok(vec![Tensor::from_i64(shape, &selected)?, Tensor::from_i64(vec![1], &[found])?])
    }
}

fn dims_of(scores: &Tensor) -> [usize; 3] {
    <[usize; 3]>::try_from(scores.shape()).unwrap_or_default()
}

/// The boxes of a class that are kept, best first; of equal scores the first comes first.
fn best(boxes: &[Area], scores: &[f32], most: usize, overlap: f32, least: f32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len().min(boxes.len())).filter(|&i| scores[i] > least).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut kept: Vec<usize> = Vec::new();
    for index in order {
        if kept.len() >= most {
            break;
        }
        if kept.iter().all(|&better| boxes[index].overlap(&boxes[better]) <= overlap) {
            kept.push(index);
        }
    }
    kept
}

/// A box: least and greatest, along both axes.
#[derive(Clone, Copy)]
struct Area([[f32; 2]; 2]);

impl Area {
    fn new([a, b, c, d]: [f32; 4], center: bool) -> Self {
        if center {
            return Self([[a - c / 2.0, a + c / 2.0], [b - d / 2.0, b + d / 2.0]]);
        }
        let ordered = |p: f32, q: f32| if p >= q { [q, p] } else { [p, q] };
        Self([ordered(a, c), ordered(b, d)])
    }

    fn area(&self) -> f32 {
        self.0.iter().map(|[least, most]| most - least).product()
    }

    /// Intersection over union; 0 of boxes that have no area.
    fn overlap(&self, other: &Self) -> f32 {
        let mut common = 1.0;
        for (own, other) in self.0.iter().zip(&other.0) {
            let (least, most) = (own[0].max(other[0]), own[1].min(other[1]));
            if most <= least {
                return 0.0;
            }
            common *= most - least;
        }
        let (one, two) = (self.area(), other.area());
        let union = one + two - common;
        if common <= 0.0 || one <= 0.0 || two <= 0.0 || union <= 0.0 { 0.0 } else { common / union }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    fn run(boxes: &[f32], scores: &[f32], classes: usize, rest: (i64, f32, f32), center: bool) -> Vec<i64> {
        let n = boxes.len() / 4;
        let scalar = |v: f32| Tensor::from_f32(vec![1], &[v]).unwrap();
        let inputs = [
            Tensor::from_f32(vec![1, n, 4], boxes).unwrap(),
            Tensor::from_f32(vec![1, classes, n], scores).unwrap(),
            Tensor::from_i64(vec![1], &[rest.0]).unwrap(),
            scalar(rest.1),
            scalar(rest.2),
        ];
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        let made = eval_node(&Op::NonMaxSuppression { center }, &inputs, 2).unwrap();
        let (all, count) = (made[0].to_i64().unwrap(), made[1].to_i64().unwrap()[0] as usize);
        assert_eq!(made[0].shape()[0], classes * (rest.0.max(0) as usize).min(n), "the upper bound");
        assert!(all[3 * count..].iter().all(|&v| v == 0));
        all[..3 * count].chunks(3).map(|own| own[1] * 100 + own[2]).collect()
    }

    #[test]
    fn better_boxes_suppress_those_that_overlap_them() {
        let boxes = [0., 0., 1., 1., 0., 0.1, 1., 1.1, 0., -0.1, 1., 0.9, 0., 10., 1., 11.];
        let scores = [0.9, 0.75, 0.6, 0.95];
        assert_eq!(run(&boxes, &scores, 1, (3, 0.5, 0.0), false), [3, 0]);
        assert_eq!(run(&boxes, &scores, 1, (1, 0.5, 0.0), false), [3]);
        assert_eq!(run(&boxes, &scores, 1, (4, 1.0, 0.7), false), [3, 0, 1], "the score must be exceeded");
        assert_eq!(run(&boxes, &scores, 1, (0, 0.5, 0.0), false), [] as [i64; 0]);
        assert_eq!(run(&boxes, &[0.5; 4], 1, (9, 0.5, 0.0), false), [0, 3], "the first of equals");
        let corners: Vec<f32> = boxes.chunks(4).flat_map(|b| [b[2], b[3], b[0], b[1]]).collect();
        assert_eq!(run(&corners, &scores, 1, (3, 0.5, 0.0), false), [3, 0], "corners in any order");
        let centers = [0.5, 0.5, 1., 1., 0.5, 0.6, 1., 1., 0.5, 10.5, 1., 1.];
        let two = [0.9, 0.75, 0.6, 0.1, 0.2, 0.3];
        assert_eq!(run(&centers, &two, 2, (3, 0.5, 0.0), true), [0, 2, 102, 101]);
    }
}
