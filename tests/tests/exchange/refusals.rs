//! Exports and imports that cannot be: each says what is wrong in words, and leaves no half of a file behind.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use bayplan_tests::binary;
use bayplan_tests::program::{Sandbox, run};

use crate::made;

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of the sandbox")
}

#[track_caller]
fn refused(sandbox: &Sandbox, words: &[&str], code: i32, says: &[&str]) {
    let ended = sandbox.bayplan(words);
    assert_eq!((ended.code, &*ended.stdout), (Some(code), ""), "{words:?}: {}", ended.stderr);
    for says in says {
        assert!(ended.stderr.contains(says), "no {says:?} in {:?} of {words:?}", ended.stderr);
    }
    assert!(!ended.stderr.contains('\u{1b}'), "{:?}", ended.stderr);
}

/// The names of what lies in a folder.
fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn what_cannot_be_exported_is_said() {
    let sandbox = Sandbox::new();
    let recording = made::outside(&sandbox);
    let (recording, folder) = (text(&recording), sandbox.path("out"));
    fs::create_dir(&folder).expect("a folder");
    let (there, new) = (folder.join("there.json"), folder.join("new.json"));
    fs::write(&there, "kept").expect("a file");
    let words = |format: &'static str, output: &Path| {
        ["export", recording, "--format", format, "--output", text(output)].map(str::to_owned)
    };
    let refused = |words: [String; 6], code, says: &[&str]| {
        refused(&sandbox, &words.each_ref().map(String::as_str), code, says);
    };
    refused(
        words("jpeg", &new),
        2,
        &["jpeg", "perfetto", "chrome", "torch", "vma", "csv", "parquet", "instance"],
    );
    refused(words("chrome", &there), 1, &["there.json exists", "--force"]);
    refused(words("chrome", &folder), 2, &["is a folder: name a file in it"]);
    refused(
        words("chrome", &folder.join("no/new.json")),
        1,
        &["no/new.json", "there is no folder", "make it"],
    );
    refused(words("chrome", Path::new(recording)), 2, &["is read to make the export"]);
    refused(words("chrome", Path::new("\u{1b}[2J/x")), 1, &["\\x1b[2J/x"]);
    let missing = ["export", "no-such-run", "--format", "chrome", "--output", text(&new)].map(str::to_owned);
    refused(missing, 1, &["no-such-run"]);
    let none = ["export", text(&there), "--format", "chrome", "--output", text(&new)].map(str::to_owned);
    refused(none, 1, &["there.json", "not a recording of bayplan"]);
    assert_eq!(entries(&folder), ["there.json"], "nothing else was written, and nothing is left of it");
    assert_eq!(fs::read(&there).expect("it is there"), b"kept");
    // Replaced when it is asked for, and whole.
    let forced = words("chrome", &there);
    let ended = sandbox.bayplan(&[&forced[..], &["--force".to_owned()]].concat());
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert!(fs::read_to_string(&there).is_ok_and(|page| page.ends_with("}\n")));
}

#[test]
fn what_cannot_be_imported_is_said() {
    let sandbox = Sandbox::new();
    let recording = made::outside(&sandbox);
    let plan = sandbox.path("plan.csv");
    fs::write(&plan, "\nid,lower,upper,size\na,0,1,8\n").expect("a file");
    let output = sandbox.path("new.bptrace");
    let import = |file: &str, code, says: &[&str]| {
        refused(&sandbox, &["import", file, "--output", text(&output)], code, says);
        assert!(!output.exists(), "{file}");
    };
    import("no-such-file", 1, &["no-such-file", "No such file"]);
    import(text(&sandbox.path("")), 1, &["it is a folder: name a file in it"]);
    import(text(&recording), 1, &["it is a recording already"]);
    import("/dev/zero", 1, &["neither a PyTorch memory snapshot (a pickle) nor a plan in CSV"]);
    refused(
        &sandbox,
        &["import", text(&plan), "--output", text(&plan)],
        2,
        &["is read to make the recording: name another file"],
    );
    refused(
        &sandbox,
        &["import", text(&plan), "--output", text(&recording)],
        1,
        &["outside.bptrace exists", "--force"],
    );
    // From a pipe and into one it is the same recording as from a file.
    sandbox.bayplan(&["import", text(&plan), "--output", text(&output)]).success();
    let stdin = fs::File::open(&plan).expect("a file");
    let script = "\"$0\" import - --output - | \"$0\" report - --json";
    let bayplan = binary("bayplan");
    let mut shell =
        sandbox.program("/bin/sh".as_ref(), &["-c".as_ref(), script.as_ref(), bayplan.as_os_str()]);
    let piped = run(shell.stdin(stdin)).json();
    let file = sandbox.bayplan(&["report", text(&output), "--json"]).json();
    assert_eq!(piped["plans"][0]["arenas"], file["plans"][0]["arenas"]);
    assert_eq!(piped["session"]["origin"], "plan standard input");
}

/// Who reads no further ends an export without a word; a disk that is full is said, and the file never appears.
#[test]
fn pipes_that_close_and_disks_that_are_full() {
    let sandbox = Sandbox::new();
    let recording = made::outside(&sandbox);
    let recording = text(&recording);
    for format in ["perfetto", "chrome", "torch", "vma", "csv", "parquet", "instance"] {
        let words = ["export", recording, "--format", format, "--output"];
        let to = |output: &'static str| [&words[..], &[output]].concat();
        let mut command = sandbox.command("bayplan", &to("-"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        drop(child.stdout.take());
        let ended = child.wait_with_output().expect("it ends");
        assert_eq!((ended.status.code(), &*ended.stderr), (Some(0), &b""[..]), "{format}");
        refused(
            &sandbox,
            &to("/dev/full"),
            1,
            &["the export cannot be written to /dev/full", "No space left"],
        );
        // A limit on the size of files is as a disk that is full.
        let script = "ulimit -f 1; trap '' XFSZ; exec \"$0\" export \"$1\" --format \"$2\" --output \"$3\"";
        let (folder, bayplan) = (sandbox.path(format), binary("bayplan"));
        fs::create_dir(&folder).expect("a folder");
        let output = folder.join("export");
        let words =
            ["-c".as_ref(), script.as_ref(), bayplan.as_os_str(), recording.as_ref(), format.as_ref()];
        let ended = run(sandbox.program("/bin/sh".as_ref(), &words).arg(&output));
        if ended.code == Some(0) {
            assert!(fs::metadata(&output).is_ok_and(|file| file.len() <= 1024), "{format}");
        } else {
            assert!(
                ended.code == Some(1) && ended.stderr.contains("File too large"),
                "{format}: {}",
                ended.stderr
            );
            assert_eq!(entries(&folder), Vec::<String>::new(), "{format}");
        }
    }
}
