//! Tensors beyond what a device binds or allocates at once: one row per way to split an operation, on a device that is
//! said to bind 64 KiB and to allocate 256 KiB, against the reference evaluation.

mod common;

use std::sync::OnceLock;

use bayplan_compile::{Arena, Options};
use bayplan_engine::{Device, Limits};
use bayplan_graph::op::{BinaryOp, F32Bits, Keep, Op, Pads, PoolKind, ReduceOp, UnaryOp, ViewOp, Window};
use bayplan_graph::{Tensor, ValueId};

use common::{Builder, check_on, device, floats, program, way, ways};

const TANH: Op = Op::Unary(UnaryOp::Tanh);
const ADD: Op = Op::Binary(BinaryOp::Add);

fn small() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| {
        let (range, allocation) = (Some(64 << 10), Some(256 << 10));
        common::open(Limits {
            max_storage_range: range,
            max_allocation: allocation,
            storage_alignment: Some(256),
        })
    })
}

/// Builds a graph, and compares it with the reference on a device of small windows. It must become at least `parts`
/// dispatches more there.
fn row(name: &str, parts: usize, build: impl Fn(&mut Builder)) {
    let mut builder = Builder::new(name);
    build(&mut builder);
    let count = |device: &Device| {
        let program = program(&builder.graph, device.target(), Options::default());
        let program = program.unwrap_or_else(|e| panic!("{name}: {e}"));
        program.run.dispatches.len() + program.load.dispatches.len()
    };
    let (whole, split) = (count(device()), count(small()));
    assert!(split >= whole + parts, "{name}: {split} dispatches instead of {whole}");
    check_on(small(), &builder, &[way(false, false), way(true, true)], 2e-5)
        .unwrap_or_else(|e| panic!("{name}: {e}"));
}

fn window(kernel: usize, pad: i64) -> Window {
    let pads = Pads::Explicit(vec![pad; 4]);
    Window { kernel: vec![kernel; 2], strides: vec![1, 1], dilations: vec![1, 1], pads, ceil: false }
}

/// A bias along the last axis and an activation, which fusion makes an epilogue.
fn biased(b: &mut Builder, x: ValueId, bias: &[usize]) -> ValueId {
    let bias = b.constant(&floats(bias, 5));
    let y = b.op(ADD, &[x, bias]);
    b.op(TANH, &[y])
}

fn transposed(b: &mut Builder, x: ValueId) -> ValueId {
    b.op(Op::Transpose(vec![1, 0]), &[x])
}

#[test]
fn elementwise() {
    row("rows", 2, |b| {
        let x = b.floats(&[40, 1024]);
        let y = biased(b, x, &[1024]);
        b.output(y);
    });
    row("a row that repeats, one dimension", 2, |b| {
        let (x, s) = (b.floats(&[60_000]), b.floats(&[1]));
        let y = b.op(ADD, &[x, s]);
        b.output(y);
    });
    row("transposed: neither direction is enough", 3, |b| {
        let (x, y) = (b.floats(&[160, 256]), b.floats(&[256, 160]));
        let x = transposed(b, x);
        let z = b.op(ADD, &[x, y]);
        b.output(z);
    });
    row("of 64 bits", 2, |b| {
        let list: Vec<i64> = (0..20_000).map(|i| i * 77_777_777_777).collect();
        let x = b.input(Tensor::from_i64(vec![100, 200], &list).expect("a tensor"));
        let y = b.op(ADD, &[x, x]);
        b.output(y);
    });
}

#[test]
fn products() {
    row("columns of a vector's product, stored by rows", 3, |b| {
        let (x, w) = (b.floats(&[1, 256]), b.constant(&floats(&[240, 256], 1)));
        let w = transposed(b, w);
        let y = b.op(Op::MatMul, &[x, w]);
        let y = biased(b, y, &[240]);
        b.output(y);
    });
    row("columns of a matrix's product, copied into place", 3, |b| {
        let (x, w) = (b.floats(&[5, 256]), b.constant(&floats(&[240, 256], 1)));
        let w = transposed(b, w);
        let y = b.op(Op::MatMul, &[x, w]);
        let y = biased(b, y, &[240]);
        b.output(y);
    });
    row("terms, where columns do not lie in a row", 2, |b| {
        let (x, w) = (b.floats(&[5, 240]), b.constant(&floats(&[240, 256], 1)));
        let y = b.op(Op::MatMul, &[x, w]);
        let y = biased(b, y, &[256]);
        b.output(y);
    });
    row("rows", 3, |b| {
        let (x, w) = (b.floats(&[400, 128]), b.constant(&floats(&[128, 96], 1)));
        let y = b.op(Op::MatMul, &[x, w]);
        let y = biased(b, y, &[96]);
        b.output(y);
    });
    row("everything", 8, |b| {
        let (x, w) = (b.floats(&[200, 240]), b.floats(&[240, 256]));
        let (x, w) = (b.op(TANH, &[x]), b.op(TANH, &[w]));
        let y = b.op(Op::MatMul, &[x, w]);
        let y = biased(b, y, &[200, 1]);
        b.output(y);
    });
    row("a batch", 2, |b| {
        let (x, w) = (b.floats(&[12, 40, 64]), b.floats(&[12, 64, 48]));
        let y = b.op(Op::MatMul, &[x, w]);
        b.output(y);
    });
}

