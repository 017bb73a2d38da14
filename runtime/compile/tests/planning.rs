//! What the plans of small graphs must need, to the byte, and that compiling is repeatable and quick.
//!
//! The shapes are those of the known scenarios, enlarged so that every tensor is a whole number of 16-byte units, the
//! finest alignment that kernels take: then nothing is rounded and the arenas are exact multiples of the scenarios' own.
//! Inputs are planned like everything else, live from the start of a run to their last reader, and are overwritten in
//! place where they die; outputs lie in the arena to the end. Constants are weights, not counted.

mod common;

use std::time::{Duration, Instant};

use bayplan_compile::{Arena, Options, Program};
use bayplan_graph::op::{BinaryOp, Keep, Op, PadMode, ReduceOp, UnaryOp, ViewOp};
use bayplan_graph::{DType, Tensor, ValueId};
use bayplan_shaders::Target;

use common::{Builder, floats, program, way, ways};

const EXP: Op = Op::Unary(UnaryOp::Exp);
const RESHAPE: Op = Op::View(ViewOp::Reshape { allow_zero: false });

fn target() -> Target {
    Target { storage_alignment: 16, ..Target::generic() }
}

fn compiled(builder: &Builder, options: Options) -> Program {
    program(&builder.graph, &target(), options).unwrap_or_else(|e| panic!("{}: {e}", builder.graph.name))
}

/// The arena without and with in place, both without fusion; with fusion it must not be larger.
fn arenas(name: &str, separate: u64, in_place: u64, build: impl Fn(&mut Builder)) {
    let mut builder = Builder::new(name);
    build(&mut builder);
    let peak = |fuse, in_place| {
        // Equal results are not one here, as the scenarios keep them.
        let program = compiled(&builder, Options { simplify: false, ..way(fuse, in_place) });
        assert_eq!(program.run.plan.peak, program.arena_bytes[Arena::Activations.index()], "{name}");
        program.run.plan.peak
    };
    assert_eq!((peak(false, false), peak(false, true)), (separate, in_place), "{name}");
    assert!(peak(true, true) <= in_place, "{name} fused: {}", peak(true, true));
}

fn exp(b: &mut Builder, x: ValueId, times: usize) -> ValueId {
    (0..times).fold(x, |x, _| b.op(EXP, &[x]))
}

fn reshape(b: &mut Builder, x: ValueId, shape: &[i64]) -> ValueId {
    let shape = b.ints(shape);
    b.op(RESHAPE, &[x, shape])
}

#[test]
fn chains_through_views() {
    // Four times the scenario's 80 and 72 bytes.
    arenas("exp, reshape, relu, add, pad, log", 320, 288, |b| {
        let x = b.floats(&[8, 4]);
        let y = exp(b, x, 1);
        let y = reshape(b, y, &[32]);
        let y = b.op(Op::Unary(UnaryOp::Relu), &[y]);
        let one = b.scalar(1.0);
        let y = b.op(Op::Binary(BinaryOp::Add), &[y, one]);
        let (pads, zero) = (b.ints(&[0, 8]), b.scalar(0.0));
        let y = b.op(Op::Pad(PadMode::Constant), &[y, pads, zero]);
        let y = b.op(Op::Unary(UnaryOp::Log), &[y]);
        b.output(y);
    });
    arenas("exp, reshape, relu", 64, 32, |b| {
        let x = b.floats(&[8]);
        let y = exp(b, x, 1);
        let y = reshape(b, y, &[2, 4]);
        let y = b.op(Op::Unary(UnaryOp::Relu), &[y]);
        b.output(y);
    });
    arenas("three of 20", 160, 80, |b| {
        let x = b.floats(&[20]);
        let y = exp(b, x, 3);
        b.output(y);
    });
    arenas("three of 20 × 5 × 15", 12_000, 6_000, |b| {
        let x = b.floats(&[20, 5, 15]);
        let y = exp(b, x, 3);
        b.output(y);
    });
}

#[test]
fn results_that_are_all_kept() {
    // Four times the scenario's 96 and 72: the third exp finds x dying, so three buffers do in place.
    arenas("three, then three outputs", 4 * 96, 4 * 72, |b| {
        let x = b.floats(&[8, 3]);
        let list: Vec<ValueId> = (0..3).map(|_| exp(b, x, 1)).collect();
        for y in list {
            let z = exp(b, y, 1);
            b.output(z);
        }
    });
}

