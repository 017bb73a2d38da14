//! How soon a viewer knows what holds, and what a long recording costs whoever reads it.
//!
//! `make bench-attach`, or `cargo bench -p bayplan-tui --bench attach [-- EVENTS]`: ten million events unless told otherwise,
//! recorded by this process; the viewer is the program itself on a pseudo-terminal, whose bytes are put on a screen here. A
//! picture counts from the moment at which the bytes that make it came out of the terminal. `bayplan` is looked for beside the
//! viewer. Each line says what, the figure, and its bar; times are of the clock, with the processor time where one process
//! took it, so that figures of a busy machine can be read.

use std::error::Error;
use std::time::Instant;

use bayplan_record::{Start, open};
use bayplan_trace::Timeline;

mod common;
#[path = "../../tests/support/on_terminal.rs"]
mod on_terminal;
mod programs;
mod recordings;
mod screen;
#[path = "../../tests/support/mod.rs"]
mod support;

use common::{fold, middle, ms, tell, thread_time};
use recordings::Recorded;

fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers = std::env::args().filter_map(|word| word.replace('_', "").parse().ok());
    let events: u64 = numbers.next_back().unwrap_or(10_000_000);
    let home = tempfile::tempdir()?;
    println!("{:<62} {:>12}   bar", "what", "figure");
    let folder = Recorded::new(home.path(), events, None)?;
    println!("  {} events, {} lost, {}", events, folder.lost(), folder.size());
    attach("live folder", &folder)?;
    let file = home.path().join("run.bptrace");
    let single = Recorded::new(home.path(), events, Some(&file))?;
    println!("  {} events, {} lost, {}", events, single.lost(), single.size());
    attach("live file", &single)?;
    screen::attached(home.path(), "live folder", &folder);
    screen::attached(home.path(), "live file", &single);
    screen::listed(home.path())?;
    screen::shown(home.path(), &folder);
    folder.finish();
    let ended = single.finish();
    attach("ended file with an index", &ended)?;
    programs::index(&file)?;
    programs::viewer(home.path(), &ended);
    programs::all(home.path(), &ended)
}

/// How long reading from the last keyframe takes; fails where it does not come to what reading all of it does.
fn attach(what: &str, recorded: &Recorded) -> Result<(), Box<dyn Error>> {
    let source = || open(recorded.name(), recorded.places());
    let (mut wall, mut cpu) = (Vec::new(), Vec::new());
    let mut attached = Timeline::new();
    for _ in 0..15 {
        let (begun, own) = (Instant::now(), thread_time());
        attached = fold(source()?, Start::Latest)?;
        wall.push(begun.elapsed());
        cpu.push(thread_time() - own);
    }
    let ((median, most), (cpu, _)) = (middle(wall), middle(cpu));
    tell(
        &format!("{what}: exact state in a library ({} of processor, {} at most)", ms(cpu), ms(most)),
        &ms(median),
        "200 ms",
    );
    let (begun, own) = (Instant::now(), thread_time());
    let whole = fold(source()?, Start::Beginning)?;
    tell(
        &format!("{what}: all of it read ({} of processor)", ms(thread_time() - own)),
        &ms(begun.elapsed()),
        "",
    );
    let state = |timeline: &Timeline| {
        let runs = (timeline.runs_started, timeline.runs_ok, timeline.runs_failed);
        let plans = timeline.plans.iter().map(|plan| (plan.runs, plan.op_times.clone())).collect::<Vec<_>>();
        (runs, plans, timeline.totals.clone(), timeline.pools.clone(), timeline.dropped.clone())
    };
    if state(&attached) != state(&whole) {
        return Err(format!("{what}: the last keyframe says something else than all that was before").into());
    }
    Ok(())
}
