//! `planning [FILTER]`: what looking for late parts costs. Every reference model is compiled at the dims of its cases, with
//! and without them in turn; processor time of this thread, medians of several rounds, of the whole compile and of
//! liveness and plan alone (whose operators keep their order).

use std::env;
use std::error::Error;

use bayplan::{Bindings, Dims, FunctionId, Model, Options, Target};
use bayplan_tests::{REFERENCE_MODELS, reference_cases, reference_model, session};
use rustix::time::{ClockId, clock_gettime};

/// How often each is compiled each way.
const ROUNDS: usize = 9;

/// Without late parts, and with them.
const WAYS: [bool; 2] = [false, true];

/// Processor time of this thread in microseconds.
fn now() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn median(mut list: Vec<f64>) -> f64 {
    list.sort_unstable_by(f64::total_cmp);
    list.get(list.len() / 2).copied().unwrap_or(0.0)
}

/// What one way takes: the whole compile, and liveness and plan.
#[derive(Clone, Copy, Default)]
struct Times {
    compile: f64,
    plan: f64,
}

/// One compile, and one plan of the same shape.
fn measure(model: &Model, dims: &Bindings, options: &Options) -> Result<(Times, u64), Box<dyn Error>> {
    let target = Target::generic();
    let begun = now();
    let program = model.compile(dims, &target, options.clone())?;
    let compile = now() - begun;
    let family = model.family(&Dims::from(dims), &target, options)?;
    let mut turns = Vec::new();
    family.liveness_and_plan(FunctionId::default(), &Bindings::new(), &mut || turns.push(now()))?;
    let plan = match turns.as_slice() {
        [begun, .., done] => done - begun,
        _ => 0.0,
    };
    Ok((Times { compile, plan }, program.arena_bytes[0]))
}

/// Both ways in turn, medians; and the bytes of their arenas.
fn compare(model: &Model, dims: &Bindings) -> Result<[(Times, u64); 2], Box<dyn Error>> {
    let mut taken = [Vec::new(), Vec::new()];
    let mut bytes = [0; 2];
    for _ in 0..ROUNDS {
        for (way, late) in WAYS.into_iter().enumerate() {
            let (times, arena) = measure(model, dims, &Options { late, ..Options::default() })?;
            taken[way].push(times);
            bytes[way] = arena;
        }
    }
    let middle = |way: usize| Times {
        compile: median(taken[way].iter().map(|times| times.compile).collect()),
        plan: median(taken[way].iter().map(|times| times.plan).collect()),
    };
    Ok([(middle(0), bytes[0]), (middle(1), bytes[1])])
}

fn main() -> Result<(), Box<dyn Error>> {
    let filter = env::args().nth(1).unwrap_or_default();
    println!(
        "| model, case | plan, µs | with late parts | ratio | compile, µs | with late parts | ratio | bytes |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut sums = [Times::default(); 2];
    for name in REFERENCE_MODELS.into_iter().filter(|name| name.contains(&filter)) {
        let model = Model::open(reference_model(name))?;
        let mut seen: Vec<Bindings> = Vec::new();
        for case in reference_cases(name) {
            let dims = session::dims(&case);
            if seen.contains(&dims) {
                continue;
            }
            let [(without, apart), (with, housed)] = compare(&model, &dims)?;
            row(&format!("{name} {dims}"), without, with, &format!("{apart} → {housed}"));
            for (sum, times) in sums.iter_mut().zip([without, with]) {
                sum.compile += times.compile;
                sum.plan += times.plan;
            }
            seen.push(dims);
        }
    }
    row("all", sums[0], sums[1], "");
    Ok(())
}

fn row(name: &str, without: Times, with: Times, bytes: &str) {
    println!(
        "| {name} | {:.0} | {:.0} | {:.3} | {:.0} | {:.0} | {:.3} | {bytes} |",
        without.plan,
        with.plan,
        with.plan / without.plan,
        without.compile,
        with.compile,
        with.compile / without.compile
    );
}
