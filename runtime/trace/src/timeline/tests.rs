//! Sessions folded into a timeline: clean ones raise no alarm, planted faults do, and keyframes take over.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use crate::WeightsPath;
use crate::{
    Alarm, AlarmCounts, ArenaRecord, BufferKind, BufferRecord, Event, EventKind, Keyframe, OpRecord,
    PlanRecord, PoolTotals, RETIRED, Reader, Record, SessionInfo, Stray, Timeline, Totals, UNPLANNED, Window,
    Writer, deviation, reserved_unused,
};

fn buffer(kind: BufferKind, size: u64, offset: u64, life: (u32, u32)) -> BufferRecord {
    let (first, last) = life;
    BufferRecord {
        name: "b".into(),
        kind,
        size,
        offset,
        first,
        last,
        alignment: 64,
        ..BufferRecord::default()
    }
}

/// ```text
///  512 ┌───────────┐          6 weight in an arena of its own, all the time
///      │ 3 [2,6)   └───────
///  256 ├───────┬───────────
///      │ 1     │ 4 (in place of 1), 5 a view of its upper half
///  128 ├───┬───┴─┬─────────
///      │ 0 │     │ 2 output
///    0 └───┴─────┴─────────
///      0   1   3   5       8
/// ```
fn plan() -> PlanRecord {
    let activation = BufferKind::Activation;
    PlanRecord {
        arenas: vec![
            ArenaRecord { name: "activations".into(), size: 512, alignment: 64, ..ArenaRecord::default() },
            ArenaRecord { name: "weights".into(), size: 100, alignment: 64, ..ArenaRecord::default() },
        ],
        buffers: vec![
            buffer(BufferKind::Input, 128, 0, (0, 1)),
            buffer(activation, 128, 128, (0, 4)),
            buffer(BufferKind::Output, 128, 0, (5, 8)),
            buffer(activation, 256, 256, (2, 6)),
            BufferRecord { in_place_of: Some(1), ..buffer(activation, 128, 128, (3, 8)) },
            BufferRecord { alias_of: Some(4), ..buffer(activation, 64, 192, (4, 6)) },
            BufferRecord { arena: 1, ..buffer(BufferKind::Weight, 100, 0, (0, 8)) },
        ],
        ops: (0..8).map(|op| OpRecord { name: alloc::format!("op{op}"), ..OpRecord::default() }).collect(),
        ..PlanRecord::default()
    }
}

fn window(plan: &PlanRecord, op: u32, buffer: u32) -> Window {
    let record = &plan.buffers[buffer as usize];
    let BufferRecord { arena, offset, size, .. } = *record;
    Window { op, binding: 0, buffer, arena, offset, len: size, write: op == record.first }
}

/// Each buffer at its first op and its last; outputs and weights as kernels bind them.
fn clean(plan: &PlanRecord) -> Vec<Window> {
    let at = [(0, 0), (0, 1), (3, 1), (5, 2), (2, 3), (5, 3), (3, 4), (7, 4), (4, 5), (5, 5), (1, 6), (6, 6)];
    at.into_iter().map(|(op, buffer)| window(plan, op, buffer)).collect()
}

fn fold(plan: PlanRecord, windows: Vec<Window>) -> Timeline {
    let mut timeline = Timeline::new();
    timeline.apply(Record::Plan { plan: 0, record: plan });
    timeline.apply(Record::Event(Event::Windows { t: 1, recording: 0, plan: 0, part: 0, windows }));
    timeline
}

/// The alarms of the clean session after a change to its windows.
fn alarms_of(change: impl Fn(&PlanRecord, &mut Vec<Window>)) -> (AlarmCounts, Vec<Alarm>) {
    let plan = plan();
    let mut windows = clean(&plan);
    change(&plan, &mut windows);
    let timeline = fold(plan, windows);
    (timeline.alarm_counts(), timeline.alarms().map(|(_, alarm)| alarm).collect())
}

fn counts(deviation: u64, overlap: u64, unplanned: u64) -> AlarmCounts {
    AlarmCounts { deviation, overlap, unplanned }
}

