//! Commands as they are described, before Vulkan sees any of them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::barrier::Barrier;
use crate::buffer::{Buffer, BufferShared};
use crate::commands::{BoundWindow, Commands};
use crate::device::{Device, DeviceShared};
use crate::error::Error;
use crate::info::Limits;
use crate::pipeline::{BindingKind, Pipeline, PipelineShared};
use crate::queries::{QueryPool, QueryPoolShared};

/// A range of a buffer, as a binding of a dispatch sees it.
#[derive(Clone, Copy)]
pub struct Window<'a> {
    /// The buffer.
    pub buffer: &'a Buffer,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
}

/// Describes commands one after another, each checked as it comes; [`Recorder::finish`] records them.
pub struct Recorder {
    pub(crate) recording: Recording,
}

/// What was described so far. Objects are named by their place in the lists, so that each is kept alive once.
pub(crate) struct Recording {
    pub(crate) device: Arc<DeviceShared>,
    pub(crate) name: String,
    pub(crate) ops: Vec<Op>,
    pub(crate) windows: Vec<BoundWindow>,
    pub(crate) buffers: Objects<BufferShared>,
    pub(crate) pipelines: Objects<PipelineShared>,
    pub(crate) pools: Objects<QueryPoolShared>,
    pub(crate) push: Vec<u8>,
    dispatches: u32,
}

pub(crate) enum Op {
    Dispatch { pipeline: usize, windows: Range<usize>, push: Range<usize>, groups: [u32; 3] },
    Barrier(Barrier),
    Copy { src: usize, src_offset: u64, dst: usize, dst_offset: u64, len: u64 },
    Fill { buffer: usize, offset: u64, len: u64, value: u32 },
    Timestamp { pool: usize, index: u32 },
    Reset { pool: usize, first: u32, count: u32 },
}

/// Objects in the order of their first use, each once.
pub(crate) struct Objects<T> {
    list: Vec<Arc<T>>,
    places: BTreeMap<u64, usize>,
}

impl<T> Objects<T> {
    fn new() -> Objects<T> {
        Objects { list: Vec::new(), places: BTreeMap::new() }
    }

    fn place(&mut self, id: u64, object: &Arc<T>) -> usize {
        *self.places.entry(id).or_insert_with(|| {
            self.list.push(Arc::clone(object));
            self.list.len() - 1
        })
    }

    pub(crate) fn list(&self) -> &[Arc<T>] {
        &self.list
    }

    pub(crate) fn of(&self, id: u64) -> Option<&Arc<T>> {
        self.places.get(&id).map(|&place| &self.list[place])
    }
}

impl Device {
    /// Begins to describe commands.
    #[must_use]
    pub fn record(&self, name: &str) -> Recorder {
        Recorder {
            recording: Recording {
                device: Arc::clone(&self.shared),
                name: name.to_owned(),
                ops: Vec::new(),
                windows: Vec::new(),
                buffers: Objects::new(),
                pipelines: Objects::new(),
                pools: Objects::new(),
                push: Vec::new(),
                dispatches: 0,
            },
        }
    }
}

