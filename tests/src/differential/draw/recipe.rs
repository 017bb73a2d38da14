//! Sequences of elementwise operators that many graphs share.

use bayplan_graph::op::{BinaryOp, Op, UnaryOp};
use bayplan_graph::{Tensor, ValueId};

use super::Drawing;
use crate::graphs::floats;
use crate::random::Random;

/// Most moves of a recipe.
const LONGEST: usize = 6;

/// How the other operand of a move broadcasts.
#[derive(Clone, Copy)]
enum Side {
    /// One constant for all elements, part of the kernel's parameters.
    Scalar,
    /// One element per element of the last axis.
    Row,
    /// One element per element of axis 1, as a bias of a convolution.
    Channel,
    /// One element each.
    Full,
    /// What the recipe began with.
    Start,
    /// What the move before this one began with.
    Before,
}

/// One to three operators on a float.
#[derive(Clone, Copy)]
enum Move {
    Unary(UnaryOp),
    Binary(BinaryOp, Side),
    /// exp of a number that is bounded first.
    Exp,
    /// An operator that wants arguments well above 0.
    Positive(UnaryOp),
    /// A quotient whose divisor is away from 0.
    Quotient(Side),
    /// `x` to a constant power; fractional powers of positive numbers only.
    Power(f32),
    /// `x > 0 ? x : tanh x`, whose sides meet at 0, so that rounding cannot choose between different numbers.
    Choice,
}

/// A sequence of moves.
pub(super) struct Recipe(Vec<Move>);

impl Recipe {
    pub(super) fn draw(random: &mut Random) -> Self {
        Self((0..1 + random.below(LONGEST)).map(|_| Move::draw(random)).collect())
    }
}

impl Move {
    fn draw(random: &mut Random) -> Self {
        const SIDES: [Side; 8] = [
            Side::Scalar,
            Side::Scalar,
            Side::Row,
            Side::Row,
            Side::Channel,
            Side::Full,
            Side::Start,
            Side::Before,
        ];
        match random.below(14) {
            0..=4 => Self::Unary(random.pick(&[
                UnaryOp::Tanh,
                UnaryOp::Sigmoid,
                UnaryOp::Erf,
                UnaryOp::Relu,
                UnaryOp::Neg,
                UnaryOp::Abs,
                UnaryOp::Sin,
                UnaryOp::Cos,
                UnaryOp::Softplus,
            ])),
            5..=9 => Self::Binary(
                random.pick(&[
                    BinaryOp::Add,
                    BinaryOp::Add,
                    BinaryOp::Sub,
                    BinaryOp::Mul,
                    BinaryOp::Mul,
                    BinaryOp::Min,
                    BinaryOp::Max,
                ]),
                random.pick(&SIDES),
            ),
            10 => Self::Exp,
            11 => Self::Positive(random.pick(&[UnaryOp::Log, UnaryOp::Sqrt, UnaryOp::Reciprocal])),
            12 if random.once_in(3) => Self::Choice,
            12 => Self::Quotient(random.pick(&SIDES)),
            _ => Self::Power(random.pick(&[2.0, 3.0, 0.5, -1.0, 1.7])),
        }
    }
}

impl Drawing {
    /// Applies a recipe of the epoch to a float.
    pub(super) fn cook(&mut self) {
        let (x, _) = self.float();
        let chosen = self.random.below(self.recipes.len());
        let recipe = std::mem::replace(&mut self.recipes[chosen], Recipe(Vec::new()));
        let (mut now, mut before) = (x, x);
        for &one in &recipe.0 {
            let Some(next) = self.apply(one, now, [x, before]) else { break };
            (before, now) = (now, next);
        }
        self.recipes[chosen] = recipe;
        if now != x {
            self.keep(now, false);
        }
    }

    /// A constant of a value's type.
    fn scalar(&mut self, like: ValueId, v: f32) -> ValueId {
        let dtype = self.b.dtype(like);
        self.b.constant(&Tensor::from_f64(dtype, vec![], &[v.into()]).expect("one"))
    }

    fn one(&mut self, op: Op, inputs: &[ValueId]) -> Option<ValueId> {
        Some(self.b.try_ops(op, inputs, 1)?[0])
    }

    fn apply(&mut self, one: Move, x: ValueId, earlier: [ValueId; 2]) -> Option<ValueId> {
        match one {
            Move::Unary(op) => self.one(Op::Unary(op), &[x]),
            Move::Binary(op, side) => {
                let y = self.side(x, side, earlier, 0.0);
                self.one(Op::Binary(op), &[x, y])
            }
            Move::Exp => {
                let x = self.one(Op::Unary(UnaryOp::Tanh), &[x])?;
                self.one(Op::Unary(UnaryOp::Exp), &[x])
            }
            Move::Positive(op) => {
                let x = self.positive(x)?;
                self.one(Op::Unary(op), &[x])
            }
            Move::Quotient(side) => {
                // Leaves lie within ±1.875.
                let y = match side {
                    Side::Start | Side::Before => self.positive(earlier[0])?,
                    _ => self.side(x, side, earlier, 2.5),
                };
                self.one(Op::Binary(BinaryOp::Div), &[x, y])
            }
            Move::Power(by) => {
                let whole = by == 2.0 || by == 3.0;
                // The magnitude is bounded: powers of powers would leave the range of floats.
                let x = self.one(Op::Unary(UnaryOp::Tanh), &[x])?;
                let x = if whole { x } else { self.positive(x)? };
                let by = self.scalar(x, by);
                self.one(Op::Binary(BinaryOp::Pow), &[x, by])
            }
            Move::Choice => {
                let zero = self.scalar(x, 0.0);
                let above = self.one(Op::Binary(BinaryOp::Greater), &[x, zero])?;
                let bent = self.one(Op::Unary(UnaryOp::Tanh), &[x])?;
                self.one(Op::Select, &[above, x, bent])
            }
        }
    }

    /// `|x| + 0.5`.
    fn positive(&mut self, x: ValueId) -> Option<ValueId> {
        let half = self.scalar(x, 0.5);
        let x = self.one(Op::Unary(UnaryOp::Abs), &[x])?;
        self.one(Op::Binary(BinaryOp::Add), &[x, half])
    }

    /// The other operand of a move, its elements moved by `shift`.
    fn side(&mut self, x: ValueId, side: Side, earlier: [ValueId; 2], shift: f64) -> ValueId {
        let shape = self.b.shape(x);
        let small: Vec<usize> = match side {
            Side::Start => return earlier[0],
            Side::Before => return earlier[1],
            Side::Scalar => {
                let value = self.random.pick(&[0.5, -1.25, 1.5, 0.125, 2.0]) + shift;
                return self.scalar(x, value as f32);
            }
            Side::Row => shape[shape.len() - usize::from(!shape.is_empty())..].to_vec(),
            Side::Channel => {
                let each = shape.iter().enumerate();
                each.skip(1).map(|(axis, &size)| if axis == 1 { size } else { 1 }).collect()
            }
            Side::Full => shape,
        };
        let shifted: Vec<f64> =
            floats(&small, self.values.len()).to_f64().iter().map(|v| v + shift).collect();
        let tensor = Tensor::from_f64(self.b.dtype(x), small, &shifted).expect("as many");
        if self.random.once_in(2) { self.b.constant(&tensor) } else { self.b.input(tensor) }
    }
}