#[test]
fn clean_plan_with_views_and_in_place_raises_nothing() {
    assert_eq!(alarms_of(|_, _| {}), (counts(0, 0, 0), vec![]));
    let timeline = fold(plan(), clean(&plan()));
    let state = &timeline.plans[0];
    let found = deviation(state).unwrap();
    assert_eq!((found.largest(), found.late.as_slice()), (None, &[][..]));
    assert_eq!(reserved_unused(state).unwrap(), [0; 7]);
    assert!(state.strays.is_empty() && !state.incomplete);
}

#[test]
fn shifted_window_deviates() {
    let shift = |by: u64| {
        move |_: &PlanRecord, windows: &mut Vec<Window>| {
            windows[0].offset += by;
        }
    };
    let moved = |by| Alarm::Moved {
        op: 0,
        binding: 0,
        buffer: 0,
        arenas: (0, 0),
        planned: (0, 128),
        actual: (by, 128 + by),
    };
    // Into its neighbour, which lives.
    let overlap = Alarm::Overlap { a: 0, b: 1, arena: 0, bytes: (128, 192), ops: (0, 1) };
    assert_eq!(alarms_of(shift(64)), (counts(1, 1, 0), vec![moved(64), overlap]));
    // Into bytes that are free at that op.
    assert_eq!(alarms_of(shift(256)), (counts(1, 0, 0), vec![moved(256)]));
    // Within its bytes a shorter window may lie anywhere.
    let within = |_: &PlanRecord, windows: &mut Vec<Window>| (windows[0].offset, windows[0].len) = (64, 64);
    assert_eq!(alarms_of(within).0, counts(0, 0, 0));
}

#[test]
fn window_in_another_arena_deviates() {
    let elsewhere = |arena| move |_: &PlanRecord, windows: &mut Vec<Window>| windows[10].arena = arena;
    let (found, alarms) = alarms_of(elsewhere(0));
    // The weight reaches into the output's bytes at an op at which nothing of them lives.
    assert_eq!(found, counts(1, 0, 0));
    assert!(
        alarms[0].to_string().contains("bytes 0..100 of arena 0, planned at 0..100 of arena 1"),
        "{}",
        alarms[0]
    );
    let (found, alarms) = alarms_of(elsewhere(UNPLANNED));
    assert_eq!(found, counts(1, 0, 0));
    assert!(alarms[0].to_string().contains("memory outside the plan"), "{}", alarms[0]);
}

#[test]
fn window_for_no_buffer_deviates_within_the_plan_only() {
    let stray = |arena| {
        move |_: &PlanRecord, windows: &mut Vec<Window>| {
            windows.push(Window {
                op: 4,
                binding: 1,
                buffer: UNPLANNED,
                arena,
                offset: 300,
                len: 8,
                write: true,
            });
        }
    };
    let (found, alarms) = alarms_of(stray(0));
    assert_eq!(found, counts(1, 1, 0));
    assert!(matches!(alarms[0], Alarm::Moved { buffer: UNPLANNED, .. }));
    let overlap = Alarm::Overlap { a: 3, b: UNPLANNED, arena: 0, bytes: (300, 308), ops: (4, 5) };
    assert_eq!(alarms[1], overlap);
    assert_eq!(alarms_of(stray(UNPLANNED)).0, counts(0, 0, 0));
}

#[test]
fn late_release_by_three_ops_deviates() {
    let late = |plan: &PlanRecord, windows: &mut Vec<Window>| windows.push(window(plan, 7, 3));
    let expect = Alarm::Late { op: 7, buffer: 3, planned: (2, 6) };
    assert_eq!(alarms_of(late), (counts(1, 0, 0), vec![expect]));
    // Into the life of the next owner of its bytes.
    let into = |plan: &PlanRecord, windows: &mut Vec<Window>| windows.push(window(plan, 5, 0));
    let (found, alarms) = alarms_of(into);
    assert_eq!(found, counts(1, 1, 0));
    assert_eq!(alarms[0], Alarm::Late { op: 5, buffer: 0, planned: (0, 1) });
    assert_eq!(alarms[1], Alarm::Overlap { a: 0, b: 2, arena: 0, bytes: (0, 128), ops: (5, 6) });

    let plan = plan();
    let mut windows = clean(&plan);
    windows.push(window(&plan, 3, 0));
    let timeline = fold(plan, windows);
    let found = deviation(&timeline.plans[0]).unwrap();
    assert_eq!(found.late.iter().map(|late| (late.buffer, late.ops())).collect::<Vec<_>>(), [(0, 3)]);
    assert_eq!(found.excess, [0, 128, 128, 128, 0, 0, 0, 0]);
    assert_eq!(found.unseen, [0; 8]);
    assert_eq!(found.largest(), Some((1, 128)));
}

