//! The three reports on one small session.

use bayplan_trace::{
    ArenaKind, ArenaRecord, BufferKind, BufferRecord, DimBinding, Event, Level, OpRecord, PlanRecord, Record,
    RoofClock, RoofSource, Roofs, SessionInfo, Severity, Timeline, Window,
};

use proptest::prelude::*;

use crate::{json, map, text};

pub(crate) const MIB: u64 = 1 << 20;

fn buffer(name: &str, kind: BufferKind, size: u64, offset: u64, life: (u32, u32)) -> BufferRecord {
    BufferRecord {
        name: name.into(),
        kind,
        dtype: "f32".into(),
        shape: format!("f32[{}]", size / 4),
        size,
        size_expr: size.to_string(),
        alignment: 256,
        offset,
        first: life.0,
        last: life.1,
        ..BufferRecord::default()
    }
}

/// Six ops; the peak is at op 2, where 7 of 8 MiB live and one is a hole.
pub(crate) fn plan() -> PlanRecord {
    let activation = BufferKind::Activation;
    let arena = |name: &str, kind, size, bound, witness_op| ArenaRecord {
        name: name.into(),
        kind,
        size,
        alignment: 256,
        lower_bound: bound,
        witness_op,
    };
    let ops = ["conv1", "relu1", "conv2", "pool", "fc", "softmax"].into_iter().enumerate();
    let weight = BufferRecord { arena: 1, ..buffer("conv1.weight", BufferKind::Weight, 3 * MIB, 0, (0, 6)) };
    PlanRecord {
        model: "small".into(),
        target: "generic".into(),
        dims: vec![DimBinding { name: "batch".into(), value: 4 }],
        arenas: vec![
            arena("activations", ArenaKind::Activations, 8 * MIB, 7 * MIB, Some(2)),
            arena("weights", ArenaKind::Weights, 3 * MIB, 3 * MIB, None),
        ],
        buffers: vec![
            buffer("image", BufferKind::Input, MIB, 0, (0, 1)),
            buffer("features/conv1", activation, 2 * MIB, MIB, (0, 3)),
            buffer("features/conv2/out", activation, 4 * MIB, 4 * MIB, (2, 4)),
            buffer("residual", activation, MIB, 0, (1, 6)),
            buffer("pooled", activation, 2 * MIB, MIB, (3, 5)),
            buffer("scores", BufferKind::Output, MIB / 2, 3 * MIB, (4, 6)),
            weight,
        ],
        ops: ops
            .map(|(op, name)| OpRecord {
                name: name.into(),
                source_node: format!("node{op}"),
                source_op: "Conv".into(),
                kernel: "direct".into(),
                // The first op moves and computes nothing, the third one's bytes come from a cache, and the fifth one computes most.
                bytes: [0, 200, 800, 600, 800, 1000][op],
                flops: if op == 4 { 13_500 } else { 10 * op as u64 },
                ..OpRecord::default()
            })
            .collect(),
        strategy: "greedy by size".into(),
        notes: Vec::new(),
    }
}

/// The windows of a run that keeps to the plan: every buffer at its first and last op.
pub(crate) fn windows(plan: &PlanRecord) -> Vec<Window> {
    let window = |op, number: usize, buffer: &BufferRecord| Window {
        op,
        binding: 0,
        buffer: number as u32,
        arena: buffer.arena,
        offset: buffer.offset,
        len: buffer.size,
        write: op == buffer.first,
    };
    let places = plan.buffers.iter().enumerate();
    places.flat_map(|(at, buffer)| [buffer.first, buffer.last - 1].map(|op| window(op, at, buffer))).collect()
}

pub(crate) fn session(windows: Vec<Window>, more: Vec<Event>) -> Timeline {
    let mut timeline = Timeline::new();
    timeline.apply(Record::Session(SessionInfo {
        id: "4711-1".into(),
        model: "small".into(),
        device: "llvmpipe".into(),
        driver: "Mesa 24".into(),
        api: "Vulkan 1.3.255".into(),
        version: "0.1.0".into(),
        level: Level::Op,
        pid: 4711,
        start_unix_ns: 1_700_000_000_000_000_000,
        origin: String::new(),
        roofs: Some(Roofs {
            bytes_per_second: 20_000_000_000,
            flops_per_second: 300_000_000_000,
            source: RoofSource::Cached,
            clock: RoofClock::Timestamps,
            measured_unix_ns: 1_699_992_800_000_000_000,
        }),
    }));
    timeline.apply(Record::Plan { plan: 0, record: plan() });
    let purpose = "activations".into();
    let mut events = vec![
        Event::DeviceAllocated { t: 1, id: 1, bytes: 8 * MIB, memory_type: 0, purpose, planned: true },
        Event::Windows { t: 2, recording: 0, plan: 0, part: 0, windows },
        Event::SessionReady { t: 3 },
        Event::HeapSample { t: 4, heap: 0, size: 64 * MIB, usage: 11 * MIB, budget: Some(48 * MIB) },
    ];
    events.extend(more);
    events.into_iter().for_each(|event| timeline.apply(Record::Event(event)));
    timeline
}

