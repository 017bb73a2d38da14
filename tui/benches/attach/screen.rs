//! What a person sees, and when.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bayplan_record::{Emitter, Recorder, RecordingOptions};
use bayplan_trace::Event;

use crate::common::{middle, ms, places, tell};
use crate::on_terminal::{OnTerminal, Screen};
use crate::recordings::Recorded;
use crate::support;

/// Columns and rows.
pub(crate) const SIZE: (u16, u16) = (200, 50);
/// What does not come within this time is said to be missing.
const PATIENCE: Duration = Duration::from_secs(60);

/// The number behind the word `run` in the first line.
pub(crate) fn run_shown(screen: &Screen) -> Option<u64> {
    let row = screen.row(0);
    let (_, rest) = row.split_once("   run ")?;
    let digits: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == ',').collect();
    digits.replace(',', "").parse().ok()
}

/// From the start of the viewer's process to the picture of what holds.
pub(crate) fn attached(home: &Path, what: &str, recorded: &Recorded) {
    let runs = recorded.shown();
    let mut times = Vec::new();
    for _ in 0..9 {
        let begun = Instant::now();
        let mut viewer = OnTerminal::sized(home, &[recorded.name()], SIZE);
        let shown = viewer.wait_for_screen(PATIENCE, |screen| run_shown(screen) == Some(runs));
        let Some(at) = shown else {
            println!("{what}: run {runs} was not shown: {}", viewer.screen().row(0));
            return;
        };
        times.push(at - begun);
        viewer.send("q");
        viewer.end();
    }
    let (median, most) = middle(times);
    let what =
        format!("{what}: from starting the viewer to exact state on the screen ({} at most)", ms(most));
    tell(&what, &ms(median), "200 ms");
}

/// From the beginning of a recording to its line in the list of runs.
pub(crate) fn listed(home: &Path) -> Result<(), Box<dyn Error>> {
    let mut viewer = OnTerminal::sized(home, &[], SIZE);
    viewer.wait_for_screen(PATIENCE, |screen| screen.contains("runs")).ok_or("there is no list")?;
    let mut times = Vec::new();
    for number in 0..15u64 {
        thread::sleep(Duration::from_millis(300 + number * 37));
        let model = format!("listed-{number}-");
        let options = RecordingOptions { model: model.clone(), ..RecordingOptions::new(places(home)) };
        let begun = Instant::now();
        let recorder = Recorder::create(options, &support::encoder(1))?;
        let at = viewer.wait_for_screen(PATIENCE, |screen| screen.contains(&model));
        times.push(at.ok_or("a run is not listed")? - begun);
        recorder.finish();
    }
    viewer.send("q");
    viewer.end();
    let (median, most) = middle(times);
    tell(&format!("a new run is in the list of runs (median {})", ms(median)), &ms(most), "1 s");
    Ok(())
}

/// From an event to the screen: of single ones after quiet, and of a stream of a thousand runs a second.
pub(crate) fn shown(home: &Path, recorded: &Recorded) {
    let runs = recorded.shown();
    let mut viewer = OnTerminal::sized(home, &[recorded.name()], SIZE);
    viewer.wait_for_screen(PATIENCE, |screen| run_shown(screen) == Some(runs)).expect("the viewer attaches");
    let mut emitted =
        Emitted { emitter: recorded.recorder().emitter(), run: recorded.runs(), stamps: Vec::new() };
    for (what, count, pause) in [("single events", 150u64, 180u64), ("a thousand runs a second", 15_000, 1)] {
        emitted.stamps.clear();
        let done = AtomicBool::new(false);
        let before = run_shown(viewer.screen()).unwrap_or(0);
        let pictures = thread::scope(|scope| {
            let (emitted, done) = (&mut emitted, &done);
            scope.spawn(move || {
                for number in 0..count {
                    emitted.run();
                    thread::sleep(
                        Duration::from_millis(pause) * (1 + u32::from(pause > 1 && number % 3 == 0)),
                    );
                }
                thread::sleep(Duration::from_millis(700));
                done.store(true, Ordering::Release);
            });
            let mut pictures = Vec::new();
            while !done.load(Ordering::Acquire) {
                if let Some(at) = viewer.next_bytes(Duration::from_millis(50)) {
                    pictures.extend(run_shown(viewer.screen()).map(|run| (run - before, at)));
                }
            }
            pictures
        });
        let (mut times, mut next) = (Vec::new(), pictures.iter().peekable());
        for (number, stamp) in (1..).zip(&emitted.stamps) {
            while next.next_if(|(run, _)| *run < number).is_some() {}
            let Some((_, at)) = next.peek() else { break };
            times.push(at.saturating_duration_since(*stamp));
        }
        if times.len() < emitted.stamps.len() {
            println!(
                "{what}: {} of {} were not shown",
                emitted.stamps.len() - times.len(),
                emitted.stamps.len()
            );
        }
        times.sort_unstable();
        let at = |percent: usize| ms(times[(times.len() - 1) * percent / 100]);
        let what = format!("{what}: to the screen, 95th percentile (median {}, longest {})", at(50), at(100));
        tell(&what, &at(95), "100 ms");
    }
    viewer.send("q");
    viewer.end();
}

/// Runs that are emitted, and when each began.
struct Emitted {
    emitter: Emitter,
    run: u64,
    stamps: Vec<Instant>,
}

impl Emitted {
    fn run(&mut self) {
        self.stamps.push(Instant::now());
        let run = self.run;
        self.emitter.emit_now(|t| Event::RunStart { run, plan: 0, t });
        self.emitter.emit_now(|t| Event::RunEnd { run, t, ok: true });
        self.run += 1;
    }
}
