//! What is wrong with what people give is told in one message that says what to do, with the exit code that the
//! README promises; nothing panics, hangs or fills memory.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use bayplan_tests::backend::Backend;
use bayplan_tests::on_every_backend;
use bayplan_tests::onnx_file::{Dim, External, Model, Node};
use bayplan_tests::program::{Ended, Sandbox, run};
use bayplan_tests::{reference_model, root};
use bayplan_vulkan::{ApiVersion, Device, DeviceInfo, Instance, InstanceOptions};

/// Exit codes.
const ERROR: i32 = 1;
const USAGE: i32 = 2;
const UNSUPPORTED: i32 = 3;

/// Address space of a refused program, in KiB: lavapipe reserves much of it, but far less than this.
const MEMORY: u64 = 16 << 20;

/// Runs a program that must refuse, with that exit code and a message that holds all of `says`.
#[track_caller]
fn refuses(command: &mut Command, code: i32, says: &[&str]) -> Ended {
    let ended = run(command);
    let shown = format!("{command:?}\n{ended:#?}");
    assert_eq!(ended.code, Some(code), "{shown}");
    assert!(!ended.stderr.contains("panicked") && !ended.stderr.contains("RUST_BACKTRACE"), "{shown}");
    // Of wrong usage clap tells more: the usage, and where help is.
    assert_eq!(ended.stderr.matches("error:").count(), 1, "one message: {shown}");
    assert!(ended.stderr.starts_with("error: ") && ended.stderr.len() < 4000, "{shown}");
    assert!(ended.stderr.bytes().all(|b| b == b'\n' || b >= b' '), "control characters: {shown}");
    for words in says {
        assert!(ended.stderr.contains(words), "nothing about {words:?}: {shown}");
    }
    ended
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}

fn digits() -> String {
    text(&root().join("assets/digits.onnx")).to_string()
}

/// A file in the sandbox; its path.
fn file(sandbox: &Sandbox, name: &str, bytes: &[u8]) -> String {
    let path = sandbox.path(name);
    fs::write(&path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text(&path).to_string()
}

/// `bayplan`, with a limit on its memory.
fn bayplan(sandbox: &Sandbox, words: &[&str]) -> Command {
    let program = bayplan_tests::binary("bayplan");
    let limited = format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"");
    let words = [&["-c", &limited, text(&program)], words].concat();
    sandbox.program(Path::new("/bin/sh"), &words)
}

/// The same on a backend's device.
fn bayplan_on(backend: Backend, sandbox: &Sandbox, words: &[&str]) -> Command {
    on(backend, bayplan(sandbox, words))
}

/// A program on a backend's device; the named one is known to it already.
fn on(backend: Backend, mut command: Command) -> Command {
    if backend != Backend::Named {
        command.env("BAYPLAN_DEVICE", backend.selector().to_string());
    }
    command
}

on_every_backend! {
    weights_in_other_files => check_weights_in_other_files;
    /// Sizes that no device holds, and that no arithmetic may overflow on.
    dims_that_are_too_large => check_dims_that_are_too_large;
    inputs => check_inputs;
}

#[test]
fn truncated_models() {
    let sandbox = Sandbox::new();
    let whole = fs::read(digits()).expect("an asset");
    let cuts = (0..12).chain((1..16).map(|part| whole.len() * part / 16)).chain([whole.len() - 1]);
    for cut in cuts {
        let path = file(&sandbox, "cut.onnx", &whole[..cut]);
        refuses(&mut bayplan(&sandbox, &["plan", &path, "--dim", "batch=1"]), ERROR, &["cut.onnx"]);
    }
    let path = file(&sandbox, "cut.onnx", &whole[..whole.len() / 2]);
    refuses(&mut bayplan(&sandbox, &["run", &path, "--dim", "batch=1"]), ERROR, &["cut.onnx"]);
}

