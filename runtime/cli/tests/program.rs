//! The program as a shell starts it, without a device: damaged models, readers that leave, the viewer.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The program, with no driver for the loader to find.
fn bayplan(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bayplan"));
    command
        .args(words)
        .env("VK_DRIVER_FILES", "/nonexistent.json")
        .env("VK_ICD_FILENAMES", "/nonexistent.json");
    command.env_remove("BAYPLAN_DEVICE").env_remove("BAYPLAN_TUI");
    command
}

fn output(mut command: Command) -> Output {
    command.output().expect("the program starts")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}

/// A field of a protobuf message: bytes of less than 128.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).expect("a short field")], bytes].concat()
}

/// A field of a protobuf message: a number below 128.
fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

/// `y = Relu(x)` with x of f32[n,8]; the numbers are those of onnx.proto.
fn model() -> Vec<u8> {
    let dims = [field(1, &field(2, b"n")), field(1, &number(1, 8))].concat();
    let tensor = |name: &[u8]| {
        let ty = field(1, &[number(1, 1), field(2, &dims)].concat());
        [field(1, name), field(2, &ty)].concat()
    };
    let node = [field(1, b"x"), field(2, b"y"), field(4, b"Relu")].concat();
    let graph =
        [field(1, &node), field(2, b"g"), field(11, &tensor(b"x")), field(12, &tensor(b"y"))].concat();
    [number(1, 8), field(7, &graph), field(8, &number(2, 17))].concat()
}

#[test]
fn models_cut_or_changed_at_any_byte_are_read_or_refused_in_one_message() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.onnx");
    let whole = model();
    let plan = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        output(bayplan(&["plan", text(&path), "--dim", "n=2"]))
    };
    assert_eq!(plan(&whole).status.code(), Some(0), "{:?}", plan(&whole));
    let cut = (0..whole.len()).map(|end| whole[..end].to_vec());
    let changed = (0..whole.len()).flat_map(|at| {
        [0x00, 0x7f, 0x80, 0xff].map(|byte| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            bytes
        })
    });
    for (index, bytes) in cut.chain(changed).enumerate() {
        let ended = plan(&bytes);
        let stderr = String::from_utf8_lossy(&ended.stderr);
        match ended.status.code() {
            Some(0) => assert!(stderr.is_empty(), "{index}: {stderr}"),
            Some(1..=3) => {
                assert!(stderr.starts_with("error: ") && !stderr.contains("panicked"), "{index}: {stderr}");
            }
            other => panic!("{index}: {other:?} {stderr}"),
        }
    }
}

/// `bayplan plan … --json | head -1`, of more than a pipe holds.
#[test]
fn a_reader_that_leaves_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    let rows: String = (0..5000).map(|i| format!("b{i},{i},{},64\n", i + 2)).collect();
    fs::write(&path, format!("id,lower,upper,size\n{rows}")).unwrap();
    let mut child = bayplan(&["plan", text(&path), "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "{\n");
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), &*String::from_utf8_lossy(&ended.stderr)), (Some(0), ""));
}

#[test]
fn a_full_disk_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    fs::write(&path, "id,lower,upper,size\na,0,1,64\n").unwrap();
    for words in
        [&["plan", text(&path)][..], &["--help"], &["report", "-h"], &["help", "plan"], &["--version"]]
    {
        let mut command = bayplan(words);
        command.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        let ended = output(command);
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{words:?}: {stderr}");
        assert!(stderr.starts_with("error: standard output cannot be written"), "{words:?}: {stderr}");
    }
    // What is wrong with the command line is told on standard error, and is not about writing.
    let mut command = bayplan(&["--nothing"]);
    command.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    assert_eq!(output(command).status.code(), Some(2));
}

