//! What a viewer says of buffers in late parts: it judges the bytes that were seen, piece by piece, each with its own life.

use bayplan_compile::{BufferId, Program, RecordIndex, record};
use bayplan_engine::{Session, SessionOptions};
use bayplan_graph::Tensor;
use bayplan_record::{Destination, Places, RecordingOptions, Source};
use bayplan_shaders::Access;
use bayplan_trace::{Alarm, AlarmCounts, Event, Level, Record, Timeline, UNPLANNED, Window};
use bayplan_weights::Store;

use super::common::{device, program};
use super::{housed, model, number, options, windows};

/// A program's windows as an executor tells them that binds those of `bound`.
fn seen(planned: &Program, bound: &Program) -> Vec<Window> {
    let index = RecordIndex::new(planned);
    let mut all = Vec::new();
    for (op, (meant, bound)) in (0..).zip(planned.run.dispatches.iter().zip(&bound.run.dispatches)) {
        for (binding, (meant, bound)) in (0..).zip(meant.windows.iter().zip(&bound.windows)) {
            let arena = RecordIndex::arena(bound.arena);
            let (offset, len, write) = (bound.offset, bound.len, bound.access != Access::Read);
            let seen = Window { op, binding, buffer: UNPLANNED, arena, offset, len, write };
            all.extend(index.seen(meant, seen));
        }
    }
    all
}

/// What a viewer has of a session that is planned one way and binds its windows another.
fn watched(planned: &Program, bound: &Program) -> Timeline {
    let mut timeline = Timeline::new();
    timeline.apply(Record::Plan { plan: 0, record: record(planned) });
    let windows = seen(planned, bound);
    timeline.apply(Record::Event(Event::Windows { t: 1, recording: 0, plan: 0, part: 0, windows }));
    timeline
}

/// Two buffers by their names, the bytes that they share from the host's first one on, and the ops.
type Shared = ([String; 2], (u64, u64), (u32, u32));

/// What overlaps.
fn overlaps(timeline: &Timeline) -> Vec<Shared> {
    let (_, plan) = timeline.current_plan().expect("a plan");
    let host = plan.record.buffers.iter().find(|buffer| buffer.name == "both").expect("the host");
    let name = |buffer: u32| plan.record.buffers[buffer as usize].name.clone();
    let found = timeline.alarms().filter_map(|(_, alarm)| match alarm {
        Alarm::Overlap { a, b, bytes, ops, .. } => {
            let mut names = [name(a), name(b)];
            names.sort();
            Some((names, (bytes.0 - host.offset, bytes.1 - host.offset), ops))
        }
        _ => None,
    });
    found.collect()
}

fn pair(a: &str, b: &str) -> [String; 2] {
    [a.to_owned(), b.to_owned()]
}

/// The sort of alarms that there are: deviations, overlaps.
fn sorts(timeline: &Timeline) -> (bool, bool) {
    let AlarmCounts { deviation, overlap, unplanned } = timeline.alarm_counts();
    assert_eq!(unplanned, 0);
    (deviation > 0, overlap > 0)
}

#[test]
fn a_guest_raises_no_alarm() {
    let housed = housed();
    let timeline = watched(&housed, &housed);
    assert_eq!(timeline.alarms().collect::<Vec<_>>(), []);
    // Both pieces and the guest were looked at.
    let (_, plan) = timeline.current_plan().expect("a plan");
    for name in ["both", "both[1]", "guest"] {
        let at = plan.record.buffers.iter().position(|buffer| buffer.name == name).expect(name);
        assert!(plan.actual[at].is_some(), "{name} was not seen");
    }
}

