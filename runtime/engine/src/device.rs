//! Opening a device.

use std::sync::{Arc, OnceLock};

use bayplan_compile::Program;
use bayplan_compile::session::Io;
use bayplan_shaders::{Class, Target};
use bayplan_trace::{Level, WeightsPath};
use bayplan_vulkan::{
    AllocationCounts, Buffer, DeviceInfo, HeapSample, Instance, InstanceOptions, Message, Selector, select,
};

use crate::check::check_memory;
use crate::error::EngineError;
use crate::memory::Ledger;
use crate::pipelines::Pipelines;
use crate::probe::Known;
use crate::target::{Limits, target_of};
use crate::transfer::{CHUNK, Transfer};

/// How to open a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceOptions {
    /// Which device.
    pub selector: Selector,
    /// Run under the Khronos validation layer with synchronization validation.
    pub validation: bool,
    /// Treat device and host memory as apart even where they are one, so that weights, inputs and outputs go through
    /// staging buffers as on a discrete GPU. For tests and for finding errors of that path on any machine; slower.
    pub separate_memory: bool,
    /// Limits stricter than the device's own.
    pub limits: Limits,
    /// A fault to plant in the sessions on it, to prove that its alarm goes off.
    #[cfg(feature = "faults")]
    pub fault: Option<crate::faults::Fault>,
}

/// An opened device. A clone is the same device; sessions on it may run in different threads, one submission after another.
#[derive(Clone)]
pub struct Device {
    pub(crate) vulkan: bayplan_vulkan::Device,
    pub(crate) ledger: Ledger,
    pub(crate) pipelines: Pipelines,
    pub(crate) roofs: Known,
    /// Moves bytes of tensors that callers made; made with the first of them.
    tensors: Arc<OnceLock<Arc<Transfer>>>,
    instance: Instance,
    target: Target,
    #[cfg(feature = "faults")]
    pub(crate) fault: Option<crate::faults::Fault>,
}

/// Every device that the system's drivers offer.
///
/// # Errors
/// No Vulkan loader, or no driver.
pub fn devices() -> Result<Vec<DeviceInfo>, EngineError> {
    Ok(Instance::new(&InstanceOptions::default())?.devices()?)
}

/// How weights come to a device when they are read as `io` says, if its memory is not treated as apart
/// ([`DeviceOptions::separate_memory`]). What cannot be imported comes as otherwise.
pub fn weights_path(device: &DeviceInfo, io: Io) -> WeightsPath {
    let rules = bayplan_vulkan::importable(device).ok().filter(|_| io == Io::Import);
    match bayplan_vulkan::weights_path(device, rules) {
        bayplan_vulkan::WeightsPath::Imported => WeightsPath::Imported,
        bayplan_vulkan::WeightsPath::Mapped => WeightsPath::Mapped,
        bayplan_vulkan::WeightsPath::Staged => WeightsPath::Staged,
    }
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
        let apart = bayplan_vulkan::DeviceOptions {
            separate_memory: options.separate_memory,
            ..bayplan_vulkan::DeviceOptions::default()
        };
        let vulkan = bayplan_vulkan::Device::with_options(&instance, info, &apart)?;
        Ok(Self {
            vulkan,
            ledger: Ledger::default(),
            pipelines: Pipelines::default(),
            roofs: Known::default(),
            tensors: Arc::default(),
            instance,
            target: options.limits.apply(target_of(info)),
            #[cfg(feature = "faults")]
            fault: options.fault,
        })
    }

    /// What is known of it.
    pub fn info(&self) -> &DeviceInfo {
        self.vulkan.info()
    }

    /// The device as programs are compiled for it.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// How much recordings of sessions on it hold unless another level is asked for: op times on GPUs, where they cost
    /// next to nothing; on CPU devices a timestamp costs more than a small op, so runs with a playhead.
    pub fn trace_level(&self) -> Level {
        if self.target.class == Class::Cpu { Level::Run } else { Level::Op }
    }

    /// Device allocations so far, counted at the driver's functions.
    pub fn allocations(&self) -> AllocationCounts {
        self.vulkan.allocations()
    }

    /// How full its heaps are.
    pub fn heaps(&self) -> Vec<HeapSample> {
        self.vulkan.heap_budget()
    }

    /// Whether a program's memory fits a heap of the device as full as it is now.
    ///
    /// # Errors
    /// [`EngineError::Memory`]: how much is needed, and how much the largest heap has left.
    pub fn check_memory(&self, program: &Program) -> Result<(), EngineError> {
        check_memory(self, program)
    }

    /// What the validation layer and the driver have said (none without validation).
    pub fn messages(&self) -> Vec<Message> {
        self.instance.messages()
    }

    /// How many messages there were, also those not kept.
    pub fn message_count(&self) -> u64 {
        self.instance.message_count()
    }

    /// Compute pipelines made on it so far, counted where the driver makes them.
    pub fn pipelines_made(&self) -> u64 {
        self.vulkan.pipelines_created()
    }

    /// What moves bytes of tensors that lie in memory as this one does.
    pub(crate) fn tensor_transfer(&self, buffer: &Buffer) -> Result<Arc<Transfer>, EngineError> {
        if let Some(made) = self.tensors.get() {
            return Ok(Arc::clone(made));
        }
        let made = Transfer::new(&self.vulkan, buffer.mapped().is_some(), CHUNK)?;
        // Where another thread was faster, its own is used.
        Ok(Arc::clone(self.tensors.get_or_init(|| Arc::new(made))))
    }

    /// Closes the device, unless a clone or a session keeps it open, and gives all messages up to then: an object that
    /// was forgotten is told as its device goes.
    pub fn close(self) -> Vec<Message> {
        let Self { vulkan, instance, pipelines, tensors, .. } = self;
        drop((pipelines, tensors, vulkan));
        instance.messages()
    }
}
