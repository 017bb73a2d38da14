//! Simplification pass by pass: what is dispatched with it and without, by the operators it came from. That results
//! stay right is checked on a device against the reference evaluation.

mod common;

use bayplan_compile::Options;
use bayplan_graph::op::{
    BinaryOp, F32Bits, Keep, Op, PadMode, Pads, PoolKind, ReduceOp, UnaryOp, ViewOp, Window,
};
use bayplan_graph::{DType, Tensor, ValueId};
use bayplan_shaders::{Spec, Target};

use common::{Builder, check as results, floats, program, way};

const ADD: Op = Op::Binary(BinaryOp::Add);
const SUB: Op = Op::Binary(BinaryOp::Sub);
const MUL: Op = Op::Binary(BinaryOp::Mul);
const DIV: Op = Op::Binary(BinaryOp::Div);
const POW: Op = Op::Binary(BinaryOp::Pow);
const SQRT: Op = Op::Unary(UnaryOp::Sqrt);
const TANH: Op = Op::Unary(UnaryOp::Tanh);
const MEAN: Op = Op::Reduce(ReduceOp::Mean, Keep::Dims);

/// The dispatches of a run without and with the pass, and that the results are right either way.
fn check(name: &str, before: &[&str], after: &[&str], build: impl Fn(&mut Builder)) {
    let mut builder = Builder::new(name);
    build(&mut builder);
    let dispatches = |simplify| {
        let options = Options { simplify, ..way(true, true) };
        let program = program(&builder.graph, &Target::generic(), options).expect(name);
        program.run.dispatches.iter().map(|dispatch| dispatch.source_op.to_string()).collect::<Vec<_>>()
    };
    assert_eq!((dispatches(false), dispatches(true)), (owned(before), owned(after)), "{name}");
    results(&builder, 1e-5).unwrap_or_else(|e| panic!("{name}: {e}"));
}

fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn unsqueezed(b: &mut Builder, x: ValueId, axis: i64) -> ValueId {
    let axes = b.ints(&[axis]);
    b.op(Op::View(ViewOp::Unsqueeze), &[x, axes])
}

fn reshaped(b: &mut Builder, x: ValueId, shape: &[i64]) -> ValueId {
    let shape = b.ints(shape);
    b.op(Op::View(ViewOp::Reshape { allow_zero: true }), &[x, shape])
}

fn window(pads: [i64; 4]) -> Window {
    let pads = Pads::Explicit(pads.to_vec());
    Window { kernel: vec![3, 3], strides: vec![1, 1], dilations: vec![1, 1], pads, ceil: false }
}

#[test]
fn the_same_thing_twice() {
    check("equal nodes", &["Tanh", "Tanh", "MatMul"], &["Tanh", "MatMul"], |b| {
        let x = b.floats(&[8, 8]);
        let (a, c) = (b.op(TANH, &[x]), b.op(TANH, &[x]));
        let y = b.op(Op::MatMul, &[a, c]);
        b.output(y);
    });
    check("operands in another order", &["Add+Tanh", "Add+Tanh", "MatMul"], &["Add+Tanh", "MatMul"], |b| {
        let (x, z) = (b.floats(&[8, 8]), b.floats(&[8, 8]));
        let (a, c) = (b.op(ADD, &[x, z]), b.op(ADD, &[z, x]));
        let (a, c) = (b.op(TANH, &[a]), b.op(TANH, &[c]));
        let y = b.op(Op::MatMul, &[a, c]);
        b.output(y);
    });
    check(
        "equal constants, a shape written in two ways",
        &["Tanh+Add", "Tanh+Add", "MatMul"],
        &["Tanh+Add", "MatMul"],
        |b| {
            let x = b.floats(&[64]);
            let rows = reshaped(b, x, &[8, 8]);
            let same = reshaped(b, x, &[-1, 8]);
            let parts = [rows, same].map(|x| {
                let x = b.op(TANH, &[x]);
                let bias = b.constant(&floats(&[8], 3));
                b.op(ADD, &[x, bias])
            });
            let y = b.op(Op::MatMul, &parts);
            b.output(y);
        },
    );
    check("both are outputs", &["Tanh", "Tanh"], &["Tanh", "Tanh"], |b| {
        let x = b.floats(&[8]);
        for _ in 0..2 {
            let y = b.op(TANH, &[x]);
            b.output(y);
        }
    });
    check(
        "not the same: another attribute, another order",
        &["Sub", "Sub", "MatMul"],
        &["Sub", "Sub", "MatMul"],
        |b| {
            let (x, z) = (b.floats(&[8, 8]), b.floats(&[8, 8]));
            let (a, c) = (b.op(SUB, &[x, z]), b.op(SUB, &[z, x]));
            let y = b.op(Op::MatMul, &[a, c]);
            b.output(y);
        },
    );
}

