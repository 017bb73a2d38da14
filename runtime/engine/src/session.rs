//! A program on a device, ready to run.

use std::collections::HashMap;
use std::time::Duration;

use bayplan_compile::{Arena, Port, Program};
use bayplan_graph::Tensor;
use bayplan_record::RecordingOptions;
use bayplan_vulkan::{AllocationId, Buffer, Commands, Location};
use bayplan_weights::Store;

use crate::commands::{Objects, Timestamps, arena, pipelines, record};
use crate::device::Device;
use crate::error::{EngineError, type_text};
use crate::load::load;
use crate::outputs::Outputs;
use crate::tracing::Trace;
use crate::transfer::Transfer;
use crate::widen::widen;

/// How long a wait lasts before it is begun again, where a run has no time limit of its own.
const WAIT: Duration = Duration::from_secs(3600);

/// How to build a session.
#[derive(Clone, Default)]
pub struct SessionOptions {
    /// What to record, and where; nothing by default.
    pub recording: Option<RecordingOptions>,
    /// The longest a run may take; unlimited by default.
    pub timeout: Option<Duration>,
    /// A fault to plant, to prove that its alarm goes off.
    #[cfg(feature = "faults")]
    pub fault: Option<crate::faults::Fault>,
}

/// A program on a device: memory allocated, kernels compiled, weights loaded, commands recorded.
pub struct Session {
    device: Device,
    program: Program,
    objects: Objects,
    commands: Commands,
    timestamps: Option<Timestamps>,
    transfer: Transfer,
    trace: Trace,
    timeout: Option<Duration>,
    runs: u64,
    #[cfg(feature = "faults")]
    fault: Option<crate::faults::Fault>,
    #[cfg(feature = "faults")]
    unplanned: Option<Buffer>,
}

impl Session {
    /// Builds a session: everything a run needs is allocated, compiled and recorded here.
    ///
    /// # Errors
    /// The program was compiled for another target, memory does not suffice, a weight cannot be read, the recording
    /// cannot be made, or the driver fails.
    pub fn new(
        device: &Device,
        program: Program,
        weights: &Store,
        options: SessionOptions,
    ) -> Result<Self, EngineError> {
        if program.target != *device.target() {
            return Err(EngineError::Target {
                compiled: program.target.name.clone(),
                device: device.target().name.clone(),
            });
        }
        #[cfg(feature = "faults")]
        let program = {
            let mut program = program;
            if let Some(fault) = options.fault {
                crate::faults::plant(&mut program, fault).ok_or_else(|| EngineError::Kernel {
                    name: format!("{fault:?}"),
                    reason: "the program has no place for this fault".into(),
                })?;
            }
            program
        };
        let vulkan = &device.vulkan;
        // What was allocated on the device before belongs to others.
        let _ = vulkan.drain_allocation_events();
        let mut trace = Trace::begin(options.recording, &program, vulkan)?;
        let objects = allocate(device, &program)?;
        let transfer = transfer(device, &program, &objects)?;
        if let Some(params) = &objects.params {
            transfer.write(params, 0, &program.params)?;
        }
        load(vulkan, &program, &objects, &transfer, weights)?;
        let run = &program.run.dispatches;
        let stride = trace.query_stride(run.len() as u32).filter(|_| vulkan.timestamp_scale().is_some());
        let timestamps = stride
            .filter(|_| !run.is_empty())
            .map(|stride| Timestamps::new(vulkan, run.len() as u32, stride))
            .transpose()?;
        let commands = record(vulkan, &program.name, &objects, run, timestamps.as_ref())?;
        let arenas = objects.arenas.each_ref().map(|buffer| buffer.as_ref().map(Buffer::id));
        trace.memory(vulkan, &names(&objects), true);
        trace.windows(&program, &commands, &arenas);
        trace.ready(vulkan, timestamps.as_ref());
        Ok(Self {
            device: device.clone(),
            program,
            objects,
            commands,
            timestamps,
            transfer,
            trace,
            timeout: options.timeout,
            runs: 0,
            #[cfg(feature = "faults")]
            fault: options.fault,
            #[cfg(feature = "faults")]
            unplanned: None,
        })
    }

    /// Runs the program once: writes all inputs, computes, waits. The outputs are lent until the next run.
    ///
    /// # Errors
    /// An input is missing, unknown or of another type or shape than the program's (nothing was written then); the run
    /// exceeds its time limit; the device is lost.
    pub fn run(&mut self, inputs: &[(&str, &Tensor)]) -> Result<Outputs<'_>, EngineError> {
        let given = self.check(inputs)?;
        for (port, tensor) in self.program.inputs.iter().zip(given) {
            if tensor.count() > 0 {
                let buffer = arena(&self.objects, port.window.arena)?;
                self.transfer.write(buffer, port.window.offset, &widen(port.dtype, tensor.bytes()))?;
            }
        }
        let run = self.runs;
        self.runs += 1;
        let started = self.trace.run_started(run);
        let result = self.execute();
        self.trace.run_ended(run, started, result.is_ok(), &self.device.vulkan, self.timestamps.as_ref());
        self.trace.memory(&self.device.vulkan, &names(&self.objects), false);
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

