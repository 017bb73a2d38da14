//! Processes that record and are killed with SIGKILL at random moments: what they had written is read, what is lost is little and
//! nothing else, and the run is a recording that was killed, for everyone who asks.

mod grave;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bayplan_record::{Source, live_runs, read, recordings};
use bayplan_tests::doomed::FAST;
use bayplan_tests::live::{LiveRun, places};
use bayplan_tests::program::Sandbox;
use bayplan_tests::random::Random;
use bayplan_tests::root;
use bayplan_tests::trace_processor::{Answers, ERRORS, ask};
use bayplan_trace::Record;
use grave::{Grave, joined, torn};
use serde_json::Value;

/// Processes that are killed.
const KILLS: u64 = 200;
/// What may be lost: so many bytes, or what was emitted in so many nanoseconds.
const BAR: (usize, u64) = (64 << 10, 50_000_000);

/// Runs that ended, by Perfetto.
const RUNS: &str = "select count(*) as n from slice s join track t on t.id = s.track_id
    where t.name = 'runs' and s.name = 'run'";

/// A recording for the trace processor, and the runs that it must find, where all of them are kept.
type Question = (PathBuf, Option<u64>);

#[test]
fn what_was_written_before_a_kill_is_there() {
    let losses = kill_all(0..KILLS);
    assert!(losses.len() as u64 > KILLS * 3 / 4, "most kills came while something was recorded");
    for (seed, bytes, ns) in losses {
        assert!(bytes <= BAR.0 || ns <= BAR.1, "seed {seed}: {bytes} bytes of events and {ns} ns are lost");
    }
}

/// Whoever emits more than 64 KiB between two looks of the thread that writes loses more of them; how long such a look is in coming
/// is the machine's to say, and is told.
#[test]
fn what_was_written_in_a_hurry_is_there() {
    let losses = kill_all(FAST..FAST + KILLS / 8);
    let within = losses.iter().filter(|(_, bytes, ns)| *bytes <= BAR.0 || *ns <= BAR.1).count();
    println!("in a hurry: {within} of {} lost at most 64 KiB or 50 ms", losses.len());
}

/// Kills a process for each seed; gives what each that had begun lost: seed, bytes of events, and nanoseconds from the
/// first of them to the last. All else is checked.
fn kill_all(seeds: Range<u64>) -> Vec<(u64, usize, u64)> {
    let (copies, middle) = (Sandbox::new(), u64::midpoint(seeds.start, seeds.end));
    let folder = copies.path("");
    let (questions, mut losses) = thread::scope(|scope| {
        let other = scope.spawn(|| kill_each(middle..seeds.end, &folder));
        let (mut questions, mut losses) = kill_each(seeds.start..middle, &folder);
        let (more, other) = other.join().expect("all is well with those who were killed");
        questions.extend(more);
        losses.extend(other);
        (questions, losses)
    });
    load_all(&questions);
    losses.sort_unstable_by_key(|(_, bytes, _)| *bytes);
    let bytes = |at: usize| losses.get(at).map_or(0, |(_, bytes, _)| *bytes);
    let longest = losses.iter().map(|(_, _, ns)| ns / 1000).max().unwrap_or(0);
    println!(
        "{} of {} processes were killed while they recorded: lost {} bytes of events at the median, {} at most; {longest} µs at most",
        losses.len(),
        seeds.end - seeds.start,
        bytes(losses.len() / 2),
        bytes(losses.len().saturating_sub(1)),
    );
    losses
}

fn kill_each(seeds: Range<u64>, copies: &Path) -> (Vec<Question>, Vec<(u64, usize, u64)>) {
    let (mut questions, mut losses) = (Vec::new(), Vec::new());
    for seed in seeds {
        let grave = Grave::dig(seed);
        assert_eq!(live_runs(&grave.places()).expect("a list"), [], "seed {seed}: no ghost is listed");
        let Some(recording) = grave.recording() else { continue };
        let found = grave.read(&recording);
        losses.push((seed, found.lost_bytes, found.lost_ns));
        grave.check_report(&recording, &found);
        let copy = copies.join(format!("{seed}.bptrace"));
        std::fs::write(&copy, joined(&recording)).expect("a copy");
        questions.push((copy, grave.fate.keeps_all().then_some(found.runs_ended)));
    }
    (questions, losses)
}

