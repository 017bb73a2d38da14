//! Programs broken on purpose: a liveness that gives living bytes away, a barrier left out, a kernel that takes the
//! number of lanes for granted. Each is seen by whoever is there to see it, and what is not broken is not blamed.

use std::sync::Arc;

use bayplan_compile::{Program, compile, verify};
use bayplan_engine::inspect::Inspection;
use bayplan_engine::{Device, DeviceOptions, Selector};
use bayplan_expr::Bindings;
use bayplan_graph::op::{BinaryOp, Keep, Op, ReduceOp, UnaryOp};
use bayplan_graph::{ByteRange, Graph, NoFiles, Tensor, eval};
use bayplan_host::{HostError, Machine};
use bayplan_shaders::{Spec, Target};
use bayplan_tests::differential::{Kind, Settings, Tally, dispatch_by_dispatch};
use bayplan_tests::graphs::{Builder, floats};
use bayplan_weights::Store;

const LAVAPIPE: &str = "llvmpipe";
const SWIFTSHADER: &str = "SwiftShader";

fn open(name: &str, validation: bool) -> Device {
    let selector = Selector::Name(name.into());
    Device::open(&DeviceOptions { selector, validation, ..DeviceOptions::default() }).unwrap_or_else(|e| {
        panic!("no {name} to test on: {e}; scripts/setup.sh test && . target/env-test.sh")
    })
}

/// One dispatch per operator, every value in a buffer of its own.
fn program(graph: &Graph, target: &Target) -> Program {
    let settings = Settings { fuse: false, in_place: false, ..Settings::USUAL };
    let read = |_: &ByteRange| Err("no file".to_string());
    compile(graph, &Bindings::default(), target, settings.options(), &read).unwrap_or_else(|e| panic!("{e}"))
}

/// `a = tanh x`, `b = a · w`, `c = softmax b`, `d = c + a`, `e = d · w`, `f = e + a`: `a` lives long beside the others.
fn residual() -> Builder {
    let mut b = Builder::new("residual");
    let x = b.floats(&[40, 40]);
    let w = b.input(floats(&[40, 40], 3));
    let a = b.op(Op::Unary(UnaryOp::Tanh), &[x]);
    let product = b.op(Op::MatMul, &[a, w]);
    let c = b.op(Op::Softmax { axis: 1, log: false }, &[product]);
    let d = b.op(Op::Binary(BinaryOp::Add), &[c, a]);
    let e = b.op(Op::MatMul, &[d, w]);
    let f = b.op(Op::Binary(BinaryOp::Add), &[e, a]);
    for (id, name) in [(x, "x"), (w, "w"), (a, "a"), (product, "b"), (c, "c"), (d, "d"), (e, "e"), (f, "f")] {
        b.graph.values[id.0 as usize].name = name.into();
    }
    b.output(f);
    b
}

fn buffer(program: &Program, name: &str) -> usize {
    let found = program.buffers.iter().position(|buffer| buffer.name == name);
    found.unwrap_or_else(|| panic!("no buffer {name} in\n{program}"))
}

/// Gives a buffer the bytes of another one, with everything bound to it.
fn put_over(program: &mut Program, name: &str, other: &str) {
    let (moved, to) = (buffer(program, name), program.buffers[buffer(program, other)].offset);
    let from = std::mem::replace(&mut program.buffers[moved].offset, to);
    let windows = program.run.dispatches.iter_mut().flat_map(|dispatch| &mut dispatch.windows);
    let ports = program.inputs.iter_mut().chain(&mut program.outputs).map(|port| &mut port.window);
    for window in windows.chain(ports).filter(|window| window.buffer.0 as usize == moved) {
        window.offset = window.offset - from + to;
    }
}

/// Runs a program that nobody has verified on the host. What it answers.
fn on_host(program: &Program, b: &Builder) -> Result<Vec<Tensor>, HostError> {
    let store = Store::open("", &b.graph).expect("no files");
    let mut machine = Machine::new(program.clone()).thorough();
    machine.load(&store)?;
    machine.run(&b.inputs.iter().collect::<Vec<_>>())?;
    program.outputs.iter().map(|port| machine.output(port)).collect()
}

