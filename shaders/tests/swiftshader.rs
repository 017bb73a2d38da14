//! Every test of this folder once more, on SwiftShader: 4 lanes, no 64-bit integers, windows aligned to 256 bytes. What
//! is right on one driver by the size of its subgroups is wrong on the other.
//!
//! `common` takes the driver from the name of this program.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::duplicate_mod, reason = "each file brings what the tests share")]

mod common;

/// Includes each file as a module, and keeps the list of them.
macro_rules! files {
    ($($name:ident $path:literal),+ $(,)?) => {
        $(#[path = $path]
        mod $name;)+

        const FILES: &[&str] = &[$($path),+];
    };
}

files! {
    bounds "bounds.rs",
    conv "conv.rs",
    doubles "doubles.rs",
    elementwise "elementwise.rs",
    gpu_class "gpu_class.rs",
    indexed "indexed.rs",
    lanes "lanes.rs",
    layouts "layouts.rs",
    long_loops "long_loops.rs",
    matmul "matmul.rs",
    movement "movement.rs",
    narrow_floats "narrow_floats.rs",
    operators "operators.rs",
    rows "rows.rs",
    unpack "unpack.rs",
    variants "variants.rs",
    wide_integers "wide_integers.rs",
}

#[test]
fn every_file_is_included() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let mut there: Vec<String> = std::fs::read_dir(folder)
        .expect("this folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("names are UTF-8"))
        .filter(|name| name.ends_with(".rs") && name != "swiftshader.rs")
        .collect();
    there.sort();
    assert_eq!(FILES, there);
}

#[test]
fn it_is_swiftshader() {
    let name = &common::device().info().name;
    assert!(name.contains("SwiftShader"), "{name}");
}