#[test]
fn overwritten_operand_that_is_still_read_overlaps() {
    // Buffer 4 takes over the bytes of 1 at op 3; op 6 reads 1 again.
    let read = |plan: &PlanRecord, windows: &mut Vec<Window>| windows.push(window(plan, 6, 1));
    let (found, alarms) = alarms_of(read);
    assert_eq!(found, counts(1, 1, 0));
    assert_eq!(alarms[1], Alarm::Overlap { a: 1, b: 4, arena: 0, bytes: (128, 256), ops: (3, 7) });
}

#[test]
fn two_live_buffers_over_each_other_overlap() {
    // All windows of buffer 3 lie where buffers 1 and 4 live.
    let over = |_: &PlanRecord, windows: &mut Vec<Window>| {
        windows.iter_mut().filter(|window| window.buffer == 3).for_each(|window| window.offset = 128);
    };
    let (found, alarms) = alarms_of(over);
    assert_eq!(found, counts(2, 2, 0));
    let overlap = |a, b, bytes, ops| Alarm::Overlap { a, b, arena: 0, bytes, ops };
    assert_eq!(alarms[2..], [overlap(1, 3, (128, 256), (2, 4)), overlap(3, 4, (128, 256), (3, 6))]);
    // A plan that is wrong itself is found too, when its windows are bound.
    let mut wrong = plan();
    wrong.buffers[3].offset = 128;
    let timeline = fold(wrong.clone(), clean(&wrong));
    assert_eq!(timeline.alarm_counts().deviation, 0);
    assert!(timeline.alarm_counts().overlap >= 2);
}

#[test]
fn unplanned_allocation_is_kept_when_freed_and_restated() {
    let allocated = |id, planned| Event::DeviceAllocated {
        t: 5,
        id,
        bytes: 4096,
        memory_type: 1,
        purpose: "surprise".into(),
        planned,
    };
    let mut timeline = fold(plan(), clean(&plan()));
    for event in [allocated(1, true), allocated(2, false), Event::DeviceFreed { t: 6, id: 2 }] {
        timeline.apply(Record::Event(event));
    }
    let expect = (None, Alarm::Unplanned { block: 2, bytes: 4096 });
    assert_eq!(timeline.alarms().collect::<Vec<_>>(), core::slice::from_ref(&expect));
    assert_eq!(timeline.blocks.len(), 1);
    let state = vec![allocated(2, false), Event::DeviceFreed { t: 6, id: 2 }, allocated(1, true)];
    timeline.apply(Record::Keyframe(Keyframe { t: 7, state, ..Keyframe::default() }));
    assert_eq!(timeline.alarms().collect::<Vec<_>>(), [expect]);
    assert_eq!((timeline.blocks.len(), timeline.alarm_counts()), (1, counts(0, 0, 1)));
}

