//! Viewers that stop, read slowly, come in numbers or have no disk: a run is none the worse for them.
//!
//! That a run cannot wait for a viewer is seen, not timed: what both have in common is a file, which viewers open to read and do
//! not lock; the run holds nothing else that a viewer could hold up. What is recorded is the same with viewers and without.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::thread;
use std::time::Duration;

use bayplan_record::{Source, read};
use bayplan_tests::live::{LiveRun, segments};
use bayplan_tests::program::{Sandbox, run, wait};
use bayplan_tests::tmux::{Pane, Tmux};
use bayplan_tests::{binary, root};
use bayplan_trace::{Event, Record};
use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take: machines that build beside the test are slow.
const PATIENCE: Duration = Duration::from_secs(120);
/// Runs of the model in each recording that is compared.
const RUNS: &str = if cfg!(debug_assertions) { "80" } else { "1500" };
/// A shell in which files cannot grow, whatever the disk.
const NO_DISK: &str = "trap '' XFSZ; ulimit -f 0; ";

/// A run of so many runs of the model, seen to have begun.
fn begin(sandbox: &Sandbox, runs: &str) -> LiveRun {
    let model = root().join("assets/digits.onnx");
    let mut command = sandbox.command("bayplan", &["run".as_ref(), model.as_os_str()]);
    command.args(["--dim", "batch=1", "--device", "host", "--json", "--trace-level", "op", "--runs", runs]);
    LiveRun::of(sandbox, command)
}

/// The events of a recording without their times, and without those that are made when their time has come.
fn shapes(recording: &Path) -> Vec<String> {
    let mut shapes = Vec::new();
    let (_, damages) = read(Source::of_path(recording), |record| {
        let Record::Event(event) = record else { return };
        shapes.extend(match event {
            Event::RunStart { run, plan, .. } => Some(format!("run {run} of plan {plan}")),
            Event::RunEnd { run, ok, .. } => Some(format!("end of run {run}: {ok}")),
            Event::OpTimes { run, first_op, times, .. } => {
                Some(format!("times of run {run}: {first_op}, {}", times.len()))
            }
            Event::Windows { recording, part, windows, .. } => {
                Some(format!("{recording} {part} {windows:?}"))
            }
            Event::DeviceAllocated { id, bytes, purpose, .. } => Some(format!("{id}: {bytes} for {purpose}")),
            Event::DeviceFreed { id, .. } => Some(format!("{id} freed")),
            Event::HeapSample { .. } | Event::TraceCost { .. } | Event::Completed { .. } => None,
            other => Some(other.kind().name().to_owned()),
        });
    })
    .expect("a recording");
    assert_eq!(damages, []);
    shapes
}

/// Lets a run that was stopped go on, waits for its end, and gives what it recorded: nothing was lost.
fn finish(live: LiveRun) -> Vec<String> {
    let recording = live.recording();
    live.signal(Signal::CONT);
    let (code, json, said) = live.wait();
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert_eq!((&json["events_lost"], &json["recording_error"]), (&0.into(), &serde_json::Value::Null));
    assert_eq!(json["runs"].to_string(), RUNS);
    let mut shapes = shapes(&recording);
    // How often loading tells how far it is depends on the time it takes.
    shapes.dedup_by(|later, earlier| later == earlier && *later == "load progress");
    shapes
}

/// `bayplan tail` of a run, and its output.
fn tail(sandbox: &Sandbox, live: &LiveRun) -> (Child, ChildStdout) {
    let mut tail = sandbox.command("bayplan", &["tail", &live.pid().to_string(), "--from", "start"]);
    let mut tail = tail.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a tail");
    let output = tail.stdout.take().expect("a pipe");
    (tail, output)
}

/// A terminal in which the run is watched.
fn watch(tmux: &Tmux<'_>, live: &LiveRun, before: &str) -> Pane {
    let pane = tmux.open(&format!("{before}exec {} {}", binary("bayplan-tui").display(), live.pid()));
    tmux.wait(&pane, "live run", PATIENCE, |screen| screen.contains("● live"));
    pane
}

fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, signal).expect("it is there");
}

