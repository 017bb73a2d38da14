//! Explanations, compared with what looking at every pair, every order and every chain finds.

#[allow(dead_code, reason = "shared by several test binaries")]
mod instances;

use std::collections::BTreeSet;

use bayplan_plan::explain::{
    BoundProof, Ground, REGRET_WORK, Regret, Rests, Verdict, WhyNotSmaller, loss_at, rests, why_not_smaller,
};
use bayplan_plan::{
    Buffer, Effort, Plan, Problem, Status, aligned_lower_bound, solve, solve_with, strategies, validate,
};
use instances::{KINDS, least_peak};
use proptest::prelude::*;

const K: u64 = 1024;

fn explained(buffers: &[Buffer], offsets: &[u64]) -> WhyNotSmaller {
    let problem = Problem::new(buffers.to_vec()).unwrap();
    let plan = Plan::from_offsets(&problem, offsets.to_vec(), "hand").unwrap();
    why_not_smaller(&problem, &plan, REGRET_WORK)
}

/// ```text
///  12 +-------+
///     |   d   |
///   8 +---+---+---+
///     | b | c |   |        e lies at 9, loose by one byte
///   4 +---+---+-e-+
///     |     a     |
///   0 +-----------+--> 3
/// ```
#[test]
fn a_small_plan_is_explained() {
    let rows = [(4, 0, 3), (4, 0, 1), (4, 1, 2), (4, 0, 2), (2, 2, 3)];
    let buffers = rows.map(|(size, first, last)| Buffer::new(size, first, last));
    let why = explained(&buffers, &[0, 4, 4, 8, 5]);
    let rest = |buffer| {
        let rest = why.rests.get(buffer);
        (rest.ground, Vec::from_iter(rest.on.iter().map(|on| (on.buffer, on.gap))), rest.slack)
    };
    assert_eq!(rest(0), (Ground::Floor, vec![], 0));
    assert_eq!(rest(1), (Ground::Buffers, vec![(0, 0)], 0));
    assert_eq!(rest(3), (Ground::Buffers, vec![(1, 0), (2, 0)], 0));
    assert_eq!(rest(4), (Ground::Loose, vec![(0, 1)], 1));
    assert_eq!(rest(5), (Ground::Empty, vec![], 0));
    assert_eq!(why.verdict, Verdict::BoundMet);
    assert_eq!(why.critical.buffers, [0, 1, 2, 3]);
    assert_eq!(why.critical.on_every_chain, [0, 3]);
    assert_eq!(why.critical.chain.iter().map(|link| link.buffer).collect::<Vec<_>>(), [0, 1, 3]);
    let BoundProof::Live(clique) = &why.proof else { panic!("{:?}", why.proof) };
    assert_eq!((clique.point, clique.bytes, &clique.buffers[..]), (0, 12, &[0, 1, 3][..]));
    // Without a or d eight bytes are enough; without b the point 1 still needs twelve.
    let regrets: Vec<_> = why.regrets.of.iter().map(|regret| regret.exact()).collect();
    assert_eq!(regrets, [4, 0, 0, 4, 0].map(Some));
    assert_eq!(why.regrets.largest(9), [0, 3].map(|buffer| (buffer, Regret { at_least: 4, at_most: 4 })));
    let relief = why.reliefs.iter().find(|relief| relief.buffer == 1).unwrap();
    assert_eq!((relief.without.bytes, relief.without.witness), (12, 1));
    assert_eq!((why.reliefs[0].buffer, why.reliefs[0].halved.bytes), (0, 10));
}

