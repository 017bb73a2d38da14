//! Plans of known problems, and what must hold for the plans of any.

mod instances;

use bayplan_plan::{
    Buffer, Effort, Plan, Problem, Status, aligned_lower_bound, lower_bound, solve, solve_with, strategies,
    validate,
};
use instances::{KINDS, SplitMix, above_its_bound, cut_rectangle, least_peak};
use proptest::prelude::*;

const K: u64 = 1024;

/// The 21 activations of a UNet with three levels: size, first, last.
const UNET: [(u64, u32, u32); 21] = [
    (1024 * K, 0, 2),
    (1024 * K, 1, 19),
    (512 * K, 2, 4),
    (512 * K, 3, 5),
    (512 * K, 4, 15),
    (256 * K, 5, 7),
    (256 * K, 6, 8),
    (256 * K, 7, 11),
    (128 * K, 8, 10),
    (256 * K, 9, 11),
    (512 * K, 10, 12),
    (256 * K, 11, 13),
    (256 * K, 12, 14),
    (512 * K, 13, 15),
    (1024 * K, 14, 16),
    (512 * K, 15, 17),
    (512 * K, 16, 18),
    (1024 * K, 17, 19),
    (2048 * K, 18, 20),
    (1024 * K, 19, 21),
    (1024 * K, 20, 21),
];

#[track_caller]
fn check(rows: &[(u64, u32, u32)], arena: u64, witness: u32) {
    let buffers = rows.iter().map(|&(size, first, last)| Buffer::new(size, first, last)).collect();
    let problem = Problem::new(buffers).unwrap();
    let plan = solve(&problem, Effort::Normal);
    validate(&problem, &plan).unwrap();
    assert_eq!((plan.peak, plan.lower_bound.witness), (arena, witness), "{plan:?}");
    assert_eq!((plan.gap(), plan.status), (0, Status::Optimal));
    assert_eq!(problem.bytes_at(witness), arena);
}

#[test]
fn known_arenas() {
    // TVM's StaticPlanBlockMemory reuses storage by size class and needs 1,856 bytes here.
    let q = |first| (256, first, 7);
    check(&[(1024, 0, 2), (64, 1, 6), q(2), q(3), q(4), q(5), (64, 6, 7)], 1088, 1);
    // The second buffer is bounded by 4 n with n <= 1024 and lives when the first is gone.
    check(&[(4096, 0, 1), (4096, 1, 2)], 4096, 0);
    // ggml's allocator needs 5,242,880 bytes.
    check(&UNET, 4_194_304, 18);
    check(&[], 0, 0);
    check(&[(0, 3, 5), (0, 4, 9)], 0, 0);
    check(&[(7, 3, 5)], 7, 3);
    check(&[(u64::MAX >> 2, 0, u32::MAX)], u64::MAX >> 2, 0);
}

#[test]
fn every_strategy_makes_valid_plans() {
    for &(kind, generate) in KINDS {
        for n in [1, 2, 7, 40, 300] {
            for seed in 0..6 {
                let problem = generate(seed, n);
                let bound = lower_bound(&problem);
                assert!(aligned_lower_bound(&problem).bytes >= bound.bytes);
                let best = solve(&problem, Effort::Steps(300_000));
                for strategy in strategies() {
                    let plan = solve_with(&problem, strategy).unwrap();
                    if let Err(violation) = validate(&problem, &plan) {
                        panic!("{kind} n {n} seed {seed}, {strategy}: {violation}");
                    }
                    assert!(plan.peak >= plan.aligned_bound.bytes);
                    assert_eq!((plan.lower_bound, plan.strategy), (bound, strategy));
                    assert!(best.peak <= plan.peak, "{kind} n {n} seed {seed}: {strategy} is better");
                }
            }
        }
    }
}

/// UNets and transformer layers, which models are made of, are planned at the bound; chains of random
/// sizes nearly so (their optimum may lie above it).
#[test]
fn model_like_graphs_waste_little() {
    for (kind, most) in [("chain", 0.02), ("unet", 0.0), ("transformer", 0.0)] {
        let generate = KINDS.iter().find(|row| row.0 == kind).unwrap().1;
        for n in [30, 200, 1000] {
            let waste: f64 = (0..30).map(|seed| solve(&generate(seed, n), Effort::Normal).waste()).sum();
            assert!(waste / 30.0 <= most, "{kind} n {n}: mean waste {}", waste / 30.0);
        }
    }
}

