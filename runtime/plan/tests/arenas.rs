//! Blocks and several arenas: what they cost, what leaves a full one, what is refused, what the judge finds.

#[allow(dead_code, reason = "shared by several test binaries")]
mod instances;

use bayplan_plan::arenas::{
    Arena, ArenasPlan, BlockPlan, Flaw, NoFit, Place, Proof, Reason, Wish, plan_arenas, plan_blocks,
    sequence, validate_arenas, validate_blocks,
};
use bayplan_plan::{Buffer, Effort, Problem, Violation, solve};
use instances::{KINDS, SplitMix, above_its_bound, cut_rectangle};
use proptest::prelude::*;

fn problem(rows: &[(u64, u32, u32)]) -> Problem {
    Problem::new(rows.iter().map(|&(size, first, last)| Buffer::new(size, first, last)).collect()).unwrap()
}

#[track_caller]
fn blocks(problem: &Problem, arena: &Arena, effort: Effort) -> BlockPlan {
    let made = plan_blocks(problem, arena, effort).unwrap();
    assert_eq!(validate_blocks(problem, arena, &made), Ok(()));
    made
}

/// For limits from an eighth of the peak to just below it: never more than one largest buffer per edge, with one edge
/// one buffer, and seldom more than that with several.
#[test]
fn no_cliff_at_the_edge_of_a_block() {
    let effort = Effort::Steps(300_000);
    let (mut runs, mut above, mut lost) = (0, 0, 0.0);
    for &(kind, generate) in KINDS {
        for (seed, n) in (0..6).map(|seed| (seed, 40)).chain([(6, 200), (7, 200)]) {
            let problem = generate(seed, n);
            let peak = solve(&problem, effort).peak;
            let of = |value: fn(&Buffer) -> u64| problem.buffers().iter().map(value).max().unwrap();
            let (largest, unit) = (of(|buffer| buffer.size), of(|buffer| buffer.align));
            for sixteenths in [2, 3, 4, 6, 8, 11, 15, 16] {
                let limit = (peak * sixteenths / 16).min(peak - 1) / unit * unit;
                if limit < largest {
                    continue;
                }
                let made = blocks(&problem, &Arena::UNLIMITED.in_blocks(limit, unit), effort);
                let (cost, edges) = (made.plan.peak.saturating_sub(peak), peak.div_ceil(limit) - 1);
                // Each cut pays for what crosses it and for padding to where the next block begins.
                let padded = largest.next_multiple_of(unit) + 2 * unit;
                assert!(
                    cost <= edges * padded,
                    "{kind} {seed}: {cost} bytes at a limit of {limit}, peak {peak}"
                );
                above += u32::from(cost > largest + edges * unit);
                (runs, lost) = (runs + 1, lost + cost as f64 / peak as f64);
            }
        }
    }
    assert!(runs > 300 && above * 100 <= runs, "{above} of {runs} cost more than one largest buffer");
    assert!(lost / f64::from(runs) < 0.025, "mean loss {}", lost / f64::from(runs));
}

/// One largest buffer per edge is needed at worst: four buffers of a whole block at one point, seven of just over half
/// a block at another take seven blocks, four of them whole.
#[test]
fn some_edges_cost_what_they_must() {
    let rows: Vec<_> = (0..4).map(|_| (100, 0, 1)).chain((0..7).map(|_| (51, 1, 2))).collect();
    let made = blocks(&problem(&rows), &Arena::UNLIMITED.in_blocks(100, 1), Effort::Normal);
    assert_eq!((made.plan.peak, made.blocks.len()), (4 * 100 + 3 * 51, 7));
}

#[test]
fn what_fits_stays_in_one_block() {
    let generated = (KINDS[3].1)(1, 40);
    let peak = solve(&generated, Effort::Normal).peak;
    let arena = Arena::UNLIMITED.in_blocks(peak, 1);
    assert_eq!(blocks(&generated, &arena, Effort::Normal).blocks, [peak]);
    assert!(blocks(&Problem::default(), &arena, Effort::Normal).blocks.is_empty());
    assert!(blocks(&problem(&[(0, 0, 1)]), &arena, Effort::Normal).blocks.is_empty());
}

