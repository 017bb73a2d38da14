//! What a program needs of a device, and what a device lacks of it.

use std::fmt;

use crate::decide::{compute_family, subgroup_size};
use crate::info::{ApiVersion, DeviceInfo};

/// The oldest Vulkan this crate runs on: subgroups, 16-bit storage and dedicated allocations are core from 1.1.
pub const MIN_API_VERSION: ApiVersion = ApiVersion::new(1, 1);

/// What a program needs beyond what every program needs (Vulkan 1.1, timeline semaphores, a compute queue).
///
/// The default needs nothing more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
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
    /// Packed 4 × 8-bit dot products.
    pub integer_dot_product: bool,
    /// Subgroup arithmetic in compute shaders.
    pub subgroup_arithmetic: bool,
    /// Subgroup shuffles in compute shaders.
    pub subgroup_shuffle: bool,
    /// Exactly this many lanes per subgroup.
    pub subgroup_size: Option<u32>,
    /// Bytes of the largest storage window.
    pub storage_buffer_range: u64,
    /// Bytes of the largest buffer, with the memory behind it.
    pub buffer_size: u64,
    /// Invocations of the largest workgroup.
    pub workgroup_invocations: u32,
    /// Bytes of shared memory of the largest workgroup.
    pub shared_memory: u32,
    /// Bytes of push constants.
    pub push_constants: u32,
}

/// One thing a device lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A feature, by its name in Vulkan.
    Feature(&'static str),
    /// A limit that is too low.
    Limit {
        /// The limit's name in Vulkan.
        limit: &'static str,
        /// What the program needs.
        needed: u64,
        /// What the device offers.
        offered: u64,
    },
    /// A subgroup of a size that the device cannot run.
    SubgroupSize {
        /// Lanes the program needs.
        needed: u32,
        /// Fewest lanes the device offers.
        min: u32,
        /// Most lanes the device offers.
        max: u32,
    },
    /// A newer Vulkan.
    Version {
        /// What is needed.
        needed: ApiVersion,
        /// What the device offers.
        offered: ApiVersion,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Feature(name) => f.write_str(name),
            Missing::Limit { limit, needed, offered } => {
                write!(f, "{limit} ≥ {needed} (it has {offered})")
            }
            Missing::SubgroupSize { needed, min, max } if min == max => {
                write!(f, "subgroups of {needed} lanes (it has {min})")
            }
            Missing::SubgroupSize { needed, min, max } => {
                write!(f, "subgroups of {needed} lanes (it has {min} to {max})")
            }
            Missing::Version { needed, offered } => {
                write!(f, "Vulkan {}.{} (it has {offered})", needed.major, needed.minor)
            }
        }
    }
}

/// Names everything in `needs`, and everything that each program needs, that `device` lacks.
#[must_use]
pub fn missing(device: &DeviceInfo, needs: &Requirements) -> Vec<Missing> {
    let mut missing = Vec::new();
    if device.api_version < MIN_API_VERSION {
        missing.push(Missing::Version { needed: MIN_API_VERSION, offered: device.api_version });
    }
    let f = &device.features;
    let subgroup = &device.subgroup;
    let features = [
        ("a compute queue", true, compute_family(device).is_some()),
        ("timelineSemaphore", true, f.timeline_semaphore),
        ("shaderInt64", needs.shader_int64, f.shader_int64),
        ("shaderInt16", needs.shader_int16, f.shader_int16),
        ("shaderInt8", needs.shader_int8, f.shader_int8),
        ("shaderFloat64", needs.shader_float64, f.shader_float64),
        ("shaderFloat16", needs.shader_float16, f.shader_float16),
        ("storageBuffer16BitAccess", needs.storage_16bit, f.storage_16bit),
        ("storageBuffer8BitAccess", needs.storage_8bit, f.storage_8bit),
        ("shaderIntegerDotProduct", needs.integer_dot_product, f.integer_dot_product),
        (
            "subgroup arithmetic in compute shaders",
            needs.subgroup_arithmetic,
            subgroup.compute && subgroup.operations.arithmetic,
        ),
        (
            "subgroup shuffle in compute shaders",
            needs.subgroup_shuffle,
            subgroup.compute && subgroup.operations.shuffle,
        ),
    ];
    missing.extend(
        features
            .into_iter()
            .filter(|&(_, need, have)| need && !have)
            .map(|(name, ..)| Missing::Feature(name)),
    );
    if let Some(needed) = needs.subgroup_size
        && subgroup_size(device, needed).is_none()
    {
        missing.push(Missing::SubgroupSize { needed, min: subgroup.min_size, max: subgroup.max_size });
    }
    missing.extend(
        limits(device, needs)
            .into_iter()
            .filter(|&(_, needed, offered)| needed > offered)
            .map(|(limit, needed, offered)| Missing::Limit { limit, needed, offered }),
    );
    missing
}

