//! Both exports of one network, with weights, become alike programs: as many dispatches, the same arenas. That they take the
//! same processor time is measured by `make bench-exports`.

use bayplan::Model;
use bayplan_compile::Arena;
use bayplan_tests::backend::Backend;
use bayplan_tests::{reference_case, reference_cases, reference_model, session};

/// How much one export may take more than the other: dispatches, and bytes.
const APART: f64 = 0.05;
const BYTES_APART: f64 = 0.01;

fn alike(what: &str, label: &str, [a, b]: [u64; 2], most: f64) {
    let apart = a.abs_diff(b) as f64 / a.min(b).max(1) as f64;
    println!("{label}: {a} and {b} {what}");
    assert!(apart <= most, "{label}: {a} and {b} {what}");
}

/// Compares programs at every case, on the backend's limits. Names are those of the references.
fn check(backend: Backend, name: &str) {
    let device = backend.device();
    let names = [name.to_owned(), format!("{name}_ts")];
    let models = names.each_ref().map(|name| Model::open(reference_model(name)).expect(name));
    for case in reference_cases(name) {
        let label = format!("{name} {}", case.name);
        let programs = [0, 1].map(|which| {
            let case = reference_case(&names[which], &case.name);
            let program =
                models[which].compile(&session::dims(&case), device.target(), bayplan::Options::default());
            program.unwrap_or_else(|e| panic!("{}: {e}", names[which]))
        });
        let dispatches = programs.each_ref().map(|program| program.run.dispatches.len() as u64);
        alike("dispatches", &label, dispatches, APART);
        for arena in Arena::ALL {
            let bytes = programs.each_ref().map(|program| program.arena_bytes[arena.index()]);
            alike(&format!("bytes of {}", arena.name()), &label, bytes, BYTES_APART);
        }
    }
}

/// Bytes of activations of the encoder's six layers at a batch of 4 with 32 tokens; IREE takes 3.94 MB.
const ENCODER: u64 = 2_000_000;

fn encoder_is_small(backend: Backend) {
    let model = Model::open(reference_model("encoder_l6")).expect("the encoder");
    let dims = session::dims(&reference_case("encoder_l6", "4x32"));
    let program = model.compile(&dims, backend.device().target(), bayplan::Options::default());
    let bytes = program.expect("a program").arena_bytes[Arena::Activations.index()];
    println!("encoder_l6 4x32: {bytes} bytes of activations");
    assert!(bytes <= ENCODER, "{bytes}");
}

bayplan_tests::on_every_backend! {
    arena_of_the_encoder => |backend| encoder_is_small(backend);
    encoder => |backend| check(backend, "encoder_l6");
    gpt2 => |backend| check(backend, "gpt2_small");
    llama => |backend| check(backend, "llama_125m");
    mobilenet => |backend| check(backend, "mobilenetv2");
}
