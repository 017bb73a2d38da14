//! The language on a small session: every figure can be asserted, mistakes are pointed at, and what is not known is open.

use bayplan_trace::quantities::{Filter, Number, QUANTITIES, Reading, Statistic};
use bayplan_trace::{
    ArenaRecord, BufferKind, BufferRecord, Event, EventKind, OpRecord, PlanRecord, Record, RoofClock,
    RoofSource, Roofs, SessionInfo, Timeline, WeightsPath, Window,
};
use proptest::prelude::*;

use super::*;

pub(super) const MIB: u64 = 1 << 20;

fn tensor(name: &str, size: u64, offset: u64, (first, last): (u32, u32)) -> BufferRecord {
    BufferRecord { name: name.into(), size, offset, first, last, alignment: 64, ..BufferRecord::default() }
}

/// Three ops; at op 1 all of `a` (1 MiB), `b` and `c` live in 4 MiB of activations.
pub(super) fn plan(b: u64) -> PlanRecord {
    let arena = |name: &str, size, lower_bound| ArenaRecord {
        name: name.into(),
        size,
        alignment: 64,
        lower_bound,
        ..ArenaRecord::default()
    };
    let op = |name: &str| OpRecord { name: name.into(), bytes: 64, flops: 2, ..OpRecord::default() };
    let weight = BufferRecord { arena: 1, kind: BufferKind::Weight, ..tensor("w", 8 * MIB, 0, (0, 3)) };
    PlanRecord {
        model: "small".into(),
        arenas: vec![arena("activations", 2 * MIB + b, 2 * MIB + b), arena("weights", 8 * MIB, 8 * MIB)],
        buffers: vec![
            tensor("a", MIB, 0, (0, 2)),
            tensor("b", b, MIB, (1, 3)),
            tensor("c", MIB, MIB + b, (1, 3)),
            weight,
        ],
        ops: vec![op("conv"), op("relu"), op("pool")],
        ..PlanRecord::default()
    }
}

/// Every tensor where and when it is planned.
pub(super) fn windows(plan: &PlanRecord) -> Vec<Window> {
    let at = [(0, 0), (1, 0), (1, 1), (2, 1), (1, 2), (2, 2), (0, 3), (2, 3)];
    let window = |(op, buffer): (u32, u32)| {
        let BufferRecord { arena, offset, size, .. } = plan.buffers[buffer as usize];
        Window { op, binding: buffer, buffer, arena, offset, len: size, write: false }
    };
    at.into_iter().map(window).collect()
}

const ROOFS: Roofs = Roofs {
    bytes_per_second: 1_000_000_000,
    flops_per_second: 10_000_000_000,
    source: RoofSource::Measured,
    clock: RoofClock::Timestamps,
    measured_unix_ns: 0,
};

pub(super) fn session(b: u64) -> Timeline {
    let mut timeline = Timeline::new();
    let record = plan(b);
    let session = SessionInfo { model: "small".into(), roofs: Some(ROOFS), ..SessionInfo::default() };
    let windows = Event::Windows { t: 3, recording: 0, plan: 0, part: 0, windows: windows(&record) };
    let block = |id, bytes, planned| Event::DeviceAllocated {
        t: 1,
        id,
        bytes,
        memory_type: 0,
        purpose: "arena".into(),
        planned,
    };
    let run =
        |run, t, took| [Event::RunStart { run, plan: 0, t }, Event::RunEnd { run, t: t + took, ok: true }];
    let times = vec![(10, 1_000_010), (1_000_010, 3_000_010), (3_000_010, 3_000_310)];
    let (path, staging) = (WeightsPath::Staged, 16 * MIB);
    let loaded = [
        Event::LoadStart { t: 1, total: 8 * MIB },
        Event::LoadProgress { t: 2, path, arrived: 8 * MIB, direct: 2 * MIB, staging },
        Event::LoadEnd { t: 2_000_001, ok: true },
    ];
    let events = [block(1, 12 * MIB, true), Event::SessionReady { t: 2 }, windows]
        .into_iter()
        .chain(loaded)
        .chain(run(0, 10, 4_000_000))
        .chain(run(1, 5_000_000, 6_000_000))
        .chain([
            Event::OpTimes { run: 0, plan: 0, first_op: 0, times },
            Event::HeapSample { t: 9, heap: 0, size: 64 * MIB, usage: 16 * MIB, budget: Some(48 * MIB) },
            Event::PoolReady { t: 9, pool: 0, bytes: 1000, name: "outputs".into() },
            Event::PoolAllocated { t: 9, pool: 0, id: 0, offset: 100, bytes: 300 },
            Event::TraceCost { t: 9, ns: 1, run_ns: 8 },
            Event::SessionEnd { t: 20_000_000 },
        ]);
    let first = [Record::Session(session), Record::Plan { plan: 0, record }];
    first.into_iter().chain(events.map(Record::Event)).for_each(|record| timeline.apply(record));
    timeline
}