/// Blocks begin at multiples of their size where buffers are fixed.
#[test]
fn fixed_buffers_keep_their_blocks() {
    let arena = Arena::UNLIMITED.in_blocks(100, 4);
    let at = |size, offset| Buffer::new(size, 0, 2).at(offset);
    let rows = [at(60, 120), at(40, 0), Buffer::new(60, 0, 2), Buffer::new(30, 1, 3), Buffer::new(20, 1, 3)];
    let made = blocks(&Problem::new(rows.to_vec()).unwrap(), &arena, Effort::Normal);
    assert_eq!((made.plan.offsets[0], made.plan.offsets[1]), (120, 0));
    assert_eq!(made.blocks[0], 100);
    assert!(made.plan.peak <= 230, "{made:?}");
    let across = Problem::new(vec![at(60, 80), at(80, 0)]).unwrap();
    assert_eq!(
        plan_blocks(&across, &arena, Effort::Normal),
        Err(NoFit::AcrossBlocks { buffer: 0, edge: 100 })
    );
}

#[test]
fn a_sequence_is_cut_where_the_next_does_not_fit() {
    let arena = Arena::UNLIMITED.in_blocks(256, 64);
    let check = |sizes: &[u64], offsets: &[u64], ends: &[u64]| {
        assert_eq!(sequence(sizes, &arena), Ok((offsets.to_vec(), ends.to_vec())), "{sizes:?}");
    };
    check(&[], &[], &[]);
    check(&[0], &[0], &[]);
    check(&[256], &[0], &[256]);
    check(&[16, 16], &[0, 64], &[80]);
    check(&[200, 64, 16, 256], &[0, 256, 320, 384], &[256, 384, 640]);
    assert_eq!(sequence(&[64, 4096], &arena), Err(NoFit::TooLarge { buffer: 1, size: 4096 }));
    let small = Arena { capacity: 100, ..arena };
    let proof = Proof::Bound { point: 0 };
    let needs = NoFit::NeedsMore { arenas: vec![0], bytes: 128, capacity: 100, proof };
    assert_eq!(sequence(&[64, 64], &small), Err(needs));
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, NoFit>, expect: &NoFit, message: &str) {
    let error = result.unwrap_err();
    assert_eq!(&error, expect);
    assert_eq!(error.to_string(), message);
}

#[test]
fn what_cannot_fit_is_named() {
    let two = problem(&[(64, 0, 1), (4096, 0, 1)]);
    let too_large = NoFit::TooLarge { buffer: 1, size: 4096 };
    let message = "buffer 1: its 4096 bytes are more than a block or a buffer may have";
    refused(plan_blocks(&two, &Arena::UNLIMITED.in_blocks(1024, 64), Effort::Normal), &too_large, message);
    let narrow = Arena { largest_buffer: 1024, ..Arena::UNLIMITED };
    refused(plan_arenas(&two, &[narrow, narrow], &[], Effort::Normal), &too_large, message);

    let proof = Proof::Bound { point: 3 };
    let three = problem(&[(60, 0, 9), (60, 3, 4), (60, 2, 9)]);
    refused(
        plan_blocks(&three, &Arena::of(150), Effort::Normal),
        &NoFit::NeedsMore { arenas: vec![0], bytes: 180, capacity: 150, proof },
        "180 bytes are needed in arena 0, which have 150: so many are live at point 3",
    );
    refused(
        plan_arenas(&three, &[Arena::of(80), Arena::of(90), Arena::of(5)], &[], Effort::Normal),
        &NoFit::NeedsMore { arenas: vec![0, 1, 2], bytes: 180, capacity: 175, proof },
        "180 bytes are needed in arenas 0, 1, 2, which have 175: so many are live at point 3",
    );
    // Above the bound, and shown by trying everything.
    refused(
        plan_blocks(&above_its_bound(), &Arena::of(14), Effort::Steps(100_000)),
        &NoFit::NeedsMore { arenas: vec![0], bytes: 15, capacity: 14, proof: Proof::Search },
        "15 bytes are needed in arena 0, which have 14: an exhaustive search found no smaller plan",
    );
    // Three of 60 in two blocks of 100: there is room, and no way.
    refused(
        plan_blocks(&three, &Arena { capacity: 180, ..Arena::UNLIMITED }.in_blocks(100, 32), Effort::Normal),
        &NoFit::NotFound { arena: 0, bytes: 188, capacity: 180 },
        "arena 0: the smallest plan found needs 188 bytes of 180; a smaller one may exist",
    );
}

