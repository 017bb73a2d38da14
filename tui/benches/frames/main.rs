//! What a picture costs, however many tensors there are: time, and bytes for the terminal; and how long lists and searches of
//! them take, beside drawing.
//!
//! `cargo bench -p bayplan-tui --bench frames [-- TENSORS …]`: at 200×50, of plans of ten thousand, a million and ten million
//! tensors. A picture is drawn after every key of a walk that zooms, pans, follows the playhead and changes the view. Beside
//! the time of the clock stands the processor time of the thread that draws, which other work on the machine does not lengthen
//! by waiting; it is what the bar is held against.

use std::error::Error;
use std::time::Duration;

use bayplan_trace::{Event, Record};
use bayplan_tui::rehearsal::Rehearsal;
use rustix::time::{ClockId, clock_gettime};

mod lists;
mod plans;

use plans::{Shape, records};

/// Tensors, the bar in milliseconds, and which of a hundred pictures, by time, is held against it.
const BARS: [(u64, f64, usize); 3] = [(10_000, 4.0, 50), (1_000_000, 16.6, 99), (10_000_000, 33.0, 50)];

fn main() -> Result<(), Box<dyn Error>> {
    let wanted: Vec<u64> = std::env::args().filter_map(|word| word.replace('_', "").parse().ok()).collect();
    println!(
        "{:<22}{:<20}{:<21}{:<21}{:<19}most bytes (bar 64 kB)",
        "tensors, shape", "index: clock, cpu", "median: clock, cpu", "99th: clock, cpu", "bar"
    );
    for (tensors, bar, percentile) in BARS {
        if !wanted.is_empty() && !wanted.contains(&tensors) {
            continue;
        }
        for shape in [Shape::Small, Shape::Long] {
            let view: usize = std::env::var("VIEW").ok().and_then(|v| v.parse().ok()).unwrap_or(2);
            let records = records(tensors, shape);
            let begun = Taken::begin();
            let mut screen = Rehearsal::new(records, (200, 50), view);
            screen.frame()?;
            let index = begun.end();
            let (times, bytes) = walk(&mut screen)?;
            let [clock, cpu] = [|taken: &Taken| taken.clock, |taken: &Taken| taken.cpu].map(|part| {
                let mut times: Vec<f64> = times.iter().map(|taken| part(taken).as_secs_f64() * 1e3).collect();
                times.sort_by(f64::total_cmp);
                times
            });
            let at = |times: &[f64], percent: usize| times[(times.len() - 1) * percent / 100];
            let pair = |percent| format!("{:.2}, {:.2} ms", at(&clock, percent), at(&cpu, percent));
            println!(
                "{:<22}{:<20}{:<21}{:<21}{} {:<16}{bytes}",
                format!("{tensors} {}", format!("{shape:?}").to_lowercase()),
                format!("{:.2}, {:.2} s", index.clock.as_secs_f64(), index.cpu.as_secs_f64()),
                pair(50),
                pair(99),
                if at(&cpu, percentile) <= bar { "<=" } else { "> " },
                format!("{bar} ms ({percentile}th)"),
            );
        }
        lists::tell(tensors)?;
        let mut idle = Rehearsal::new(records(tensors.min(1_000_000), Shape::Small), (200, 50), 2);
        while idle.frame()? > 0 {}
        assert_eq!(idle.frame()?, 0, "nothing is sent when nothing has changed");
    }
    Ok(())
}

/// Time by the clock, and processor time of this thread.
#[derive(Clone, Copy, Default)]
pub(crate) struct Taken {
    pub(crate) clock: Duration,
    pub(crate) cpu: Duration,
}

impl Taken {
    /// Both as they are now.
    pub(crate) fn begin() -> Self {
        let [clock, cpu] = [ClockId::Monotonic, ClockId::ThreadCPUTime].map(|id| {
            let time = clock_gettime(id);
            Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
        });
        Self { clock, cpu }
    }

    /// What passed since then.
    pub(crate) fn end(self) -> Self {
        let now = Self::begin();
        Self { clock: now.clock - self.clock, cpu: now.cpu - self.cpu }
    }
}

/// Draws after every key; the times, and the most bytes of a picture.
fn walk(screen: &mut Rehearsal) -> Result<(Vec<Taken>, usize), Box<dyn Error>> {
    let lists = ["jjjjkkkkJJJKKK", "+l+l+l+j+k+l+l+h", "jjjjlllljjjjhhhh", "---l--l----", "0jjjkk"];
    let keys: &[&str] = if std::env::var("VIEW").is_ok() {
        &lists
    } else {
        &[
            "llllhhhh",
            "+l+l+l+j+k+l+l+h",
            "lllljjjjllllkkkk",
            "LLJJLLKK",
            ">l>l>l]k]k]j",
            "---l--l----",
            "0p1212",
        ]
    };
    let (mut times, mut most) = (Vec::new(), 0);
    for round in 0..3u64 {
        for key in keys.iter().flat_map(|keys| keys.chars()) {
            screen.key(key);
            // A run goes on meanwhile.
            let t = 1_000_000 * (times.len() as u64 + 1);
            screen.apply([Record::Event(Event::Completed {
                run: 0,
                plan: 0,
                op: (round * 61 + t / 1_000_000) as u32,
                t,
            })]);
            let begun = Taken::begin();
            most = most.max(screen.frame()?);
            times.push(begun.end());
        }
    }
    Ok((times, most))
}
