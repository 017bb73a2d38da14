//! Snapshots as PyTorch writes them, and what becomes of them.

use bayplan_trace::{PlanRecord, Reader, Record, Timeline};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Imported, import};
use crate::pickle::Pickler;

/// A pickle of plain data.
pub(super) fn pickled(value: &Value) -> Vec<u8> {
    let mut pickler = Pickler::new(Vec::new()).unwrap();
    put(&mut pickler, value);
    pickler.finish().unwrap()
}

fn put(pickler: &mut Pickler<Vec<u8>>, value: &Value) {
    match value {
        Value::Array(items) => {
            pickler.open_list().unwrap();
            for item in items {
                pickler.item().unwrap();
                put(pickler, item);
            }
            pickler.close().unwrap();
        }
        Value::Object(pairs) => {
            pickler.open_dict().unwrap();
            for (key, value) in pairs {
                pickler.item().unwrap();
                pickler.text(key).unwrap();
                put(pickler, value);
            }
            pickler.close().unwrap();
        }
        Value::String(text) => pickler.text(text).unwrap(),
        Value::Null => pickler.none().unwrap(),
        number => pickler.number(number.as_u64().unwrap()).unwrap(),
    }
}

fn read(value: &Value) -> Result<Imported, String> {
    import(&pickled(value)[..]).map_err(|error| error.to_string())
}

fn event(action: &str, addr: u64, size: u64, time_us: u64) -> Value {
    json!({"action": action, "addr": addr, "size": size, "stream": 0, "time_us": time_us})
}

/// Records of the recording that is made of a snapshot; nothing in it may be damaged.
fn recorded(imported: Imported) -> Vec<Record> {
    let mut bytes = Vec::new();
    imported.write("x.pickle", "1.0", &mut bytes).unwrap();
    let mut reader = Reader::new();
    reader.feed(&bytes);
    reader.end_segment();
    std::iter::from_fn(|| reader.next_record()).map(|record| record.unwrap()).collect()
}

fn timeline(imported: Imported) -> Timeline {
    let mut timeline = Timeline::new();
    recorded(imported).into_iter().for_each(|record| timeline.apply(record));
    timeline
}

/// `name size [first,last)@offset` of each buffer.
fn buffers(plan: &PlanRecord) -> Vec<String> {
    let line = |b: &bayplan_trace::BufferRecord| {
        format!("{} {} [{},{})@{}", b.name, b.size, b.first, b.last, b.offset)
    };
    plan.buffers.iter().map(line).collect()
}

const A: u64 = 0x7f00_0000_0000;

#[test]
fn events_become_ops_and_allocations_buffers() {
    let frames = json!([
        {"filename": "/usr/lib/python3/site-packages/torch/nn/functional.py", "line": 1, "name": "linear"},
        {"filename": "/home/me/train.py", "line": 42, "name": "forward"},
    ]);
    let mut alloc = event("alloc", A + 512, 1000, 1_700_000_000_000_020);
    alloc["frames"] = frames.clone();
    let imported = read(&json!({
        "segments": [{
            "device": 0, "address": A, "total_size": 4096, "stream": 0,
            "blocks": [
                {"address": A, "size": 512, "requested_size": 400, "state": "active_allocated", "frames": frames},
                {"address": A + 512, "size": 3584, "requested_size": 0, "state": "inactive", "frames": []},
            ],
        }],
        "device_traces": [[
            event("segment_alloc", A, 4096, 1_700_000_000_000_000),
            event("alloc", A, 400, 1_700_000_000_000_010),
            alloc,
            event("free_requested", A + 512, 1000, 1_700_000_000_000_030),
            event("free_completed", A + 512, 1000, 1_700_000_000_000_040),
            event("snapshot", 0, 0, 1_700_000_000_000_050),
        ]],
    }))
    .unwrap();
    let plan = imported.plan();
    let expect = ["b7f0000000000_0 400 [1,5)@0", "forward (train.py:42) b7f0000000200_0 1000 [2,3)@512"];
    assert_eq!(buffers(plan), expect);
    let arena = &plan.arenas[0];
    assert_eq!((arena.size, arena.lower_bound, arena.witness_op), (4096, 1400, Some(2)));
    let ops: Vec<_> = plan.ops.iter().map(|op| (op.name.as_str(), op.source_node.as_str())).collect();
    let site = "forward (train.py:42)";
    let alloc = [("alloc 400 B", ""), ("alloc 1000 B", site)];
    assert_eq!(
        ops,
        [("segment_alloc 4.00 KiB", ""), alloc[0], alloc[1], ("free 1000 B", ""), ("snapshot", "")]
    );
    assert_eq!(plan.notes.len(), 1, "{:?}", plan.notes);

    let timeline = timeline(imported);
    let counts = timeline.alarm_counts();
    assert_eq!((counts.deviation, counts.overlap, counts.unplanned), (0, 0, 0));
    assert_eq!((timeline.runs_ok, timeline.ended), (1, Some(40_000)));
    let times: Vec<_> = timeline.plans[0].op_times.iter().map(|time| time.latest).collect();
    assert_eq!(times, [10_000, 10_000, 20_000, 0, 0]);
    assert_eq!(timeline.session.unwrap().start_unix_ns, 1_700_000_000_000_000_000);
    assert_eq!(timeline.blocks.values().map(|block| block.bytes).collect::<Vec<_>>(), [4096]);
}

