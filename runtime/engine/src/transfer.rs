//! Bytes between host and device: in place where device memory is mapped, else through a staging buffer.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bayplan_vulkan::{Buffer, Commands, Device, Location, Ticket};

use crate::error::EngineError;

/// Bytes moved at once: large enough that the cost of a submission does not show, small beside any model.
pub(crate) const CHUNK: u64 = 8 << 20;

/// Moves bytes to and from a device's buffers, from any thread. Everything it allocates, it allocates when it is made.
pub(crate) struct Transfer {
    device: Device,
    staging: Option<Staging>,
    /// The commands of the last copy, recorded again for the next one; and who copies now.
    copy: Mutex<Option<Commands>>,
}

struct Staging {
    upload: Buffer,
    readback: Buffer,
}

impl Transfer {
    /// For buffers of which the largest transfer has `largest` bytes; `mapped` if all of them are.
    pub(crate) fn new(device: &Device, mapped: bool, largest: u64) -> Result<Self, EngineError> {
        let size = largest.clamp(16, CHUNK);
        let staging = if mapped {
            None
        } else {
            Some(Staging {
                upload: device.create_buffer("staging upload", size, Location::Upload)?,
                readback: device.create_buffer("staging readback", size, Location::Readback)?,
            })
        };
        Ok(Self { device: device.clone(), staging, copy: Mutex::new(None) })
    }

    /// Writes bytes to a buffer, when no submission uses it any more.
    pub(crate) fn write(&self, buffer: &Buffer, offset: u64, bytes: &[u8]) -> Result<(), EngineError> {
        if let Some(mapped) = buffer.mapped() {
            return Ok(mapped.waiting().write(offset, bytes)?);
        }
        let Some(staging) = &self.staging else {
            return Err(bayplan_vulkan::Error::NotMapped { name: buffer.name().into() }.into());
        };
        let mut copy = self.lock();
        for (index, chunk) in bytes.chunks(staging.upload.size() as usize).enumerate() {
            let at = offset + index as u64 * staging.upload.size();
            if let Some(mapped) = staging.upload.mapped() {
                mapped.write(0, chunk)?;
            }
            self.run(&mut copy, (&staging.upload, 0), (buffer, at), chunk.len() as u64)?;
        }
        Ok(())
    }

    /// Reads bytes from a buffer, when no submission uses it any more.
    pub(crate) fn read(&self, buffer: &Buffer, offset: u64, bytes: &mut [u8]) -> Result<(), EngineError> {
        if let Some(mapped) = buffer.mapped() {
            return Ok(mapped.waiting().read(offset, bytes)?);
        }
        let Some(staging) = &self.staging else {
            return Err(bayplan_vulkan::Error::NotMapped { name: buffer.name().into() }.into());
        };
        let mut copy = self.lock();
        for (index, chunk) in bytes.chunks_mut(staging.readback.size() as usize).enumerate() {
            let at = offset + index as u64 * staging.readback.size();
            self.run(&mut copy, (buffer, at), (&staging.readback, 0), chunk.len() as u64)?;
            if let Some(mapped) = staging.readback.mapped() {
                mapped.read(0, chunk)?;
            }
        }
        Ok(())
    }

    /// Copies bytes from one buffer to another on the device.
    pub(crate) fn copy(&self, from: (&Buffer, u64), to: (&Buffer, u64), len: u64) -> Result<(), EngineError> {
        self.run(&mut self.lock(), from, to, len)
    }

    fn run(
        &self,
        commands: &mut Option<Commands>,
        from: (&Buffer, u64),
        to: (&Buffer, u64),
        len: u64,
    ) -> Result<(), EngineError> {
        let mut recorder = self.device.record("transfer");
        recorder.copy(from.0, from.1, to.0, to.1, len)?;
        let recorded = match commands.take() {
            Some(mut again) => {
                recorder.finish_into(&mut again)?;
                again
            }
            None => recorder.finish()?,
        };
        let commands = commands.insert(recorded);
        finish(&self.device, commands)?;
        // Nobody's buffer lives longer because it was copied once.
        Ok(commands.clear()?)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Commands>> {
        // Commands are recorded anew before each use.
        self.copy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The staging buffers.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = &Buffer> {
        self.staging.iter().flat_map(|staging| [&staging.upload, &staging.readback])
    }
}

/// Submits commands and waits until they are done.
pub(crate) fn finish(device: &Device, commands: &Commands) -> Result<(), EngineError> {
    let ticket = device.submit(commands)?;
    wait(device, &ticket)
}

/// Waits for a submission, however long it takes.
pub(crate) fn wait(device: &Device, ticket: &Ticket) -> Result<(), EngineError> {
    // Drivers wait for a bounded time more reliably than for ever.
    const PART: Duration = Duration::from_secs(3600);
    while !device.wait(ticket, PART)? {}
    Ok(())
}
