//! Weights to the device, and the load program.

use bayplan_compile::{Upload, device_size, same_bytes, widen};
use bayplan_record::Arrivals;
use bayplan_trace::{ReadMode, WeightsPath};
use bayplan_vulkan::{Buffer, Device};
use bayplan_weights::Store;

use crate::arena::Arenas;
use crate::commands::{Objects, record};
use crate::error::EngineError;
use crate::instruments::{Instruments, Places};
use crate::transfer::{CHUNK, Transfer, finish};

/// Uploads every constant when the load program needs it, and runs the load program between.
pub(crate) fn load(
    device: &Device,
    objects: Objects<'_>,
    transfer: &Transfer,
    weights: &Store,
    arrivals: &Arrivals,
) -> Result<(), EngineError> {
    arrivals.staging(transfer.buffers().map(Buffer::size).sum());
    let dispatches = &objects.program.load.dispatches;
    let mut done = 0;
    for upload in &*objects.program.uploads {
        let before = upload.before as usize;
        if before > done {
            run(device, objects, &dispatches[done..before])?;
            done = before;
        }
        copy(objects.arenas, transfer, weights, upload, arrivals)?;
    }
    run(device, objects, &dispatches[done..])
}

fn run(
    device: &Device,
    objects: Objects<'_>,
    dispatches: &[bayplan_compile::Dispatch],
) -> Result<(), EngineError> {
    if dispatches.is_empty() {
        return Ok(());
    }
    let untraced = (&Instruments::default(), &Places::default());
    finish(device, &record(device, "load program", objects, dispatches, untraced, None)?)
}

/// Uploads one constant, a chunk at a time; straight into mapped memory where no element changes.
pub(crate) fn copy(
    arenas: &Arenas,
    transfer: &Transfer,
    weights: &Store,
    upload: &Upload,
    arrivals: &Arrivals,
) -> Result<(), EngineError> {
    let fail = |reason: String| EngineError::Weights { name: upload.name.clone(), reason };
    let read =
        |from, target: &mut [u8]| weights.read_part(&upload.data, from, target).map_err(|e| e.to_string());
    let (buffer, start) = arenas.place(upload.window.arena, upload.window.offset)?;
    let host_size = upload.dtype.size() as u64;
    let per_chunk = CHUNK / device_size(upload.dtype);
    let mut bytes = Vec::new();
    let mut first = 0;
    while first < upload.elements {
        let count = per_chunk.min(upload.elements - first);
        let at = start + first * device_size(upload.dtype);
        let (from, len) = (first * host_size, count * host_size);
        let path = if let Some(mapped) = buffer.mapped().filter(|_| same_bytes(upload.dtype)) {
            mapped.write_with(at, len, |target| read(from, target))?.map_err(fail)?;
            WeightsPath::Mapped
        } else {
            bytes.resize(len as usize, 0);
            read(from, &mut bytes).map_err(fail)?;
            transfer.write(buffer, at, &widen(upload.dtype, &bytes))?;
            if buffer.mapped().is_some() { WeightsPath::Mapped } else { WeightsPath::Staged }
        };
        arrivals.piece(len, path, ReadMode::Buffered);
        first += count;
    }
    Ok(())
}
