//! What kernels and plans need to know of a device.

use bayplan_shaders::{Class, Features, Subgroup, Target};
use bayplan_vulkan::{DeviceInfo, DeviceKind};

/// The target that a device is.
pub fn target_of(info: &DeviceInfo) -> Target {
    let (limits, subgroup) = (&info.limits, &info.subgroup);
    // Where a pipeline may come out with another size than the usual one, only a required size is a promise.
    let known = subgroup.compute && (subgroup.min_size == subgroup.max_size || subgroup.size_control);
    Target {
        name: info.name.clone(),
        class: if info.kind == DeviceKind::Cpu { Class::Cpu } else { Class::Gpu },
        subgroup: known.then_some(Subgroup {
            size: subgroup.size,
            shuffle: subgroup.operations.shuffle,
            arithmetic: subgroup.operations.arithmetic,
        }),
        features: Features {
            int64: info.features.shader_int64,
            float64: info.features.shader_float64,
            float16: info.features.shader_float16,
            storage16: info.features.storage_16bit,
            storage8: info.features.storage_8bit,
        },
        max_workgroup_invocations: limits.max_compute_workgroup_invocations,
        max_workgroup_size: limits.max_compute_workgroup_size,
        max_workgroup_count: limits.max_compute_workgroup_count,
        max_shared_memory: limits.max_compute_shared_memory_size,
        // Kernels move whole vec4s.
        storage_alignment: limits.min_storage_buffer_offset_alignment.max(16),
        uniform_alignment: limits.min_uniform_buffer_offset_alignment.max(16),
        max_storage_range: limits.max_storage_buffer_range,
        max_allocation: limits.max_memory_allocation_size.min(limits.max_buffer_size.unwrap_or(u64::MAX)),
    }
}
