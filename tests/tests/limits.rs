//! Models on devices that bind and allocate less than their tensors have: operations in parts, arenas in blocks, and the
//! same answers.

use bayplan::{Device, DeviceOptions, Model};
use bayplan_compile::Arena;
use bayplan_engine::Limits;
use bayplan_tests::backend::Backend;
use bayplan_tests::{on_every_backend, reference_cases, reference_model, session};

/// ‖out − reference‖ / ‖reference‖ allowed of an output.
const MAX_ERROR: f64 = 1e-4;

const MIB: u64 = 1 << 20;

/// Runs a model on its cases as it is and on a device that binds `range` and allocates `allocation` bytes at once: there it
/// takes more dispatches and more blocks, hardly more memory, and answers as onnxruntime does.
fn check(backend: Backend, name: &str, range: u64, allocation: u64) {
    let limits =
        Limits { max_storage_range: Some(range), max_allocation: Some(allocation), ..Limits::default() };
    let device = backend.open(&DeviceOptions { limits, ..DeviceOptions::default() });
    let model = Model::open(reference_model(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let (mut parts, mut blocks) = (0, 0);
    for case in reference_cases(name) {
        let label = format!("{name} {} on {backend}", case.name);
        let whole = compile(&backend.device(), &model, &case);
        let mut built = session::session(&device, &model, &case);
        let program = built.program();
        let dispatches = |program: &bayplan::Program| program.run.dispatches.len();
        let bytes = |program: &bayplan::Program| program.arena_bytes[..2].iter().sum::<u64>();
        let windows = program.run.dispatches.iter().flat_map(|dispatch| &dispatch.windows);
        assert!(windows.clone().all(|window| window.len <= range), "{label}: a window beyond the limit");
        let own: usize =
            [Arena::Activations, Arena::Weights].map(|arena| program.blocks(arena).len()).iter().sum();
        println!(
            "{label}: {} dispatches instead of {}, {} bytes in {own} blocks instead of {}",
            dispatches(program),
            dispatches(&whole),
            bytes(program),
            bytes(&whole)
        );
        parts += dispatches(program) - dispatches(&whole).min(dispatches(program));
        blocks += own - 2;
        let errors = session::errors(&session::run(&mut built, &session::inputs(&case)), &case);
        for (output, error) in errors {
            assert!(error <= MAX_ERROR, "{label}: {output} {error:.3e}");
        }
    }
    assert!(parts > 0 && blocks > 0, "{name} on {backend}: {parts} dispatches and {blocks} blocks more");
}

fn compile(device: &Device, model: &Model, case: &bayplan_tests::Case) -> bayplan::Program {
    let program = model.compile(&session::dims(case), device.target(), bayplan::Options::default());
    program.unwrap_or_else(|e| panic!("{}: {e}", case.name))
}

on_every_backend! {
    chars => |on| check(on, "chars", 128 << 10, MIB);
    digits => |on| check(on, "digits", 128 << 10, 300 << 10);
    encoder_l6 => |on| check(on, "encoder_l6", MIB, 48 * MIB);
    resnet50 => |on| check(on, "resnet50", 7 * MIB / 2, 12 * MIB);
    vit_tiny => |on| check(on, "vit_tiny", MIB, 16 * MIB);
}
