//! Recorded commands, ready to be submitted many times.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ash::vk;

use crate::access::{Ranges, joined};
use crate::barrier::Barrier;
use crate::buffer::{BufferId, BufferShared};
use crate::descriptors::{SetPool, Sets};
use crate::device::DeviceShared;
use crate::error::Error;
use crate::pipeline::PipelineShared;
use crate::queries::QueryPoolShared;
use crate::recorder::{Op, Recording};

/// One descriptor as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BoundWindow {
    /// The dispatch, counted from 0 in the order of recording.
    pub dispatch: u32,
    /// The binding.
    pub binding: u32,
    /// The buffer.
    pub buffer: BufferId,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
}

/// Recorded commands. They keep buffers, pipelines and query pools alive, can be submitted any number of times, and wait
/// for their last submission when they are dropped.
pub struct Commands {
    pub(crate) device: Arc<DeviceShared>,
    pub(crate) raw: vk::CommandBuffer,
    pool: vk::CommandPool,
    descriptors: SetPool,
    name: String,
    id: u64,
    windows: Vec<BoundWindow>,
    /// Mapped buffers with what is used of them: a submission tells them.
    mapped: Vec<(Arc<BufferShared>, Ranges)>,
    /// The last submission; 0 where there was none.
    last_submission: AtomicU64,
    /// Whether there is something to submit.
    recorded: bool,
    buffers: Vec<Arc<BufferShared>>,
    pipelines: Vec<Arc<PipelineShared>>,
    pools: Vec<Arc<QueryPoolShared>>,
}

impl Commands {
    /// Every descriptor that the commands bind, as it was written: dispatches in order, bindings in order.
    #[must_use]
    pub fn windows(&self) -> &[BoundWindow] {
        &self.windows
    }

    /// Lets go of all that the commands use, and keeps the memory they were recorded in for
    /// [`Recorder::finish_into`](crate::Recorder::finish_into); until then they cannot be submitted. Waits for their last
    /// submission.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], or a failed call.
    pub fn clear(&mut self) -> Result<(), Error> {
        self.device.wait_for(*self.last_submission.get_mut(), u64::MAX)?;
        self.recorded = false;
        // SAFETY: no submission of these commands runs, and the pool belongs to them alone
        // (VUID-vkResetCommandPool-commandPool-00040).
        unsafe { self.device.raw.reset_command_pool(self.pool, vk::CommandPoolResetFlags::empty()) }
            .map_err(|e| Error::call("vkResetCommandPool", e))?;
        self.windows.clear();
        self.mapped.clear();
        self.buffers.clear();
        self.pipelines.clear();
        self.pools.clear();
        Ok(())
    }