/// A trace that holds only the latest events: what is freed lived before, what is held at the end without an event as well.
#[test]
fn what_the_trace_forgot_lived_from_the_start() {
    let imported = read(&json!({
        "segments": [{
            "device": 0, "address": A, "total_size": 2048, "stream": 0,
            "blocks": [
                {"address": A, "size": 512, "requested_size": 500, "state": "active_pending_free", "frames": []},
                {"address": A + 512, "size": 1536, "state": "inactive"},
            ],
        }],
        "device_traces": [[
            event("free_completed", A + 1024, 512, 5),
            event("alloc", A + 512, 1024, 6),
            event("segment_free", A + 4096, 4096, 7),
        ]],
    }))
    .unwrap();
    let plan = imported.plan();
    let mut found = buffers(plan);
    found.sort();
    let expect = ["b7f0000000000_0 500 [0,4)@0", "b7f0000000200_0 1024 [1,4)@512"];
    assert_eq!(found, expect);
    // Both segments are there at once.
    assert_eq!(plan.arenas[0].size, 2048 + 4096);
}

/// A gigabyte that comes and goes at another address each time takes the place of one.
#[test]
fn segments_that_come_and_go_share_a_place() {
    let mut events = Vec::new();
    for round in 0..110 {
        let addr = A + round * (3 << 30);
        events.push(event("segment_alloc", addr, 1 << 30, round * 10));
        events.push(event("alloc", addr, 1 << 29, round * 10 + 1));
        events.push(event("free_completed", addr, 1 << 29, round * 10 + 2));
        events.push(event("segment_free", addr, 1 << 30, round * 10 + 3));
    }
    let imported = read(&json!({"segments": [], "device_traces": [events]})).unwrap();
    assert_eq!((imported.plan().arenas[0].size, imported.plan().arenas[0].lower_bound), (1 << 30, 1 << 29));
    assert!(imported.plan().notes[0].contains("1.00 GiB reserved at most"), "{:?}", imported.plan().notes);
}

/// Parts of an expandable segment belong together: an allocation may lie in several of them.
#[test]
fn expandable_segments_stay_in_one_piece() {
    let imported = read(&json!({
        "segments": [],
        "device_traces": [[
            event("segment_map", A, 2048, 1),
            event("segment_map", A + (1 << 40), 2048, 2),
            event("segment_map", A + 2048, 2048, 3),
            event("alloc", A + 1024, 2048, 4),
            event("alloc", A + (1 << 40), 2048, 5),
            event("free_completed", A + 1024, 2048, 6),
            event("segment_unmap", A + 1024, 2048, 7),
        ]],
    }))
    .unwrap();
    let expect = ["b7f0000000400_0 2048 [3,5)@1024", "b800000000000_0 2048 [4,8)@4096"];
    assert_eq!(buffers(imported.plan()), expect);
    let timeline = timeline(imported);
    assert_eq!(timeline.alarm_counts().total(), 0);
    // What was unmapped is gone: 1 KiB on either side of it is left, and the other segment.
    assert_eq!(timeline.blocks.values().map(|block| block.bytes).sum::<u64>(), 4096);
}

