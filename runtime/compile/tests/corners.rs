//! Corner cases on a device, against the reference evaluation: one row each.

mod common;

use bayplan_graph::op::{
    BinaryOp, F32Bits, Keep, Op, PadMode, Pads, PoolKind, ReduceOp, UnaryOp, ViewOp, Window,
};
use bayplan_graph::{DType, Graph, Tensor, ValueId};

use common::{Builder, check, device, floats, program, way};

const EXP: Op = Op::Unary(UnaryOp::Tanh);
const ADD: Op = Op::Binary(BinaryOp::Add);
const RESHAPE: Op = Op::View(ViewOp::Reshape { allow_zero: true });

/// Builds a graph and compares it with the reference.
fn row(name: &str, build: impl Fn(&mut Builder)) {
    let mut builder = Builder::new(name);
    build(&mut builder);
    check(&builder, 2e-5).unwrap_or_else(|e| panic!("{name}: {e}"));
}

fn reshape(b: &mut Builder, x: ValueId, shape: &[i64]) -> ValueId {
    let shape = b.ints(shape);
    b.op(RESHAPE, &[x, shape])
}

/// One slice: axis, start, end, step.
fn slice(b: &mut Builder, x: ValueId, axis: i64, start: i64, end: i64, step: i64) -> ValueId {
    let [starts, ends, axes, steps] = [start, end, axis, step].map(|v| b.ints(&[v]));
    b.op(Op::Slice, &[x, starts, ends, axes, steps])
}

fn window(kernel: [usize; 2], strides: [usize; 2], pads: Pads) -> Window {
    Window { kernel: kernel.into(), strides: strides.into(), dilations: vec![1, 1], pads, ceil: false }
}

#[test]
fn outputs_that_are_something_else() {
    row("an input", |b| {
        let x = b.floats(&[3]);
        b.output(x);
    });
    row("the same value three times, and read on", |b| {
        let x = b.floats(&[2, 3]);
        let y = b.op(EXP, &[x]);
        let z = b.op(EXP, &[y]);
        [y, y, z, y, z].into_iter().for_each(|id| b.output(id));
    });
    row("a constant, small and large", |b| {
        let x = b.floats(&[1]);
        let (small, large) = (b.constant(&floats(&[5], 1)), b.constant(&floats(&[40, 40], 2)));
        [small, x, large].into_iter().for_each(|id| b.output(id));
    });
    row("computed from weights, and read on", |b| {
        let w = b.constant(&floats(&[40, 40], 2));
        let y = b.op(EXP, &[w]);
        let z = b.op(EXP, &[y]);
        let x = b.floats(&[40]);
        let s = b.op(ADD, &[z, x]);
        [y, s].into_iter().for_each(|id| b.output(id));
    });
    row("weights prepared one after the other in the same memory", |b| {
        let x = b.floats(&[40]);
        for (seed, size) in [(1, 40), (2, 80), (3, 50), (4, 120)] {
            let w = b.constant(&floats(&[40, size], seed));
            let t = b.op(Op::Transpose(vec![1, 0]), &[w]);
            let w = b.op(EXP, &[t]);
            let w = b.op(Op::Softmax { axis: 1, log: false }, &[w]);
            let y = b.op(ADD, &[w, x]);
            b.output(y);
        }
    });
    row("views of one tensor", |b| {
        let x = b.floats(&[2, 6]);
        let y = b.op(EXP, &[x]);
        let t = b.op(Op::Transpose(vec![1, 0]), &[y]);
        let r = reshape(b, y, &[3, 4]);
        let s = slice(b, y, 1, 1, 3, 1);
        [t, r, s, y, t].into_iter().for_each(|id| b.output(id));
    });
    row("nothing, in every way", |b| {
        let x = b.floats(&[0, 4]);
        let y = b.op(EXP, &[x]);
        let w = b.floats(&[4, 3]);
        let m = b.op(Op::MatMul, &[y, w]);
        let c = b.constant(&floats(&[2, 0], 0));
        [x, y, m, c].into_iter().for_each(|id| b.output(id));
    });
    row("no dispatch at all, inputs nobody reads", |b| {
        b.floats(&[7]);
        let x = b.floats(&[0]);
        b.output(x);
    });
}

