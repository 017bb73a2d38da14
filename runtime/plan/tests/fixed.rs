//! Buffers that the caller has placed: what problems accept, what bounds count, what strategies make of them.

#[allow(dead_code, reason = "shared by several test binaries")]
mod instances;

use bayplan_plan::{
    Buffer, Effort, LowerBound, MAX_TOTAL_BYTES, Problem, ProblemError, Status, aligned_lower_bound,
    lower_bound, solve, solve_with, strategies, validate,
};
use instances::{KINDS, SplitMix};
use proptest::prelude::*;

#[track_caller]
fn refuse(buffers: &[Buffer], expect: &ProblemError, message: &str) {
    let refused = Problem::new(buffers.to_vec()).unwrap_err();
    assert_eq!(&refused, expect);
    assert_eq!(refused.to_string(), message);
}

#[test]
fn fixed_places_are_checked() {
    let aligned = Buffer::new(64, 0, 2).aligned(32);
    refuse(
        &[aligned, aligned.at(48)],
        &ProblemError::FixedMisaligned { buffer: 1, offset: 48, align: 32 },
        "buffer 1: the fixed offset 48 is no multiple of the alignment 32",
    );
    let (low, high) = (Buffer::new(64, 0, 2).at(0), Buffer::new(64, 1, 3).at(63));
    refuse(
        &[low, Buffer::new(1 << 20, 0, 9), high],
        &ProblemError::FixedOverlap { buffer: 2, other: 0 },
        "buffer 2: its fixed place shares bytes with that of buffer 0 while both are live",
    );
    // A small one within a large one, and one that touches only the second of two neighbours.
    let within = Buffer::new(1, 0, 4).at(40);
    refuse(
        &[within, low],
        &ProblemError::FixedOverlap { buffer: 1, other: 0 },
        "buffer 1: its fixed place shares bytes with that of buffer 0 while both are live",
    );
    let accepted = [
        [low, Buffer::new(64, 1, 3).at(64)],
        [low, Buffer::new(64, 2, 3).at(63)],
        [low, Buffer::new(0, 0, 2).at(8)],
    ];
    for buffers in accepted {
        assert!(Problem::new(buffers.to_vec()).is_ok(), "{buffers:?}");
    }
}

#[test]
fn fixed_ends_count_towards_the_total() {
    let total = |buffer: usize| {
        let why =
            "sizes, alignment paddings and fixed ends up to here exceed 4611686018427387904 bytes in total";
        (ProblemError::TotalTooLarge { buffer }, format!("buffer {buffer}: {why}"))
    };
    let check = |buffers: &[Buffer], buffer: usize| {
        let (error, message) = total(buffer);
        refuse(buffers, &error, &message);
    };
    let byte = Buffer::new(1, 0, 1);
    check(&[byte, byte.at(MAX_TOTAL_BYTES)], 1);
    check(&[byte.at(u64::MAX)], 0);
    check(&[byte.at(MAX_TOTAL_BYTES - 2), byte], 1);
    check(&[byte, byte.at(MAX_TOTAL_BYTES - 2)], 1);
    assert!(Problem::new(vec![byte.at(MAX_TOTAL_BYTES - 3), byte]).is_ok());
    let far = Problem::new(vec![byte.at(MAX_TOTAL_BYTES - 3), byte]).unwrap();
    for name in strategies() {
        let plan = solve_with(&far, name).unwrap();
        assert_eq!((plan.peak, validate(&far, &plan)), (MAX_TOTAL_BYTES - 2, Ok(())), "{name}");
    }
}

#[test]
fn a_fixed_end_is_a_bound() {
    let problem = Problem::new(vec![Buffer::new(10, 0, 3), Buffer::new(4, 2, 5).at(20)]).unwrap();
    assert_eq!(lower_bound(&problem), LowerBound { bytes: 14, witness: 2 });
    assert_eq!(aligned_lower_bound(&problem), LowerBound { bytes: 24, witness: 2 });
    for name in strategies() {
        let plan = solve_with(&problem, name).unwrap();
        assert_eq!((plan.offsets.as_slice(), plan.peak, plan.status), (&[0, 20][..], 24, Status::Optimal));
    }
    // Of equal bounds the earlier point is the witness.
    let early = Problem::new(vec![Buffer::new(8, 0, 1).at(16), Buffer::new(24, 3, 4)]).unwrap();
    assert_eq!(aligned_lower_bound(&early), LowerBound { bytes: 24, witness: 0 });
}

#[test]
fn gaps_beneath_fixed_buffers_are_used() {
    let rows =
        [(16, 0, 9, Some(16)), (16, 0, 9, Some(48)), (16, 0, 9, None), (12, 1, 3, None), (4, 1, 3, None)];
    let buffers = rows.map(|(size, first, last, fixed)| Buffer { fixed, ..Buffer::new(size, first, last) });
    let problem = Problem::new(buffers.to_vec()).unwrap();
    for name in strategies() {
        let plan = solve_with(&problem, name).unwrap();
        assert_eq!((validate(&problem, &plan), plan.peak), (Ok(()), 64), "{name}: {plan:?}");
    }
}

