//! Operators against onnxruntime, each at 20 random shapes: all of the domain `com.microsoft`, and those of ONNX whose variants
//! its own test set has few of.

use std::collections::BTreeMap;

use bayplan_tests::backend::Backend;
use bayplan_tests::conformance::{Set, program};
use bayplan_tests::on_every_backend;

on_every_backend! {
    at_random_shapes => |on| check(on);
}

/// Random shapes of each operator.
const SHAPES: usize = 20;

#[test]
fn every_contrib_operator_is_there() {
    let set = Set::compared();
    let mut shapes: BTreeMap<&str, usize> = BTreeMap::new();
    for case in &set.cases {
        let operator = case.id.split('/').next().expect("a name before the number");
        *shapes.entry(operator).or_default() += 1;
    }
    let contrib = shapes.keys().filter_map(|name| name.strip_prefix("com.microsoft."));
    assert_eq!(contrib.collect::<Vec<_>>(), bayplan_onnx::supported_contrib());
    assert!(shapes.values().all(|&count| count >= SHAPES), "{shapes:?}");
}

fn check(backend: Backend) {
    let set = Set::compared();
    let done = program::run(&set.cases, backend.device().name());
    let failures: Vec<String> = set
        .cases
        .iter()
        .zip(&done)
        .flat_map(|(case, done)| done.iter().map(move |done| (case, done)))
        .filter_map(|(case, done)| done.result.as_ref().err().map(|why| format!("{}: {why}", case.id)))
        .collect();
    let (count, wrong) = (set.cases.len(), failures.len());
    assert!(
        failures.is_empty(),
        "{wrong} of {count} cases differ from onnxruntime:\n{}",
        failures.join("\n")
    );
}
