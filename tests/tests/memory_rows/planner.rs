//! The P rows: lists of buffers.

use bayplan_expr::{Bindings, Bounds, Expr, Scope};
use bayplan_plan::symbolic::{Proof, SymbolicBuffer, SymbolicPlan, SymbolicProblem};
use bayplan_plan::{Buffer, Effort, Problem, solve, validate};

const K: u64 = 1024;

/// Plans buffers `(size, first, last)` with alignment 1; the bytes of the arena.
fn arena(buffers: &[(u64, u32, u32)]) -> u64 {
    let buffers = buffers.iter().map(|&(size, first, last)| Buffer::new(size, first, last)).collect();
    let problem = Problem::new(buffers).expect("a problem");
    let plan = solve(&problem, Effort::Normal);
    validate(&problem, &plan).expect("a sound plan");
    plan.peak
}

fn symbolic(buffers: &[(Expr, u32, u32)], bounds: &[(&str, Bounds)]) -> SymbolicPlan {
    let mut scope = Scope::new();
    for &(symbol, bounds) in bounds {
        scope.declare(symbol, bounds).expect("bounds with room");
    }
    let buffers = buffers.iter().map(|(size, first, last)| SymbolicBuffer::new(size.clone(), *first, *last));
    let problem = SymbolicProblem::open(&buffers.collect::<Vec<_>>(), &scope).expect("a problem");
    SymbolicPlan::solve(problem, Effort::Normal)
}

/// The peak as an expression that is proved, equal to the one given at small and at large values.
fn has_peak(plan: &SymbolicPlan, symbol: &str, expected: &Expr, from: i64, to: i64) {
    let form = plan.peak_form(Effort::Normal);
    assert_eq!((form.proof, form.expr().to_string()), (Proof::Proved, expected.to_string()));
    for value in (from..from + 40).chain([to / 2, to]) {
        let point = Bindings::new().with(symbol, value);
        assert_eq!(plan.peak_at(&point).ok(), expected.eval(&point).ok().map(i64::unsigned_abs), "{point}");
    }
}

#[test]
fn p3_small_buffers_take_the_place_of_a_large_one() {
    let chain = [(256, 2, 7), (256, 3, 7), (256, 4, 7), (256, 5, 7)];
    assert_eq!(arena(&[&[(1024, 0, 2), (64, 1, 6), (64, 6, 7)], &chain[..]].concat()), 1088);
}

#[test]
fn p6_a_size_known_from_below_alone() {
    let n = Expr::symbol("n");
    let (small, large) = (n.clone() * 8, n.clone() * 8 + 8);
    let buffers = [(small.clone(), 0, 2), (small, 1, 3), (large, 2, 4)];
    let plan = symbolic(&buffers, &[("n", Bounds::at_least(2))]);
    has_peak(&plan, "n", &(n * 16 + 8), 2, 1 << 20);
}

#[test]
fn p10_a_known_size_holds_a_symbolic_one() {
    let n = Expr::symbol("n");
    let plan = symbolic(&[(Expr::from(4096), 0, 1), (n * 4, 1, 2)], &[("n", Bounds::between(0, 1024))]);
    has_peak(&plan, "n", &Expr::from(4096), 0, 1024);
    assert_eq!(plan.reservation(Effort::Normal).bytes, 4096);
}

/// Functions that never run at once lie over each other: an arena for all is as large as the largest.
#[test]
fn p12_three_functions_in_one_arena() {
    let mib = |size: u64| size << 20;
    let functions = [[100, 60], [99, 61], [98, 62]];
    let alone = functions.map(|[a, b]| arena(&[(mib(a), 0, 1), (mib(b), 0, 1)]));
    assert_eq!(alone.into_iter().max(), Some(mib(160)));
    let one_after_the_other: Vec<_> =
        (0..3).flat_map(|at| functions[at as usize].map(|size| (mib(size), at, at + 1))).collect();
    assert_eq!(arena(&one_after_the_other), mib(160));
}

#[test]
fn p13_a_network_with_skips() {
    let buffers = [
        (1024, 0, 2),
        (1024, 1, 19),
        (512, 2, 4),
        (512, 3, 5),
        (512, 4, 15),
        (256, 5, 7),
        (256, 6, 8),
        (256, 7, 11),
        (128, 8, 10),
        (256, 9, 11),
        (512, 10, 12),
        (256, 11, 13),
        (256, 12, 14),
        (512, 13, 15),
        (1024, 14, 16),
        (512, 15, 17),
        (512, 16, 18),
        (1024, 17, 19),
        (2048, 18, 20),
        (1024, 19, 21),
        (1024, 20, 21),
    ];
    assert_eq!(buffers.len(), 21);
    assert_eq!(arena(&buffers.map(|(size, first, last)| (size * K, first, last))), 4_194_304);
}

/// Scenario 25: a workspace of 2·(b·v·4) + 4 MiB bytes and a result for a vocabulary of any size; at the largest batch (32)
/// 384·v + 4,194,304.
#[test]
fn s25_a_workspace_that_grows_with_the_vocabulary() {
    let [b, v] = ["b", "v"].map(Expr::symbol);
    let result = b * v.clone() * 4;
    let buffers = [(result.clone() * 2 + (4 << 20), 0, 2), (result, 1, 2)];
    let plan = symbolic(&buffers, &[("b", Bounds::between(1, 32)), ("v", Bounds::at_least(0))]);
    assert_eq!(plan.peak_form(Effort::Normal).proof, Proof::Proved);
    let widest = v * 384 + (4 << 20);
    for value in [0, 1, 7, 1000, 32_000, 128_256] {
        let point = Bindings::new().with("b", 32).with("v", value);
        assert_eq!(plan.peak_at(&point).ok(), widest.eval(&point).ok().map(i64::unsigned_abs), "{point}");
    }
    assert_eq!(plan.peak_at(&Bindings::new().with("b", 32).with("v", 32_000)), Ok(16_482_304));
}
