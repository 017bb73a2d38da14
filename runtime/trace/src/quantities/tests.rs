//! Every row of the table has the value that is computed by hand for one small session, and says what it does not know.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::WeightsPath;
use crate::{
    ArenaRecord, BufferKind, BufferRecord, Event, OpRecord, PlanRecord, RETIRED, Record, RoofClock,
    RoofSource, Roofs, SessionInfo, Timeline, Window,
};

fn arena(name: &str, size: u64, lower_bound: u64) -> ArenaRecord {
    ArenaRecord { name: name.into(), size, alignment: 64, lower_bound, ..ArenaRecord::default() }
}

fn tensor(name: &str, size: u64, offset: u64, (first, last): (u32, u32)) -> BufferRecord {
    BufferRecord { name: name.into(), size, offset, first, last, ..BufferRecord::default() }
}

fn op(name: &str, bytes: u64, flops: u64) -> OpRecord {
    OpRecord { name: name.into(), source_node: name.to_uppercase(), bytes, flops, ..OpRecord::default() }
}

/// At op 1, the peak: `a` 0..100, padding to 128, a hole to 192, `b` to 256, `c` to 456, tail to 512.
fn plan() -> PlanRecord {
    let weight = BufferRecord { arena: 1, kind: BufferKind::Weight, ..tensor("w", 100, 0, (0, 3)) };
    PlanRecord {
        arenas: vec![arena("activations", 512, 364), arena("weights", 100, 100)],
        buffers: vec![
            tensor("a", 100, 0, (0, 2)),
            tensor("b", 64, 192, (0, 3)),
            tensor("c", 200, 256, (1, 3)),
            weight,
        ],
        ops: vec![op("conv", 10, 1), op("relu", 20, 2), op("pool", 30, 3)],
        ..PlanRecord::default()
    }
}

/// A smaller shape, which decides nothing that the larger one does.
fn smaller() -> PlanRecord {
    let weight = BufferRecord { arena: 1, kind: BufferKind::Weight, ..tensor("w", 100, 0, (0, 1)) };
    PlanRecord {
        arenas: vec![arena("activations", 64, 64), arena("weights", 100, 100)],
        buffers: vec![tensor("a", 64, 0, (0, 1)), weight],
        ops: vec![op("conv", 5, 1)],
        ..PlanRecord::default()
    }
}

fn window(op: u32, buffer: u32, arena: u32, offset: u64, len: u64) -> Window {
    Window { op, binding: 0, buffer, arena, offset, len, write: false }
}

/// `a` is touched an op late, and once where `b` lives; half of `c` is never touched.
fn windows() -> Vec<Window> {
    vec![
        window(0, 0, 0, 0, 100),
        window(2, 0, 0, 0, 100),
        window(1, 0, 0, 192, 32),
        window(0, 1, 0, 192, 64),
        window(2, 1, 0, 192, 64),
        window(1, 2, 0, 256, 100),
        window(2, 2, 0, 256, 100),
        window(0, 3, 1, 0, 100),
    ]
}

fn seen(plan: u32, part: u32, windows: Vec<Window>) -> Event {
    Event::Windows { t: 6, recording: plan, plan, part, windows }
}

fn allocated(id: u64, bytes: u64, planned: bool) -> Event {
    Event::DeviceAllocated { t: 2, id, bytes, memory_type: 0, purpose: "arena".into(), planned }
}

fn progress(t: u64, path: WeightsPath, arrived: u64) -> Event {
    Event::LoadProgress { t, path, arrived, direct: arrived / 2, staging: 16 }
}

fn fold(plans: Vec<PlanRecord>, events: Vec<Event>) -> Timeline {
    let mut timeline = Timeline::new();
    let plans = (0..).zip(plans).map(|(plan, record)| Record::Plan { plan, record });
    plans.chain(events.into_iter().map(Record::Event)).for_each(|record| timeline.apply(record));
    timeline
}

