//! What programs run on: a Vulkan device, or the host itself.

use bayplan_compile::Program;
use bayplan_engine::{
    AllocationCounts, DeviceInfo, DeviceOptions, EngineError, HeapSample, Message, Selector,
};
use bayplan_graph::DType;
use bayplan_shaders::Target;
use bayplan_trace::{Level, Roofs};

use crate::error::Error;
use crate::tensors::{Buffer, DeviceTensor};

/// An opened device. A clone is the same device; sessions on it may run in different threads.
#[derive(Clone)]
pub struct Device(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    Vulkan(bayplan_engine::Device),
    Host(Box<Target>),
}

impl Device {
    /// Opens a device: the host where the selector is the name `host`, else a Vulkan device.
    ///
    /// # Errors
    /// No Vulkan loader or driver, no device that fits the selector, or one that lacks what every program needs (all of it
    /// named).
    pub fn open(options: &DeviceOptions) -> Result<Self, Error> {
        let host = matches!(&options.selector, Selector::Name(name) if name.eq_ignore_ascii_case(bayplan_host::NAME));
        if host {
            #[cfg(feature = "faults")]
            if let Some(fault) = options.fault {
                return Err(EngineError::Fault { fault: fault.name() }.into());
            }
            return Ok(Self(Kind::Host(Box::new(options.limits.apply(bayplan_host::target())))));
        }
        bayplan_engine::Device::open(options).map(|device| Self(Kind::Vulkan(device))).map_err(|e| match e {
            EngineError::Vulkan(_) | EngineError::Select(_) => Error::NoDevice(e),
            e => e.into(),
        })
    }

    /// The host: programs run on the CPU in this process, without any driver.
    pub fn host() -> Self {
        Self(Kind::Host(Box::new(bayplan_host::target())))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match &self.0 {
            Kind::Vulkan(device) => &device.info().name,
            Kind::Host(_) => bayplan_host::NAME,
        }
    }

    /// What is known of a Vulkan device; nothing of the host.
    pub fn info(&self) -> Option<&DeviceInfo> {
        match &self.0 {
            Kind::Vulkan(device) => Some(device.info()),
            Kind::Host(_) => None,
        }
    }

    /// The device as programs are compiled for it.
    pub fn target(&self) -> &Target {
        match &self.0 {
            Kind::Vulkan(device) => device.target(),
            Kind::Host(target) => target,
        }
    }

    /// How much recordings of sessions on it hold unless another level is asked for: op times where they cost next to
    /// nothing, which is on GPUs and the host; else runs with a playhead.
    pub fn trace_level(&self) -> Level {
        match &self.0 {
            Kind::Vulkan(device) => device.trace_level(),
            Kind::Host(_) => Level::Op,
        }
    }

    /// Device allocations so far, counted at the driver's functions; none on the host.
    pub fn allocations(&self) -> AllocationCounts {
        match &self.0 {
            Kind::Vulkan(device) => device.allocations(),
            Kind::Host(_) => AllocationCounts::default(),
        }
    }

    /// How full its heaps are; the host's memory is none of them.
    pub fn heaps(&self) -> Vec<HeapSample> {
        match &self.0 {
            Kind::Vulkan(device) => device.heaps(),
            Kind::Host(_) => Vec::new(),
        }
    }

    /// Whether a program compiled for the device finds memory there now: what building its session asks first, without
    /// building it.
    ///
    /// # Errors
    /// It does not: how much is needed, and how much is free.
    pub fn check_memory(&self, program: &Program) -> Result<(), Error> {
        match &self.0 {
            Kind::Vulkan(device) => Ok(device.check_memory(program)?),
            Kind::Host(_) => Ok(bayplan_host::check_memory(program)?),
        }
    }

    /// Measures what it does at most, how fast it copies and how fast it computes: what the times of ops are held against in
    /// recordings. Takes some 2 s. `None` on the host, which computes for exactness.
    ///
    /// # Errors
    /// Too little of its memory is free, or the driver fails.
    pub fn measure_roofs(&self) -> Result<Option<Roofs>, Error> {
        match &self.0 {
            Kind::Vulkan(device) => Ok(Some(device.measure_roofs()?)),
            Kind::Host(_) => Ok(None),
        }
    }

    /// Makes a tensor on the device, in memory of its own, for outputs with the policy
    /// [`Into`](crate::OutputPolicy::Into) and for inputs. Its elements are unspecified until they are written.
    ///
    /// # Errors
    /// No memory is left, or the shape is larger than the device allocates at once.
    pub fn tensor(&self, dtype: DType, shape: &[usize]) -> Result<DeviceTensor, Error> {
        Ok(match &self.0 {
            Kind::Vulkan(device) => DeviceTensor(Buffer::Vulkan(device.tensor(dtype, shape)?)),
            Kind::Host(_) => DeviceTensor(Buffer::Host(bayplan_host::DeviceTensor::new(dtype, shape)?)),
        })
    }

    /// What the validation layer and the driver have said (none without validation).
    pub fn messages(&self) -> Vec<Message> {
        match &self.0 {
            Kind::Vulkan(device) => device.messages(),
            Kind::Host(_) => Vec::new(),
        }
    }

    /// How many messages there were, also those not kept.
    pub fn message_count(&self) -> u64 {
        match &self.0 {
            Kind::Vulkan(device) => device.message_count(),
            Kind::Host(_) => 0,
        }
    }

    /// Closes the device, unless a clone or a session keeps it open, and gives all messages up to then: an object that
    /// was forgotten is told as its device goes.
    pub fn close(self) -> Vec<Message> {
        match self.0 {
            Kind::Vulkan(device) => device.close(),
            Kind::Host(_) => Vec::new(),
        }
    }
}
