//! The house as ARCHITECTURE.md draws it, against the house as it stands.
//!
//! Each test collects everything that is wrong and names the place and the way out; the modules' own tests show that
//! each check can fail.

mod features;
mod metadata;
mod source;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use source::Pattern;

/// Rooms that are `no_std`: no `std::` outside their tests.
const NO_STD: [&str; 5] = ["runtime/text", "runtime/expr", "runtime/plan", "runtime/kv", "runtime/trace"];

/// Rooms that read no file, clock, environment or device, and forbid unsafe code: values in, values out.
const PURE: [&str; 9] = [
    "runtime/text",
    "runtime/expr",
    "runtime/graph",
    "runtime/plan",
    "runtime/kv",
    "runtime/trace",
    "runtime/onnx",
    "runtime/compile",
    "shaders",
];

/// The parts of the standard library that reach outside the process.
const OUTSIDE: [&str; 6] = ["fs", "env", "net", "process", "time", "thread"];

/// The one room that may hold unsafe code and name the Vulkan crates.
const UNSAFE: &str = "runtime/vulkan";

/// A program that is no room: it has no standard library to give it an allocator and a `main`, and neither can be
/// written in safe code.
const WITHOUT_STD: &str = "tests/no_std";

fn architecture() -> String {
    let path = bayplan_tests::root().join("ARCHITECTURE.md");
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn expect_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n  {}\n", wrong.join("\n  "));
}

/// A path as messages show it.
fn shown(path: &Path) -> String {
    path.strip_prefix(bayplan_tests::root()).unwrap_or(path).display().to_string()
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let document = architecture();
    let allowed = table::block(&document, "arrows").and_then(|lines| table::arrows(&lines));
    let allowed = allowed.unwrap_or_else(|e| panic!("ARCHITECTURE.md: {e}"));
    expect_none(&table::check_arrows(&allowed, &metadata::arrows(&metadata::read_manifests())));
}

#[test]
fn no_room_is_built_with_a_forbidden_crate() {
    let document = architecture();
    let rules = table::block(&document, "forbidden").and_then(|lines| table::forbidden(&lines));
    let rules = rules.unwrap_or_else(|e| panic!("ARCHITECTURE.md: {e}"));
    expect_none(&table::check_forbidden(&rules, &metadata::trees(&metadata::read_all())));
}

#[test]
fn one_room_alone_is_unsafe() {
    let root = bayplan_tests::root();
    let mut wrong = Vec::new();
    let exempt = [UNSAFE, WITHOUT_STD].map(|folder| root.join(folder));
    for path in source::files(&root).iter().filter(|p| !exempt.iter().any(|folder| p.starts_with(folder))) {
        let tokens = source::tokens(path);
        for word in ["unsafe", "ash", "gpu_allocator"] {
            for line in source::lines_with(&tokens, Pattern::Word(word)) {
                wrong.push(format!("{}:{line}: `{word}` belongs in {UNSAFE} alone", shown(path)));
            }
        }
    }
    expect_none(&wrong);
}

/// The files of a room's `src` that are not compiled for tests alone, with their tokens.
fn shipped(room: &str) -> Vec<(PathBuf, proc_macro2::TokenStream)> {
    let mut tests = BTreeSet::new();
    let mut kept = Vec::new();
    for path in source::files(&bayplan_tests::root().join(room).join("src")) {
        let (tokens, modules) = source::without_tests(&source::tokens(&path));
        // `mod x;` in lib.rs, main.rs or mod.rs lies beside it, elsewhere in the folder of the module's name.
        let beside =
            ["lib", "main", "mod"].contains(&path.file_stem().unwrap_or_default().to_str().unwrap_or(""));
        let folder = if beside {
            path.parent().expect("a file's folder").to_path_buf()
        } else {
            path.with_extension("")
        };
        for module in modules {
            tests.insert(folder.join(format!("{module}.rs")));
            tests.insert(folder.join(module));
        }
        kept.push((path, tokens));
    }
    kept.retain(|(path, _)| !path.ancestors().any(|a| tests.contains(a)));
    kept
}

#[test]
fn small_rooms_do_without_the_standard_library() {
    let mut wrong = Vec::new();
    for room in NO_STD {
        for (path, tokens) in shipped(room) {
            for line in source::lines_with(&tokens, Pattern::Word("std")) {
                wrong.push(format!("{}:{line}: `std` in a no_std room: use core or alloc", shown(&path)));
            }
        }
        let library = bayplan_tests::root().join(room).join("src/lib.rs");
        if source::lines_with(&source::tokens(&library), Pattern::Word("no_std")).is_empty() {
            wrong.push(format!("{}: `#![no_std]` is missing", shown(&library)));
        }
    }
    expect_none(&wrong);
}

#[test]
fn pure_rooms_reach_nothing_outside() {
    let mut wrong = Vec::new();
    for room in PURE {
        for (path, tokens) in shipped(room) {
            for module in OUTSIDE {
                for line in source::lines_with(&tokens, Pattern::StdModule(module)) {
                    wrong.push(format!(
                        "{}:{line}: `std::{module}` in a pure room: pass the value in",
                        shown(&path)
                    ));
                }
            }
        }
        let library = bayplan_tests::root().join(room).join("src/lib.rs");
        if source::lines_with(&source::tokens(&library), Pattern::Word("unsafe_code")).is_empty() {
            wrong.push(format!("{}: `#![forbid(unsafe_code)]` is missing", shown(&library)));
        }
    }
    expect_none(&wrong);
}

#[test]
fn files_stay_short() {
    let mut wrong = Vec::new();
    for path in source::files(&bayplan_tests::root()).iter().filter(|p| !source::is_generated(p)) {
        let lines =
            fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).lines().count();
        if lines > source::MAX_LINES {
            wrong.push(format!(
                "{}: {lines} lines, at most {} are allowed: divide it",
                shown(path),
                source::MAX_LINES
            ));
        }
    }
    expect_none(&wrong);
}

#[test]
fn what_the_readme_claims_against_others_has_tests() {
    let root = bayplan_tests::root();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let claims = features::claims(&readme).unwrap_or_else(|e| panic!("README.md: {e}"));
    assert!(claims.iter().filter(|claim| claim.says == "yes").count() >= 20, "{} claims", claims.len());
    expect_none(&features::check(&claims, |path| fs::read_to_string(root.join(path)).ok()));
}