fn session() -> Timeline {
    let events = vec![
        allocated(1, 1000, true),
        allocated(2, 77, false),
        Event::LoadStart { t: 2, total: 90 },
        progress(3, WeightsPath::Imported, 20),
        progress(3, WeightsPath::Mapped, 10),
        progress(4, WeightsPath::Staged, 40),
        Event::LoadEnd { t: 4, ok: false },
        Event::LoadStart { t: 5, total: 8 },
        progress(6, WeightsPath::Host, 8),
        Event::SessionReady { t: 5 },
        allocated(3, 23, true),
        Event::DeviceFreed { t: 5, id: 3 },
        seen(0, 0, windows()),
        seen(1, 0, vec![window(0, 0, 0, 0, 64)]),
        Event::PoolReady { t: 5, pool: 0, bytes: 1000, name: "outputs".into() },
        Event::PoolAllocated { t: 5, pool: 0, id: 1, offset: 0, bytes: 300 },
        Event::PoolAllocated { t: 5, pool: 0, id: 2, offset: 300, bytes: 100 },
        Event::PoolFreed { t: 5, pool: 0, id: 1 },
        Event::HeapSample { t: 7, heap: 0, size: 5000, usage: 4200, budget: Some(4500) },
        Event::HeapSample { t: 7, heap: 0, size: 5000, usage: 4000, budget: Some(4500) },
        Event::RunStart { run: 0, plan: 0, t: 10 },
        Event::LoadEnd { t: 13, ok: true },
        Event::RunEnd { run: 0, t: 20, ok: true },
        Event::OpTimes { run: 0, plan: 0, first_op: 0, times: vec![(10, 12), (12, 18), (18, 19)] },
        Event::RunStart { run: 1, plan: 0, t: 30 },
        Event::RunEnd { run: 1, t: 50, ok: false },
        Event::RunStart { run: 2, plan: 1, t: 60 },
        Event::RunEnd { run: 2, t: 100, ok: true },
        Event::OpTimes { run: 2, plan: 1, first_op: 0, times: vec![(60, 65)] },
        Event::Dropped { t: 101, count: 3, kind: EventKind::Message },
        Event::TraceCost { t: 102, ns: 2, run_ns: 100 },
        Event::SessionEnd { t: 200 },
    ];
    let mut timeline = fold(vec![plan(), smaller()], events);
    timeline.apply(Record::Session(SessionInfo { roofs: Some(ROOFS), ..SessionInfo::default() }));
    timeline
}

/// 5 bytes and half a flop a nanosecond: at the roof the ops of plan 0 take 2, 4 and 6 ns, that of plan 1 takes 2 ns of its 5.
const ROOFS: Roofs = Roofs {
    bytes_per_second: 5_000_000_000,
    flops_per_second: 500_000_000,
    source: RoofSource::Cached,
    clock: RoofClock::Timestamps,
    measured_unix_ns: 1,
};

/// Of the runs of 10 and 40 ns; of the ops of 2, 6, 1 and 5 ns.
const STATISTICS: &[(&str, [f64; 9])] = &[
    ("run_time", [2.0, 50.0, 10.0, 40.0, 25.0, 10.0, 40.0, 40.0, 40.0]),
    ("op_time", [4.0, 14.0, 1.0, 6.0, 3.5, 2.0, 6.0, 6.0, 6.0]),
];