/// Paths are bytes: what a file is called does not keep it from being read.
#[test]
fn names_of_any_bytes_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let named = |name: &[u8]| folder.path().join(OsStr::from_bytes(name));
    let (csv, json) = (named(b"r\xff.csv"), named(b"r\xfe.json"));
    fs::write(&csv, "id,lower,upper,size\na,0,1,64\n").unwrap();
    let shown = |words: &[&str], paths: &[&Path]| {
        let mut command = bayplan(words);
        command.args(paths);
        let ended = output(command);
        (ended.status.code(), String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap())
    };
    let (_, plan) = shown(&["plan", "--json"], &[&csv]);
    fs::write(&json, plan).unwrap();
    let (code, text) = shown(&["diff", "--exit-code"], &[&csv, &json]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = shown(&["check", "--assert", "peak==64B"], &[&json]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = shown(&["check", "--baseline"], &[&csv, &json]);
    assert_eq!(code, Some(0), "{text}");
    // No recording is there: the name is told, and nothing in it reaches the terminal.
    let lost = named(b"r\xff\x1b[2J.bptrace");
    for words in [&["report"][..], &["tail"], &["export", "--format", "perfetto", "--output", "-"]] {
        let (code, text) = shown(words, &[&lost]);
        assert!(
            code == Some(1) && text.starts_with("error: ") && text.contains("r\u{fffd}"),
            "{words:?}: {text}"
        );
        assert!(!text.contains('\u{1b}'), "{words:?}: {text}");
    }
}

#[test]
fn a_report_on_what_is_no_recording_says_so_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let zeros = folder.path().join("zeros.bptrace");
    fs::File::create(&zeros).unwrap().set_len(40 << 30).unwrap();
    let cases = [
        (text(&pipe), "pipe is not a regular file"),
        ("/dev/zero", "/dev/zero is not a regular file"),
        (text(&zeros), "this is not a recording"),
        ("", "name a recording"),
    ];
    for (name, expected) in cases {
        let ended = output(bayplan(&["report", name]));
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{name}: {stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains(expected), "{name}: {stderr}");
    }
}

#[test]
fn top_hands_its_words_to_the_viewer_and_its_status_back() {
    let folder = tempfile::tempdir().unwrap();
    let viewer = folder.path().join("viewer");
    fs::write(&viewer, "#!/bin/sh\nprintf '%s|' \"$@\"\nexit 7\n").unwrap();
    fs::set_permissions(&viewer, fs::Permissions::from_mode(0o755)).unwrap();
    let cases: [(&[&str], &str); 4] = [
        (&["top"], "|"),
        (&["top", "12345"], "12345|"),
        (&["top", "--snapshot", "80x24", "a b", "--view", "2"], "--snapshot|80x24|a b|--view|2|"),
        (&["top", "--", "--help"], "--help|"),
    ];
    for (words, expected) in cases {
        let mut command = bayplan(words);
        command.env("BAYPLAN_TUI", &viewer);
        let ended = output(command);
        assert_eq!((ended.status.code(), &*String::from_utf8_lossy(&ended.stdout)), (Some(7), expected));
    }
    let mut command = bayplan(&["top"]);
    command.env("BAYPLAN_TUI", folder.path().join("absent"));
    let ended = output(command);
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1));
    assert!(stderr.contains("absent") && stderr.contains("make install"), "{stderr}");
}

/// A limit on the size of files stands for a disk that fills up.
#[test]
fn an_output_is_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (path, outputs) = (folder.path().join("relu.onnx"), folder.path().join("outputs"));
    fs::write(&path, model()).unwrap();
    let run = |limit: &str, rows: &str| {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "trap '' XFSZ; ulimit -f $0; exec \"$@\"", limit, env!("CARGO_BIN_EXE_bayplan")]);
        command.args(["run", text(&path), "--dim", rows, "--device", "host", "--trace-level", "off"]);
        output({
            command.args(["--outputs", text(&outputs)]);
            command
        })
    };
    let ended = run("unlimited", "n=2");
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    let before = fs::read(outputs.join("y.npy")).unwrap();
    let ended = run("16", "n=10000");
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with("error: ") && stderr.contains("y.npy"), "{stderr}");
    assert_eq!(fs::read(outputs.join("y.npy")).unwrap(), before, "the file of the run before stays");
    assert_eq!(fs::read_dir(&outputs).unwrap().count(), 1, "nothing half-written is left");
}

