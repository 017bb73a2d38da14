//! The validator must accept nothing that is wrong: every plan here is broken on purpose.

#[allow(dead_code, reason = "shared by several test binaries")]
mod instances;

use bayplan_plan::{Buffer, Effort, Plan, Problem, Status, Violation, solve, validate};
use instances::{KINDS, SplitMix};

/// Two buffers that live together, then one alone.
fn small() -> (Problem, Plan) {
    let problem = Problem::new(vec![
        Buffer::new(64, 0, 2),
        Buffer::new(32, 1, 3).aligned(16),
        Buffer::new(48, 2, 4),
        Buffer::new(0, 0, 4),
    ])
    .unwrap();
    let plan = Plan::from_offsets(&problem, vec![0, 64, 0, 40], "hand").unwrap();
    (problem, plan)
}

#[track_caller]
fn check(change: impl FnOnce(&mut Plan), expect: &Violation, message: &str) {
    let (problem, mut plan) = small();
    change(&mut plan);
    assert_eq!(validate(&problem, &plan).as_ref(), Err(expect));
    assert_eq!(expect.to_string(), message);
}

#[test]
fn each_violation_is_named() {
    let (problem, plan) = small();
    assert_eq!(validate(&problem, &plan), Ok(()));
    check(
        |p| p.offsets.truncate(1),
        &Violation::WrongLength { buffers: 4, offsets: 1 },
        "1 offsets for 4 buffers",
    );
    check(
        |p| p.offsets[1] = 72,
        &Violation::Misaligned { buffer: 1, offset: 72, align: 16 },
        "buffer 1: offset 72 is no multiple of its alignment 16",
    );
    check(
        |p| p.offsets[2] = u64::MAX,
        &Violation::OffsetTooLarge { buffer: 2, offset: u64::MAX },
        "buffer 2: offset 18446744073709551615 plus its size passes 64 bits",
    );
    check(
        |p| p.offsets[1] = 48,
        &Violation::Overlap { a: 0, b: 1, from: 48, to: 64, point: 1 },
        "buffers 0 and 1 are both live at point 1 and share 16 bytes, 48..64",
    );
    check(
        |p| p.offsets[2] = 80,
        &Violation::Overlap { a: 1, b: 2, from: 80, to: 96, point: 2 },
        "buffers 1 and 2 are both live at point 2 and share 16 bytes, 80..96",
    );
    check(
        |p| p.peak = 95,
        &Violation::WrongPeak { stated: 95, actual: 96 },
        "stated peak is 95 bytes, the offsets give 96",
    );
    check(
        |p| p.lower_bound.bytes = 80,
        &Violation::WrongBound { stated: (80, 1), actual: (96, 1) },
        "stated lower bound is 80 bytes at point 1, max-live is 96 at point 1",
    );
    check(
        |p| p.lower_bound.witness = 2,
        &Violation::WrongBound { stated: (96, 2), actual: (96, 1) },
        "stated lower bound is 96 bytes at point 2, max-live is 96 at point 1",
    );
    check(
        |p| p.aligned_bound.bytes = 97,
        &Violation::WrongAlignedBound { stated: (97, 1), actual: (96, 1) },
        "stated bound with padding is 97 bytes at point 1, it is 96 at point 1",
    );
    check(
        |p| {
            p.offsets[1] = 80;
            p.peak = 112;
        },
        &Violation::NotProved { bound: 96, peak: 112 },
        "stated optimal, but the peak 112 is above the bound 96",
    );
}

/// A plan with a peak of 112 over a bound of 96: every status, with every kind of thing proved.
#[test]
fn a_status_claims_what_is_proved_no_more_and_no_less() {
    let (problem, plan) = small();
    let (offsets, bound, peak) = (vec![0, 80, 0, 40], 96, 112);
    let check = |status: Status, proved_bound: u64, expect: Result<(), Violation>, message: &str| {
        let plan = Plan { offsets: offsets.clone(), peak, status, proved_bound, ..plan.clone() };
        let verdict = validate(&problem, &plan);
        assert_eq!(verdict, expect, "{status:?} with {proved_bound} proved");
        assert_eq!(verdict.map_err(|violation| violation.to_string()).err().unwrap_or_default(), message);
    };
    let unproved = |bound| Err(Violation::NotProved { bound, peak });
    check(Status::Optimal, 96, unproved(96), "stated optimal, but the peak 112 is above the bound 96");
    check(Status::Optimal, 112, unproved(96), "stated optimal, but the peak 112 is above the bound 96");
    check(
        Status::OptimalBySearch,
        111,
        unproved(111),
        "stated optimal, but the peak 112 is above the bound 111",
    );
    check(Status::OptimalBySearch, 112, Ok(()), "");
    for status in [Status::BestFound, Status::BoundNotReached] {
        check(status, 96, Ok(()), "");
        check(status, 111, Ok(()), "");
        let message = format!("stated {}, but no plan is below its peak 112", status.name());
        check(status, 112, Err(Violation::Understated { status, peak }), &message);
    }
    for (stated, words) in [(95, "95"), (113, "113")] {
        let message = format!("stated proved bound {words} is not between the bound 96 and the peak 112");
        let wrong = Violation::WrongProvedBound { stated, bound, peak };
        check(Status::BestFound, stated, Err(wrong), &message);
    }
    let modest = Plan { status: Status::OptimalBySearch, ..plan };
    let violation = Violation::Understated { status: Status::OptimalBySearch, peak: 96 };
    assert_eq!(validate(&problem, &modest), Err(violation));
}

