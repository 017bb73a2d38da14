//! Single elementwise operators, on integers and booleans too, and conversions.

use bayplan_graph::op::{BinaryOp, Op, UnaryOp};
use bayplan_graph::{DType, Tensor};

use super::{Drawing, INTEGERS};

impl Drawing {
    pub(super) fn unary(&mut self) {
        let (x, exact) = self.any();
        let op = match self.b.dtype(x) {
            dtype if dtype.is_float() && exact && self.determined => self.random.pick(&[
                UnaryOp::Floor,
                UnaryOp::Ceil,
                UnaryOp::Round,
                UnaryOp::Sign,
                UnaryOp::IsNaN,
                UnaryOp::IsInf,
                UnaryOp::Neg,
                UnaryOp::Relu,
            ]),
            dtype if dtype.is_float() && self.determined => {
                self.random.pick(&[UnaryOp::Tanh, UnaryOp::Sigmoid, UnaryOp::Abs, UnaryOp::Relu])
            }
            dtype => {
                let all: Vec<_> = UnaryOp::ALL.iter().copied().filter(|op| op.takes(dtype)).collect();
                self.random.pick(&all)
            }
        };
        // Whoever takes the sign of a rounded number takes it of 0 or of something beside it.
        let whole = matches!(op, UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Relu) || !op.takes(DType::F32);
        let rounded =
            matches!(op, UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round | UnaryOp::Sign) || op.tests();
        self.add(Op::Unary(op), &[x], exact && (whole || rounded));
    }

    pub(super) fn binary(&mut self) {
        let (x, a) = if self.random.once_in(2) { self.any() } else { self.number() };
        let dtype = self.b.dtype(x);
        let (y, b) = self.partner(x);
        let (x, y) = if self.random.once_in(2) { (x, y) } else { (y, x) };
        let float = dtype.is_float();
        // What numbers of no other kind have.
        let bits: Vec<_> =
            BinaryOp::ALL.iter().copied().filter(|op| op.takes(dtype) && !op.takes(DType::F32)).collect();
        if dtype == DType::Bool {
            let op = if self.random.once_in(4) { BinaryOp::Equal } else { self.random.pick(&bits) };
            self.add(Op::Binary(op), &[x, y], a && b);
            return;
        }
        match self.random.below(9) {
            0..=2 => {
                let op = self.random.pick(&[BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul]);
                self.add(Op::Binary(op), &[x, y], !float && a && b);
            }
            3 => {
                let op = self.random.pick(&[BinaryOp::Max, BinaryOp::Min]);
                self.add(Op::Binary(op), &[x, y], a && b);
            }
            4 | 5 if a && b => {
                let op = self.random.pick(&[
                    BinaryOp::Less,
                    BinaryOp::LessOrEqual,
                    BinaryOp::Greater,
                    BinaryOp::GreaterOrEqual,
                    BinaryOp::Equal,
                ]);
                self.add(Op::Binary(op), &[x, y], true);
            }
            6 if !float || !self.determined => self.quotient(x, float),
            7 if !float => self.power(x),
            8 if !bits.is_empty() => {
                let op = self.random.pick(&bits);
                self.add(Op::Binary(op), &[x, y], a && b);
            }
            _ => {}
        }
    }

    /// A value of an integer type that tensors hold, or a boolean.
    fn number(&mut self) -> (bayplan_graph::ValueId, bool) {
        let dtype = if self.random.once_in(8) { DType::Bool } else { self.random.pick(&INTEGERS) };
        self.of_type(dtype)
    }

    /// Division or remainder by numbers other than 0 (by any, for floats).
    fn quotient(&mut self, x: bayplan_graph::ValueId, float: bool) {
        let (dtype, shape) = (self.b.dtype(x), self.b.shape(x));
        let from = self.random.below(shape.len() + 1);
        let small = shape[from..].to_vec();
        let count: usize = small.iter().product();
        let unsigned = matches!(dtype, DType::U8 | DType::U16 | DType::U32 | DType::U64);
        let choices: &[f64] = if unsigned { &[1., 2., 3., 7., 10.] } else { &[1., 2., -3., 7., -1., -10.] };
        let values: Vec<f64> = (0..count).map(|_| self.random.pick(choices)).collect();
        let tensor = Tensor::from_f64(dtype, small, &values).expect("as many");
        let y = if self.random.once_in(2) { self.b.constant(&tensor) } else { self.b.input(tensor) };
        let op = self.random.pick(&[BinaryOp::Div, BinaryOp::Mod]);
        self.add(Op::Binary(op), &[x, y], !float);
    }

    fn power(&mut self, x: bayplan_graph::ValueId) {
        let dtype = self.b.dtype(x);
        let by = self.random.pick(&[0.0, 1.0, 2.0, 3.0, 5.0]);
        let by = self.b.constant(&Tensor::from_f64(dtype, vec![], &[by]).expect("one"));
        self.add(Op::Binary(BinaryOp::Pow), &[x, by], true);
    }

    pub(super) fn select(&mut self) {
        let (c, sure) = self.of_type(DType::Bool);
        let (x, a) = if self.random.once_in(3) { self.any() } else { self.float() };
        let (y, b) = self.partner(x);
        self.add(Op::Select, &[c, x, y], sure && a && b);
    }

    pub(super) fn convert(&mut self) {
        let (x, exact) = self.any();
        let from = self.b.dtype(x);
        if self.random.once_in(4) {
            return self.read_bits(x, exact);
        }
        let to = if self.random.once_in(2) { DType::F32 } else { self.random.pick(&INTEGERS) };
        let to = if self.random.once_in(6) { DType::Bool } else { to };
        let unsigned = matches!(to, DType::U8 | DType::U16 | DType::U32 | DType::U64);
        // What becomes of a float outside the integer type is not defined by ONNX, and of a rounded one it depends on
        // the rounding.
        let fits = !from.is_float() || matches!(to, DType::Bool | DType::F32);
        let small = from.is_float() && exact && self.determined && !unsigned && self.is_leaf(x);
        if !fits && !small || from.is_float() && !exact {
            return;
        }
        // Large integers are rounded on their way to a float.
        let whole = from.is_float() || from == DType::Bool || to != DType::F32;
        self.add(Op::Cast(to), &[x], exact && whole);
    }

    /// The same bits as another type: of integers, and of floats whose bits are known (zeros have two).
    fn read_bits(&mut self, x: bayplan_graph::ValueId, exact: bool) {
        let from = self.b.dtype(x);
        let same = |to: &DType| to.size() == from.size() && *to != from;
        let all: Vec<DType> = INTEGERS.into_iter().filter(same).collect();
        if exact && !all.is_empty() && (from != DType::F32 || self.is_leaf(x)) {
            let to = self.random.pick(&all);
            self.add(Op::BitCast(to), &[x], true);
        }
    }

    /// Whether a value is an input or a constant, whose elements are small.
    fn is_leaf(&self, x: bayplan_graph::ValueId) -> bool {
        !matches!(self.b.graph.value(x).source, bayplan_graph::ValueSource::Node { .. })
    }
}
