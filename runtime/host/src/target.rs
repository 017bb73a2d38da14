//! The host as programs are compiled for it.

use bayplan_shaders::{Class, Features, Target, VEC4};

/// The name that selects the host where a device is asked for, and that plans and recordings show.
pub const NAME: &str = "host";

/// Bytes that buffers are aligned to: a cache line.
const ALIGNMENT: u64 = 64;

/// What programs for the host are compiled for: no limit but memory, 64-bit integers.
pub fn target() -> Target {
    Target {
        name: NAME.into(),
        class: Class::Cpu,
        subgroup: None,
        features: Features { int64: true, float64: true, ..Features::default() },
        max_workgroup_invocations: 1024,
        max_workgroup_size: [1024; 3],
        max_workgroup_count: [u32::MAX; 3],
        max_shared_memory: 1 << 20,
        storage_alignment: ALIGNMENT,
        storage_granule: VEC4,
        uniform_alignment: ALIGNMENT,
        max_storage_range: u64::MAX,
        max_allocation: u64::MAX,
        max_loop_passes: None,
    }
}