#[test]
fn padding_and_fixed_buffers_are_told() {
    // 10 bytes, padded to 16, under 16 bytes; the third is the caller's.
    let buffers = [
        Buffer::new(10, 0, 2).aligned(16),
        Buffer::new(16, 0, 2).aligned(16),
        Buffer::new(8, 1, 2).aligned(16).at(64),
    ];
    let why = explained(&buffers, &[0, 16, 64]);
    let rest = why.rests.get(1);
    assert_eq!((rest.ground, rest.on[0].buffer, rest.on[0].gap), (Ground::Buffers, 0, 6));
    assert_eq!((why.rests.get(2).ground, why.rests.get(2).on.len()), (Ground::Fixed, 0));
    assert_eq!((why.verdict, &why.proof), (Verdict::BoundMet, &BoundProof::Fixed(2)));
    assert_eq!((why.loss.live, why.loss.padding, why.loss.holes), (34, 6, 32));
    assert_eq!((why.critical.chain[0].buffer, why.critical.chain[0].gap), (2, 64));
    // Only moving the fixed one helps: the others need 32 bytes as they lie, 26 the other way round.
    assert_eq!(why.reliefs.len(), 1);
    assert_eq!((why.reliefs[0].without.bytes, why.reliefs[0].halved.bytes), (26, 68));
    assert_eq!(why.regrets.of[2], Regret { at_least: 40, at_most: 46 });
    assert_eq!(why.regrets.of[0].exact(), Some(0));

    let padded = [Buffer::new(10, 0, 1).aligned(16), Buffer::new(12, 0, 1).aligned(16)];
    let why = explained(&padded, &[0, 16]);
    assert_eq!(why.verdict, Verdict::Open { at_most: 2, searched: false });
    let BoundProof::Padded(clique, padding) = &why.proof else { panic!("{:?}", why.proof) };
    assert_eq!((clique.bytes, *padding), (22, 4));
}

#[test]
fn verdicts_follow_the_status() {
    assert_eq!(explained(&[], &[]).verdict, Verdict::Empty);
    assert_eq!(explained(&[Buffer::new(0, 0, 1)], &[7]).verdict, Verdict::Empty);
    let problem = instances::above_its_bound();
    let plan = solve(&problem, Effort::Steps(100_000));
    assert_eq!(plan.status, Status::OptimalBySearch);
    assert_eq!(why_not_smaller(&problem, &plan, 0).verdict, Verdict::Excluded { gap: 1 });
    let found = Plan { status: Status::BestFound, proved_bound: 14, ..plan };
    assert_eq!(why_not_smaller(&problem, &found, 0).verdict, Verdict::Open { at_most: 1, searched: true });
}

/// The 21 activations of a UNet with three levels: only what lives at its last upsampling counts.
#[test]
fn the_regrets_of_a_unet_name_its_skip() {
    let rows =
        [(1024, 0, 2), (1024, 1, 19), (512, 2, 4), (512, 3, 5), (512, 4, 15), (1024, 17, 19), (2048, 18, 20)];
    let problem =
        Problem::new(rows.map(|(size, first, last)| Buffer::new(size * K, first, last)).to_vec()).unwrap();
    let plan = solve(&problem, Effort::Normal);
    let why = why_not_smaller(&problem, &plan, REGRET_WORK);
    assert_eq!(why.peak, 4096 * K);
    let exact: Vec<_> = why.regrets.of.iter().map(|regret| regret.exact().map(|bytes| bytes / K)).collect();
    assert_eq!(exact, [0, 1024, 0, 0, 0, 1024, 2048].map(Some));
}

#[test]
fn no_work_leaves_regrets_untried_and_says_so() {
    let problem = (KINDS[1].1)(3, 60);
    let plan = solve(&problem, Effort::Normal);
    let (none, all) = (why_not_smaller(&problem, &plan, 0), why_not_smaller(&problem, &plan, REGRET_WORK));
    assert_eq!((none.regrets.replayed, all.regrets.untried), (0, 0));
    assert_eq!(none.regrets.untried, all.regrets.replayed);
    assert!(all.regrets.replayed > 0);
    assert!(none.regrets.of.iter().all(|regret| regret.at_least == 0));
    assert_eq!((none.rests, none.critical, none.loss), (all.rests, all.critical, all.loss));
}

