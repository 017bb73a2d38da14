//! Every operator of ONNX as the onnx package tests it, on every backend.
//!
//! `tests/conformance/manifest.txt` has a line for each case of the package, and says which do not pass, or not on the device
//! alone, and why: a failure that it does not list fails the test, and so does a success that it lists as a failure.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use bayplan_tests::backend::Backend;
use bayplan_tests::conformance::manifest::{self, Entry, Kind, Line, Manifest};
use bayplan_tests::conformance::program::{self, Done};
use bayplan_tests::conformance::{Case, Set};
use bayplan_tests::{on_every_backend, root};

on_every_backend! {
    cases => |on| check(on);
}

/// Nodes on the processor are the exception: so many cases may have them on lavapipe.
const MOST_WITH_HOST_NODES: usize = 40;

fn path() -> PathBuf {
    root().join("tests/conformance/manifest.txt")
}

fn read() -> Manifest {
    let text = fs::read_to_string(path()).unwrap_or_else(|e| panic!("{}: {e}", path().display()));
    Manifest::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", path().display()))
}

#[test]
fn the_manifest_names_every_case() {
    let (set, manifest) = (Set::of_onnx(), read());
    let cases = set.cases.iter().map(|case| (&case.id, &case.tier));
    let all: BTreeSet<_> = cases.chain(set.out.iter().map(|(id, tier)| (id, tier))).collect();
    let named: BTreeSet<_> = manifest.0.iter().map(|(id, entry)| (id, &entry.tier)).collect();
    let missing: Vec<_> = all.difference(&named).collect();
    let surplus: Vec<_> = named.difference(&all).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing {missing:?}, surplus {surplus:?}");
    let core = set.cases.iter().filter(|case| case.tier == "core").count();
    println!("{core} cases of tensor operators, {} in scope, {} out of it", set.cases.len(), set.out.len());
    assert!(core >= 1691, "{core} cases of tensor operators");
}

fn check(backend: Backend) {
    let (set, manifest) = (Set::of_onnx(), read());
    let device = backend.device().name().to_owned();
    let done = program::run(&set.cases, &device);
    tell(backend, &set.cases, &done);
    let found: Vec<Entry> =
        set.cases.iter().zip(&done).map(|(case, done)| observed(backend, &manifest, case, done)).collect();
    if std::env::var_os("BAYPLAN_BLESS").is_some() {
        return bless(&set, &found, manifest);
    }
    let wrong: Vec<String> = set
        .cases
        .iter()
        .zip(&found)
        .filter(|(case, found)| kinds(found) != manifest.0.get(&case.id).map(kinds).unwrap_or_default())
        .map(|(case, found)| Line(&case.id, found).to_string())
        .collect();
    assert!(wrong.is_empty(), "{} cases are not as the manifest says:\n{}", wrong.len(), wrong.join("\n"));
    let hosted = |(case, entry): &(&Case, &Entry)| {
        case.tier == "core" && entry.notes.contains_key(&("lavapipe", Kind::Host))
    };
    let hosted = set.cases.iter().zip(&found).filter(hosted).count();
    assert!(hosted <= MOST_WITH_HOST_NODES, "{hosted} cases have nodes on the processor");
}

fn kinds(entry: &Entry) -> BTreeSet<(&'static str, Kind)> {
    entry.notes.keys().copied().collect()
}

/// What is said of a case, brought up to what was seen on a backend. Reasons stay where what they are for is still so.
fn observed(backend: Backend, manifest: &Manifest, case: &Case, done: &[Done]) -> Entry {
    let mut entry = manifest.0.get(&case.id).cloned().unwrap_or_default();
    entry.tier.clone_from(&case.tier);
    let name = manifest::name(backend);
    let failed = done.iter().find_map(|done| done.result.as_ref().err()).map(|why| short(why));
    let hosted = done.iter().any(|done| done.host_nodes > 0).then(|| "without a reason yet".to_owned());
    for (kind, seen) in [(Kind::Fails, failed), (Kind::Host, hosted)] {
        match seen {
            Some(why) => drop(entry.notes.entry((name, kind)).or_insert(why)),
            None => drop(entry.notes.remove(&(name, kind))),
        }
    }
    entry
}

/// A message in one line.
fn short(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(160).collect()
}

fn tell(backend: Backend, cases: &[Case], done: &[Vec<Done>]) {
    for tier in ["core", "control", "narrow"] {
        let of: Vec<&Vec<Done>> =
            cases.iter().zip(done).filter(|(case, _)| case.tier == tier).map(|(_, done)| done).collect();
        let passed = of.iter().filter(|sets| sets.iter().all(|done| done.result.is_ok())).count();
        let hosted = of.iter().filter(|sets| sets.iter().any(|done| done.host_nodes > 0)).count();
        let ms: f64 = of.iter().flat_map(|sets| sets.iter()).map(|done| done.ms).sum();
        println!(
            "{backend}: {passed} of {} {tier} cases pass, {hosted} with nodes on the processor, {:.1} s",
            of.len(),
            ms / 1e3
        );
    }
}

/// Takes over what was seen. Reasons are then to be written by hand.
fn bless(set: &Set, found: &[Entry], mut manifest: Manifest) {
    let out = set.out.iter().map(|(id, tier)| (id.clone(), Entry { tier: tier.clone(), ..Entry::default() }));
    let seen = set.cases.iter().map(|case| case.id.clone()).zip(found.iter().cloned());
    manifest.0 = seen.chain(out).collect();
    let text = fs::read_to_string(path()).unwrap_or_default();
    let head: String =
        text.lines().take_while(|line| line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    fs::write(path(), format!("{head}{manifest}")).unwrap_or_else(|e| panic!("{}: {e}", path().display()));
}