/// What the host finds wrong with a program, or with its answer.
fn caught(program: &Program, b: &Builder, expected: &Tensor) -> Option<String> {
    match on_host(program, b) {
        Err(e) => Some(e.to_string()),
        Ok(made) => {
            let far = distance(&made[0], expected);
            (far.is_nan() || far > 1e-4).then(|| format!("its answer is off by {far}"))
        }
    }
}

/// The largest distance between two tensors.
fn distance(a: &Tensor, b: &Tensor) -> f64 {
    a.to_f64().iter().zip(b.to_f64()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn a_broken_liveness_is_refused_by_the_verifier_and_poisoned_on_the_host() {
    let b = residual();
    let good = program(&b.graph, &bayplan_host::target());
    let expected = eval(&b.graph, &b.inputs, &NoFiles).expect("the reference evaluates it");
    // The control: nobody says anything, and the answer is right.
    assert_eq!(verify(&good), Ok(()));
    let made = on_host(&good, &b).unwrap_or_else(|e| panic!("{e}\n{good}"));
    assert!(distance(&made[0], &expected[0]) < 1e-4, "{made:?}");

    let cut = |name: &'static str| {
        move |program: &mut Program| {
            let at = buffer(program, name);
            program.buffers[at].lifespan.end -= 1;
        }
    };
    let over =
        |name: &'static str, other: &'static str| move |program: &mut Program| put_over(program, name, other);
    type Change = Box<dyn Fn(&mut Program)>;
    let changes: [(&str, bool, Change); 5] = [
        // `c` dies before `a` is read for the last time; what dies is poisoned, and `a` with it.
        ("c has the bytes of a", true, Box::new(over("c", "a"))),
        ("d has the bytes of a", false, Box::new(over("d", "a"))),
        ("e has the bytes of a", false, Box::new(over("e", "a"))),
        ("a lives one dispatch too short", false, Box::new(cut("a"))),
        ("b lives one dispatch too short", false, Box::new(cut("b"))),
    ];
    for (what, poisoned, change) in changes {
        let mut broken = good.clone();
        change(&mut broken);
        let violation = verify(&broken).expect_err(what);
        let found = caught(&broken, &b, &expected[0]).unwrap_or_else(|| panic!("the host accepts: {what}"));
        println!("{what}:\n  the verifier: {violation}\n  the host: {found}");
        assert!(!poisoned || found.contains("dead"), "{what}: {found}");
    }
}

/// Every pair of living buffers, one put over the other: the verifier refuses all of them, and where the host notices
/// nothing the answer is right (the one was never read again).
#[test]
fn whatever_overlaps_is_refused_and_found() {
    let b = residual();
    let good = program(&b.graph, &bayplan_host::target());
    let expected = eval(&b.graph, &b.inputs, &NoFiles).expect("the reference evaluates it");
    let names: Vec<String> = good.buffers.iter().map(|buffer| buffer.name.to_string()).collect();
    let (mut pairs, mut found) = (0, 0);
    for name in &names {
        for other in names.iter().filter(|other| *other != name) {
            let lives = [name, other].map(|name| good.buffers[buffer(&good, name)].lifespan.clone());
            let together = lives[0].start < lives[1].end && lives[1].start < lives[0].end;
            let mut broken = good.clone();
            put_over(&mut broken, name, other);
            if !together || verify(&broken).is_ok() {
                assert!(!together, "{name} over {other}, which live together, is not refused:\n{broken}");
                continue;
            }
            pairs += 1;
            found += usize::from(caught(&broken, &b, &expected[0]).is_some());
        }
    }
    println!("{pairs} overlaps refused by the verifier, {found} of them found by the host");
    assert!(pairs >= 10 && found * 10 >= pairs * 8, "{found} of {pairs}");
}

#[test]
fn a_dropped_barrier_is_refused_by_the_verifier_and_told_by_the_validation_layer() {
    let b = residual();
    let store = Store::open("", &b.graph).expect("no files");
    for name in [LAVAPIPE, SWIFTSHADER] {
        let device = open(name, true);
        let good = program(&b.graph, device.target());
        let run = |program: &Program| {
            let before = device.message_count();
            let inspection = Inspection::unverified(&device, program.clone()).expect("it is built");
            inspection.load(&store).expect("it is loaded");
            for (index, tensor) in b.inputs.iter().enumerate() {
                inspection.set_input(index, tensor).expect("an input");
            }
            inspection.run().expect("it runs");
            device.message_count() - before
        };
        assert_eq!(run(&good), 0, "the control: {:#?}", device.messages());
        let mut dropped = 0;
        for index in 0..good.run.dispatches.len() {
            if !good.run.dispatches[index].barrier_before {
                continue;
            }
            let mut broken = good.clone();
            broken.run.dispatches[index].barrier_before = false;
            let violation = verify(&broken).expect_err("a barrier was dropped").to_string();
            assert!(violation.contains("without a barrier"), "{violation}");
            let told = run(&broken);
            let last = device.messages().last().map(|message| message.id.clone()).unwrap_or_default();
            println!("{name}, barrier before {index}: {violation}; the layer: {told} × {last}");
            assert!(told > 0 && last.starts_with("SYNC-HAZARD"), "before {index}: {:#?}", device.messages());
            dropped += 1;
        }
        assert_eq!(dropped, 5, "each dispatch reads what the one before it made");
    }
}

/// Rows of a reduction: eight invocations each, their sums added by one subgroup operation. With subgroups of four lanes
/// the first of eight invocations only ever hears of four.
const EIGHT_LANES: &str = "
struct Floats { d: array<f32> }
@group(0) @binding(0) var<storage, read> x: Floats;
@group(0) @binding(1) var<storage, read_write> y: Floats;
@compute @workgroup_size(8, 1, 1)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    var own = 0.0;
    for (var i = lane; i < LENu; i += 8u) { own += x.d[group.x * LENu + i]; }
    let sum = subgroupAdd(own);
    if (lane == 0u) { y.d[group.x] = sum; }
}
";

