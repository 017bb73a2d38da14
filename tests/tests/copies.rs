//! Copy elimination: each rule by a small graph on every backend, against the reference evaluation and against the
//! program whose copies all stay; then what remains in whole models.
//!
//! Every figure is printed (`--nocapture` shows them).

use bayplan::{Bindings, Device, Model, Options, Program, Session, SessionOptions, Target, Tensor};
use bayplan_compile::compile;
use bayplan_graph::op::{BinaryOp, Pads, UnaryOp, ViewOp, Window};
use bayplan_graph::{ByteRange, NoFiles, Op, ValueId, eval};
use bayplan_shaders::{Class, Spec};
use bayplan_tests::backend::Backend;
use bayplan_tests::graphs::Builder;
use bayplan_tests::{on_every_backend, reference_cases, reference_model, session};
use bayplan_weights::Store;

const RESHAPE: Op = Op::View(ViewOp::Reshape { allow_zero: true });
/// Relative to an output's largest magnitude.
const TOLERANCE: f64 = 1e-5;

fn program(graph: &bayplan_graph::Graph, target: &Target, fuse: bool) -> Program {
    let read = |_: &ByteRange| Err("no file".to_string());
    let options = Options { fuse, direct: fuse, ..Options::default() };
    compile(graph, &Bindings::default(), target, options, &read).unwrap_or_else(|e| panic!("{e}"))
}

fn outputs(
    device: &Device,
    graph: &bayplan_graph::Graph,
    program: Program,
    inputs: &[Tensor],
) -> Vec<Tensor> {
    let store = Store::open("", graph).expect("no files");
    let ports: Vec<String> = program.inputs.iter().map(|port| port.name.clone()).collect();
    let given: Vec<(&str, &Tensor)> = ports.iter().map(String::as_str).zip(inputs).collect();
    let mut session =
        Session::new(device, program, &store, SessionOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    // What one run leaves in memory is found by the next.
    for _ in 0..2 {
        session.run(&given).unwrap_or_else(|e| panic!("{e}"));
    }
    let outputs = session.run(&given).unwrap_or_else(|e| panic!("{e}"));
    outputs.iter().map(|output| output.to_tensor().expect("an output")).collect()
}

fn close(what: &str, made: &Tensor, expected: &Tensor) {
    assert_eq!(made.shape(), expected.shape(), "{what}");
    let (a, b) = (made.to_f64(), expected.to_f64());
    let most = b.iter().fold(1.0, |most: f64, v| most.max(v.abs()));
    for (at, (a, b)) in a.iter().zip(&b).enumerate() {
        assert!((a - b).abs() <= TOLERANCE * most, "{what}: element {at} is {a}, should be {b}");
    }
}

/// Runs a graph with its copies and without; the bytes that are still copied.
fn check(backend: Backend, what: &str, b: &Builder) -> Vec<u64> {
    let device = backend.device();
    let (graph, inputs) = (&b.graph, &b.inputs);
    let expected = eval(graph, inputs, &NoFiles).expect("the reference evaluation");
    let mut left = Vec::new();
    for fuse in [false, true] {
        let program = program(graph, device.target(), fuse);
        let listed: Vec<u64> = program.copies.iter().map(|copy| copy.bytes).collect();
        let there = program.run.dispatches.iter().filter(|d| matches!(d.spec, Spec::Copy(_))).count();
        assert_eq!(listed.len(), there, "{what}: all copies are listed");
        for copy in &program.copies {
            assert!(matches!(program.run.dispatches[copy.dispatch as usize].spec, Spec::Copy(_)), "{what}");
            assert!(!copy.why.is_empty(), "{what}");
        }
        println!("{what}, {}: {listed:?} bytes copied", if fuse { "fused" } else { "plain" });
        left = listed;
        let made = outputs(&device, graph, program, inputs);
        for (made, expected) in made.iter().zip(&expected) {
            close(&format!("{what}, fuse {fuse}"), made, expected);
        }
    }
    left
}

fn product(b: &mut Builder, rows: &[usize], inner: usize, columns: usize) -> ValueId {
    let x = b.floats(&[rows, &[inner]].concat());
    let w = b.floats(&[inner, columns]);
    b.op(Op::MatMul, &[x, w])
}

fn exp(b: &mut Builder, x: ValueId) -> ValueId {
    b.op(Op::Unary(UnaryOp::Exp), &[x])
}

fn conv(b: &mut Builder, x: ValueId, filters: usize, kernel: usize) -> ValueId {
    let channels = b.shape(x)[1];
    let pad = (kernel / 2) as i64;
    let window = Window {
        kernel: vec![kernel; 2],
        strides: vec![1; 2],
        dilations: vec![1; 2],
        pads: Pads::Explicit(vec![pad; 4]),
        ceil: false,
    };
    let w = b.floats(&[filters, channels, kernel, kernel]);
    b.op(Op::Conv(window, 1), &[x, w])
}

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

/// Bytes that each model copies at each run. Both windows' alignments, both styles of kernels.
#[test]
fn what_models_copy() {
    println!(
        "| model, case | alignment | copies | bytes | of them past K/V | dispatches | barriers | arena |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for name in NAMES {
        let model = Model::open(reference_model(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        for case in reference_cases(name) {
            for (alignment, class) in [(16, Class::Cpu), (256, Class::Gpu)] {
                let target = Target { storage_alignment: alignment, class, ..Target::generic() };
                let program = model
                    .compile(&session::dims(&case), &target, Options::default())
                    .unwrap_or_else(|e| panic!("{name} {}: {e}", case.name));
                let bytes: u64 = program.copies.iter().map(|copy| copy.bytes).sum();
                let past: u64 = program
                    .inputs
                    .iter()
                    .filter(|port| port.name.starts_with("past"))
                    .map(|port| 4 * port.shape.iter().product::<u64>())
                    .sum();
                let barriers = program.run.dispatches.iter().filter(|d| d.barrier_before).count();
                println!(
                    "| {name} {} | {alignment} | {} | {bytes} | {past} | {} | {barriers} | {} |",
                    case.name,
                    program.copies.len(),
                    program.run.dispatches.len(),
                    program.arena_bytes[0]
                );
                for copy in program.copies.iter().filter(|copy| !copy.why.contains("graph input")) {
                    let dispatch = &program.run.dispatches[copy.dispatch as usize];
                    println!(
                        "  {} bytes to {} ({}): {}",
                        copy.bytes, dispatch.name, dispatch.source_op, copy.why
                    );
                }
                match name {
                    // Average pools write part of a concatenation where windows of 256 bytes cannot begin.
                    "shufflenet" => assert!(bytes <= 159_936, "{bytes}"),
                    // The class token.
                    "vit_tiny" => assert!(program.copies.len() == 1 && bytes <= 4 * 192 * 3, "{bytes}"),
                    _ => assert_eq!(bytes, past, "{name} {}: past K/V once, nothing else", case.name),
                }
            }
        }
    }
}

const NAMES: [&str; 20] = [
    "alexnet",
    "chars",
    "densenet121",
    "digits",
    "encoder_l6",
    "encoder_l6_ts",
    "gpt2_small",
    "gpt2_small_ts",
    "inception_v1",
    "inception_v2",
    "llama_125m",
    "llama_125m_ts",
    "mobilenetv2",
    "mobilenetv2_ts",
    "resnet50",
    "shufflenet",
    "squeezenet",
    "vgg19",
    "vit_tiny",
    "zfnet512",
];
