//! Device allocations, counted where they happen: in the device's function table.
//!
//! Every device's table holds the two functions below in place of `vkAllocateMemory` and `vkFreeMemory`, so whoever
//! allocates, this crate or a library it uses, is counted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ash::vk::{self, Handle};

use crate::lock;

/// Events kept until they are drained; later ones are only counted as lost. 65,536 events take about 3 MiB.
const MAX_EVENTS: usize = 1 << 16;

/// Names one device allocation for as long as the device lives: numbers are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllocationId(pub u64);

/// Allocations of one device so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllocationCounts {
    /// Calls of `vkAllocateMemory` that succeeded.
    pub allocations: u64,
    /// Calls of `vkAllocateMemory` that failed.
    pub failures: u64,
    /// Allocations freed.
    pub frees: u64,
    /// Bytes allocated now.
    pub live_bytes: u64,
    /// The most bytes allocated at once.
    pub peak_bytes: u64,
    /// Bytes of memory of the host's that is the device's, too, now: of allocations that are counted above without their bytes.
    pub imported_bytes: u64,
}

/// A device allocation made or freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocationEvent {
    /// Memory was allocated.
    Allocated {
        /// Its number.
        id: AllocationId,
        /// Its size.
        bytes: u64,
        /// Its memory type.
        memory_type: u32,
    },
    /// Memory was freed.
    Freed {
        /// Its number.
        id: AllocationId,
    },
}

/// The events since the last time, and how many were lost because nobody drained them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllocationEvents {
    /// Oldest first.
    pub events: Vec<AllocationEvent>,
    /// Events that did not fit.
    pub lost: u64,
}

/// The real functions of one device and what went through them.
pub(crate) struct AllocationLog {
    allocate: vk::PFN_vkAllocateMemory,
    free: vk::PFN_vkFreeMemory,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    counts: AllocationCounts,
    live: BTreeMap<u64, Live>,
    pending: AllocationEvents,
    last_failure: Option<vk::Result>,
}

struct Live {
    id: AllocationId,
    bytes: u64,
    memory_type: u32,
    imported: bool,
}

impl AllocationLog {
    pub(crate) fn new(allocate: vk::PFN_vkAllocateMemory, free: vk::PFN_vkFreeMemory) -> AllocationLog {
        AllocationLog { allocate, free, state: Mutex::default() }
    }

    pub(crate) fn counts(&self) -> AllocationCounts {
        lock(&self.state).counts
    }

    pub(crate) fn drain(&self) -> AllocationEvents {
        std::mem::take(&mut lock(&self.state).pending)
    }

    pub(crate) fn id(&self, memory: vk::DeviceMemory) -> Option<AllocationId> {
        lock(&self.state).live.get(&memory.as_raw()).map(|live| live.id)
    }

    /// Why the last allocation failed, since a library may only say that it did.
    pub(crate) fn take_failure(&self) -> Option<vk::Result> {
        lock(&self.state).last_failure.take()
    }

    /// Bytes allocated now of the memory types for which `of_heap` holds.
    pub(crate) fn live_bytes(&self, of_heap: impl Fn(u32) -> bool) -> u64 {
        let own = |live: &&Live| !live.imported && of_heap(live.memory_type);
        lock(&self.state).live.values().filter(own).map(|l| l.bytes).sum()
    }
}

impl State {
    /// Memory that is imported was the process's before: it takes none, and is no event.
    fn allocated(&mut self, memory: u64, bytes: u64, memory_type: u32, imported: bool) {
        let id = AllocationId(self.counts.allocations);
        self.counts.allocations += 1;
        self.live.insert(memory, Live { id, bytes, memory_type, imported });
        if imported {
            self.counts.imported_bytes += bytes;
            return;
        }
        self.counts.live_bytes += bytes;
        self.counts.peak_bytes = self.counts.peak_bytes.max(self.counts.live_bytes);
        self.event(AllocationEvent::Allocated { id, bytes, memory_type });
    }

    fn freed(&mut self, memory: u64) {
        let Some(live) = self.live.remove(&memory) else { return };
        self.counts.frees += 1;
        if live.imported {
            self.counts.imported_bytes -= live.bytes;
            return;
        }
        self.counts.live_bytes -= live.bytes;
        self.event(AllocationEvent::Freed { id: live.id });
    }

    fn event(&mut self, event: AllocationEvent) {
        if self.pending.events.len() < MAX_EVENTS {
            self.pending.events.push(event);
        } else {
            self.pending.lost += 1;
        }
    }
}

/// The devices alive in this process: the shims get a device's handle and nothing else. Taken by allocations only,
/// never by a submission.
static DEVICES: RwLock<BTreeMap<u64, Arc<AllocationLog>>> = RwLock::new(BTreeMap::new());

/// Makes the shims find `log` for `device`, before the first allocation.
pub(crate) fn register(device: vk::Device, log: Arc<AllocationLog>) {
    DEVICES.write().unwrap_or_else(PoisonError::into_inner).insert(device.as_raw(), log);
}

/// Forgets `device`, after the last free and before its handle can come again.
pub(crate) fn unregister(device: vk::Device) {
    DEVICES.write().unwrap_or_else(PoisonError::into_inner).remove(&device.as_raw());
}

