//! What is named where an assertion fails: alarms, the tensors at a peak, those that grew beside a baseline.

use bayplan_trace::{DimBinding, Event, Level, PlanRecord, Record, Timeline, Window};

use super::tests::{MIB, finding, judged, plan, session, windows};
use super::*;

/// What a finding names.
fn named(text: &str, own: &Timeline, baseline: Option<&Timeline>) -> Vec<String> {
    let baseline = baseline.map(judged);
    let found = finding(text, &judged(own), baseline.as_ref());
    assert_eq!(found.verdict, Verdict::Failed, "{text}: {found:?}");
    found.causes
}

/// A session of several plans that ran.
fn planned(plans: impl IntoIterator<Item = PlanRecord>) -> Timeline {
    let mut timeline = Timeline::new();
    for (plan, record) in (0..).zip(plans) {
        let windows = Event::Windows { t: 3, recording: 0, plan, part: 0, windows: windows(&record) };
        timeline.apply(Record::Plan { plan, record });
        timeline.apply(Record::Event(windows));
    }
    timeline
}

fn sized(b: u64, past: i64) -> PlanRecord {
    PlanRecord { dims: vec![DimBinding { name: "past".into(), value: past }], ..plan(b) }
}

#[test]
fn alarms_are_named_with_op_and_tensor() {
    let mut timeline = session(2 * MIB);
    let record = plan(2 * MIB);
    let mut moved = windows(&record);
    // `b` half a mebibyte higher, over `c`; `a` one op after its end.
    moved[2].offset += MIB / 2;
    moved.push(Window { op: 2, binding: 7, buffer: 0, arena: 0, offset: 0, len: MIB, write: false });
    timeline.apply(Record::Event(Event::Windows { t: 4, recording: 1, plan: 0, part: 0, windows: moved }));
    let block = Event::DeviceAllocated {
        t: 5,
        id: 9,
        bytes: 4096,
        memory_type: 0,
        purpose: String::new(),
        planned: false,
    };
    timeline.apply(Record::Event(block));

    let all = named("deviation == 0 and overlap == 0 and unplanned == 0", &timeline, None);
    for part in [
        "deviation: op 1 (relu) binding 1: buffer 1 (b) is bound at bytes",
        "deviation: op 2 (pool) touches buffer 0 (a), planned to live during ops 0 to 1",
        "overlap: buffer 1 (b) and buffer 2 (c) share bytes",
        "unplanned: block 9 of 4096 bytes",
    ] {
        assert!(all.iter().any(|line| line.starts_with(part)), "{part} in {all:#?}");
    }
    // Only what failed has causes: runs are as asserted.
    assert_eq!(named("runs == 2 and unplanned == 0", &timeline, None).len(), 1);
    assert_eq!(named("deviation == 0 and runs == 3 and unplanned == 1", &timeline, None).len(), 2);
    assert_eq!(named("runs == 3 and unplanned == 1", &timeline, None), Vec::<String>::new());
    assert_eq!(named("not unplanned > 0", &timeline, None).len(), 1);
    assert_eq!(named("deviation(plan=0) == 0", &timeline, None).len(), 2);
}

#[test]
fn tensors_at_the_peak_are_named_without_a_baseline() {
    let timeline = session(2 * MIB);
    let found = named("peak(arena=\"activations\") <= 3MiB", &timeline, None);
    assert_eq!(found[0], "4.00 MiB live in activations at its peak, op 1 (relu):");
    assert!(found[1].starts_with("  2.00 MiB  b") && found.len() == 4, "{found:#?}");
    // Without a choice of the arena, all of them.
    let found = named("peak < 1MiB", &timeline, None);
    assert!(found.iter().any(|line| line.contains("8.00 MiB live in weights")), "{found:#?}");
    assert_eq!(named("runs == 3 and peak > 1MiB", &timeline, None), Vec::<String>::new());
}

#[test]
fn what_grew_is_named_beside_a_baseline() {
    let (before, after) = (session(2 * MIB), session(3 * MIB));
    let found = named("peak <= baseline.peak", &after, Some(&before));
    assert_eq!(found, [" +1.00 MiB  b  2.00 MiB → 3.00 MiB"]);
    // The other way round nothing grew.
    assert_eq!(named("peak >= baseline.peak", &before, Some(&after)), Vec::<String>::new());

    // Holes: what lives is the same, one tensor lies higher.
    let mut record = plan(2 * MIB);
    record.buffers[2].offset += MIB;
    record.arenas[0].size += MIB;
    let apart = planned([record]);
    let found =
        named("peak(arena=\"activations\") <= baseline.peak(arena=\"activations\")", &apart, Some(&before));
    assert_eq!(
        found,
        [
            " +1.00 MiB  holes at the peak  0 B → 1.00 MiB",
            "c ends highest: 1.00 MiB, moved from 3145728 to 4194304"
        ]
    );
}

