//! Devices that nobody owns, for tests of decisions.

use crate::info::{
    ApiVersion, DeviceInfo, DeviceKind, Features, Heap, Limits, MemoryType, QueueFamily, Subgroup,
    SubgroupOperations, Uuid,
};

const GIB: u64 = 1 << 30;

/// One of each, numbered.
pub(crate) fn all() -> Vec<DeviceInfo> {
    let mut all =
        vec![discrete(), integrated(), lavapipe(), swiftshader(), without_timeline(), without_compute()];
    for (index, device) in all.iter_mut().enumerate() {
        device.index = index;
    }
    all
}

/// Mesa's software device, with the values that Mesa 22.3 gives.
pub(crate) fn lavapipe() -> DeviceInfo {
    DeviceInfo {
        index: 0,
        name: "llvmpipe (LLVM 15.0.6, 256 bits)".into(),
        uuid: Uuid(*b"mesa22.3.6\0\0\0\0\0\0"),
        kind: DeviceKind::Cpu,
        unified_memory: true,
        vendor_id: 0x10005,
        device_id: 0,
        driver: "llvmpipe Mesa 22.3.6 (LLVM 15.0.6)".into(),
        api_version: ApiVersion { major: 1, minor: 3, patch: 230 },
        pipeline_cache_uuid: Uuid::default(),
        limits: limits(),
        features: Features {
            shader_int64: true,
            shader_int16: true,
            shader_int8: true,
            shader_float64: true,
            shader_float16: true,
            storage_16bit: true,
            storage_8bit: true,
            integer_dot_product: true,
            timeline_semaphore: true,
            robust_buffer_access: true,
        },
        subgroup: subgroup(8, 8, 8),
        queue_families: vec![queue(true, true, 64)],
        heaps: vec![Heap { size: 2 * GIB, device_local: true }],
        memory_types: vec![memory(0, "device visible coherent cached")],
        extensions: vec![],
    }
}

/// A GPU of its own memory, 32 or 64 lanes, a compute queue beside the graphics queue.
pub(crate) fn discrete() -> DeviceInfo {
    let mut device = lavapipe();
    device.name = "AMD Radeon RX 6800 XT (RADV NAVI21)".into();
    device.uuid = Uuid([1; 16]);
    device.kind = DeviceKind::Discrete;
    device.unified_memory = false;
    device.vendor_id = 0x1002;
    device.limits.max_memory_allocation_size = 4 * GIB;
    device.limits.max_storage_buffer_range = 4 * GIB - 1;
    device.limits.timestamp_period_ns = 10.0;
    device.subgroup = Subgroup { size_control: true, ..subgroup(64, 32, 64) };
    device.queue_families = vec![queue(true, true, 36), queue(true, false, 36), queue(false, false, 0)];
    device.heaps = vec![
        Heap { size: 16 * GIB, device_local: true },
        Heap { size: 16 * GIB, device_local: false },
        Heap { size: GIB / 4, device_local: true },
    ];
    device.memory_types = vec![
        memory(0, "device"),
        memory(1, "visible coherent"),
        memory(1, "visible coherent cached"),
        memory(2, "device visible coherent"),
    ];
    device
}

/// The same with all of its memory in the host's sight.
pub(crate) fn resizable_bar() -> DeviceInfo {
    let mut device = discrete();
    device.name = "AMD Radeon RX 6800 XT (RADV NAVI21), resizable BAR".into();
    device.heaps.truncate(2);
    device.memory_types[3].heap = 0;
    device
}

/// A GPU in the host's memory, with a type that is not coherent.
pub(crate) fn integrated() -> DeviceInfo {
    let mut device = lavapipe();
    device.name = "Intel(R) UHD Graphics 620 (KBL GT2)".into();
    device.uuid = Uuid([2; 16]);
    device.kind = DeviceKind::Integrated;
    device.vendor_id = 0x8086;
    device.limits.non_coherent_atom_size = 64;
    device.subgroup = Subgroup { size_control: true, ..subgroup(32, 8, 32) };
    device.queue_families = vec![queue(true, true, 36)];
    device.heaps = vec![Heap { size: 12 * GIB, device_local: true }];
    device.memory_types =
        vec![memory(0, "device"), memory(0, "device visible cached"), memory(0, "device visible coherent")];
    device
}

/// Four lanes, 256-byte alignment, no 64-bit integers.
pub(crate) fn swiftshader() -> DeviceInfo {
    let mut device = lavapipe();
    device.name = "SwiftShader Device (Subzero)".into();
    device.uuid = Uuid([3; 16]);
    device.vendor_id = 0x1AE0;
    device.limits.min_storage_buffer_offset_alignment = 256;
    device.limits.min_uniform_buffer_offset_alignment = 256;
    device.features = Features { timeline_semaphore: true, ..Features::default() };
    device.subgroup = subgroup(4, 4, 4);
    device
}

/// A GPU of 2017 with a driver of 2018.
pub(crate) fn without_timeline() -> DeviceInfo {
    let mut device = discrete();
    device.name = "GeForce GTX 1080".into();
    device.uuid = Uuid([4; 16]);
    device.api_version = ApiVersion::new(1, 1);
    device.features.timeline_semaphore = false;
    device
}

/// A device that only draws.
pub(crate) fn without_compute() -> DeviceInfo {
    let mut device = integrated();
    device.name = "Drawing Board".into();
    device.uuid = Uuid([5; 16]);
    device.kind = DeviceKind::Other;
    device.queue_families = vec![queue(false, true, 64)];
    device
}

fn limits() -> Limits {
    Limits {
        max_storage_buffer_range: 1 << 27,
        max_uniform_buffer_range: 65_536,
        max_memory_allocation_size: 2 * GIB,
        max_memory_allocation_count: u32::MAX,
        max_buffer_size: Some(u64::from(u32::MAX)),
        min_storage_buffer_offset_alignment: 16,
        min_uniform_buffer_offset_alignment: 16,
        max_compute_workgroup_count: [65_535; 3],
        max_compute_workgroup_size: [1024; 3],
        max_compute_workgroup_invocations: 1024,
        max_compute_shared_memory_size: 32_768,
        max_push_constants_size: 128,
        max_per_stage_storage_buffers: 32,
        max_per_stage_uniform_buffers: 15,
        timestamp_period_ns: 1.0,
        non_coherent_atom_size: 64,
        min_imported_host_pointer_alignment: Some(4096),
    }
}

fn subgroup(size: u32, min_size: u32, max_size: u32) -> Subgroup {
    Subgroup {
        size,
        min_size,
        max_size,
        compute: true,
        size_control: false,
        operations: SubgroupOperations {
            basic: true,
            vote: true,
            arithmetic: true,
            ballot: true,
            shuffle: true,
            shuffle_relative: true,
            clustered: false,
            quad: true,
        },
    }
}

fn queue(compute: bool, graphics: bool, timestamp_valid_bits: u32) -> QueueFamily {
    QueueFamily { count: 1, compute, graphics, timestamp_valid_bits }
}

fn memory(heap: usize, properties: &str) -> MemoryType {
    let has = |word: &str| properties.split(' ').any(|p| p == word);
    MemoryType {
        heap,
        device_local: has("device"),
        host_visible: has("visible"),
        host_coherent: has("coherent"),
        host_cached: has("cached"),
        special: false,
    }
}
