//! Copy elimination: each rule by a small graph on every backend, against the reference evaluation and against the
//! program whose copies all stay; then what remains in whole models.
//!
//! Every figure is printed (`--nocapture` shows them).

mod models;
mod places;
mod rules;

use bayplan::{Bindings, Device, Options, Program, Session, SessionOptions, Target, Tensor};
use bayplan_compile::{Dispatch, compile};
use bayplan_graph::op::{Pads, UnaryOp, ViewOp, Window};
use bayplan_graph::{ByteRange, NoFiles, Op, ValueId, eval};
use bayplan_shaders::{Access, Spec};
use bayplan_tests::backend::Backend;
use bayplan_tests::graphs::Builder;
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
        let there = program.run.dispatches.iter().filter(|d| matches!(*d.spec, Spec::Copy(_))).count();
        assert_eq!(listed.len(), there, "{what}: all copies are listed");
        for copy in &program.copies {
            assert!(matches!(*program.run.dispatches[copy.dispatch as usize].spec, Spec::Copy(_)), "{what}");
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

/// The dispatches that write an output.
fn writers(program: &Program, output: usize) -> impl Iterator<Item = &Dispatch> {
    let own = program.outputs[output].window.buffer;
    let writes = move |d: &&Dispatch| d.windows.iter().any(|w| w.buffer == own && w.access != Access::Read);
    program.run.dispatches.iter().filter(writes)
}

fn reshaped(b: &mut Builder, x: ValueId, shape: &[i64]) -> ValueId {
    let shape = b.ints(shape);
    b.op(RESHAPE, &[x, shape])
}

fn sliced(b: &mut Builder, x: ValueId, axis: i64, range: std::ops::Range<i64>, step: i64) -> ValueId {
    let [starts, ends, axes, steps] = [range.start, range.end, axis, step].map(|v| b.ints(&[v]));
    b.op(Op::Slice, &[x, starts, ends, axes, steps])
}

fn softmax(b: &mut Builder, x: ValueId) -> ValueId {
    b.op(Op::Softmax { axis: -1, log: false }, &[x])
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
