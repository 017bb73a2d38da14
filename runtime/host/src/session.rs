//! A program on the host, ready to run.

use std::time::{Duration, Instant};

use bayplan_compile::{Arena, Program, match_inputs, verify};
use bayplan_graph::Tensor;
use bayplan_record::{Recording, RecordingOptions, Summary};
use bayplan_weights::Store;

use crate::error::HostError;
use crate::machine::{Machine, Phase};
use crate::outputs::Outputs;
use crate::system;
use crate::tracing::Trace;

/// How to build a session.
#[derive(Clone, Default)]
pub struct SessionOptions {
    /// What to record, and where; nothing by default.
    pub recording: Option<RecordingOptions>,
    /// The longest a run may take; unlimited by default. It is looked at between dispatches.
    pub timeout: Option<Duration>,
}

/// A program on the host: verified, memory allocated, weights loaded.
///
/// It may have been compiled for any target: what its dispatches compute is told by their specs.
pub struct Session {
    // First, so that the recording ends before the memory goes.
    trace: Trace,
    machine: Machine,
    timeout: Option<Duration>,
    runs: u64,
}

impl Session {
    /// Builds a session: everything a run needs is allocated and loaded here.
    ///
    /// If the folder of recordings cannot be written, the session is built without one ([`Recording::refused`] says why).
    ///
    /// # Errors
    /// The program is not sound, memory does not suffice, a weight cannot be read, or the file to record to cannot be
    /// written.
    pub fn new(program: Program, weights: &Store, options: SessionOptions) -> Result<Self, HostError> {
        verify(&program).map_err(|violation| HostError::Program {
            name: program.name.clone(),
            reason: violation.to_string(),
        })?;
        check_memory(&program)?;
        let mut trace = Trace::begin(options.recording, &program)?;
        let mut machine = Machine::new(program);
        machine.load(weights)?;
        trace.ready(machine.program());
        Ok(Self { trace, machine, timeout: options.timeout, runs: 0 })
    }

    /// Runs the program once. The outputs are lent until the next run.
    ///
    /// # Errors
    /// An input is missing, unknown, given twice, or of another type or shape than the program's (nothing was computed
    /// then), or the run exceeds its time limit.
    pub fn run(&mut self, inputs: &[(&str, &Tensor)]) -> Result<Outputs<'_>, HostError> {
        let given = match_inputs(&self.machine.program().inputs, inputs)?;
        let run = self.runs;
        self.runs += 1;
        self.trace.run_started(run);
        let result = self.execute(&given);
        self.trace.run_ended(run, result.is_ok());
        result?;
        Ok(Outputs::new(&self.machine))
    }

    fn execute(&mut self, inputs: &[&Tensor]) -> Result<(), HostError> {
        let begun = Instant::now();
        self.machine.begin(inputs)?;
        for index in 0..self.machine.program().run.dispatches.len() {
            let started = self.trace.op_started();
            self.machine.step(Phase::Run, index)?;
            self.trace.op_ended(index as u32, started);
            if let Some(limit) = self.timeout.filter(|limit| begun.elapsed() > *limit) {
                return Err(HostError::Timeout { limit });
            }
        }
        self.machine.end()
    }

    /// The program.
    pub fn program(&self) -> &Program {
        self.machine.program()
    }

    /// The recording.
    pub fn recording(&self) -> &Recording {
        self.trace.recording()
    }

    /// Runs begun so far.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// The memory that the program runs in.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Ends the session and says what became of its recording.
    pub fn finish(mut self) -> Summary {
        self.trace.finish()
    }
}

/// Refuses what the machine's memory does not hold, before anything is allocated.
///
/// # Errors
/// [`HostError::Memory`]: which arena, and its bytes.
pub fn check_memory(program: &Program) -> Result<(), HostError> {
    // With a bit for each word.
    let [activations, weights, load, _] = program.arena_bytes.map(|bytes| bytes.saturating_add(bytes / 32));
    let Some(memory) = system::memory() else { return Ok(()) };
    let (bytes, arena) =
        (activations.max(load), if activations < load { Arena::Load } else { Arena::Activations });
    if weights > memory.available {
        return Err(HostError::Memory { arena: Arena::Weights.name(), bytes: weights });
    }
    if weights.saturating_add(bytes) > memory.available {
        return Err(HostError::Memory { arena: arena.name(), bytes });
    }
    Ok(())
}
