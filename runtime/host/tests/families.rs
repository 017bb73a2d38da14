//! Every family of operators on the host against the reference evaluation, over random shapes.

mod common;

use bayplan_graph::op::{BinaryOp, F32Bits, Keep, Op, Pads, PoolKind, ReduceOp, UnaryOp, Window};
use bayplan_graph::{DType, Tensor};

use common::{Builder, Random, check};

/// Shapes that each family is tried with.
const ROUNDS: u64 = 24;

/// Relative to the largest magnitude of an output; the reference rounds at other places.
const TOLERANCE: f64 = 1e-6;

fn rounds(what: &str, mut draw: impl FnMut(&mut Random, &mut Builder)) {
    for seed in 0..ROUNDS {
        let (mut random, mut builder) = (Random(seed), Builder::new());
        draw(&mut random, &mut builder);
        check(&format!("{what}, seed {seed}"), &builder, TOLERANCE);
    }
}

fn shape(random: &mut Random, rank: usize) -> Vec<usize> {
    (0..rank).map(|_| random.pick(&[1, 2, 3, 4, 5, 7, 8, 16])).collect()
}

#[test]
fn unary() {
    for &op in UnaryOp::ALL.iter().filter(|op| op.takes(DType::F32)) {
        let mut builder = Builder::new();
        let special =
            [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -88.0, 88.0];
        let x = builder.input(Tensor::from_f32(vec![special.len()], &special).unwrap());
        let y = builder.op(Op::Unary(op), &[x]);
        builder.output(y);
        check(&format!("{op:?}"), &builder, TOLERANCE);
    }
    rounds("chains", |random, builder| {
        let rank = random.below(5);
        let shape = shape(random, rank);
        let mut x = builder.input(random.floats(&shape));
        for _ in 0..3 {
            x = builder.op(
                Op::Unary(random.pick(&[UnaryOp::Tanh, UnaryOp::Relu, UnaryOp::Abs, UnaryOp::Erf])),
                &[x],
            );
        }
        builder.output(x);
    });
}

const INTEGERS: [DType; 8] =
    [DType::I8, DType::I16, DType::I32, DType::I64, DType::U8, DType::U16, DType::U32, DType::U64];

#[test]
fn binary_of_integers() {
    for dtype in INTEGERS {
        let signed = matches!(dtype, DType::I8 | DType::I16 | DType::I32 | DType::I64);
        for &op in BinaryOp::ALL.iter().filter(|op| op.takes(dtype)) {
            let (mut random, mut builder) = (Random(op as u64), Builder::new());
            let shape = shape(&mut random, 3);
            let most = if dtype.size() == 1 { 128 } else { 1 << 12 };
            let a = builder.input(random.ints(dtype, &shape, if signed { -most } else { 0 }, most));
            // Division by zero has no reference.
            let b = builder.input(random.ints(dtype, &shape[1..], 1, 9));
            let y = builder.op(Op::Binary(op), &[a, b]);
            builder.output(y);
            check(&format!("{op:?} of {dtype}"), &builder, 0.0);
        }
        for &op in UnaryOp::ALL.iter().filter(|op| op.takes(dtype)) {
            let (mut random, mut builder) = (Random(op as u64), Builder::new());
            let x = builder.input(random.ints(dtype, &[33], if signed { -128 } else { 0 }, 128));
            let y = builder.op(Op::Unary(op), &[x]);
            builder.output(y);
            check(&format!("{op:?} of {dtype}"), &builder, 0.0);
        }
    }
}

#[test]
fn binary_of_floats_and_booleans() {
    rounds("binary", |random, builder| {
        let shape = shape(random, 3);
        let mut cut = shape.clone();
        cut[random.below(3)] = 1;
        let (a, b) = (builder.input(random.floats(&shape)), builder.input(random.floats(&cut)));
        // Powers of negative numbers are below.
        let takes = |op: &BinaryOp| op.takes(DType::F32) && *op != BinaryOp::Pow;
        let all: Vec<_> = BinaryOp::ALL.iter().copied().filter(takes).collect();
        let op = random.pick(&all);
        let y = builder.op(Op::Binary(op), &[a, b]);
        let less = builder.op(Op::Binary(BinaryOp::Less), &[b, a]);
        let more = builder.op(Op::Binary(BinaryOp::Greater), &[a, b]);
        let either = random.pick(&[BinaryOp::And, BinaryOp::Or, BinaryOp::Xor]);
        let either = builder.op(Op::Binary(either), &[less, more]);
        let not = builder.op(Op::Unary(UnaryOp::Not), &[either]);
        let chosen = builder.op(Op::Select, &[not, a, b]);
        let squared = builder.op(Op::Binary(BinaryOp::Mul), &[a, a]);
        let power = builder.op(Op::Binary(BinaryOp::Pow), &[squared, b]);
        [y, not, chosen, power].into_iter().for_each(|id| builder.output(id));
    });
}