/// The optimum of a cut rectangle is its bound; the strategies rarely meet it, the search does.
#[test]
fn the_search_reassembles_a_cut_rectangle() {
    let mut by_strategies = 0;
    for seed in 0..20 {
        let problem = cut_rectangle(seed, 60);
        let quick = solve(&problem, Effort::Steps(0));
        by_strategies += u32::from(quick.status == Status::Optimal);
        let plan = solve(&problem, Effort::Steps(50_000_000));
        validate(&problem, &plan).unwrap();
        assert_eq!((plan.peak, plan.status), (1 << 20, Status::Optimal), "seed {seed}");
        assert_eq!(plan, solve(&problem, Effort::Steps(50_000_000)));
    }
    assert!(by_strategies < 15, "too easy: {by_strategies} of 20 need no search");
}

/// Problems one after the other in time, with a program point between, the buffers taken from each in turn.
fn in_turn(parts: &[Problem]) -> Problem {
    let mut begin = 0;
    let mut rows = vec![];
    for (part, problem) in parts.iter().enumerate() {
        for (at, buffer) in problem.buffers().iter().enumerate() {
            let Buffer { size, align, lifespan, fixed } = *buffer;
            let moved = Buffer::new(size, begin + lifespan.first, begin + lifespan.last).aligned(align);
            rows.push((at, part, Buffer { fixed, ..moved }));
        }
        begin += 1 + problem.buffers().iter().map(|b| b.lifespan.last).max().unwrap_or(0);
    }
    rows.sort_unstable_by_key(|&(at, part, _)| (at, part));
    Problem::new(rows.into_iter().map(|(_, _, buffer)| buffer).collect()).unwrap()
}

/// What takes a search for one takes no more for a hundred equal ones, and they are planned alike.
#[test]
fn equal_parts_are_planned_once() {
    let one = cut_rectangle(3, 50);
    let alone = solve(&one, Effort::Steps(20_000_000));
    assert_eq!((alone.peak, alone.status), (1 << 20, Status::Optimal));
    assert_ne!(solve(&one, Effort::Steps(0)).status, Status::Optimal, "too easy");
    let many = in_turn(&vec![one.clone(); 100]);
    let plan = solve(&many, Effort::Steps(20_000_000));
    validate(&many, &plan).unwrap();
    assert_eq!((plan.peak, plan.status), (1 << 20, Status::Optimal));
    for (at, offsets) in plan.offsets.chunks(100).enumerate() {
        assert!(offsets.iter().all(|&offset| offset == alone.offsets[at]));
    }
}

/// A part is done as soon as the arena is as large for another.
#[test]
fn the_highest_part_decides() {
    let hard = cut_rectangle(3, 50);
    let first = solve(&hard, Effort::Steps(0));
    assert!(first.peak > 1 << 20);
    let tall = Problem::new(vec![Buffer::new(first.peak, 0, 1)]).unwrap();
    let plan = solve(&in_turn(&[hard.clone(), tall, hard]), Effort::Steps(0));
    assert_eq!((plan.peak, plan.status), (first.peak, Status::Optimal));
}

/// Different parts share the work; the whole is as high as the highest of them, and no strategy alone is better.
#[test]
fn parts_of_all_kinds_are_planned_together() {
    for seed in 0..12 {
        let parts: Vec<Problem> = KINDS.iter().map(|&(_, generate)| generate(seed, 30)).collect();
        let whole = in_turn(&parts);
        let plan = solve(&whole, Effort::Steps(2_000_000));
        validate(&whole, &plan).unwrap();
        for strategy in strategies() {
            assert!(plan.peak <= solve_with(&whole, strategy).unwrap().peak, "seed {seed}: {strategy}");
        }
        let bounds = parts.iter().map(|part| aligned_lower_bound(part).bytes);
        assert_eq!(bounds.max(), Some(plan.aligned_bound.bytes));
    }
    let above = [above_its_bound(), above_its_bound(), (KINDS[0].1)(1, 0)];
    let plan = solve(&in_turn(&above), Effort::Steps(100_000));
    assert_eq!((plan.peak, plan.proved_bound, plan.status), (15, 15, Status::OptimalBySearch));
}

/// No plan of these is at the bound, which is proved by trying everything.
#[test]
fn a_bound_that_cannot_be_met_is_proved_so() {
    let problem = above_its_bound();
    let plan = solve(&problem, Effort::Steps(100_000));
    validate(&problem, &plan).unwrap();
    assert_eq!((plan.peak, plan.aligned_bound.bytes, plan.proved_bound), (15, 14, 15));
    assert_eq!(plan.status, Status::OptimalBySearch);
    assert_eq!(solve(&problem, Effort::Steps(0)).status, Status::BoundNotReached);
    assert_eq!(solve(&problem, Effort::Steps(1)).status, Status::BestFound);
}

