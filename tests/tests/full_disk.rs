//! Recordings on disks that are full, or that nobody may write: the run goes on, ends with its results, and says once what is
//! missing; what was written reads well, and where there is room again the recording goes on.
//!
//! A disk is a file system of its own where one can be mounted, and a limit to the size of files everywhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use bayplan_record::{Source, read};
use bayplan_tests::live::LiveRun;
use bayplan_tests::program::{Sandbox, run};
use bayplan_tests::small_disk::{SmallDisk, length};
use bayplan_tests::trace_processor::sound;
use bayplan_tests::{binary, root};
use bayplan_trace::{Event, EventKind, Record};
use serde_json::Value;

/// A recording that does not grow for so long has no room: a run of this model takes far less than a thousandth of it.
const STALLED: Duration = Duration::from_millis(600);

/// Where a run records to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// `--trace FILE` on the disk.
    File,
    /// The folder of recordings on the disk.
    Folder,
}

impl Place {
    /// What a message about it names.
    fn name(self) -> &'static str {
        match self {
            Place::File => "/run.bptrace",
            Place::Folder => "/state/bayplan/runs/",
        }
    }
}

/// Both sorts of disks, with folders of their own.
fn disks(sandbox: &Sandbox) -> Vec<SmallDisk> {
    let mounted = SmallDisk::mount(&sandbox.path("mounted"), 2048);
    mounted.into_iter().chain([SmallDisk::limited(&sandbox.path("limited"))]).collect()
}

fn model() -> PathBuf {
    root().join("assets/digits.onnx")
}

/// `bayplan run`, recording to a place on a disk.
fn command(sandbox: &Sandbox, place: Place, disk: &Path, runs: &str) -> Command {
    let mut command = sandbox.command("bayplan", &["run".as_ref(), model().as_os_str()]);
    command.args(["--dim", "batch=1", "--device", "host", "--json", "--trace-level", "op", "--runs", runs]);
    match place {
        Place::File => command.arg("--trace").arg(disk.join("run.bptrace")),
        Place::Folder => command.env("XDG_STATE_HOME", disk.join("state")),
    };
    command
}

/// Waits until a recording does not grow any more.
fn wait_until_stalled(recording: &Path) {
    loop {
        let before = length(recording);
        thread::sleep(STALLED);
        if length(recording) == before {
            return;
        }
    }
}

/// Runs on disks of both sorts, to places of both sorts, with the disk filled in the middle of it.
fn on_filling_disks(check: impl Fn(&Sandbox, &SmallDisk, LiveRun, &Path)) {
    for place in [Place::File, Place::Folder] {
        let sandbox = Sandbox::new();
        for disk in disks(&sandbox) {
            let live = LiveRun::of(&sandbox, command(&sandbox, place, disk.folder(), "1000000000"));
            let recording = live.recording();
            assert!(recording.starts_with(disk.folder()), "{place:?}: {}", recording.display());
            disk.fill(live.pid());
            wait_until_stalled(&recording);
            check(&sandbox, &disk, live, &recording);
        }
    }
}

/// Ends a run, which succeeds and says once what its recording lacks; gives what it says of its runs.
fn stop(live: LiveRun, disk: &SmallDisk, recording: &Path) -> Value {
    let (code, json, said) = live.stop();
    assert_eq!(code, Some(0), "{said}");
    let told = said.strip_prefix("warning: the recording is incomplete: could not write ");
    let told = told.unwrap_or_else(|| panic!("no word of what is missing: {said}"));
    let said_once = told.lines().count() == 1 && told.ends_with(" events are not in it\n");
    assert!(said_once && told.contains(disk.refusal()) && told.contains(" after its start"), "{said}");
    let gap = &json["recording_gap"];
    let file = gap["file"].as_str().expect("a file");
    assert!(told.starts_with(file) && Path::new(file).starts_with(recording), "{gap}: {said}");
    assert!(gap["error"].as_str().is_some_and(|error| error.contains(disk.refusal())), "{gap}");
    assert!(gap["events"].as_u64().is_some_and(|events| events > 0), "{gap}");
    assert_eq!(gap["events"], json["events_lost"], "a disk lost them, no ring");
    let words = json["recording_error"].as_str().expect("an error");
    assert_eq!(said, format!("warning: the recording is incomplete: {words}\n"));
    json
}

fn report(sandbox: &Sandbox, recording: &Path) -> Value {
    sandbox.bayplan(&["report".as_ref(), recording.as_os_str(), "--json".as_ref()]).json()
}

