//! Attention over blocks of a pool, compiled once for all steps: one dispatch, nothing beside operands and result, and at every
//! step what the reference evaluation gives. Rows are written by a scatter first, as a step of a decoder does.

mod common;

use bayplan_compile::{Arena, Dims, Family, FunctionId, Program};
use bayplan_expr::Bindings;
use bayplan_graph::op::{F32Bits, Op, PagedAttention};
use bayplan_graph::{DType, Graph, NoFiles, Tensor, eval};
use bayplan_shaders::Spec;

use common::dims::{bounded, no_file};
use common::{Builder, check_program, floats, way};

const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const HEAD: usize = 32;
const BLOCK: usize = 4;
/// Blocks of the pool.
const BLOCKS: usize = 40;
const MODEL: FunctionId = FunctionId(0);
/// Relative to an output's largest magnitude.
const TOLERANCE: f64 = 1e-5;

/// The dims of the inputs: queries, keys, values, positions, sequences, tables, and the rows of new keys with their places.
const SHAPES: [&[&str]; 8] =
    [&["t", "128"], &["160", "64"], &["160", "64"], &["t"], &["t"], &["s", "n"], &["t", "64"], &["t", "1"]];

/// A step's inputs: for each sequence tokens before it and in it.
fn inputs(steps: &[(usize, usize)], entries: usize) -> Vec<Tensor> {
    let (mut positions, mut sequences, mut slots, mut tables) = (vec![], vec![], vec![], vec![]);
    for (number, &(past, new)) in steps.iter().enumerate() {
        let table: Vec<i64> =
            (0..entries).map(|entry| ((number * entries + entry) * 7 % BLOCKS) as i64).collect();
        for position in past..past + new {
            positions.push(position as i64);
            sequences.push(number as i64);
            slots.push(table[position / BLOCK] * BLOCK as i64 + (position % BLOCK) as i64);
        }
        tables.extend(table);
    }
    let t = positions.len();
    let ints = |shape: &[usize], list: &[i64]| Tensor::from_i64(shape.to_vec(), list).expect("indices");
    let pool = [BLOCKS * BLOCK, KV_HEADS * HEAD];
    vec![
        floats(&[t, HEADS * HEAD], 1),
        floats(&pool, 2),
        floats(&pool, 3),
        ints(&[t], &positions),
        ints(&[t], &sequences),
        ints(&[steps.len(), entries], &tables),
        floats(&[t, KV_HEADS * HEAD], 4),
        ints(&[t, 1], &slots),
    ]
}

fn graph(inputs: Vec<Tensor>) -> Builder {
    let mut b = Builder::new("attention");
    let ids: Vec<_> = inputs.into_iter().map(|tensor| b.input(tensor)).collect();
    let [q, k, v, positions, sequences, tables, news, slots] = ids[..] else { panic!("eight inputs") };
    let keys = b.op(Op::ScatterNd { join: None }, &[k, slots, news]);
    let scale = F32Bits::new(0.25);
    let own = PagedAttention { heads: HEADS, kv_heads: KV_HEADS, scale, block: BLOCK };
    let made = b.op(Op::PagedAttention(own), &[q, keys, v, positions, sequences, tables]);
    b.output(made);
    b
}

/// The graph with symbols for tokens, sequences and entries.
fn symbolic() -> Graph {
    let mut graph = graph(inputs(&[(5, 3)], 4)).graph;
    for (id, dims) in graph.inputs.clone().into_iter().zip(SHAPES) {
        let shape = dims.iter().map(|dim| bayplan_expr::Expr::parse(dim).expect("a dim")).collect();
        graph.values[id.0 as usize].ty.as_mut().expect("a type").shape = shape;
    }
    graph.infer().expect("a graph that fits together");
    graph
}

/// Dispatches of attention.
fn attentions(program: &Program) -> usize {
    program.run.dispatches.iter().filter(|own| matches!(&*own.spec, Spec::PagedAttention(_))).count()
}