#[test]
fn files_that_are_no_models() {
    let sandbox = Sandbox::new();
    let noise: Vec<u8> = (0..100_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (name, bytes) in [
        ("empty.onnx", &b""[..]),
        ("text.onnx", b"Not a model at all.\n"),
        ("noise.onnx", &noise),
        ("zero.onnx", &[0; 4096]),
    ] {
        let path = file(&sandbox, name, bytes);
        for command in ["run", "plan"] {
            refuses(&mut bayplan(&sandbox, &[command, &path]), ERROR, &[name]);
        }
    }
}

#[test]
fn files_that_cannot_be_read() {
    let sandbox = Sandbox::new();
    for command in ["run", "plan"] {
        refuses(&mut bayplan(&sandbox, &[command, "/nowhere/model.onnx"]), ERROR, &["/nowhere/model.onnx"]);
        // A folder opens and cannot be read.
        let folder = sandbox.path("");
        refuses(
            &mut bayplan(&sandbox, &[command, text(&folder)]),
            ERROR,
            &[text(&folder).trim_end_matches('/')],
        );
    }
}

fn check_weights_in_other_files(backend: Backend) {
    let sandbox = Sandbox::new();
    let model = fs::read(reference_model("resnet50")).expect("a reference");
    let path = file(&sandbox, "resnet.onnx", &model);
    let whole =
        fs::metadata(reference_model("resnet50").with_file_name("model.bin")).expect("its weights").len();
    for command in ["run", "plan"] {
        refuses(&mut bayplan_on(backend, &sandbox, &[command, &path]), ERROR, &["model.bin"]);
    }
    let weights = File::create(sandbox.path("model.bin")).expect("a file");
    for length in [0, 1000, whole - 1] {
        weights.set_len(length).expect("a length");
        refuses(&mut bayplan_on(backend, &sandbox, &["run", &path]), ERROR, &["model.bin"]);
    }

    // Files that say where to read what is not theirs, or nonsense.
    let places = [
        ("../secret.bin", "0", "16"),
        ("/etc/passwd", "0", "16"),
        ("w.bin", "many", "16"),
        ("w.bin", "-4", "16"),
    ];
    let places = places.into_iter().chain([
        ("w.bin", "18446744073709551615", "16"),
        ("w.bin", "0", "20"),
        ("w.bin", "8", "16"),
    ]);
    file(&sandbox, "w.bin", &[0; 16]);
    for (location, offset, length) in places {
        let model = Model {
            nodes: vec![Node::new("Add", &["x", "w"], &["y"])],
            inputs: vec![("x", vec![Dim::Known(4)])],
            outputs: vec!["y"],
            weights: vec![External { name: "w", shape: &[4], location, offset, length }],
            ..Model::default()
        };
        let path = file(&sandbox, "external.onnx", &model.bytes());
        refuses(&mut bayplan_on(backend, &sandbox, &["run", &path]), ERROR, &["w"]);
    }
    // The same with nothing wrong runs: the refusals above are about what they say.
    let model = Model {
        nodes: vec![Node::new("Add", &["x", "w"], &["y"])],
        inputs: vec![("x", vec![Dim::Known(4)])],
        outputs: vec!["y"],
        weights: vec![External { name: "w", shape: &[4], location: "w.bin", offset: "0", length: "16" }],
        ..Model::default()
    };
    let path = file(&sandbox, "external.onnx", &model.bytes());
    run(&mut bayplan_on(backend, &sandbox, &["run", &path])).success();
}

#[test]
fn dims() {
    let sandbox = Sandbox::new();
    let model = digits();
    for command in ["run", "plan"] {
        let check = |words: &[&str], code: i32, says: &[&str]| {
            let words = [&[command, model.as_str()], words].concat();
            refuses(&mut bayplan(&sandbox, &words), code, says);
        };
        check(&[], USAGE, &["batch", "--dim batch="]);
        check(&["--dim", "batsch=4"], USAGE, &["batsch", "batch"]);
        check(&["--dim", "batch=-1"], USAGE, &["batch=-1"]);
        check(&["--dim", "batch=four"], USAGE, &["batch=four", "whole number"]);
        check(&["--dim", "batch"], USAGE, &["NAME=VALUE"]);
        check(&["--dim", "batch="], USAGE, &["batch=", "whole number"]);
        check(&["--dim", "batch=99999999999999999999"], USAGE, &["batch=99999999999999999999"]);
    }
    let encoder = reference_model("encoder_l6");
    refuses(&mut bayplan(&sandbox, &["plan", text(&encoder)]), USAGE, &["batch", "seq"]);
    let squeezenet = reference_model("squeezenet");
    refuses(
        &mut bayplan(&sandbox, &["plan", text(&squeezenet), "--dim", "batch=1"]),
        USAGE,
        &["no symbolic dimension"],
    );
}

fn check_dims_that_are_too_large(backend: Backend) {
    let sandbox = Sandbox::new();
    for batch in ["1000000000", "4611686018427387904", "9223372036854775807"] {
        let dim = format!("batch={batch}");
        for command in ["run", "plan"] {
            let ended = run(&mut bayplan_on(backend, &sandbox, &[command, &digits(), "--dim", &dim]));
            let code = ended.code.unwrap_or_default();
            assert!([ERROR, USAGE, UNSUPPORTED].contains(&code), "{command} {dim}: {ended:#?}");
            assert!(
                ended.stderr.starts_with("error: ") && !ended.stderr.contains("panicked"),
                "{dim}: {ended:#?}"
            );
        }
    }
}

/// A `.npy` file of zeros: header as given, and so many bytes.
fn npy(descr: &str, shape: &str, fortran: bool, bytes: usize) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let length = u16::try_from(header.len()).expect("a short header").to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &vec![0; bytes]].concat()
}