#[test]
fn a_fixed_buffer_stays_where_it_is() {
    let buffers = vec![Buffer::new(64, 0, 2).at(32), Buffer::new(32, 1, 3), Buffer::new(0, 0, 3).at(7)];
    let problem = Problem::new(buffers).unwrap();
    assert_eq!(Plan::from_offsets(&problem, vec![32, 0, 7], "hand").unwrap().status, Status::Optimal);
    for (offsets, buffer, offset, fixed) in [([0, 64, 7], 0, 0, 32), ([32, 0, 0], 2, 0, 7)] {
        let violation = Plan::from_offsets(&problem, offsets.to_vec(), "hand").unwrap_err();
        assert_eq!(violation, Violation::Moved { buffer, offset, fixed });
        let message = format!("buffer {buffer}: offset {offset}, but it is fixed at {fixed}");
        assert_eq!(violation.to_string(), message);
    }
    let shared = Plan::from_offsets(&problem, vec![32, 64, 7], "hand").unwrap_err();
    assert_eq!(shared, Violation::Overlap { a: 0, b: 1, from: 64, to: 96, point: 1 });
}

#[test]
fn buffers_without_bytes_may_lie_anywhere() {
    let (problem, mut plan) = small();
    plan.offsets[3] = 1 << 40;
    assert_eq!(validate(&problem, &plan), Ok(()));
}

/// Buffers that share a point in time, by comparing each pair.
fn first_overlap(problem: &Problem, offsets: &[u64]) -> bool {
    let rows: Vec<_> = problem.buffers().iter().zip(offsets).filter(|(b, _)| b.size > 0).collect();
    rows.iter().enumerate().any(|(i, (a, x))| {
        rows[..i]
            .iter()
            .any(|(b, y)| a.lifespan.overlaps(b.lifespan) && **x < **y + b.size && **y < **x + a.size)
    })
}

/// Moves one buffer of a valid plan to a random place: the validator must agree with a comparison of all
/// pairs on whether that is an overlap, and refuse it if so.
#[test]
fn shifted_buffers_are_found() {
    let (mut overlaps, mut harmless) = (0, 0);
    for &(kind, generate) in KINDS {
        for seed in 0..200 {
            let problem = generate(seed, 40);
            let plan = solve(&problem, Effort::Steps(1000));
            let mut r = SplitMix(seed ^ 0xDEAD);
            let buffer = r.range(0, problem.len() as u64 - 1) as usize;
            let align = problem.buffers()[buffer].align;
            let mut offsets = plan.offsets.clone();
            offsets[buffer] = r.range(0, plan.peak / align) * align;
            let verdict = Plan::from_offsets(&problem, offsets.clone(), "shifted");
            if first_overlap(&problem, &offsets) {
                overlaps += 1;
                let Err(Violation::Overlap { a, b, from, to, point }) = verdict else {
                    panic!("{kind} seed {seed}: overlap not found, {verdict:?}");
                };
                let (a, b) = (a as usize, b as usize);
                assert!(a == buffer || b == buffer);
                assert!([a, b].iter().all(|&i| problem.buffers()[i].lifespan.contains(point)));
                let ends = [a, b].map(|i| offsets[i] + problem.buffers()[i].size);
                assert_eq!((from, to), (offsets[a].max(offsets[b]), ends[0].min(ends[1])));
            } else {
                harmless += 1;
                assert!(verdict.is_ok(), "{kind} seed {seed}: {verdict:?}");
            }
        }
    }
    assert!(overlaps > 500 && harmless > 50, "{overlaps} overlaps, {harmless} harmless moves");
}

#[test]
fn misaligned_offsets_and_wrong_peaks_are_found() {
    for seed in 0..50 {
        for kind in ["mixed alignments", "common alignment"] {
            let generate = KINDS.iter().find(|row| row.0 == kind).unwrap().1;
            let problem = generate(seed, 60);
            let plan = solve(&problem, Effort::Steps(1000));
            let buffer = problem.buffers().iter().position(|b| b.align > 1).unwrap();
            let mut bad = plan.clone();
            bad.offsets[buffer] += 1;
            assert!(matches!(validate(&problem, &bad), Err(Violation::Misaligned { .. })));
            for peak in [plan.peak - 1, plan.peak + 1] {
                let bad = Plan { peak, ..plan.clone() };
                assert_eq!(
                    validate(&problem, &bad),
                    Err(Violation::WrongPeak { stated: peak, actual: plan.peak })
                );
            }
            let claim = Plan { status: Status::Optimal, ..plan.clone() };
            assert_eq!(validate(&problem, &claim).is_ok(), plan.peak == plan.aligned_bound.bytes);
        }
    }
}