pub(super) fn judged(timeline: &Timeline) -> Judged<'_> {
    Judged { name: "now.bptrace", timeline, damages: &[], live: false }
}

pub(super) fn finding(text: &str, own: &Judged<'_>, baseline: Option<&Judged<'_>>) -> Finding {
    Assertion::parse(text).unwrap_or_else(|e| panic!("{e}")).judge(own, baseline)
}

fn verdict(text: &str, own: &Judged<'_>) -> Verdict {
    finding(text, own, None).verdict
}

/// One test for every row of the table: it can be asserted by its name, holds for its value and fails for another.
#[test]
fn every_figure_can_be_asserted() {
    let timeline = session(2 * MIB);
    let own = judged(&timeline);
    let check = |name: &str, value: Number| {
        assert_eq!(verdict(&format!("{name} == {value}"), &own), Verdict::Holds, "{name} is {value}");
        assert_eq!(
            verdict(&format!("not ({name} < {value} or {name} > {value})"), &own),
            Verdict::Holds,
            "{name}"
        );
        assert_eq!(verdict(&format!("{name} != {value}"), &own), Verdict::Failed, "{name} is {value}");
        assert_eq!(verdict(&format!("{name} < {value}"), &own), Verdict::Failed, "{name} is {value}");
    };
    let regrets = crate::regret::Regrets::new(&timeline);
    let regret = |plan: u32, buffer: u32| regrets.of(plan, buffer);
    let reading = Reading::new(&timeline).with_regret(&regret);
    for row in QUANTITIES {
        let exact = |value: bayplan_trace::quantities::Value| {
            value.exact().unwrap_or_else(|| panic!("{}: {value:?}", row.name))
        };
        if row.is_distribution() {
            for statistic in Statistic::ALL {
                let name = format!("{}({})", statistic.name(), row.name);
                check(&name, exact(reading.statistic(row, statistic)));
            }
        } else {
            check(row.name, exact(reading.total(row, &Filter::default())));
        }
    }
    // Against what is computed by hand.
    for (name, expected) in [
        ("peak", 12 * MIB),
        ("peak(arena=\"activations\")", 4 * MIB),
        ("regret(tensor=\"b\")", 2 * MIB),
        ("regret(tensor=\"w\")", 8 * MIB),
        ("p50(run_time)", 4_000_000),
        ("op_attainable", 3 * 64),
        ("max(op_time)", 2_000_000),
        ("count(tensor_size(arena=\"activations\"))", 3),
        ("max(peak)", 8 * MIB),
        ("allocs_after_init", 0),
    ] {
        check(name, Number::Whole(expected));
    }
}

