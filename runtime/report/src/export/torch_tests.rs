//! Snapshots of small recordings.

use bayplan_trace::{
    ArenaKind, ArenaRecord, BufferKind, BufferRecord, Event, PlanRecord, Record, SessionInfo, Timeline,
    Window,
};

use super::export_format;
use crate::pickle::{Data, Value, read};
use crate::tests::{HOSTILE, one_run, plan, windows};

/// A recording in a format.
pub(super) fn exported(format: &str, records: &[Record]) -> Vec<u8> {
    let mut exporter = (export_format(format).unwrap().new)();
    let (mut timeline, mut out) = (Timeline::new(), Vec::new());
    for record in records {
        exporter.record(record, &timeline, &mut out).unwrap();
        timeline.apply(record.clone());
    }
    exporter.finish(&timeline, &mut out).unwrap();
    out
}

/// A session with these plans and events.
pub(super) fn recording(plans: Vec<PlanRecord>, events: Vec<Event>) -> Vec<Record> {
    let session = SessionInfo {
        id: "4711-1".into(),
        model: "small".into(),
        start_unix_ns: 1_700_000_000_000_000_000,
        ..SessionInfo::default()
    };
    let plans = (0..).zip(plans).map(|(plan, record)| Record::Plan { plan, record });
    [Record::Session(session)].into_iter().chain(plans).chain(events.into_iter().map(Record::Event)).collect()
}

/// The small plan, run three times.
pub(super) fn three_runs() -> Vec<Record> {
    let mut events = vec![
        Event::Windows { t: 2, recording: 0, plan: 0, part: 0, windows: windows(&plan()) },
        Event::SessionReady { t: 3 },
    ];
    for run in 0..3 {
        let later = run * 10_000_000;
        events.push(Event::RunStart { run, plan: 0, t: later + 1_000_000 });
        let times =
            (0..6).map(|op| (later + 1_000_000 + op * 100_000, later + 1_090_000 + op * 100_000)).collect();
        events.push(Event::OpTimes { run, plan: 0, first_op: 0, times });
        events.push(Event::RunEnd { run, t: later + 4_000_000, ok: true });
    }
    events.push(Event::SessionEnd { t: 40_000_000 });
    recording(vec![plan()], events)
}

fn snapshot(records: &[Record]) -> Data {
    read(&exported("torch", records)[..]).unwrap()
}

fn field(data: &Data, value: Value, key: &str) -> Value {
    data.get(value, key).unwrap()
}

/// `action address+offset size time` of each event.
fn events(data: &Data) -> Vec<String> {
    let traces = data.list(field(data, data.root(), "device_traces")).unwrap();
    assert_eq!(traces.len(), 1);
    let line = |event: &Value| {
        let number = |key| data.number(*event, key).unwrap();
        let (segment, offset) = (number("addr") >> 40, number("addr") & ((1 << 40) - 1));
        let time = number("time_us") - 1_700_000_000_000_000;
        format!("{} {segment:x}+{offset} {} {time}", data.word(*event, "action").unwrap(), number("size"))
    };
    data.list(traces[0]).unwrap().iter().map(line).collect()
}

/// `state size/requested` of each block of each segment, which must fill it.
fn segments(data: &Data) -> Vec<String> {
    let line = |segment: &Value| {
        let mut next = data.number(*segment, "address").unwrap();
        let mut line = format!("{}:", data.number(*segment, "total_size").unwrap());
        for block in data.list(field(data, *segment, "blocks")).unwrap() {
            let number = |key| data.number(*block, key).unwrap();
            assert_eq!(number("address"), next);
            next += number("size");
            let state = if data.word(*block, "state") == Some("inactive") { "free" } else { "held" };
            line += &format!(" {state} {}/{}", number("size"), number("requested_size"));
        }
        let total = data.number(*segment, "total_size").unwrap();
        assert_eq!(next, data.number(*segment, "address").unwrap() + total);
        line
    };
    data.list(field(data, data.root(), "segments")).unwrap().iter().map(line).collect()
}

