//! Files as device memory: their pages, as the system has mapped them, imported by `VK_EXT_external_memory_host`.
//!
//! ```text
//!   file on disk ── the system's cache of it ── a mapping of the process's ── memory of the device's, and a buffer in it
//!                        read on demand            read only, shared           nothing is copied
//! ```

use std::ffi::c_void;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};

use ash::{ext, vk};
use rustix::fs::fstat;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::buffer::{Buffer, Memory, create_raw};
use crate::decide::{ImportRules, MemoryChoice, NoImport, import_rules, import_type};
use crate::device::{Device, DeviceShared};
use crate::error::Error;
use crate::info::DeviceInfo;

/// What buffers in files are used for: they are read.
pub(crate) const IMPORT_USAGE: vk::BufferUsageFlags = vk::BufferUsageFlags::from_raw(
    vk::BufferUsageFlags::STORAGE_BUFFER.as_raw()
        | vk::BufferUsageFlags::UNIFORM_BUFFER.as_raw()
        | vk::BufferUsageFlags::TRANSFER_SRC.as_raw(),
);

/// As what their memory is imported.
pub(crate) const IMPORT_HANDLE: vk::ExternalMemoryHandleTypeFlags =
    vk::ExternalMemoryHandleTypeFlags::HOST_ALLOCATION_EXT;

/// Whether files can become a device's memory ([`Device::import`]), and by which rules on this system.
///
/// # Errors
/// Why not.
pub fn importable(device: &DeviceInfo) -> Result<ImportRules, NoImport> {
    import_rules(device, page())
}

fn page() -> u64 {
    rustix::param::page_size() as u64
}

impl Device {
    /// Makes a buffer of bytes of a file, without copying them: the device reads the pages that the system has of the file,
    /// which come from the disk when they are first read, and again where the system has dropped them meanwhile. Bytes
    /// beyond the end of the file, up to the end of its last page, are 0.
    ///
    /// The buffer may only be read: the mapping is not writable, and a kernel that writes to it ends the process where the
    /// device is a CPU. Whoever changes the file changes the buffer, and where the file is made shorter meanwhile, reading
    /// what is gone ends the process (SIGBUS).
    ///
    /// # Errors
    /// [`Error::NoImport`] with the reason: the device cannot (as [`importable`] tells before), or will not have this memory,
    /// or the range is not of whole pages or ends beyond the file's last page; [`Error::ExceedsLimit`]; or a failed call.
    pub fn import(&self, name: &str, file: impl AsFd, range: Range<u64>) -> Result<Buffer, Error> {
        // A handle type that such buffers can have: `importable` says so (VUID-VkBufferCreateInfo-pNext-00920).
        self.import_with(name, file.as_fd(), range, IMPORT_HANDLE)
    }

    /// The same for a buffer that is not made for it, against VUID-vkBindBufferMemory-memory-02985.
    ///
    /// # Errors
    /// As [`Device::import`].
    #[cfg(feature = "controls")]
    pub fn import_unannounced(
        &self,
        name: &str,
        file: impl AsFd,
        range: Range<u64>,
    ) -> Result<Buffer, Error> {
        self.import_with(name, file.as_fd(), range, vk::ExternalMemoryHandleTypeFlags::empty())
    }

    fn import_with(
        &self,
        name: &str,
        file: BorrowedFd<'_>,
        range: Range<u64>,
        handles: vk::ExternalMemoryHandleTypeFlags,
    ) -> Result<Buffer, Error> {
        let device = &*self.shared;
        let refused = |why: String| Error::NoImport { name: name.to_owned(), why };
        let rules = importable(&device.info).map_err(|why| refused(why.to_string()))?;
        let len = range.end.saturating_sub(range.start);
        crate::buffer::check_size(device, name, len)?;
        let mapping = Mapping::new(file, &range, &rules).map_err(refused)?;
        let types = host_types(device, name, mapping.start)?;
        let mut external = vk::ExternalMemoryBufferCreateInfo::default().handle_types(handles);
        let raw = create_raw(device, name, len, IMPORT_USAGE, Some(&mut external))?;
        let made = bind(device, name, raw, (mapping, len), types);
        let (memory, choice) = made.inspect_err(|_| {
            // SAFETY: just made, never used (VUID-vkDestroyBuffer-buffer-00922).
            unsafe { device.raw.destroy_buffer(raw, None) };
        })?;
        Ok(Buffer::of(self, name, raw, len, (Memory::Imported(memory), choice)))
    }
}

/// Memory of the device's that is a mapping of a file.
pub(crate) struct Imported {
    memory: vk::DeviceMemory,
    /// Gone after the memory: what is imported must be there as long (`VkImportMemoryHostPointerInfoEXT`).
    _mapping: Mapping,
}

impl Imported {
    /// Frees the memory, and then the mapping.
    pub(crate) fn free(self, device: &DeviceShared) {
        // SAFETY: the buffer in it is destroyed, or in use by nobody (VUID-vkFreeMemory-memory-00677).
        unsafe { device.raw.free_memory(self.memory, None) };
    }
}