#[test]
fn casts() {
    let all = INTEGERS.into_iter().chain([DType::F32, DType::Bool]);
    for from in all.clone() {
        for to in all.clone() {
            let (mut random, mut builder) = (Random(3), Builder::new());
            // What float-to-integer conversions do out of range is not defined.
            let least =
                if from == DType::F32 && !matches!(to, DType::I8 | DType::I16 | DType::I32 | DType::I64) {
                    0
                } else {
                    -128
                };
            let x = builder.input(random.ints(from, &[40], least, 128));
            let y = builder.op(Op::Cast(to), &[x]);
            builder.output(y);
            check(&format!("{from} to {to}"), &builder, 0.0);
        }
    }
}

#[test]
fn products() {
    rounds("matmul", |random, builder| {
        let [m, k, n] = [0; 3].map(|_: i32| random.pick(&[1, 2, 5, 8, 9, 17, 64, 70]));
        let batch = random.pick(&[&[][..], &[3], &[2, 3], &[2, 1]]);
        let a = builder.input(random.floats(&[batch, &[m, k]].concat()));
        let b = if random.below(2) == 0 {
            builder.input(random.floats(&[k, n]))
        } else {
            // Transposed in place: only strides change.
            let rank = batch.len() + 2;
            let mut perm: Vec<usize> = (0..rank).collect();
            perm.swap(rank - 1, rank - 2);
            let b = builder.input(random.floats(&[batch, &[n, k]].concat()));
            builder.op(Op::Transpose(perm), &[b])
        };
        let mut y = builder.op(Op::MatMul, &[a, b]);
        if random.below(2) == 0 {
            let bias = builder.constant(&random.floats(&[n]));
            y = builder.op(Op::Binary(BinaryOp::Add), &[y, bias]);
            y = builder.op(Op::Unary(UnaryOp::Relu), &[y]);
        }
        builder.output(y);
    });
}

/// Integers wrap as their type does; 64-bit floats keep what 32 bits would not.
#[test]
fn products_of_other_types() {
    for dtype in INTEGERS.into_iter().chain([DType::F64]) {
        let (mut random, mut builder) = (Random(7), Builder::new());
        let (low, high) = if dtype == DType::F64 { (-(1 << 40), 1 << 40) } else { (0, 100) };
        let a = builder.input(random.ints(dtype, &[2, 5, 9], low, high));
        let b = builder.input(random.ints(dtype, &[1, 7, 9], low, high));
        let b = builder.op(Op::Transpose(vec![0, 2, 1]), &[b]);
        let y = builder.op(Op::MatMul, &[a, b]);
        builder.output(y);
        let x = builder.input(random.ints(dtype, &[2, 4, 6, 5], low, high));
        let w = builder.input(random.ints(dtype, &[6, 2, 3, 2], low, high));
        let window = window(&mut random, [3, 2], false);
        let y = builder.op(Op::Conv(window, 2), &[x, w]);
        let bias = builder.input(random.ints(dtype, &[6, 1, 1], low, high));
        let y = builder.op(Op::Binary(BinaryOp::Add), &[y, bias]);
        builder.output(y);
        check(&format!("products of {dtype}"), &builder, if dtype == DType::F64 { TOLERANCE } else { 0.0 });
    }
}

fn window(random: &mut Random, kernel: [usize; 2], ceil: bool) -> Window {
    let pads = [0; 4].map(|_| random.below(2) as i64);
    Window {
        kernel: kernel.to_vec(),
        strides: vec![1 + random.below(2), 1 + random.below(3)],
        dilations: vec![1 + random.below(2), 1],
        pads: Pads::Explicit(pads.to_vec()),
        ceil,
    }
}