#[test]
fn a_plan_is_told_once_with_its_first_run() {
    let data = snapshot(&three_runs());
    let mib = |n: f64| (n * f64::from(1 << 20)) as u64;
    let expect = [
        format!("segment_alloc 70+0 {} 0", mib(8.0)),
        format!("segment_alloc 71+0 {} 0", mib(3.0)),
        format!("alloc 71+0 {} 0", mib(3.0)),
        format!("alloc 70+0 {} 1000", mib(1.0)),
        format!("alloc 70+{} {} 1000", mib(1.0), mib(2.0)),
        format!("free_requested 70+0 {} 1100", mib(1.0)),
        format!("free_completed 70+0 {} 1100", mib(1.0)),
        format!("alloc 70+0 {} 1100", mib(1.0)),
        format!("alloc 70+{} {} 1200", mib(4.0), mib(4.0)),
        format!("free_requested 70+{} {} 1300", mib(1.0), mib(2.0)),
        format!("free_completed 70+{} {} 1300", mib(1.0), mib(2.0)),
        format!("alloc 70+{} {} 1300", mib(1.0), mib(2.0)),
        format!("free_requested 70+{} {} 1400", mib(4.0), mib(4.0)),
        format!("free_completed 70+{} {} 1400", mib(4.0), mib(4.0)),
        format!("alloc 70+{} {} 1400", mib(3.0), mib(0.5)),
        format!("free_requested 70+{} {} 1500", mib(1.0), mib(2.0)),
        format!("free_completed 70+{} {} 1500", mib(1.0), mib(2.0)),
    ];
    assert_eq!(events(&data), expect);
    let expect = [
        "8388608: held 1048576/1048576 free 2097152/0 held 524288/524288 free 4718592/0",
        "3145728: held 3145728/3145728",
    ];
    assert_eq!(segments(&data), expect);
}

/// A process that was killed: what its last op had allocated stays.
#[test]
fn a_run_that_was_cut_short_stays_allocated() {
    let killed =
        vec![Event::RunStart { run: 0, plan: 0, t: 0 }, Event::Completed { run: 0, plan: 0, op: 2, t: 5 }];
    let data = snapshot(&recording(vec![plan()], killed));
    // Op 3 was in progress: conv2/out, residual and pooled live.
    let expect = "8388608: held 1048576/1048576 held 2097152/2097152 free 1048576/0 held 4194304/4194304";
    assert_eq!(segments(&data)[0], expect);
    let failed = vec![Event::RunStart { run: 0, plan: 0, t: 0 }, Event::RunEnd { run: 0, t: 5, ok: false }];
    let data = snapshot(&recording(vec![plan()], failed));
    assert_eq!(segments(&data)[0], "8388608: held 1048576/1048576 held 2097152/2097152 free 5242880/0");
}

/// Each shape is told when it first runs; an arena that grows is the same segment, weights are there once.
#[test]
fn shapes_share_their_segments() {
    let mut large = plan();
    large.arenas[0].size += 1 << 20;
    for buffer in large.buffers.iter_mut().filter(|buffer| buffer.arena == 0) {
        buffer.offset += 1 << 20;
    }
    let run = |run, plan| [Event::RunStart { run, plan, t: 0 }, Event::RunEnd { run, t: 0, ok: true }];
    let events_of = [run(0, 0), run(1, 1), run(2, 0), run(3, 1)].into_iter().flatten().collect();
    let data = snapshot(&recording(vec![plan(), large], events_of));
    assert_eq!(segments(&data).len(), 2);
    assert!(segments(&data)[0].starts_with("9437184: free 1048576/0 held"), "{:?}", segments(&data));
    let found = events(&data);
    let count = |what: &str| found.iter().filter(|event| event.starts_with(what)).count();
    assert_eq!((count("segment_alloc"), count("segment_map"), count("alloc 71")), (2, 1, 1));
    // Six activations of each shape; the outputs of the first run go when the second begins, the second's stay.
    assert_eq!((count("alloc 70"), count("free_completed")), (12, 10));
}

