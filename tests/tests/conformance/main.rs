//! Every operator of ONNX as the onnx package tests it, on every backend.
//!
//! `tests/conformance/manifest.txt` has a line for each case of the package, and says which do not pass, or not on the device
//! alone, and why: a failure that it does not list fails the test, and so does a success that it lists as a failure. Then the
//! same models get other inputs, whose outputs are the reference evaluator's: what is right for the package's values alone
//! is wrong.

mod compared;
mod damaged;
mod unseen;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use bayplan_tests::backend::Backend;
use bayplan_tests::conformance::manifest::{self, Entry, Kind, Line, Manifest};
use bayplan_tests::conformance::program::{self, Done};
use bayplan_tests::conformance::{Case, Set};
use bayplan_tests::program::Sandbox;
use bayplan_tests::{on_every_backend, root};

on_every_backend! {
    cases => |on| check(on);
    orders_change_no_result => |on| unseen::orders(on);
    memory_changes_no_result => |on| unseen::memory(on);
}

#[test]
fn floats_change_no_plan() {
    unseen::floats();
}

#[test]
fn damaged_models_are_run_or_refused() {
    damaged::models();
}

/// `run` takes the folders of a case too.
#[test]
fn one_case_by_itself() {
    let (set, sandbox) = (Set::of_onnx(), Sandbox::new());
    for id in ["node/test_add_bcast", "node/test_reshape_extended_dims", "node/test_cast_FLOAT_to_FLOAT16"] {
        let case = set.cases.iter().find(|case| case.id == id).unwrap_or_else(|| panic!("no case {id}"));
        let (model, inputs, outputs) = (case.model(), case.inputs(0), sandbox.path(id));
        let words = [&"run".into(), &model, &"--inputs".into(), &inputs, &"--outputs".into(), &outputs];
        let with = |words: &[&PathBuf]| {
            let device = ["--device", "host", "--trace-level", "off"].map(PathBuf::from);
            let words: Vec<&PathBuf> = words.iter().copied().chain(&device).collect();
            sandbox.bayplan(&words)
        };
        with(&words).success();
        assert_eq!(case.judge(0, &outputs), Ok(()), "{id}");
        let nothing = sandbox.path("nothing");
        for says in ["no such folder", "input_"] {
            let refused = with(&[words[0], words[1], words[2], &nothing]);
            assert!(refused.code == Some(1) && refused.stderr.contains(says), "{refused:?}");
            fs::create_dir_all(&nothing).expect("a folder");
        }
        fs::remove_dir(&nothing).expect("an empty folder");
    }
}

/// So many cases of tensor operators can be drawn again at least.
const LEAST_REDRAWN: usize = 1380;

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
    let again = Set::redrawn();
    let again = again.cases.iter().filter(|case| case.tier == "core").count();
    println!("{again} cases of tensor operators have inputs drawn again");
    assert!(again >= LEAST_REDRAWN, "{again} cases are drawn again");
}

fn check(backend: Backend) {
    let (set, again, manifest) = (Set::of_onnx(), Set::redrawn(), read());
    let device = backend.device().name().to_owned();
    // Kernels that both need are made once.
    let all: Vec<Case> = set.cases.iter().chain(&again.cases).cloned().collect();
    let mut done = program::run(&all, &device);
    let redrawn = done.split_off(set.cases.len());
    tell(backend, "as they are", &set.cases, &done);
    tell(backend, "drawn again", &again.cases, &redrawn);
    let mut found: BTreeMap<&str, Entry> = BTreeMap::new();
    for (case, done) in set.cases.iter().zip(&done) {
        found.insert(&case.id, observed(backend, &manifest, case, done));
    }
    for (id, why) in failures(&again, &redrawn) {
        let entry = found.get_mut(id).unwrap_or_else(|| panic!("{id} is no case"));
        // Where it fails, other inputs say nothing more.
        let failed = entry.notes.contains_key(&(manifest::name(backend), Kind::Fails));
        note(backend, entry, Kind::Redrawn, why.filter(|_| !failed));
    }
    if std::env::var_os("BAYPLAN_BLESS").is_some() {
        return bless(&set, found, manifest);
    }
    let as_listed = |id: &str, entry: &Entry| {
        let listed = manifest.0.get(id).map(|listed| kinds(backend, listed));
        listed.unwrap_or_default() == kinds(backend, entry)
    };
    let wrong: Vec<String> = found
        .iter()
        .filter(|(id, entry)| !as_listed(id, entry))
        .map(|(id, entry)| Line(id, entry).to_string())
        .collect();
    assert!(wrong.is_empty(), "{} cases are not as the manifest says:\n{}", wrong.len(), wrong.join("\n"));
    if backend == Backend::Lavapipe {
        let hosted = found
            .values()
            .filter(|entry| entry.tier == "core" && kinds(backend, entry).contains(&Kind::Host));
        let hosted = hosted.count();
        assert!(hosted <= MOST_WITH_HOST_NODES, "{hosted} cases have nodes on the processor");
    }
}