#[test]
fn convolutions() {
    rounds("conv", |random, builder| {
        let groups = random.pick(&[1, 1, 2, 6]);
        let (channels, filters) = (6, 6 * (1 + random.below(2)));
        let [height, width] = [0; 2].map(|_: i32| 5 + random.below(12));
        let kernel = random.pick(&[[1, 1], [3, 3], [2, 3], [5, 1]]);
        let batch = 1 + random.below(3);
        let x = builder.input(random.floats(&[batch, channels, height + 4, width]));
        let w = builder.constant(&random.floats(&[filters, channels / groups, kernel[0], kernel[1]]));
        let window = window(random, kernel, false);
        let mut y = builder.op(Op::Conv(window, groups), &[x, w]);
        if random.below(2) == 0 {
            let bias = builder.constant(&random.floats(&[1, filters, 1, 1]));
            y = builder.op(Op::Binary(BinaryOp::Add), &[y, bias]);
        }
        builder.output(y);
    });
}

#[test]
fn pooling() {
    rounds("pool", |random, builder| {
        let [height, width] = [0; 2].map(|_: i32| 6 + random.below(9));
        let x = builder.input(random.floats(&[2, 3, height, width]));
        let kind = random.pick(&PoolKind::ALL);
        let (kernel, ceil) = (random.pick(&[[2, 2], [3, 3], [1, 4]]), random.below(2) == 0);
        let window = window(random, kernel, ceil);
        let y = builder.op(Op::Pool(kind, window), &[x]);
        builder.output(y);
    });
}

#[test]
fn reductions() {
    const ALL: [ReduceOp; 5] = [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Max, ReduceOp::Min, ReduceOp::Prod];
    rounds("reduce", |random, builder| {
        let shape = shape(random, 4);
        let x = builder.input(random.floats(&shape));
        let axes = random.pick(&[&[3][..], &[0], &[1, 2], &[2, 3], &[0, 1, 2, 3]]);
        let axes = builder.ints(axes);
        let y = builder.op(Op::Reduce(random.pick(&ALL), Keep::Dims), &[x, axes]);
        let y = builder.op(Op::Unary(UnaryOp::Abs), &[y]);
        builder.output(y);
    });
    for dtype in INTEGERS {
        for op in ALL {
            let (mut random, mut builder) = (Random(op as u64), Builder::new());
            let x = builder.input(random.ints(dtype, &[3, 5, 2], 0, 100));
            let axes = builder.ints(&[1]);
            let y = builder.op(Op::Reduce(op, Keep::None), &[x, axes]);
            builder.output(y);
            check(&format!("{op:?} of {dtype}"), &builder, 0.0);
        }
    }
}

#[test]
fn rows() {
    rounds("rows", |random, builder| {
        let shape = shape(random, 3);
        let x = builder.input(random.floats(&shape));
        let log = random.below(2) == 0;
        let soft = builder.op(Op::Softmax { axis: random.below(3) as i64, log }, &[x]);
        let (epsilon, center) = (F32Bits::new(1e-3), random.below(2) == 0);
        let normal = builder.op(Op::Normalize { axis: 1 + random.below(2) as i64, epsilon, center }, &[x]);
        let scale = builder.constant(&random.floats(&shape[2..]));
        let scaled = builder.op(Op::Binary(BinaryOp::Mul), &[normal, scale]);
        builder.output(soft);
        builder.output(scaled);
    });
}

#[test]
fn movement() {
    rounds("movement", |random, builder| {
        let shape = shape(random, 3);
        let dtype = random.pick(&[DType::I64, DType::U8, DType::I32, DType::Bool]);
        let x = builder.input(random.ints(dtype, &shape, 0, 2));
        let turned = builder.op(Op::Transpose(vec![2, 0, 1]), &[x]);
        let axis = random.below(3);
        let joined = builder.op(Op::Concat { axis: axis as i64 }, &[x, x]);
        let (starts, ends) = (builder.ints(&[-1]), builder.ints(&[i64::MIN + 1]));
        let (axes, steps) = (builder.ints(&[axis as i64]), builder.ints(&[-1]));
        let back = builder.op(Op::Slice, &[joined, starts, ends, axes, steps]);
        let size = shape[axis] as i128;
        let index = random.pick(&[DType::I64, DType::I32]);
        let indices = builder.input(random.ints(index, &[2, 3], -size, size));
        let gathered = builder.op(Op::Gather { axis: axis as i64 }, &[x, indices]);
        let tuples = builder.input(random.ints(DType::I64, &[shape[0], 4, 1], 0, shape[1] as i128));
        let tuples = builder.op(Op::GatherNd { batch_dims: 1 }, &[x, tuples]);
        [turned, joined, back, gathered, tuples].into_iter().for_each(|id| builder.output(id));
    });
}

