//! The binary without a terminal: pictures and summaries of recordings, and its errors.

mod support;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use bayplan_record::{Destination, Places, Recorder, RecordingOptions};
use bayplan_trace::{Event, Severity};
use rustix::process::{Pid, Signal, kill_process};

/// How a recording ends.
#[derive(Clone, Copy, PartialEq)]
enum Finish {
    InOrder,
    Killed,
}

fn record(folder: &Path, faults: bool, finish: Finish) -> PathBuf {
    let plan = support::encoder(6);
    let mut windows = support::windows(&plan);
    if faults {
        support::plant_faults(&plan, &mut windows);
    }
    let path = folder.join("run.bptrace");
    let session = support::session();
    let options = RecordingOptions {
        destination: Destination::File(path.clone()),
        model: session.model,
        device: session.device,
        api: session.api,
        ..RecordingOptions::new(Places::under(folder))
    };
    let recorder = Recorder::create(options, &plan).unwrap();
    for event in support::preamble(&plan, windows) {
        recorder.emit(event);
    }
    for run in 0..20 {
        for event in support::whole_run(run, 1_000_000 + run * 4_000_000, 3_100_000) {
            recorder.emit(event);
        }
    }
    let text = "the cache was rebuilt".to_owned();
    recorder.emit(Event::Message { t: 90_000_000, level: Severity::Warning, text });
    if finish == Finish::Killed {
        recorder.emit(Event::RunStart { run: 20, plan: 0, t: 98_000_000 });
        recorder.emit(Event::Completed { run: 20, plan: 0, op: 41, t: 98_500_000 });
    }
    // What a killed process leaves is what it had written when it was killed.
    let written = settled(&path);
    assert_eq!(recorder.finish().lost, 0);
    if finish == Finish::Killed {
        std::fs::write(&path, written).unwrap();
    }
    path
}

/// The bytes of a recording once all that was emitted is written.
fn settled(path: &Path) -> Vec<u8> {
    let begun = Instant::now();
    let mut bytes = Vec::new();
    loop {
        std::thread::sleep(Duration::from_millis(250));
        let now = std::fs::read(path).unwrap();
        if now.len() == bytes.len() && !now.is_empty() || begun.elapsed() > Duration::from_secs(10) {
            return now;
        }
        bytes = now;
    }
}

fn command(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bayplan-tui"));
    command
        .args(args)
        .env("XDG_RUNTIME_DIR", home.join("runtime"))
        .env("XDG_STATE_HOME", home.join("state"))
        .env("XDG_CONFIG_HOME", home.join("config"));
    command
}

fn viewer(home: &Path, args: &[&str]) -> Output {
    command(home, args).output().unwrap()
}