fn check_inputs(backend: Backend) {
    let sandbox = Sandbox::new();
    let check = |name: &str, bytes: &[u8], code: i32, says: &[&str]| {
        let input = format!("images={}", file(&sandbox, name, bytes));
        let model = digits();
        let words = ["run", &model, "--dim", "batch=2", "--input", &input];
        refuses(&mut bayplan_on(backend, &sandbox, &words), code, says);
    };
    let good = npy("<f4", "(2, 1, 8, 8)", false, 512);
    check(
        "dtype.npy",
        &npy("<f8", "(2, 1, 8, 8)", false, 1024),
        ERROR,
        &["images", "f32[2,1,8,8]", "f64[2,1,8,8]"],
    );
    check(
        "shape.npy",
        &npy("<f4", "(2, 1, 8, 7)", false, 448),
        ERROR,
        &["images", "f32[2,1,8,8]", "f32[2,1,8,7]"],
    );
    check("rank.npy", &npy("<f4", "(128,)", false, 512), ERROR, &["images", "f32[128]"]);
    check("short.npy", &good[..good.len() - 1], ERROR, &["short.npy"]);
    check("header.npy", &good[..40], ERROR, &["header.npy"]);
    check("fortran.npy", &npy("<f4", "(2, 1, 8, 8)", true, 512), ERROR, &["fortran.npy", "order"]);
    check("big_endian.npy", &npy(">f4", "(2, 1, 8, 8)", false, 512), ERROR, &["big_endian.npy", ">f4"]);
    check("complex.npy", &npy("<c8", "(2, 1, 8, 8)", false, 1024), ERROR, &["complex.npy", "<c8"]);
    check("huge.npy", &npy("<f4", "(4611686018427387904, 4)", false, 64), ERROR, &["huge.npy"]);
    check("large.npy", &npy("<f4", "(1000000000000,)", false, 64), ERROR, &["large.npy"]);
    check("noise.npy", b"\x93NUMPY\xff\xff\xff\xff\xff", ERROR, &["noise.npy"]);
    check("text.npy", b"1 2 3\n", ERROR, &["text.npy"]);
    check("empty.npy", b"", ERROR, &["empty.npy"]);

    let model = digits();
    let good = file(&sandbox, "good.npy", &good);
    let words = |input: &str, code: i32, says: &[&str]| {
        refuses(
            &mut bayplan_on(backend, &sandbox, &["run", &model, "--dim", "batch=2", "--input", input]),
            code,
            says,
        );
    };
    words(&format!("pictures={good}"), USAGE, &["pictures", "images"]);
    words(&good, USAGE, &["NAME=FILE"]);
    words("images=/nowhere/x.npy", ERROR, &["/nowhere/x.npy"]);
    let input = format!("images={good}");
    run(&mut bayplan_on(backend, &sandbox, &["run", &model, "--dim", "batch=2", "--input", &input]))
        .success();
}