/// Where each buffer rests, by looking at every pair.
fn check_rests(problem: &Problem, plan: &Plan, rests: &Rests) {
    let rows: Vec<(Buffer, u64)> =
        problem.buffers().iter().copied().zip(plan.offsets.iter().copied()).collect();
    for (i, &(own, offset)) in (0u32..).zip(&rows) {
        let rest = rests.get(i);
        let lowest = |j: usize| (rows[j].1 + rows[j].0.size).next_multiple_of(own.align);
        let beneath: Vec<usize> = (0..rows.len())
            .filter(|&j| j != i as usize && rows[j].0.size > 0 && rows[j].0.lifespan.overlaps(own.lifespan))
            .filter(|&j| rows[j].1 < offset)
            .collect();
        let highest = beneath.iter().map(|&j| lowest(j)).max().unwrap_or(0);
        let on: BTreeSet<usize> = rest.on.iter().map(|contact| contact.buffer as usize).collect();
        let expect = match own {
            Buffer { size: 0, .. } => Ground::Empty,
            Buffer { fixed: Some(_), .. } => Ground::Fixed,
            _ if offset == 0 => Ground::Floor,
            _ if offset == highest => Ground::Buffers,
            _ => Ground::Loose,
        };
        assert_eq!(rest.ground, expect, "buffer {i}");
        if matches!(expect, Ground::Buffers | Ground::Loose) {
            assert_eq!(rest.slack, offset - highest);
            assert!(on.iter().all(|&j| beneath.contains(&j) && lowest(j) == highest));
            assert_eq!(on.is_empty(), beneath.is_empty());
            // What reaches as high and is not told lies hidden under what is told.
            for &j in beneath.iter().filter(|&&j| lowest(j) == highest && !on.contains(&j)) {
                assert!(
                    beneath
                        .iter()
                        .any(|&k| rows[k].1 > rows[j].1 && rows[k].0.lifespan.overlaps(rows[j].0.lifespan))
                );
            }
            assert!(
                rest.on
                    .iter()
                    .all(|c| c.gap == offset - rows[c.buffer as usize].1 - rows[c.buffer as usize].0.size)
            );
        } else {
            assert!(on.is_empty() && rest.slack == 0);
        }
    }
}

/// The chain adds up; each critical buffer is on every chain exactly if no chain is left without it.
fn check_chains(problem: &Problem, plan: &Plan, why: &WhyNotSmaller) {
    let size = |buffer: u32| problem.buffers()[buffer as usize].size;
    let end = |buffer: u32| plan.offsets[buffer as usize] + size(buffer);
    let chain = &why.critical.chain;
    assert_eq!(chain.iter().map(|link| link.gap + size(link.buffer)).sum::<u64>(), plan.peak);
    for pair in chain.windows(2) {
        let on = why.rests.get(pair[1].buffer).on;
        assert!(on.iter().any(|contact| contact.buffer == pair[0].buffer && contact.gap == pair[1].gap));
    }
    let mut order: Vec<u32> = (0..problem.len() as u32).filter(|&buffer| size(buffer) > 0).collect();
    order.sort_by_key(|&buffer| plan.offsets[buffer as usize]);
    let carried = |without: Option<u32>| {
        let mut reached = BTreeSet::new();
        for &buffer in order.iter().filter(|&&buffer| Some(buffer) != without) {
            let on = why.rests.get(buffer).on;
            if on.is_empty() || on.iter().any(|contact| reached.contains(&contact.buffer)) {
                reached.insert(buffer);
            }
        }
        order.iter().any(|&buffer| end(buffer) == plan.peak && reached.contains(&buffer))
    };
    assert_eq!(carried(None), !order.is_empty());
    let vital: Vec<u32> =
        (0..problem.len() as u32).filter(|&buffer| size(buffer) > 0 && !carried(Some(buffer))).collect();
    assert_eq!(why.critical.on_every_chain, vital);
    assert!(
        vital.iter().chain(chain.iter().map(|link| &link.buffer)).all(|b| why.critical.buffers.contains(b))
    );
}

