//! A small plan, and the events of a run of it.

use bayplan_trace::Event;

mod plan;
pub(crate) use plan::plan;

pub(crate) fn run(number: u64, t: u64) -> [Event; 4] {
    let times = (0..u64::from(plan::OPS)).map(|op| (t + 10 * op, t + 10 * op + 9)).collect();
    [
        Event::RunStart { run: number, plan: 0, t },
        Event::Completed { run: number, plan: 0, op: 3, t: t + 40 },
        Event::RunEnd { run: number, t: t + 80, ok: true },
        Event::OpTimes { run: number, plan: 0, first_op: 0, times },
    ]
}
