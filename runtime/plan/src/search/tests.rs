//! The search against trying every order, with alignments and fixed offsets.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::{Fit, fit, improve};
use crate::problem::{Buffer, Problem};
use crate::sections::Sections;

/// The least peak: some order of putting buffers down at their lowest free offset leads to it.
fn least_peak(buffers: &[Buffer], offsets: &mut Vec<Option<u64>>, peak: u64, best: &mut u64) {
    if peak >= *best {
        return;
    }
    let mut left = false;
    for i in 0..buffers.len() {
        if offsets[i].is_none() {
            left = true;
            let offset = lowest_free(buffers, offsets, i);
            offsets[i] = Some(offset);
            least_peak(buffers, offsets, peak.max(offset + buffers[i].size), best);
            offsets[i] = None;
        }
    }
    if !left {
        *best = peak;
    }
}

fn lowest_free(buffers: &[Buffer], offsets: &[Option<u64>], i: usize) -> u64 {
    let item = &buffers[i];
    let clash = |at: u64| {
        buffers.iter().zip(offsets).any(|(other, offset)| {
            let apart = |from: u64| at + item.size <= from || from + other.size <= at;
            other.lifespan.overlaps(item.lifespan) && offset.is_some_and(|from| !apart(from))
        })
    };
    (0..).step_by(item.align as usize).find(|&at| !clash(at)).unwrap()
}

fn brute_force(buffers: &[Buffer]) -> u64 {
    let mut offsets = Vec::from_iter(buffers.iter().map(|b| b.fixed));
    let fixed = buffers.iter().filter_map(|b| Some(b.fixed? + b.size)).max().unwrap_or(0);
    let mut best = u64::MAX;
    least_peak(buffers, &mut offsets, fixed, &mut best);
    best
}

/// Up to eight buffers, some of them fixed; sizes and alignments are small so that exact fits are common.
fn few_buffers() -> impl Strategy<Value = Problem> {
    let buffer = (1u64..12, 0u32..8, 1u32..6, 0u32..3, prop::option::weighted(0.3, 0u64..24));
    let make = |(size, first, length, align, fixed): (u64, u32, u32, u32, Option<u64>)| {
        let buffer = Buffer::new(size, first, first + length).aligned(1 << align);
        Buffer { fixed: fixed.map(|at| at >> align << align), ..buffer }
    };
    prop::collection::vec(buffer.prop_map(make), 1..=8)
        .prop_filter_map("fixed buffers overlap", |buffers| Problem::new(buffers).ok())
}

fn peak(sections: &Sections, offsets: &[u64]) -> u64 {
    sections.jobs.iter().zip(offsets).map(|(job, offset)| offset + job.size).max().unwrap()
}

fn check_offsets(problem: &Problem, offsets: &[u64]) {
    let all = problem.buffers().iter().zip(offsets);
    for (at, (a, &low)) in all.clone().enumerate() {
        assert!(low.is_multiple_of(a.align) && a.fixed.is_none_or(|fixed| fixed == low));
        for (b, &other) in all.clone().skip(at + 1).filter(|(b, _)| a.lifespan.overlaps(b.lifespan)) {
            assert!(low + a.size <= other || other + b.size <= low);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fits_and_refuses_like_brute_force(problem in few_buffers()) {
        let best = brute_force(problem.buffers());
        let sections = Sections::of(&problem);
        let mut work = 10_000_000;
        match fit(&sections, best, &mut work) {
            Fit::Found(offsets) => {
                check_offsets(&problem, &offsets);
                prop_assert_eq!(peak(&sections, &offsets), best);
            }
            _ => prop_assert!(false, "{best} fits"),
        }
        prop_assert!(matches!(fit(&sections, best - 1, &mut work), Fit::Impossible));
    }

    #[test]
    fn improves_to_the_optimum(problem in few_buffers()) {
        let best = brute_force(problem.buffers());
        let sections = Sections::of(&problem);
        let mut work = 10_000_000;
        let improved = improve(&sections, 0, best + 20, &mut work);
        prop_assert_eq!(improved.bound, best);
        let offsets = improved.offsets.unwrap();
        check_offsets(&problem, &offsets);
        prop_assert_eq!(peak(&sections, &offsets), best);
    }
}
