//! What other programs wrote, as recordings.

use bayplan_tests::program::{Sandbox, run};
use serde_json::Value;

use crate::{export, figure, import, list, made, number, report, told};

/// Snapshots as PyTorch writes them, in every protocol: peaks, what is held at the end, counts, as Python finds them by
/// going through the events one by one.
#[test]
fn snapshots_become_recordings_of_the_same() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("snapshots");
    std::fs::create_dir(&folder).expect("a folder");
    let cases = told("snapshots.py", &["write".as_ref(), folder.as_os_str()]);
    assert_eq!(list(&cases).len(), 9);
    for case in list(&cases) {
        let recording = import(&sandbox, case["path"].as_str().expect("a path").as_ref());
        let (said, name) = (report(&sandbox, &recording), &case["name"]);
        let devices = case["devices"].as_object().expect("devices");
        let sum = |key: &str| devices.values().map(|device| number(device, key)).sum::<u64>();
        let plan = &said["plans"][0];
        let ends = number(plan, "ops");
        assert_eq!(list(&plan["arenas"]).len(), devices.len(), "{name}");
        for arena in list(&plan["arenas"]) {
            let device = &devices[arena["name"].as_str().expect("a name")];
            assert_eq!(arena["peak_live"], device["peak"], "{name}: {}", arena["name"]);
            assert_eq!(arena["lower_bound"], device["peak"], "{name}: {}", arena["name"]);
        }
        assert_eq!((number(plan, "buffers"), ends), (sum("buffers"), sum("ops") + 1), "{name}");
        assert_eq!(figure(&said, "device_bytes"), sum("reserved_at_end"), "{name}");
        if devices.len() == 1 {
            assert_eq!(figure(&said, "device_bytes_max"), sum("reserved_most"), "{name}");
        }
        let table = told("exchange.py", &["csv".as_ref(), export(&sandbox, &recording, "csv").as_os_str()]);
        let held = list(&table)
            .iter()
            .filter(|row| row["kind"] == "tensor" && row["last"].as_str() == Some(&ends.to_string()));
        let bytes = |row: &Value| row["bytes"].as_str().and_then(|text| text.parse::<u64>().ok());
        assert_eq!(held.filter_map(bytes).sum::<u64>(), sum("live_at_end"), "{name}");
        let ran_out = list(&said["messages"]).iter().filter(|message| message["level"] == "error");
        assert_eq!(ran_out.count() as u64, number(case, "oom"), "{name}");
        assert_eq!(["deviation", "overlap", "unplanned"].map(|key| number(&said, key)), [0; 3], "{name}");
        assert_eq!(list(&plan["notes"]).len(), devices.len(), "nothing was missing: {}", plan["notes"]);
    }
}

/// The viewer says what it shows, and draws it as offset over time.
#[test]
fn the_viewer_says_that_it_shows_an_import() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("snapshots");
    std::fs::create_dir(&folder).expect("a folder");
    told("snapshots.py", &["write".as_ref(), folder.as_os_str()]);
    let recording = import(&sandbox, &folder.join("protocol-4.pickle"));
    let words = ["top", "--ascii", "--snapshot", "140x40", "--view", "2"];
    let shown = run(sandbox.command("bayplan", &words).arg(&recording)).success();
    let says = |words: &str| assert!(shown.contains(words), "no {words:?}:\n{shown}");
    says("imported");
    says("PyTorch memory snapshot protocol-4.pickle");
    says("device 0");
    says("op");
    // Tensors, from the bottom of the arena to its top.
    let drawn = shown.lines().filter(|line| line.chars().filter(|c| "#%*@=+:.".contains(*c)).count() > 20);
    assert!(drawn.count() > 10, "{shown}");
}

/// The tensors of an arena go out as an instance for planners and come back as a plan of the same bytes.
#[test]
fn an_arena_goes_out_as_an_instance_and_comes_back() {
    let sandbox = Sandbox::new();
    let recording = made::digits(&sandbox);
    let (said, instance) = (report(&sandbox, &recording), export(&sandbox, &recording, "instance"));
    let again = report(&sandbox, &import(&sandbox, &instance));
    let find = |report: &Value| {
        let mut arenas = list(&report["plans"][0]["arenas"]).iter();
        arenas.find(|arena| arena["name"] == "activations").cloned().expect("the arena")
    };
    let (before, after) = (find(&said), find(&again));
    for key in ["peak_live", "lower_bound"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    let peak = |report: &Value| {
        let of =
            list(&report["figures"]["peak"]["of"]).iter().find(|of| of["name"] == "activations").cloned();
        of.expect("a peak")["value"].clone()
    };
    assert_eq!(peak(&again), peak(&said));
    assert_eq!(again["runs"]["started"], 0);
    assert!(again["session"]["origin"].as_str().is_some_and(|origin| origin.starts_with("plan ")));
}

/// Whatever is wrong with a file is said in one line; nothing in it is run, and no memory is taken for what it claims.
#[test]
fn hostile_files_are_refused_by_name() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("hostile");
    std::fs::create_dir(&folder).expect("a folder");
    let output = sandbox.path("never.bptrace");
    for case in list(&told("snapshots.py", &["hostile".as_ref(), folder.as_os_str()])) {
        let (path, says) = (case["path"].as_str().expect("a path"), case["says"].as_str().expect("words"));
        // Address space, in KiB: what the program and a pickle of any length may take, and not twice that.
        let script = "ulimit -v 1500000; exec \"$0\" import \"$1\" --output \"$2\"";
        let bayplan = bayplan_tests::binary("bayplan");
        let words = ["-c".as_ref(), script.as_ref(), bayplan.as_os_str()];
        let mut command = sandbox.program("/bin/sh".as_ref(), &words);
        let ended = run(command.arg(path).arg(&output));
        assert_eq!((ended.code, &*ended.stdout), (Some(1), ""), "{path}: {}", ended.stderr);
        let lines: Vec<&str> = ended.stderr.lines().collect();
        assert!(
            lines.len() == 1 && lines[0].starts_with("error: ") && lines[0].contains(says),
            "{path}: {says:?} in {lines:?}"
        );
        assert!(!output.exists(), "{path}");
    }
}