/// The events of a recording that the session emitted.
fn events(recording: &Path) -> Vec<Event> {
    let mut events = Vec::new();
    read(Source::of_path(recording), |record| {
        if let Record::Event(event) = record {
            events.push(event);
        }
    })
    .expect("a recording");
    let added = [EventKind::TraceCost, EventKind::Dropped, EventKind::SessionEnd, EventKind::Completed];
    events.retain(|event| !added.contains(&event.kind()));
    events
}

fn starts(events: &[Event]) -> u64 {
    events.iter().filter(|event| event.kind() == EventKind::RunStart).count() as u64
}

/// Loads a recording of any sort in Perfetto's trace processor.
fn load(recording: &Path, copy: &Path) {
    let bytes = if recording.is_dir() {
        bayplan_tests::live::segments(recording)
    } else {
        fs::read(recording).expect("a recording")
    };
    fs::write(copy, bytes).expect("a copy");
    sound(copy, &[]);
}

#[test]
fn a_disk_that_fills_up() {
    on_filling_disks(|sandbox, disk, live, recording| {
        let json = stop(live, disk, recording);
        let gap = &json["recording_gap"];
        assert_eq!(gap["until_ns"], Value::Null, "{gap}");
        // All that was written before is there, whole and without a gap.
        let found = events(recording);
        let from = gap["from_ns"].as_u64().expect("a time");
        assert!(found.iter().all(|event| event.time() <= from), "{gap}");
        let report = report(sandbox, recording);
        assert_eq!(
            (&report["state"], &report["damage"]),
            (&"killed".into(), &Value::Array(vec![])),
            "{report}"
        );
        assert_eq!(report["runs"]["started"], starts(&found));
        assert!(json["runs"].as_u64() > Some(starts(&found)), "runs went on: {}", json["runs"]);
        load(recording, &sandbox.path("copy.bptrace"));
    });
}

#[test]
fn a_disk_with_room_again() {
    on_filling_disks(|sandbox, disk, live, recording| {
        let stalled = length(recording);
        disk.free(live.pid());
        live.wait_for("more of the recording", || length(recording) > stalled + 4096);
        let json = stop(live, disk, recording);
        let gap = &json["recording_gap"];
        let (from, until) = (gap["from_ns"].as_u64().expect("a time"), gap["until_ns"].as_u64());
        let until = until.unwrap_or_else(|| panic!("it never went on: {gap}"));
        assert!(from < until, "{gap}");
        // Each event is in the recording, or counted in it as lost.
        let found = events(recording);
        assert!(found.iter().all(|event| event.time() <= from || event.time() >= until), "{gap}");
        let report = report(sandbox, recording);
        assert_eq!(report["state"], "ended");
        let dropped = report["dropped"].as_object().expect("kinds of events");
        assert_eq!(dropped.values().filter_map(Value::as_u64).sum::<u64>(), gap["events"]);
        let lost = dropped[EventKind::RunStart.name()].as_u64().unwrap_or(0);
        assert_eq!(starts(&found) + lost, json["runs"]);
        // Totals are said anew behind the gap.
        assert_eq!(report["runs"]["ok"], json["runs"]);
        let damage = report["damage"].as_array().expect("a list");
        assert_eq!(damage.len(), 1, "the gap is where parts are missing: {damage:?}");
        load(recording, &sandbox.path("copy.bptrace"));
    });
}

/// Files below a folder, but for what fills the disk.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path if path.ends_with("filler") => {}
            path => found.push(path),
        }
    }
    found
}