/// A session plans for every shape that it meets: the plan that needs most is compared, with the one for the same shape.
#[test]
fn of_several_plans_the_largest_counts() {
    let before = planned([sized(MIB, 1), sized(2 * MIB, 2)]);
    let after = planned([sized(MIB, 1), sized(4 * MIB, 2), sized(MIB, 3)]);
    let text = "peak(arena=\"activations\") <= baseline.peak(arena=\"activations\")";
    assert_eq!(named(text, &after, Some(&before)), [" +2.00 MiB  b  2.00 MiB → 4.00 MiB"]);
    // A shape that the baseline never met: beside its largest.
    let longer = planned([sized(MIB, 1), sized(3 * MIB, 9)]);
    assert_eq!(named(text, &longer, Some(&before)), [" +1.00 MiB  b  2.00 MiB → 3.00 MiB"]);
}

#[test]
fn an_arena_that_the_baseline_lacks_is_named() {
    let mut record = plan(MIB);
    record.arenas[0].name = "kv".into();
    let (own, before) = (planned([record]), planned([plan(MIB)]));
    let found = compare(&judged(&own), &judged(&before), Tolerance::default());
    let failed: Vec<_> = found.iter().filter(|found| found.verdict == Verdict::Failed).collect();
    assert_eq!(failed[0].text, "peak(arena=\"kv\") <= 0");
    assert_eq!(failed[0].causes[0], "the baseline has no such arena");
    assert!(failed[0].causes.iter().any(|line| line.contains("  b  ")), "{failed:#?}");
}

#[test]
fn times_are_compared_with_a_tolerance_of_their_own() {
    let (fast, mut slow) = (session(MIB), session(MIB));
    for run in 2..5 {
        slow.apply(Record::Event(Event::RunStart { run, plan: 0, t: 30_000_000 }));
        slow.apply(Record::Event(Event::RunEnd { run, t: 36_000_000, ok: true }));
    }
    let compared = |own: &Timeline, before: &Timeline, time: Option<&str>| -> Vec<(String, Verdict)> {
        let time = time.map(|time| Share::parse(time).expect("a share"));
        let tolerance = Tolerance { memory: Share::default(), time };
        let found = compare(&judged(own), &judged(before), tolerance);
        found
            .into_iter()
            .filter(|found| found.text.contains("time") || found.text.contains("op_mean"))
            .map(|found| (found.text, found.verdict))
            .collect()
    };
    assert_eq!(compared(&slow, &fast, None), []);
    let runs = "p50(run_time) <= p50(baseline.run_time) * 125%";
    let ops = "op_mean <= baseline.op_mean * 125%";
    let told = |runs_: Verdict| vec![(runs.to_owned(), runs_), (ops.to_owned(), Verdict::Holds)];
    assert_eq!(compared(&slow, &fast, Some("25%")), told(Verdict::Failed));
    assert_eq!(compared(&fast, &slow, Some("25%")), told(Verdict::Holds));
    // Whoever asks for times is told that the baseline has none.
    assert_eq!(compared(&fast, &planned([plan(MIB)]), Some("25%")), [(runs.to_owned(), Verdict::Open)]);
}

#[test]
fn what_cannot_well_be_compared_is_noted() {
    let session = |device: &str, driver: &str, past: i64, level: Level| {
        let mut timeline = Timeline::new();
        timeline.apply(Record::Session(bayplan_trace::SessionInfo {
            driver: driver.into(),
            level,
            ..bayplan_trace::SessionInfo::default()
        }));
        timeline.apply(Record::Plan {
            plan: 0,
            record: PlanRecord { target: device.into(), ..sized(MIB, past) },
        });
        timeline
    };
    let notes = |own: &Timeline, before: &Timeline| {
        let (own, before) = (judged(own), Judged { name: "before", ..judged(before) });
        Findings::new(&own, Some(&before), Vec::new()).notes
    };
    let own = session("llvmpipe", "Mesa 25", 4, Level::Run);
    assert_eq!(notes(&own, &own), Vec::<String>::new());
    let check = |other: &Timeline, expected: &str| {
        let found = notes(&own, other);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{expected}: {found:?}");
    };
    check(&session("gpu", "x", 4, Level::Run), "the device differs: gpu in the baseline, llvmpipe here");
    check(&session("llvmpipe", "Mesa 24", 4, Level::Run), "the driver differs: Mesa 24 in");
    check(
        &session("llvmpipe", "Mesa 25", 8, Level::Run),
        "no shape is in both: past = 8 in the baseline, past = 4 here",
    );
    check(
        &session("llvmpipe", "Mesa 25", 4, Level::Op),
        "the trace level differs: op in the baseline, run here",
    );
    check(
        &planned([PlanRecord { target: "llvmpipe".into(), ..sized(MIB, 4) }]),
        "before is a plan: nothing ran",
    );
}