/// The memory types that such memory of the host's can be of.
fn host_types(device: &DeviceShared, name: &str, start: *mut c_void) -> Result<u32, Error> {
    let host = ext::external_memory_host::Device::new(&device.instance.raw, &device.raw);
    let mut properties = vk::MemoryHostPointerPropertiesEXT::default();
    // SAFETY: the extension is enabled, since the device has told an alignment, and a mapping begins with a page, a multiple
    // of that (VUID-vkGetMemoryHostPointerPropertiesEXT-pHostPointer-01753); the pointer is not dereferenced by this crate.
    let told = unsafe {
        (host.fp().get_memory_host_pointer_properties_ext)(
            host.device(),
            IMPORT_HANDLE,
            start,
            &raw mut properties,
        )
    };
    match told {
        vk::Result::SUCCESS => Ok(properties.memory_type_bits),
        vk::Result::ERROR_INVALID_EXTERNAL_HANDLE => Err(no_import(name, NOT_TAKEN)),
        e => Err(Error::call("vkGetMemoryHostPointerPropertiesEXT", e)),
    }
}

const NOT_TAKEN: &str = "the driver takes no memory that is a mapping of a file";

fn no_import(name: &str, why: &str) -> Error {
    Error::NoImport { name: name.to_owned(), why: why.to_owned() }
}

/// Imports a mapping of `len` bytes as memory, and binds `raw` to it.
fn bind(
    device: &DeviceShared,
    name: &str,
    raw: vk::Buffer,
    (mapping, len): (Mapping, u64),
    types: u32,
) -> Result<(Imported, MemoryChoice), Error> {
    // SAFETY: the buffer is alive and of this device (VUID-vkGetBufferMemoryRequirements-buffer-parent).
    let needs = unsafe { device.raw.get_buffer_memory_requirements(raw) };
    let choice = import_type(&device.info, needs.memory_type_bits & types)
        .ok_or_else(|| no_import(name, "the device has no type of memory for it that needs no flush"))?;
    if needs.size > len {
        return Err(no_import(name, "the device wants more bytes for it than it has"));
    }
    let mut import =
        vk::ImportMemoryHostPointerInfoEXT::default().handle_type(IMPORT_HANDLE).host_pointer(mapping.start);
    let info = vk::MemoryAllocateInfo::default()
        .allocation_size(len)
        .memory_type_index(choice.index)
        .push_next(&mut import);
    let _ = device.allocations.take_failure(); // of an attempt long over
    // SAFETY: pointer and size are whole pages, so multiples of minImportedHostPointerAlignment, and the mapping has as many
    // bytes and is there as long as the memory, whose type is one that was told for the pointer; nothing is dedicated
    // (VUID-VkImportMemoryHostPointerInfoEXT-handleType-01747, -pHostPointer-01749, -handleType-01750,
    // VUID-VkMemoryAllocateInfo-memoryTypeIndex-01744, -allocationSize-01745, -pNext-02806).
    let memory = unsafe { device.raw.allocate_memory(&info, None) }.map_err(|e| match e {
        vk::Result::ERROR_INVALID_EXTERNAL_HANDLE | vk::Result::ERROR_OUT_OF_DEVICE_MEMORY => {
            no_import(name, NOT_TAKEN)
        }
        e => Error::call("vkAllocateMemory", e),
    })?;
    let imported = Imported { memory, _mapping: mapping };
    // SAFETY: the memory is large enough, of a type that the buffer allows, and both have the same handle type
    // (VUID-vkBindBufferMemory-buffer-07459, -size-01037, -memory-01035, -memory-02985).
    match unsafe { device.raw.bind_buffer_memory(raw, memory, 0) } {
        Ok(()) => Ok((imported, choice)),
        Err(e) => {
            imported.free(device);
            Err(Error::call("vkBindBufferMemory", e))
        }
    }
}

/// Whole pages of a file in the process's memory. Nothing here looks at them: a file may change at any time.
struct Mapping {
    start: *mut c_void,
    len: usize,
}

// SAFETY: an address range that nobody reads or writes through this value; it is unmapped by the last owner, on any thread.
unsafe impl Send for Mapping {}
// SAFETY: as above: there is nothing to do with a shared one.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(file: BorrowedFd<'_>, range: &Range<u64>, rules: &ImportRules) -> Result<Self, String> {
        let page = rules.alignment;
        let (start, len) = (range.start, range.end.saturating_sub(range.start));
        if !start.is_multiple_of(page) || !len.is_multiple_of(page) || len == 0 {
            return Err("it is no range of whole pages".into());
        }
        let has = fstat(file).map_err(|e| e.to_string())?.st_size;
        let has = u64::try_from(has).unwrap_or(0);
        // Reading what a mapping has beyond its file's last page ends the process.
        if range.end > has.next_multiple_of(page) {
            return Err(format!("it ends at byte {}, and its file at byte {has}", range.end));
        }
        let len = usize::try_from(len).map_err(|_| "no address space is as large".to_string())?;
        // Shared, so that no page is ever copied; a private writable mapping would be, page by page, as soon as a driver
        // pins it for writing.
        // SAFETY: a new mapping at an address that the system chooses meets no memory of the process.
        let mapped =
            unsafe { mmap(std::ptr::null_mut(), len, ProtFlags::READ, MapFlags::SHARED, file, start) };
        mapped.map(|start| Self { start, len }).map_err(|e| format!("the system does not map it: {e}"))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is this mapping's, whose only user was device memory that is freed by now.
        let _ = unsafe { munmap(self.start, self.len) };
    }
}