/// Ports have the interface's names, also where values need others.
#[test]
fn ports_are_named_as_in_the_model() {
    let mut b = Builder::new("names");
    let x = b.floats(&[3]);
    let y = b.op(EXP, &[x]);
    [y, x, y].into_iter().for_each(|id| b.output(id));
    let names = |graph: &Graph| {
        let program = program(graph, device().target(), way(true, true)).expect("a program");
        program.outputs.iter().map(|port| port.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&b.graph), ["v1", "v0", "v1"]);
    b.graph.output_names = ["sum", "v0", "sum"].map(Into::into).to_vec();
    assert_eq!(names(&b.graph), ["sum", "v0", "sum"]);
}

#[test]
fn views() {
    row("slices, backwards and beyond", |b| {
        let x = b.floats(&[5, 6]);
        let one = slice(b, x, 0, -1, i64::MIN, -1);
        let two = slice(b, one, 1, i64::MAX, 0, -2);
        let three = slice(b, x, 1, 4, 1, i64::MIN);
        let four = slice(b, x, 0, 7, 9, 1);
        let five = b.op(EXP, &[two]);
        [one, two, three, four, five].into_iter().for_each(|id| b.output(id));
    });
    row("a row at an offset that cannot be bound, broadcast", |b| {
        let x = b.floats(&[3, 5]);
        let r = slice(b, x, 0, 1, 2, 1);
        let y = b.op(ADD, &[x, r]);
        b.output(y);
    });
    row("parts of a dying tensor, overwritten where they lie", |b| {
        let x = b.floats(&[16, 16]);
        let y = b.op(EXP, &[x]);
        let half = slice(b, y, 0, 8, 16, 1);
        let half = b.op(EXP, &[half]);
        let quarter = slice(b, half, 0, 4, 8, 1);
        let quarter = b.op(Op::Softmax { axis: 1, log: false }, &[quarter]);
        b.output(quarter);
    });
    row("expand, transpose, reshape: copied once", |b| {
        let x = b.floats(&[3, 1]);
        let shape = b.ints(&[2, 3, 4]);
        let e = b.op(Op::Expand, &[x, shape]);
        let t = b.op(Op::Transpose(vec![2, 0, 1]), &[e]);
        let r = reshape(b, t, &[8, 3]);
        let y = b.op(EXP, &[r]);
        let s = b.op(Op::Softmax { axis: 0, log: false }, &[r]);
        [y, s].into_iter().for_each(|id| b.output(id));
    });
    row("expand to and from a scalar", |b| {
        let x = b.floats(&[]);
        let none = b.ints(&[]);
        let same = b.op(Op::Expand, &[x, none]);
        let shape = b.ints(&[2, 0, 3]);
        let empty = b.op(Op::Expand, &[x, shape]);
        let one = b.ints(&[1, 1]);
        let ones = b.op(Op::Expand, &[same, one]);
        [same, empty, ones].into_iter().for_each(|id| b.output(id));
    });
    row("split with empty pieces, concat of them", |b| {
        let x = b.floats(&[2, 6]);
        let sizes = b.ints(&[1, 0, 3, 2]);
        let parts = b.try_ops(Op::Split { axis: -1 }, &[x, sizes], 4).expect("split");
        let y = b.op(Op::Concat { axis: 1 }, &[parts[1], parts[3], parts[1], parts[0]]);
        let alone = b.op(Op::Concat { axis: 1 }, &[parts[1], parts[2]]);
        let empty = b.op(Op::Concat { axis: 1 }, &[parts[1], parts[1]]);
        let z = b.op(Op::Concat { axis: 0 }, &[parts[3], parts[3], parts[3]]);
        [y, alone, empty, z].into_iter().for_each(|id| b.output(id));
    });
    row("casts that change nothing, and back and forth", |b| {
        let x = b.floats(&[4]);
        let same = b.op(Op::Cast(DType::F32), &[x]);
        let ints = b.op(Op::Cast(DType::I64), &[same]);
        let back = b.op(Op::Cast(DType::F32), &[ints]);
        let bits = b.op(Op::Cast(DType::Bool), &[x]);
        let bytes = b.op(Op::Cast(DType::U8), &[bits]);
        [same, ints, back, bits, bytes].into_iter().for_each(|id| b.output(id));
    });
}

