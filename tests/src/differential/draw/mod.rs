//! Random graphs over all families of operators.
//!
//! A seed determines the graph and the tensors of its inputs. Elementwise operators come as *recipes*, short sequences
//! that seeds of one [`EPOCH`] share, so that a long run does not spend its time compiling kernels that differ in
//! nothing but the order of their operators; other epochs have other recipes.

mod contract;
mod elementwise;
mod movement;
mod recipe;
mod rows;

use bayplan_graph::{DType, Op, Tensor, ValueId};

use self::recipe::Recipe;
use crate::graphs::{Builder, floats};
use crate::random::Random;

/// Seeds that share their recipes.
pub const EPOCH: u64 = 512;

/// Recipes of an epoch.
const RECIPES: usize = 20;

/// Most elements of a tensor, but for the operands of long reductions: what is wrong shows on small ones.
const LARGEST: usize = 1 << 14;

/// Extents around the multiples that kernels are cut to.
const DIMS: [usize; 24] =
    [1, 1, 2, 2, 3, 4, 4, 5, 6, 7, 8, 8, 9, 12, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130];

/// Extents above those, which a tensor may have once.
const LONG: [usize; 7] = [127, 128, 129, 255, 256, 257, 1025];

/// Every element type that devices hold.
const INTEGERS: [DType; 8] =
    [DType::I64, DType::I32, DType::U8, DType::I8, DType::U32, DType::I16, DType::U16, DType::U64];

/// Floats that are rounded after every operation, and those of two words.
const OTHERS: [DType; 3] = [DType::F16, DType::BF16, DType::F64];

/// What to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// Operators drawn at least (each may be several nodes).
    pub steps: usize,
    /// Whether every value is determined up to rounding, so that the graph may be compared as a whole. Otherwise
    /// rounded numbers are compared and cut too, indices lie outside, and divisors are near 0.
    pub determined: bool,
}

/// The graph of a seed.
pub fn draw(seed: u64, what: Drawn) -> Builder {
    Drawing::new(seed, what).finish(what.steps)
}

/// A graph being drawn.
struct Drawing {
    b: Builder,
    random: Random,
    recipes: Vec<Recipe>,
    determined: bool,
    values: Vec<ValueId>,
    /// Values that are the same in every evaluation, without rounding: those alone are compared with others.
    exact: Vec<bool>,
}

impl Drawing {
    fn new(seed: u64, what: Drawn) -> Self {
        let mut pool = Random::new(0x7ec1_9e00 + seed / EPOCH);
        let mut new = Self {
            b: Builder::new(&format!("seed {seed}")),
            random: Random::new(seed),
            recipes: (0..RECIPES).map(|_| Recipe::draw(&mut pool)).collect(),
            determined: what.determined,
            values: Vec::new(),
            exact: Vec::new(),
        };
        for _ in 0..1 + new.random.below(3) {
            let shape = new.shape();
            let id = new.b.floats(&shape);
            new.keep(id, true);
        }
        if new.random.once_in(3) {
            // Too large to be folded: what follows from it alone is computed while loading.
            let shape = new.random.pick(&[[16, 8, 10], [40, 4, 8], [1, 64, 20]]);
            let id = new.b.constant(&floats(&shape, 7));
            new.keep(id, true);
        }
        if new.random.once_in(2) {
            let shape = new.shape();
            let dtype = new.random.pick(&INTEGERS);
            let id = new.integers(dtype, &shape);
            new.keep(id, true);
        }
        new
    }

    /// An input of small integers (or of both truth values).
    fn integers(&mut self, dtype: DType, shape: &[usize]) -> ValueId {
        let seed = self.values.len();
        let scaled: Vec<f64> = floats(shape, seed).to_f64().iter().map(|v| (v * 8.0).floor()).collect();
        // What an unsigned type makes of a negative number is saturation here, wrapping elsewhere.
        let unsigned = matches!(dtype, DType::U8 | DType::U16 | DType::U32 | DType::U64);
        let values: Vec<f64> = scaled.iter().map(|v| if unsigned { v.abs() } else { *v }).collect();
        self.b.input(Tensor::from_f64(dtype, shape.to_vec(), &values).expect("as many as the shape says"))
    }

