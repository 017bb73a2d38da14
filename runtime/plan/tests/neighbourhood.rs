//! The search for plans that are too large for the exact search: valid, never worse, the same every time, around
//! fixed buffers, and at the bound where the strategies are not.

#[allow(dead_code, reason = "shared by several test binaries")]
mod instances;

use bayplan_plan::{Buffer, Effort, Plan, Problem, Status, solve, validate};
use instances::SplitMix;

/// The name of the plans that it makes.
const NAME: &str = "neighbourhood search";

/// Pairs of live buffers here are millions, more than the exact search takes: most live for a quarter of the time and
/// longer, the others are short and large.
fn crowded(seed: u64, count: u64, align: impl Fn(u64) -> u64) -> Problem {
    const SIZES: [u64; 10] = [1, 2, 3, 5, 8, 13, 21, 34, 55, 100];
    const END: u64 = 2000;
    let mut generator = SplitMix(seed);
    let mut below = |bound: u64| generator.next() % bound;
    let buffers = (0..count).map(|_| {
        let size = SIZES[below(10) as usize];
        let long = below(100) < 85;
        let (first, length, size) = if long {
            (below(END * 3 / 4), END / 4 + below(END), size)
        } else {
            (below(END), 1 + below(30), 20 * size)
        };
        Buffer::new(size, first as u32, (first + length).min(END) as u32).aligned(align(below(8)))
    });
    Problem::new(buffers.collect()).unwrap()
}

fn plan(problem: &Problem, steps: u64) -> Plan {
    let plan = solve(problem, Effort::Steps(steps));
    validate(problem, &plan).unwrap();
    plan
}

/// A gap that all strategies leave is closed, by this search alone.
#[test]
fn closes_gaps_that_strategies_leave() {
    let mut closed = 0;
    for seed in 1..3 {
        let problem = crowded(seed, 4000, |_| 1);
        let quick = plan(&problem, 0);
        if quick.status == Status::Optimal {
            continue;
        }
        let searched = plan(&problem, 150_000_000);
        assert!(searched.peak <= quick.peak);
        closed += u32::from(searched.status == Status::Optimal && searched.strategy == NAME);
    }
    assert!(closed > 0, "no gap was closed");
}

/// Sizes that no others of the instance add up to leave gaps that are not closed; they get no larger, and the plan is
/// the same every time.
#[test]
fn is_never_worse_and_deterministic() {
    let mut smaller = 0;
    for seed in 10..12 {
        let problem = crowded(seed, 3200, |drawn| [1, 16][usize::from(drawn == 0)]);
        let mut peak = plan(&problem, 0).peak;
        for steps in [1, 3_000_000, 30_000_000] {
            let searched = plan(&problem, steps);
            assert!(searched.peak <= peak, "seed {seed}, {steps} steps: {} after {peak}", searched.peak);
            smaller += u32::from(searched.peak < peak && searched.strategy == NAME);
            peak = searched.peak;
        }
        assert_eq!(plan(&problem, 30_000_000), plan(&problem, 30_000_000));
    }
    assert!(smaller > 0, "the search was never needed");
}

/// Fixed buffers stay, also in the way, and offsets keep to each buffer's alignment.
#[test]
fn leaves_fixed_buffers_where_they_are() {
    let mut smaller = 0;
    for seed in 20..22 {
        let free = crowded(seed, 3200, |drawn| [1, 4, 64][drawn as usize % 3]);
        let quick = plan(&free, 0);
        let fix = |(at, buffer): (usize, &Buffer)| match at % 97 {
            0 => buffer.at(quick.offsets[at]),
            _ => *buffer,
        };
        let fixed = Problem::new(free.buffers().iter().enumerate().map(fix).collect()).unwrap();
        let quick = plan(&fixed, 0);
        let searched = plan(&fixed, 40_000_000);
        assert!(searched.peak <= quick.peak);
        smaller += u32::from(searched.peak < quick.peak && searched.strategy == NAME);
    }
    assert!(smaller > 0, "the search was never needed");
}