#[test]
fn malformed_requests_are_named() {
    let one = problem(&[(64, 0, 1)]);
    let arenas = [Arena::UNLIMITED; 2];
    for (list, ok) in [(vec![], false), (vec![2], false), (vec![0, 0], false), (vec![1, 0], true)] {
        let made = plan_arenas(&one, &arenas, &[Wish { arenas: list.clone(), cost: 1 }], Effort::Normal);
        assert_eq!(made.is_ok(), ok, "{list:?}");
        assert!(ok || made == Err(NoFit::BadWish { buffer: 0 }));
    }
    let wish = Wish { arenas: vec![0], cost: 1 };
    let twice = [wish.clone(), wish];
    assert_eq!(plan_arenas(&one, &arenas, &twice, Effort::Normal), Err(NoFit::BadWish { buffer: 1 }));
    let bad = Arena { block_align: 48, ..Arena::UNLIMITED };
    assert_eq!(plan_arenas(&one, &[arenas[0], bad], &[], Effort::Normal), Err(NoFit::BadArena { arena: 1 }));
    let fixed = Problem::new(vec![Buffer::new(4, 0, 1).at(8)]).unwrap();
    assert_eq!(plan_arenas(&fixed, &arenas, &[], Effort::Normal), Err(NoFit::FixedInSeveral { buffer: 0 }));
    let there = [Wish { arenas: vec![1], cost: 0 }];
    let made = plan_arenas(&fixed, &arenas, &there, Effort::Normal).unwrap();
    assert_eq!((made.places[0], made.cost), (Place { arena: 1, offset: 8 }, 0));
    assert_eq!(validate_arenas(&fixed, &arenas, &there, &made), Ok(()));
}

#[track_caller]
fn arenas(problem: &Problem, arenas: &[Arena], wishes: &[Wish], effort: Effort) -> ArenasPlan {
    let made = plan_arenas(problem, arenas, wishes, effort).unwrap();
    assert_eq!(validate_arenas(problem, arenas, wishes, &made), Ok(()));
    made
}

#[test]
fn the_cheapest_leaves() {
    let three = problem(&[(50, 0, 4), (60, 1, 3), (40, 2, 4)]);
    let memories = [Arena::of(100), Arena::UNLIMITED];
    let made = arenas(&three, &memories, &[], Effort::Normal);
    // 150 are live at point 2: the first, or the second, or ... 50 bytes less at least.
    assert_eq!(made.cost, 50);
    let costs = [9, 1, 3].map(|cost| Wish { arenas: vec![0, 1], cost });
    let made = arenas(&three, &memories, &costs, Effort::Normal);
    assert_eq!((made.spilled[0].buffer, made.spilled[0].reason, made.cost), (1, Reason::Full, 1));
    // One that wants the other memory is no spill, one that is too large for the first is.
    let narrow = [Arena { largest_buffer: 55, ..memories[0] }, memories[1]];
    let mut wishes = costs.to_vec();
    wishes[2].arenas = vec![1, 0];
    let made = arenas(&three, &narrow, &wishes, Effort::Normal);
    assert_eq!(
        (made.spilled.len(), made.spilled[0].buffer, made.spilled[0].reason),
        (1, 1, Reason::TooLarge)
    );
    assert_eq!(made.arenas[1].buffers, [1, 2]);
}

/// What was spilled once goes on to a third memory when the second is full, and pays for each step.
#[test]
fn spills_go_on() {
    let rows: Vec<_> = (0..6).map(|i| (40 + i, 0, 2)).collect();
    let made =
        arenas(&problem(&rows), &[Arena::of(90), Arena::of(90), Arena::UNLIMITED], &[], Effort::Normal);
    let count = |arena| made.places.iter().filter(|place| place.arena == arena).count();
    assert_eq!((count(0), count(1), count(2)), (2, 2, 2));
    assert_eq!(made.cost, made.spilled.iter().map(|spill| spill.cost).sum::<u64>());
}

