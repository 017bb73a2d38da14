//! Operators of the domain `com.microsoft` against onnxruntime, each at 20 random shapes.

use std::collections::BTreeMap;

use bayplan_tests::backend::Backend;
use bayplan_tests::conformance::{Set, program};
use bayplan_tests::on_every_backend;

on_every_backend! {
    contrib_operators => |on| check(on);
}

/// Random shapes of each operator.
const SHAPES: usize = 20;

#[test]
fn every_contrib_operator_is_compared() {
    let set = Set::of_contrib();
    let mut shapes: BTreeMap<&str, usize> = BTreeMap::new();
    for case in &set.cases {
        let operator = case.id.split('/').next().expect("a name before the number");
        *shapes.entry(operator).or_default() += 1;
    }
    let supported = bayplan_onnx::supported_contrib();
    assert_eq!(shapes.keys().copied().collect::<Vec<_>>(), supported);
    assert!(shapes.values().all(|&count| count >= SHAPES), "{shapes:?}");
}

fn check(backend: Backend) {
    let set = Set::of_contrib();
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