#[test]
fn operators_that_are_unknown_are_named_at_once() {
    let sandbox = Sandbox::new();
    let model = Model {
        nodes: vec![
            Node::new("Relu", &["x"], &["a"]),
            Node::new("Frobnicate", &["a"], &["b"]),
            Node::new("Tessellate", &["b"], &["c"]),
            Node::new("Frobnicate", &["c"], &["y"]),
        ],
        inputs: vec![("x", vec![Dim::Known(4)])],
        outputs: vec!["y"],
        ..Model::default()
    };
    let path = file(&sandbox, "unknown.onnx", &model.bytes());
    for command in ["run", "plan"] {
        let ended = refuses(&mut bayplan(&sandbox, &[command, &path]), UNSUPPORTED, &[]);
        let last = ended.stderr.lines().last().unwrap_or_default();
        let named = last.strip_prefix("unsupported:").unwrap_or_else(|| panic!("{ended:#?}"));
        let named: Vec<&str> = named.split([',', ' ']).filter(|word| !word.is_empty()).collect();
        assert_eq!(named, ["Frobnicate", "Tessellate"], "{ended:#?}");
    }
}

/// A terminal obeys escape sequences, and names come from files.
#[test]
fn hostile_names_are_escaped() {
    let sandbox = Sandbox::new();
    const BELL: &str = "\x1b]0;owned\x07\x1b[2J\r\u{9b}31m";
    let mut model = Model {
        nodes: vec![Node::new(BELL, &["x"], &["y"])],
        inputs: vec![("x", vec![Dim::Known(4)])],
        outputs: vec!["y"],
        ..Model::default()
    };
    let path = file(&sandbox, "operator.onnx", &model.bytes());
    refuses(&mut bayplan(&sandbox, &["run", &path]), UNSUPPORTED, &["owned"]);
    model.nodes[0].op = "Relu";
    model.inputs = vec![("x", vec![Dim::Symbol(BELL)])];
    let path = file(&sandbox, "symbol.onnx", &model.bytes());
    refuses(&mut bayplan(&sandbox, &["run", &path]), USAGE, &["owned"]);

    model.inputs = vec![(BELL, vec![Dim::Known(4)])];
    model.nodes[0].inputs = &[BELL];
    model.nodes[0].outputs = &[BELL, BELL];
    model.outputs = vec![BELL];
    let path = file(&sandbox, "names.onnx", &model.bytes());
    let ended = run(&mut bayplan(&sandbox, &["plan", &path]));
    let shown = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!shown.contains(['\x1b', '\x07', '\r', '\u{9b}']), "{ended:#?}");
}

#[test]
fn graphs_that_are_not_sound() {
    let sandbox = Sandbox::new();
    let check = |name: &str, nodes: Vec<Node<'_>>, outputs: Vec<&str>| {
        let inputs = vec![("x", vec![Dim::Known(4)])];
        let model = Model { nodes, inputs, outputs, ..Model::default() };
        let path = file(&sandbox, name, &model.bytes());
        refuses(&mut bayplan(&sandbox, &["run", &path]), ERROR, &[]);
    };
    let relu = |input, output| Node::new("Relu", input, output);
    check("dangling.onnx", vec![relu(&["nothing"], &["y"])], vec!["y"]);
    check("circle.onnx", vec![relu(&["b"], &["a"]), relu(&["a"], &["b"])], vec!["b"]);
    check("twice.onnx", vec![relu(&["x"], &["y"]), relu(&["x"], &["y"])], vec!["y"]);
    check("no_output.onnx", vec![relu(&["x"], &["y"])], vec!["z"]);
    check("no_operand.onnx", vec![relu(&[], &["y"])], vec!["y"]);
    check("arity.onnx", vec![Node::new("Add", &["x"], &["y"])], vec!["y"]);
}

