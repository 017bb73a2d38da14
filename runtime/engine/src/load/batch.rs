//! Uploads as what is wanted of files, and what their batches wait for.

use std::collections::HashMap;

use bayplan_compile::{Arena, Buffer, BufferKind, Program, Upload};
use bayplan_weights::Store;
use bayplan_weights::reading::{Batch, Wanted};

/// What uploads want, `gates` as [`gates`] has them; `imported` says whether the device reads an upload in its file.
pub(crate) fn wanted<'a>(
    uploads: &'a [Upload],
    gates: &'a [u32],
    imported: impl Fn(&Upload) -> bool + Clone,
) -> impl Iterator<Item = Wanted<'a>> + Clone {
    uploads.iter().zip(gates).map(move |(upload, &gate)| {
        let Upload { before, data, skip, bytes, .. } = upload;
        Wanted { data, skip: *skip, bytes: *bytes, before: *before, gate, stays: imported(upload) }
    })
}

/// For each batch the earlier ones that hold pieces of the same constants, the last of each: what it holds is checked after them.
pub(crate) fn checked_after(store: &Store, uploads: &[Upload], batches: &[Batch]) -> Vec<Vec<usize>> {
    let numbers: Vec<_> = uploads.iter().map(|upload| store.digest_number(&upload.data)).collect();
    let mut last: HashMap<usize, usize> = HashMap::new();
    let mut after = Vec::with_capacity(batches.len());
    for (index, batch) in batches.iter().enumerate() {
        let held = batch.parts.iter().filter_map(|part| numbers[part.of]);
        let mut own: Vec<usize> = held.filter_map(|number| last.insert(number, index)).collect();
        own.retain(|&earlier| earlier < index);
        after.push(own);
    }
    after
}

/// For each upload, how many dispatches of the load program use its bytes before it may be written there.
pub(crate) fn gates(program: &Program) -> Vec<u32> {
    let scratch: Vec<&Buffer> = program.buffers.iter().filter(|b| b.kind == BufferKind::Load).collect();
    let gate = |upload: &Upload| {
        let window = &upload.window;
        if window.arena != Arena::Load {
            return 0; // no two weights share bytes
        }
        let end = window.offset.saturating_add(window.len);
        let earlier = scratch.iter().filter(|buffer| {
            let meets = buffer.offset < end && window.offset < buffer.offset.saturating_add(buffer.size);
            meets && buffer.lifespan.end <= upload.before
        });
        earlier.map(|buffer| buffer.lifespan.end).max().unwrap_or(0)
    };
    program.uploads.iter().map(gate).collect()
}