#[test]
fn updates_and_elements() {
    rounds("updates", |random, builder| {
        let shape = shape(random, 3);
        let dtype = random.pick(&[DType::I64, DType::U8, DType::I32, DType::F16]);
        let x = builder.input(random.ints(dtype, &shape, 0, 9));
        let axis = random.below(3);
        let size = shape[axis] as i128;
        // Fewer lines than the operand has, now and then.
        let of: Vec<usize> = shape.iter().map(|&size| size - random.below(2).min(size - 1)).collect();
        let indices = builder.input(random.ints(DType::I64, &of, -size, size));
        let updates = builder.input(random.ints(dtype, &of, 0, 9));
        let axis = axis as i64;
        let taken = builder.op(Op::GatherElements { axis }, &[x, indices]);
        let join = Some(random.pick(&[BinaryOp::Add, BinaryOp::Mul, BinaryOp::Max, BinaryOp::Min]));
        let joined = builder.op(Op::ScatterElements { axis, join }, &[x, indices, updates]);
        let rows = builder.input(random.ints(DType::I32, &[4, 1], 0, shape[0] as i128));
        let news = builder.input(random.ints(dtype, &[4, shape[1], shape[2]], 0, 9));
        let summed = builder.op(Op::ScatterNd { join }, &[x, rows, news]);
        // Without a joining no two go to one place.
        let tuple = builder.input(random.ints(DType::I64, &[1, 1], -1, 0));
        let one = builder.input(random.ints(dtype, &[1, shape[1], shape[2]], 0, 9));
        let put = builder.op(Op::ScatterNd { join: None }, &[x, tuple, one]);
        [taken, joined, summed, put].into_iter().for_each(|id| builder.output(id));
    });
}

#[test]
fn along_lines() {
    rounds("lines", |random, builder| {
        let shape = shape(random, 3);
        let dtype = random.pick(&[DType::I64, DType::I8, DType::U32, DType::F32, DType::F16]);
        let x = match dtype {
            DType::F32 => random.floats(&shape),
            _ => random.ints(dtype, &shape, 0, 4),
        };
        let x = builder.input(x);
        let axis = random.below(3) as i64 - 3;
        let op = random.pick(&[BinaryOp::Add, BinaryOp::Mul]);
        let (exclusive, reverse) = (random.below(2) == 1, random.below(2) == 1);
        let running = builder.op(Op::Cumulate { op, axis, exclusive, reverse }, &[x]);
        let places = builder.op(Op::Rank { axis, largest: reverse }, &[x]);
        // The places are a permutation: what is put there is in order.
        let sorted = builder.op(Op::ScatterElements { axis, join: None }, &[x, places, x]);
        [running, places, sorted].into_iter().for_each(|id| builder.output(id));
    });
}

/// Tables larger than the windows of the small device that every graph is compiled for too.
#[test]
fn large_tables() {
    rounds("table", |random, builder| {
        let (rows, width) = (100 + random.below(100), random.pick(&[4, 16, 20]));
        let table = builder.constant(&random.floats(&[rows, width]));
        let most = rows as i128;
        let indices = builder.input(random.ints(DType::I64, &[2, 5], -most, most));
        let y = builder.op(Op::Gather { axis: 0 }, &[table, indices]);
        builder.output(y);
    });
}

#[test]
fn sequences() {
    for dtype in [DType::F32, DType::I32, DType::I64, DType::U32] {
        let mut builder = Builder::new();
        let one = |v: f64| Tensor::from_f64(dtype, vec![], &[v]).unwrap();
        let [start, limit, delta] = [3.0, 2000.0, 2.0].map(|v| builder.constant(&one(v)));
        let y = builder.op(Op::Range, &[start, limit, delta]);
        let x = builder.input(one(5.0));
        let y = builder.op(Op::Binary(BinaryOp::Add), &[y, x]);
        builder.output(y);
        check(&format!("range of {dtype}"), &builder, 0.0);
    }
}