#[test]
fn what_changes_nothing() {
    check("zeros, ones and a condition that always holds", &["Tanh+Add+Mul+Select"], &["Tanh"], |b| {
        let x = b.floats(&[6]);
        let y = b.op(TANH, &[x]);
        let (zero, ones) = (b.scalar(0.0), b.constant(&Tensor::from_f32(vec![6], &[1.0; 6]).expect("six")));
        let y = b.op(ADD, &[zero, y]);
        let y = b.op(MUL, &[y, ones]);
        let yes = b.constant(&Tensor::from_bool(vec![], &[true]).expect("one"));
        let y = b.op(Op::Select, &[yes, y, x]);
        b.output(y);
    });
    check("a one that broadcasts", &["Mul+Tanh"], &["Mul+Tanh"], |b| {
        let x = b.floats(&[6]);
        let ones = b.constant(&Tensor::from_f32(vec![2, 6], &[1.0; 12]).expect("twelve"));
        let y = b.op(MUL, &[x, ones]);
        let y = b.op(TANH, &[y]);
        b.output(y);
    });
    check("movement there and back", &["Tanh"], &["Tanh"], |b| {
        let x = b.floats(&[2, 3]);
        let y = b.op(Op::Transpose(vec![1, 0]), &[x]);
        let y = b.op(Op::Transpose(vec![1, 0]), &[y]);
        let y = reshaped(b, y, &[6]);
        let y = reshaped(b, y, &[2, 3]);
        let shape = b.ints(&[2, 3]);
        let y = b.op(Op::Expand, &[y, shape]);
        let [starts, ends, axes, steps] = [0, 9, 1, 1].map(|v| b.ints(&[v]));
        let y = b.op(Op::Slice, &[y, starts, ends, axes, steps]);
        let (pads, value) = (b.ints(&[0; 4]), b.scalar(7.0));
        let y = b.op(Op::Pad(PadMode::Constant), &[y, pads, value]);
        let y = b.op(Op::Cast(DType::F32), &[y]);
        let y = b.op(TANH, &[y]);
        b.output(y);
    });
    check("backwards is something else", &["Slice", "Tanh"], &["Slice", "Tanh"], |b| {
        let x = b.floats(&[4]);
        let [starts, ends, axes, steps] = [3, -9, 0, -1].map(|v| b.ints(&[v]));
        let y = b.op(Op::Slice, &[x, starts, ends, axes, steps]);
        let y = b.op(TANH, &[y]);
        b.output(y);
    });
}

/// `x · 1/√(mean(x²) + ε)` in one of the ways in which it is written.
fn rms(b: &mut Builder, x: ValueId, way: usize) -> ValueId {
    let (two, epsilon, axes) = (b.scalar(2.0), b.scalar(1e-3), b.ints(&[-1]));
    let square = if way == 0 { b.op(POW, &[x, two]) } else { b.op(MUL, &[x, x]) };
    let mean = b.op(MEAN, &[square, axes]);
    let spread = b.op(ADD, &[mean, epsilon]);
    let (half, one, minus) = (b.scalar(0.5), b.scalar(1.0), b.scalar(-0.5));
    match way {
        0 => {
            let root = b.op(SQRT, &[spread]);
            let scale = b.op(Op::Unary(UnaryOp::Reciprocal), &[root]);
            b.op(MUL, &[x, scale])
        }
        1 => {
            let root = b.op(POW, &[spread, half]);
            let scale = b.op(DIV, &[one, root]);
            b.op(MUL, &[scale, x])
        }
        2 => {
            let scale = b.op(POW, &[spread, minus]);
            b.op(MUL, &[x, scale])
        }
        _ => {
            let root = b.op(SQRT, &[spread]);
            b.op(DIV, &[x, root])
        }
    }
}