#[test]
fn a_kernel_for_eight_lanes_is_right_on_lavapipe_and_found_on_swiftshader() {
    const ROWS: usize = 3;
    const LEN: usize = 40;
    let mut b = Builder::new("eight lanes");
    let x = b.floats(&[ROWS, LEN]);
    let axes = b.ints(&[1]);
    let y = b.op(Op::Reduce(ReduceOp::Sum, Keep::None), &[x, axes]);
    b.output(y);
    let store = Store::open("", &b.graph).expect("no files");
    let compare = |device: &Device, program: Program| {
        let target = device.target().clone();
        let inspection = Inspection::new(device, program).expect("it is built");
        let mut tally = Tally::default();
        dispatch_by_dispatch(&inspection, &target, &b.inputs, &store, &mut tally).map(|_| tally.dispatches)
    };
    for name in [LAVAPIPE, SWIFTSHADER] {
        let device = open(name, false);
        let good = program(&b.graph, device.target());
        assert!(matches!(*good.run.dispatches[0].spec, Spec::Reduce(_)), "{good}");
        assert_eq!(compare(&device, good.clone()).unwrap_or_else(|e| panic!("the control: {e}")), 1);
        let mut broken = good;
        let kernel = Arc::make_mut(&mut broken.kernels[0]);
        kernel.wgsl = EIGHT_LANES.replace("LEN", &LEN.to_string());
        (kernel.workgroup, kernel.subgroup) = ([8, 1, 1], None);
        broken.run.dispatches[0].grid = [ROWS as u32, 1, 1];
        let lanes = device.target().subgroup.map_or(0, |subgroup| subgroup.size);
        let found = compare(&device, broken);
        println!("{name}, {lanes} lanes: {found:?}");
        match lanes {
            8 => assert_eq!(found.unwrap_or_else(|e| panic!("{e}")), 1),
            _ => assert!(found.is_err_and(|e| e.kind == Kind::Dispatch && e.family == "reduce")),
        }
        let expected = if name == LAVAPIPE { 8 } else { 4 };
        assert_eq!(lanes, expected, "{name} has another number of lanes than this test is about");
    }
}