/// A cut rectangle fits its bound, which only the search finds: nothing leaves.
#[test]
fn nothing_leaves_what_a_better_plan_holds() {
    for seed in 0..6 {
        let problem = cut_rectangle(seed, 40);
        let made = arenas(&problem, &[Arena::of(1 << 20), Arena::UNLIMITED], &[], Effort::Steps(20_000_000));
        assert_eq!((made.cost, made.spilled.len()), (0, 0), "seed {seed}");
    }
}

#[test]
fn every_kind_is_planned_in_several_arenas() {
    for &(kind, generate) in KINDS {
        for (seed, n) in [(1, 12), (2, 60), (3, 200)] {
            let problem = generate(seed, n);
            let effort = Effort::Steps(50_000);
            let peak = solve(&problem, effort).peak;
            let largest = problem.buffers().iter().map(|buffer| buffer.size).max().unwrap();
            let unit = problem.buffers().iter().map(|buffer| buffer.align).max().unwrap();
            let slow = Arena::UNLIMITED.in_blocks((peak / 3).max(largest).next_multiple_of(unit), unit);
            let made = arenas(&problem, &[Arena::of(peak / 2), Arena::of(peak / 5), slow], &[], effort);
            assert!(made.cost > 0 && !made.arenas[0].buffers.is_empty(), "{kind} {seed} {n}");
        }
    }
}

/// The judge refuses each thing that can be wrong.
#[test]
fn flaws_are_found() {
    let rows: Vec<_> = (0..6).map(|i| (40, i, i + 2)).collect();
    let (problem, memories) = (problem(&rows), [Arena::of(60), Arena::UNLIMITED.in_blocks(64, 8)]);
    let made = arenas(&problem, &memories, &[], Effort::Normal);
    let away = made.spilled[0].buffer;
    let check = |change: &dyn Fn(&mut ArenasPlan), expect: &Flaw| {
        let mut bad = made.clone();
        change(&mut bad);
        assert_eq!(validate_arenas(&problem, &memories, &[], &bad).as_ref(), Err(expect), "{expect}");
    };
    check(&|bad| bad.places.truncate(2), &Flaw::WrongLength);
    check(&|bad| bad.places[away as usize].arena = 0, &Flaw::Misplaced { buffer: away });
    check(&|bad| bad.spilled[0].cost += 1, &Flaw::WrongSpill { buffer: away });
    check(&|bad| bad.spilled[0].reason = Reason::TooLarge, &Flaw::WrongSpill { buffer: away });
    check(&|bad| bad.cost += 1, &Flaw::WrongCost { stated: made.cost + 1, actual: made.cost });
    check(&|bad| bad.arenas[0].plan.blocks.clear(), &Flaw::Block { arena: 0, block: 0 });
    check(
        &|bad| bad.arenas[1].plan.plan.peak += 1,
        &Flaw::Plan {
            arena: 1,
            violation: Violation::WrongPeak {
                stated: made.arenas[1].plan.plan.peak + 1,
                actual: made.arenas[1].plan.plan.peak,
            },
        },
    );
    let small = [Arena::of(30), memories[1]];
    assert_eq!(
        validate_arenas(&problem, &small, &[], &made),
        Err(Flaw::OverCapacity { arena: 0, bytes: made.arenas[0].plan.plan.peak })
    );
    let narrow = [memories[0], Arena { largest_buffer: 39, ..memories[1] }];
    assert_eq!(validate_arenas(&problem, &narrow, &[], &made), Err(Flaw::TooLarge { buffer: away }));

    let arena = Arena::UNLIMITED.in_blocks(64, 8);
    let whole = Problem::new(vec![Buffer::new(40, 0, 1), Buffer::new(40, 0, 1)]).unwrap();
    let good = blocks(&whole, &arena, Effort::Normal);
    for (blocks, flaw) in [
        (vec![80], Flaw::Block { arena: 0, block: 0 }),
        (vec![36, 80], Flaw::Block { arena: 0, block: 1 }),
        (vec![48, 80], Flaw::Crossing { arena: 0, buffer: 1 }),
        (vec![40], Flaw::Block { arena: 0, block: 1 }),
    ] {
        let bad = BlockPlan { blocks, ..good.clone() };
        assert_eq!(validate_blocks(&whole, &arena, &bad), Err(flaw));
    }
}

