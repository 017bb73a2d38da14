//! Elementwise operators of two operands: their shape rule and evaluation. What each computes is its row in `elementwise.rs`.

use bayplan_expr::Expr;

use super::BinaryOp;
use crate::layout::{broadcast_strides, walk};
use crate::rule::{Context, EvalError, HostType, Inferred, Rule, ShapeError, Signature};
use crate::tensor::{Elements, Tensor};
use crate::{DType, dims};

impl BinaryOp {
    /// The result on shape arithmetic, where it can be expressed.
    fn symbolic(self, ctx: &Context<'_>, float: bool, a: &Expr, b: &Expr) -> Option<Expr> {
        let scope = ctx.scope();
        let truth = |yes: bool, no: bool| (yes || no).then(|| dims::int(yes.into()));
        match self {
            Self::Add => Some(dims::add(a, b)),
            Self::Sub => Some(dims::sub(a, b)),
            Self::Mul => Some(dims::mul(a, b)),
            // Integers divide toward zero, which is the floor where nothing is negative; floats only where exact.
            Self::Div if float => match (dims::as_int(a), dims::as_int(b)) {
                (Some(a), Some(b)) if b != 0 && a % b == 0 => Some(dims::int(a / b)),
                (_, Some(1)) => Some(a.clone()),
                _ => None,
            },
            Self::Div => {
                let zero = dims::int(0);
                match (dims::as_int(a), dims::as_int(b)) {
                    (_, Some(0)) => None,
                    (Some(a), Some(b)) => Some(dims::int(a.checked_div(b)?)),
                    _ if dims::le(scope, &zero, a) && dims::le(scope, &dims::int(1), b) => {
                        Some(dims::div_floor(a, b))
                    }
                    _ => None,
                }
            }
            Self::Mod if !float => match (dims::as_int(a), dims::as_int(b)) {
                (_, Some(0)) => None,
                (Some(a), Some(b)) => self.known(a, b, ctx.dtype(0)),
                // a − b·⌊a/b⌋
                (_, Some(k)) if k > 0 => Some(dims::sub(a, &dims::mul(b, &dims::div_floor(a, b)))),
                _ => None,
            },
            Self::Mod | Self::Pow => None,
            Self::Min => Some(dims::min(scope, a, b)),
            Self::Max => Some(dims::max(scope, a, b)),
            Self::Equal => truth(dims::equal(scope, a, b), dims::differ(scope, a, b)),
            Self::Less => truth(dims::lt(scope, a, b), dims::le(scope, b, a)),
            Self::LessOrEqual => truth(dims::le(scope, a, b), dims::lt(scope, b, a)),
            Self::Greater => truth(dims::lt(scope, b, a), dims::le(scope, a, b)),
            Self::GreaterOrEqual => truth(dims::le(scope, b, a), dims::lt(scope, a, b)),
            _ => self.known(dims::as_int(a)?, dims::as_int(b)?, ctx.dtype(0)),
        }
    }

    /// The result on known numbers.
    fn known(self, a: i64, b: i64, dtype: DType) -> Option<Expr> {
        let made = self.int()?(a.into(), b.into(), dtype)?;
        Some(dims::int(i64::try_from(made).ok()?))
    }

    fn contents(self, ctx: &Context<'_>) -> Option<Vec<Expr>> {
        let (a, b) = (ctx.contents(0)?, ctx.contents(1)?);
        let len = match (a.len(), b.len()) {
            (x, y) if x == y => x,
            (1, y) => y,
            (x, 1) => x,
            _ => return None,
        };
        let at = |list: &[Expr], i: usize| if list.len() == 1 { list[0].clone() } else { list[i].clone() };
        let float = ctx.dtype(0).is_float();
        (0..len).map(|i| self.symbolic(ctx, float, &at(a, i), &at(b, i))).collect()
    }
}