#[test]
fn padding_and_filling() {
    row("pad: grow, crop, both, all", |b| {
        let x = b.floats(&[3, 4]);
        let value = b.scalar(7.5);
        for pads in [[1, 0, 0, 2], [-1, 1, 0, -2], [0, -1, -1, 0], [0, -4, 2, 5], [0, 0, 0, 0]] {
            let pads = b.ints(&pads);
            let y = b.op(Op::Pad(PadMode::Constant), &[x, pads, value]);
            b.output(y);
        }
        let empty = b.floats(&[0, 2]);
        let pads = b.ints(&[1, 1, 1, 0]);
        let y = b.op(Op::Pad(PadMode::Constant), &[empty, pads, value]);
        b.output(y);
    });
    row("pad with a value from data", |b| {
        let (x, value) = (b.floats(&[3, 4]), b.floats(&[1]));
        for pads in [[1, 0, 0, 2], [-1, 1, 0, -2], [0, -4, 2, 5]] {
            let pads = b.ints(&pads);
            let y = b.op(Op::Pad(PadMode::Constant), &[x, pads, value]);
            b.output(y);
        }
    });
    row("pad with edges", |b| {
        let x = b.floats(&[3, 4]);
        let value = b.scalar(0.0);
        for mode in [PadMode::Reflect, PadMode::Edge, PadMode::Wrap] {
            for pads in [[1, 2, 2, 0], [0, -1, 1, 2], [-1, 0, 0, 3]] {
                let pads = b.ints(&pads);
                let y = b.op(Op::Pad(mode), &[x, pads, value]);
                b.output(y);
            }
        }
    });
    row("pad with whole repetitions along both axes, tiles", |b| {
        let x = b.floats(&[2, 2]);
        let value = b.scalar(0.0);
        for pads in [[1, 1, 1, 1], [2, 0, 0, 2], [0, 2, 2, 0], [2, 2, 0, 0]] {
            let pads = b.ints(&pads);
            let y = b.op(Op::Pad(PadMode::Wrap), &[x, pads, value]);
            b.output(y);
        }
        let down = b.op(Op::Concat { axis: 0 }, &[x, x, x]);
        let tiled = b.op(Op::Concat { axis: 1 }, &[down, down]);
        b.output(tiled);
    });
    row("fill: read, returned, of a computed value, large", |b| {
        let x = b.floats(&[40, 40]);
        let one = slice(b, x, 0, 0, 1, 1);
        let one = slice(b, one, 1, 3, 4, 1);
        let shape = b.ints(&[40, 40]);
        let value = b.scalar(1.5);
        let constant = b.op(Op::Fill, &[shape, value]);
        let computed = b.op(Op::Fill, &[shape, one]);
        let y = b.op(ADD, &[x, constant]);
        let z = b.op(ADD, &[computed, y]);
        [constant, computed, z].into_iter().for_each(|id| b.output(id));
    });
    row("ranges", |b| {
        let list = [(0, 4000, 1), (5, 0, -2), (3, 3, 1)];
        for (start, limit, delta) in list {
            let [s, l, d] =
                [start, limit, delta].map(|v| b.constant(&Tensor::from_i64(vec![], &[v]).expect("one")));
            let y = b.op(Op::Range, &[s, l, d]);
            b.output(y);
        }
        let [s, l, d] = [0.5, 2000.0, 0.25].map(|v| b.scalar(v));
        let y = b.op(Op::Range, &[s, l, d]);
        b.output(y);
    });
}

