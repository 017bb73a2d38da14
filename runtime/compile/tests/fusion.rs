//! What joins what: the dispatches of small graphs, by the operators they came from.

mod common;

use bayplan_graph::op::{BinaryOp, F32Bits, Keep, Op, Pads, ReduceOp, UnaryOp, Window};
use bayplan_graph::{DType, Tensor, ValueId};
use bayplan_shaders::Target;

use common::{Builder, floats, program, way};

const TANH: Op = Op::Unary(UnaryOp::Tanh);
const ADD: Op = Op::Binary(BinaryOp::Add);
const MUL: Op = Op::Binary(BinaryOp::Mul);

/// The dispatches of the load and the run stage after fusion.
fn check(name: &str, load: &[&str], run: &[&str], build: impl Fn(&mut Builder)) {
    let mut builder = Builder::new(name);
    build(&mut builder);
    let program = program(&builder.graph, &Target::generic(), way(true, true)).expect(name);
    let ops = |stage: &bayplan_compile::Stage| {
        stage.dispatches.iter().map(|dispatch| dispatch.source_op.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        (ops(&program.load), ops(&program.run)),
        (load.iter().map(ToString::to_string).collect(), {
            run.iter().map(ToString::to_string).collect::<Vec<_>>()
        }),
        "{name}\n{program}"
    );
}

fn layer(b: &mut Builder, x: ValueId) -> ValueId {
    let w = b.constant(&floats(&[32, 32], 1));
    b.op(Op::MatMul, &[x, w])
}

#[test]
fn chains_and_epilogues() {
    check("a chain", &[], &["Tanh+Mul+Add"], |b| {
        let x = b.floats(&[32, 32]);
        let y = b.op(TANH, &[x]);
        let y = b.op(MUL, &[y, x]);
        let y = b.op(ADD, &[y, x]);
        b.output(y);
    });
    check("two chains meet", &[], &["Neg", "Tanh+Add"], |b| {
        let (x, z) = (b.floats(&[32, 32]), b.floats(&[32]));
        let y = b.op(TANH, &[x]);
        let z = b.op(Op::Unary(UnaryOp::Neg), &[z]);
        // What is broadcast is computed once for each of its own elements, not for each of the result's.
        let z = b.op(ADD, &[y, z]);
        b.output(z);
    });
    check("bias and activation", &[], &["MatMul+Add+Tanh"], |b| {
        let x = b.floats(&[4, 32]);
        let y = layer(b, x);
        let bias = b.constant(&floats(&[32], 2));
        let y = b.op(ADD, &[y, bias]);
        let y = b.op(TANH, &[y]);
        b.output(y);
    });
    check("convolution, scale and shift per channel, activation", &[], &["Conv+Mul+Add+Relu"], |b| {
        let x = b.floats(&[1, 3, 8, 8]);
        let w = b.constant(&floats(&[4, 3, 3, 3], 1));
        let pads = Pads::Explicit(vec![1; 4]);
        let window =
            Window { kernel: vec![3, 3], strides: vec![1, 1], dilations: vec![1, 1], pads, ceil: false };
        let mut y = b.op(Op::Conv(window, 1), &[x, w]);
        for op in [MUL, ADD] {
            let c = b.constant(&floats(&[4, 1, 1], 2));
            y = b.op(op, &[y, c]);
        }
        let y = b.op(Op::Unary(UnaryOp::Relu), &[y]);
        b.output(y);
    });
    check("reduction and normalisation", &[], &["ReduceSum+Tanh", "LayerNormalize+Mul"], |b| {
        let x = b.floats(&[4, 32]);
        let axes = b.ints(&[1]);
        let sums = b.op(Op::Reduce(ReduceOp::Sum, Keep::Dims), &[x, axes]);
        let sums = b.op(TANH, &[sums]);
        let y = b.op(Op::Normalize { axis: 1, epsilon: F32Bits::new(0.1), center: true }, &[x]);
        let y = b.op(MUL, &[y, x]);
        [sums, y].into_iter().for_each(|id| b.output(id));
    });
}

#[test]
fn what_stays_apart() {
    check("an output in the middle", &[], &["Tanh", "Tanh"], |b| {
        let x = b.floats(&[32, 32]);
        let y = b.op(TANH, &[x]);
        let z = b.op(TANH, &[y]);
        [y, z].into_iter().for_each(|id| b.output(id));
    });
    check("a value read twice", &[], &["Tanh", "MatMul+Add"], |b| {
        let x = b.floats(&[4, 32]);
        let y = b.op(TANH, &[x]);
        let z = layer(b, y);
        let z = b.op(ADD, &[z, y]);
        b.output(z);
    });
    check("the same value seen in two ways", &[], &["Tanh", "Add"], |b| {
        let x = b.floats(&[32, 32]);
        let y = b.op(TANH, &[x]);
        let t = b.op(Op::Transpose(vec![1, 0]), &[y]);
        let z = b.op(ADD, &[y, t]);
        b.output(z);
    });
    check("what follows from weights is computed while loading", &["Tanh+Neg"], &["Add"], |b| {
        let x = b.floats(&[40, 40]);
        let w = b.constant(&floats(&[40, 40], 1));
        let w = b.op(TANH, &[w]);
        let w = b.op(Op::Unary(UnaryOp::Neg), &[w]);
        let y = b.op(ADD, &[x, w]);
        b.output(y);
    });
    check("an epilogue of another type", &[], &["MatMul", "Cast"], |b| {
        let x = b.floats(&[4, 32]);
        let y = layer(b, x);
        let y = b.op(Op::Cast(DType::I32), &[y]);
        b.output(y);
    });
}

#[test]
fn what_is_never_dispatched() {
    check("views of every kind", &[], &["Tanh"], |b| {
        let x = b.floats(&[2, 3, 4]);
        let shape = b.ints(&[6, 4]);
        let y = b.op(Op::View(bayplan_graph::op::ViewOp::Reshape { allow_zero: true }), &[x, shape]);
        let y = b.op(Op::Transpose(vec![1, 0]), &[y]);
        let axes = b.ints(&[0]);
        let y = b.op(Op::View(bayplan_graph::op::ViewOp::Unsqueeze), &[y, axes]);
        let y = b.op(Op::Reduce(ReduceOp::Max, Keep::None), &[y, axes]);
        let [starts, ends, axes, steps] = [0, 2, 0, 1].map(|v| b.ints(&[v]));
        let y = b.op(Op::Slice, &[y, starts, ends, axes, steps]);
        let first = b.constant(&Tensor::from_i64(vec![], &[0]).expect("one"));
        let y = b.op(Op::Gather { axis: 0 }, &[y, first]);
        let y = b.op(TANH, &[y]);
        b.output(y);
    });
    check("what no output needs", &[], &["Tanh"], |b| {
        let x = b.floats(&[32, 32]);
        let w = b.constant(&floats(&[40, 40], 1));
        b.op(TANH, &[w]);
        layer(b, x);
        let y = b.op(TANH, &[x]);
        b.output(y);
    });
    check("what follows from small constants", &[], &["Add"], |b| {
        let x = b.floats(&[32]);
        let c = b.constant(&floats(&[32], 1));
        let c = b.op(TANH, &[c]);
        let y = b.op(ADD, &[x, c]);
        b.output(y);
    });
}
