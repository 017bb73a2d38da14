//! Graphs built in a few lines, and their programs run on a device beside the reference evaluation.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

use std::sync::OnceLock;

use bayplan_compile::{Arena, Options, Order, Program, compile};
use bayplan_engine::inspect::Inspection;
use bayplan_engine::{Device, DeviceOptions, Limits, Session, SessionOptions};
use bayplan_expr::Bindings;
use bayplan_graph::{Graph, NoFiles, Tensor, eval};
use bayplan_shaders::Target;
use bayplan_weights::Store;

/// What builds graphs for the tests across rooms builds them here.
#[path = "../../../../tests/src/graphs.rs"]
pub mod graphs;

pub mod dims;
pub mod models;

#[allow(unused_imports, reason = "each test program uses its part")]
pub use graphs::{Builder, floats};

/// The device that `BAYPLAN_DEVICE` names, or the best one; opened once.
pub fn device() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| open(Limits::default()))
}

/// The same device with stricter limits.
pub fn open(limits: Limits) -> Device {
    let mut options = DeviceOptions { limits, ..DeviceOptions::default() };
    if let Ok(name) = std::env::var("BAYPLAN_DEVICE") {
        options.selector = name.parse().unwrap_or_else(|e| panic!("BAYPLAN_DEVICE: {e}"));
    }
    Device::open(&options).unwrap_or_else(|e| panic!("no device to test on: {e}"))
}

/// The ways to compile: each pass with and without the others.
pub fn ways() -> [Options; 6] {
    [
        way(false, false),
        way(false, true),
        way(true, false),
        way(true, true),
        Options { simplify: false, ..way(true, true) },
        Options { order: Order::Search, ..way(true, true) },
    ]
}

/// Operators in the order written, as the scenarios of the memory model demand.
pub fn way(fuse: bool, in_place: bool) -> Options {
    Options { fuse, direct: fuse, in_place, order: Order::Given, ..Options::default() }
}

/// Compiles a graph without symbols; no constant lies in a file.
pub fn program(graph: &Graph, target: &Target, options: Options) -> Result<Program, String> {
    let read = |_: &bayplan_graph::ByteRange| Err("no file".to_string());
    compile(graph, &Bindings::default(), target, options, &read).map_err(|e| e.to_string())
}

/// Runs the graph compiled in every way, twice (the second run finds what the first has left in memory),
/// and compares every output with the reference evaluation.
///
/// Integers and booleans must be equal, floats within `tolerance` × the largest magnitude of the output (at least 1).
pub fn check(builder: &Builder, tolerance: f64) -> Result<(), String> {
    check_on(device(), builder, &ways(), tolerance)
}

/// As [`check`], on that device and compiled in those ways.
pub fn check_on(device: &Device, builder: &Builder, ways: &[Options], tolerance: f64) -> Result<(), String> {
    let expected = eval(&builder.graph, &builder.inputs, &NoFiles).map_err(|e| format!("reference: {e}"))?;
    for options in ways {
        let context = |e: String| format!("{options:?}: {e}");
        let program = program(&builder.graph, device.target(), options.clone()).map_err(context)?;
        check_program(device, &builder.graph, program, &builder.inputs, &expected, tolerance)
            .map_err(context)?;
    }
    Ok(())
}

/// Runs a program of a graph twice and compares every output with what is expected.
pub fn check_program(
    device: &Device,
    graph: &Graph,
    program: Program,
    inputs: &[Tensor],
    expected: &[Tensor],
    tolerance: f64,
) -> Result<(), String> {
    let store = Store::open("", graph).map_err(|e| e.to_string())?;
    let mut session =
        Session::new(device, program, &store, SessionOptions::default()).map_err(|e| e.to_string())?;
    let names = graph.inputs.iter().map(|&id| &*graph.value(id).name);
    let given: Vec<(&str, &Tensor)> = names.zip(inputs).collect();
    for run in 0..2 {
        let outputs = session.run(&given).map_err(|e| e.to_string())?;
        for (output, expected) in outputs.iter().zip(expected) {
            let actual = output.to_tensor().map_err(|e| e.to_string())?;
            compare(&actual, expected, tolerance)
                .map_err(|e| format!("run {run}, output {}: {e}", output.name()))?;
        }
    }
    Ok(())
}

/// What memory holds before a run.
const PATTERN: u8 = 0xa5;

/// Runs a program whose buffers have guard bytes behind them and share none, on memory that is filled with a pattern, and
/// looks whether the pattern still stands behind every buffer: a dispatch that writes past its window leaves its mark.
pub fn check_guards(device: &Device, builder: &Builder, program: Program) -> Result<(), String> {
    let fail = |e: bayplan_engine::EngineError| e.to_string();
    assert!(program.guard > 0, "without guard bytes there is nothing to look at");
    let inspection = Inspection::unverified(device, program).map_err(fail)?;
    let program = inspection.program();
    for arena in Arena::ALL {
        let bytes = vec![PATTERN; program.arena_bytes[arena.index()] as usize];
        inspection.write(arena, 0, &bytes).map_err(fail)?;
    }
    let store = Store::open("", &builder.graph).map_err(|e| e.to_string())?;
    inspection.load(&store).map_err(fail)?;
    for (index, input) in builder.inputs.iter().enumerate() {
        inspection.set_input(index, input).map_err(fail)?;
    }
    inspection.run().map_err(fail)?;
    for buffer in &program.buffers {
        let end = buffer.offset + buffer.size;
        let guard = inspection.read(buffer.arena, end, program.guard).map_err(fail)?;
        if let Some(at) = guard.iter().position(|&byte| byte != PATTERN) {
            return Err(format!("byte {at} after buffer {} was written", buffer.name));
        }
    }
    Ok(())
}

fn compare(actual: &Tensor, expected: &Tensor, tolerance: f64) -> Result<(), String> {
    if (actual.dtype(), actual.shape()) != (expected.dtype(), expected.shape()) {
        return Err(format!("{actual:?} instead of {expected:?}"));
    }
    let (a, b) = (actual.to_f64(), expected.to_f64());
    let finite = b.iter().filter(|v| v.is_finite()).fold(1.0, |most: f64, v| most.max(v.abs()));
    let allowed = if expected.dtype().is_float() { tolerance * finite } else { 0.0 };
    let same = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= allowed;
    match a.iter().zip(&b).position(|pair| !same(pair)) {
        None => Ok(()),
        Some(at) => Err(format!("element {at} is {} instead of {}: {actual:?}, {expected:?}", a[at], b[at])),
    }
}
