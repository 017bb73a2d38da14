//! Differences of small plans, and what holds of any two.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::{ArenaRecord, BufferKind, BufferRecord, DimBinding, OpRecord, PlanRecord, Record};

const KIB: u64 = 1024;

/// name, size, offset, first, last
type Row = (&'static str, u64, u64, u32, u32);

const BASE: [Row; 4] = [("in", 4, 0, 0, 2), ("x", 8, 4, 1, 3), ("y", 4, 0, 2, 5), ("out", 2, 4, 3, 6)];

const OPS: [&str; 6] = ["load", "conv", "relu", "pool", "fc", "softmax"];

fn plan(ops: &[&str], rows: &[Row]) -> PlanRecord {
    let buffer = |&(name, size, offset, first, last): &Row| BufferRecord {
        name: name.into(),
        size: size * KIB,
        offset: offset * KIB,
        first,
        last,
        ..BufferRecord::default()
    };
    let buffers: Vec<BufferRecord> = rows.iter().map(buffer).collect();
    let size = buffers.iter().map(BufferRecord::end).max().unwrap_or(0);
    let op =
        |name: &&str| OpRecord { name: name.to_string(), kernel: format!("k{name}"), ..OpRecord::default() };
    PlanRecord {
        arenas: vec![ArenaRecord {
            name: "activations".into(),
            size,
            alignment: 1,
            ..ArenaRecord::default()
        }],
        buffers,
        ops: ops.iter().map(op).collect(),
        ..PlanRecord::default()
    }
}

fn timeline(plans: impl IntoIterator<Item = PlanRecord>) -> Timeline {
    let mut timeline = Timeline::new();
    for (plan, record) in (0..).zip(plans) {
        timeline.apply(Record::Plan { plan, record });
    }
    timeline
}

fn one(a: PlanRecord, b: PlanRecord) -> PlanDiff {
    let mut found = diff(&timeline([a]), &timeline([b]));
    assert_eq!((found.plans.len(), &found.only_a, &found.only_b), (1, &vec![], &vec![]));
    found.plans.remove(0)
}

#[test]
fn the_same_plan_does_not_differ() {
    let found = one(plan(&OPS, &BASE), plan(&OPS, &BASE));
    assert!(found.is_empty() && found.tensors.is_empty() && found.ops.is_empty());
    assert_eq!(found.counts, TensorCounts { unchanged: 4, ..TensorCounts::default() });
    assert_eq!(found.arenas[0].causes, []);
}

#[test]
fn tensors_are_told_by_what_happened_to_them() {
    fn check(rows: &[Row], expect: TensorCounts, first: &str, causes: &[(&str, i128)]) {
        let (a, b) = (plan(&OPS, &BASE), plan(&OPS, rows));
        let found = one(a.clone(), b.clone());
        assert_eq!(found.counts, expect, "{rows:?}");
        let name = |in_a: Option<u32>, in_b: Option<u32>| match (in_a, in_b) {
            (_, Some(at)) => b.buffers[at as usize].name.clone(),
            (at, None) => a.buffers[at.unwrap() as usize].name.clone(),
        };
        let tensor = found.tensors[0];
        assert_eq!(name(tensor.a, tensor.b), first, "{rows:?}");
        let told: Vec<_> =
            found.arenas[0].causes.iter().map(|cause| (name(cause.a, cause.b), cause.growth())).collect();
        let expect: Vec<_> =
            causes.iter().map(|(name, kib)| (name.to_string(), kib * i128::from(KIB))).collect();
        assert_eq!(told, expect, "{rows:?}");
    }
    let counts = |added, removed, resized, moved, relived| TensorCounts {
        added,
        removed,
        renamed: 0,
        resized,
        moved,
        relived,
        unchanged: 4 - [removed, resized.max(moved).max(relived)].iter().sum::<usize>(),
    };
    let [input, x, y, out] = BASE;
    check(&[input, x, y, out, ("z", 5, 12, 1, 3)], counts(1, 0, 0, 0, 0), "z", &[("z", 5)]);
    check(&[input, x, out], counts(0, 1, 0, 0, 0), "y", &[]);
    check(&[x, y, out], counts(0, 1, 0, 0, 0), "in", &[]);
    check(&[input, y, out], counts(0, 1, 0, 0, 0), "x", &[("x", -8)]);
    check(&[input, ("x", 9, 4, 1, 3), y, out], counts(0, 0, 1, 0, 0), "x", &[("x", 1)]);
    check(&[input, ("x", 8, 6, 1, 3), y, out], counts(0, 0, 0, 1, 0), "x", &[]);
    check(&[input, x, y, ("out", 2, 12, 2, 6)], counts(0, 0, 0, 1, 1), "out", &[("out", 2)]);
}

/// An op more in front moves nobody's life, and the peak is compared with the same op.
#[test]
fn lives_and_peaks_are_compared_by_the_names_of_ops() {
    let later = |rows: &[Row]| -> Vec<Row> {
        rows.iter()
            .map(|&(name, size, offset, first, last)| (name, size, offset, first + 1, last + 1))
            .collect()
    };
    let mut rows = later(&BASE);
    // Written before all others: it lives from the start in both.
    rows[0].3 = 0;
    let ops = ["copy", "load", "conv", "relu", "pool", "fc", "softmax"];
    let found = one(plan(&OPS, &BASE), plan(&ops, &rows));
    assert_eq!(found.counts, TensorCounts { unchanged: 4, ..TensorCounts::default() });
    assert_eq!(found.ops, [OpDiff { b: Some(0), ..OpDiff::default() }]);
    assert!(!found.is_empty());
    rows.push(("z", 1, 12, 2, 4));
    let found = one(plan(&OPS, &BASE), plan(&ops, &rows));
    let moment = found.arenas[0].moment.unwrap();
    assert_eq!((moment.op, moment.of_b, moment.other), (2, true, Some(1)));
    assert_eq!(moment.live, (12 * KIB, 13 * KIB));
}

/// Another exporter calls everything otherwise: what a tensor is tells which it was.
#[test]
fn tensors_of_another_export_are_renamed() {
    let other = |name: &str| alloc::format!("{name}_output_0").leak() as &'static str;
    let mut rows = BASE.map(|(name, size, offset, first, last)| (other(name), size, offset, first, last));
    rows[1].1 += 1;
    let (before, mut after) = (plan(&OPS, &BASE), plan(&OPS.map(other), &rows));
    for (op, same) in after.ops.iter_mut().zip(&before.ops) {
        op.kernel.clone_from(&same.kernel);
    }
    let found = one(before, after);
    // The one that grew is another tensor: nothing else tells that it is the same.
    let counts = TensorCounts { added: 1, removed: 1, renamed: 3, ..TensorCounts::default() };
    assert_eq!(found.counts, counts);
    assert_eq!(found.arenas[0].causes.iter().map(Cause::growth).sum::<i128>(), i128::from(KIB));
    assert!(found.tensors.iter().any(|tensor| tensor.renamed && !tensor.moved && !tensor.relived));
}

#[test]
fn ops_are_told_by_kernel_and_time() {
    let (mut a, mut b) = (timeline([plan(&OPS, &BASE)]), timeline([plan(&OPS, &BASE)]));
    alloc::sync::Arc::make_mut(&mut b.plans[0].record).ops[2].kernel = "other".into();
    let time = |timeline: &mut Timeline, op: usize, ns: u64| {
        // The first run is a cold one: it is no part of the means.
        let (first, latest) = (ns * 900, ns);
        timeline.plans[0].op_times[op] =
            crate::OpTime { latest, first: Some(first), total: first + 2 * ns, count: 3 };
    };
    time(&mut a, 1, 100);
    time(&mut b, 1, 150);
    time(&mut a, 3, 100);
    time(&mut b, 3, 20);
    let found = diff(&a, &b).plans.remove(0);
    let told: Vec<_> = found.ops.iter().map(|op| (op.b, op.other_kernel, op.growth())).collect();
    assert_eq!(told, [(Some(3), false, Some(-80)), (Some(1), false, Some(50)), (Some(2), true, None)]);
    assert_eq!(found.op_time, (Some(200), Some(170)));
}

#[test]
fn plans_of_sessions_are_paired_by_their_dimensions() {
    let sized = |size: i64| PlanRecord {
        dims: vec![DimBinding { name: "past".into(), value: size }],
        ..plan(&OPS, &BASE)
    };
    let numbers = |found: &Diff| found.plans.iter().map(|plan| plan.numbers).collect::<Vec<_>>();
    let found = diff(&timeline([sized(1), sized(2), sized(3)]), &timeline([sized(3), sized(1), sized(4)]));
    assert_eq!((numbers(&found), found.only_a, found.only_b), (vec![(2, 0), (0, 1)], vec![1], vec![2]));
    // Nothing in common: what ran last, here the newest.
    let found = diff(&timeline([sized(1), sized(2)]), &timeline([sized(8)]));
    assert_eq!((numbers(&found), &found.only_a, &found.only_b), (vec![(1, 0)], &vec![0], &vec![]));
    assert!(!found.is_empty());
    let empty = Timeline::new();
    assert_eq!(diff(&empty, &empty), Diff::default());
    assert_eq!(diff(&empty, &timeline([sized(1)])).only_b, [0]);
    assert_eq!(diff(&timeline([sized(1)]), &empty).only_a, [0]);
    assert!(diff(&timeline([PlanRecord::default()]), &timeline([PlanRecord::default()])).is_empty());
}

prop_compose! {
    fn drawn_plan()(
        rows in proptest::collection::vec((0..12u8, 0..2u32, 0..5u64, 0..9u64, 0..7u32, 0..7u32), 0..14),
        ops in proptest::collection::vec(0..9u8, 7),
    ) -> PlanRecord {
        let buffer = |(name, arena, size, offset, x, y): (u8, u32, u64, u64, u32, u32)| BufferRecord {
            name: format!("t{name}"), arena, size, offset, kind: BufferKind::Activation,
            first: x.min(y), last: x.max(y), ..BufferRecord::default()
        };
        let arena = |name: &str| ArenaRecord { name: name.into(), size: 14, alignment: 4, ..ArenaRecord::default() };
        PlanRecord {
            arenas: vec![arena("p"), arena("q")],
            buffers: rows.into_iter().map(buffer).collect(),
            ops: ops.iter().map(|op| OpRecord { name: format!("o{op}"), ..OpRecord::default() }).collect(),
            ..PlanRecord::default()
        }
    }
}

proptest! {
    #[test]
    fn what_is_told_adds_up(a in drawn_plan(), b in drawn_plan()) {
        let found = one(a.clone(), b.clone());
        let counts = found.counts;
        let both = b.buffers.len() - counts.added;
        prop_assert_eq!(both, a.buffers.len() - counts.removed);
        prop_assert!(counts.unchanged + counts.renamed.max(counts.resized).max(counts.moved).max(counts.relived) <= both);
        prop_assert_eq!(found.tensors.len() + counts.unchanged, both + counts.added + counts.removed);
        let sum = |plan: &PlanRecord| plan.buffers.iter().map(|buffer| i128::from(buffer.size)).sum::<i128>();
        prop_assert_eq!(found.tensors.iter().map(TensorDiff::growth).sum::<i128>(), sum(&b) - sum(&a));
        for arena in &found.arenas {
            let (peak_a, peak_b) = arena.peaks();
            let Some(moment) = arena.moment else {
                prop_assert_eq!((peak_a, peak_b), (0, 0));
                continue;
            };
            let causes: i128 = arena.causes.iter().map(Cause::growth).sum();
            prop_assert_eq!(causes, i128::from(moment.live.1) - i128::from(moment.live.0));
            // The larger plan is seen at its peak, the other nowhere above its own.
            if moment.of_b {
                prop_assert_eq!(moment.live.1, peak_b);
                prop_assert!(moment.live.0 <= peak_a && peak_a <= peak_b);
            } else {
                prop_assert_eq!(moment.live.0, peak_a);
                prop_assert!(moment.live.1 <= peak_b && peak_b < peak_a);
            }
        }
        // The other way round everything is the other way round.
        let back = one(b, a).counts;
        let swapped = TensorCounts { added: back.removed, removed: back.added, ..back };
        prop_assert_eq!(counts, swapped);
    }
}

/// Names that a program made up are the same in any model: what they name is not.
#[test]
fn ops_of_other_operators_and_tensors_of_other_models_are_not_taken_for_each_other() {
    let of = |operators: &[(&str, &str)], weight: &str| {
        let mut made = plan(&["load", "conv", "relu", "pool", "fc", "softmax"], &BASE);
        for (op, (name, operator)) in made.ops.iter_mut().zip(operators) {
            (op.name, op.source_op) = (name.to_string(), operator.to_string());
        }
        for buffer in &mut made.buffers {
            buffer.shape = weight.into();
        }
        made.buffers[0].kind = BufferKind::Weight;
        made
    };
    let a = of(&[("r0", "Conv+Relu"), ("r1", "MaxPool"), ("r2", "Conv"), ("r3", "")], "f32[8,3]");
    let b = of(&[("r0", "Conv"), ("r1", "Conv"), ("r2", "Conv"), ("r3", "Add")], "f32[8,3]");
    let found = one(a.clone(), b.clone());
    let alone = |found: &PlanDiff| {
        let count = |which: fn(&OpDiff) -> bool| found.ops.iter().filter(|op| which(op)).count();
        (count(OpDiff::is_added), count(OpDiff::is_removed))
    };
    assert_eq!(alone(&found), (1, 1), "MaxPool and Conv are two, Conv+Relu and Conv are one");
    assert_eq!((found.counts.added, found.counts.removed), (0, 0), "of one model names tell");
    let mut other = of(&[], "f32[9]");
    (other.ops, other.buffers[2].size) = (b.ops, 9 * KIB);
    let found = one(a, other);
    assert_eq!((found.counts.added, found.counts.removed, found.counts.unchanged), (4, 4, 0));
    assert!(found.arenas.iter().all(|arena| arena.causes.is_empty()), "{:?}", found.arenas);
}

/// What is in one plan alone is neither slower nor faster, and what mean times are of is told as it is.
#[test]
fn slower_and_faster_are_of_both_and_means_say_of_which_runs() {
    let of = |ops: &[&str], runs: u64, ns: u64| {
        let mut timeline = timeline([plan(ops, &BASE)]);
        for run in 0..runs {
            timeline.apply(Record::Event(crate::Event::RunStart { run, plan: 0, t: 0 }));
            let times = (0..ops.len() as u64).map(|op| (op * ns, (op + 1) * ns)).collect();
            timeline.apply(Record::Event(crate::Event::OpTimes { run, plan: 0, first_op: 0, times }));
        }
        timeline
    };
    let words = |a: u64, b: u64| diff(&of(&OPS, a, 10), &of(&OPS, b, 20)).plans[0].averaged_words();
    assert_eq!(words(3, 2), "mean of 2 and 1 runs, the first aside");
    assert_eq!(words(3, 1), "the mean of 2 runs, the first aside → the first run alone");
    assert_eq!(words(1, 1), "the first run alone of each");
    assert_eq!((words(0, 2), words(0, 0)), ("one run behind the first".into(), String::new()));
    let found = diff(&of(&OPS, 2, 10), &of(&["load", "conv", "relu", "pool", "new"], 2, 20));
    let plan = &found.plans[0];
    assert_eq!(plan.slower_and_faster(), (4, 0), "{:?}", plan.ops);
    assert_eq!(plan.ops.iter().filter(|op| op.is_added() || op.is_removed()).count(), 3);
}
