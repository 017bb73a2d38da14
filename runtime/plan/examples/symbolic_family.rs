//! One order for 48 layers of any length: its waste at every length, the time of a replay, the closed form of its peak.
//!
//! Times are those of the processor where /proc tells them, else of the clock.

#[path = "../tests/family/mod.rs"]
mod family;

use std::hint::black_box;
use std::time::{Duration, Instant};

use bayplan_expr::Bindings;
use bayplan_plan::Effort;
use bayplan_plan::symbolic::SymbolicPlan;

/// Sweeps over all lengths that are timed.
const SWEEPS: u32 = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let problem = family::family();
    let at = |s| Bindings::new().with("S", s);
    let lengths = || (family::LEAST..=family::GREATEST).map(at);

    let (plan, time) = timed(|| SymbolicPlan::solve(problem.clone(), Effort::Normal));
    println!("{} buffers, an order chosen in {time:?}: {:?}", problem.len(), plan.regret());

    let (waste, time) = timed(|| lengths().map(|point| (plan.waste_at(&point), point)).collect::<Vec<_>>());
    let mut worst = (0.0, at(family::LEAST));
    for (waste, point) in waste {
        let waste = waste?;
        if waste > worst.0 {
            worst = (waste, point);
        }
    }
    println!(
        "worst waste {:.4} % at {}, of {} lengths in {time:?}",
        worst.0 * 100.0,
        worst.1,
        lengths().count()
    );

    let points: Vec<Bindings> = lengths().collect();
    let ((), time) = timed(|| {
        for point in (0..SWEEPS).flat_map(|_| &points) {
            let _ = black_box(plan.replay(black_box(point)));
        }
    });
    let replayed = f64::from(SWEEPS) * points.len() as f64 * problem.len() as f64;
    println!("replay: {:.2} ns per buffer, sizes evaluated", time.as_secs_f64() * 1e9 / replayed);

    let (form, time) = timed(|| plan.peak_form(Effort::Normal));
    println!("peak = {form}\n{} terms, {:?}, in {time:?}", form.terms.len(), form.proof);
    println!("reserve {:?}", plan.reservation(Effort::Normal));
    Ok(())
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let (cpu, clock) = (cpu_time(), Instant::now());
    let result = run();
    let wall = clock.elapsed();
    (result, cpu.zip(cpu_time()).map_or(wall, |(from, to)| to - from))
}

/// User and system time of this process, in ticks of 10 ms.
fn cpu_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(10 * ticks))
}
