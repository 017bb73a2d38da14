//! Copies that go, and those that stay, by graphs of a few operators.

use bayplan_graph::op::{BinaryOp, UnaryOp};
use bayplan_graph::{Op, ValueId};
use bayplan_tests::graphs::Builder;
use bayplan_tests::on_every_backend;

use crate::{RESHAPE, check, conv, exp, product};

on_every_backend! {
    /// Parts side by side along the innermost axis, of products, chains and both.
    parts_of_rows => |on| {
        for (widths, rows) in [([6, 10], 4), ([8, 4], 4), ([5, 3], 7), ([64, 32], 1)] {
            let mut b = Builder::new("rows");
            let first = product(&mut b, &[rows], 12, widths[0]);
            let x = b.floats(&[rows, widths[1]]);
            let second = exp(&mut b, x);
            let joined = b.op(Op::Concat { axis: 1 }, &[first, second]);
            let joined = b.op(Op::Unary(UnaryOp::Tanh), &[joined]);
            b.output(joined);
            assert_eq!(check(on, "parts of rows", &b), [0; 0]);
        }
    };
    /// A part that is there twice cannot be read from where it is written.
    one_part_twice => |on| {
        let mut b = Builder::new("twice");
        let first = product(&mut b, &[4], 12, 6);
        let x = b.floats(&[4, 10]);
        let second = exp(&mut b, x);
        let joined = b.op(Op::Concat { axis: 1 }, &[first, second, first]);
        b.output(joined);
        assert_eq!(check(on, "one part twice", &b), [96; 2]);
    };
    /// Parts that begin where no window can, and end within a vec4 of the next one.
    ragged_parts => |on| {
        let mut b = Builder::new("ragged");
        let parts: Vec<ValueId> = [7, 9, 1, 70, 3].into_iter().map(|n| {
            let x = b.floats(&[n]);
            exp(&mut b, x)
        }).collect();
        let joined = b.op(Op::Concat { axis: 0 }, &parts);
        b.output(joined);
        assert_eq!(check(on, "ragged parts", &b), [0; 0]);
    };
    /// A concatenation within a concatenation along another axis.
    nested => |on| {
        let mut b = Builder::new("nested");
        let [x, y] = [product(&mut b, &[3, 5], 8, 4), product(&mut b, &[3, 2], 8, 4)];
        let inner = b.op(Op::Concat { axis: 1 }, &[x, y]);
        let z = b.floats(&[3, 7, 6]);
        let z = exp(&mut b, z);
        let outer = b.op(Op::Concat { axis: 2 }, &[inner, z]);
        b.output(outer);
        assert_eq!(check(on, "nested", &b), [0; 0]);
    };
    /// Heads: a product turned, as an operand of the next one and as an output.
    turned_products => |on| {
        for [heads, rows, width] in [[3, 5, 8], [2, 4, 6], [4, 1, 16]] {
            let mut b = Builder::new("turned");
            let x = b.floats(&[2, heads, rows, 7]);
            let w = b.floats(&[2, heads, 7, width]);
            let heads_apart = b.op(Op::MatMul, &[x, w]);
            let turned = b.op(Op::Transpose(vec![0, 2, 1, 3]), &[heads_apart]);
            let shape = b.ints(&[(2 * rows) as i64, (heads * width) as i64]);
            let together = b.op(RESHAPE, &[turned, shape]);
            let w = b.floats(&[heads * width, 5]);
            let y = b.op(Op::MatMul, &[together, w]);
            let back = b.op(Op::Transpose(vec![1, 0]), &[y]);
            b.output(y);
            b.output(back);
            // The last product is an output in both directions.
            assert_eq!(check(on, "turned products", &b), [(2 * rows * 5 * 4) as u64]);
        }
    };
    /// One product of queries, keys and values; keys and values join those of the past, which are the caller's.
    past_and_new => |on| {
        let [batch, heads, past, new, width] = [2, 4, 5, 2, 16];
        let mut b = Builder::new("decoder");
        let x = b.floats(&[batch, new, 16]);
        let w = b.floats(&[16, 3 * heads * width]);
        let bias = b.floats(&[3 * heads * width]);
        let qkv = b.op(Op::MatMul, &[x, w]);
        let qkv = b.op(Op::Binary(BinaryOp::Add), &[qkv, bias]);
        let sizes = b.ints(&[(heads * width) as i64; 3]);
        let parts = b.try_ops(Op::Split { axis: 2 }, &[qkv, sizes], 3).expect("a split");
        let split = b.ints(&[batch as i64, new as i64, heads as i64, width as i64]);
        let parts: Vec<ValueId> = parts.into_iter().map(|part| {
            let part = b.op(RESHAPE, &[part, split]);
            b.op(Op::Transpose(vec![0, 2, 1, 3]), &[part])
        }).collect();
        let all: Vec<ValueId> = parts[1..].iter().map(|&part| {
            let past = b.floats(&[batch, heads, past, width]);
            b.op(Op::Concat { axis: 2 }, &[past, part])
        }).collect();
        let keys = b.op(Op::Transpose(vec![0, 1, 3, 2]), &[all[0]]);
        let scores = b.op(Op::MatMul, &[parts[0], keys]);
        let mixed = b.op(Op::MatMul, &[scores, all[1]]);
        let mixed = b.op(Op::Transpose(vec![0, 2, 1, 3]), &[mixed]);
        let shape = b.ints(&[(batch * new) as i64, (heads * width) as i64]);
        let mixed = b.op(RESHAPE, &[mixed, shape]);
        let w = b.floats(&[heads * width, 16]);
        let y = b.op(Op::MatMul, &[mixed, w]);
        b.output(y);
        b.output(all[0]);
        b.output(all[1]);
        assert_eq!(check(on, "past and new", &b), [(4 * batch * heads * past * width) as u64; 2]);
    };
    /// Halves of rows that begin where no window can are read where they lie.
    rotated_halves => |on| {
        let mut b = Builder::new("halves");
        let x = product(&mut b, &[3, 5], 8, 12);
        let sizes = b.ints(&[6, 6]);
        let halves = b.try_ops(Op::Split { axis: 2 }, &[x, sizes], 2).expect("a split");
        let minus = b.op(Op::Unary(UnaryOp::Neg), &[halves[1]]);
        let turned = b.op(Op::Concat { axis: 2 }, &[minus, halves[0]]);
        let y = b.op(Op::Binary(BinaryOp::Mul), &[x, turned]);
        b.output(y);
        assert_eq!(check(on, "rotated halves", &b), [0; 0]);
    };
    /// Channels of convolutions side by side in several images: each writes its part of each image.
    channels => |on| {
        let mut b = Builder::new("channels");
        let x = b.floats(&[2, 3, 6, 8]);
        let (one, three) = (conv(&mut b, x, 4, 1), conv(&mut b, x, 5, 3));
        let three = b.op(Op::Unary(UnaryOp::Relu), &[three]);
        let joined = b.op(Op::Concat { axis: 1 }, &[one, three]);
        let y = conv(&mut b, joined, 6, 3);
        b.output(y);
        assert_eq!(check(on, "channels", &b), [0; 0]);
    };
    /// Shuffled channels.
    shuffle => |on| {
        let mut b = Builder::new("shuffle");
        let x = b.floats(&[2, 3, 5, 4]);
        let y = conv(&mut b, x, 12, 1);
        let apart = b.ints(&[2, 3, 4, 5, 4]);
        let y = b.op(RESHAPE, &[y, apart]);
        let y = b.op(Op::Transpose(vec![0, 2, 1, 3, 4]), &[y]);
        let together = b.ints(&[2, 12, 5, 4]);
        let y = b.op(RESHAPE, &[y, together]);
        let y = conv(&mut b, y, 4, 3);
        b.output(y);
        assert_eq!(check(on, "shuffle", &b), [0; 0]);
    };
    /// A dense block over two images: what was joined before is copied on, what is new is written in place.
    dense_block => |on| {
        let mut b = Builder::new("dense");
        let x = b.floats(&[2, 4, 4, 4]);
        let mut all = conv(&mut b, x, 5, 1);
        let mut expect = Vec::new();
        for _ in 0..3 {
            let new = conv(&mut b, all, 4, 3);
            expect.push(b.shape(all).iter().product::<usize>() as u64 * 4);
            all = b.op(Op::Concat { axis: 1 }, &[all, new]);
        }
        let y = conv(&mut b, all, 2, 1);
        b.output(y);
        assert_eq!(check(on, "dense block", &b), expect);
    };
    /// A view of what is made is an output: its maker writes it so. Part of it, or what the caller gives, is copied.
    outputs_that_are_views => |on| {
        let mut b = Builder::new("views");
        let made = product(&mut b, &[4, 6], 8, 10);
        let turned = b.op(Op::Transpose(vec![2, 0, 1]), &[made]);
        b.output(turned);
        let given = b.floats(&[3, 4]);
        b.output(given);
        let x = b.floats(&[6, 4]);
        let whole = exp(&mut b, x);
        let sizes = b.ints(&[2, 4]);
        let parts = b.try_ops(Op::Split { axis: 0 }, &[whole, sizes], 2).expect("a split");
        b.output(parts[0]);
        assert_eq!(check(on, "views", &b), [4 * 3 * 4, 4 * 2 * 4]);
    };
}
