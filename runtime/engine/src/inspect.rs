//! A program on a device with its memory open: one dispatch at a time, arenas read and written between.
//!
//! For tests that compare a device with another executor. An [`Inspection`] has the buffers, pipelines and commands that
//! a [`Session`](crate::Session) of the same program has, and two more liberties: all arenas exist at the same time, and
//! the host may look at them and change them whenever no dispatch runs.

use std::ops::Range;
use std::sync::Arc;

use bayplan_compile::host_node::Memo;
use bayplan_compile::session::{Cancel, Io};
use bayplan_compile::{Arena, Program, device_size, widen};
use bayplan_graph::Tensor;
use bayplan_shaders::Spec;
use bayplan_vulkan::Pipeline;
use bayplan_weights::Store;

use crate::arena::Arenas;
use crate::check::{check_program, check_target};
use crate::commands::{Objects, record};
use crate::device::Device;
use crate::error::EngineError;
use crate::instruments::{Instruments, Places};
use crate::load::{Origin, copy, load};
use crate::outputs::tensor;
use crate::params::{Params, Room};
use crate::parts::compute;
use crate::ports::write_contents;
use crate::transfer::{CHUNK, Transfer, finish};

/// A stage of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StageKind {
    /// [`Program::load`].
    Load,
    /// [`Program::run`].
    Run,
}

/// A program on a device, its memory open. Nothing is loaded or computed until it is asked for.
pub struct Inspection {
    device: Device,
    program: Program,
    pipelines: Vec<Option<Pipeline>>,
    arenas: Arenas,
    params: (Params, u64),
    transfer: Transfer,
}

impl Inspection {
    /// Allocates the arenas and compiles the kernels.
    ///
    /// # Errors
    /// The program was compiled for another target or is not sound, memory does not suffice, or the driver fails.
    pub fn new(device: &Device, program: Program) -> Result<Self, EngineError> {
        check_program(device, &program)?;
        Self::build(device, program)
    }

    /// The same for a program that the verifier may refuse: what happens to it on a device is the question. Windows
    /// outside an arena are refused all the same, when a dispatch is recorded.
    ///
    /// # Errors
    /// As [`Inspection::new`], without the proof.
    pub fn unverified(device: &Device, program: Program) -> Result<Self, EngineError> {
        check_target(device, &program.target)?;
        Self::build(device, program)
    }

    fn build(device: &Device, program: Program) -> Result<Self, EngineError> {
        let vulkan = &device.vulkan;
        let mut arenas = Arenas::default();
        for arena in Arena::ALL {
            // Buffers that a session is given at each run lie in an arena of their own here.
            arenas.allocate(vulkan, arena, &program.blocks[arena.index()])?;
        }
        let (needed, align) = (program.params.len() as u64, program.target.uniform_alignment);
        let mut params = Params::new(vulkan, align, &Room::Known(1), needed)?;
        let mapped = arenas.buffers().chain([params.buffer()]).all(|buffer| buffer.mapped().is_some());
        let transfer = Transfer::new(vulkan, mapped, CHUNK)?;
        let given = params.buffer().size();
        let slot = params.take(&program, &transfer)?.ok_or(EngineError::Parameters { needed, given })?;
        let pipelines = device.pipelines.of(vulkan, &program)?;
        let params = (params, slot.offset);
        Ok(Self { device: device.clone(), program, pipelines, arenas, params, transfer })
    }