/// Every one loads in Perfetto's trace processor, whole or torn.
fn load_all(questions: &[Question]) {
    let words = [ERRORS.to_owned(), RUNS.to_owned()];
    let requests: Vec<_> = questions.iter().map(|(copy, _)| (copy.clone(), words.to_vec())).collect();
    for ((copy, runs), answers) in questions.iter().zip(ask(&requests)) {
        let Answers { error, rows } = answers;
        assert_eq!(error, None, "{}", copy.display());
        assert_eq!(rows[0], Vec::<Value>::new(), "{}", copy.display());
        if let Some(runs) = runs {
            assert_eq!(rows[1][0]["n"], *runs, "{}", copy.display());
        }
    }
}

/// `bayplan run` itself. Nobody knows what it had emitted; its runs follow each other without a pause, so that what is lost is
/// at most what lies between the last event that was written and the kill.
#[test]
fn a_run_that_is_killed_says_how_far_it_came() {
    let mut random = Random::new(7);
    for (device, kills) in [("host", 6), ("llvmpipe", 6)] {
        let mut worst = Duration::ZERO;
        let mut questions = Vec::new();
        let sandbox = Sandbox::new();
        for kill in 0..kills {
            let after = Duration::from_micros(random.between(0, 200_000));
            let (lost, copy) = kill_run(&sandbox, device, after, kill);
            worst = worst.max(lost);
            questions.push(copy);
        }
        load_all(&questions);
        println!("{device}: the last event was written at most {} ms before the kill", worst.as_millis());
    }
}

fn kill_run(sandbox: &Sandbox, device: &str, after: Duration, kill: u32) -> (Duration, Question) {
    let model = root().join("assets/digits.onnx");
    let mut command = sandbox.command("bayplan", &["run".as_ref(), model.as_os_str()]);
    let words =
        ["--dim", "batch=4", "--runs", "1000000000", "--trace-level", "op", "--quiet", "--device", device];
    command.args(words);
    let run = LiveRun::of(sandbox, command);
    let descriptor = run.descriptor().expect("a live run is listed");
    thread::sleep(after);
    let killed = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    run.kill();
    assert_eq!(live_runs(&places(sandbox)).expect("a list"), []);
    let listed = recordings(&places(sandbox)).expect("a list");
    assert!(listed.iter().any(|entry| entry.id == descriptor.id), "{listed:?}");

    let mut last = 0;
    let source = Source::of_path(&descriptor.recording);
    let (_, damages) = read(source, |record| {
        if let Record::Event(event) = record {
            last = last.max(event.time());
        }
    })
    .expect("a recording");
    assert_eq!(damages.len(), usize::from(torn(&descriptor.recording) > 0), "{damages:?}");
    let lost = killed.saturating_sub(Duration::from_nanos(descriptor.start_unix_ns + last));

    let report = sandbox.bayplan(&["report", &descriptor.id, "--json"]).json();
    assert_eq!((&report["live"], &report["state"]), (&false.into(), &"killed".into()));
    let [started, ok] = ["started", "ok"].map(|key| report["runs"][key].as_u64().expect("a number"));
    // The run that had begun is told as far as it was seen, on whatever op.
    let current = &report["runs"]["current"];
    assert!(ok > 0 && started == ok + u64::from(!current.is_null()), "{}", report["runs"]);
    let text = sandbox.bayplan(&["report", &descriptor.id]).success();
    assert!(text.contains("killed, or could not write any more"), "{text}");
    assert_eq!(text.contains("was in progress when it stopped"), !current.is_null(), "{text}");
    let copy = sandbox.path(&format!("{device}-{kill}.bptrace"));
    std::fs::write(&copy, joined(&descriptor.recording)).expect("a copy");
    (lost, (copy, Some(ok)))
}