/// Variables that hide every driver from the loader.
const NO_DRIVER: [(&str, &str); 2] =
    [("VK_DRIVER_FILES", "/nonexistent.json"), ("VK_ICD_FILENAMES", "/nonexistent.json")];

#[test]
fn no_driver() {
    let sandbox = Sandbox::new();
    let model = digits();
    let says = &["driver", "mesa-vulkan-drivers"];
    let run_words = ["run", &model, "--dim", "batch=1"];
    refuses(
        bayplan(&sandbox, &run_words).envs(NO_DRIVER),
        ERROR,
        &["driver", "mesa-vulkan-drivers", "--device host"],
    );
    // The host needs none: it is listed, and runs.
    let devices = run(bayplan(&sandbox, &["devices"]).envs(NO_DRIVER)).success();
    assert!(devices.contains("host"), "{devices}");
    let on_host =
        run(bayplan(&sandbox, &[&run_words[..], &["--device", "host"]].concat()).envs(NO_DRIVER)).success();
    assert!(on_host.contains("device     host"), "{on_host}");
    refuses(sandbox.command::<&str>("examples/digits", &[]).envs(NO_DRIVER), ERROR, says);
    // A plan needs no device: it is made for a target that is built in, and says so.
    let plan = run(bayplan(&sandbox, &["plan", &model, "--dim", "batch=1"]).envs(NO_DRIVER)).success();
    assert!(plan.contains("generic"), "{plan}");
}

/// The machine's own device, with one thing taken away at a time: each is named, with what to do.
#[test]
fn devices_that_lack_what_every_program_needs() {
    let instance = Instance::new(&InstanceOptions::default()).expect("a loader");
    let whole = instance.devices().expect("a driver").remove(0);
    Device::new(&instance, &whole).expect("nothing is missing");
    let check = |says: &str, take: fn(&mut DeviceInfo)| {
        let mut info = whole.clone();
        take(&mut info);
        let refused = Device::new(&instance, &info).err().unwrap_or_else(|| panic!("{says} was not missed"));
        let refused = refused.to_string();
        println!("{refused}");
        assert!(refused.contains(&whole.name) && refused.contains(says), "{says}: {refused}");
    };
    check("Vulkan 1.1", |info| info.api_version = ApiVersion::new(1, 0));
    check("timelineSemaphore", |info| info.features.timeline_semaphore = false);
    check("compute queue", |info| info.queue_families.clear());
}

#[test]
fn devices_that_are_not_there() {
    let sandbox = Sandbox::new();
    let model = digits();
    for device in ["99", "No Such Device", "00000000-0000-0000-0000-000000000001"] {
        for command in ["run", "plan"] {
            let words = [command, &model, "--dim", "batch=1", "--device", device];
            refuses(&mut bayplan(&sandbox, &words), ERROR, &[device]);
        }
    }
}

#[test]
fn instances_that_are_no_instances() {
    let sandbox = Sandbox::new();
    let check = |name: &str, text: &str| {
        let path = file(&sandbox, name, text.as_bytes());
        refuses(&mut bayplan(&sandbox, &["plan", &path, "--json"]), ERROR, &[name]);
    };
    check("header.csv", "a,b,c\n1,2,3\n");
    check("number.csv", "id,lower,upper,size\nx,0,1,many\n");
    check("negative.csv", "id,lower,upper,size\nx,0,1,-5\n");
    check("backwards.csv", "id,lower,upper,size\nx,5,5,1\n");
    check("short.csv", "id,lower,upper,size\nx,0,1\n");
    check("huge.csv", "id,lower,upper,size\nx,0,1,9223372036854775807\ny,0,1,9223372036854775807\n");
}

