//! `planners [FIRST..END] [STEPS]`: the planner against four others on random problems, as a table by kind. At normal effort,
//! or with so many steps of the search. Exit code 1 where a reference is better, or a plan is none.

use std::ops::Range;
use std::process::ExitCode;

use bayplan_plan::{Effort, solve};
use bayplan_tests::planners::Contest;

const USAGE: &str = "usage: planners [FIRST..END] [STEPS]";

fn seeds(text: &str) -> Option<Range<u64>> {
    let (first, end) = text.split_once("..")?;
    Some(first.parse().ok()?..end.parse().ok()?)
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let seeds = words.first().map_or(Some(0..100_000), |word| seeds(word));
    let effort = words.get(1).map_or(Some(Effort::Normal), |word| word.parse().ok().map(Effort::Steps));
    let (Some(seeds), Some(effort)) = (seeds, effort) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    println!("seeds {seeds:?}, {effort:?}\n");
    let outcome = Contest::new(&|problem| solve(problem, effort)).against_references(seeds);
    println!("{}", outcome.tally);
    for (seed, why) in &outcome.failures {
        eprintln!("seed {seed}: {why}");
    }
    println!("{} failed", outcome.failed);
    ExitCode::from(u8::from(outcome.failed > 0))
}
