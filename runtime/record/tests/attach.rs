//! Attaching: who reads from the last keyframe on knows what holds as exactly as who has read everything, and is shown nothing
//! twice, whatever the recording looks like and whatever became of its index.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bayplan_record::{
    Destination, Follower, History, Part, Places, Recorder, RecordingOptions, Retention, RunState, Source,
    Start, open,
};
use bayplan_trace::{Event, EventKind, Index, Level, Timeline};

#[path = "common/plan.rs"]
mod plan;
use plan::{OPS, plan};

const RUNS: u64 = 1500;
/// The longest that anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

fn recorder(places: &Places, destination: Destination) -> Recorder {
    let retention = Retention { segment_bytes: 20_000, total_bytes: 1 << 30, keep_runs: 9 };
    let options = RecordingOptions {
        level: Level::Op,
        destination,
        retention,
        ..RecordingOptions::new(places.clone())
    };
    Recorder::create(options, &plan()).unwrap()
}

/// Everything that a keyframe restates: of two plans, of blocks planned and not, of pools and heaps.
fn tell(recorder: &Recorder, runs: std::ops::Range<u64>) {
    for run in runs {
        let t = recorder.now();
        let plan = (run % 3 / 2) as u32;
        recorder.emit(Event::RunStart { run, plan, t });
        recorder.emit(Event::Completed { run, plan, op: (run % u64::from(OPS)) as u32, t });
        recorder.emit(Event::PoolAllocated { t, pool: 3, id: run, offset: run % 50 * 64, bytes: 64 });
        if let Some(id) = run.checked_sub(40) {
            recorder.emit(Event::PoolFreed { t, pool: 3, id });
        }
        match run % 100 {
            7 => {
                let (purpose, planned) = ("block".to_owned(), run % 200 == 7);
                recorder.emit(Event::DeviceAllocated {
                    t,
                    id: run,
                    bytes: run,
                    memory_type: 1,
                    purpose,
                    planned,
                });
            }
            57 if run % 300 == 57 => recorder.emit(Event::DeviceFreed { t, id: run - 50 }),
            80 => recorder.emit(Event::HeapSample { t, heap: 1, size: 1 << 30, usage: run, budget: Some(9) }),
            _ => {}
        }
        let times = (0..u64::from(OPS)).map(|op| (t + op, t + 2 * op + run % 5)).collect();
        recorder.emit(Event::OpTimes { run, plan, first_op: 0, times });
        // The last run goes on.
        if run + 1 != RUNS {
            recorder.emit(Event::RunEnd { run, t: recorder.now(), ok: run % 50 != 0 });
        }
        if run % 20 == 0 {
            // The rings are small beside a test that is not waited for.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn begin(places: &Places, destination: Destination) -> Recorder {
    let recorder = recorder(places, destination);
    recorder.emit_now(|t| Event::SessionReady { t });
    assert_eq!(recorder.plan(&plan()), Some(1));
    recorder.emit_now(|t| Event::PoolReady { t, pool: 3, bytes: 4096, name: "blocks".into() });
    tell(&recorder, 0..RUNS);
    recorder
}

/// A reader and the state that it has come to.
struct Read {
    follower: Follower,
    timeline: Timeline,
    /// Numbers of the runs whose start it was shown.
    starts: Vec<u64>,
    state: RunState,
}

impl Read {
    fn open(source: Source, start: Start) -> Self {
        let follower = Follower::open(source, start).unwrap();
        let mut read =
            Self { follower, timeline: Timeline::new(), starts: Vec::new(), state: RunState::Live };
        read.on();
        read
    }

    /// Reads on as far as there is anything.
    fn on(&mut self) {
        let (timeline, starts) = (&mut self.timeline, &mut self.starts);
        loop {
            let progress = self.follower.poll_parts(|part| match part {
                Part::Event(event) => {
                    if let Event::RunStart { run, .. } = event.to_event() {
                        starts.push(run);
                    }
                    timeline.apply_event(event);
                }
                Part::Record(record) => timeline.apply(record),
                Part::Chunks(_) => panic!("nobody asked for chunks"),
            });
            let progress = progress.unwrap();
            if progress.caught_up {
                self.state = progress.state;
                return;
            }
        }
    }

    /// Reads on until the last run has begun, and the session has ended if it should.
    fn until(&mut self, runs: u64, state: RunState) {
        let begun = Instant::now();
        while (self.timeline.runs_started, self.state) != (runs, state) {
            assert!(begun.elapsed() < PATIENCE, "{} runs, {:?}", self.timeline.runs_started, self.state);
            std::thread::sleep(Duration::from_millis(5));
            self.on();
        }
    }
}

/// What holds, without the histories that only who was there has.
fn state(timeline: &Timeline) -> String {
    let mut timeline = timeline.clone();
    timeline.runs.clear();
    timeline.messages.clear();
    timeline.heaps.values_mut().for_each(|heap| heap.history.clear());
    timeline.pool_histories.clear();
    // Found when first asked for: both are asked.
    for plan in &timeline.plans {
        let _ = plan.alarms();
    }
    format!("{timeline:#?}\n{:?}", timeline.current_plan().map(|(number, _)| number))
}

#[track_caller]
fn assert_same(whole: &Timeline, attached: &Timeline) {
    let (whole, attached) = (state(whole), state(attached));
    let differ = whole.lines().zip(attached.lines()).enumerate().find(|(_, (a, b))| a != b);
    assert!(differ.is_none() && whole.len() == attached.len(), "{differ:?}");
}

/// Attaches to it where it is read from the start, too, and to what comes afterwards.
fn attach(recorder: Recorder, places: &Places) {
    let source = || open(recorder.id().unwrap(), places).unwrap();
    let mut whole = Read::open(source(), Start::Beginning);
    whole.until(RUNS, RunState::Live);
    assert!(whole.timeline.current.is_some() && whole.timeline.blocks.len() > 5);
    assert!(whole.timeline.unplanned.len() > 5 && whole.timeline.pools[&3].live.len() == 40);
    let mut attached = Read::open(source(), Start::Latest);
    attached.until(RUNS, RunState::Live);
    assert_same(&whole.timeline, &attached.timeline);
    assert!(attached.starts.len() < RUNS as usize / 2, "{} runs were read again", attached.starts.len());

    // What comes is shown to both, once.
    recorder.emit_now(|t| Event::RunEnd { run: RUNS - 1, t, ok: true });
    tell(&recorder, RUNS..2 * RUNS);
    recorder.finish();
    for read in [&mut whole, &mut attached] {
        read.until(2 * RUNS, RunState::Ended);
        let first = read.starts[0];
        assert_eq!(read.starts, (first..2 * RUNS).collect::<Vec<_>>());
        assert_eq!(read.follower.damages(), []);
    }
    assert_eq!(whole.starts[0], 0);
    assert_same(&whole.timeline, &attached.timeline);
}

#[test]
fn a_live_folder() {
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    attach(begin(&places, Destination::Folder), &places);
}

#[test]
fn a_live_file() {
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    attach(begin(&places, Destination::File(temp.path().join("run.bptrace"))), &places);
}

/// Reads a file from its last keyframe on; what holds must be what reading all of it comes to.
fn attach_to(path: &Path) -> Read {
    let whole = Read::open(Source::of_path(path), Start::Beginning);
    let attached = Read::open(Source::of_path(path), Start::Latest);
    assert_same(&whole.timeline, &attached.timeline);
    assert_eq!(whole.state, attached.state);
    assert_eq!(whole.starts[whole.starts.len() - attached.starts.len()..], attached.starts);
    attached
}

#[test]
fn a_file_that_ended_whatever_became_of_its_index() {
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    let path = temp.path().join("run.bptrace");
    begin(&places, Destination::File(path.clone())).finish();
    let bytes = fs::read(&path).unwrap();
    let index = Index::footer_len(&bytes).unwrap() as usize;
    let sound = attach_to(&path);
    assert_eq!((sound.state, sound.follower.damages().len()), (RunState::Ended, 0));
    assert!(sound.starts.len() < RUNS as usize / 2);

    let at = bytes.len() - index;
    let expect = state(&sound.timeline);
    let attached = |bytes: &[u8], what: &str| {
        fs::write(&path, bytes).unwrap();
        let read = Read::open(Source::of_path(&path), Start::Latest);
        assert_eq!(read.starts, sound.starts, "{what}");
        assert!(state(&read.timeline) == expect, "{what}");
    };
    // Without it, cut within it, and damaged within it: above all where it says what it is.
    let places = || (0..index).step_by(11).chain(index - 12..index);
    for place in places() {
        attached(&bytes[..at + place], &format!("{place} bytes of the index are left"));
        let mut bad = bytes.clone();
        bad[at + place] ^= 0x41;
        attached(&bad, &format!("byte {place} of the index is damaged"));
    }
    // The index of another file tells nothing of this one.
    let half = bytes.len() / 2;
    fs::write(&path, [&bytes[..half], &bytes[at..]].concat()).unwrap();
    attach_to(&path);
}

#[test]
fn plans_that_gave_way_are_not_restated() {
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    let recorder = begin(&places, Destination::Folder);
    recorder.emit_now(|t| Event::RunEnd { run: RUNS - 1, t, ok: true });
    recorder.emit_now(|t| Event::PlanRetired { t, plan: 1 });
    tell_of_plan_0(&recorder, RUNS..2 * RUNS);
    let path = recorder.path().unwrap().to_owned();
    recorder.finish();
    let whole = Read::open(Source::of_path(&path), Start::Beginning).timeline;
    let attached = Read::open(Source::of_path(&path), Start::Latest).timeline;
    assert!(whole.plans[1].retired && whole.plans[1].runs > 0);
    assert_eq!(
        (whole.plans[0].runs, &whole.plans[0].op_times),
        (attached.plans[0].runs, &attached.plans[0].op_times)
    );
    assert!(attached.plans.len() < 2 || attached.plans[1].runs == 0);
    assert_eq!(whole.totals, attached.totals);
}

fn tell_of_plan_0(recorder: &Recorder, runs: std::ops::Range<u64>) {
    for run in runs {
        recorder.emit_now(|t| Event::RunStart { run, plan: 0, t });
        let times = (0..u64::from(OPS)).map(|op| (op * 100, op * 100 + run % 90)).collect();
        recorder.emit(Event::OpTimes { run, plan: 0, first_op: 0, times });
        recorder.emit_now(|t| Event::RunEnd { run, t, ok: true });
        if run % 20 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn nothing_was_lost_on_the_way() {
    let temp = tempfile::tempdir().unwrap();
    let places = Places::under(temp.path());
    let recorder = begin(&places, Destination::Folder);
    let path = recorder.path().unwrap().to_owned();
    assert_eq!(recorder.finish().lost, 0, "the tests beside this one compare what all was read of");
    let read = Read::open(Source::of_path(&path), Start::Beginning);
    assert_eq!(read.timeline.dropped.get(&EventKind::RunStart), None);
}

/// As `cat` makes of a recording and a copy of it that was cut, or of other parts: what can be gone back to is one session's.
#[test]
fn the_past_of_a_session_that_a_file_holds_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.bptrace");
    let recorder = recorder(&Places::under(folder.path()), Destination::File(path.clone()));
    tell(&recorder, 0..900);
    recorder.finish();
    let whole = fs::read(&path).unwrap();
    let chapters = |parts: &[&[u8]]| {
        let path = folder.path().join("parts.bptrace");
        fs::write(&path, parts.concat()).unwrap();
        let history = History::open(Source::of_path(&path)).unwrap();
        let begins: Vec<_> = history.chapters().iter().map(|c| (c.begins, c.has_keyframe)).collect();
        let some = [0, begins.len() / 2, begins.len() - 1];
        let runs = some.map(|chapter| {
            let mut timeline = Timeline::new();
            let apply = |part: Part<'_>| {
                match part {
                    Part::Record(record) => timeline.apply(record),
                    Part::Event(event) => timeline.apply_event(event),
                    Part::Chunks(_) => {}
                }
                true
            };
            history.read(chapter, apply).unwrap();
            timeline.runs_ok
        });
        (runs, begins)
    };
    let expected = chapters(&[&whole]);
    assert!(expected.1.len() > 2 && expected.0.iter().all(|runs| *runs == expected.0[0]), "{expected:?}");
    for cut in (0..whole.len()).step_by(whole.len() / 20) {
        let (head, tail) = whole.split_at(cut);
        assert_eq!(chapters(&[&whole, head]), expected, "cut at {cut}");
        assert_eq!(chapters(&[&whole, tail]), expected, "from {cut}");
        assert_eq!(chapters(&[&whole, head, &whole]), expected, "cut at {cut}, and again");
    }
}