#[test]
fn recordings_that_are_none() {
    let sandbox = Sandbox::new();
    let noise: Vec<u8> = (0..10_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let folder = sandbox.path("folder");
    fs::create_dir(&folder).expect("a folder");
    let garbage = file(&sandbox, "garbage.bptrace", &noise);
    let empty = file(&sandbox, "empty.bptrace", b"");
    for recording in
        [garbage.as_str(), &empty, text(&folder), "/nowhere/run.bptrace", "no-such-run", "999999999"]
    {
        let name = recording.rsplit('/').next().unwrap_or(recording);
        refuses(&mut bayplan(&sandbox, &["report", recording, "--json"]), ERROR, &[name]);
        let mut viewer = sandbox.command("bayplan-tui", &["--snapshot", "80x24", recording]);
        refuses(&mut viewer, ERROR, &[name]);
        refuses(&mut sandbox.command("bayplan-tui", &["--text", recording]), ERROR, &[name]);
    }
}

#[test]
fn words_that_are_no_usage() {
    let sandbox = Sandbox::new();
    let model = digits();
    for words in [
        &["frobnicate"][..],
        &["run"],
        &["run", &model, "--dim", "batch=1", "--runs", "0"],
        &["run", &model, "--dim", "batch=1", "--runs", "-1"],
        &["run", &model, "--dim", "batch=1", "--trace-level", "loud"],
        &["run", &model, "--frobnicate"],
        &["plan", &model, "--format", "yaml"],
        &["report"],
    ] {
        refuses(&mut bayplan(&sandbox, words), USAGE, &[]);
    }
    refuses(&mut sandbox.command("examples/digits", &["--frobnicate"]), ERROR, &["usage"]);
}

/// A limit on the size of files stands for a disk that fills up in the middle of a run. SwiftShader would not survive it: it
/// keeps its machine code in files that lie in memory.
#[test]
fn a_recording_that_outgrows_the_disk_is_said_to_be_incomplete() {
    [Backend::Host, Backend::Lavapipe].into_iter().for_each(check_recording_that_outgrows_the_disk);
}

fn check_recording_that_outgrows_the_disk(backend: Backend) {
    let sandbox = Sandbox::new();
    let path = sandbox.path("run.bptrace");
    let limited = "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\"";
    let program = bayplan_tests::binary("bayplan");
    let words = ["-c", limited, text(&program), "run", &digits(), "--dim", "batch=1", "--runs", "2000"];
    let words = [&words[..], &["--trace-level", "op", "--json", "--trace", text(&path)]].concat();
    let ended = run(&mut on(backend, sandbox.program(Path::new("/bin/sh"), &words)));
    assert_eq!(ended.code, Some(0), "the runs themselves succeeded: {ended:?}");
    assert!(ended.stderr.starts_with("warning: the recording is incomplete: could not write"), "{ended:?}");
    let json = ended.json();
    assert_eq!(json["runs"], 2000);
    assert!(json["events_lost"].as_u64().is_some_and(|lost| lost > 0), "{json}");
    assert!(json["recording_error"].as_str().is_some_and(|error| error.contains("run.bptrace")), "{json}");
    let report = sandbox.bayplan(&["report", text(&path)]).success();
    assert!(report.contains("could not write any more"), "{report}");
}

#[test]
fn places_that_cannot_be_written() {
    let sandbox = Sandbox::new();
    let model = digits();
    for place in ["--outputs", "--trace"] {
        let words = ["run", &model, "--dim", "batch=1", place, "/dev/null/x"];
        refuses(&mut bayplan(&sandbox, &words), ERROR, &["/dev/null"]);
    }
    // Where runs are recorded unasked, a run goes on without, and says so.
    let file = file(&sandbox, "file", b"");
    let ended = run(bayplan(&sandbox, &["run", &model, "--dim", "batch=1"]).env("XDG_STATE_HOME", &file));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stderr.starts_with("warning: nothing is recorded") && ended.stderr.contains(&file),
        "{ended:?}"
    );
}