    /// Whether they were recorded whole: not so after [`Recorder::finish_into`](crate::Recorder::finish_into) failed.
    pub(crate) fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// The commands' name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn new(recording: Recording) -> Result<Commands, Error> {
        let device = Arc::clone(&recording.device);
        let mut commands = Commands {
            id: device.add_object("commands", &recording.name),
            device,
            raw: vk::CommandBuffer::null(),
            pool: vk::CommandPool::null(),
            descriptors: SetPool::default(),
            name: String::new(),
            windows: Vec::new(),
            mapped: Vec::new(),
            last_submission: AtomicU64::new(0),
            recorded: false,
            buffers: Vec::new(),
            pipelines: Vec::new(),
            pools: Vec::new(),
        };
        // From here an error drops `commands`, which destroys what was made.
        commands.create_buffer(&recording.name)?;
        commands.take(recording)?;
        Ok(commands)
    }

    /// Records anew, into the pools there are.
    pub(crate) fn again(&mut self, recording: Recording) -> Result<(), Error> {
        self.clear()?;
        self.take(recording)
    }

    /// Writes the sets and encodes the commands. The command buffer is in its initial state.
    fn take(&mut self, recording: Recording) -> Result<(), Error> {
        // What was bound before may go now: nothing refers to it any more.
        self.buffers = recording.buffers.list().to_vec();
        let used = self.buffers.iter().zip(recording.used());
        let mapped = used.filter(|(buffer, _)| buffer.is_mapped());
        self.mapped = mapped.map(|(buffer, ranges)| (Arc::clone(buffer), joined(ranges))).collect();
        self.pipelines = recording.pipelines.list().to_vec();
        self.pools = recording.pools.list().to_vec();
        let sets = Sets::write(&recording, &mut self.descriptors)?;
        self.encode(&recording, &sets)?;
        self.windows = recording.windows;
        self.name = recording.name;
        self.recorded = true;
        Ok(())
    }

    fn create_buffer(&mut self, name: &str) -> Result<(), Error> {
        let raw = &self.device.raw;
        let info = vk::CommandPoolCreateInfo::default().queue_family_index(self.device.family);
        // SAFETY: the device was created with a queue of this family (VUID-vkCreateCommandPool-queueFamilyIndex-01937).
        self.pool = unsafe { raw.create_command_pool(&info, None) }
            .map_err(|e| Error::call("vkCreateCommandPool", e))?;
        let info = vk::CommandBufferAllocateInfo::default()
            .command_pool(self.pool)
            .level(vk::CommandBufferLevel::PRIMARY)
            .command_buffer_count(1);
        // SAFETY: the pool is new and belongs to this thread alone (VUID-VkCommandBufferAllocateInfo-commandPool-parameter).
        let buffers = unsafe { raw.allocate_command_buffers(&info) }
            .map_err(|e| Error::call("vkAllocateCommandBuffers", e))?;
        self.raw = buffers.first().copied().unwrap_or_default();
        self.device.set_name(self.raw, name);
        Ok(())
    }

    fn encode(&self, recording: &Recording, sets: &Sets) -> Result<(), Error> {
        let raw = &self.device.raw;
        // Submissions run one after another, but the next may be submitted while the last still runs.
        let info = vk::CommandBufferBeginInfo::default().flags(vk::CommandBufferUsageFlags::SIMULTANEOUS_USE);
        // SAFETY: the buffer is new and its pool belongs to this thread alone
        // (VUID-vkBeginCommandBuffer-commandBuffer-00049).
        unsafe { raw.begin_command_buffer(self.raw, &info) }
            .map_err(|e| Error::call("vkBeginCommandBuffer", e))?;
        let mut sets = sets.of_dispatch.iter().copied();
        let mut bound = None;
        for op in &recording.ops {
            match op {
                Op::Dispatch { pipeline, windows: _, push, groups } => {
                    let set = sets.next().unwrap_or_default();
                    let shared = &recording.pipelines.list()[*pipeline];
                    let new = bound.replace(*pipeline) != Some(*pipeline);
                    self.dispatch(shared, new, set, &recording.push[push.clone()], *groups);
                }
                Op::Barrier(barrier) => self.barrier(*barrier),
                other => self.transfer(recording, other),
            }
        }
        if !self.mapped.is_empty() {
            self.barrier(Barrier::DeviceToHost);
        }
        // SAFETY: the buffer is in the recording state (VUID-vkEndCommandBuffer-commandBuffer-00059).
        unsafe { raw.end_command_buffer(self.raw) }.map_err(|e| Error::call("vkEndCommandBuffer", e))
    }

    fn dispatch(
        &self,
        pipeline: &PipelineShared,
        new: bool,
        set: vk::DescriptorSet,
        push: &[u8],
        groups: [u32; 3],
    ) {
        let raw = &self.device.raw;
        let point = vk::PipelineBindPoint::COMPUTE;
        let [x, y, z] = groups;
        // SAFETY: the buffer is in the recording state and its family computes; pipeline, set and push constants fit
        // the layout, and the groups the device's limits: all was checked when it was described
        // (VUID-vkCmdBindPipeline-pipelineBindPoint-00777, VUID-vkCmdBindDescriptorSets-pDescriptorSets-00358,
        // VUID-vkCmdPushConstants-offset-01795, VUID-vkCmdDispatch-groupCountX-00386).
        unsafe {
            if new {
                raw.cmd_bind_pipeline(self.raw, point, pipeline.raw);
            }
            if set != vk::DescriptorSet::null() {
                raw.cmd_bind_descriptor_sets(self.raw, point, pipeline.layout, 0, &[set], &[]);
            }
            if !push.is_empty() {
                raw.cmd_push_constants(self.raw, pipeline.layout, vk::ShaderStageFlags::COMPUTE, 0, push);
            }
            raw.cmd_dispatch(self.raw, x, y, z);
        }
    }

    fn barrier(&self, barrier: Barrier) {
        let masks = barrier.masks();
        let memory =
            vk::MemoryBarrier::default().src_access_mask(masks.src_access).dst_access_mask(masks.dst_access);
        // SAFETY: the buffer is in the recording state, outside a render pass, and the accesses are those of the stages
        // (VUID-vkCmdPipelineBarrier-srcAccessMask-02815, -dstAccessMask-02816).
        unsafe {
            self.device.raw.cmd_pipeline_barrier(
                self.raw,
                masks.src_stage,
                masks.dst_stage,
                vk::DependencyFlags::empty(),
                &[memory],
                &[],
                &[],
            );
        }
    }

    /// Encodes what is neither dispatch nor barrier.
    fn transfer(&self, recording: &Recording, op: &Op) {
        let raw = &self.device.raw;
        let buffers = recording.buffers.list();
        let pools = recording.pools.list();
        match *op {
            Op::Dispatch { .. } | Op::Barrier(_) => {}
            Op::Copy { src, src_offset, dst, dst_offset, len } => {
                let region = vk::BufferCopy { src_offset, dst_offset, size: len };
                // SAFETY: both ranges lie in their buffers and do not overlap
                // (VUID-vkCmdCopyBuffer-size-00115, -size-00116, -pRegions-00117).
                unsafe { raw.cmd_copy_buffer(self.raw, buffers[src].raw, buffers[dst].raw, &[region]) };
            }
            Op::Fill { buffer, offset, len, value } => {
                // SAFETY: the range lies in the buffer, in whole words
                // (VUID-vkCmdFillBuffer-dstOffset-00024, -dstOffset-00025, -size-00028).
                unsafe { raw.cmd_fill_buffer(self.raw, buffers[buffer].raw, offset, len, value) };
            }
            Op::Timestamp { pool, index } => {
                let stage = vk::PipelineStageFlags::BOTTOM_OF_PIPE;
                // SAFETY: the query is one of the pool's, and the queue writes timestamps
                // (VUID-vkCmdWriteTimestamp-query-04904, -timestampValidBits-00829).
                unsafe { raw.cmd_write_timestamp(self.raw, stage, pools[pool].raw, index) };
            }
            Op::Reset { pool, first, count } => {
                // SAFETY: the queries are the pool's (VUID-vkCmdResetQueryPool-firstQuery-09436, -09437).
                unsafe { raw.cmd_reset_query_pool(self.raw, pools[pool].raw, first, count) };
            }
        }
    }
}

