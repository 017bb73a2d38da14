//! One report: of a process that runs, of its recording, of the stream that carries it elsewhere, and of what it was
//! exported to and imported from, to the byte.

use std::fs;
use std::path::Path;

use bayplan_tests::live::{LiveRun, segments};
use bayplan_tests::program::{Sandbox, run};
use rustix::process::Signal;

use crate::export;

/// The report on a recording by any name, as it is printed.
fn printed(sandbox: &Sandbox, name: &str) -> String {
    sandbox.bayplan(&["report", name, "--json"]).success()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of the sandbox")
}

/// The report on a file that comes through a pipe.
fn piped(sandbox: &Sandbox, file: &Path) -> String {
    let stdin = fs::File::open(file).expect("a file");
    run(sandbox.command("bayplan", &["report", "-", "--json"]).stdin(stdin)).success()
}

/// The process stands still at some point of its run. Whatever way its recording is read, the report is the same; but that it
/// it is live and running is said of the process alone.
#[test]
fn a_run_its_recording_and_its_exports_have_one_report() {
    let sandbox = Sandbox::new();
    let live = LiveRun::start(&sandbox, &["--trace-level", "op"]);
    let (pid, recording) = (live.pid().to_string(), live.recording());
    live.wait_for("some runs", || segments(&recording).len() > 100_000);
    live.signal(Signal::STOP);
    let of_process = printed(&sandbox, &pid);
    assert_eq!(of_process.matches("\"live\": true").count(), 1, "{of_process}");
    assert_eq!(printed(&sandbox, &pid), of_process, "it stands still");
    assert_eq!(of_process.matches("\"state\": \"running\"").count(), 1, "{of_process}");
    let expected = of_process.replacen("\"live\": true", "\"live\": false", 1);
    let expected = expected.replacen("\"state\": \"running\"", "\"state\": \"killed\"", 1);

    // What is on the disk at this point: a folder elsewhere, one file, a stream.
    let (folder, file) = (sandbox.path("copied"), sandbox.path("copied.bptrace"));
    fs::create_dir(&folder).expect("a folder");
    for entry in fs::read_dir(&recording).expect("the recording") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), folder.join(entry.file_name())).expect("a copy");
    }
    fs::write(&file, segments(&recording)).expect("a file");
    assert_eq!(printed(&sandbox, text(&folder)), expected);
    assert_eq!(printed(&sandbox, text(&file)), expected);
    assert_eq!(piped(&sandbox, &file), expected);
    // Exported at this point, from the process and from its copy, and read again.
    let exported = sandbox.path("process.bptrace");
    let words = ["export", &pid, "--format", "perfetto", "--output", text(&exported)];
    sandbox.bayplan(&words).success();
    assert_eq!(printed(&sandbox, text(&exported)), expected);
    let again = export(&sandbox, &file, "perfetto");
    assert_eq!(printed(&sandbox, text(&again)), expected);
    assert_eq!(fs::read(&exported).expect("it is there"), fs::read(&again).expect("it is there"));

    // Killed where it stands, the process leaves the recording that it had.
    live.kill();
    assert_eq!(printed(&sandbox, text(&recording)), expected);
    let script = "\"$0\" tail \"$1\" --from start | \"$0\" report - --json";
    let bayplan = bayplan_tests::binary("bayplan");
    let words = ["-c".as_ref(), script.as_ref(), bayplan.as_os_str(), recording.as_os_str()];
    assert_eq!(run(&mut sandbox.program("/bin/sh".as_ref(), &words)).success(), expected);
}
