//! Loading holds a few megabytes of the host's memory, whatever the model's and its largest tensor's size, and a model that is
//! larger than the device's memory is refused before it is read. Each load is a process of its own, watched by the kernel's count.

use std::path::Path;

use bayplan::WeightsPath;
use bayplan_tests::backend::Backend;
use bayplan_tests::large::memory::cached;
use bayplan_tests::large::reading::{forget, read};
use bayplan_tests::large::{Files, Form, Shape, make, make_hollow};
use bayplan_tests::program::Sandbox;
use bayplan_tests::{on_every_backend, on_every_driver};
use serde_json::Value;

/// What loading may take beside the device's memory: a ring of 16 MiB and 8 MiB.
const MOST: i64 = 24 << 20;

/// What a refusal may read: the model without its weights, samples that tell equal weights apart, files of the driver.
const GLIMPSE: u64 = 8 << 20;

on_every_backend! {
    memory_of_loading => check_memory;
    direct_reads_of_many_tensors => check_page_cache;
}

on_every_driver! {
    packed_weights_stay_in_their_file => check_imported;
    models_larger_than_the_heap => check_refused;
    memory_of_what_follows_from_large_weights => check_folded;
}

/// Loads a model and runs it once.
fn load(on: Backend, shape: &str, model: &Path, weights: Option<&Path>, more: &[&str]) -> Value {
    let sandbox = Sandbox::new();
    let device = format!("device={}", name(on));
    let weights = weights.map(|path| format!("weights={}", path.display()));
    let model = model.to_str().expect("paths of tests are UTF-8");
    let mut words = vec!["load", shape, model, &device, "run"];
    words.extend(weights.as_deref());
    words.extend(more);
    bayplan_tests::program::run(&mut sandbox.command("loading", &words)).json()
}

/// The device as the command line has it.
fn name(on: Backend) -> String {
    match on {
        Backend::Host => "host".into(),
        Backend::Lavapipe => "llvmpipe".into(),
        Backend::SwiftShader => "SwiftShader".into(),
        Backend::Named => std::env::var("BAYPLAN_DEVICE").unwrap_or_else(|_| "best".into()),
    }
}

/// The larger of both figures.
fn taken(told: &Value) -> i64 {
    let figure = |key: &str| told[key].as_i64().unwrap_or_else(|| panic!("no {key} in {told}"));
    figure("seen").max(figure("high_water"))
}

/// 64 MiB of weights, 40 of them one tensor: each form takes little, past the page cache (where the file system lets) and
/// through it, straight into mapped memory and through staging buffers; and a reader that holds whole tensors is caught.
fn check_memory(on: Backend) {
    let mut hashes = Vec::new();
    for form in Form::ALL {
        let folder = tempfile::tempdir().expect("a folder");
        let Files { model, named, .. } = make(&Shape::SMALL, form, folder.path()).expect("a model");
        let mut load = |how: &[&str]| {
            let told = load(on, "small", &model, named.as_deref(), how);
            println!("{} {how:?} on {on}: {told}", form.name());
            hashes.push(told["hash"].clone());
            told
        };
        let host = on == Backend::Host;
        let ways: [&[&str]; 3] = [&["io=direct"], &["io=buffered"], &["io=direct", "separate"]];
        for how in ways.into_iter().filter(|how| !(host && how.contains(&"separate"))) {
            let told = load(how);
            assert!(taken(&told) <= MOST, "{} {how:?} on {on}: {told}", form.name());
            let staged = how.contains(&"separate");
            let path = if host {
                "host"
            } else if staged {
                "staged"
            } else {
                "mapped"
            };
            assert!(host || told["paths"] == serde_json::json!([path]), "{told}");
            assert_eq!(told["staging"].as_u64().map(|bytes| bytes > 0), Some(staged), "{told}");
        }
        let whole = load(&["whole"]);
        assert!(taken(&whole) > MOST, "a reader of whole tensors is not seen: {whole}");
    }
    assert!(hashes.iter().all(|hash| hash.is_string() && *hash == hashes[0]), "{hashes:?}");
}

