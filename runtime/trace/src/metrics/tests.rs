//! The figures on plans worked out by hand, and what holds for every plan.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use crate::{
    ArenaRecord, BufferRecord, Fragmentation, Holds, Loss, MapIndex, OpRecord, PlanRecord, PlanState,
    arena_metrics, fragmentation, live_at, loss_at, occupancy_at, waste, why_not_smaller, why_peak,
};

fn buffer(size: u64, offset: u64, first: u32, last: u32) -> BufferRecord {
    BufferRecord { size, offset, first, last, ..BufferRecord::default() }
}

fn plan(size: u64, alignment: u64, ops: usize, buffers: Vec<BufferRecord>) -> PlanRecord {
    let arena = ArenaRecord { size, alignment, ..ArenaRecord::default() };
    PlanRecord { arenas: vec![arena], ops: vec![OpRecord::default(); ops], buffers, ..PlanRecord::default() }
}

#[test]
fn waste_is_a_ratio_to_the_bound() {
    for (size, bound, expect) in
        [(100, 100, Some(0.0)), (150, 100, Some(0.5)), (0, 0, Some(0.0)), (1, 0, None), (50, 100, Some(-0.5))]
    {
        assert_eq!(waste(size, bound), expect, "of {size} over {bound}");
    }
}

#[test]
fn loss_is_split_by_the_alignment() {
    fn check(size: u64, alignment: u64, ranges: &[(u64, u64)], expect: (u64, u64, u64, u64, u64, u64)) {
        let buffers = ranges.iter().map(|&(start, end)| buffer(end - start, start, 0, 1)).collect();
        let loss = loss_at(&plan(size, alignment, 1, buffers), 0, 0);
        let found = (loss.live, loss.padding, loss.holes, loss.tail, loss.hole_count, loss.largest_hole);
        assert_eq!(found, expect, "of {ranges:?} in {size} by {alignment}");
    }
    check(100, 1, &[], (0, 0, 0, 100, 0, 0));
    check(100, 1, &[(0, 100)], (100, 0, 0, 0, 0, 0));
    check(100, 1, &[(0, 40), (60, 100)], (80, 0, 20, 0, 1, 20));
    // The same gap, in which nothing that is aligned can begin.
    check(128, 64, &[(0, 40), (64, 100)], (76, 24, 0, 28, 0, 0));
    // One that can, behind the padding.
    check(256, 64, &[(0, 40), (192, 256)], (104, 24, 128, 0, 1, 128));
    // Below the lowest there is no padding: offset 0 is aligned.
    check(256, 64, &[(192, 200)], (8, 0, 192, 56, 1, 192));
    check(400, 1, &[(10, 20), (25, 30), (60, 100)], (55, 0, 45, 300, 3, 30));
    // Shared bytes count once, whoever lies within whom.
    check(100, 1, &[(0, 50), (0, 50), (10, 20), (30, 60)], (60, 0, 0, 40, 0, 0));
    // Of a record that is not valid, nothing is counted past the end, and no alignment is one.
    check(100, 0, &[(90, 300), (200, 400)], (10, 0, 90, 0, 1, 90));
    check(
        u64::MAX,
        1 << 63,
        &[(0, 1), (u64::MAX - 1, u64::MAX)],
        (2, (1 << 63) - 1, (1 << 63) - 2, 0, 1, (1 << 63) - 2),
    );
}

#[test]
fn peak_is_the_witness_if_it_is_one() {
    fn check(witness: Option<u32>, expect: u32) {
        let buffers = vec![buffer(10, 0, 0, 4), buffer(5, 10, 1, 2), buffer(5, 10, 3, 4)];
        let mut plan = plan(15, 1, 4, buffers);
        plan.arenas[0].witness_op = witness;
        let metrics = arena_metrics(&plan).remove(0);
        assert_eq!((metrics.live.as_slice(), metrics.peak_live), (&[10, 15, 10, 15][..], 15));
        assert_eq!(metrics.peak_op, Some(expect), "with witness {witness:?}");
        let peak = why_peak(&plan, 0, &metrics).unwrap();
        assert_eq!((peak.op, peak.live, peak.buffers[0]), (expect, 15, 0));
        assert!((metrics.utilisation(&plan.arenas[0], 0) - 10.0 / 15.0).abs() < 1e-12);
    }
    check(None, 1);
    check(Some(3), 3);
    check(Some(2), 1);
    check(Some(9), 1);
}

