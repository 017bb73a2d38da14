//! Going back in time: the state that is found on the way from the nearest keyframe is the one that reading from the beginning
//! comes to, whatever the recording has been through.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bayplan_record::Source;
use bayplan_trace::{Event, Reader, Record, SessionInfo, Timeline, Writer};
use proptest::prelude::*;

use crate::model::State;
use crate::model::moment::{Folding, Stop};
use crate::model::past::Moment;
use crate::past::Seeker;
use crate::support;

/// One thing that happens: what, how long after the one before, and whether a segment begins first.
type Step = (u8, u64, bool);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0u8..12, prop_oneof![Just(0u64), 1u64..50, 1000u64..100_000], prop::bool::weighted(0.06));
    prop::collection::vec(step, 1..160)
}

/// The segments of a recording, and when its last event happened.
fn segments(steps: &[Step]) -> (Vec<Vec<u8>>, u64) {
    let plan = support::by_hand();
    let mut writer = Writer::new(support::session());
    writer.plan(&plan);
    support::preamble(&plan, support::windows(&plan)).iter().for_each(|event| writer.event(event));
    let (mut t, mut run, mut id, mut is_open, mut op) = (10_000, 0, 100, false, 0);
    let mut parts = Vec::new();
    for &(what, later, begins) in steps {
        if begins {
            let mut part = Vec::new();
            writer.begin_file();
            writer.flush();
            writer.take(&mut part);
            parts.push(part);
            writer.begin_segment();
        }
        t += later;
        match what {
            // Sessions run one at a time.
            0..=4 if is_open => {
                is_open = false;
                writer.event(&Event::RunEnd { run: run - 1, t, ok: run % 5 > 0 });
            }
            0..=4 => {
                (run, is_open, op) = (run + 1, true, 0);
                writer.event(&Event::RunStart { run: run - 1, plan: 0, t });
            }
            5 if is_open => {
                op = (op + 1 + t % 3).min(9);
                writer.event(&Event::Completed { run: run - 1, plan: 0, op: op as u32, t });
            }
            6 => writer.event(&Event::OpTimes {
                run: run.max(1) - 1,
                plan: 0,
                first_op: 2,
                times: vec![(t.saturating_sub(40), t.saturating_sub(20)), (t.saturating_sub(20), t)],
            }),
            7 | 8 => {
                id += 1;
                let (purpose, planned) = ("x".to_owned(), id % 3 > 0);
                let block =
                    Event::DeviceAllocated { t, id, bytes: id * 10, memory_type: 0, purpose, planned };
                writer.event(&block);
            }
            9 => writer.event(&Event::DeviceFreed { t, id: id.max(101) - t % 2 }),
            10 => writer.event(&Event::HeapSample { t, heap: 0, size: 1 << 30, usage: t, budget: None }),
            _ => {
                writer.event(&Event::PoolReady { t, pool: 3, bytes: 1 << 20, name: "pool".to_owned() });
                writer.event(&Event::PoolAllocated { t, pool: 3, id: t, offset: t % 1000, bytes: 16 });
            }
        }
    }
    let mut part = Vec::new();
    writer.flush();
    writer.take(&mut part);
    parts.push(part);
    (parts, t)
}

/// The state at a moment, by reading from the beginning.
fn folded(bytes: &[u8], stop: Stop) -> Folding {
    let mut folding = Folding::new(stop, false);
    let mut reader = Reader::new();
    reader.feed(bytes);
    reader.end_segment();
    while let Some(item) = reader.next_record() {
        let goes_on = match item {
            Ok(Record::Event(event)) => folding.event(event.as_ref()),
            Ok(record) => folding.record(record),
            Err(_) => true,
        };
        if !goes_on {
            break;
        }
    }
    folding
}

/// All that a keyframe restates: what drawings keep of the latest runs and samples begins with it.
fn known(timeline: &Timeline) -> String {
    let heaps: BTreeMap<_, _> =
        timeline.heaps.iter().map(|(heap, state)| (heap, (state.size, state.usage, state.budget))).collect();
    let plans: Vec<_> = timeline.plans.iter().collect();
    let plans: Vec<_> = plans
        .iter()
        .map(|plan| (&plan.record, &plan.windows, &plan.actual, &plan.strays, &plan.op_times, plan.runs))
        .collect();
    let runs = (timeline.runs_started, timeline.runs_ok, timeline.runs_failed, timeline.current);
    let memory = (&timeline.blocks, timeline.device_bytes(), &timeline.unplanned, &timeline.pools, heaps);
    let rest = (timeline.now, timeline.ready, &timeline.totals, &timeline.dropped, &timeline.session);
    format!("{runs:?} {memory:?} {plans:?} {rest:?}")
}

