//! Whole models against onnxruntime, on every backend: what they compute, what memory they take, and that runs allocate
//! none.
//!
//! Every figure is printed (`--nocapture` shows them).

use std::time::Instant;

use bayplan::{AllocationCounts, Device, DeviceOptions, Model};
use bayplan_tests::backend::Backend;
use bayplan_tests::program::{self, Sandbox};
use bayplan_tests::{
    Case, on_every_backend, on_every_driver, reference_case, reference_cases, reference_model, session,
};

/// ‖out − reference‖ / ‖reference‖ allowed of an output.
const MAX_ERROR: f64 = 1e-4;

/// (arena − bound) / bound allowed of a plan; the bound counts the device's alignment.
const MAX_WASTE: f64 = 0.02;

/// Runs a model on each of its cases, in a session per binding of its dims, and compares every output.
fn check(backend: Backend, name: &str) {
    check_on(backend, &backend.device(), name);
}

fn check_on(backend: Backend, device: &Device, name: &str) {
    let model = Model::open(reference_model(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut wrong = Vec::new();
    for case in reference_cases(name) {
        let begun = Instant::now();
        let mut built = session::session(device, &model, &case);
        let (plan, bound) = session::validated(built.program());
        let arena = built.program().arena_bytes[0];
        let waste = arena as f64 / bound.bytes as f64 - 1.0;
        println!(
            "{name} {} on {backend}: arena {arena}, bound {}, waste {:.3} %, {}, {} dispatches, {} kernels, built in {:.1} s",
            case.name,
            bound.bytes,
            waste * 100.0,
            plan.status.name(),
            built.program().run.dispatches.len(),
            built.program().kernels.len(),
            begun.elapsed().as_secs_f64(),
        );
        if waste > MAX_WASTE {
            wrong.push(format!("{}: waste {:.3} %", case.name, waste * 100.0));
        }
        let begun = Instant::now();
        let errors = session::errors(&session::run(&mut built, &session::inputs(&case)), &case);
        let passed = begun.elapsed().as_secs_f64();
        let (worst, error) = errors.iter().fold(("", 0.0), |(worst, most), (output, error)| {
            // NaN compares with nothing.
            if error.is_nan() || *error > most { (output.as_str(), *error) } else { (worst, most) }
        });
        println!(
            "{name} {} on {backend}: {worst} {error:.3e} of {} outputs, ran {passed:.2} s",
            case.name,
            errors.len()
        );
        for (output, error) in errors {
            // Not `error > MAX_ERROR`, which holds for no NaN.
            if error.is_nan() || error > MAX_ERROR {
                wrong.push(format!("{}: {output} {error:.3e}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{name} on {backend}:\n  {}", wrong.join("\n  "));
}

on_every_backend! {
    alexnet => |on| check(on, "alexnet");
    /// Prompts without a cache (past 0: tensors without an element go in) and steps with one.
    chars => |on| check(on, "chars");
    densenet121 => |on| check(on, "densenet121");
    digits => |on| check(on, "digits");
    encoder_l6 => |on| check(on, "encoder_l6");
    encoder_l6_ts => |on| check(on, "encoder_l6_ts");
    gpt2_small => |on| check(on, "gpt2_small");
    gpt2_small_ts => |on| check(on, "gpt2_small_ts");
    inception_v1 => |on| check(on, "inception_v1");
    inception_v2 => |on| check(on, "inception_v2");
    llama_125m => |on| check(on, "llama_125m");
    llama_125m_ts => |on| check(on, "llama_125m_ts");
    mobilenetv2 => |on| check(on, "mobilenetv2");
    mobilenetv2_ts => |on| check(on, "mobilenetv2_ts");
    resnet50 => |on| check(on, "resnet50");
    shufflenet => |on| check(on, "shufflenet");
    squeezenet => |on| check(on, "squeezenet");
    vgg19 => |on| check(on, "vgg19");
    vit_tiny => |on| check(on, "vit_tiny");
    zfnet512 => |on| check(on, "zfnet512");
}

on_every_driver! {
    /// A discrete GPU's memory is out of the host's reach: weights, inputs and outputs go through staging buffers.
    through_staging_buffers => |on| {
        let device = on.open(&DeviceOptions { separate_memory: true, ..DeviceOptions::default() });
        for name in ["digits", "chars", "squeezenet"] {
            check_on(on, &device, name);
        }
    };

    runs_allocate_no_device_memory => |on| {
        for (name, case, runs) in [
            ("digits", "8", 1000),
            ("chars", "1x1+127", 20),
            ("squeezenet", "random0", 5),
            ("resnet50", "random0", 3),
            ("encoder_l6", "2x7", 5),
            ("llama_125m", "1x1+128", 5),
        ] {
            let model = Model::open(reference_model(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
            allocations(on, name, &model, &reference_case(name, case), runs);
        }
    };
}

/// The example of the library on the test images: it judges itself, and learns from shuffled labels that it is wrong.
#[test]
fn digits_are_told_apart() {
    let accuracy = |arguments: &[&str]| {
        let sandbox = Sandbox::new();
        let ended = program::run(&mut sandbox.command("examples/digits", arguments));
        let line = ended.stdout.lines().find_map(|line| line.strip_prefix("accuracy"));
        let figure = line.and_then(|line| line.split_whitespace().next()).and_then(|word| word.parse().ok());
        let accuracy: f64 = figure.unwrap_or_else(|| panic!("no accuracy: {ended:?}"));
        println!("digits {arguments:?}: {accuracy} %, exit code {:?}", ended.code);
        (accuracy, ended)
    };
    let (right, ended) = accuracy(&[]);
    assert!(right >= 97.0 && ended.code == Some(0), "{ended:?}");
    for line in ["arena peak", "lower bound", "waste"] {
        assert!(ended.stdout.lines().any(|text| text.starts_with(line)), "no line {line}: {ended:?}");
    }
    for seed in ["1", "2"] {
        let (shuffled, ended) = accuracy(&["--shuffle-labels", seed]);
        assert!(shuffled < 20.0 && ended.code == Some(1), "{ended:?}");
    }
}

/// Builds a session, runs it so often, and looks at the device's allocations before, between and after.
fn allocations(backend: Backend, name: &str, model: &Model, case: &Case, runs: usize) {
    let device = backend.device();
    let before = device.allocations();
    let mut built = session::session(&device, model, case);
    let ready = device.allocations();
    assert!(ready.allocations > before.allocations, "{name}: the build's allocations were not counted");
    // Activations and weights: what only loading needed is freed by now.
    let planned: u64 = built.program().arena_bytes[..2].iter().sum();
    assert!(ready.live_bytes >= planned, "{name}: {ready:?} where the plan has {planned} bytes");
    let inputs = session::inputs(case);
    for _ in 0..runs {
        session::run(&mut built, &inputs);
    }
    let AllocationCounts { allocations, live_bytes, .. } = device.allocations();
    println!(
        "{name} on {backend}: {} allocations of {live_bytes} bytes while built, {} in {runs} runs",
        ready.allocations - before.allocations,
        allocations - ready.allocations
    );
    assert_eq!(device.allocations(), ready, "{name}: device memory changed during the runs");
}
