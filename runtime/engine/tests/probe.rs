//! What a device does at most: measured where the times of ops are recorded, kept, and told in the recording's header.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use bayplan_engine::{Device, DeviceOptions, SessionOptions, measured_device};
use bayplan_trace::{Level, RoofClock, RoofSource, Roofs, Timeline, op_shares};
use common::{funnel, numbers, open, open_with, recording, timeline};

/// Where the measurements of a session that records to `file` are kept.
fn cache(file: &Path) -> PathBuf {
    recording(file, Level::Op).places.cache.expect("a place")
}

/// Runs a small model once with a recording of that level, whose measurements are kept in `cache`.
fn recorded(device: &Device, file: &Path, level: Level, cache: Option<PathBuf>) -> Timeline {
    let mut recording = recording(file, level);
    recording.places.cache = cache;
    let options = SessionOptions { recording: Some(recording), ..SessionOptions::default() };
    let mut session = funnel(&[64, 128, 32]).session(device, options);
    session.run(&[("x", &numbers(&[8, 64]))]).expect("a run");
    drop(session);
    timeline(file)
}

fn check(roofs: &Roofs, source: RoofSource) {
    assert_eq!(roofs.source, source);
    assert!(roofs.bytes_per_second > 1_000_000 && roofs.flops_per_second > 1_000_000, "{roofs:?}");
    assert!(roofs.measured_unix_ns > 1_700_000_000_000_000_000, "{roofs:?}");
}

#[test]
fn op_times_come_with_roofs_that_are_measured_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let cache = Some(cache(&file("a")));
    // Runs alone are not worth a measurement.
    let device = open(false);
    let before = recorded(&device, &file("run"), Level::Run, cache.clone());
    assert_eq!(before.roofs(), None);
    assert!(!cache.as_ref().expect("a place").exists(), "nothing was measured");

    let made = recorded(&device, &file("op"), Level::Op, cache.clone());
    let roofs = made.roofs().copied().expect("roofs");
    check(&roofs, RoofSource::Measured);
    assert_eq!(roofs.clock == RoofClock::Timestamps, timed(&made));
    assert!(
        made.unplanned.is_empty(),
        "what measuring took is no block of the session: {:?}",
        made.unplanned
    );
    assert_eq!(made.alarm_counts().total(), 0);
    for op in op_shares(&made.plans[0], made.roofs()).iter().filter(|op| op.mean > 0) {
        let roof = op.roof.expect("every op of the model moves bytes");
        assert!(roof.share > 0.0 && roof.share.is_finite(), "{op:?}");
    }

    // The same device again, and the same opened anew: what was kept is told, whatever the level.
    for (name, device) in [("again", device), ("anew", open(false))] {
        for level in [Level::Run, Level::Op] {
            let told = recorded(&device, &file(&format!("{name} {level}")), level, cache.clone());
            assert_eq!(told.roofs(), Some(&Roofs { source: RoofSource::Cached, ..roofs }), "{name} {level}");
        }
    }
}

/// Whether the device timed its ops.
fn timed(timeline: &Timeline) -> bool {
    timeline.plans[0].op_times.iter().any(|time| time.count > 0)
}

#[test]
fn a_cache_that_is_of_no_use_stops_no_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    // No home, a file where the folder should be, and what another driver left.
    let in_the_way = file("in the way");
    fs::write(&in_the_way, "").expect("written");
    for (name, cache) in [("no home", None), ("a file", Some(in_the_way))] {
        let told = recorded(&open(false), &file(name), Level::Op, cache);
        check(told.roofs().expect("roofs"), RoofSource::Measured);
    }
    let cache = cache(&file("foreign"));
    let device = open(false);
    let own = measured_device(device.info());
    let foreign = bayplan_record::MeasuredDevice { driver: "an older one".into(), ..own.clone() };
    let left = Roofs { bytes_per_second: 7, flops_per_second: 7, ..Roofs::default() };
    let path = foreign.keep(&cache, &left).expect("kept");
    let told = recorded(&device, &file("foreign"), Level::Op, Some(cache.clone()));
    check(told.roofs().expect("roofs"), RoofSource::Measured);
    assert_eq!(own.roofs(&cache).map(|roofs| roofs.source), Some(RoofSource::Cached), "it gave way");
    assert_eq!(foreign.roofs(&cache), None);
    fs::write(&path, "{\"format\": 1").expect("damaged");
    let told = recorded(&open(false), &file("damaged"), Level::Op, Some(cache.clone()));
    check(told.roofs().expect("roofs"), RoofSource::Measured);
    assert!(own.roofs(&cache).is_some(), "what was damaged is whole again");
}

/// Measuring keeps to Vulkan's rules, leaves nothing behind, and says what it found.
#[test]
fn measuring_is_silent_under_validation() {
    for separate_memory in [false, true] {
        let device =
            open_with(&DeviceOptions { validation: true, separate_memory, ..DeviceOptions::default() });
        let live = device.allocations();
        let roofs = device.measure_roofs().expect("it is measured");
        check(&roofs, RoofSource::Measured);
        let after = device.allocations();
        assert_eq!(after.live_bytes, live.live_bytes, "its memory is freed: {after:?}");
        assert_eq!(device.message_count(), 0, "{:#?}", device.messages());
        let said = device.close();
        assert!(said.is_empty(), "{said:#?}");
    }
}