/// Pools grow, and what callers hold stays.
#[test]
fn pools_are_segments_of_their_own() {
    let name = || "output arena".to_owned();
    let events_of = vec![
        Event::PoolReady { t: 1_000, pool: 7, bytes: 1000, name: name() },
        Event::PoolAllocated { t: 2_000, pool: 7, id: 1, offset: 0, bytes: 400 },
        Event::PoolAllocated { t: 3_000, pool: 7, id: 2, offset: 400, bytes: 600 },
        Event::PoolReady { t: 4_000, pool: 7, bytes: 1500, name: name() },
        Event::PoolFreed { t: 5_000, pool: 7, id: 1 },
        Event::PoolFreed { t: 5_000, pool: 7, id: 9 },
    ];
    let data = snapshot(&recording(Vec::new(), events_of));
    let expect = [
        "segment_alloc 70+0 1000 1",
        "alloc 70+0 400 2",
        "alloc 70+400 600 3",
        "segment_map 70+1000 500 4",
        "free_requested 70+0 400 5",
        "free_completed 70+0 400 5",
    ];
    assert_eq!(events(&data), expect);
    assert_eq!(segments(&data), ["1500: free 400/0 held 600/600 free 500/0"]);
}

/// Sizes that fill no multiple of the alignment are rounded, as allocators do; zero bytes are nothing.
#[test]
fn padding_is_part_of_a_block() {
    let buffer = |size, offset| BufferRecord {
        size,
        offset,
        last: 1,
        kind: BufferKind::Weight,
        ..BufferRecord::default()
    };
    let arena = ArenaRecord {
        name: "w".into(),
        kind: ArenaKind::Weights,
        size: 1000,
        alignment: 256,
        ..ArenaRecord::default()
    };
    let record = PlanRecord {
        arenas: vec![arena],
        buffers: vec![buffer(100, 0), buffer(0, 100), buffer(250, 300), buffer(900, 256)],
        ops: vec![bayplan_trace::OpRecord::default()],
        ..PlanRecord::default()
    };
    let data = snapshot(&recording(vec![record], Vec::new()));
    // 256 to 300 shows what fits of a plan that overlaps.
    assert_eq!(segments(&data), ["1000: held 256/100 held 744/744"]);
}

#[test]
fn what_a_terminal_would_obey_is_escaped() {
    let mut hostile = plan();
    hostile.model = HOSTILE.into();
    hostile.buffers.iter_mut().for_each(|buffer| buffer.name = HOSTILE.into());
    hostile.ops.iter_mut().for_each(|op| op.source_node = HOSTILE.into());
    let bytes = exported("torch", &recording(vec![hostile], one_run()));
    assert!(!bytes.windows(3).any(|part| part == b"\x1b]0"));
    let data = read(&bytes[..]).unwrap();
    let traces = data.list(field(&data, data.root(), "device_traces")).unwrap();
    let event = data.list(traces[0]).unwrap()[2];
    let frames = data.list(field(&data, event, "frames")).unwrap();
    assert!(
        data.word(frames[0], "name").unwrap().starts_with("\\x1b]0;evil"),
        "{:?}",
        data.word(frames[0], "name")
    );
}

/// There and back: the same buffers at the same places, in the same order.
#[test]
fn an_export_is_imported_as_it_was() {
    let bytes = exported("torch", &three_runs());
    let imported = crate::import(&bytes[..]).unwrap();
    let place = |b: &BufferRecord| (b.size, b.offset);
    let mut expect: Vec<_> = plan().buffers.iter().filter(|b| b.arena == 0).map(place).collect();
    let arenas = imported.plan().arenas.len();
    assert_eq!(arenas, 1);
    // The weights lie above the activations, as the segments do.
    expect.push((3 << 20, 8 << 20));
    let mut found: Vec<_> = imported.plan().buffers.iter().map(place).collect();
    expect.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expect);
    assert_eq!(imported.plan().arenas[0].size, 11 << 20);
    assert_eq!(imported.plan().arenas[0].lower_bound, (7 << 20) + (3 << 20));
}

#[test]
fn an_empty_recording_is_an_empty_snapshot() {
    let data = snapshot(&[]);
    assert!(events(&data).is_empty() && segments(&data).is_empty());
    let none: Vec<Window> = Vec::new();
    let events = vec![Event::Windows { t: 0, recording: 0, plan: 9, part: 0, windows: none }];
    assert!(segments(&snapshot(&recording(Vec::new(), events))).is_empty());
}