/// What the descriptors of a process name.
fn descriptors(pid: u32) -> Vec<(PathBuf, PathBuf)> {
    let folder = PathBuf::from(format!("/proc/{pid}/fd"));
    let entries = fs::read_dir(&folder).expect("a process").map(|entry| entry.expect("an entry").path());
    entries.filter_map(|entry| Some((fs::read_link(&entry).ok()?, entry))).collect()
}

/// The descriptors of a process by what they name, in the order of names.
fn held(pid: u32) -> Vec<PathBuf> {
    let mut held: Vec<PathBuf> = descriptors(pid).into_iter().map(|(names, _)| names).collect();
    held.sort();
    held
}

/// A viewer has the recording open to read, and locks nothing of it; gives whether it has it open.
fn only_reads(pid: u32, recording: &Path) -> bool {
    let mut reads = false;
    for (_, entry) in descriptors(pid).into_iter().filter(|(names, _)| names.starts_with(recording)) {
        let number = entry.file_name().expect("a number").to_string_lossy().into_owned();
        let about = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).expect("a descriptor");
        let flags = about.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags");
        let flags = u32::from_str_radix(flags.trim(), 8).expect("octal digits");
        assert_eq!(flags & 3, 0, "opened to write: {about}");
        assert!(!about.contains("lock:"), "{about}");
        reads = true;
    }
    reads
}

#[test]
fn a_run_is_the_same_with_viewers_and_without() {
    let alone = Sandbox::new();
    let live = begin(&alone, RUNS);
    live.signal(Signal::STOP);
    let expected = finish(live);

    let sandbox = Sandbox::new();
    let tmux = Tmux::new(&sandbox, 80, 24);
    let live = begin(&sandbox, RUNS);
    // Viewers come while the run is held, so that all are there for most of it.
    live.signal(Signal::STOP);
    let (recording, before) = (live.recording(), held(live.pid()));
    let mut viewers: Vec<u32> = Vec::new();
    // Four terminals, one of them without a disk, one stopped.
    for setting in ["", "", NO_DISK, ""] {
        viewers.push(tmux.pid(&watch(&tmux, &live, setting)));
    }
    let stopped = viewers[3];
    send(stopped, Signal::STOP);
    // Six pipes: one that nobody reads, one that is stopped, one that is read a byte at a time, and three that are read.
    let mut tails: Vec<(Child, ChildStdout)> = (0..6).map(|_| tail(&sandbox, &live)).collect();
    for (_, output) in &mut tails {
        let mut first = [0];
        output.read_exact(&mut first).expect("the start of the recording");
        assert_eq!(first, [0x0a]);
    }
    viewers.extend(tails.iter().map(|(tail, _)| tail.id()));
    send(tails[1].0.id(), Signal::STOP);
    assert!(viewers.iter().filter(|pid| only_reads(**pid, &recording)).count() >= 9, "viewers of the file");
    assert_eq!(held(live.pid()), before, "the run holds nothing for its viewers");
    for viewer in &viewers {
        let mut common = held(*viewer);
        common.retain(|path| path.is_file() && before.contains(path) && !path.starts_with(&recording));
        assert_eq!(common, Vec::<PathBuf>::new(), "no file but the recording");
    }

    let (mut slow, mut slow_output) = tails.remove(2);
    let slow_reader = thread::spawn(move || {
        let byte = |_: &u32| {
            thread::sleep(Duration::from_millis(2));
            slow_output.read_exact(&mut [0]).is_ok()
        };
        (0..200).take_while(byte).count()
    });
    let readers: Vec<_> = tails
        .drain(2..)
        .map(|(tail, mut output)| {
            thread::spawn(move || {
                let mut bytes = vec![0x0a];
                output.read_to_end(&mut bytes).expect("a pipe");
                (tail, bytes)
            })
        })
        .collect();
    assert_eq!(finish(live), expected);

    // Those that read have all of it; those that did not are still there, and end when they are let.
    let whole = segments(&recording);
    for reader in readers {
        let (mut tail, bytes) = reader.join().expect("a reader");
        assert!(wait(&mut tail, PATIENCE).expect("it ends").success());
        assert_eq!(bytes, whole);
    }
    assert_eq!(slow_reader.join().expect("a reader"), 200);
    // Its reader is gone before it had all.
    assert!(wait(&mut slow, PATIENCE).expect("it ends").success());
    send(stopped, Signal::CONT);
    send(tails[1].0.id(), Signal::CONT);
    for (mut tail, output) in tails {
        drop(output);
        assert!(wait(&mut tail, PATIENCE).expect("it ends").success());
    }
    let panes = tmux.panes();
    assert_eq!(panes.len(), 4);
    for pane in panes {
        tmux.wait(&pane, "word of the end", PATIENCE, |screen| screen.contains("○ ended"));
    }
}