/// Three buffers at even offsets: sizes that the alignment rounds up count as rounded, however small others are aligned.
#[test]
fn bounds_count_the_padding_of_the_strictly_aligned() {
    let odd = |last| Buffer::new(3, 0, last).aligned(16);
    let buffers = vec![odd(2), odd(3), odd(4), Buffer::new(1, 1, 5).aligned(2), Buffer::new(4, 1, 3)];
    let problem = Problem::new(buffers).unwrap();
    let plan = solve(&problem, Effort::Normal);
    validate(&problem, &plan).unwrap();
    assert_eq!((plan.lower_bound.bytes, plan.lower_bound.witness), (14, 1));
    assert_eq!((plan.aligned_bound.bytes, plan.aligned_bound.witness), (35, 0));
    assert_eq!((plan.peak, plan.status), (35, Status::Optimal));
}

#[test]
fn same_problem_same_plan() {
    for &(_, generate) in KINDS {
        let plans = [0, 1].map(|_| solve(&generate(9, 500), Effort::Normal));
        assert_eq!(plans[0], plans[1]);
    }
}

#[test]
fn unknown_strategies_are_refused() {
    assert_eq!(solve_with(&Problem::default(), "no such strategy"), None);
}

#[test]
fn offsets_made_elsewhere_are_checked() {
    let problem = Problem::new(vec![Buffer::new(8, 0, 2), Buffer::new(8, 1, 3)]).unwrap();
    let plan = Plan::from_offsets(&problem, vec![8, 0], "file").unwrap();
    assert_eq!((plan.peak, plan.status, plan.gap()), (16, Status::Optimal, 0));
    assert_eq!(Plan::from_offsets(&problem, vec![9, 0], "file").unwrap().status, Status::BoundNotReached);
    assert!(Plan::from_offsets(&problem, vec![7, 0], "file").is_err());
    assert!(Plan::from_offsets(&problem, vec![7], "file").is_err());
    assert!(Plan::from_offsets(&problem, vec![u64::MAX, 0], "file").is_err());
}

/// Up to seven buffers; sizes and alignments are small so that ties and exact fits are common.
fn few_buffers() -> impl Strategy<Value = Vec<Buffer>> {
    let buffer = (1u64..12, 0u32..8, 1u32..6, 0u32..3);
    prop::collection::vec(
        buffer.prop_map(|(size, first, length, align)| {
            Buffer::new(size, first, first + length).aligned(1 << align)
        }),
        1..=7,
    )
}

fn some_buffers() -> impl Strategy<Value = Vec<Buffer>> {
    let buffer = (0u64..5000, 0u32..100, 1u32..40, 0u32..9);
    prop::collection::vec(
        buffer.prop_map(|(size, first, length, align)| {
            Buffer::new(size, first, first + length).aligned(1 << align)
        }),
        0..60,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn small_plans_against_brute_force(buffers in few_buffers()) {
        let problem = Problem::new(buffers).unwrap();
        let mut best = u64::MAX;
        least_peak(problem.buffers(), &mut vec![], 0, &mut best);
        let plan = solve(&problem, Effort::Steps(10_000_000));
        prop_assert_eq!(validate(&problem, &plan), Ok(()));
        prop_assert!(plan.aligned_bound.bytes <= best, "bound {} above {best}", plan.aligned_bound.bytes);
        prop_assert!(plan.peak >= best);
        let proved = matches!(plan.status, Status::Optimal | Status::OptimalBySearch);
        prop_assert!(plan.proved_bound <= best, "proved {} above {best}", plan.proved_bound);
        prop_assert!(!proved || plan.peak == best);
        // The search rounds sizes up to the common alignment of a part, and without one it leaves nothing open.
        let strictest = problem.buffers().iter().map(|b| b.align).max().unwrap_or(1);
        prop_assert!(plan.peak - best < strictest, "{} instead of {best}", plan.peak);
        prop_assert!(strictest > 1 || proved);
    }

    #[test]
    fn random_plans_validate(buffers in some_buffers()) {
        let problem = Problem::new(buffers).unwrap();
        for strategy in strategies() {
            let plan = solve_with(&problem, strategy).unwrap();
            prop_assert_eq!(validate(&problem, &plan), Ok(()), "{}", strategy);
        }
        // Max-live by looking at every point.
        let live = (0..140).map(|t| problem.bytes_at(t)).max().unwrap_or(0);
        let bound = lower_bound(&problem);
        prop_assert_eq!(bound.bytes, live);
        prop_assert_eq!(problem.bytes_at(bound.witness), if live == 0 { problem.bytes_at(0) } else { live });
        prop_assert!((0..bound.witness).all(|t| problem.bytes_at(t) < live), "an earlier witness exists");
    }

    #[test]
    fn names_and_order_do_not_matter_to_the_bound(seed: u64) {
        let problem = (KINDS[3].1)(seed, 40);
        let mut buffers = problem.buffers().to_vec();
        let mut r = SplitMix(seed);
        for i in (1..buffers.len()).rev() {
            buffers.swap(i, r.range(0, i as u64) as usize);
        }
        prop_assert_eq!(lower_bound(&problem), lower_bound(&Problem::new(buffers).unwrap()));
    }
}