#[test]
fn normalisation_written_out() {
    for way in 0..4 {
        let mut builder = Builder::new("rms");
        let x = builder.floats(&[4, 64]);
        let y = rms(&mut builder, x, way);
        let scale = builder.constant(&floats(&[64], 3));
        let y = builder.op(MUL, &[y, scale]);
        builder.output(y);
        normalized(&builder, 1e-3, false);
        let mut builder = Builder::new("layer");
        let x = builder.floats(&[4, 64]);
        let axes = builder.ints(&[1]);
        let mean = builder.op(MEAN, &[x, axes]);
        let x = builder.op(SUB, &[x, mean]);
        let y = rms(&mut builder, x, way);
        builder.output(y);
        normalized(&builder, 1e-3, true);
    }
    check(
        "over another axis it stays",
        &["Mul", "ReduceMean+Add+Sqrt", "Div"],
        &["Mul", "ReduceMean+Add+Sqrt", "Div"],
        |b| {
            let x = b.floats(&[4, 64]);
            let (axes, epsilon) = (b.ints(&[0]), b.scalar(1e-3));
            let square = b.op(MUL, &[x, x]);
            let mean = b.op(MEAN, &[square, axes]);
            let spread = b.op(ADD, &[mean, epsilon]);
            let root = b.op(SQRT, &[spread]);
            let y = b.op(DIV, &[x, root]);
            b.output(y);
        },
    );
}

/// That one dispatch normalises so, and rightly.
fn normalized(builder: &Builder, epsilon: f32, center: bool) {
    let program = program(&builder.graph, &Target::generic(), way(true, true)).expect("a program");
    let [only] = &program.run.dispatches[..] else { panic!("{program}") };
    let Spec::Normalize(spec) = &*only.spec else { panic!("{program}") };
    assert_eq!((spec.rows, spec.len, spec.epsilon, spec.center), (4, 64, epsilon, center), "{program}");
    results(builder, 1e-5).expect("the same results");
}