impl Recorder {
    /// Runs `groups` workgroups of `pipeline`, with window `i` at binding `i`. No groups in a direction run nothing. What the
    /// pipeline writes must lie in no imported buffer ([`Device::import`]).
    ///
    /// # Errors
    /// [`Error::Bindings`], [`Error::OutOfBounds`], [`Error::Misaligned`], [`Error::InvalidRange`],
    /// [`Error::ExceedsLimit`] or [`Error::ForeignObject`]; then nothing was added.
    pub fn dispatch(
        &mut self,
        pipeline: &Pipeline,
        windows: &[Window<'_>],
        groups: [u32; 3],
    ) -> Result<(), Error> {
        self.dispatch_with(pipeline, windows, &[], groups)
    }

    /// As [`Recorder::dispatch`], with push constants.
    ///
    /// # Errors
    /// As [`Recorder::dispatch`].
    pub fn dispatch_with(
        &mut self,
        pipeline: &Pipeline,
        windows: &[Window<'_>],
        push: &[u8],
        groups: [u32; 3],
    ) -> Result<(), Error> {
        let pipeline = &pipeline.shared;
        self.same_device(&pipeline.device, &pipeline.name)?;
        let counts = [
            ("windows", pipeline.bindings.len(), windows.len()),
            ("bytes of push constants", pipeline.push_constants as usize, push.len()),
        ];
        for (what, expected, given) in counts {
            if expected != given {
                return Err(Error::Bindings { pipeline: pipeline.name.clone(), what, expected, given });
            }
        }
        let limits = &self.recording.device.info.limits;
        for (kind, window) in pipeline.bindings.iter().zip(windows) {
            let buffer = &window.buffer.shared;
            self.same_device(&buffer.device, &buffer.name)?;
            buffer.check(window.offset, window.len)?;
            check_window(limits, &buffer.name, *kind, window.offset, window.len)?;
        }
        for (count, max) in groups.into_iter().zip(limits.max_compute_workgroup_count) {
            if count > max {
                let (value, max) = (count.into(), max.into());
                let name = pipeline.name.clone();
                return Err(Error::ExceedsLimit { name, limit: "maxComputeWorkGroupCount", value, max });
            }
        }
        self.recording.add_dispatch(pipeline, windows, push, groups);
        Ok(())
    }

    /// As [`Recorder::dispatch`], but windows are not checked against their buffers.
    #[cfg(feature = "controls")]
    pub(crate) fn dispatch_unchecked(
        &mut self,
        pipeline: &Pipeline,
        windows: &[Window<'_>],
        groups: [u32; 3],
    ) {
        self.recording.add_dispatch(&pipeline.shared, windows, &[], groups);
    }

    /// Makes what follows wait for what came before.
    pub fn barrier(&mut self, barrier: Barrier) {
        self.recording.ops.push(Op::Barrier(barrier));
    }

    /// Copies `len` bytes from one buffer to another, or inside one where the ranges do not overlap.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`], [`Error::InvalidRange`] or [`Error::ForeignObject`]; then nothing was added.
    pub fn copy(
        &mut self,
        src: &Buffer,
        src_offset: u64,
        dst: &Buffer,
        dst_offset: u64,
        len: u64,
    ) -> Result<(), Error> {
        for (buffer, offset) in [(&src.shared, src_offset), (&dst.shared, dst_offset)] {
            self.same_device(&buffer.device, &buffer.name)?;
            buffer.check(offset, len)?;
        }
        let invalid = |why| Err(Error::InvalidRange { name: dst.shared.name.clone(), why });
        if dst.is_imported() {
            return invalid(READ_ONLY);
        }
        if len == 0 {
            return invalid("a copy of 0 bytes");
        }
        let overlap = src_offset < dst_offset + len && dst_offset < src_offset + len;
        if src.id() == dst.id() && overlap {
            return invalid("a copy onto itself");
        }
        let r = &mut self.recording;
        let (src, dst) = (r.place_buffer(src), r.place_buffer(dst));
        r.ops.push(Op::Copy { src, src_offset, dst, dst_offset, len });
        Ok(())
    }

    /// Fills `len` bytes with a repeated word; `offset` and `len` are multiples of 4.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`], [`Error::Misaligned`], [`Error::InvalidRange`] or [`Error::ForeignObject`]; then nothing
    /// was added.
    pub fn fill(&mut self, buffer: &Buffer, offset: u64, len: u64, value: u32) -> Result<(), Error> {
        let shared = &buffer.shared;
        self.same_device(&shared.device, &shared.name)?;
        shared.check(offset, len)?;
        for value in [offset, len] {
            if !value.is_multiple_of(4) {
                return Err(Error::Misaligned { name: shared.name.clone(), value, alignment: 4 });
            }
        }
        let invalid = |why| Err(Error::InvalidRange { name: shared.name.clone(), why });
        if len == 0 {
            return invalid("a fill of 0 bytes");
        }
        if shared.is_imported() {
            return invalid(READ_ONLY);
        }
        let buffer = self.recording.place_buffer(buffer);
        self.recording.ops.push(Op::Fill { buffer, offset, len, value });
        Ok(())
    }

    /// Writes the device's time into a query when all commands so far are done. The query must have been reset since it
    /// was last written.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] or [`Error::ForeignObject`]; then nothing was added.
    pub fn timestamp(&mut self, pool: &QueryPool, index: u32) -> Result<(), Error> {
        let pool = self.place_pool(pool, index..index.saturating_add(1))?;
        self.recording.ops.push(Op::Timestamp { pool, index });
        Ok(())
    }

    /// Makes queries empty again, to be written anew.
    ///
    /// # Errors
    /// As [`Recorder::timestamp`].
    pub fn reset_queries(&mut self, pool: &QueryPool, range: Range<u32>) -> Result<(), Error> {
        let (first, count) = (range.start, range.end.saturating_sub(range.start));
        let pool = self.place_pool(pool, range)?;
        if count > 0 {
            self.recording.ops.push(Op::Reset { pool, first, count });
        }
        Ok(())
    }

    /// Writes the descriptor sets and records the commands.
    ///
    /// # Errors
    /// Out of memory, or a failed call.
    pub fn finish(self) -> Result<Commands, Error> {
        Commands::new(self.recording)
    }

    /// Records the commands in place of what `commands` held: its pools are used again, so that nothing is made as long as
    /// they have room. Waits for the last submission of them.
    ///
    /// # Errors
    /// [`Error::ForeignObject`], then `commands` are what they were; out of memory, or a failed call, then they hold
    /// nothing and cannot be submitted until they are recorded again.
    pub fn finish_into(self, commands: &mut Commands) -> Result<(), Error> {
        self.same_device(&commands.device, commands.name())?;
        commands.again(self.recording)
    }

    fn same_device(&self, other: &Arc<DeviceShared>, name: &str) -> Result<(), Error> {
        if Arc::ptr_eq(&self.recording.device, other) {
            Ok(())
        } else {
            Err(Error::ForeignObject { name: name.to_owned() })
        }
    }

    fn place_pool(&mut self, pool: &QueryPool, range: Range<u32>) -> Result<usize, Error> {
        let shared = &pool.shared;
        self.same_device(&shared.device, &shared.name)?;
        shared.check(&range)?;
        Ok(self.recording.pools.place(shared.id, shared))
    }
}

impl Recording {
    /// What the commands use of each buffer, in the order of the list of buffers.
    pub(crate) fn used(&self) -> Vec<Vec<Range<u64>>> {
        let mut used = vec![Vec::new(); self.buffers.list().len()];
        let mut note =
            |buffer: usize, offset: u64, len: u64| used[buffer].push(offset..offset.saturating_add(len));
        for window in &self.windows {
            if let Some(&buffer) = self.buffers.places.get(&window.buffer.0) {
                note(buffer, window.offset, window.len);
            }
        }
        for op in &self.ops {
            match *op {
                Op::Copy { src, src_offset, dst, dst_offset, len } => {
                    note(src, src_offset, len);
                    note(dst, dst_offset, len);
                }
                Op::Fill { buffer, offset, len, .. } => note(buffer, offset, len),
                _ => {}
            }
        }
        used
    }

    fn place_buffer(&mut self, buffer: &Buffer) -> usize {
        self.buffers.place(buffer.shared.id.0, &buffer.shared)
    }

    fn add_dispatch(
        &mut self,
        pipeline: &Arc<PipelineShared>,
        windows: &[Window<'_>],
        push: &[u8],
        groups: [u32; 3],
    ) {
        let dispatch = self.dispatches;
        self.dispatches += 1;
        let (first_window, first_byte) = (self.windows.len(), self.push.len());
        for (binding, window) in (0..).zip(windows) {
            self.place_buffer(window.buffer);
            let (buffer, offset, len) = (window.buffer.id(), window.offset, window.len);
            self.windows.push(BoundWindow { dispatch, binding, buffer, offset, len });
        }
        self.push.extend_from_slice(push);
        self.ops.push(Op::Dispatch {
            pipeline: self.pipelines.place(pipeline.id, pipeline),
            windows: first_window..self.windows.len(),
            push: first_byte..self.push.len(),
            groups,
        });
    }
}

const READ_ONLY: &str = "its bytes are a file's, which are only read";

/// Checks a window against the device's limits. It lies in its buffer.
fn check_window(limits: &Limits, name: &str, kind: BindingKind, offset: u64, len: u64) -> Result<(), Error> {
    let (limit, max, alignment) = match kind {
        BindingKind::Storage => (
            "maxStorageBufferRange",
            limits.max_storage_buffer_range,
            limits.min_storage_buffer_offset_alignment,
        ),
        BindingKind::Uniform => (
            "maxUniformBufferRange",
            limits.max_uniform_buffer_range,
            limits.min_uniform_buffer_offset_alignment,
        ),
    };
    let name = || name.to_owned();
    if len == 0 {
        return Err(Error::InvalidRange { name: name(), why: "a window of 0 bytes" });
    }
    if len > max {
        return Err(Error::ExceedsLimit { name: name(), limit, value: len, max });
    }
    if !offset.is_multiple_of(alignment) {
        return Err(Error::Misaligned { name: name(), value: offset, alignment });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;

    #[test]
    fn windows() {
        use BindingKind::{Storage, Uniform};
        let lavapipe = fake::lavapipe().limits;
        let swiftshader = fake::swiftshader().limits;
        let check = |limits: &Limits, kind, offset, len, expect: &str| {
            let text = check_window(limits, "arena", kind, offset, len).err().map(|e| e.to_string());
            let text = text.unwrap_or_default();
            assert!(if expect.is_empty() { text.is_empty() } else { text.contains(expect) }, "{text}");
        };
        check(&lavapipe, Storage, 0, 4, "");
        check(&lavapipe, Storage, 16, 1 << 27, "");
        check(&lavapipe, Storage, 16, (1 << 27) + 4, "maxStorageBufferRange: 134217732 of at most 134217728");
        check(&lavapipe, Storage, 8, 4, "8 in arena is not a multiple of 16");
        check(&lavapipe, Storage, 0, 0, "0 bytes");
        check(&lavapipe, Uniform, 0, 65_536, "");
        check(&lavapipe, Uniform, 0, 65_540, "maxUniformBufferRange");
        check(&swiftshader, Storage, 16, 4, "multiple of 256");
        check(&swiftshader, Uniform, 128, 4, "multiple of 256");
        check(&swiftshader, Storage, 512, 4, "");
    }
}
