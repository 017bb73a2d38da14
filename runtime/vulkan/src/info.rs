//! What a device is and can do, as plain values.
//!
//! Every decision in this crate is taken on these values, so that it can be tested on a device that nobody owns.

use std::fmt;

/// What sort of device executes the commands, as the driver says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the host's memory.
    Integrated,
    /// A GPU seen through a virtual machine.
    Virtual,
    /// A software implementation on the host's cores.
    Cpu,
    /// Anything else.
    Other,
}

impl DeviceKind {
    /// Whether device and host use the same memory, so that staging copies gain nothing.
    #[must_use]
    pub fn is_unified(self) -> bool {
        matches!(self, DeviceKind::Integrated | DeviceKind::Cpu)
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeviceKind::Discrete => "discrete GPU",
            DeviceKind::Integrated => "integrated GPU",
            DeviceKind::Virtual => "virtual GPU",
            DeviceKind::Cpu => "CPU",
            DeviceKind::Other => "other",
        })
    }
}

/// A Vulkan API version, ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    /// Major number: 1 in every Vulkan so far.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Patch number: the edition of the specification's text.
    pub patch: u32,
}

impl ApiVersion {
    /// A version with patch 0.
    #[must_use]
    pub const fn new(major: u32, minor: u32) -> ApiVersion {
        ApiVersion { major, minor, patch: 0 }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The 16 bytes that name a device across runs (`VkPhysicalDeviceIDProperties::deviceUUID`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// The limits that plans and kernels depend on (`VkPhysicalDeviceLimits`, `VkPhysicalDeviceMaintenance3Properties`,
/// `VkPhysicalDeviceMaintenance4Properties`). Sizes are bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Largest range of one storage-buffer descriptor.
    pub max_storage_buffer_range: u64,
    /// Largest range of one uniform-buffer descriptor.
    pub max_uniform_buffer_range: u64,
    /// Largest single device allocation.
    pub max_memory_allocation_size: u64,
    /// Most device allocations alive at once.
    pub max_memory_allocation_count: u32,
    /// Largest buffer, where the driver tells it (Vulkan 1.3 or `VK_KHR_maintenance4`).
    pub max_buffer_size: Option<u64>,
    /// Alignment of a storage-buffer descriptor's offset.
    pub min_storage_buffer_offset_alignment: u64,
    /// Alignment of a uniform-buffer descriptor's offset.
    pub min_uniform_buffer_offset_alignment: u64,
    /// Most workgroups of one dispatch in x, y and z.
    pub max_compute_workgroup_count: [u32; 3],
    /// Largest workgroup in x, y and z.
    pub max_compute_workgroup_size: [u32; 3],
    /// Most invocations of one workgroup.
    pub max_compute_workgroup_invocations: u32,
    /// Shared memory of one workgroup.
    pub max_compute_shared_memory_size: u32,
    /// Bytes of push constants.
    pub max_push_constants_size: u32,
    /// Most storage buffers that one shader stage may bind.
    pub max_per_stage_storage_buffers: u32,
    /// Most uniform buffers that one shader stage may bind.
    pub max_per_stage_uniform_buffers: u32,
    /// Nanoseconds per timestamp tick.
    pub timestamp_period_ns: f32,
    /// Granule of flushes and invalidations of memory that is not coherent.
    pub non_coherent_atom_size: u64,
    /// Alignment of host memory that can become the device's, where storage buffers can lie in such memory
    /// (`VK_EXT_external_memory_host`).
    pub min_imported_host_pointer_alignment: Option<u64>,
}

/// The optional features that kernels may use. A device is created with exactly those that are true here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// 64-bit integers in shaders.
    pub shader_int64: bool,
    /// 16-bit integers in shaders.
    pub shader_int16: bool,
    /// 8-bit integers in shaders.
    pub shader_int8: bool,
    /// 64-bit floats in shaders.
    pub shader_float64: bool,
    /// 16-bit floats in shaders.
    pub shader_float16: bool,
    /// 16-bit elements in storage buffers.
    pub storage_16bit: bool,
    /// 8-bit elements in storage buffers.
    pub storage_8bit: bool,
    /// Packed 4 × 8-bit dot products (`SPV_KHR_integer_dot_product`).
    pub integer_dot_product: bool,
    /// Timeline semaphores: without them nothing can be submitted.
    pub timeline_semaphore: bool,
    /// Descriptor accesses past their range are defined (`robustBufferAccess`). Enabled only on request.
    pub robust_buffer_access: bool,
}

/// What a subgroup of the device's compute stage can do (`VkPhysicalDeviceSubgroupProperties`,
/// `VkPhysicalDeviceSubgroupSizeControlProperties`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subgroup {
    /// Lanes of a subgroup where a pipeline asks for nothing else.
    pub size: u32,
    /// Fewest lanes a pipeline may ask for; equal to `size` without size control.
    pub min_size: u32,
    /// Most lanes a pipeline may ask for; equal to `size` without size control.
    pub max_size: u32,
    /// Whether compute shaders may use subgroup operations at all.
    pub compute: bool,
    /// Whether a compute pipeline may require a size (`VK_EXT_subgroup_size_control`).
    pub size_control: bool,
    /// The groups of operations offered.
    pub operations: SubgroupOperations,
}

