//! Decisions that depend on what a device is: pure functions over [`DeviceInfo`], with no device behind them.

use std::fmt;

use bayplan_text::Bytes;

use crate::info::{DeviceInfo, DeviceKind, MemoryType};

/// What a buffer is for, and so where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// Worked on by the device. Mapped as well where device and host share memory.
    Device,
    /// Written by the host once, then read by the device. As [`Location::Device`], and mapped, too, where the host sees all of a
    /// discrete device's own memory (resizable BAR).
    Weights,
    /// Written by the host, read once by the device.
    Upload,
    /// Written by the device, read by the host.
    Readback,
}

/// The memory type chosen for a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryChoice {
    /// Index among the device's memory types.
    pub index: u32,
    /// Index of its heap.
    pub heap: usize,
    /// Whether the host can write and read it.
    pub mapped: bool,
    /// Whether that needs no flush or invalidation.
    pub coherent: bool,
    /// Whether the host reads it as fast as its own memory.
    pub cached: bool,
}

/// How weights come from host memory, or a file, to a device's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightsPath {
    /// The device reads the file's pages where the system has them.
    Imported,
    /// Read straight into device memory that the host has mapped.
    Mapped,
    /// Read into staging buffers, which the device copies from.
    Staged,
}

/// The queue family that runs everything: one that computes, preferring one that writes timestamps, then one that does
/// nothing but compute (an asynchronous queue that a desktop does not share).
#[must_use]
pub fn compute_family(device: &DeviceInfo) -> Option<u32> {
    let families = &device.queue_families;
    let found = (0..families.len())
        .filter(|&i| families[i].compute && families[i].count > 0)
        .min_by_key(|&i| (families[i].timestamp_valid_bits == 0, families[i].graphics))?;
    u32::try_from(found).ok()
}

/// The memory type for a buffer at `location` among the types whose bits are set in `allowed`
/// (`VkMemoryRequirements::memoryTypeBits`), or `None` where no type can serve.
#[must_use]
pub fn memory_type(device: &DeviceInfo, location: Location, allowed: u32) -> Option<MemoryChoice> {
    let unified = device.unified_memory;
    let heap_size = |t: &MemoryType| device.heaps.get(t.heap).map_or(0, |h| h.size);
    let usable = |t: &MemoryType| {
        !t.special
            && match location {
                Location::Device | Location::Weights => t.device_local,
                Location::Upload | Location::Readback => t.host_visible,
            }
    };
    // Smaller is better, the first criterion first; the last prefers the larger heap.
    let rank = |t: &MemoryType| {
        let order = match location {
            // Unified: mapped and coherent, so that inputs and weights need no staging. Discrete: not the window of
            // device memory that the host can see, which may be small and is wanted for other things.
            Location::Device | Location::Weights if unified => {
                [!t.host_visible, !t.host_coherent, !t.host_cached]
            }
            Location::Weights => [!through_bar(device, t), t.host_visible, false],
            Location::Device => [t.host_visible, false, false],
            // Written in sequence and never read: write-combined memory is best, device memory is left alone.
            Location::Upload => [!t.host_coherent, t.device_local && !unified, t.host_cached && !unified],
            Location::Readback => [!t.host_cached, !t.host_coherent, t.device_local && !unified],
        };
        (order, std::cmp::Reverse(heap_size(t)))
    };
    let types = &device.memory_types;
    let best = (0..types.len().min(32))
        .filter(|&i| allowed & (1 << i) != 0 && usable(&types[i]))
        .min_by_key(|&i| rank(&types[i]))?;
    let chosen = &types[best];
    Some(MemoryChoice {
        index: u32::try_from(best).ok()?,
        heap: chosen.heap,
        // On a discrete device a mapping of device memory is a slow window to read through: it is offered to be written once.
        mapped: match location {
            Location::Device => chosen.host_visible && unified,
            Location::Weights => chosen.host_visible && unified || through_bar(device, chosen),
            Location::Upload | Location::Readback => chosen.host_visible,
        },
        coherent: chosen.host_coherent,
        cached: chosen.host_cached,
    })
}

