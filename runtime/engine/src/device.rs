//! Opening a device.

use bayplan_shaders::Target;
use bayplan_vulkan::{
    AllocationCounts, DeviceInfo, HeapSample, Instance, InstanceOptions, Message, Selector, select,
};

use crate::error::EngineError;
use crate::target::target_of;

/// How to open a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceOptions {
    /// Which device.
    pub selector: Selector,
    /// Run under the Khronos validation layer with synchronization validation.
    pub validation: bool,
}

/// An opened device. A clone is the same device.
#[derive(Clone)]
pub struct Device {
    pub(crate) vulkan: bayplan_vulkan::Device,
    instance: Instance,
    target: Target,
}

/// Every device that the system's drivers offer.
///
/// # Errors
/// No Vulkan loader, or no driver.
pub fn devices() -> Result<Vec<DeviceInfo>, EngineError> {
    Ok(Instance::new(&InstanceOptions::default())?.devices()?)
}

impl Device {
    /// Opens a device.
    ///
    /// # Errors
    /// No loader or driver, no device that fits the selector, or one that lacks what every program needs (all of it named).
    pub fn open(options: &DeviceOptions) -> Result<Self, EngineError> {
        let instance =
            Instance::new(&InstanceOptions { validation: options.validation, ..InstanceOptions::default() })?;
        let devices = instance.devices()?;
        let info = &devices[select(&devices, &options.selector)?];
        let vulkan = bayplan_vulkan::Device::new(&instance, info)?;
        Ok(Self { vulkan, instance, target: target_of(info) })
    }

    /// What is known of it.
    pub fn info(&self) -> &DeviceInfo {
        self.vulkan.info()
    }

    /// The device as programs are compiled for it.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Device allocations so far, counted at the driver's functions.
    pub fn allocations(&self) -> AllocationCounts {
        self.vulkan.allocations()
    }

    /// How full its heaps are.
    pub fn heaps(&self) -> Vec<HeapSample> {
        self.vulkan.heap_budget()
    }

    /// What the validation layer and the driver have said (none without validation).
    pub fn messages(&self) -> Vec<Message> {
        self.instance.messages()
    }

    /// How many messages there were, also those not kept.
    pub fn message_count(&self) -> u64 {
        self.instance.message_count()
    }
}