    fn shape(&mut self) -> Vec<usize> {
        let rank = self.random.below(6);
        let mut shape: Vec<usize> = Vec::with_capacity(rank);
        let long = self.random.once_in(8);
        for axis in 0..rank {
            let so_far: usize = shape.iter().product();
            let size =
                if long && axis + 1 == rank { self.random.pick(&LONG) } else { self.random.pick(&DIMS) };
            // Mostly a few hundred elements, so that most graphs stay cheap.
            let most = if self.random.once_in(6) { LARGEST } else { 1024 };
            shape.push(if so_far * size <= most { size } else { 1 + self.random.below(2) });
        }
        // Now and then nothing at all.
        if rank > 0 && self.random.once_in(24) {
            let axis = self.random.below(rank);
            shape[axis] = 0;
        }
        shape
    }

    fn keep(&mut self, id: ValueId, exact: bool) {
        self.values.push(id);
        self.exact.push(exact);
    }

    /// A value, more often a recent one; and whether it may be compared without rounding making a difference.
    fn any(&mut self) -> (ValueId, bool) {
        let count = self.values.len();
        let at = if self.random.once_in(3) { self.random.below(count) } else { count - 1 };
        (self.values[at], self.exact[at] || !self.determined)
    }

    /// A value of that type, converted or given if there is none among a few.
    fn of_type(&mut self, dtype: DType) -> (ValueId, bool) {
        for _ in 0..4 {
            let (id, exact) = self.any();
            if self.b.dtype(id) == dtype {
                return (id, exact);
            }
        }
        let (id, exact) = self.any();
        let from = self.b.dtype(id);
        if from == dtype {
            return (id, exact);
        }
        // A rounded float near a whole number would come out as either of two integers.
        let cut = from.is_float() && !dtype.is_float() && !(exact && dtype == DType::Bool);
        if cut || self.random.once_in(4) {
            let shape = self.shape();
            let new = if dtype == DType::F32 { self.b.floats(&shape) } else { self.leaf(dtype, &shape) };
            return (new, true);
        }
        (self.b.op(Op::Cast(dtype), &[id]), exact)
    }

    /// A float, now and then a narrow or a wide one where its roundings make no difference.
    fn float(&mut self) -> (ValueId, bool) {
        let other = !self.determined && self.random.once_in(4);
        let dtype = if other { self.random.pick(&OTHERS) } else { DType::F32 };
        self.of_type(dtype)
    }

    /// Another operand that broadcasts against a value: itself, one like it, a slice of its shape, a constant.
    fn partner(&mut self, x: ValueId) -> (ValueId, bool) {
        let (dtype, shape) = (self.b.dtype(x), self.b.shape(x));
        for _ in 0..3 {
            let (other, exact) = self.any();
            let like = self.b.dtype(other) == dtype && self.b.shape(other) == shape;
            if like && (other != x || self.random.once_in(4)) {
                return (other, exact);
            }
        }
        let from = self.random.below(shape.len() + 1);
        let mut small: Vec<usize> = shape[from..].to_vec();
        for size in &mut small {
            if self.random.once_in(3) {
                *size = 1;
            }
        }
        (self.leaf(dtype, &small), true)
    }

    /// A new constant or input of that type and shape.
    fn leaf(&mut self, dtype: DType, shape: &[usize]) -> ValueId {
        let constant = self.random.once_in(2);
        if dtype.is_float() {
            let tensor = floats(shape, self.values.len());
            let tensor = Tensor::from_f64(dtype, shape.to_vec(), &tensor.to_f64()).expect("as many");
            return if constant { self.b.constant(&tensor) } else { self.b.input(tensor) };
        }
        self.integers(dtype, shape)
    }