impl Rule for BinaryOp {
    fn name(&self) -> &'static str {
        self.row().name
    }

    fn signature(&self) -> Signature {
        self.row().signature
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(2, 2, "two operands")?;
        let dtype = ctx.same(0, 1, self.row().set)?;
        let shape = ctx.broadcast(ctx.shape(0), ctx.shape(1))?;
        let contents = self.contents(ctx);
        let out = self.row().signature.result_of(dtype);
        Ok(vec![Inferred::new(out, shape).with(contents)])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let HostType { dtype, shape } = &outputs[0];
        let by = [0, 1].map(|i| broadcast_strides(inputs[i].shape(), shape));
        let by = [by[0].as_slice(), by[1].as_slice()];
        let from = inputs[0].dtype();
        let computed = match (inputs[0].elements(), inputs[1].elements(), self.float(), self.int()) {
            (Elements::Int(a), Elements::Int(b), _, Some(f)) => {
                let mut out = Vec::new();
                let mut failure = None;
                walk(shape, by, |[i, j]| {
                    let (a, b) = (a[i as usize], b[j as usize]);
                    match f(a, b, from) {
                        Some(v) => out.push(v),
                        None => failure = Some((a, b)),
                    }
                });
                if let Some((a, b)) = failure {
                    let name = self.name();
                    return Err(EvalError::Value(format!(
                        "integers have no result for {name} of {a} and {b}"
                    )));
                }
                Elements::Int(out)
            }
            (Elements::Float(a), Elements::Float(b), Some(f), _) => {
                let mut out = Vec::new();
                walk(shape, by, |[i, j]| out.push(f(a[i as usize], b[j as usize])));
                Elements::Float(out)
            }
            _ => return Err(EvalError::Value(format!("{} is not defined for {from}", self.name()))),
        };
        Ok(vec![Tensor::from_elements(*dtype, shape.clone(), &computed)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    fn eval(op: BinaryOp, a: &Tensor, b: &Tensor) -> Result<Tensor, String> {
        eval_node(&Op::Binary(op), &[a, b], 1).map(|mut v| v.remove(0)).map_err(|e| e.to_string())
    }

    fn floats(op: BinaryOp, a: &[f32], b: &[f32], expected: &[f64]) {
        let t = |v: &[f32]| Tensor::from_f32(vec![v.len()], v).unwrap();
        assert_eq!(eval(op, &t(a), &t(b)).unwrap().to_f64(), expected, "{op:?}");
    }

    fn ints(op: BinaryOp, a: &[i64], b: &[i64], expected: &[i128]) {
        let t = |v: &[i64]| Tensor::from_i64(vec![v.len()], v).unwrap();
        assert_eq!(eval(op, &t(a), &t(b)).unwrap().to_ints().unwrap(), expected, "{op:?}");
    }

    #[test]
    fn values() {
        floats(BinaryOp::Add, &[1.0, 2.0], &[10.0], &[11.0, 12.0]);
        floats(BinaryOp::Sub, &[1.0], &[10.0, 2.0], &[-9.0, -1.0]);
        floats(BinaryOp::Mul, &[1.5, -2.0], &[2.0, 2.0], &[3.0, -4.0]);
        floats(BinaryOp::Div, &[3.0], &[2.0], &[1.5]);
        floats(BinaryOp::Pow, &[3.0, 4.0], &[2.0, 0.5], &[9.0, 2.0]);
        floats(BinaryOp::Min, &[3.0, -4.0], &[2.0, 0.5], &[2.0, -4.0]);
        floats(BinaryOp::Max, &[3.0, -4.0], &[2.0, 0.5], &[3.0, 0.5]);
        floats(BinaryOp::Mod, &[-5.0, 5.0], &[3.0, -3.0], &[-2.0, 2.0]);
        floats(BinaryOp::Less, &[1.0, 2.0], &[2.0, 2.0], &[1.0, 0.0]);
        floats(BinaryOp::GreaterOrEqual, &[1.0, 2.0], &[2.0, 2.0], &[0.0, 1.0]);
        ints(BinaryOp::Div, &[-7, 7], &[2, 2], &[-3, 3]);
        ints(BinaryOp::Mod, &[-7, 7], &[3, -3], &[2, -2]);
        ints(BinaryOp::Pow, &[2, -1, 5], &[10, -3, -1], &[1024, -1, 0]);
        ints(BinaryOp::Add, &[i64::MAX], &[1], &[i128::from(i64::MIN)]);
        ints(BinaryOp::Equal, &[1, 2], &[1, 3], &[1, 0]);
        ints(BinaryOp::Greater, &[1, 4], &[1, 3], &[0, 1]);
        ints(BinaryOp::LessOrEqual, &[1, 4], &[1, 3], &[1, 0]);
    }

    #[test]
    fn logic() {
        let t = |v: &[bool]| Tensor::from_bool(vec![4], v).unwrap();
        let (a, b) = (t(&[false, false, true, true]), t(&[false, true, false, true]));
        assert_eq!(eval(BinaryOp::And, &a, &b).unwrap(), t(&[false, false, false, true]));
        assert_eq!(eval(BinaryOp::Or, &a, &b).unwrap(), t(&[false, true, true, true]));
        assert_eq!(eval(BinaryOp::Xor, &a, &b).unwrap(), t(&[false, true, true, false]));
        ints(BinaryOp::And, &[0b1100, -1], &[0b1010, 7], &[0b1000, 7]);
        ints(BinaryOp::Shl, &[3, -1, 1, 1, 5], &[2, 4, 63, 64, -1], &[12, -16, i128::from(i64::MIN), 0, 0]);
        ints(BinaryOp::Shr, &[12, -16, -1, 7, -7], &[2, 3, 64, 64, -1], &[3, -2, -1, 0, -1]);
        ints(BinaryOp::Or, &[0b1100, -8], &[0b1010, 7], &[0b1110, -1]);
        ints(BinaryOp::Xor, &[0b1100, -1], &[0b1010, 7], &[0b0110, -8]);
    }

    #[test]
    fn broadcasts_in_full() {
        let a = Tensor::from_f32(vec![2, 1, 3], &[0., 1., 2., 3., 4., 5.]).unwrap();
        let b = Tensor::from_f32(vec![2, 1], &[10., 20.]).unwrap();
        let y = eval(BinaryOp::Add, &a, &b).unwrap();
        assert_eq!(y.shape(), [2, 2, 3]);
        assert_eq!(y.to_f32().unwrap(), [10., 11., 12., 20., 21., 22., 13., 14., 15., 23., 24., 25.]);
        let scalar = Tensor::from_f32(vec![], &[1.0]).unwrap();
        assert_eq!(eval(BinaryOp::Add, &scalar, &scalar).unwrap().shape(), [0_usize; 0]);
        let empty = Tensor::from_f32(vec![0, 3], &[]).unwrap();
        let row = Tensor::from_f32(vec![1, 3], &[1., 2., 3.]).unwrap();
        assert_eq!(eval(BinaryOp::Mul, &empty, &row).unwrap().shape(), [0, 3]);
    }

    #[test]
    fn refusals() {
        let f = |shape: Vec<usize>, n: usize| Tensor::from_f32(shape, &vec![0.0; n]).unwrap();
        let i = Tensor::from_i64(vec![1], &[0]).unwrap();
        assert!(eval(BinaryOp::Add, &f(vec![2], 2), &f(vec![3], 3)).unwrap_err().contains("2 and 3"));
        assert!(eval(BinaryOp::Add, &f(vec![1], 1), &i).unwrap_err().contains("f32 is needed"));
        assert!(eval(BinaryOp::Div, &i, &i).unwrap_err().contains("no result for Div of 0 and 0"));
        let f = f(vec![1], 1);
        assert!(eval(BinaryOp::And, &f, &f).unwrap_err().contains("bool or an integer is needed"));
    }
}
