//! The difference of two small sessions, in every format.

use bayplan_trace::{
    BufferRecord, Event, OpRecord, PlanRecord, Record, RoofClock, RoofSource, Roofs, Timeline,
};

use super::{Compared, Side, json, markdown, text};
use crate::tests::{MIB, golden, hostile, one_run, plan, session, windows};

/// The plan with one tensor larger, one in place of another, one elsewhere, and an op more.
fn changed() -> PlanRecord {
    let mut record = plan();
    record.arenas[0].size = 9 * MIB;
    record.arenas[0].lower_bound = 8 * MIB;
    record.buffers[2].size = 5 * MIB;
    record.buffers[3] = BufferRecord { name: "shortcut".into(), ..record.buffers[3].clone() };
    record.buffers[5].offset = 7 * MIB / 2;
    record.ops.push(OpRecord { name: "argmax".into(), source_op: "ArgMax".into(), ..OpRecord::default() });
    record.ops[0].kernel = "tiled".into();
    for buffer in &mut record.buffers {
        buffer.last += u32::from(buffer.last == 6);
    }
    record
}

fn timeline(record: &PlanRecord) -> Timeline {
    let mut timeline = session(windows(record), one_run());
    timeline.plans[0] = bayplan_trace::PlanState::new(record.clone());
    timeline
}

fn with(check: impl FnOnce(&Compared<'_>)) {
    let (before, after) = (session(windows(&plan()), one_run()), timeline(&changed()));
    let (a, b) = (Side { name: "before", timeline: &before }, Side { name: "after", timeline: &after });
    check(&Compared::new(a, b));
}

#[test]
fn text_of_a_changed_plan() {
    with(|compared| golden("diff", &text(compared)));
}

#[test]
fn markdown_of_a_changed_plan() {
    with(|compared| golden("diff_markdown", &markdown(compared)));
}

#[test]
fn json_of_a_changed_plan() {
    with(|compared| {
        let read: serde_json::Value = serde_json::from_str(&json(compared)).unwrap();
        assert_eq!((&read["format"], &read["version"]), (&"bayplan-diff".into(), &1.into()));
        assert_eq!(read["same"], false);
        let plan = &read["plans"][0];
        let counts = serde_json::json!({
            "added": 1, "removed": 1, "renamed": 0, "resized": 1, "moved": 1, "relived": 0, "unchanged": 4
        });
        assert_eq!(plan["counts"], counts);
        let arena = &plan["arenas"][0];
        assert_eq!((&arena["a"]["size"], &arena["b"]["size"]), (&(8 * MIB).into(), &(9 * MIB).into()));
        let live = |side: &str| -> i64 {
            let causes = arena["causes"].as_array().unwrap();
            causes.iter().map(|cause| cause[side].as_i64().unwrap()).sum()
        };
        let moment = |side: &str| arena["moment"][side].as_i64().unwrap();
        assert_eq!(live("live_b") - live("live_a"), moment("live_b") - moment("live_a"));
        assert_eq!(arena["causes"][0]["name"], "features/conv2/out");
        assert_eq!(plan["tensors"].as_array().map(Vec::len), Some(4));
    });
}

/// A session that was left in its second run, behind that op.
fn left_at(op: u32) -> Timeline {
    let mut timeline = timeline(&plan());
    timeline.apply(Record::Event(Event::RunStart { run: 1, plan: 0, t: 1 << 40 }));
    timeline.apply(Record::Event(Event::Completed { run: 1, plan: 0, op, t: (1 << 40) + 1 }));
    timeline
}

/// What lives is told where a run was left, the same bytes in text and for programs.
#[test]
fn what_lives_is_told_of_recordings_that_were_left_within_a_run() {
    let (over, left) = (timeline(&plan()), left_at(1));
    let (a, b) = (Side { name: "over", timeline: &over }, Side { name: "left", timeline: &left });
    let compared = Compared::new(a, b);
    let told = text(&compared);
    let words = format!("{} → run 2, op 1 seen complete (2 of 6)", over.progress_words(0));
    assert!(told.contains(&words), "{words} in {told}");
    let read: serde_json::Value = serde_json::from_str(&json(&compared)).unwrap();
    let live = &read["plans"][0]["live"];
    assert_eq!((&live["op_a"], &live["op_b"]), (&serde_json::Value::Null, &1.into()));
    let bytes = |key: &str| live[key].as_u64().unwrap();
    let sum = |key: &str| -> i64 {
        let tensors = live["tensors"].as_array().unwrap();
        tensors.iter().map(|tensor| tensor[key].as_i64().unwrap()).sum()
    };
    assert_eq!(sum("live_b") - sum("live_a"), bytes("b") as i64 - bytes("a") as i64);
    assert!(bytes("b") > bytes("a") && told.contains("live in "), "{told}");
    // Between runs nobody asks, and the report has the same bytes.
    assert!(!text(&Compared::new(a, a)).contains("live in "));
    let report: serde_json::Value = serde_json::from_str(&crate::json(&left, &[], false)).unwrap();
    let arenas = report["plans"][0]["arenas"].as_array().unwrap();
    assert_eq!(arenas.iter().map(|arena| arena["live_now"].as_u64().unwrap()).sum::<u64>(), bytes("b"));
}

/// Names of tensors repeat from model to model: shapes of weights tell.
#[test]
fn different_models_are_said_to_be() {
    let sides = |other: &str| {
        let session = |shape: &str| {
            let mut record = plan();
            record.buffers.push(BufferRecord {
                kind: bayplan_trace::BufferKind::Weight,
                shape: shape.into(),
                ..BufferRecord::default()
            });
            let count = record.ops.len() as u32;
            record.buffers.last_mut().unwrap().last = count;
            record.buffers.retain(|b| b.kind != bayplan_trace::BufferKind::Weight || b.shape == shape);
            timeline(&record)
        };
        (session("f32[64,3,7,7]"), session(other))
    };
    let check = |other: &str, expect: bool| {
        let (a, b) = sides(other);
        let (a, b) = (Side { name: "a", timeline: &a }, Side { name: "b", timeline: &b });
        let compared = Compared::new(a, b);
        let words = "two different models, it seems: 0 of 1 weights are alike in both";
        assert_eq!(text(&compared).contains(words), expect, "{}", text(&compared));
        assert_eq!(markdown(&compared).contains(words), expect, "{}", markdown(&compared));
    };
    check("f32[96,3,7,7]", true);
    check("i8[64,3,7,7]", false);
}

#[test]
fn the_same_is_said_to_be_the_same() {
    let timeline = session(windows(&plan()), one_run());
    let side = Side { name: "x", timeline: &timeline };
    let compared = Compared::new(side, side);
    assert!(text(&compared).contains("the same in both"), "{}", text(&compared));
    assert!(markdown(&compared).contains("No tensor, arena or op differs."), "{}", markdown(&compared));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json(&compared)).unwrap()["same"], true);
    let empty = Timeline::new();
    let nothing = Compared::new(Side { name: "", timeline: &empty }, Side { name: "", timeline: &timeline });
    assert!(text(&nothing).contains("only B"), "{}", text(&nothing));
}

