//! How full the device's heaps are.

use ash::{ext, vk};

use crate::device::{Device, DeviceShared};

/// One heap at one moment. Sizes are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapSample {
    /// Size of the heap.
    pub size: u64,
    /// What this process uses of it as the driver tells, or, where it does not tell, what was allocated through this
    /// device.
    pub usage: u64,
    /// What this process may use of it before allocations fail or slow down, at most `size`; `None` where the driver
    /// does not tell (`VK_EXT_memory_budget`).
    pub budget: Option<u64>,
    /// Whether the heap is the device's own memory.
    pub device_local: bool,
}

impl HeapSample {
    /// Bytes that can still be had within budget. A driver may report more usage than budget; then 0.
    #[must_use]
    pub fn available(&self) -> u64 {
        self.budget.unwrap_or(self.size).min(self.size).saturating_sub(self.usage)
    }
}

impl Device {
    /// Samples every heap, in the order of [`DeviceInfo::heaps`](crate::DeviceInfo::heaps).
    #[must_use]
    pub fn heap_budget(&self) -> Vec<HeapSample> {
        self.shared.heap_budget()
    }
}

impl DeviceShared {
    pub(crate) fn heap_budget(&self) -> Vec<HeapSample> {
        let told = self.told_budget();
        let heaps = self.info.heaps.iter().enumerate();
        heaps
            .map(|(i, heap)| HeapSample {
                size: heap.size,
                usage: told.as_ref().map_or_else(|| self.own_usage(i), |t| t.heap_usage[i]),
                budget: told.as_ref().map(|t| t.heap_budget[i].min(heap.size)),
                device_local: heap.device_local,
            })
            .collect()
    }

    /// Bytes allocated from `heap` through this device.
    pub(crate) fn own_usage(&self, heap: usize) -> u64 {
        let types = &self.info.memory_types;
        self.allocations.live_bytes(|t| types.get(t as usize).is_some_and(|t| t.heap == heap))
    }

    fn told_budget(&self) -> Option<vk::PhysicalDeviceMemoryBudgetPropertiesEXT<'static>> {
        let name = ext::memory_budget::NAME.to_str().ok()?;
        if !self.info.has_extension(name) {
            return None;
        }
        let mut budget = vk::PhysicalDeviceMemoryBudgetPropertiesEXT::default();
        let mut all = vk::PhysicalDeviceMemoryProperties2::default().push_next(&mut budget);
        // SAFETY: the physical device is of this instance, which is alive, and has the extension
        // (VUID-vkGetPhysicalDeviceMemoryProperties2-physicalDevice-parameter).
        unsafe { self.instance.raw.get_physical_device_memory_properties2(self.physical, &mut all) };
        Some(budget)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available() {
        let check = |usage, budget, expect| {
            let sample = HeapSample { size: 100, usage, budget, device_local: true };
            assert_eq!(sample.available(), expect, "{sample:?}");
        };
        check(0, None, 100);
        check(30, None, 70);
        check(30, Some(80), 50);
        check(90, Some(80), 0); // over budget
        check(0, Some(1000), 100);
    }
}