/// Whoever prints about a run to a disk without room says so, and ends; the run goes on.
#[test]
fn a_viewer_whose_disk_is_full() {
    let sandbox = Sandbox::new();
    let live = begin(&sandbox, "1000000000");
    let pid = live.pid().to_string();
    let out = sandbox.path("out");
    let (bayplan, viewer) = (binary("bayplan"), binary("bayplan-tui"));
    let (bayplan, viewer) = (bayplan.display(), viewer.display());
    let to = |place: &str| {
        vec![
            format!("{bayplan} tail {pid} > {place}"),
            format!("{bayplan} report {pid} > {place}"),
            format!("{bayplan} report {pid} --json > {place}"),
            format!("{viewer} {pid} --text > {place}"),
            format!("{viewer} {pid} --snapshot 100x30 > {place}"),
        ]
    };
    let mut scripts = to("/dev/full");
    scripts.extend(to(&out.display().to_string()).into_iter().map(|words| format!("{NO_DISK}{words}")));
    let folder = sandbox.path("exports");
    fs::create_dir(&folder).expect("a folder");
    for format in ["chrome", "perfetto", "parquet", "csv", "vma"] {
        let file = folder.join(format);
        scripts
            .push(format!("{NO_DISK}{bayplan} export {pid} --format {format} --output {}", file.display()));
    }
    for script in scripts {
        let ended = run(&mut sandbox.program("/bin/sh".as_ref(), &["-c", &script]));
        assert_eq!(ended.code, Some(1), "{script}: {ended:?}");
        assert!(
            !ended.stderr.contains("panicked") && ended.stderr.lines().count() <= 3,
            "{script}: {ended:?}"
        );
        let why = ["No space left on device", "File too large"];
        assert!(why.iter().any(|why| ended.stderr.contains(why)), "{script}: {ended:?}");
    }
    // What could not be written whole is not there in part.
    assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 0);
    let (code, json, said) = live.stop();
    assert_eq!((code, said.as_str(), &json["events_lost"]), (Some(0), "", &0.into()));
}

/// `run --watch` keeps what the run prints until the viewer has gone, and needs no disk for it.
#[test]
fn a_watched_run_without_a_disk() {
    let sandbox = Sandbox::new();
    let tmux = Tmux::new(&sandbox, 100, 30);
    let shell = tmux.open("PS1='$ ' ENV= exec sh");
    tmux.wait(&shell, "prompt", PATIENCE, |screen| screen.contains('$'));
    let model = root().join("assets/digits.onnx");
    let words = format!("{} run {}", binary("bayplan").display(), model.display());
    let words = format!("{words} --dim batch=1 --device host --runs 3 --watch");
    tmux.line(&shell, &format!("clear; TMPDIR=/proc/none {words}; echo ONE=$?"));
    tmux.wait(&shell, "word of the end", PATIENCE, |screen| screen.contains("○ ended"));
    tmux.keys(&shell, &["q"]);
    let (screen, _) = tmux.wait(&shell, "its end", PATIENCE, |screen| screen.contains("ONE="));
    assert!(screen.contains("ONE=0") && screen.contains("output     logits"), "{screen}");
    // Where files cannot grow nothing is recorded, and there is nothing to watch: the run says so.
    tmux.line(&shell, &format!("clear; ({NO_DISK}{words}); echo TWO=$?"));
    let (screen, _) = tmux.wait(&shell, "its end", PATIENCE, |screen| screen.contains("TWO="));
    assert!(screen.contains("TWO=0") && screen.contains("output     logits"), "{screen}");
    assert!(screen.contains("warning: nothing is recorded") && screen.contains("File too large"), "{screen}");
}