fn shown(home: &Path, args: &[&str]) -> String {
    let output = viewer(home, args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_recording_is_shown() {
    let home = tempfile::tempdir().unwrap();
    let path = record(home.path(), false, Finish::InOrder);
    let path = path.to_str().unwrap();
    let picture = shown(home.path(), &[path, "--snapshot", "120x40", "--view", "2"]);
    assert_eq!(picture.lines().count(), 40);
    let words = [
        "minilm-l6",
        "llvmpipe · Vulkan 1.3",
        "run 20",
        "○ ended",
        "arena \"activations\"",
        "all 85 ops done",
    ];
    for words in words {
        assert!(picture.contains(words), "{words}:\n{picture}");
    }
    // Once, in the legend.
    assert!(picture.contains('▒') && picture.matches('░').count() == 1, "{picture}");
    // The past is looked up for one picture, too.
    let past = shown(home.path(), &[path, "--snapshot", "120x40", "--key", "{ {"]);
    assert!(past.lines().next().unwrap().contains("before the end"), "{past}");
    let overview = shown(home.path(), &[path, "--snapshot", "120x40"]);
    for words in [
        "20 done",
        "the cache was rebuilt",
        "none: every tensor is where the plan puts it",
        "2.00 GiB budget",
    ] {
        assert!(overview.contains(words), "{words}:\n{overview}");
    }
    let ascii = shown(home.path(), &[path, "--snapshot", "80x24", "--view", "2", "--ascii"]);
    assert!(ascii.is_ascii(), "{ascii}");
    let summary = shown(home.path(), &[path, "--text"]);
    for words in
        ["the run has ended", "20 runs done, 0 failed", "why this peak?", "why not smaller?", "no alarm"]
    {
        assert!(summary.contains(words), "{words}:\n{summary}");
    }
}

#[test]
fn a_killed_run_stays_visible_up_to_its_last_op() {
    let home = tempfile::tempdir().unwrap();
    let path = record(home.path(), false, Finish::Killed);
    let picture = shown(home.path(), &[path.to_str().unwrap(), "--snapshot", "120x40", "--view", "2"]);
    for words in ["✝ killed", "now op 41 of 0–84", "now 41"] {
        assert!(picture.contains(words), "{words}:\n{picture}");
    }
    for state in ['░', '▒', '█'] {
        assert!(picture.contains(state), "{state}:\n{picture}");
    }
}

#[test]
fn faults_are_told() {
    let home = tempfile::tempdir().unwrap();
    let path = record(home.path(), true, Finish::InOrder);
    let path = path.to_str().unwrap();
    let picture = shown(home.path(), &[path, "--snapshot", "120x40", "--view", "2"]);
    assert!(picture.lines().next().unwrap().contains("deviation · 2 overlap"), "{picture}");
    assert!(picture.matches('╳').count() > 10, "{picture}");
    let summary = shown(home.path(), &[path, "--text"]);
    for words in
        ["alarms: ", "encoder/layer.0/attention/context", "encoder/layer.1/attention/probs", "overlap: "]
    {
        assert!(summary.contains(words), "{words}:\n{summary}");
    }
}

#[test]
fn damage_is_told_and_the_rest_is_shown() {
    let home = tempfile::tempdir().unwrap();
    let path = record(home.path(), false, Finish::InOrder);
    let mut bytes = std::fs::read(&path).unwrap();
    // In the body of the last chunk of ours: the head with the plan stays whole.
    let at = bytes.windows(4).rposition(|part| part == b"bayp").unwrap() + 42;
    bytes[at] ^= 0x55;
    std::fs::write(&path, bytes).unwrap();
    let picture = shown(home.path(), &[path.to_str().unwrap(), "--snapshot", "120x40", "--view", "2"]);
    assert!(picture.lines().next().unwrap().contains("damaged 1"), "{picture}");
    assert!(picture.contains("arena \"activations\""), "{picture}");
}

/// Text takes a moment and what to compare with, and tells of these alone.
#[test]
fn a_moment_and_a_comparison_are_told_in_text() {
    let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (path, other) =
        (record(home.path(), false, Finish::Killed), record(other.path(), false, Finish::InOrder));
    let (path, other) = (path.to_str().unwrap(), other.to_str().unwrap());
    let at = shown(home.path(), &[path, "--text", "--at", "run:3"]);
    for words in
        ["run.bptrace, model \"minilm-l6\", on ", "3 runs done", " between runs\n", " before the end"]
    {
        assert!(at.contains(words), "{words}:\n{at}");
    }
    assert!(!at.contains("compared"), "{at}");
    let peak = shown(home.path(), &[path, "--text", "--at", "peak"]);
    let most = peak.lines().find_map(|line| line.strip_prefix("why this peak? ")?.split(", ").nth(1));
    let now = peak.lines().find_map(|line| line.strip_prefix("live now in activations: "));
    let op = |text: &str| text.split(" at op ").nth(1)?.split(' ').next()?.parse::<u32>().ok();
    assert!(most.and_then(op).is_some() && now.and_then(op).is_some(), "{peak}");
    let diff = shown(home.path(), &[path, "--text", "--diff", other, "--ascii"]);
    assert!(diff.is_ascii(), "{diff}");
    for words in
        ["run 21 in progress, last seen complete: op 41 ", "compared, shown -> other: run.bptrace -> "]
    {
        assert!(diff.contains(words), "{words}:\n{diff}");
    }
    assert!(diff.contains("moments  run 21, op 41 seen complete (42 of 85) -> after run 20"), "{diff}");
    let alone = viewer(home.path(), &[path, "--at", "run:3"]);
    let error = String::from_utf8(alone.stderr).unwrap();
    assert!(
        alone.status.code() == Some(2) && error.contains("--snapshot") && error.contains("--text"),
        "{error}"
    );
}

#[test]
fn errors_are_one_message_and_a_status() {
    let home = tempfile::tempdir().unwrap();
    let check = |args: &[&str], status: i32, words: &str| {
        let output = viewer(home.path(), args);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{args:?}: {error}");
        assert!(error.contains(words), "{args:?}: {error}");
        assert!(output.stdout.is_empty());
    };
    check(
        &["nothing-of-that-name"],
        1,
        "there is no recording, live run or process called nothing-of-that-name",
    );
    check(&["--text"], 1, "no run is live");
    check(&["", "--text"], 1, "name a recording");
    check(&["/dev/zero", "--text"], 1, "/dev/zero is not a regular file");
    check(&[home.path().to_str().unwrap()], 1, "holds no recording");
    check(&["--snapshot", "80x24"], 1, "no run is live");
    check(&["x", "--snapshot", "80"], 2, "like 120x40");
    check(&["x", "--snapshot", "65536x1"], 2, "1 to 2000 columns");
    check(&["/dev/null/x"], 1, "is a file and no folder");
    check(&["x", "--view", "9"], 2, "the views are 1 Overview");
    check(&["x", "y"], 2, "unexpected argument");
    let path = record(home.path(), false, Finish::InOrder);
    let path = path.to_str().unwrap();
    check(&[path], 1, "not a terminal");
    for (at, words) in
        [("3h", "the session ends after"), ("-3h", "long"), ("run:99", "the session ends before it")]
    {
        check(&[path, "--snapshot", "80x24", "--at", at], 1, words);
    }
    check(&[path, "--snapshot", "80x24", "--at", "99999999999999h"], 2, "--at");
}

#[test]
fn what_is_no_recording_is_said_to_be_none() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("text");
    std::fs::write(&path, "this is no recording\n".repeat(100)).unwrap();
    let path = path.to_str().unwrap();
    for way in [&["--snapshot", "120x20"][..], &["--text"], &["--snapshot", "80x24", "--diff", path]] {
        let output = viewer(home.path(), &[&[path], way].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{way:?}: {error}");
        assert!(error.starts_with("error: ") && error.contains(path), "{way:?}: {error}");
        assert!(error.contains("this is not a recording of bayplan"), "{way:?}: {error}");
        assert!(output.stdout.is_empty(), "{way:?}");
    }
}

/// Who cannot write blames what it writes to; that nobody reads any more is no error.
#[test]
fn output_that_cannot_be_written_is_told() {
    let home = tempfile::tempdir().unwrap();
    let path = record(home.path(), false, Finish::InOrder);
    let path = path.to_str().unwrap();
    let told = [&["--help"][..], &["-h"], &["--version"], &["--print-config"]];
    for args in told.into_iter().chain([&[path, "--text"][..], &[path, "--snapshot", "80x24"]]) {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command(home.path(), args).stdout(full).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {error}");
        assert!(error.contains("could not write to standard output"), "{args:?}: {error}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert!(command(home.path(), args).stdout(writer).status().unwrap().success(), "{args:?}");
    }
}

#[test]
fn a_name_of_any_bytes_is_opened() {
    use std::os::unix::ffi::OsStrExt;
    let home = tempfile::tempdir().unwrap();
    let path = record(home.path(), false, Finish::InOrder);
    let named = path.with_file_name(std::ffi::OsStr::from_bytes(b"r\xffn.bptrace"));
    std::fs::rename(&path, &named).unwrap();
    let output =
        command(home.path(), &["--snapshot", "120x40"]).arg("--diff").arg(&named).arg(&named).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8(output.stdout).unwrap().contains("minilm-l6"));
}

#[test]
fn a_live_run_is_told_as_it_happens() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("run.bptrace");
    let plan = support::encoder(2);
    let session = support::session();
    let options = RecordingOptions {
        destination: Destination::File(path.clone()),
        model: session.model,
        device: session.device,
        ..RecordingOptions::new(Places {
            live: home.path().join("runtime/bayplan"),
            runs: home.path().join("state/bayplan/runs"),
            cache: None,
        })
    };
    std::fs::create_dir_all(home.path().join("runtime")).unwrap();
    let recorder = Recorder::create(options, &plan).unwrap();
    assert!(recorder.discovery_error().is_none());
    let begin = || {
        let mut child = command(home.path(), &["--text"]).stdout(Stdio::piped()).spawn().unwrap();
        // The summary comes first.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.by_ref().any(|line| line == "the run is live"));
        (child, lines)
    };
    let (mut follower, mut lines) = begin();
    let (mut stopped, interrupted) = begin();
    for event in support::preamble(&plan, support::windows(&plan)) {
        recorder.emit(event);
    }
    for event in support::whole_run(0, recorder.now(), 3_100_000) {
        recorder.emit(event);
    }
    let (t, text) = (recorder.now(), "something\u{1b}[2J happened".to_owned());
    recorder.emit(Event::Message { t, level: Severity::Warning, text });
    let heard: Vec<String> = lines.by_ref().take_while(|line| !line.starts_with("warning: ")).collect();
    assert!(heard.iter().any(|line| line.starts_with("run 1 done in 3.10 ms")), "{heard:?}");
    assert!(heard.iter().any(|line| line.starts_with("the session is ready")), "{heard:?}");
    kill_process(Pid::from_child(&stopped), Signal::INT).unwrap();
    let rest: Vec<String> = interrupted.collect();
    assert!(rest.contains(&"told no further".to_owned()), "{rest:?}");
    recorder.finish();
    let rest: Vec<String> = lines.collect();
    assert!(rest.contains(&"the run has ended".to_owned()), "{rest:?}");
    assert!(heard.iter().chain(&rest).all(|line| !line.contains('\u{1b}')));
    assert!(stopped.wait().unwrap().success() && follower.wait().unwrap().success());
}

#[test]
fn the_configuration_is_printed_read_back_and_refused() {
    let home = tempfile::tempdir().unwrap();
    let printed = shown(home.path(), &["--print-config", "--color", "256"]);
    let file = home.path().join("own.toml");
    std::fs::write(&file, &printed).unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(shown(home.path(), &["--config", file, "--print-config"]), printed);
    assert!(printed.contains("color = \"256\"") && printed.contains("zoom-in = [\"+\", \"=\"]"), "{printed}");
    std::fs::write(file, printed.replace("peak = [\"p\"]", "peak = [\"q\"]")).unwrap();
    let output = viewer(home.path(), &["--config", file, "--print-config"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("own.toml:") && error.contains("the key q does both quit and peak"), "{error}");
    // The user's own keys are what the help names.
    std::fs::write(file, "[keys]\nhelp = \"f1\"\nzoom-in = \"Z\"").unwrap();
    let path = record(home.path(), false, Finish::InOrder);
    let path = path.to_str().unwrap();
    let help =
        shown(home.path(), &[path, "--config", file, "--snapshot", "110x40", "--view", "bay", "--key", "f1"]);
    assert!(help.contains("Z -") && help.contains("zoom around the cursor"), "{help}");
    let styled = |color| shown(home.path(), &[path, "--snapshot", "80x24", "--color", color]);
    assert!(styled("true").contains("\u{1b}[0;") && styled("16").contains("\u{1b}[0;"));
    assert!(!styled("never").contains('\u{1b}') && !styled("auto").contains('\u{1b}'));
}