/// Lost frees: whatever lies where something else is allocated ended there.
#[test]
fn nothing_overlaps_whatever_is_missing() {
    let imported = read(&json!({
        "segments": [],
        "device_traces": [[
            event("alloc", A, 4096, 1),
            event("alloc", A + 1024, 1024, 2),
            event("alloc", A, 1024, 3),
            event("free_completed", A + 1024, 1024, 4),
            event("free_completed", A + 1024, 1024, 5),
        ]],
    }))
    .unwrap();
    assert!(imported.plan().notes.last().unwrap().contains("lacks"), "{:?}", imported.plan().notes);
    let timeline = timeline(imported);
    assert_eq!(timeline.alarm_counts().total(), 0, "{:?}", timeline.alarms().collect::<Vec<_>>());
}

#[test]
fn devices_have_arenas_of_their_own_and_one_order_of_events() {
    let traces = json!([
        [event("alloc", A, 100, 10), event("free_completed", A, 100, 30)],
        [],
        [event("alloc", A, 50, 20)]
    ]);
    let imported = read(&json!({"segments": [], "device_traces": traces})).unwrap();
    let plan = imported.plan();
    assert_eq!(
        plan.arenas.iter().map(|arena| arena.name.as_str()).collect::<Vec<_>>(),
        ["device 0", "device 2"]
    );
    assert_eq!(buffers(plan), ["b7f0000000000_0 100 [0,2)@0", "b7f0000000000_1 50 [1,4)@0"]);
    assert_eq!(plan.buffers[1].arena, 1);
    assert_eq!(plan.ops[1].name, "alloc 50 B on device 2");
}

/// Segments alone, as `torch.cuda.memory_snapshot` gives them: one moment. Blocks of old versions have no address.
#[test]
fn segments_alone_are_one_moment() {
    let blocks = json!([
        {"size": 512, "state": "active_allocated", "history": [{"real_size": 500, "frames": []}]},
        {"size": 512, "state": "inactive"},
        {"size": 1024, "state": "active_allocated"},
    ]);
    let imported = read(&json!([{"address": A, "total_size": 2048, "blocks": blocks}])).unwrap();
    let expect = ["b7f0000000000_0 500 [0,1)@0", "b7f0000000400_0 1024 [0,1)@1024"];
    assert_eq!(buffers(imported.plan()), expect);
    assert_eq!(imported.plan().arenas[0].size, 2048);
    assert_eq!(timeline(imported).plans[0].record.ops.len(), 1);
}

#[test]
fn running_out_of_memory_is_a_message() {
    let oom = json!({"action": "oom", "size": 1 << 30, "device_free": 1 << 20, "stream": 0, "time_us": 3});
    let imported = read(&json!({"segments": [], "device_traces": [[event("alloc", A, 8, 1), oom]]})).unwrap();
    let timeline = timeline(imported);
    let expect = "out of memory: 1.00 GiB asked for, 1.00 MiB free on the device";
    assert_eq!(timeline.messages[0].2, expect);
    assert_eq!(timeline.messages[0].0, 2_000);
}

#[test]
fn what_is_no_snapshot_is_told_by_name() {
    let check = |value: Value, expect: &str| {
        let error = read(&value).unwrap_err();
        assert!(error.contains(expect), "{error}");
    };
    check(json!({"weights": []}), "neither `segments` nor `device_traces`");
    check(json!("text"), "neither `segments` nor `device_traces`");
    check(json!({"device_traces": [3]}), "device_traces[0] is no list");
    check(json!({"device_traces": [[], [{"addr": 1}]]}), "device_traces[1][0] has no `action`");
    check(json!({"device_traces": [[{"action": "alloc", "size": 1}]]}), "[0][0] (alloc) has no `addr`");
    check(json!({"device_traces": [[{"action": "alloc", "addr": 1}]]}), "[0][0] (alloc) has no `size`");
    check(json!({"device_traces": [[event("alloc", i64::MAX as u64, 9, 0)]]}), "past the end of memory");
    check(json!({"segments": [{"total_size": 9}]}), "segments[0] has no `address`");
    check(
        json!({"segments": [{"address": 0, "total_size": 9, "blocks": [{}]}]}),
        "segments[0].blocks[0] has no `size`",
    );
    let refused = |bytes: &[u8]| import(bytes).unwrap_err().to_string();
    assert!(refused(b"PK\x03\x04archive/data.pkl").contains("torch.save"));
    assert!(refused(b"\xff\xfe\x00").contains("neither a PyTorch memory snapshot"));
    assert!(refused(b"id,lower\n").contains("line 1"), "{}", refused(b"id,lower\n"));
    let mut recording = Vec::new();
    read(&json!([])).unwrap().write("x", "1", &mut recording).unwrap();
    assert!(refused(&recording).contains("a recording already"));
}

