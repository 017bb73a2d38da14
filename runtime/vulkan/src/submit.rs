//! Submissions: one after another on the device's one queue, counted by a timeline semaphore.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ash::vk;

use crate::commands::Commands;
use crate::device::{Device, DeviceShared};
use crate::error::Error;
use crate::lock;

/// The queue and the number of its last submission.
pub(crate) struct Queue {
    raw: vk::Queue,
    last: u64,
}

impl Queue {
    pub(crate) fn new(raw: vk::Queue) -> Queue {
        Queue { raw, last: 0 }
    }
}

/// Submissions in progress at once; one more waits for the oldest. Drivers keep a record of each.
const MAX_IN_FLIGHT: u64 = 1024;

/// One submission of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    device: u64,
    number: u64,
}

impl Ticket {
    /// The submission's number, counted from 1 on its device.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl Device {
    /// Submits commands. Submissions run one after another: each sees all that those before it wrote, and all that the
    /// host wrote before the call. With 1,024 of them in progress it waits for the oldest.
    ///
    /// # Errors
    /// [`Error::ForeignObject`], [`Error::InvalidRange`] for commands whose recording failed, [`Error::DeviceLost`], or
    /// a failed call; then nothing was submitted.
    pub fn submit(&self, commands: &Commands) -> Result<Ticket, Error> {
        let device = &self.shared;
        if !Arc::ptr_eq(device, &commands.device) {
            return Err(Error::ForeignObject { name: commands.name().to_owned() });
        }
        if !commands.is_recorded() {
            let why = "commands that could not be recorded";
            return Err(Error::InvalidRange { name: commands.name().to_owned(), why });
        }
        let mut queue = lock(&device.queue);
        let number = queue.last + 1;
        device.wait_for(number.saturating_sub(MAX_IN_FLIGHT), u64::MAX)?;
        // From here on the host keeps away from what they use; where it is busy with some of it, this waits.
        commands.hold(number);
        match device.submit_raw(&queue, commands.raw, number) {
            Ok(()) => {
                queue.last = number;
                commands.submitted(number);
                Ok(Ticket { device: device.serial, number })
            }
            Err(e) => {
                // Nothing will reach this number; the one before is no earlier than the last use of query pools.
                commands.withdraw(number, queue.last);
                Err(Error::call("vkQueueSubmit", e))
            }
        }
    }

    /// Waits until a submission is done, at most `timeout`; says whether it is.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::ForeignObject`], or a failed call.
    pub fn wait(&self, ticket: &Ticket, timeout: Duration) -> Result<bool, Error> {
        self.check(ticket)?;
        let timeout = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        self.shared.wait_for(ticket.number, timeout)
    }

    /// Whether a submission is done.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::ForeignObject`], or a failed call.
    pub fn is_complete(&self, ticket: &Ticket) -> Result<bool, Error> {
        self.check(ticket)?;
        self.shared.has_completed(ticket.number)
    }

    /// A number means nothing on another device: waiting for it might never end.
    fn check(&self, ticket: &Ticket) -> Result<(), Error> {
        if ticket.device == self.shared.serial {
            Ok(())
        } else {
            Err(Error::ForeignObject { name: format!("submission {}", ticket.number) })
        }
    }
}

impl DeviceShared {
    fn submit_raw(&self, queue: &Queue, commands: vk::CommandBuffer, number: u64) -> Result<(), vk::Result> {
        let commands = [commands];
        let timeline = [self.timeline];
        let (wait, signal) = ([queue.last], [number]);
        // The semaphore's wait orders memory between submissions, which their order in the queue alone does not.
        let waits = usize::from(queue.last > 0);
        let stages = [vk::PipelineStageFlags::COMPUTE_SHADER | vk::PipelineStageFlags::TRANSFER];
        let mut values = vk::TimelineSemaphoreSubmitInfo::default()
            .wait_semaphore_values(&wait[..waits])
            .signal_semaphore_values(&signal);
        let info = vk::SubmitInfo::default()
            .wait_semaphores(&timeline[..waits])
            .wait_dst_stage_mask(&stages[..waits])
            .command_buffers(&commands)
            .signal_semaphores(&timeline)
            .push_next(&mut values);
        // SAFETY: the queue's lock is held by the caller; the commands are recorded, for use by several submissions at
        // once, and kept alive until this one is done; the semaphore's value rises
        // (VUID-vkQueueSubmit-pCommandBuffers-00070, -00071, VUID-VkSubmitInfo-pSignalSemaphores-03242).
        unsafe { self.raw.queue_submit(queue.raw, &[info], vk::Fence::null()) }
    }

    /// Whether submission `number` is done.
    pub(crate) fn has_completed(&self, number: u64) -> Result<bool, Error> {
        if number <= self.completed.load(Ordering::Acquire) {
            return Ok(true);
        }
        // SAFETY: a timeline semaphore of this device (VUID-vkGetSemaphoreCounterValue-semaphore-03255).
        let value = unsafe { self.raw.get_semaphore_counter_value(self.timeline) }
            .map_err(|e| Error::call("vkGetSemaphoreCounterValue", e))?;
        self.completed.fetch_max(value, Ordering::AcqRel);
        Ok(number <= value)
    }

    /// Waits at most `timeout` nanoseconds for submission `number`; says whether it is done.
    pub(crate) fn wait_for(&self, number: u64, timeout: u64) -> Result<bool, Error> {
        if number <= self.completed.load(Ordering::Acquire) {
            return Ok(true);
        }
        let (semaphores, values) = ([self.timeline], [number]);
        let info = vk::SemaphoreWaitInfo::default().semaphores(&semaphores).values(&values);
        // SAFETY: a timeline semaphore of this device (VUID-VkSemaphoreWaitInfo-pSemaphores-03256).
        match unsafe { self.raw.wait_semaphores(&info, timeout) } {
            Ok(()) => {
                self.completed.fetch_max(number, Ordering::AcqRel);
                Ok(true)
            }
            Err(vk::Result::TIMEOUT) => Ok(false),
            Err(e) => Err(Error::call("vkWaitSemaphores", e)),
        }
    }
}
