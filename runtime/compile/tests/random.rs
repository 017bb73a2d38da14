//! Random graphs over all families of operators on a device, against the reference evaluation, compiled in every way.
//!
//! `BAYPLAN_SEEDS=n..m` runs the graphs of those seeds instead.

mod common;
#[path = "../../../tests/src/differential/draw/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests across rooms use more of it")]
mod draw;
#[path = "../../../tests/src/random.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests across rooms use more of it")]
mod random;

use bayplan_graph::op::Op;

use bayplan_compile::Options;
use bayplan_engine::Limits;

use common::{Builder, check, check_guards, check_on, graphs, way};

/// Graphs; each is compiled and run in every way.
const GRAPHS: u64 = 96;

/// Relative to an output's largest magnitude: sums of up to some hundred products in another order.
const TOLERANCE: f64 = 5e-5;

/// The graph of a seed, with the tensors of its inputs.
fn drawn(seed: u64) -> Builder {
    draw::draw(seed, draw::Drawn { steps: 4, determined: true })
}

/// The seeds to run: those asked for, or these.
fn seeds(graphs: u64) -> std::ops::Range<u64> {
    match std::env::var("BAYPLAN_SEEDS") {
        Ok(range) => {
            let ends = range.split_once("..").and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
            let (first, end): (u64, u64) = ends.expect("BAYPLAN_SEEDS is a range as 7..8");
            first..end
        }
        Err(_) => 0..graphs,
    }
}

/// On a device whose windows hold 2 KiB and whose allocations hold 1 MiB much is split. What cannot be is
/// refused by the name of its limit.
#[test]
fn random_graphs_on_a_device_of_small_windows_agree_too() {
    let limits =
        Limits { max_storage_range: Some(2048), max_allocation: Some(1 << 20), storage_alignment: Some(16) };
    let device = common::open(limits);
    let (mut failed, mut refused, mut split) = (Vec::new(), 0, 0);
    for seed in seeds(GRAPHS) {
        let builder = drawn(seed);
        let dispatches = |target: &_, way| {
            common::program(&builder.graph, target, way).map(|program| program.run.dispatches.len())
        };
        let (whole, parts) = (
            dispatches(common::device().target(), way(true, true)),
            dispatches(device.target(), way(true, true)),
        );
        split += usize::from(whole.is_ok_and(|whole| parts.is_ok_and(|parts| parts > whole)));
        match check_on(&device, &builder, &[way(false, false), way(true, true)], TOLERANCE) {
            Ok(()) => {}
            Err(e) if e.contains("maxStorageBufferRange") || e.contains("maxMemoryAllocationSize") => {
                refused += 1;
            }
            Err(e) => failed.push(format!("seed {seed}: {e}\n{}", builder.graph)),
        }
    }
    println!("{split} split, {refused} refused");
    assert!(failed.is_empty(), "{} graphs failed; the first:\n{}", failed.len(), failed[0]);
    assert!(
        split * 4 >= GRAPHS as usize && refused * 6 <= GRAPHS as usize,
        "{split} of {GRAPHS} graphs were split, {refused} refused"
    );
}

/// Guard bytes behind every buffer.
fn guarded() -> Options {
    Options { share: false, guard: 256, ..way(true, true) }
}

#[test]
fn nothing_is_written_past_a_window() {
    let limits = Limits { max_storage_range: Some(2048), storage_alignment: Some(256), ..Limits::default() };
    let (whole, split) = (common::device(), common::open(limits));
    let mut failed = Vec::new();
    for seed in seeds(GRAPHS) {
        let builder = drawn(seed);
        for device in [whole, &split] {
            let Ok(program) = common::program(&builder.graph, device.target(), guarded()) else { continue };
            if let Err(e) = check_guards(device, &builder, program) {
                failed.push(format!("seed {seed}: {e}\n{}", builder.graph));
            }
        }
    }
    assert!(failed.is_empty(), "{} graphs failed; the first:\n{}", failed.len(), failed[0]);
}

/// A window one unit beside its plan is written, and the guard bytes tell it.
#[test]
fn what_is_written_past_a_window_is_seen() {
    let mut b = Builder::new("guards");
    let (x, y) = (b.floats(&[8, 8]), b.floats(&[8, 8]));
    let z = b.op(Op::MatMul, &[x, y]);
    b.output(z);
    let program = || common::program(&b.graph, common::device().target(), guarded()).expect("a program");
    check_guards(common::device(), &b, program()).expect("the kernel keeps to its window");
    let mut shifted = program();
    let window = shifted.run.dispatches[0].windows.last_mut().expect("a result");
    assert_eq!(window.access, bayplan_shaders::Access::Write);
    window.offset += shifted.target.storage_alignment.next_multiple_of(64);
    let e = check_guards(common::device(), &b, shifted).expect_err("bytes behind the result");
    assert!(e.contains("was written"), "{e}");
}

#[test]
fn random_graphs_agree_with_the_reference() {
    let mut failed = Vec::new();
    for seed in seeds(GRAPHS) {
        let builder = drawn(seed);
        if let Err(e) = check(&builder, TOLERANCE) {
            failed.push(format!("seed {seed}: {e}\n{}", builder.graph));
        }
    }
    assert!(failed.is_empty(), "{} graphs failed; the first:\n{}", failed.len(), failed[0]);
}
