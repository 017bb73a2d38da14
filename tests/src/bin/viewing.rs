//! `viewing MODEL CASE [ROUNDS]`: what viewers do to the latency of the runs that they watch.
//!
//! Three sessions of the model record at the device's default level: nobody watches the first, a viewer that was stopped with SIGSTOP in the
//! middle of its reading the second, ten viewers the third. They run in turn, in an order that changes with every
//! round; viewers of a session go on only during its turns, so that they take nothing from the others'. A viewer is `bayplan tail`,
//! which reads all that is written. Told are the median latency of each and the median of the ratios of a round's turns, with its 95 % interval. Events
//! lost, or events of a session that its recording lacks, fail it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bayplan::{Device, Model, RecordingOptions, Session, SessionOptions, Tensor};
use bayplan_tests::backend::Backend;
use bayplan_tests::live::places;
use bayplan_tests::program::Sandbox;
use bayplan_tests::statistics::{median, median_interval};
use bayplan_tests::{Case, read_case, session};
use rustix::process::{Pid, Signal, kill_process};

/// The least that a turn takes.
const TURN: Duration = Duration::from_millis(100);
/// Viewers begin to read what is there in this time; it is not measured.
const SETTLE: Duration = Duration::from_millis(300);

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (model, case, rounds) = match words.as_slice() {
        [model, case] => (model, case, 60),
        [model, case, rounds] => (model, case, rounds.parse()?),
        _ => return Err("usage: viewing MODEL CASE [ROUNDS]".into()),
    };
    let case = read_case(Path::new(case));
    let (model, device) = (Model::open(model)?, Backend::Named.device());
    let sandbox = Sandbox::new();
    let program = std::env::current_exe()?.with_file_name("bayplan");
    let inputs = session::inputs(&case);
    let mut all = [("nobody", 0, true), ("a stopped one", 1, true), ("ten", 10, false)]
        .into_iter()
        .map(|(name, viewers, stopped)| {
            let mut watched = Watched::new(name, &device, &model, &case, &sandbox)?;
            watched.open_viewers(viewers, stopped, &program, &sandbox)?;
            Ok(watched)
        })
        .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let runs = all[0].runs_of_a_turn(&inputs);
    for round in 0..rounds + 1 {
        for turn in 0..all.len() {
            let at = (round + turn) % all.len();
            // The first round warms up.
            all[at].turn(&inputs, runs, round > 0);
        }
    }
    let name = device.info().map_or("host", |info| info.name.as_str());
    println!("{} on {name}: {rounds} rounds of {runs} runs with each number of viewers", words[0]);
    let alone = all[0].turns.clone();
    for watched in all {
        watched.report(&alone)?;
    }
    Ok(())
}

/// A session, and who watches it.
struct Watched {
    name: &'static str,
    session: Session,
    recording: PathBuf,
    id: String,
    viewers: Vec<Child>,
    /// The viewers do not go on in its turns.
    stopped: bool,
    /// Nanoseconds of a run, in each turn.
    turns: Vec<f64>,
}

impl Watched {
    fn new(
        name: &'static str,
        device: &Device,
        model: &Model,
        case: &Case,
        sandbox: &Sandbox,
    ) -> Result<Self, Box<dyn Error>> {
        let mut options = RecordingOptions::new(places(sandbox));
        options.level = device.trace_level();
        let options = SessionOptions { recording: Some(options), ..SessionOptions::default() };
        let session = model.session(device, &session::dims(case), options)?;
        let recorder = session.trace().recorder();
        let recording = recorder.path().ok_or("nothing is recorded")?.to_path_buf();
        let id = recorder.id().ok_or("nothing is recorded")?.to_owned();
        Ok(Self { name, session, recording, id, viewers: Vec::new(), stopped: true, turns: Vec::new() })
    }

    fn open_viewers(
        &mut self,
        number: usize,
        stopped: bool,
        program: &Path,
        sandbox: &Sandbox,
    ) -> Result<(), Box<dyn Error>> {
        for _ in 0..number {
            let mut tail = Command::new(program);
            tail.args(["tail", &self.id]).envs(sandbox.environment());
            self.viewers.push(tail.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        }
        self.stopped = stopped;
        std::thread::sleep(SETTLE);
        self.signal(Signal::STOP);
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        for viewer in &self.viewers {
            kill_process(Pid::from_child(viewer), signal).expect("a viewer is there");
        }
    }

    fn runs_of_a_turn(&mut self, inputs: &[(String, Tensor)]) -> u64 {
        let begun = Instant::now();
        let mut runs = 0;
        while runs < 2 || begun.elapsed() < TURN {
            session::run(&mut self.session, inputs);
            runs += 1;
        }
        runs
    }

    fn turn(&mut self, inputs: &[(String, Tensor)], runs: u64, counts: bool) {
        if !self.stopped {
            self.signal(Signal::CONT);
        }
        let begun = Instant::now();
        for _ in 0..runs {
            session::run(&mut self.session, inputs);
        }
        let took = begun.elapsed().as_nanos() as f64 / runs as f64;
        self.signal(Signal::STOP);
        if counts {
            self.turns.push(took);
        }
    }

    fn report(mut self, alone: &[f64]) -> Result<(), Box<dyn Error>> {
        let ratios: Vec<f64> = self.turns.iter().zip(alone).map(|(with, without)| with / without).collect();
        let (low, middle, high) = median_interval(&ratios);
        let percent = |ratio: f64| (ratio - 1.0) * 100.0;
        println!(
            "  {:13}  {:9.1} µs a run; {:+.2} % against nobody (95 %: {:+.2} to {:+.2})",
            self.name,
            median(&self.turns) / 1e3,
            percent(middle),
            percent(low),
            percent(high),
        );
        for mut viewer in std::mem::take(&mut self.viewers) {
            viewer.kill()?;
            viewer.wait()?;
        }
        let summary = self.session.finish();
        if summary.lost > 0 || summary.disk_error.is_some() {
            return Err(format!("{}: {summary:?}", self.recording.display()).into());
        }
        Ok(())
    }
}
