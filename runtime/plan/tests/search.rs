//! The exact search: what it finds is the least, what it proves is true.

#[expect(dead_code, reason = "shared with other tests")]
mod instances;

use bayplan_plan::{Buffer, Effort, Problem, Status, solve, validate};
use instances::{SplitMix, cut_rectangle};
use proptest::prelude::*;

/// Whether buffers `at..` can be placed within the capacity beside those before, at any offsets at all.
fn fits(buffers: &[Buffer], offsets: &mut Vec<u64>, capacity: u64) -> bool {
    let Some(item) = buffers.get(offsets.len()) else { return true };
    let wanted = |&at: &u64| item.fixed.is_none_or(|fixed| fixed == at);
    let most = capacity.checked_sub(item.size);
    for at in (0..=most.unwrap_or(0)).step_by(item.align as usize).filter(|_| most.is_some()).filter(wanted) {
        let clash = buffers.iter().zip(&*offsets).any(|(other, &from)| {
            other.lifespan.overlaps(item.lifespan) && at < from + other.size && from < at + item.size
        });
        if !clash {
            offsets.push(at);
            if fits(buffers, offsets, capacity) {
                return true;
            }
            offsets.pop();
        }
    }
    false
}

/// The least peak, by trying all offsets: no thought of order, rest or section.
fn least_peak(buffers: &[Buffer]) -> u64 {
    (0..).find(|&capacity| fits(buffers, &mut vec![], capacity)).unwrap()
}

/// Up to six small buffers, some aligned, some fixed.
fn tiny_buffers() -> impl Strategy<Value = Problem> {
    let buffer = (1u64..7, 0u32..5, 1u32..5, 0u32..3, prop::option::weighted(0.2, 0u64..12));
    let make = |(size, first, length, align, fixed): (u64, u32, u32, u32, Option<u64>)| {
        let buffer = Buffer::new(size, first, first + length).aligned(1 << align);
        Buffer { fixed: fixed.map(|at| at >> align << align), ..buffer }
    };
    prop::collection::vec(buffer.prop_map(make), 1..=6)
        .prop_filter_map("fixed buffers overlap", |buffers| Problem::new(buffers).ok())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plans_of_tiny_problems_are_the_least(problem in tiny_buffers()) {
        let least = least_peak(problem.buffers());
        let plan = solve(&problem, Effort::Steps(10_000_000));
        prop_assert_eq!(validate(&problem, &plan), Ok(()));
        prop_assert_eq!((plan.peak, plan.proved_bound), (least, least));
        prop_assert!(matches!(plan.status, Status::Optimal | Status::OptimalBySearch));
    }
}

/// A plan that exists is found again with half of its buffers in place.
#[test]
fn half_a_plan_is_completed() {
    for seed in 0..10 {
        let problem = cut_rectangle(seed, 60);
        let plan = solve(&problem, Effort::Steps(50_000_000));
        let mut r = SplitMix(seed);
        let keep = |(b, &offset): (&Buffer, &u64)| if r.range(0, 1) == 0 { b.at(offset) } else { *b };
        let half = Problem::new(problem.buffers().iter().zip(&plan.offsets).map(keep).collect()).unwrap();
        let completed = solve(&half, Effort::Steps(50_000_000));
        validate(&half, &completed).unwrap();
        assert_eq!((completed.peak, completed.status), (plan.peak, Status::Optimal), "seed {seed}");
    }
}

/// Equal steps, equal plan; more steps, no larger plan.
#[test]
fn steps_are_all_that_counts() {
    for seed in 0..6 {
        let problem = cut_rectangle(seed, 120);
        let plans = [0, 100_000, 1_000_000, 1_000_000, 10_000_000].map(|s| solve(&problem, Effort::Steps(s)));
        assert_eq!(plans[2], plans[3]);
        assert!(plans.windows(2).all(|pair| pair[0].peak >= pair[1].peak), "seed {seed}");
    }
}
