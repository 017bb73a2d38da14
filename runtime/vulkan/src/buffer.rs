//! Buffers: each a device allocation of its own, with a name.

use std::mem::ManuallyDrop;
use std::ops::Range;
use std::sync::Arc;

use ash::vk;
use gpu_allocator::vulkan::{Allocation, AllocationCreateDesc, AllocationScheme};
use gpu_allocator::{AllocationError, MemoryLocation};

use crate::access::{Access, Busy, Held, Timeline};
use crate::decide::{Location, MemoryChoice, atom_range, memory_type};
use crate::device::{Device, DeviceShared};
use crate::error::Error;
use crate::import::Imported;
use crate::lock;
use crate::shim::AllocationId;

/// Names one buffer of a device; numbers are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BufferId(pub u64);

/// A range of device memory. Recorded commands keep what they use alive, so it may be dropped any time. A clone is the same
/// buffer; its memory is freed with the last of them.
#[derive(Clone)]
pub struct Buffer {
    pub(crate) shared: Arc<BufferShared>,
}

pub(crate) struct BufferShared {
    pub(crate) device: Arc<DeviceShared>,
    pub(crate) raw: vk::Buffer,
    /// Taken by drop only.
    memory: ManuallyDrop<Memory>,
    allocation_id: Option<AllocationId>,
    choice: MemoryChoice,
    pub(crate) size: u64,
    pub(crate) name: String,
    pub(crate) id: BufferId,
    pub(crate) access: Access,
    #[cfg(feature = "controls")]
    leaked: std::sync::atomic::AtomicBool,
}

/// What a buffer lies in.
pub(crate) enum Memory {
    /// An allocation of its own.
    Own(Allocation),
    /// A mapping of a file.
    Imported(Imported),
}

impl Device {
    /// Makes a buffer of `size` bytes with a device allocation of its own.
    ///
    /// # Errors
    /// [`Error::ExceedsLimit`] by the limit's name, [`Error::OutOfDeviceMemory`], [`Error::NoMemoryType`],
    /// [`Error::InvalidRange`] for 0 bytes, or a failed call.
    pub fn create_buffer(&self, name: &str, size: u64, location: Location) -> Result<Buffer, Error> {
        check_size(&self.shared, name, size)?;
        let usage = vk::BufferUsageFlags::STORAGE_BUFFER
            | vk::BufferUsageFlags::UNIFORM_BUFFER
            | vk::BufferUsageFlags::TRANSFER_SRC
            | vk::BufferUsageFlags::TRANSFER_DST;
        let raw = create_raw(&self.shared, name, size, usage, None)?;
        let made = allocate(&self.shared, name, raw, location);
        let (allocation, choice) = made.inspect_err(|_| {
            // SAFETY: just made, never used (VUID-vkDestroyBuffer-buffer-00922).
            unsafe { self.shared.raw.destroy_buffer(raw, None) };
        })?;
        Ok(Buffer::of(self, name, raw, size, (Memory::Own(allocation), choice)))
    }
}

impl Buffer {
    /// Of a handle that is bound to its memory.
    pub(crate) fn of(
        device: &Device,
        name: &str,
        raw: vk::Buffer,
        size: u64,
        (memory, choice): (Memory, MemoryChoice),
    ) -> Self {
        let device = Arc::clone(&device.shared);
        let allocation_id = match &memory {
            // SAFETY: the handle is only looked up in the allocation log.
            Memory::Own(own) => device.allocations.id(unsafe { own.memory() }),
            Memory::Imported(_) => None,
        };
        let id = BufferId(device.add_object("buffer", name));
        let shared = BufferShared {
            device,
            raw,
            memory: ManuallyDrop::new(memory),
            allocation_id,
            choice,
            size,
            name: name.to_owned(),
            id,
            access: Access::default(),
            #[cfg(feature = "controls")]
            leaked: std::sync::atomic::AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.shared.size
    }

    /// The buffer's number.
    #[must_use]
    pub fn id(&self) -> BufferId {
        self.shared.id
    }

    /// The buffer's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Whether the buffer was made from this device or a clone of it.
    #[must_use]
    pub fn is_of(&self, device: &Device) -> bool {
        Arc::ptr_eq(&self.shared.device, &device.shared)
    }

    /// Whether its bytes are a file's ([`Device::import`]): they may only be read.
    #[must_use]
    pub fn is_imported(&self) -> bool {
        self.shared.is_imported()
    }

    /// The device allocation behind the buffer, as the allocation events name it; none where it is a file's bytes.
    #[must_use]
    pub fn allocation(&self) -> Option<AllocationId> {
        self.shared.allocation_id
    }

    /// The memory the buffer lies in.
    #[must_use]
    pub fn memory(&self) -> MemoryChoice {
        self.shared.choice
    }

    /// Forgets the buffer's handle, so that it outlives its device. Its memory is freed.
    #[cfg(feature = "controls")]
    pub fn leak(self) {
        self.shared.leaked.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// The buffer as the host sees it; `None` where it does not.
    #[must_use]
    pub fn mapped(&self) -> Option<Mapped<'_>> {
        self.shared.choice.mapped.then_some(Mapped { buffer: &self.shared, busy: Busy::Refuse })
    }
}

/// A buffer as the host sees it. Every access is checked against the buffer's size and against submissions in progress:
/// bytes that none of them uses may be worked on while they run.
#[derive(Clone, Copy)]
pub struct Mapped<'a> {
    buffer: &'a BufferShared,
    busy: Busy,
}

