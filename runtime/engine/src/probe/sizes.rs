//! How much a device is given to do while it is measured, and for how long: decided on what is known of it.

use std::time::Duration;

use bayplan_shaders::{COPIED, Class, Target, VEC4, probe_lanes};

/// Bytes that are copied on a GPU: the caches of the largest hold a quarter of what is read and written then.
const GPU_BYTES: u64 = 256 << 20;
/// The same on a CPU, whose memory takes some ten milliseconds for it.
const CPU_BYTES: u64 = 64 << 20;
/// Fewer would be a cache that is measured.
const LEAST_BYTES: u64 = 16 << 20;
/// What is left of a device's memory for others while both buffers are there: as much as they take, twice.
const PARTS: u64 = 4;

/// Workgroups that multiply and add on a GPU: several for each of its cores, so that the last of them is a small part.
const GPU_GROUPS: u32 = 2048;
/// The same on a CPU: some milliseconds on one core.
const CPU_GROUPS: u32 = 512;

/// What is shorter than this is repeated until it is as long: a device's timestamps tell a thousandth of it.
const LEAST_BY_TIMESTAMPS: Duration = Duration::from_millis(2);
/// The same by the host's clock, which also counts what submitting takes.
const LEAST_BY_HOST: Duration = Duration::from_millis(20);
/// Most repetitions in one submission: drivers keep a record of each dispatch.
const MOST_REPEATS: u32 = 1024;

/// Measurements of one kernel, of which the best counts.
const ROUNDS: u32 = 6;
/// Of them, what is made however long it takes: one alone may have met another process.
const LEAST_ROUNDS: u32 = 2;

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Bytes of each of the two buffers.
    pub(crate) bytes: u64,
    /// Workgroups that copy the first to the second.
    pub(crate) copy_groups: u32,
    /// Workgroups that multiply and add; their results fit a buffer.
    pub(crate) add_groups: u32,
    /// Invocations of a workgroup.
    pub(crate) lanes: u32,
}

impl Sizes {
    /// For a device with so many bytes of its memory free; `None` where they are too few for a copy that no cache holds.
    pub(crate) fn new(target: &Target, free: u64) -> Option<Self> {
        let lanes = probe_lanes(target);
        let by_group = u64::from(lanes) * COPIED;
        let most_groups = target.max_workgroup_count[0];
        let (wanted, add_groups) = match target.class {
            Class::Cpu => (CPU_BYTES, CPU_GROUPS),
            Class::Gpu => (GPU_BYTES, GPU_GROUPS),
        };
        let limits = [target.max_storage_range, target.max_allocation, free / PARTS];
        let bytes = limits.into_iter().fold(wanted, u64::min);
        let copy_groups = u32::try_from(bytes / by_group).unwrap_or(u32::MAX).min(most_groups);
        let bytes = u64::from(copy_groups) * by_group;
        let results = u64::from(lanes) * VEC4;
        let fitting = u32::try_from(bytes / results).unwrap_or(u32::MAX);
        let add_groups = add_groups.min(most_groups).min(fitting);
        (bytes >= LEAST_BYTES).then_some(Self { bytes, copy_groups, add_groups, lanes })
    }
}

/// How often a kernel is run in one submission that took `once` alone, so that it takes long enough to be timed.
pub(crate) fn repeats(once: Duration, by_timestamps: bool) -> u32 {
    let least = if by_timestamps { LEAST_BY_TIMESTAMPS } else { LEAST_BY_HOST };
    let times = least.as_nanos().div_ceil(once.as_nanos().max(1));
    u32::try_from(times).unwrap_or(u32::MAX).clamp(1, MOST_REPEATS)
}

