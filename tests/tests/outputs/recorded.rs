//! What a recording tells of outputs that callers keep.

use std::path::Path;

use bayplan::{Device, Level, OutputArena, OutputPolicy, Policies, Session, SessionOptions};
use bayplan_record::{Destination, Places, RecordingOptions, Source};
use bayplan_tests::backend::Backend;
use bayplan_tests::on_every_backend;
use bayplan_trace::{Event, Record, Severity, Timeline};

use crate::model::{opened, three, x};

fn session(device: &Device, file: &Path, outputs: OutputArena) -> Session {
    let mut recording = RecordingOptions::new(Places::under(file.parent().expect("a folder")));
    (recording.destination, recording.level) = (Destination::File(file.to_owned()), Level::Run);
    let model = opened(&three());
    let policies = Policies::default().with("kept", OutputPolicy::Own);
    let options = bayplan::Options { outputs: policies, ..bayplan::Options::default() };
    let mut bounds = bayplan::Scope::new();
    bounds.declare("n", bayplan::Bounds::between(1, 20)).expect("bounds");
    let family = model.family(&bounds.into(), device.target(), &options).expect("a family");
    let options = SessionOptions { recording: Some(recording), outputs, ..SessionOptions::default() };
    Session::new(device, family, model.weights(), options).expect("a session")
}

fn slots_are_told_as_they_come_and_go(on: Backend) {
    let (folder, device) = (tempfile::tempdir().expect("a folder"), on.device());
    let file = folder.path().join("run.bptrace");
    let mut session = session(&device, &file, OutputArena { bytes: 1024, grow: true });
    let mut kept = Vec::new();
    // 32 bytes for each row: the fourth does not fit any more.
    for rows in [4, 20, 3, 12] {
        let input = x(rows, rows);
        let mut outputs = session.run(&[("x", &input)]).expect("a run");
        kept.push(outputs.take("kept").expect("it is the caller's"));
    }
    std::thread::spawn(move || drop(kept.swap_remove(1))).join().expect("the thread ends");
    // One that nobody takes is gone with the outputs.
    session.run(&[("x", &x(2, 1))]).expect("a run");
    let (usage, lost) = (session.output_usage(), session.finish().lost);
    assert_eq!((usage.slots, usage.blocks, lost), (0, 2, 0));

    let (mut timeline, mut sizes, mut most, mut taken) = (Timeline::new(), Vec::new(), 0, Vec::new());
    bayplan_record::read(Source::of_path(&file), |record| {
        match &record {
            Record::Event(Event::PoolReady { bytes, .. }) => sizes.push(*bytes),
            Record::Event(Event::PoolAllocated { bytes, .. }) => taken.push(*bytes),
            _ => {}
        }
        timeline.apply(record);
        most = most.max(timeline.pools.get(&0).map_or(0, |pool| pool.live.len()));
    })
    .expect("a recording");
    let pool = timeline.pools.get(&0).expect("the output arena");
    assert_eq!((&*pool.name, timeline.pools.len()), ("output arena", 1));
    assert_eq!((sizes, taken), (vec![1024, 2048], vec![128, 640, 96, 384, 64]));
    assert_eq!((pool.live.len(), most, pool.totals.allocated, pool.totals.freed), (0, 4, 5, 5));
    assert_eq!((pool.totals.high_water, pool.totals.top), (1248, usage.high_water));
    // It grew as it was allowed to, which no alarm tells of but a warning does.
    assert_eq!(timeline.alarm_counts().total(), 0);
    let warned = |(_, level, text): &(u64, Severity, String)| {
        *level == Severity::Warning && text.starts_with("the output arena grew by 1.00 KiB")
    };
    assert_eq!(timeline.messages.iter().filter(|message| warned(message)).count(), 1);
}

/// Outputs outlive sessions and their recordings.
fn the_end_of_a_recording_is_no_end_of_outputs(on: Backend) {
    let (folder, device) = (tempfile::tempdir().expect("a folder"), on.device());
    let file = folder.path().join("run.bptrace");
    let mut session = session(&device, &file, OutputArena { bytes: 1024, grow: false });
    let input = x(4, 1);
    let kept = session.run(&[("x", &input)]).expect("a run").take("kept").expect("it is the caller's");
    session.finish();
    assert!(kept.to_tensor().is_ok());
    drop(kept);
    let mut timeline = Timeline::new();
    bayplan_record::read(Source::of_path(&file), |record| timeline.apply(record)).expect("a recording");
    assert_eq!(timeline.pools.get(&0).map(|pool| pool.live_bytes), Some(128), "held when it ended");
}

on_every_backend! {
    recorded_to_the_end => the_end_of_a_recording_is_no_end_of_outputs;
    recorded_slots => slots_are_told_as_they_come_and_go;
}