#[test]
fn products() {
    let shapes: [(&[usize], &[usize]); 12] = [
        (&[5], &[5]),
        (&[5], &[5, 3]),
        (&[2, 5], &[5]),
        (&[5], &[2, 5, 3]),
        (&[3, 2, 5], &[5]),
        (&[2, 0], &[0, 3]),
        (&[2, 1, 3, 4], &[1, 3, 4, 2]),
        (&[2, 3, 4, 5], &[5, 1]),
        (&[0, 2, 3], &[3, 2]),
        (&[1, 1, 4], &[2, 4, 1]),
        (&[3, 1, 4], &[4, 2]),
        (&[1, 0], &[0]),
    ];
    for (a, b) in shapes {
        row(&format!("product of {a:?} and {b:?}"), |builder| {
            let (a, b) = (builder.floats(a), builder.floats(b));
            let y = builder.op(Op::MatMul, &[a, b]);
            let z = builder.op(ADD, &[y, y]);
            builder.output(z);
        });
    }
    row("operands that are views", |b| {
        let (x, w) = (b.floats(&[2, 3, 8, 4]), b.floats(&[2, 3, 8, 4]));
        let t = b.op(Op::Transpose(vec![0, 1, 3, 2]), &[w]);
        let scores = b.op(Op::MatMul, &[x, t]);
        let heads = b.op(Op::Transpose(vec![0, 2, 1, 3]), &[x]);
        let one = slice(b, heads, 2, 1, 2, 1);
        let one = reshape(b, one, &[2, 8, 4]);
        let m = b.constant(&floats(&[4, 40], 3));
        let projected = b.op(Op::MatMul, &[one, m]);
        let flipped = slice(b, x, 3, -1, i64::MIN, -1);
        let reversed = b.op(Op::MatMul, &[flipped, t]);
        [scores, projected, reversed].into_iter().for_each(|id| b.output(id));
    });
    row("epilogues with operands of every layout", |b| {
        let (x, w) = (b.floats(&[2, 3, 8, 4]), b.constant(&floats(&[4, 8], 1)));
        let y = b.op(Op::MatMul, &[x, w]);
        let mut sum = y;
        for shape in [&[8][..], &[8, 1], &[3, 1, 1], &[2, 1, 1, 8], &[1], &[]] {
            let c = b.floats(shape);
            sum = b.op(ADD, &[sum, c]);
        }
        let t = b.floats(&[2, 3, 8, 8]);
        let t = b.op(Op::Transpose(vec![0, 1, 3, 2]), &[t]);
        let sum = b.op(ADD, &[sum, t]);
        b.output(sum);
    });
}

#[test]
fn windows() {
    let conv = |b: &mut Builder, x: &[usize], w: &[usize], window: Window, groups: usize| {
        let (x, w) = (b.floats(x), b.constant(&floats(w, 5)));
        let y = b.op(Op::Conv(window, groups), &[x, w]);
        let bias = b.constant(&floats(&[b.shape(y)[1], 1, 1], 9));
        let y = b.op(ADD, &[y, bias]);
        let y = b.op(Op::Unary(UnaryOp::Relu), &[y]);
        b.output(y);
    };
    let ones = || Pads::Explicit(vec![1; 4]);
    row("same padding", |b| {
        conv(b, &[1, 3, 7, 5], &[4, 3, 3, 2], window([3, 2], [2, 2], Pads::Same { upper: false }), 1);
        conv(b, &[1, 3, 7, 5], &[4, 3, 3, 2], window([3, 2], [2, 2], Pads::Same { upper: true }), 1);
    });
    row("negative padding", |b| {
        conv(b, &[1, 2, 6, 7], &[3, 2, 2, 2], window([2, 2], [1, 1], Pads::Explicit(vec![-1, 1, 0, -2])), 1);
    });
    row("no channels, no filters, no images", |b| {
        conv(b, &[1, 0, 4, 4], &[2, 0, 3, 3], window([3, 3], [1, 1], ones()), 1);
        conv(b, &[1, 2, 4, 4], &[0, 2, 3, 3], window([3, 3], [1, 1], ones()), 1);
        conv(b, &[0, 2, 4, 4], &[2, 2, 3, 3], window([3, 3], [1, 1], ones()), 1);
    });
    row("one axis, groups", |b| {
        let one = Window {
            kernel: vec![3],
            strides: vec![2],
            dilations: vec![2],
            pads: Pads::Explicit(vec![2, 1]),
            ceil: false,
        };
        let (x, w) = (b.floats(&[2, 4, 9]), b.floats(&[6, 2, 3]));
        let y = b.op(Op::Conv(one.clone(), 2), &[x, w]);
        let p = b.op(Op::Pool(PoolKind::Average { count_pad: false }, one), &[x]);
        [y, p].into_iter().for_each(|id| b.output(id));
    });
    row("one weight for two convolutions that want it packed, and one that does not", |b| {
        let w = b.constant(&floats(&[10, 3, 3, 3], 5));
        for (shape, strides) in [([1, 3, 8, 8], [1, 1]), ([2, 3, 4, 8], [1, 1]), ([1, 3, 8, 8], [2, 2])] {
            let x = b.floats(&shape);
            let y = b.op(Op::Conv(window([3, 3], strides, ones()), 1), &[x, w]);
            b.output(y);
        }
        b.output(w);
    });
    row("pools, also of padding", |b| {
        let x = b.floats(&[1, 2, 5, 6]);
        let kinds = [PoolKind::Max, PoolKind::Average { count_pad: true }];
        for kind in kinds {
            for pads in [vec![1, 0, 1, 2], vec![0, -1, -2, 0]] {
                let y = b.op(Op::Pool(kind, window([2, 3], [2, 1], Pads::Explicit(pads))), &[x]);
                b.output(y);
            }
        }
        let none = b.floats(&[1, 2, 0, 3]);
        for kind in [PoolKind::Max, PoolKind::Average { count_pad: true }] {
            let y = b.op(Op::Pool(kind, window([2, 2], [1, 1], ones())), &[none]);
            b.output(y);
        }
    });
}