/// `y = Relu(x)` for two rows, on the host, in every command that takes a device.
#[test]
fn the_host_needs_no_driver() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relu.onnx");
    fs::write(&path, model()).unwrap();
    let (state, outputs) = (folder.path().join("state"), folder.path().join("outputs"));
    let ended = |words: &[&str]| {
        let mut command = bayplan(words);
        command.env("XDG_STATE_HOME", &state).env("XDG_RUNTIME_DIR", &state).env("XDG_CACHE_HOME", &state);
        let ended = output(command);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (ended.status.code(), text(&ended.stdout), text(&ended.stderr))
    };
    let model = text(&path);
    let (code, told, warned) = ended(&["devices"]);
    assert_eq!(code, Some(0), "{warned}");
    assert!(told.contains("host") && warned.contains("warning: "), "{told}{warned}");
    let (code, told, warned) = ended(&["devices", "--json"]);
    assert_eq!(code, Some(0), "{warned}");
    let devices: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(devices["devices"][0]["name"], "host");
    assert_eq!(devices["devices"][0]["target"]["storage_alignment"], 64);
    assert_eq!(devices["devices"][0]["roof"], serde_json::Value::Null);
    // The host has no roof, and says why.
    let (code, told, _) = ended(&["devices", "--probe"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("roof      not measured: the host computes for exactness"), "{told}");
    let (code, _, refused) = ended(&["run", model, "--dim", "n=2"]);
    assert_eq!(code, Some(1));
    assert!(refused.starts_with("error: ") && refused.contains("--device host"), "{refused}");
    let (code, planned, _) = ended(&["plan", model, "--dim", "n=2", "--device", "host"]);
    assert_eq!(code, Some(0), "{planned}");
    assert!(planned.contains("host"), "{planned}");
    let on_host = [
        "run",
        model,
        "--dim",
        "n=2",
        "--device",
        "host",
        "--outputs",
        text(&outputs),
        "--runs",
        "3",
        "--json",
    ];
    let (code, ran, refused) = ended(&on_host);
    assert_eq!(code, Some(0), "{refused}");
    let ran: serde_json::Value = serde_json::from_str(&ran).unwrap();
    assert_eq!((&ran["device"], &ran["runs"]), (&"host".into(), &3.into()));
    let recording = ran["recording"].as_str().expect("a recording");
    let (code, report, refused) = ended(&["report", recording, "--json"]);
    assert_eq!(code, Some(0), "{refused}");
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["session"]["device"], "host", "{report}");
    // Drawn from a fixed seed: of 16 numbers some are negative, and none is in what Relu gives.
    let bytes = fs::read(outputs.join("y.npy")).unwrap();
    let floats: Vec<f32> =
        bytes[bytes.len() - 64..].as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
    assert!(floats.iter().all(|v| *v >= 0.0) && floats.contains(&0.0), "{floats:?}");
    assert!(floats.iter().any(|v| *v > 0.0), "{floats:?}");
}

#[test]
fn watching_needs_a_terminal() {
    let mut command = bayplan(&["run", "x.onnx", "--watch"]);
    command.stdin(Stdio::null());
    let ended = output(command);
    assert_eq!(ended.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("--watch needs a terminal"));
}

#[test]
fn a_budget_chooses_the_same_sizes_in_plan_run_and_fit() {
    let folder = tempfile::tempdir().unwrap();
    let (path, runs) = (folder.path().join("x.onnx"), folder.path().join("runs"));
    fs::write(&path, model()).unwrap();
    let asked = |command: &str| -> serde_json::Value {
        let words = [command, text(&path), "--budget", "10KiB", "--device", "host", "--json"];
        let mut command = bayplan(&words);
        let ended = output({
            command.env("XDG_RUNTIME_DIR", &runs);
            command
        });
        assert_eq!(ended.status.code(), Some(0), "{words:?}: {}", String::from_utf8_lossy(&ended.stderr));
        serde_json::from_slice(&ended.stdout).unwrap()
    };
    let row = &asked("fit")["rows"][0];
    // x and y lie in the same bytes, 32 of each row.
    assert_eq!((&row["dims"]["n"], &row["bytes"]), (&320.into(), &10_240.into()));
    let (plan, run) = (asked("plan"), asked("run"));
    assert_eq!((&plan["dims"], &plan["arena_bytes"]), (&row["dims"], &row["bytes"]));
    assert_eq!((&run["dims"], &run["arena_bytes"]), (&row["dims"], &row["bytes"]));
}

#[test]
fn an_input_that_the_model_does_not_have_is_told_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.onnx");
    fs::write(&path, model()).unwrap();
    let ended = output(bayplan(&["run", text(&path), "--input", "q=none.npy", "--device", "host"]));
    assert_eq!(ended.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "error: the model has no input q; it has x\n");
}

#[test]
fn a_folder_of_inputs_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let (path, none) = (folder.path().join("x.onnx"), folder.path().join("none"));
    fs::write(&path, model()).unwrap();
    for (inputs, why) in [(&none, "there is no such folder"), (&path, "it is no folder")] {
        let ended = output(bayplan(&["run", text(&path), "--inputs", text(inputs), "--device", "host"]));
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!((ended.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.contains("--inputs ") && said.contains(why) && !said.contains("for input x"), "{said}");
    }
}
