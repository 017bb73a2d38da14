//! What kernels and plans need to know of a device.

use bayplan_shaders::{CPU_LOOP_PASSES, Class, Features, Subgroup, Target, VEC4};
use bayplan_vulkan::{DeviceInfo, DeviceKind};

/// Limits stricter than a device's own: programs are compiled as if the device could do no more. For tests, and for
/// finding on any machine how a model fares on a lesser device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in the largest storage window; never above the device's own.
    pub max_storage_range: Option<u64>,
    /// Bytes in the largest allocation; never above the device's own.
    pub max_allocation: Option<u64>,
    /// Bytes that the offset of a storage window is a multiple of, a power of two; never below the device's own.
    pub storage_alignment: Option<u64>,
}

impl Limits {
    /// The target under these limits.
    #[must_use]
    pub fn apply(&self, mut target: Target) -> Target {
        let least = |own: u64, asked: Option<u64>| own.min(asked.unwrap_or(u64::MAX));
        target.max_storage_range = least(target.max_storage_range, self.max_storage_range);
        target.max_allocation = least(target.max_allocation, self.max_allocation);
        let alignment = self.storage_alignment.unwrap_or(1).checked_next_power_of_two();
        target.storage_alignment = target.storage_alignment.max(alignment.unwrap_or(1));
        target
    }
}

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
        storage_alignment: limits.min_storage_buffer_offset_alignment.max(VEC4),
        storage_granule: VEC4,
        uniform_alignment: limits.min_uniform_buffer_offset_alignment.max(VEC4),
        max_storage_range: limits.max_storage_buffer_range,
        max_allocation: limits.max_memory_allocation_size.min(limits.max_buffer_size.unwrap_or(u64::MAX)),
        // No driver states it; those of CPUs are taken to count as lavapipe does.
        max_loop_passes: (info.kind == DeviceKind::Cpu).then_some(CPU_LOOP_PASSES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_only_ever_made_stricter() {
        let own = Target::generic();
        assert_eq!(Limits::default().apply(own.clone()), own);
        let (most, none) = (Some(u64::MAX), Some(0));
        let lax = Limits { max_storage_range: most, max_allocation: most, storage_alignment: none };
        assert_eq!(lax.apply(own.clone()), own);
        let strict = Limits {
            max_storage_range: Some(1 << 16),
            max_allocation: Some(1 << 18),
            storage_alignment: Some(300),
        };
        let target = strict.apply(own);
        let made = (target.max_storage_range, target.max_allocation, target.storage_alignment);
        assert_eq!(made, (1 << 16, 1 << 18, 512));
    }
}