#[test]
fn keyframe_takes_over() {
    let mut timeline = fold(plan(), vec![]);
    timeline.apply(Record::Event(Event::RunStart { run: 0, plan: 0, t: 10 }));
    assert_eq!(timeline.reached(0), Some(0));
    timeline.apply(Record::Event(Event::Completed { run: 0, plan: 0, op: 2, t: 11 }));
    assert_eq!(timeline.reached(0), Some(3));
    let windows = clean(&plan());
    let state = vec![
        Event::SessionReady { t: 3 },
        Event::HeapSample { t: 40, heap: 1, size: 100, usage: 7, budget: None },
        Event::Windows { t: 2, recording: 4, plan: 0, part: 0, windows: windows[..5].to_vec() },
        Event::Windows { t: 2, recording: 4, plan: 0, part: 1, windows: windows[5..].to_vec() },
        Event::RunStart { run: 41, plan: 0, t: 50 },
        Event::Completed { run: 41, plan: 0, op: 6, t: 52 },
    ];
    let dropped = vec![(EventKind::OpTimes, 9)];
    let keyframe = Keyframe {
        t: 60,
        runs_started: 42,
        runs_ok: 40,
        runs_failed: 1,
        dropped,
        state,
        ..Keyframe::default()
    };
    timeline.apply(Record::Keyframe(keyframe.clone()));
    assert_eq!((timeline.runs_started, timeline.runs_ok, timeline.runs_failed), (42, 40, 1));
    assert_eq!((timeline.now, timeline.ready, timeline.dropped_total()), (60, Some(3), 9));
    assert_eq!(timeline.current.map(|run| (run.run, run.playhead)), Some((41, Some(6))));
    assert_eq!((timeline.reached(0), timeline.heaps[&1].usage), (Some(7), 7));
    assert_eq!((timeline.plans[0].windows.len(), timeline.plans[0].incomplete), (12, false));
    assert_eq!(timeline.alarm_counts(), counts(0, 0, 0));
    // All runs ended: the run restated is over.
    timeline.apply(Record::Keyframe(Keyframe { runs_ok: 41, ..keyframe }));
    assert_eq!(timeline.current, None);
}

#[test]
fn windows_come_in_parts() {
    let (plan, mut timeline) = (plan(), Timeline::new());
    let windows = clean(&plan);
    let late = window(&plan, 7, 3);
    let part = |recording, part, windows: &[Window]| {
        Record::Event(Event::Windows { t: 1, recording, plan: 0, part, windows: windows.to_vec() })
    };
    timeline.apply(Record::Plan { plan: 0, record: plan.clone() });
    timeline.apply(part(0, 0, &windows[..4]));
    assert_eq!(timeline.alarm_counts(), counts(0, 0, 0));
    timeline.apply(part(0, 1, &[windows[4], late]));
    assert_eq!(timeline.alarm_counts(), counts(1, 0, 0));
    timeline.apply(part(0, 2, &windows[5..]));
    let state = &timeline.plans[0];
    assert_eq!(
        (timeline.alarm_counts(), state.windows.len(), state.incomplete),
        (counts(1, 0, 0), 13, false)
    );
    // The same as told at once.
    let mut all = windows.clone();
    all.push(late);
    assert_eq!(state.actual, fold(plan.clone(), all).plans[0].actual);
    // A new recording takes the place of the former one, alarms and all.
    timeline.apply(part(1, 0, &windows[..6]));
    timeline.apply(part(1, 1, &windows[6..]));
    assert_eq!(timeline.alarm_counts(), counts(0, 0, 0));
    assert!(!timeline.plans[0].incomplete);
    // A part that never came is noticed, in the middle and at the start.
    timeline.apply(part(2, 0, &windows[..2]));
    timeline.apply(part(2, 2, &windows[4..]));
    assert!(timeline.plans[0].incomplete);
    timeline.apply(part(3, 1, &windows[..2]));
    let state = &timeline.plans[0];
    assert_eq!((state.recording, state.windows.len(), state.incomplete), (Some(3), 2, true));
    // And made good by a whole set.
    timeline.apply(part(3, 0, &windows));
    assert!(!timeline.plans[0].incomplete);
}

#[test]
fn same_place_outside_is_one_stray() {
    let plan = plan();
    let shifted = |op| Window { offset: 64, ..window(&plan, op, 3) };
    let timeline = fold(plan.clone(), vec![shifted(2), shifted(4)]);
    let [Stray { buffer: 3, seen }] = timeline.plans[0].strays[..] else { panic!("one stray") };
    assert_eq!((seen.first, seen.last, seen.offset, seen.end), (2, 5, 64, 320));
    assert_eq!(timeline.plans[0].actual[3], None);
    let found = deviation(&timeline.plans[0]).unwrap();
    assert_eq!(found.excess, [0, 0, 256, 256, 256, 0, 0, 0]);
}

#[test]
fn deviations_are_all_counted_and_leave_room_for_overlaps() {
    let plan = plan();
    let mut windows = clean(&plan);
    windows.iter_mut().filter(|window| window.buffer == 3).for_each(|window| window.offset = 128);
    let late = window(&plan, 7, 0);
    windows.extend(core::iter::repeat_n(late, 5000));
    let timeline = fold(plan, windows);
    assert_eq!(timeline.alarm_counts().deviation, 5002);
    let listed = |kind| timeline.alarms().filter(|(_, alarm)| alarm.kind() == kind).count();
    assert_eq!(listed("deviation"), 1000);
    assert!(listed("overlap") >= 3);
}