#[test]
fn live_set_adds_up_with_views_and_in_place() {
    let in_place = BufferRecord { in_place_of: Some(0), ..buffer(30, 0, 1, 4) };
    let view = BufferRecord { alias_of: Some(0), ..buffer(10, 5, 1, 2) };
    let plan = plan(
        100,
        1,
        4,
        vec![buffer(30, 0, 0, 2), in_place, view, buffer(40, 30, 1, 3), buffer(30, 70, 1, 2)],
    );
    let metrics = arena_metrics(&plan).remove(0);
    assert_eq!(metrics.live, [30, 100, 70, 30]);
    for (op, expect) in [(0, &[0][..]), (1, &[3, 0, 4]), (2, &[3, 1]), (3, &[1]), (4, &[])] {
        let live = live_at(&plan, 0, op);
        assert_eq!(live, expect, "at op {op}");
        let sum: u64 = live.iter().map(|&index| plan.buffers[index as usize].size).sum();
        assert_eq!(sum, metrics.live.get(op as usize).copied().unwrap_or(0));
    }
    assert_eq!(metrics.loss, Loss { live: 100, ..Loss::default() });
}

#[test]
fn arenas_are_told_apart_and_may_be_empty() {
    let mut plan = plan(64, 1, 2, vec![buffer(8, 0, 0, 2)]);
    plan.arenas.push(ArenaRecord { size: 32, lower_bound: 16, ..ArenaRecord::default() });
    let metrics = arena_metrics(&plan);
    assert_eq!((metrics[0].peak_live, metrics[1].peak_live), (8, 0));
    assert_eq!(
        (metrics[1].peak_op, metrics[1].loss),
        (None, Loss { tail: 32, largest_fit: 32, ..Loss::default() })
    );
    assert_eq!(why_peak(&plan, 1, &metrics[1]), None);
    let why = why_not_smaller(&plan.arenas[1]);
    assert_eq!((why.gap, why.optimal, metrics[1].waste), (16, false, Some(1.0)));
    assert!(why_not_smaller(&ArenaRecord { size: 16, lower_bound: 16, ..ArenaRecord::default() }).optimal);
    assert_eq!(arena_metrics(&PlanRecord::default()), []);
}

#[test]
fn fragmentation_is_of_the_free_bytes() {
    fn check(free: &[u64], external: f64, holes: u64, largest: u64) {
        let expect = Fragmentation { external, free: free.iter().sum(), holes, largest };
        assert_eq!(fragmentation(free.iter().copied()), expect, "of {free:?}");
    }
    check(&[], 0.0, 0, 0);
    check(&[0], 0.0, 0, 0);
    check(&[7], 0.0, 1, 7);
    check(&[25, 50, 25], 0.5, 3, 50);
}

/// Any buffers within an arena, overlapping or not, with views and takeovers that need not make sense.
fn any_plan() -> impl Strategy<Value = PlanRecord> {
    let link = || proptest::option::weighted(0.2, 0u32..24);
    let part = (0u64..200, 0u64..60, 0u32..10, 0u32..6, link(), link());
    let parts = proptest::collection::vec(part, 0..24);
    (parts, prop_oneof![Just(0u64), Just(1), Just(16), Just(64)], 0usize..12).prop_map(
        |(parts, alignment, ops)| {
            let buffers = parts.into_iter().map(|(offset, size, first, life, in_place_of, alias_of)| {
                let (first, last) = (first.min(ops as u32), (first + life).min(ops as u32));
                BufferRecord { in_place_of, alias_of, ..buffer(size, offset, first, last) }
            });
            plan(260, alignment, ops, buffers.collect())
        },
    )
}