/// The same problem with a share of its buffers fixed where a plan without fixed ones has them, `lift` bytes higher.
fn pinned(problem: &Problem, r: &mut SplitMix, lift: u64) -> Problem {
    let plan = solve(problem, Effort::Steps(0));
    let pin = |(buffer, &offset): (&Buffer, &u64)| {
        let place = (offset + lift).next_multiple_of(buffer.align);
        if r.range(0, 3) == 0 && place == offset + lift { buffer.at(place) } else { *buffer }
    };
    Problem::new(problem.buffers().iter().zip(&plan.offsets).map(pin).collect()).unwrap()
}

#[test]
fn plans_around_fixed_buffers_are_valid() {
    for &(kind, generate) in KINDS {
        for (seed, n, lift) in [(1, 7, 0), (2, 40, 0), (3, 40, 256), (4, 300, 0), (5, 300, 4096)] {
            let problem = pinned(&generate(seed, n), &mut SplitMix(seed), lift);
            let best = solve(&problem, Effort::Steps(100_000));
            assert_eq!(validate(&problem, &best), Ok(()), "{kind} n {n} seed {seed}");
            for name in strategies() {
                let plan = solve_with(&problem, name).unwrap();
                assert_eq!(validate(&problem, &plan), Ok(()), "{kind} n {n} seed {seed}, {name}");
                assert!(best.peak <= plan.peak, "{kind} n {n} seed {seed}: {name} is better");
            }
        }
    }
}

/// The least peak: buffers in every order, each on the ground or on the end of one that it lives with. Pressing a
/// plan down, buffer by buffer, ends in such a plan without raising its peak.
fn least_peak(buffers: &[Buffer], offsets: &mut [Option<u64>], best: &mut u64) {
    let end = |at: usize, offset: u64| offset + buffers[at].size;
    let placed = |offsets: &[Option<u64>]| -> Vec<(usize, u64)> {
        offsets.iter().enumerate().filter_map(|(at, offset)| Some((at, (*offset)?))).collect()
    };
    let known = placed(offsets);
    let peak = known.iter().map(|&(at, offset)| end(at, offset)).max().unwrap_or(0);
    if peak >= *best {
        return;
    }
    if known.len() == buffers.len() {
        *best = peak;
        return;
    }
    for (at, own) in buffers.iter().enumerate().filter(|&(at, _)| offsets[at].is_none()) {
        let with: Vec<(u64, u64)> = known
            .iter()
            .filter(|&&(other, _)| buffers[other].lifespan.overlaps(own.lifespan))
            .map(|&(other, offset)| (offset, end(other, offset)))
            .collect();
        let grounds = with.iter().map(|&(_, to)| to).chain([0]);
        for offset in grounds.map(|ground| ground.next_multiple_of(own.align)) {
            if with.iter().all(|&(from, to)| offset >= to || offset + own.size <= from) {
                let mut next = offsets.to_vec();
                next[at] = Some(offset);
                least_peak(buffers, &mut next, best);
            }
        }
    }
}

/// Up to four buffers around up to two fixed ones, with small sizes so that exact fits are common.
fn few_around_fixed() -> impl Strategy<Value = Vec<Buffer>> {
    let buffer = |fixed: bool| {
        let rows = (1u64..8, 0u32..5, 1u32..5, 0u32..3, 0u64..6);
        rows.prop_map(move |(size, first, length, align, place)| {
            let own = Buffer::new(size, first, first + length).aligned(1 << align);
            if fixed { own.at(place << align) } else { own }
        })
    };
    let (free, fixed) =
        (prop::collection::vec(buffer(false), 0..=4), prop::collection::vec(buffer(true), 0..=2));
    (free, fixed).prop_map(|(free, fixed)| [free, fixed].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bounds_and_plans_against_brute_force(buffers in few_around_fixed()) {
        let Ok(problem) = Problem::new(buffers) else { return Ok(()) };
        let mut best = u64::MAX;
        let mut offsets: Vec<_> = problem.buffers().iter().map(|buffer| buffer.fixed).collect();
        least_peak(problem.buffers(), &mut offsets, &mut best);
        let bound = aligned_lower_bound(&problem).bytes;
        prop_assert!(bound <= best, "bound {} above {}", bound, best);
        for name in strategies() {
            let plan = solve_with(&problem, name).unwrap();
            prop_assert_eq!(validate(&problem, &plan), Ok(()));
            prop_assert!(plan.peak >= best && (plan.status != Status::Optimal || plan.peak == best));
        }
        let plan = solve(&problem, Effort::Steps(1_000_000));
        prop_assert_eq!(validate(&problem, &plan), Ok(()));
        let proved = matches!(plan.status, Status::Optimal | Status::OptimalBySearch);
        prop_assert!(plan.peak >= best && plan.proved_bound <= best && (!proved || plan.peak == best));
        prop_assert!(proved || problem.buffers().iter().any(|buffer| buffer.align > 1));
    }
}
