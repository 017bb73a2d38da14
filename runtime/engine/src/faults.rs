//! Faults, planted between the verified program and the recording, to prove that the alarms go off.
//!
//! The Vulkan layer and the trace see a planted fault as they see any run.

use std::ops::Range;

use bayplan_compile::{Arena, Buffer, BufferKind, Program, Window};
use bayplan_shaders::Access;
use bayplan_vulkan::{Device, Location};

use crate::error::EngineError;

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

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, fault)| *fault == self).map_or("", |(name, _)| name)
    }
}

/// Ops between a buffer's planned end and the op that still binds it.
const LATE: usize = 3;

/// What is left to go wrong at run time.
pub(crate) struct Planted {
    allocates: bool,
    memory: Option<bayplan_vulkan::Buffer>,
}

impl Planted {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        Self { allocates: fault == Some(Fault::UnplannedAllocation), memory: None }
    }

    /// Called at each run.
    pub(crate) fn at_run(&mut self, device: &Device) -> Result<(), EngineError> {
        if self.allocates && self.memory.is_none() {
            self.memory = Some(device.create_buffer("unplanned", 65_536, Location::Device)?);
        }
        Ok(())
    }
}

/// Plants a fault in the program of a shape.
///
/// # Errors
/// The program has no place for it.
pub(crate) fn plant(mut program: Program, fault: Option<Fault>) -> Result<Program, EngineError> {
    let planted = match fault {
        None | Some(Fault::UnplannedAllocation) => true,
        Some(Fault::ShiftedWindow) => shift(&mut program),
        Some(Fault::LateRelease) => release_late(&mut program),
        Some(Fault::Overlap) => overlap(&mut program),
    };
    match fault {
        Some(fault) if !planted => Err(EngineError::Fault { fault: fault.name() }),
        _ => Ok(program),
    }
}

/// Moves one window on an activation: if there is a choice, one that then touches nothing else that lives.
fn shift(program: &mut Program) -> bool {
    let (unit, end) = (program.target.storage_alignment, program.arena_bytes[Arena::Activations.index()]);
    let mut places = Vec::new();
    for (op, dispatch) in program.run.dispatches.iter().enumerate() {
        for (binding, window) in dispatch.windows.iter().enumerate() {
            let moved = window.offset + unit..window.offset + unit + window.len;
            if window.arena == Arena::Activations && moved.end <= end {
                let buffer = &program.buffers[window.buffer.0 as usize];
                let alone = !touches(program, window, &moved, &buffer.lifespan);
                // Whether an alarm goes off depends on leaving the buffer, which a window on part of it may not do.
                let leaves = moved.end > buffer.offset + buffer.size;
                places.push((!leaves, !alone, op, binding));
            }
        }
    }
    let Some(&(false, _, op, binding)) = places.iter().min() else { return false };
    program.run.dispatches[op].windows[binding].offset += unit;
    true
}

/// Binds a dead buffer where an op reads another one: if there is a choice, one whose bytes nobody else has by then.
fn release_late(program: &mut Program) -> bool {
    let ops = program.run.dispatches.len();
    let mut places = Vec::new();
    for op in 0..ops.saturating_sub(LATE) {
        let late = op + LATE;
        for window in &program.run.dispatches[op].windows {
            let buffer = &program.buffers[window.buffer.0 as usize];
            if buffer.kind != BufferKind::Activation || buffer.lifespan.end as usize != op + 1 {
                continue;
            }
            let read =
                |other: &Window| other.access == Access::Read && other.len <= window.len && other.len > 0;
            let Some(binding) = program.run.dispatches[late].windows.iter().position(read) else { continue };
            let span = buffer.lifespan.start..late as u32 + 1;
            let bytes = buffer.offset..buffer.offset + buffer.size;
            let reused = touches(program, window, &bytes, &span);
            places.push((reused, late, binding, *window));
        }
    }
    let Some((_, late, binding, dead)) = places.into_iter().min_by_key(|place| (place.0, place.1)) else {
        return false;
    };
    let window = &mut program.run.dispatches[late].windows[binding];
    *window = Window { len: window.len, access: Access::Read, ..dead };
    true
}

/// Moves all windows of a buffer onto another one that lives at the same time.
fn overlap(program: &mut Program) -> bool {
    let end = program.arena_bytes[Arena::Activations.index()];
    let ours = || program.buffers.iter().enumerate().filter(|(_, b)| b.kind == BufferKind::Activation);
    let found = ours().find_map(|(index, buffer)| {
        let over = |other: &Buffer| {
            let together = meet(&first_bytes(buffer), &first_bytes(other));
            let apart = buffer.offset != other.offset && buffer.size > 0 && other.size > 0;
            together && apart && other.offset + buffer.size <= end
        };
        let (_, other) = ours().find(|(_, other)| over(other))?;
        Some((index, buffer.offset, other.offset))
    });
    let Some((moved, from, to)) = found else { return false };
    for window in program.run.dispatches.iter_mut().flat_map(|dispatch| &mut dispatch.windows) {
        if window.buffer.0 as usize == moved {
            window.offset = window.offset - from + to;
        }
    }
    true
}

/// When a buffer's first bytes are its own.
fn first_bytes(buffer: &Buffer) -> Range<u32> {
    let first = buffer.pieces(0).into_iter().find(|piece| piece.offset == buffer.offset);
    first.map_or_else(|| buffer.lifespan.clone(), |piece| piece.lifespan)
}

/// Whether `bytes` during `ops` belong in part to another buffer than the window's.
fn touches(program: &Program, window: &Window, bytes: &Range<u64>, ops: &Range<u32>) -> bool {
    program.buffers.iter().enumerate().any(|(index, buffer)| {
        index != window.buffer.0 as usize
            && buffer.arena == window.arena
            && buffer.kind != BufferKind::Load
            && meet(&buffer.lifespan, ops)
            && meet(&(buffer.offset..buffer.offset + buffer.size), bytes)
    })
}

/// Whether two half-open ranges have something in common.
fn meet<T: Ord>(a: &Range<T>, b: &Range<T>) -> bool {
    a.start < b.end && b.start < a.end
}