pub(crate) fn one_run() -> Vec<Event> {
    let times = (0..6).map(|op| (1000 + op * 100, 1000 + op * 100 + 10 * (op + 1))).collect();
    vec![
        Event::RunStart { run: 0, plan: 0, t: 1000 },
        Event::OpTimes { run: 0, plan: 0, first_op: 0, times },
        Event::RunEnd { run: 0, t: 4000, ok: true },
        Event::TraceCost { t: 4000, ns: 30, run_ns: 3000 },
        Event::SessionEnd { t: 5000 },
    ]
}

/// What a terminal would obey.
pub(crate) const HOSTILE: &str = "\u{1b}]0;evil\u{7}\u{9b}31m\u{202e}\n\u{7f}";

pub(crate) fn broken() -> Timeline {
    let mut shifted = windows(&plan());
    shifted[4].offset -= MIB / 2;
    shifted[5].op = 5;
    let purpose = "staging".into();
    let stray = Event::DeviceAllocated { t: 7, id: 9, bytes: 4096, memory_type: 1, purpose, planned: false };
    let mut events = one_run();
    events.insert(0, stray);
    events.insert(1, Event::DeviceFreed { t: 8, id: 9 });
    session(shifted, events)
}

pub(crate) fn hostile() -> Timeline {
    let mut record = plan();
    record.model = HOSTILE.into();
    record.target = HOSTILE.into();
    record.strategy = HOSTILE.into();
    record.notes = vec![HOSTILE.into()];
    record.dims[0].name = HOSTILE.into();
    record.arenas[0].name = HOSTILE.into();
    for buffer in &mut record.buffers {
        buffer.name = format!("{HOSTILE}漢字");
        buffer.shape = HOSTILE.into();
    }
    for op in &mut record.ops {
        for text in [&mut op.name, &mut op.source_node, &mut op.source_op, &mut op.kernel] {
            *text = HOSTILE.into();
        }
    }
    let mut windows = windows(&record);
    windows[4].offset -= MIB / 2;
    let mut timeline = Timeline::new();
    let text = || HOSTILE.to_owned();
    let (id, model, device, driver, api, version) = (text(), text(), text(), text(), text(), text());
    timeline.apply(Record::Session(SessionInfo {
        id,
        model,
        device,
        driver,
        api,
        version,
        ..SessionInfo::default()
    }));
    timeline.apply(Record::Plan { plan: 0, record });
    let purpose = text();
    let mut events = vec![
        Event::DeviceAllocated { t: 7, id: 9, bytes: 4096, memory_type: 1, purpose, planned: false },
        Event::Windows { t: 2, recording: 0, plan: 0, part: 0, windows },
        Event::Message { t: 3, level: Severity::Error, text: text() },
        Event::Dropped { t: 3, count: 3, kind: bayplan_trace::EventKind::OpTimes },
    ];
    events.extend(one_run());
    events.into_iter().for_each(|event| timeline.apply(Record::Event(event)));
    timeline
}

/// Compares a report with a file; with `UPDATE_GOLDEN` in the environment it writes the file instead.
pub(crate) fn golden(name: &str, found: &str) {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/golden").join(name).with_extension("txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expect = std::fs::read_to_string(&path).unwrap();
    assert_eq!(found, expect, "differs from {}:\n{found}", path.display());
}

#[test]
fn map_of_a_small_plan() {
    let timeline = session(windows(&plan()), one_run());
    golden("map", &map(&timeline, 80, 20, false));
}

#[test]
fn map_of_a_run_in_progress() {
    let run = [Event::RunStart { run: 0, plan: 0, t: 9 }, Event::Completed { run: 0, plan: 0, op: 2, t: 10 }];
    let timeline = session(windows(&plan()), run.into());
    golden("map_in_progress", &map(&timeline, 96, 16, false));
}

#[test]
fn map_shows_what_is_not_as_planned() {
    golden("map_broken", &map(&broken(), 80, 20, false));
}

#[test]
fn text_of_a_small_session() {
    let timeline = session(windows(&plan()), one_run());
    golden("text", &text(&timeline, &[], false, false));
}

#[test]
fn text_begins_with_what_is_wrong() {
    let damage = ["0001.bptrace: bytes 10..20 are damaged".to_owned()];
    golden("text_broken", &text(&broken(), &damage, true, false));
}