/// What is listed of a case on a backend.
fn kinds(backend: Backend, entry: &Entry) -> BTreeSet<Kind> {
    let name = manifest::name(backend);
    entry.notes.keys().filter(|(on, _)| *on == name).map(|(_, kind)| *kind).collect()
}

/// The cases that do not pass with inputs drawn again, or that cannot be drawn.
fn failures<'a>(again: &'a Set, done: &'a [Vec<Done>]) -> impl Iterator<Item = (&'a str, Option<String>)> {
    let ran = again.cases.iter().zip(done).map(|(case, done)| (case.id.as_str(), failure(done)));
    let out = again.out.iter().map(|(id, tier)| {
        let why = tier.strip_prefix("out: ").unwrap_or(tier);
        (id.as_str(), Some(why.to_owned()))
    });
    ran.chain(out)
}

fn failure(done: &[Done]) -> Option<String> {
    done.iter().find_map(|done| done.result.as_ref().err()).map(|why| short(why))
}

/// Brings what is said of a case up to what was seen. A reason stays where what it is for is still so.
fn note(backend: Backend, entry: &mut Entry, kind: Kind, seen: Option<String>) {
    let key = (manifest::name(backend), kind);
    match seen {
        Some(why) => drop(entry.notes.entry(key).or_insert(why)),
        None => drop(entry.notes.remove(&key)),
    }
}

/// What is said of a case, with what was seen on a backend.
fn observed(backend: Backend, manifest: &Manifest, case: &Case, done: &[Done]) -> Entry {
    let mut entry = manifest.0.get(&case.id).cloned().unwrap_or_default();
    entry.tier.clone_from(&case.tier);
    let hosted = done.iter().find_map(|done| done.host.first()).map(|why| short(why));
    note(backend, &mut entry, Kind::Fails, failure(done));
    note(backend, &mut entry, Kind::Host, hosted);
    entry
}

/// A message in one line.
fn short(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(160).collect()
}

fn tell(backend: Backend, inputs: &str, cases: &[Case], done: &[Vec<Done>]) {
    for tier in ["core", "control", "narrow"] {
        let of: Vec<&Vec<Done>> =
            cases.iter().zip(done).filter(|(case, _)| case.tier == tier).map(|(_, done)| done).collect();
        let passed = of.iter().filter(|sets| sets.iter().all(|done| done.result.is_ok())).count();
        let hosted = of.iter().filter(|sets| sets.iter().any(|done| !done.host.is_empty())).count();
        let ms: f64 = of.iter().flat_map(|sets| sets.iter()).map(|done| done.ms).sum();
        println!(
            "{backend}, inputs {inputs}: {passed} of {} {tier} cases pass, {hosted} with nodes on the processor, {:.1} s",
            of.len(),
            ms / 1e3
        );
    }
}

/// Takes over what was seen. Reasons are then to be written by hand.
fn bless(set: &Set, found: BTreeMap<&str, Entry>, mut manifest: Manifest) {
    let out = set.out.iter().map(|(id, tier)| (id.clone(), Entry { tier: tier.clone(), ..Entry::default() }));
    let seen = found.into_iter().map(|(id, entry)| (id.to_owned(), entry));
    manifest.0 = seen.chain(out).collect();
    let text = fs::read_to_string(path()).unwrap_or_default();
    let head: String =
        text.lines().take_while(|line| line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    fs::write(path(), format!("{head}{manifest}")).unwrap_or_else(|e| panic!("{}: {e}", path().display()));
}