/// The least cost at which what stays fits the capacity, by trying every set.
fn least_cost(problem: &Problem, costs: &[u64], capacity: u64) -> u64 {
    let sets = 0u32..1 << problem.len();
    let cost = |set: u32| {
        let stays = |buffer: usize| set >> buffer & 1 == 1;
        let kept = (0..problem.len()).filter(|&at| stays(at)).map(|at| problem.buffers()[at]).collect();
        let cost = (0..problem.len()).filter(|&at| !stays(at)).map(|at| costs[at]).sum::<u64>();
        let fits = solve(&Problem::new(kept).unwrap(), Effort::Steps(100_000)).peak <= capacity;
        fits.then_some(cost)
    };
    sets.filter_map(cost).min().unwrap_or(u64::MAX)
}

/// Costs whose multiples and sums pass 64 bits: the stated ones end at the largest number, what leaves is still chosen
/// by the exact ones.
#[test]
fn the_dearest_of_wishes() {
    let dearest = |arenas: &[usize]| Wish { arenas: arenas.to_vec(), cost: u64::MAX };
    let check = |problem: &Problem, memories: &[Arena], wishes: &[Wish], spilled: &[u32]| {
        let made = plan_arenas(problem, memories, wishes, Effort::Steps(100_000)).unwrap();
        assert_eq!(validate_arenas(problem, memories, wishes, &made), Ok(()));
        assert_eq!(made.cost, u64::MAX);
        assert_eq!(made.spilled.iter().map(|spill| spill.buffer).collect::<Vec<_>>(), spilled);
    };
    let one = problem(&[(8, 1, 4)]);
    let steps = [Arena::UNLIMITED, Arena { largest_buffer: 5, ..Arena::of(68) }, Arena::of(7)];
    check(&one, &steps, &[dearest(&[2, 1, 0])], &[0]);
    let three = problem(&[(12, 1, 3), (14, 1, 2), (8, 1, 3)]);
    let sums = [Arena::of(8), Arena::of(64)];
    let cheap = Wish { arenas: vec![0, 1], cost: 12 };
    check(&three, &sums, &[dearest(&[0, 1]), dearest(&[0, 1]), cheap], &[0, 1]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn spills_against_brute_force(
        rows in prop::collection::vec((1u64..12, 0u32..6, 1u32..5, 0u64..9, 0u32..2), 1..=7),
        capacity in 4u64..24,
    ) {
        let buffer = |&(size, first, length, _, align): &(u64, u32, u32, u64, u32)| {
            Buffer::new(size, first, first + length).aligned(1 << align)
        };
        let problem = Problem::new(rows.iter().map(buffer).collect()).unwrap();
        let costs: Vec<u64> = rows.iter().map(|row| row.3).collect();
        let wishes: Vec<Wish> = costs.iter().map(|&cost| Wish { arenas: vec![0, 1], cost }).collect();
        let memories = [Arena::of(capacity), Arena::UNLIMITED];
        let made = plan_arenas(&problem, &memories, &wishes, Effort::Steps(100_000)).unwrap();
        prop_assert_eq!(validate_arenas(&problem, &memories, &wishes, &made), Ok(()));
        // A buffer larger than the arena has to leave it at any price.
        prop_assert_eq!(made.cost, least_cost(&problem, &costs, capacity));
    }

    #[test]
    fn blocks_of_anything_are_valid(seed in 0u64..1000, kind in 0..KINDS.len(), n in 2usize..60, share in 1u64..16) {
        let problem = (KINDS[kind].1)(seed, n);
        let mut r = SplitMix(seed);
        let largest = problem.buffers().iter().map(|buffer| buffer.size).max().unwrap_or(0);
        let align = 1 << r.range(0, 9);
        let limit = (solve(&problem, Effort::Steps(0)).peak * share / 16).max(largest).max(1).next_multiple_of(align.max(256));
        let arena = Arena::UNLIMITED.in_blocks(limit, align);
        let made = plan_blocks(&problem, &arena, Effort::Steps(20_000)).unwrap();
        prop_assert_eq!(validate_blocks(&problem, &arena, &made), Ok(()));
    }
}