    fn objects(&self) -> Objects<'_> {
        Objects {
            program: &self.program,
            pipelines: &self.pipelines,
            arenas: &self.arenas,
            params: (self.params.0.buffer(), self.params.1),
            external: None,
        }
    }

    /// Executes dispatches as one submission, with their barriers.
    fn submit(&self, name: &str, dispatches: &[bayplan_compile::Dispatch]) -> Result<(), EngineError> {
        let on_host = |dispatch: &bayplan_compile::Dispatch| matches!(*dispatch.spec, Spec::Host(_));
        if let [dispatch] = dispatches
            && on_host(dispatch)
        {
            return compute(&self.objects(), dispatch, &self.transfer, &mut Memo::default());
        }
        if dispatches.iter().any(on_host) {
            return dispatches.chunks(1).try_for_each(|one| self.submit(name, one));
        }
        let (vulkan, untraced) = (&self.device.vulkan, (&Instruments::default(), &Places::default()));
        finish(vulkan, &record(vulkan, name, self.objects(), dispatches, untraced, None)?)
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The device it runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Uploads one constant, by its index in [`Program::uploads`].
    ///
    /// # Errors
    /// There is no such upload, its bytes cannot be read, or the driver fails.
    pub fn upload(&self, index: usize, weights: &Store) -> Result<(), EngineError> {
        let upload = self.program.uploads.get(index).ok_or_else(|| self.missing("upload", index))?;
        copy(&self.arenas, &self.transfer, weights, upload)
    }

    /// Uploads every constant and runs the load program, as a session does when it is built.
    ///
    /// # Errors
    /// A constant's bytes cannot be read, or the driver fails.
    pub fn load(&self, weights: &Store) -> Result<(), EngineError> {
        let origin =
            Origin { store: weights, io: Io::default(), arrivals: Arc::default(), cancel: Cancel::default() };
        load(&self.device.vulkan, self.objects(), origin)
    }

    /// Executes one dispatch and waits for it.
    ///
    /// # Errors
    /// There is no such dispatch, it binds bytes outside an arena, or the driver fails.
    pub fn execute(&self, stage: StageKind, index: usize) -> Result<(), EngineError> {
        let dispatches = self.dispatches(stage);
        let Some(one) = dispatches.get(index..=index) else { return Err(self.missing("dispatch", index)) };
        self.submit(&one[0].name, one)
    }

    /// Executes the whole run stage as one submission with the program's barriers, as a session does at each run: what
    /// follows from the shape is written first.
    ///
    /// # Errors
    /// A dispatch binds bytes outside an arena, or the driver fails.
    pub fn run(&self) -> Result<(), EngineError> {
        let dispatches = &self.program.run.dispatches;
        if dispatches.is_empty() {
            return Ok(());
        }
        write_contents(&self.program, &self.arenas, &self.transfer)?;
        self.submit(&self.program.name, dispatches)
    }

    /// Writes an input, by its index in [`Program::inputs`], in the device's representation.
    ///
    /// # Errors
    /// There is no such input, the tensor's type is another, it has more elements than fit, or the driver fails.
    pub fn set_input(&self, index: usize, value: &Tensor) -> Result<(), EngineError> {
        let port = self.program.inputs.get(index).ok_or_else(|| self.missing("input", index))?;
        let bytes = widen(port.dtype, value.bytes());
        if value.dtype() != port.dtype || bytes.len() as u64 > port.window.len {
            return Err(self.missing("input of that type and size", index));
        }
        self.write(port.window.arena, port.window.offset, &bytes)
    }

    /// Reads an output, by its index in [`Program::outputs`].
    ///
    /// # Errors
    /// There is no such output, it is larger than bayplan's tensors may be, or the driver fails.
    pub fn output(&self, index: usize) -> Result<Tensor, EngineError> {
        let port = self.program.outputs.get(index).ok_or_else(|| self.missing("output", index))?;
        let elements: u64 = port.shape.iter().product();
        let len = elements * device_size(port.dtype);
        tensor(port, self.read(port.window.arena, port.window.offset, len)?)
    }

    /// Bytes of an arena.
    ///
    /// # Errors
    /// They do not lie in the arena, or the driver fails.
    pub fn read(&self, arena: Arena, offset: u64, len: u64) -> Result<Vec<u8>, EngineError> {
        let mut bytes = vec![0; len as usize];
        for part in self.parts(arena, offset, len) {
            let (buffer, at) = self.arenas.place(arena, part.start)?;
            let own = (part.start - offset) as usize..(part.end - offset) as usize;
            self.transfer.read(buffer, at, &mut bytes[own])?;
        }
        Ok(bytes)
    }

    /// Changes bytes of an arena.
    ///
    /// # Errors
    /// They do not lie in the arena, or the driver fails.
    pub fn write(&self, arena: Arena, offset: u64, bytes: &[u8]) -> Result<(), EngineError> {
        for part in self.parts(arena, offset, bytes.len() as u64) {
            let (buffer, at) = self.arenas.place(arena, part.start)?;
            let own = (part.start - offset) as usize..(part.end - offset) as usize;
            self.transfer.write(buffer, at, &bytes[own])?;
        }
        Ok(())
    }

    /// Bytes of an arena, cut where its blocks are.
    fn parts(&self, arena: Arena, offset: u64, len: u64) -> Vec<Range<u64>> {
        let (mut start, end) = (offset, offset.saturating_add(len));
        let mut parts = Vec::new();
        while start < end {
            let block = self.program.blocks(arena).find(|block| block.contains(&start));
            // What lies beyond the last block is refused when it is touched.
            let part = start..block.map_or(end, |block| block.end.min(end));
            start = part.end;
            parts.push(part);
        }
        parts
    }

    fn dispatches(&self, stage: StageKind) -> &[bayplan_compile::Dispatch] {
        match stage {
            StageKind::Load => &self.program.load.dispatches,
            StageKind::Run => &self.program.run.dispatches,
        }
    }

    fn missing(&self, what: &str, index: usize) -> EngineError {
        let reason = format!("it has no {what} {index}");
        EngineError::Program { name: self.program.name.clone(), reason }
    }
}