#[test]
fn the_language_computes() {
    let timeline = session(2 * MIB);
    let own = judged(&timeline);
    let holds = [
        "peak <= 512MiB and waste <= 2%",
        "peak == 12MiB",
        "peak == 12 MiB",
        "peak == 12_582_912",
        "peak(arena='activations') == 4MiB and peak(arena=1) == 8MiB",
        "peak - peak(arena=\"weights\") == 4MiB",
        "2% * peak > 0.2MiB",
        "peak / reserved == 100%",
        "-peak < 0 and abs(-peak) == peak",
        "max(peak, 20MiB, 3) == 20MiB and min(1, 2, 3) == 1",
        "1 + 2 * 3 == 7 and (1 + 2) * 3 == 9 and 7 / 2 == 3.5 and 8 / 2 == 4 and 1 - 2 - 3 == -4",
        "not deviation > 0 and not not overlap == 0",
        "runs == 3 or runs == 2",
        "p95(op_time) <= 3ms and mean(run_time) == 5ms and count(op_time) == 3 and sum(run_time) == 10ms",
        "max(run_time) < 10 ms and min(op_time) == 300ns",
        "sum(peak(plan=0)) == peak and mean(peak) == 6MiB and min(peak) == 4MiB",
        "op_mean(op=\"relu\") == 2ms and op_mean(op=0, plan=0) == 1ms",
        "tensor_size(tensor=\"b\") == 2MiB and tensor_offset(tensor=\"b\") == 1MiB",
        "heap_usage(heap=0) < heap_budget(heap=0) and fragmentation < 15%",
        "load_rate > 4GB/s and load_rate < 4.2 GB/s and load_rate == 4_194_304_000 and load_rate / 2 <= 2GiB/s",
        "weights_arrived == weights_bytes and load_staging <= 16MiB and load_time == 2ms and failed_loads == 0",
        "9007199254740993 != 9007199254740992",
        "18446744073709551615 * 18446744073709551615 > 1",
        "0.7282913165266107 == 0.72829131652661070 and 0.1 / 1 == 0.1",
        "115 <= 115% * 100 and 0.1 + 0.2 == 0.3 and 1 / 3 * 3 == 1 and -1 / -4 == 25% and 10 / 4 == 2.5",
        "op_mean(op~\"*l*\") == op_mean - op_mean(op=\"conv\") and count(peak(arena~\"*e?ght*\")) == 1",
    ];
    for text in holds {
        let found = finding(text, &own, None);
        assert_eq!(found.verdict, Verdict::Holds, "{text}: {found:?}");
    }
    for text in ["peak < 12MiB", "deviation == 0 and overlap > 0", "not runs == 2", "runs > 2 or runs < 2"] {
        assert_eq!(verdict(text, &own), Verdict::Failed, "{text}");
    }
}

