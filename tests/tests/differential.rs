//! Random graphs on every driver, each dispatch against the host's: about a minute per driver, `make differential` for
//! more. The validation layers look at a share of them.

use std::time::{Duration, Instant};

use bayplan_engine::{Device, DeviceOptions, Selector};
use bayplan_tests::differential::{Checker, Outcome, Plan, sweep};
use bayplan_vulkan::{Instance, InstanceOptions, controls, select};

/// Seeds of one run, of which as many are run as fit its time.
const SEEDS: u64 = 400;

/// Time for the seeds of one run.
const TIME: Duration = Duration::from_secs(60);

/// Seeds under validation.
const VALIDATED: u64 = 40;

/// Least seeds that a run must come to, however slow the machine.
const LEAST: u64 = 20;

fn run(name: &str, validation: bool, seeds: std::ops::Range<u64>) -> Outcome {
    let selector = Selector::Name(name.into());
    let options = DeviceOptions { selector, validation, ..DeviceOptions::default() };
    let device = Device::open(&options).unwrap_or_else(|e| {
        panic!("no {name} to test on: {e}; scripts/setup.sh test && . target/env-test.sh")
    });
    let begun = Instant::now();
    let plan = Plan { seeds, steps: 5, until: Some(begun + TIME) };
    let checker = Checker::new(device);
    let outcome = sweep(&checker, &plan, &mut |_, _| {});
    let first = plan.seeds.start;
    println!(
        "{name}, seeds {first}..{}, {:.1?}, validation {validation}: {} messages\n{}",
        first + outcome.seeds,
        begun.elapsed(),
        checker.device().message_count(),
        outcome.tally
    );
    assert_eq!(outcome.failed, 0, "{} seeds failed:\n{}", outcome.failed, outcome.failures.join("\n\n"));
    assert!(outcome.seeds >= LEAST, "only {} seeds in {TIME:?}", outcome.seeds);
    assert!(
        outcome.tally.graphs * 10 >= outcome.seeds * 9,
        "{} graphs were refused",
        outcome.tally.refusals()
    );
    outcome
}

/// What must have been seen in a run of some size for its silence to mean anything.
fn sees_all(outcome: &Outcome) {
    let tally = &outcome.tally;
    for family in [
        "elementwise",
        "matmul",
        "conv",
        "pool",
        "reduce",
        "softmax",
        "normalize",
        "copy",
        "gather",
        "gather_nd",
        "scatter",
        "cumulate",
        "rank",
    ] {
        assert!(tally.families.contains_key(family), "no dispatch of {family} in {} seeds", outcome.seeds);
    }
    assert!(tally.loads > 0 && tally.references > 0, "{tally}");
    let unbound: u64 = tally.families.values().map(|family| family.unbound).sum();
    assert!(unbound * 20 < tally.elements, "of {unbound} of {} elements nothing is known", tally.elements);
}

/// Every negative control fires on that driver.
fn controls_fire(name: &str) {
    let options = InstanceOptions { validation: true, ..InstanceOptions::default() };
    let instance = Instance::new(&options).expect("the validation layers are installed");
    let devices = instance.devices().expect("a driver");
    let info = &devices[select(&devices, &Selector::Name(name.into())).expect("the driver")];
    for outcome in controls::run_all(info).expect("the controls run") {
        println!("control {:?} on {name}: fired {}", outcome.name, outcome.fired);
        assert!(outcome.fired, "{outcome:#?}");
    }
}

fn check(name: &str) {
    let outcome = run(name, false, 0..SEEDS);
    if outcome.seeds == SEEDS {
        sees_all(&outcome);
    }
    controls_fire(name);
    run(name, true, SEEDS..SEEDS + VALIDATED);
    controls_fire(name);
}

#[test]
fn lavapipe() {
    check("llvmpipe");
}

// No other architecture's build is published.
#[cfg(target_arch = "x86_64")]
#[test]
fn swiftshader() {
    check("SwiftShader");
}
