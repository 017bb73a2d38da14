//! `tracing MODEL CASE [PAIRS]`: what a recording costs the runs of a model, at each level.
//!
//! Three sessions of the model, without a recording, at level `run` and at level `op`, run in turn, in an order that
//! changes with every round. Each turn is so many runs that it takes a tenth of a second at least, and is measured in
//! processor time of the whole process, the drain thread's included. The bar holds where the upper end of the 95 %
//! interval of the paired ratios is at most 1 %, or, where noise makes that interval wider, where what tracing took by
//! its own account (events times what emitting one takes, the drain thread's processor time, the device's timestamps)
//! is at most 1 % of the runs' processor time. Without a recording, it is events times what a disabled emit takes.

use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bayplan::{Device, Level, Model, Places, RecordingOptions, Session, SessionOptions, Summary, Tensor};
use bayplan_record::{Recorder, Source, read};
use bayplan_tests::backend::Backend;
use bayplan_tests::{Case, read_case, session};
use bayplan_trace::{Event, Record};
use rustix::time::{ClockId, clock_gettime};

const LEVELS: [Level; 3] = [Level::Off, Level::Run, Level::Op];
/// The least that a turn takes.
const TURN: Duration = Duration::from_millis(100);
/// After a turn the drain thread gets to what is left: it looks 62 times a second.
const SETTLE: Duration = Duration::from_millis(20);
/// Shares of the runs that tracing may take at the default level, and where nothing is recorded.
const BARS: (f64, f64) = (0.01, 0.001);

/// A session at one level, and what its turns took.
struct Traced {
    level: Level,
    session: Session,
    path: Option<PathBuf>,
    runs: u64,
    turns: Vec<f64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (model, case, pairs) = match words.as_slice() {
        [model, case] => (model, case, 30),
        [model, case, pairs] => (model, case, pairs.parse()?),
        _ => return Err("usage: tracing MODEL CASE [PAIRS]".into()),
    };
    let case = read_case(Path::new(case));
    let (model, device) = (Model::open(model)?, Backend::Named.device());
    let temp = tempfile::tempdir()?;
    let inputs = session::inputs(&case);
    let mut all = LEVELS
        .iter()
        .map(|level| Traced::new(*level, &device, &model, &case, temp.path()))
        .collect::<Result<Vec<_>, _>>()?;
    let runs = all[0].runs_of_a_turn(&inputs);
    for pair in 0..pairs + 1 {
        for turn in 0..all.len() {
            // The first round warms up.
            all[(pair + turn) % LEVELS.len()].turn(&inputs, runs, pair > 0);
        }
    }
    let name = device.info().map_or("host", |info| info.name.as_str());
    println!("{} on {name}: {pairs} rounds of {runs} runs at each level", words[0]);
    let off = std::mem::take(&mut all[0].turns);
    let run_cpu = off.iter().sum::<f64>() / (off.len() as f64 * runs as f64);
    for traced in all.into_iter().rev() {
        traced.report(&off, run_cpu)?;
    }
    Ok(())
}

/// Nanoseconds of processor time of all threads.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

impl Traced {
    fn new(
        level: Level,
        device: &Device,
        model: &Model,
        case: &Case,
        folder: &Path,
    ) -> Result<Self, Box<dyn Error>> {
        let options = RecordingOptions { level, ..RecordingOptions::new(Places::under(folder)) };
        let options = SessionOptions { recording: Some(options), ..SessionOptions::default() };
        let session = model.session(device, &session::dims(case), options)?;
        let path = session.trace().recorder().path().map(Path::to_path_buf);
        Ok(Self { level, session, path, runs: 0, turns: Vec::new() })
    }

    fn runs_of_a_turn(&mut self, inputs: &[(String, Tensor)]) -> u64 {
        let begun = Instant::now();
        let mut runs = 0;
        while runs < 2 || begun.elapsed() < TURN {
            session::run(&mut self.session, inputs);
            runs += 1;
        }
        self.runs += runs;
        runs
    }

    fn turn(&mut self, inputs: &[(String, Tensor)], runs: u64, counts: bool) {
        let begun = cpu();
        for _ in 0..runs {
            session::run(&mut self.session, inputs);
        }
        std::thread::sleep(SETTLE);
        self.runs += runs;
        if counts {
            self.turns.push(cpu() - begun);
        }
    }

    fn report(self, off: &[f64], run_cpu: f64) -> Result<(), Box<dyn Error>> {
        if self.level == Level::Off {
            return Ok(());
        }
        let ratios: Vec<f64> = self.turns.iter().zip(off).map(|(with, without)| with / without).collect();
        let (low, mean, high) = interval(&ratios);
        let Summary { written, lost, .. } = self.session.finish();
        let events = (written + lost) as f64 / self.runs as f64;
        let own = traced_ns(&self.path.ok_or("nothing was recorded")?)? / self.runs as f64 / run_cpu;
        let percent = |ratio: f64| (ratio - 1.0) * 100.0;
        let holds = |bar: f64, share: f64| if share <= bar { "holds" } else { "does not hold" };
        println!(
            "  {:3}  {:+.2} % of processor time (95 %: {:+.2} to {:+.2}); by its own account {:.3} %, {events:.1} events a run, {lost} lost; ≤ 1 %: {}",
            self.level.name(),
            percent(mean),
            percent(low),
            percent(high),
            own * 100.0,
            holds(BARS.0, own.min(high - 1.0)),
        );
        if self.level == Level::Op {
            // Whatever would be emitted at the finest level is asked for at least.
            let share = events * disabled_emit() / run_cpu;
            println!(
                "  off  {:.6} % of processor time, computed; ≤ 0.1 %: {}",
                share * 100.0,
                holds(BARS.1, share)
            );
        }
        Ok(())
    }
}

/// Mean of the ratios, and the 95 % interval of it.
fn interval(ratios: &[f64]) -> (f64, f64, f64) {
    let count = ratios.len() as f64;
    let mean = ratios.iter().sum::<f64>() / count;
    let variance = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    // Student's t, to a thousandth from ten degrees of freedom on.
    let student = 1.96 + 2.4 / (count - 1.0).max(1.0);
    let half = student * (variance / count).sqrt();
    (mean - half, mean, mean + half)
}

/// Nanoseconds that tracing took, as the recording tells at its end.
fn traced_ns(path: &Path) -> Result<f64, Box<dyn Error>> {
    let mut cost = 0;
    read(Source::of_path(path), |record| {
        if let Record::Event(Event::TraceCost { ns, .. }) = record {
            cost = ns;
        }
    })?;
    Ok(cost as f64)
}

/// Nanoseconds of an emit that records nothing, its event made from the time.
fn disabled_emit() -> f64 {
    const EMITS: u64 = 20_000_000;
    let recorder = black_box(Recorder::off());
    let begun = Instant::now();
    for run in 0..EMITS {
        black_box(&recorder).emit_now(|t| Event::RunStart { run, plan: 0, t });
    }
    begun.elapsed().as_nanos() as f64 / EMITS as f64
}
