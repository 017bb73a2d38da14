//! Outputs that their callers keep.

use std::sync::Arc;

use bayplan_compile::session::Lease;
use bayplan_compile::{Port, device_size, narrow};
use bayplan_graph::{DType, Tensor};
use bayplan_vulkan::Buffer;

use crate::device::Device;
use crate::error::EngineError;
use crate::transfer::Transfer;

/// An output in a slot of the output arena, exactly as large as it is. It may be kept for any time, also beyond its
/// session, be read, sent to another thread, and given as an input; dropped, its slot is free again.
pub struct Owned {
    name: String,
    place: DeviceBytes,
    lease: Arc<Lease>,
}

/// Elements in memory of the device.
pub(crate) struct DeviceBytes {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<usize>,
    /// Nothing of no bytes.
    pub(crate) buffer: Option<Arc<Buffer>>,
    pub(crate) offset: u64,
    pub(crate) transfer: Arc<Transfer>,
}

impl DeviceBytes {
    /// Bytes of the elements in device memory.
    pub(crate) fn bytes(&self) -> u64 {
        elements(&self.shape) * device_size(self.dtype)
    }

    /// Whether they lie on a device; those of no bytes lie on every one.
    pub(crate) fn is_on(&self, device: &Device) -> bool {
        self.buffer.as_ref().is_none_or(|buffer| buffer.is_of(&device.vulkan))
    }

    /// A copy in host memory.
    pub(crate) fn to_tensor(&self, name: &str) -> Result<Tensor, EngineError> {
        let mut bytes = vec![0; self.bytes() as usize];
        if let Some(buffer) = self.buffer.as_ref().filter(|_| !bytes.is_empty()) {
            self.transfer.read(buffer, self.offset, &mut bytes)?;
        }
        let tensor = Tensor::new(self.dtype, self.shape.clone(), narrow(self.dtype, bytes));
        // The byte count follows from the shape, so only the size can be wrong.
        tensor.map_err(|e| EngineError::Copy { name: name.into(), reason: e.to_string() })
    }
}

pub(crate) fn elements(shape: &[usize]) -> u64 {
    shape.iter().map(|&dim| dim as u64).product()
}

impl Owned {
    pub(crate) fn new(
        port: &Port,
        lease: Arc<Lease>,
        place: Option<(Arc<Buffer>, u64)>,
        transfer: Arc<Transfer>,
    ) -> Self {
        let shape = port.shape.iter().map(|&dim| dim as usize).collect();
        let (buffer, offset) = place.map_or((None, 0), |(buffer, offset)| (Some(buffer), offset));
        let place = DeviceBytes { dtype: port.dtype, shape, buffer, offset, transfer };
        Self { name: port.name.clone(), place, lease }
    }

    /// The output's name in the model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its element type in the model.
    pub fn dtype(&self) -> DType {
        self.place.dtype
    }

    /// Its dimensions, in elements.
    pub fn shape(&self) -> &[usize] {
        &self.place.shape
    }

    /// Bytes of the output arena that it takes, exactly. The next slot begins at a multiple of the device's storage alignment:
    /// what lies between belongs to nobody.
    pub fn bytes(&self) -> u64 {
        self.lease.bytes()
    }

    /// A copy in host memory. Waits for a run of its session that is under way.
    ///
    /// # Errors
    /// The device is lost, or the tensor is larger than bayplan's tensors may be.
    pub fn to_tensor(&self) -> Result<Tensor, EngineError> {
        self.place.to_tensor(&self.name)
    }

    /// Whether sessions on a device can read it.
    pub fn is_on(&self, device: &Device) -> bool {
        self.place.is_on(device)
    }

    pub(crate) fn place(&self) -> &DeviceBytes {
        &self.place
    }
}