/// Names are as long as exporters make them, lines are not.
#[test]
fn text_fits_a_terminal_of_100_columns() {
    let mut long = plan();
    let path = "model/decoder/layers.11/self_attention/";
    long.model = path.repeat(5);
    for buffer in &mut long.buffers {
        buffer.name = format!("{}{}", path.repeat(2), buffer.name);
        buffer.shape = "f32[batch_size, 12, past_sequence_length + sequence_length, 64]".into();
    }
    for op in &mut long.ops {
        op.source_node = format!("{}{}", path.repeat(4), op.name);
    }
    let mut timeline = session(windows(&plan()), one_run());
    timeline.apply(Record::Plan { plan: 1, record: long });
    let found = text(&timeline, &["x".repeat(300)], false, false);
    for line in found.lines() {
        assert_eq!(bayplan_text::wrap(line, 100).len(), 1, "{line}");
    }
    assert!(found.contains("…") && found.lines().count() > 40, "{found}");
}

#[test]
fn text_tells_a_run_in_progress_from_one_that_was_killed() {
    let run = [Event::RunStart { run: 7, plan: 0, t: 9 }, Event::Completed { run: 7, plan: 0, op: 2, t: 10 }];
    let timeline = session(windows(&plan()), run.into());
    let cases = [
        (true, ["4711-1 · running", "run 8 is in progress: 3 of 6 ops seen complete"]),
        (false, ["4711-1 · killed", "run 8 was in progress when it stopped: 3 of 6 ops seen complete"]),
    ];
    for (live, words) in cases {
        let text = text(&timeline, &[], live, false);
        assert!(words.iter().all(|words| text.contains(words)), "{text}");
    }
}

