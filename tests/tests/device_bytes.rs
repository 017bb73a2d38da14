//! How much device memory a session takes, counted at the device's own functions: its weights and its planned arena, and
//! next to nothing else.

use bayplan::{Device, Model};
use bayplan_compile::{Arena, BufferKind};
use bayplan_tests::backend::Backend;
use bayplan_tests::{on_every_driver, reference_cases, reference_model, session};

/// Device memory of a session over weights and arena.
const MOST: f64 = 1.02;

/// Builds a session for each case of a model and compares what the device has allocated for it with what it must hold: the
/// weights as the run reads them, without padding, and the planned activations.
fn check(backend: Backend, name: &str) {
    let device = backend.device();
    let model = Model::open(reference_model(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    for case in reference_cases(name) {
        let label = format!("{name} {} on {backend}", case.name);
        let (taken, needed) = of_session(&device, &label, || session::session(&device, &model, &case));
        assert!(taken as f64 <= needed as f64 * MOST, "{label}: {taken} bytes for {needed}");
    }
}

/// Bytes that a session takes of a device, and the bytes of its weights and its arena.
fn of_session(device: &Device, label: &str, build: impl FnOnce() -> bayplan::Session) -> (u64, u64) {
    let before = device.allocations().live_bytes;
    let built = build();
    let counts = device.allocations();
    let program = built.program();
    let weights = program.buffers.iter().filter(|buffer| buffer.kind == BufferKind::Weight);
    let weights: u64 = weights.map(|buffer| buffer.size).sum();
    let arena = program.arena_bytes[Arena::Activations.index()];
    let taken = counts.live_bytes - before;
    assert!(taken >= weights + arena, "{label}: {taken} bytes hold neither {weights} nor {arena}");
    println!(
        "{label}: {taken} bytes, {:.3} × ({weights} of weights + {arena} of arena); while loading {:.3} ×",
        taken as f64 / (weights + arena) as f64,
        (counts.peak_bytes - before) as f64 / (weights + arena) as f64
    );
    (taken, weights + arena)
}

on_every_driver! {
    chars => |on| check(on, "chars");
    digits => |on| check(on, "digits");
    encoder_l6 => |on| check(on, "encoder_l6");
    inception_v1 => |on| check(on, "inception_v1");
    mobilenetv2 => |on| check(on, "mobilenetv2");
    mobilenetv2_ts => |on| check(on, "mobilenetv2_ts");
    resnet50 => |on| check(on, "resnet50");
    shufflenet => |on| check(on, "shufflenet");
    squeezenet => |on| check(on, "squeezenet");
    vit_tiny => |on| check(on, "vit_tiny");
}