impl Mapped<'_> {
    /// Copies `bytes` into the buffer at `offset`. The next submission sees them.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`], [`Error::BufferInUse`], or a failed flush.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.write_with(offset, bytes.len() as u64, |target| target.copy_from_slice(bytes))
    }

    /// Has `fill` write the `len` bytes at `offset` in place, for instance straight from a file. What it finds there is
    /// unspecified. It must not touch these bytes in any other way, or it waits for itself.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`], [`Error::BufferInUse`], or a failed flush.
    pub fn write_with<R>(
        &self,
        offset: u64,
        len: u64,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, Error> {
        let (start, count, _access) = self.access(offset, len)?;
        // SAFETY: `access` checked that the range lies in the mapping and that no submission uses it, and holds off
        // submissions and other host accesses that do while `_access` lives.
        let target = unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), count) };
        let result = fill(target);
        self.buffer.flush(offset, len)?;
        Ok(result)
    }

    /// Copies the bytes at `offset` into `bytes`, as the last completed submission left them.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`], [`Error::BufferInUse`], or a failed invalidation.
    pub fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Error> {
        self.read_with(offset, bytes.len() as u64, |source| bytes.copy_from_slice(source))
    }

    /// Shows `look` the `len` bytes at `offset` in place, as the last completed submission left them. It must not touch
    /// them in any other way, or it waits for itself.
    ///
    /// # Errors
    /// As [`Mapped::read`].
    pub fn read_with<R>(&self, offset: u64, len: u64, look: impl FnOnce(&[u8]) -> R) -> Result<R, Error> {
        let (start, count, _access) = self.access(offset, len)?;
        self.buffer.invalidate(offset, len)?;
        // SAFETY: as in `write_with`.
        Ok(look(unsafe { std::slice::from_raw_parts(start.as_ptr(), count) }))
    }

    /// The same, but where a submission uses the bytes each access waits for it instead of failing. Submissions that come
    /// meanwhile wait for the access.
    #[must_use]
    pub fn waiting(self) -> Self {
        Self { busy: Busy::Wait, ..self }
    }

    /// The address and length of a range, with what keeps submissions away from it.
    fn access(&self, offset: u64, len: u64) -> Result<(std::ptr::NonNull<u8>, usize, Held<'_>), Error> {
        let buffer = self.buffer;
        buffer.check(offset, len)?;
        let held = buffer.access.take(buffer.touched(offset, len), self.busy, &*buffer.device)?;
        let held = held.ok_or_else(|| Error::BufferInUse { name: buffer.name.clone() })?;
        let not_mapped = || Error::NotMapped { name: buffer.name.clone() };
        let base = buffer.address().ok_or_else(not_mapped)?;
        let (Ok(offset), Ok(count)) = (usize::try_from(offset), usize::try_from(len)) else {
            return Err(not_mapped());
        };
        // SAFETY: offset + len ≤ size ≤ the mapping's size, so the address stays in the mapping.
        Ok((unsafe { base.add(offset) }, count, held))
    }
}

impl Timeline for DeviceShared {
    fn is_done(&self, number: u64) -> Result<bool, Error> {
        self.has_completed(number)
    }

    fn wait(&self, number: u64) -> Result<bool, Error> {
        self.wait_for(number, u64::MAX)
    }
}

impl BufferShared {
    /// Checks that `offset..offset + len` lies in the buffer.
    pub(crate) fn check(&self, offset: u64, len: u64) -> Result<(), Error> {
        match offset.checked_add(len) {
            Some(end) if end <= self.size => Ok(()),
            _ => Err(Error::OutOfBounds { name: self.name.clone(), offset, len, size: self.size }),
        }
    }

    pub(crate) fn is_imported(&self) -> bool {
        matches!(&*self.memory, Memory::Imported(_))
    }

    pub(crate) fn is_mapped(&self) -> bool {
        self.choice.mapped
    }