/// A packed model whose weights the device reads in their file: the same outputs bit for bit, next to no memory of the process
/// or the device; and where nothing can be imported all is loaded.
fn check_imported(on: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let Files { model, named, .. } = make(&Shape::SMALL, Form::External, folder.path()).expect("a model");
    let packed = folder.path().join("packed.bay.onnx");
    let (from, to) = (model.to_str().expect("UTF-8"), packed.to_str().expect("UTF-8"));
    bayplan_tests::program::run(&mut Sandbox::new().command("bayplan", &["pack", from, "-o", to])).success();
    let load = |model: &Path, how: &str| {
        let told = load(on, "small", model, named.as_deref(), &[how]);
        println!("{how} on {on}: {told}");
        told
    };
    let usual = load(&packed, "io=auto");
    let figure = |told: &Value, key: &str| told[key].as_u64().unwrap_or_else(|| panic!("no {key} in {told}"));
    let weights = figure(&usual, "total");
    assert!(figure(&usual, "imported") == 0 && figure(&usual, "allocated") >= weights, "{usual}");
    let told = load(&packed, "io=import");
    assert_eq!(told["hash"], usual["hash"]);
    if bayplan::weights_path(on.device().info().expect("a driver"), bayplan::Io::Import)
        == WeightsPath::Imported
    {
        assert_eq!(told["paths"], serde_json::json!(["imported", "mapped"]));
        let (imported, allocated) = (figure(&told, "imported"), figure(&told, "allocated"));
        // Three matrices are turned on the device; all else is nowhere but in the file.
        assert!(imported >= weights / 4 * 3 && allocated <= figure(&usual, "allocated") - imported, "{told}");
        // Of the process's own memory there is no more than that, and what loading may take.
        let after = told["after"].as_i64().expect("after");
        assert!(taken(&told).max(after) <= MOST + allocated as i64, "{told}");
        let staged = load_separate(on, &packed);
        assert_eq!((&staged["hash"], &staged["paths"]), (&usual["hash"], &serde_json::json!(["staged"])));
    }
    let unpacked = load(&model, "io=import");
    assert_eq!(unpacked["hash"], usual["hash"]);
}

/// The same where the host does not see the device's memory: nothing can be imported.
fn load_separate(on: Backend, model: &Path) -> Value {
    load(on, "small", model, None, &["io=import", "separate"])
}

/// 4 GiB of weights, which no CPU driver has: refused with both figures, and next to nothing was read.
fn check_refused(on: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let model = make_hollow(&Shape::FOUR, folder.path()).expect("a model");
    let told = load(on, "four", &model, None, &[]);
    println!("on {on}: {told}");
    let refused = told["refused"].as_str().unwrap_or_else(|| panic!("it was not refused: {told}"));
    assert!(refused.contains("GiB") && refused.contains("free"), "{refused}");
    assert!(told["read"].as_u64().is_some_and(|read| read < GLIMPSE), "{told}");
}

/// A matrix of 256 MiB, of which a run needs what a Transpose, an Add and two Casts make of it: neither compiling nor loading
/// holds it, or anything of its size, in host memory; a reader that does is caught.
fn check_folded(on: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let model = make_hollow(&Shape::FOLDED, folder.path()).expect("a model");
    let told = load(on, "folded", &model, None, &[]);
    println!("on {on}: {told}");
    let compiling = told["prepared_most"].as_i64().expect("a figure");
    assert!(compiling <= MOST, "compiling takes {compiling} bytes: {told}");
    assert!(taken(&told) <= MOST, "{told}");
    assert!(
        told["load_dispatches"].as_u64().is_some_and(|count| count > 0),
        "the device computes it: {told}"
    );
    let whole = load(on, "folded", &model, None, &["whole"]);
    assert!(taken(&whole) > MOST, "a reader of whole tensors is not seen: {whole}");
    assert_eq!(told["hash"], whole["hash"]);
}

/// What direct reads may leave in the page cache: a page for each place where files are asked whether they are there, and what
/// the system reads around a few of them.
const LEFT: u64 = 1 << 20;

/// 31 MiB in 400 tensors, half of which might be transposes of each other: no look at them brings them into the page cache,
/// whichever way it was found that they are not there.
fn check_page_cache(on: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let files = make(&Shape::CROWD, Form::External, folder.path()).expect("a model");
    let held = || cached(&files.weights).expect("fincore counts");
    let ways: [&[&str]; 3] = [&["io=direct"], &["io=auto"], &["io=direct", "separate"]];
    for how in ways.into_iter().filter(|how| !(on == Backend::Host && how.contains(&"separate"))) {
        forget(&files.weights).expect("a file");
        let before = held();
        let told = load(on, "crowd", &files.model, None, how);
        let grown = held() - before;
        println!("{how:?} on {on}: {before} bytes in the page cache, {grown} more: {told}");
        // A file system in memory keeps what it has, and one without direct reads brings everything in.
        let direct = told["direct"].as_u64() == Some(Shape::CROWD.bytes());
        assert!(grown <= LEFT || !direct, "{how:?} on {on}: {grown} bytes more: {told}");
        assert!(direct || read(&files.weights, true).is_err(), "{how:?} on {on}: not read directly: {told}");
    }
}