proptest! {
    #[test]
    fn loss_sums_to_the_arena(plan in any_plan(), op in 0u32..12) {
        let loss = loss_at(&plan, 0, op);
        prop_assert_eq!(loss.live + loss.padding + loss.holes + loss.tail, plan.arenas[0].size);
        prop_assert!(loss.largest_hole <= loss.holes && (loss.hole_count == 0) == (loss.holes == 0));
        // Live bytes by painting them.
        let mut bytes = vec![false; 260];
        for buffer in plan.buffers.iter().filter(|buffer| buffer.lives_at(op)) {
            bytes[buffer.offset as usize..buffer.end() as usize].fill(true);
        }
        prop_assert_eq!(loss.live, bytes.iter().filter(|&&live| live).count() as u64);
        // The largest stretch that is free and begins at a multiple of the alignment, by trying every one.
        let step = plan.arenas[0].alignment.max(1) as usize;
        let fits = (0..260).step_by(step).map(|at| bytes[at..].iter().take_while(|&&live| !live).count());
        prop_assert_eq!(loss.largest_fit, fits.max().unwrap_or(0) as u64);
    }

    #[test]
    fn occupancy_is_the_arena_byte_by_byte(plan in any_plan(), op in 0u32..12, cells in 1u16..400) {
        let occupancy = occupancy_at(&plan, 0, op);
        prop_assert_eq!(occupancy.loss, loss_at(&plan, 0, op));
        let mut next = 0;
        let mut sums = [0; 4];
        for part in &occupancy.parts {
            prop_assert!(part.start == next && part.end > part.start);
            next = part.end;
            let free = |at: u64| plan.buffers.iter().all(|b| !b.lives_at(op) || !(b.offset..b.end()).contains(&at));
            for at in part.start..part.end {
                match part.holds {
                    Holds::Live(number) => {
                        let buffer = &plan.buffers[number as usize];
                        prop_assert!(buffer.lives_at(op) && (buffer.offset..buffer.end()).contains(&at));
                    }
                    _ => prop_assert!(free(at)),
                }
            }
            let kind = match part.holds {
                Holds::Live(_) => 0,
                Holds::Padding => 1,
                Holds::Hole => 2,
                Holds::Tail => 3,
            };
            sums[kind] += part.end - part.start;
        }
        prop_assert_eq!(next, plan.arenas[0].size);
        let loss = occupancy.loss;
        prop_assert_eq!(sums, [loss.live, loss.padding, loss.holes, loss.tail]);
        // In cells: what is live in any part of a cell is seen, and a cell that is all of one kind is of that kind.
        let shown = occupancy.cells(&(0..260), cells);
        prop_assert_eq!(shown.len(), usize::from(cells));
        for (cell, shown) in (0..u64::from(cells)).zip(shown) {
            let (from, to) = (260 * cell / u64::from(cells), 260 * (cell + 1) / u64::from(cells));
            let to = to.max(from + 1);
            let touching: Vec<_> = occupancy.parts.iter().filter(|p| p.start < to && p.end > from).collect();
            let live = touching.iter().any(|part| matches!(part.holds, Holds::Live(_)));
            prop_assert_eq!(matches!(shown, Some(Holds::Live(_))), live);
            if let [only] = touching[..] {
                prop_assert_eq!(shown, Some(only.holds));
            }
        }
    }

    #[test]
    fn an_index_knows_the_same_occupancy(plan in any_plan(), op in 0u32..12) {
        // Of buffers that begin together, whichever comes first by number lends its name.
        let state = PlanState::new(plan.clone());
        prop_assert_eq!(MapIndex::new(&state, 0).occupancy(&plan, 0, op), occupancy_at(&plan, 0, op));
    }

    #[test]
    fn least_and_area_are_of_the_curve(plan in any_plan()) {
        let (arena, metrics) = (&plan.arenas[0], arena_metrics(&plan).remove(0));
        prop_assert_eq!(metrics.least_live, metrics.live.iter().copied().min().unwrap_or(0));
        let first = metrics.live.iter().position(|&live| live == metrics.least_live);
        prop_assert_eq!(metrics.least_op, first.map(|op| op as u32));
        let sum: u64 = metrics.live.iter().sum();
        let area = (!plan.ops.is_empty()).then(|| sum as f64 / (260 * plan.ops.len()) as f64);
        prop_assert_eq!(metrics.area_efficiency(arena), area);
        prop_assert_eq!(metrics.least_utilisation(arena).is_some(), !plan.ops.is_empty());
    }

    #[test]
    fn live_curve_and_live_sets_agree(plan in any_plan()) {
        let metrics = arena_metrics(&plan).remove(0);
        for (op, &live) in (0..).zip(&metrics.live) {
            let sum: u64 = live_at(&plan, 0, op).iter().map(|&index| plan.buffers[index as usize].size).sum();
            prop_assert_eq!(live, sum);
        }
        prop_assert_eq!(metrics.peak_live, metrics.live.iter().copied().max().unwrap_or(0));
        if let Some(op) = metrics.peak_op {
            prop_assert_eq!(metrics.live[op as usize], metrics.peak_live);
        }
    }

    #[test]
    fn disjoint_buffers_never_exceed_the_arena(sizes in proptest::collection::vec((1u64..50, 0u64..20), 0..12)) {
        let mut top = 0;
        let buffers = sizes.iter().map(|&(size, gap)| {
            let offset = top + gap;
            top = offset + size;
            buffer(size, offset, 0, 1)
        });
        let buffers = buffers.collect();
        let plan = plan(top, 1, 1, buffers);
        let metrics = arena_metrics(&plan).remove(0);
        prop_assert!(metrics.peak_live <= plan.arenas[0].size);
        prop_assert_eq!(metrics.loss.live, metrics.peak_live);
        prop_assert_eq!(metrics.loss.holes, sizes.iter().map(|(_, gap)| gap).sum::<u64>());
        prop_assert_eq!((metrics.loss.padding, metrics.loss.tail), (0, 0));
    }
}
