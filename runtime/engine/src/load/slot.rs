//! Staging buffers, which pieces of files are read into and the device copies from.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bayplan_vulkan::{Buffer, Commands, Device, Location, Ticket};
use bayplan_weights::reading::{Part, aligned, first_block, room};

use crate::error::EngineError;
use crate::transfer::wait;

/// A staging buffer that one thread fills and the device copies from.
pub(crate) struct Staging {
    buffer: Buffer,
    /// The copies out of it.
    copies: Mutex<Copies>,
}

#[derive(Default)]
struct Copies {
    commands: Option<Commands>,
    /// They may run still.
    ticket: Option<Ticket>,
}

impl Staging {
    pub(crate) fn new(device: &Device, slot: u64) -> Result<Self, EngineError> {
        let buffer = device.create_buffer("staging weights", room(slot), Location::Upload)?;
        Ok(Self { buffer, copies: Mutex::default() })
    }

    pub(crate) fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    fn copies(&self) -> MutexGuard<'_, Copies> {
        // What is not recorded whole is never submitted.
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `fill` write the slot when the device has copied what it held. Answers where the slot begins in the buffer, too.
    pub(crate) fn fill<R>(
        &self,
        device: &Device,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<(u64, R), EngineError> {
        if let Some(ticket) = self.copies().ticket.take() {
            wait(device, &ticket)?;
        }
        let mapped = self.buffer.mapped();
        let name = || self.buffer.name().into();
        let mapped = mapped.ok_or_else(|| bayplan_vulkan::Error::NotMapped { name: name() })?;
        Ok(mapped.write_with(0, self.buffer.size(), |memory| {
            (first_block(memory) as u64, fill(aligned(memory)))
        })?)
    }

    /// Submits copies of parts of the slot, which begins at `start`, to where each of them belongs.
    pub(crate) fn copy(
        &self,
        device: &Device,
        start: u64,
        parts: &[(&Part, Buffer, u64)],
    ) -> Result<(), EngineError> {
        let mut copies = self.copies();
        let mut recorder = device.record("load weights");
        for (part, buffer, at) in parts {
            recorder.copy(&self.buffer, start + part.at, buffer, *at, part.len)?;
        }
        let commands = match copies.commands.take() {
            Some(mut again) => {
                recorder.finish_into(&mut again)?;
                again
            }
            None => recorder.finish()?,
        };
        copies.ticket = Some(device.submit(&commands)?);
        copies.commands = Some(commands);
        Ok(())
    }

    /// Lets go of the buffers that it copied to, once that is done.
    pub(crate) fn clear(&self) -> Result<(), EngineError> {
        match &mut self.copies().commands {
            Some(commands) => Ok(commands.clear()?),
            None => Ok(()),
        }
    }
}