/// Whether a type is all of a discrete device's own memory, as the host sees it through a window as large (resizable BAR). A
/// smaller window is left to the driver, which wants it for other things.
fn through_bar(device: &DeviceInfo, kind: &MemoryType) -> bool {
    let own = device.heaps.iter().filter(|heap| heap.device_local).map(|heap| heap.size).max();
    let whole = device.heaps.get(kind.heap).is_some_and(|heap| Some(heap.size) == own);
    let seen = kind.device_local && kind.host_visible && kind.host_coherent && !kind.special;
    device.kind == DeviceKind::Discrete && !device.unified_memory && seen && whole
}

/// What files must be like for [`Device::import`](crate::Device::import).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportRules {
    /// Bytes that the first byte of an import is a multiple of, in its file: a page of the system's, or more.
    pub alignment: u64,
    /// The most bytes of one.
    pub most: u64,
    /// The most imports at a time: some allocations are left for what else there is.
    pub count: usize,
}

/// Why files do not become a device's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoImport {
    /// The device takes no memory of the host's.
    NotOffered,
    /// Its memory and the host's are apart, or treated as if they were.
    Apart,
    /// It wants memory aligned to more than the pages that files are mapped in.
    Alignment(u64),
}

impl fmt::Display for NoImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOffered => {
                f.write_str("the device has no VK_EXT_external_memory_host for storage buffers")
            }
            Self::Apart => f.write_str(
                "the device's memory is not the host's: every run would read the files across the bus",
            ),
            Self::Alignment(alignment) => {
                write!(f, "the device wants memory at multiples of {}, more than a page", Bytes(*alignment))
            }
        }
    }
}

/// Whether files can become a device's memory, and by which rules; `page` is the size of the system's pages.
///
/// # Errors
/// Why not.
pub fn import_rules(device: &DeviceInfo, page: u64) -> Result<ImportRules, NoImport> {
    let limits = &device.limits;
    let alignment = limits.min_imported_host_pointer_alignment.ok_or(NoImport::NotOffered)?;
    if !device.unified_memory {
        return Err(NoImport::Apart);
    }
    // The system places mappings at pages, and what a mapping has beyond its file's last page cannot be read.
    if alignment > page || !page.is_multiple_of(alignment) {
        return Err(NoImport::Alignment(alignment));
    }
    let most = limits.max_memory_allocation_size.min(limits.max_buffer_size.unwrap_or(u64::MAX));
    let count = usize::try_from(limits.max_memory_allocation_count / 4).unwrap_or(usize::MAX);
    Ok(ImportRules { alignment: page, most: most - most % page, count: count.min(MOST_IMPORTS) })
}

/// Each import is an object of the driver's, and a mapping of the process's, of which systems allow some 65,000.
const MOST_IMPORTS: usize = 1024;

/// The memory type for memory of the host's, among the types whose bits are set in `allowed`: coherent, since what a disk puts
/// there is flushed by nobody; the device's own if there is one.
#[must_use]
pub fn import_type(device: &DeviceInfo, allowed: u32) -> Option<MemoryChoice> {
    let types = &device.memory_types;
    let usable = |i: &usize| allowed & (1 << i) != 0 && !types[*i].special && types[*i].host_coherent;
    let best = (0..types.len().min(32)).filter(usable);
    let best = best.min_by_key(|&i| (!types[i].device_local, !types[i].host_cached))?;
    let MemoryType { heap, host_cached: cached, .. } = types[best];
    let index = u32::try_from(best).ok()?;
    // The host has the file; what it reads of it, it reads there.
    Some(MemoryChoice { index, heap, mapped: false, coherent: true, cached })
}

/// How weights come to [`Location::Weights`] buffers of a device; `import`: whether files may become its memory, as far as
/// they can.
#[must_use]
pub fn weights_path(device: &DeviceInfo, import: Option<ImportRules>) -> WeightsPath {
    if import.is_some() {
        return WeightsPath::Imported;
    }
    match memory_type(device, Location::Weights, u32::MAX) {
        Some(MemoryChoice { mapped: true, .. }) => WeightsPath::Mapped,
        _ => WeightsPath::Staged,
    }
}

