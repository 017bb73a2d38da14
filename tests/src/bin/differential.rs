//! `differential --seeds A..B [--device NAME] [--steps N] [--minutes M] [--validation]`: random graphs on a device, every
//! dispatch against the host's. Prints what was compared; exit code 1 where anything differs.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use bayplan_engine::{Device, DeviceOptions};
use bayplan_tests::differential::{Checker, Plan, sweep};

const USAGE: &str =
    "usage: differential --seeds A..B [--device NAME] [--steps N] [--minutes M] [--validation]";

/// Operators drawn at least per graph.
const STEPS: usize = 5;

/// Seeds between two lines of progress.
const EVERY: u64 = 500;

struct Arguments {
    plan: Plan,
    device: DeviceOptions,
}

fn arguments(words: &[String]) -> Result<Arguments, String> {
    let mut plan = Plan { seeds: 0..0, steps: STEPS, until: None };
    let mut device = DeviceOptions::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--validation" {
            device.validation = true;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{word} wants a value"))?;
        let wrong = || format!("{word} cannot be {value}");
        match word.as_str() {
            "--seeds" => {
                let (first, end) = value.split_once("..").ok_or_else(wrong)?;
                plan.seeds = first.parse().map_err(|_| wrong())?..end.parse().map_err(|_| wrong())?;
            }
            "--device" => device.selector = value.parse().map_err(|e| format!("--device: {e}"))?,
            "--steps" => plan.steps = value.parse().map_err(|_| wrong())?,
            "--minutes" => {
                let minutes: u64 = value.parse().map_err(|_| wrong())?;
                plan.until = Some(Instant::now() + Duration::from_secs(60 * minutes));
            }
            _ => return Err(format!("there is no option {word}")),
        }
    }
    if plan.seeds.is_empty() {
        return Err("--seeds A..B says which seeds to run".into());
    }
    Ok(Arguments { plan, device })
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Arguments { plan, device } = match arguments(&words) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let device = match Device::open(&device) {
        Ok(device) => device,
        Err(e) => {
            eprintln!("no device: {e}");
            return ExitCode::from(2);
        }
    };
    println!("seeds {:?}, at least {} operators each, on {}", plan.seeds, plan.steps, device.info().name);
    let begun = Instant::now();
    // A panic is reported as the seed's failure.
    std::panic::set_hook(Box::new(|_| {}));
    let checker = Checker::new(device);
    let outcome = sweep(&checker, &plan, &mut |seed, outcome| {
        if outcome.seeds.is_multiple_of(EVERY) {
            println!(
                "{:>7.1?}: up to seed {seed}, {} dispatches, {} kernels, {} failed",
                begun.elapsed(),
                outcome.tally.dispatches,
                outcome.tally.kernels.len(),
                outcome.failed
            );
        }
    });
    print!("{}", outcome.tally);
    println!("{} messages of the validation layer and the driver", checker.device().message_count());
    for failure in &outcome.failures {
        println!("\n{failure}");
    }
    println!("{} of {} seeds failed, in {:.1?}", outcome.failed, outcome.seeds, begun.elapsed());
    ExitCode::from(u8::from(outcome.failed > 0))
}