#[test]
fn mistakes_are_pointed_at() {
    let cases = [
        ("", 1, "a number or the name of a figure is missing"),
        ("peek <= 3", 1, "no figure is called `peek`; is it `peak`"),
        ("runs > 1 and wast < 1%", 14, "is it `waste`"),
        ("xyzzy == 1", 1, "--help"),
        ("peak", 1, "this is bytes; an assertion compares it"),
        ("not deviation", 5, "this is a count"),
        ("peak <= 512Mib and (runs > 0", 29, "`)` is missing"),
        ("peak <= 5parsec", 9, "unit `parsec` is unknown"),
        ("run_time < 3ms", 1, "p95(run_time)"),
        ("p95(peak) < 3", 1, "no distribution; run_time and op_time are"),
        ("p95(1) < 3", 5, "takes the name of a figure"),
        ("p95 < 3", 1, "p95(op_time)"),
        ("load_rate < 3MB", 1, "bytes per second and bytes do not go together"),
        ("peak <= 3ms", 1, "bytes and a time do not go together"),
        ("peak <= 2%", 1, "2% * x"),
        ("peak <= baseline.peak + 2%", 9, "2% * x"),
        ("peak * peak > 1", 1, "bytes is multiplied with bytes"),
        ("1 / peak > 1", 1, "is divided by bytes"),
        ("1 <= runs <= 2", 11, "joined with `and`"),
        ("runs = 1", 6, "`=` is written `==`"),
        ("runs == 1 && peak > 0", 11, "`&&` is written `and`"),
        ("runs ≥ 1", 6, "`≥` is written `>=`"),
        ("!runs == 1", 1, "`!` is written `not`"),
        ("peak(arena=3ms) > 1", 12, "a name in quotes or a number"),
        ("peak(heap=0) > 1", 6, "`peak` is chosen by arena or plan"),
        ("runs(plan=0) > 1", 6, "of the whole session"),
        ("peak(plan=\"x\") > 1", 11, "plan is a number"),
        ("peak(plan~\"x\") > 1", 11, "plan is a number: plan=0"),
        ("peak(arena~0) > 1", 12, "like a name in quotes"),
        ("peak(arena \"x\") > 1", 12, "`=` is missing"),
        ("peak > 1.5.2", 8, "malformed"),
        ("peak(arena=\"x > 1", 12, "no closing"),
        ("peak > 1 2", 10, "nothing can stand here"),
        ("peak > 512 mib", 12, "this is no unit"),
        ("PEAK > 1", 1, "is it `peak`"),
        ("waste < .02", 9, "begins with a digit: 0.5"),
        ("peak[0] > 1", 5, "`[` is written `(`"),
        ("runs > 1; peak > 1", 9, "`;` is written `and`"),
        ("peak(activations) > 1", 6, "chosen by arena or plan: peak(arena=…)"),
        ("peak > 5m", 8, "minutes or MiB"),
        ("peak > 1.", 8, "malformed"),
        ("peak > #", 8, "no expression goes on"),
        ("abs(1, 2) > 0", 1, "abs takes one number"),
        ("π > 3", 1, "no expression goes on"),
    ];
    for (text, column, why) in cases {
        let error = Assertion::parse(text).expect_err(text);
        assert!(error.why().contains(why), "{text}: {error}");
        assert_eq!(error.column(), column, "{text}: {error}");
    }
    let error = Assertion::parse("runs > 1 and wast < 1%").expect_err("a mistake");
    let marked = "runs > 1 and wast < 1%\n               ^^^^";
    assert!(error.to_string().ends_with(marked), "{error}");
    let huge = format!("peak > {}", "9".repeat(400));
    assert!(Assertion::parse(&huge).is_err_and(|e| e.why().contains("too large")));
    assert!(Assertion::parse(&"(".repeat(5_000)).is_err());
    assert!(Assertion::parse(&"not ".repeat(2_000)).is_err());
    assert!(Assertion::parse(&format!("{}runs > 0", "runs > 0 and ".repeat(700))).is_ok());
}

#[test]
fn what_is_not_known_is_open() {
    let timeline = session(2 * MIB);
    let damages = ["segment 1: bytes are missing".to_owned()];
    let damaged = Judged { damages: &damages, ..judged(&timeline) };
    // What was seen can only have been more.
    for (text, expected) in [
        ("damage == 0", Verdict::Failed),
        ("deviation == 0", Verdict::Open),
        ("peak <= 512MiB", Verdict::Open),
        ("peak <= 11MiB", Verdict::Failed),
        ("peak > 11MiB", Verdict::Holds),
        ("100MiB - peak > 90MiB", Verdict::Failed),
        ("-2 * runs >= -3", Verdict::Failed),
        ("max(runs, 7) >= 7", Verdict::Holds),
        ("utilisation > 0", Verdict::Open),
        ("deviation == 0 and damage == 0", Verdict::Failed),
        ("deviation == 0 or damage == 1", Verdict::Holds),
        ("not deviation == 0", Verdict::Open),
    ] {
        assert_eq!(verdict(text, &damaged), expected, "{text}");
    }
    let own = judged(&timeline);
    let why = |text: &str, own: &Judged<'_>| finding(text, own, None).why.join("; ");
    assert!(why("peak(arena=\"kv\") > 0", &own).contains("it has \"activations\", \"weights\""));
    assert!(why("peak / deviation > 0", &own).contains("divides by 0"));
    // What is beyond all numbers is larger than none of them.
    let huge = format!("{}.5", "9".repeat(300));
    for text in ["H * H > peak", "H * H - H * H >= 0", "peak < H * H", "0 * (H * H) == 0"] {
        assert!(why(&text.replace('H', &huge), &own).contains("too large"), "{text}");
    }
    let mut planned = Timeline::new();
    planned.apply(Record::Plan { plan: 0, record: plan(MIB) });
    let planned = judged(&planned);
    assert!(why("deviation == 0", &planned).contains("no windows were seen"));
    assert!(why("p95(op_time) < 1s", &planned).contains("--trace-level op"));
    assert!(why("max(run_time) < 1s", &planned).contains("no run has ended"));
    assert_eq!(verdict("peak == 11MiB", &planned), Verdict::Holds);
}