/// Whether data reaches [`Location::Device`] buffers by a staging buffer and a copy (`true`), or is written in place.
#[must_use]
pub fn needs_staging(device: &DeviceInfo) -> bool {
    memory_type(device, Location::Device, u32::MAX).is_none_or(|choice| !choice.mapped)
}

/// How device ticks become nanoseconds, or `None` where the compute queue writes no timestamps.
#[must_use]
pub fn timestamps(device: &DeviceInfo) -> Option<TimestampScale> {
    let family = usize::try_from(compute_family(device)?).ok()?;
    let valid_bits = device.queue_families.get(family)?.timestamp_valid_bits;
    let period_ns = f64::from(device.limits.timestamp_period_ns);
    (valid_bits > 0 && period_ns > 0.0)
        .then_some(TimestampScale { period_ns, valid_bits: valid_bits.min(64) })
}

/// Whether queries can be asked for while commands run. Software drivers first wait until the device is idle, and may
/// read a query that a command resets at that moment.
#[must_use]
pub fn polls_queries(device: &DeviceInfo) -> bool {
    device.kind != DeviceKind::Cpu
}

/// Nanoseconds per tick of a device's timestamps, and how many of their bits count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimestampScale {
    /// Nanoseconds per tick.
    pub period_ns: f64,
    /// Meaningful bits: the counter returns to 0 past them.
    pub valid_bits: u32,
}

impl TimestampScale {
    /// The meaningful part of a raw timestamp.
    #[must_use]
    pub fn mask(&self, ticks: u64) -> u64 {
        if self.valid_bits >= 64 { ticks } else { ticks & ((1 << self.valid_bits) - 1) }
    }

    /// Nanoseconds from `begin` to `end`, also where the counter returned to 0 once in between.
    #[must_use]
    pub fn elapsed_ns(&self, begin: u64, end: u64) -> f64 {
        self.ticks_to_ns(self.mask(end.wrapping_sub(begin)))
    }

    /// A number of ticks in nanoseconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "53 bits of ticks are 104 days at 1 ns")]
    pub fn ticks_to_ns(&self, ticks: u64) -> f64 {
        ticks as f64 * self.period_ns
    }
}

/// How a pipeline gets subgroups of a certain number of lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubgroupSize {
    /// Every subgroup of the device has that many lanes.
    Fixed,
    /// The pipeline must require it (`VkPipelineShaderStageRequiredSubgroupSizeCreateInfo`).
    Required,
}

/// Whether and how the device runs compute shaders with subgroups of `lanes` lanes; `None` where it cannot.
#[must_use]
pub fn subgroup_size(device: &DeviceInfo, lanes: u32) -> Option<SubgroupSize> {
    let s = &device.subgroup;
    if !s.compute || lanes == 0 {
        None
    } else if s.size == lanes && s.min_size == lanes && s.max_size == lanes {
        Some(SubgroupSize::Fixed)
    } else if s.size_control && lanes.is_power_of_two() && (s.min_size..=s.max_size).contains(&lanes) {
        Some(SubgroupSize::Required)
    } else {
        None
    }
}