#[test]
fn empty_windows_touch_nothing() {
    let empty = |_: &PlanRecord, windows: &mut Vec<Window>| {
        windows.push(Window {
            op: 1,
            binding: 2,
            buffer: UNPLANNED,
            arena: 0,
            offset: 5,
            len: 0,
            write: false,
        });
    };
    assert_eq!(alarms_of(empty), (counts(0, 0, 0), vec![]));
}

#[test]
fn alarms_name_what_they_are_about_and_escape_it() {
    let mut record = plan();
    record.buffers[3].name = "a\u{1b}[31m".into();
    let alarm = Alarm::Late { op: 7, buffer: 3, planned: (2, 6) };
    assert_eq!(
        alarm.text(Some(&record)),
        r"op 7 (op7) touches buffer 3 (a\x1b[31m), planned to live during ops 2 to 5"
    );
    assert_eq!(alarm.to_string(), "op 7 touches buffer 3, planned to live during ops 2 to 5");
}

#[test]
fn the_plan_on_show_is_that_of_the_latest_run_and_alarms_outlive_their_plan() {
    let mut shifted = clean(&plan());
    shifted[0].offset += 256;
    let mut timeline = fold(plan(), shifted);
    timeline.apply(Record::Plan { plan: 1, record: plan() });
    let windows = clean(&plan());
    let at = |t| Event::Windows { t, recording: 1, plan: 1, part: 0, windows: windows.clone() };
    timeline.apply(Record::Event(at(2)));
    for (run, plan) in [(0, 1), (1, 0)] {
        timeline.apply(Record::Event(Event::RunStart { run, plan, t: 3 }));
        timeline.apply(Record::Event(Event::RunEnd { run, t: 4, ok: true }));
        assert_eq!(timeline.current_plan().map(|(number, _)| number), Some(plan));
    }
    for plan in [0, 1] {
        timeline.apply(Record::Event(Event::PlanRetired { t: 5, plan }));
        assert!(timeline.plans[plan as usize].retired);
    }
    assert_eq!(timeline.alarm_counts(), counts(1, 0, 0), "what was wrong stays known");
    assert_eq!(timeline.plans[0].windows.len(), windows.len());
    assert!(timeline.plans[1].windows.is_empty(), "of a sound plan that is gone nothing is kept");
}

#[test]
fn of_many_shapes_the_latest_are_kept_and_those_with_something_wrong() {
    let mut shifted = clean(&plan());
    shifted[0].offset += 256;
    let mut timeline = fold(plan(), shifted);
    let shapes = 3 * RETIRED as u32;
    for number in 1..=shapes {
        timeline.apply(Record::Plan { plan: number, record: plan() });
        let windows = clean(&plan());
        let seen = Event::Windows { t: 2, recording: number, plan: number, part: 0, windows };
        timeline.apply(Record::Event(seen));
        timeline.apply(Record::Event(Event::RunStart { run: u64::from(number), plan: number, t: 3 }));
        timeline.apply(Record::Event(Event::RunEnd { run: u64::from(number), t: 4, ok: true }));
        timeline.apply(Record::Event(Event::PlanRetired { t: 5, plan: number - 1 }));
        assert_eq!(
            timeline.current_plan().map(|(on_show, plan)| (on_show, &*plan.record)),
            Some((number, &plan()))
        );
    }
    let kept: Vec<bool> = timeline.plans.iter().map(|plan| !plan.record.ops.is_empty()).collect();
    assert_eq!(
        kept.iter().filter(|kept| **kept).count(),
        RETIRED + 2,
        "the latest, the current, and the first"
    );
    assert!(kept[0] && timeline.plans[1].forgotten && !kept[1]);
    assert_eq!(timeline.alarm_counts(), counts(1, 0, 0), "what was wrong stays known");
    timeline.apply(Record::Plan { plan: 1, record: plan() });
    assert!(timeline.plans[1].forgotten, "segments that restate it do not bring it back");
}