#[test]
fn arithmetic_in_one_form() {
    let powers: [(f32, &[&str]); 6] = [
        (2.0, &["Pow"]),
        (3.0, &["Pow"]),
        (0.5, &["Pow"]),
        (-1.0, &["Pow"]),
        (-0.5, &["Pow"]),
        (1.5, &["Pow"]),
    ];
    for (exponent, ops) in powers {
        check("a power", ops, ops, |b| {
            let x = [0.25, 1.0, 2.0, 9.0, 100.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
            let x = b.input(Tensor::from_f32(vec![8], &x).expect("eight"));
            let exponent = b.scalar(exponent);
            let y = b.op(POW, &[x, exponent]);
            b.output(y);
        });
    }
    // A root where that is the same for every number.
    let root = |epsilon: f32, exponent: f32| {
        let mut b = Builder::new("the power of a mean of squares");
        let x = b.floats(&[4, 64]);
        let (axes, epsilon, exponent) = (b.ints(&[0]), b.scalar(epsilon), b.scalar(exponent));
        let square = b.op(MUL, &[x, x]);
        let mean = b.op(MEAN, &[square, axes]);
        let spread = b.op(ADD, &[mean, epsilon]);
        let y = b.op(POW, &[spread, exponent]);
        b.output(y);
        results(&b, 1e-5).expect("the same results");
        let program = program(&b.graph, &Target::generic(), way(true, true)).expect("a program");
        format!("{:?}", program.run.dispatches.last().expect("a dispatch").spec).contains("Sqrt")
    };
    assert!(root(1e-3, 0.5) && root(1e-3, -0.5));
    assert!(!root(-1e-3, 0.5), "the sum may be negative");
    let steps = |divisor: f32, dividend: Option<f32>| {
        let mut b = Builder::new("a quotient");
        let x = b.floats(&[5]);
        let number = b.scalar(dividend.unwrap_or(divisor));
        let y = b.op(DIV, &if dividend.is_some() { [number, x] } else { [x, number] });
        b.output(y);
        let program = program(&b.graph, &Target::generic(), way(true, true)).expect("a program");
        let Spec::Elementwise(spec) = &*program.run.dispatches[0].spec else { panic!("{program}") };
        format!("{:?}", spec.chain.steps[0].op)
    };
    assert_eq!(steps(8.0, None), "Binary(Mul)", "by a power of two");
    assert_eq!(steps(3.0, None), "Binary(Div)", "no reciprocal is exact");
    assert_eq!(steps(f32::MIN_POSITIVE / 2.0, None), "Binary(Div)", "the reciprocal overflows");
    assert_eq!(steps(0.0, Some(1.0)), "Unary(Reciprocal)");
    assert_eq!(steps(0.0, Some(2.0)), "Binary(Div)");
}

#[test]
fn padding_before_a_window() {
    let padded = |b: &mut Builder, value: f32, pads: [i64; 8]| {
        let x = b.floats(&[1, 2, 6, 6]);
        let x = b.op(TANH, &[x]);
        let (pads, value) = (b.ints(&pads), b.scalar(value));
        b.op(Op::Pad(PadMode::Constant), &[x, pads, value])
    };
    let conv = |b: &mut Builder, x: ValueId, pads: [i64; 4]| {
        let channels = b.shape(x)[1];
        let w = b.constant(&floats(&[3, channels, 3, 3], 1));
        let y = b.op(Op::Conv(window(pads), 1), &[x, w]);
        b.output(y);
    };
    let copied = ["Tanh", "Pad", "Pad", "Conv"];
    check("zeros before a convolution", &copied, &["Tanh", "Conv"], |b| {
        let x = padded(b, 0.0, [0, 0, 1, 0, 0, 0, 2, 1]);
        conv(b, x, [0, 1, 0, 1]);
    });
    check("another value", &copied, &copied, |b| {
        let x = padded(b, 1.0, [0, 0, 1, 1, 0, 0, 1, 1]);
        conv(b, x, [0; 4]);
    });
    check("channels too", &copied, &copied, |b| {
        let x = padded(b, 0.0, [0, 1, 1, 1, 0, 0, 1, 1]);
        conv(b, x, [0; 4]);
    });
    let pool = |count_pad| Op::Pool(PoolKind::Average { count_pad }, window([0; 4]));
    for count_pad in [false, true] {
        check("zeros before a mean", &["Tanh", "Pad", "Pad", "AveragePool"], &["Tanh", "AveragePool"], |b| {
            let x = padded(b, 0.0, [0, 0, 1, 1, 0, 0, 1, 1]);
            let y = b.op(pool(count_pad), &[x]);
            b.output(y);
        });
    }
    check(
        "zeros before a maximum",
        &["Tanh", "Pad", "Pad", "MaxPool"],
        &["Tanh", "Pad", "Pad", "MaxPool"],
        |b| {
            let x = padded(b, 0.0, [0, 0, 1, 1, 0, 0, 1, 1]);
            let y = b.op(Op::Pool(PoolKind::Max, window([0; 4])), &[x]);
            b.output(y);
        },
    );
}

/// Dispatches of the run by family, after all passes.
fn families(name: &str, expect: &[&str], build: impl Fn(&mut Builder)) {
    let mut builder = Builder::new(name);
    build(&mut builder);
    let target = Target { storage_alignment: 16, ..Target::generic() };
    let program = program(&builder.graph, &target, way(true, true)).expect(name);
    let families: Vec<&str> =
        program.run.dispatches.iter().map(|dispatch| bayplan_shaders::family(&dispatch.spec)).collect();
    assert_eq!(families, expect, "{name}\n{program}");
    results(&builder, 1e-5).unwrap_or_else(|e| panic!("{name}: {e}"));
}

#[test]
fn repeated_and_halved_dimensions_are_read_in_place() {
    let heads = |b: &mut Builder, x: ValueId| {
        let [batch, groups, len, size] =
            b.shape(x).try_into().map(|s: [usize; 4]| s.map(|d| d as i64)).expect("4");
        let x = unsqueezed(b, x, 2);
        let shape = b.ints(&[batch, groups, 3, len, size]);
        let x = b.op(Op::Expand, &[x, shape]);
        reshaped(b, x, &[batch, groups * 3, len, size])
    };
    for rows in [1, 5] {
        families("grouped queries", &["matmul", "softmax", "matmul"], |b| {
            let (q, k, v) = (b.floats(&[2, 12, rows, 8]), b.floats(&[2, 4, 7, 8]), b.floats(&[2, 4, 7, 8]));
            let (k, v) = (heads(b, k), heads(b, v));
            let k = b.op(Op::Transpose(vec![0, 1, 3, 2]), &[k]);
            let scores = b.op(Op::MatMul, &[q, k]);
            let (scale, mask) = (b.scalar(0.25), b.floats(&[2, 1, rows, 7]));
            let scores = b.op(MUL, &[scores, scale]);
            let scores = b.op(ADD, &[scores, mask]);
            let weights = b.op(Op::Softmax { axis: -1, log: false }, &[scores]);
            let y = b.op(Op::MatMul, &[weights, v]);
            b.output(y);
        });
    }
    families("rotated halves", &["elementwise"], |b| {
        let (x, cos, sin) = (b.floats(&[2, 3, 5, 16]), b.floats(&[2, 1, 5, 16]), b.floats(&[2, 1, 5, 16]));
        let half = |b: &mut Builder, from: i64, to: i64| {
            let [starts, ends, axes, steps] = [from, to, 3, 1].map(|v| b.ints(&[v]));
            b.op(Op::Slice, &[x, starts, ends, axes, steps])
        };
        let (first, second) = (half(b, 0, 8), half(b, 8, 16));
        let second = b.op(Op::Unary(UnaryOp::Neg), &[second]);
        let turned = b.op(Op::Concat { axis: 3 }, &[second, first]);
        let (a, c) = (b.op(MUL, &[x, cos]), b.op(MUL, &[turned, sin]));
        let y = b.op(ADD, &[a, c]);
        b.output(y);
    });
    families("angles beside themselves", &["elementwise"], |b| {
        let x = b.floats(&[2, 5, 8]);
        let x = b.op(Op::Concat { axis: 2 }, &[x, x]);
        let y = b.op(Op::Unary(UnaryOp::Cos), &[x]);
        b.output(y);
    });
    families("pieces that a softmax cannot follow", &["copy", "softmax"], |b| {
        let x = b.floats(&[2, 5, 8]);
        let x = b.op(Op::Concat { axis: 2 }, &[x, x]);
        let y = b.op(Op::Softmax { axis: -1, log: false }, &[x]);
        b.output(y);
    });
}

#[test]
fn parts_are_written_where_they_belong() {
    let layer = |b: &mut Builder, x: ValueId, filters: usize| {
        let channels = b.shape(x)[1];
        let w = b.constant(&floats(&[filters, channels, 3, 3], 1));
        b.op(Op::Conv(window([1; 4]), 1), &[x, w])
    };
    families("branches", &["conv", "conv", "pool", "elementwise"], |b| {
        let x = b.floats(&[1, 2, 8, 8]);
        let parts = [layer(b, x, 4), layer(b, x, 3), b.op(Op::Pool(PoolKind::Max, window([1; 4])), &[x])];
        let y = b.op(Op::Concat { axis: 1 }, &parts);
        let y = b.op(TANH, &[y]);
        b.output(y);
    });
    families("a dense block", &["conv", "conv", "conv", "conv", "elementwise"], |b| {
        let x = b.floats(&[1, 2, 8, 8]);
        let mut all = layer(b, x, 4);
        for _ in 0..3 {
            let next = layer(b, all, 4);
            all = b.op(Op::Concat { axis: 1 }, &[all, next]);
        }
        let y = b.op(TANH, &[all]);
        b.output(y);
    });
    families("in two images, each strides over the other part", &["conv", "conv"], |b| {
        let x = b.floats(&[2, 2, 8, 8]);
        let parts = [layer(b, x, 4), layer(b, x, 3)];
        let y = b.op(Op::Concat { axis: 1 }, &parts);
        b.output(y);
    });
    families("parts that share a vec4 are written by element", &["elementwise", "elementwise"], |b| {
        let (x, z) = (b.floats(&[5]), b.floats(&[6]));
        let parts = [b.op(TANH, &[x]), b.op(TANH, &[z])];
        let y = b.op(Op::Concat { axis: 0 }, &parts);
        b.output(y);
    });
    families(
        "an input is copied while nobody waits for it, then it again, an output and the same part",
        &["copy", "elementwise", "copy", "copy", "copy"],
        |b| {
            let x = b.floats(&[8]);
            let part = b.op(TANH, &[x]);
            let y = b.op(Op::Concat { axis: 0 }, &[x, part, part, x]);
            b.output(part);
            b.output(y);
        },
    );
    families("padding is not written over a part", &["elementwise", "elementwise", "copy"], |b| {
        let x = b.floats(&[4, 4]);
        let part = b.op(TANH, &[x]);
        let (pads, value) = (b.ints(&[4, 0, 4, 0]), b.scalar(2.0));
        let y = b.op(Op::Pad(PadMode::Constant), &[part, pads, value]);
        b.output(y);
    });
    families("a whole normalisation", &["normalize", "elementwise"], |b| {
        let x = b.floats(&[4, 8]);
        let part = b.op(Op::Normalize { axis: 1, epsilon: F32Bits::new(0.1), center: true }, &[x]);
        let other = b.op(TANH, &[x]);
        let y = b.op(Op::Concat { axis: 0 }, &[part, other]);
        b.output(y);
    });
}