fn dims() -> Dims {
    bounded(&[("t", 1, 64), ("s", 1, 8), ("n", 1, 16)])
}

#[test]
fn every_step_of_a_family_gives_what_the_reference_does() {
    let (graph, device) = (symbolic(), common::device());
    let family = Family::new(&graph, &dims(), device.target(), &way(true, true), &no_file).expect("a family");
    let kernels = family.kernels(MODEL);
    let steps: [(&[(usize, usize)], usize); 5] = [
        (&[(5, 3)], 4),
        (&[(0, 1)], 1),
        (&[(30, 1), (0, 1), (17, 1)], 12),
        (&[(0, 33)], 9),
        (&[(11, 1), (3, 20), (0, 7), (15, 1)], 8),
    ];
    for (steps, entries) in steps {
        let inputs = inputs(steps, entries);
        let tokens = inputs[3].shape()[0];
        let point: Bindings = [("t", tokens), ("s", steps.len()), ("n", entries)]
            .map(|(name, value)| (name.to_string(), value as i64))
            .into_iter()
            .collect();
        let program = family.at(MODEL, &point).expect("a program");
        assert_eq!(attentions(&program), 1);
        for kernel in &program.kernels {
            assert!(kernels.contains(kernel), "{} came unforeseen", kernel.name);
        }
        let bound = graph.bind(&point).expect("dims");
        let expected = eval(&bound, &inputs, &NoFiles).expect("the reference");
        check_program(device, &bound, program, &inputs, &expected, TOLERANCE)
            .unwrap_or_else(|e| panic!("{steps:?}: {e}"));
    }
}

/// Bytes of activations at a step: no product of tokens and context is among them.
#[test]
fn memory_grows_with_tokens_and_with_entries_alone() {
    let device = common::device();
    let dims = bounded(&[("t", 1, 2048), ("s", 1, 8), ("n", 1, 4096)]);
    let family =
        Family::new(&symbolic(), &dims, device.target(), &way(true, true), &no_file).expect("a family");
    let bytes = |t: i64, n: i64| {
        let point = [("t", t), ("s", 1), ("n", n)].map(|(name, value)| (name.to_string(), value));
        let program = family.at(MODEL, &point.into_iter().collect()).expect("a program");
        program.arena_bytes[Arena::Activations.index()]
    };
    let (least, more) = (bytes(512, 512), bytes(512, 4096));
    // Tables: i64, two words each.
    assert_eq!(more - least, (4096 - 512) * 8);
    let many = bytes(2048, 4096);
    let per_token = (2 * HEADS * HEAD + KV_HEADS * HEAD) as u64 * 4 + 3 * 8;
    assert!(many - more <= (2048 - 512) * per_token, "{}", many - more);
}

#[test]
fn tokens_beyond_a_window_are_several_dispatches() {
    let limits = bayplan_engine::Limits {
        max_storage_range: Some(64 << 10),
        max_allocation: Some(1 << 20),
        storage_alignment: Some(256),
    };
    let small = common::open(limits);
    let steps = [(0, 130), (2, 1), (9, 60)];
    let inputs = inputs(&steps, 33);
    assert!(inputs[0].bytes().len() > 64 << 10);
    let b = graph(inputs);
    let program = common::program(&b.graph, small.target(), way(true, true)).expect("a program");
    assert!(attentions(&program) > 1);
    common::check_on(&small, &b, &[way(true, true)], TOLERANCE).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn doubles_are_refused_by_name() {
    let mut graph = graph(inputs(&[(5, 3)], 4)).graph;
    for id in graph.inputs.clone() {
        let ty = graph.values[id.0 as usize].ty.as_mut().expect("a type");
        if ty.dtype == DType::F32 {
            ty.dtype = DType::F64;
        }
    }
    let e = graph.infer().expect_err("no such attention").to_string();
    assert!(e.contains("a floating-point type of at most 32 bits"), "{e}");
}
