//! A program on a device, ready to run.

use std::collections::HashMap;
use std::time::Duration;

use bayplan_compile::{Arena, Port, Program, match_inputs, verify, widen};
use bayplan_graph::Tensor;
use bayplan_record::{RecordingOptions, Summary};
use bayplan_vulkan::{AllocationId, Buffer, Commands, Location, Ticket};
use bayplan_weights::Store;

use crate::arena::Arenas;
use crate::commands::{Objects, record};
use crate::device::Device;
use crate::error::EngineError;
use crate::instruments::Instruments;
use crate::load::load;
use crate::outputs::Outputs;
use crate::tracing::Trace;
use crate::transfer::{Transfer, wait};

/// How to build a session.
#[derive(Clone, Default)]
pub struct SessionOptions {
    /// What to record, and where; nothing by default.
    pub recording: Option<RecordingOptions>,
    /// The longest a run may take, other submissions to the device before it included; unlimited by default.
    pub timeout: Option<Duration>,
    /// A fault to plant, to prove that its alarm goes off.
    #[cfg(feature = "faults")]
    pub fault: Option<crate::faults::Fault>,
}

/// A program on a device: memory allocated, kernels compiled, weights loaded, commands recorded.
///
/// A session may be moved to another thread. Dropping it ends its recording, waits for a run that exceeded its time limit,
/// and frees its memory.
pub struct Session {
    // First, so that the recording ends even where the device never does.
    trace: Trace,
    device: Device,
    program: Program,
    commands: Commands,
    objects: Objects,
    instruments: Instruments,
    transfer: Transfer,
    timeout: Option<Duration>,
    /// The last submission, until it is known to be done.
    pending: Option<Ticket>,
    runs: u64,
    #[cfg(feature = "faults")]
    planted: crate::faults::Planted,
}

impl Session {
    /// Builds a session: everything a run needs is allocated, compiled and recorded here.
    ///
    /// If the folder of recordings cannot be written, the session is built without one ([`Trace::refused`] says why).
    ///
    /// # Errors
    /// The program was compiled for another target or is not sound, memory does not suffice, a weight cannot be read, the
    /// file to record to cannot be written, or the driver fails.
    pub fn new(
        device: &Device,
        program: Program,
        weights: &Store,
        options: SessionOptions,
    ) -> Result<Self, EngineError> {
        check_program(device, &program)?;
        let vulkan = &device.vulkan;
        let mut trace = Trace::begin(options.recording, &program, device)?;
        #[cfg(feature = "faults")]
        let (program, planted) = crate::faults::plant(program, options.fault)?;
        let build = device.ledger.build(vulkan);
        let mut objects = allocate(device, &program)?;
        let transfer = transfer(device, &program, &objects)?;
        if let Some(params) = objects.params.as_ref().filter(|_| !program.params.is_empty()) {
            transfer.write(params, 0, &program.params)?;
        }
        load(vulkan, &program, &objects, &transfer, weights)?;
        let scratch = exchange(vulkan, &program, &mut objects)?;
        let run = &program.run.dispatches;
        let instruments = Instruments::new(vulkan, trace.recorder().level(), run.len() as u32)?;
        let commands = record(vulkan, &program.name, &objects, run, &instruments)?;
        let mut purposes = purposes(&objects, &transfer, &instruments);
        purposes.extend(scratch);
        trace.planned(build.claim(purposes));
        trace.windows(&program, &commands, &objects.arenas);
        trace.ready(device, &instruments);
        Ok(Self {
            trace,
            device: device.clone(),
            program,
            commands,
            objects,
            instruments,
            transfer,
            timeout: options.timeout,
            pending: None,
            runs: 0,
            #[cfg(feature = "faults")]
            planted,
        })
    }

    /// Runs the program once: writes all inputs, computes, waits. The outputs are lent until the next run.
    ///
    /// # Errors
    /// An input is missing, unknown, given twice, or of another type or shape than the program's (nothing was written
    /// then); the run exceeds its time limit; the device is lost. After a run that exceeded its limit the next one first
    /// waits for it, within the same limit.
    pub fn run(&mut self, inputs: &[(&str, &Tensor)]) -> Result<Outputs<'_>, EngineError> {
        let given = match_inputs(&self.program.inputs, inputs)?;
        self.settle()?;
        for (port, tensor) in self.program.inputs.iter().zip(given) {
            if tensor.count() > 0 {
                let (buffer, at) = self.objects.arenas.place(port.window.arena, port.window.offset)?;
                self.transfer.write(buffer, at, &widen(port.dtype, tensor.bytes()))?;
            }
        }
        let run = self.runs;
        self.runs += 1;
        let started = self.trace.run_started(run, &self.instruments);
        let result = self.execute();
        self.trace.run_ended(run, started, result.is_ok(), &self.device, &self.instruments);
        result?;
        Ok(Outputs::new(self))
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The device it runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The recording.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Runs submitted so far.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// Ends the session and says what became of its recording.
    pub fn finish(mut self) -> Summary {
        self.trace.finish()
    }