    /// What an access of the host to some bytes touches: where memory is not coherent, whole atoms are flushed, and what a
    /// submission writes beside the bytes would be lost.
    fn touched(&self, offset: u64, len: u64) -> Range<u64> {
        if self.choice.coherent {
            return offset..offset + len;
        }
        // An allocation of the buffer's own begins with an atom.
        let (start, len) = atom_range(offset, len, self.device.info.limits.non_coherent_atom_size, u64::MAX);
        start..start.saturating_add(len)
    }

    fn is_leaked(&self) -> bool {
        #[cfg(feature = "controls")]
        return self.leaked.load(std::sync::atomic::Ordering::Relaxed);
        #[cfg(not(feature = "controls"))]
        return false;
    }

    /// Where the host sees the buffer.
    pub(crate) fn address(&self) -> Option<std::ptr::NonNull<u8>> {
        Some(self.own()?.mapped_ptr().filter(|_| self.choice.mapped)?.cast())
    }

    /// The allocation made for the buffer.
    fn own(&self) -> Option<&Allocation> {
        match &*self.memory {
            Memory::Own(allocation) => Some(allocation),
            Memory::Imported(_) => None,
        }
    }

    /// Lets the host see what the device has written so far.
    pub(crate) fn invalidate_all(&self) -> Result<(), Error> {
        self.invalidate(0, self.size)
    }

    pub(crate) fn flush(&self, offset: u64, len: u64) -> Result<(), Error> {
        let Some(range) = self.incoherent_range(offset, len) else { return Ok(()) };
        // SAFETY: the memory is mapped whole, and the range is of whole atoms or ends with the allocation
        // (VUID-VkMappedMemoryRange-memory-00684, -size-00685, -offset-00687, -size-01390).
        unsafe { self.device.raw.flush_mapped_memory_ranges(&[range]) }
            .map_err(|e| Error::call("vkFlushMappedMemoryRanges", e))
    }

    fn invalidate(&self, offset: u64, len: u64) -> Result<(), Error> {
        let Some(range) = self.incoherent_range(offset, len) else { return Ok(()) };
        // SAFETY: as in `flush`.
        unsafe { self.device.raw.invalidate_mapped_memory_ranges(&[range]) }
            .map_err(|e| Error::call("vkInvalidateMappedMemoryRanges", e))
    }

    /// The range to flush or invalidate, or `None` where there is nothing to do.
    fn incoherent_range(&self, offset: u64, len: u64) -> Option<vk::MappedMemoryRange<'_>> {
        if self.choice.coherent || len == 0 {
            return None;
        }
        let atom = self.device.info.limits.non_coherent_atom_size;
        let own = self.own()?;
        let begin = own.offset() + offset;
        let end = own.offset() + own.size();
        let (offset, size) = atom_range(begin, len, atom, end);
        // SAFETY: the handle is only put into the range; the allocation outlives it.
        let memory = unsafe { own.memory() };
        Some(vk::MappedMemoryRange::default().memory(memory).offset(offset).size(size))
    }
}

impl Drop for BufferShared {
    fn drop(&mut self) {
        if !self.is_leaked() {
            // SAFETY: recorded commands hold an Arc of this value and wait for their submissions before they let go, so
            // no submission uses the buffer (VUID-vkDestroyBuffer-buffer-00922).
            unsafe { self.device.raw.destroy_buffer(self.raw, None) };
            self.device.remove_object(self.id.0);
        }
        // SAFETY: taken here only, and not used afterwards.
        let memory = unsafe { ManuallyDrop::take(&mut self.memory) };
        match memory {
            Memory::Own(allocation) => {
                if let Some(allocator) = lock(&self.device.allocator).as_mut() {
                    // Fails only for an allocation that is not this allocator's.
                    let _ = allocator.free(allocation);
                }
            }
            Memory::Imported(imported) => imported.free(&self.device),
        }
    }
}

/// Checks a buffer's size against the device's limits.
pub(crate) fn check_size(device: &DeviceShared, name: &str, size: u64) -> Result<(), Error> {
    if size == 0 {
        return Err(Error::InvalidRange { name: name.to_owned(), why: "a buffer of 0 bytes" });
    }
    let limits = &device.info.limits;
    let exceeds = |limit, value, max| Error::ExceedsLimit { name: name.to_owned(), limit, value, max };
    if let Some(max) = limits.max_buffer_size.filter(|&max| size > max) {
        return Err(exceeds("maxBufferSize", size, max));
    }
    // Software drivers announce this limit and then allocate more: it is kept here.
    if size > limits.max_memory_allocation_size {
        return Err(exceeds("maxMemoryAllocationSize", size, limits.max_memory_allocation_size));
    }
    let counts = device.allocations.counts();
    let (live, max) = (counts.allocations - counts.frees, u64::from(limits.max_memory_allocation_count));
    if live >= max {
        return Err(exceeds("maxMemoryAllocationCount", live + 1, max));
    }
    Ok(())
}

