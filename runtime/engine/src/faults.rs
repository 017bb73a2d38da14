//! Faults, planted between the verified program and the recording, to prove that the alarms go off.
//!
//! The Vulkan layer and the trace see a planted fault as they see any run.

use bayplan_compile::{Arena, BufferKind, Program, Window};
use bayplan_shaders::Access;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// One descriptor window lies one alignment unit beside its plan.
    ShiftedWindow,
    /// A buffer is still bound three ops after its planned end.
    LateRelease,
    /// A buffer lies over another one that is alive.
    Overlap,
    /// The first run allocates device memory.
    UnplannedAllocation,
}

impl Fault {
    /// All of them with the names that tests use.
    pub const ALL: [(&'static str, Self); 4] = [
        ("shifted-window", Self::ShiftedWindow),
        ("late-release", Self::LateRelease),
        ("overlap", Self::Overlap),
        ("unplanned-allocation", Self::UnplannedAllocation),
    ];
}

/// Changes a program's windows. `None` if the program has no place where the fault can be planted.
pub(crate) fn plant(program: &mut Program, fault: Fault) -> Option<()> {
    match fault {
        Fault::ShiftedWindow => shift(program),
        Fault::LateRelease => release_late(program),
        Fault::Overlap => overlap(program),
        Fault::UnplannedAllocation => Some(()),
    }
}

/// Moves the first window on an activation that stays within the arena.
fn shift(program: &mut Program) -> Option<()> {
    let (unit, end) = (program.target.storage_alignment, program.arena_bytes[Arena::Activations.index()]);
    let windows = program.run.dispatches.iter_mut().flat_map(|dispatch| &mut dispatch.windows);
    let mut ours = windows.filter(|window| window.arena == Arena::Activations);
    let window = ours.find(|window| window.offset + window.len + unit <= end)?;
    window.offset += unit;
    Some(())
}

/// Binds a dead buffer instead of what an op reads, three ops after the buffer's end.
fn release_late(program: &mut Program) -> Option<()> {
    let ops = program.run.dispatches.len();
    for (op, late) in (0..ops).filter_map(|op| Some((op, (op + 3 < ops).then_some(op + 3)?))) {
        let dying = program.run.dispatches[op].windows.iter().find(|window| {
            window.arena == Arena::Activations
                && program.buffers[window.buffer.0 as usize].lifespan.end as usize == op + 1
        });
        let Some(dying) = dying.copied() else { continue };
        let read = |window: &&mut Window| window.access == Access::Read && window.len <= dying.len;
        if let Some(window) = program.run.dispatches[late].windows.iter_mut().find(read) {
            *window = Window { len: window.len, access: Access::Read, ..dying };
            return Some(());
        }
    }
    None
}

/// Moves all windows of a buffer onto another one that lives at the same time.
fn overlap(program: &mut Program) -> Option<()> {
    let inner = |kind: BufferKind| kind == BufferKind::Activation;
    let places = program.buffers.iter().enumerate();
    let ours: Vec<_> = places.filter(|(_, buffer)| inner(buffer.kind)).collect();
    let (moved, from, to) = ours.iter().find_map(|(index, buffer)| {
        ours.iter().find_map(|(_, other)| {
            let together =
                buffer.lifespan.start < other.lifespan.end && other.lifespan.start < buffer.lifespan.end;
            let apart = buffer.offset != other.offset;
            let fits = other.offset + buffer.size <= program.arena_bytes[Arena::Activations.index()];
            (together && apart && fits).then_some((*index, buffer.offset, other.offset))
        })
    })?;
    for window in program.run.dispatches.iter_mut().flat_map(|dispatch| &mut dispatch.windows) {
        if window.buffer.0 as usize == moved {
            window.offset = window.offset - from + to;
        }
    }
    Some(())
}