    /// Adds an operator's result if inference takes it and it is small. Whether it was kept.
    fn add(&mut self, op: Op, inputs: &[ValueId], exact: bool) -> Option<ValueId> {
        let made = self.b.try_ops(op, inputs, 1)?[0];
        let count: usize = self.b.shape(made).iter().product();
        if count > LARGEST {
            return None;
        }
        self.keep(made, exact);
        Some(made)
    }

    fn step(&mut self) {
        match self.random.below(29) {
            0..=5 => self.cook(),
            6 => self.unary(),
            7 | 8 => self.binary(),
            9 => self.select(),
            10 => self.convert(),
            11 | 12 => self.product(),
            13 | 14 => self.convolution(),
            15 => self.pool(),
            16 | 17 => self.reduce(),
            18 => self.rows(),
            19 => self.layout(),
            20 => self.view(),
            21 => self.slice(),
            22 => self.split_and_join(),
            23 => self.pad(),
            24 => self.gather(),
            25 => self.elements(),
            26 => self.scatter_nd(),
            27 => self.along(),
            _ => match self.random.below(3) {
                0 => self.gather_nd(),
                1 => self.fill(),
                _ => self.long_reduction(),
            },
        }
    }

    fn finish(mut self, at_least: usize) -> Builder {
        let steps = at_least + self.random.below(at_least.max(1) * 2);
        for _ in 0..steps {
            self.step();
        }
        let count = self.values.len();
        self.b.output(self.values[count - 1]);
        for _ in 0..1 + self.random.below(3) {
            let at = self.random.below(count);
            self.b.output(self.values[at]);
        }
        self.b
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bayplan_graph::op::{BinaryOp, UnaryOp};

    use super::*;

    const ALL: u64 = 800;

    fn drawn(seed: u64) -> Builder {
        draw(seed, Drawn { steps: 5, determined: !seed.is_multiple_of(5) })
    }

    #[test]
    fn a_seed_is_a_graph() {
        for seed in [0, 1, 77, EPOCH, 123_456_789] {
            let (one, other) = (drawn(seed), drawn(seed));
            assert_eq!(one.graph, other.graph);
            assert_eq!(one.inputs, other.inputs);
        }
        assert_ne!(drawn(1).graph, drawn(2).graph);
    }

    #[test]
    fn every_operator_and_type_is_drawn() {
        let (mut ops, mut types) = (BTreeSet::new(), BTreeSet::new());
        for seed in 0..ALL {
            let graph = drawn(seed).graph;
            ops.extend(graph.nodes.iter().map(|node| node.op.name()));
            types.extend(graph.values.iter().filter_map(|value| Some(value.ty.as_ref()?.dtype)));
        }
        println!("{} operators: {ops:?}\ntypes: {types:?}", ops.len());
        let named = |op: Op| op.name();
        let unary: Vec<_> = UnaryOp::ALL.iter().map(|&op| named(Op::Unary(op))).collect();
        let binary: Vec<_> = BinaryOp::ALL.iter().map(|&op| named(Op::Binary(op))).collect();
        let moves =
            ["Transpose", "Expand", "Slice", "Split", "Concat", "Pad", "Gather", "GatherND", "Reshape"];
        let indexed = ["GatherElements", "ScatterElements", "ScatterND", "CumSum", "CumProd", "Rank"];
        let rows = ["Softmax", "LayerNormalize", "ReduceSum", "ReduceMean", "ReduceMax", "ReduceProd"];
        let pools = ["MaxPool", "AveragePool", "SumPool", "MaxPoolIndex"];
        let rest = ["MatMul", "Conv", "BitCast", "Range", "Fill", "Cast", "Select", "Squeeze"];
        for name in [&unary[..], &binary, &moves, &indexed, &rows, &pools, &rest].concat() {
            assert!(ops.contains(name), "no {name} in {ALL} graphs: {ops:?}");
        }
        for dtype in INTEGERS.into_iter().chain(OTHERS).chain([DType::F32, DType::Bool]) {
            assert!(types.contains(&dtype), "no {dtype} in {ALL} graphs");
        }
    }
}