impl Drop for Commands {
    fn drop(&mut self) {
        // An error means that the device is lost: nothing runs on it any more.
        let _ = self.device.wait_for(*self.last_submission.get_mut(), u64::MAX);
        // SAFETY: no submission of these commands runs; null handles are ignored
        // (VUID-vkDestroyCommandPool-commandPool-00041, VUID-vkDestroyDescriptorPool-descriptorPool-00303).
        unsafe {
            self.device.raw.destroy_command_pool(self.pool, None);
            self.device.raw.destroy_descriptor_pool(self.descriptors.raw, None);
        }
        self.device.remove_object(self.id);
    }
}

impl Commands {
    /// Keeps the host away from what is used of mapped buffers and from query pools until submission `number` is done.
    pub(crate) fn hold(&self, number: u64) {
        let done = self.device.completed.load(Ordering::Acquire);
        for (buffer, ranges) in &self.mapped {
            buffer.access.submit(number, ranges, done);
        }
        for pool in &self.pools {
            pool.use_in(number);
        }
    }

    /// Takes back that submission `number` uses anything; query pools are used by `last` at most.
    pub(crate) fn withdraw(&self, number: u64, last: u64) {
        for (buffer, _) in &self.mapped {
            buffer.access.withdraw(number);
        }
        for pool in &self.pools {
            pool.use_in(last);
        }
    }

    /// Notes that submission `number` uses these commands.
    pub(crate) fn submitted(&self, number: u64) {
        self.last_submission.fetch_max(number, Ordering::AcqRel);
    }
}