fn by(memory: &str) -> Tolerance {
    Tolerance { memory: Share::parse(memory).expect("a share"), time: None }
}

#[test]
fn a_recording_is_held_against_a_baseline() {
    let (before, after) = (session(2 * MIB), session(3 * MIB));
    let (before, after) = (judged(&before), judged(&after));
    let both = |text: &str| finding(text, &after, Some(&before)).verdict;
    assert_eq!(both("peak <= baseline.peak * 110%"), Verdict::Holds);
    assert_eq!(both("peak - baseline.peak == 1MiB"), Verdict::Holds);
    assert_eq!(both("peak <= baseline.peak"), Verdict::Failed);
    assert_eq!(both("max(baseline.peak) == 8MiB"), Verdict::Holds);
    let alone = Assertion::parse("peak <= baseline.peak").ok().and_then(|found| found.needs_baseline());
    assert_eq!(alone.map(|error| error.column()), Some(9));

    assert!(compare(&before, &before, by("0%")).iter().all(|found| found.verdict == Verdict::Holds));
    assert!(
        compare(&before, &after, by("0%")).iter().all(|found| found.verdict == Verdict::Holds),
        "smaller is better"
    );
    // A mebibyte more of activations is a quarter of them, and a twelfth of everything.
    let found = compare(&after, &before, by("10%"));
    let failed: Vec<_> = found.iter().filter(|found| found.verdict == Verdict::Failed).collect();
    let texts: Vec<&str> = failed.iter().map(|found| found.text.as_str()).collect();
    let peak = "peak(arena=\"activations\") <= baseline.peak(arena=\"activations\") * 110%";
    assert_eq!(texts, [peak, &peak.replace("peak", "reserved")]);
    for found in failed {
        assert_eq!(found.causes.len(), 1, "{found:?}");
        assert!(found.causes[0].contains("+1.00 MiB") && found.causes[0].contains("  b  "), "{found:?}");
    }
    assert!(compare(&after, &before, by("25%")).iter().all(|found| found.verdict == Verdict::Holds));

    // A plan file has no runs and no memory: only what it has is compared.
    let mut planned = Timeline::new();
    planned.apply(Record::Plan { plan: 0, record: plan(2 * MIB) });
    let planned = judged(&planned);
    assert!(compare(&before, &planned, by("0%")).iter().all(|found| found.verdict == Verdict::Holds));
    // But a recording must show what its baseline showed.
    assert!(compare(&planned, &before, by("0%")).iter().any(|found| found.verdict == Verdict::Open));
}

fn findings(texts: &[&str]) -> Findings {
    let (before, after) = (session(2 * MIB), session(3 * MIB));
    let damages = ["at byte 7: \u{1b}[31m<b>".to_owned()];
    let own = Judged { name: "now <&\"'>.bptrace", damages: &damages, ..judged(&after) };
    let before = judged(&before);
    let list = texts.iter().map(|text| finding(text, &own, Some(&before))).collect();
    Findings::new(&own, Some(&before), list)
}