#[test]
fn a_plan_in_csv_is_a_plan_that_did_not_run() {
    let csv = "id,lower,upper,size,offset\na,0,10,100,0\nb,10,30,200,100\n\"c,d\",20,40,50,0\n";
    let imported = import(csv.as_bytes()).unwrap();
    assert_eq!(imported.what(), "plan");
    let names: Vec<_> = imported.plan().buffers.iter().map(|b| (b.name.clone(), b.size, b.offset)).collect();
    assert_eq!(names, [("a".into(), 100, 0), ("b".into(), 200, 100), ("c,d".into(), 50, 0)]);
    assert_eq!((imported.plan().arenas[0].size, imported.plan().arenas[0].lower_bound), (300, 250));
    let timeline = timeline(imported);
    assert_eq!((timeline.runs_started, timeline.plans.len()), (0, 1));
    assert!(timeline.ended.is_some() && timeline.plans[0].windows.is_empty());

    let planned = import(&b"id,lower,upper,size\na,0,2,100\nb,1,3,50\n"[..]).unwrap();
    assert_eq!(planned.plan().arenas[0].size, 150);
    let overlap =
        import(&b"id,lower,upper,size,offset\na,0,2,100,0\nb,1,3,50,99\n"[..]).unwrap_err().to_string();
    assert!(overlap.contains("overlap") || overlap.contains("share"), "{overlap}");
}

fn any_event() -> impl Strategy<Value = Value> {
    let actions = [
        "alloc",
        "free_completed",
        "free_requested",
        "segment_alloc",
        "segment_free",
        "segment_map",
        "segment_unmap",
    ];
    let place = (0..actions.len(), 0u64..40, 0u64..12, 0u64..9);
    place.prop_map(move |(action, addr, size, time)| event(actions[action], A + addr * 256, size * 256, time))
}

proptest! {
    /// Whatever events come in whatever order: the plan is valid, nothing overlaps, all is told.
    #[test]
    fn any_events_make_a_sound_recording(
        events in proptest::collection::vec(any_event(), 0..60),
        blocks in proptest::collection::vec((1u64..8, any::<bool>()), 0..6),
    ) {
        let blocks: Vec<_> = blocks
            .iter()
            .map(|(size, held)| json!({"size": size * 256, "state": if *held { "active_allocated" } else { "inactive" }}))
            .collect();
        let segment = json!({"device": 0, "address": A + 512, "total_size": 4096, "blocks": blocks});
        let imported = read(&json!({"segments": [segment], "device_traces": [events]})).unwrap();
        imported.plan().validate().unwrap();
        let found = buffers(imported.plan());
        let timeline = timeline(imported);
        prop_assert_eq!(timeline.alarm_counts().total(), 0, "{:?}", found);
        let arena = &timeline.plans[0].record.arenas[0];
        prop_assert!(arena.size >= arena.lower_bound);
    }
}

/// What an export told comes back without a deviation, and the report says where it comes from.
#[test]
fn a_report_says_what_it_was_imported_from() {
    let categories = ["parameter", "input", "activation", "output", "temporary", "constant"];
    let events: Vec<Value> = (0..)
        .zip(categories)
        .map(|(at, category)| {
            let mut alloc = event("alloc", A + at * 4096, 4096, at);
            alloc["category"] = json!(category);
            alloc
        })
        .chain([event("free_completed", A, 4096, 9)])
        .collect();
    let timeline = timeline(read(&json!({"segments": [], "device_traces": [events]})).unwrap());
    let found = bayplan_trace::deviation(&timeline.plans[0]).unwrap();
    assert_eq!((found.max_excess(), found.largest().map_or(0, |(_, bytes)| bytes)), (0, 0));
    let text = crate::text(&timeline, &[], false, false);
    assert!(text.contains("imported   from PyTorch memory snapshot x.pickle, by bayplan 1.0\n"), "{text}");
    assert!(text.contains("device     device 0\n"), "{text}");
    let report: Value = serde_json::from_str(&crate::json(&timeline, &[], false)).unwrap();
    assert_eq!(report["session"]["origin"], "PyTorch memory snapshot x.pickle");
}