/// Where two states differ, if they do: the words around it.
fn difference(found: &Timeline, expect: &Timeline) -> Option<String> {
    let (found, expect) = (known(found), known(expect));
    let same = found.bytes().zip(expect.bytes()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| text.chars().skip(same.saturating_sub(90)).take(240).collect::<String>();
    (found != expect).then(|| format!("found    {}\nexpected {}", around(&found), around(&expect)))
}

fn seek(path: &Path, stop: Stop, live: &State) -> Moment {
    Seeker::open(Source::of_path(path)).unwrap().seek(stop, live, None).unwrap()
}

fn write_folder(folder: &Path, parts: &[Vec<u8>]) {
    fs::create_dir_all(folder).unwrap();
    for (number, part) in (1..).zip(parts) {
        fs::write(folder.join(format!("{number:04}.bptrace")), part).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_moment_is_what_reading_from_the_beginning_comes_to(
        steps in steps(),
        moments in prop::collection::vec((0u8..4, any::<u64>()), 1..8),
        cut in prop::option::of(any::<u64>()),
    ) {
        let temp = tempfile::tempdir().unwrap();
        let (file, folder) = (temp.path().join("run.bptrace"), temp.path().join("run"));
        let (mut parts, last) = segments(&steps);
        if let (Some(cut), Some(part)) = (cut, parts.last_mut()) {
            // Killed while it wrote, or torn: anywhere in the last segment, its head too.
            part.truncate((cut % (part.len() as u64 + 1)) as usize);
        }
        let whole = parts.concat();
        fs::write(&file, &whole).unwrap();
        write_folder(&folder, &parts);
        let live = State { fold: folded(&whole, Stop::End).fold, ..State::default() };
        for (what, number) in moments {
            let t = 9000 + number % (last - 9000 + 2000);
            let stop = match what {
                0 => Stop::At(t),
                1 => Stop::Run(1 + number % (live.fold.timeline.runs_started + 2)),
                2 => Stop::After(t),
                _ => Stop::Before(t),
            };
            let expect = folded(&whole, stop);
            for path in [&file, &folder] {
                let found = seek(path, stop, &live);
                let difference = difference(&found.state.fold.timeline, &expect.fold.timeline);
                prop_assert_eq!(difference, None, "{:?}", stop);
                prop_assert_eq!(found.is_found, expect.is_found(), "{:?}", stop);
                prop_assert!(!found.is_cut);
                if let Stop::At(t) = stop {
                    prop_assert!(found.state.fold.timeline.now <= t || t < found.first);
                }
            }
        }
    }

    #[test]
    fn where_the_oldest_segments_are_gone_the_past_begins_with_what_is_left(
        steps in steps(), gone in any::<usize>(), number in any::<u64>(),
    ) {
        let temp = tempfile::tempdir().unwrap();
        let (parts, last) = segments(&steps);
        let gone = gone % parts.len();
        write_folder(temp.path(), &parts);
        for number in 1..=gone {
            fs::remove_file(temp.path().join(format!("{number:04}.bptrace"))).unwrap();
        }
        let whole = parts.concat();
        let live = State { fold: folded(&whole, Stop::End).fold, ..State::default() };
        let found = seek(temp.path(), Stop::At(number % (last + 1000)), &live);
        prop_assert_eq!(found.is_cut, gone > 0);
        let t = (number % (last + 1000)).max(found.first);
        if gone > 0 {
            // Of the clock's last reading before the cut, only what was before the cut can be shown.
            let at_cut = seek(temp.path(), Stop::At(0), &live);
            prop_assert_eq!(at_cut.t, found.first);
            prop_assert_eq!(at_cut.state.fold.timeline.now, found.first);
        }
        let expect = folded(&whole, Stop::At(t)).fold.timeline;
        if number % (last + 1000) > found.first || gone == 0 {
            prop_assert_eq!(difference(&found.state.fold.timeline, &expect), None);
        }
    }
}

#[test]
fn what_is_gone_or_of_another_session_is_not_shown_as_its_past() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("run.bptrace");
    let recording = |id: &str| {
        let mut writer = Writer::new(SessionInfo { id: id.to_owned(), ..support::session() });
        writer.event(&Event::SessionReady { t: 10_000 });
        writer.flush();
        let mut bytes = Vec::new();
        writer.take(&mut bytes);
        bytes
    };
    let own = recording("4711-1");
    fs::write(&path, &own).unwrap();
    let live = State { fold: folded(&own, Stop::End).fold, ..State::default() };
    let look = || Seeker::open(Source::of_path(&path))?.seek(Stop::At(0), &live, None);
    assert!(look().is_ok());
    fs::write(&path, recording("4711-2")).unwrap();
    let replaced = look().unwrap_err().to_string();
    assert!(replaced.contains("another recording was put in the place"), "{replaced}");
    fs::write(&path, "").unwrap();
    let gone = look().unwrap_err().to_string();
    assert!(gone.contains("is gone or was emptied"), "{gone}");
}
