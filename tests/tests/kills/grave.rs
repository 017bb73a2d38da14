//! One process that was killed, and what it left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use bayplan_record::{Places, RunState, Source, read, recordings};
use bayplan_tests::doomed::{Fate, STEPS, event, plan};
use bayplan_tests::live::{places, segments};
use bayplan_tests::program::Sandbox;
use bayplan_tests::random::Random;
use bayplan_trace::{Event, EventKind, Record, SessionInfo, Writer};

/// How long a process may take to begin: machines that build beside the test are slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process that was killed.
pub(crate) struct Grave {
    pub(crate) seed: u64,
    pub(crate) fate: Fate,
    sandbox: Sandbox,
    /// Times of the events that it had emitted, by its own word.
    journal: Vec<u64>,
}

/// What its recording holds.
pub(crate) struct Found {
    /// Numbers of the first event in the recording and of the first that is not in it any more.
    events: (u64, u64),
    torn: usize,
    pub(crate) runs_ended: u64,
    /// What the events are in a file that it had emitted and that are not in the recording.
    pub(crate) lost_bytes: usize,
    /// Time from the first of them to the last.
    pub(crate) lost_ns: u64,
}

impl Grave {
    /// Starts a process and kills it: one in ten at whatever it does when it begins, the others within a tenth of a second after
    /// their first event.
    pub(crate) fn dig(seed: u64) -> Self {
        let sandbox = Sandbox::new();
        let mut random = Random::new(seed);
        let journal = sandbox.path("journal");
        let words = [seed.to_string().into(), sandbox.path("run.bptrace"), journal.clone()];
        let mut command = sandbox.command("doomed", &words);
        let mut child = command.stdout(Stdio::null()).spawn().expect("it starts");
        let mut after = Duration::from_micros(random.between(0, 10_000));
        if random.between(0, 9) > 0 {
            let begun = Instant::now();
            while fs::metadata(&journal).map_or(0, |about| about.len()) == 0 {
                assert!(begun.elapsed() < PATIENCE, "seed {seed}: it never began");
                thread::sleep(Duration::from_micros(200));
            }
            after = Duration::from_micros(random.between(0, 100_000));
        }
        thread::sleep(after);
        child.kill().expect("it is there");
        child.wait().expect("a killed process ends");
        let times = fs::read(&journal).unwrap_or_default();
        let times = times.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        Self { seed, fate: Fate::of(seed), sandbox, journal: times.collect() }
    }

    pub(crate) fn places(&self) -> Places {
        places(&self.sandbox)
    }

    /// Its recording, if it had begun one. Whatever was emitted is in one.
    pub(crate) fn recording(&self) -> Option<PathBuf> {
        let listed = recordings(&self.places()).expect("a list");
        assert!(listed.len() <= 1, "seed {}: {listed:?}", self.seed);
        let path = listed.into_iter().next().map(|entry| entry.path);
        assert!(path.is_some() || self.journal.is_empty(), "seed {}: no recording is listed", self.seed);
        path
    }

    /// Reads the recording, and holds each event in it against the journal.
    pub(crate) fn read(&self, recording: &Path) -> Found {
        let seed = self.seed;
        let mut records = Vec::new();
        let (state, damages) =
            read(Source::of_path(recording), |record| records.push(record)).expect("a recording");
        assert_eq!(state, RunState::Lost, "seed {seed}");
        let torn = torn(recording);
        assert_eq!(damages.len(), usize::from(torn > 0), "seed {seed}: {damages:?}");
        let events = own_events(&records);
        let first = self.first(&events);
        let end = first + events.len() as u64;
        // The last may have been emitted and not yet be in the journal.
        assert!(end <= self.journal.len() as u64 + 1, "seed {seed}");
        for (number, found) in (first..end).zip(&events) {
            let t = self.journal.get(number as usize).copied().unwrap_or(found.time());
            assert_eq!(*found, event(number, t), "seed {seed}");
        }
        let lost = self.journal.get(end as usize..).unwrap_or_default();
        let ns = lost.last().zip(lost.first()).map_or(0, |(last, first)| last - first);
        Found {
            events: (first, end),
            torn,
            runs_ended: runs_ended(end),
            lost_bytes: encoded(end, lost),
            lost_ns: ns,
        }
    }