#[test]
fn json_has_its_keys_and_counts() {
    let read = |timeline: &Timeline| -> serde_json::Value {
        serde_json::from_str(&json(timeline, &["torn".into()], true)).unwrap()
    };
    let clean = read(&session(windows(&plan()), one_run()));
    assert_eq!(
        (&clean["format"], &clean["version"], &clean["live"]),
        (&"bayplan-report".into(), &1.into(), &true.into())
    );
    for key in ["deviation", "overlap", "unplanned"] {
        assert_eq!(clean[key], 0, "{key}");
    }
    assert_eq!(clean["alarms"], serde_json::json!([]));
    assert_eq!(clean["damage"], serde_json::json!(["torn"]));
    let arena = &clean["plans"][0]["arenas"][0];
    assert_eq!(
        (&arena["size"], &arena["lower_bound"], &arena["peak_live"]),
        (&(8 * MIB).into(), &(7 * MIB).into(), &(7 * MIB).into())
    );
    assert_eq!(
        (&arena["witness_op"], &arena["witness_node"], &arena["kind"]),
        (&2.into(), &"node2".into(), &"activations".into())
    );
    let loss = |key: &str| arena["loss"][key].as_u64().unwrap();
    assert_eq!(["live", "padding", "holes", "tail"].map(loss).iter().sum::<u64>(), 8 * MIB);
    assert_eq!(arena["live_at_peak"][0]["name"], "features/conv2/out");
    assert_eq!(
        (&clean["plans"][0]["dims"]["batch"], &clean["plans"][0]["op_times"][0]["op"]),
        (&4.into(), &5.into())
    );
    assert_eq!((&clean["runs"]["ok"], &clean["runs"]["median_ns"]), (&1.into(), &3000.into()));
    assert_eq!(
        (&clean["heaps"][0]["budget"], &clean["trace_cost"]["share"]),
        (&(48 * MIB).into(), &0.01.into())
    );

    let found = read(&broken());
    assert_eq!(
        (&found["deviation"], &found["overlap"], &found["unplanned"]),
        (&2.into(), &0.into(), &1.into())
    );
    let alarms = found["alarms"].as_array().unwrap();
    let kinds: Vec<_> = alarms.iter().map(|alarm| alarm["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["deviation", "deviation", "unplanned"]);
    assert_eq!(
        (&alarms[0]["plan"], &alarms[0]["buffer"], &alarms[2]["plan"]),
        (&0.into(), &2.into(), &serde_json::Value::Null)
    );
    assert!(alarms[0]["text"].as_str().unwrap().contains("features/conv2/out"));
    assert_eq!(
        (&found["unplanned_blocks"][0]["id"], found["blocks"].as_array().unwrap().len()),
        (&9.into(), 1)
    );
    assert_eq!(found["plans"][0]["deviations"]["late"][0]["name"], "features/conv2/out");
}

#[test]
fn json_has_its_keys_without_a_recording() {
    let read: serde_json::Value = serde_json::from_str(&json(&Timeline::new(), &[], false)).unwrap();
    assert_eq!(
        (&read["session"], &read["plans"], &read["deviation"]),
        (&().into(), &serde_json::json!([]), &0.into())
    );
    let never_seen = session(Vec::new(), Vec::new());
    assert!(text(&never_seen, &[], false, false).contains("7 buffers"));
    let mut empty_plan = Timeline::new();
    empty_plan.apply(Record::Plan { plan: 0, record: PlanRecord::default() });
    for empty in [Timeline::new(), empty_plan] {
        assert!(map(&empty, 80, 20, false).contains("nothing to draw"));
        assert!(text(&empty, &[], false, false).contains("no windows were recorded"));
    }
}

#[test]
fn nothing_shown_is_obeyed_by_a_terminal() {
    let timeline = hostile();
    let damages = [HOSTILE.to_owned()];
    let reports = [
        ("text", text(&timeline, &damages, false, false)),
        ("json", json(&timeline, &damages, false)),
        ("map", map(&timeline, 120, 30, false)),
    ];
    for (name, report) in &reports {
        let bad = report.chars().find(|&c| (c.is_control() && c != '\n') || c == '\u{202e}');
        assert_eq!(bad, None, "in the {name} report");
    }
    // And JSON loses nothing.
    let read: serde_json::Value = serde_json::from_str(&reports[1].1).unwrap();
    assert_eq!(read["session"]["model"], HOSTILE);
    assert_eq!(read["plans"][0]["arenas"][0]["live_at_peak"][0]["name"], format!("{HOSTILE}漢字"));
    assert!(reports[1].1.contains("漢字"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn maps_keep_their_size(cols in 0u16..1100, rows in 0u16..600) {
        for timeline in [session(windows(&plan()), one_run()), hostile()] {
            let map = map(&timeline, cols, rows, false);
            let (cols, rows) = (usize::from(cols.clamp(40, 1000)), usize::from(rows.clamp(8, 500)));
            prop_assert_eq!(map.lines().count(), rows);
            for line in map.lines() {
                prop_assert!(line.chars().count() <= cols, "{line:?}");
            }
        }
    }
}

/// What grows into its limit is told by every report, not only by those for programs.
#[test]
fn every_report_tells_what_grows_into_its_limit() {
    let mut timeline = Timeline::new();
    let second = 1_000_000_000;
    timeline.apply(Record::Event(Event::PoolReady { t: 0, pool: 3, bytes: 100_000, name: "kv".into() }));
    for at in 0..60 {
        let (t, usage, budget) = (at * second, 1000 + at * 10, Some(5000));
        timeline.apply(Record::Event(Event::PoolAllocated {
            t,
            pool: 3,
            id: at,
            offset: at * 1000,
            bytes: 1000,
        }));
        timeline.apply(Record::Event(Event::HeapSample { t, heap: 1, size: 9000, usage, budget }));
    }
    let found = bayplan_trace::forecasts(&timeline);
    assert_eq!(found.len(), 2);
    let (damages, live) = (&[], true);
    for report in [
        text(&timeline, damages, live, false),
        crate::markdown(&timeline, damages, live, false),
        crate::html(&timeline, damages, live, false),
    ] {
        let plain = report.replace('\\', "");
        let places = found.iter().zip(["pool 3", "heap 1"]).map(|(forecast, name)| {
            let words = format!("{name}: {}", forecast.text());
            plain.find(&words).unwrap_or_else(|| panic!("no `{words}` in {report}"))
        });
        assert!(places.collect::<Vec<_>>().is_sorted(), "the soonest first: {report}");
    }
    let told: serde_json::Value = serde_json::from_str(&json(&timeline, damages, live)).unwrap();
    assert_eq!(told["forecasts"].as_array().map(Vec::len), Some(2));
}

/// How weights are loaded is told by every report, while it goes on and after it failed.
#[test]
fn every_report_tells_how_weights_were_loaded() {
    let mut timeline = Timeline::new();
    let path = bayplan_trace::WeightsPath::Mapped;
    for event in [
        Event::LoadStart { t: 0, total: 8 << 20 },
        Event::LoadProgress { t: 9_000_000, path, arrived: 4 << 20, direct: 0, staging: 0 },
        Event::LoadEnd { t: 10_000_000, ok: false },
    ] {
        timeline.apply(Record::Event(event));
    }
    let (damages, live) = (&[], false);
    for report in [
        text(&timeline, damages, live, false),
        crate::markdown(&timeline, damages, live, false),
        crate::html(&timeline, damages, live, false),
    ] {
        let words = "FAILED at 4.00 MiB of 8.00 MiB (50.0 %), after 10.0 ms · 419 MB/s · mapped · buffered";
        assert!(report.replace('\\', "").contains(words), "{report}");
    }
    let told: serde_json::Value = serde_json::from_str(&json(&timeline, damages, live)).unwrap();
    let of = |name: &str| told["figures"][name]["value"].clone();
    assert_eq!(
        (of("weights_mapped"), of("failed_loads"), of("load_time")),
        (4_194_304.into(), 1.into(), 10_000_000.into())
    );
}