#[test]
fn windows() {
    row("images of a convolution", 2, |b| {
        let (x, w) = (b.floats(&[4, 8, 40, 40]), b.constant(&floats(&[8, 8, 3, 3], 1)));
        let y = b.op(Op::Conv(window(3, 1), 1), &[x, w]);
        let y = biased(b, y, &[8, 1, 1]);
        b.output(y);
    });
    row("filters, rearranged and not", 2, |b| {
        let x = b.floats(&[1, 60, 16, 16]);
        for kernel in [1, 3] {
            let w = b.constant(&floats(&[96, 60, kernel, kernel], 1));
            let y = b.op(Op::Conv(window(kernel, (kernel / 2) as i64), 1), &[x, w]);
            let y = biased(b, y, &[96, 1, 1]);
            b.output(y);
        }
    });
    row("filters of several images", 2, |b| {
        let (x, w) = (b.floats(&[3, 60, 8, 8]), b.constant(&floats(&[96, 60, 3, 3], 1)));
        let y = b.op(Op::Conv(window(3, 1), 1), &[x, w]);
        let y = biased(b, y, &[96, 1, 1]);
        b.output(y);
    });
    row("groups", 1, |b| {
        let (x, w) = (b.floats(&[1, 96, 16, 16]), b.constant(&floats(&[96, 1, 3, 3], 1)));
        let y = b.op(Op::Conv(window(3, 1), 96), &[x, w]);
        let y = biased(b, y, &[96, 1, 1]);
        b.output(y);
    });
    row("groups of several images", 1, |b| {
        let (x, w) = (b.floats(&[3, 48, 16, 16]), b.constant(&floats(&[72, 4, 3, 3], 1)));
        let y = b.op(Op::Conv(window(3, 1), 12), &[x, w]);
        let y = biased(b, y, &[72, 1, 1]);
        b.output(y);
    });
    row("bands of an image", 6, |b| {
        let (x, w) = (b.floats(&[1, 3, 150, 100]), b.constant(&floats(&[4, 3, 3, 3], 1)));
        let y = b.op(Op::Conv(window(3, 1), 1), &[x, w]);
        let y = biased(b, y, &[4, 1, 1]);
        let other = b.floats(&[1, 4, 150, 100]);
        let y = b.op(ADD, &[y, other]);
        b.output(y);
    });
    row("bands of several images, steps and gaps", 6, |b| {
        let (x, w) = (b.floats(&[2, 2, 151, 100]), b.constant(&floats(&[5, 2, 5, 3], 1)));
        let pads = Pads::Explicit(vec![4, 1, 3, 1]);
        let window =
            Window { kernel: vec![5, 3], strides: vec![3, 2], dilations: vec![2, 1], pads, ceil: false };
        let y = b.op(Op::Conv(window, 1), &[x, w]);
        let y = biased(b, y, &[5, 1, 1]);
        b.output(y);
    });
    row("planes", 2, |b| {
        let x = b.floats(&[2, 20, 32, 32]);
        for kind in [PoolKind::Max, PoolKind::Average { count_pad: false }] {
            let y = b.op(Op::Pool(kind, window(3, 1)), &[x]);
            b.output(y);
        }
    });
}

#[test]
fn rows_together() {
    row("reductions", 4, |b| {
        let (x, axes) = (b.floats(&[60, 800]), b.ints(&[1]));
        for op in [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Max] {
            let y = b.op(Op::Reduce(op, Keep::Dims), &[x, axes]);
            let y = biased(b, y, &[60, 1]);
            b.output(y);
        }
    });
    row("reductions of everything", 4, |b| {
        let (x, axes) = (b.floats(&[40_000]), b.ints(&[0]));
        for op in [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Max, ReduceOp::Min] {
            let y = b.op(Op::Reduce(op, Keep::Dims), &[x, axes]);
            let y = biased(b, y, &[1]);
            b.output(y);
        }
    });
    row("reductions of columns", 2, |b| {
        let (x, axes) = (b.floats(&[800, 64]), b.ints(&[0]));
        let y = b.op(Op::Reduce(ReduceOp::Mean, Keep::Dims), &[x, axes]);
        let y = biased(b, y, &[64]);
        b.output(y);
    });
    row("softmax and norms", 6, |b| {
        let x = b.floats(&[60, 800]);
        let softmax = b.op(Op::Softmax { axis: 1, log: false }, &[x]);
        b.output(softmax);
        for center in [true, false] {
            let norm = Op::Normalize { axis: 1, epsilon: F32Bits::new(1e-5), center };
            let y = b.op(norm, &[x]);
            let y = biased(b, y, &[800]);
            b.output(y);
        }
    });
}