/// The smallest range of whole atoms that covers `offset..offset + len`, cut at `size`
/// (VUID-VkMappedMemoryRange-offset-00687, -size-01390). `len` reaches at most `size`.
#[must_use]
pub fn atom_range(offset: u64, len: u64, atom: u64, size: u64) -> (u64, u64) {
    let atom = atom.max(1);
    let begin = offset / atom * atom;
    let end = offset.saturating_add(len).div_ceil(atom).saturating_mul(atom).min(size);
    (begin, end.saturating_sub(begin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;

    #[test]
    fn queue_families() {
        let check = |device: &DeviceInfo, expect: Option<u32>| {
            assert_eq!(compute_family(device), expect, "{}", device.name);
        };
        check(&fake::lavapipe(), Some(0));
        check(&fake::discrete(), Some(1)); // compute alone, with timestamps
        check(&fake::without_compute(), None);
        let mut silent = fake::discrete();
        silent.queue_families[1].timestamp_valid_bits = 0;
        check(&silent, Some(0)); // the graphics family computes too and writes timestamps
        silent.queue_families[0].timestamp_valid_bits = 0;
        check(&silent, Some(1));
    }

    #[test]
    fn memory_types() {
        let all = u32::MAX;
        let check = |device: &DeviceInfo, location, allowed, expect: Option<(u32, bool)>| {
            let choice = memory_type(device, location, allowed).map(|c| (c.index, c.mapped));
            assert_eq!(choice, expect, "{} {location:?} {allowed:#x}", device.name);
        };
        // Types of the discrete fake: 0 device, 1 host write-combined, 2 host cached, 3 device seen by the host.
        check(&fake::discrete(), Location::Device, all, Some((0, false)));
        check(&fake::discrete(), Location::Device, 0b1000, Some((3, false)));
        check(&fake::discrete(), Location::Upload, all, Some((1, true)));
        check(&fake::discrete(), Location::Upload, 0b1000, Some((3, true)));
        check(&fake::discrete(), Location::Readback, all, Some((2, true)));
        check(&fake::discrete(), Location::Readback, 0b0010, Some((1, true)));
        check(&fake::discrete(), Location::Device, 0b0110, None);
        check(&fake::discrete(), Location::Device, 0, None);
        // Types of the integrated fake: 0 device only, 1 device and host, not coherent, 2 device and host, coherent.
        check(&fake::integrated(), Location::Device, all, Some((2, true)));
        check(&fake::integrated(), Location::Device, 0b011, Some((1, true)));
        check(&fake::integrated(), Location::Device, 0b001, Some((0, false)));
        for location in [Location::Device, Location::Upload, Location::Readback] {
            check(&fake::lavapipe(), location, all, Some((0, true)));
            check(&fake::swiftshader(), location, all, Some((0, true)));
        }
        let mut special = fake::lavapipe();
        special.memory_types[0].special = true;
        check(&special, Location::Device, all, None);
    }

    #[test]
    fn staging() {
        assert!(needs_staging(&fake::discrete()));
        for mut device in [fake::integrated(), fake::lavapipe(), fake::swiftshader()] {
            assert!(!needs_staging(&device), "{}", device.name);
            device.unified_memory = false;
            assert!(needs_staging(&device), "{}", device.name);
        }
    }

    #[test]
    fn weights_are_staged_where_the_host_does_not_see_all_memory() {
        let check = |device: &DeviceInfo, path, index| {
            let choice = memory_type(device, Location::Weights, u32::MAX).expect("a type");
            assert_eq!((weights_path(device, None), choice.index), (path, index), "{}", device.name);
            assert_eq!(choice.mapped, path == WeightsPath::Mapped);
        };
        // Its window of 256 MiB is not for weights.
        check(&fake::discrete(), WeightsPath::Staged, 0);
        check(&fake::resizable_bar(), WeightsPath::Mapped, 3);
        let runs = memory_type(&fake::resizable_bar(), Location::Device, u32::MAX);
        assert!(runs.is_some_and(|choice| choice.index == 0 && !choice.mapped), "what is read back is not");
        check(&fake::integrated(), WeightsPath::Mapped, 2);
        for mut device in [fake::lavapipe(), fake::swiftshader()] {
            check(&device, WeightsPath::Mapped, 0);
            device.unified_memory = false;
            check(&device, WeightsPath::Staged, 0);
        }
        let mut incoherent = fake::resizable_bar();
        incoherent.memory_types[3].host_coherent = false;
        check(&incoherent, WeightsPath::Staged, 0);
    }

    #[test]
    fn files_become_memory_where_the_host_has_it_too() {
        let page = 4096;
        let rules = |device: &DeviceInfo| import_rules(device, page);
        let lavapipe = fake::lavapipe();
        let own = ImportRules { alignment: page, most: 2 << 30, count: MOST_IMPORTS };
        assert_eq!(rules(&lavapipe), Ok(own));
        assert_eq!(weights_path(&lavapipe, rules(&lavapipe).ok()), WeightsPath::Imported);
        assert_eq!(import_rules(&lavapipe, 16_384), Ok(ImportRules { alignment: 16_384, ..own }));
        // The largest buffer may be no whole page.
        let mut odd = fake::integrated();
        (odd.limits.max_buffer_size, odd.limits.max_memory_allocation_count) = (Some(10_000), 40);
        assert_eq!(rules(&odd), Ok(ImportRules { alignment: page, most: 8192, count: 10 }));
        for device in [fake::discrete(), fake::resizable_bar()] {
            assert_eq!(rules(&device), Err(NoImport::Apart), "{}", device.name);
        }
        let (mut apart, mut old, mut wide) = (lavapipe.clone(), lavapipe.clone(), lavapipe);
        apart.unified_memory = false;
        assert_eq!(rules(&apart), Err(NoImport::Apart));
        old.limits.min_imported_host_pointer_alignment = None;
        assert_eq!(rules(&old), Err(NoImport::NotOffered));
        wide.limits.min_imported_host_pointer_alignment = Some(65_536);
        assert_eq!(rules(&wide), Err(NoImport::Alignment(65_536)));
        assert!(import_rules(&wide, 65_536).is_ok());
        let words = NoImport::Alignment(65_536).to_string();
        assert!(words.contains("64.0 KiB"), "{words}");
    }

    #[test]
    fn imported_memory_is_coherent() {
        let check = |device: &DeviceInfo, allowed, expect: Option<u32>| {
            let choice = import_type(device, allowed);
            assert_eq!(choice.map(|c| c.index), expect, "{} {allowed:#x}", device.name);
            assert!(choice.is_none_or(|c| c.coherent && !c.mapped));
        };
        check(&fake::lavapipe(), u32::MAX, Some(0));
        check(&fake::lavapipe(), 0, None);
        check(&fake::integrated(), u32::MAX, Some(2));
        check(&fake::integrated(), 0b011, None);
        check(&fake::discrete(), 0b0110, Some(2));
        check(&fake::discrete(), 0b1110, Some(3));
        let mut special = fake::lavapipe();
        special.memory_types[0].special = true;
        check(&special, u32::MAX, None);
    }

    #[test]
    fn timestamp_scales() {
        assert_eq!(timestamps(&fake::lavapipe()), Some(TimestampScale { period_ns: 1.0, valid_bits: 64 }));
        let scale = timestamps(&fake::discrete()).expect("36 bits");
        assert_eq!(scale, TimestampScale { period_ns: 10.0, valid_bits: 36 });
        assert_eq!(scale.mask(u64::MAX), (1 << 36) - 1);
        assert_eq!(scale.elapsed_ns(100, 250), 1500.0);
        assert_eq!(scale.elapsed_ns((1 << 36) - 5, 5), 100.0);
        assert_eq!(timestamps(&fake::without_compute()), None);
        let mut silent = fake::lavapipe();
        silent.queue_families[0].timestamp_valid_bits = 0;
        assert_eq!(timestamps(&silent), None);
    }

    #[test]
    fn polling() {
        assert!(polls_queries(&fake::discrete()) && polls_queries(&fake::integrated()));
        assert!(!polls_queries(&fake::lavapipe()) && !polls_queries(&fake::swiftshader()));
    }

    #[test]
    fn subgroup_sizes() {
        let check = |device: &DeviceInfo, lanes, expect| {
            assert_eq!(subgroup_size(device, lanes), expect, "{} {lanes}", device.name);
        };
        check(&fake::lavapipe(), 8, Some(SubgroupSize::Fixed));
        check(&fake::lavapipe(), 4, None);
        check(&fake::lavapipe(), 0, None);
        check(&fake::discrete(), 32, Some(SubgroupSize::Required));
        check(&fake::discrete(), 64, Some(SubgroupSize::Required));
        check(&fake::discrete(), 48, None);
        check(&fake::discrete(), 128, None);
        check(&fake::swiftshader(), 4, Some(SubgroupSize::Fixed));
        let mut mute = fake::swiftshader();
        mute.subgroup.compute = false;
        check(&mute, 4, None);
    }

    #[test]
    fn atoms() {
        let check = |offset, len, atom, size, expect| {
            assert_eq!(atom_range(offset, len, atom, size), expect, "{offset} {len} {atom} {size}");
        };
        check(0, 4, 64, 256, (0, 64));
        check(63, 2, 64, 256, (0, 128));
        check(64, 64, 64, 256, (64, 64));
        check(200, 50, 64, 250, (192, 58));
        check(10, 0, 1, 250, (10, 0));
        check(10, 5, 0, 250, (10, 5));
    }
}