/// Three runs with nothing recorded: they end well and say why.
fn check_unrecorded(command: &mut Command, words: &[&str]) {
    let ended = run(command);
    assert!(ended.stderr.starts_with("warning: nothing is recorded: could not "), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(words.iter().all(|word| ended.stderr.contains(word)), "{words:?}: {ended:?}");
    let said = ended.stderr.trim_end().trim_start_matches("warning: nothing is recorded: ").to_owned();
    let json = ended.json();
    assert_eq!((&json["runs"], &json["recording"]), (&3.into(), &Value::Null), "{json}");
    assert_eq!(json["recording_error"], said, "{json}");
}

#[test]
fn a_disk_that_is_full_from_the_start() {
    for place in [Place::File, Place::Folder] {
        let sandbox = Sandbox::new();
        if let Some(disk) = SmallDisk::mount(&sandbox.path("mounted"), 64) {
            disk.fill(0);
            let mut command = command(&sandbox, place, disk.folder(), "3");
            check_unrecorded(&mut command, &[disk.refusal(), place.name()]);
            assert_eq!(files(disk.folder()), Vec::<PathBuf>::new(), "nothing is left of it");
        }
        // The signal that comes with the limit is not ignored here: it must not come.
        let folder = sandbox.path("limited");
        fs::create_dir(&folder).expect("a folder");
        let recording = command(&sandbox, place, &folder, "3");
        let mut limited = sandbox.program("/bin/sh".as_ref(), &["-c", "ulimit -f 0; exec \"$0\" \"$@\""]);
        limited.arg(binary("bayplan")).args(recording.get_args());
        limited.envs(recording.get_envs().filter_map(|(name, value)| Some((name, value?))));
        check_unrecorded(&mut limited, &["File too large", place.name()]);
        assert_eq!(files(&folder), Vec::<PathBuf>::new(), "nothing is left of it");
    }
}

/// Without a word in the list of live runs: the run is recorded all the same, and found by its recording.
#[test]
fn a_list_of_live_runs_that_cannot_be_written() {
    let sandbox = Sandbox::new();
    let full = SmallDisk::mount(&sandbox.path("mounted"), 64);
    if let Some(disk) = &full {
        disk.fill(0);
    }
    let occupied = sandbox.path("occupied");
    fs::write(&occupied, "a file, where a folder should be").expect("a file");
    let full = full.as_ref().map(|disk| disk.folder().to_path_buf());
    for place in full.iter().chain([&occupied, &PathBuf::from("/proc/none")]) {
        let mut unlisted = command(&sandbox, Place::File, &sandbox.path(""), "3");
        let ended = run(unlisted.env("XDG_RUNTIME_DIR", place));
        let said = "warning: `bayplan top` will not list this run: could not ";
        assert!(ended.stderr.starts_with(said) && ended.stderr.lines().count() == 1, "{ended:?}");
        assert_eq!(ended.json()["recording_error"], Value::Null);
        let recording = sandbox.path("run.bptrace");
        let report = report(&sandbox, &recording);
        assert_eq!((&report["state"], &report["runs"]["ok"]), (&"ended".into(), &3.into()));
    }
    if let Some(full) = full {
        assert_eq!(files(&full), Vec::<PathBuf>::new(), "nothing is left of a descriptor");
    }
}

#[test]
fn places_that_nobody_can_write() {
    let sandbox = Sandbox::new();
    let read_only = SmallDisk::mount(&sandbox.path("mounted"), 64);
    if let Some(disk) = &read_only {
        disk.make_read_only();
        check_unrecorded(
            &mut command(&sandbox, Place::Folder, disk.folder(), "3"),
            &["Read-only file system", "state/bayplan/runs"],
        );
    }
    // No folder can be made there, by anyone.
    let nowhere = Path::new("/proc/none");
    check_unrecorded(&mut command(&sandbox, Place::Folder, nowhere, "3"), &["/proc/none/state/bayplan/runs"]);
    // A file that was asked for by name and cannot be one is told before anything runs; full disks may get room again.
    let link = sandbox.path("link.bptrace");
    std::os::unix::fs::symlink("/dev/full", &link).expect("a link");
    let read_only = read_only.as_ref().map(|disk| disk.folder().join("x.bptrace"));
    for (file, why) in [("/dev/full".into(), "not a regular file"), (link, "not a regular file")]
        .into_iter()
        .chain(read_only.map(|file| (file, "could not create")))
    {
        let mut named = sandbox.command("bayplan", &["run".as_ref(), model().as_os_str()]);
        let ended = run(named.args(["--dim", "batch=1", "--device", "host", "--trace"]).arg(&file));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains(why) && ended.stdout.is_empty(), "{ended:?}");
    }
}

/// Without a home: a folder of the user's under the temporary directory, and where that cannot be, none.
#[test]
fn no_home() {
    let sandbox = Sandbox::new();
    let homeless = |temporary: &Path| {
        let mut command = sandbox.command("bayplan", &["run".as_ref(), model().as_os_str()]);
        command.args(["--dim", "batch=1", "--device", "host", "--json", "--runs", "3"]);
        for name in ["HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"] {
            command.env_remove(name);
        }
        command.env("TMPDIR", temporary);
        command
    };
    let temporary = sandbox.path("temporary");
    fs::create_dir(&temporary).expect("a folder");
    let ended = run(&mut homeless(&temporary));
    assert_eq!(ended.stderr, "", "{ended:?}");
    let json = ended.json();
    let recording = Path::new(json["recording"].as_str().expect("a recording"));
    assert!(recording.starts_with(&temporary), "{json}");
    assert_eq!(report(&sandbox, recording)["runs"]["ok"], 3);
    check_unrecorded(&mut homeless(Path::new("/proc/none")), &["/proc/none/bayplan-"]);
}
