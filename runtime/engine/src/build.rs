//! What building a session does: kernels compiled, weights loaded, memory given back that only loading needs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bayplan_compile::session::{Counters, Io};
use bayplan_compile::{Arena, Family, FunctionId, Program, Reservation};
use bayplan_expr::Bindings;
use bayplan_vulkan::{AllocationId, Buffer};
use bayplan_weights::Store;

use crate::arena::Arenas;
use crate::check::{arenas_bytes, check_heaps, check_sound};
use crate::device::Device;
use crate::early::{self, Early};
use crate::error::EngineError;
use crate::imports::{Imported, Imports};
use crate::instruments::Instruments;
use crate::load::{Loader, Origin, Stage};
use crate::params::Params;
use crate::transfer::Transfer;

/// What the programs of a family need of a session, as far as representative shapes tell.
pub(crate) struct Needs {
    pub(crate) params: u64,
    pub(crate) ops: u32,
    /// Bytes of the largest transfer.
    pub(crate) transfer: u64,
}

/// Compiles the kernels of all shapes, and finds out what representative ones need.
pub(crate) fn prepare(
    device: &Device,
    family: &Family,
    counters: &mut Counters,
) -> Result<Needs, EngineError> {
    let mut needs = Needs { params: 0, ops: 0, transfer: 0 };
    let mut note = |program: &Program| {
        device.pipelines.of(&device.vulkan, program)?;
        let windows = program.uploads.iter().map(|upload| upload.window.len);
        let ports = program.inputs.iter().chain(&program.outputs).map(|port| port.window.len);
        let params = program.params.len() as u64;
        needs.params = needs.params.max(params);
        needs.ops = needs.ops.max(program.run.dispatches.len() as u32);
        needs.transfer = windows.chain(ports).chain([params, needs.transfer]).max().unwrap_or(0);
        Ok::<(), EngineError>(())
    };
    note(family.first())?;
    for (function, _) in family.functions() {
        if family.is_static(function) && function == FunctionId::default() {
            continue;
        }
        device.pipelines.make(&device.vulkan, &family.kernels(function))?;
        for point in family.points(function) {
            note(&instantiate(family, function, &point, counters)?)?;
        }
    }
    Ok(needs)
}

/// The program of a shape, verified.
pub(crate) fn instantiate(
    family: &Family,
    function: FunctionId,
    dims: &Bindings,
    counters: &mut Counters,
) -> Result<Program, EngineError> {
    let begun = Instant::now();
    let program = family.at(function, dims)?;
    counters.instantiate_ns += nanos(begun);
    let begun = Instant::now();
    check_sound(&program)?;
    counters.verify_ns += nanos(begun);
    counters.shapes += 1;
    Ok(program)
}

/// What is allocated before anything is loaded.
pub(crate) struct Loaded {
    /// Those of the weights and of the load program.
    pub(crate) arenas: Arenas,
    /// Bytes of each arena that are, or will be, allocated.
    pub(crate) bytes: [u64; Arena::ALL.len()],
    pub(crate) imported: Option<Imported>,
}

impl Loaded {
    /// Imports what can be of the weights, if `io` asks for that, and allocates memory for the rest and for the load program,
    /// if there is as much as the session needs with `others` bytes beside its arenas. Nothing is read.
    ///
    /// # Errors
    /// There is not.
    pub(crate) fn allocate(
        device: &Device,
        (first, reservation): (&Program, &Reservation),
        others: u64,
        (store, io): (&Store, Io),
    ) -> Result<Self, EngineError> {
        let ends = |arena: Arena| &reservation.blocks[arena.index()];
        let imports = Imports::new(&device.vulkan, first, store, io);
        let own = imports.layout(ends(Arena::Weights));
        let mut bytes = reservation.arena_bytes;
        if imports.any() {
            bytes[Arena::Weights.index()] = own.bytes();
        }
        let of = |arena: Arena| bytes[arena.index()];
        check_heaps(device, arenas_bytes(&of).saturating_add(others))?;
        let (elsewhere, imported) = imports.into_parts();
        let mut arenas = Arenas::default();
        arenas.allocate_beside(&device.vulkan, Arena::Weights, &own, elsewhere)?;
        arenas.allocate(&device.vulkan, Arena::Load, ends(Arena::Load))?;
        Ok(Self { arenas, bytes, imported })
    }
}

/// Begins to load weights, with the load program's parameters in place for so long. Answers what memory that takes for as
/// long, and its purpose, too.
pub(crate) fn begin_loading(
    device: &Device,
    family: &Arc<Family>,
    arenas: &Arenas,
    params: &mut Params,
    transfer: &Transfer,
    origin: Origin<'_>,
) -> Result<(Early, Vec<(AllocationId, String)>), EngineError> {
    let program = family.first();
    let (needed, given) = (program.params.len() as u64, params.buffer().size());
    let loader = Loader::start(&device.vulkan, program, arenas, origin)?;
    let slot = params.take(program, transfer)?.ok_or(EngineError::Parameters { needed, given })?;
    let pipelines = device.pipelines.of(&device.vulkan, program)?;
    let ring = loader.buffers().filter_map(purpose).collect();
    let needs = early::Needs::new(program, &loader);
    let (stage, family) = (Stage::default(), Arc::clone(family));
    Ok((Early { loader, stage, family, pipelines, slot, needs }, ring))
}

/// A buffer's allocation, and what it is for.
fn purpose(buffer: &Buffer) -> Option<(AllocationId, String)> {
    Some((buffer.allocation()?, buffer.name().to_owned()))
}

/// Frees the load program's memory. Answers the freed allocations and their purpose.
pub(crate) fn free_load(arenas: &mut Arenas) -> Vec<(AllocationId, String)> {
    let freed = arenas.take(Arena::Load);
    freed.iter().filter_map(purpose).collect()
}

/// What each of the session's device allocations is for.
pub(crate) fn purposes<'b>(
    buffers: impl Iterator<Item = &'b Buffer>,
    transfer: &Transfer,
    instruments: &Instruments,
) -> HashMap<AllocationId, String> {
    let own = buffers.filter_map(purpose).chain(transfer.buffers().filter_map(purpose));
    own.chain(instruments.allocation()).collect()
}

/// Nanoseconds since a moment.
pub(crate) fn nanos(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