    /// Runs so far.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    fn execute(&mut self) -> Result<(), EngineError> {
        #[cfg(feature = "faults")]
        if self.fault == Some(crate::faults::Fault::UnplannedAllocation) && self.unplanned.is_none() {
            self.unplanned = Some(self.device.vulkan.create_buffer("unplanned", 65_536, Location::Device)?);
        }
        if self.program.run.dispatches.is_empty() {
            return Ok(());
        }
        let vulkan = &self.device.vulkan;
        let ticket = vulkan.submit(&self.commands)?;
        match self.timeout {
            Some(limit) if !vulkan.wait(&ticket, limit)? => {
                Err(EngineError::Timeout { seconds: limit.as_secs() })
            }
            Some(_) => Ok(()),
            None => {
                while !vulkan.wait(&ticket, WAIT)? {}
                Ok(())
            }
        }
    }

    /// Reads what a port's window holds, in the device's representation.
    pub(crate) fn read(&self, port: &Port, bytes: &mut [u8]) -> Result<(), EngineError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let buffer = arena(&self.objects, port.window.arena)?;
        self.transfer.read(buffer, port.window.offset, bytes)
    }

    /// One tensor for each input, in the program's order, each of the right type and shape.
    fn check<'t>(&self, inputs: &[(&str, &'t Tensor)]) -> Result<Vec<&'t Tensor>, EngineError> {
        let ports = &self.program.inputs;
        if let Some((name, _)) = inputs.iter().find(|(name, _)| ports.iter().all(|port| port.name != *name)) {
            return Err(EngineError::UnknownInput {
                name: (*name).into(),
                inputs: ports.iter().map(|port| port.name.clone()).collect(),
            });
        }
        let find = |port: &Port| {
            let expected = type_text(port.dtype, &port.shape);
            let Some((name, tensor)) = inputs.iter().rev().find(|(name, _)| *name == port.name) else {
                return Err(EngineError::MissingInput { name: port.name.clone(), expected });
            };
            let shape: Vec<u64> = tensor.shape().iter().map(|&dim| dim as u64).collect();
            if tensor.dtype() != port.dtype || shape != port.shape {
                let actual = type_text(tensor.dtype(), &shape);
                return Err(EngineError::WrongInput { name: (*name).into(), expected, actual });
            }
            Ok(*tensor)
        };
        ports.iter().map(find).collect()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.trace.end();
    }
}

/// All device memory of a session and its pipelines.
fn allocate(device: &Device, program: &Program) -> Result<Objects, EngineError> {
    let vulkan = &device.vulkan;
    let needed: u64 = program.arena_bytes.iter().sum::<u64>() + program.params.len() as u64;
    let local = device.heaps().into_iter().filter(|heap| heap.device_local).map(|heap| heap.available());
    if let Some(free) = local.max()
        && needed > free
    {
        return Err(EngineError::Memory { needed, free });
    }
    let buffer = |name: &str, bytes: u64| {
        (bytes > 0).then(|| vulkan.create_buffer(name, bytes, Location::Device)).transpose()
    };
    let [activations, weights] = Arena::ALL.map(|arena| (arena.name(), program.arena_bytes[arena.index()]));
    Ok(Objects {
        pipelines: pipelines(vulkan, program)?,
        arenas: [buffer(activations.0, activations.1)?, buffer(weights.0, weights.1)?],
        params: buffer("kernel parameters", program.params.len() as u64)?,
    })
}

fn transfer(device: &Device, program: &Program, objects: &Objects) -> Result<Transfer, EngineError> {
    let buffers = objects.arenas.iter().flatten().chain(&objects.params);
    let mapped = buffers.clone().all(|buffer| buffer.mapped().is_some());
    let windows = program.uploads.iter().map(|upload| upload.window.len);
    let ports = program.inputs.iter().chain(&program.outputs).map(|port| port.window.len);
    let largest = windows.chain(ports).chain([program.params.len() as u64]).max().unwrap_or(0);
    Transfer::new(&device.vulkan, mapped, largest)
}

/// What each device allocation is for.
fn names(objects: &Objects) -> HashMap<AllocationId, String> {
    let buffers = objects.arenas.iter().flatten().chain(&objects.params);
    buffers.filter_map(|buffer| Some((buffer.allocation()?, buffer.name().to_string()))).collect()
}
