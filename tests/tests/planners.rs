//! The planner against four that others use, and against everything there is: on random problems of many kinds.
//! `make planners` draws other seeds, and prints the table of `BENCHMARKS.md`.

use bayplan_plan::{Effort, Plan, Problem, solve};
use bayplan_tests::planners::{Contest, Outcome, REFERENCES, peak};

/// Problems of a contest.
const PROBLEMS: u64 = 100_000;

/// Problems of a contest that may take its time.
const SAMPLE: u64 = 1000;

/// Steps of the search that leave no problem of 8 buffers open.
const PROOF: Effort = Effort::Steps(10_000_000);

fn told(outcome: &Outcome) -> String {
    let line = |(seed, why): &(u64, String)| format!("seed {seed}: {why}");
    outcome.failures.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The strategies alone must match the references: what searches add to them can only be smaller.
#[test]
fn no_reference_is_better_on_any_problem() {
    let outcome = Contest::new(&|problem| solve(problem, Effort::Steps(0))).against_references(0..PROBLEMS);
    println!("{}", outcome.tally);
    assert_eq!(outcome.failed, 0, "\n{}", told(&outcome));
}

/// A sample at the effort that people get: where a gap is left, the search takes its time.
#[test]
fn no_reference_is_better_where_the_search_helps() {
    let outcome = Contest::new(&|problem| solve(problem, Effort::Normal)).against_references(0..SAMPLE);
    println!("{}", outcome.tally);
    assert_eq!(outcome.failed, 0, "\n{}", told(&outcome));
}

/// With alignments and fixed buffers as well: equal to trying everything, and known to be.
#[test]
fn plans_of_few_buffers_are_as_small_as_any() {
    let outcome = Contest::new(&|problem| solve(problem, PROOF)).against_everything(0..PROBLEMS);
    let above = outcome.above_bound;
    println!("{PROBLEMS} problems, {above} with a least peak above the bound");
    assert_eq!(outcome.failed, 0, "\n{}", told(&outcome));
    assert!(above > PROBLEMS / 100, "too easy");
}

/// The worst of the references as a planner.
fn worst(problem: &Problem) -> Plan {
    let buffers = problem.buffers();
    let plans = REFERENCES.iter().filter_map(|reference| (reference.place)(buffers));
    let worst = plans.max_by_key(|offsets| peak(buffers, offsets)).unwrap_or_default();
    Plan::from_offsets(problem, worst, "worst").expect("references make plans")
}

/// The contests can be lost.
#[test]
fn the_references_do_not_pass() {
    let contest = Contest::new(&worst);
    let outcome = contest.against_references(0..2000);
    assert!(outcome.failed > 500, "{} of 2000 failed", outcome.failed);
    let outcome = contest.against_everything(0..2000);
    assert!(outcome.failed > 100, "{} of 2000 failed", outcome.failed);
    let outcome = Contest::new(&|_| panic!("no plan")).against_everything(0..10);
    assert_eq!(outcome.failed, 10);
}
