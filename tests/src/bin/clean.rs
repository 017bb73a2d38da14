//! `clean [--runs N] [--from N] [--backend NAME]…`: runs of many models and shapes on every backend or on some, each
//! recorded and judged by `bayplan check`: none may raise an alarm. Prints what ran where; exit code 1 where one did.

use std::process::ExitCode;
use std::time::Instant;

use bayplan_tests::backend::Backend;
use bayplan_tests::clean::{CLEAN, Outcome, Sweep};

const USAGE: &str = "usage: clean [--runs N] [--from N] [--backend host|lavapipe|swiftshader|named]…";

/// Runs between two lines of progress.
const EVERY: u64 = 100;

fn arguments() -> Option<(u64, u64, Vec<Backend>)> {
    let (mut runs, mut from, mut backends) = (1000, 0, Vec::new());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--runs" => runs = value.parse().ok()?,
            "--from" => from = value.parse().ok()?,
            "--backend" => backends.push(match value.as_str() {
                "host" => Backend::Host,
                "lavapipe" => Backend::Lavapipe,
                "swiftshader" => Backend::SwiftShader,
                "named" => Backend::Named,
                _ => return None,
            }),
            _ => return None,
        }
    }
    if backends.is_empty() {
        backends = vec![Backend::Host, Backend::Lavapipe, Backend::SwiftShader];
    }
    Some((runs, from, backends))
}

fn main() -> ExitCode {
    let Some((runs, from, backends)) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let begun = Instant::now();
    let mut told = 0;
    let outcome = Sweep::new(&backends).run(from..from + runs, &mut |number, outcome| {
        outcome.failures[told..].iter().for_each(|failure| println!("{failure}\n"));
        told = outcome.failures.len();
        if (number + 1).is_multiple_of(EVERY) {
            println!("{:>7.1?}: up to run {number}, {} failed", begun.elapsed(), outcome.failures.len());
        }
    });
    print(&outcome);
    println!("{:.0} s", begun.elapsed().as_secs_f64());
    ExitCode::from(u8::from(!outcome.failures.is_empty()))
}

fn print(outcome: &Outcome) {
    println!("| what | on | recordings |\n|---|---|---|");
    for ((kind, backend), count) in &outcome.judged {
        println!("| {kind} | {backend} | {count} |");
    }
    println!(
        "{} recordings of {} runs, {} plans and {} windows: {} of them fail `{CLEAN}`",
        outcome.recordings(),
        outcome.inferences,
        outcome.plans,
        outcome.windows,
        outcome.failures.len()
    );
}
