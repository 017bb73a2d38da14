//! Each planted fault raises its alarm and no other; without one there is none.

mod common;

use std::collections::BTreeSet;

use bayplan_engine::faults::Fault;
use bayplan_engine::{Device, DeviceOptions, EngineError, Session, SessionOptions};
use bayplan_trace::{Alarm, Level, Timeline};
use common::{funnel, numbers, open_with, recording, timeline};

const WIDTHS: [usize; 9] = [512, 256, 128, 64, 32, 16, 16, 16, 16];

/// A device on which sessions have a fault.
fn with(fault: Option<Fault>) -> Device {
    open_with(&DeviceOptions { fault, ..DeviceOptions::default() })
}

/// Runs the model with a fault, and reads its recording.
fn run(fault: Option<Fault>, runs: u64) -> Timeline {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("run.bptrace");
    let recording = Some(recording(&file, Level::Run));
    let options = SessionOptions { recording, ..SessionOptions::default() };
    let mut session = funnel(&WIDTHS).session(&with(fault), options);
    let input = numbers(&[8, WIDTHS[0]]);
    for _ in 0..runs {
        session.run(&[("x", &input)]).expect("a run");
    }
    let summary = session.finish();
    assert_eq!((summary.lost, summary.disk_error), (0, None));
    timeline(&file)
}

fn kinds(timeline: &Timeline) -> BTreeSet<&'static str> {
    alarms(timeline).iter().map(Alarm::kind).collect()
}

fn alarms(timeline: &Timeline) -> Vec<Alarm> {
    timeline.alarms().map(|(_, alarm)| alarm).collect()
}

#[test]
fn no_fault_no_alarm() {
    let timeline = run(None, 1000);
    assert_eq!(timeline.runs_ok, 1000);
    assert!(timeline.plans[0].windows.len() >= 24, "the windows were seen");
    assert_eq!(alarms(&timeline), []);
}

#[test]
fn a_shifted_window_deviates() {
    let timeline = run(Some(Fault::ShiftedWindow), 1);
    let alarms = alarms(&timeline);
    let [Alarm::Moved { planned, actual, .. }] = alarms.as_slice() else { panic!("{alarms:?}") };
    assert!(actual.0 > planned.0 && actual.1 > planned.1, "{alarms:?}");
    assert_eq!(kinds(&timeline), BTreeSet::from(["deviation"]));
}

#[test]
fn a_late_release_deviates() {
    let timeline = run(Some(Fault::LateRelease), 1);
    let alarms = alarms(&timeline);
    let [Alarm::Late { op, planned, .. }] = alarms.as_slice() else { panic!("{alarms:?}") };
    assert_eq!(*op, planned.1 + 2, "three ops after the last one that was planned");
    assert_eq!(kinds(&timeline), BTreeSet::from(["deviation"]));
}

#[test]
fn a_buffer_on_a_live_one_overlaps() {
    let timeline = run(Some(Fault::Overlap), 1);
    assert_eq!(kinds(&timeline), BTreeSet::from(["deviation", "overlap"]));
    let overlaps = alarms(&timeline).iter().filter(|alarm| matches!(alarm, Alarm::Overlap { .. })).count();
    assert!(overlaps >= 1);
}

#[test]
fn memory_allocated_by_a_run_is_unplanned() {
    let timeline = run(Some(Fault::UnplannedAllocation), 3);
    let alarms = alarms(&timeline);
    assert!(matches!(alarms.as_slice(), [Alarm::Unplanned { bytes: 65_536, .. }]), "{alarms:?}");
    assert_eq!(kinds(&timeline), BTreeSet::from(["unplanned"]));
}

#[test]
fn a_program_without_a_place_for_a_fault_says_so() {
    let model = funnel(&[16, 16]);
    for fault in [Fault::LateRelease, Fault::Overlap] {
        let device = with(Some(fault));
        let options = SessionOptions::default();
        let e = Session::new(&device, model.compile(&device), &model.store(), options).err();
        let e = e.expect("one op has no place for it");
        assert!(matches!(e, EngineError::Fault { .. }) && e.to_string().contains(fault.name()), "{e}");
    }
}