#[test]
fn a_slice_overwrites_part_of_what_it_was_cut_from() {
    // The scenario's 1536 and 1024 do not count its input; with it, exp(input) beside its input makes 2048.
    arenas("half of it, twice", 2048, 1024, |b| {
        let x = b.floats(&[16, 16]);
        let x = exp(b, x, 1);
        let flat = reshape(b, x, &[256]);
        let [starts, ends, axes, steps] = [0, 128, 0, 1].map(|v| b.ints(&[v]));
        let half = b.op(Op::Slice, &[flat, starts, ends, axes, steps]);
        let y = exp(b, half, 2);
        b.output(y);
    });
    // The second half, from where it lies; the output keeps the whole alive, so there is nothing smaller either way.
    arenas("the other half", 2048, 1024, |b| {
        let x = b.floats(&[16, 16]);
        let x = exp(b, x, 1);
        let [starts, ends, axes, steps] = [8, 16, 0, 1].map(|v| b.ints(&[v]));
        let half = b.op(Op::Slice, &[x, starts, ends, axes, steps]);
        let y = exp(b, half, 2);
        b.output(y);
    });
    // Keeping a large buffer alive for a small result would cost more here than a buffer of its own.
    arenas("a small part, then something large", 2048, 1088, |b| {
        let x = b.floats(&[16, 16]);
        let x = exp(b, x, 1);
        let [starts, ends, axes, steps] = [0, 1, 0, 1].map(|v| b.ints(&[v]));
        let row = b.op(Op::Slice, &[x, starts, ends, axes, steps]);
        let row = exp(b, row, 1);
        let shape = b.ints(&[16, 16]);
        let wide = b.op(Op::Expand, &[row, shape]);
        let y = exp(b, wide, 1);
        [row, y].into_iter().for_each(|id| b.output(id));
    });
}

#[test]
fn independent_reductions() {
    // 96-byte inputs; x, its exp and the other input at once; results of 16 bytes. (In the scenario the results go into
    // the caller's memory and inputs are the caller's, so that 24 bytes are left; such outputs cannot be asked for yet.)
    arenas("exp and max beside neg and max", 3 * 96, 2 * 96 + 16, |b| {
        let x = b.floats(&[4, 6]);
        let y = b.input(Tensor::zeros(DType::I32, vec![4, 6]).expect("small"));
        let axes = b.ints(&[1]);
        for (x, op) in [(x, UnaryOp::Exp), (y, UnaryOp::Neg)] {
            let z = b.op(Op::Unary(op), &[x]);
            let z = b.op(Op::Reduce(ReduceOp::Max, Keep::None), &[z, axes]);
            b.output(z);
        }
    });
}

/// A net of blocks with branches and joins: `a` and `b` from the trunk, joined.
fn net(blocks: usize) -> Builder {
    let mut b = Builder::new("net");
    let mut x = b.floats(&[32, 32]);
    let w = b.constant(&floats(&[32, 32], 1));
    for block in 0..blocks {
        let y = b.op(Op::MatMul, &[x, w]);
        let bias = b.constant(&floats(&[32], block));
        let y = b.op(Op::Binary(BinaryOp::Add), &[y, bias]);
        let a = b.op(Op::Unary(UnaryOp::Tanh), &[y]);
        let n = b.op(Op::Softmax { axis: 1, log: false }, &[y]);
        let m = b.op(Op::Transpose(vec![1, 0]), &[n]);
        let p = b.op(Op::MatMul, &[a, m]);
        x = b.op(Op::Binary(BinaryOp::Add), &[p, x]);
    }
    b.output(x);
    b
}

#[test]
fn the_same_input_gives_the_same_program() {
    let builder = net(20);
    for options in ways() {
        let (one, two) = (compiled(&builder, options.clone()), compiled(&builder, options));
        assert_eq!(one, two);
        assert_eq!(format!("{one:?}"), format!("{two:?}"));
        assert_eq!(one.to_string(), two.to_string());
    }
}

#[test]
fn compiling_grows_in_line_with_the_graph() {
    // 430 blocks are 3,010 nodes. Without fusion every node but the transposes is a dispatch.
    let time = |builder: &Builder, options: &Options| {
        let options = options.clone();
        let start = Instant::now();
        let program = compiled(builder, options);
        (start.elapsed(), program.run.dispatches.len())
    };
    let (small, large) = (net(43), net(430));
    for options in ways() {
        let runs = (0..3).map(|_| (time(&small, &options), time(&large, &options)));
        let ((a, _), (b, dispatches)) = runs.min_by_key(|(_, large)| large.0).expect("three runs");
        println!(
            "fuse {}, in place {}: 301 nodes {a:?}, 3,010 nodes {b:?}, {dispatches} dispatches",
            options.fuse, options.in_place
        );
        // Ten times the graph; squares would show as a hundred. Short times are all noise.
        assert!(b < a * 30 + Duration::from_millis(200), "{a:?} for 301 nodes, {b:?} for 3,010");
    }
    // Nothing depends on anything: no barrier ever empties what the placing of barriers remembers.
    let mut wide = Builder::new("wide");
    for _ in 0..1500 {
        let x = wide.floats(&[32]);
        let y = wide.op(EXP, &[x]);
        wide.output(y);
    }
    let (took, dispatches) = time(&wide, &way(false, false));
    println!("{dispatches} independent dispatches: {took:?}");
    assert_eq!(dispatches, 1500);
    assert!(took < Duration::from_secs(5), "{took:?}");
}
