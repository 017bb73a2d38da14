//! Plans CSV files and prints one line for each: `plan_csv [--high] [--all] [--write] FILE...`
//!
//! The time is the median of several runs of `solve`, without reading. `--all` adds a line for
//! each strategy alone, `--write` prints the planned CSV instead.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use bayplan_plan::{Effort, Plan, csv, solve, solve_with, strategies, validate};

fn main() -> ExitCode {
    let mut effort = Effort::Normal;
    let (mut all, mut write, mut files) = (false, false, Vec::new());
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--high" => effort = Effort::High,
            "--all" => all = true,
            "--write" => write = true,
            _ => files.push(argument),
        }
    }
    if files.is_empty() {
        eprintln!("usage: plan_csv [--high] [--all] [--write] FILE...");
        return ExitCode::from(2);
    }
    if !write {
        println!(
            "{:<24}{:>8}{:>16}{:>16}{:>8}  {:<20}{:>10}",
            "file", "buffers", "peak", "bound", "ratio", "strategy", "ms"
        );
    }
    for file in &files {
        if let Err(error) = one_file(file, effort, all, write) {
            eprintln!("{file}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn one_file(file: &str, effort: Effort, all: bool, write: bool) -> Result<(), Box<dyn std::error::Error>> {
    let instance = csv::read(&std::fs::read_to_string(file)?)?;
    let problem = &instance.problem;
    if write {
        print!("{}", csv::write(&instance, Some(&solve(problem, effort))));
        return Ok(());
    }
    let name = file.rsplit('/').next().unwrap_or(file);
    let show = |plan: &Plan, time: Duration| {
        println!(
            "{name:<24}{:>8}{:>16}{:>16}{:>8.4}  {:<20}{:>10.3}",
            problem.len(),
            plan.peak,
            plan.lower_bound.bytes,
            1.0 + plan.waste(),
            plan.strategy,
            time.as_secs_f64() * 1e3
        );
    };
    let (plan, time) = median(|| solve(problem, effort));
    validate(problem, &plan)?;
    show(&plan, time);
    for strategy in strategies().filter(|_| all) {
        let Some(plan) = solve_with(problem, strategy) else { continue };
        validate(problem, &plan)?;
        let (_, time) = median(|| solve_with(problem, strategy));
        show(&plan, time);
    }
    Ok(())
}

/// The result and the median time of up to nine runs, fewer when they are long.
fn median<T>(run: impl Fn() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let result = run();
    let mut times = vec![begin.elapsed()];
    while times.len() < 9 && begin.elapsed() < Duration::from_secs(2) {
        let start = Instant::now();
        std::hint::black_box(run());
        times.push(start.elapsed());
    }
    times.sort_unstable();
    (result, times[times.len() / 2])
}
