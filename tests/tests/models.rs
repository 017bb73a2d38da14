//! Whole models against onnxruntime: what they compute, what memory they take, and that runs allocate none.
//!
//! Every figure is printed (`--nocapture` shows them).

use bayplan::{AllocationCounts, Device, Model};
use bayplan_tests::program::{self, Sandbox};
use bayplan_tests::{Case, reference_case, reference_cases, reference_model, session};

/// ‖out − reference‖ / ‖reference‖ allowed of an output.
const MAX_ERROR: f64 = 1e-4;

/// (arena − lower bound) / lower bound allowed of a plan.
const MAX_WASTE: f64 = 0.02;

/// Runs a model on each of its cases, in a session per binding of its dims, and compares every output.
fn check(name: &str) {
    check_on(&session::device(false), name);
}

fn check_on(device: &Device, name: &str) {
    let model = Model::open(reference_model(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut wrong = Vec::new();
    for case in reference_cases(name) {
        let mut built = session::session(device, &model, &case);
        let plan = session::validated(built.program());
        let arena = built.program().arena_bytes[0];
        let waste = arena as f64 / plan.lower_bound.bytes as f64 - 1.0;
        println!(
            "{name} {}: arena {arena}, lower bound {}, waste {:.3} %, {}, {} dispatches",
            case.name,
            plan.lower_bound.bytes,
            waste * 100.0,
            plan.status.name(),
            built.program().run.dispatches.len(),
        );
        if waste > MAX_WASTE {
            wrong.push(format!("{}: waste {:.3} %", case.name, waste * 100.0));
        }
        for (output, error) in session::errors(session::run(&mut built, &session::inputs(&case)), &case) {
            println!("{name} {}: {output} {error:.3e}", case.name);
            // Not `error > MAX_ERROR`, which holds for no NaN.
            if error.is_nan() || error > MAX_ERROR {
                wrong.push(format!("{}: {output} {error:.3e}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{name}:\n  {}", wrong.join("\n  "));
}

#[test]
fn squeezenet() {
    check("squeezenet");
}

#[test]
fn resnet50() {
    check("resnet50");
}

#[test]
fn encoder() {
    check("encoder_l6");
}

#[test]
fn encoder_of_the_torchscript_exporter() {
    check("encoder_l6_ts");
}

#[test]
fn digits() {
    check("digits");
}

/// Prompts without a cache (past 0: tensors without an element go in) and steps with one.
#[test]
fn chars() {
    check("chars");
}

/// A discrete GPU's memory is out of the host's reach: weights, inputs and outputs go through staging buffers.
#[test]
fn through_staging_buffers() {
    let device = session::distant_device(false);
    for name in ["digits", "chars", "squeezenet"] {
        check_on(&device, name);
    }
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
fn allocations(name: &str, model: &Model, case: &Case, runs: usize) {
    let device = session::device(false);
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
        "{name}: {} allocations of {live_bytes} bytes while built, {} in {runs} runs",
        ready.allocations - before.allocations,
        allocations - ready.allocations
    );
    assert_eq!(device.allocations(), ready, "{name}: device memory changed during the runs");
}

#[test]
fn runs_allocate_no_device_memory() {
    for (name, case, runs) in [
        ("digits", "8", 1000),
        ("chars", "1x1+127", 20),
        ("squeezenet", "random0", 20),
        ("resnet50", "random0", 20),
        ("encoder_l6", "2x7", 20),
        ("encoder_l6_ts", "1x1", 20),
    ] {
        let model = Model::open(reference_model(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        allocations(name, &model, &reference_case(name, case), runs);
    }
}
