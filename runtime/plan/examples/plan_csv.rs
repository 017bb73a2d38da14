//! Plans CSV files and prints one line for each: `plan_csv [--high] [--steps N] [--all] [--write] FILE...`
//!
//! The time is the median of several runs of `solve`, without reading: of the processor where the system tells
//! it (Linux), else by the clock. `--all` adds a line for each strategy alone, `--write` prints the planned CSV instead.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use bayplan_plan::{Effort, Plan, csv, solve, solve_with, strategies, validate};

fn main() -> ExitCode {
    let mut effort = Effort::Normal;
    let (mut all, mut write, mut files) = (false, false, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--high" => effort = Effort::High,
            "--steps" => match arguments.next().and_then(|steps| steps.parse().ok()) {
                Some(steps) => effort = Effort::Steps(steps),
                None => return usage(),
            },
            "--all" => all = true,
            "--write" => write = true,
            _ => files.push(argument),
        }
    }
    if files.is_empty() {
        return usage();
    }
    if !write {
        println!(
            "{:<18}{:>8}{:>14}{:>14}{:>14}{:>8}{:>11}  {:<31}status",
            "file", "buffers", "peak", "max-live", "proved", "ratio", "CPU ms", "strategy"
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

fn usage() -> ExitCode {
    eprintln!("usage: plan_csv [--high] [--steps N] [--all] [--write] FILE...");
    ExitCode::from(2)
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
            "{name:<18}{:>8}{:>14}{:>14}{:>14}{:>8.4}{:>11.3}  {:<31}{}",
            problem.len(),
            plan.peak,
            plan.lower_bound.bytes,
            plan.proved_bound,
            1.0 + plan.waste(),
            time.as_secs_f64() * 1e3,
            plan.strategy,
            plan.status.name()
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

/// The result and the median time of up to nine measurements, fewer when they are long.
fn median<T>(run: impl Fn() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let (result, first) = timed(&run, 1);
    // Some systems count a thread's time in ticks of 4 ms.
    let batch = (Duration::from_millis(40).as_nanos() / begin.elapsed().as_nanos().max(1) + 1) as u32;
    let mut times = if batch == 1 { vec![first] } else { vec![] };
    while times.len() < 9 && begin.elapsed() < Duration::from_secs(2) {
        times.push(timed(&run, batch).1);
    }
    times.sort_unstable();
    (result, times.get(times.len() / 2).copied().unwrap_or(first))
}

/// The last result of a number of runs, and the time of one of them on average.
fn timed<T>(run: impl Fn() -> T, runs: u32) -> (T, Duration) {
    let (clock, processor) = (Instant::now(), processor_time());
    for _ in 1..runs {
        std::hint::black_box(run());
    }
    let result = std::hint::black_box(run());
    let spent = processor.zip(processor_time()).map(|(before, after)| after - before);
    (result, spent.unwrap_or_else(|| clock.elapsed()) / runs)
}

/// Time this thread has spent on a processor.
fn processor_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}