/// The value of each other row, in the order of the table.
const EXPECTED: &[(&str, Number)] = &[
    ("peak", Number::Whole(556)),
    ("reserved", Number::Whole(612)),
    ("lower_bound", Number::Whole(464)),
    ("gap", Number::Whole(148)),
    ("waste", Number::Real(148.0 / 364.0)),
    ("utilisation", Number::Real(364.0 / 512.0)),
    ("utilisation_min", Number::Real(164.0 / 512.0)),
    ("area_efficiency", Number::Real(792.0 / 1536.0)),
    ("peak_live", Number::Whole(464)),
    ("live", Number::Whole(464)),
    ("padding", Number::Whole(28)),
    ("holes", Number::Whole(64)),
    ("tail", Number::Whole(56)),
    ("hole_count", Number::Whole(1)),
    ("largest_hole", Number::Whole(64)),
    ("largest_fit", Number::Whole(64)),
    ("plan_ops", Number::Whole(3)),
    ("plan_tensors", Number::Whole(4)),
    ("plans", Number::Whole(2)),
    ("deviation", Number::Whole(2)),
    ("overlap", Number::Whole(1)),
    ("unplanned", Number::Whole(1)),
    ("deviation_bytes", Number::Whole(200)),
    ("excess_bytes", Number::Whole(100)),
    ("lateness", Number::Whole(1)),
    ("reserved_unused", Number::Whole(100)),
    ("reached", Number::Whole(456)),
    ("runs", Number::Whole(2)),
    ("failed_runs", Number::Whole(1)),
    ("started_runs", Number::Whole(3)),
    ("ended", Number::Whole(1)),
    ("duration", Number::Whole(200)),
    ("build_time", Number::Whole(5)),
    ("dropped", Number::Whole(3)),
    ("damage", Number::Whole(0)),
    ("trace_cost", Number::Real(0.02)),
    ("weights_bytes", Number::Whole(98)),
    ("weights_arrived", Number::Whole(78)),
    ("weights_imported", Number::Whole(20)),
    ("weights_mapped", Number::Whole(10)),
    ("weights_staged", Number::Whole(40)),
    ("weights_host", Number::Whole(8)),
    ("weights_direct", Number::Whole(24)),
    ("load_staging", Number::Whole(16)),
    ("load_time", Number::Whole(10)),
    ("load_rate", Number::Whole(7_800_000_000)),
    ("load_overlap", Number::Whole(3)),
    ("loads", Number::Whole(2)),
    ("failed_loads", Number::Whole(1)),
    ("allocs_after_init", Number::Whole(1)),
    ("device_blocks", Number::Whole(2)),
    ("device_bytes", Number::Whole(1077)),
    ("device_bytes_max", Number::Whole(1100)),
    ("unaccounted", Number::Whole(1077)),
    ("heap_size", Number::Whole(5000)),
    ("heap_usage", Number::Whole(4000)),
    ("heap_usage_max", Number::Whole(4200)),
    ("heap_budget", Number::Whole(4500)),
    ("heap_others", Number::Whole(500)),
    ("heap_headroom", Number::Whole(500)),
    ("pool_size", Number::Whole(1000)),
    ("pool_live", Number::Whole(100)),
    ("pool_ranges", Number::Whole(1)),
    ("pool_high_water", Number::Whole(400)),
    ("pool_top", Number::Whole(400)),
    ("pool_allocations", Number::Whole(2)),
    ("pool_free", Number::Whole(900)),
    ("pool_holes", Number::Whole(2)),
    ("pool_largest_free", Number::Whole(600)),
    ("fragmentation", Number::Real(1.0 - 600.0 / 900.0)),
    ("op_mean", Number::Whole(9)),
    ("op_latest", Number::Whole(9)),
    ("op_timings", Number::Whole(1)),
    ("op_bytes", Number::Whole(60)),
    ("op_flops", Number::Whole(6)),
    ("op_attainable", Number::Real(12.0)),
    ("op_roof_share", Number::Real(0.4)),
    ("tensor_size", Number::Whole(200)),
    ("tensor_offset", Number::Whole(256)),
    ("tensor_life", Number::Whole(3)),
    ("tensor_lateness", Number::Whole(1)),
    ("regret", Number::Whole(56)),
];

fn total(reading: &Reading<'_>, name: &str, filter: &Filter) -> Value {
    let row = quantity(name).unwrap_or_else(|| panic!("no row {name}"));
    reading.total(row, filter)
}

fn of_session(timeline: &Timeline, name: &str) -> Value {
    total(&Reading::new(timeline), name, &Filter::default())
}

fn named(key: Key, name: &str) -> Filter {
    Filter::by(key, Match::Name(name.into()))
}

