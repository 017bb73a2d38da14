//! Both exports of one network become the same program: as many dispatches, the same arenas, few kernels.
//!
//! The graphs lie in `tests/models` without their weights. Compiling reads constants of up to 4 KiB only; drawn numbers
//! stand for those that lie in files.

mod common;

use bayplan_compile::{Arena, Options, Program, compile};
use bayplan_expr::Bindings;
use bayplan_graph::{Duplicate, Graph, ValueId};
use bayplan_shaders::{Features, Target};

use common::models::{cpu, graph, read};

/// Distinct kernels of one model on a CPU driver.
const KERNELS: usize = 40;

/// The drivers' limits that change what is dispatched.
fn targets() -> [Target; 3] {
    let narrow = Features { int64: false, ..Features::default() };
    [
        cpu("lavapipe", 8, 16, 128 << 20),
        Target { features: narrow, ..cpu("SwiftShader", 4, 256, 1 << 30) },
        Target { subgroup: None, max_allocation: u64::MAX, ..cpu("host", 1, 64, u64::MAX) },
    ]
}

fn program(graph: &Graph, dims: &[(&str, i64)], target: &Target) -> Program {
    let known = graph.free_symbols();
    let dims: Bindings = dims.iter().copied().filter(|(symbol, _)| known.contains(*symbol)).collect();
    compile(graph, &dims, target, Options::default(), &read).unwrap_or_else(|e| panic!("{}: {e}", graph.name))
}

/// What a weight store finds in the weights: that one constant is another one's transpose.
fn tie(graph: &mut Graph, again: &str, first: &str) {
    let find = |name: &str| {
        let place = graph.values.iter().position(|value| &*value.name == name).expect(name);
        ValueId(place as u32)
    };
    let duplicate = Duplicate { value: find(again), of: find(first), transposed: true };
    graph.share(&[duplicate]);
}

/// Whether two numbers are that close, in hundredths of the first.
fn close(a: u64, b: u64, percent: u64) -> bool {
    a.abs_diff(b) * 100 <= a * percent
}

/// Compiles both exports for every target; each may dispatch at most so much at the first dims (on a driver that binds
/// views at any multiple of 16 bytes).
fn check(name: &str, most: usize, cases: &[&[(&str, i64)]], prepare: impl Fn(&mut Graph)) {
    let (first, mut second) = (graph(name), graph(&format!("{name}_ts")));
    prepare(&mut second);
    for target in &targets() {
        for dims in cases {
            let (a, b) = (program(&first, dims, target), program(&second, dims, target));
            let context = format!("{name} {dims:?} for {}", target.name);
            let [x, y] = [&a, &b].map(|program| program.run.dispatches.len());
            assert!(close(x as u64, y as u64, 5), "{context}: {x} and {y} dispatches");
            for arena in Arena::ALL {
                let [x, y] = [&a, &b].map(|program| program.arena_bytes[arena.index()]);
                assert!(close(x, y, 2), "{context}: {x} and {y} bytes of {}", arena.name());
            }
            let [x, y] = [&a, &b].map(|program| program.kernels.len());
            assert!(x.max(y) <= KERNELS, "{context}: {x} and {y} kernels");
        }
    }
    let dispatches = program(&first, cases[0], &targets()[0]).run.dispatches.len();
    assert!(dispatches <= most, "{name}: {dispatches} dispatches, more than {most}");
}

/// Prefill, decoding, and several sequences with and without a past.
const DECODING: [&[(&str, i64)]; 4] = [
    &[("batch", 1), ("seq", 32), ("past", 0), ("total", 32)],
    &[("batch", 1), ("seq", 1), ("past", 128), ("total", 129)],
    &[("batch", 2), ("seq", 5), ("past", 7), ("total", 12)],
    &[("batch", 2), ("seq", 5), ("past", 0), ("total", 5)],
];

#[test]
fn encoder() {
    let cases: [&[(&str, i64)]; 3] =
        [&[("batch", 4), ("seq", 32)], &[("batch", 1), ("seq", 128)], &[("batch", 1), ("seq", 1)]];
    // Six layers of eight products, a softmax, two normalisations and a transposed result.
    check("encoder_l6", 6 * 12 + 14, &cases, |_| {});
}

#[test]
fn gpt2() {
    // Twelve layers: six products, a softmax, two normalisations, three transposed results; its vocabulary is bound in
    // two halves.
    check("gpt2_small", 12 * 12 + 12, &DECODING, |graph| {
        tie(graph, "onnx::MatMul_2926", "m.transformer.wte.weight");
    });
}

#[test]
fn llama() {
    // Twelve layers: nine products, a softmax, two normalisations, two rotations, two transposed results.
    check("llama_125m", 12 * 16 + 10, &DECODING, |_| {});
}

#[test]
fn mobilenet() {
    check("mobilenetv2", 54, &[&[("batch", 1)], &[("batch", 3)]], |_| {});
}