    fn execute(&mut self) -> Result<(), EngineError> {
        #[cfg(feature = "faults")]
        self.planted.at_run(&self.device.vulkan)?;
        if !self.program.run.dispatches.is_empty() {
            self.pending = Some(self.device.vulkan.submit(&self.commands)?);
        }
        self.settle()
    }

    /// Waits for the last submission.
    fn settle(&mut self) -> Result<(), EngineError> {
        let Some(ticket) = self.pending else { return Ok(()) };
        match self.timeout {
            Some(limit) if !self.device.vulkan.wait(&ticket, limit)? => {
                return Err(EngineError::Timeout { limit });
            }
            Some(_) => {}
            None => wait(&self.device.vulkan, &ticket)?,
        }
        self.pending = None;
        Ok(())
    }

    /// Reads what a port's window holds, in the device's representation.
    pub(crate) fn read(&self, port: &Port, bytes: &mut [u8]) -> Result<(), EngineError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (buffer, at) = self.objects.arenas.place(port.window.arena, port.window.offset)?;
        self.transfer.read(buffer, at, bytes)
    }
}

/// Refuses what cannot run on the device, before anything is made.
pub(crate) fn check_program(device: &Device, program: &Program) -> Result<(), EngineError> {
    check_target(device, program)?;
    let unsound = |reason: String| EngineError::Program { name: program.name.clone(), reason };
    verify(program).map_err(|violation| unsound(violation.to_string()))?;
    check_memory(device, program)
}

/// Refuses what needs more memory than any of the device's heaps has left.
pub(crate) fn check_memory(device: &Device, program: &Program) -> Result<(), EngineError> {
    let [activations, weights, load, _] = program.arena_bytes;
    // What is needed for loading is freed before the activations are allocated.
    let needed =
        [weights, program.params.len() as u64].into_iter().fold(activations.max(load), u64::saturating_add);
    let local = device.heaps().into_iter().enumerate().filter(|(_, heap)| heap.device_local);
    match local.map(|(heap, sample)| (sample.available(), heap)).max() {
        Some((free, heap)) if needed > free => Err(EngineError::Memory { needed, heap, free }),
        _ => Ok(()),
    }
}

/// Refuses what was compiled for another device.
pub(crate) fn check_target(device: &Device, program: &Program) -> Result<(), EngineError> {
    if program.target == *device.target() {
        return Ok(());
    }
    Err(EngineError::Target { compiled: program.target.name.clone(), device: device.target().name.clone() })
}

/// All that loading needs: the weights, the load program's memory, the parameters and the pipelines.
pub(crate) fn allocate(device: &Device, program: &Program) -> Result<Objects, EngineError> {
    let vulkan = &device.vulkan;
    let mut arenas = Arenas::default();
    for arena in [Arena::Weights, Arena::Load] {
        arenas.allocate(vulkan, program, arena)?;
    }
    Ok(Objects {
        pipelines: device.pipelines.of(vulkan, program)?,
        arenas,
        // Also where there is none: the buffer tells whether the host reaches device memory.
        params: Some(vulkan.create_buffer(
            "kernel parameters",
            (program.params.len() as u64).max(16),
            Location::Device,
        )?),
    })
}

/// Frees the load program's memory, then allocates the activations. Answers the freed allocations and their purpose.
fn exchange(
    vulkan: &bayplan_vulkan::Device,
    program: &Program,
    objects: &mut Objects,
) -> Result<Vec<(AllocationId, String)>, EngineError> {
    let freed = objects.arenas.take(Arena::Load);
    let purpose = |buffer: &Buffer| Some((buffer.allocation()?, buffer.name().to_owned()));
    let purposes = freed.iter().filter_map(purpose).collect();
    drop(freed);
    objects.arenas.allocate(vulkan, program, Arena::Activations)?;
    Ok(purposes)
}

pub(crate) fn transfer(
    device: &Device,
    program: &Program,
    objects: &Objects,
) -> Result<Transfer, EngineError> {
    let mapped = objects.buffers().all(|buffer| buffer.mapped().is_some());
    let windows = program.uploads.iter().map(|upload| upload.window.len);
    let ports = program.inputs.iter().chain(&program.outputs).map(|port| port.window.len);
    let largest = windows.chain(ports).chain([program.params.len() as u64]).max().unwrap_or(0);
    Transfer::new(&device.vulkan, mapped, largest)
}

/// What each of the session's device allocations is for.
fn purposes(
    objects: &Objects,
    transfer: &Transfer,
    instruments: &Instruments,
) -> HashMap<AllocationId, String> {
    let buffers = objects.buffers().chain(transfer.buffers());
    let buffers = buffers.filter_map(|buffer| Some((buffer.allocation()?, buffer.name().to_owned())));
    buffers.chain(instruments.allocation()).collect()
}