    /// The number of the first event that is kept.
    fn first(&self, events: &[Event]) -> u64 {
        let start = events.iter().enumerate().find_map(|(at, event)| match event {
            Event::RunStart { run, .. } => Some(run * STEPS - at as u64),
            _ => None,
        });
        assert!(
            !self.fate.keeps_all() || start.unwrap_or(0) == 0,
            "seed {}: it begins with event {start:?}",
            self.seed
        );
        // Without a start there is at most the rest of one run, in a segment that was just begun.
        start.unwrap_or_else(|| {
            events.first().map_or(0, |first| {
                let at = self.journal.partition_point(|t| *t < first.time());
                at as u64
            })
        })
    }

    /// The report says that the run was killed, how far it came, and of no damage but a torn end.
    pub(crate) fn check_report(&self, recording: &Path, found: &Found) {
        let seed = self.seed;
        let words = ["report".as_ref(), recording.as_os_str(), "--json".as_ref()];
        let report = self.sandbox.bayplan(&words).json();
        assert_eq!((&report["live"], &report["state"]), (&false.into(), &"killed".into()), "seed {seed}");
        let damage = report["damage"].as_array().map_or(0, Vec::len);
        assert_eq!(damage, usize::from(found.torn > 0), "seed {seed}: {}", report["damage"]);
        assert_eq!(report["dropped"].as_object().map_or(0, serde_json::Map::len), 0, "seed {seed}");
        let (first, end) = found.events;
        if first == end {
            return;
        }
        assert_eq!(report["runs"]["started"], end.div_ceil(STEPS), "seed {seed}");
        assert_eq!(report["runs"]["ok"], found.runs_ended, "seed {seed}");
        let current = &report["runs"]["current"];
        let last = end % STEPS;
        if !(1..=6).contains(&last) {
            assert!(current.is_null(), "seed {seed}: {current}");
            return;
        }
        let (run, seen) = (end / STEPS, last > 2);
        assert_eq!(current["run"], run, "seed {seed}");
        let playhead = seen.then(|| event(run * STEPS + 2, 0)).map(|event| match event {
            Event::Completed { op, .. } => op,
            other => panic!("{other:?} is no playhead"),
        });
        assert_eq!(current["playhead"].as_u64(), playhead.map(u64::from), "seed {seed}: {current}");
    }
}

/// Runs that have ended before the event of a number.
fn runs_ended(end: u64) -> u64 {
    end / STEPS + u64::from(end % STEPS > 6)
}

/// The events that were emitted, without what the recorder adds.
fn own_events(records: &[Record]) -> Vec<Event> {
    let added = [EventKind::TraceCost, EventKind::Dropped, EventKind::SessionEnd];
    let events = records.iter().filter_map(|record| match record {
        Record::Event(event) => Some(event.clone()),
        _ => None,
    });
    events.filter(|event| !added.contains(&event.kind())).collect()
}

/// Bytes that the events from a number on take in a file.
fn encoded(first: u64, times: &[u64]) -> usize {
    let mut writer = Writer::new(SessionInfo::default());
    writer.plan(&plan());
    let mut bytes = Vec::new();
    writer.take(&mut bytes);
    bytes.clear();
    for (number, t) in (first..).zip(times) {
        writer.event(&event(number, *t));
    }
    writer.flush();
    writer.take(&mut bytes);
    bytes.len()
}

/// All bytes of a recording.
pub(crate) fn joined(recording: &Path) -> Vec<u8> {
    if recording.is_dir() { segments(recording) } else { fs::read(recording).expect("a recording") }
}

/// How many bytes at the end of a recording are no whole frame, seen without the decoder: frames are field 1 of a message, a
/// tag, a length and so many bytes.
///
/// # Panics
/// When something else stands where a frame begins.
pub(crate) fn torn(recording: &Path) -> usize {
    let bytes = joined(recording);
    let mut rest = bytes.as_slice();
    while let [tag, behind @ ..] = rest {
        assert_eq!(*tag, 0x0a, "byte {} begins no frame", bytes.len() - rest.len());
        let (mut len, mut digits) = (0usize, 0);
        while let Some(byte) = behind.get(digits) {
            len |= usize::from(byte & 127) << (7 * digits);
            digits += 1;
            if byte & 128 == 0 {
                break;
            }
        }
        let whole = digits > 0 && behind[digits - 1] & 128 == 0;
        match behind.get(digits + len..) {
            Some(next) if whole => rest = next,
            _ => return rest.len(),
        }
    }
    0
}