/// Groups of subgroup operations (`VkSubgroupFeatureFlagBits`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubgroupOperations {
    /// Elect, barrier.
    pub basic: bool,
    /// All, any, equal.
    pub vote: bool,
    /// Reductions and scans.
    pub arithmetic: bool,
    /// Ballot and broadcast.
    pub ballot: bool,
    /// Shuffle by any index.
    pub shuffle: bool,
    /// Shuffle up and down.
    pub shuffle_relative: bool,
    /// Reductions over clusters of lanes.
    pub clustered: bool,
    /// Exchange inside quads of lanes.
    pub quad: bool,
}

/// One family of queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFamily {
    /// Number of queues.
    pub count: u32,
    /// Runs compute shaders.
    pub compute: bool,
    /// Draws.
    pub graphics: bool,
    /// Meaningful bits of a timestamp; 0 where the family cannot write any.
    pub timestamp_valid_bits: u32,
}

/// One heap of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heap {
    /// Size in bytes.
    pub size: u64,
    /// Whether the heap is the device's own memory.
    pub device_local: bool,
}

/// One type of memory: properties, and the heap it takes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryType {
    /// Index of the heap.
    pub heap: usize,
    /// Fastest for the device.
    pub device_local: bool,
    /// Can be mapped by the host.
    pub host_visible: bool,
    /// Needs no flush or invalidation.
    pub host_coherent: bool,
    /// Cached by the host: reads are fast.
    pub host_cached: bool,
    /// Protected, lazily allocated, or otherwise not for ordinary buffers.
    pub special: bool,
}

/// Everything known of one device.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceInfo {
    /// Position in the driver's list.
    pub index: usize,
    /// The driver's name for the device.
    pub name: String,
    /// Identity across runs.
    pub uuid: Uuid,
    /// Sort of device.
    pub kind: DeviceKind,
    /// Whether device and host share memory, so that buffers of the device can be written in place.
    pub unified_memory: bool,
    /// PCI vendor number, or a Khronos vendor number.
    pub vendor_id: u32,
    /// The vendor's number of the device.
    pub device_id: u32,
    /// Driver name and version, as text for people.
    pub driver: String,
    /// Version of Vulkan the device offers.
    pub api_version: ApiVersion,
    /// Identity of the driver's pipeline cache format.
    pub pipeline_cache_uuid: Uuid,
    /// Limits.
    pub limits: Limits,
    /// Optional features.
    pub features: Features,
    /// Subgroups.
    pub subgroup: Subgroup,
    /// Queue families, in the driver's order.
    pub queue_families: Vec<QueueFamily>,
    /// Heaps, in the driver's order.
    pub heaps: Vec<Heap>,
    /// Memory types, in the driver's order.
    pub memory_types: Vec<MemoryType>,
    /// The device extensions that this crate knows and enables when it opens the device.
    pub extensions: Vec<String>,
}

impl DeviceInfo {
    /// Whether this crate would enable the extension `name` on the device.
    #[must_use]
    pub fn has_extension(&self, name: &str) -> bool {
        self.extensions.iter().any(|e| e == name)
    }
}