/// Each limit as (name, needed, offered).
fn limits(device: &DeviceInfo, needs: &Requirements) -> [(&'static str, u64, u64); 6] {
    let l = &device.limits;
    [
        ("maxStorageBufferRange", needs.storage_buffer_range, l.max_storage_buffer_range),
        ("maxBufferSize", needs.buffer_size, l.max_buffer_size.unwrap_or(u64::MAX)),
        ("maxMemoryAllocationSize", needs.buffer_size, l.max_memory_allocation_size),
        (
            "maxComputeWorkGroupInvocations",
            needs.workgroup_invocations.into(),
            l.max_compute_workgroup_invocations.into(),
        ),
        ("maxComputeSharedMemorySize", needs.shared_memory.into(), l.max_compute_shared_memory_size.into()),
        ("maxPushConstantsSize", needs.push_constants.into(), l.max_push_constants_size.into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;

    #[test]
    fn what_a_device_lacks_is_named() {
        let none = Requirements::default();
        let check = |device: &DeviceInfo, needs: &Requirements, expect: &[&str]| {
            let text: Vec<String> = missing(device, needs).iter().map(ToString::to_string).collect();
            assert_eq!(text, expect, "{}", device.name);
        };
        for device in [fake::discrete(), fake::integrated(), fake::lavapipe(), fake::swiftshader()] {
            check(&device, &none, &[]);
        }
        check(&fake::without_timeline(), &none, &["timelineSemaphore"]);
        check(&fake::without_compute(), &none, &["a compute queue"]);
        let mut old = fake::discrete();
        old.api_version = ApiVersion { major: 1, minor: 0, patch: 68 };
        check(&old, &none, &["Vulkan 1.1 (it has 1.0.68)"]);

        let int64 = Requirements { shader_int64: true, ..none };
        check(&fake::lavapipe(), &int64, &[]);
        check(&fake::swiftshader(), &int64, &["shaderInt64"]);
        let eight = Requirements { subgroup_size: Some(8), ..none };
        check(&fake::lavapipe(), &eight, &[]);
        check(&fake::swiftshader(), &eight, &["subgroups of 8 lanes (it has 4)"]);
        check(&fake::discrete(), &eight, &["subgroups of 8 lanes (it has 32 to 64)"]);
        let wide = Requirements { storage_buffer_range: 1 << 30, workgroup_invocations: 2048, ..none };
        check(
            &fake::lavapipe(),
            &wide,
            &[
                "maxStorageBufferRange ≥ 1073741824 (it has 134217728)",
                "maxComputeWorkGroupInvocations ≥ 2048 (it has 1024)",
            ],
        );
        let large = Requirements { buffer_size: 3 << 30, ..none };
        check(&fake::lavapipe(), &large, &["maxMemoryAllocationSize ≥ 3221225472 (it has 2147483648)"]);
        check(&fake::discrete(), &large, &[]);
    }
}