#[test]
fn each_row_has_its_value() {
    let timeline = session();
    let regret = |plan: u32, buffer: u32| Some(if (plan, buffer) == (0, 2) { (56, 56) } else { (0, 0) });
    let reading = Reading::new(&timeline).with_regret(&regret);
    let names: Vec<&str> =
        QUANTITIES.iter().filter(|row| !row.is_distribution()).map(|row| row.name).collect();
    assert_eq!(names, EXPECTED.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for (name, expected) in EXPECTED {
        let value = total(&reading, name, &Filter::default());
        assert_eq!(value, Value::Exact(*expected), "{name}");
    }
    let distributions: Vec<_> = QUANTITIES.iter().filter(|row| row.is_distribution()).collect();
    assert_eq!(distributions.len(), STATISTICS.len());
    for (row, (name, expected)) in distributions.into_iter().zip(STATISTICS) {
        assert_eq!(row.name, *name);
        let values =
            Statistic::ALL.map(|statistic| reading.statistic(row, statistic).exact().map(Number::as_f64));
        assert_eq!(values, expected.map(Some), "{name}");
    }
}

#[test]
fn rows_are_documented_and_told_apart() {
    for (at, row) in QUANTITIES.iter().enumerate() {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(!row.name.is_empty() && row.name.chars().all(plain), "{}", row.name);
        assert!(!row.help.is_empty() && !row.source.is_empty() && !row.help.ends_with('.'), "{}", row.name);
        assert!(QUANTITIES[..at].iter().all(|before| before.name != row.name), "{} twice", row.name);
    }
}

/// The session's figures come with those of every plan, arena and heap; the parts of an arena add up to its size.
#[test]
fn figures_are_told_of_each_subject() {
    let timeline = session();
    let figures = figures(&timeline);
    let of = |name: &str| figures.iter().filter(|figure| figure.quantity.name == name).collect::<Vec<_>>();
    let peaks: Vec<(Subject<'_>, Option<Number>)> =
        of("peak").iter().map(|figure| (figure.subject, figure.value.exact())).collect();
    let arena = |plan, arena, name| Subject::Arena { plan, arena, name };
    let whole = |number| Some(Number::Whole(number));
    let expected = [
        (Subject::Session, whole(556)),
        (arena(0, 0, "activations"), whole(456)),
        (arena(0, 1, "weights"), whole(100)),
        (arena(1, 0, "activations"), whole(64)),
        (arena(1, 1, "weights"), whole(100)),
    ];
    assert_eq!(peaks, expected);
    assert_eq!(of("deviation").len(), 3);
    assert_eq!(of("heap_usage").len(), 2);
    assert_eq!(of("tensor_size").len(), 1, "there can be millions");
    for at in 1..5 {
        let parts: f64 = ["live", "padding", "holes", "tail"]
            .map(|name| of(name)[at].value.exact().map_or(f64::NAN, Number::as_f64))
            .iter()
            .sum();
        assert_eq!(Some(parts), of("reserved")[at].value.exact().map(Number::as_f64));
    }
}

#[test]
fn subjects_are_chosen_by_name_and_number() {
    let timeline = session();
    let reading = Reading::new(&timeline);
    let check = |name: &str, filter: Filter, expected: u64| {
        assert_eq!(total(&reading, name, &filter), Value::whole(expected), "{name} of {filter}");
    };
    check("peak", named(Key::Arena, "activations"), 456);
    check("peak", Filter::by(Key::Arena, Match::Number(1)), 100);
    check("peak", Filter::by(Key::Plan, Match::Number(1)), 164);
    let both = |name: &str, plan| {
        Filter(vec![(Key::Arena, Match::Name(name.into())), (Key::Plan, Match::Number(plan))])
    };
    check("reserved", both("activations", 1), 64);
    check("deviation", Filter::by(Key::Plan, Match::Number(1)), 0);
    check("heap_usage", Filter::by(Key::Heap, Match::Number(0)), 4000);
    check("pool_live", named(Key::Pool, "outputs"), 100);
    check("op_mean", named(Key::Op, "relu"), 6);
    check("op_mean", named(Key::Op, "RELU"), 6);
    check("op_mean", named(Key::Op, "conv"), 5);
    check("op_latest", Filter::by(Key::Op, Match::Number(2)), 1);
    check("tensor_size", named(Key::Tensor, "b"), 64);
    check("tensor_lateness", named(Key::Tensor, "a"), 1);
    check("tensor_offset", named(Key::Arena, "weights"), 0);
}

#[test]
fn what_is_not_known_says_why() {
    fn check(timeline: &Timeline, name: &str, filter: &Filter, expected: &str) {
        match total(&Reading::new(timeline), name, filter) {
            Value::Unknown(why) => assert!(why.to_string().contains(expected), "{name}: {why}"),
            value => panic!("{name}: {value:?}"),
        }
    }
    let (empty, none) = (Timeline::new(), Filter::default());
    check(&empty, "peak", &none, "no plan");
    check(&empty, "deviation", &none, "no plan");
    // Of a plan alone nothing is known that only a run shows.
    for name in ["unplanned", "failed_runs", "ended", "allocs_after_init", "device_bytes_max"] {
        check(&fold(vec![plan()], vec![]), name, &none, "nothing ran");
    }
    let mut begun = Timeline::new();
    begun.apply(Record::Session(SessionInfo::default()));
    check(&begun, "device_bytes_max", &none, "no block");
    check(&empty, "heap_usage", &none, "driver");
    check(&begun, "build_time", &none, "ready");
    check(&empty, "pool_free", &none, "no dynamic pool");
    check(&begun, "weights_arrived", &none, "no weights");
    check(&begun, "load_rate", &none, "no weights");
    check(&session(), "run_time", &none, "distribution");
    check(&begun, "trace_cost", &none, "no run");
    check(&fold(vec![PlanRecord::default()], vec![]), "peak", &none, "has any arena");
    let mut imported = Timeline::new();
    imported.apply(Record::Session(SessionInfo { origin: "a snapshot".into(), ..SessionInfo::default() }));
    check(&imported, "unplanned", &none, "nothing ran");
    imported.apply(Record::Event(Event::RunStart { run: 0, plan: 0, t: 1 }));
    check(&imported, "unplanned", &none, "imported");
    let op_time = QUANTITIES.iter().find(|quantity| quantity.name == "op_time").unwrap();
    let timed = |statistic| Reading::new(&begun).statistic(op_time, statistic);
    assert_eq!(timed(Statistic::Count), Value::whole(0));
    assert_eq!(
        timed(Statistic::Sum),
        Value::Unknown(Unknown::NotTimed),
        "a sum of nothing is no measurement"
    );
    let planned = fold(vec![plan()], vec![]);
    check(&planned, "deviation", &none, "no windows");
    check(&planned, "reached", &none, "no windows");
    check(&planned, "tensor_lateness", &none, "no windows");
    check(&planned, "op_mean", &named(Key::Op, "conv"), "--trace-level op");
    check(&planned, "op_attainable", &none, "--probe");
    check(&planned, "regret", &none, "planner");
    check(&planned, "peak", &named(Key::Arena, "actvations"), "it has \"activations\", \"weights\"");
    check(&planned, "peak", &Filter::by(Key::Plan, Match::Number(7)), "no plan 7; it has 0");
    let heap = |heap| Event::HeapSample { t: 0, heap, size: 1, usage: 1, budget: None };
    let heaps = fold(vec![plan()], vec![heap(0), heap(1)]);
    check(&heaps, "heap_usage", &none, "say of which heap");
    check(&heaps, "heap_budget", &Filter::by(Key::Heap, Match::Number(1)), "driver");
}

/// Runs but the first count, as wherever ops are listed.
#[test]
fn shares_of_roofs_are_those_that_are_listed() {
    let mut timeline = session();
    let times = vec![(100, 102), (102, 132), (132, 133)];
    timeline.apply(Record::Event(Event::OpTimes { run: 3, plan: 0, first_op: 0, times }));
    let shares = timeline.plans.iter().flat_map(|plan| crate::op_shares(plan, timeline.roofs()));
    let least = shares.filter_map(|share| share.roof).map(|roof| roof.share).fold(f64::INFINITY, f64::min);
    assert!(least < 0.4);
    assert_eq!(of_session(&timeline, "op_roof_share"), Value::real(least));
}

/// What may have been larger is told as "at least" where records are missing, the rest as unknown.
#[test]
fn losses_make_figures_uncertain() {
    let lost = |kind| {
        let mut timeline = session();
        timeline.apply(Record::Event(Event::Dropped { t: 300, count: 4, kind }));
        timeline
    };
    let why = |kind| Unknown::Lost { kind, count: 4 };
    let windows = lost(EventKind::Windows);
    let at_least = |number, why| Value::AtLeast(Number::Whole(number), why);
    assert_eq!(of_session(&windows, "deviation"), at_least(2, why(EventKind::Windows)));
    assert_eq!(of_session(&windows, "reserved_unused"), Value::Unknown(why(EventKind::Windows)));
    assert_eq!(of_session(&windows, "peak"), Value::whole(556));
    assert_eq!(of_session(&lost(EventKind::RunEnd), "runs"), at_least(2, why(EventKind::RunEnd)));
    assert_eq!(of_session(&lost(EventKind::OpTimes), "op_mean"), Value::Unknown(why(EventKind::OpTimes)));
    assert_eq!(
        of_session(&lost(EventKind::OpTimes), "op_roof_share"),
        Value::Unknown(why(EventKind::OpTimes))
    );
    // It needs no times: what the plan says is enough.
    assert_eq!(of_session(&lost(EventKind::OpTimes), "op_attainable"), Value::real(12.0));

    let times = quantity("run_time").expect("a row");
    let timed = |timeline: &Timeline, statistic| Reading::new(timeline).statistic(times, statistic);
    let torn = lost(EventKind::RunEnd);
    assert_eq!(timed(&torn, Statistic::Max), at_least(40, why(EventKind::RunEnd)));
    assert_eq!(timed(&torn, Statistic::P50), Value::Unknown(why(EventKind::RunEnd)));
    assert_eq!(timed(&Timeline::new(), Statistic::P50), Value::Unknown(Unknown::NoRuns));

    let timeline = session();
    let damaged = Reading::new(&timeline).with_damage(2);
    let damaged = |name: &str| total(&damaged, name, &Filter::default());
    assert_eq!(damaged("damage"), Value::whole(2));
    assert_eq!(damaged("overlap"), at_least(1, Unknown::Damaged));
    assert_eq!(damaged("peak"), at_least(556, Unknown::Damaged));
    assert_eq!(damaged("utilisation"), Value::Unknown(Unknown::Damaged));

    // The middle of three parts is missing.
    let parts = vec![seen(0, 0, windows_part(0)), seen(0, 2, windows_part(2))];
    let torn = fold(vec![plan()], parts);
    assert_eq!(of_session(&torn, "deviation"), at_least(1, Unknown::LostWindows));
    assert_eq!(of_session(&torn, "reserved_unused"), Value::Unknown(Unknown::LostWindows));
}

fn windows_part(part: usize) -> Vec<Window> {
    windows().chunks(2).nth(part).map(<[Window]>::to_vec).unwrap_or_default()
}

/// What a session needs is what its largest plan needed, also when many came after it.
#[test]
fn forgotten_plans_keep_their_figures() {
    let clean = || vec![window(0, 0, 0, 0, 100), window(1, 2, 0, 256, 200)];
    let count = RETIRED as u32 + 8;
    let plans = (0..count).map(|number| if number == 0 { plan() } else { smaller() }).collect();
    let mut events = vec![seen(0, 0, clean())];
    for plan in 0..count {
        events.push(Event::RunStart { run: u64::from(plan), plan, t: 1 });
        events.push(Event::RunEnd { run: u64::from(plan), t: 2, ok: true });
        events.push(Event::PlanRetired { t: 3, plan });
    }
    let timeline = fold(plans, events);
    assert!(timeline.plans[0].forgotten);
    assert_eq!(of_session(&timeline, "peak"), Value::whole(556));
    assert_eq!(of_session(&timeline, "padding"), Value::whole(28));
    let reached = total(&Reading::new(&timeline), "reached", &Filter::by(Key::Plan, Match::Number(0)));
    assert_eq!(reached, Value::whole(456));
}
