//! Both exports of one network, with weights, run alike: as many dispatches, the same arenas, the same processor time.

use bayplan::{Model, Session, Tensor};
use bayplan_compile::Arena;
use bayplan_tests::backend::Backend;
use bayplan_tests::{Case, reference_case, reference_cases, reference_model, session};

/// Runs of each, one after the other's; if the least times are further apart than [`APART`], as many again, and again.
const RUNS: usize = 20;
const ATTEMPTS: usize = 4;

/// How much one export may take more than the other: dispatches and processor time, and bytes.
const APART: f64 = 0.05;
const BYTES_APART: f64 = 0.02;

/// Nanoseconds that all threads of the process have computed so far.
fn cpu_time() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let of = |task: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    tasks.filter_map(of).sum()
}

fn alike(what: &str, label: &str, [a, b]: [u64; 2], most: f64) {
    let apart = a.abs_diff(b) as f64 / a.min(b).max(1) as f64;
    println!("{label}: {a} and {b} {what}");
    assert!(apart <= most, "{label}: {a} and {b} {what}");
}

/// Compares programs at every case, and processor time at one. Names are those of the references.
fn check(name: &str, timed: &str) {
    let device = Backend::Lavapipe.device();
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
    let cases = names.each_ref().map(|name| reference_case(name, timed));
    let mut sessions = [0, 1].map(|which| session::session(&device, &models[which], &cases[which]));
    time(&format!("{name} {timed}"), &mut sessions, &cases);
}

/// The least processor time of a run, both exports in turn.
fn time(label: &str, sessions: &mut [Session; 2], cases: &[Case; 2]) {
    let inputs: [Vec<(String, Tensor)>; 2] = cases.each_ref().map(session::inputs);
    let mut least = [u64::MAX; 2];
    for _ in 0..ATTEMPTS {
        for _ in 0..RUNS {
            for which in 0..2 {
                let before = cpu_time();
                session::run(&mut sessions[which], &inputs[which]);
                least[which] = least[which].min(cpu_time() - before);
            }
        }
        if least[0].abs_diff(least[1]) as f64 <= APART * least[0].min(least[1]) as f64 {
            break;
        }
    }
    alike("ns of processor time", label, least, APART);
}

/// One after the other in one test: what is measured is the whole process.
#[test]
fn both_exports_run_alike() {
    check("encoder_l6", "4x32");
    check("gpt2_small", "2x5+7");
    check("llama_125m", "1x1+128");
    check("mobilenetv2", "1");
}
