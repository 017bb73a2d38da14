//! Recordings of as many events as are asked for, made by the recorder itself at a pace that it keeps.
#![allow(dead_code, reason = "benches use a part each")]

use std::error::Error;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use bayplan_record::{Destination, Places, Recorder, RecordingOptions, Start};
use bayplan_text::Bytes;
use bayplan_trace::{Event, Level};

use crate::common::{fold, places};
use crate::support;

/// Events emitted in a second: also a machine that does other things keeps up.
const PACE: u64 = 1_500_000;
/// Events of one run.
pub(crate) const PER_RUN: u64 = 8;
/// Ranges of the pool that are taken at once.
const RANGES: u64 = 512;

/// A recording.
pub(crate) struct Recorded {
    recorder: Option<Recorder>,
    places: Places,
    name: String,
    runs: u64,
    ops: u64,
}

impl Recorded {
    /// Records into a folder, or into a single file, and goes on.
    pub(crate) fn new(home: &Path, events: u64, file: Option<&Path>) -> Result<Self, Box<dyn Error>> {
        let places = places(home);
        std::fs::create_dir_all(home.join("runtime"))?;
        let destination = file.map_or(Destination::Folder, |path| Destination::File(path.to_path_buf()));
        let session = support::session();
        let options = RecordingOptions {
            destination,
            level: Level::Op,
            model: session.model,
            device: session.device,
            ..RecordingOptions::new(places.clone())
        };
        let plan = support::encoder(6);
        let recorder = Recorder::create(options, &plan)?;
        for event in support::preamble(&plan, support::windows(&plan)) {
            recorder.emit(event);
        }
        recorder.emit_now(|t| Event::PoolReady { t, pool: 0, bytes: RANGES << 16, name: "blocks".into() });
        let (begun, ops) = (Instant::now(), plan.ops.len() as u64);
        for number in 0..events {
            recorder.emit_now(|t| event(number, ops, t));
            if number % 4096 == 0 {
                thread::sleep(
                    Duration::from_nanos(number * 1_000_000_000 / PACE).saturating_sub(begun.elapsed()),
                );
            }
        }
        let name = recorder.id().ok_or("nothing is recorded")?.to_owned();
        let runs = events.div_ceil(PER_RUN);
        let recorded = Self { recorder: Some(recorder), places, name, runs, ops };
        recorded.wait()?;
        Ok(recorded)
    }

    /// Until the last of the events is in the file.
    fn wait(&self) -> Result<(), Box<dyn Error>> {
        let last = || {
            let source = bayplan_record::open(&self.name, &self.places)?;
            fold(source, Start::Latest).map(|timeline| timeline.runs_ok + timeline.runs_failed)
        };
        let (mut before, mut now) = (u64::MAX, last()?);
        while before != now {
            thread::sleep(Duration::from_millis(100));
            (before, now) = (now, last()?);
        }
        Ok(())
    }

    /// What names it: the run, or the file once it has ended.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// What records it, while it goes on.
    pub(crate) fn recorder(&self) -> &Recorder {
        self.recorder.as_ref().expect("the recording goes on")
    }

    /// How many ops a run has.
    pub(crate) fn ops(&self) -> u64 {
        self.ops
    }

    /// Runs that were begun; those that were lost are not on a screen.
    pub(crate) fn runs(&self) -> u64 {
        self.runs
    }

    fn timeline(&self) -> bayplan_trace::Timeline {
        let source = bayplan_record::open(&self.name, &self.places).expect("the recording is there");
        fold(source, Start::Latest).expect("the recording can be read")
    }

    /// Events that were lost.
    pub(crate) fn lost(&self) -> u64 {
        self.timeline().dropped_total()
    }

    /// Runs that are in the file.
    pub(crate) fn shown(&self) -> u64 {
        self.timeline().runs_started
    }

    /// Its size on disk, in words.
    pub(crate) fn size(&self) -> String {
        let path = self.recorder().path().expect("the recording goes on").to_path_buf();
        let files: Vec<_> = match path.read_dir() {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(_) => vec![path],
        };
        let bytes = files.iter().filter_map(|path| path.metadata().ok()).map(|about| about.len()).sum();
        format!("{} in {} file(s)", Bytes(bytes), files.len())
    }

    /// Ends it.
    pub(crate) fn finish(mut self) -> Self {
        let recorder = self.recorder.take().expect("the recording goes on");
        self.name = recorder.path().expect("it has a path").to_string_lossy().into_owned();
        recorder.finish();
        self
    }
}

/// An event of a run that takes a range of a pool and gives one back.
pub(crate) fn event(number: u64, ops: u64, t: u64) -> Event {
    let (run, plan, pool) = (number / PER_RUN, 0, 0);
    let op = |step: u64| (ops * step / PER_RUN) as u32;
    match number % PER_RUN {
        0 => Event::RunStart { run, plan, t },
        2 => Event::PoolAllocated { t, pool, id: run, offset: (run % RANGES) << 16, bytes: 1 << 14 },
        4 if run >= RANGES => Event::PoolFreed { t, pool, id: run - RANGES },
        6 if run.is_multiple_of(64) => {
            let times = (0..ops).map(|op| (t + op * 100, t + op * 100 + 90 + (run + op) % 7)).collect();
            Event::OpTimes { run, plan, first_op: 0, times }
        }
        6 if run % 64 == 1 => Event::HeapSample {
            t,
            heap: 0,
            size: 8 << 30,
            usage: (1 << 30) + (run << 12) % (1 << 28),
            budget: None,
        },
        7 => Event::RunEnd { run, t, ok: run % 1000 != 999 },
        step => Event::Completed { run, plan, op: op(step), t },
    }
}
