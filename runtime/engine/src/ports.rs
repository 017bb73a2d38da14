//! What is given to a run, and where it lies.

use std::sync::Arc;

use bayplan_compile::session::{Given as GivenOutput, Lease, OutputError, match_into, owned_buffers};
use bayplan_compile::{Arena, BufferId, OutputPolicy, Port, Program, device_size, match_inputs, widen};

use crate::arena::Arenas;
use crate::device::Device;
use crate::error::EngineError;
use crate::external::{Place, Placement};
use crate::input::Input;
use crate::output_memory::OutputMemory;
use crate::owned::{DeviceBytes, Owned};
use crate::tensor::DeviceTensor;
use crate::transfer::Transfer;

/// What a caller gives to a run.
#[derive(Clone, Copy)]
pub(crate) struct Given<'g, 'n, 't> {
    pub(crate) inputs: &'g [(&'n str, Input<'n>)],
    pub(crate) into: &'g [(&'t str, &'t mut DeviceTensor)],
}

/// Where it lies, and what the run gives away.
pub(crate) struct Bound {
    pub(crate) placement: Placement,
    /// The outputs to be kept, by their place among the program's.
    pub(crate) owned: Vec<Option<Owned>>,
    /// For each output, which of the caller's buffers it goes to.
    pub(crate) into: Vec<Option<usize>>,
    /// Slots of host tensors that the program reads from the caller's memory, for the run.
    _lent: Vec<Arc<Lease>>,
}

impl Given<'_, '_, '_> {
    /// Finds a place for everything that does not lie in the session's arenas.
    ///
    /// # Errors
    /// Something given does not fit, or the output arena is full. Nothing was written or kept.
    pub(crate) fn bind(
        &self,
        program: &Program,
        device: &Device,
        memory: &mut OutputMemory,
        transfer: &Arc<Transfer>,
    ) -> Result<Bound, EngineError> {
        let buffers: Vec<_> = self.into.iter().map(|(name, tensor)| output_of(name, tensor)).collect();
        let into = match_into(program, &buffers)?;
        let mut places = Vec::new();
        for (port, given) in program.outputs.iter().zip(&into) {
            if let Some((_, tensor)) = given.and_then(|given| self.into.get(given)) {
                here(device, tensor.place(), &port.name)?;
                places.push(place_of(port.window.buffer, tensor.place())?);
            }
        }
        let owned = owned_buffers(program);
        let from_host = self.given_inputs(program, device, &mut places)?;
        let sizes: Vec<u64> = owned.iter().chain(&from_host).map(|&(_, bytes)| bytes).collect();
        let leases = memory.take(device, &sizes)?;
        for (&(id, _), lease) in owned.iter().chain(&from_host).zip(&leases) {
            if let Some((buffer, offset)) = memory.place(lease) {
                places.push(Place { id, buffer, offset });
            }
        }
        let kept = |(port, policy): (&Port, &OutputPolicy)| {
            let index = owned.iter().position(|&(id, _)| id == port.window.buffer)?;
            let lease = leases.get(index).filter(|_| *policy == OutputPolicy::Own)?;
            let within = program.buffers.get(port.window.buffer.0 as usize)?.offset;
            let place = memory.place(lease).map(|(buffer, at)| (buffer, at + port.window.offset - within));
            Some(Owned::new(port, Arc::clone(lease), place, Arc::clone(transfer)))
        };
        let ports = program.outputs.iter().zip(&program.output_policies);
        Ok(Bound { owned: ports.map(kept).collect(), placement: Placement::new(places), into, _lent: leases })
    }

    /// Places inputs that are read where they lie; answers those that lie with the host, and their bytes.
    fn given_inputs(
        &self,
        program: &Program,
        device: &Device,
        places: &mut Vec<Place>,
    ) -> Result<Vec<(BufferId, u64)>, EngineError> {
        let mut from_host = Vec::new();
        for (port, input) in program.inputs.iter().zip(matched(program, self.inputs)?) {
            let on_device = on_device(input);
            if on_device.is_some_and(|bytes| !bytes.is_on(device)) {
                let name = port.name.clone();
                return Err(bayplan_vulkan::Error::ForeignObject { name }.into());
            }
            if port.window.arena == Arena::External {
                match on_device {
                    Some(bytes) if bytes.bytes() > 0 => places.push(place_of(port.window.buffer, bytes)?),
                    Some(_) => {}
                    None => from_host.push((port.window.buffer, bytes_of(port))),
                }
            }
        }
        Ok(from_host)
    }
}