/// The bounds told for changed sizes are sound, and those of unaligned problems exact.
fn check_reliefs(problem: &Problem, why: &WhyNotSmaller) {
    let grain = problem.buffers().iter().filter(|b| b.size > 0).map(|b| b.align).min().unwrap_or(1);
    for relief in why.reliefs.iter().take(8) {
        let changed = |size: u64| {
            let mut buffers = problem.buffers().to_vec();
            let own = &mut buffers[relief.buffer as usize];
            *own = Buffer { size, fixed: own.fixed.filter(|_| size > 0), ..*own };
            aligned_lower_bound(&Problem::new(buffers).unwrap())
        };
        let own = problem.buffers()[relief.buffer as usize];
        for (told, size) in [(relief.without, 0), (relief.halved, own.size.div_ceil(2))] {
            let actual = changed(size);
            assert!(told.bytes <= actual.bytes, "{told:?} {actual:?}");
            if problem.buffers().iter().all(|b| b.align == grain) {
                assert!(actual.bytes < told.bytes + grain, "{told:?} {actual:?}");
            }
            if problem.buffers().iter().all(|b| b.align == 1 && b.fixed.is_none()) {
                let live = problem.bytes_at(told.witness);
                let saved = if own.lifespan.contains(told.witness) { own.size - size } else { 0 };
                assert_eq!((actual.bytes, live - saved), (told.bytes, told.bytes), "{told:?}");
            }
        }
    }
}

fn check(problem: &Problem, plan: &Plan) -> WhyNotSmaller {
    validate(problem, plan).unwrap();
    let why = why_not_smaller(problem, plan, REGRET_WORK);
    check_rests(problem, plan, &why.rests);
    assert_eq!(rests(problem, plan), why.rests);
    check_chains(problem, plan, &why);
    check_reliefs(problem, &why);
    for point in (0..40).chain([plan.lower_bound.witness]) {
        let loss = loss_at(problem, plan, point);
        assert_eq!(loss.live, problem.bytes_at(point));
        assert_eq!(loss.live + loss.padding + loss.holes + loss.tail, plan.peak);
        assert!(loss.largest_hole * loss.hole_count >= loss.holes);
    }
    assert_eq!(why.loss, loss_at(problem, plan, plan.lower_bound.witness));
    assert!(why.regrets.settled <= plan.peak && why.regrets.settled >= plan.proved_bound);
    assert!(why.regrets.of.iter().all(|regret| regret.at_least <= regret.at_most));
    why
}

#[test]
fn plans_of_every_strategy_are_explained() {
    for &(kind, generate) in KINDS {
        for seed in 0..4 {
            let problem = generate(seed, 70);
            println!("{kind} {seed}");
            for strategy in strategies() {
                check(&problem, &solve_with(&problem, strategy).unwrap());
            }
        }
    }
}

/// Buffers in stacks with holes and fixed ones: any plan, not only what a strategy makes.
fn any_plan(most: usize, fixed: bool) -> impl Strategy<Value = (Problem, Plan)> {
    let buffer = (1u64..12, 0u32..8, 1u32..6, 0u32..3, 0u64..5, any::<bool>());
    prop::collection::vec(buffer, 1..=most).prop_map(move |rows| {
        let (mut buffers, mut offsets): (Vec<Buffer>, Vec<u64>) = (vec![], vec![]);
        for (size, first, length, align, gap, pinned) in rows {
            let own = Buffer::new(size, first, first + length).aligned(1 << align);
            let below = buffers.iter().zip(&offsets).filter(|(b, _)| b.lifespan.overlaps(own.lifespan));
            let top = below.map(|(b, offset)| offset + b.size).max().unwrap_or(0);
            let offset = (top + gap.saturating_sub(2)).next_multiple_of(own.align);
            buffers.push(if fixed && pinned { own.at(offset) } else { own });
            offsets.push(offset);
        }
        let problem = Problem::new(buffers).unwrap();
        let plan = Plan::from_offsets(&problem, offsets, "drawn").unwrap();
        (problem, plan)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_plan_is_explained((problem, plan) in any_plan(30, false)) {
        check(&problem, &plan);
    }

    #[test]
    fn any_plan_with_fixed_buffers_is_explained((problem, plan) in any_plan(30, true)) {
        check(&problem, &plan);
    }

    #[test]
    fn regrets_enclose_the_truth((problem, plan) in any_plan(6, false)) {
        let why = check(&problem, &plan);
        for (i, regret) in why.regrets.of.iter().enumerate() {
            let mut others = problem.buffers().to_vec();
            others.remove(i);
            let mut best = u64::MAX;
            least_peak(&others, &mut vec![], 0, &mut best);
            let truth = plan.peak - best;
            prop_assert!(regret.at_least <= truth && truth <= regret.at_most, "{i}: {truth} {regret:?}");
        }
    }
}