/// A session of one run, whose ops took so long each, on a device that moves so many bytes a second.
fn timed(ns: u64, bytes_per_second: u64) -> Timeline {
    let mut timeline = session(windows(&plan()), one_run());
    for run in 1..3 {
        let start = 10_000_000 * run;
        let times = (0..6).map(|op| (start + op * ns, start + (op + 1) * ns)).collect();
        for event in [
            Event::RunStart { run, plan: 0, t: start },
            Event::OpTimes { run, plan: 0, first_op: 0, times },
            Event::RunEnd { run, t: start + 6 * ns, ok: true },
        ] {
            timeline.apply(Record::Event(event));
        }
    }
    let roofs = Roofs {
        bytes_per_second,
        flops_per_second: 1_000_000_000,
        source: RoofSource::Measured,
        clock: RoofClock::Timestamps,
        measured_unix_ns: 0,
    };
    timeline.session.get_or_insert_default().roofs = Some(roofs);
    timeline
}

#[test]
fn of_one_plan_the_times_are_compared() {
    let (a, b) = (timed(1_000, 2_000_000_000), timed(500_000, 3_000_000_000));
    let side = |timeline| Side { name: "x", timeline };
    let flat = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let found = flat(text(&Compared::new(side(&a), side(&b))));
    for words in [
        "the median of 2 and 2 runs, the first aside",
        "memory 2.00 GB/s → 3.00 GB/s: times",
        "the same in both; these differ by more than 10.0 % of its own time and 1.0 % of the time of all ops",
        "op 0 ",
    ] {
        assert!(found.contains(words), "{words} in {found}");
    }
    let same = flat(text(&Compared::new(side(&a), side(&a))));
    assert!(same.contains("none differs by more than") && !same.contains("at best"), "{same}");
    // The other way round, what was slower is faster.
    let back = flat(text(&Compared::new(side(&b), side(&a))));
    assert!(found.contains("+499 µs op") && back.contains("−499 µs op"), "{found}{back}");
}

#[test]
fn nothing_shown_is_obeyed() {
    let (bad, good) = (hostile(), session(windows(&plan()), one_run()));
    let name = "\u{1b}[2J<b>|`\u{202e}";
    for (a, b) in [(&bad, &good), (&good, &bad), (&bad, &bad)] {
        let compared = Compared::new(Side { name, timeline: a }, Side { name, timeline: b });
        for report in [text(&compared), markdown(&compared), json(&compared)] {
            let obeyed = report.chars().find(|&c| (c.is_control() && c != '\n') || c == '\u{202e}');
            assert_eq!(obeyed, None, "{report}");
        }
        assert!(!markdown(&compared).contains("<b>"));
    }
}