#[test]
fn a_session_with_a_guest_records_no_alarm() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("guest.bptrace");
    let model = model(64);
    let program = program(&model.graph, device().target(), options()).expect("it compiles");
    let mut recording = RecordingOptions::new(Places::under(folder.path()));
    (recording.destination, recording.level) = (Destination::File(file.clone()), Level::Op);
    let options = SessionOptions { recording: Some(recording), ..SessionOptions::default() };
    let store = Store::open("", &model.graph).expect("no files");
    let mut session = Session::new(device(), program, &store, options).expect("a session");
    let names = model.graph.inputs.iter().map(|&id| &*model.graph.value(id).name);
    let given: Vec<(&str, &Tensor)> = names.zip(&model.inputs).collect();
    (0..3).for_each(|_| drop(session.run(&given).expect("a run")));
    assert_eq!(session.finish().lost, 0);
    let mut timeline = Timeline::new();
    let take = |record| timeline.apply(record);
    let (_, damages) = bayplan_record::read(Source::of_path(&file), take).expect("a recording");
    assert!(damages.is_empty(), "{damages:?}");
    assert_eq!(timeline.alarms().collect::<Vec<_>>(), []);
    let (_, plan) = timeline.current_plan().expect("a plan");
    let guest = plan.record.buffers.iter().position(|buffer| buffer.name == "guest").expect("the guest");
    assert!(plan.runs == 3 && plan.actual[guest].is_some());
}

/// The plan itself is wrong, and everything is bound as planned.
#[test]
fn a_plan_whose_guest_outlives_the_part_raises_an_overlap() {
    let mut wrong = housed();
    // What reads the guest runs after what writes the part.
    wrong.run.dispatches.swap(2, 3);
    let [guest, host, most] = ["guest", "both", "most"].map(|name| number(&wrong, name));
    wrong.buffers[guest].lifespan.end = 4;
    wrong.buffers[most].lifespan.start = 3;
    wrong.buffers[host].late[0].first = 2;
    let timeline = watched(&wrong, &wrong);
    assert_eq!(sorts(&timeline), (false, true));
    assert_eq!(overlaps(&timeline), [(pair("both[1]", "guest"), (16_384, 32_768), (2, 4))]);
}

#[test]
fn a_plan_with_a_guest_over_the_written_part_raises_an_overlap() {
    let mut wrong = housed();
    let guest = number(&wrong, "guest");
    wrong.buffers[guest].offset -= 4096;
    windows(&mut wrong, guest).for_each(|window| window.offset -= 4096);
    let timeline = watched(&wrong, &wrong);
    assert_eq!(sorts(&timeline), (false, true));
    assert_eq!(overlaps(&timeline), [(pair("both", "guest"), (12_288, 16_384), (1, 3))]);
}

/// The plan is right, and windows are bound elsewhere.
#[test]
fn a_guest_bound_over_the_written_part_raises_both_alarms() {
    let (planned, mut bound) = (housed(), housed());
    let guest = number(&bound, "guest");
    windows(&mut bound, guest).for_each(|window| window.offset -= 4096);
    let timeline = watched(&planned, &bound);
    assert_eq!(sorts(&timeline), (true, true));
    assert!(overlaps(&timeline).contains(&(pair("both", "guest"), (12_288, 16_384), (1, 3))));
}

/// The first writer reaches into the part while the guest lives there.
#[test]
fn a_part_written_early_raises_both_alarms() {
    let (planned, mut bound) = (housed(), housed());
    let host = BufferId(number(&bound, "both") as u32);
    let guest = number(&planned, "guest");
    let writes = |window: &&mut bayplan_compile::Window| window.buffer == host;
    // The guest is there from op 1 on; the first writer comes after its maker.
    bound.run.dispatches.swap(0, 1);
    let mut planned = planned;
    planned.run.dispatches.swap(0, 1);
    planned.buffers[guest].lifespan.start = 0;
    let window = bound.run.dispatches[1].windows.iter_mut().find(writes).expect("it writes the host");
    window.len = 32_768;
    let timeline = watched(&planned, &bound);
    assert_eq!(sorts(&timeline), (true, true));
    assert!(overlaps(&timeline).contains(&(pair("both", "guest"), (16_384, 32_768), (1, 2))));
}