pub(crate) fn create_raw(
    device: &DeviceShared,
    name: &str,
    size: u64,
    usage: vk::BufferUsageFlags,
    external: Option<&mut vk::ExternalMemoryBufferCreateInfo<'_>>,
) -> Result<vk::Buffer, Error> {
    let mut info =
        vk::BufferCreateInfo::default().size(size).usage(usage).sharing_mode(vk::SharingMode::EXCLUSIVE);
    if let Some(external) = external {
        info = info.push_next(external);
    }
    // SAFETY: the size is above 0 and within maxBufferSize (VUID-VkBufferCreateInfo-size-00912, -size-06409).
    let raw = unsafe { device.raw.create_buffer(&info, None) }.map_err(|e| match e {
        vk::Result::ERROR_OUT_OF_DEVICE_MEMORY => out_of_memory(device, name, size, None),
        e => Error::call("vkCreateBuffer", e),
    })?;
    device.set_name(raw, name);
    Ok(raw)
}

/// Allocates memory for `raw` and binds it.
fn allocate(
    device: &DeviceShared,
    name: &str,
    raw: vk::Buffer,
    location: Location,
) -> Result<(Allocation, MemoryChoice), Error> {
    // SAFETY: the buffer is alive and of this device (VUID-vkGetBufferMemoryRequirements-buffer-parent).
    let mut requirements = unsafe { device.raw.get_buffer_memory_requirements(raw) };
    let choice = memory_type(&device.info, location, requirements.memory_type_bits)
        .ok_or_else(|| Error::NoMemoryType { name: name.to_owned() })?;
    // The decision is ours: the allocator is left one type to choose from.
    requirements.memory_type_bits = 1 << choice.index;
    let bytes = requirements.size;
    // Software drivers promise more than their heap holds, and fail at the first touch: the heap's size is kept here.
    let heap = device.info.heaps.get(choice.heap).map_or(0, |h| h.size);
    if device.own_usage(choice.heap).saturating_add(bytes) > heap {
        return Err(out_of_memory(device, name, bytes, Some(choice.heap)));
    }
    let mut guard = lock(&device.allocator);
    let allocator = guard.as_mut().ok_or(Error::DeviceLost)?;
    let _ = device.allocations.take_failure(); // of a library's own attempt, long over
    let allocation = allocator
        .allocate(&AllocationCreateDesc {
            name,
            requirements,
            location: MemoryLocation::Unknown,
            linear: true,
            allocation_scheme: AllocationScheme::DedicatedBuffer(raw),
        })
        .map_err(|e| failed(device, name, bytes, choice, &e))?;
    // SAFETY: the memory was allocated for this buffer, which is not bound yet
    // (VUID-vkBindBufferMemory-buffer-07459, -memory-01508).
    let bound = unsafe { device.raw.bind_buffer_memory(raw, allocation.memory(), allocation.offset()) };
    match bound {
        Ok(()) => Ok((allocation, choice)),
        Err(e) => {
            let _ = allocator.free(allocation);
            Err(Error::call("vkBindBufferMemory", e))
        }
    }
}

/// Why an allocation failed: the shim has seen Vulkan's own result.
fn failed(
    device: &DeviceShared,
    name: &str,
    bytes: u64,
    choice: MemoryChoice,
    error: &AllocationError,
) -> Error {
    match (device.allocations.take_failure(), error) {
        (Some(vk::Result::ERROR_OUT_OF_HOST_MEMORY), _) => Error::OutOfHostMemory { name: name.to_owned() },
        (Some(vk::Result::ERROR_OUT_OF_DEVICE_MEMORY), _) | (None, AllocationError::OutOfMemory) => {
            out_of_memory(device, name, bytes, Some(choice.heap))
        }
        (Some(result), _) => Error::call("vkAllocateMemory", result),
        (None, error) => Error::Vulkan { call: "allocating", result: error.to_string() },
    }
}

fn out_of_memory(device: &DeviceShared, name: &str, bytes: u64, heap: Option<usize>) -> Error {
    let samples = device.heap_budget();
    let sample = match heap {
        Some(heap) => samples.get(heap).copied(),
        None => samples.iter().max_by_key(|s| s.size).copied(),
    };
    Error::OutOfDeviceMemory {
        name: name.to_owned(),
        bytes,
        available: sample.map(|s| s.available()),
        heap: sample.map_or(0, |s| s.size),
    }
}