fn find(device: vk::Device) -> Option<Arc<AllocationLog>> {
    DEVICES.read().unwrap_or_else(PoisonError::into_inner).get(&device.as_raw()).cloned()
}

/// Stands in for `vkAllocateMemory`.
///
/// # Safety
/// As `vkAllocateMemory`.
pub(crate) unsafe extern "system" fn allocate_memory(
    device: vk::Device,
    info: *const vk::MemoryAllocateInfo<'_>,
    callbacks: *const vk::AllocationCallbacks<'_>,
    memory: *mut vk::DeviceMemory,
) -> vk::Result {
    let Some(log) = find(device) else { return vk::Result::ERROR_INITIALIZATION_FAILED };
    // SAFETY: the caller keeps vkAllocateMemory's rules; the arguments go through unchanged.
    let result = unsafe { (log.allocate)(device, info, callbacks, memory) };
    let mut state = lock(&log.state);
    if result == vk::Result::SUCCESS {
        // SAFETY: vkAllocateMemory succeeded, so it read `info` with its chain, and wrote `memory`
        // (VUID-vkAllocateMemory-pAllocateInfo-parameter, -pMemory-parameter).
        let (info, memory, imported) = unsafe { (&*info, *memory, is_import(&*info)) };
        state.allocated(memory.as_raw(), info.allocation_size, info.memory_type_index, imported);
    } else {
        state.counts.failures += 1;
        state.last_failure = Some(result);
    }
    result
}

/// Whether an allocation takes memory of the host's as it is.
///
/// # Safety
/// The chain of `info` is one that Vulkan may read (VUID-VkMemoryAllocateInfo-pNext-pNext).
unsafe fn is_import(info: &vk::MemoryAllocateInfo<'_>) -> bool {
    let mut next = info.p_next.cast::<vk::BaseInStructure<'_>>();
    // SAFETY: each structure of the chain begins with its type and the next one's address, or null.
    while let Some(own) = unsafe { next.as_ref() } {
        if own.s_type == vk::StructureType::IMPORT_MEMORY_HOST_POINTER_INFO_EXT {
            return true;
        }
        next = own.p_next;
    }
    false
}

/// Stands in for `vkFreeMemory`.
///
/// # Safety
/// As `vkFreeMemory`.
pub(crate) unsafe extern "system" fn free_memory(
    device: vk::Device,
    memory: vk::DeviceMemory,
    callbacks: *const vk::AllocationCallbacks<'_>,
) {
    let Some(log) = find(device) else { return };
    // Before the free: afterwards another thread may be given the same handle.
    lock(&log.state).freed(memory.as_raw());
    // SAFETY: the caller keeps vkFreeMemory's rules; the arguments go through unchanged.
    unsafe { (log.free)(device, memory, callbacks) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_events() {
        let mut state = State::default();
        state.allocated(7, 100, 0, false);
        state.allocated(8, 50, 1, false);
        state.freed(7);
        state.allocated(7, 20, 0, false); // the handle comes again, the number does not
        state.freed(99);
        let expect = AllocationCounts {
            allocations: 3,
            frees: 1,
            live_bytes: 70,
            peak_bytes: 150,
            ..AllocationCounts::default()
        };
        assert_eq!(state.counts, expect);
        let events = state.pending.events;
        assert_eq!(events.len(), 4);
        assert_eq!(events[2], AllocationEvent::Freed { id: AllocationId(0) });
        let last = AllocationEvent::Allocated { id: AllocationId(2), bytes: 20, memory_type: 0 };
        assert_eq!(events[3], last);
    }

    #[test]
    fn imports_take_no_memory() {
        let mut state = State::default();
        state.allocated(7, 100, 0, false);
        state.allocated(8, 5000, 0, true);
        let counts = state.counts;
        assert_eq!((counts.allocations, counts.live_bytes, counts.imported_bytes), (2, 100, 5000));
        state.freed(8);
        let counts = state.counts;
        assert_eq!(
            (counts.frees, counts.live_bytes, counts.imported_bytes, counts.peak_bytes),
            (1, 100, 0, 100)
        );
        assert_eq!(state.pending.events.len(), 1, "what the process had before is not allocated");
    }

    #[test]
    fn chains_are_searched_for_imports() {
        let mut import = vk::ImportMemoryHostPointerInfoEXT::default();
        let mut dedicated = vk::MemoryDedicatedAllocateInfo::default();
        let plain = vk::MemoryAllocateInfo::default().push_next(&mut dedicated);
        // SAFETY: chains of structures that are alive.
        assert!(!unsafe { is_import(&plain) });
        let own = plain.push_next(&mut import);
        // SAFETY: as above.
        assert!(unsafe { is_import(&own) });
    }

    #[test]
    fn undrained_events_are_bounded() {
        let mut state = State::default();
        for handle in 0..MAX_EVENTS as u64 {
            state.allocated(handle, 1, 0, false);
            state.freed(handle);
        }
        assert_eq!(state.pending.events.len(), MAX_EVENTS);
        assert_eq!(state.pending.lost, MAX_EVENTS as u64);
    }
}