/// Whether another round is worth its time, after so many that took so long.
pub(crate) fn another(rounds: u32, spent: Duration, budget: Duration) -> bool {
    rounds < LEAST_ROUNDS || (rounds < ROUNDS && spent < budget)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn gpu() -> Target {
        Target {
            max_workgroup_invocations: 1024,
            max_workgroup_size: [1024, 1024, 64],
            max_storage_range: 4 * GIB - 1,
            max_allocation: 4 * GIB,
            ..Target::generic()
        }
    }

    fn cpu() -> Target {
        Target { class: Class::Cpu, max_storage_range: 128 << 20, max_allocation: 2 * GIB, ..gpu() }
    }

    #[test]
    fn sizes_follow_the_device() {
        let sizes = |target: &Target, free| {
            Sizes::new(target, free).map(|s| (s.bytes >> 20, s.copy_groups, s.add_groups, s.lanes))
        };
        assert_eq!(sizes(&gpu(), 16 * GIB), Some((256, 4096, 2048, 256)));
        assert_eq!(sizes(&cpu(), 16 * GIB), Some((64, 32_768, 512, 8)));
        // Windows of 128 MiB and workgroups of 128 are what Vulkan promises.
        assert_eq!(sizes(&Target::generic(), 16 * GIB), Some((128, 4096, 2048, 128)));
        // As much as is free, and no less than no cache holds.
        assert_eq!(sizes(&gpu(), 400 << 20), Some((100, 1600, 2048, 256)));
        assert_eq!(sizes(&gpu(), 64 << 20), Some((16, 256, 2048, 256)));
        assert_eq!(sizes(&gpu(), (64 << 20) - 1), None);
        assert_eq!(sizes(&gpu(), 0), None);
        assert_eq!(sizes(&Target { max_storage_range: 1 << 20, ..gpu() }, 16 * GIB), None);
        assert_eq!(sizes(&Target { max_allocation: 0, ..gpu() }, 16 * GIB), None);
        // A device of few workgroups copies and computes less.
        let few = Target { max_workgroup_count: [1000, 1, 1], ..gpu() };
        assert_eq!(sizes(&few, 16 * GIB), Some((62, 1000, 1000, 256)));
        let alone = Target { max_workgroup_size: [1, 1, 1], max_workgroup_count: [65_535; 3], ..gpu() };
        assert_eq!(
            sizes(&alone, 16 * GIB),
            None,
            "one lane in a workgroup: 65,535 of them copy 16 MiB less 256 bytes"
        );
    }

    #[test]
    fn every_size_is_whole_groups_within_all_limits() {
        for lanes in [32, 64, 96, 128, 256, 1024] {
            for free in (0..40).map(|bit| (1_u64 << bit) + 12_345) {
                let target = Target { max_workgroup_invocations: lanes, ..gpu() };
                let Some(sizes) = Sizes::new(&target, free) else { continue };
                assert_eq!(sizes.bytes, u64::from(sizes.copy_groups) * u64::from(sizes.lanes) * COPIED);
                assert!(2 * sizes.bytes <= free && sizes.bytes <= target.max_storage_range);
                assert!(u64::from(sizes.add_groups) * u64::from(sizes.lanes) * VEC4 <= sizes.bytes);
                assert!(sizes.add_groups > 0 && sizes.copy_groups <= target.max_workgroup_count[0]);
            }
        }
    }

    #[test]
    fn what_is_short_is_repeated() {
        let check = |ns, by_timestamps, expect| {
            assert_eq!(repeats(Duration::from_nanos(ns), by_timestamps), expect, "{ns} ns");
        };
        check(0, true, MOST_REPEATS);
        check(1, true, MOST_REPEATS);
        check(200_000, true, 10);
        check(1_999_999, true, 2);
        check(2_000_000, true, 1);
        check(u64::MAX, true, 1);
        check(2_000_000, false, 10);
    }

    #[test]
    fn rounds_end_with_the_budget() {
        let ms = Duration::from_millis;
        assert!(another(0, ms(9000), ms(60)) && another(1, ms(9000), ms(60)));
        assert!(!another(2, ms(61), ms(60)) && another(2, ms(59), ms(60)));
        assert!(!another(ROUNDS, ms(0), ms(60)));
    }
}