/// What a session with pools does, in 40 runs.
fn pooled(run: u64) -> Vec<Event> {
    let t = run * 1000;
    let mut events = vec![
        Event::RunStart { run, plan: 0, t },
        Event::PoolAllocated { t: t + 10, pool: 3, id: run, offset: run % 7 * 64, bytes: 64 },
        Event::OpTimes { run, plan: 0, first_op: 0, times: vec![(t, t + 20), (t + 20, t + 20 + run)] },
        Event::RunEnd { run, t: t + 500 + run, ok: run != 5 },
    ];
    if run >= 3 {
        events.push(Event::PoolFreed { t: t + 600, pool: 3, id: run - 3 });
    }
    let progress = |arrived| Event::LoadProgress {
        t: t + 650,
        path: WeightsPath::Staged,
        arrived,
        direct: arrived,
        staging: 8,
    };
    match run {
        2 => events.push(Event::LoadStart { t: t + 640, total: 100 }),
        5 | 15 => events.push(progress(run * 4)),
        18 => events.push(Event::LoadEnd { t: t + 660, ok: true }),
        25 => events.push(Event::LoadStart { t: t + 640, total: 50 }),
        35 => events.push(progress(40)),
        _ => {}
    }
    if run == 7 {
        let purpose = "grown".to_string();
        let allocated =
            Event::DeviceAllocated { t: t + 700, id: 1, bytes: 9, memory_type: 0, purpose, planned: true };
        events.push(allocated);
    }
    events
}

#[test]
fn sums_and_pools_are_the_same_wherever_reading_begins() {
    let mut writer = Writer::new(SessionInfo::default());
    writer.plan(&plan());
    let device = |id| Event::DeviceAllocated {
        t: 1,
        id,
        bytes: 512,
        memory_type: 0,
        purpose: "arena".to_string(),
        planned: true,
    };
    writer.event(&device(0));
    writer.event(&Event::HeapSample { t: 1, heap: 1, size: 9000, usage: 700, budget: None });
    writer.event(&Event::HeapSample { t: 2, heap: 1, size: 9000, usage: 600, budget: None });
    writer.event(&Event::SessionReady { t: 2 });
    writer.event(&Event::PoolReady { t: 3, pool: 3, bytes: 512, name: "outputs".to_string() });
    let mut segments = Vec::new();
    for run in 0..40 {
        pooled(run).iter().for_each(|event| writer.event(event));
        if run % 10 == 9 {
            writer.flush();
            let mut bytes = Vec::new();
            writer.take(&mut bytes);
            segments.push(bytes);
            writer.begin_segment();
        }
    }
    let whole = read_timeline(&segments.concat());
    let Totals { run_times, op_times, allocs_after_ready, .. } = &whole.totals;
    assert_eq!((run_times.count(), run_times.max(), *allocs_after_ready), (39, Some(539), 1));
    assert_eq!((op_times.count(), op_times.sum()), (80, 40 * 20 + 39 * 20));
    let pool = &whole.pools[&3];
    let expect = PoolTotals { high_water: 256, top: 448, allocated: 40, freed: 37 };
    assert_eq!((pool.name.as_str(), pool.totals, pool.live.len()), ("outputs", expect, 3));
    assert_eq!((pool.live_bytes, pool.fragmentation().free), (192, 320));
    assert_eq!((whole.totals.device_bytes_max, &whole.totals.heap_usage_max), (521, &[(1, 700)].into()));
    let (loads, all) = (&whole.totals.loads, whole.totals.loads.sum());
    assert_eq!((loads.count, all.total, all.arrived(), all.direct), (2, 150, 100, 100));
    assert_eq!(whole.arrivals, [(25_640, 0), (35_650, 40)]);
    for from in 1..segments.len() {
        let late = read_timeline(&segments[from..].concat());
        assert_eq!(late.pools, whole.pools, "from segment {from}");
        assert_eq!(late.totals.to_bytes(), whole.totals.to_bytes());
    }
}

fn read_timeline(bytes: &[u8]) -> Timeline {
    let (mut reader, mut timeline) = (Reader::new(), Timeline::new());
    reader.feed(bytes);
    reader.end_segment();
    while let Some(item) = reader.next_record() {
        timeline.apply(item.unwrap());
    }
    timeline
}