impl Bound {
    /// Writes the inputs, and what follows from the shape, where the run reads them.
    pub(crate) fn write(
        &self,
        program: &Program,
        inputs: &[(&str, Input<'_>)],
        arenas: &Arenas,
        transfer: &Transfer,
    ) -> Result<(), EngineError> {
        for (port, input) in program.inputs.iter().zip(matched(program, inputs)?) {
            let len = bytes_of(port);
            let external = port.window.arena == Arena::External;
            if len == 0 || (external && on_device(input).is_some()) {
                continue;
            }
            let to = match external {
                true => self.placement.place(program, &port.window)?,
                false => arenas.place(port.window.arena, port.window.offset)?,
            };
            match (input, on_device(input)) {
                (Input::Host(tensor), _) => {
                    transfer.write(to.0, to.1, &widen(port.dtype, tensor.bytes()))?;
                }
                (_, Some(DeviceBytes { buffer: Some(buffer), offset, .. })) => {
                    transfer.copy((buffer, *offset), to, len)?;
                }
                _ => {}
            }
        }
        write_contents(program, arenas, transfer)
    }
}

/// Writes the tensors that follow from the shape alone, which runs may overwrite as they may their inputs.
pub(crate) fn write_contents(
    program: &Program,
    arenas: &Arenas,
    transfer: &Transfer,
) -> Result<(), EngineError> {
    for own in program.contents.iter().filter(|own| !own.bytes.is_empty()) {
        let (buffer, at) = arenas.place(own.window.arena, own.window.offset)?;
        transfer.write(buffer, at, &widen(own.dtype, &own.bytes))?;
    }
    Ok(())
}

/// One given tensor for each input of a program; a program may need fewer than the model has.
fn matched<'i, 'a>(
    program: &Program,
    inputs: &'i [(&str, Input<'a>)],
) -> Result<Vec<&'i Input<'a>>, EngineError> {
    let needed = inputs.iter().filter(|(name, _)| program.inputs.iter().any(|port| port.name == *name));
    let needed: Vec<_> = needed.map(|(name, input)| (*name, input)).collect();
    Ok(match_inputs(&program.inputs, &needed)?)
}

/// Bytes of a port's elements on the device.
fn bytes_of(port: &Port) -> u64 {
    port.shape.iter().product::<u64>() * device_size(port.dtype)
}

fn on_device<'a>(input: &'a Input<'_>) -> Option<&'a DeviceBytes> {
    match input {
        Input::Host(_) => None,
        Input::Owned(owned) => Some(owned.place()),
        Input::Device(tensor) => Some(tensor.place()),
    }
}

fn output_of<'a>(name: &'a str, tensor: &DeviceTensor) -> GivenOutput<'a> {
    GivenOutput { name, dtype: tensor.dtype(), bytes: tensor.capacity() }
}

/// Refuses memory of another device.
fn here(device: &Device, bytes: &DeviceBytes, name: &str) -> Result<(), EngineError> {
    if bytes.is_on(device) { Ok(()) } else { Err(OutputError::IntoElsewhere { name: name.into() }.into()) }
}

fn place_of(id: BufferId, bytes: &DeviceBytes) -> Result<Place, EngineError> {
    let buffer = bytes.buffer.as_ref().ok_or_else(|| {
        let why = "a tensor of no bytes has no memory";
        bayplan_vulkan::Error::InvalidRange { name: "tensor".into(), why }
    })?;
    Ok(Place { id, buffer: Arc::clone(buffer), offset: bytes.offset })
}