#[test]
fn findings_are_told_in_every_form() {
    let mut found =
        findings(&["peak > 1", "peak < 3MiB and runs < 9", "deviation == 0", "peak(arena=\"<x|`>\") > 0"]);
    found.list[1].causes.push("+1.00 MiB  b".into());
    assert_eq!(found.verdict(), Verdict::Failed);
    assert_eq!(Findings { list: found.list[2..3].to_vec(), ..found.clone() }.verdict(), Verdict::Open);

    let shown = text(&found);
    for part in [
        "FAILED     peak < 3MiB",
        "peak >= 13.0 MiB (13,631,488)",
        "holds      peak > 1",
        "not judged deviation == 0",
        "+1.00 MiB",
        "4 assertions: 1 holds, 1 failed, 2 could not be judged",
        "damaged at 1 place: at byte 7: \\x1b[31m<b>",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    assert!(shown.starts_with("FAILED"), "{shown}");

    let value: serde_json::Value = serde_json::from_str(&json(&found)).expect("JSON");
    assert_eq!(value["verdict"], "failed");
    assert_eq!(value["assertions"][1]["figures"][0]["at_least"], 13 * MIB);
    let causes = value["assertions"][1]["causes"].as_array().expect("a list");
    assert_eq!(causes.last(), Some(&"+1.00 MiB  b".into()));

    let page = markdown(&found);
    assert!(page.contains("❌ **failed**") && page.contains("- `+1.00 MiB  b`"), "{page}");
    assert!(page.contains("``peak(arena=\"<x\\|`>\") > 0``"), "{page}");
    let report = junit(&found);
    assert!(report.contains("tests=\"4\" failures=\"1\" errors=\"2\""), "{report}");
    assert!(report.contains("<testsuite name=\"now &lt;&amp;&quot;&#39;&gt;.bptrace\""), "{report}");
    for output in [&shown, &page, &report, &json(&found)] {
        assert!(!output.contains('\u{1b}'), "{output}");
    }
}

#[test]
fn lost_events_are_noted() {
    let mut timeline = session(MIB);
    timeline.apply(Record::Event(Event::Dropped { t: 0, count: 3, kind: EventKind::RunEnd }));
    let own = Judged { live: true, ..judged(&timeline) };
    let found = Findings::new(&own, None, vec![finding("runs == 2", &own, None)]);
    assert_eq!(found.verdict(), Verdict::Open);
    assert!(found.list[0].why[0].contains("3 × run end"), "{found:?}");
    assert!(found.notes.iter().any(|note| note.contains("still runs")), "{found:?}");
    assert!(found.notes.iter().any(|note| note.contains("lost 3 events")), "{found:?}");
}

proptest! {
    /// Whatever is typed is read or refused, and an error points into it.
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        if let Err(error) = Assertion::parse(&text) {
            prop_assert!(error.column() <= text.chars().count() + 1);
            let shown = error.to_string();
            prop_assert!(!shown.contains('\x1b'), "{}", shown);
        }
    }

    /// What is made of the language's own words is judged without a panic.
    #[test]
    fn any_words_are_judged(words in prop::collection::vec(prop::sample::select(vec![
        "peak", "runs", "run_time", "baseline", ".", "(", ")", "arena", "=", "==", "<", ">=", "!=", "+", "-", "*", "/",
        "and", "or", "not", "1", "0", "2%", "3ms", "1MiB", "\"x\"", ",", "max", "p95", "abs", "deviation",
    ]), 0..12)) {
        if let Ok(assertion) = Assertion::parse(&words.join(" ")) {
            let timeline = session(MIB);
            let own = judged(&timeline);
            let _ = text(&Findings::new(&own, None, vec![assertion.judge(&own, None)]));
        }
    }
}
