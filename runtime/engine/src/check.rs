//! What is refused before anything is made.

use std::sync::Arc;

use bayplan_compile::session::{OverBudget, check_budget};
use bayplan_compile::{Arena, CompileError, Family, Program, Reservation, verify};
use bayplan_expr::Bindings;
use bayplan_shaders::Target;

use crate::device::Device;
use crate::error::EngineError;

/// A family that can run on the device, and what its session allocates.
pub(crate) struct Sound {
    pub(crate) family: Arc<Family>,
    pub(crate) reservation: Reservation,
}

impl Sound {
    /// Refuses what was compiled for another device, what needs more than `memory`, and what the verifier does not accept.
    pub(crate) fn new(
        device: &Device,
        family: Arc<Family>,
        memory: Option<u64>,
    ) -> Result<Self, EngineError> {
        check_target(device, family.target())?;
        let reservation = reserve(&family, memory)?;
        check_sound(family.first())?;
        Ok(Self { family, reservation })
    }
}

/// Refuses what cannot run on the device.
#[cfg(feature = "inspect")]
pub(crate) fn check_program(device: &Device, program: &Program) -> Result<(), EngineError> {
    check_target(device, &program.target)?;
    check_sound(program)?;
    check_memory(device, program)
}

/// Refuses what the verifier does not accept.
pub(crate) fn check_sound(program: &Program) -> Result<(), EngineError> {
    let unsound = |reason: String| EngineError::Program { name: program.name.clone(), reason };
    verify(program).map_err(|violation| unsound(violation.to_string()))
}

/// Refuses what needs more memory than any of the device's heaps has left.
pub(crate) fn check_memory(device: &Device, program: &Program) -> Result<(), EngineError> {
    let bytes = |arena: Arena| program.arena_bytes[arena.index()];
    check_heaps(device, arenas_bytes(&bytes).saturating_add(program.params.len() as u64))
}

/// Refuses a number of bytes that no heap of the device has left.
pub(crate) fn check_heaps(device: &Device, needed: u64) -> Result<(), EngineError> {
    let local = device.heaps().into_iter().enumerate().filter(|(_, heap)| heap.device_local);
    match local.map(|(heap, sample)| (sample.available(), heap)).max() {
        Some((free, heap)) if needed > free => Err(EngineError::Memory { needed, heap, free }),
        _ => Ok(()),
    }
}

/// Whether the load program's memory and the activations fit the device, and what the session was given, at the same time.
pub(crate) fn together(device: &Device, bytes: &[u64; Arena::ALL.len()], memory: Option<u64>) -> bool {
    let bytes = |arena: Arena| bytes[arena.index()];
    let arenas = [Arena::Weights, Arena::Load, Arena::Activations];
    let all = arenas.into_iter().map(bytes).fold(0, u64::saturating_add);
    // Weights and the load program's memory are allocated already.
    memory.is_none_or(|given| all <= given) && check_heaps(device, bytes(Arena::Activations)).is_ok()
}

/// Refuses what was compiled for another device.
pub(crate) fn check_target(device: &Device, target: &Target) -> Result<(), EngineError> {
    if target == device.target() {
        return Ok(());
    }
    Err(EngineError::Target { compiled: target.name.clone(), device: device.target().name.clone() })
}

/// Bytes of all arenas: what is needed for loading is freed before the activations are allocated.
pub(crate) fn arenas_bytes(bytes: &dyn Fn(Arena) -> u64) -> u64 {
    bytes(Arena::Weights).saturating_add(bytes(Arena::Activations).max(bytes(Arena::Load)))
}

/// What a session of the family allocates, with at most `memory` bytes: its reservation, or as much of the activations
/// as is left beside the weights.
///
/// # Errors
/// The weights alone, or with what they need while they are loaded, are more than `memory`; without it, some symbol has no upper
/// bound.
pub(crate) fn reserve(family: &Family, memory: Option<u64>) -> Result<Reservation, EngineError> {
    let first = family.first();
    let Some(memory) = memory else { return Ok(family.reservation()?.clone()) };
    let weights = first.arena_bytes[Arena::Weights.index()];
    let load = first.arena_bytes[Arena::Load.index()];
    let needed = weights.saturating_add(load);
    if needed > memory {
        return Err(OverBudget { needed, given: memory, dims: Bindings::default() }.into());
    }
    let activations = Arena::Activations.index();
    let left = memory - weights;
    let mut reservation = match family.reservation() {
        Ok(reservation) => reservation.clone(),
        Err(CompileError::Unbounded { .. }) => {
            let mut open = Reservation { arena_bytes: first.arena_bytes, blocks: first.blocks.clone() };
            let granule = family.target().storage_granule.max(1);
            let most = left.min(family.target().max_allocation);
            open.blocks[activations] = vec![most - most % granule];
            open
        }
        Err(e) => return Err(e.into()),
    };
    if family.functions().all(|(function, _)| family.is_static(function)) {
        check_budget(first, memory)?;
    }
    let ends = &mut reservation.blocks[activations];
    ends.iter_mut().for_each(|end| *end = (*end).min(left));
    ends.dedup();
    ends.retain(|&end| end > 0);
    reservation.arena_bytes[activations] = ends.last().copied().unwrap_or(0);
    Ok(reservation)
}