#[test]
fn selection() {
    row("from a table, window by window", 2, |b| {
        let table = b.constant(&floats(&[1000, 64], 1));
        let list: Vec<i64> = (0..300).map(|i| (i * 7919) % 2000 - 1000).collect();
        let ids = b.input(Tensor::from_i64(vec![3, 100], &list).expect("ids"));
        let y = b.op(Op::Gather { axis: 0 }, &[table, ids]);
        b.output(y);
    });
    row("along an inner axis, both too large", 3, |b| {
        let x = b.floats(&[3, 500, 36]);
        let list: Vec<i64> = (0..450).map(|i| (i * 7919) % 1000 - 500).collect();
        let ids = b.input(Tensor::from_i64(vec![450], &list).expect("ids"));
        let y = b.op(Op::Gather { axis: 1 }, &[x, ids]);
        b.output(y);
    });
    row("by tuples", 1, |b| {
        let x = b.floats(&[20, 20, 4]);
        let list: Vec<i64> = (0..10_000).map(|i| (i * 13) % 20).collect();
        let ids = b.input(Tensor::from_i64(vec![5000, 2], &list).expect("ids"));
        let y = b.op(Op::GatherNd { batch_dims: 0 }, &[x, ids]);
        b.output(y);
    });
}

#[test]
fn movement() {
    row("a transpose", 3, |b| {
        let x = b.floats(&[160, 300]);
        let y = transposed(b, x);
        b.output(y);
    });
    row("backwards", 3, |b| {
        let x = b.floats(&[160, 300]);
        let [starts, ends, axes, steps] =
            [[-1, -1], [i64::MIN, i64::MIN], [0, 1], [-1, -1]].map(|list| b.ints(&list));
        let y = b.op(Op::Slice, &[x, starts, ends, axes, steps]);
        b.output(y);
    });
    row("side by side", 3, |b| {
        let (x, y) = (b.floats(&[150, 97]), b.floats(&[150, 203]));
        let z = b.op(Op::Concat { axis: 1 }, &[x, y]);
        b.output(z);
    });
    row("repeated", 1, |b| {
        let (x, shape) = (b.floats(&[1, 300]), b.ints(&[100, 300]));
        let y = b.op(Op::Expand, &[x, shape]);
        b.output(y);
    });
    row("in another shape, then transposed", 3, |b| {
        let (x, shape) = (b.floats(&[160, 300]), b.ints(&[300, 160]));
        let x = b.op(Op::View(ViewOp::Reshape { allow_zero: true }), &[x, shape]);
        let y = b.op(Op::Transpose(vec![1, 0]), &[x]);
        let y = b.op(TANH, &[y]);
        b.output(y);
    });
}

#[test]
fn arenas_of_several_blocks() {
    let mut b = Builder::new("blocks");
    let (x, y) = (b.floats(&[200, 200]), b.floats(&[200, 200]));
    let w = b.constant(&floats(&[200, 200], 1));
    let v = b.constant(&floats(&[200, 200], 2));
    let [p, q, r] = [(x, w), (y, v), (x, y)].map(|(a, c)| b.op(Op::MatMul, &[a, c]));
    for (a, c) in [(p, q), (q, r), (p, r)] {
        let z = b.op(ADD, &[a, c]);
        b.output(z);
    }
    let made = program(&b.graph, small().target(), Options::default()).expect("a program");
    for arena in [Arena::Activations, Arena::Weights] {
        let blocks = made.blocks(arena);
        assert!(blocks.len() > 1, "{} has one block", arena.name());
        blocks.for_each(|block| assert!(block.end - block.start <= 256 << 10));
    }
    check_on(small(), &b, &ways(), 2e-5).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn what_cannot_be_split_is_refused_by_the_name_of_its_limit() {
    let check = |build: &dyn Fn(&mut Builder), words: &[&str]| {
        let mut b = Builder::new("refused");
        build(&mut b);
        let e = program(&b.graph, small().target(), Options::default()).expect_err("a refusal");
        assert!(words.iter().all(|word| e.contains(word)), "{words:?}: {e}");
    };
    check(
        &|b| {
            let x = b.floats(&[1, 20_000]);
            let y = b.op(Op::Softmax { axis: 1, log: false }, &[x]);
            b.output(y);
        },
        &["(Softmax)", "80000 bytes of v0", "at most 65536 bytes", "maxStorageBufferRange"],
    );
    check(
        &|b| {
            let x = b.floats(&[100_000]);
            let y = b.op(TANH, &[x]);
            b.output(y);
        },
        &["v0 (tensor)", "400000 bytes", "at most 262144 bytes", "maxMemoryAllocationSize"],
    );
}
