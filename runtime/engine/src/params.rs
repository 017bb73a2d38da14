//! The parameters of all shapes that are at hand, in one buffer.

use bayplan_compile::pool::{Pool, Slot};
use bayplan_compile::{Family, Program};
use bayplan_vulkan::{Buffer, Device, Location};

use crate::error::EngineError;
use crate::transfer::Transfer;

/// The least bytes of the buffer: what a small model's unusual shapes may need beside its usual ones.
const LEAST: u64 = 64 << 10;

/// One buffer, allocated when the session is built. Each shape has a slot of exactly what its parameters take.
pub(crate) struct Params {
    buffer: Buffer,
    pool: Pool,
}

/// Whose parameters there is room for at a time.
pub(crate) enum Room {
    /// So many shapes, of which these are all.
    Known(usize),
    /// So many of more shapes than are known.
    Among(usize),
}

impl Room {
    /// That of a family's shapes, of which `shapes` are at hand at a time.
    pub(crate) fn of(family: &Family, shapes: usize) -> Self {
        let shapes = shapes.max(1);
        if family.functions().all(|(function, _)| family.is_static(function)) {
            Self::Known(family.functions().count().min(shapes))
        } else {
            Self::Among(shapes)
        }
    }

    /// Room for the load program's beside them, if it runs while they are used.
    pub(crate) fn with_load(self, early: bool) -> Self {
        match self {
            Self::Known(shapes) => Self::Known(shapes + usize::from(early)),
            Self::Among(shapes) => Self::Among(shapes + usize::from(early)),
        }
    }

    /// Bytes for parameters of which the largest known have so many: a shape that is not known may have a quarter more.
    pub(crate) fn bytes(&self, largest: u64, align: u64) -> u64 {
        let whole = |bytes: u64| bytes.checked_next_multiple_of(align).unwrap_or(bytes);
        match *self {
            Self::Known(shapes) => whole(largest).saturating_mul(shapes as u64).max(align),
            Self::Among(shapes) => {
                whole(largest.saturating_add(largest / 4)).saturating_mul(shapes as u64).max(LEAST)
            }
        }
    }
}

impl Params {
    /// Room for parameters of which the `largest` known have so many bytes.
    pub(crate) fn new(device: &Device, align: u64, room: &Room, largest: u64) -> Result<Self, EngineError> {
        let wanted = room.bytes(largest, align);
        // Fewer shapes at a time where a device allocates less at once; never less than one.
        let most = device.info().limits.max_memory_allocation_size.max(largest).max(align);
        let buffer = device.create_buffer("kernel parameters", wanted.min(most), Location::Device)?;
        let mut pool = Pool::new(align);
        // Cannot fail: the first block begins at 0.
        let grown = pool.grow(buffer.size());
        debug_assert_eq!(grown, Ok(0));
        Ok(Self { buffer, pool })
    }

    /// A slot with a program's parameters in it; `None` where other shapes must go first.
    ///
    /// # Errors
    /// They would not fit alone, or the driver fails.
    pub(crate) fn take(
        &mut self,
        program: &Program,
        transfer: &Transfer,
    ) -> Result<Option<Slot>, EngineError> {
        let needed = program.params.len() as u64;
        if needed > self.buffer.size() {
            return Err(EngineError::Parameters { needed, given: self.buffer.size() });
        }
        let Ok(slot) = self.pool.take(needed) else { return Ok(None) };
        if needed > 0
            && let Err(e) = transfer.write(&self.buffer, slot.offset, &program.params)
        {
            self.pool.free(slot);
            return Err(e);
        }
        Ok(Some(slot))
    }

    pub(crate) fn free(&mut self, slot: Slot) {
        self.pool.free(slot);
    }

    pub(crate) fn buffer(&self) -> &Buffer {
        &self.buffer
    }
}