#[test]
fn rows_and_selections() {
    row("reductions over none, some, apart, all and nothing", |b| {
        let x = b.floats(&[2, 3, 1, 4]);
        for axes in [&[][..], &[2], &[-1], &[0, 3], &[1, 2], &[0, 1, 2, 3]] {
            let axes = b.ints(axes);
            for (op, keep) in [(ReduceOp::Sum, Keep::Dims), (ReduceOp::Max, Keep::None)] {
                let y = b.op(Op::Reduce(op, keep), &[x, axes]);
                let y = b.op(EXP, &[y]);
                b.output(y);
            }
        }
        let empty = b.floats(&[3, 0]);
        let axes = b.ints(&[1]);
        for op in [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Prod, ReduceOp::Max, ReduceOp::Min] {
            let y = b.op(Op::Reduce(op, Keep::None), &[empty, axes]);
            b.output(y);
        }
    });
    row("integers reduced", |b| {
        let x = b.input(Tensor::from_i64(vec![3, 4], &[5, -2, 7, 1, 0, 9, -9, 3, 2, 2, 8, 6]).expect("12"));
        let narrow = b.op(Op::Cast(DType::I32), &[x]);
        let axes = b.ints(&[1]);
        let none = b.input(Tensor::from_i64(vec![3, 0], &[]).expect("none"));
        let bytes = b.input(Tensor::from_ints(DType::I8, vec![2, 0], &[]).expect("none"));
        for op in [ReduceOp::Sum, ReduceOp::Prod, ReduceOp::Max, ReduceOp::Min] {
            for empty in [none, bytes] {
                let y = b.op(Op::Reduce(op, Keep::None), &[empty, axes]);
                b.output(y);
            }
        }
        for op in [ReduceOp::Sum, ReduceOp::Max, ReduceOp::Min] {
            let y = b.op(Op::Reduce(op, Keep::Dims), &[x, axes]);
            let z = b.op(Op::Reduce(op, Keep::None), &[narrow, axes]);
            let f = b.op(Op::Cast(DType::F32), &[z]);
            [y, f].into_iter().for_each(|id| b.output(id));
        }
    });
    row("softmax and normalisation, of nothing too", |b| {
        let (x, empty) = (b.floats(&[2, 3, 5]), b.floats(&[2, 0, 5]));
        let norm = Op::Normalize { axis: -1, epsilon: F32Bits::new(1e-3), center: true };
        for x in [x, empty] {
            for op in [Op::Softmax { axis: 1, log: false }, Op::Softmax { axis: -1, log: true }, norm.clone()]
            {
                let y = b.op(op, &[x]);
                b.output(y);
            }
        }
    });
    row("gathers from views, of one, of nothing", |b| {
        let x = b.floats(&[4, 3, 2]);
        let t = b.op(Op::Transpose(vec![1, 0, 2]), &[x]);
        let list = b.input(Tensor::from_i64(vec![2, 2], &[0, -1, 3, 2]).expect("4"));
        let y = b.op(Op::Gather { axis: 1 }, &[t, list]);
        let last = b.constant(&Tensor::from_i64(vec![], &[-1]).expect("1"));
        let one = b.op(Op::Gather { axis: 0 }, &[t, last]);
        let kept = b.ints(&[1]);
        let kept = b.op(Op::Gather { axis: 2 }, &[t, kept]);
        let none = b.ints(&[]);
        let none = b.op(Op::Gather { axis: 0 }, &[t, none]);
        let two = b.op(EXP, &[one]);
        [y, one, kept, none, two].into_iter().for_each(|id| b.output(id));
    });
    row("gathers by tuples, of no index too", |b| {
        let x = b.floats(&[2, 3, 4]);
        let pairs = b.input(Tensor::from_i64(vec![3, 2], &[0, 1, 1, -1, -2, 0]).expect("6"));
        let y = b.op(Op::GatherNd { batch_dims: 0 }, &[x, pairs]);
        let singles = b.input(Tensor::from_i64(vec![2, 2, 1], &[0, 2, -1, 1]).expect("4"));
        let z = b.op(Op::GatherNd { batch_dims: 1 }, &[x, singles]);
        let nothing = b.constant(&Tensor::from_i64(vec![2, 0], &[]).expect("none"));
        let all = b.op(Op::GatherNd { batch_dims: 0 }, &[x, nothing]);
        let each = b.op(Op::GatherNd { batch_dims: 1 }, &[x, nothing]);
        [y, z, all, each].into_iter().for_each(|id| b.output(id));
    });
    row("selections and comparisons", |b| {
        let (x, y) = (b.floats(&[3, 4]), b.floats(&[4]));
        let less = b.op(Op::Binary(BinaryOp::Less), &[x, y]);
        let zero = b.scalar(0.0);
        let masked = b.op(Op::Select, &[less, x, zero]);
        let not = b.op(Op::Unary(UnaryOp::Not), &[less]);
        [masked, not, less].into_iter().for_each(|id| b.output(id));
    });
    row("a value converted three ways in one chain", |b| {
        let x = b.input(Tensor::from_ints(DType::I8, vec![4], &[-3, 0, 2, 5]).expect("4"));
        let wide = b.op(Op::Cast(DType::I32), &[x]);
        let long = b.op(Op::Cast(DType::I64), &[wide]);
        let long = b.op(Op::Unary(UnaryOp::Relu), &[long]);
        let truth = b.op(Op::Cast(DType::Bool), &[long]);
        let float = b.op(Op::Cast(DType::F32), &[long]);
        let other = b.floats(&[1]);
        let y = b.op(Op::Select, &[truth, float, other]);
        b.output(y);
    });
    row("integers widened with and without their sign", |b| {
        for (from, to) in [(DType::U32, DType::I64), (DType::I32, DType::U64), (DType::I8, DType::I64)] {
            let x = b.input(Tensor::from_ints(from, vec![4], &[-3, 0, 2, 5]).expect("4"));
            let wide = b.op(Op::Cast(to), &[x]);
            let one = b.constant(&Tensor::from_ints(to, vec![], &[1]).expect("1"));
            let most = b.op(Op::Binary(BinaryOp::Max), &[wide, one]);
            let less = b.op(Op::Binary(BinaryOp::Less), &[wide, one]);
            let float = b.op(Op::Cast(DType::F32), &[wide]);
            [most, less, float].into_iter().for_each(|id| b.output(id));
        }
    });
}
